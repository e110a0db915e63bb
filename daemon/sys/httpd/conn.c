/*
 * Connections: strangers and those whose key is known, what each is doing, and which of them goes
 * when there is no room.
 */
#include <string.h>
#include <sys/socket.h>

#include "sys/httpd/httpd-internal.h"

enum { CONNECTIONS_PER_KEY = 16 };

void conn_set_phase(struct conn *conn, enum conn_phase phase)
{
	if (!conn)
		return;
	conn->httpd->n_sending += (phase == CONN_SENDING) - (conn->phase == CONN_SENDING);
	conn->phase = phase;
	conn->since_us = clock_now_us();
}

void conn_link(struct conn *c, struct conn **list)
{
	c->next = *list;
	c->pprev = list;
	if (c->next)
		c->next->pprev = &c->next;
	*list = c;
}

void conn_unlink(struct conn *c)
{
	*c->pprev = c->next;
	if (c->next)
		c->next->pprev = c->pprev;
}

/* Its place is free, once. */
void conn_leave(struct conn *c)
{
	if (c->ended)
		return;
	c->ended = true;
	c->httpd->n_known -= c->known;
	door_left(c->httpd->door, &c->address, c->known);
}

static void conn_put_out(struct conn *c)
{
	if (!c)
		return;
	conn_leave(c);
	c->httpd->put_out++;
	(void) shutdown(c->fd, SHUT_RDWR);
}

/* The oldest of the source that has most; of that of @addr if it has too many. */
static struct conn *stranger_to_go(struct httpd *h, const struct ip_addr *addr, bool of_source)
{
	unsigned most = 0;
	struct conn *found = NULL;

	for (struct conn *c = h->strangers; c; c = c->next) { /* newest first */
		if (c->ended || (of_source && !door_same_source(h->door, addr, &c->address)))
			continue;
		unsigned n = door_strangers_from(h->door, &c->address);

		if (n >= most) {
			most = n;
			found = c;
		}
	}
	return found;
}

void conn_make_room(struct httpd *h, const struct ip_addr *addr)
{
	enum door_crowd crowd = door_crowd(h->door, addr);

	if (crowd != DOOR_ROOM)
		conn_put_out(stranger_to_go(h, addr, crowd == DOOR_CROWDED_SOURCE));
}

/* The one with @key that came first, if there are too many of them. */
static struct conn *oldest_of_key(struct httpd *h, const uint8_t *key)
{
	struct conn *oldest = NULL;
	unsigned n = 0;

	for (struct conn *c = h->known; c; c = c->next) {
		if (c->ended || memcmp(c->key, key, HTTPD_KEY_LEN) != 0)
			continue;
		n++;
		oldest = c;
	}
	return n > CONNECTIONS_PER_KEY ? oldest : NULL;
}

/* One that asks for nothing, and has been silent longest. */
static struct conn *most_idle(struct httpd *h)
{
	struct conn *found = NULL;

	for (struct conn *c = h->known; c; c = c->next)
		if (!c->ended && c->phase == CONN_IDLE && (!found || c->since_us < found->since_us))
			found = c;
	return found;
}

/*
 * At its limit microhttpd accepts nobody until somebody goes, which may take a minute: places are
 * kept free for strangers, each of which may be a board.
 */
void conn_prove(struct conn *c)
{
	struct httpd *h = c->httpd;

	if (c->known || c->ended)
		return;
	conn_unlink(c);
	c->known = true;
	conn_link(c, &h->known);
	h->n_known++;
	door_proved(h->door, &c->address, clock_now_us());
	conn_put_out(oldest_of_key(h, c->key));
	if (h->n_known > h->known_max)
		conn_put_out(most_idle(h));
}
