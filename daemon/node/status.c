/* What hearthd knows of the mesh at this moment, for people and for systemd. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include "base/clock.h"
#include "base/log.h"
#include "node/hearthd.h"
#include "node/sources.h"
#include "sys/notify/notify.h"

void status_look(struct hearthd *h)
{
	if (h->mesh_state == MESH_UP)
		peers_look(h->peers, overlay_tunnel(h->overlay), clock_now_us());
	else
		peers_clear(h->peers);
}

static const struct node *node_of(void *ctx, uint32_t id)
{
	return netmap_by_id(book_netmap(((const struct hearthd *) ctx)->core.book), id);
}

void status_fill(struct hearthd *h, struct report *ret)
{
	static const char *problems[PROBLEMS_MAX]; /* one loop, one report at a time */
	static struct relays_report relays[RELAYS_MAX];
	static struct portmap_report mappings[PORTMAP_MAX];
	struct tunnel *tunnel = overlay_tunnel(h->overlay);
	const struct candidates *own = uplink_candidates(h->uplink);
	const struct mesh_log *log = book_log(h->core.book);
	size_t n = problems_texts(&h->core.problems, problems), n_peers;
	const struct peer *peers = peers_list(h->peers, &n_peers);

	*ret = (struct report){
		.mesh = h->core.config.mesh,
		.state = h->mesh_state,
		.id = h->core.config.node,
		.self = core_self(&h->core),
		.ifname = h->core.config.interface,
		.mtu = candidates_interface_mtu(h->uplink_mtu),
		.port = tunnel ? tunnel_port(tunnel) : 0,
		.endpoints = own->endpoints,
		.n_endpoints = own->n_endpoints,
		.disco = finder_counters(h->finder),
		.beacon = beacon_counters(h->beacon),
		.holes = holes_counters(h->holes),
		.links = uplink_links(h->uplink),
		.sync = sync_state(h->sync),
		.sync_relay = sources_relay(
			&h->core.config, book_netmap(h->core.book), sync_state(h->sync)->url),
		.settings = netmap_settings(book_netmap(h->core.book)),
		.seq = mesh_log_head(log),
		.head = mesh_log_head_hash(log),
		.peers = peers,
		.n_peers = n_peers,
		.n_reachable = peers_reachable(h->peers),
		.relays = relays,
		.n_relays = relays_report(h->relays, relays),
		.mappings = mappings,
		.n_mappings = portmap_report(h->portmap, mappings),
		.reached = roster_reached(h->roster),
		.node_of = node_of,
		.ctx = h,
		.log_problem = problem_text(&h->core.problems, "log"),
		.problems = problems,
		.n_problems = n,
		.now_us = clock_now_us(),
		.now_wall_us = clock_wall_us(),
		.systemd = sd_booted() > 0,
	};
}

/* Only what is new: each word wakes PID 1. */
static void say_to_systemd(struct hearthd *h, const char *text)
{
	if (notify_status("%s", text) < 0)
		return; /* at the next tick */
	free(h->said);
	h->said = strdup(text); /* without memory it is said once more */
}

void status_tell(struct hearthd *h)
{
	CLEANUP_BUF struct buf text = { 0 };
	struct report report;

	if (!h->begun)
		return;
	status_fill(h, &report);
	report_sentence(&report, &text);
	if (!h->said || strcmp(buf_str(&text), h->said) != 0)
		say_to_systemd(h, buf_str(&text));
	/* Removed and replaced are answers, too: there is nothing to wait for. */
	if (!h->ready && h->mesh_state != MESH_WAITING && !wall_is_busy(h->wall)) {
		h->ready = notify_send("READY=1") != -EAGAIN; /* else at the next tick */
		if (h->ready)
			log_info("ready");
	}
}
