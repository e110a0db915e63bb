/*
 * upnp: what is asked of a gateway that the test plays instead of libminiupnpc, and which of the
 * devices that answer is asked at all; and that what its process says is checked.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <miniupnpc/miniupnpc.h>
#include <miniupnpc/upnpcommands.h>

#include "sys/exec/exec.h"
#include "sys/portmap/upnp.h"

#define IP1 "urn:schemas-upnp-org:service:WANIPConnection:1"
#define IP2 "urn:schemas-upnp-org:service:WANIPConnection:2"
#define PPP "urn:schemas-upnp-org:service:WANPPPConnection:1"
#define URL "http://192.168.1.1:5000/desc.xml"

static struct {
	/* what is there */
	const char *urls[8]; /* of devices that answer the search */
	const char *type, *type2, *control, *control2;
	const char *address; /* NULL: error 501 of the first connection */
	int codes[8];        /* what each request for a port is answered with */
	const char *reserved;
	bool no_any; /* AddAnyPortMapping is no action of it */
	/* what was asked */
	char asked[1024];
	unsigned n_adds;
} t;

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void say(const char *format, ...)
{
	size_t len = strlen(t.asked);
	va_list args;

	va_start(args, format);
	(void) vsnprintf(t.asked + len, sizeof(t.asked) - len, format, args);
	va_end(args);
}

/* --- instead of libminiupnpc --- */

static struct UPNPDev devices[8];
static char texts[8][64];

struct UPNPDev *upnpDiscover(int delay, const char *multicastif, const char *sock, int localport,
	int ipv6, unsigned char ttl, int *error)
{
	assert_string_equal(multicastif, "192.168.1.5");
	say("search ");
	for (size_t i = 0; i < 8 && t.urls[i]; i++) {
		(void) snprintf(texts[i], sizeof(texts[i]), "%s", t.urls[i]);
		devices[i] = (struct UPNPDev){ .descURL = texts[i] };
		if (i)
			devices[i - 1].pNext = &devices[i];
	}
	return t.urls[0] ? devices : NULL;
}

void freeUPNPDevlist(struct UPNPDev *list)
{
}

static void put(struct IGDdatas_service *service, const char *type, const char *url)
{
	(void) snprintf(service->servicetype, sizeof(service->servicetype), "%s", type ? type : "");
	(void) snprintf(service->controlurl, sizeof(service->controlurl), "%s", url ? url : "");
}

void GetUPNPUrls(struct UPNPUrls *urls, struct IGDdatas *data, const char *url, unsigned int scope)
{
	char text[256];

	(void) snprintf(text, sizeof(text), "%s%s",
		data->first.controlurl[0] == '/' ? "http://192.168.1.1:5000" : "",
		data->first.controlurl);
	urls->controlURL = strdup(text);
}

void FreeUPNPUrls(struct UPNPUrls *urls)
{
	free(urls->controlURL);
	urls->controlURL = NULL;
}

int UPNP_GetIGDFromUrl(
	const char *url, struct UPNPUrls *urls, struct IGDdatas *data, char *own, int len)
{
	say("get:%s ", url);
	if (!t.type)
		return 0;
	put(&data->first, t.type, t.control);
	put(&data->second, t.type2, t.control2);
	GetUPNPUrls(urls, data, url, 0);
	return 1;
}

int UPNP_GetExternalIPAddress(const char *url, const char *type, char *ret)
{
	say("address ");
	if (!t.address && !strcmp(type, t.type))
		return 501;
	(void) snprintf(ret, 16, "%s", t.address ? t.address : "203.0.113.9");
	return 0;
}

int UPNP_AddPortMapping(const char *url, const char *type, const char *outside, const char *inside,
	const char *own, const char *name, const char *proto, const char *remote, const char *lease)
{
	assert_string_equal(inside, "41741");
	assert_string_equal(own, "192.168.1.5");
	assert_string_equal(name, "hearth-3");
	assert_string_equal(proto, "UDP");
	assert_null(remote);
	say("add:%s/%s ", outside, lease);
	return t.codes[t.n_adds++];
}

int UPNP_AddAnyPortMapping(const char *url, const char *type, const char *outside,
	const char *inside, const char *own, const char *name, const char *proto,
	const char *remote, const char *lease, char *reserved)
{
	say("any:%s/%s ", outside, lease);
	if (t.no_any)
		return 401;
	(void) snprintf(reserved, 6, "%s", t.reserved);
	return t.codes[t.n_adds++];
}

