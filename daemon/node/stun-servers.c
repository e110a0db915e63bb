/* stun-servers: see stun-servers.h. What a name had stays while DNS has no word of it. */
#include "node/stun-servers.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "mesh/relay-hosts.h"

static bool has_family(const struct stun_servers *s, size_t host, uint8_t family)
{
	for (size_t i = 0; i < s->n_found; i++)
		if (s->found[i].host == host && s->found[i].at.addr.family == family)
			return true;
	return false;
}

/* The first of each family: another address is no other server. */
static void add(struct stun_servers *s, const struct ip_addr *addr)
{
	const struct settings *settings = netmap_settings(book_netmap(s->core->book));
	const char *refused = settings ? relay_host_refused(settings, addr) : NULL;
	char text[IP_TEXT_MAX];

	if (refused)
		log_seldom(LOG_LEVEL_WARNING, "STUN server %s is not asked at %s: %s",
			s->hosts[s->host].host, ip_addr_format(addr, text), refused);
	else if (!has_family(s, s->host, addr->family))
		s->found[s->n_found++] =
			(struct stun_addr){ { .addr = *addr, .port = s->hosts[s->host].port },
				s->host };
}

static void keep_old(struct stun_servers *s)
{
	s->missing = true;
	for (size_t i = 0; i < s->n; i++)
		if (s->list[i].host == s->host)
			add(s, &s->list[i].at.addr);
}

static void on_answer(void *ctx, const struct ip_addr *list, size_t n, const struct err *err);

/* From s->host on, until one is a name, whose answer goes on from there. */
static void look_up_rest(struct stun_servers *s)
{
	struct ip_addr addr;
	struct err err = { 0 };

	for (; s->host < s->n_hosts; s->host++) {
		const char *host = s->hosts[s->host].host;

		if (ip_addr_parse(host, &addr) == 0)
			add(s, &addr);
		else if (resolve_start(s->core->event, host, on_answer, s, &s->asking, &err) == 0)
			return;
		else
			keep_old(s);
	}
	memcpy(s->list, s->found, sizeof(s->list));
	s->n = s->n_found;
}

static void on_answer(void *ctx, const struct ip_addr *list, size_t n, const struct err *err)
{
	struct stun_servers *s = ctx;

	s->asking = NULL;
	if (!n) {
		log_debug("STUN server %s: %s", s->hosts[s->host].host, err->text);
		keep_old(s);
	}
	for (size_t i = 0; i < n; i++)
		add(s, &list[i]);
	s->host++;
	look_up_rest(s);
	if (!s->asking)
		s->changed(s->ctx);
}

static void look_up(struct stun_servers *s, uint64_t now_us)
{
	s->asking = resolve_cancel(s->asking);
	s->asked_us = now_us;
	s->n_found = s->host = 0;
	s->missing = false;
	look_up_rest(s);
}

/* What the settings name now. True: it is not what they named before. */
static bool read_settings(struct stun_servers *s)
{
	const struct settings *settings = netmap_settings(book_netmap(s->core->book));
	struct outside hosts[STUN_HOSTS_MAX];
	size_t n = 0;
	bool same;

	for (size_t i = 0; settings && i < settings->n_stun; i++)
		hosts[n++] = settings->stun[i];
	for (size_t i = 0; settings && i < settings->n_relays; i++)
		if (settings->relays[i].stun) {
			hosts[n] = settings->relays[i].at;
			hosts[n++].port = settings->relays[i].stun;
		}
	same = n == s->n_hosts;
	for (size_t i = 0; i < n && same; i++)
		same = outside_equal(&hosts[i], &s->hosts[i]);
	memcpy(s->hosts, hosts, n * sizeof(hosts[0]));
	s->n_hosts = n;
	return !same;
}

void stun_servers_follow(struct stun_servers *s, uint64_t now_us)
{
	if (!read_settings(s))
		return;
	s->n = 0; /* they are numbered anew */
	look_up(s, now_us);
}

void stun_servers_look(struct stun_servers *s, uint64_t now_us)
{
	uint64_t pause_us = s->missing ? STUN_SERVERS_SOON_US : STUN_SERVERS_SELDOM_US;

	if (s->n_hosts && !s->asking && now_us - s->asked_us >= pause_us)
		look_up(s, now_us);
}

void stun_servers_stop(struct stun_servers *s)
{
	s->asking = resolve_cancel(s->asking);
}

void stun_servers_init(
	struct stun_servers *s, struct core *core, void (*changed)(void *ctx), void *ctx)
{
	*s = (struct stun_servers){ .core = core, .changed = changed, .ctx = ctx };
}
