/* node-name: the table of host names that people have and ask for, and what becomes of each. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "wire/node-name.h"

#define A60 "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz01234567"
#define A63 A60 "890"

static const struct {
	const char *text;
	const char *name; /* what it becomes, NULL: refused */
	const char *near; /* what is offered instead, NULL: nothing */
	const char *why;  /* a word of the reason */
} table[] = {
	/* good as they are, in any case */
	{ "pi3", "pi3", NULL, NULL },
	{ "a", "a", NULL, NULL },
	{ "n100", "n100", NULL, NULL },
	{ "pi4-4g-a", "pi4-4g-a", NULL, NULL },
	{ "3d-printer", "3d-printer", NULL, NULL },
	{ "0x", "0x", NULL, NULL },
	{ "0xcafe-bar", "0xcafe-bar", NULL, NULL },
	{ "1e3", "1e3", NULL, NULL },
	{ "B", "b", NULL, NULL },
	{ "Pi3", "pi3", NULL, NULL },
	{ "MACBOOK-PRO", "macbook-pro", NULL, NULL },
	{ "api2", "api2", NULL, NULL },
	{ "localhost1", "localhost1", NULL, NULL },
	{ "home", "home", NULL, NULL },
	{ "a--b", "a--b", NULL, NULL },
	{ "master", "master", NULL, NULL },
	{ A63, A63, NULL, NULL },
	/* of the wrong letters */
	{ "My_Laptop", NULL, "my-laptop", "a-z, 0-9" },
	{ "my laptop", NULL, "my-laptop", "a-z, 0-9" },
	{ "Anna's Laptop", NULL, "annas-laptop", "a-z, 0-9" },
	{ "Anna\xe2\x80\x99s MacBook Pro", NULL, "annas-macbook-pro", "a-z, 0-9" },
	{ "K\xc3\xbc"
	  "che",
		NULL, "kueche", "a-z, 0-9" },
	{ "Ku\xcc\x88"
	  "che",
		NULL, "kuche", "a-z, 0-9" }, /* macOS takes letters apart */
	{ "Stra\xc3\x9f"
	  "e",
		NULL, "strasse", "a-z, 0-9" },
	{ "\xc3\x85ngstr\xc3\xb6m", NULL, "angstroem", "a-z, 0-9" },
	{ "S\xc3\xb8ren", NULL, "soren", "a-z, 0-9" },
	{ "caf\xc3\xa9", NULL, "cafe", "a-z, 0-9" },
	{ "\xc5\x81\xc3\xb3"
	  "d\xc5\xba",
		NULL, "lodz", "a-z, 0-9" },
	{ "\xc4\x8c"
	  "esk\xc3\xbd",
		NULL, "cesky", "a-z, 0-9" },
	{ "\xd0\x9f\xd0\xb8", NULL, NULL, "a-z, 0-9" },
	{ "\xd0\x9f\xd0\xb8 3", NULL, "board-3", "a-z, 0-9" },
	{ "pi\xf0\x9f\x8d\x93", NULL, "pi", "a-z, 0-9" },
	{ "pi\xff\xfe"
	  "3",
		NULL, "pi-3", "a-z, 0-9" },
	{ "pi\xc3", NULL, "pi", "a-z, 0-9" }, /* cut in the middle of a letter */
	{ "a\tb", NULL, "a-b", "a-z, 0-9" },
	{ "a\nb", NULL, "a-b", "a-z, 0-9" },
	{ "(none)", NULL, "none", "a-z, 0-9" },
	{ "../../etc/passwd", NULL, NULL, "a-z, 0-9" },
	{ "rm -rf *", NULL, "rm-rf", "a-z, 0-9" },
	{ "DESKTOP_7XK__2", NULL, "desktop-7xk-2", "a-z, 0-9" },
	{ "user@host", NULL, "user-host", "a-z, 0-9" },
	/* hyphens and dots where none may be */
	{ "-pi3", NULL, "pi3", "not at its ends" },
	{ "pi3-", NULL, "pi3", "not at its ends" },
	{ "---", NULL, NULL, "not at its ends" },
	{ "pi3.local", NULL, "pi3", "a-z, 0-9" },
	{ "pi3.home.internal", NULL, "pi3", "a-z, 0-9" },
	{ "pi3.", NULL, "pi3", "a-z, 0-9" },
	{ ".pi3", NULL, "pi3", "a-z, 0-9" },
	{ ".", NULL, NULL, "a-z, 0-9" },
	{ "", NULL, NULL, "needs a name" },
	{ " ", NULL, NULL, "a-z, 0-9" },
	/* too long */
	{ A63 "1", NULL, A63, "63 characters" },
	{ A60 "aa-b-c", NULL, A60 "aa", "63 characters" },
	{ A60 "89_b", NULL, A60 "89", "63 characters" },
	/* numbers and addresses, as inet_aton(3) and `hearth ping` read them */
	{ "7", NULL, "board-7", "address" },
	{ "007", NULL, "board-007", "address" },
	{ "3232235777", NULL, "board-3232235777", "address" },
	{ "0x7f000001", NULL, "board-0x7f000001", "address" },
	{ "0XA", NULL, "board-0xa", "address" },
	{ "192.168.1.5", NULL, "192-168-1-5", "a-z, 0-9" },
	{ "10.1", NULL, "10-1", "a-z, 0-9" },
	{ "fe80::1", NULL, "fe80-1", "a-z, 0-9" },
	{ "fd12::1", NULL, "fd12-1", "a-z, 0-9" },
	/* encoded */
	{ "xn--kche-0ra", NULL, "xn-kche-0ra", "RFC 5890" },
	{ "ab--c", NULL, "ab-c", "RFC 5890" },
	/* reserved */
	{ "localhost", NULL, NULL, "that machine itself" },
	{ "LocalHost", NULL, NULL, "that machine itself" },
	{ "localhost.localdomain", NULL, NULL, "a-z, 0-9" },
	{ "localdomain", NULL, NULL, "that machine itself" },
	{ "localhost4", NULL, NULL, "that machine itself" },
	{ "localhost6", NULL, NULL, "that machine itself" },
	{ "ip6-localhost", NULL, NULL, "that machine itself" },
	{ "ip6-loopback", NULL, NULL, "that machine itself" },
	{ "ip6-localnet", NULL, NULL, "that machine itself" },
	{ "ip6-mcastprefix", NULL, NULL, "that machine itself" },
	{ "ip6-allnodes", NULL, NULL, "that machine itself" },
	{ "ip6-allrouters", NULL, NULL, "that machine itself" },
	{ "broadcasthost", NULL, NULL, "that machine itself" },
	{ "test", NULL, "test-1", "RFC 6761" },
	{ "Example", NULL, "example-1", "RFC 6761" },
	{ "invalid", NULL, "invalid-1", "RFC 6761" },
	{ "local", NULL, "local-1", "RFC 6761" },
	{ "onion", NULL, "onion-1", "RFC 6761" },
	{ "alt", NULL, "alt-1", "RFC 6761" },
	{ "arpa", NULL, "arpa-1", "RFC 6761" },
	{ "internal", NULL, "internal-1", "RFC 6761" },
	{ "api", NULL, "api-1", "service of its own" },
	{ "API", NULL, "api-1", "service of its own" },
	{ "api.home.internal", NULL, "api-1", "a-z, 0-9" },
	{ "dns", NULL, "dns-1", "service of its own" },
	{ "relay", NULL, "relay-1", "service of its own" },
	{ "coordinator", NULL, "coordinator-1", "service of its own" },
	{ "gateway", NULL, "gateway-1", "service of its own" },
	{ "_gateway", NULL, "gateway-1", "a-z, 0-9" },
	{ "kubernetes", NULL, "kubernetes-1", "service of its own" },
	{ "wpad", NULL, "wpad-1", "look for a service" },
	{ "isatap", NULL, "isatap-1", "look for a service" },
};

