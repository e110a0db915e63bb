/*
 * kube: see kube.h. The strings end in kubeadm's documents and on command lines that a person
 * copies, so each has to match its grammar exactly.
 */
#include "wire/kube.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/encode.h"
#include "wire/node.h"

/* Before the payload in what is signed. */
static const char context[] = "hearth-cluster-1";
enum { CONTEXT_LEN = sizeof(context) - 1 };

#define ALNUM "abcdefghijklmnopqrstuvwxyz0123456789"

void kube_bundle_done(struct kube_bundle *bundle)
{
	sodium_memzero(bundle, sizeof(*bundle));
}

/* [a-z0-9]{6}\.[a-z0-9]{16} */
static bool token_is_valid(const char *token)
{
	return strlen(token) == 23 && strspn(token, ALNUM) == 6 && token[6] == '.' &&
	       strspn(token + 7, ALNUM) == 16;
}

/* HOST:PORT: what may follow https:// there, and with a port. */
static bool endpoint_is_valid(const char *endpoint)
{
	char url[FIELD_URL_MAX];
	const char *colon = strrchr(endpoint, ':');
	int n = snprintf(url, sizeof(url), "https://%s", endpoint);

	if (n < 0 || (size_t) n >= sizeof(url) || !colon || !colon[1] || strchr(colon, ']'))
		return false;
	return field_url_is_valid(url);
}

/* v1.37.2, v1.37.0-rc.1, v1.37.2+build */
static bool version_is_valid(const char *version)
{
	const char *p = version;

	if (*p++ != 'v' || strlen(version) >= KUBE_VERSION_MAX)
		return false;
	for (int part = 0; part < 3; part++) {
		size_t digits = strspn(p, "0123456789");

		if (digits < 1 || digits > 4 || (part < 2 && p[digits] != '.'))
			return false;
		p += digits + (part < 2);
	}
	if (!*p)
		return true;
	return (*p == '-' || *p == '+') && p[1] &&
	       strspn(p + 1, ALNUM "ABCDEFGHIJKLMNOPQRSTUVWXYZ.-+") == strlen(p + 1);
}

/* --- the cluster document --- */

static int read_ca(const json_t *json, struct kube_cluster *cluster, struct err *err)
{
	json_t *list;
	int r = json_get_array(json, "ca", KUBE_CA_MAX, &list, err);

	if (r)
		return r;
	size_t n = json_array_size(list);

	for (size_t i = 0; i < n; i++) {
		const char *text = json_string_value(json_array_get(list, i));

		if (!text || strncmp(text, "sha256:", 7) || !field_hex_is_valid(text + 7, 64))
			n = 0;
		else
			memcpy(cluster->ca[i], text, strlen(text) + 1);
	}
	if (!n)
		return err_set(err, -EINVAL,
			"field \"ca\" must be a list of \"sha256:\" and 64 lower-case hex digits");
	cluster->n_ca = n;
	return 0;
}

static int get_checked(const json_t *json, const char *key, size_t size,
	bool (*is_valid)(const char *), char *ret, struct err *err)
{
	int r = field_get_text(json, key, size, ret, err);

	if (r == 0 && !is_valid(ret))
		r = err_set(err, -EINVAL, "field \"%s\" is not well formed", key);
	return r;
}

static int cluster_from_json(const json_t *json, struct kube_cluster *cluster, struct err *err)
{
	uint64_t node = 0;
	int r;

	if ((r = field_get_nonzero_key(json, "root", cluster->root, err)) ||
		(r = field_get_name(json, "mesh", cluster->mesh, err)) ||
		(r = json_get_u64(json, "node", NODE_ID_MAX, &node, err)) ||
		(r = json_get_u64(json, "seq", KUBE_SEQ_MAX, &cluster->seq, err)) ||
		(r = get_checked(json, "endpoint", KUBE_ENDPOINT_MAX, endpoint_is_valid,
			 cluster->endpoint, err)) ||
		(r = read_ca(json, cluster, err)) ||
		(r = get_checked(json, "version", KUBE_VERSION_MAX, version_is_valid,
			 cluster->version, err)))
		return r;
	if (!node || !cluster->seq)
		return err_set(err, -EINVAL, "\"node\" and \"seq\" count from 1");
	cluster->node = (uint32_t) node;
	return 0;
}

static json_t *cluster_to_json(const struct kube_cluster *cluster)
{
	CLEANUP_JSON json_t *ca = json_array();
	int bad = 0;

	for (size_t i = 0; i < cluster->n_ca; i++)
		bad |= json_array_append_new(ca, json_string(cluster->ca[i]));
	return bad ? NULL
		   : json_pack("{s:o, s:s, s:I, s:I, s:s, s:O, s:s}", "root",
			     field_key(cluster->root), "mesh", cluster->mesh, "node",
			     (json_int_t) cluster->node, "seq", (json_int_t) cluster->seq,
			     "endpoint", cluster->endpoint, "ca", ca, "version", cluster->version);
}

int kube_cluster_read(const struct kube_signed *document, struct kube_cluster *ret, struct err *err)
{
	struct kube_cluster cluster = { 0 };
	CLEANUP_JSON json_t *json =
		json_parse((const char *) document->payload, document->len, err);
	int r = json ? field_refuse_missing(cluster_from_json(json, &cluster, err), err) : -EINVAL;

	if (r) {
		err_prefix(err, "cluster document");
		return r;
	}
	*ret = cluster;
	return 0;
}

