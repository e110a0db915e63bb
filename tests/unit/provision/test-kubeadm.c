/* kubeadm: the files of the home, against golden files. HEARTH_GOLDEN=write writes these anew. */
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

static void write_golden(const struct board *b, const char *kind, const json_t *docs)
{
	CLEANUP_BUF struct buf text = { 0 };
	char name[128];
	struct err e = { 0 };

	assert_int_equal(kubeadm_text(&text, "# golden\n", docs), 0);
	(void) snprintf(name, sizeof(name), "%s-%s.yaml", b->node.name, kind);
	same_as_golden(name, &text);
	/* A second reader agrees with what was meant. */
	CLEANUP_JSON json_t *back = yaml_parse_all(text.data, text.len, &e);

	assert_non_null(back);
	assert_true(json_equal(back, docs));
}

static void test_golden(void **state)
{
	for (size_t i = 0; i < BOARDS; i++) {
		const struct board *b = &boards[i];
		struct err e = { 0 };
		CLEANUP_JSON json_t *notes = json_array();
		CLEANUP_JSON json_t *docs = board_documents(b, "v1.37.2", NULL, &e);
		CLEANUP_JSON json_t *checked = json_deep_copy(docs);

		if (!docs || board_check(b, "v1.37.2", checked, notes, &e) < 0)
			fail_msg("%s: %s", b->node.name, e.text);
		assert_int_equal(json_array_size(notes), 0); /* nothing of ours is dangerous */
		CLEANUP_JSON json_t *patch = board_take(docs, PATCH_KIND);
		CLEANUP_JSON json_t *upgrade = board_take(docs, "UpgradeConfiguration");

		write_golden(b, b->init ? "init" : "join", docs);
		write_golden(b, "patch", patch);
		write_golden(b, "upgrade", upgrade);
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
		{ "v1.35.2+k3s1", "v1.35.2+k3s1", 0, 0 },
		{ "v1.36.0-rc.0.12+abc", "v1.36.0-rc.0.12+abc", 0, 0 },
		{ "v1.38.0-alpha.0.1234+0123456789abcdef-dirty",
			"v1.38.0-alpha.0.1234+0123456789abcdef-dirty", 0, 0 },
		{ "v1.37.2-", NULL, -EINVAL, 0 },
		{ "v1.37.2+", NULL, -EINVAL, 0 },
		{ "v1.37.2+a+b", NULL, -EINVAL, 0 },
		{ "v1.37.2+0123456789012345678901234567890123456789", NULL, -EINVAL, 0 },
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
		cmocka_unit_test(test_versions),
	};

	return cmocka_run_group_tests(tests, boards_setup, boards_teardown);
}
