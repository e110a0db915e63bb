/*
 * The mesh on this board: every function here leads from what is to what book, uplinks and keys say
 * it should be, and may be called again at any time. Failures of parts are problems that are tried
 * again; only what makes everything impossible at the start ends hearthd.
 */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "node/hearthd.h"

/* --- what connects its subjects --- */

/* Of what only a start can mend: systemd makes one. */
static void update_or_end(struct hearthd *h, unsigned changes)
{
	struct err err = { 0 };

	if (mesh_update(h, changes, &err) == 0)
		return;
	log_error("%s", err.text);
	(void) sd_event_exit(h->core.event, 1);
}

static void on_ipv6_found(void *ctx, enum iface_ipv6 found)
{
	ipv6_found(((struct hearthd *) ctx)->ipv6, found);
}

static unsigned mtu_of(void *ctx, uint32_t id)
{
	return mtus_of(((const struct hearthd *) ctx)->mtus, id);
}

static const struct device_hooks device_hooks = { .ipv6 = on_ipv6_found, .mtu = mtu_of };

static void on_ipv6_answered(void *ctx)
{
	struct err err = { 0 };

	if (mesh_update(ctx, CHANGE_IPV6, &err) < 0)
		log_error("%s", err.text);
}

static const struct ipv6_hooks ipv6_hooks = { .answered = on_ipv6_answered };

static bool ipv6_leads(void *ctx, uint32_t id)
{
	return ipv6_leads_to(((const struct hearthd *) ctx)->ipv6, id);
}

static const struct ground_hooks ground_hooks = { .ipv6_leads_to = ipv6_leads };

/* It may have been all that systemd's READY was waiting for. */
static void on_wall_settled(void *ctx)
{
	status_tell(ctx);
}

static const struct wall_hooks wall_hooks = { .settled = on_wall_settled };

static void on_peer_moved(void *ctx, uint32_t id)
{
	ask_peer_moved(ctx, id);
}

static void on_peer_lost(void *ctx, uint32_t id)
{
	const struct hearthd *h = ctx;

	if (h->finder && h->relays)
		finder_doubt(h->finder, id);
}

static const struct peers_hooks peers_hooks = { .moved = on_peer_moved, .lost = on_peer_lost };

/* Beside our links' addresses, mapped ports first. Borrowed until the next call. */
static const struct endpoint *endpoints_outside(const struct hearthd *h, size_t *ret_n)
{
	static struct endpoint list[NAT_ANNOUNCED_MAX + PORTMAP_MAX];

	*ret_n = h->portmap ? portmap_endpoints(h->portmap, list) : 0;
	*ret_n += mapped_endpoints(h->mapped, list + *ret_n);
	return list;
}

static void what_to_announce(const void *ctx, struct announce_facts *ret)
{
	const struct hearthd *h = ctx;
	size_t n_more;
	const struct endpoint *more = endpoints_outside(h, &n_more);

	*ret = (struct announce_facts){
		.own = uplink_candidates(h->uplink),
		.more = more,
		.n_more = n_more,
		.no_ipv6 = ipv6_is_missing(h->ipv6),
		.relay = relays_home(h->relays),
		.kube = cluster_tried(h->cluster),
		.kube_problem = cluster_problem(h->cluster),
	};
}

static bool take_number(void *ctx, uint64_t known, uint64_t *last)
{
	return keep_take_number(((struct hearthd *) ctx)->keep, known, last);
}

static void tell_others(void *ctx, json_t *doc)
{
	const struct hearthd *h = ctx;

	sync_set_presence(h->sync, doc);
	beacon_tell(h->beacon);
}

static const struct announce_hooks announce_hooks = {
	.look = what_to_announce, .take_number = take_number, .tell = tell_others
};

static int on_records_of_board(void *ctx, uint32_t id, const struct record *records, size_t n)
{
	return news_take_records(((struct hearthd *) ctx)->news, id, records, n);
}

