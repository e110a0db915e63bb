/* kubeadm settings: what people write into kubeadm.d does what they wrote, or is refused with the reason. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "base/yaml.h"
#include "boards.h"
#include "settings.h"

static const json_t *document(const json_t *docs, const char *kind)
{
	size_t i;
	json_t *doc;

	json_array_foreach(docs, i, doc)
	{
		if (!strcmp(json_string_value(json_object_get(doc, "kind")), kind))
			return doc;
	}
	return NULL;
}

/* "a.b.0.c" below @at; a dot that is part of a key is written "\.". */
static const json_t *follow(const json_t *at, const char *path)
{
	while (*path && at) {
		char part[64];
		size_t n = 0;

		for (; *path && *path != '.' && n < sizeof(part) - 1; path++) {
			path += *path == '\\';
			part[n++] = *path;
		}
		path += *path == '.';
		part[n] = 0;
		at = json_is_array(at) ? json_array_get(at, strtoul(part, NULL, 10))
				       : json_object_get(at, part);
	}
	return at;
}

static const json_t *arguments(const json_t *docs, const char *component)
{
	const json_t *cluster = document(docs, "ClusterConfiguration");
	const json_t *first = json_array_get(docs, 0); /* Init- or JoinConfiguration */

	if (!strcmp(component, "kubelet"))
		return follow(first, "nodeRegistration.kubeletExtraArgs");
	if (!strcmp(component, "etcd"))
		return follow(cluster, "etcd.local.extraArgs");
	return json_object_get(json_object_get(cluster, component), "extraArgs");
}

/* Adds the values of the argument to @ret, a space between. Returns how many they are. */
static size_t values(const json_t *list, const char *name, struct buf *ret)
{
	size_t n = 0, i;
	json_t *arg;

	json_array_foreach(list, i, arg)
	{
		if (!strcmp(json_string_value(json_object_get(arg, "name")), name))
			buf_printf(ret, "%s%s", n++ ? " " : "",
				json_string_value(json_object_get(arg, "value")));
	}
	return n;
}

static void check_field(const struct setting *s, const json_t *docs, const struct setting_effect *e)
{
	const json_t *v = follow(document(docs, e->where), e->name);
	CLEANUP(free_p)
	char *text = v && !json_is_string(v) ? json_dumps(v, JSON_ENCODE_ANY) : NULL;
	const char *have = v && json_is_string(v) ? json_string_value(v) : text;

	if (!have != !e->value || (have && strcmp(have, e->value)))
		fail_msg("%s: %s %s is %s, not %s", s->name, e->where, e->name,
			have ? have : "absent", e->value ? e->value : "absent");
}

static void check_effect(
	const struct setting *s, const json_t *docs, const struct setting_effect *e)
{
	if (document(docs, e->where) || strstr(e->where, "Configuration")) {
		check_field(s, docs, e);
		return;
	}
	CLEANUP_BUF struct buf have = { 0 };
	size_t n = values(arguments(docs, e->where), e->name, &have);

	if (e->value ? strcmp(buf_str(&have), e->value) != 0 : n > 0)
		fail_msg("%s: %s has %s %zu times, \"%s\", not \"%s\"", s->name, e->where, e->name,
			n, buf_str(&have), e->value ? e->value : "not at all");
}

/* An argument stands twice only if the user said so, and the component takes it so. */
static void check_doubles(const struct setting *s, const json_t *docs)
{
	static const char *const components[] = { "apiServer", "controllerManager", "scheduler",
		"etcd", "kubelet" };

	for (size_t c = 0; c < ARRAY_LEN(components); c++) {
		const json_t *list = arguments(docs, components[c]);
		size_t i;
		json_t *arg;

		json_array_foreach(list, i, arg)
		{
			const char *name = json_string_value(json_object_get(arg, "name"));
			CLEANUP_BUF struct buf all = { 0 };

			if (values(list, name, &all) > 1 && !strstr(s->name, "two-issuers"))
				fail_msg("%s: %s has %s twice", s->name, components[c], name);
		}
	}
}

static void says(const struct setting *s, const char *text)
{
	if (!strstr(text, s->says))
		fail_msg("%s: \"%s\" is not in: %s", s->name, s->says, text);
}

