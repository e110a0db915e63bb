/*
 * binds: see binds.h. Entries lie sorted by node number. Sessions are drawn so that each has a
 * place of its own in a table that is indexed by its low bits: finding one is one look.
 */
#include "relay/binds.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "mesh/table.h"
#include "packet/bytes.h"

enum { PLACES_MIN = 64 }; /* a power of two */

struct entry {
	struct binds_way way; /* session 0: not bound */
	uint64_t until_us;    /* bound for so long */
	uint64_t absent_us;   /* when it was last told ABSENT */
	uint64_t turn;
	uint8_t identity[NODE_KEY_LEN];
	bool by_derp; /* what it sent last came so, since it was bound here */
	bool asked;   /* binds_derive() has been here */
	bool keyed;   /* the rest is there */
	uint8_t key[PAIR_KEY_LEN];
	uint8_t hint[UDPRELAY_HINT_LEN], relay_hint[UDPRELAY_HINT_LEN];
};

struct binds {
	const uint8_t *secret, *key;
	struct strangers *strangers;

	struct entry *entries; /* sorted by way.node */
	size_t n, derived;     /* the first @derived of them have been asked */
	struct table hints;    /* index + 1 */
	uint32_t *places;      /* index + 1 of the entry that has the session, or 0 */
	size_t n_places;       /* a power of two, at least four times @n */
	uint64_t turns;

	/* A cookie's lowest bit tells which one made it. */
	uint8_t cookie_secrets[2][crypto_generichash_KEYBYTES];
	unsigned current;
	uint64_t current_since_us; /* 0: there is none yet */
};

static void free_entries(struct entry *entries, size_t n)
{
	if (entries)
		sodium_memzero(entries, n * sizeof(*entries));
	free(entries);
}

struct binds *binds_new(const uint8_t *secret, const uint8_t *key, struct strangers *strangers)
{
	struct binds *binds = calloc(1, sizeof(*binds));

	if (!binds)
		return NULL;
	binds->secret = secret;
	binds->key = key;
	binds->strangers = strangers;
	binds->hints.key_len = UDPRELAY_HINT_LEN;
	binds->places = calloc(PLACES_MIN, sizeof(*binds->places));
	binds->n_places = PLACES_MIN;
	return binds->places ? binds : binds_free(binds);
}

struct binds *binds_free(struct binds *binds)
{
	if (!binds)
		return NULL;
	free_entries(binds->entries, binds->n);
	table_done(&binds->hints);
	free(binds->places);
	sodium_memzero(binds, sizeof(*binds));
	free(binds);
	return NULL;
}

/* --- sessions --- */

static uint32_t *place_of(const struct binds *binds, uint32_t session)
{
	return &binds->places[session & (binds->n_places - 1)];
}

static struct entry *by_session(const struct binds *binds, uint32_t session)
{
	uint32_t at = *place_of(binds, session);
	struct entry *entry = at ? &binds->entries[at - 1] : NULL;

	return entry && entry->way.session == session ? entry : NULL;
}

static void unbind(struct binds *binds, struct entry *entry)
{
	if (!entry->way.session)
		return;
	*place_of(binds, entry->way.session) = 0;
	entry->way.session = 0;
	entry->turn = ++binds->turns;
}

static bool is_over(const struct entry *entry, uint64_t now_us)
{
	return entry->way.session && now_us >= entry->until_us;
}

/* Ends what is over. NULL, and one that is not bound: NULL. */
static struct entry *still_bound(struct binds *binds, struct entry *entry, uint64_t now_us)
{
	if (entry && is_over(entry, now_us))
		unbind(binds, entry);
	return entry && entry->way.session ? entry : NULL;
}

/* Not one in four places is taken: two draws do as a rule. */
static void draw_session(struct binds *binds, struct entry *entry)
{
	uint32_t session;

	do
		session = randombytes_random();
	while (session == 0 || *place_of(binds, session) != 0);
	entry->way.session = session;
	*place_of(binds, session) = (uint32_t) (entry - binds->entries) + 1;
}

/* --- who the members are --- */

static int compare_nodes(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	return x->way.node < y->way.node ? -1 : x->way.node > y->way.node;
}

static struct entry *by_node(const struct binds *binds, uint32_t node)
{
	const struct entry key = { .way.node = node };

	return binds->n ? bsearch(&key, binds->entries, binds->n, sizeof(key), compare_nodes)
			: NULL;
}

