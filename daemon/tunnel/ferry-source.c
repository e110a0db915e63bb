/*
 * Batches from a socket. Super-frames fill their slots, and memory that was touched stays: a few
 * are asked for, and more only where nothing but single datagrams come, and many.
 */
#include <linux/sock_diag.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "tunnel/ferry-internal.h"

enum { WANT_LEAST = 4, WANT_STEP = 4 };

static bool has_super(const struct ferry *f, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (sock_msg_datagrams(&f->msgs[i]) > 1)
			return true;
	return false;
}

static void note_intake(const struct ferry *f, struct source *s, size_t got)
{
	if (has_super(f, got))
		s->want = WANT_LEAST;
	else if (got == s->want && got * WANT_STEP <= FERRY_SLOTS)
		s->want *= WANT_STEP;
	else if (got * WANT_STEP < s->want && s->want > WANT_LEAST)
		s->want /= WANT_STEP;
}

int ferry_receive(struct ferry *f, struct source *s)
{
	int n;

	if (s->want == 0)
		s->want = WANT_LEAST;
	for (size_t i = 0; i < s->want; i++)
		f->msgs[i].data = f->area + i * FERRY_SLOT_LEN;
	n = sock_recv(f->batch, s->sock.fd, f->msgs, s->want, FERRY_CAPACITY);
	if (n > 0)
		note_intake(f, s, (size_t) n);
	return n;
}

uint64_t ferry_source_lost(const struct source *s)
{
	uint32_t info[SK_MEMINFO_VARS] = { 0 };
	socklen_t len = sizeof(info);

	if (getsockopt(s->sock.fd, SOL_SOCKET, SO_MEMINFO, info, &len) < 0 ||
		len <= SK_MEMINFO_DROPS * sizeof(info[0]))
		return 0;
	return info[SK_MEMINFO_DROPS];
}