static json_t *on_board_asks_why(void *ctx, uint32_t id)
{
	return why_tell_board(((struct hearthd *) ctx)->why, id);
}

static const struct exchange_hooks exchange_hooks = { .records = on_records_of_board,
	.why = on_board_asks_why };

static void look_for_why(void *ctx, struct why_sources *ret)
{
	status_fill_why(ctx, ret);
}

static const struct why_hooks why_hooks = { .look = look_for_why };

static void on_offer_put(void *ctx, int r, const struct err *err)
{
	offer_put_ended(((struct hearthd *) ctx)->offer, r, err);
}

static int put_offer(void *ctx, const json_t *doc, struct err *err)
{
	return sync_put(((struct hearthd *) ctx)->sync, OFFER_PATH, doc, on_offer_put, ctx, err);
}

static const struct offer_hooks offer_hooks = { .put = put_offer };

static void on_missed(void *ctx, uint32_t id, uint64_t sent)
{
	const struct hearthd *h = ctx;

	relays_missed(h->relays, id);
	mtus_doubt(h->mtus, id, sent);
}

static void on_elsewhere(void *ctx, uint32_t id)
{
	mtus_follow(((struct hearthd *) ctx)->mtus);
}

static void on_probed(
	void *ctx, uint32_t id, const struct endpoint *to, size_t len, uint64_t rtt_us)
{
	mtus_probed(((struct hearthd *) ctx)->mtus, id, to, len, rtt_us);
}

static void on_stun(void *ctx, const struct tunnel_event *event)
{
	mapped_take(((struct hearthd *) ctx)->mapped, event);
}

/* What was direct is not any more: a router of ours may have another address. */
static void on_left(void *ctx, uint32_t id)
{
	mapped_moved(((struct hearthd *) ctx)->mapped);
}

static void sample(void *ctx)
{
	mapped_sample(((struct hearthd *) ctx)->mapped);
}

static void on_called(void *ctx, uint32_t id, bool guess)
{
	holes_called(((struct hearthd *) ctx)->holes, id, guess);
}

static const struct finder_hooks finder_hooks = { .missed = on_missed,
	.called = on_called,
	.aside = on_stun,
	.sample = sample,
	.left = on_left,
	.elsewhere = on_elsewhere,
	.probed = on_probed };

static void probe(void *ctx, uint32_t id, const struct endpoint *to, size_t len)
{
	finder_probe(((struct hearthd *) ctx)->finder, id, to, len);
}

static void on_mtus_changed(void *ctx)
{
	struct err err = { 0 };

	if (mesh_update(ctx, CHANGE_MTU, &err) < 0)
		log_error("%s", err.text);
}

static const struct mtus_hooks mtus_hooks = { .probe = probe, .changed = on_mtus_changed };

static bool far_server(void *ctx, struct endpoint *ret)
{
	return mapped_far_server(((const struct hearthd *) ctx)->mapped, ret);
}

static void call_peer(void *ctx, uint32_t id)
{
	finder_call(((struct hearthd *) ctx)->finder, id);
}

static void ping_guess(void *ctx, uint32_t id, const struct endpoint *to)
{
	finder_guess(((struct hearthd *) ctx)->finder, id, to);
}

static bool seal_ping(void *ctx, uint32_t id, uint8_t ret[static DISCO_MIN_LEN])
{
	return finder_seal(((struct hearthd *) ctx)->finder, id, ret);
}

static bool recognises(void *ctx, uint32_t id, const uint8_t *data, size_t len)
{
	return finder_recognises(((struct hearthd *) ctx)->finder, id, data, len);
}

static void on_met(void *ctx)
{
	finder_follow(((struct hearthd *) ctx)->finder);
}

static const struct holes_hooks holes_hooks = { .server = far_server,
	.call = call_peer,
	.ping = ping_guess,
	.seal = seal_ping,
	.recognises = recognises,
	.changed = on_met };

