/* portmap-ask: see portmap-internal.h. */
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "node/portmap-internal.h"
#include "packet/bytes.h"

#define REMOVE_US USEC_PER_SEC

/* --- what is asked --- */

/*
 * The same in each run, so that the mapping of the last one is ours to renew and to take away (RFC
 * 6887, 11.3: one with another nonce is somebody else's), and known to nobody who is not on the
 * way.
 */
static void make_nonce(const struct side *side, uint8_t ret[static PCP_NONCE_LEN])
{
	static const char label[] = "hearth-pcp1";
	const struct portmap *p = side->portmap;
	uint8_t text[sizeof(label) + 3], hash[crypto_generichash_BYTES];

	memcpy(text, label, sizeof(label));
	text[sizeof(label)] = side->family == AF_INET ? 4 : 6;
	be16_write(text + sizeof(label) + 1, p->port);
	(void) crypto_generichash(hash, sizeof(hash), text, sizeof(text), p->core->identity_seed,
		sizeof(p->core->identity_seed));
	memcpy(ret, hash, PCP_NONCE_LEN);
}

/* The port of before; the first time the one that the board has itself. */
static uint16_t wanted_port(const struct side *side)
{
	return side->mapping.outside.port ? side->mapping.outside.port : side->portmap->port;
}

static struct pcp_request make_request(const struct side *side, uint32_t lifetime_s)
{
	struct pcp_request request = { .lifetime_s = lifetime_s,
		.client = side->way.own,
		.port = side->portmap->port,
		.wanted = side->mapping.outside };

	request.wanted.port = wanted_port(side);
	make_nonce(side, request.nonce);
	return request;
}

static struct upnp_job make_job(const struct side *side)
{
	struct upnp_job job = { .gateway = side->way.gateway,
		.own = side->way.own,
		.port = side->portmap->port,
		.wanted = wanted_port(side),
		.lifetime_s = MAPPING_LIFETIME_S };

	(void) snprintf(job.name, sizeof(job.name), "hearth-%u", side->portmap->core->config.node);
	(void) snprintf(job.url, sizeof(job.url), "%s", side->url);
	return job;
}

/* --- what comes of it --- */

static void drive_soon(struct portmap *p)
{
	(void) sd_event_source_set_time_relative(p->timer, 0);
	(void) sd_event_source_set_enabled(p->timer, SD_EVENT_ONESHOT);
}

/* The gateway has lost what the other family had there, too. */
static void restarted(struct side *side, uint64_t now)
{
	struct portmap *p = side->portmap;

	log_seldom(LOG_LEVEL_INFO, "port mapping: the gateway has started anew");
	for (size_t i = 0; i < PORTMAP_MAX; i++)
		if (&p->sides[i] != side)
			mapping_hurry(&p->sides[i].mapping, now);
}

static void refused(struct side *side, enum mapping_protocol by, enum mapping_why why, int detail)
{
	mapping_refused(&side->mapping, by, why, detail, clock_now_us());
	drive_soon(side->portmap);
}

static void made(struct side *side, enum mapping_protocol by, const struct mapping_made *made)
{
	const struct portmap *p = side->portmap;
	struct endpoint outside = made->outside;
	uint64_t now = clock_now_us();

	if (by == MAPPING_NATPMP)
		outside.addr = side->mapping.address;
	if (!mapping_may_be_told(&outside, side->family, p->denied, p->n_denied)) {
		refused(side, by, MAPPING_WHY_NO_ADDRESS, 0);
		return;
	}
	if (mapping_made(&side->mapping, by, made, now))
		restarted(side, now);
	drive_soon(side->portmap);
}

static void on_pcp(void *ctx, const struct pcp_answer *answer, int r)
{
	struct mapping_made result = { .has_epoch = true };

	if (!answer) {
		refused(ctx, MAPPING_PCP, MAPPING_WHY_NOTHING, 0);
		return;
	}
	if (answer->result != PCP_SUCCESS) {
		refused(ctx, MAPPING_PCP, MAPPING_WHY_REFUSED, answer->result);
		return;
	}
	result.outside = answer->outside;
	result.lifetime_s = answer->lifetime_s;
	result.epoch_s = answer->epoch_s;
	if (result.lifetime_s)
		made(ctx, MAPPING_PCP, &result);
	else
		refused(ctx, MAPPING_PCP, MAPPING_WHY_SHORT, 0);
}

