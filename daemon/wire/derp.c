/* derp: see derp.h. */
#include "wire/derp.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "packet/bytes.h"

/* "DERP" and a key (U+1F511). */
static const uint8_t magic[8] = { 'D', 'E', 'R', 'P', 0xf0, 0x9f, 0x94, 0x91 };

enum {
	SEALED_MIN = DERP_NONCE_LEN + DERP_TAG_LEN,
	SEALED_MAX = SEALED_MIN + DERP_INFO_MAX,
	GREETING_MAX = 1024, /* a later server may say more behind its key */
	PACKET_FRAME_MAX = DERP_KEY_LEN + DERP_PACKET_MAX,
	HELD_MIN = 256,
};

_Static_assert(crypto_box_NONCEBYTES == DERP_NONCE_LEN, "nonce");
_Static_assert(crypto_box_MACBYTES == DERP_TAG_LEN, "tag");
_Static_assert(crypto_box_PUBLICKEYBYTES == DERP_KEY_LEN, "key");

/* --- reading frames --- */

static int server_max(uint8_t type)
{
	switch (type) {
	case DERP_FORWARD:
	case DERP_WATCH:
	case DERP_CLOSE_PEER:
		return -EPERM;
	case DERP_SERVER_KEY:
	case DERP_CLIENT_INFO:
	case DERP_SERVER_INFO:
	case DERP_RECV:
		return -EPROTO;
	default:
		return PACKET_FRAME_MAX;
	}
}

static int client_max(uint8_t type)
{
	switch (type) {
	case DERP_SERVER_KEY: /* comes late to who knew the key from the certificate */
		return GREETING_MAX;
	case DERP_SERVER_INFO:
		return SEALED_MAX;
	case DERP_CLIENT_INFO:
	case DERP_SEND:
		return -EPROTO;
	default:
		return PACKET_FRAME_MAX;
	}
}

int derp_frame_max(enum derp_stage stage, uint8_t type)
{
	switch (stage) {
	case DERP_STAGE_SERVER_LOGIN:
		return type == DERP_CLIENT_INFO ? DERP_KEY_LEN + SEALED_MAX : -EPROTO;
	case DERP_STAGE_SERVER_OPEN:
		return server_max(type);
	case DERP_STAGE_CLIENT_GREETING:
		return type == DERP_SERVER_KEY ? GREETING_MAX : -EPROTO;
	case DERP_STAGE_CLIENT_OPEN:
		return client_max(type);
	}
	return -EPROTO;
}

void derp_reader_done(struct derp_reader *r)
{
	free(r->held);
	*r = (struct derp_reader){ 0 };
}

/* The whole length of the frame that begins with @head; or why there is none. */
static int frame_len(enum derp_stage stage, const uint8_t head[static DERP_HEAD_LEN])
{
	uint32_t len = be32_read(head + 1);
	int max = derp_frame_max(stage, head[0]);

	if (max < 0)
		return max;
	return len <= (uint32_t) max ? DERP_HEAD_LEN + (int) len : -EMSGSIZE;
}

/* Moves to what is held until that is @want bytes, as far as there are any. */
static int hold(struct derp_reader *r, size_t want, const uint8_t **data, size_t *len)
{
	size_t n = want - r->len < *len ? want - r->len : *len;

	if (r->len + n > r->cap) {
		size_t cap = 2 * (r->len + n) > HELD_MIN ? 2 * (r->len + n) : HELD_MIN;
		uint8_t *held;

		if (cap > want && want > HELD_MIN)
			cap = want;
		held = realloc(r->held, cap);
		if (!held)
			return -ENOMEM;
		r->held = held;
		r->cap = cap;
	}
	memcpy(r->held + r->len, *data, n);
	r->len += n;
	*data += n;
	*len -= n;
	return 0;
}

static void give(const uint8_t *frame, size_t len, struct derp_frame *ret)
{
	*ret = (struct derp_frame){ frame[0], frame + DERP_HEAD_LEN, len - DERP_HEAD_LEN };
}

