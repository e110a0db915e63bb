/*
 * token: see token.h. The secret is wiped from every buffer of ours; jansson's copies live in a
 * document that is released at once.
 */
#include "wire/token.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "base/encode.h"

static const char prefix[] = "hearth1.";
enum { PREFIX_LEN = sizeof(prefix) - 1, VERSION = 1, RELAYS_READ_MAX = 64 };

void token_done(struct token *token)
{
	sodium_memzero(token, sizeof(*token));
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* What is none, or is written as a later version may, is passed over. */
static void read_relay(const json_t *json, struct token *token)
{
	struct outside *relay = &token->relays[token->n_relays];
	const char *host = json_string_value(json_object_get(json, "host"));
	uint64_t port = 0;

	if (token->n_relays == TOKEN_RELAYS_MAX || !host || !outside_host_is_valid(host) ||
		json_get_u64(json, "port", UINT16_MAX, &port, NULL) < 0 || !port)
		return;
	(void) snprintf(relay->host, sizeof(relay->host), "%s", host);
	relay->port = (uint16_t) port;
	token->n_relays++;
}

static int read_relays(const json_t *json, struct token *token, struct err *err)
{
	json_t *list = NULL, *relay;
	size_t i;
	int r = 0;

	if (json_has(json, "relays"))
		r = json_get_array(json, "relays", RELAYS_READ_MAX, &list, err);
	json_array_foreach(list, i, relay)
	{
		read_relay(relay, token);
	}
	return r;
}

static json_t *relays_json(const struct token *token)
{
	CLEANUP_JSON json_t *list = json_array();

	for (size_t i = 0; i < token->n_relays; i++)
		if (json_array_append_new(
			    list, json_pack("{s:s, s:i}", "host", token->relays[i].host, "port",
					  token->relays[i].port)) < 0)
			return NULL;
	return TAKE(list);
}

static int read_fields(const json_t *json, struct token *token, struct err *err)
{
	uint64_t version;
	int r = json_get_u64(json, "v", UINT32_MAX, &version, err);

	if (r)
		return r;
	if (version != VERSION)
		return err_set(err, -EPROTONOSUPPORT,
			"it is of version %llu, this program reads version %d; "
			"install the same release of Hearth as on the coordinator",
			(unsigned long long) version, VERSION);
	if ((r = field_get_name(json, "mesh", token->mesh, err)) ||
		(r = field_get_urls(json, "urls", 1, token->urls, &token->n_urls, err)) ||
		(r = read_relays(json, token, err)) ||
		(r = field_get_keys(
			 json, "pins", 1, FIELD_PINS_MAX, token->pins, &token->n_pins, err)) ||
		(r = field_get_nonzero_key(json, "root", token->root, err)) ||
		(r = field_get_hex(json, "id", FIELD_ID_MAX - 1, token->id, err)) ||
		(r = field_get_key(json, "secret", token->secret, err)))
		return r;
	return 0;
}

int token_parse(const char *text, struct token *ret, struct err *err)
{
	while (is_space(*text))
		text++;
	size_t len = strlen(text), data_len = 0;

	while (len && is_space(text[len - 1]))
		len--;
	if (!len)
		return err_set(err, -EINVAL, "The token is empty.");
	if (len > TOKEN_TEXT_MAX)
		return err_set(err, -EINVAL, "The token has more than %d characters.",
			(int) TOKEN_TEXT_MAX);
	if (!strncmp(text, "hearth", 6) && len > 7 && text[6] >= '2' && text[6] <= '9' &&
		text[7] == '.')
		return err_set(err, -EPROTONOSUPPORT,
			"The token is of a later kind (hearth%c); "
			"install the same release of Hearth as on the coordinator.",
			text[6]);
	if (strncmp(text, prefix, PREFIX_LEN))
		return err_set(err, -EINVAL,
			"This is no enrolment token: one begins with \"%s\". "
			"`hearth token create` on the coordinator prints one.",
			prefix);

	CLEANUP(free_p) uint8_t *data = NULL;
	int r = base64url_decode(
		text + PREFIX_LEN, len - PREFIX_LEN, TOKEN_TEXT_MAX, &data, &data_len);

	if (r == -ENOMEM)
		return err_set(err, r, "out of memory");
	if (r < 0)
		return err_set(
			err, -EINVAL, "The token is damaged (was all of it copied, on one line?).");

	CLEANUP_TOKEN struct token token = { 0 };
	CLEANUP_JSON json_t *json = json_parse((char *) data, data_len, err);

	sodium_memzero(data, data_len);
	if (!json) {
		err_prefix(err, "The token is damaged (was all of it copied, on one line?)");
		return -EINVAL;
	}
	r = field_refuse_missing(read_fields(json, &token, err), err);
	if (r) {
		err_prefix(err, "The token cannot be used");
		return r;
	}
	*ret = token;
	return 0;
}

int token_format(const struct token *token, char **ret_text)
{
	CLEANUP_JSON json_t *json = json_object();
	int bad = 0;

	bad |= json_object_set_new(json, "v", json_integer(VERSION));
	bad |= json_object_set_new(json, "mesh", json_string(token->mesh));
	bad |= json_object_set_new(json, "urls", field_urls(token->urls, token->n_urls));
	bad |= json_object_set_new(json, "relays", relays_json(token));
	bad |= json_object_set_new(json, "pins", field_keys(token->pins, token->n_pins));
	bad |= json_object_set_new(json, "root", field_key(token->root));
	bad |= json_object_set_new(json, "id", json_string(token->id));
	bad |= json_object_set_new(json, "secret", field_key(token->secret));
	if (bad)
		return -ENOMEM;
	CLEANUP(free_p) char *text = json_text(json);
	CLEANUP(free_p) char *encoded = text ? base64url_encode(text, strlen(text)) : NULL;

	if (text)
		sodium_memzero(text, strlen(text));
	if (!encoded)
		return -ENOMEM;
	size_t len = strlen(encoded);
	int r = 0;
	char *whole = NULL;

	if (len + PREFIX_LEN > TOKEN_TEXT_MAX)
		r = -ENAMETOOLONG;
	else if (!(whole = malloc(len + PREFIX_LEN + 1)))
		r = -ENOMEM;
	if (r == 0) {
		memcpy(whole, prefix, PREFIX_LEN);
		memcpy(whole + PREFIX_LEN, encoded, len + 1);
		*ret_text = whole;
	}
	sodium_memzero(encoded, len);
	return r;
}

void token_hash_secret(
	const uint8_t secret[static TOKEN_SECRET_LEN], uint8_t ret_hash[static TOKEN_HASH_LEN])
{
	(void) crypto_generichash(ret_hash, TOKEN_HASH_LEN, secret, TOKEN_SECRET_LEN, NULL, 0);
}
