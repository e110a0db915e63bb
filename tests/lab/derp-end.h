/*
 * derp-end: one client's connection to a DERP server, for tools of the lab: any server's, ours or
 * Tailscale's. It asks for no certificate and proves nothing but its own key. Its sockets never
 * wait; whoever has them in a loop calls end_progress() for whatever happens on one.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/ip.h"
#include "sys/tls/tls.h"
#include "wire/derp.h"

enum end_state {
	END_CONNECTING, /* TCP, then TLS */
	END_ASKING,     /* the request has gone */
	END_GREETED,    /* and was answered */
	END_LOGIN,      /* our information has gone */
	END_IN,
	END_GONE,
};

struct end {
	int fd;
	enum end_state state;
	const char *why; /* it has gone */
	struct tls_stream *tls;
	uint8_t secret[DERP_KEY_LEN], key[DERP_KEY_LEN];
	struct buf head; /* of the answer, as far as it has come */
	struct derp_reader reader;
};

/* A packet that came, from whoever has the key @from. Borrowed. */
typedef void (*end_packet_fn)(
	void *ctx, const uint8_t from[static DERP_KEY_LEN], const uint8_t *data, size_t len);

/* The pair of client @number: always the same. */
void end_key(
	uint32_t number, uint8_t ret_secret[static DERP_KEY_LEN], uint8_t ret[static DERP_KEY_LEN]);

/* The frame by which it logs in at the server with the key @server: its length, or -errno. */
int end_info_put(const uint8_t secret[static DERP_KEY_LEN], const uint8_t key[static DERP_KEY_LEN],
	const uint8_t server[static DERP_KEY_LEN], uint8_t ret[static DERP_INFO_FRAME_MAX]);

/* Ends the program, which cannot go on. */
_Noreturn void end_die(const char *what, const char *why);

/* What all ends have in common, or the program ends. */
struct tls_party *end_party(void);

/*
 * Connects client @number to @to, from @from (AF_UNSPEC: from wherever the kernel likes). 0, or
 * -errno and nothing is open.
 */
int end_open(struct end *end, struct tls_party *party, const struct endpoint *to,
	const struct ip_addr *from, uint32_t number);
/* The same, or the program ends. */
void end_must_open(struct end *end, struct tls_party *party, const struct endpoint *to,
	const struct ip_addr *from, uint32_t number);
/* Closes it; @end may be all zero but for a negative descriptor. */
void end_close(struct end *end);

/*
 * Goes on as far as that is possible without waiting; at most so many bytes are read that others
 * have their turn, then true: there may be more of which the socket does not tell.
 */
bool end_progress(struct end *end, end_packet_fn packet, void *ctx);
/* Whether it is to be woken when the socket can be written to. */
bool end_wants_to_write(const struct end *end);
/* Sends whole frames, at most TLS_RECORD_MAX bytes. False: not now, something is still kept. */
bool end_send(struct end *end, const void *frames, size_t len);
