/*
 * hearthd: the running mesh daemon: what makes its subjects and connects them. Only these files
 * include this one, each uses those below it:
 *
 *   daemon.c    its life: makes, connects and ends all of it; the machine's links
 *   tick.c      what is done now and then
 *   control.c   calls of others on this machine
 *   reload.c    the configuration read again
 *   mesh.c      brings subjects in line with what is
 *   assist.c    those that ask hearth-helper
 *   ask.c       whom to ask for news
 *   status-why.c  what hearthd knows of the network around it
 *   status.c    who is reachable, and what people and systemd are told
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "node/announce.h"
#include "node/beacon.h"
#include "node/cluster.h"
#include "node/core.h"
#include "node/device.h"
#include "node/exchange.h"
#include "node/finder.h"
#include "node/ground.h"
#include "node/holes.h"
#include "node/ipv6.h"
#include "node/keep.h"
#include "node/mapped.h"
#include "node/mtus.h"
#include "node/names.h"
#include "node/news.h"
#include "node/offer.h"
#include "node/overlay.h"
#include "node/peer.h"
#include "node/ping.h"
#include "node/pods.h"
#include "node/portmap.h"
#include "node/relays.h"
#include "node/report.h"
#include "node/resolv.h"
#include "node/roster.h"
#include "node/sync.h"
#include "node/uapi.h"
#include "node/uplink.h"
#include "node/view.h"
#include "node/wait.h"
#include "node/wall.h"
#include "node/why.h"
#include "sys/ipc/ipc.h"

struct hearthd {
	struct core core;
	char config_path[PATH_TEXT_MAX];
	int state_lock; /* -1 none */

	struct announce *announce;
	struct beacon *beacon;
	struct cluster *cluster;
	struct device *device;
	struct exchange *exchange;
	struct finder *finder;
	struct ground *ground;
	struct holes *holes;
	struct ipc_server *ipc;
	struct ipv6 *ipv6;
	struct keep *keep;
	struct mapped *mapped;
	struct mtus *mtus;
	struct names *names;
	struct news *news;
	struct offer *offer;
	struct overlay *overlay;
	struct peers *peers;
	struct ping *ping;
	struct pods *pods;
	struct portmap *portmap;
	struct relays *relays;
	struct resolv *resolv;
	struct roster *roster;
	struct sync *sync;
	struct uapi *uapi;
	struct uplink *uplink;
	struct waits *waits;
	struct wall *wall;
	struct why *why;

	/* mesh.c */
	enum mesh_state mesh_state;
	bool begun;
	unsigned uplink_mtu; /* the last one known */

	/* ask.c */
	char *cert_pem, *key_pem;
	char *asked; /* the sources that sync was given */

	/* assist.c */
	ino_t helper_ino; /* of its socket */

	/* status.c */
	bool ready; /* systemd was told */
	char *said; /* to systemd, last */

	/* tick.c */
	sd_event_source *tick;
	uint64_t tick_us, slow_us, save_us;
	bool settled; /* up for a minute */
	bool watchdog;

	/* control.c: the report that users other than root were given last */
	json_t *status;
	uint64_t status_us;
};

/* --- status.c --- */

/* Asks the tunnel who is reachable. */
void status_look(struct hearthd *h);
/* What report_*() need. Borrowed until the next one. */
void status_fill(struct hearthd *h, struct report *ret);
/* Tells systemd the sentence of the moment, and READY when it is time. */
void status_tell(struct hearthd *h);

/* --- status-why.c --- */

/* What why.h needs. Borrowed until the next one. */
void status_fill_why(struct hearthd *h, struct why_sources *ret);

/* --- ask.c --- */

/* By which proxy it goes out, if any, of configuration and environment as they are now. */
void ask_find_way(struct hearthd *h);
int ask_open(struct hearthd *h, struct err *err);
/* Settings and configuration may have other URLs and pins. */
void ask_configure(struct hearthd *h);
/* Node @id answers from another address: a coordinator there is asked again. */
void ask_peer_moved(struct hearthd *h, uint32_t id);

/* --- assist.c --- */

/* Makes the subjects that ask the helper. -ENOMEM. */
int assist_open(struct hearthd *h);
void assist_close(struct hearthd *h);
/* What the helper could not do is asked for again, where the pause is over. */
void assist_retry(struct hearthd *h);
/* Without the pauses: somebody has mended something. */
void assist_retry_now(struct hearthd *h);
/* As keep's hook. */
void assist_log_settled(struct hearthd *h, bool saved);

/* --- mesh.c --- */

/* Makes the subjects that are the mesh on this board. */
int mesh_open(struct hearthd *h, struct err *err);
/* Closes what this process holds; interface, routes and firewall stay. */
void mesh_close(struct hearthd *h);
/*
 * Brings what @changes (enum change) concern in line with book, uplinks and keys. Negative: it
 * cannot begin (@err).
 */
int mesh_update(struct hearthd *h, unsigned changes, struct err *err);
/* Again what failed, and what somebody may have undone. */
void mesh_retry(struct hearthd *h);
extern const struct news_hooks mesh_news_hooks;

/* --- reload.c --- */

/* Reads the configuration again. */
int hearthd_reload(struct hearthd *h, struct err *err);

/* --- control.c --- */

int control_open(struct hearthd *h, struct err *err);
/* Who still waits is told that it has not come. */
void control_end_waits(struct hearthd *h);
/* After who may still have to answer a call. */
void control_close(struct hearthd *h);
/* A socket again, if somebody removed it. Not from within a call to it. */
void control_keep(struct hearthd *h);

/* --- tick.c --- */

int tick_begin(struct hearthd *h, struct err *err);
void tick_end(struct hearthd *h);
/* What others removed of our files and sockets is made again. Not from within a call. */
void tick_keep_files(struct hearthd *h);

/* --- daemon.c --- */

struct hearthd_options {
	const char *config_path; /* NULL: hearthd.yaml in the directory for configuration */
};
/*
 * Runs until it is told to end. 0, or a negative errno with @err: it could not begin.
 * -ENOTRECOVERABLE: only a person can mend that.
 */
int hearthd_run(const struct hearthd_options *options, struct err *err);
/* Removes interface, routes, firewall and names, for `hearthd --down`. */
int hearthd_down(const struct hearthd_options *options, struct err *err);
