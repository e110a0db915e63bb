/* fields: see fields.h. Writes its results only when the whole field was accepted. */
#include "wire/fields.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "base/encode.h"
#include "base/number.h"

static bool is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool field_name_is_valid(const char *name)
{
	size_t len = strlen(name);

	if (len < 1 || len >= FIELD_NAME_MAX || !is_alnum(name[0]) || !is_alnum(name[len - 1]))
		return false;
	for (size_t i = 0; i < len; i++)
		if (!is_alnum(name[i]) && name[i] != '-')
			return false;
	return true;
}

bool field_hex_is_valid(const char *text, size_t digits)
{
	return strlen(text) == digits && strspn(text, "0123456789abcdef") == digits;
}

/* A host name as people write it: labels of letters, digits and hyphens. All digits is no name. */
static bool host_is_valid(const char *host)
{
	size_t len = strlen(host), label = 0;
	struct ip_addr addr;

	if (ip_addr_parse(host, &addr) == 0)
		return addr.family == AF_INET;
	if (len < 1 || len > 253 || strspn(host, "0123456789.") == len)
		return false;
	for (size_t i = 0; i < len; i++) {
		char c = host[i];
		bool alnum = is_alnum(c) || (c >= 'A' && c <= 'Z');

		if (c == '.') {
			if (!label || host[i - 1] == '-')
				return false;
			label = 0;
			continue;
		}
		if ((!alnum && (c != '-' || !label)) || ++label > 63)
			return false;
	}
	return label && host[len - 1] != '-';
}

bool field_host_is_valid(const char *host)
{
	struct ip_addr addr;

	return host_is_valid(host) || (ip_addr_parse(host, &addr) == 0 && addr.family == AF_INET6);
}

static bool port_is_valid(const char *port)
{
	uint64_t n;

	return number_parse(port, 1, UINT16_MAX, &n) == 0;
}

bool field_url_split(const char *url, char ret_host[static FIELD_URL_MAX], const char **ret_port)
{
	static const char scheme[] = "https://";
	size_t len = strlen(url);
	const char *port = "";
	struct ip_addr addr;
	char *end;

	if (len >= FIELD_URL_MAX || strncmp(url, scheme, sizeof(scheme) - 1))
		return false;
	memcpy(ret_host, url + sizeof(scheme) - 1, len - sizeof(scheme) + 2);
	end = strrchr(ret_host, ':');
	if (end && !strchr(end, ']')) {
		port = url + sizeof(scheme) + (end - ret_host);
		*end = '\0';
		if (!port_is_valid(port))
			return false;
	}
	*ret_port = port;
	if (ret_host[0] != '[')
		return host_is_valid(ret_host);
	end = strchr(ret_host, ']');
	if (!end || end[1])
		return false;
	*end = '\0';
	memmove(ret_host, ret_host + 1, (size_t) (end - ret_host));
	return ip_addr_parse(ret_host, &addr) == 0 && addr.family == AF_INET6;
}

bool field_url_is_valid(const char *url)
{
	char host[FIELD_URL_MAX];
	const char *port;

	return field_url_split(url, host, &port);
}

int field_refuse_missing(int r, struct err *err)
{
	if (r != -ENOENT)
		return r;
	if (err)
		err->code = -EINVAL;
	return -EINVAL;
}

int field_get_key(
	const json_t *obj, const char *key, uint8_t ret[static FIELD_KEY_LEN], struct err *err)
{
	const char *text;
	int r = json_get_str(obj, key, &text, err);

	if (r)
		return r;
	if (key_from_base64(text, ret) < 0)
		return err_set(err, -EINVAL, "field \"%s\" must be 32 bytes in base64", key);
	return 0;
}

int field_get_nonzero_key(
	const json_t *obj, const char *key, uint8_t ret[static FIELD_KEY_LEN], struct err *err)
{
	uint8_t value[FIELD_KEY_LEN];
	int r = field_get_key(obj, key, value, err);

	if (r)
		return r;
	if (sodium_is_zero(value, sizeof(value)))
		return err_set(err, -EINVAL, "field \"%s\" must not be zero", key);
	memcpy(ret, value, sizeof(value));
	return 0;
}

int field_get_keys(const json_t *obj, const char *key, size_t min, size_t max,
	uint8_t (*ret)[FIELD_KEY_LEN], size_t *ret_n, struct err *err)
{
	json_t *list;
	int r = json_get_array(obj, key, max, &list, err);

	if (r)
		return r;
	size_t n = json_array_size(list);

	if (n < min)
		return err_set(err, -EINVAL, "field \"%s\" must have at least %zu entry", key, min);
	for (size_t i = 0; i < n; i++) {
		const char *text = json_string_value(json_array_get(list, i));

		if (!text || key_from_base64(text, ret[i]) < 0 ||
			sodium_is_zero(ret[i], FIELD_KEY_LEN))
			return err_set(err, -EINVAL,
				"field \"%s\" must be a list of 32 bytes in base64 each", key);
		for (size_t j = 0; j < i; j++)
			if (!memcmp(ret[i], ret[j], FIELD_KEY_LEN))
				return err_set(
					err, -EINVAL, "field \"%s\" has an entry twice", key);
	}
	*ret_n = n;
	return 0;
}

