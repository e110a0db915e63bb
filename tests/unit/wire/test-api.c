/* api: every body of the coordinator's API, from and to JSON. */
#include "cases.h"

#include <sodium.h>

#include "wire/api.h"

#define NODE                                                                                       \
	"{\"id\":2,\"name\":\"pi3\",\"role\":\"member\",\"tags\":[],\"labels\":{},\"wg\":\"" KEY_A \
	"\",\"identity\":\"" KEY_B                                                                 \
	"\",\"mesh4\":\"10.77.0.2\",\"mesh6\":\"fd12::2\",\"revoked\":[]}"
#define SIG \
	"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=="
#define RECORD                                                             \
	"{\"seq\":2,\"prev\":\"" KEY_A "\",\"type\":\"x\",\"by\":\"" KEY_B \
	"\",\"payload\":\"e30=\",\"sig\":\"" SIG "\"}"
#define NEWS                                                                           \
	"\"records\":[" RECORD "],\"presence\":[{\"payload\":\"e30=\",\"sig\":\"\"}]," \
	"\"cursor\":\"0123456789abcdef-42\",\"head\":{\"seq\":9,\"hash\":\"" KEY_C "\"}"
#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define KUBE                                                                            \
	"{\"id\":\"0123456789abcdef\",\"cluster\":{\"payload\":\"e30=\",\"sig\":\"" SIG \
	"\"},\"secret\":{\"token\":\"abcdef.0123456789abcdef\",\"expires\":1795000000," \
	"\"certificate_key\":null}}"

#define RELAY                                                                                     \
	"{\"hosts\":[\"203.0.113.5\",\"vps.example.org\"],\"tcp\":443,\"udp\":0,\"pin\":\"" KEY_A \
	"\",\"key\":\"" KEY_C "\"}"

static const char request[] =
	"{\"token\":{\"id\":\"0123456789abcdef\",\"secret\":\"" KEY_A "\"},\"wg\":\"" KEY_B
	"\",\"name\":\"pi3\",\"role\":\"worker\",\"replace\":\"pi3-old\",\"relay\":" RELAY
	",\"board\":{\"cores\":4}}";

static int read_request(const json_t *json, struct err *err)
{
	CLEANUP_API_ENROLL_REQUEST struct api_enroll_request r = { 0 };

	return api_enroll_request_from_json(json, &r, err);
}

static int read_news(const json_t *json, struct err *err)
{
	CLEANUP_API_NEWS struct api_news news = { 0 };

	return api_news_from_json(json, &news, err);
}

static int read_reply(const json_t *json, struct err *err)
{
	CLEANUP_API_ENROLL_REPLY struct api_enroll_reply reply = { 0 };

	return api_enroll_reply_from_json(json, &reply, err);
}

static int read_health(const json_t *json, struct err *err)
{
	struct api_health health;

	return api_health_from_json(json, &health, err);
}

static void test_request(void **state)
{
	static const struct doc_case cases[] = {
		{ NULL, "[]", -EINVAL },
		{ NULL, "{}", -EINVAL },
		{ "token", NULL, -EINVAL },
		{ "token", "\"hearth1.x\"", -EINVAL },
		{ "token.id", NULL, -EINVAL },
		{ "token.id", "\"x\"", -EINVAL },
		{ "token.secret", "\"x\"", -EINVAL },
		{ "token.secret", NULL, -EINVAL },
		{ "wg", "\"" KEY_0 "\"", -EINVAL },
		{ "wg", NULL, -EINVAL },
		{ "name", "\"PI3\"", -EINVAL },
		{ "name", "\"../../etc\"", -EINVAL },
		{ "name", NULL, 0 },
		{ "role", NULL, 0 },
		{ "role", "\"member\"", 0 },
		{ "role", "\"root\"", -EINVAL },
		{ "role", "1", -EINVAL },
		{ "replace", NULL, 0 },
		{ "replace", "\"a b\"", -EINVAL },
		{ "relay", NULL, 0 },
		{ "relay", "null", 0 },
		{ "relay", "{}", -EINVAL },
		{ "relay", "true", -EINVAL },
		{ "relay.hosts", "[]", -EINVAL },
		{ "relay.tcp", "65536", -EINVAL },
		{ "board", NULL, 0 },
		{ "board", "[]", -EINVAL },
		{ "later", "1", 0 },
	};

	doc_run(request, cases, ARRAY_LEN(cases), read_request);
	CLEANUP_JSON json_t *json = doc_parse(request);
	struct api_enroll_request r = { 0 };

	assert_int_equal(api_enroll_request_from_json(json, &r, NULL), 0);
	assert_true(r.has_role);
	assert_int_equal(r.role, NODE_ROLE_WORKER);
	assert_string_equal(r.replace, "pi3-old");
	assert_int_equal(r.relay.n_hosts, 2);
	assert_string_equal(r.relay.hosts[1], "vps.example.org");
	CLEANUP_JSON json_t *again = api_enroll_request_to_json(&r);

	doc_assert_text(again, request);
	api_enroll_request_done(&r);
	assert_true(sodium_is_zero((const uint8_t *) &r, sizeof(r)));
}

