/* urls: which addresses of the coordinator's machine its settings name, as the machine moves about. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "coordinator/urls.h"

/* One look: @now are the machine's addresses, "a b c". Returns how many were added. */
static size_t look(struct settings *settings, const char *now)
{
	char found[FIELD_URLS_MAX][FIELD_URL_MAX], copy[1024], *word, *rest = NULL;
	size_t n = 0;

	strcpy(copy, now);
	for (word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
		strcpy(found[n++], word);
	return urls_add(settings, (const char(*)[FIELD_URL_MAX]) found, n);
}

static const char *known(const struct settings *settings)
{
	static char text[FIELD_URLS_MAX * FIELD_URL_MAX];

	text[0] = 0;
	for (size_t i = 0; i < settings->n_urls; i++) {
		strcat(text, i ? " " : "");
		strcat(text, settings->urls[i]);
	}
	return text;
}

static void test_order(void **state)
{
	CLEANUP_SETTINGS struct settings s = { 0 };

	assert_int_equal(look(&s, ""), 0);
	assert_int_equal(look(&s, "a b"), 2);
	assert_string_equal(known(&s), "a b");
	assert_int_equal(look(&s, "a b"), 0);
	assert_int_equal(look(&s, "c b d"), 2);
	assert_string_equal(known(&s), "c d a b"); /* the newest first, among them the best */
	assert_int_equal(look(&s, ""), 0);
	assert_string_equal(known(&s), "c d a b");
}

/* What comes and goes costs one record for each value it ever had. */
static void test_flapping(void **state)
{
	CLEANUP_SETTINGS struct settings s = { 0 };
	unsigned records = 0;

	for (int i = 0; i < 1000; i++) {
		records += look(&s, i % 2 ? "lan dhcp1" : "lan dhcp2") > 0;
		records += look(&s, "lan") > 0;
	}
	assert_int_equal(records, 2);
	assert_string_equal(known(&s), "dhcp1 lan dhcp2");
}

/* The oldest make room, but for those that are in use, however old. */
static void test_roaming(void **state)
{
	CLEANUP_SETTINGS struct settings s = { 0 };
	char now[64];

	assert_int_equal(look(&s, "lan wan"), 2);
	for (int i = 0; i < 100; i++) {
		(void) snprintf(now, sizeof(now), "place%d lan", i);
		assert_int_equal(look(&s, now), 1);
		assert_int_equal(look(&s, now), 0);
	}
	assert_int_equal(s.n_urls, FIELD_URLS_MAX);
	assert_string_equal(s.urls[0], "place99");
	assert_non_null(strstr(known(&s), " lan"));
	assert_null(strstr(known(&s), "wan"));
}

static void test_full(void **state)
{
	CLEANUP_SETTINGS struct settings s = { 0 };

	assert_int_equal(look(&s, "a b c d e f g h i j k l m n o p"), FIELD_URLS_MAX);
	assert_int_equal(look(&s, "a b c d e f g h i j k l m n o p"), 0);
	assert_int_equal(look(&s, "A B C D E F G H I J K L M N O P"), FIELD_URLS_MAX);
	assert_string_equal(known(&s), "A B C D E F G H I J K L M N O P");
	assert_int_equal(look(&s, "P O N M L K J I H G F E D C B x"), 1);
	assert_string_equal(known(&s), "x B C D E F G H I J K L M N O P");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_flapping),
		cmocka_unit_test(test_roaming),
		cmocka_unit_test(test_full),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
