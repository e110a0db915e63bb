#include "ways-world.h"

#include <stdlib.h>
#include <string.h>

enum { FLYING = 256 };

struct ways w;
uint64_t now_us, next_tx, rtt[ADDRESSES], pinged_us[ADDRESSES], called_us;
uint16_t dead_port;
unsigned pings[ADDRESSES], n_pings, n_calls;

static struct {
	uint64_t at_us, tx;
	struct endpoint from;
} flying[FLYING];
static size_t n_flying;

struct endpoint at(unsigned n)
{
	struct endpoint ret = { .addr = { AF_INET, { 10, 0, 0, (uint8_t) n } }, .port = 1000 };
	struct ip_addr public = { AF_INET, { 192, 0, 2, (uint8_t) n } };

	if (n >= RELAYED)
		ret.addr.bytes[0] = 127;
	else if (n >= PUBLIC)
		ret.addr = public;
	return ret;
}

int set_up(void **state)
{
	ways_init(&w);
	now_us = 1000 * SECOND;
	next_tx = 1;
	n_flying = dead_port = 0;
	memset(rtt, 0, sizeof(rtt));
	count_anew();
	return 0;
}

int tear_down(void **state)
{
	ways_done(&w);
	return 0;
}

void count_anew(void)
{
	n_pings = n_calls = 0;
	memset(pings, 0, sizeof(pings));
}

static void assert_apart(void)
{
	for (size_t i = 0; i < w.n; i++)
		for (size_t k = 0; k < i; k++)
			assert_false(endpoint_equal(&w.list[i].to, &w.list[k].to));
}

void assert_sound(void)
{
	size_t announced = 0, called = 0, relayed = 0, holes = 0, named = 0;

	assert_true(w.n <= WAYS_MAX);
	assert_true(w.in_use <= w.n);
	assert_true(w.doubtful || (w.in_use < w.n && !w.list[w.in_use].relayed && !w.searching));
	for (size_t i = 0; i < w.n; i++) {
		const struct way *way = &w.list[i];

		announced += way->announced;
		called += way->called;
		relayed += way->relayed;
		holes += way->hole;
		named += way->announced || way->called || way->relayed || way->hole;
		assert_false((way->announced || way->called) && (way->relayed || way->hole));
	}
	assert_true(announced <= WAYS_ANNOUNCED_MAX);
	assert_true(called <= WAYS_CALLED_MAX);
	assert_true(relayed <= 1 && holes <= 1);
	assert_true(w.n - named <= WAYS_HEARD_MAX + 1);
	assert_apart();
}

static void post_ping(const struct endpoint *to)
{
	unsigned n = to->addr.bytes[3];

	pings[n]++;
	n_pings++;
	pinged_us[n] = now_us;
	if (rtt[n] == DEAD || to->port == dead_port)
		return;
	assert_true(n_flying < FLYING);
	flying[n_flying].at_us = now_us + rtt[n];
	flying[n_flying].tx = next_tx;
	flying[n_flying++].from = *to;
}

void send_pings(void)
{
	struct ways_action action;

	while (ways_next(&w, now_us, next_tx, &action)) {
		if (action.what == WAYS_PING) {
			post_ping(&action.to);
		} else {
			assert_true(action.to.addr.bytes[3] >= RELAYED);
			n_calls++;
			called_us = now_us;
		}
		next_tx++;
	}
	assert_sound();
	assert_true(ways_deadline(&w) > now_us);
}

/* The answer that comes next, n_flying: none. */
static size_t first_flying(void)
{
	size_t first = 0;

	for (size_t i = 1; i < n_flying; i++)
		if (flying[i].at_us < flying[first].at_us)
			first = i;
	return first;
}

void run(uint64_t for_us)
{
	uint64_t end_us = now_us + for_us;

	send_pings();
	for (;;) {
		size_t i = first_flying();
		uint64_t deadline_us = ways_deadline(&w);
		uint64_t answer_us = i < n_flying ? flying[i].at_us : UINT64_MAX;
		uint64_t next_us = deadline_us < answer_us ? deadline_us : answer_us;

		if (next_us > end_us)
			break;
		now_us = next_us;
		if (answer_us <= deadline_us) {
			struct endpoint from = flying[i].from;
			uint64_t tx = flying[i].tx;

			flying[i] = flying[--n_flying];
			(void) ways_pong(&w, &from, tx, now_us);
		}
		send_pings();
	}
	now_us = end_us;
}

void announce(unsigned first, unsigned n)
{
	struct endpoint list[ADDRESSES] = { 0 };

	for (unsigned i = 0; i < n; i++)
		list[i] = at(first + i);
	ways_announced(&w, list, n, now_us);
	assert_sound();
}

bool call(unsigned first, unsigned n)
{
	struct endpoint list[ADDRESSES] = { 0 };
	bool heeded;

	for (unsigned i = 0; i < n; i++)
		list[i] = at(first + i);
	heeded = ways_called(&w, list, n, now_us);
	assert_sound();
	return heeded;
}

void heard(unsigned n)
{
	struct endpoint from = at(n);

	ways_heard(&w, &from, now_us);
	assert_sound();
}

void relay(unsigned n)
{
	struct endpoint to = at(n);

	ways_relayed(&w, n ? &to : NULL, now_us);
	assert_sound();
}

unsigned in_use(void)
{
	const struct way *way = ways_in_use(&w);

	return way ? way->to.addr.bytes[3] : 0;
}

void use(unsigned n)
{
	rtt[n] = 20 * MS;
	run(20 * SECOND);
	assert_int_equal(in_use(), n);
	count_anew();
}
