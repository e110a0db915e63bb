/* node-relay: see node-relay.h. */
#include "wire/node-relay.h"

#include <errno.h>
#include <string.h>

#include "base/encode.h"

void node_relay_done(struct node_relay *relay)
{
	json_decref(relay->origin);
	*relay = (struct node_relay){ 0 };
}

static int read_hosts(const json_t *json, struct node_relay *relay, struct err *err)
{
	json_t *hosts, *host;
	size_t i;
	int r = json_get_array(json, "hosts", NODE_RELAY_HOSTS_MAX, &hosts, err);

	if (r)
		return r;
	if (!json_array_size(hosts))
		return err_set(err, -EINVAL, "field \"hosts\" must name at least one");
	json_array_foreach(hosts, i, host)
	{
		const char *text = json_string_value(host);

		if (!text || !field_host_is_valid(text))
			return err_set(err, -EINVAL,
				"field \"hosts\" must be a list of IP addresses and DNS names");
		for (size_t k = 0; k < relay->n_hosts; k++)
			if (!strcmp(relay->hosts[k], text))
				return err_set(err, -EINVAL, "field \"hosts\" names one twice");
		(void) snprintf(relay->hosts[relay->n_hosts++], FIELD_HOST_MAX, "%s", text);
	}
	return 0;
}

/* From @least on. */
static int read_port(
	const json_t *json, const char *key, uint64_t least, uint16_t *ret, struct err *err)
{
	uint64_t port;
	int r = json_get_u64(json, key, UINT16_MAX, &port, err);

	if (r)
		return r;
	if (port < least)
		return err_set(err, -EINVAL, "field \"%s\" must be a port", key);
	*ret = (uint16_t) port;
	return 0;
}

static int read_fields(const json_t *json, struct node_relay *relay, struct err *err)
{
	int r;

	if ((r = read_hosts(json, relay, err)) ||
		(r = read_port(json, "tcp", 1, &relay->tcp, err)) ||
		(r = read_port(json, "udp", 0, &relay->udp, err)) ||
		(r = field_get_nonzero_key(json, "pin", relay->pin, err)))
		return r;
	return field_get_nonzero_key(json, "key", relay->key, err);
}

int node_relay_from_json(const json_t *json, struct node_relay *ret, struct err *err)
{
	struct node_relay relay = { 0 };
	int r = json_is_null(json) ? 0 : field_refuse_missing(read_fields(json, &relay, err), err);

	if (r) {
		err_prefix(err, "relay");
		return r;
	}
	if (relay.n_hosts)
		relay.origin = json_incref((json_t *) json);
	*ret = relay;
	return 0;
}

json_t *node_relay_to_json(const struct node_relay *relay)
{
	CLEANUP_JSON json_t *json = relay->n_hosts ? field_copy_origin(relay->origin) : NULL;
	json_t *hosts;
	int bad = 0;

	if (!relay->n_hosts)
		return json_null();
	hosts = json_array();
	for (size_t i = 0; i < relay->n_hosts; i++)
		bad |= json_array_append_new(hosts, json_string(relay->hosts[i]));
	bad |= json_object_set_new(json, "hosts", hosts);
	bad |= json_object_set_new(json, "tcp", json_integer(relay->tcp));
	bad |= json_object_set_new(json, "udp", json_integer(relay->udp));
	bad |= json_object_set_new(json, "pin", field_key(relay->pin));
	bad |= json_object_set_new(json, "key", field_key(relay->key));
	return bad ? NULL : TAKE(json);
}

void node_relay_copy(const struct node_relay *relay, struct node_relay *ret)
{
	*ret = *relay;
	json_incref(ret->origin);
}

bool node_relay_equal(const struct node_relay *a, const struct node_relay *b)
{
	if (a->n_hosts != b->n_hosts || a->tcp != b->tcp || a->udp != b->udp ||
		memcmp(a->pin, b->pin, sizeof(a->pin)) != 0 ||
		memcmp(a->key, b->key, sizeof(a->key)) != 0)
		return false;
	for (size_t i = 0; i < a->n_hosts; i++)
		if (strcmp(a->hosts[i], b->hosts[i]) != 0)
			return false;
	return true;
}
