/*
 * pass: TLS connections to a coordinator that a relay passes on unread (PROTOCOL.md section 14).
 * Pure: the server names by which clients ask for a coordinator, and the frames with which a relay
 * and a coordinator speak on a connection that the coordinator keeps open.
 *
 *     0               1               2               3
 *    +---------------+---------------+---------------+---------------+
 *    |     0xf2      |   0x48 ('H')  |  version = 1  |     type      |
 *    +---------------+---------------+---------------+---------------+
 *    |          port                 |          waiting              |
 *    +---------------+---------------+---------------+---------------+
 *    |  address (16 bytes; IPv4 as ::ffff:a.b.c.d)                   |
 *    :                                                               :
 *    +---------------------------------------------------------------+
 *
 * Integers big endian. Port, waiting and address are 0 in all but OPEN.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ip.h"

enum { PASS_PIN_LEN = 32, PASS_NAME_MAX = 71, PASS_FRAME_LEN = 24, PASS_TOLD_MAX = 300 };

/* The server name at which a coordinator keeps connections open. */
#define PASS_PARK_NAME "park.hearth.internal"
/* And the end of those at which clients ask for a coordinator. */
#define PASS_NAME_END ".hearth.internal"

/* "c-", the pin in base32 (RFC 4648 section 6, lower case, no padding), PASS_NAME_END. */
void pass_name_of_pin(const uint8_t pin[static PASS_PIN_LEN], char ret[static PASS_NAME_MAX]);
/* 0, or -EINVAL: it is no coordinator's name. @name is in lower case. */
int pass_pin_of_name(const char *name, uint8_t ret[static PASS_PIN_LEN]);

/*
 * Whether @url is one by which a relay is asked for a coordinator, "https://NAME:PORT#HOST": then
 * the relay's host (borrowed from @url) and port.
 */
bool pass_url_is_relayed(const char *url, const char **ret_host, uint16_t *ret_port);
/* For people, who need not see the name: "the coordinator by relay HOST:PORT", or @url as it is. */
const char *pass_url_tell(const char *url, char ret[static PASS_TOLD_MAX]);

/*
 * "https://NAME:@port#@host" (sys/http): the coordinator with that pin by way of the relay at
 * @host, an address or a DNS name. -ENAMETOOLONG: it does not fit into @size bytes.
 */
int pass_url(const uint8_t pin[static PASS_PIN_LEN], const char *host, uint16_t port, char *ret,
	size_t size);

enum pass_type {
	PASS_PARK = 1,  /* coordinator: the first: it waits for clients */
	PASS_PING = 2,  /* relay: it is parked; later: is it still there? */
	PASS_PONG = 3,  /* coordinator: the answer */
	PASS_OPEN = 4,  /* relay: here is one; his bytes follow, and nothing else ever */
	PASS_TAKEN = 5, /* coordinator: he is let in; bytes for him follow, and nothing else ever */
	PASS_FULL = 6,  /* coordinator: he is not; the connection ends */
};

struct pass_frame {
	enum pass_type type;
	/* Of PASS_OPEN: */
	struct endpoint client; /* whom the relay sees */
	uint16_t waiting;       /* clients for whom there was no parked connection */
};

void pass_frame_put(const struct pass_frame *frame, uint8_t ret[static PASS_FRAME_LEN]);
/* 0, or -EBADMSG. */
int pass_frame_parse(const uint8_t data[static PASS_FRAME_LEN], struct pass_frame *ret);
