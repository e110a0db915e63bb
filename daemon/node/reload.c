/* The configuration read again, because somebody asked for it. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "node/hearthd.h"
#include "sys/notify/notify.h"

static void tell_systemd(void)
{
	struct timespec now;

	(void) clock_gettime(CLOCK_MONOTONIC, &now); /* it wants its own clock's time */
	(void) notify_send("RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
		(uint64_t) now.tv_sec * USEC_PER_SEC + (uint64_t) now.tv_nsec / 1000);
}

/* Of the same board and mesh; what only a restart can change stays as it is. */
static int read_config(const struct hearthd *h, struct config *ret, struct err *err)
{
	const struct config *now = &h->core.config;
	int r = config_read(h->config_path, ret, err);

	if (r < 0)
		return r;
	if (ret->node != now->node || strcmp(ret->mesh, now->mesh) != 0 ||
		memcmp(ret->root, now->root, sizeof(now->root)) != 0)
		return err_set(err, -EINVAL, "%s is about another board or mesh; restart hearthd",
			h->config_path);
	if (ret->port != now->port || strcmp(ret->interface, now->interface) != 0)
		log_notice("interface and port change with the next restart");
	ret->port = now->port;
	memcpy(ret->interface, now->interface, sizeof(now->interface));
	return 0;
}

int hearthd_reload(struct hearthd *h, struct err *err)
{
	struct config config;
	int r;

	tell_systemd();
	r = read_config(h, &config, err);
	if (r == 0) {
		h->core.config = config;
		ask_find_way(h);
		r = mesh_update(h, CHANGE_ALL, err);
	}
	if (r == 0) {
		names_write(h->names, true);
		mesh_retry(h);
		assist_retry_now(h);
		relays_hurry(h->relays);
		pods_hurry(h->pods);
		pods_look(h->pods, clock_now_us());
		sync_link_changed(h->sync);
		log_info("configuration read again");
	}
	(void) notify_send("READY=1");
	return r;
}
