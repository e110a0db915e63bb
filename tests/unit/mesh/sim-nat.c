#include "sim-nat.h"

#include <assert.h>

void sim_nat_init(struct sim_nat *nat, const struct sim_nat_kind *kind,
	const struct ip_addr *outside, uint64_t lifetime_us, struct sim_rng *rng)
{
	nat->kind = *kind;
	nat->outside = *outside;
	nat->lifetime_us = lifetime_us;
	nat->rng = rng;
	nat->next_port = (uint16_t) (SIM_FIRST_PORT + sim_rng_below(rng, SIM_PORTS));
	nat->n = 0;
}

void sim_nat_forget(struct sim_nat *nat)
{
	nat->n = 0;
}

void sim_nat_renumber(struct sim_nat *nat, const struct ip_addr *outside)
{
	nat->outside = *outside;
	sim_nat_forget(nat);
}

/* --- flows --- */

static void expire(struct sim_nat *nat, uint64_t now_us)
{
	for (size_t i = nat->n; i-- > 0;)
		if (nat->flows[i].until_us <= now_us)
			nat->flows[i] = nat->flows[--nat->n];
}

static struct sim_flow *add(struct sim_nat *nat)
{
	size_t oldest = 0;

	if (nat->n < SIM_FLOWS_MAX)
		return &nat->flows[nat->n++];
	for (size_t i = 1; i < nat->n; i++)
		if (nat->flows[i].until_us < nat->flows[oldest].until_us)
			oldest = i;
	return &nat->flows[oldest];
}

static struct sim_flow *find_out(
	struct sim_nat *nat, const struct endpoint *inside, const struct endpoint *remote)
{
	for (size_t i = 0; i < nat->n; i++) {
		struct sim_flow *flow = &nat->flows[i];

		if (!flow->foreign && endpoint_equal(&flow->remote, remote) &&
			endpoint_equal(&flow->inside, inside))
			return flow;
	}
	return NULL;
}

/* Whether @port is anybody's, or, where @remote is given, anybody's towards that. */
static bool is_taken(const struct sim_nat *nat, uint16_t port, const struct endpoint *remote)
{
	for (size_t i = 0; i < nat->n; i++)
		if (nat->flows[i].port == port &&
			(!remote || endpoint_equal(&nat->flows[i].remote, remote)))
			return true;
	return false;
}

/* --- ports --- */

static uint16_t random_port(struct sim_nat *nat)
{
	uint16_t port;

	do
		port = (uint16_t) (SIM_FIRST_PORT + sim_rng_below(nat->rng, SIM_PORTS));
	while (is_taken(nat, port, NULL));
	return port;
}

static uint16_t counted_port(struct sim_nat *nat)
{
	do
		if (++nat->next_port >= SIM_FIRST_PORT + SIM_PORTS)
			nat->next_port = SIM_FIRST_PORT;
	while (is_taken(nat, nat->next_port, NULL));
	return nat->next_port;
}

/* The one that @inside has already; 0: none. */
static uint16_t port_of(const struct sim_nat *nat, const struct endpoint *inside)
{
	for (size_t i = 0; i < nat->n; i++)
		if (!nat->flows[i].foreign && endpoint_equal(&nat->flows[i].inside, inside))
			return nat->flows[i].port;
	return 0;
}

static uint16_t choose_port(
	struct sim_nat *nat, const struct endpoint *inside, const struct endpoint *remote)
{
	uint16_t port;

	switch (nat->kind.mapping) {
	case SIM_MAPPING_NONE:
		return inside->port;
	case SIM_MAPPING_ONE:
		port = port_of(nat, inside);
		return port ? port : random_port(nat);
	case SIM_MAPPING_KEEP:
		return is_taken(nat, inside->port, remote) ? random_port(nat) : inside->port;
	case SIM_MAPPING_RANDOM:
		return random_port(nat);
	case SIM_MAPPING_COUNTING:
		return counted_port(nat);
	}
	return 0;
}

/* --- datagrams --- */

static uint64_t lifetime_us(const struct sim_nat *nat, const struct sim_flow *flow)
{
	bool brief = nat->kind.mapping == SIM_MAPPING_KEEP && !flow->replied;

	return brief && nat->lifetime_us > SIM_UNREPLIED_US ? SIM_UNREPLIED_US : nat->lifetime_us;
}

bool sim_nat_out(struct sim_nat *nat, const struct endpoint *from, const struct endpoint *to,
	uint64_t now_us, struct endpoint *ret)
{
	struct sim_flow *flow;
	uint16_t port;

	if (nat->kind.blocks == SIM_BLOCKS_ALL ||
		(nat->kind.blocks == SIM_BLOCKS_ALL_BUT_STUN && to->port != SIM_STUN_PORT))
		return false;
	expire(nat, now_us);
	flow = find_out(nat, from, to);
	if (!flow) {
		port = choose_port(nat, from, to);
		flow = add(nat);
		*flow = (struct sim_flow){ .inside = *from, .remote = *to, .port = port };
	}
	flow->until_us = now_us + lifetime_us(nat, flow);
	*ret = *from;
	if (nat->kind.mapping != SIM_MAPPING_NONE)
		*ret = (struct endpoint){ .addr = nat->outside, .port = flow->port };
	return true;
}

static bool lets_in(
	const struct sim_nat *nat, const struct sim_flow *flow, const struct endpoint *from)
{
	switch (nat->kind.filter) {
	case SIM_FILTER_ANY:
		return true;
	case SIM_FILTER_ADDR:
		return ip_addr_equal(&flow->remote.addr, &from->addr);
	case SIM_FILTER_PORT:
		return endpoint_equal(&flow->remote, from);
	}
	return false;
}

static bool is_at(const struct sim_nat *nat, const struct sim_flow *flow, const struct endpoint *to)
{
	return nat->kind.mapping == SIM_MAPPING_NONE ? endpoint_equal(&flow->inside, to)
						     : flow->port == to->port;
}

/* Linux with an open input chain: the next datagrams of ours to @from get another port. */
static void take_for_its_own(struct sim_nat *nat, const struct endpoint *from,
	const struct endpoint *to, uint64_t now_us)
{
	struct sim_flow *flow = NULL;

	for (size_t i = 0; i < nat->n && !flow; i++)
		if (nat->flows[i].foreign && nat->flows[i].port == to->port &&
			endpoint_equal(&nat->flows[i].remote, from))
			flow = &nat->flows[i];
	if (!flow)
		flow = add(nat);
	*flow = (struct sim_flow){ .remote = *from,
		.port = to->port,
		.foreign = true,
		.until_us = now_us + SIM_UNREPLIED_US };
}

bool sim_nat_in(struct sim_nat *nat, const struct endpoint *from, const struct endpoint *to,
	uint64_t now_us, struct endpoint *ret)
{
	expire(nat, now_us);
	for (size_t i = 0; i < nat->n; i++) {
		struct sim_flow *flow = &nat->flows[i];

		if (flow->foreign || !is_at(nat, flow, to) || !lets_in(nat, flow, from))
			continue;
		flow->replied = true;
		*ret = flow->inside;
		return true;
	}
	if (nat->kind.open_input)
		take_for_its_own(nat, from, to, now_us);
	return false;
}
