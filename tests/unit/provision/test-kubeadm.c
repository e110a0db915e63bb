/*
 * kubeadm: the files of the home, against golden files, and nothing in them that may be misspelt
 * without being noticed. HEARTH_GOLDEN=write writes the golden files anew.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"
#include "base/yaml.h"
#include "boards.h"

static void same_as_golden(const char *name, const struct buf *text)
{
	char path[4096];
	(void) snprintf(path, sizeof(path), "%s/unit/provision/golden/%s", TEST_SOURCE_DIR, name);
	if (getenv("HEARTH_GOLDEN") && !strcmp(getenv("HEARTH_GOLDEN"), "write"))
		assert_true(file_write_atomic(path, text->data, text->len, 0644) >= 0);
	CLEANUP_BUF struct buf golden = { 0 };
	assert_int_equal(file_read(path, 1 << 20, &golden), 0);
	assert_string_equal(buf_str(text), buf_str(&golden));
}

static void test_golden(void **state)
{
	struct kubeadm_version version;
	assert_int_equal(kubeadm_version_parse("v1.37.2", &version, NULL), 0);
	for (size_t i = 0; i < BOARDS; i++) {
		const struct board *b = &boards[i];
		char name[128];
		struct err e = { 0 };
		CLEANUP_JSON json_t *docs = board_documents(b);
		CLEANUP_JSON json_t *patch = kubeadm_kubelet_patch(&b->node);
		assert_non_null(docs);
		assert_non_null(patch);
		if (kubeadm_check(docs, &version, b->node.memory_bytes, &e) < 0)
			fail_msg("%s: %s", b->node.name, e.text);
		if (kubeadm_check(patch, &version, b->node.memory_bytes, &e) < 0)
			fail_msg("%s: %s", b->node.name, e.text);

		CLEANUP_BUF struct buf text = { 0 };
		assert_int_equal(kubeadm_text(&text, "# golden\n", docs), 0);
		(void) snprintf(
			name, sizeof(name), "%s-%s.yaml", b->node.name, b->init ? "init" : "join");
		same_as_golden(name, &text);
		CLEANUP_BUF struct buf patched = { 0 };
		assert_int_equal(kubeadm_text(&patched, "# golden\n", patch), 0);
		(void) snprintf(name, sizeof(name), "%s-patch.yaml", b->node.name);
		same_as_golden(name, &patched);

		/* A second reader agrees with what was meant. */
		CLEANUP_JSON json_t *back = yaml_parse_all(text.data, text.len, &e);
		assert_non_null(back);
		assert_true(json_equal(back, docs));
	}
}

/* ---- mutation: each key misspelt, each key dropped that must be there ---- */

struct mutation {
	size_t target, seen; /* the key number that is changed */
	bool hit;
	char key[64];
};

/* Maps whose keys are the user's own words, or data: a wrong one is caught elsewhere or not at all. */
static bool free_keys(const char *key)
{
	return !strcmp(key, "featureGates");
}

static json_t *mutate(const json_t *v, struct mutation *m)
{
	if (json_is_array(v)) {
		json_t *out = json_array(), *e;
		size_t i;
		json_array_foreach(v, i, e)
		{
			json_array_append_new(out, mutate(e, m));
		}
		return out;
	}
	if (!json_is_object(v))
		return json_deep_copy(v);
	json_t *out = json_object(), *e;
	const char *key;
	json_object_foreach((json_t *) v, key, e)
	{
		char name[128];
		(void) snprintf(name, sizeof(name), "%s", key);
		if (m->seen++ == m->target) {
			m->hit = true;
			(void) snprintf(m->key, sizeof(m->key), "%s", key);
			name[strlen(name) - 1] ^= 1; /* the last letter becomes its neighbour */
		}
		json_object_set_new(out, name, free_keys(key) ? json_deep_copy(e) : mutate(e, m));
	}
	return out;
}