/* Part of a frame is held: goes on with that. */
static int next_of_held(struct derp_reader *r, enum derp_stage stage, const uint8_t **data,
	size_t *len, struct derp_frame *ret)
{
	int n = DERP_HEAD_LEN, e = 0;

	if (r->len < DERP_HEAD_LEN)
		e = hold(r, DERP_HEAD_LEN, data, len);
	if (e < 0 || r->len < DERP_HEAD_LEN)
		return e;
	n = frame_len(stage, r->held);
	if (n < 0)
		return n;
	e = hold(r, (size_t) n, data, len);
	if (e < 0 || r->len < (size_t) n)
		return e;
	r->given = true;
	give(r->held, r->len, ret);
	return 1;
}

int derp_reader_next(struct derp_reader *r, enum derp_stage stage, const uint8_t **data,
	size_t *len, struct derp_frame *ret)
{
	int n;

	if (r->given) {
		r->given = false;
		r->len = 0;
	}
	if (r->len)
		return next_of_held(r, stage, data, len, ret);
	if (*len == 0) {
		derp_reader_done(r);
		return 0;
	}
	if (*len < DERP_HEAD_LEN)
		return hold(r, DERP_HEAD_LEN, data, len);
	n = frame_len(stage, *data);
	if (n < 0)
		return n;
	if (*len < (size_t) n)
		return hold(r, (size_t) n, data, len);
	give(*data, (size_t) n, ret);
	*data += n;
	*len -= (size_t) n;
	return 1;
}

/* --- payloads --- */

static void put_head(enum derp_type type, size_t len, uint8_t *ret)
{
	ret[0] = (uint8_t) type;
	be32_write(ret + 1, (uint32_t) len);
}

void derp_server_key_put(
	const uint8_t key[static DERP_KEY_LEN], uint8_t ret[static DERP_SERVER_KEY_LEN])
{
	put_head(DERP_SERVER_KEY, sizeof(magic) + DERP_KEY_LEN, ret);
	memcpy(ret + DERP_HEAD_LEN, magic, sizeof(magic));
	memcpy(ret + DERP_HEAD_LEN + sizeof(magic), key, DERP_KEY_LEN);
}

int derp_server_key_parse(const struct derp_frame *frame, uint8_t ret_key[static DERP_KEY_LEN])
{
	if (frame->len < sizeof(magic) + DERP_KEY_LEN ||
		memcmp(frame->data, magic, sizeof(magic)) != 0)
		return -EBADMSG;
	memcpy(ret_key, frame->data + sizeof(magic), DERP_KEY_LEN);
	return 0;
}

/*
 * Nonce, tag and ciphertext of @doc (stolen) at @ret, which has room for SEALED_MAX. Their length,
 * or -errno.
 */
static int seal(json_t *doc, const struct derp_keys *from, const uint8_t *to, const uint8_t *nonce,
	uint8_t *ret)
{
	CLEANUP_JSON json_t *owned = doc;
	char text[DERP_INFO_MAX];
	size_t len = owned ? json_dumpb(owned, text, sizeof(text), JSON_COMPACT) : 0;

	if (len == 0 || len > sizeof(text))
		return -ENOMEM;
	memcpy(ret, nonce, DERP_NONCE_LEN);
	if (crypto_box_easy(ret + DERP_NONCE_LEN, (const uint8_t *) text, len, nonce, to,
		    from->secret) != 0)
		return -EBADMSG;
	return (int) (SEALED_MIN + len);
}

/* The document, NULL for what does not open or is none. The caller releases it. */
static json_t *unseal(const uint8_t *sealed, size_t len, const uint8_t *from, const uint8_t *secret)
{
	uint8_t text[DERP_INFO_MAX];

	if (len < SEALED_MIN || len > SEALED_MAX ||
		crypto_box_open_easy(text, sealed + DERP_NONCE_LEN, len - DERP_NONCE_LEN, sealed,
			from, secret) != 0)
		return NULL;
	return json_parse((const char *) text, len - SEALED_MIN, NULL);
}