/* One that asks for nothing says nothing of it. */
static void test_request_no_relay(void **state)
{
	CLEANUP_JSON json_t *json = doc_parse(request), *again = NULL;
	CLEANUP_API_ENROLL_REQUEST struct api_enroll_request r = { 0 };

	assert_int_equal(json_object_del(json, "relay"), 0);
	assert_int_equal(api_enroll_request_from_json(json, &r, NULL), 0);
	assert_int_equal(r.relay.n_hosts, 0);
	again = api_enroll_request_to_json(&r);
	assert_non_null(again);
	assert_null(json_object_get(again, "relay"));
}

static void test_news(void **state)
{
	static const char text[] = "{" NEWS ",\"kube\":" KUBE "}";
	static const struct doc_case cases[] = {
		{ NULL, "[]", -EINVAL },
		{ "records", "[]", 0 },
		{ "records", NULL, -EINVAL },
		{ "records", "[{}]", -EINVAL },
		{ "records", "{}", -EINVAL },
		{ "presence", "[]", 0 },
		{ "presence", "[7]", 0 }, /* each is judged alone */
		{ "presence", "{}", -EINVAL },
		{ "presence", NULL, -EINVAL },
		{ "cursor", "\"0123456789abcdef-0\"", 0 },
		{ "cursor", "\"0123456789abcdef-\"", -EINVAL },
		{ "cursor", "\"0123456789abcdef\"", -EINVAL },
		{ "cursor", "\"0123456789abcdef-01\"", -EINVAL },
		{ "cursor", "\"0123456789abcdef--1\"", -EINVAL },
		{ "cursor", "\"0123456789abcdeF-1\"", -EINVAL },
		{ "cursor", "\"0123456789abcdef-1234567890123456789\"", -EINVAL },
		{ "cursor", "\"0123456789abcdef-111111111111111111111111111111111\"", -EINVAL },
		{ "cursor", "42", -EINVAL },
		{ "cursor", NULL, -EINVAL },
		{ "head", NULL, 0 },
		{ "head", "{}", -EINVAL },
		{ "head.seq", "-1", -EINVAL },
		{ "head.hash", "\"x\"", -EINVAL },
		{ "kube", "null", 0 },
		{ "kube", NULL, 0 },
		{ "kube", "{}", -EINVAL },
		{ "kube", "\"x\"", -EINVAL },
		{ "later", "1", 0 },
	};

	doc_run(text, cases, ARRAY_LEN(cases), read_news);
	CLEANUP_JSON json_t *json = doc_parse(text);
	CLEANUP_API_NEWS struct api_news news = { 0 };

	assert_int_equal(api_news_from_json(json, &news, NULL), 0);
	assert_int_equal(news.n_records, 1);
	assert_int_equal(news.head_seq, 9);
	assert_int_equal(news.cursor.number, 42);
	assert_true(news.has_kube);
	CLEANUP_JSON json_t *again = api_news_to_json(&news);

	doc_assert_text(again, text);
}

static void test_reply(void **state)
{
	static const char text[] = "{\"node\":" NODE "," NEWS ",\"kube\":null}";
	static const struct doc_case cases[] = {
		{ "node", NULL, -EINVAL },
		{ "node", "{}", -EINVAL },
		{ "node.id", "0", -EINVAL },
		{ "records", NULL, -EINVAL },
		{ "cursor", "\"\"", -EINVAL },
	};

	doc_run(text, cases, ARRAY_LEN(cases), read_reply);
	CLEANUP_JSON json_t *json = doc_parse(text);
	CLEANUP_API_ENROLL_REPLY struct api_enroll_reply reply = { 0 };

	assert_int_equal(api_enroll_reply_from_json(json, &reply, NULL), 0);
	assert_string_equal(reply.node.name, "pi3");
	CLEANUP_JSON json_t *again = api_enroll_reply_to_json(&reply);

	doc_assert_text(again, text);
}