static void test_table(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		char name[NODE_NAME_MAX] = "?", again[NODE_NAME_MAX], near[NODE_NAME_MAX];
		struct err err = { 0 };
		int r = node_name_choose(table[i].text, name, &err);
		bool suggested = node_name_suggest(table[i].text, near);

		assert_int_equal(node_name_choose(table[i].text, again, NULL), r);
		if (table[i].name) {
			if (r || strcmp(name, table[i].name) != 0)
				fail_msg("%s: %d %s (%s)", table[i].text, r, name, err.text);
			assert_true(suggested);
			assert_string_equal(near, table[i].name);
			continue;
		}
		if (r != -EINVAL || strcmp(name, "?") != 0)
			fail_msg("\"%s\" is accepted as %s", table[i].text, name);
		if (!strstr(err.text, table[i].why))
			fail_msg("\"%s\": %s", table[i].text, err.text);
		if (suggested != (table[i].near != NULL) ||
			(suggested && strcmp(near, table[i].near) != 0))
			fail_msg("\"%s\": %s is offered", table[i].text,
				suggested ? near : "nothing");
		if (suggested && (!strstr(err.text, near) || node_name_choose(near, again, NULL)))
			fail_msg("\"%s\": %s", table[i].text, err.text);
	}
	assert_true(ARRAY_LEN(table) >= 60);
}

