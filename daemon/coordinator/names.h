/*
 * names: what the coordinator's own files are called; its directories and its socket are in
 * base/names.h, where others find them.
 */
#pragma once

#include <stdio.h>

#include "base/names.h"

enum { COORD_PATH_MAX = 512 };

/* Behind the state directory's name: root's own, where root.key is. */
#define COORD_ROOT_SUFFIX "-root"
#define COORD_USER        "hearth-coord"
#define COORD_PLACE       "coord" /* see ipc_make_place() */
#define COORD_DATABASE    "coord.db"
#define COORD_ROOT_KEY    "root.key"
#define COORD_SIGNING_KEY "signing.key"
#define COORD_TLS_KEY     "tls.key"
#define COORD_TLS_CERT    "tls.crt"

static inline void coord_path(
	const char *dir, const char *name, char ret_path[static COORD_PATH_MAX])
{
	(void) snprintf(ret_path, COORD_PATH_MAX, "%s/%s", dir, name);
}
