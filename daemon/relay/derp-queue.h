/*
 * derp-queue: what waits to be sent to one client of the relay. Deep enough to fill a line of 300
 * Mbit/s at 50 ms (1.9 MB), and kept short all the same:
 *
 *   - each sender has a sub-queue; they take turns by bytes, and one that has little to say goes
 *     first (deficit round robin with new flows, as in RFC 8290);
 *   - a sub-queue in which packets wait too long loses some (CoDel, RFC 8289), so that the TCP
 *     inside notices; what has waited for a second is of no use to anybody;
 *   - a client may hold DERP_QUEUE_BYTES_MAX, and never more than what is left of the pool that all
 *     share: one who reads nothing leaves room for the others, however many do so. Then the sender
 *     who holds most loses the oldest.
 *
 * Memory is held for what waits, and for a second after that. Pure: the caller passes the time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DERP_QUEUE_TARGET_US   UINT64_C(5000)
#define DERP_QUEUE_INTERVAL_US UINT64_C(100000)
#define DERP_QUEUE_STALE_US    UINT64_C(1000000)
#define DERP_QUEUE_IDLE_US     UINT64_C(1000000) /* a sender is remembered for so long */

enum {
	DERP_QUEUE_BYTES_MAX = 4 << 20,
	DERP_QUEUE_FLOWS_MAX = 256, /* senders of one client at once */
	DERP_QUEUE_QUANTUM = 2048,
};

/* Why a packet was dropped. */
enum derp_drop {
	DERP_DROP_FULL,   /* the client's share, or the pool */
	DERP_DROP_SLOW,   /* CoDel */
	DERP_DROP_STALE,  /* waited for a second */
	DERP_DROP_GONE,   /* the client went */
	DERP_DROP_MEMORY, /* out of memory */
	DERP_DROPS,
};

/* Shared by all queues; @max set, the rest zero. */
struct derp_pool {
	size_t max, used; /* bytes, with what it takes to keep them */
	uint64_t drops[DERP_DROPS];
	uint64_t taken, delay_us, delay_max_us; /* packets that were sent; how long they waited */
};

struct derp_packet {
	struct derp_packet *next;
	uint64_t since_us;
	size_t len;
	uint8_t data[];
};

struct derp_flow;
struct derp_flows {
	struct derp_flow *first, *last;
};

struct derp_queue {
	struct derp_pool *pool; /* borrowed */
	struct derp_flows fresh, old, idle;
	unsigned n_flows;
	size_t bytes; /* as the pool counts */
};

void derp_queue_init(struct derp_queue *queue, struct derp_pool *pool);
void derp_queue_done(struct derp_queue *queue);

static inline bool derp_queue_is_empty(const struct derp_queue *queue)
{
	return queue->bytes == 0;
}

/*
 * Copies a packet of two parts behind those of the same @sender (a number that stands for one).
 * False: it is dropped instead, and counted.
 */
bool derp_queue_put(struct derp_queue *queue, uint64_t sender, const uint8_t *head, size_t head_len,
	const uint8_t *data, size_t len, uint64_t now_us);

/* The next one to be sent, NULL: none. Give it back with derp_packet_free(). */
struct derp_packet *derp_queue_take(struct derp_queue *queue, uint64_t now_us);
struct derp_packet *derp_packet_free(struct derp_packet *packet);

/* Forgets senders that have had nothing waiting for a while. True: some are left to forget. */
bool derp_queue_tidy(struct derp_queue *queue, uint64_t now_us);
