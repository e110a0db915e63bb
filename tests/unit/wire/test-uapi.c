/* uapi: requests as wg(8) writes them, what is refused, and replies as wg(8) reads them. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "wire/uapi.h"

#define KEY_A "e84b5a6d2717c1003a13b431570353dbaca9146cf150c5f8575680feba52027a"
#define KEY_B "b85996fecc9c7f1fc6d2572a76eda11d59bcd20be8e543b15ce4bd85a8e75a33"

static int parse(const char *text, struct uapi_set *ret)
{
	return uapi_set_parse(text, strlen(text), ret);
}

static void test_whole(void **state)
{
	CLEANUP_UAPI_SET struct uapi_set set;
	char text[PREFIX_TEXT_MAX];

	assert_int_equal(
		parse("set=1\nprivate_key=" KEY_A
		      "\nlisten_port=12912\nfwmark=0x10\nreplace_peers=true\n"
		      "public_key=" KEY_B "\npreshared_key=" KEY_A
		      "\nendpoint=[abcd:23::33%2]:51820\nreplace_allowed_ips=true\n"
		      "allowed_ip=192.168.4.4/32\nallowed_ip=10.1.2.3/8\n"
		      "public_key=" KEY_A "\nupdate_only=true\nendpoint=182.122.22.19:3233\n"
		      "persistent_keepalive_interval=111\nallowed_ip=-fd00::/8\n"
		      "protocol_version=1\npublic_key=" KEY_A "\nremove=true\n\n",
			&set),
		0);
	assert_true(set.has_private_key && set.has_listen_port && set.has_fwmark);
	assert_int_equal(set.private_key[0], 0xe8);
	assert_int_equal(set.listen_port, 12912);
	assert_int_equal(set.fwmark, 16);
	assert_true(set.replace_peers);
	assert_int_equal(set.n_peers, 3);

	assert_int_equal(set.peers[0].key[31], 0x33);
	assert_true(set.peers[0].has_psk && set.peers[0].replace_allowed_ips);
	assert_int_equal(set.peers[0].endpoint.addr.family, AF_INET6);
	assert_int_equal(set.peers[0].endpoint.scope, 2);
	assert_int_equal(set.peers[0].n_allowed, 2);
	assert_string_equal(ip_prefix_format(&set.allowed[0].prefix, text), "192.168.4.4/32");
	assert_string_equal(ip_prefix_format(&set.allowed[1].prefix, text), "10.0.0.0/8");
	assert_false(set.peers[0].has_keepalive);

	assert_true(set.peers[1].update_only && set.peers[1].has_keepalive);
	assert_int_equal(set.peers[1].keepalive_s, 111);
	assert_int_equal(set.peers[1].endpoint.port, 3233);
	assert_int_equal(set.peers[1].first_allowed, 2);
	assert_true(set.allowed[2].remove);
	assert_true(set.peers[2].remove);
}

static void test_zone_name(void **state)
{
	CLEANUP_UAPI_SET struct uapi_set set;

	assert_int_equal(
		parse("set=1\npublic_key=" KEY_A "\nendpoint=[fe80::1%eth0]:1\n\n", &set), 0);
	assert_string_equal(set.peers[0].zone, "eth0");
	assert_int_equal(set.peers[0].endpoint.scope, 0);
}

static void test_nothing(void **state)
{
	CLEANUP_UAPI_SET struct uapi_set set;

	assert_int_equal(parse("set=1\n\n", &set), 0);
	assert_int_equal(set.n_peers, 0);
}

static void test_many(void **state)
{
	CLEANUP_UAPI_SET struct uapi_set set;
	CLEANUP_BUF struct buf text = { 0 };

	buf_add_str(&text, "set=1\n");
	for (int i = 0; i < 5000; i++)
		buf_printf(&text, "public_key=%064x\nallowed_ip=10.%d.%d.0/24\n", i + 1, i / 256,
			i % 256);
	buf_add_str(&text, "\n");
	assert_int_equal(uapi_set_parse(text.data, text.len, &set), 0);
	assert_int_equal(set.n_peers, 5000);
	assert_int_equal(set.peers[4999].first_allowed, 4999);
	assert_int_equal(set.allowed[4999].prefix.addr.bytes[2], 4999 % 256);
}

static void test_refused(void **state)
{
	static const struct {
		const char *text;
		int r;
	} cases[] = {
		{ "", -EPROTO },
		{ "set=1", -EPROTO },
		{ "set=1\n", -EPROTO },
		{ "\n", -EPROTO },
		{ "get=1\n\n", -EPROTO },
		{ "set=1\n\nset=1\n\n", -EPROTO },
		{ "set=1\nset=1\n\n", -EPROTO },
		{ "set=1\nunknown=1\n\n", -EPROTO },
		{ "set=1\nprivate_key\n\n", -EPROTO },
		{ "set=1\nprivate_key=\n\n", -EINVAL },
		{ "set=1\nprivate_key=" KEY_A "00\n\n", -EINVAL },
		{ "set=1\nprivate_key=" KEY_A " \n\n", -EINVAL },
		{ "set=1\nlisten_port=65536\n\n", -EINVAL },
		{ "set=1\nlisten_port=-1\n\n", -EINVAL },
		{ "set=1\nlisten_port= 1\n\n", -EINVAL },
		{ "set=1\nlisten_port=0x\n\n", -EINVAL },
		{ "set=1\nlisten_port=1a\n\n", -EINVAL },
		{ "set=1\nlisten_port=99999999999999999999\n\n", -EINVAL },
		{ "set=1\nfwmark=4294967296\n\n", -EINVAL },
		{ "set=1\nreplace_peers=false\n\n", -EINVAL },
		{ "set=1\nremove=true\n\n", -EPROTO },
		{ "set=1\nallowed_ip=10.0.0.0/8\n\n", -EPROTO },
		{ "set=1\npublic_key=" KEY_A "\nlisten_port=1\n\n", -EPROTO },
		{ "set=1\npublic_key=xyz\n\n", -EINVAL },
		{ "set=1\npublic_key=" KEY_A "\nprotocol_version=2\n\n", -EINVAL },
		{ "set=1\npublic_key=" KEY_A "\nallowed_ip=10.0.0.0/33\n\n", -EINVAL },
		{ "set=1\npublic_key=" KEY_A "\nallowed_ip=fd00::/129\n\n", -EINVAL },
		{ "set=1\npublic_key=" KEY_A "\nallowed_ip=10.0.0.0/\n\n", -EINVAL },
		{ "set=1\npublic_key=" KEY_A "\nallowed_ip=--10.0.0.0/8\n\n", -EINVAL },
		{ "set=1\npublic_key=" KEY_A "\nendpoint=10.0.0.1\n\n", -EINVAL },
		{ "set=1\npublic_key=" KEY_A "\nendpoint=10.0.0.1:0\n\n", -EINVAL },
		{ "set=1\npublic_key=" KEY_A "\nendpoint=0.0.0.0:1\n\n", -EINVAL },
		{ "set=1\npublic_key=" KEY_A "\nendpoint=host:1\n\n", -EINVAL },
		{ "set=1\npublic_key=" KEY_A "\nendpoint=[fe80::1%]:1\n\n", -EINVAL },
		{ "set=1\npublic_key=" KEY_A "\nendpoint=[fe80::1%averyverylongname]:1\n\n",
			-EINVAL },
		{ "set=1\npublic_key=" KEY_A "\npersistent_keepalive_interval=65536\n\n", -EINVAL },
		{ "set=1\npublic_key=" KEY_A "\npreshared_key=1\n\n", -EINVAL },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP_UAPI_SET struct uapi_set set;
		int r = parse(cases[i].text, &set);

		if (r != cases[i].r)
			fail_msg("%d instead of %d: %s", r, cases[i].r, cases[i].text);
	}
}

static void test_nul(void **state)
{
	static const char text[] = "set=1\npublic_key=" KEY_A "\nendpoint=10.0.0.1:1\0:1\n\n";
	CLEANUP_UAPI_SET struct uapi_set set;

	assert_int_equal(uapi_set_parse(text, sizeof(text) - 1, &set), -EINVAL);
}

static void test_framing(void **state)
{
	char *big = malloc(UAPI_REQUEST_MAX);

	assert_int_equal(uapi_request_len("", 0, 0), 0);
	assert_int_equal(uapi_request_len("get=1\n", 6, 0), 0);
	assert_int_equal(uapi_request_len("get=1\n\n", 7, 0), 7);
	assert_int_equal(uapi_request_len("get=1\n\nget=1\n\n", 14, 0), 7);
	assert_int_equal(uapi_request_len("\n", 1, 0), 1);
	assert_int_equal(uapi_request_len("get=1\n\n", 7, 6), 7);
	assert_int_equal(uapi_request_len("get=1\n\n", 7, 5), 7);
	assert_int_equal(uapi_request_len("get=1\n", 6, 6), 0);
	assert_int_equal(uapi_request_len(NULL, 0, 0), 0);
	assert_non_null(big);
	memset(big, 'a', UAPI_REQUEST_MAX);
	assert_int_equal(uapi_request_len(big, UAPI_REQUEST_MAX - 1, 0), 0);
	assert_int_equal(uapi_request_len(big, UAPI_REQUEST_MAX, 0), -E2BIG);
	free(big);

	assert_int_equal(uapi_request_operation("get=1\n\n", 7), UAPI_GET);
	assert_int_equal(uapi_request_operation("set=1\n\n", 7), UAPI_SET);
	assert_int_equal(uapi_request_operation("set=1\nx=y\n\n", 11), UAPI_SET);
	assert_int_equal(uapi_request_operation("get=1\nx=y\n\n", 11), -EPROTO);
	assert_int_equal(uapi_request_operation("get=2\n\n", 7), -EPROTO);
	assert_int_equal(uapi_request_operation("\n", 1), -EPROTO);
}

static void test_reply(void **state)
{
	struct ip_prefix allowed[2];
	struct uapi_get_peer peers[2];
	struct uapi_get get = { .fwmark = 51820, .listen_port = 1, .peers = peers, .n_peers = 2 };
	CLEANUP_BUF struct buf out = { 0 };
	char want[1200];

	memset(peers, 0, sizeof(peers));
	assert_int_equal(ip_prefix_parse("10.0.0.0/8", &allowed[0]), 0);
	assert_int_equal(ip_prefix_parse("fd00::1/128", &allowed[1]), 0);
	assert_int_equal(endpoint_parse("[fe80::1%3]:9", &peers[0].endpoint), 0);
	memset(peers[0].key, 0xab, 32);
	peers[0].last_handshake_wall_us = 1500000;
	peers[0].rx_bytes = 3;
	peers[0].tx_bytes = 4;
	peers[0].keepalive_s = 25;
	peers[0].allowed = allowed;
	peers[0].n_allowed = 2;
	get.private_key[0] = 1;
	uapi_get_format(&get, &out);
	uapi_reply_end(&out, -EINVAL);
	(void) snprintf(want, sizeof(want),
		"private_key=01%062d\nlisten_port=1\nfwmark=51820\n"
		"public_key=abababababababababababababababababababababababababababababababab\n"
		"preshared_key=%064d\nprotocol_version=1\nendpoint=[fe80::1%%3]:9\n"
		"last_handshake_time_sec=1\nlast_handshake_time_nsec=500000000\n"
		"tx_bytes=4\nrx_bytes=3\npersistent_keepalive_interval=25\n"
		"allowed_ip=10.0.0.0/8\nallowed_ip=fd00::1/128\n"
		"public_key=%064d\npreshared_key=%064d\nprotocol_version=1\n"
		"last_handshake_time_sec=0\nlast_handshake_time_nsec=0\n"
		"tx_bytes=0\nrx_bytes=0\npersistent_keepalive_interval=0\nerrno=-22\n\n",
		0, 0, 0, 0);
	assert_string_equal(buf_str(&out), want);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_zone_name),
		cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_nul),
		cmocka_unit_test(test_framing),
		cmocka_unit_test(test_reply),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