int derp_client_info_put(const struct derp_client_info *info, const struct derp_keys *from,
	const uint8_t to[static DERP_KEY_LEN], const uint8_t nonce[static DERP_NONCE_LEN],
	uint8_t ret[static DERP_INFO_FRAME_MAX])
{
	json_t *doc = json_pack("{s:I,s:b}", "version", (json_int_t) info->version, "CanAckPings",
		info->can_ack_pings);
	int n;

	if (doc && info->prober)
		(void) json_object_set_new(doc, "IsProber", json_true());
	n = seal(doc, from, to, nonce, ret + DERP_HEAD_LEN + DERP_KEY_LEN);
	if (n < 0)
		return n;
	put_head(DERP_CLIENT_INFO, DERP_KEY_LEN + (size_t) n, ret);
	memcpy(ret + DERP_HEAD_LEN, from->key, DERP_KEY_LEN);
	return DERP_HEAD_LEN + DERP_KEY_LEN + n;
}

int derp_server_info_put(const struct derp_server_info *info, const struct derp_keys *from,
	const uint8_t to[static DERP_KEY_LEN], const uint8_t nonce[static DERP_NONCE_LEN],
	uint8_t ret[static DERP_INFO_FRAME_MAX])
{
	json_t *doc = json_pack("{s:I}", "version", (json_int_t) info->version);
	int n;

	if (doc && info->rate) {
		(void) json_object_set_new(
			doc, "TokenBucketBytesPerSecond", json_integer((json_int_t) info->rate));
		(void) json_object_set_new(
			doc, "TokenBucketBytesBurst", json_integer((json_int_t) info->burst));
	}
	n = seal(doc, from, to, nonce, ret + DERP_HEAD_LEN);
	if (n < 0)
		return n;
	put_head(DERP_SERVER_INFO, (size_t) n, ret);
	return DERP_HEAD_LEN + n;
}

/* A field that is absent is left as it is. */
static bool read_number(const json_t *doc, const char *name, uint64_t max, uint64_t *ret)
{
	return !json_has(doc, name) || json_get_u64(doc, name, max, ret, NULL) == 0;
}

static bool read_bool(const json_t *doc, const char *name, bool *ret)
{
	return !json_has(doc, name) || json_get_bool(doc, name, ret, NULL) == 0;
}

int derp_client_info_parse(const struct derp_frame *frame,
	const uint8_t secret[static DERP_KEY_LEN], uint8_t ret_key[static DERP_KEY_LEN],
	struct derp_client_info *ret)
{
	struct derp_client_info info = { 0 };
	uint64_t version = 0;

	if (frame->len < DERP_KEY_LEN)
		return -EBADMSG;
	CLEANUP_JSON json_t *doc =
		unseal(frame->data + DERP_KEY_LEN, frame->len - DERP_KEY_LEN, frame->data, secret);

	if (!json_is_object(doc) || !read_number(doc, "version", UINT32_MAX, &version) ||
		!read_bool(doc, "CanAckPings", &info.can_ack_pings) ||
		!read_bool(doc, "IsProber", &info.prober))
		return -EBADMSG;
	info.version = (uint32_t) version;
	memcpy(ret_key, frame->data, DERP_KEY_LEN);
	*ret = info;
	return 0;
}

int derp_server_info_parse(const struct derp_frame *frame,
	const uint8_t secret[static DERP_KEY_LEN], const uint8_t server[static DERP_KEY_LEN],
	struct derp_server_info *ret)
{
	struct derp_server_info info = { 0 };
	uint64_t version = 0;
	CLEANUP_JSON json_t *doc = unseal(frame->data, frame->len, server, secret);

	if (!json_is_object(doc) || !read_number(doc, "version", UINT32_MAX, &version) ||
		!read_number(doc, "TokenBucketBytesPerSecond", INT64_MAX, &info.rate) ||
		!read_number(doc, "TokenBucketBytesBurst", INT64_MAX, &info.burst))
		return -EBADMSG;
	info.version = (uint32_t) version;
	*ret = info;
	return 0;
}

void derp_packet_head(enum derp_type type, const uint8_t key[static DERP_KEY_LEN], size_t len,
	uint8_t ret[static DERP_PACKET_HEAD_LEN])
{
	assert(len <= DERP_PACKET_MAX);
	put_head(type, DERP_KEY_LEN + len, ret);
	memcpy(ret + DERP_HEAD_LEN, key, DERP_KEY_LEN);
}