static size_t misspell_all(json_t *docs, uint64_t memory)
{
	struct kubeadm_version version;
	assert_int_equal(kubeadm_version_parse("v1.37.2", &version, NULL), 0);
	size_t tried = 0;
	for (;; tried++) {
		struct mutation m = { .target = tried };
		struct err e = { 0 };
		CLEANUP_JSON json_t *bad = mutate(docs, &m);
		if (!m.hit)
			return tried;
		if (kubeadm_check(bad, &version, memory, &e) == 0)
			fail_msg("misspelt \"%s\" was not noticed", m.key);
		assert_int_equal(e.code, -EINVAL);
		assert_true(strlen(e.text) > 20);
	}
}

static void test_misspelt(void **state)
{
	size_t keys = 0;
	for (size_t i = 0; i < BOARDS; i++) {
		CLEANUP_JSON json_t *docs = board_documents(&boards[i]);
		CLEANUP_JSON json_t *patch = kubeadm_kubelet_patch(&boards[i].node);
		keys += misspell_all(docs, boards[i].node.memory_bytes);
		keys += misspell_all(patch, boards[i].node.memory_bytes);
	}
	print_message("%zu keys misspelt, each noticed\n", keys);
	assert_true(keys > 250);
}

/* Unquoted numbers and truths where strings belong, and the other way round. */
static json_t *retype(const json_t *v, struct mutation *m)
{
	if (json_is_array(v)) {
		json_t *out = json_array(), *e;
		size_t i;
		json_array_foreach(v, i, e)
		{
			json_array_append_new(out, retype(e, m));
		}
		return out;
	}
	if (json_is_object(v)) {
		json_t *out = json_object(), *e;
		const char *key;
		json_object_foreach((json_t *) v, key, e)
		{
			json_object_set_new(out, key, retype(e, m));
		}
		return out;
	}
	if (m->seen++ != m->target)
		return json_deep_copy(v);
	m->hit = true;
	return json_is_string(v) ? json_integer(7) : json_string("7");
}

static void test_retyped(void **state)
{
	for (size_t i = 0; i < BOARDS; i++) {
		CLEANUP_JSON json_t *docs = board_documents(&boards[i]);
		for (size_t n = 0;; n++) {
			struct mutation m = { .target = n };
			struct err e = { 0 };
			CLEANUP_JSON json_t *bad = retype(docs, &m);
			if (!m.hit)
				break;
			assert_int_equal(kubeadm_check(bad, NULL, 0, &e), -EINVAL);
		}
	}
}

static void test_versions(void **state)
{
	static const struct {
		const char *text, *want;
		int parse, check;
	} cases[] = {
		{ "v1.37.2", "v1.37.2", 0, 0 },
		{ "1.35.4", "v1.35.4", 0, 0 },
		{ "1.31", "v1.31.0", 0, 0 },
		{ "v1.38.0-rc.1", "v1.38.0-rc.1", 0, 0 },
		{ "v1.30.9", "v1.30.9", 0, -ENOTSUP },
		{ "v1.9.0", "v1.9.0", 0, -ENOTSUP },
		{ "v2.1.0", "v2.1.0", 0, -ENOTSUP },
		{ "", NULL, -EINVAL, 0 },
		{ "latest", NULL, -EINVAL, 0 },
		{ "v1", NULL, -EINVAL, 0 },
		{ "v1.37.2; rm", NULL, -EINVAL, 0 },
		{ "v1.37.2\n", NULL, -EINVAL, 0 },
		{ "v1.99999.0", NULL, -EINVAL, 0 },
		{ "v1.37.", NULL, -EINVAL, 0 },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct kubeadm_version v;
		struct err e = { 0 };
		if (kubeadm_version_parse(cases[i].text, &v, &e) != cases[i].parse)
			fail_msg("%s: %s", cases[i].text, e.text);
		if (cases[i].parse)
			continue;
		assert_string_equal(v.text, cases[i].want);
		assert_int_equal(kubeadm_version_check(&v, &e), cases[i].check);
		if (cases[i].check) {
			assert_non_null(strstr(e.text, "v1beta4"));
			assert_non_null(strstr(e.text, "--kubeadm-version"));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden),
		cmocka_unit_test(test_misspelt),
		cmocka_unit_test(test_retyped),
		cmocka_unit_test(test_versions),
	};
	return cmocka_run_group_tests(tests, boards_setup, boards_teardown);
}
