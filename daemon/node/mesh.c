/*
 * The mesh on this board: every function here leads from what is to what book, uplinks and keys say
 * it should be, and may be called again at any time. Failures of parts are problems that are tried
 * again; only what makes everything impossible at the start ends hearthd.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "node/hearthd.h"
#include "node/iface.h"
#include "node/stamps.h"

enum { PORT_TRIES = 64 };
#define ADDRESSLESS_US (5 * USEC_PER_SEC)

/* --- the tunnel --- */

/* Opens on @port. Where only root may open the device, with the one hearth-helper opened. */
static int open_tunnel(struct hearthd *h, uint16_t port, struct err *err)
{
	struct tunnel_config config = {
		.ifname = h->core.config.interface,
		.tun_fd = -1,
		.port = port,
		.persistent = true,
		.mtu = candidates_interface_mtu(h->uplink_mtu),
		.timestamp_floor_s = state_read_timestamp(h->timestamp_path),
		.reserve_timestamp = stamps_reserve,
	};
	int r = h->stamps ? 0
			  : stamps_new(h->core.event, h->core.disk, h->timestamp_path, &h->stamps);

	if (r < 0)
		return err_set(err, r, "watch over timestamps: %s", strerror(-r));
	config.ctx = h->stamps;
	r = tunnel_open(&config, &h->tunnel, err);
	if (r != -EACCES)
		return r;
	config.tun_fd = assist_open_tun(h, err);
	return config.tun_fd < 0 ? config.tun_fd : tunnel_open(&config, &h->tunnel, err);
}

/* The port of last time, else the configured one, else the next that is free. */
static int open_on_some_port(struct hearthd *h, struct err *err)
{
	bool same = h->state.port && h->state.port_wanted == h->core.config.port;
	unsigned first = same ? h->state.port : h->core.config.port;
	int r = -EADDRINUSE;

	for (unsigned i = 0; i < PORT_TRIES && r == -EADDRINUSE && first + i <= UINT16_MAX; i++)
		r = open_tunnel(h, (uint16_t) (first + i), err);
	if (r == -EADDRINUSE)
		r = open_tunnel(h, 0, err);
	if (r < 0)
		return r;
	if (tunnel_port(h->tunnel) != first)
		log_notice("UDP port %u is in use by another program; using %u from now on", first,
			tunnel_port(h->tunnel));
	h->state.port = tunnel_port(h->tunnel);
	h->state.port_wanted = h->core.config.port;
	save_state(h);
	return 0;
}

static void close_tunnel(struct hearthd *h)
{
	uapi_close(h->uapi);
	h->tunnel_source = sd_event_source_disable_unref(h->tunnel_source);
	h->tunnel = tunnel_close(h->tunnel);
	if (h->peers)
		peers_forget(h->peers);
}

static int on_tunnel_closed(sd_event_source *source, int fd, uint32_t revents, void *ctx)
{
	struct hearthd *h = ctx;
	struct err err = { 0 };

	log_seldom(LOG_LEVEL_WARNING, "interface %s was removed; making it again",
		h->core.config.interface);
	close_tunnel(h);
	if (mesh_update(h, CHANGE_ALL, &err) < 0) {
		log_error("%s", err.text);
		return sd_event_exit(h->core.event, 1);
	}
	return 0;
}

/* Its device may have been moved where we cannot reach it. */
static void check_device(struct hearthd *h)
{
	if (h->tunnel && device_hold(h->device, h->tunnel, h->ifindex) == -ENODEV)
		close_tunnel(h);
}

