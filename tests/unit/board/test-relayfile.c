/* relayfile: what is taken and refused, and that what is written is what was meant. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"
#include "board/relayfile.h"

#define PIN  "\"pin\":\"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\""
#define KEY  "\"key\":\"AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=\""
#define REST "\"tcp\":3340,\"udp\":3478," PIN "," KEY
/* pins */
#define ONE   "\"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\""
#define TWO   "\"AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=\""
#define THREE "\"AwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwM=\""
#define FOUR  "\"BAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQ=\""
#define FIVE  "\"BQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQU=\""

static int read_text(const char *text, struct relayfile *ret, struct err *err)
{
	CLEANUP_JSON json_t *json = json_parse(text, strlen(text), err);

	return json ? relayfile_from_json(json, ret, err) : -EINVAL;
}

static void test_forms(void **state)
{
	static const struct {
		const char *text, *words; /* NULL: it is taken */
	} cases[] = {
		{ "{\"hosts\":\"automatic\"," REST "}", NULL },
		{ "{\"hosts\":[\"vps.example.org\",\"203.0.113.5\"]," REST "}", NULL },
		{ "{\"hosts\":\"vps.example.org\"," REST "}", "hosts" },
		{ "{\"hosts\":[]," REST "}", "hosts" },
		{ "{" REST "}", "hosts" },
		{ "{\"hosts\":\"automatic\",\"tcp\":443,\"udp\":0," PIN "," KEY "}", NULL },
		{ "{\"hosts\":\"automatic\",\"tcp\":0,\"udp\":0," PIN "," KEY "}", "tcp" },
		{ "{\"hosts\":\"automatic\",\"tcp\":443," PIN "," KEY "}", "udp" },
		{ "{\"hosts\":\"automatic\",\"tcp\":443,\"udp\":1," KEY "}", "pin" },
		{ "{\"hosts\":\"automatic\",\"tcp\":443,\"udp\":1," PIN "}", "key" },
		{ "{\"hosts\":\"automatic\",\"ports\":1," REST "}", "no setting \"ports\"" },
		{ "{\"hosts\":\"automatic\",\"metrics\":9340," REST "}", NULL },
		{ "{\"hosts\":\"automatic\",\"metrics\":0," REST "}", "metrics" },
		{ "{\"hosts\":\"automatic\",\"metrics\":\"all\"," REST "}", "metrics" },
		{ "{\"hosts\":\"automatic\",\"waits_for\":[" ONE "]," REST "}", NULL },
		{ "{\"hosts\":\"automatic\",\"waits_for\":null," REST "}", NULL },
		{ "{\"hosts\":\"automatic\",\"waits_for\":[]," REST "}", "waits_for" },
		{ "{\"hosts\":\"automatic\",\"waits_for\":" ONE "," REST "}", "waits_for" },
		{ "{\"hosts\":\"automatic\",\"waits_for\":[" ONE "," ONE "]," REST "}", "twice" },
		{ "{\"hosts\":\"automatic\",\"waits_for\":[" ONE "," TWO "," THREE "," FOUR
		  "]," REST "}",
			NULL },
		{ "{\"hosts\":\"automatic\",\"waits_for\":[" ONE "," TWO "," THREE "," FOUR "," FIVE
		  "]," REST "}",
			"waits_for" },
		{ "{\"hosts\":\"automatic\",\"pass_to\":\"127.0.0.1:8443\"," REST "}", NULL },
		{ "{\"hosts\":\"automatic\",\"pass_to\":\"[fd00::5]:443\"," REST "}", NULL },
		{ "{\"hosts\":\"automatic\",\"pass_to\":null," REST "}", NULL },
		{ "{\"hosts\":\"automatic\",\"pass_to\":\"127.0.0.1\"," REST "}", "pass_to" },
		{ "{\"hosts\":\"automatic\",\"pass_to\":\"web:443\"," REST "}", "pass_to" },
		{ "{\"hosts\":\"automatic\",\"pass_to\":\"127.0.0.1:0\"," REST "}", "pass_to" },
		{ "{\"hosts\":\"automatic\",\"pass_to\":\"0.0.0.0:443\"," REST "}", "one machine" },
		{ "{\"hosts\":\"automatic\",\"pass_to\":\"[ff02::1]:443\"," REST "}",
			"one machine" },
		{ "{\"hosts\":\"automatic\",\"pass_to\":\"[fe80::1%2]:443\"," REST "}",
			"one link" },
		{ "{\"hosts\":\"automatic\",\"pass_to\":8443," REST "}", "pass_to" },
		{ "[]", "no JSON object" },
		{ "null", "" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP_RELAYFILE struct relayfile file = { 0 };
		struct err err = { 0 };
		int r = read_text(cases[i].text, &file, &err);

		if ((r == 0) != !cases[i].words)
			fail_msg("%s: %d, %s", cases[i].text, r, err.text);
		if (cases[i].words)
			assert_non_null(strstr(err.text, cases[i].words));
	}
}

/* As a person writes them; as others hear of them. */
static void test_hosts(void **state)
{
	CLEANUP_RELAYFILE struct relayfile file = { 0 };
	struct err err = { 0 };

	assert_int_equal(read_text("{\"hosts\":[\"VPS.Example.org\",\"2001:DB8:0::5\","
				   "\"vps.example.org\",\"203.0.113.5\"]," REST "}",
				 &file, &err),
		0);
	assert_int_equal(file.relay.n_hosts, 3);
	assert_string_equal(file.relay.hosts[0], "vps.example.org");
	assert_string_equal(file.relay.hosts[1], "2001:db8::5");
	assert_string_equal(file.relay.hosts[2], "203.0.113.5");
}

static void test_file(void **state)
{
	char dir[] = "/tmp/hearth-relayfile-XXXXXX", path[64];
	struct relayfile file = { .automatic = true,
		.metrics = 9340,
		.waits_for = { { 3 }, { 4 } },
		.n_waits_for = 2,
		.pass_to = { .addr = { AF_INET, { 127, 0, 0, 1 } }, .port = 8443 },
		.relay = { .tcp = 443, .udp = 3478, .pin = { 1 }, .key = { 2 } } };
	CLEANUP_RELAYFILE struct relayfile again = { 0 }, named = { 0 };
	struct err err = { 0 };
	struct stat st;

	assert_non_null(mkdtemp(dir));
	(void) snprintf(path, sizeof(path), "%s/relay.json", dir);
	assert_int_equal(relayfile_read(path, &again, &err), -ENOENT);
	assert_int_equal(relayfile_write(path, &file, &err), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	assert_int_equal(relayfile_read(path, &again, &err), 0);
	assert_true(again.automatic);
	assert_int_equal(again.metrics, 9340);
	assert_int_equal(again.n_waits_for, 2);
	assert_memory_equal(again.waits_for, file.waits_for, sizeof(file.waits_for));
	assert_true(endpoint_equal(&again.pass_to, &file.pass_to));
	assert_true(node_relay_equal(&file.relay, &again.relay));

	file.automatic = false;
	file.n_waits_for = 0;
	file.pass_to.port = 0;
	file.relay.n_hosts = 1;
	(void) snprintf(file.relay.hosts[0], sizeof(file.relay.hosts[0]), "vps.example.org");
	assert_int_equal(relayfile_write(path, &file, &err), 0);
	assert_int_equal(relayfile_read(path, &named, &err), 0);
	assert_false(named.automatic);
	assert_int_equal(named.n_waits_for, 0);
	assert_int_equal(named.pass_to.port, 0);
	assert_true(node_relay_equal(&file.relay, &named.relay));

	assert_int_equal(file_write_atomic(path, "{\"hosts\"", 8, 0644), 0);
	assert_int_equal(relayfile_read(path, &again, &err), -EINVAL);
	assert_non_null(strstr(err.text, path));
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_hosts),
		cmocka_unit_test(test_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