static size_t stun_of_relays(void *ctx, struct mapped_server *ret, size_t max)
{
	struct relays_stun list[NAT_SERVERS_MAX];
	size_t n = relays_stun(((const struct hearthd *) ctx)->relays, list,
		max < NAT_SERVERS_MAX ? max : NAT_SERVERS_MAX);

	for (size_t i = 0; i < n; i++)
		ret[i] = (struct mapped_server){ .at = list[i].at, .relay = list[i].id };
	return n;
}

static const struct candidates *own_candidates(void *ctx)
{
	return uplink_candidates(((const struct hearthd *) ctx)->uplink);
}

static void on_homed(void *ctx)
{
	const struct hearthd *h = ctx;

	if (h->announce && h->mesh_state == MESH_UP) /* not at the end */
		announce_look(h->announce);
}

static void note_own(struct hearthd *h, const struct candidates *links);

/* Others see this board elsewhere than before. */
static void on_seen_elsewhere(void *ctx)
{
	struct hearthd *h = ctx;

	if (h->mesh_state == MESH_UP)
		note_own(h, uplink_candidates(h->uplink));
	on_homed(ctx);
}

static void on_sampled(void *ctx, const struct endpoint *outside)
{
	const struct hearthd *h = ctx;

	if (h->mesh_state == MESH_UP)
		finder_sampled(h->finder, outside);
}

static const struct mapped_hooks mapped_hooks = { .relays = stun_of_relays,
	.own = own_candidates,
	.changed = on_seen_elsewhere,
	.sampled = on_sampled };
static const struct portmap_hooks portmap_hooks = { .changed = on_seen_elsewhere };

/* A relay may have been found, which has STUN. */
static void on_ways_changed(void *ctx)
{
	const struct hearthd *h = ctx;

	finder_follow(h->finder);
	mtus_follow(h->mtus);
	if (h->mapped)
		mapped_follow(h->mapped);
}

static const struct relays_hooks relays_hooks = { .homed = on_homed, .changed = on_ways_changed };

static void close_tunnel(struct hearthd *h)
{
	uapi_close(h->uapi);
	if (h->finder)
		(void) finder_use(h->finder, NULL, NULL);
	if (h->relays)
		relays_use(h->relays, NULL);
	if (h->mapped)
		mapped_use(h->mapped, NULL);
	if (h->holes)
		holes_use(h->holes, NULL);
	overlay_close(h->overlay);
	if (h->peers)
		peers_forget(h->peers);
}

static void on_tunnel_lost(void *ctx)
{
	close_tunnel(ctx);
	update_or_end(ctx, CHANGE_ALL);
}

static const struct overlay_hooks overlay_hooks = { .lost = on_tunnel_lost };

static void on_heard(void *ctx, const struct book_heard *heard);

static const struct beacon_hooks beacon_hooks = { .heard = on_heard };

int mesh_open(struct hearthd *h, struct err *err)
{
	h->overlay = overlay_new(&h->core, &overlay_hooks, h);
	h->peers =
		peers_new(h->core.book, keep_seen(h->keep), h->core.config.node, &peers_hooks, h);
	if (!h->peers)
		return err_set(err, -ENOMEM, "out of memory");
	if (finder_new(&h->core, h->peers, &finder_hooks, h, &h->finder, err) < 0)
		return err->code;
	if (mtus_new(&h->core, h->peers, &mtus_hooks, h, &h->mtus, err) < 0)
		return err->code;
	if (relays_new(&h->core, h->peers, &relays_hooks, h, &h->relays, err) < 0)
		return err->code;
	if (mapped_new(&h->core, h->peers, &mapped_hooks, h, &h->mapped, err) < 0)
		return err->code;
	if (holes_new(&h->core, h->peers, &holes_hooks, h, &h->holes, err) < 0)
		return err->code;
	if (roster_new(&h->core, &h->roster, err) < 0)
		return err->code;
	if (beacon_new(&h->core, h->peers, &beacon_hooks, h, &h->beacon, err) < 0)
		return err->code;
	h->exchange = exchange_new(&h->core, h->peers, &exchange_hooks, h);
	h->why = why_new(&h->core, h->peers, &why_hooks, h);
	h->device = device_new(&h->core, &device_hooks, h);
	h->ipv6 = ipv6_new(&h->core, &ipv6_hooks, h);
	h->ground = ground_new(&h->core, &ground_hooks, h);
	h->offer = offer_new(&h->core, &offer_hooks, h);
	h->portmap = portmap_new(&h->core, &portmap_hooks, h);
	h->announce = announce_new(&h->core, keep_state(h->keep)->counter, &announce_hooks, h);
	if (!h->overlay || !h->offer || !h->exchange || !h->why || !h->device || !h->ipv6 ||
		!h->portmap || !h->ground || !h->announce)
		return err_set(err, -ENOMEM, "out of memory");
	return wall_new(&h->core, &wall_hooks, h, &h->wall, err);
}

