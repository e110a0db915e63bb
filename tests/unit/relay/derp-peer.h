/*
 * Clients of DERP for tests, by OpenSSL: they and the relay share one loop, so that nothing waits
 * for a fixed time.
 */
#pragma once

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "base/ip.h"
#include "derp-login.h"
#include "relay/derp.h"

#define FAST "GET /derp HTTP/1.1\r\nUpgrade: DERP\r\nDerp-Fast-Start: 1\r\n\r\n"

enum { PEER_KEPT = 256 };

struct peer {
	SSL *ssl;
	int fd;
	bool closed, reads;
	struct derp_reader reader;
	unsigned n_types[256], packets;
	uint64_t bytes;
	uint8_t last[PEER_KEPT];    /* of the last packet */
	size_t last_len;            /* its whole length */
	uint8_t from[DERP_KEY_LEN]; /* who sent it */
	uint8_t gone[DERP_KEY_LEN]; /* who went, and why */
	enum derp_gone reason;
	char health[DERP_HEALTH_MAX]; /* of the last */
};

/* One context for all; from main(). */
int peers_init(void);
void peers_done(void);

/* The loop in which the relay is. Borrowed. */
void peers_use(sd_event *loop);
SSL *peers_ssl(void);
/* Whoever connects to @ret comes to *derp, while there is one. It ends with the loop. */
void peers_listen(struct derp **derp, struct endpoint *ret);

/* Takes @fd. */
struct peer *peer_on(int fd);
/* To @at, and in. */
struct peer *peer_log_in(const struct endpoint *at, const struct login_keys *k,
	const uint8_t relay[static DERP_KEY_LEN]);
struct peer *peer_free(struct peer *p);

int peer_connect(const struct endpoint *at);
/* Reads what has come. */
void peer_step(struct peer *p);
/* As much of it as goes; all of it, while the relay goes on. */
size_t peer_try_write(struct peer *p, const void *data, size_t len);
void peer_write(struct peer *p, const void *data, size_t len);
void peer_send(struct peer *p, const uint8_t to[static DERP_KEY_LEN], const void *data, size_t len);

/* One turn of the loop, and of each that is not NULL. */
void peers_turn(struct peer *p, struct peer *q);
uint64_t peers_real_us(void); /* a clock that no test puts forward */

/* Until @condition of the peers p and q holds; they and the relay go on meanwhile. */
#define UNTIL(p, q, condition)                                                                  \
	do {                                                                                    \
		uint64_t end_ = peers_real_us() + UINT64_C(20000000);                           \
		while (!(condition)) {                                                          \
			if (peers_real_us() > end_)                                             \
				fail_msg("line %d: not within 20 s: %s", __LINE__, #condition); \
			peers_turn(p, q);                                                       \
		}                                                                               \
	} while (0)