int UPNP_DeletePortMapping(const char *url, const char *type, const char *outside,
	const char *proto, const char *remote)
{
	say("delete:%s ", outside);
	return t.codes[0];
}

/* --- asking --- */

static int set_up(void **state)
{
	memset(&t, 0, sizeof(t));
	t.urls[0] = URL;
	t.type = IP1;
	t.control = "/control";
	t.address = "203.0.113.7";
	t.reserved = "";
	return 0;
}

static struct upnp_job a_job(void)
{
	struct upnp_job job = {
		.port = 41741, .wanted = 41741, .lifetime_s = 7200, .name = "hearth-3"
	};

	assert_int_equal(ip_addr_parse("192.168.1.1", &job.gateway), 0);
	assert_int_equal(ip_addr_parse("192.168.1.5", &job.own), 0);
	return job;
}

static struct upnp_end ask(const struct upnp_job *job, const char *asked)
{
	struct upnp_end end;

	t.n_adds = 0;
	t.asked[0] = 0;
	upnp_do(job, &end);
	assert_string_equal(t.asked, asked);
	return end;
}

static void assert_mapped(const struct upnp_end *end, const char *outside, uint32_t lifetime_s)
{
	char text[ENDPOINT_TEXT_MAX];

	assert_int_equal(end->result, UPNP_DONE);
	assert_string_equal(endpoint_format(&end->outside, text), outside);
	assert_int_equal(end->lifetime_s, lifetime_s);
	assert_string_equal(end->url, URL);
}

#define FOUND "search get:" URL " address "

static void test_map(void **state)
{
	struct upnp_job job = a_job();
	struct upnp_end end = ask(&job, FOUND "add:41741/7200 ");

	assert_mapped(&end, "203.0.113.7:41741", 7200);
	/* Where it was, without a search. */
	(void) snprintf(job.url, sizeof(job.url), "%s", URL);
	job.wanted = 2000;
	end = ask(&job, "get:" URL " address add:2000/7200 ");
	assert_mapped(&end, "203.0.113.7:2000", 7200);
	/* It has moved to another port since. */
	(void) snprintf(job.url, sizeof(job.url), "http://192.168.1.2:80/");
	end = ask(&job, FOUND "add:2000/7200 ");
	assert_mapped(&end, "203.0.113.7:2000", 7200);
}

static void test_any(void **state)
{
	struct upnp_job job = a_job();
	struct upnp_end end;

	t.type = IP2;
	t.reserved = "2001";
	end = ask(&job, FOUND "any:41741/7200 ");
	assert_mapped(&end, "203.0.113.7:2001", 7200);
	t.no_any = true;
	end = ask(&job, FOUND "any:41741/7200 add:41741/7200 ");
	assert_mapped(&end, "203.0.113.7:41741", 7200);
	/* It says yes, and names no port. */
	t.no_any = false;
	for (size_t i = 0; i < 3; i++) {
		static const char *const lies[] = { "", "0", "65536" };

		t.reserved = lies[i];
		end = ask(&job, FOUND "any:41741/7200 ");
		assert_int_equal(end.result, UPNP_REFUSED);
	}
}

static void test_errors(void **state)
{
	struct upnp_job job = a_job();
	struct upnp_end end;

	t.codes[0] = 725;
	end = ask(&job, FOUND "add:41741/7200 add:41741/0 ");
	assert_mapped(&end, "203.0.113.7:41741", 0);
	t.codes[0] = 402;
	end = ask(&job, FOUND "add:41741/7200 add:41741/0 ");
	assert_mapped(&end, "203.0.113.7:41741", 0);
	/* It is not the lease: no third time. */
	t.codes[1] = 402;
	end = ask(&job, FOUND "add:41741/7200 add:41741/0 ");
	assert_int_equal(end.result, UPNP_REFUSED);
	assert_int_equal(end.code, 402);
	t.codes[0] = 606;
	end = ask(&job, FOUND "add:41741/7200 ");
	assert_int_equal(end.code, 606);
	t.codes[0] = 724;
	t.codes[1] = 0;
	job.wanted = 2000;
	end = ask(&job, FOUND "add:2000/7200 add:41741/7200 ");
	assert_mapped(&end, "203.0.113.7:41741", 7200);
}