static size_t signed_bytes(
	const struct kube_signed *document, uint8_t ret[static CONTEXT_LEN + KUBE_CLUSTER_MAX])
{
	memcpy(ret, context, CONTEXT_LEN);
	memcpy(ret + CONTEXT_LEN, document->payload, document->len);
	return CONTEXT_LEN + document->len;
}

int kube_cluster_sign(const struct kube_cluster *cluster, const uint8_t seed[static FIELD_KEY_LEN],
	struct kube_signed *ret, struct err *err)
{
	uint8_t public[crypto_sign_PUBLICKEYBYTES], secret[crypto_sign_SECRETKEYBYTES];
	uint8_t bytes[CONTEXT_LEN + KUBE_CLUSTER_MAX];
	struct kube_signed document = { 0 };
	struct kube_cluster again;
	CLEANUP_JSON json_t *json = cluster_to_json(cluster);
	CLEANUP(free_p) char *text = json ? json_text(json) : NULL;

	if (!text)
		return err_set(err, -ENOMEM, "out of memory");
	document.len = strlen(text);
	if (document.len > sizeof(document.payload))
		return err_set(
			err, -EINVAL, "cluster document: longer than %d bytes", KUBE_CLUSTER_MAX);
	memcpy(document.payload, text, document.len);
	int r = kube_cluster_read(&document, &again, err);

	if (r)
		return r;
	size_t len = signed_bytes(&document, bytes);

	(void) crypto_sign_seed_keypair(public, secret, seed);
	(void) crypto_sign_detached(document.sig, NULL, bytes, len, secret);
	sodium_memzero(secret, sizeof(secret));
	*ret = document;
	return 0;
}

int kube_cluster_verify(
	const struct kube_signed *document, const uint8_t identity[static FIELD_KEY_LEN])
{
	uint8_t bytes[CONTEXT_LEN + KUBE_CLUSTER_MAX];
	size_t len = signed_bytes(document, bytes);

	return crypto_sign_verify_detached(document->sig, bytes, len, identity) ? -EBADMSG : 0;
}

/* --- the bundle --- */

static int get_bytes(const json_t *json, const char *key, size_t max, uint8_t *ret, size_t *ret_len,
	struct err *err)
{
	CLEANUP(free_p) uint8_t *data = NULL;
	const char *text;
	int r = json_get_str(json, key, &text, err);

	if (r)
		return r;
	r = base64_decode(text, strlen(text), max, &data, ret_len);
	if (r < 0)
		return r == -ENOMEM ? err_set(err, r, "out of memory")
				    : err_set(err, -EINVAL,
					      "field \"%s\" must be at most %zu bytes in base64",
					      key, max);
	memcpy(ret, data, *ret_len);
	return 0;
}

static int read_signed(const json_t *json, struct kube_signed *document, struct err *err)
{
	json_t *object;
	size_t sig_len = 0;
	int r;

	if ((r = json_get_object(json, "cluster", &object, err)) ||
		(r = get_bytes(object, "payload", KUBE_CLUSTER_MAX, document->payload,
			 &document->len, err)) ||
		(r = get_bytes(object, "sig", KUBE_SIG_LEN, document->sig, &sig_len, err)))
		return r;
	return sig_len == KUBE_SIG_LEN
		       ? 0
		       : err_set(err, -EINVAL, "field \"sig\" must be 64 bytes in base64");
}

static int read_secret(const json_t *json, struct kube_bundle *bundle, struct err *err)
{
	json_t *secret;
	int r;

	if ((r = json_get_object(json, "secret", &secret, err)) ||
		(r = get_checked(
			 secret, "token", KUBE_TOKEN_MAX, token_is_valid, bundle->token, err)) ||
		(r = json_get_u64(secret, "expires", INT64_MAX, &bundle->expires, err)))
		return r;
	bundle->has_certificate_key = json_has(secret, "certificate_key");
	return bundle->has_certificate_key
		       ? field_get_hex(secret, "certificate_key", KUBE_CERTIFICATE_KEY_MAX - 1,
				 bundle->certificate_key, err)
		       : 0;
}

int kube_bundle_from_json(const json_t *json, struct kube_bundle *ret, struct err *err)
{
	CLEANUP_KUBE_BUNDLE struct kube_bundle bundle = { 0 };
	int r = field_get_hex(json, "id", KUBE_ID_MAX - 1, bundle.id, err);

	if (r == 0)
		r = read_signed(json, &bundle.cluster, err);
	if (r == 0)
		r = read_secret(json, &bundle, err);
	r = field_refuse_missing(r, err);
	if (r) {
		err_prefix(err, "join bundle");
		return r;
	}
	*ret = bundle;
	return 0;
}

json_t *kube_bundle_to_json(const struct kube_bundle *bundle)
{
	CLEANUP(free_p)
	char *payload = base64_encode(bundle->cluster.payload, bundle->cluster.len);
	CLEANUP(free_p) char *sig = base64_encode(bundle->cluster.sig, KUBE_SIG_LEN);

	if (!payload || !sig)
		return NULL;
	return json_pack("{s:s, s:{s:s, s:s}, s:{s:s, s:I, s:s?}}", "id", bundle->id, "cluster",
		"payload", payload, "sig", sig, "secret", "token", bundle->token, "expires",
		(json_int_t) bundle->expires, "certificate_key",
		bundle->has_certificate_key ? bundle->certificate_key : NULL);
}
