/* added: see added.h. */
#include "coordinator/added.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "wire/outside.h"

/* --- as stored --- */

static int read_gone(const json_t *json, struct added *ret, struct err *err)
{
	json_t *list, *host;
	size_t i;
	int r = json_get_array(json, "gone", NODE_RELAY_HOSTS_MAX, &list, err);

	if (r < 0)
		return r;
	json_array_foreach(list, i, host)
	{
		const char *text = json_string_value(host);

		if (!text || !outside_host_is_valid(text))
			return err_set(err, -EINVAL, "field \"gone\" must be a list of hosts");
		(void) snprintf(ret->gone[ret->n_gone++], FIELD_HOST_MAX, "%s", text);
	}
	return 0;
}

static int read_one(const json_t *json, struct added *ret, struct err *err)
{
	const char *host;
	uint64_t port = 0;
	int r;

	if ((r = json_get_str(json, "host", &host, err)) ||
		(r = json_get_u64(json, "port", UINT16_MAX, &port, err)) ||
		(r = json_get_u64(json, "since", INT64_MAX, &ret->since, err)))
		return r;
	if (!outside_host_is_valid(host) || !port)
		return err_set(err, -EINVAL, "\"host\" and \"port\" must be those of a relay");
	(void) snprintf(ret->host, sizeof(ret->host), "%s", host);
	ret->port = (uint16_t) port;
	if (!json_has(json, "pin"))
		return 0;
	ret->recorded = true;
	r = field_get_nonzero_key(json, "pin", ret->pin, err);
	return r < 0 ? r : read_gone(json, ret, err);
}

int added_from_json(const json_t *json, struct added_list *ret, struct err *err)
{
	struct added_list added = { 0 };
	json_t *list, *one;
	size_t i;
	int r = field_refuse_missing(json_get_array(json, "added", ADDED_MAX, &list, err), err);

	if (r < 0)
		return r;
	json_array_foreach(list, i, one)
	{
		struct added entry = { 0 };

		r = field_refuse_missing(read_one(one, &entry, err), err);
		if (r == 0 && added_find(&added, entry.host))
			r = err_set(err, -EINVAL, "field \"added\" names a host twice");
		if (r < 0)
			return r;
		added.list[added.n++] = entry;
	}
	*ret = added;
	return 0;
}

static json_t *one_to_json(const struct added *a)
{
	CLEANUP_JSON json_t *json = json_pack("{s:s, s:i, s:I}", "host", a->host, "port",
		(int) a->port, "since", (json_int_t) a->since);
	json_t *gone;

	if (!json || !a->recorded)
		return TAKE(json);
	gone = json_array();
	for (size_t i = 0; i < a->n_gone; i++)
		(void) json_array_append_new(gone, json_string(a->gone[i]));
	if (json_object_set_new(json, "pin", field_key(a->pin)) < 0 ||
		json_object_set_new(json, "gone", gone) < 0)
		return NULL;
	return TAKE(json);
}

json_t *added_to_json(const struct added_list *added)
{
	CLEANUP_JSON json_t *list = json_array();

	for (size_t i = 0; i < added->n; i++)
		if (json_array_append_new(list, one_to_json(&added->list[i])) < 0)
			return NULL;
	return json_pack("{s:O}", "added", list);
}

/* --- the list --- */

struct added *added_find(struct added_list *added, const char *host)
{
	for (size_t i = 0; i < added->n; i++)
		if (!strcmp(added->list[i].host, host))
			return &added->list[i];
	return NULL;
}

int added_push(struct added_list *added, const char *host, uint16_t port, uint64_t now)
{
	struct added *a = &added->list[added->n];

	if (added->n == ADDED_MAX)
		return -ENOSPC;
	*a = (struct added){ .port = port, .since = now };
	(void) snprintf(a->host, sizeof(a->host), "%s", host);
	added->n++;
	return 0;
}

void added_drop(struct added_list *added, const char *host)
{
	struct added *a = added_find(added, host);

	if (!a)
		return;
	added->n--;
	memmove(a, a + 1, (size_t) (&added->list[added->n] - a) * sizeof(*a));
}

static bool is_its(const struct added *a, const struct node_relay *relay)
{
	return a->recorded && !memcmp(a->pin, relay->pin, sizeof(a->pin));
}

void added_record(struct added_list *added, const char *host,
	const uint8_t pin[static FIELD_KEY_LEN], const char (*gone)[FIELD_HOST_MAX], size_t n_gone)
{
	struct added *a;

	for (size_t i = 0; i < n_gone; i++) {
		a = added_find(added, gone[i]);
		if (a && a->recorded && !memcmp(a->pin, pin, FIELD_KEY_LEN))
			added_drop(added, gone[i]);
	}
	a = added_find(added, host);
	if (!a)
		return;
	a->recorded = true;
	memcpy(a->pin, pin, FIELD_KEY_LEN);
	memcpy(a->gone, gone, n_gone * sizeof(gone[0]));
	a->n_gone = n_gone;
}

void added_turn(struct added *a, uint64_t now)
{
	a->recorded = false;
	a->since = now;
	memset(a->pin, 0, sizeof(a->pin));
	a->n_gone = 0;
}

/* --- records --- */

static bool has_host(const struct node_relay *relay, const char *host)
{
	for (size_t i = 0; i < relay->n_hosts; i++)
		if (!strcmp(relay->hosts[i], host))
			return true;
	return false;
}

static void add_host(struct node_relay *relay, const char *host)
{
	if (relay->n_hosts < NODE_RELAY_HOSTS_MAX && !has_host(relay, host))
		(void) snprintf(relay->hosts[relay->n_hosts++], FIELD_HOST_MAX, "%s", host);
}

static bool is_gone(
	const struct added_list *added, const struct node_relay *relay, const char *host)
{
	for (size_t i = 0; i < added->n; i++) {
		const struct added *a = &added->list[i];

		for (size_t k = 0; is_its(a, relay) && k < a->n_gone; k++)
			if (!strcmp(a->gone[k], host))
				return true;
	}
	return false;
}

void added_apply(const struct added_list *added, struct node_relay *relay)
{
	struct node_relay says = *relay;

	says.n_hosts = 0;
	for (size_t i = added->n; relay->n_hosts && i-- > 0;)
		if (is_its(&added->list[i], relay))
			add_host(&says, added->list[i].host);
	for (size_t i = 0; i < relay->n_hosts; i++)
		if (!is_gone(added, relay, relay->hosts[i]))
			add_host(&says, relay->hosts[i]);
	*relay = says; /* what it refers to is the same */
}

void added_unapply(
	const struct added_list *added, const struct added *dropped, struct node_relay *relay)
{
	struct node_relay says = *relay;

	says.n_hosts = 0;
	for (size_t i = 0; i < relay->n_hosts; i++)
		if (strcmp(relay->hosts[i], dropped->host) != 0)
			add_host(&says, relay->hosts[i]);
	for (size_t i = 0; i < dropped->n_gone; i++)
		add_host(&says, dropped->gone[i]);
	*relay = says;
	added_apply(added, relay);
}