void mesh_close(struct hearthd *h)
{
	h->ipv6 = ipv6_free(h->ipv6);
	if (h->portmap)
		portmap_remove(h->portmap);
	if (h->overlay)
		close_tunnel(h); /* who waits for a netcheck is told all that there is */
	h->portmap = portmap_free(h->portmap);
	h->overlay = overlay_free(h->overlay);
	h->exchange = exchange_free(h->exchange);
	h->holes = holes_free(h->holes);
	h->mapped = mapped_free(h->mapped);
	h->why = why_free(h->why);
	h->relays = relays_free(h->relays);
	h->finder = finder_free(h->finder);
	h->mtus = mtus_free(h->mtus);
	h->roster = roster_free(h->roster);
	h->beacon = beacon_free(h->beacon);
	h->peers = peers_free(h->peers);
	h->device = device_free(h->device);
	h->ground = ground_free(h->ground);
	h->wall = wall_free(h->wall);
}

/* --- what is --- */

static enum mesh_state find_state(const struct hearthd *h)
{
	const struct netmap *map = book_netmap(h->core.book);
	const struct node *self = core_self(&h->core);

	if (netmap_was_removed(map, h->core.config.node, NULL))
		return MESH_REMOVED;
	if (!self || !netmap_settings(map))
		return MESH_WAITING;
	if (memcmp(self->wg, h->core.wg_public, FIELD_KEY_LEN) != 0 ||
		memcmp(self->identity, h->core.identity, FIELD_KEY_LEN) != 0)
		return MESH_REPLACED;
	return MESH_UP;
}

static struct view find_view(const struct hearthd *h, unsigned changes)
{
	const struct netmap *map = book_netmap(h->core.book);

	return (struct view){
		.changes = changes,
		.map = map,
		.settings = netmap_settings(map),
		.self = core_self(&h->core),
		.own = uplink_candidates(h->uplink),
		.mtu = candidates_interface_mtu(h->uplink_mtu),
		.tunnel = overlay_tunnel(h->overlay),
		.ifindex = overlay_ifindex(h->overlay),
	};
}

/* True if it is another one than before. While there is no uplink, the last one's counts. */
static bool note_mtu(struct hearthd *h)
{
	unsigned mtu = uplink_candidates(h->uplink)->mtu;
	bool changed = mtu && mtu != h->uplink_mtu;

	if (mtu)
		h->uplink_mtu = mtu;
	return changed;
}

/* --- what follows from it --- */

/* Where peers may find this board. */
static void note_own(struct hearthd *h, const struct candidates *links)
{
	const struct nat_side *side = &mapped_sides(h->mapped)[NAT_IPV4];
	struct finder_own own = { .at.n_local = links->n_endpoints,
		.at.mapping = (enum disco_mapping) side->mapping,
		.step = (int16_t) side->step };
	size_t n_more;
	const struct endpoint *more = endpoints_outside(h, &n_more);

	memcpy(own.at.list, links->endpoints, links->n_endpoints * sizeof(links->endpoints[0]));
	own.at.n = links->n_endpoints;
	for (size_t i = 0; i < n_more && own.at.n < WAYS_OWN_MAX; i++)
		own.at.list[own.at.n++] = more[i];
	if (side->n_outside)
		own.outside = side->outside[0];
	finder_own(h->finder, &own);
}

