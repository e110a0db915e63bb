/* relayfile: see relayfile.h. */
#include "board/relayfile.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/file.h"
#include "wire/outside.h"

enum { FILE_BYTES_MAX = 8192 };
#define ANY_HOST "automatic.invalid" /* in place of `hosts`, to have the rest read */

void relayfile_done(struct relayfile *file)
{
	node_relay_done(&file->relay);
	*file = (struct relayfile){ 0 };
}

static int refuse_unknown(const json_t *json, struct err *err)
{
	static const char *const known[] = { "hosts", "tcp", "udp", "pin", "key", "metrics",
		"waits_for", "pass_to" };
	const char *key;
	json_t *value;

	json_object_foreach((json_t *) (uintptr_t) json, key, value)
	{
		size_t i = 0;

		while (i < ARRAY_LEN(known) && strcmp(key, known[i]) != 0)
			i++;
		if (i == ARRAY_LEN(known))
			return err_set(err, -EINVAL, "there is no setting \"%.40s\"", key);
	}
	return 0;
}

/* Absent or null: none. */
static int read_metrics(const json_t *json, uint16_t *ret, struct err *err)
{
	uint64_t port;
	int r;

	if (!json_has(json, "metrics"))
		return 0;
	r = json_get_u64(json, "metrics", UINT16_MAX, &port, err);
	if (r == 0 && port == 0)
		r = err_set(err, -EINVAL, "field \"metrics\" must be a port");
	if (r == 0)
		*ret = (uint16_t) port;
	return r;
}

/* A person writes hosts anyhow, records in one way; two may be one then. */
static void write_hosts(struct node_relay *relay)
{
	size_t n = 0;

	for (size_t i = 0; i < relay->n_hosts; i++) {
		size_t k = 0;

		memmove(relay->hosts[n], relay->hosts[i], FIELD_HOST_MAX);
		outside_host_write(relay->hosts[n]);
		while (k < n && strcmp(relay->hosts[k], relay->hosts[n]) != 0)
			k++;
		n += k == n;
	}
	relay->n_hosts = n;
}

/* Absent or null: nobody. */
static int read_waits_for(const json_t *json, struct relayfile *ret, struct err *err)
{
	return json_has(json, "waits_for") ? field_get_keys(json, "waits_for", 1, FIELD_PINS_MAX,
						     ret->waits_for, &ret->n_waits_for, err)
					   : 0;
}

const char *relayfile_pass_to_objection(const struct endpoint *to)
{
	if (!to->port)
		return "it has no port";
	if (ip_addr_is_unspecified(&to->addr) || ip_addr_is_multicast(&to->addr))
		return "that is no address of one machine";
	if (ip_addr_is_link_local(&to->addr))
		return "that address is one of one link only";
	return NULL;
}

/* Absent or null: nowhere. */
static int read_pass_to(const json_t *json, struct endpoint *ret, struct err *err)
{
	const char *text = NULL, *why;
	struct endpoint to = { 0 };
	int r;

	if (!json_has(json, "pass_to"))
		return 0;
	r = json_get_str(json, "pass_to", &text, err);
	if (r < 0)
		return r;
	why = endpoint_parse(text, &to) < 0 ? "it is no ADDRESS:PORT"
					    : relayfile_pass_to_objection(&to);
	if (why)
		return err_set(err, -EINVAL, "field \"pass_to\": %s", why);
	*ret = to;
	return 0;
}

int relayfile_from_json(const json_t *json, struct relayfile *ret, struct err *err)
{
	CLEANUP_RELAYFILE struct relayfile file = { 0 };
	const char *hosts = json_string_value(json_object_get(json, "hosts"));
	CLEANUP_JSON json_t *copy = json_is_object(json) ? json_copy((json_t *) json) : NULL;
	int r;

	if (!json_is_object(json))
		return err_set(err, -EINVAL, "it is no JSON object");
	if (!copy)
		return err_set(err, -ENOMEM, "out of memory");
	file.automatic = hosts && !strcmp(hosts, "automatic");
	if (file.automatic && json_object_set_new(copy, "hosts", json_pack("[s]", ANY_HOST)) < 0)
		return err_set(err, -ENOMEM, "out of memory");
	r = refuse_unknown(copy, err);
	if (r == 0)
		r = read_metrics(copy, &file.metrics, err);
	if (r == 0)
		r = read_waits_for(copy, &file, err);
	if (r == 0)
		r = read_pass_to(copy, &file.pass_to, err);
	if (r == 0)
		r = node_relay_from_json(copy, &file.relay, err);
	if (r < 0)
		return r;
	if (file.automatic)
		file.relay.n_hosts = 0;
	write_hosts(&file.relay);
	json_decref(file.relay.origin); /* what it does not know was refused */
	file.relay.origin = NULL;
	*ret = file;
	file = (struct relayfile){ 0 };
	return 0;
}

json_t *relayfile_to_json(const struct relayfile *file)
{
	struct node_relay relay = file->relay;
	CLEANUP_JSON json_t *json = NULL;
	char text[ENDPOINT_TEXT_MAX];

	if (file->automatic)
		relay.n_hosts = 1; /* which is replaced below */
	json = node_relay_to_json(&relay);
	if (json && file->automatic &&
		json_object_set_new(json, "hosts", json_string("automatic")) < 0)
		return NULL;
	if (json && file->metrics &&
		json_object_set_new(json, "metrics", json_integer(file->metrics)) < 0)
		return NULL;
	if (json && file->n_waits_for &&
		json_object_set_new(
			json, "waits_for", field_keys(file->waits_for, file->n_waits_for)) < 0)
		return NULL;
	if (json && file->pass_to.port &&
		json_object_set_new(
			json, "pass_to", json_string(endpoint_format(&file->pass_to, text))) < 0)
		return NULL;
	return TAKE(json);
}

int relayfile_read(const char *path, struct relayfile *ret, struct err *err)
{
	CLEANUP_BUF struct buf text = { 0 };
	CLEANUP_JSON json_t *json = NULL;
	int r = file_read(path, FILE_BYTES_MAX, &text);

	if (r < 0)
		return err_set(err, r, "%s: %s", path, strerror(-r));
	json = json_parse(buf_str(&text), text.len, err);
	r = json ? relayfile_from_json(json, ret, err) : -EINVAL;
	if (r < 0)
		err_prefix(err, "%s", path);
	return r;
}

int relayfile_write(const char *path, const struct relayfile *file, struct err *err)
{
	CLEANUP_JSON json_t *json = relayfile_to_json(file);
	CLEANUP(free_p) char *text = json ? json_text(json) : NULL;
	CLEANUP_BUF struct buf out = { 0 };
	int r = -ENOMEM;

	if (text) {
		buf_printf(&out, "%s\n", text);
		r = file_write_atomic(path, buf_str(&out), out.len, 0644);
	}
	return r < 0 ? err_set(err, r, "write %s: %s", path, strerror(-r)) : 0;
}
