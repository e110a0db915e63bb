/*
 * A connection to the DERP service from its first byte on: pieces of the input come, time passes,
 * what is to go out is taken, all as the input says. 0xfe in it stands for a whole login of a
 * member's.
 */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "relay/derp-client.h"

static uint8_t secret[DERP_KEY_LEN] = { 1 }, key[DERP_KEY_LEN];
static const struct derp_keys keys = { secret, key };
static uint64_t now;

static void check(bool good)
{
	if (!good)
		abort();
}

static enum derp_end on_login(void *ctx, struct derp_client *client)
{
	check(memcmp(client->key, key, sizeof(key)) == 0);
	return DERP_END_NOT;
}

/* To itself, so that its queue is met as well. */
static void on_packet(void *ctx, struct derp_client *client, const uint8_t to[static DERP_KEY_LEN],
	const uint8_t *data, size_t len)
{
	check(client->state == DERP_CLIENT_OPEN && len <= DERP_PACKET_MAX);
	(void) derp_client_put(client, to, data, len, now);
}

static void log_in(struct derp_client *client)
{
	static const uint8_t nonce[DERP_NONCE_LEN] = { 3 };
	struct derp_client_info info = { .version = 2 };
	uint8_t frame[DERP_INFO_FRAME_MAX];
	int n = derp_client_info_put(&info, &keys, key, nonce, frame);

	check(n > 0);
	derp_client_input(client, frame, (size_t) n, now);
}

static void some_output(struct derp_client *client, size_t max)
{
	uint8_t out[256];

	check(derp_client_output(client, out, max, now) <= max);
}

static void step(struct derp_client *client, uint8_t how, const uint8_t *data, size_t len)
{
	if (how == 0xfe)
		log_in(client);
	else if (how & 1)
		derp_client_input(client, data, len, now);
	else if (how & 2)
		some_output(client, how);
	else {
		now += (uint64_t) how * 100000;
		derp_client_tick(client, now);
		check(client->state == DERP_CLIENT_ENDING || derp_client_due_us(client) > now);
	}
	check(client->control.len <= DERP_CLIENT_CONTROL_MAX);
	check((client->end != DERP_END_NOT) == (client->state == DERP_CLIENT_ENDING));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct derp_client_hooks hooks = { .login = on_login, .packet = on_packet };
	struct derp_pool pool = { .max = 1 << 18 };
	struct derp_client client;

	(void) crypto_scalarmult_base(key, secret);
	now = 0;
	derp_client_init(&client, &keys, &pool, &hooks, NULL, now);
	while (size >= 2) {
		size_t len = data[1] < size - 2 ? data[1] : size - 2;

		step(&client, data[0], data + 2, data[0] & 1 ? len : 0);
		len = data[0] & 1 ? len : 0;
		data += 2 + len;
		size -= 2 + len;
	}
	derp_client_done(&client);
	check(pool.used == 0);
	return 0;
}
