#include "sim-net.h"

#include <assert.h>
#include <stdlib.h>

void sim_net_init(struct sim_net *net, struct sim_rng *rng, struct sim_queue *queue)
{
	struct sim_packet *packets = net->packets;
	uint32_t *unused = net->unused;
	size_t room = net->room;

	*net = (struct sim_net){ .rng = rng, .queue = queue, .packets = packets, .unused = unused };
	net->room = room;
	while (net->n_unused < room) {
		unused[net->n_unused] = (uint32_t) net->n_unused;
		net->n_unused++;
	}
	(void) sim_net_add_lan(net, 0);
}

void sim_net_done(struct sim_net *net)
{
	free(net->packets);
	free(net->unused);
	*net = (struct sim_net){ 0 };
}

unsigned sim_net_add_lan(struct sim_net *net, uint64_t delay_us)
{
	assert(net->n_lans < SIM_LANS_MAX);
	net->lans[net->n_lans] = (struct sim_lan){ .router = -1, .delay_us = delay_us };
	return (unsigned) net->n_lans++;
}

unsigned sim_net_add_router(struct sim_net *net, unsigned outside, const struct ip_addr *addr,
	const struct sim_nat_kind *kind, uint64_t lifetime_us)
{
	unsigned inside = sim_net_add_lan(net, 0);
	struct sim_router *router = &net->routers[net->n_routers];

	assert(net->n_routers < SIM_ROUTERS_MAX);
	router->outside = outside;
	router->inside = inside;
	sim_nat_init(&router->nat, kind, addr, lifetime_us, net->rng);
	net->lans[inside].router = (int) net->n_routers++;
	return inside;
}

unsigned sim_net_add_host(
	struct sim_net *net, unsigned lan, const struct endpoint *at, unsigned board)
{
	assert(net->n_hosts < SIM_HOSTS_MAX);
	net->hosts[net->n_hosts] = (struct sim_host){ .at = *at, .lan = lan, .board = board };
	return (unsigned) net->n_hosts++;
}

void sim_net_remove_host(struct sim_net *net, int host)
{
	if (host >= 0)
		net->hosts[host] = (struct sim_host){ .board = SIM_NOBODY };
}

/* --- packets on their way --- */

static uint64_t keep(struct sim_net *net, const struct sim_packet *packet)
{
	uint32_t place;

	if (!net->n_unused) {
		size_t room = net->room ? net->room * 2 : 256;

		net->packets = reallocarray(net->packets, room, sizeof(*net->packets));
		net->unused = reallocarray(net->unused, room, sizeof(*net->unused));
		if (!net->packets || !net->unused)
			abort();
		for (; net->room < room; net->room++)
			net->unused[net->n_unused++] = (uint32_t) net->room;
	}
	place = net->unused[--net->n_unused];
	net->packets[place] = *packet;
	return place;
}

static struct sim_packet take(struct sim_net *net, uint64_t place)
{
	net->unused[net->n_unused++] = (uint32_t) place;
	return net->packets[place];
}

static uint64_t jitter(struct sim_net *net, uint64_t most_us)
{
	return most_us ? sim_rng_below(net->rng, most_us) : 0;
}

static void travel(struct sim_net *net, const struct sim_packet *packet, uint64_t now_us)
{
	const struct sim_lan *lan = &net->lans[packet->lan];
	struct sim_event event = { .what = SIM_ARRIVES };
	int copies = sim_rng_chance(net->rng, lan->twice) ? 2 : 1;

	for (; copies > 0; copies--) {
		if (sim_rng_chance(net->rng, lan->loss))
			continue;
		event.at_us = now_us + lan->delay_us + jitter(net, lan->jitter_us);
		event.x = keep(net, packet);
		sim_queue_put(net->queue, &event);
	}
}

/* --- up --- */

static int find_host(const struct sim_net *net, unsigned lan, const struct ip_addr *addr)
{
	for (size_t i = 0; i < net->n_hosts; i++)
		if (net->hosts[i].lan == lan && ip_addr_equal(&net->hosts[i].at.addr, addr))
			return (int) i;
	return -1;
}

/* The router that is at @addr in @lan, or a firewall with that address behind it. */
static int find_router(const struct sim_net *net, unsigned lan, const struct ip_addr *addr)
{
	for (size_t i = 0; i < net->n_routers; i++) {
		const struct sim_router *r = &net->routers[i];

		if (r->outside != lan)
			continue;
		if (r->nat.kind.mapping == SIM_MAPPING_NONE ? find_host(net, r->inside, addr) >= 0
							    : ip_addr_equal(&r->nat.outside, addr))
			return (int) i;
	}
	return -1;
}

