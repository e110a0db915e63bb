/* sources: see sources.h. */
#include "node/sources.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/ip.h"
#include "wire/pass.h"

enum { NEWEST_URLS = 4 };
/* Those of settings and configuration, what is made, and those by relays. */
_Static_assert(2 * (int) FIELD_URLS_MAX + (int) SOURCES_MADE_MAX + (int) SOURCES_RELAYED_MAX <=
		       (int) HTTP_URLS_MAX,
	"room");

static void add_url(struct sources *s, const char *url)
{
	for (size_t i = 0; i < s->n_urls; i++)
		if (!strcmp(s->urls[i], url))
			return;
	s->urls[s->n_urls++] = url;
}

static void make_url(struct sources *s, const struct ip_addr *addr, uint16_t port)
{
	struct endpoint endpoint = { .addr = *addr, .port = port };
	char text[ENDPOINT_TEXT_MAX];

	(void) snprintf(
		s->made[s->n_made], FIELD_URL_MAX, "https://%s", endpoint_format(&endpoint, text));
	add_url(s, s->made[s->n_made++]);
}

/* Of the coordinator on this very machine (@own), or of those on other boards. */
static void add_coordinators(
	const struct config *config, const struct netmap *map, bool own, struct sources *s)
{
	static const struct ip_addr loopback4 = { AF_INET, { 127, 0, 0, 1 } };
	static const struct ip_addr loopback6 = { AF_INET6, { [15] = 1 } };
	const struct settings *settings = netmap_settings(map);

	for (size_t i = 0; settings && i < settings->n_coordinators; i++) {
		const struct settings_coordinator *c = &settings->coordinators[i];
		const struct node *node = netmap_by_id(map, c->node);

		if (!node || (node->id == config->node) != own)
			continue;
		make_url(s, own ? &loopback4 : &node->mesh4, c->port);
		make_url(s, own ? &loopback6 : &node->mesh6, c->port);
	}
}

/* A relay knows a coordinator by its key. */
static void add_relayed(
	struct sources *s, const char *host, const struct node_relay *relay, const uint8_t *pin)
{
	char *url = s->relayed[s->n_relayed];

	if (s->n_relayed == SOURCES_RELAYED_MAX ||
		pass_url(pin, host, relay->tcp, url, HTTP_URL_LEN_MAX + 1) < 0)
		return;
	s->n_relayed++;
	add_url(s, url);
}

/* The relay on this board is reached without leaving it. */
static const char own_host[] = "127.0.0.1";

static void add_relay(const struct config *config, const struct settings *settings,
	const struct node *node, struct sources *s)
{
	const struct node_relay *relay = &node->relay;
	bool own = node->id == config->node;

	for (size_t i = 0; i < settings->n_pins; i++)
		for (size_t k = 0; k < (own ? 1 : relay->n_hosts); k++)
			add_relayed(s, own ? own_host : relay->hosts[k], relay, settings->pins[i]);
}

static void add_relays(const struct config *config, const struct netmap *map, struct sources *s)
{
	const struct settings *settings = netmap_settings(map);

	for (const struct node *node = NULL; settings && (node = netmap_next(map, node));)
		if (node->relay.n_hosts)
			add_relay(config, settings, node, s);
}

static void add_pin(struct sources *s, const uint8_t *pin)
{
	char text[KEY_BASE64_LEN];

	key_to_base64(pin, text);
	for (size_t i = 0; i < s->n_pins; i++)
		if (!strcmp(s->pins[i], text))
			return;
	if (s->n_pins == FIELD_PINS_MAX)
		return;
	memcpy(s->pins[s->n_pins], text, sizeof(text));
	s->pin_list[s->n_pins] = s->pins[s->n_pins];
	s->n_pins++;
}

void sources_find(const struct config *config, const struct netmap *map, struct sources *s)
{
	const struct settings *settings = netmap_settings(map);

	*s = (struct sources){ 0 };
	add_coordinators(config, map, true, s);
	for (size_t i = 0; settings && i < settings->n_urls && i < NEWEST_URLS; i++)
		add_url(s, settings->urls[i]);
	add_coordinators(config, map, false, s);
	add_relays(config, map, s);
	for (size_t i = NEWEST_URLS; settings && i < settings->n_urls; i++)
		add_url(s, settings->urls[i]);
	for (size_t i = 0; i < config->n_urls; i++)
		add_url(s, config->urls[i]);
	for (size_t i = 0; settings && i < settings->n_pins; i++)
		add_pin(s, settings->pins[i]);
	if (settings && settings->has_next_pin)
		add_pin(s, settings->next_pin);
	for (size_t i = 0; i < config->n_pins; i++)
		add_pin(s, config->pins[i]);
}

bool sources_made(const struct sources *s, const char *url)
{
	for (size_t i = 0; i < s->n_made; i++)
		if (!strcmp(url, s->made[i]))
			return true;
	return false;
}

const struct node *sources_relay(
	const struct config *config, const struct netmap *map, const char *url)
{
	const char *host;
	uint16_t port;

	if (!pass_url_is_relayed(url, &host, &port))
		return NULL;
	for (const struct node *node = NULL; (node = netmap_next(map, node));) {
		const struct node_relay *relay = &node->relay;

		if (!relay->n_hosts || relay->tcp != port)
			continue;
		if (node->id == config->node && !strcmp(host, own_host))
			return node;
		for (size_t i = 0; i < relay->n_hosts; i++)
			if (!strcmp(relay->hosts[i], host))
				return node;
	}
	return NULL;
}

char *sources_text(const struct sources *s)
{
	struct buf text = { 0 };

	for (size_t i = 0; i < s->n_urls; i++)
		buf_printf(&text, "%s ", s->urls[i]);
	for (size_t i = 0; i < s->n_pins; i++)
		buf_printf(&text, "%s ", s->pins[i]);
	return buf_take(&text, NULL);
}