static int begin_tunnel(struct hearthd *h, const struct settings *settings, struct err *err)
{
	struct ip_prefix denied[SETTINGS_RANGES];
	size_t n = settings_ranges(settings, denied);
	int r;

	device_reclaim(h->device);
	r = open_on_some_port(h, err);
	if (r < 0)
		return r;
	r = h->ifindex = iface_find(h->core.nl, h->core.config.interface, err);
	if (r < 0) {
		close_tunnel(h);
		return r;
	}
	r = tunnel_set_denied_underlay(h->tunnel, denied, n);
	if (r == 0)
		r = tunnel_set_private_key(h->tunnel, h->core.wg_private);
	if (r == 0)
		r = sd_event_add_io(h->core.event, &h->tunnel_source, tunnel_closed_fd(h->tunnel),
			EPOLLIN, on_tunnel_closed, h);
	if (r < 0) {
		close_tunnel(h);
		return err_set(err, r, "start the tunnel: %s", strerror(-r));
	}
	uplink_set(h->uplink, denied, n, tunnel_port(h->tunnel));
	uapi_open(h->uapi, h->tunnel);
	return 0;
}

static int apply_peers(struct hearthd *h, const struct view *view, struct err *unused)
{
	struct err err = { 0 };
	int r = peers_apply(
		h->peers, view->tunnel, view->own->endpoints, view->own->n_endpoints, &err);

	problem_set(&h->core.problems, "tunnel", r < 0 ? &err : NULL);
	return 0;
}

/* --- the interface --- */

static int make_iface(
	struct hearthd *h, const struct view *view, unsigned *ret_changed, struct err *err)
{
	CLEANUP_ROUTES struct routes routes = { 0 };
	const struct node *node = NULL, *self = view->self;
	char alias[IFACE_ALIAS_MAX];
	struct iface_want want = {
		.index = view->ifindex,
		.alias = iface_alias(h->core.config.mesh, h->core.config.node, alias),
		.mtu = view->mtu,
		.own4 = self->mesh4,
		.own6 = self->mesh6,
		.link_local = iface_link_local(
			h->core.identity_seed, h->core.config.mesh, h->core.config.interface),
		.routes = &routes,
	};
	int r = 0;
	enum iface_ipv6 ipv6;

	while (r == 0 && (node = netmap_next(view->map, node)))
		if (node->id != self->id)
			r = routes_add_peer(&routes, self, node, view->ifindex);
	if (r < 0)
		return err_set(err, r, "out of memory");
	r = iface_apply(h->core.nl, &want, &ipv6, ret_changed, err);
	if (r == 0 || ipv6 != IFACE_IPV6_UP)
		ipv6_found(h->ipv6, ipv6);
	return r;
}

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

/* With an interface that is not as it should be there is no saying who takes packets from it. */
static int whole_ifindex(const struct hearthd *h)
{
	bool wrong = problem_is(&h->core.problems, "interface") ||
		     problem_is(&h->core.problems, "device");

	return wrong ? 0 : h->ifindex;
}

/* It may have been all that systemd's READY was waiting for. */
static void on_wall_settled(void *ctx)
{
	watch_notify(ctx);
}

static const struct wall_hooks wall_hooks = { .settled = on_wall_settled };

/* --- addresses --- */

/* A cable that is moved, DHCP at the start: nothing to speak of. */
void mesh_check_addresses(struct hearthd *h)
{
	uint64_t now = clock_now_us();
	struct err err = { 0 };

	if (h->mesh_state != MESH_UP || uplink_candidates(h->uplink)->n_endpoints) {
		h->addressless_us = 0;
		problem_set(&h->core.problems, "addresses", NULL);
		return;
	}
	if (!h->addressless_us)
		h->addressless_us = now;
	if (now - h->addressless_us < ADDRESSLESS_US)
		return;
	err_set(&err, -EADDRNOTAVAIL,
		"no link of this board has an address that others could try; connect it, or see "
		"with `hearth status --verbose` what its links are taken for");
	problem_set(&h->core.problems, "addresses", &err);
}

/* --- all of it --- */

static enum mesh_state find_state(const struct hearthd *h, const struct node *self)
{
	const struct netmap *map = book_netmap(h->core.book);

	if (netmap_was_removed(map, h->core.config.node, NULL))
		return MESH_REMOVED;
	if (!self || !netmap_settings(map))
		return MESH_WAITING;
	if (memcmp(self->wg, h->core.wg_public, FIELD_KEY_LEN) != 0 ||
		memcmp(self->identity, h->core.identity, FIELD_KEY_LEN) != 0)
		return MESH_REPLACED;
	return MESH_UP;
}