static int apply_peers(struct hearthd *h, const struct view *view, struct err *unused)
{
	struct err err = { 0 };
	int r = peers_apply(
		h->peers, view->tunnel, view->own->endpoints, view->own->n_endpoints, &err);

	problem_set(&h->core.problems, "tunnel", r < 0 ? &err : NULL);
	note_own(h, view->own);
	finder_follow(h->finder);
	return 0;
}

static int apply_relays(struct hearthd *h, const struct view *view, struct err *unused)
{
	relays_follow(h->relays);
	return 0;
}

static int apply_mapped(struct hearthd *h, const struct view *view, struct err *unused)
{
	mapped_follow(h->mapped);
	return 0;
}

static int apply_device(struct hearthd *h, const struct view *view, struct err *err)
{
	struct err why = { 0 };

	if (device_apply(h->device, view, &why) == -EPERM && !h->begun)
		return err_set(err, -EPERM, "%s; CAP_NET_ADMIN is needed", why.text);
	return 0;
}

static int apply_mtus(struct hearthd *h, const struct view *view, struct err *err)
{
	mtus_set_top(h->mtus, view->mtu);
	return 0;
}

static int apply_wall(struct hearthd *h, const struct view *view, struct err *err)
{
	wall_apply(h->wall, view->settings, view->self, view->own);
	return 0;
}

static int apply_names(struct hearthd *h, const struct view *view, struct err *err)
{
	names_write(h->names, false);
	return 0;
}

static int apply_cluster(struct hearthd *h, const struct view *view, struct err *err)
{
	cluster_follow_record(h->cluster, view->self);
	cluster_look_at_boards(h->cluster, view->self);
	return 0;
}

static int apply_exchange(struct hearthd *h, const struct view *view, struct err *err)
{
	exchange_follow(h->exchange, view->self);
	return 0;
}

static int apply_offer(struct hearthd *h, const struct view *view, struct err *err)
{
	offer_look(h->offer, view->self, view->own, roster_reached(h->roster));
	return 0;
}

static int apply_beacon(struct hearthd *h, const struct view *view, struct err *err)
{
	beacon_follow(h->beacon, h->core.config.beacon ? uplink_links(h->uplink) : NULL);
	return 0;
}

static int apply_portmap(struct hearthd *h, const struct view *view, struct err *err)
{
	portmap_follow(h->portmap, view, uplink_links(h->uplink));
	return 0;
}

static int apply_announce(struct hearthd *h, const struct view *view, struct err *err)
{
	announce_look(h->announce);
	return 0;
}

/* In this order; a failure ends hearthd. */
static const struct {
	unsigned wants;
	int (*apply)(struct hearthd *h, const struct view *view, struct err *err);
} steps[] = {
	{ CHANGE_RECORDS | CHANGE_UPLINK | CHANGE_MTU | CHANGE_TUNNEL, apply_peers },
	{ CHANGE_RECORDS | CHANGE_TUNNEL, apply_relays },
	{ CHANGE_RECORDS | CHANGE_TUNNEL, apply_mapped },
	{ CHANGE_RECORDS | CHANGE_MTU | CHANGE_TUNNEL | CHANGE_IPV6 | CHANGE_CONFIG, apply_device },
	{ CHANGE_MTU | CHANGE_TUNNEL, apply_mtus },
	{ CHANGE_RECORDS | CHANGE_UPLINK | CHANGE_TUNNEL | CHANGE_CONFIG, apply_wall },
	{ CHANGE_RECORDS | CHANGE_TUNNEL | CHANGE_IPV6 | CHANGE_CONFIG, apply_names },
	{ CHANGE_RECORDS, apply_cluster },
	{ CHANGE_RECORDS, apply_exchange },
	{ CHANGE_RECORDS | CHANGE_UPLINK | CHANGE_CONFIG, apply_offer },
	{ CHANGE_UPLINK | CHANGE_CONFIG, apply_beacon },
	{ CHANGE_RECORDS | CHANGE_UPLINK | CHANGE_TUNNEL | CHANGE_CONFIG, apply_portmap },
	{ CHANGE_RECORDS | CHANGE_UPLINK | CHANGE_TUNNEL | CHANGE_IPV6, apply_announce },
};

