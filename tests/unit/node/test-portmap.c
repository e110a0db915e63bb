/*
 * portmap: whom it asks for what, by what, and what it makes of the answers. The gateway is the
 * test's, instead of sys/portmap; when what is asked is test-mapping's.
 */
#include "fake-core.h"

#include <stdio.h>

#include "node/portmap-way.h"
#include "node/portmap.h"
#include "sys/portmap/upnp.h"

#define MS     USEC_PER_MSEC
#define MINUTE (60 * USEC_PER_SEC)

static struct core *core;
static struct portmap *portmap;
static struct settings settings;
static struct view view;
static struct links links;
static unsigned n_changed;

/* --- instead of what is below --- */

static struct {
	bool is[2]; /* of IPv4, of IPv6 */
	struct pmp_way way[2];
} ways;

bool portmap_find_way(struct nl *nl, const struct links *l, int family, struct pmp_way *ret)
{
	assert_ptr_equal(l, &links);
	*ret = ways.way[family == AF_INET6];
	return ways.is[family == AF_INET6];
}

static uint16_t port;

uint16_t tunnel_port(struct tunnel *tunnel)
{
	return port;
}

static char asked[16384];

__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
	size_t len = strlen(asked);
	va_list args;

	assert_true(len < sizeof(asked) - 100);
	if (len)
		asked[len++] = ' ';
	va_start(args, format);
	(void) vsnprintf(asked + len, sizeof(asked) - len, format, args);
	va_end(args);
}

static void assert_asked(const char *expected)
{
	assert_string_equal(asked, expected);
	asked[0] = 0;
}

struct pmp {
	bool open;
	int family;
	const struct pmp_hooks *hooks;
	void *ctx;
	struct pcp_request request; /* the last */
} pmps[2];

struct pmp *pmp_new(
	sd_event *event, const struct pmp_way *way, const struct pmp_hooks *hooks, void *ctx)
{
	struct pmp *p = &pmps[way->own.family == AF_INET6];

	assert_false(p->open);
	*p = (struct pmp){ .open = true, .family = way->own.family, .hooks = hooks, .ctx = ctx };
	return p;
}

struct pmp *pmp_free(struct pmp *p)
{
	if (p)
		p->open = false;
	return NULL;
}

int pmp_pcp(struct pmp *p, const struct pcp_request *request)
{
	p->request = *request;
	say("pcp%d:%u-%u/%u", p->family == AF_INET ? 4 : 6, request->port, request->wanted.port,
		request->lifetime_s);
	return 0;
}

int pmp_look(struct pmp *p)
{
	say("look");
	return -ENETUNREACH; /* what is not sent is sent again */
}

int pmp_natpmp(struct pmp *p, uint16_t inside, uint16_t wanted, uint32_t lifetime_s)
{
	say("natpmp:%u-%u/%u", inside, wanted, lifetime_s);
	return 0;
}

struct upnp {
	bool open;
	struct upnp_job job;
	upnp_done_fn done;
	void *ctx;
} upnp;
static bool no_upnp;

int upnp_start(sd_event *event, const struct upnp_job *job, upnp_done_fn done, void *ctx,
	struct upnp **ret, struct err *err)
{
	if (no_upnp)
		return err_set(err, -EAGAIN, "no process");
	assert_false(upnp.open);
	upnp = (struct upnp){ .open = true, .job = *job, .done = done, .ctx = ctx };
	*ret = &upnp;
	say("upnp:%u-%u%s", job->port, job->wanted, job->url);
	return 0;
}

struct upnp *upnp_cancel(struct upnp *u)
{
	if (u)
		u->open = false;
	return NULL;
}

void upnp_run(const struct upnp_job *job, uint64_t timeout_us, struct upnp_end *ret)
{
	assert_true(timeout_us <= USEC_PER_SEC);
	say("upnp-%s:%u%s", job->remove ? "remove" : "map", job->wanted, job->url);
	*ret = (struct upnp_end){ 0 };
}

/* --- a board --- */

static void on_changed(void *ctx)
{
	assert_ptr_equal(ctx, &n_changed);
	n_changed++;
}

static const struct portmap_hooks hooks = { .changed = on_changed };

static void put_way(int family, const char *gateway, const char *own)
{
	struct pmp_way *way = &ways.way[family == AF_INET6];

	ways.is[family == AF_INET6] = gateway != NULL;
	*way = (struct pmp_way){ .ifindex = 2 };
	if (!gateway)
		return;
	assert_int_equal(ip_addr_parse(gateway, &way->gateway), 0);
	assert_int_equal(ip_addr_parse(own, &way->own), 0);
}