/* What a terminal gets to see: the name, cut, without what would move its cursor; no stop at the end. */
static void test_text(void **state)
{
	char name[NODE_NAME_MAX], text[300];
	struct err err = { 0 };

	(void) node_name_choose("\x1b[2Jx y", name, &err);
	assert_string_equal(err.text,
		"\"?[2Jx y\" cannot be a board's name: a name is made of a-z, 0-9 and hyphens, "
		"which are not at its ends; \"2jx-y\" would do");
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	text[79] = '\xc3'; /* a letter across the cut */
	text[80] = '\xbc';
	(void) node_name_choose(text, name, &err);
	assert_non_null(strstr(err.text, "xxx...\" cannot"));
	assert_null(strchr(err.text, '\xc3'));
	(void) node_name_choose("relay", name, &err);
	assert_true(err.text[strlen(err.text) - 1] != '.');
}

/* Which board is meant: what `hearth ping`, `hearth node remove` and all others take. */
static void test_meant(void **state)
{
	static const struct {
		const char *text;
		int fits;
	} cases[] = {
		{ "pi3", 2 },
		{ "PI3", 2 },
		{ "pi3.", 2 },
		{ "pi3.home.internal", 2 },
		{ "Pi3.Home.Internal.", 2 },
		{ "10.77.0.7", 2 },
		{ "fd12::7", 2 },
		{ "FD12:0::7", 2 },
		{ "10.244.7.9", 2 },
		{ "fd12:0:0:1007::9", 2 },
		{ "7", 1 },
		{ "7.home.internal", 1 },
		{ "10.77.0.8", 0 },
		{ "10.244.8.9", 0 },
		{ "8", 0 },
		{ "07", 0 },
		{ "-7", 0 },
		{ "pi3.other.internal", 0 },
		{ "pi3.internal", 0 },
		{ "pi3..home.internal", 0 },
		{ ".home.internal", 0 },
		{ " pi3", 0 },
		{ "pi3 ", 0 },
		{ "", 0 },
		{ ".", 0 },
		{ "a-name-that-is-far-longer-than-any-name-of-a-node-could-ever-be-anywhere", 0 },
	};
	struct node node = { .id = 7, .name = "pi3" }, seven = { .id = 3, .name = "7" };
	struct node_meant meant;

	assert_int_equal(ip_addr_parse("10.77.0.7", &node.mesh4), 0);
	assert_int_equal(ip_addr_parse("fd12::7", &node.mesh6), 0);
	assert_int_equal(ip_prefix_parse("10.244.7.0/24", &node.pods4), 0);
	assert_int_equal(ip_prefix_parse("fd12:0:0:1007::/64", &node.pods6), 0);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		node_meant_parse(cases[i].text, "home", &meant);
		if (node_meant_fits(&meant, &node) != cases[i].fits)
			fail_msg("\"%s\" fits pi3: %d", cases[i].text,
				node_meant_fits(&meant, &node));
	}
	node_meant_parse("7", "home", &meant); /* a board of an older mesh may be called so */
	assert_int_equal(node_meant_fits(&meant, &seven), 2);
	node_meant_parse("pi3.home.internal", NULL, &meant); /* no settings yet */
	assert_int_equal(node_meant_fits(&meant, &node), 0);
	node_meant_parse("", "home", &meant); /* nothing is not everything that has none */
	assert_int_equal(node_meant_fits(&meant, &(struct node){ 0 }), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_meant),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
