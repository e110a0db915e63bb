/*
 * relay-addrs: see relay-addrs.h. Hosts are looked up one after the other. While nothing is known
 * yet, what was found so far is good enough to be tried; later the list changes when all are done,
 * so that an address does not go only because it is asked for.
 */
#include "node/relay-addrs.h"

#include <errno.h>
#include <string.h>

#include "mesh/relay-hosts.h"

/* Where a relay on this very board always is, whatever is between its addresses and the world. */
static const struct ip_addr loopback = { .family = AF_INET, .bytes = { 127, 0, 0, 1 } };

static bool is_among(const struct relay_addr *list, size_t n, const struct ip_addr *addr)
{
	for (size_t i = 0; i < n; i++)
		if (ip_addr_equal(&list[i].addr, addr))
			return true;
	return false;
}

bool relay_addrs_have(const struct relay_addrs *a, const struct ip_addr *addr)
{
	return is_among(a->list, a->n, addr);
}

static void add(struct relay_addrs *a, const struct ip_addr *addr, size_t host)
{
	if (a->n_found < RELAY_ADDRS_MAX && !is_among(a->found, a->n_found, addr))
		a->found[a->n_found++] = (struct relay_addr){ *addr, host };
}

static void add_found(struct relay_addrs *a, const struct ip_addr *addr)
{
	const struct settings *settings = netmap_settings(book_netmap(a->core->book));
	const char *refused = settings ? relay_host_refused(settings, addr) : NULL;
	char text[IP_TEXT_MAX];

	if (refused)
		err_set(&a->why, -EINVAL, "%s is not used: %s", ip_addr_format(addr, text),
			refused);
	else
		add(a, addr, a->host);
}

static void publish(struct relay_addrs *a, bool complete)
{
	if (!a->n_found || (a->n && !complete))
		return;
	memcpy(a->list, a->found, sizeof(a->list));
	a->n = a->n_found;
	a->times++;
}

static void on_answer(void *ctx, const struct ip_addr *list, size_t n, const struct err *err);

/* From a->host on, until one is a name, whose answer goes on from there. */
static void look_up_rest(struct relay_addrs *a)
{
	struct ip_addr addr;
	struct err err = { 0 };

	for (; a->host < a->record->n_hosts; a->host++) {
		const char *host = a->record->hosts[a->host];

		if (ip_addr_parse(host, &addr) == 0)
			add_found(a, &addr);
		else if (resolve_start(a->core->event, host, on_answer, a, &a->asking, &err) == 0)
			return publish(a, false);
		else
			a->why = err;
	}
	publish(a, true);
}

static void on_answer(void *ctx, const struct ip_addr *list, size_t n, const struct err *err)
{
	struct relay_addrs *a = ctx;

	a->asking = NULL;
	if (!n)
		a->why = *err;
	for (size_t i = 0; i < n; i++)
		add_found(a, &list[i]);
	a->host++;
	look_up_rest(a);
	a->changed(a->ctx);
}

void relay_addrs_ask(struct relay_addrs *a, uint64_t now_us)
{
	a->asking = resolve_cancel(a->asking);
	a->asked_us = now_us;
	a->n_found = a->host = 0;
	if (a->own)
		add(a, &loopback, RELAY_ADDRS_OWN);
	look_up_rest(a);
}

void relay_addrs_ask_again(struct relay_addrs *a, uint64_t now_us)
{
	if (!a->asking && now_us - a->asked_us >= RELAY_ADDRS_ASK_US)
		relay_addrs_ask(a, now_us);
}

void relay_addrs_stop(struct relay_addrs *a)
{
	a->asking = resolve_cancel(a->asking);
}

void relay_addrs_init(struct relay_addrs *a, struct core *core, uint32_t node,
	const struct node_relay *record, void (*changed)(void *ctx), void *ctx)
{
	*a = (struct relay_addrs){ .core = core,
		.record = record,
		.own = node == core->config.node,
		.changed = changed,
		.ctx = ctx };
}
