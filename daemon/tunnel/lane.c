/*
 * A lane's memory, all of which is mapped once, and its meetings with the other lanes: once per
 * round it takes what was left for it and shows what it has counted. With one lane there is nobody
 * to meet.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include "base/cleanup.h"
#include "tunnel/internal.h"

struct lane *lane_new(struct tunnel *t, unsigned number)
{
	struct lane *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	l->tunnel = t;
	l->number = number;
	l->wake_fd = l->tun_fd = -1;
	l->sock.fd4 = l->sock.fd6 = l->fresh.fd4 = l->fresh.fd6 = -1;
	l->intake4.want = l->intake6.want = SUPER_SLOTS;
	return l;
}

struct lane *lane_free(struct lane *l)
{
	if (!l)
		return NULL;
	l->aead = aead_free(l->aead);
	l->batch = sock_batch_free(l->batch);
	sock_close(&l->sock);
	sock_close(&l->fresh);
	ring_close(&l->events);
	if (l->area)
		(void) munmap(l->area, l->area_len);
	close_p(&l->tun_fd);
	close_p(&l->wake_fd);
	free(l);
	return NULL;
}

static int map_area(struct lane *l)
{
	uint8_t *at;

	l->area_len = (size_t) BATCH * SLOT_LEN + 2 * OUTBOX_LEN + READ_AREA;
	at = mmap(NULL, l->area_len, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (at == MAP_FAILED)
		return -errno;
	l->area = at;
	l->outbox.data = at;
	l->late.data = at + OUTBOX_LEN;
	at += (size_t) 2 * OUTBOX_LEN;
	for (size_t i = 0; i < BATCH; i++, at += SLOT_LEN)
		l->in_slots[i] = at;
	l->read_area = at;
	return 0;
}

int lane_open_memory(struct lane *l, struct err *err)
{
	int r = map_area(l);

	errno = -r;
	if (r < 0)
		return err_set(err, r, "map %zu bytes for packets: %m", l->area_len);
	l->batch = sock_batch_new();
	if (!l->batch)
		return err_set(err, -ENOMEM, "out of memory");
	l->aead = aead_new();
	if (!l->aead)
		return err_set(err, -ENOSYS, "libcrypto does not offer ChaCha20-Poly1305");
	coalesce_init(&l->coalesce, l->tunnel->tun.tso, l->tunnel->tun.uso, inbound_write, l);
	return 0;
}

void lane_wake(struct lane *l)
{
	(void) eventfd_write(l->wake_fd, 1); /* fails only at 2^64-1 */
}

static void take_sock(struct lane *l, const struct sock *sock)
{
	sock_close(&l->sock);
	l->sock = *sock;
}

void lane_give_sock(struct lane *l, const struct sock *sock)
{
	assert(lane_runs_here(l->tunnel->lanes[0]));
	if (l->number == 0 || l->ended) {
		take_sock(l, sock);
		return;
	}
	if (l->moving)
		sock_close(&l->fresh);
	else
		l->tunnel->n_moving++;
	l->moving = true;
	l->fresh = *sock;
	lane_wake(l);
}

void lane_await_moves(struct lane *l)
{
	struct tunnel *t = l->tunnel;

	while (t->n_moving > 0)
		(void) pthread_cond_wait(&t->moved, &t->engine);
	t->at_work = l;
}

static void take_fresh(struct lane *l)
{
	struct tunnel *t = l->tunnel;

	if (!l->moving)
		return;
	take_sock(l, &l->fresh);
	l->fresh.fd4 = l->fresh.fd6 = -1;
	l->moving = false;
	t->n_moving--;
	(void) pthread_cond_signal(&t->moved);
}

void lane_meet_others(struct lane *l)
{
	const struct tunnel *t = l->tunnel;

	take_fresh(l);
	if (l->routes != t->routes)
		sock_gso_again(&l->sock); /* as path_note_change() for lane 0 */
	l->routes = t->routes;
	l->mtu = t->mtu;
	l->stop = l->stop || t->halt;
	l->counted = l->counters;
}
