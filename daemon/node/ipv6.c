/*
 * ipv6: see ipv6.h. While the helper is at it nobody is told: it may be a matter of milliseconds.
 * Who switches it off again and again has it so until the pauses are over.
 */
#include "node/ipv6.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "node/repair.h"
#include "sys/ipc/ipc.h"

#define CALL_US (5 * USEC_PER_SEC)

struct ipv6 {
	struct core *core;
	const struct ipv6_hooks *hooks;
	void *ctx;
	struct ipc_async *call;
	struct repair repairs; /* by hearth-helper */
	bool missing;
};

struct ipv6 *ipv6_new(struct core *core, const struct ipv6_hooks *hooks, void *ctx)
{
	struct ipv6 *ipv6 = calloc(1, sizeof(*ipv6));

	if (ipv6)
		*ipv6 = (struct ipv6){ .core = core, .hooks = hooks, .ctx = ctx };
	return ipv6;
}

struct ipv6 *ipv6_free(struct ipv6 *ipv6)
{
	if (ipv6)
		ipv6->call = ipc_async_cancel(ipv6->call);
	free(ipv6);
	return NULL;
}

static void cannot(struct ipv6 *ipv6, const struct err *err)
{
	struct err why;

	ipv6->missing = true;
	err_set(&why, err->code,
		"%s has no IPv6, so this board's names in the mesh are IPv4 only: sysctl "
		"net.ipv6.conf.%s.disable_ipv6 is 1, and hearth-helper cannot change it: %.400s",
		ipv6->core->config.interface, ipv6->core->config.interface, err->text);
	problem_set(&ipv6->core->problems, "ipv6", &why);
}

static void enabled(void *ctx, int r, struct ipc_reply *reply, const struct err *err)
{
	struct ipv6 *ipv6 = ctx;

	ipv6->call = NULL;
	if (r < 0)
		cannot(ipv6, err);
	else if (json_is_true(json_object_get(reply->ok, "changed")))
		log_seldom(LOG_LEVEL_NOTICE,
			"IPv6 was switched off on %s (sysctl disable_ipv6); it is on there "
			"again, and on no other link",
			ipv6->core->config.interface);
	ipv6->hooks->answered(ipv6->ctx);
}

static void ask(struct ipv6 *ipv6)
{
	CLEANUP_JSON json_t *args = json_pack("{s:s}", "ifname", ipv6->core->config.interface);
	struct err err = { 0 };

	repair_done(&ipv6->repairs, clock_now_us());
	if (args && ipc_call_async(ipv6->core->event, ipv6->core->helper_path, "ipv6.enable", args,
			    CALL_US, enabled, ipv6, &ipv6->call, &err) < 0) {
		cannot(ipv6, &err);
	}
}

void ipv6_found(struct ipv6 *ipv6, enum iface_ipv6 found)
{
	switch (found) {
	case IFACE_IPV6_UP:
		ipv6->missing = false;
		problem_set(&ipv6->core->problems, "ipv6", NULL);
		break;
	case IFACE_IPV6_NONE:
		if (!ipv6->missing)
			log_notice("this kernel has no IPv6: in the mesh this board is reached "
				   "over IPv4 only, and the others are told");
		ipv6->missing = true;
		break;
	case IFACE_IPV6_DISABLED:
		if (ipv6->call)
			break;
		if (repair_wait_us(&ipv6->repairs, clock_now_us()) == 0)
			ask(ipv6);
		else
			ipv6->missing = true;
		break;
	}
}

static bool peer_has(const struct ipv6 *ipv6, uint32_t id)
{
	const struct presence *presence = book_presence(ipv6->core->book, id);

	return !presence || !presence->no_ipv6;
}

bool ipv6_leads_to(const struct ipv6 *ipv6, uint32_t id)
{
	return !ipv6->missing && (id == ipv6->core->config.node || peer_has(ipv6, id));
}

bool ipv6_is_missing(const struct ipv6 *ipv6)
{
	return ipv6->missing;
}

void ipv6_forget(struct ipv6 *ipv6)
{
	problem_set(&ipv6->core->problems, "ipv6", NULL);
}
