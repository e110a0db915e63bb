/*
 * core: what every subject of hearthd may borrow. No subject is in it.
 */
#pragma once

#include <stdint.h>
#include <systemd/sd-event.h>

#include "board/book.h"
#include "board/config.h"
#include "board/wayout.h"
#include "node/disk.h"
#include "node/problems.h"
#include "sys/net/nl.h"

struct core {
	sd_event *event;
	struct disk *disk;
	struct nl *nl;
	struct book *book;

	struct paths paths;
	char helper_path[PATH_TEXT_MAX];
	char host_path[PATH_TEXT_MAX]; /* "/etc" */
	struct config config;
	struct wayout wayout; /* of connections to what is outside of the mesh */

	uint8_t identity_seed[FIELD_KEY_LEN], identity[FIELD_KEY_LEN];
	uint8_t wg_private[FIELD_KEY_LEN], wg_public[FIELD_KEY_LEN];

	struct problems problems;
};

/* Our own node, NULL if the netmap has none. Borrowed until records are added. */
static inline const struct node *core_self(const struct core *core)
{
	return netmap_by_id(book_netmap(core->book), core->config.node);
}