static void follow(void)
{
	portmap_follow(portmap, &view, &links);
}

static int set_up(void **state)
{
	core = fake_core_new();
	core->config.port_mapping = true;
	settings = maker_settings();
	view = (struct view){ .settings = &settings };
	memset(&ways, 0, sizeof(ways));
	memset(pmps, 0, sizeof(pmps));
	memset(&upnp, 0, sizeof(upnp));
	asked[0] = 0;
	n_changed = 0;
	no_upnp = false;
	port = 41741;
	portmap = portmap_new(core, &hooks, &n_changed);
	assert_non_null(portmap);
	put_way(AF_INET, "192.168.1.1", "192.168.1.5");
	return 0;
}

static int tear_down(void **state)
{
	portmap = portmap_free(portmap);
	assert_false(pmps[0].open);
	assert_false(pmps[1].open);
	assert_false(upnp.open);
	settings_done(&settings);
	core = fake_core_free(core);
	return 0;
}

/* The gateway's words. */

static void pcp_full(struct pmp *p, const char *outside, uint32_t lifetime_s, uint32_t epoch_s)
{
	struct pcp_answer answer = {
		.lifetime_s = lifetime_s, .epoch_s = epoch_s, .has_map = true
	};

	assert_true(p->open);
	assert_int_equal(endpoint_parse(outside, &answer.outside), 0);
	p->hooks->pcp(p->ctx, &answer, 0);
	fake_event_pass(0);
}

static void pcp(const char *outside)
{
	pcp_full(&pmps[0], outside, 7200, (uint32_t) (clock_now_us() / USEC_PER_SEC));
}

static void pcp_refuses(int r, uint8_t result)
{
	struct pcp_answer answer = { .result = result };

	pmps[0].hooks->pcp(pmps[0].ctx, r ? NULL : &answer, r);
	fake_event_pass(0);
}

static void natpmp_full(struct pmp_answer answer, int r)
{
	answer.epoch_s = (uint32_t) (clock_now_us() / USEC_PER_SEC);
	pmps[0].hooks->natpmp(pmps[0].ctx, r ? NULL : &answer, r);
	fake_event_pass(0);
}

static void natpmp_address(const char *text)
{
	struct pmp_answer answer = { .is_address = true };

	assert_int_equal(ip_addr_parse(text, &answer.outside), 0);
	natpmp_full(answer, 0);
}

static void natpmp_port(uint16_t outside, uint32_t lifetime_s)
{
	natpmp_full((struct pmp_answer){ .port = outside, .lifetime_s = lifetime_s }, 0);
}

static void upnp_ends(enum upnp_result result, int code, const char *outside)
{
	struct upnp_end end = { .result = result, .code = code, .url = "@url" };

	if (outside)
		assert_int_equal(endpoint_parse(outside, &end.outside), 0);
	assert_true(upnp.open);
	upnp.open = false;
	upnp.done(upnp.ctx, &end);
	fake_event_pass(0);
}

/* What others are told: as often as this it has changed by now. */
static void assert_told(const char *expected, unsigned times)
{
	struct endpoint list[PORTMAP_MAX];
	char text[ENDPOINT_TEXT_MAX], all[256] = "";
	size_t n = portmap_endpoints(portmap, list);

	for (size_t i = 0; i < n; i++)
		(void) strcat(strcat(all, i ? " " : ""), endpoint_format(&list[i], text));
	assert_string_equal(all, expected);
	assert_int_equal(n_changed, times);
}

static struct portmap_report get_report(void)
{
	struct portmap_report list[PORTMAP_MAX];

	assert_int_equal(portmap_report(portmap, list), 1);
	return list[0];
}

static void assert_none(enum mapping_why why, int detail)
{
	struct portmap_report report = get_report();

	assert_int_equal(report.protocol, MAPPING_NONE);
	assert_int_equal(report.why, why);
	assert_int_equal(report.detail, detail);
}

/* --- */

static void test_pcp(void **state)
{
	struct portmap_report report;
	struct pcp_request first;

	assert_none(MAPPING_WHY_NO_GATEWAY, 0);
	assert_string_equal(portmap_word(portmap), "no-gateway");
	follow();
	assert_asked("pcp4:41741-41741/7200 look");
	first = pmps[0].request;
	assert_true(ip_addr_equal(&first.client, &ways.way[0].own));
	follow(); /* nothing is new */
	assert_asked("");
	pcp("203.0.113.7:2000");
	assert_told("203.0.113.7:2000", 1);
	assert_false(pmps[0].open);
	assert_int_equal(fake_core_logged("reachable at 203.0.113.7:2000 by pcp"), 1);
	report = get_report();
	assert_int_equal(report.protocol, MAPPING_PCP);
	assert_string_equal(portmap_word(portmap), "pcp");
	assert_false(report.nested);
	assert_int_equal(report.left_us / USEC_PER_SEC, 7200);
	/* The same port and nonce again. */
	fake_event_pass(15 * MINUTE);
	assert_asked("pcp4:41741-2000/7200");
	assert_memory_equal(pmps[0].request.nonce, first.nonce, PCP_NONCE_LEN);
	pcp("203.0.113.7:2000");
	assert_told("203.0.113.7:2000", 1);
	/* It has moved. */
	fake_event_pass(15 * MINUTE);
	pcp("203.0.113.8:2001");
	assert_told("203.0.113.8:2001", 2);
}

