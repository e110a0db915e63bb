/* presence: see presence.h. The signature covers a context and the payload bytes as sent. */
#include "wire/presence.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "base/buf.h"
#include "base/encode.h"
#include "wire/node.h"

static const char context[] = "hearth-presence1";
enum { CONTEXT_LEN = sizeof(context) - 1 };

void presence_done(struct presence *presence)
{
	free(presence->payload);
	*presence = (struct presence){ 0 };
}

bool presence_endpoint_is_valid(const struct endpoint *endpoint)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	const struct ip_addr *addr = &endpoint->addr;

	if (!ip_bits(addr->family) || !endpoint->port || endpoint->scope)
		return false;
	if (addr->family == AF_INET6 && !memcmp(addr->bytes, mapped, sizeof(mapped)))
		return false;
	if (addr->family == AF_INET && (addr->bytes[0] == 0 || addr->bytes[0] >= 240))
		return false;
	return !ip_addr_is_loopback(addr) && !ip_addr_is_link_local(addr) &&
	       !ip_addr_is_multicast(addr) && !ip_addr_is_unspecified(addr);
}

static bool is_well_formed(const struct presence *presence)
{
	if (presence->node < 1 || presence->node > NODE_ID_MAX || presence->counter < 1 ||
		presence->counter > PRESENCE_COUNTER_MAX ||
		presence->n_endpoints > PRESENCE_ENDPOINTS_MAX || presence->relay > NODE_ID_MAX)
		return false;
	if (presence->kube_problem[0] && !presence->kube[0])
		return false;
	for (size_t i = 0; i < presence->n_endpoints; i++) {
		if (!presence_endpoint_is_valid(&presence->endpoints[i]))
			return false;
		for (size_t j = 0; j < i; j++)
			if (endpoint_equal(&presence->endpoints[i], &presence->endpoints[j]))
				return false;
	}
	return true;
}

static json_t *make_kube(const struct presence *presence)
{
	json_t *json = json_pack("{s:s}", "bundle", presence->kube);

	if (json && presence->kube_problem[0] &&
		json_object_set_new(json, "problem", json_string(presence->kube_problem)) < 0) {
		json_decref(json);
		return NULL;
	}
	return json;
}

static json_t *make_payload(const struct presence *presence)
{
	CLEANUP_JSON json_t *json = json_object(), *list = json_array();
	char text[ENDPOINT_TEXT_MAX];
	int bad = 0;

	for (size_t i = 0; i < presence->n_endpoints; i++)
		bad |= json_array_append_new(
			list, json_string(endpoint_format(&presence->endpoints[i], text)));
	bad |= json_object_set_new(json, "node", json_integer(presence->node));
	bad |= json_object_set_new(json, "counter", json_integer((json_int_t) presence->counter));
	bad |= json_object_set(json, "endpoints", list);
	bad |= json_object_set_new(
		json, "disco", presence->has_disco ? field_key(presence->disco) : json_null());
	bad |= json_object_set_new(
		json, "relay", presence->relay ? json_integer(presence->relay) : json_null());
	if (presence->kube[0])
		bad |= json_object_set_new(json, "kube", make_kube(presence));
	if (presence->no_ipv6)
		bad |= json_object_set_new(json, "no_ipv6", json_true());
	return bad ? NULL : TAKE(json);
}

static int signed_bytes(const struct presence *presence, struct buf *out)
{
	buf_add(out, context, CONTEXT_LEN);
	buf_add(out, presence->payload, presence->payload_len);
	return buf_failed(out) ? -ENOMEM : 0;
}

int presence_sign(struct presence *presence, const uint8_t seed[static PRESENCE_SEED_LEN])
{
	uint8_t public[crypto_sign_PUBLICKEYBYTES], secret[crypto_sign_SECRETKEYBYTES];
	CLEANUP_BUF struct buf bytes = { 0 };

	if (!is_well_formed(presence))
		return -EINVAL;
	CLEANUP_JSON json_t *json = make_payload(presence);
	char *text = json ? json_text(json) : NULL;

	if (!text)
		return -ENOMEM;
	free(presence->payload);
	presence->payload = (uint8_t *) text;
	presence->payload_len = strlen(text);
	int r = signed_bytes(presence, &bytes);

	if (r)
		return r;
	(void) crypto_sign_seed_keypair(public, secret, seed);
	(void) crypto_sign_detached(presence->sig, NULL, (uint8_t *) bytes.data, bytes.len, secret);
	sodium_memzero(secret, sizeof(secret));
	return 0;
}

static int read_endpoints(const json_t *json, struct presence *presence, struct err *err)
{
	json_t *list;
	char again[ENDPOINT_TEXT_MAX];
	int r = json_get_array(json, "endpoints", PRESENCE_ENDPOINTS_MAX, &list, err);

	if (r)
		return r;
	presence->n_endpoints = json_array_size(list);
	for (size_t i = 0; i < presence->n_endpoints; i++) {
		const char *text = json_string_value(json_array_get(list, i));
		struct endpoint *endpoint = &presence->endpoints[i];

		if (!text || endpoint_parse(text, endpoint) < 0 ||
			strcmp(endpoint_format(endpoint, again), text))
			return err_set(
				err, -EINVAL, "field \"endpoints\" must be a list of ADDRESS:PORT");
	}
	return 0;
}

