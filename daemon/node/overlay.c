/* overlay: see overlay.h. */
#include "node/overlay.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>

#include "base/clock.h"
#include "base/log.h"
#include "board/state.h"
#include "node/iface.h"
#include "node/stamps.h"
#include "sys/ipc/ipc.h"

enum { PORT_TRIES = 64 };
#define HELPER_US (2 * USEC_PER_SEC)

struct overlay {
	struct core *core;
	const struct overlay_hooks *hooks;
	void *ctx;
	struct stamps *stamps; /* outlives the tunnel */
	struct tunnel *tunnel;
	sd_event_source *on_closed;
	int ifindex;
};

struct overlay *overlay_new(struct core *core, const struct overlay_hooks *hooks, void *ctx)
{
	struct overlay *o = calloc(1, sizeof(*o));

	if (o)
		*o = (struct overlay){ .core = core, .hooks = hooks, .ctx = ctx };
	return o;
}

struct overlay *overlay_free(struct overlay *o)
{
	if (!o)
		return NULL;
	overlay_close(o);
	o->stamps = stamps_free(o->stamps);
	free(o);
	return NULL;
}

struct tunnel *overlay_tunnel(const struct overlay *o)
{
	return o->tunnel;
}

int overlay_ifindex(const struct overlay *o)
{
	return o->ifindex;
}

/* The descriptor of a TUN device of our name, which only root may open here. Waits. */
static int ask_helper(const struct overlay *o, struct err *err)
{
	CLEANUP_IPC_REPLY struct ipc_reply reply = { .fd = -1 };
	struct ifreq ifr = { .ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR };
	const char *name = o->core->config.interface;
	int r = ipc_call(o->core->helper_path, "tun.open", NULL, HELPER_US, &reply, err);

	if (r < 0)
		return err_prefix(
			err, "only root may open /dev/net/tun here, and hearth-helper did not");
	if (reply.fd < 0)
		return err_set(err, -EPROTO, "hearth-helper sent no descriptor");
	(void) snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	if (ioctl(reply.fd, TUNSETIFF, &ifr) < 0)
		return err_set(err, -errno, "make TUN device %s: %m", name);
	if (ioctl(reply.fd, TUNSETPERSIST, 1) < 0)
		return err_set(err, -errno, "keep TUN device %s: %m", name);
	return take_fd(&reply.fd);
}

static const char *timestamp_path(const struct overlay *o, char ret[static PATH_TEXT_MAX])
{
	return paths_join(o->core->paths.state, "timestamp", ret);
}

static int make_stamps(struct overlay *o, struct err *err)
{
	char path[PATH_TEXT_MAX];
	int r;

	if (o->stamps)
		return 0;
	r = stamps_new(o->core->event, o->core->disk, timestamp_path(o, path), &o->stamps);
	return r < 0 ? err_set(err, r, "watch over timestamps: %s", strerror(-r)) : 0;
}

static int open_on(struct overlay *o, unsigned mtu, uint16_t port, struct err *err)
{
	char path[PATH_TEXT_MAX];
	struct tunnel_config config = {
		.ifname = o->core->config.interface,
		.tun_fd = -1,
		.port = port,
		.persistent = true,
		.managed = true,
		.mtu = mtu,
		.timestamp_floor_s = state_read_timestamp(timestamp_path(o, path)),
		.reserve_timestamp = stamps_reserve,
		.ctx = o->stamps,
	};
	int r = tunnel_open(&config, &o->tunnel, err);

	if (r != -EACCES)
		return r;
	config.tun_fd = ask_helper(o, err);
	return config.tun_fd < 0 ? config.tun_fd : tunnel_open(&config, &o->tunnel, err);
}

static int open_on_some_port(struct overlay *o, unsigned mtu, uint16_t port, struct err *err)
{
	int r = -EADDRINUSE;

	for (unsigned i = 0; i < PORT_TRIES && r == -EADDRINUSE && port + i <= UINT16_MAX; i++)
		r = open_on(o, mtu, (uint16_t) (port + i), err);
	if (r == -EADDRINUSE)
		r = open_on(o, mtu, 0, err);
	if (r == 0 && tunnel_port(o->tunnel) != port)
		log_notice("UDP port %u is in use by another program; using %u from now on", port,
			tunnel_port(o->tunnel));
	return r;
}

static int on_closed(sd_event_source *source, int fd, uint32_t revents, void *ctx)
{
	struct overlay *o = ctx;

	log_seldom(LOG_LEVEL_WARNING, "interface %s was removed; making it again",
		o->core->config.interface);
	o->hooks->lost(o->ctx);
	return 0;
}

static int begin(struct overlay *o, const struct settings *settings, struct err *err)
{
	struct ip_prefix denied[SETTINGS_RANGES];
	size_t n = settings_ranges(settings, denied);
	int r = iface_find(o->core->nl, o->core->config.interface, err);

	if (r < 0)
		return r;
	o->ifindex = r;
	r = tunnel_set_denied_underlay(o->tunnel, denied, n);
	if (r == 0)
		r = tunnel_set_private_key(o->tunnel, o->core->wg_private);
	if (r == 0)
		r = sd_event_add_io(o->core->event, &o->on_closed, tunnel_closed_fd(o->tunnel),
			EPOLLIN, on_closed, o);
	return r < 0 ? err_set(err, r, "start the tunnel: %s", strerror(-r)) : 0;
}

int overlay_open(struct overlay *o, const struct settings *settings, unsigned mtu, uint16_t port,
	struct err *err)
{
	int r = make_stamps(o, err);

	assert(!o->tunnel);
	if (r == 0)
		r = open_on_some_port(o, mtu, port, err);
	if (r == 0)
		r = begin(o, settings, err);
	if (r < 0)
		overlay_close(o);
	return r;
}

void overlay_close(struct overlay *o)
{
	o->on_closed = sd_event_source_disable_unref(o->on_closed);
	o->tunnel = tunnel_close(o->tunnel);
}

void overlay_look(struct overlay *o)
{
	bool was_removed = false;
	struct write *w = o->stamps ? stamps_keep(o->stamps, &was_removed) : NULL;

	if (was_removed)
		disk_restore(o->core->disk, w);
	else /* the disk was full; that was told */
		disk_write(o->core->disk, w, NULL, NULL);
}