static void test_natpmp(void **state)
{
	follow();
	pcp_refuses(-EPROTONOSUPPORT, 0);
	natpmp_address("203.0.113.7");
	assert_asked("pcp4:41741-41741/7200 look natpmp:41741-41741/7200");
	natpmp_port(2000, 3600);
	assert_told("203.0.113.7:2000", 1);
	assert_int_equal(get_report().protocol, MAPPING_NATPMP);
	asked[0] = 0;
	portmap_remove(portmap);
	assert_asked("natpmp:41741-0/0");
	assert_told("", 1); /* nobody is to be told at the end */
}

static void test_upnp(void **state)
{
	follow();
	pcp_refuses(-ECONNREFUSED, 0);
	natpmp_full((struct pmp_answer){ 0 }, -ECONNREFUSED);
	assert_asked("pcp4:41741-41741/7200 look upnp:41741-41741");
	assert_string_equal(upnp.job.name, "hearth-1");
	upnp_ends(UPNP_DONE, 0, "203.0.113.7:2000");
	assert_told("203.0.113.7:2000", 1);
	fake_event_pass(15 * MINUTE);
	assert_asked("upnp:41741-2000@url");
	upnp_ends(UPNP_DONE, 0, "203.0.113.7:2000");
	portmap_remove(portmap);
	assert_asked("upnp-remove:2000@url");
	/* What is slow is ended when it is not wanted any more. */
	follow();
	fake_event_pass(300 * MS);
	assert_true(upnp.open);
	pcp("203.0.113.7:2000");
	assert_false(upnp.open);
}

static void test_nothing(void **state)
{
	static const struct {
		enum upnp_result result;
		int code;
		enum mapping_why why;
	} cases[] = {
		{ UPNP_NOBODY, 0, MAPPING_WHY_NOTHING },
		{ UPNP_REFUSED, 718, MAPPING_WHY_REFUSED },
		{ UPNP_REFUSED, -1, MAPPING_WHY_REFUSED },
		{ UPNP_NO_ADDRESS, 501, MAPPING_WHY_NO_ADDRESS },
		{ UPNP_BROKEN, 0, MAPPING_WHY_BROKEN },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		port++;
		follow();
		fake_event_pass(4000 * MS);
		upnp_ends(cases[i].result, cases[i].code, NULL);
		assert_none(cases[i].why, cases[i].code > 0 ? cases[i].code : 0);
		fake_event_pass(25 * MINUTE); /* what changes all the time is asked for late */
	}
	/* No process can be started. */
	no_upnp = true;
	port++;
	follow();
	fake_event_pass(4000 * MS);
	assert_none(MAPPING_WHY_BROKEN, 0);
	assert_told("", 0);
	assert_int_equal(core->problems.n, 0);
}

/* What a gateway must not have others told of. */
static void test_lies(void **state)
{
	static const char *const lies[] = { "127.0.0.1:41741", "0.0.0.0:41741", "224.0.0.1:41741",
		"10.77.0.3:41741", "10.244.1.2:41741", "10.96.0.1:41741", "[2001:db8::1]:41741",
		"203.0.113.7:0" };

	for (size_t i = 0; i < ARRAY_LEN(lies); i++) {
		port++;
		follow();
		pcp(lies[i]);
		natpmp_address("127.0.0.1");
		natpmp_port(2000, 7200);
		fake_event_pass(4000 * MS);
		upnp_ends(UPNP_DONE, 0, lies[i]);
		assert_none(MAPPING_WHY_NO_ADDRESS, 0);
		fake_event_pass(25 * MINUTE); /* what changes all the time is asked for late */
	}
	/* For no time at all. */
	port++;
	follow();
	pcp_full(&pmps[0], "203.0.113.7:2000", 0, 1);
	natpmp_address("203.0.113.7");
	natpmp_port(2000, 0);
	fake_event_pass(4000 * MS);
	upnp_ends(UPNP_NOBODY, 0, NULL);
	assert_none(MAPPING_WHY_SHORT, 0);
	assert_told("", 0);
	/* It says no. */
	port++;
	follow();
	natpmp_full((struct pmp_answer){ 0 }, 3);
	pcp_refuses(0, PCP_NOT_AUTHORIZED);
	upnp_ends(UPNP_NOBODY, 0, NULL);
	assert_none(MAPPING_WHY_REFUSED, PCP_NOT_AUTHORIZED);
}