/* The port of last time, else the configured one. */
static int open_tunnel(struct hearthd *h, const struct settings *settings, struct err *err)
{
	struct state *state = keep_state(h->keep);
	struct ip_prefix denied[SETTINGS_RANGES];
	uint16_t wanted = h->core.config.port;
	bool same = state->port && state->port_wanted == wanted;
	struct tunnel *tunnel;
	int r;

	device_reclaim(h->device);
	r = overlay_open(h->overlay, settings, candidates_interface_mtu(h->uplink_mtu),
		same ? state->port : wanted, err);
	if (r < 0)
		return r;
	tunnel = overlay_tunnel(h->overlay);
	state->port = tunnel_port(tunnel);
	state->port_wanted = wanted;
	keep_save_state(h->keep);
	uplink_set(h->uplink, denied, settings_ranges(settings, denied), state->port);
	uapi_open(h->uapi, tunnel);
	relays_use(h->relays, tunnel);
	mapped_use(h->mapped, tunnel);
	holes_use(h->holes, tunnel);
	return finder_use(h->finder, tunnel, err);
}

/* Its device may have been moved where we cannot reach it. */
static void check_device(struct hearthd *h)
{
	struct tunnel *tunnel = overlay_tunnel(h->overlay);

	if (tunnel && device_hold(h->device, tunnel, overlay_ifindex(h->overlay)) == -ENODEV)
		close_tunnel(h);
}

/* A tunnel, if there is none. */
static int hold_tunnel(struct hearthd *h, unsigned *changes, struct err *err)
{
	struct err why = { 0 };
	int r;

	check_device(h);
	wall_begin(h->wall);
	if (overlay_tunnel(h->overlay))
		return 0;
	r = open_tunnel(h, netmap_settings(book_netmap(h->core.book)), err);
	if (r < 0)
		return r;
	/* Only now are the ranges and the port known that candidates depend on. */
	if (uplink_look(h->uplink, &why) < 0)
		log_seldom(LOG_LEVEL_WARNING, "%s; the addresses of before count", why.text);
	(void) note_mtu(h);
	*changes = CHANGE_ALL;
	return 0;
}

static int apply(struct hearthd *h, unsigned changes, struct err *err)
{
	struct view view;
	int r;

	if (note_mtu(h))
		changes |= CHANGE_MTU;
	r = hold_tunnel(h, &changes, err);
	if (r < 0)
		return r;
	announce_check(h->announce, true);
	view = find_view(h, changes);
	for (size_t i = 0; i < ARRAY_LEN(steps) && r == 0; i++)
		if (steps[i].wants & view.changes)
			r = steps[i].apply(h, &view, err);
	return r;
}

/* The record said so: what others see of us is gone already, now our side goes. */
static void take_down(struct hearthd *h)
{
	log_warning("%s; taking the interface down",
		h->mesh_state == MESH_REMOVED
			? "this board was removed from the mesh"
			: "another machine was enrolled in this board's place");
	portmap_remove(h->portmap);
	close_tunnel(h);
	problem_set(&h->core.problems, "tunnel", NULL);
	device_clear(h->device);
	wall_take_down(h->wall);
	names_write(h->names, true);
	ground_forget(h->ground);
	ipv6_forget(h->ipv6);
	pods_forget(h->pods);
	exchange_follow(h->exchange, NULL);
	beacon_follow(h->beacon, NULL);
	announce_check(h->announce, false);
}

