/* json: see json.h. */
#include "base/json.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/file.h"

/*
 * jansson recurses once per level and takes 2,048 of them: ask before it does, in one pass that
 * knows strings and escapes.
 */
static bool too_deep(const char *text, size_t len)
{
	unsigned depth = 0;
	bool string = false;

	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (string) {
			if (c == '\\')
				i++;
			else if (c == '"')
				string = false;
		} else if (c == '"') {
			string = true;
		} else if (c == '{' || c == '[') {
			if (++depth > JSON_DEPTH_MAX)
				return true;
		} else if ((c == '}' || c == ']') && depth) {
			depth--;
		}
	}
	return false;
}

/*
 * jansson does not say that it was out of memory, and where a token's text could not grow it goes
 * on with a shorter one.
 */
static _Thread_local bool starved;

static void *allocate(size_t size)
{
	void *p = malloc(size);

	starved = starved || !p;
	return p;
}

static void watch_allocations(void)
{
	json_set_alloc_funcs(allocate, free);
}

json_t *json_parse(const char *text, size_t len, struct err *err)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	json_error_t e;

	if (too_deep(text, len)) {
		err_set(err, -EINVAL, "not accepted as JSON: nested deeper than %d",
			JSON_DEPTH_MAX);
		return NULL;
	}
	(void) pthread_once(&once, watch_allocations);
	starved = false;
	json_t *json = json_loadb(text, len, JSON_REJECT_DUPLICATES, &e);

	if (starved) {
		json_decref(json);
		err_set(err, -ENOMEM, "out of memory");
		return NULL;
	}
	if (!json)
		err_set(err, -EINVAL, "not valid JSON at line %d, column %d", e.line, e.column);
	return json;
}

json_t *json_read_file(const char *path, size_t max, struct err *err)
{
	CLEANUP_BUF struct buf text = { 0 };
	int r = file_read(path, max, &text);

	if (r < 0) {
		err_set(err, r, "read %s: %s", path, strerror(-r));
		return NULL;
	}
	json_t *json = json_parse(buf_str(&text), text.len, err);

	if (text.data)
		explicit_bzero(text.data, text.len);
	if (!json)
		err_prefix(err, "%s", path);
	return json;
}

char *json_text(const json_t *json)
{
	return json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
}

int json_write_file(const char *path, const json_t *json, mode_t mode)
{
	CLEANUP(free_p) char *text = json_text(json);
	CLEANUP_BUF struct buf out = { 0 };

	if (!text)
		return -ENOMEM;
	buf_add_str(&out, text);
	buf_add_str(&out, "\n");
	explicit_bzero(text, strlen(text));
	if (buf_failed(&out))
		return -ENOMEM;
	int r = file_write_if_changed(path, out.data, out.len, mode);

	explicit_bzero(out.data, out.len);
	return r;
}

static int get(const json_t *obj, const char *key, json_type type, const char *what, json_t **ret,
	struct err *err)
{
	if (!json_is_object(obj))
		return err_set(err, -EINVAL, "an object was expected where \"%s\" should be", key);
	json_t *v = json_object_get(obj, key);

	if (!v || json_is_null(v))
		return err_set(err, -ENOENT, "field \"%s\" is missing", key);
	if (json_typeof(v) != type)
		return err_set(err, -EINVAL, "field \"%s\" must be %s", key, what);
	*ret = v;
	return 0;
}

int json_get_str(const json_t *obj, const char *key, const char **ret, struct err *err)
{
	json_t *v = NULL;
	int r = get(obj, key, JSON_STRING, "a string", &v, err);

	if (r == 0)
		*ret = json_string_value(v);
	return r;
}

int json_get_u64(const json_t *obj, const char *key, uint64_t max, uint64_t *ret, struct err *err)
{
	json_t *v = NULL;
	int r = get(obj, key, JSON_INTEGER, "a whole number", &v, err);

	if (r)
		return r;
	json_int_t n = json_integer_value(v);

	if (n < 0 || (uint64_t) n > max)
		return err_set(err, -EINVAL, "field \"%s\" must be between 0 and %llu", key,
			(unsigned long long) max);
	*ret = (uint64_t) n;
	return 0;
}

int json_get_bool(const json_t *obj, const char *key, bool *ret, struct err *err)
{
	if (!json_is_object(obj))
		return err_set(err, -EINVAL, "an object was expected where \"%s\" should be", key);
	json_t *v = json_object_get(obj, key);

	if (!v || json_is_null(v))
		return err_set(err, -ENOENT, "field \"%s\" is missing", key);
	if (!json_is_boolean(v))
		return err_set(err, -EINVAL, "field \"%s\" must be true or false", key);
	*ret = json_is_true(v);
	return 0;
}

int json_get_array(const json_t *obj, const char *key, size_t max, json_t **ret, struct err *err)
{
	json_t *v = NULL;
	int r = get(obj, key, JSON_ARRAY, "a list", &v, err);

	if (r)
		return r;
	if (json_array_size(v) > max)
		return err_set(err, -EINVAL, "field \"%s\" has more than %zu entries", key, max);
	*ret = v;
	return 0;
}

int json_get_object(const json_t *obj, const char *key, json_t **ret, struct err *err)
{
	return get(obj, key, JSON_OBJECT, "an object", ret, err);
}

int json_get_addr(
	const json_t *obj, const char *key, int family, struct ip_addr *ret, struct err *err)
{
	const char *text;
	struct ip_addr a;
	int r = json_get_str(obj, key, &text, err);

	if (r)
		return r;
	if (ip_addr_parse(text, &a) < 0 || (family != AF_UNSPEC && a.family != family))
		return err_set(err, -EINVAL, "field \"%s\" must be an IPv%d address", key,
			family == AF_INET ? 4 : 6);
	*ret = a;
	return 0;
}

int json_get_prefix(
	const json_t *obj, const char *key, int family, struct ip_prefix *ret, struct err *err)
{
	const char *text;
	struct ip_prefix p;
	int r = json_get_str(obj, key, &text, err);

	if (r)
		return r;
	if (ip_prefix_parse(text, &p) < 0 || (family != AF_UNSPEC && p.addr.family != family))
		return err_set(err, -EINVAL,
			"field \"%s\" must be an IPv%d prefix such as %s, without host bits", key,
			family == AF_INET ? 4 : 6,
			family == AF_INET ? "10.77.0.0/16" : "fd00:1:2::/48");
	*ret = p;
	return 0;
}

bool json_has(const json_t *obj, const char *key)
{
	json_t *v = json_object_get(obj, key);

	return v && !json_is_null(v);
}

int json_only(const json_t *obj, const char *const known[], struct err *err)
{
	if (!json_is_object(obj))
		return err_set(err, -EINVAL, "an object was expected");
	const char *key;
	json_t *value;

	json_object_foreach((json_t *) obj, key, value)
	{
		size_t i = 0;

		while (known[i] && strcmp(known[i], key))
			i++;
		if (!known[i])
			return err_set(err, -EINVAL, "unknown field \"%.64s\"", key);
	}
	return 0;
}
