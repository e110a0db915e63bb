/* derp-load-idle: as many clients as are wanted, who say nothing. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/descriptors.h"
#include "derp-end.h"
#include "derp-load.h"

enum { EVENTS = 256 };

struct crowd {
	struct end *ends;
	bool *counted; /* in, or gone, as is counted below */
	uint32_t first, count, at_once, begun, pending, in;
	const struct load_way *way;
	struct tls_party *party;
	int epoll;
	bool told;
};

static void tell(struct crowd *c)
{
	(void) printf("in %u\n", c->in);
	(void) fflush(stdout);
}

static void lose(struct crowd *c, uint32_t i, const char *why)
{
	if (c->counted[i])
		c->in--;
	else
		c->pending--;
	c->ends[i].state = END_GONE;
	(void) printf("lost %u: %s\n", c->first + i, why);
	end_close(&c->ends[i]);
}

static void watch(struct crowd *c, uint32_t i, int how)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u32 = i };

	if (end_wants_to_write(&c->ends[i]))
		event.events |= EPOLLOUT;
	if (epoll_ctl(c->epoll, how, c->ends[i].fd, &event) < 0)
		end_die("epoll", strerror(errno));
}

static void begin(struct crowd *c)
{
	struct ip_addr from = { 0 };
	uint32_t i = c->begun++;
	int r;

	if (c->way->from.addr.family) {
		unsigned bits = ip_bits(c->way->from.addr.family) - c->way->from.len;

		(void) ip_prefix_nth(&c->way->from, bits < 32 ? i % (1U << bits) : i, &from);
	}
	c->pending++;
	r = end_open(&c->ends[i], c->party, &c->way->to, &from, c->first + i);
	if (r < 0)
		lose(c, i, strerror(-r));
	else
		watch(c, i, EPOLL_CTL_ADD);
}

static void attend(struct crowd *c, uint32_t i)
{
	struct end *end = &c->ends[i];
	bool was_in = c->counted[i];

	while (end_progress(end, NULL, NULL))
		;
	if (end->state == END_GONE)
		return lose(c, i, end->why);
	if (end->state == END_IN && !was_in) {
		c->counted[i] = true;
		c->pending--;
		c->in++;
	}
	watch(c, i, EPOLL_CTL_MOD);
}

static void serve_crowd(struct crowd *c)
{
	struct epoll_event events[EVENTS], input = { .events = EPOLLIN, .data.u32 = UINT32_MAX };
	char line[64];
	bool ended = false;

	(void) epoll_ctl(c->epoll, EPOLL_CTL_ADD, STDIN_FILENO, &input);
	while (!ended) {
		int n;

		while (c->begun < c->count && c->pending < c->at_once)
			begin(c);
		if (c->begun == c->count && c->pending == 0 && !c->told) {
			c->told = true;
			tell(c);
		}
		n = epoll_wait(c->epoll, events, EVENTS, -1);
		for (int i = 0; i < n; i++) {
			uint32_t which = events[i].data.u32;

			if (which == UINT32_MAX && read(STDIN_FILENO, line, sizeof(line)) <= 0)
				ended = true;
			else if (which == UINT32_MAX)
				tell(c);
			else if (c->ends[which].state != END_GONE)
				attend(c, which);
		}
		(void) fflush(stdout);
	}
}

void load_idle(const struct load_way *way, uint32_t first, uint32_t count, uint32_t at_once)
{
	struct crowd c = { .way = way,
		.first = first,
		.count = count,
		.at_once = at_once,
		.party = end_party(),
		.epoll = epoll_create1(EPOLL_CLOEXEC),
		.ends = calloc(count, sizeof(*c.ends)),
		.counted = calloc(count, sizeof(*c.counted)) };

	if (!c.ends || !c.counted)
		end_die("clients", "out of memory");
	(void) descriptors_allow(count + 64);
	serve_crowd(&c);
	for (uint32_t i = 0; i < c.begun; i++)
		end_close(&c.ends[i]);
	free(c.ends);
	free(c.counted);
	(void) close(c.epoll);
	(void) tls_party_free(c.party);
}