int derp_packet_parse(const struct derp_frame *frame, const uint8_t **ret_key,
	const uint8_t **ret_data, size_t *ret_len)
{
	if (frame->len < DERP_KEY_LEN)
		return -EBADMSG;
	*ret_key = frame->data;
	*ret_data = frame->data + DERP_KEY_LEN;
	*ret_len = frame->len - DERP_KEY_LEN;
	return 0;
}

void derp_keep_alive_put(uint8_t ret[static DERP_HEAD_LEN])
{
	put_head(DERP_KEEP_ALIVE, 0, ret);
}

void derp_note_preferred_put(bool preferred, uint8_t ret[static DERP_NOTE_LEN])
{
	put_head(DERP_NOTE_PREFERRED, 1, ret);
	ret[DERP_HEAD_LEN] = preferred;
}

int derp_note_preferred_parse(const struct derp_frame *frame, bool *ret)
{
	if (frame->len < 1)
		return -EBADMSG;
	*ret = frame->data[0] != 0;
	return 0;
}

void derp_peer_gone_put(const uint8_t key[static DERP_KEY_LEN], enum derp_gone reason,
	uint8_t ret[static DERP_PEER_GONE_LEN])
{
	put_head(DERP_PEER_GONE, DERP_KEY_LEN + 1, ret);
	memcpy(ret + DERP_HEAD_LEN, key, DERP_KEY_LEN);
	ret[DERP_HEAD_LEN + DERP_KEY_LEN] = (uint8_t) reason;
}

int derp_peer_gone_parse(const struct derp_frame *frame, uint8_t ret_key[static DERP_KEY_LEN],
	enum derp_gone *ret_reason)
{
	if (frame->len < DERP_KEY_LEN)
		return -EBADMSG;
	memcpy(ret_key, frame->data, DERP_KEY_LEN);
	*ret_reason = frame->len > DERP_KEY_LEN && frame->data[DERP_KEY_LEN] == DERP_GONE_NOT_HERE
			      ? DERP_GONE_NOT_HERE
			      : DERP_GONE_DISCONNECTED;
	return 0;
}

void derp_ping_put(enum derp_type type, const uint8_t data[static DERP_PING_LEN],
	uint8_t ret[static DERP_PING_FRAME_LEN])
{
	put_head(type, DERP_PING_LEN, ret);
	memcpy(ret + DERP_HEAD_LEN, data, DERP_PING_LEN);
}

int derp_ping_parse(const struct derp_frame *frame, uint8_t ret_data[static DERP_PING_LEN])
{
	if (frame->len < DERP_PING_LEN)
		return -EBADMSG;
	memcpy(ret_data, frame->data, DERP_PING_LEN);
	return 0;
}

size_t derp_health_put(const char *text, uint8_t ret[static DERP_HEALTH_FRAME_MAX])
{
	size_t len = strnlen(text, DERP_HEALTH_MAX);

	put_head(DERP_HEALTH, len, ret);
	memcpy(ret + DERP_HEAD_LEN, text, len);
	return DERP_HEAD_LEN + len;
}

void derp_health_parse(const struct derp_frame *frame, char ret[static DERP_HEALTH_MAX])
{
	size_t len = frame->len < DERP_HEALTH_MAX ? frame->len : DERP_HEALTH_MAX;

	(void) text_clean((const char *) frame->data, len, TEXT_LINE, ret, DERP_HEALTH_MAX);
}

void derp_restarting_put(uint32_t in_ms, uint32_t try_ms, uint8_t ret[static DERP_RESTARTING_LEN])
{
	put_head(DERP_RESTARTING, 8, ret);
	be32_write(ret + DERP_HEAD_LEN, in_ms);
	be32_write(ret + DERP_HEAD_LEN + 4, try_ms);
}

int derp_restarting_parse(const struct derp_frame *frame, uint32_t *ret_in_ms, uint32_t *ret_try_ms)
{
	if (frame->len < 8)
		return -EBADMSG;
	*ret_in_ms = be32_read(frame->data);
	*ret_try_ms = be32_read(frame->data + 4);
	return 0;
}
