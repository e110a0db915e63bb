/*
 * kube: see kube.h. The strings end in kubeadm's documents and on command lines that a person
 * copies, so each has to match its grammar exactly.
 */
#include "wire/kube.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

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

static int read_ca(const json_t *json, struct kube_bundle *bundle, struct err *err)
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
			memcpy(bundle->ca[i], text, strlen(text) + 1);
	}
	if (!n)
		return err_set(err, -EINVAL,
			"field \"ca\" must be a list of \"sha256:\" and 64 lower-case hex digits");
	bundle->n_ca = n;
	return 0;
}

static int get_checked(const json_t *json, const char *key, size_t size,
	bool (*is_valid)(const char *), char *ret, struct err *err)
{
	int r = field_get_text(json, key, size, ret, err);
	if (!r && !is_valid(ret))
		r = err_set(err, -EINVAL, "field \"%s\" is not well formed", key);
	return r;
}

static int read_fields(const json_t *json, struct kube_bundle *bundle, struct err *err)
{
	int r;
	if ((r = field_get_hex(json, "id", KUBE_ID_MAX - 1, bundle->id, err)) ||
		(r = get_checked(json, "endpoint", KUBE_ENDPOINT_MAX, endpoint_is_valid,
			 bundle->endpoint, err)) ||
		(r = get_checked(
			 json, "token", KUBE_TOKEN_MAX, token_is_valid, bundle->token, err)) ||
		(r = json_get_u64(json, "expires", INT64_MAX, &bundle->expires, err)) ||
		(r = read_ca(json, bundle, err)) ||
		(r = get_checked(json, "version", KUBE_VERSION_MAX, version_is_valid,
			 bundle->version, err)))
		return r;
	bundle->has_certificate_key = json_has(json, "certificate_key");
	if (bundle->has_certificate_key)
		return field_get_hex(json, "certificate_key", KUBE_CERTIFICATE_KEY_MAX - 1,
			bundle->certificate_key, err);
	return 0;
}

int kube_bundle_from_json(const json_t *json, struct kube_bundle *ret, struct err *err)
{
	CLEANUP_KUBE_BUNDLE struct kube_bundle bundle = { 0 };
	int r = field_refuse_missing(read_fields(json, &bundle, err), err);
	if (r) {
		err_prefix(err, "join bundle");
		return r;
	}
	*ret = bundle;
	return 0;
}

json_t *kube_bundle_to_json(const struct kube_bundle *bundle)
{
	CLEANUP_JSON json_t *json = json_object(), *ca = json_array();
	int bad = 0;
	for (size_t i = 0; i < bundle->n_ca; i++)
		bad |= json_array_append_new(ca, json_string(bundle->ca[i]));
	bad |= json_object_set_new(json, "id", json_string(bundle->id));
	bad |= json_object_set_new(json, "endpoint", json_string(bundle->endpoint));
	bad |= json_object_set_new(json, "token", json_string(bundle->token));
	bad |= json_object_set_new(json, "expires", json_integer((json_int_t) bundle->expires));
	bad |= json_object_set(json, "ca", ca);
	bad |= json_object_set_new(json, "version", json_string(bundle->version));
	bad |= json_object_set_new(json, "certificate_key",
		bundle->has_certificate_key ? json_string(bundle->certificate_key) : json_null());
	return bad ? NULL : TAKE(json);
}