int field_get_text(const json_t *obj, const char *key, size_t size, char *ret, struct err *err)
{
	const char *text;
	int r = json_get_str(obj, key, &text, err);

	if (r)
		return r;
	size_t len = strlen(text);

	if (!len || len >= size)
		return err_set(
			err, -EINVAL, "field \"%s\" must have 1 to %zu bytes", key, size - 1);
	for (size_t i = 0; i < len; i++)
		if ((unsigned char) text[i] < 0x20 || text[i] == 0x7f)
			return err_set(err, -EINVAL, "field \"%s\" has a control character", key);
	memcpy(ret, text, len + 1);
	return 0;
}

int field_get_name(
	const json_t *obj, const char *key, char ret[static FIELD_NAME_MAX], struct err *err)
{
	const char *text;
	int r = json_get_str(obj, key, &text, err);

	if (r)
		return r;
	if (!field_name_is_valid(text))
		return err_set(err, -EINVAL,
			"field \"%s\" must be 1 to 63 of a-z, 0-9 and hyphens inside", key);
	memcpy(ret, text, strlen(text) + 1);
	return 0;
}

int field_get_hex(const json_t *obj, const char *key, size_t digits, char *ret, struct err *err)
{
	const char *text;
	int r = json_get_str(obj, key, &text, err);

	if (r)
		return r;
	if (!field_hex_is_valid(text, digits))
		return err_set(err, -EINVAL, "field \"%s\" must be %zu lower-case hex digits", key,
			digits);
	memcpy(ret, text, digits + 1);
	return 0;
}

int field_get_urls(const json_t *obj, const char *key, size_t min, char (*ret)[FIELD_URL_MAX],
	size_t *ret_n, struct err *err)
{
	json_t *list;
	int r = json_get_array(obj, key, FIELD_URLS_MAX, &list, err);

	if (r)
		return r;
	size_t n = json_array_size(list);

	if (n < min)
		return err_set(err, -EINVAL, "field \"%s\" must have at least %zu entry", key, min);
	for (size_t i = 0; i < n; i++) {
		const char *url = json_string_value(json_array_get(list, i));

		if (!url || !field_url_is_valid(url))
			return err_set(err, -EINVAL,
				"field \"%s\" must be a list of https://HOST:PORT", key);
		memcpy(ret[i], url, strlen(url) + 1);
	}
	*ret_n = n;
	return 0;
}

/* One way to write each value, so that equal documents have equal bytes. */
static int must_be_written(const json_t *obj, const char *key, const char *text, struct err *err)
{
	if (strcmp(text, json_string_value(json_object_get(obj, key))))
		return err_set(err, -EINVAL, "field \"%s\" must be written as %s", key, text);
	return 0;
}

int field_get_addr(
	const json_t *obj, const char *key, int family, struct ip_addr *ret, struct err *err)
{
	struct ip_addr addr;
	char text[IP_TEXT_MAX];
	int r = json_get_addr(obj, key, family, &addr, err);

	if (r == 0)
		r = must_be_written(obj, key, ip_addr_format(&addr, text), err);
	if (r == 0)
		*ret = addr;
	return r;
}

int field_get_prefix(
	const json_t *obj, const char *key, int family, struct ip_prefix *ret, struct err *err)
{
	struct ip_prefix prefix;
	char text[PREFIX_TEXT_MAX];
	int r = json_get_prefix(obj, key, family, &prefix, err);

	if (r == 0)
		r = must_be_written(obj, key, ip_prefix_format(&prefix, text), err);
	if (r == 0)
		*ret = prefix;
	return r;
}

json_t *field_key(const uint8_t key[static FIELD_KEY_LEN])
{
	char text[KEY_BASE64_LEN];

	key_to_base64(key, text);
	json_t *json = json_string(text);

	sodium_memzero(text, sizeof(text));
	return json;
}

json_t *field_keys(const uint8_t (*keys)[FIELD_KEY_LEN], size_t n)
{
	CLEANUP_JSON json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		if (json_array_append_new(list, field_key(keys[i])) < 0)
			return NULL;
	return TAKE(list);
}

json_t *field_urls(const char (*urls)[FIELD_URL_MAX], size_t n)
{
	CLEANUP_JSON json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		if (json_array_append_new(list, json_string(urls[i])) < 0)
			return NULL;
	return TAKE(list);
}

json_t *field_addr(const struct ip_addr *addr)
{
	char text[IP_TEXT_MAX];

	return json_string(ip_addr_format(addr, text));
}

json_t *field_prefix(const struct ip_prefix *prefix)
{
	char text[PREFIX_TEXT_MAX];

	return json_string(ip_prefix_format(prefix, text));
}

json_t *field_copy_origin(const json_t *origin)
{
	return origin ? json_copy((json_t *) origin) : json_object();
}