/* Another port each time, the same ones the next time, and not without end. */
static void test_conflict(void **state)
{
	struct upnp_job job = a_job();
	struct upnp_end first, second;

	t.codes[0] = 718;
	upnp_do(&job, &first);
	assert_int_equal(first.result, UPNP_DONE);
	assert_int_not_equal(first.outside.port, 41741);
	assert_true(first.outside.port >= 1024);
	t.n_adds = 0;
	upnp_do(&job, &second);
	assert_int_equal(second.outside.port, first.outside.port);
	for (size_t i = 0; i < 8; i++)
		t.codes[i] = 718;
	t.n_adds = 0;
	upnp_do(&job, &first);
	assert_int_equal(first.result, UPNP_REFUSED);
	assert_int_equal(first.code, 718);
	assert_int_equal(t.n_adds, 8);
}

static void test_connections(void **state)
{
	struct upnp_job job = a_job();
	struct upnp_end end;

	/* The first is not in use. */
	t.address = NULL;
	t.type2 = PPP;
	t.control2 = "/second";
	end = ask(&job, FOUND "address add:41741/7200 ");
	assert_mapped(&end, "203.0.113.9:41741", 7200);
	t.type2 = NULL;
	end = ask(&job, FOUND);
	assert_int_equal(end.result, UPNP_NO_ADDRESS);
	assert_int_equal(end.code, 501);
	t.address = "somewhere";
	end = ask(&job, FOUND);
	assert_int_equal(end.result, UPNP_NO_ADDRESS);
	/* A printer. */
	t.type = "urn:schemas-upnp-org:service:Printer:1";
	end = ask(&job, "search get:" URL " ");
	assert_int_equal(end.result, UPNP_BROKEN);
	t.type = NULL;
	end = ask(&job, "search get:" URL " ");
	assert_int_equal(end.result, UPNP_NOBODY);
}

/* It, or who speaks for it, names another machine: that hears nothing of us. */
static void test_elsewhere(void **state)
{
	static const char *const controls[] = { "http://192.168.1.9:5000/control",
		"http://203.0.113.1/control", "http://192.168.1.1.evil.example/", "" };
	struct upnp_job job = a_job();
	struct upnp_end end;

	for (size_t i = 0; i < 4; i++) {
		t.control = controls[i];
		end = ask(&job, "search get:" URL " ");
		assert_int_equal(end.result, UPNP_BROKEN);
	}
	/* The second connection is elsewhere. */
	t.control = "/control";
	t.address = NULL;
	t.type2 = PPP;
	t.control2 = "http://203.0.113.1/control";
	end = ask(&job, FOUND);
	assert_int_equal(end.result, UPNP_NO_ADDRESS);
	/* Others who answer the search, and one who answers again and again. */
	set_up(NULL);
	t.type = NULL;
	t.urls[0] = "http://192.168.1.9:5000/desc.xml";
	t.urls[1] = URL;
	t.urls[2] = URL;
	t.urls[3] = "http://[fe80::1]:5000/desc.xml";
	t.urls[4] = "http://192.168.1.1:1/";
	t.urls[5] = "http://192.168.1.1:2/";
	t.urls[6] = "http://192.168.1.1:3/";
	t.urls[7] = "http://192.168.1.1:4/"; /* the fifth */
	end = ask(&job, "search get:" URL " get:http://192.168.1.1:1/ get:http://192.168.1.1:2/ "
			"get:http://192.168.1.1:3/ ");
	assert_int_equal(end.result, UPNP_NOBODY);
}

static void test_remove(void **state)
{
	struct upnp_job job = a_job();
	struct upnp_end end;

	job.remove = true;
	job.wanted = 2000;
	(void) snprintf(job.url, sizeof(job.url), "%s", URL);
	end = ask(&job, "get:" URL " delete:2000 ");
	assert_int_equal(end.result, UPNP_DONE);
	t.codes[0] = 714;
	end = ask(&job, "get:" URL " delete:2000 ");
	assert_int_equal(end.code, 714);
	job.url[0] = 0;
	end = ask(&job, "");
	assert_int_equal(end.result, UPNP_NOBODY);
}