static struct entry *by_hint(const struct binds *binds, const uint8_t *hint)
{
	uint32_t at = table_get(&binds->hints, hint);

	return at && binds->entries[at - 1].keyed ? &binds->entries[at - 1] : NULL;
}

static bool is_of(const struct entry *entry, const struct relay_member *member)
{
	return member && memcmp(entry->identity, member->identity, NODE_KEY_LEN) == 0;
}

/* What all tables need for @n members. */
struct room {
	struct entry *entries;
	uint32_t *places;
	size_t n_places;
	struct table hints;
};

static void room_done(struct room *room)
{
	free(room->entries);
	free(room->places);
	table_done(&room->hints);
}

/* More places than before keep sessions apart that were apart; fewer would not. */
static int room_init(const struct binds *binds, size_t n, struct room *ret)
{
	ret->n_places = binds->n_places;
	while (ret->n_places < 4 * n)
		ret->n_places *= 2;
	ret->entries = calloc(n + 1, sizeof(*ret->entries));
	ret->places = calloc(ret->n_places, sizeof(*ret->places));
	ret->hints.key_len = UDPRELAY_HINT_LEN;
	return ret->entries && ret->places ? table_reserve(&ret->hints, n) : -ENOMEM;
}

/* The tables speak of places in the list, which are others now. */
static void move_in(struct binds *binds, struct room *room, size_t n)
{
	free_entries(binds->entries, binds->n);
	free(binds->places);
	table_done(&binds->hints);
	binds->entries = TAKE(room->entries);
	binds->places = TAKE(room->places);
	binds->n_places = room->n_places;
	binds->hints = room->hints;
	room->hints = (struct table){ 0 };
	binds->n = n;
	binds->derived = 0;
	for (size_t i = 0; i < n; i++) {
		const struct entry *entry = &binds->entries[i];

		if (entry->way.session)
			*place_of(binds, entry->way.session) = (uint32_t) i + 1;
		if (entry->keyed)
			table_set(&binds->hints, entry->hint, (uint32_t) i + 1);
	}
}

/* What is left of it is nobody's, and nobody is taken for it. */
static void expel(struct binds *binds, struct entry *entry)
{
	unbind(binds, entry);
	entry->asked = true;
	entry->keyed = false;
	sodium_memzero(entry->identity, sizeof(entry->identity));
	sodium_memzero(entry->key, sizeof(entry->key));
}

int binds_follow(struct binds *binds, const struct members *members)
{
	CLEANUP(room_done) struct room room = { 0 };
	const struct relay_member *list;
	size_t n;
	int r;

	for (size_t i = 0; i < binds->n; i++) {
		struct entry *entry = &binds->entries[i];

		if (!is_of(entry, members_by_id(members, entry->way.node)))
			expel(binds, entry);
	}
	list = members_list(members, &n);
	r = room_init(binds, n, &room);
	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++) {
		const struct entry *old = by_node(binds, list[i].id);

		if (old && is_of(old, &list[i])) {
			room.entries[i] = *old;
			continue;
		}
		room.entries[i].way.node = list[i].id;
		room.entries[i].turn = ++binds->turns;
		memcpy(room.entries[i].identity, list[i].identity, NODE_KEY_LEN);
	}
	move_in(binds, &room, n);
	return 0;
}

/* A member whose key is no usable point has none, and cannot bind. */
static void derive(struct binds *binds, struct entry *entry)
{
	entry->asked = true;
	if (pair_member_key(binds->secret, binds->key, entry->identity, entry->key) < 0)
		return;
	udprelay_hint(entry->key, entry->identity, entry->hint);
	udprelay_hint(entry->key, binds->key, entry->relay_hint);
	table_set(&binds->hints, entry->hint, (uint32_t) (entry - binds->entries) + 1);
	entry->keyed = true;
}

bool binds_derive(struct binds *binds, unsigned n)
{
	for (; binds->derived < binds->n; binds->derived++) {
		struct entry *entry = &binds->entries[binds->derived];

		if (entry->asked)
			continue;
		if (n-- == 0)
			return true;
		derive(binds, entry);
	}
	return false;
}

void binds_drop_denied(struct binds *binds)
{
	for (size_t i = 0; i < binds->n; i++)
		if (strangers_denied(binds->strangers, &binds->entries[i].way.remote.addr))
			unbind(binds, &binds->entries[i]);
}

