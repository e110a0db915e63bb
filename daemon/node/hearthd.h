/*
 * hearthd: the running mesh daemon, and what its subjects share: mesh.c (tunnel, interface, peers,
 * addresses), feed.c (the coordinator, our presence), assist.c (who asks hearth-helper),
 * watch.c (who is reachable, systemd), control.c (local calls), daemon.c (its life). Theirs alone.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "base/pace.h"
#include "node/announce.h"
#include "node/cluster.h"
#include "node/core.h"
#include "node/device.h"
#include "node/ground.h"
#include "node/iface.h"
#include "node/ipv6.h"
#include "node/names.h"
#include "node/peer.h"
#include "node/ping.h"
#include "node/pods.h"
#include "node/repair.h"
#include "node/report.h"
#include "node/resolv.h"
#include "board/seen.h"
#include "board/state.h"
#include "node/sync.h"
#include "node/uapi.h"
#include "node/uplink.h"
#include "node/view.h"
#include "node/wait.h"
#include "node/wall.h"
#include "sys/ipc/ipc.h"
#include "sys/net/link.h"
#include "tunnel/tunnel.h"

struct hearthd {
	struct core core;
	char config_path[PATH_TEXT_MAX], state_path[PATH_TEXT_MAX], timestamp_path[PATH_TEXT_MAX];
	struct state state, saved, state_written; /* of now; on disk; on its way there */
	bool is_saved, state_writing;
	int state_lock; /* -1 none */

	char *cert_pem, *key_pem;
	struct uplink *uplink;
	struct sync *sync;
	struct ping *ping;
	struct waits *waits;
	struct ipc_server *ipc;
	struct cluster *cluster;
	struct names *names;
	struct pods *pods;
	struct resolv *resolv;
	struct uapi *uapi;

	/* mesh.c */
	enum mesh_state mesh_state;
	bool begun, ready; /* systemd was told */
	struct tunnel *tunnel;
	struct stamps *stamps; /* outlives it */
	sd_event_source *tunnel_source;
	struct peers *peers;
	int ifindex; /* of the tunnel's device */
	struct device *device;
	struct ipv6 *ipv6;
	struct ground *ground;
	struct wall *wall;
	struct seen *seen;
	unsigned uplink_mtu;     /* the last one known */
	uint64_t addressless_us; /* no address to announce since then, 0: there is one */

	/* feed.c */
	char *sync_sources;  /* URLs and pins the client was given */
	uint64_t announced;  /* counter of the presence the client was given, 0 none */
	uint64_t counter;    /* of the last presence made, or what was reserved before the start */
	bool announce_waits; /* for the disk: numbers are to be reserved */
	struct announce announcing;
	sd_event_source *announce_timer;

	/* assist.c */
	ino_t helper_ino; /* of its socket */

	/* watch.c */
	sd_event_source *tick, *moved_timer;
	uint64_t moved_us; /* our addresses or routes changed */
	uint64_t tick_us, slow_us, save_us;
	bool settled; /* up for a minute */
	bool watchdog;
	char *said; /* to systemd, last */

	/* control.c: the report that users other than root were given last */
	json_t *status;
	uint64_t status_us;
};

/* What others removed of our files and sockets is made again. Not from within a call to that socket. */
void hearthd_keep_files(struct hearthd *h);

/* save.c: none of these waits; what cannot be written is a problem, and tried again. */
/* New records, at once; save_book(): presences, too, if it is time for them. */
void save_log(struct hearthd *h);
void save_book(struct hearthd *h, uint64_t now_us);
void save_state(struct hearthd *h);
void save_seen(struct hearthd *h, uint64_t now_us);
/* Files that somebody removed. */
void save_again(struct hearthd *h);
/* Everything, and waits for it: for the end. */
void save_all(struct hearthd *h);

/* mesh.c: brings what @changes (enum change) concern in line with book, uplinks and keys. Negative: it cannot begin (@err). */
int mesh_update(struct hearthd *h, unsigned changes, struct err *err);
/* A node's presence is a new one. The work of one peer. */
void mesh_heard(struct hearthd *h, const struct book_heard *heard);
int mesh_open(struct hearthd *h, struct err *err);
/* Closes what this process holds; interface, routes and firewall stay. */
void mesh_close(struct hearthd *h);
/* Again what failed, and what somebody may have undone. */
void mesh_retry(struct hearthd *h);
/* Whether others could try any address of this board; a problem once it has lasted. */
void mesh_check_addresses(struct hearthd *h);

/* feed.c */
int feed_open(struct hearthd *h, struct err *err);
/* URLs and pins of settings and configuration changed perhaps. */
void feed_configure(struct hearthd *h);
/* Node @id answers from another address: a coordinator there is asked again. */
void feed_peer_moved(struct hearthd *h, uint32_t id);
/* Our addresses changed perhaps: a new presence if so. */
void feed_announce(struct hearthd *h);

/* assist.c */
/* Makes the subjects that ask the helper. -ENOMEM. */
int assist_open(struct hearthd *h);
/* Waits (2 s at most): the descriptor of a TUN device named as configured, or a negative errno. */
int assist_open_tun(struct hearthd *h, struct err *err);
/* What the helper could not do is asked for again, where the pause is over. */
void assist_retry(struct hearthd *h);
/* Without the pauses: somebody has mended something. */
void assist_retry_now(struct hearthd *h);
/*
 * The helper writes what it finds proved in our log on disk. All of that is there now (@saved), or cannot be
 * written: what waited for it is asked for.
 */
void assist_log_settled(struct hearthd *h, bool saved);
void assist_close(struct hearthd *h);

/* watch.c */
int watch_begin(struct hearthd *h, struct err *err);
void watch_end(struct hearthd *h);
/* Asks the tunnel who is reachable. */
void watch_refresh(struct hearthd *h);
/* Our addresses or routes changed: peers are shown the new ones, and who does not answer is looked for. */
void watch_moved(struct hearthd *h);
/* Tells systemd the sentence of the moment, and READY when it is time. */
void watch_notify(struct hearthd *h);
/* What report_*() need. */
void watch_fill_report(struct hearthd *h, struct report *ret);

/* control.c: an ipc_handler_fn, and what its callers may wait for. */
void control_handle(void *ctx, struct ipc_request *request);
extern const struct waits_hooks control_waits;

/* daemon.c */
struct hearthd_options {
	const char *config_path; /* NULL: hearthd.yaml in the directory for configuration */
};
/*
 * Runs until it is told to end. 0, or a negative errno with @err: it could not begin. -ENOTRECOVERABLE: only a
 * person can mend that.
 */
int hearthd_run(const struct hearthd_options *options, struct err *err);
/* Reads the configuration again. */
int hearthd_reload(struct hearthd *h, struct err *err);
/* Removes interface, routes, firewall and names, for `hearthd --down`. */
int hearthd_down(const struct hearthd_options *options, struct err *err);
