#include "mesh/predict.h"

/* Where both count: so many in each burst, and so much further than the next. */
enum { BOTH = 8 };
static const int shifts[2][PREDICT_BURSTS] = { { 0, 0, 1 }, { 0, 1, 1 } };
/* So far away are ports that are pinged in place of others, of so many calls. */
enum { OTHERS = 1024, OTHER_CALLS = 32 };
/* Where only the peer's does: so many of the next ones, and of before; and so far back. */
enum { HALF = PREDICT_PORTS / 2, FAR = 204 };

/* A public address, so that nobody is made to ping in a house or a provider's network. */
static bool is_usable(const struct predict_nat *peer)
{
	int step = peer->step;

	return peer->mapping == DISCO_MAPPING_COUNTING && peer->last.addr.family == AF_INET &&
	       !ip_addr_is_private(&peer->last.addr) && step != 0 && step <= PREDICT_STEP_MAX &&
	       step >= -PREDICT_STEP_MAX;
}

/* @flows behind the last one, before it if that is negative. */
static size_t add(const struct predict_nat *peer, int flows, struct endpoint *ret)
{
	int port = peer->last.port + flows * peer->step;

	if (port < PREDICT_PORT_MIN || port > UINT16_MAX)
		return 0;
	*ret = peer->last;
	ret->port = (uint16_t) port;
	return 1;
}

static size_t around(const struct predict *p, struct endpoint *ret)
{
	size_t n = 0;

	for (int i = 1; i <= HALF; i++) {
		n += add(&p->peer, i, &ret[n]);
		n += add(&p->peer, -p->back - i, &ret[n]);
	}
	return n;
}

static size_t before(const struct predict *p, struct endpoint *ret)
{
	size_t n = 0;

	for (int i = 1; i <= PREDICT_PORTS; i++)
		n += add(&p->peer, -p->back - i, &ret[n]);
	return n;
}

/*
 * A port that is no flow's, and was no other call's of late: ahead, for behind the count each call
 * would go back as far as the last one's pings have moved it on.
 */
static size_t add_other(const struct predict *p, int flows, struct endpoint *ret)
{
	int far = OTHERS + (int) (p->nth % OTHER_CALLS) * PREDICT_PORTS + flows;

	return add(&p->peer, far, ret) || add(&p->peer, -far, ret);
}

static size_t next(const struct predict *p, unsigned burst, struct endpoint *ret)
{
	int first = (int) burst * BOTH + shifts[p->asked][burst];
	size_t n = 0;

	for (int i = first + 1; i <= first + BOTH; i++)
		n += i > p->ahead ? add(&p->peer, i, &ret[n]) : add_other(p, i, &ret[n]);
	return n;
}

size_t predict_ports(
	const struct predict *p, unsigned burst, struct endpoint ret[static PREDICT_PORTS])
{
	if (!is_usable(&p->peer) || p->own == DISCO_MAPPING_RANDOM || burst >= PREDICT_BURSTS)
		return 0;
	if (p->own == DISCO_MAPPING_COUNTING)
		return next(p, burst, ret);
	if (burst == 0)
		return around(p, ret);
	return burst == 1 ? before(p, ret) : 0;
}

/* So many flows from the peer's last one to @at, which has its address; negative: back. */
static int flows_on(const struct predict_nat *peer, const struct endpoint *at)
{
	return (at->port - peer->last.port) / peer->step;
}

/* Whether @now is a later moment of the same count as @before, as far as one can tell. */
static bool goes_on(const struct predict_nat *before, const struct predict_nat *now)
{
	return is_usable(before) && is_usable(now) && before->step == now->step &&
	       ip_addr_equal(&before->last.addr, &now->last.addr) &&
	       flows_on(before, &now->last) >= 0;
}

void predict_called(struct predict *p, const struct predict_nat *peer)
{
	if (!goes_on(&p->peer, peer))
		p->gone = 0;
	else if (p->gone)
		p->gone += flows_on(&p->peer, &peer->last);
	p->peer = *peer;
}

/* From the last one again, where the way back has come to its end. */
void predict_begin(struct predict *p, unsigned burst)
{
	struct endpoint at;

	if (burst == 0 && (p->gone >= FAR || !add(&p->peer, -p->gone - 1, &at)))
		p->gone = 0;
	p->back = p->gone;
}

void predict_pinged(struct predict *p, const struct endpoint *at)
{
	int back = -flows_on(&p->peer, at);

	if (back > 0 && p->own != DISCO_MAPPING_COUNTING)
		p->gone = back;
}

int predict_flows_to(const struct predict_nat *peer, const struct endpoint *at)
{
	int flows;

	if (!is_usable(peer) || !ip_addr_equal(&peer->last.addr, &at->addr))
		return 0;
	flows = flows_on(peer, at);
	return flows > 0 && flows <= 2 * PREDICT_PORTS ? flows : 0;
}
