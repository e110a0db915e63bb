/* derp-members: see derp-internal.h. */
#include "relay/derp-internal.h"

#include <string.h>

/* It is not to be found by its key any more. */
static void unlist(struct derp_conn *c)
{
	if (c->listed)
		derp_table_remove(&c->derp->table, c);
	c->listed = false;
}

static struct derp_conn *find_node(const struct derp *d, uint32_t node)
{
	const struct relay_member *member = members_by_id(d->core->members, node);

	return member ? derp_table_find(&d->table, member->wg) : NULL;
}

/* Whoever has had to do with it lately needs no longer send here. */
static void tell_gone(struct derp_conn *c)
{
	struct derp *d = c->derp;

	if (d->hooks && d->hooks->has(d->ctx, c->node, d->now_us))
		return;
	for (size_t i = 0; i < DERP_CONN_PARTNERS && c->partners[i]; i++) {
		struct derp_conn *other = find_node(d, c->partners[i]);

		if (other) {
			derp_client_say_gone(
				&other->client, c->client.key, DERP_GONE_DISCONNECTED, d->now_us);
			derp_touch(other);
		} else if (d->hooks) {
			d->hooks->say_gone(d->ctx, c->partners[i], c->node, d->now_us);
		}
	}
}

void derp_member_left(struct derp_conn *c)
{
	if (!c->listed)
		return;
	unlist(c);
	tell_gone(c);
}

/* The newest wins: the other one is, as a rule, what is left of a network that it has left. */
static void replace(struct derp_conn *old, struct derp_conn *c)
{
	unlist(old);
	memcpy(c->partners, old->partners, sizeof(c->partners));
	derp_client_end(&old->client, DERP_END_REPLACED,
		"another connection came with this key, and has taken its place", c->derp->now_us);
	derp_touch(old);
}

static enum derp_end on_login(void *ctx, struct derp_client *client)
{
	struct derp_conn *c = ctx;
	struct derp *d = c->derp;
	struct derp_conn *old = derp_table_find(&d->table, client->key);
	const struct relay_member *member = members_by_wg(d->core->members, client->key);

	if (!member)
		return DERP_END_STRANGER;
	if (!old && d->table.n >= d->clients_max)
		return DERP_END_FULL;
	if (old)
		replace(old, c);
	derp_table_put(&d->table, c);
	c->listed = c->proved = true;
	c->node = member->id;
	derp_unlink(c);
	derp_link(c, &d->known);
	door_proved(d->door, &c->addr, d->now_us);
	if (d->hooks)
		d->hooks->came(d->ctx, c->node);
	d->counters.logins++;
	return DERP_END_NOT;
}

/* The member with the key @to, where he is @connected (or NULL); 0: there is none. */
static uint32_t node_of(const struct derp *d, const uint8_t to[static DERP_KEY_LEN],
	const struct derp_conn *connected)
{
	const struct relay_member *member = connected ? NULL : members_by_wg(d->core->members, to);

	return connected ? connected->node : member ? member->id : 0;
}

/* What goes elsewhere. */
static bool deliver(struct derp_conn *c, uint32_t to, const struct derp_conn *connected,
	const uint8_t *data, size_t len)
{
	struct derp *d = c->derp;

	if (!d->hooks || !to || to == c->node)
		return false;
	return d->hooks->deliver(d->ctx, c->node, to, connected != NULL, data, len, d->now_us);
}

static void on_packet(void *ctx, struct derp_client *client, const uint8_t to[static DERP_KEY_LEN],
	const uint8_t *data, size_t len)
{
	struct derp_conn *c = ctx;
	struct derp *d = c->derp;
	struct derp_conn *other = derp_table_find(&d->table, to);
	uint32_t node = node_of(d, to, other);
	bool elsewhere = deliver(c, node, other, data, len);

	d->counters.packets_in++;
	d->counters.bytes_in += len;
	if (!other && !elsewhere) {
		d->counters.not_here++;
		derp_client_say_gone(client, to, DERP_GONE_NOT_HERE, d->now_us);
		return;
	}
	derp_conn_note(c, node);
	if (!other)
		return;
	derp_conn_note(other, c->node);
	if (elsewhere)
		return;
	(void) derp_client_put(&other->client, client->key, data, len, d->now_us);
	derp_touch(other);
}

const struct derp_client_hooks derp_client_hooks = { .login = on_login, .packet = on_packet };

bool derp_put(struct derp *d, uint32_t from, uint32_t to, const uint8_t *data, size_t len,
	uint64_t now_us)
{
	const struct relay_member *sender = members_by_id(d->core->members, from);
	struct derp_conn *c = find_node(d, to);

	if (!sender || !c)
		return false;
	d->now_us = now_us;
	derp_conn_note(c, from);
	(void) derp_client_put(&c->client, sender->wg, data, len, now_us);
	derp_touch(c);
	return true;
}
