/*
 * node-label: see node-label.h. The two rules are those of Kubernetes itself: the form of a label
 * (apimachinery's IsQualifiedName and IsValidLabelValue), and which labels of kubernetes.io and
 * k8s.io kubelet accepts in --node-labels (its own flag check, and the API server's
 * NodeRestriction).
 */
#include "wire/node-label.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/cleanup.h"

enum { PREFIX_MAX = 253, NAME_MAX_LEN = 63, VALUE_MAX = 63 };

static bool is_lower_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_alnum(char c)
{
	return is_lower_alnum(c) || (c >= 'A' && c <= 'Z');
}

/* Names with dots between, each of a-z, 0-9 and hyphens inside. */
static bool is_subdomain(const char *text, size_t len)
{
	char before = '.';

	for (size_t i = 0; i < len; i++) {
		char c = text[i], next = i + 1 < len ? text[i + 1] : '.';
		bool inside = before != '.' && next != '.';

		if (!is_lower_alnum(c) && !(c == '-' && inside) && !(c == '.' && before != '.'))
			return false;
		before = c;
	}
	return len && before != '.' && before != '-';
}

static bool is_name(const char *text)
{
	size_t len = strlen(text);

	for (size_t i = 0; i < len; i++)
		if (!is_alnum(text[i]) && (!i || i == len - 1 || !strchr("-_.", text[i])))
			return false;
	return true;
}

static bool is_in_domain(const char *prefix, size_t len, const char *domain)
{
	size_t n = strlen(domain);

	return len >= n && !memcmp(prefix + len - n, domain, n) &&
	       (len == n || prefix[len - n - 1] == '.');
}

static bool may_kubelet_set(const char *key, size_t prefix_len)
{
	static const char *const keys[] = { "kubernetes.io/hostname", "kubernetes.io/arch",
		"kubernetes.io/os", "beta.kubernetes.io/arch", "beta.kubernetes.io/os",
		"beta.kubernetes.io/instance-type", "topology.kubernetes.io/region",
		"topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/region",
		"failure-domain.beta.kubernetes.io/zone" };

	if (!is_in_domain(key, prefix_len, "kubernetes.io") &&
		!is_in_domain(key, prefix_len, "k8s.io"))
		return true;
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (!strcmp(key, keys[i]))
			return true;
	return is_in_domain(key, prefix_len, "kubelet.kubernetes.io") ||
	       is_in_domain(key, prefix_len, "node.kubernetes.io");
}

/* For a terminal: cut, and without what would move its cursor. */
enum { SHOWN_MAX = 81 };
static const char *shown(const char *text, char ret[static SHOWN_MAX])
{
	size_t i = 0;

	for (; text[i] && i < SHOWN_MAX - 1; i++)
		ret[i] = (char) (text[i] >= ' ' && text[i] <= '~' ? text[i] : '?');
	ret[i] = 0;
	return ret;
}

static int check_form(const char *key, const char *value, struct err *err)
{
	const char *slash = strchr(key, '/'), *name = slash ? slash + 1 : key;
	size_t prefix_len = slash ? (size_t) (slash - key) : 0;
	char text[SHOWN_MAX], other[SHOWN_MAX];

	if (slash && (prefix_len > PREFIX_MAX || !is_subdomain(key, prefix_len)))
		return err_set(err, -EINVAL,
			"\"%s\" is no label: what stands before the slash must be a name such "
			"as example.com, of a-z, 0-9, hyphens and dots inside, at most %d",
			shown(key, text), (int) PREFIX_MAX);
	if (!*name || strlen(name) > NAME_MAX_LEN || !is_name(name))
		return err_set(err, -EINVAL,
			"\"%s\" is no label: its name must be 1 to %d letters and digits, "
			"with \"-\", \"_\" and \".\" inside",
			shown(key, text), (int) NAME_MAX_LEN);
	if (strlen(value) > VALUE_MAX || !is_name(value))
		return err_set(err, -EINVAL,
			"the label %s cannot be \"%s\": a value is at most %d letters and digits, "
			"with \"-\", \"_\" and \".\" inside",
			shown(key, text), shown(value, other), (int) VALUE_MAX);
	return 0;
}

int node_label_check(const char *key, const char *value, struct err *err)
{
	const char *slash = strchr(key, '/');
	int r = check_form(key, value, err);

	if (r < 0 || !slash || may_kubelet_set(key, (size_t) (slash - key)))
		return r;
	return err_set(err, -EINVAL,
		"a kubelet may not give itself the label %.90s: "
		"of kubernetes.io and k8s.io it may only set names of node.kubernetes.io "
		"and kubelet.kubernetes.io, and topology.kubernetes.io/zone and region. "
		"Take node.kubernetes.io%s or a name of your own (%s); "
		"or, once the board is part of the cluster: kubectl label node NAME %.90s=%s",
		key, slash, slash + 1, key, value);
}

int node_labels_check(const json_t *labels, struct err *err)
{
	char text[SHOWN_MAX];
	const char *key;
	json_t *value;

	json_object_foreach((json_t *) labels, key, value)
	{
		if (!json_is_string(value))
			return err_set(err, -EINVAL, "the label %s has no text as value",
				shown(key, text));
		int r = node_label_check(key, json_string_value(value), err);

		if (r < 0)
			return r;
	}
	return 0;
}
