/*
 * names: directories, sockets and links that are called so on every board (design.md section 3).
 * What may be elsewhere in a test ($HEARTH_ETC, $HEARTH_STATE, $HEARTH_RUN) is said where it is
 * read.
 */
#pragma once

#include <stdbool.h>
#include <string.h>

#define NAMES_ETC          "/etc/hearth"
#define NAMES_STATE        "/var/lib/hearth"
#define NAMES_COORD_STATE  "/var/lib/hearth-coord"
#define NAMES_RELAY_STATE  "/var/lib/hearth-relay"
#define NAMES_RUN          "/run/hearth"
#define NAMES_HEARTHD_SOCK "hearthd.sock" /* in NAMES_RUN, as the other two */
#define NAMES_HELPER_SOCK  "helper.sock"
#define NAMES_COORD_SOCK   "coord.sock"
#define NAMES_HOSTS        "/etc/hosts"
#define NAMES_CNI_PLUGIN   "/opt/cni/bin/hearth"
/* The packages' files for systemd-networkd and NetworkManager know links by these two. */
#define NAMES_LINK         "hearth" /* a mesh's interface, unless it has a name of its own */
#define NAMES_LINK_DEFAULT NAMES_LINK "0"
#define NAMES_POD_LINK     "hth" /* the host's end of a pod's link: this and 10 hex digits */

static inline bool names_is_mesh_link(const char *ifname)
{
	return !strncmp(ifname, NAMES_LINK, strlen(NAMES_LINK));
}

static inline bool names_is_pod_link(const char *ifname)
{
	return !strncmp(ifname, NAMES_POD_LINK, strlen(NAMES_POD_LINK));
}

/* In /etc: the directory of the file by which the relay's TCP port is another. */
#define NAMES_RELAY_DROP_IN "systemd/system/hearth-relay.socket.d"

/* TCP, at each board's mesh addresses: what boards ask each other (node/exchange.h). */
#define NAMES_BOARD_PORT 41742