static void check_taken(const struct setting *s, const json_t *over)
{
	const struct board *b = &boards[s->board];
	struct err e = { 0 };
	CLEANUP_JSON json_t *notes = json_array();
	CLEANUP_JSON json_t *docs = board_documents(b, "v1.37.2", over, &e);
	CLEANUP_JSON json_t *checked = json_deep_copy(docs);

	if (!docs || board_check(b, "v1.37.2", checked, notes, &e) < 0)
		fail_msg("%s: %s", s->name, e.text);
	for (size_t i = 0; i < SETTING_EFFECTS && s->effective[i].where; i++)
		check_effect(s, docs, &s->effective[i]);
	check_doubles(s, docs);
	bool noted = s->outcome == SETTING_TAKEN && s->says;

	if (json_array_size(notes) != (noted ? 1 : 0))
		fail_msg("%s: %zu notes", s->name, json_array_size(notes));
	if (noted)
		says(s, json_string_value(json_array_get(notes, 0)));
	/* Said again it is the same. */
	struct kubeadm_home home_of = board_home(b, "v1.37.2");
	CLEANUP_JSON json_t *again = json_deep_copy(docs);

	if (json_array_size(over) == 1 &&
		(kubeadm_merge(again, over, &e) < 0 || kubeadm_derive(again, &home_of, &e) < 0 ||
			!json_equal(again, docs)))
		fail_msg("%s: merged twice it is something else", s->name);
}

static void check_refused(const struct setting *s, const json_t *over, const char *version)
{
	const struct board *b = &boards[s->board];
	struct err e = { 0 };
	CLEANUP_JSON json_t *docs = board_documents(b, version, over, &e);

	if (docs && board_check(b, version, docs, NULL, &e) == 0)
		fail_msg("%s was not refused", s->name);
	assert_int_equal(e.code, -EINVAL);
	says(s, e.text);
}

static void test_settings(void **state)
{
	assert_true(n_settings >= 40);
	for (size_t i = 0; i < n_settings; i++) {
		const struct setting *s = &settings[i];
		struct err e = { 0 };
		CLEANUP_JSON json_t *over = yaml_parse_all(s->yaml, strlen(s->yaml), &e);

		if (!over)
			fail_msg("%s: %s", s->name, e.text);
		if (s->outcome == SETTING_REFUSED)
			check_refused(s, over, "v1.37.2");
		else
			check_taken(s, over);
		if (s->outcome == SETTING_ORDERED)
			check_refused(s, over, "v1.34.3");
	}
	print_message("%zu settings\n", n_settings);
}

/* Which kubeadms sort. */
static void test_sorts(void **state)
{
	static const struct {
		const char *version;
		bool sorts;
	} cases[] = { { "v1.31.14", true }, { "v1.32.11", true }, { "v1.32.12", false },
		{ "v1.33.7", true }, { "v1.33.8", false }, { "v1.34.3", true },
		{ "v1.34.4", false }, { "v1.35.0", true }, { "v1.35.1", false },
		{ "v1.36.0-rc.1", false }, { "v1.38.0", false } };

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct kubeadm_version v;

		assert_int_equal(kubeadm_version_parse(cases[i].version, &v, NULL), 0);
		if (kubeadm_version_sorts(&v) != cases[i].sorts)
			fail_msg("%s", cases[i].version);
	}
}

/* What a kubelet after the newest we know may learn to reserve. */
static void test_newer(void **state)
{
	static const char text[] =
		"apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n"
		"systemReserved: {hugepages-2Mi: 64Mi}\n";
	struct err e = { 0 };
	CLEANUP_JSON json_t *over = yaml_parse_all(text, strlen(text), &e);
	CLEANUP_JSON json_t *docs = board_documents(&boards[0], "v1.38.0", over, &e);

	assert_int_equal(board_check(&boards[0], "v1.38.0", docs, NULL, &e), 0);
}

/* A further control plane listens where the endpoint of the bundle says. */
static void test_joining_port(void **state)
{
	struct err e = { 0 };
	const char *before = bundle.endpoint;

	bundle.endpoint = "api.home.internal:7443";
	CLEANUP_JSON json_t *docs = board_documents(&boards[5], "v1.37.2", NULL, &e);

	bundle.endpoint = before;
	const json_t *port =
		follow(json_array_get(docs, 0), "controlPlane.localAPIEndpoint.bindPort");

	assert_int_equal(json_integer_value(port), 7443);
	assert_int_equal(board_check(&boards[5], "v1.37.2", docs, NULL, &e), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_settings),
		cmocka_unit_test(test_sorts),
		cmocka_unit_test(test_newer),
		cmocka_unit_test(test_joining_port),
	};

	return cmocka_run_group_tests(tests, boards_setup, boards_teardown);
}