static void test_too_many(void **state)
{
	CLEANUP_JSON json_t *json = doc_parse("{" NEWS "}");
	json_t *records = json_object_get(json, "records");

	while (json_array_size(records) < API_RECORDS_MAX)
		json_array_append(records, json_array_get(records, 0));
	assert_int_equal(read_news(json, NULL), 0);
	json_array_append(records, json_array_get(records, 0));
	assert_int_equal(read_news(json, NULL), -EINVAL);
}

static void test_codes(void **state)
{
	for (size_t i = 0; i < API_CODES; i++) {
		enum api_code code = (enum api_code) i;

		assert_true(*api_code_name(code));
		assert_in_range(api_code_status(code), 400, 599);
	}
}

static void test_health(void **state)
{
	static const char text[] = "{\"status\":\"ok\",\"mesh\":\"home\",\"version\":\"0.1.0\"}";
	static const struct doc_case cases[] = {
		{ "status", "\"bad\"", -EINVAL },
		{ "mesh", NULL, -EINVAL },
		{ "version", "5", -EINVAL },
	};

	doc_run(text, cases, ARRAY_LEN(cases), read_health);
	struct api_health health = { .mesh = "home", .version = "0.1.0" };
	CLEANUP_JSON json_t *json = api_health_to_json(&health);

	doc_assert_text(json, text);
}

static int read_check(const json_t *json, struct err *err)
{
	struct api_enroll_check check;

	return api_enroll_check_from_json(json, &check, err);
}

static void test_check(void **state)
{
	static const char text[] = "{\"mesh\":\"home\",\"name\":\"pi3\",\"role\":\"member\"}";
	static const struct doc_case cases[] = {
		{ "mesh", NULL, -EINVAL },
		{ "name", "\"PI3\"", -EINVAL },
		{ "role", "\"root\"", -EINVAL },
		{ "role", NULL, -EINVAL },
		{ "later", "1", 0 },
	};

	doc_run(text, cases, ARRAY_LEN(cases), read_check);
	struct api_enroll_check check = { .mesh = "home", .name = "pi3", .role = NODE_ROLE_MEMBER };
	CLEANUP_JSON json_t *json = api_enroll_check_to_json(&check);

	doc_assert_text(json, text);
}

#define NOW_US UINT64_C(1000000000)

static int read_relay(const json_t *json, struct err *err)
{
	CLEANUP_API_RELAY_REQUEST struct api_relay_request read = { 0 };

	return api_relay_request_from_json(json, NOW_US, &read, err);
}

static void test_relay(void **state)
{
	static const char text[] =
		"{\"relay\":" RELAY ",\"reached\":{\"udp\":{\"node\":5,\"ago\":12},"
		"\"tcp\":null}}";
	static const struct doc_case cases[] = {
		{ NULL, "[]", -EINVAL },
		{ NULL, "{}", -EINVAL },
		{ "relay", NULL, -EINVAL }, /* a slip, not the wish to be none */
		{ "reached", NULL, 0 },
		{ "reached", "null", 0 },
		{ "reached", "{}", -EINVAL },
		{ "reached", "[]", -EINVAL },
		{ "reached.tcp", NULL, -EINVAL },
		{ "reached.tcp", "5", -EINVAL },
		{ "reached.tcp", "{}", -EINVAL },
		{ "reached.udp", "null", 0 },
		{ "reached.udp.node", NULL, -EINVAL },
		{ "reached.udp.node", "0", -EINVAL },
		{ "reached.udp.node", "16777216", -EINVAL },
		{ "reached.udp.ago", NULL, -EINVAL },
		{ "reached.udp.ago", "-1", -EINVAL },
		{ "reached.udp.ago", "2147483648", -EINVAL },
		{ "reached.udp.ago", "2147483647", 0 },
		{ "reached.udp.later", "1", 0 },
		{ "reached.later", "1", 0 },
		{ "relay", "null", 0 },
		{ "relay", "{}", -EINVAL },
		{ "relay", "\"none\"", -EINVAL },
		{ "relay.key", "\"" KEY_0 "\"", -EINVAL },
		{ "relay.later", "1", 0 },
		{ "later", "1", 0 },
	};
	CLEANUP_API_RELAY_REQUEST struct api_relay_request read = { 0 };
	struct api_relay_request none = { .relay.n_hosts = 1 };

	doc_run(text, cases, ARRAY_LEN(cases), read_relay);
	CLEANUP_JSON json_t *json = doc_parse(text), *nothing = doc_parse("{\"relay\":null}");

	assert_int_equal(api_relay_request_from_json(json, NOW_US, &read, NULL), 0);
	assert_int_equal(read.relay.tcp, 443);
	assert_int_equal(read.reached.ways[REACHED_UDP].node, 5);
	assert_int_equal(read.reached.ways[REACHED_UDP].at_us, NOW_US - 12000000);
	assert_int_equal(read.reached.ways[REACHED_TCP].node, 0);
	CLEANUP_JSON json_t *again = api_relay_request_to_json(&read, NOW_US);

	doc_assert_text(again, text);
	assert_int_equal(api_relay_request_from_json(nothing, NOW_US, &none, NULL), 0);
	assert_int_equal(none.relay.n_hosts, 0);
	json_decref(again);
	again = api_relay_request_to_json(&none, NOW_US);
	doc_assert_text(again, "{\"relay\":null}");
}

