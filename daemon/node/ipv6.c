/*
 * IPv6 on our interface. A board may have it switched off for all links (sysctl disable_ipv6): the mesh's
 * interface gets it all the same, as pods' links do, by hearth-helper. Where the kernel has none, or the
 * helper cannot, the presence says so, and nobody is sent to an address that swallows packets.
 */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "node/hearthd.h"

#define CALL_US (5 * USEC_PER_SEC)

static void cannot(struct hearthd *h, const struct err *err)
{
	struct err why;

	h->ipv6_missing = true;
	err_set(&why, err->code,
		"%s has no IPv6, so this board's names in the mesh are IPv4 only: sysctl "
		"net.ipv6.conf.%s.disable_ipv6 is 1, and hearth-helper cannot change it: %.400s",
		h->core.config.interface, h->core.config.interface, err->text);
	problem_set(&h->core.problems, "ipv6", &why);
}

static void enabled(void *ctx, int r, struct ipc_reply *reply, const struct err *err)
{
	struct hearthd *h = ctx;
	struct err why = { 0 };

	h->ipv6_call = NULL;
	if (r < 0)
		cannot(h, err);
	else if (json_is_true(json_object_get(reply->ok, "changed")))
		log_seldom(LOG_LEVEL_NOTICE,
			"IPv6 was switched off on %s (sysctl disable_ipv6); it is on there "
			"again, and on no other link",
			h->core.config.interface);
	if (mesh_update(h, &why) < 0)
		log_error("%s", why.text);
}

static void ask(struct hearthd *h)
{
	CLEANUP_JSON json_t *args = json_pack("{s:s}", "ifname", h->core.config.interface);
	struct err err = { 0 };

	repair_done(&h->ipv6_repairs, clock_now_us());
	if (args && ipc_call_async(h->core.event, h->core.helper_path, "ipv6.enable", args, CALL_US,
			    enabled, h, &h->ipv6_call, &err) < 0) {
		cannot(h, &err);
	}
}

void ipv6_found(struct hearthd *h, enum iface_ipv6 found)
{
	switch (found) {
	case IFACE_IPV6_UP:
		h->ipv6_missing = false;
		problem_set(&h->core.problems, "ipv6", NULL);
		break;
	case IFACE_IPV6_NONE:
		if (!h->ipv6_missing)
			log_notice("this kernel has no IPv6: in the mesh this board is reached "
				   "over IPv4 only, and the others are told");
		h->ipv6_missing = true;
		break;
	case IFACE_IPV6_DISABLED:
		/*
		 * While the helper is at it, nobody is told: it may be a matter of milliseconds. Who
		 * switches it off again and again has it so until the pauses are over.
		 */
		if (h->ipv6_call)
			break;
		if (repair_wait_us(&h->ipv6_repairs, clock_now_us()) == 0)
			ask(h);
		else
			h->ipv6_missing = true;
		break;
	}
}

static bool peer_has(const struct hearthd *h, uint32_t id)
{
	const struct presence *presence = book_presence(h->core.book, id);

	return !presence || !presence->no_ipv6;
}

bool ipv6_leads_to(const struct hearthd *h, uint32_t id)
{
	return !h->ipv6_missing && (id == h->core.config.node || peer_has(h, id));
}

void ipv6_close(struct hearthd *h)
{
	h->ipv6_call = ipc_async_cancel(h->ipv6_call);
}