/* The record said so: what others see of us is gone already, now our side goes. */
static void take_down(struct hearthd *h)
{
	static const char *const over[] = { "tunnel", "interface", "device", "addresses", "ipv6",
		"pods" };
	struct err err = { 0 };

	log_warning("%s; taking the interface down",
		h->mesh_state == MESH_REMOVED
			? "this board was removed from the mesh"
			: "another machine was enrolled in this board's place");
	close_tunnel(h);
	if (iface_clear(h->core.nl, h->core.config.interface, &err) < 0 && err.code != -ENODEV)
		log_warning("%s, ignoring", err.text);
	wall_take_down(h->wall);
	names_write(h->names, true);
	ground_forget(h->ground);
	for (size_t i = 0; i < ARRAY_LEN(over); i++)
		problem_set(&h->core.problems, over[i], NULL);
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

static int apply_iface(struct hearthd *h, const struct view *view, struct err *err)
{
	struct err why = { 0 };
	unsigned changed;
	int r = make_iface(h, view, &changed, &why);

	if (r == -EPERM && !h->begun)
		return err_set(err, r, "%s; CAP_NET_ADMIN is needed", why.text);
	problem_set(&h->core.problems, "interface", r < 0 ? &why : NULL);
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

static int apply_announce(struct hearthd *h, const struct view *view, struct err *err)
{
	feed_announce(h);
	return 0;
}

/* In this order; a failure ends hearthd. */
static const struct {
	unsigned wants;
	int (*apply)(struct hearthd *h, const struct view *view, struct err *err);
} steps[] = {
	{ CHANGE_RECORDS | CHANGE_UPLINK | CHANGE_TUNNEL, apply_peers },
	{ CHANGE_RECORDS | CHANGE_MTU | CHANGE_TUNNEL | CHANGE_IPV6 | CHANGE_CONFIG, apply_iface },
	{ CHANGE_RECORDS | CHANGE_UPLINK | CHANGE_TUNNEL | CHANGE_CONFIG, apply_wall },
	{ CHANGE_RECORDS | CHANGE_TUNNEL | CHANGE_IPV6 | CHANGE_CONFIG, apply_names },
	{ CHANGE_RECORDS, apply_cluster },
	{ CHANGE_RECORDS | CHANGE_UPLINK | CHANGE_TUNNEL | CHANGE_IPV6, apply_announce },
};

static struct view look(struct hearthd *h, unsigned changes)
{
	const struct netmap *map = book_netmap(h->core.book);

	return (struct view){
		.changes = changes,
		.map = map,
		.settings = netmap_settings(map),
		.self = core_self(&h->core),
		.own = uplink_candidates(h->uplink),
		.mtu = candidates_interface_mtu(h->uplink_mtu),
		.tunnel = h->tunnel,
		.ifindex = h->ifindex,
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

/* A tunnel, if there is none. */
static int hold_tunnel(struct hearthd *h, unsigned *changes, struct err *err)
{
	struct err why = { 0 };
	int r;

	check_device(h);
	wall_begin(h->wall);
	if (h->tunnel)
		return 0;
	r = begin_tunnel(h, netmap_settings(book_netmap(h->core.book)), err);
	if (r < 0)
		return r;
	/* Only now are the ranges and the port known that candidates depend on. */
	if (uplink_look(h->uplink, &why) < 0)
		problem_set(&h->core.problems, "interface", &why);
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
	mesh_check_addresses(h);
	view = look(h, changes);
	for (size_t i = 0; i < ARRAY_LEN(steps) && r == 0; i++)
		if (steps[i].wants & view.changes)
			r = steps[i].apply(h, &view, err);
	return r;
}

int mesh_update(struct hearthd *h, unsigned changes, struct err *err)
{
	enum mesh_state state = find_state(h, core_self(&h->core));
	int r;

	if (state != h->mesh_state || !h->begun) {
		changes = CHANGE_ALL;
		h->mesh_state = state;
		say_state(h);
	}
	if (changes & (CHANGE_RECORDS | CHANGE_CONFIG))
		feed_configure(h);
	r = state == MESH_UP ? apply(h, changes, err) : 0;
	if (r < 0)
		return r;
	h->begun = true;
	watch_notify(h);
	return 0;
}

void mesh_heard(struct hearthd *h, const struct book_heard *heard)
{
	const struct candidates *own = uplink_candidates(h->uplink);
	struct err err = { 0 };

	if (h->mesh_state != MESH_UP)
		return;
	if (heard->id == h->core.config.node) {
		feed_announce(h);
		return;
	}
	if (h->tunnel && peers_apply_one(h->peers, h->tunnel, heard->id, own->endpoints,
				 own->n_endpoints, &err) < 0)
		problem_set(
			&h->core.problems, "tunnel", &err); /* the minute's round tries all again */
	if (heard->ipv6_changed)
		names_write(h->names, false);
	cluster_look_at_boards(h->cluster, core_self(&h->core));
}

static void say_changed(const struct hearthd *h, unsigned changed)
{
	log_seldom(LOG_LEVEL_NOTICE,
		"another program changed interface %s:%s%s%s%s; it is as it was again",
		h->core.config.interface, changed & IFACE_DOWN ? " taken down" : "",
		changed & IFACE_MTU ? " MTU" : "", changed & IFACE_ADDRS ? " addresses" : "",
		changed & IFACE_ROUTES ? " routes" : "");
}

void mesh_retry(struct hearthd *h)
{
	const struct settings *settings = netmap_settings(book_netmap(h->core.book));
	const struct node *self = core_self(&h->core);
	bool missing = ipv6_is_missing(h->ipv6), again;
	struct err err = { 0 };
	unsigned changed = 0;
	struct view view;

	check_device(h);
	again = book_take_held_back(h->core.book, clock_now_us()) ||
		(h->mesh_state == MESH_UP && !h->tunnel);
	if (again && mesh_update(h, CHANGE_ALL, &err) < 0) {
		problem_set(&h->core.problems, "interface", &err);
		return;
	}

	if (h->mesh_state == MESH_UP && h->tunnel && self && settings) {
		view = look(h, 0);
		if (problem_is(&h->core.problems, "tunnel"))
			(void) apply_peers(h, &view, NULL);
		if (make_iface(h, &view, &changed, &err) == 0 && changed)
			say_changed(h, changed);
		problem_set(&h->core.problems, "interface", &err);
		ground_look(h->ground, self, whole_ifindex(h));
		wall_retry(h->wall, settings, self, uplink_candidates(h->uplink));
		if (ipv6_is_missing(h->ipv6) != missing) {
			names_write(h->names, false);
			feed_announce(h);
		}
	}
	assist_retry(h);
	names_look(h->names);
	resolv_look(h->resolv);
	cluster_look(h->cluster);
	save_book(h, clock_now_us());
	save_state(h);
}

static void on_peer_moved(void *ctx, uint32_t id)
{
	feed_peer_moved(ctx, id);
}

static const struct peers_hooks peers_hooks = { .moved = on_peer_moved };

int mesh_open(struct hearthd *h, struct err *err)
{
	char path[PATH_TEXT_MAX];

	h->seen = seen_open(paths_join(h->core.paths.state, "endpoints.json", path));
	if (h->seen)
		h->peers = peers_new(h->core.book, h->seen, h->core.config.node, &peers_hooks, h);
	h->device = device_new(&h->core);
	h->ipv6 = ipv6_new(&h->core, &ipv6_hooks, h);
	h->ground = ground_new(&h->core, &ground_hooks, h);
	if (!h->peers || !h->device || !h->ipv6 || !h->ground)
		return err_set(err, -ENOMEM, "out of memory");
	return wall_new(&h->core, &wall_hooks, h, &h->wall, err);
}

void mesh_close(struct hearthd *h)
{
	h->ipv6 = ipv6_free(h->ipv6);
	close_tunnel(h);
	h->stamps = stamps_free(h->stamps);
	h->peers = peers_free(h->peers);
	h->seen = seen_free(h->seen);
	h->device = device_free(h->device);
	h->ground = ground_free(h->ground);
	h->wall = wall_free(h->wall);
}
