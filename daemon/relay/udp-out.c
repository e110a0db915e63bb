/* udp-out: see udp-out.h. */
#include "relay/udp-out.h"

#include <assert.h>
#include <string.h>
#include <sys/socket.h>

#include "packet/bytes.h"
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
	counters->fates[FATE_NOT_SENT] += msg->failed;
	if (out->what[i] == UDP_OUT_SAID) {
		counters->said += n;
		counters->said_bytes += msg->sent;
		return;
	}
	counters->fates[FATE_CARRIED] += n;
	counters->carried_bytes += msg->sent;
	if (msg->source_gone) /* the session stands behind the head */
		binds_local_gone(out->binds, be32_read(msg->data + 4));
}

/* A send buffer is full: what remains for it is lost, the other family's goes on. */
static void drop_family(struct udp_out *out, size_t from)
{
	uint8_t family = out->msgs[from].remote.addr.family;
	size_t kept = from;

	for (size_t i = from; i < out->n; i++) {
		if (out->msgs[i].remote.addr.family == family) {
			out->counters->fates[FATE_BUFFER_FULL] += sock_msg_datagrams(&out->msgs[i]);
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
}

/* --- what waits --- */

struct sock_msg *udp_out_add(struct udp_out *out, enum udp_out_what what)
{
	if (out->n == SOCK_BATCH_MAX)
		udp_out_flush(out);
	out->what[out->n] = what;
	return &out->msgs[out->n++];
}

static bool may_extend(const struct udp_out *out, const struct sock_msg *last)
{
	return (last->remote.addr.family == AF_INET ? out->sock->gso4 : out->sock->gso6) &&
	       sock_msg_datagrams(last) < SOCK_SEGMENTS_MAX;
}

void udp_out_extend(struct udp_out *out, uint8_t *data, size_t len)
{
	struct sock_msg *last, next;
	enum udp_out_what what;

	assert(out->n > 0);
	last = &out->msgs[out->n - 1];
	what = out->what[out->n - 1];
	assert(last->data + last->len == data && len <= last->segment);
	if (may_extend(out, last)) {
		last->len += len;
		return;
	}
	next = *last;
	next.data = data;
	next.len = len;
	*udp_out_add(out, what) = next;
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