/* To the lan where @packet's target is, or is not. False: it is dropped on the way. */
static bool climb(struct sim_net *net, struct sim_packet *packet, uint64_t now_us)
{
	packet->turns_at = -1;
	for (;;) {
		const struct sim_lan *lan = &net->lans[packet->lan];
		struct sim_router *r;

		if ((!lan->isolated && find_host(net, packet->lan, &packet->to.addr) >= 0) ||
			find_router(net, packet->lan, &packet->to.addr) >= 0)
			return true;
		if (lan->router < 0)
			return false;
		r = &net->routers[lan->router];
		if (r->nat.kind.mapping != SIM_MAPPING_NONE &&
			ip_addr_equal(&r->nat.outside, &packet->to.addr)) {
			if (!r->nat.kind.hairpin)
				return false;
			packet->turns_at = lan->router;
		}
		if (!sim_nat_out(&r->nat, &packet->from, &packet->to, now_us, &packet->from))
			return false;
		if (packet->turns_at >= 0)
			return true;
		packet->lan = r->outside;
	}
}

void sim_net_send(
	struct sim_net *net, unsigned host, const struct sim_packet *packet, uint64_t now_us)
{
	struct sim_packet p = *packet;

	p.from = net->hosts[host].at;
	if (p.port)
		p.from.port = p.port;
	p.lan = net->hosts[host].lan;
	if (p.from.addr.family != p.to.addr.family)
		return;
	if (!climb(net, &p, now_us))
		return;
	if (p.sender >= SIM_BOARDS_MAX || p.target >= SIM_BOARDS_MAX ||
		!net->cut[p.sender][p.target])
		travel(net, &p, now_us);
}

/* --- down --- */

static void answer_stun(
	struct sim_net *net, unsigned host, const struct sim_packet *ask, uint64_t now_us)
{
	struct sim_packet told = { .kind = SIM_TOLD,
		.to = ask->from,
		.seen = ask->from,
		.tx = ask->tx,
		.run = ask->run,
		.sender = SIM_NOBODY,
		.target = SIM_NOBODY };

	if (ask->kind == SIM_ASK)
		sim_net_send(net, host, &told, now_us);
}

bool sim_net_arrive(struct sim_net *net, uint64_t place, uint64_t now_us, struct sim_packet *ret,
	unsigned *ret_host)
{
	struct sim_packet p = take(net, place);
	int at = p.turns_at, host;

	for (;;) {
		if (at < 0) {
			host = find_host(net, p.lan, &p.to.addr);
			if (host >= 0)
				break;
			at = find_router(net, p.lan, &p.to.addr);
		}
		if (at < 0 || !sim_nat_in(&net->routers[at].nat, &p.from, &p.to, now_us, &p.to))
			return false;
		p.lan = net->routers[at].inside;
		at = -1;
	}
	if (p.to.port != net->hosts[host].at.port && p.kind != SIM_TOLD)
		return false;
	*ret = p;
	*ret_host = (unsigned) host;
	if (net->hosts[host].board < SIM_BOARDS_MAX)
		return true;
	answer_stun(net, (unsigned) host, &p, now_us);
	return false;
}

/* --- the relay --- */

bool sim_relay_carries(const struct sim_net *net, unsigned a, unsigned b, uint64_t now_us)
{
	const struct sim_relay *relay = &net->relay;

	return relay->up && relay->bound_us[a] <= now_us && relay->bound_us[b] <= now_us;
}

void sim_relay_send(struct sim_net *net, const struct sim_packet *packet, uint64_t now_us)
{
	const struct sim_relay *relay = &net->relay;
	struct sim_event event = { .what = SIM_RELAYED };
	unsigned loss =
		relay->stream[packet->sender] && relay->stream[packet->target] ? 0 : relay->loss;

	if (!sim_relay_carries(net, packet->sender, packet->target, now_us) ||
		sim_rng_chance(net->rng, loss))
		return;
	event.at_us = now_us + relay->delay_us + jitter(net, relay->jitter_us);
	event.x = keep(net, packet);
	sim_queue_put(net->queue, &event);
}

bool sim_relay_arrive(struct sim_net *net, uint64_t place, uint64_t now_us, struct sim_packet *ret)
{
	*ret = take(net, place);
	return sim_relay_carries(net, ret->sender, ret->target, now_us);
}
