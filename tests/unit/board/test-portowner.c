/* portowner: who has a port; here it is this test. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/ip.h"
#include "board/portowner.h"

static const char table[] =
	"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
	"   0: 0100007F:0CEA 0100007F:9C40 01 00000000:00000000 00:00000000 00000000     0        0 77 1 0 20 4 30 10 -1\n"
	"   1: 00000000:0CEA 00000000:0000 0A 00000000:00000000 00:00000000 00000000   999        0 21004 1 0 100 0 0 10 0\n"
	"   2: 00000000000000000000000000000000:01BB 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 555 1 0 100 0 0 10 0\n"
	"   3: nonsense\n"
	"   4: 00000000:0D96 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 888 2 0 0\n";

static void test_tables(void **state)
{
	static const struct {
		const char *text;
		bool listening;
		uint16_t port;
		uint64_t inode;
	} cases[] = {
		{ table, true, 3306, 21004 },
		{ table, false, 3306, 77 },
		{ table, true, 443, 555 },
		{ table, false, 3478, 888 },
		{ table, true, 3478, 0 },
		{ table, true, 444, 0 },
		{ "", true, 443, 0 },
		{ "head only\n", true, 443, 0 },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_int_equal(portowner_inode(cases[i].text, cases[i].listening, cases[i].port),
			cases[i].inode);
}

static uint16_t take_port(int fd, int family)
{
	struct endpoint any = { .addr.family = (uint8_t) family };
	struct sockaddr_storage sa = { 0 };
	socklen_t len = endpoint_to_sockaddr(&any, &sa);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *) &sa, len), 0);
	len = sizeof(sa);
	assert_int_equal(getsockname(fd, (struct sockaddr *) &sa, &len), 0);
	assert_int_equal(endpoint_from_sockaddr((struct sockaddr *) &sa, &any), 0);
	return any.port;
}

static void test_this_program(void **state)
{
	char who[PORTOWNER_TEXT_MAX], process[32];
	int tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint16_t tcp_port = take_port(tcp, AF_INET), udp_port = take_port(udp, AF_INET);

	(void) snprintf(process, sizeof(process), "(process %d)", (int) getpid());
	assert_false(portowner_find(true, tcp_port, who)); /* nobody listens yet */
	assert_int_equal(listen(tcp, 1), 0);
	assert_true(portowner_find(true, tcp_port, who));
	assert_non_null(strstr(who, process));
	assert_non_null(strstr(who, "test-portowner"));
	assert_true(portowner_find(false, udp_port, who));
	assert_non_null(strstr(who, process));
	(void) close(tcp);
	(void) close(udp);
	assert_false(portowner_find(true, tcp_port, who));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tables),
		cmocka_unit_test(test_this_program),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