static void test_url(void **state)
{
	static const struct {
		const char *url;
		bool is;
	} cases[] = {
		{ "http://192.168.1.1/", true },
		{ "http://192.168.1.1:80/a/b?c", true },
		{ "http://192.168.1.1:65535/", true },
		{ "http://192.168.1.1", false },
		{ "http://192.168.1.1:/", false },
		{ "http://192.168.1.1:123456/", false },
		{ "http://192.168.1.1:80@203.0.113.1/", false },
		{ "http://192.168.1.11/", false },
		{ "http://192.168.1.1.example/", false },
		{ "https://192.168.1.1/", false },
		{ "HTTP://192.168.1.1/", false },
		{ "http://user@192.168.1.1/", false },
		{ "http://router/", false },
		{ "http://[::ffff:192.168.1.1]/", false },
		{ "", false },
	};
	struct upnp_job job = a_job();

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(upnp_url_is_at(cases[i].url, &job.gateway), cases[i].is);
	assert_int_equal(ip_addr_parse("fe80::1", &job.gateway), 0);
	assert_false(upnp_url_is_at("http://fe80::1/", &job.gateway));
}

/* --- its process, with the test instead of sys/exec --- */

static struct exec_result made_up;
static bool no_process;

int __wrap_exec_run(const struct exec_options *options, struct exec_result *ret, struct err *err);
int __wrap_exec_run(const struct exec_options *options, struct exec_result *ret, struct err *err)
{
	assert_string_equal(options->argv[0], "/proc/self/exe");
	assert_string_equal(options->argv[1], UPNP_ARGUMENT);
	assert_null(options->envp[0]);
	assert_int_equal(options->input_len, sizeof(struct upnp_job));
	assert_int_equal(options->timeout_us, 1000000);
	if (no_process)
		return err_set(err, -EAGAIN, "no process");
	*ret = made_up;
	made_up = (struct exec_result){ 0 };
	return 0;
}

static enum upnp_result run(const struct upnp_end *says, size_t len, int status, bool timed_out)
{
	struct upnp_job job = a_job();
	struct upnp_end end;

	made_up = (struct exec_result){ .status = status, .timed_out = timed_out };
	buf_add(&made_up.out, says, len);
	upnp_run(&job, 1000000, &end);
	return end.result;
}

static void test_process(void **state)
{
	struct upnp_end end = { .result = UPNP_DONE };

	assert_int_equal(endpoint_parse("203.0.113.7:2000", &end.outside), 0);
	assert_int_equal(run(&end, sizeof(end), 0, false), UPNP_DONE);
	assert_int_equal(run(&end, sizeof(end) - 1, 0, false), UPNP_BROKEN);
	assert_int_equal(run(&end, 0, 0, false), UPNP_BROKEN);
	assert_int_equal(run(&end, sizeof(end), 1, false), UPNP_BROKEN);
	assert_int_equal(run(&end, sizeof(end), -11, false), UPNP_BROKEN);
	assert_int_equal(run(&end, sizeof(end), -9, true), UPNP_BROKEN);
	memset(end.url, 'a', sizeof(end.url));
	assert_int_equal(run(&end, sizeof(end), 0, false), UPNP_BROKEN);
	end.url[0] = 0;
	memset(&end.result, 0xff, sizeof(end.result));
	assert_int_equal(run(&end, sizeof(end), 0, false), UPNP_BROKEN);
	no_process = true;
	assert_int_equal(run(&end, 0, 0, false), UPNP_BROKEN);
	no_process = false;
	exec_result_done(&made_up);
}

/* What it may do once it has given up the rest; a sum of what is wrong. */
static int find_wrong(void)
{
	int wrong = upnp_confine() != 0;

	if (open("/etc/passwd", O_RDONLY | O_CLOEXEC) >= 0 || errno != EACCES)
		wrong += 2;
	if (open("/tmp", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600) >= 0)
		wrong += 4;
	if (socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) < 0)
		wrong += 8;
	return wrong;
}

/* Its user is hearthd's: whoever takes it over must not read the keys that hearthd may read. */
static void test_confined(void **state)
{
	const bool can =
		syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) > 0;
	int status = 0;
	pid_t pid = can ? fork() : -1;

	if (!can)
		skip(); /* this kernel has no Landlock */
	if (pid == 0)
		_exit(find_wrong());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_map, set_up),
		cmocka_unit_test_setup(test_any, set_up),
		cmocka_unit_test_setup(test_errors, set_up),
		cmocka_unit_test_setup(test_conflict, set_up),
		cmocka_unit_test_setup(test_connections, set_up),
		cmocka_unit_test_setup(test_elsewhere, set_up),
		cmocka_unit_test_setup(test_remove, set_up),
		cmocka_unit_test_setup(test_url, set_up),
		cmocka_unit_test_setup(test_process, set_up),
		cmocka_unit_test_setup(test_confined, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
