/* bridge: see bridge.h. */
#include "relay/bridge.h"

/* --- from UDP --- */

static bool to_derp(
	void *ctx, uint32_t from, uint32_t to, const uint8_t *data, size_t len, uint64_t now_us)
{
	struct bridge *b = ctx;

	return derp_put(b->derp, from, to, data, len, now_us);
}

static void derp_has_all(void *ctx)
{
	struct bridge *b = ctx;

	derp_flush(b->derp);
}

static const struct udp_hooks udp_hooks = { .deliver = to_derp, .delivered = derp_has_all };

/* --- from DERP --- */

static bool to_udp(void *ctx, uint32_t from, uint32_t to, bool connected, const uint8_t *data,
	size_t len, uint64_t now_us)
{
	struct bridge *b = ctx;

	return udp_put(b->udp, from, to, connected, data, len, now_us);
}

static void udp_has_all(void *ctx)
{
	struct bridge *b = ctx;

	udp_flush(b->udp);
}

static void is_connected(void *ctx, uint32_t node)
{
	struct bridge *b = ctx;

	udp_came(b->udp, node);
}

static bool is_bound(void *ctx, uint32_t node, uint64_t now_us)
{
	struct bridge *b = ctx;

	return udp_has(b->udp, node, now_us, NULL);
}

static void say_absent(void *ctx, uint32_t to, uint32_t node, uint64_t now_us)
{
	struct bridge *b = ctx;

	udp_say_absent(b->udp, to, node, now_us);
}

static const struct derp_hooks derp_hooks = {
	.deliver = to_udp,
	.delivered = udp_has_all,
	.came = is_connected,
	.has = is_bound,
	.say_gone = say_absent,
};

void bridge_join(struct bridge *b, struct udp *udp, struct derp *derp)
{
	b->udp = udp;
	b->derp = derp;
	udp_set_hooks(udp, &udp_hooks, b);
	derp_set_hooks(derp, &derp_hooks, b);
}
