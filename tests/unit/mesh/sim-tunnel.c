/*
 * WireGuard's timers (wg/timers.h), as far as the tunnel tells of them, and where it hears a peer.
 */
#include "sim-board-internal.h"

#define QUIET_US     (800 * MS)    /* WG_QUIET_US */
#define LOST_US      (15 * SECOND) /* WG_UNANSWERED_US */
#define KEEPALIVE_US (10 * SECOND)
#define HEARD_US     SECOND

void sim_board_silent(struct sim_board *b, unsigned i, uint64_t doubt)
{
	struct sim_peer *peer = &b->peers[i];

	if (!board_works(b) || peer->doubt != doubt)
		return;
	peer->asked = false; /* told again for what is sent from now on */
	if (board_now(b) < peer->lost_us) {
		ways_quiet(&peer->ways, board_now(b));
		board_later(b, SIM_SILENT, i, ++peer->doubt, peer->lost_us - board_now(b));
	} else {
		ways_doubt(&peer->ways, board_now(b));
		peer->lost_us = 0;
	}
	finder_missed(b, peer);
	finder_run(b);
}

static void flows(struct sim_board *b, struct sim_peer *peer)
{
	if (peer->active_us && board_now(b) - peer->active_us < WAYS_ACTIVE_US / 2)
		return;
	peer->active_us = board_now(b);
	ways_active(&peer->ways, board_now(b));
}

static void sent(struct sim_board *b, unsigned i)
{
	struct sim_peer *peer = &b->peers[i];

	if (peer->asked)
		return;
	peer->asked = true;
	if (!peer->lost_us)
		peer->lost_us = board_now(b) + LOST_US;
	board_later(b, SIM_SILENT, i, ++peer->doubt,
		board_now(b) + QUIET_US < peer->lost_us ? QUIET_US : peer->lost_us - board_now(b));
}

void sim_board_send(struct sim_board *b, unsigned i)
{
	struct sim_peer *peer = &b->peers[i];
	struct sim_packet data;

	if (!board_works(b) || sim_board_is_held(b))
		return;
	flows(b, peer);
	if (peer->told.addr.family) {
		peer->owes = false;
		sent(b, i);
		data = board_packet(b, i, SIM_DATA, &peer->told);
		board_put_out(b, &data);
	}
	finder_run(b);
}

void sim_board_keep(struct sim_board *b, unsigned i, uint64_t debt)
{
	struct sim_peer *peer = &b->peers[i];
	struct sim_packet keepalive;

	if (!board_works(b) || !peer->owes || peer->debt != debt)
		return;
	peer->owes = false;
	keepalive = board_packet(b, i, SIM_KEEPALIVE, &peer->told);
	if (peer->told.addr.family)
		board_put_out(b, &keepalive);
}

static void note_heard(struct sim_board *b, struct sim_peer *peer, const struct endpoint *from)
{
	if (endpoint_equal(from, &peer->told) ||
		(endpoint_equal(from, &peer->heard) && board_now(b) - peer->heard_us < HEARD_US))
		return;
	peer->heard = *from;
	peer->heard_us = board_now(b);
	ways_quiet(&peer->ways, board_now(b));
	ways_heard(&peer->ways, from, board_now(b));
}

void tunnel_take(struct sim_board *b, const struct sim_packet *p)
{
	struct sim_peer *peer = &b->peers[p->sender];

	peer->asked = false;
	peer->doubt++;
	peer->lost_us = 0;
	note_heard(b, peer, &p->from);
	flows(b, peer);
	if (p->kind == SIM_DATA && !peer->owes) {
		peer->owes = true;
		board_later(b, SIM_KEEPS, p->sender, ++peer->debt, KEEPALIVE_US);
	}
	if (p->kind == SIM_DATA)
		b->hooks->delivered(
			b->ctx, b->number, p->sender, ip_addr_is_loopback(&p->from.addr));
}
