/*
 * wg-two: a pair of hosts that know each other, and what they sent last.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "wg-net.h"

enum { SECOND = 1000000 };

struct two {
	struct net net;
	struct net_host *a, *b;
	struct wg_peer *ab, *ba; /* b as a's peer, a as b's */
};

static inline void two_init(struct two *t, bool both_know)
{
	net_init(&t->net, 1);
	t->a = net_host_add(&t->net, false);
	t->b = net_host_add(&t->net, false);
	t->ab = net_introduce(t->a, t->b, true);
	t->ba = net_introduce(t->b, t->a, both_know);
}

static inline void two_done(struct two *t)
{
	net_done(&t->net);
}
#define TWO __attribute__((cleanup(two_done))) struct two

/* What was sent last, by type. */
static struct {
	uint8_t data[WG_HANDSHAKE_MAX_LEN * 2];
	size_t len;
	struct endpoint to[40];
	unsigned n;
} captured[5];

static inline void capture(
	struct net_host *host, const struct wg_endpoint *to, const uint8_t *data, size_t len)
{
	int type = wg_message_type(data, len);

	memcpy(captured[type].data, data, len);
	captured[type].len = len;
	captured[type].to[captured[type].n++ % 40] = to->remote;
}

static inline int reset_captured(void **state)
{
	memset(captured, 0, sizeof(captured));
	return 0;
}
