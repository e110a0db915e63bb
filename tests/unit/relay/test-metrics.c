/* The relay's numbers: their text, and how they are fetched over loopback. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/clock.h"
#include "relay/metrics-text.h"
#include "relay/metrics.h"

/* --- the text --- */

static void make_text(const struct udp_counters *udp, struct buf *ret)
{
	const struct derp_counters derp = { .clients = 7,
		.delay_us = 1500000,
		.not_here = 5,
		.drops[DERP_DROP_SLOW] = 4,
		.ended[DERP_END_TLS] = 3 };
	const struct front_counters front = { .waiting = 2, .crowded = 9 };
	const struct pass_counters pass = { .parked = 3, .full = 8 };
	const struct elsewhere_counters elsewhere = { .carried = 13, .circles = 14 };

	metrics_text(&(struct metrics_values){ .members = 12,
			     .bound = 11,
			     .udp = udp,
			     .derp = &derp,
			     .front = &front,
			     .pass = &pass,
			     .elsewhere = udp ? &elsewhere : NULL,
			     .waiting = true,
			     .unserved = 6 },
		ret);
}

static void test_values(void **state)
{
	static const char *const lines[] = {
		"hearth_relay_members 12\n",
		"hearth_relay_waiting 1\n",
		"hearth_relay_unserved_total 6\n",
		"hearth_relay_udp_bound 11\n",
		"hearth_relay_udp_datagrams_total{fate=\"carried\"} 21\n",
		"hearth_relay_udp_datagrams_total{fate=\"not_sent\"} 22\n",
		"hearth_relay_udp_fetched_total 23\n",
		"hearth_relay_udp_fetched_drops_total{reason=\"unfit\"} 24\n",
		"hearth_relay_udp_fetched_drops_total{reason=\"not_sent\"} 25\n",
		"hearth_relay_derp_clients 7\n",
		"hearth_relay_derp_queue_delay_seconds_total 1.500000\n",
		"hearth_relay_derp_drops_total{reason=\"slow\"} 4\n",
		"hearth_relay_derp_drops_total{reason=\"not_here\"} 5\n",
		"hearth_relay_derp_ended_total{reason=\"bad_tls\"} 3\n",
		"hearth_relay_pass_parked 3\n",
		"hearth_relay_pass_lost_total{reason=\"full\"} 8\n",
		"hearth_relay_tcp_waiting 2\n",
		"hearth_relay_elsewhere_carried 13\n",
		"hearth_relay_elsewhere_lost_total{reason=\"circle\"} 14\n",
		"hearth_relay_tcp_lost_total{reason=\"crowded\"} 9\n",
	};
	const struct udp_counters udp = { .fates[FATE_CARRIED] = 21,
		.fates[FATE_NOT_SENT] = 22,
		.fetched = 23,
		.fetched_unfit = 24,
		.fetched_lost = 25 };
	CLEANUP_BUF struct buf text = { 0 }, without = { 0 };

	make_text(&udp, &text);
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		if (!strstr(buf_str(&text), lines[i]))
			fail_msg("no line %s", lines[i]);
	make_text(NULL, &without);
	assert_null(strstr(buf_str(&without), "udp"));
	assert_null(strstr(buf_str(&without), "elsewhere"));
}

/* Each line is a comment or a sample, and each sample's name was told of above it. */
static void test_grammar(void **state)
{
	const struct udp_counters udp = { 0 };
	CLEANUP_BUF struct buf text = { 0 };
	char name[128] = "", *save;

	make_text(&udp, &text);
	assert_int_equal(text.data[text.len - 1], '\n');
	for (char *l = strtok_r(text.data, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
		size_t n = strcspn(l, " {");

		if (!strncmp(l, "# TYPE ", 7)) {
			assert_int_equal(sscanf(l, "# TYPE %127s", name), 1);
		} else if (strncmp(l, "# HELP ", 7) != 0) {
			assert_int_equal(strlen(name), n);
			assert_memory_equal(l, name, n);
			assert_true(strchr("0123456789", l[strlen(l) - 1]) != NULL);
		}
	}
}

/* --- fetching --- */

static struct relay_core core;
static struct metrics *metrics;

static void on_text(void *ctx, struct buf *text)
{
	for (int i = 0; i < 100000; i++)
		buf_add_str(text, "hearth 1\n");
}

static int start(void **state)
{
	struct err err = { 0 };

	assert_true(sd_event_new(&core.event) >= 0);
	if (metrics_new(&core, 0, on_text, NULL, &metrics, &err) < 0)
		fail_msg("%s", err.text);
	return 0;
}

static int stop(void **state)
{
	metrics = metrics_free(metrics);
	core.event = sd_event_unref(core.event);
	return 0;
}

static int ask(const char *text)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
		.sin_port = htons(metrics_port(metrics)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (struct sockaddr *) &sa, sizeof(sa)), 0);
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
	return fd;
}

/* All that comes until the end. */
static void read_all(int fd, struct buf *ret)
{
	uint64_t end = clock_now_us() + 20 * USEC_PER_SEC;
	char data[65536];
	ssize_t n = -1;

	while (n != 0) {
		assert_true(clock_now_us() < end);
		assert_true(sd_event_run(core.event, 1000) >= 0);
		n = recv(fd, data, sizeof(data), MSG_DONTWAIT);
		if (n < 0 && errno != EAGAIN)
			break;
		if (n > 0)
			buf_add(ret, data, (size_t) n);
	}
	(void) close(fd);
}

static void test_fetch(void **state)
{
	CLEANUP_BUF struct buf good = { 0 }, bad = { 0 };

	read_all(ask("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"), &good);
	assert_int_equal(strncmp(buf_str(&good), "HTTP/1.1 200 OK\r\n", 17), 0);
	assert_non_null(strstr(buf_str(&good), "Content-Length: 900000\r\n"));
	assert_int_equal(
		good.len - (size_t) (strstr(good.data, "\r\n\r\n") + 4 - good.data), 900000);
	read_all(ask("POST /metrics HTTP/1.1\r\n\r\n"), &bad);
	assert_int_equal(strncmp(buf_str(&bad), "HTTP/1.1 404 ", 13), 0);
}

/* Those that say nothing do not keep others out, and a head without an end is not kept. */
static void test_rude(void **state)
{
	CLEANUP_BUF struct buf good = { 0 }, none = { 0 };
	int fds[32], endless;

	for (int i = 0; i < 32; i++) {
		fds[i] = ask("GET");
		assert_true(sd_event_run(core.event, 100000) >= 0);
	}
	read_all(ask("GET /metrics HTTP/1.1\r\n\r\n"), &good);
	assert_true(good.len > 900000);
	endless = ask("GET /metrics ");
	for (int i = 0; i < 5000; i++)
		(void) send(endless, "x", 1, MSG_NOSIGNAL);
	read_all(endless, &none);
	assert_int_equal(none.len, 0);
	for (int i = 0; i < 32; i++)
		(void) close(fds[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_grammar),
		cmocka_unit_test_setup_teardown(test_fetch, start, stop),
		cmocka_unit_test_setup_teardown(test_rude, start, stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
