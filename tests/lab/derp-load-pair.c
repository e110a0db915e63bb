/* derp-load-pair: two clients, of whom one talks with the other, or floods him. */
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "derp-end.h"
#include "derp-load.h"
#include "packet/bytes.h"

enum {
	PACKET_LEN = 1200,
	FRAME_LEN = DERP_PACKET_HEAD_LEN + PACKET_LEN,
	TURN = 64,
	TRIPS_MAX = 1 << 20
};

#define EVERY_US (2 * USEC_PER_MSEC)
#define LAST_US  (2 * USEC_PER_SEC) /* for answers, when the input has ended */

struct pair {
	struct end a, b;
	bool floods, in;
	uint64_t next_us; /* A talks again */
	uint64_t end_us;  /* 0: the input has not ended */
	uint64_t sent, answered;
	uint32_t trips_us[TRIPS_MAX];
};

/* A packet says when it was sent. What a full link does not take is not answered either. */
static bool send_to(struct end *end, const struct end *to, uint64_t when_us)
{
	uint8_t frame[FRAME_LEN] = { 0 };

	derp_packet_head(DERP_SEND, to->key, PACKET_LEN, frame);
	be64_write(frame + DERP_PACKET_HEAD_LEN, when_us);
	return end_send(end, frame, sizeof(frame));
}

static void on_answer(
	void *ctx, const uint8_t from[static DERP_KEY_LEN], const uint8_t *data, size_t len)
{
	struct pair *p = ctx;

	if (len == PACKET_LEN && p->answered < TRIPS_MAX)
		p->trips_us[p->answered++] = (uint32_t) (clock_now_us() - be64_read(data));
}

static void answer(
	void *ctx, const uint8_t from[static DERP_KEY_LEN], const uint8_t *data, size_t len)
{
	struct pair *p = ctx;

	if (len == PACKET_LEN)
		(void) send_to(&p->b, &p->a, be64_read(data));
}

static void talk(struct pair *p, uint64_t now_us)
{
	if (p->end_us || now_us < p->next_us)
		return;
	(void) send_to(&p->a, &p->b, now_us);
	p->sent++;
	p->next_us = now_us + EVERY_US;
}

static void flood(struct pair *p, uint64_t now_us)
{
	for (int i = 0; i < TURN && send_to(&p->a, &p->b, now_us); i++)
		p->sent++;
}

static short events_of(const struct end *end, bool floods)
{
	return (short) (floods || end_wants_to_write(end) ? POLLIN | POLLOUT : POLLIN);
}

/* True: there may be more of which no socket tells. */
static bool progress(struct pair *p)
{
	bool more = end_progress(&p->a, on_answer, p);

	if (!p->in || !p->floods) /* whoever is flooded reads nothing */
		more |= end_progress(&p->b, answer, p);
	if (p->a.state == END_GONE || p->b.state == END_GONE)
		end_die("a connection", p->a.state == END_GONE ? p->a.why : p->b.why);
	return more;
}

static void wait_for(struct pair *p, bool more, uint64_t now_us)
{
	bool floods = p->in && p->floods, talks = p->in && !p->floods && !p->end_us;
	struct pollfd fds[] = {
		{ .fd = p->a.fd, .events = events_of(&p->a, floods) },
		{ .fd = floods ? -1 : p->b.fd, .events = events_of(&p->b, false) },
		{ .fd = p->end_us ? -1 : STDIN_FILENO, .events = POLLIN },
	};
	uint64_t until_us = p->end_us ? p->end_us : p->next_us;
	uint64_t left_us = !more && until_us > now_us ? until_us - now_us : 0;
	const struct timespec left = { .tv_sec = (time_t) (left_us / USEC_PER_SEC),
		.tv_nsec = (long) (left_us % USEC_PER_SEC * 1000) };
	char text[64];

	(void) ppoll(fds, 3, more || talks || p->end_us ? &left : NULL, NULL);
	if (fds[2].revents && read(STDIN_FILENO, text, sizeof(text)) <= 0)
		p->end_us = clock_now_us() + LAST_US;
}

/* Until the input ends, and what was said is answered. */
static void serve_pair(struct pair *p)
{
	uint64_t now_us = clock_now_us();

	while (!p->end_us || (!p->floods && p->answered < p->sent && now_us < p->end_us)) {
		bool more = progress(p);

		if (!p->in && p->a.state == END_IN && p->b.state == END_IN) {
			p->in = true;
			(void) puts("ready");
			(void) fflush(stdout);
		}
		if (p->in && p->floods)
			flood(p, now_us);
		else if (p->in)
			talk(p, now_us);
		wait_for(p, more, now_us);
		now_us = clock_now_us();
	}
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *) a, y = *(const uint32_t *) b;

	return x < y ? -1 : x > y;
}

static uint32_t quantile(const struct pair *p, unsigned per_mille)
{
	return p->answered ? p->trips_us[(p->answered - 1) * per_mille / 1000] : 0;
}

static void tell(struct pair *p)
{
	qsort(p->trips_us, p->answered, sizeof(p->trips_us[0]), compare);
	(void) printf("{\"sent\":%" PRIu64 ",\"answered\":%" PRIu64 ",\"median_us\":%" PRIu32
		      ",\"p99_us\":%" PRIu32 ",\"longest_us\":%" PRIu32 "}\n",
		p->sent, p->answered, quantile(p, 500), quantile(p, 990), quantile(p, 1000));
}

void load_pair(const struct load_way *way, uint32_t a, uint32_t b, bool floods)
{
	static struct pair p;
	struct tls_party *party = end_party();

	p.floods = floods;
	end_must_open(&p.a, party, &way->to, &way->from.addr, a);
	end_must_open(&p.b, party, &way->to, &way->from.addr, b);
	serve_pair(&p);
	tell(&p);
	end_close(&p.a);
	end_close(&p.b);
	(void) tls_party_free(party);
}
