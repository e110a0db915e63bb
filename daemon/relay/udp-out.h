/*
 * udp-out: messages that wait to leave the relay's UDP port, and what became of them. For
 * relay/udp.c alone. They wait until the end of an event at most; what does not fit a send buffer
 * then is lost and counted, so nobody can make another wait.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "relay/binds.h"
#include "relay/udp.h"
#include "sys/sock/sock.h"

enum {
	UDP_OUT_SAID_MAX = 128, /* the longest that the relay says itself */
	UDP_OUT_COPIES_MAX = 128 << 10,
};

enum udp_out_what {
	UDP_OUT_SAID,    /* by the relay itself */
	UDP_OUT_CARRIED, /* DATA, where it was received */
	UDP_OUT_FETCHED, /* DATA made of what came elsewhere: a copy */
};

/* Embedded; zero but for what is borrowed, and @copies. */
struct udp_out {
	struct binds *binds;
	struct sock_batch *batch;
	struct udp_counters *counters;
	struct sock *sock; /* to send from; not to be changed while something waits */

	struct sock_msg msgs[SOCK_BATCH_MAX];
	enum udp_out_what what[SOCK_BATCH_MAX];
	size_t n;
	uint8_t said[SOCK_BATCH_MAX][UDP_OUT_SAID_MAX];
	uint8_t *copies; /* borrowed, UDP_OUT_COPIES_MAX bytes; NULL: udp_out_copy() is not used */
	size_t copied;
};

/* DATA to @to, which lies at @data with its head. Borrowed. */
struct sock_msg udp_out_data(const struct binds_way *to, uint8_t *data, size_t len);
/* Whether DATA carries a padded ping: that goes on as it came, in one piece. */
bool udp_out_is_whole(const uint8_t *data, size_t len);

/* A new message behind the others, to be filled in. Its data is borrowed until it is sent. */
struct sock_msg *udp_out_add(struct udp_out *out, enum udp_out_what what);

/*
 * One more DATA to where the last message goes, whose data it lies behind: as a part of that one,
 * if the kernel can cut it off again. Only the last part of what came can be shorter, and nothing
 * may be added behind that.
 */
void udp_out_extend(struct udp_out *out, uint8_t *data, size_t len);

/*
 * DATA from node @source to @to, with a copy of @data: 1 to UDPRELAY_PAYLOAD_MAX bytes. Those of
 * one way and one size become one message.
 */
void udp_out_copy(struct udp_out *out, const struct binds_way *to, uint32_t source,
	const uint8_t *data, size_t len);

/* Back to where @from came from, from where it went to. Copied; nothing if @len is 0. */
void udp_out_say(struct udp_out *out, const struct sock_msg *from, const uint8_t *data, size_t len);

/* All of it leaves, or is lost. */
void udp_out_flush(struct udp_out *out);