void binds_local_gone(struct binds *binds, uint32_t session)
{
	struct entry *entry = by_session(binds, session);

	if (entry)
		entry->way.local = (struct ip_addr){ 0 };
}

bool binds_has(const struct binds *binds, uint32_t node, uint64_t now_us, struct ip_addr *ret_from)
{
	const struct entry *entry = by_node(binds, node);

	if (!entry || !entry->way.session || is_over(entry, now_us))
		return false;
	if (ret_from)
		*ret_from = entry->way.remote.addr;
	return true;
}

size_t binds_count(const struct binds *binds, uint64_t now_us)
{
	size_t n = 0;

	for (size_t i = 0; i < binds->n; i++)
		n += binds->entries[i].way.session && !is_over(&binds->entries[i], now_us);
	return n;
}

/* --- cookies --- */

static void turn_secrets(struct binds *binds, uint64_t now_us)
{
	const uint64_t period_us = BINDS_COOKIE_S * USEC_PER_SEC;
	uint64_t age_us = now_us - binds->current_since_us;

	if (binds->current_since_us && age_us < period_us)
		return;
	if (binds->current_since_us && age_us < 2 * period_us) {
		binds->current ^= 1;
		randombytes_buf(
			binds->cookie_secrets[binds->current], sizeof(binds->cookie_secrets[0]));
		binds->current_since_us += period_us;
		return;
	}
	randombytes_buf(binds->cookie_secrets, sizeof(binds->cookie_secrets));
	binds->current_since_us = now_us;
}

/* @turn is a member's at that time and no other's. 0: of no member, to whom it is of no use. */
static void make_cookie(const struct binds *binds, unsigned which, const struct endpoint *from,
	uint64_t turn, uint8_t ret[static UDPRELAY_COOKIE_LEN])
{
	uint8_t text[1 + 16 + 2 + 4 + 8];

	text[0] = from->addr.family;
	memcpy(text + 1, from->addr.bytes, 16);
	be16_write(text + 17, from->port);
	be32_write(text + 19, from->scope);
	be64_write(text + 23, turn);
	(void) crypto_generichash(ret, UDPRELAY_COOKIE_LEN, text, sizeof(text),
		binds->cookie_secrets[which], sizeof(binds->cookie_secrets[which]));
	ret[0] = (uint8_t) ((ret[0] & ~1U) | which);
}

static bool cookie_is_right(const struct binds *binds, const struct udprelay_bind_head *head,
	const struct endpoint *from, uint64_t turn)
{
	uint8_t right[UDPRELAY_COOKIE_LEN];

	if (sodium_is_zero(head->cookie, UDPRELAY_COOKIE_LEN))
		return false;
	make_cookie(binds, head->cookie[0] & 1, from, turn, right);
	return sodium_memcmp(right, head->cookie, sizeof(right)) == 0;
}

/* --- BIND --- */

static enum fate give_cookie(struct binds *binds, const struct udprelay_bind_head *head,
	const struct endpoint *from, uint64_t turn, uint64_t now_us, struct binds_reply *ret_reply)
{
	struct udprelay_cookie cookie;

	if (!strangers_may(binds->strangers, STRANGERS_COOKIE, &from->addr, now_us))
		return FATE_PACED;
	memcpy(cookie.echo, head->nonce, sizeof(cookie.echo));
	make_cookie(binds, binds->current, from, turn, cookie.cookie);
	udprelay_cookie_format(&cookie, ret_reply->data);
	ret_reply->len = UDPRELAY_COOKIE_MSG_LEN;
	return FATE_COOKIE;
}

/* @from has echoed a cookie, and the member has sealed it. */
static void bind_entry(struct binds *binds, struct entry *entry, const struct endpoint *from,
	const struct ip_addr *local, uint64_t now_us)
{
	bool bound = still_bound(binds, entry, now_us) != NULL;

	if (!bound)
		draw_session(binds, entry);
	if (!bound || !endpoint_equal(&entry->way.remote, from)) {
		entry->turn = ++binds->turns;
		entry->by_derp = false;
	}
	entry->way.remote = *from;
	entry->way.local = *local;
	entry->until_us = now_us + BINDS_LIFETIME_S * USEC_PER_SEC;
}

static void tell_bound(
	struct binds *binds, const struct entry *entry, uint64_t tx, struct binds_reply *ret_reply)
{
	struct udprelay_bound bound = { .tx = tx,
		.session = entry->way.session,
		.lifetime_s = BINDS_LIFETIME_S,
		.seen = entry->way.remote };
	uint8_t nonce[UDPRELAY_NONCE_LEN];

