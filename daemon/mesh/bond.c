/*
 * bond: see bond.h. A BIND is due by itself, ever more seldom while none is answered. A COOKIE
 * hurries the next one, but only once for each of those: so a relay that never says BOUND, or
 * somebody who forges its words, gets two for one.
 */
#include "mesh/bond.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

#define US_PER_SECOND UINT64_C(1000000)

int bond_init(struct bond *b, const struct pair_self *self, uint32_t node,
	const uint8_t relay[static PAIR_KEY_LEN], uint64_t now_us)
{
	int r;

	*b = (struct bond){ .node = node, .next_us = now_us, .pause_us = BOND_FIRST_US };
	r = pair_relay_key(self, relay, b->key);
	if (r == 0)
		udprelay_hint(b->key, self->identity, b->hint_out);
	return r;
}

void bond_done(struct bond *b)
{
	sodium_memzero(b, sizeof(*b));
}

/* --- what is said --- */

static void note_sent(struct bond *b, uint64_t now_us, const struct bond_chance *chance)
{
	b->sent[b->next_sent].tx = chance->tx;
	b->sent[b->next_sent].at_us = now_us;
	memcpy(b->sent[b->next_sent].echo, chance->nonce, UDPRELAY_ECHO_LEN);
	b->next_sent = (b->next_sent + 1) % BOND_SENT;
	if (!b->silent_us)
		b->silent_us = now_us;
}

bool bond_bind(struct bond *b, uint64_t now_us, const struct bond_chance *chance,
	uint8_t ret[static UDPRELAY_BIND_LEN])
{
	const struct udprelay_bind bind = { .tx = chance->tx, .node = b->node };

	assert(chance->tx != 0);
	if (now_us < b->next_us)
		return false;
	udprelay_bind_seal(b->key, b->hint_out, b->cookie, chance->nonce, &bind, ret);
	note_sent(b, now_us, chance);
	b->next_us = now_us + b->pause_us;
	b->hurry = b->hurry == BOND_HURRY_NOW ? BOND_HURRY_DONE : BOND_HURRY_MAY;
	if (b->hurry == BOND_HURRY_MAY)
		b->pause_us = b->pause_us * 2 < BOND_SELDOM_US ? b->pause_us * 2 : BOND_SELDOM_US;
	return true;
}

uint64_t bond_deadline(const struct bond *b)
{
	return b->next_us;
}

void bond_moved(struct bond *b, uint64_t now_us)
{
	b->next_us = now_us;
	b->pause_us = BOND_FIRST_US;
	b->hurry = BOND_HURRY_MAY;
}

/* --- what is heard --- */

/* Only for a BIND of ours, which nobody knows who does not see our packets. */
static void take_cookie(struct bond *b, const struct udprelay_cookie *cookie, uint64_t now_us)
{
	bool ours = false;

	for (int i = 0; i < BOND_SENT; i++)
		ours = ours || (b->sent[i].tx && !memcmp(b->sent[i].echo, cookie->echo,
							 sizeof(cookie->echo)));
	if (!ours)
		return;
	memcpy(b->cookie, cookie->cookie, sizeof(b->cookie));
	b->asked_again = true;
	if (b->hurry != BOND_HURRY_MAY)
		return;
	b->hurry = BOND_HURRY_NOW;
	b->next_us = now_us;
}

/* Which BIND had the number @tx, BOND_SENT: none. */
static int find_sent(const struct bond *b, uint64_t tx)
{
	int i = 0;

	while (i < BOND_SENT && (!tx || b->sent[i].tx != tx))
		i++;
	return i;
}

static bool take_bound(struct bond *b, const struct udprelay_bound *bound, uint64_t now_us)
{
	uint64_t lifetime_us = bound->lifetime_s * US_PER_SECOND;
	int i = find_sent(b, bound->tx);

	if (i == BOND_SENT)
		return false;
	if (lifetime_us < BOND_LIFETIME_MIN_US)
		lifetime_us = BOND_LIFETIME_MIN_US;
	b->rtt_us = now_us - b->sent[i].at_us;
	b->until_us = b->sent[i].at_us + lifetime_us;
	memset(b->sent, 0, sizeof(b->sent));
	memcpy(b->cookie, bound->cookie, sizeof(b->cookie));
	b->session = bound->session;
	b->seen = bound->seen;
	b->silent_us = 0;
	b->asked_again = false;
	b->hurry = BOND_HURRY_MAY;
	b->pause_us = BOND_FIRST_US;
	b->next_us = now_us + (lifetime_us / 3 < BOND_AGAIN_US ? lifetime_us / 3 : BOND_AGAIN_US);
	return true;
}

void bond_doubt(struct bond *b, uint64_t now_us)
{
	uint64_t at_us = b->hinted_us + BOND_PAUSE_US;

	if (at_us < now_us)
		at_us = now_us;
	if (at_us >= b->next_us)
		return;
	b->hinted_us = at_us;
	b->next_us = at_us;
	b->pause_us = BOND_FIRST_US;
	b->hurry = BOND_HURRY_MAY;
}

bool bond_take(struct bond *b, const uint8_t *data, size_t len, uint64_t now_us)
{
	struct udprelay_cookie cookie;
	struct udprelay_bound bound;
	uint32_t session;

	if (udprelay_bound_open(b->key, data, len, &bound) == 0)
		return take_bound(b, &bound, now_us);
	if (udprelay_cookie_parse(data, len, &cookie) == 0)
		take_cookie(b, &cookie, now_us);
	else if (udprelay_unknown_parse(data, len, &session) == 0 && session &&
		 session == b->session)
		bond_doubt(b, now_us); /* whoever guessed the session may have said so */
	return false;
}

/* --- what is --- */

bool bond_is_bound(const struct bond *b, uint64_t now_us)
{
	return b->session && now_us < b->until_us;
}

uint64_t bond_silence_us(const struct bond *b, uint64_t now_us)
{
	return b->silent_us ? now_us - b->silent_us : 0;
}

bool bond_is_refused(const struct bond *b, uint64_t now_us)
{
	return b->asked_again && !bond_is_bound(b, now_us);
}
