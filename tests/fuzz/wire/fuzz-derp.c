/*
 * A stream of DERP frames, cut at odd places, as a server and as a client read it, each payload by
 * its decoder. The first byte says which of them; or the rest is what an honest end has sealed, so
 * that the reader behind the seal is met.
 */
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "wire/derp.h"

static uint8_t secret[DERP_KEY_LEN] = { 1 }, own[DERP_KEY_LEN];
static const uint8_t nonce[DERP_NONCE_LEN] = { 2 };

static void check(bool good)
{
	if (!good)
		abort();
}

static void read_payload(const struct derp_frame *frame)
{
	uint8_t key[DERP_KEY_LEN], ping[DERP_PING_LEN];
	char text[DERP_HEALTH_MAX];
	const uint8_t *to, *data;
	struct derp_client_info client;
	struct derp_server_info server;
	enum derp_gone reason;
	uint32_t in, try_for;
	size_t len;
	bool preferred;

	if (derp_packet_parse(frame, &to, &data, &len) == 0)
		check(len <= frame->len && data + len == frame->data + frame->len);
	(void) derp_server_key_parse(frame, key);
	(void) derp_client_info_parse(frame, secret, key, &client);
	(void) derp_server_info_parse(frame, secret, own, &server);
	(void) derp_note_preferred_parse(frame, &preferred);
	if (derp_peer_gone_parse(frame, key, &reason) == 0)
		check(reason == DERP_GONE_DISCONNECTED || reason == DERP_GONE_NOT_HERE);
	(void) derp_ping_parse(frame, ping);
	(void) derp_restarting_parse(frame, &in, &try_for);
	derp_health_parse(frame, text);
	check(strlen(text) < sizeof(text));
}

static void read_stream(enum derp_stage stage, const uint8_t *data, size_t size)
{
	struct derp_reader reader = { 0 };
	size_t step = size ? 1 + data[0] % 61 : 1;
	int r = 0;

	while (size && r == 0) {
		size_t n = size < step ? size : step;
		const uint8_t *at = data;
		struct derp_frame frame;

		data += n;
		size -= n;
		while ((r = derp_reader_next(&reader, stage, &at, &n, &frame)) > 0) {
			check((int) frame.len <= derp_frame_max(stage, frame.type));
			read_payload(&frame);
		}
		check(r < 0 || n == 0);
		check(reader.cap <= DERP_PACKET_HEAD_LEN + DERP_PACKET_MAX);
	}
	check(r == 0 || r == -EPROTO || r == -EPERM || r == -EMSGSIZE);
	derp_reader_done(&reader);
}

/* What is understood is sealed again to the same meaning. */
static void read_sealed(const uint8_t *text, size_t size)
{
	uint8_t data[DERP_INFO_FRAME_MAX], again[DERP_INFO_FRAME_MAX], key[DERP_KEY_LEN];
	size_t len = size < DERP_INFO_MAX ? size : DERP_INFO_MAX;
	struct derp_frame frame = { DERP_CLIENT_INFO, data,
		DERP_KEY_LEN + DERP_NONCE_LEN + DERP_TAG_LEN + len };
	struct derp_keys keys = { secret, own };
	struct derp_client_info info, other;

	memcpy(data, own, DERP_KEY_LEN);
	memcpy(data + DERP_KEY_LEN, nonce, DERP_NONCE_LEN);
	check(crypto_box_easy(
		      data + DERP_KEY_LEN + DERP_NONCE_LEN, text, len, nonce, own, secret) == 0);
	read_payload(&(struct derp_frame){
		DERP_SERVER_INFO, data + DERP_KEY_LEN, frame.len - DERP_KEY_LEN });
	if (derp_client_info_parse(&frame, secret, key, &info) < 0)
		return;
	int n = derp_client_info_put(&info, &keys, own, nonce, again);

	check(n > DERP_HEAD_LEN);
	frame.data = again + DERP_HEAD_LEN;
	frame.len = (size_t) n - DERP_HEAD_LEN;
	check(derp_client_info_parse(&frame, secret, key, &other) == 0);
	check(info.version == other.version && info.can_ack_pings == other.can_ack_pings &&
		info.prober == other.prober);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	(void) crypto_scalarmult_base(own, secret);
	if (data[0] % 5 == 4)
		read_sealed(data + 1, size - 1);
	else
		read_stream(data[0] % 5, data + 1, size - 1);
	return 0;
}
