/* udp-out: see udp-out.h. */
#include "relay/udp-out.h"

#include <assert.h>
#include <string.h>
#include <sys/socket.h>

#include "packet/bytes.h"
#include "wire/disco.h"
#include "wire/stun.h"
#include "wire/udprelay.h"

_Static_assert((int) UDPRELAY_REPLY_MAX <= UDP_OUT_SAID_MAX, "replies");
_Static_assert((int) STUN_ANSWER_MAX_LEN <= UDP_OUT_SAID_MAX, "replies");

/* --- what became of it --- */

static void count_sent(struct udp_out *out, size_t i)
{
	struct udp_counters *counters = out->counters;
	const struct sock_msg *msg = &out->msgs[i];
	uint64_t n = sock_msg_datagrams(msg) - msg->failed;

	counters->messages_out++;
	switch (out->what[i]) {
	case UDP_OUT_SAID:
		counters->fates[FATE_NOT_SENT] += msg->failed;
		counters->said += n;
		counters->said_bytes += msg->sent;
		return;
	case UDP_OUT_CARRIED:
		counters->fates[FATE_NOT_SENT] += msg->failed;
		counters->fates[FATE_CARRIED] += n;
		counters->carried_bytes += msg->sent;
		break;
	case UDP_OUT_FETCHED:
		counters->fetched_lost += msg->failed;
		counters->fetched += n;
		break;
	}
	if (msg->source_gone) /* the session stands behind the head */
		binds_local_gone(out->binds, be32_read(msg->data + 4));
}

static void count_lost(struct udp_out *out, size_t i)
{
	uint64_t *counter = out->what[i] == UDP_OUT_FETCHED
				    ? &out->counters->fetched_lost
				    : &out->counters->fates[FATE_BUFFER_FULL];

	*counter += sock_msg_datagrams(&out->msgs[i]);
}

/* A send buffer is full: what remains for it is lost, the other family's goes on. */
static void drop_family(struct udp_out *out, size_t from)
{
	uint8_t family = out->msgs[from].remote.addr.family;
	size_t kept = from;

	for (size_t i = from; i < out->n; i++) {
		if (out->msgs[i].remote.addr.family == family) {
			count_lost(out, i);
			continue;
		}
		out->what[kept] = out->what[i];
		out->msgs[kept++] = out->msgs[i];
	}
	out->n = kept;
}

void udp_out_flush(struct udp_out *out)
{
	size_t done = 0;

	while (done < out->n) {
		size_t n = sock_send(out->batch, out->sock, out->msgs + done, out->n - done);

		out->counters->calls_out++;
		for (size_t i = 0; i < n; i++)
			count_sent(out, done + i);
		done += n;
		if (done < out->n)
			drop_family(out, done);
	}
	out->n = 0;
	out->copied = 0;
}

/* --- what waits --- */

bool udp_out_is_whole(const uint8_t *data, size_t len)
{
	return len > UDPRELAY_DATA_HEAD_LEN &&
	       disco_is_padded(data + UDPRELAY_DATA_HEAD_LEN, len - UDPRELAY_DATA_HEAD_LEN);
}

struct sock_msg udp_out_data(const struct binds_way *to, uint8_t *data, size_t len)
{
	return (struct sock_msg){ .data = data,
		.len = len,
		.segment = len,
		.remote = to->remote,
		.local = to->local,
		.whole = udp_out_is_whole(data, len) };
}

struct sock_msg *udp_out_add(struct udp_out *out, enum udp_out_what what)
{
	if (out->n == SOCK_BATCH_MAX)
		udp_out_flush(out);
	out->what[out->n] = what;
	return &out->msgs[out->n++];
}

static bool may_extend(const struct udp_out *out, const struct sock_msg *last, size_t len)
{
	return (last->remote.addr.family == AF_INET ? out->sock->gso4 : out->sock->gso6) &&
	       sock_msg_datagrams(last) < SOCK_SEGMENTS_MAX && last->len + len <= SOCK_MESSAGE_MAX;
}

void udp_out_extend(struct udp_out *out, uint8_t *data, size_t len)
{
	struct sock_msg *last, next;
	enum udp_out_what what;

	assert(out->n > 0);
	last = &out->msgs[out->n - 1];
	what = out->what[out->n - 1];
	assert(last->data + last->len == data && len <= last->segment);
	if (may_extend(out, last, len)) {
		last->len += len;
		return;
	}
	next = *last;
	next.data = data;
	next.len = len;
	*udp_out_add(out, what) = next;
}

/* Does a copy of @len bytes with this head belong behind the last message? */
static bool is_next(const struct udp_out *out, const uint8_t *head, size_t len)
{
	const struct sock_msg *last = out->n ? &out->msgs[out->n - 1] : NULL;

	return last && out->what[out->n - 1] == UDP_OUT_FETCHED && !last->whole &&
	       last->len % last->segment == 0 && len <= last->segment &&
	       memcmp(last->data, head, UDPRELAY_DATA_HEAD_LEN) == 0;
}

void udp_out_copy(struct udp_out *out, const struct binds_way *to, uint32_t source,
	const uint8_t *data, size_t len)
{
	size_t size = UDPRELAY_DATA_HEAD_LEN + len;
	uint8_t head[UDPRELAY_DATA_HEAD_LEN], *copy;
	struct sock_msg *msg;

	if (out->n == SOCK_BATCH_MAX || out->copied + size > UDP_OUT_COPIES_MAX)
		udp_out_flush(out);
	udprelay_data_head(head, to->session, source);
	copy = out->copies + out->copied;
	out->copied += size;
	memcpy(copy, head, sizeof(head));
	memcpy(copy + sizeof(head), data, len);
	if (is_next(out, head, size) && !udp_out_is_whole(copy, size)) {
		udp_out_extend(out, copy, size);
		return;
	}
	msg = udp_out_add(out, UDP_OUT_FETCHED);
	*msg = udp_out_data(to, copy, size);
}

void udp_out_say(struct udp_out *out, const struct sock_msg *from, const uint8_t *data, size_t len)
{
	struct sock_msg *msg;

	if (len == 0)
		return;
	msg = udp_out_add(out, UDP_OUT_SAID);
	*msg = (struct sock_msg){ .data = out->said[out->n - 1],
		.len = len,
		.remote = from->remote,
		.local = from->local,
		.ifindex = from->ifindex };
	memcpy(msg->data, data, len);
}
