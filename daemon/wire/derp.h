/*
 * derp: the frames of DERP, version 2: Tailscale's protocol for a relay over TLS, spoken by ours so
 * that either end may be theirs. PROTOCOL.md section 13 says what of it we speak, to the byte. Here
 * is what both a server and a client need. Pure: no socket, no clock, no randomness.
 *
 * A frame is a type, the length of what follows, and that. What a frame may be, and how long,
 * depends on who reads it and when (enum derp_stage): the reader never keeps more than that.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	DERP_VERSION = 2,
	DERP_HEAD_LEN = 5,
	DERP_KEY_LEN = 32,
	DERP_NONCE_LEN = 24,
	DERP_TAG_LEN = 16,
	DERP_PACKET_MAX = 65536,
	DERP_INFO_MAX = 4096, /* of JSON, sealed; theirs is below 200 bytes */
	DERP_PING_LEN = 8,
	DERP_HEALTH_MAX = 512, /* of text that we send or keep */
};

enum derp_type {
	DERP_SERVER_KEY = 0x01,
	DERP_CLIENT_INFO = 0x02,
	DERP_SERVER_INFO = 0x03,
	DERP_SEND = 0x04,
	DERP_RECV = 0x05,
	DERP_KEEP_ALIVE = 0x06,
	DERP_NOTE_PREFERRED = 0x07,
	DERP_PEER_GONE = 0x08,
	DERP_PEER_PRESENT = 0x09,
	DERP_FORWARD = 0x0a,
	DERP_WATCH = 0x10,
	DERP_CLOSE_PEER = 0x11,
	DERP_PING = 0x12,
	DERP_PONG = 0x13,
	DERP_HEALTH = 0x14,
	DERP_RESTARTING = 0x15,
};

enum derp_gone { DERP_GONE_DISCONNECTED = 0, DERP_GONE_NOT_HERE = 1 };

/* --- reading frames --- */

/* Who reads, and what it waits for. */
enum derp_stage {
	DERP_STAGE_SERVER_LOGIN,    /* a server: the client's information, nothing else */
	DERP_STAGE_SERVER_OPEN,     /* a server: whatever a client that is in may send */
	DERP_STAGE_CLIENT_GREETING, /* a client: the server's key, nothing else */
	DERP_STAGE_CLIENT_OPEN,     /* a client: everything after it */
};

/*
 * How long the payload of a @type may be. A type that is unknown may be as long as a packet, so
 * that it can be passed over. -EPROTO: not now; -EPERM: only for servers among themselves.
 */
int derp_frame_max(enum derp_stage stage, uint8_t type);

struct derp_frame {
	uint8_t type; /* an enum derp_type, or unknown: to be ignored */
	const uint8_t *data;
	size_t len;
};

/* A frame of which only a part has come. Zero-initialise; memory grows with what really came. */
struct derp_reader {
	uint8_t *held;
	size_t len, cap;
	bool given; /* what is held was handed out as a frame */
};

void derp_reader_done(struct derp_reader *reader);
/*
 * Takes the next frame off *@data and *@len, which move on. 1 and @ret, borrowed from there or from
 * the reader until the next call. 0: all is taken, and what is held is no whole frame. -EMSGSIZE,
 * or what derp_frame_max() says: nothing more can be read. -ENOMEM.
 */
int derp_reader_next(struct derp_reader *reader, enum derp_stage stage, const uint8_t **data,
	size_t *len, struct derp_frame *ret);

/* --- payloads: each _put writes a whole frame --- */

enum {
	DERP_SERVER_KEY_LEN = DERP_HEAD_LEN + 8 + DERP_KEY_LEN,
	DERP_INFO_FRAME_MAX =
		DERP_HEAD_LEN + DERP_KEY_LEN + DERP_NONCE_LEN + DERP_TAG_LEN + DERP_INFO_MAX,
	DERP_PACKET_HEAD_LEN = DERP_HEAD_LEN + DERP_KEY_LEN,
	DERP_PEER_GONE_LEN = DERP_HEAD_LEN + DERP_KEY_LEN + 1,
	DERP_PING_FRAME_LEN = DERP_HEAD_LEN + DERP_PING_LEN,
	DERP_NOTE_LEN = DERP_HEAD_LEN + 1,
	DERP_RESTARTING_LEN = DERP_HEAD_LEN + 8,
	DERP_HEALTH_FRAME_MAX = DERP_HEAD_LEN + DERP_HEALTH_MAX,
};