/* An address of a carrier's: told, though last. */
static void test_nested(void **state)
{
	put_way(AF_INET6, "fe80::1", "2001:db8::5");
	follow();
	assert_asked("pcp4:41741-41741/7200 look pcp6:41741-41741/7200");
	pcp("100.64.0.7:2000");
	pcp_full(&pmps[1], "[2001:db8::5]:41741", 7200, 1);
	assert_told("100.64.0.7:2000", 2); /* what is let in is told already */
	fake_event_pass(15 * MINUTE);
	pcp("100.64.0.7:2000");
	pcp_full(&pmps[1], "[2001:db8:1::5]:41741", 7200, 901);
	assert_told("[2001:db8:1::5]:41741 100.64.0.7:2000", 3);
	assert_true(memcmp(pmps[0].request.nonce, pmps[1].request.nonce, PCP_NONCE_LEN) != 0);
	assert_int_equal(fake_core_logged("which is a private address"), 1);
}

/* One family hears that the gateway has started anew: the other asks at once. */
static void test_restarted(void **state)
{
	put_way(AF_INET6, "fe80::1", "2001:db8::5");
	follow();
	pcp_full(&pmps[0], "203.0.113.7:2000", 7200, 5000);
	pcp_full(&pmps[1], "[2001:db8::5]:41741", 600, 5000);
	asked[0] = 0;
	fake_event_pass(5 * MINUTE); /* half of 600 s */
	assert_asked("pcp6:41741-41741/7200");
	pcp_full(&pmps[1], "[2001:db8::5]:41741", 600, 3);
	assert_asked("pcp4:41741-2000/7200");
	assert_int_equal(fake_core_logged("started anew"), 1);
}

static void test_moves(void **state)
{
	follow();
	pcp("203.0.113.7:2000");
	asked[0] = 0;
	/* Another gateway: what was is over, and asked for there. */
	put_way(AF_INET, "192.168.2.1", "192.168.2.5");
	follow();
	assert_told("", 2);
	assert_asked("pcp4:41741-41741/7200 look");
	pcp("203.0.113.7:2000");
	assert_told("203.0.113.7:2000", 3);
	/* Without one; with an address of its own. */
	put_way(AF_INET, NULL, NULL);
	follow();
	assert_told("", 4);
	assert_none(MAPPING_WHY_NO_GATEWAY, 0);
	put_way(AF_INET, "203.0.113.1", "203.0.113.5");
	follow();
	assert_none(MAPPING_WHY_NEEDLESS, 0);
	assert_asked("");
	assert_int_equal(fake_event_next_us(), UINT64_MAX);
}

/* Switched off, and on; another port: the old mapping is taken away. */
static void test_taken_away(void **state)
{
	struct pcp_request first;

	follow();
	pcp("203.0.113.7:2000");
	first = pmps[0].request;
	asked[0] = 0;
	core->config.port_mapping = false;
	follow();
	assert_asked("pcp4:41741-2000/0");
	assert_memory_equal(pmps[0].request.nonce, first.nonce, PCP_NONCE_LEN);
	assert_told("", 2);
	assert_none(MAPPING_WHY_OFF, 0);
	core->config.port_mapping = true;
	follow();
	pcp("203.0.113.7:2000");
	asked[0] = 0;
	port = 41742;
	follow();
	assert_asked("pcp4:41741-2000/0 pcp4:41742-41742/7200 look");
	assert_true(memcmp(pmps[0].request.nonce, first.nonce, PCP_NONCE_LEN) != 0);
	pcp("203.0.113.7:2001");
	asked[0] = 0;
	portmap_remove(portmap);
	assert_asked("pcp4:41742-2001/0");
	portmap_remove(portmap);
	assert_asked("");
}

static void test_hurry(void **state)
{
	portmap_hurry(portmap); /* nobody is asked yet */
	follow();
	pcp("203.0.113.7:2000");
	asked[0] = 0;
	portmap_hurry(portmap);
	fake_event_pass(0);
	assert_asked("pcp4:41741-2000/7200");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_pcp, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_natpmp, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_upnp, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_lies, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_nested, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_restarted, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_moves, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_taken_away, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_hurry, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