static int read_kube(const json_t *json, struct presence *presence, struct err *err)
{
	json_t *kube;

	if (!json_has(json, "kube"))
		return 0;
	int r = json_get_object(json, "kube", &kube, err);

	if (r == 0)
		r = field_get_hex(kube, "bundle", FIELD_ID_MAX - 1, presence->kube, err);
	if (r == 0 && json_has(kube, "problem"))
		r = field_get_text(
			kube, "problem", PRESENCE_PROBLEM_MAX, presence->kube_problem, err);
	return r;
}

/* null: none. */
static int read_relay(const json_t *json, struct presence *presence, struct err *err)
{
	uint64_t relay = 0;
	int r = json_has(json, "relay") ? json_get_u64(json, "relay", NODE_ID_MAX, &relay, err) : 0;

	if (r == 0 && json_has(json, "relay") && !relay)
		r = err_set(err, -EINVAL, "field \"relay\" must be a node's number");
	presence->relay = (uint32_t) relay;
	return r;
}

static int read_payload(struct presence *presence, struct err *err)
{
	CLEANUP_JSON json_t *json =
		json_parse((const char *) presence->payload, presence->payload_len, err);
	uint64_t node;
	int r;

	if (!json)
		return -EINVAL;
	if ((r = json_get_u64(json, "node", NODE_ID_MAX, &node, err)) ||
		(r = json_get_u64(
			 json, "counter", PRESENCE_COUNTER_MAX, &presence->counter, err)) ||
		(r = read_endpoints(json, presence, err)))
		return r;
	presence->node = (uint32_t) node;
	presence->has_disco = json_has(json, "disco");
	if (presence->has_disco && (r = field_get_nonzero_key(json, "disco", presence->disco, err)))
		return r;
	if ((r = read_relay(json, presence, err)) || (r = read_kube(json, presence, err)))
		return r;
	if (json_has(json, "no_ipv6") &&
		(r = json_get_bool(json, "no_ipv6", &presence->no_ipv6, err)))
		return r;
	if (!is_well_formed(presence))
		return err_set(err, -EINVAL,
			"\"node\" and \"counter\" count from 1; "
			"\"endpoints\" must be usable addresses, each once");
	return 0;
}

int presence_from_json(const json_t *json, struct presence *ret, struct err *err)
{
	CLEANUP_PRESENCE struct presence presence = { 0 };
	CLEANUP(free_p) uint8_t *sig = NULL;
	const char *payload, *sig_text;
	size_t sig_len;
	int r;

	if ((r = json_get_str(json, "payload", &payload, err)) ||
		(r = json_get_str(json, "sig", &sig_text, err)))
		return field_refuse_missing(r, err);
	r = base64_decode(payload, strlen(payload), PRESENCE_PAYLOAD_MAX, &presence.payload,
		&presence.payload_len);
	if (r < 0)
		return r == -ENOMEM
			       ? err_set(err, r, "out of memory")
			       : err_set(err, -EINVAL,
					 "field \"payload\" must be at most %d bytes in base64",
					 (int) PRESENCE_PAYLOAD_MAX);
	r = base64_decode(sig_text, strlen(sig_text), PRESENCE_SIG_LEN, &sig, &sig_len);
	if (r == -ENOMEM)
		return err_set(err, r, "out of memory");
	if (r < 0 || sig_len != PRESENCE_SIG_LEN)
		return err_set(err, -EINVAL, "field \"sig\" must be 64 bytes in base64");
	memcpy(presence.sig, sig, PRESENCE_SIG_LEN);
	r = field_refuse_missing(read_payload(&presence, err), err);
	if (r) {
		err_prefix(err, "presence");
		return r;
	}
	*ret = presence;
	presence.payload = NULL;
	return 0;
}

int presence_verify(
	const struct presence *presence, const uint8_t identity[static PRESENCE_KEY_LEN])
{
	CLEANUP_BUF struct buf bytes = { 0 };

	if (!presence->payload)
		return -EBADMSG;
	int r = signed_bytes(presence, &bytes);

	if (r)
		return r;
	if (crypto_sign_verify_detached(
		    presence->sig, (uint8_t *) bytes.data, bytes.len, identity) != 0)
		return -EBADMSG;
	return 0;
}

int presence_open(const json_t *json, uint32_t node,
	const uint8_t identity[static PRESENCE_KEY_LEN], struct presence *ret, struct err *err)
{
	CLEANUP_PRESENCE struct presence presence = { 0 };
	int r = presence_from_json(json, &presence, err);

	if (r)
		return r;
	if (presence.node != node)
		return err_set(err, -EBADMSG, "presence of node %u where node %u's was expected",
			presence.node, node);
	r = presence_verify(&presence, identity);
	if (r)
		return err_set(err, r, "presence of node %u: %s", node,
			r == -EBADMSG ? "its identity key did not sign it" : strerror(-r));
	*ret = presence;
	presence.payload = NULL;
	return 0;
}

json_t *presence_to_json(const struct presence *presence)
{
	CLEANUP_JSON json_t *json = json_object();
	CLEANUP(free_p) char *payload = base64_encode(presence->payload, presence->payload_len);
	CLEANUP(free_p) char *sig = base64_encode(presence->sig, sizeof(presence->sig));

	if (!payload || !sig)
		return NULL;
	int bad = json_object_set_new(json, "payload", json_string(payload));

	bad |= json_object_set_new(json, "sig", json_string(sig));
	return bad ? NULL : TAKE(json);
}