	randombytes_buf(nonce, sizeof(nonce));
	make_cookie(binds, binds->current, &entry->way.remote, entry->turn, bound.cookie);
	udprelay_bound_seal(entry->key, entry->relay_hint, nonce, &bound, ret_reply->data);
	ret_reply->len = UDPRELAY_BOUND_LEN;
}

enum fate binds_bind(struct binds *binds, const uint8_t data[static UDPRELAY_BIND_LEN],
	const struct endpoint *from, const struct ip_addr *local, uint64_t now_us,
	struct binds_reply *ret_reply)
{
	struct udprelay_bind_head head = udprelay_bind_head(data);
	struct entry *entry = by_hint(binds, head.hint);
	struct udprelay_bind bind;

	ret_reply->len = 0;
	if (strangers_denied(binds->strangers, &from->addr))
		return FATE_DENIED;
	turn_secrets(binds, now_us);
	(void) still_bound(binds, entry, now_us); /* if it is not, its turn is another */
	if (!cookie_is_right(binds, &head, from, entry ? entry->turn : 0))
		return give_cookie(binds, &head, from, entry ? entry->turn : 0, now_us, ret_reply);
	if (!entry)
		return FATE_STRANGER;
	if (udprelay_bind_open(entry->key, data, UDPRELAY_BIND_LEN, &bind) < 0 ||
		bind.node != entry->way.node)
		return FATE_FORGED;
	bind_entry(binds, entry, from, local, now_us);
	tell_bound(binds, entry, bind.tx, ret_reply);
	return FATE_BOUND;
}

/* --- DATA --- */

static enum fate tell_unknown(struct binds *binds, enum fate fate, uint32_t session,
	const struct endpoint *from, uint64_t now_us, struct binds_reply *ret_reply)
{
	if (!strangers_may(binds->strangers, STRANGERS_UNKNOWN, &from->addr, now_us))
		return FATE_PACED;
	udprelay_unknown_format(session, ret_reply->data);
	ret_reply->len = UDPRELAY_UNKNOWN_LEN;
	return fate;
}

enum fate binds_route(struct binds *binds, uint32_t session, uint32_t node,
	const struct endpoint *from, uint64_t now_us, const struct binds_way **ret_to,
	uint32_t *ret_source, struct binds_reply *ret_reply)
{
	struct entry *sender = still_bound(binds, by_session(binds, session), now_us);
	const struct entry *to;

	ret_reply->len = 0;
	if (!sender)
		return tell_unknown(binds, FATE_UNKNOWN, session, from, now_us, ret_reply);
	if (!endpoint_equal(&sender->way.remote, from))
		return tell_unknown(binds, FATE_ELSEWHERE, session, from, now_us, ret_reply);
	sender->by_derp = false;
	if (node == sender->way.node)
		return FATE_TO_SELF;
	to = still_bound(binds, by_node(binds, node), now_us);
	*ret_to = to ? &to->way : NULL;
	*ret_source = sender->way.node;
	return to && !to->by_derp ? FATE_CARRIED : FATE_BRIDGED;
}

const struct binds_way *binds_reach(
	struct binds *binds, uint32_t from, uint32_t to, bool connected, uint64_t now_us)
{
	struct entry *sender = by_node(binds, from);
	const struct entry *entry = still_bound(binds, by_node(binds, to), now_us);

	if (sender)
		sender->by_derp = true;
	return entry && !(connected && entry->by_derp) ? &entry->way : NULL;
}

void binds_came(struct binds *binds, uint32_t node)
{
	struct entry *entry = by_node(binds, node);

	if (entry)
		entry->by_derp = true;
}

const struct binds_way *binds_absent(struct binds *binds, uint32_t member, uint32_t node,
	uint64_t now_us, struct binds_reply *ret_reply)
{
	struct entry *entry = still_bound(binds, by_node(binds, member), now_us);

	ret_reply->len = 0;
	if (!entry)
		return NULL;
	if (entry->absent_us && now_us - entry->absent_us < BINDS_ABSENT_EVERY_S * USEC_PER_SEC)
		return NULL;
	entry->absent_us = now_us;
	udprelay_absent_format(entry->way.session, node, ret_reply->data);
	ret_reply->len = UDPRELAY_ABSENT_LEN;
	return &entry->way;
}