/* Before this machine was on: then as long ago as can be. */
static void test_reached_long_ago(void **state)
{
	CLEANUP_JSON json_t *json =
		doc_parse("{\"udp\":null,\"tcp\":{\"node\":1,\"ago\":2147483647}}");
	struct reached reached, other = { 0 };

	assert_int_equal(reached_from_json(json, NOW_US, &reached, NULL), 0);
	assert_int_equal(reached.ways[REACHED_TCP].at_us, 1);
	assert_false(reached_same_ways(&reached, &other));
	other.ways[REACHED_TCP].node = 2;
	assert_true(reached_same_ways(&reached, &other));
	CLEANUP_JSON json_t *later = reached_to_json(&reached, UINT64_MAX);

	doc_assert_text(later, "{\"udp\":null,\"tcp\":{\"node\":1,\"ago\":2147483647}}");
}

static int read_relay_state(const json_t *json, struct err *err)
{
	enum api_relay_state state;

	return api_relay_state_from_json(json, &state, err);
}

static void test_relay_state(void **state)
{
	static const char *const texts[] = {
		[API_RELAY_NONE] = "{\"state\":\"none\"}",
		[API_RELAY_ASKED] = "{\"state\":\"asked\"}",
		[API_RELAY_LISTED] = "{\"state\":\"listed\"}",
	};
	static const struct doc_case cases[] = {
		{ NULL, "[]", -EINVAL },
		{ "state", NULL, -EINVAL },
		{ "state", "1", -EINVAL },
		{ "state", "\"Listed\"", -EINVAL },
		{ "state", "\"\"", -EINVAL },
		{ "later", "1", 0 },
	};

	doc_run(texts[0], cases, ARRAY_LEN(cases), read_relay_state);
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		CLEANUP_JSON json_t *json = api_relay_state_to_json((enum api_relay_state) i);
		enum api_relay_state read;

		doc_assert_text(json, texts[i]);
		assert_int_equal(api_relay_state_from_json(json, &read, NULL), 0);
		assert_int_equal(read, i);
	}
}

static void test_cursor(void **state)
{
	struct api_cursor cursor = { .instance = "00ff00ff00ff00ff", .number = 7 }, again;
	char text[API_CURSOR_MAX];

	assert_string_equal(api_cursor_format(&cursor, text), "00ff00ff00ff00ff-7");
	assert_int_equal(api_cursor_parse(text, &again), 0);
	assert_int_equal(again.number, 7);
	CLEANUP_JSON json_t *json = api_cursor_to_json(&cursor);

	doc_assert_text(json, "{\"cursor\":\"00ff00ff00ff00ff-7\"}");
	assert_int_equal(api_cursor_from_json(json, &again, NULL), 0);
	assert_int_equal(api_cursor_parse("", &again), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_request),
		cmocka_unit_test(test_request_no_relay),
		cmocka_unit_test(test_news),
		cmocka_unit_test(test_reply),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_codes),
		cmocka_unit_test(test_health),
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_relay),
		cmocka_unit_test(test_reached_long_ago),
		cmocka_unit_test(test_relay_state),
		cmocka_unit_test(test_cursor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