static void on_natpmp(void *ctx, const struct pmp_answer *answer, int r)
{
	struct mapping_made result = { .has_epoch = true };
	struct side *side = ctx;
	uint64_t now = clock_now_us();

	if (!answer) {
		refused(side, MAPPING_NATPMP, r > 0 ? MAPPING_WHY_REFUSED : MAPPING_WHY_NOTHING,
			r > 0 ? r : 0);
		return;
	}
	if (answer->is_address) {
		if (mapping_address(&side->mapping, &answer->outside, answer->epoch_s, now))
			restarted(side, now);
		drive_soon(side->portmap);
		return;
	}
	result.outside.port = answer->port;
	result.lifetime_s = answer->lifetime_s;
	result.epoch_s = answer->epoch_s;
	if (result.lifetime_s)
		made(side, MAPPING_NATPMP, &result);
	else
		refused(side, MAPPING_NATPMP, MAPPING_WHY_SHORT, 0);
}

static const struct pmp_hooks pmp_hooks = { .pcp = on_pcp, .natpmp = on_natpmp };

static void on_upnp(void *ctx, const struct upnp_end *end)
{
	static const enum mapping_why whys[] = { [UPNP_NOBODY] = MAPPING_WHY_NOTHING,
		[UPNP_REFUSED] = MAPPING_WHY_REFUSED,
		[UPNP_NO_ADDRESS] = MAPPING_WHY_NO_ADDRESS,
		[UPNP_BROKEN] = MAPPING_WHY_BROKEN };
	struct side *side = ctx;
	struct mapping_made result = { .outside = end->outside, .lifetime_s = end->lifetime_s };

	side->upnp = NULL;
	(void) snprintf(side->url, sizeof(side->url), "%s", end->url);
	if (end->result == UPNP_DONE)
		made(side, MAPPING_UPNP, &result);
	else
		refused(side, MAPPING_UPNP, whys[end->result], end->code > 0 ? end->code : 0);
}

/* --- asking --- */

static int send_pmp(struct side *side, enum mapping_act act)
{
	struct pcp_request request;

	if (!side->pmp)
		side->pmp = pmp_new(side->portmap->core->event, &side->way, &pmp_hooks, side);
	if (!side->pmp)
		return -ENOMEM;
	switch (act) {
	case MAPPING_ACT_PCP:
		request = make_request(side, MAPPING_LIFETIME_S);
		return pmp_pcp(side->pmp, &request);
	case MAPPING_ACT_LOOK:
		return pmp_look(side->pmp);
	case MAPPING_ACT_NATPMP:
		return pmp_natpmp(
			side->pmp, side->portmap->port, wanted_port(side), MAPPING_LIFETIME_S);
	case MAPPING_ACT_UPNP:
	case MAPPING_ACT_WAIT:
		break;
	}
	return 0;
}

static int start_upnp(struct side *side)
{
	const struct upnp_job job = make_job(side);
	struct err err = { 0 };
	int r = upnp_start(side->portmap->core->event, &job, on_upnp, side, &side->upnp, &err);

	if (r < 0)
		log_seldom(LOG_LEVEL_WARNING, "port mapping by UPnP: %s", err.text);
	return r;
}

/* What cannot be sent now (no route, no buffer) is sent again, as what was lost. */
void portmap_ask(struct side *side, enum mapping_act what, uint64_t now)
{
	if (what != MAPPING_ACT_UPNP)
		(void) send_pmp(side, what);
	else if (start_upnp(side) < 0)
		mapping_refused(&side->mapping, MAPPING_UPNP, MAPPING_WHY_BROKEN, 0, now);
}

void portmap_stop_asking(struct side *side)
{
	side->pmp = pmp_free(side->pmp);
	side->upnp = upnp_cancel(side->upnp);
}

void portmap_take_away(struct side *side)
{
	const struct pcp_request request = make_request(side, 0);
	struct upnp_job job = make_job(side);
	struct upnp_end end;

	portmap_stop_asking(side);
	switch (side->mapping.held) {
	case MAPPING_NONE:
		return;
	case MAPPING_PCP:
	case MAPPING_NATPMP:
		side->pmp = pmp_new(NULL, &side->way, &pmp_hooks, side);
		if (side->pmp && side->mapping.held == MAPPING_PCP)
			(void) pmp_pcp(side->pmp, &request);
		else if (side->pmp)
			(void) pmp_natpmp(side->pmp, side->portmap->port, 0, 0);
		side->pmp = pmp_free(side->pmp);
		return;
	case MAPPING_UPNP:
		job.remove = true;
		upnp_run(&job, REMOVE_US, &end);
		return;
	}
}