struct derp_client_info {
	uint32_t version;
	bool can_ack_pings; /* pings of the server's */
	bool prober;        /* not a peer: measures the relay */
};

struct derp_server_info {
	uint32_t version;
	/* What the client is to keep to, bytes; 0: nothing said. */
	uint64_t rate, burst;
};

/* An X25519 key pair, borrowed. */
struct derp_keys {
	const uint8_t *secret, *key; /* DERP_KEY_LEN each */
};

/* The _parse functions: 0, or -EBADMSG for what is no such payload. */
void derp_server_key_put(
	const uint8_t key[static DERP_KEY_LEN], uint8_t ret[static DERP_SERVER_KEY_LEN]);
int derp_server_key_parse(const struct derp_frame *frame, uint8_t ret_key[static DERP_KEY_LEN]);

/*
 * Sealed from client to server and back (NaCl box); @nonce is random. The length of the frame, or
 * -EBADMSG for a key @to that nothing can be sealed to, -ENOMEM.
 */
int derp_client_info_put(const struct derp_client_info *info, const struct derp_keys *from,
	const uint8_t to[static DERP_KEY_LEN], const uint8_t nonce[static DERP_NONCE_LEN],
	uint8_t ret[static DERP_INFO_FRAME_MAX]);
int derp_server_info_put(const struct derp_server_info *info, const struct derp_keys *from,
	const uint8_t to[static DERP_KEY_LEN], const uint8_t nonce[static DERP_NONCE_LEN],
	uint8_t ret[static DERP_INFO_FRAME_MAX]);
/* Opened with the server's @secret: whoever sealed it holds the private half of @ret_key. */
int derp_client_info_parse(const struct derp_frame *frame,
	const uint8_t secret[static DERP_KEY_LEN], uint8_t ret_key[static DERP_KEY_LEN],
	struct derp_client_info *ret);
int derp_server_info_parse(const struct derp_frame *frame,
	const uint8_t secret[static DERP_KEY_LEN], const uint8_t server[static DERP_KEY_LEN],
	struct derp_server_info *ret);

/* The head of a DERP_SEND (@key: to whom) or a DERP_RECV (from whom), before @len bytes. */
void derp_packet_head(enum derp_type type, const uint8_t key[static DERP_KEY_LEN], size_t len,
	uint8_t ret[static DERP_PACKET_HEAD_LEN]);
/* Both borrowed from the frame; a packet may be empty. */
int derp_packet_parse(const struct derp_frame *frame, const uint8_t **ret_key,
	const uint8_t **ret_data, size_t *ret_len);

void derp_keep_alive_put(uint8_t ret[static DERP_HEAD_LEN]);
void derp_note_preferred_put(bool preferred, uint8_t ret[static DERP_NOTE_LEN]);
int derp_note_preferred_parse(const struct derp_frame *frame, bool *ret);
void derp_peer_gone_put(const uint8_t key[static DERP_KEY_LEN], enum derp_gone reason,
	uint8_t ret[static DERP_PEER_GONE_LEN]);
/* A reason that is unknown, or not said (as it once was), is DERP_GONE_DISCONNECTED. */
int derp_peer_gone_parse(const struct derp_frame *frame, uint8_t ret_key[static DERP_KEY_LEN],
	enum derp_gone *ret_reason);
/* DERP_PING or DERP_PONG. */
void derp_ping_put(enum derp_type type, const uint8_t data[static DERP_PING_LEN],
	uint8_t ret[static DERP_PING_FRAME_LEN]);
int derp_ping_parse(const struct derp_frame *frame, uint8_t ret_data[static DERP_PING_LEN]);
/* "" takes back what was said. Longer text is cut. Returns the length of the frame. */
size_t derp_health_put(const char *text, uint8_t ret[static DERP_HEALTH_FRAME_MAX]);
/* The text as it is safe to show (base/text.h), cut. */
void derp_health_parse(const struct derp_frame *frame, char ret[static DERP_HEALTH_MAX]);
/* When to come back, and for how long to try. */
void derp_restarting_put(uint32_t in_ms, uint32_t try_ms, uint8_t ret[static DERP_RESTARTING_LEN]);
int derp_restarting_parse(
	const struct derp_frame *frame, uint32_t *ret_in_ms, uint32_t *ret_try_ms);
