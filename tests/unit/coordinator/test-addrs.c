/* addrs: as which URLs the addresses that may be announced are told. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "board/links.h"
#include "coordinator/addrs.h"
#include "mesh-maker.h"

/* What the kernel and board/links.h say. */
static struct {
	int opens, reads, judges;
	const char *addrs[FIELD_URLS_MAX + 4];
	size_t denied;
	bool lasting;
} it;

int nl_open(struct nl **ret, struct err *err)
{
	*ret = NULL;
	return it.opens < 0 ? err_set(err, it.opens, "rtnetlink says no") : 0;
}

struct nl *nl_close(struct nl *nl)
{
	return NULL;
}

int links_facts_read(struct nl *nl, struct links_facts *ret, struct err *err)
{
	return it.reads < 0 ? err_set(err, it.reads, "the list says no") : 0;
}

void links_facts_done(struct links_facts *facts)
{
}

int links_judge(const struct links_facts *facts, const struct links_rules *rules, struct links *ret)
{
	it.denied = rules->n_denied;
	it.lasting = rules->lasting;
	for (size_t i = 0; i < ARRAY_LEN(it.addrs) && it.addrs[i]; i++)
		assert_int_equal(ip_addr_parse(it.addrs[i], &ret->addrs[ret->n_addrs++].addr), 0);
	return it.judges;
}

void links_done(struct links *links)
{
}

static int begin(void **state)
{
	memset(&it, 0, sizeof(it));
	return 0;
}

static void test_urls(void **state)
{
	CLEANUP_SETTINGS struct settings settings = maker_settings();
	char urls[FIELD_URLS_MAX][FIELD_URL_MAX];
	struct err err = { 0 };

	assert_int_equal(addrs_urls(&settings, 8443, urls, &err), 0);
	it.addrs[0] = "192.0.2.1";
	it.addrs[1] = "2001:db8::1";
	assert_int_equal(addrs_urls(&settings, 9443, urls, &err), 2);
	assert_string_equal(urls[0], "https://192.0.2.1:9443");
	assert_string_equal(urls[1], "https://[2001:db8::1]:9443");
	assert_int_equal(it.denied, SETTINGS_RANGES); /* none of the mesh's own */
	assert_true(it.lasting);
	for (size_t i = 0; i < ARRAY_LEN(it.addrs); i++)
		it.addrs[i] = "192.0.2.1";
	assert_int_equal(addrs_urls(&settings, 9443, urls, &err), FIELD_URLS_MAX);
}

static void test_fails(void **state)
{
	CLEANUP_SETTINGS struct settings settings = maker_settings();
	char urls[FIELD_URLS_MAX][FIELD_URL_MAX];
	struct err err = { 0 };

	it.opens = -EPERM;
	assert_int_equal(addrs_urls(&settings, 1, urls, &err), -EPERM);
	assert_string_equal(err.text, "rtnetlink says no");
	it.opens = 0;
	it.reads = -EIO;
	assert_int_equal(addrs_urls(&settings, 1, urls, &err), -EIO);
	it.reads = 0;
	it.judges = -ENOMEM;
	assert_int_equal(addrs_urls(&settings, 1, urls, &err), -ENOMEM);
	assert_string_equal(err.text, "out of memory");
}

#define TEST(f) cmocka_unit_test_setup(f, begin)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_urls),
		TEST(test_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