static void say_state(struct hearthd *h)
{
	switch (h->mesh_state) {
	case MESH_WAITING:
		log_warning("the log does not name this board (node %u) yet; waiting for the "
			    "coordinator",
			h->core.config.node);
		break;
	case MESH_UP:
		log_info("node %u of mesh %s", h->core.config.node, h->core.config.mesh);
		break;
	case MESH_REMOVED:
	case MESH_REPLACED:
		take_down(h);
		break;
	}
}

int mesh_update(struct hearthd *h, unsigned changes, struct err *err)
{
	enum mesh_state state = find_state(h);
	int r;

	if (state != h->mesh_state || !h->begun) {
		changes = CHANGE_ALL;
		h->mesh_state = state;
		say_state(h);
	}
	if (changes & (CHANGE_RECORDS | CHANGE_CONFIG))
		ask_configure(h);
	r = state == MESH_UP ? apply(h, changes, err) : 0;
	if (r < 0)
		return r;
	if (changes & CHANGE_RECORDS)
		roster_follow(h->roster, state == MESH_UP);
	h->begun = true;
	status_tell(h);
	return 0;
}

/* --- news --- */

/* The work of one peer. */
static void on_heard(void *ctx, const struct book_heard *heard)
{
	struct hearthd *h = ctx;
	const struct candidates *own = uplink_candidates(h->uplink);
	struct tunnel *tunnel = overlay_tunnel(h->overlay);
	struct err err = { 0 };

	if (h->mesh_state != MESH_UP)
		return;
	if (heard->id == h->core.config.node) {
		announce_look(h->announce);
		return;
	}
	if (tunnel && peers_apply_one(h->peers, tunnel, heard->id, own->endpoints, own->n_endpoints,
			      &err) < 0)
		problem_set(&h->core.problems, "tunnel", &err); /* the minute's round mends it */
	finder_follow(h->finder);
	relays_heard(h->relays, heard->id);
	if (heard->ipv6_changed)
		names_write(h->names, false);
	cluster_look_at_boards(h->cluster, core_self(&h->core));
}

/* Presences are written seldom, by the tick. */
static void on_came(void *ctx)
{
	keep_log(((struct hearthd *) ctx)->keep);
}

static int on_bundle(void *ctx, const struct kube_bundle *bundle)
{
	return cluster_take(((struct hearthd *) ctx)->cluster, bundle);
}

static void on_records(void *ctx)
{
	update_or_end(ctx, CHANGE_RECORDS);
}

const struct news_hooks mesh_news_hooks = {
	.heard = on_heard, .came = on_came, .bundle = on_bundle, .records = on_records
};

/* --- now and then --- */

static void look_at_mesh(struct hearthd *h)
{
	bool missing = ipv6_is_missing(h->ipv6);
	const struct view view = find_view(h, 0);

	if (problem_is(&h->core.problems, "tunnel"))
		(void) apply_peers(h, &view, NULL);
	device_look(h->device, &view);
	ground_look(h->ground, view.self, device_is_whole(h->device) ? view.ifindex : 0);
	wall_retry(h->wall, view.settings, view.self, view.own);
	exchange_follow(h->exchange, view.self);
	(void) apply_beacon(h, &view, NULL);
	offer_look(h->offer, view.self, view.own, roster_reached(h->roster));
	if (ipv6_is_missing(h->ipv6) != missing) {
		names_write(h->names, false);
		announce_look(h->announce);
	}
}

void mesh_retry(struct hearthd *h)
{
	struct err err = { 0 };
	bool again;

	check_device(h);
	again = book_take_held_back(h->core.book, clock_now_us()) ||
		(h->mesh_state == MESH_UP && !overlay_tunnel(h->overlay));
	if (again && mesh_update(h, CHANGE_ALL, &err) < 0) {
		problem_set(&h->core.problems, "tunnel", &err);
		return;
	}
	if (h->mesh_state == MESH_UP)
		look_at_mesh(h);
	assist_retry(h);
	names_look(h->names);
	resolv_look(h->resolv);
	cluster_look(h->cluster);
	keep_book(h->keep, clock_now_us());
	keep_save_state(h->keep);
}
