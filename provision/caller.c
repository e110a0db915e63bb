/* caller: see caller.h. */
#include "provision/caller.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "sys/x509/x509.h"
#include "wire/api.h"
#include "wire/pass.h"

enum { NEWEST_URLS = 4 }; /* before the relays */
#define OWN_US UINT64_C(2000000)

_Static_assert((int) CALLER_URLS_MAX <= (int) HTTP_URLS_MAX, "room");

void caller_done(struct caller *caller)
{
	free(caller->cert);
	if (caller->key)
		x509_wipe_p(&caller->key);
}

/* --- where --- */

static void add_relay(struct caller *c, const struct token *t, const char *host, uint16_t port)
{
	for (size_t i = 0; i < t->n_pins; i++) {
		char *url = c->relayed[c->n_relayed];

		if (pass_url(t->pins[i], host, port, url, sizeof(c->relayed[0])) < 0)
			continue;
		c->n_relayed++;
		c->urls[c->n_urls++] = url;
	}
}

static void add_urls(struct caller *c, const struct token *t, uint16_t own_relay)
{
	for (size_t i = 0; i < t->n_urls && i < NEWEST_URLS; i++)
		c->urls[c->n_urls++] = t->urls[i];
	for (size_t i = 0; i < t->n_relays; i++)
		add_relay(c, t, t->relays[i].host, t->relays[i].port);
	for (size_t i = NEWEST_URLS; i < t->n_urls; i++)
		c->urls[c->n_urls++] = t->urls[i];
	c->n_own = c->n_urls;
	if (own_relay)
		add_relay(c, t, "127.0.0.1", own_relay);
	c->n_own = c->n_urls - c->n_own;
}

static void ask_these(struct caller *c, const char *const *urls, size_t n)
{
	c->options.urls = urls;
	c->options.n_urls = n;
	wayout_choose_urls(c->wayout, NULL, urls, n, c->uses);
}

void caller_choose(struct caller *c, enum caller_whom whom)
{
	size_t n_others = c->n_urls - c->n_own;

	if (whom == CALLER_OWN)
		ask_these(c, c->urls + n_others, c->n_own);
	else
		ask_these(c, c->urls, n_others);
	c->options.connect_timeout_us = whom == CALLER_OWN ? OWN_US : 0;
}

int caller_init(struct enroll *e, struct caller *ret, struct err *err)
{
	const struct token *t = &e->token;

	add_urls(ret, t, e->own_relay);
	for (size_t i = 0; i < t->n_pins; i++) {
		key_to_base64(t->pins[i], ret->pin_texts[i]);
		ret->pins[i] = ret->pin_texts[i];
	}
	ret->wayout = &e->wayout;
	ret->options = (struct http_options){
		.pins = ret->pins, .n_pins = t->n_pins, .proxy = e->wayout.url, .uses = ret->uses
	};
	caller_choose(ret, CALLER_OTHERS);
	if (x509_certificate_pem(e->identity_seed, "hearth node", &ret->cert) < 0 ||
		x509_key_pem(e->identity_seed, &ret->key) < 0)
		return err_set(err, -EIO, "make a certificate of this board's identity key");
	ret->options.cert_pem = ret->cert;
	ret->options.key_pem = ret->key;
	return 0;
}

/* --- asking --- */

/* What a failed request means for the person at the board. */
static int explain(int r, struct err *err)
{
	char text[ERR_TEXT_MAX];
	const char *next;

	if (r == -EKEYREJECTED)
		next = "Whoever answers there is not the coordinator that made the token: "
		       "either the address belongs to another machine now, or the "
		       "coordinator was set up anew. Make another token with `hearth token create`";
	else if (r == -ECONNREFUSED)
		next = "Is hearth-coord running there? `systemctl status hearth-coord`";
	else if (r == -EACCES)
		next = "User and password are part of the proxy's URL, percent-encoded "
		       "(http://USER:PASSWORD@HOST:PORT), which --proxy-file or https_proxy gives";
	else if (r == -ETIMEDOUT || r == -EHOSTUNREACH || r == -ENETUNREACH)
		next = "Is this board on the same network as the coordinator, "
		       "and TCP 8443 let through there?";
	else
		return r;
	(void) snprintf(text, sizeof(text), "%s", err->text);
	return err_set(err, r, "%s. %s", text, next);
}

/* A long log comes in several answers: nobody who is silent is waited for before each. */
static void prefer(struct caller *c, const char *url)
{
	for (size_t i = 0; i < c->n_urls; i++)
		if (!strcmp(c->urls[i], url)) {
			const char *found = c->urls[i];

			memmove(c->urls + 1, c->urls, i * sizeof(c->urls[0]));
			c->urls[0] = found;
			ask_these(c, c->urls, c->n_urls);
			c->options.connect_timeout_us = 0;
			return;
		}
}

int caller_ask(struct caller *caller, const char *method, const char *path, const json_t *body,
	json_t **ret, char ret_code[static 64], struct err *err)
{
	CLEANUP_HTTP_REPLY struct http_reply reply = { 0 };
	CLEANUP(free_p) char *text = body ? json_text(body) : NULL;
	struct http_request request = { .method = method,
		.path = path,
		.body = text,
		.body_len = text ? strlen(text) : 0,
		.reply_max = API_REPLY_MAX };

	*ret_code = 0;
	if (body && !text)
		return err_set(err, -ENOMEM, "out of memory");
	int r = http_request_blocking(&caller->options, &request, &reply, err);

	if (text)
		sodium_memzero(text, strlen(text));
	if (r < 0)
		return explain(r, err);
	caller->answered = true;
	prefer(caller, reply.url);
	r = http_reply_json(&reply, ret, ret_code, err);
	return r < 0 ? r : 0;
}
