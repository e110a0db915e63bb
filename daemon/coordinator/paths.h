/*
 * paths: where the coordinator keeps what it keeps.
 */
#pragma once

#include <stdio.h>

#include "base/names.h"

enum { PATHS_MAX = 512 };

#define PATHS_STATE_DIR NAMES_COORD_STATE /* --state, $HEARTH_COORD_STATE */
#define PATHS_RUN_DIR   NAMES_RUN         /* --run, $HEARTH_RUN */
#define PATHS_ROOT_SUFFIX \
	"-root" /* behind the state directory's name: root's own, where root.key is */
#define PATHS_USER        "hearth-coord"
#define PATHS_NAME        "coord" /* see ipc_make_place() */
#define PATHS_SOCKET      PATHS_NAME ".sock"
#define PATHS_DATABASE    "coord.db"
#define PATHS_ROOT_KEY    "root.key"
#define PATHS_SIGNING_KEY "signing.key"
#define PATHS_TLS_KEY     "tls.key"
#define PATHS_TLS_CERT    "tls.crt"

static inline void paths_join(const char *dir, const char *name, char ret_path[static PATHS_MAX])
{
	(void) snprintf(ret_path, PATHS_MAX, "%s/%s", dir, name);
}
