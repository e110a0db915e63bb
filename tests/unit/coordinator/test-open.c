/*
 * open: the coordinator is opened whole or not at all, and closed so that everybody gets an answer.
 */
#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/encode.h"
#include "base/json.h"
#include "coordinator/api.h"
#include "board/keys.h"
#include "coordinator/names.h"
#include "coordinator/open.h"
#include "coordinator/presence.h"
#include "coordinator/relays.h"
#include "fake-machine.h"
#include "mesh-maker.h"

static char dir[] = "/tmp/hearth-open.XXXXXX";
static sd_event *event;

static void path_of(const char *name, char ret[static COORD_PATH_MAX])
{
	coord_path(dir, name, ret);
}

/* What `init` leaves: keys, and the first rows. */
static int begin(void **state)
{
	char path[COORD_PATH_MAX], root[KEY_BASE64_LEN];
	uint8_t hash[RECORD_HASH_LEN], tls[KEYS_SEED_LEN];

	memset(&fake_machine, 0, sizeof(fake_machine));
	fake_event_reset();
	fake_store_reset();
	world_store_first_records();
	maker_root_hash(hash);
	key_to_base64(hash, root);
	fake_store_put(TABLE_META, "root", root);
	fake_store_put(TABLE_META, "urls", "given");
	fake_store_put(TABLE_META, "mesh", "home");
	path_of(COORD_SIGNING_KEY, path);
	assert_int_equal(keys_write(path, maker_sign_seed, NULL), 0);
	path_of(COORD_TLS_KEY, path);
	assert_int_equal(keys_make(path, tls, NULL), 0);
	assert_int_equal(sd_event_new(&event), 0);
	fake_httpd_fails = fake_ipc_fails = 0;
	fake_httpd_on_flush = NULL;
	*state = NULL;
	return 0;
}

static int end(void **state)
{
	event = sd_event_unref(event);
	fake_store_reset();
	return 0;
}

static int open_it(struct coord **ret, struct err *err)
{
	struct open_config config = {
		.state_dir = dir,
		.run_dir = dir,
		.admins = 4711,
		.listen_fd = open("/dev/null", O_RDONLY | O_CLOEXEC),
		.port = 9443,
		.connections_max = 77,
		.per_source_max = 5,
	};
	int r = coord_open(event, &config, ret, err);

	/* It is taken, whatever came of it. */
	assert_int_equal(fcntl(config.listen_fd, F_GETFD) >= 0, r == 0);
	return r;
}

/* It does not open, for this reason, and nothing is left of it. */
static void refused(int r, const char *says)
{
	struct coord *c = NULL;
	struct err err = { 0 };

	assert_int_equal(open_it(&c, &err), r);
	if (!strstr(err.text, says))
		fail_msg("\"%s\" does not say \"%s\"", err.text, says);
	assert_null(c);
	assert_null(fake_httpd);
	assert_null(fake_ipc);
	assert_int_equal(fake_event_sources(), 0);
}

static struct coord *opened(void)
{
	struct coord *c = NULL;
	struct err err = { 0 };

	if (open_it(&c, &err) < 0)
		fail_msg("%s", err.text);
	return c;
}

static void test_opened(void **state)
{
	struct coord *c = opened();
	char path[COORD_PATH_MAX];

	path_of(NAMES_COORD_SOCK, path);
	assert_string_equal(fake_ipc->path, path);
	assert_int_equal(fake_ipc->mode, 0660);
	assert_int_equal(fake_ipc->gid, 4711);
	assert_ptr_equal(fake_ipc->ctx, c);
	assert_ptr_equal(fake_httpd->config.ctx, c);
	assert_int_equal(fake_httpd->config.connections_max, 77);
	assert_int_equal(fake_httpd->config.per_source_max, 5);
	assert_non_null(strstr(fake_httpd->config.certificate, "BEGIN CERTIFICATE"));
	assert_non_null(strstr(fake_httpd->config.key, "PRIVATE KEY"));
	assert_memory_equal(
		&fake_httpd->config.proven, &coord_settings(c)->mesh6, sizeof(struct ip_prefix));
	assert_int_equal(fake_httpd->config.rates.stranger.burst, 32);
	assert_int_equal(fake_httpd->config.rates.proven_for_us, 3600 * USEC_PER_SEC);
	assert_int_equal(c->port, 9443);
	assert_int_equal(c->started_s, FAKE_WALL_S);
	assert_false(c->urls_found);
	assert_null(coord_close(c));
	assert_null(fake_httpd);
	assert_null(fake_ipc);
	assert_int_equal(fake_event_sources(), 0);
	assert_null(coord_close(NULL));
}

/* Addresses are found only where `init` was told none. */
static void test_urls(void **state)
{
	struct coord *c = opened();

	fake_machine.urls[0] = "https://198.51.100.1:9443";
	(void) coord_close(c);
	assert_int_equal(fake_machine.asked_urls, 0);
	fake_store_put(TABLE_META, "urls", "found");
	c = opened();
	assert_true(c->urls_found);
	(void) fake_store_flush();
	assert_string_equal(coord_settings(c)->urls[0], "https://198.51.100.1:9443");
	(void) coord_close(c);
}

static void test_not_set_up(void **state)
{
	char path[COORD_PATH_MAX];
	uint8_t seed[KEYS_SEED_LEN];

	fake_store_drop(TABLE_META, "root");
	refused(-ENOENT, "not set up to its end");
	fake_store_put(TABLE_META, "root", "AAAA");
	refused(-ENOENT, "not set up to its end");
	fake_store_put(TABLE_META, "root", "!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!=");
	refused(-ENOENT, "not set up to its end");
	fake_store_open_fails = -ENOENT;
	refused(-ENOENT, "run `hearth-coord init` first");
	fake_store_open_fails = -EBUSY;
	refused(-EBUSY, "the disk says no");
	path_of(COORD_TLS_KEY, path);
	assert_int_equal(unlink(path), 0);
	refused(-ENOENT, "run `hearth-coord init` first");
	assert_int_equal(keys_make(path, seed, NULL), 0);
	assert_int_equal(chmod(path, 0644), 0);
	refused(-EPERM, "chmod 600");
}

static void test_keys(void **state)
{
	char path[COORD_PATH_MAX], root[KEY_BASE64_LEN];
	uint8_t other[KEYS_SEED_LEN] = { 9 };

	path_of(COORD_SIGNING_KEY, path);
	assert_int_equal(unlink(path), 0);
	refused(-ENOENT, "signing.key");
	assert_int_equal(keys_write(path, other, NULL), 0);
	refused(-EKEYREJECTED, "not certified");
	assert_int_equal(keys_write(path, maker_sign_seed, NULL), 0);
	key_to_base64(other, root);
	fake_store_put(TABLE_META, "root", root);
	refused(-EBADMSG, "damaged at record 1");
}

static void test_damaged(void **state)
{
	fake_store_put(TABLE_TOKENS, "x", "{");
	refused(-EBADMSG, "list of tokens");
	fake_store_drop(TABLE_TOKENS, "x");
	fake_store_drop(TABLE_LOG, "2");
	refused(-EBADMSG, "no settings");
	fake_store_drop(TABLE_LOG, "1");
	refused(-EBADMSG, "no settings");
}

static void test_below(void **state)
{
	fake_store_start_fails = -EAGAIN;
	refused(-EAGAIN, "the worker says no");
	fake_store_start_fails = 0;
	fake_ipc_fails = -EADDRINUSE;
	refused(-EADDRINUSE, "the local socket says no");
	fake_ipc_fails = 0;
	fake_httpd_fails = -EINVAL;
	refused(-EINVAL, "HTTPS says no");
	fake_httpd_fails = 0;
	fake_event_fails = -ENFILE;
	refused(-ENFILE, "event loop");
	fake_event_fails = 0;
	(void) coord_close(opened());
}

static struct board board;
static struct coord *under_way;

static json_t *presence_of(uint64_t counter)
{
	return world_presence(&board, counter, 1000);
}

/* A record reaches who keeps what boards asked to be. */
static void test_asked(void **state)
{
	struct coord *c = opened();

	for (uint32_t i = 1; i <= 2; i++) {
		board = world_node(c, i, i == 1 ? "a" : "b", NODE_ROLE_WORKER);
		fake_request_free(world_put_relay(c, &board, world_relay("203.0.113.5", 443)));
		assert_non_null(relays_asked(c->relays, board.id));
	}
	world_rekey(c, 1, 9);
	assert_null(relays_asked(c->relays, 1));
	world_remove(c, 2);
	assert_null(relays_asked(c->relays, 2));
	(void) coord_close(c);
}

/* A record reaches everybody: whose presence it ends, and who polls. */
static void test_connected(void **state)
{
	struct coord *c = opened();
	CLEANUP_JSON json_t *doc = NULL;
	struct httpd_request *r, *other;

	board = world_node(c, 1, "a", NODE_ROLE_WORKER);
	doc = presence_of(1);
	r = world_request(&board, "/v1/presence");
	fake_machine.addrs[0] = "10.77.0.1";
	presences_handle(c, r, world_find(c, &board), doc);
	fake_request_free(r);
	(void) fake_store_flush();
	assert_int_equal(
		coord_settings(c)->coordinators[0].node, board.id); /* it came, so it was looked */
	assert_non_null(presences_text(c->presences, board.id));
	r = world_request(&board, "/v1/poll");
	fake_request_query(r, "seq", "4");
	fake_request_query(r, "wait", "55");
	fake_request_query(r, "cursor", "0000000000000000-0");
	api_handle(c, r);
	fake_request_free(r); /* its own presence: it began anew */
	world_rekey(c, board.id, 2);
	assert_null(presences_text(c->presences, board.id));
	board = world_board(2);
	board.id = 1;
	r = world_request(&board, "/v1/poll");
	fake_request_query(r, "seq", "5");
	fake_request_query(r, "wait", "55");
	api_handle(c, r);
	assert_int_equal(r->status, 0);
	other = world_request(&board, "/v1/poll");
	fake_request_query(other, "seq", "5");
	fake_request_query(other, "wait", "55");
	api_handle(c, other);
	world_record(c, RECORD_TYPE_NODE, node_to_json(world_find(c, &board)));
	fake_event_pass(USEC_PER_SEC);
	assert_int_equal(r->status, 200);
	fake_request_free(r);
	assert_int_equal(other->status, 200);
	fake_request_free(other);
	(void) coord_close(c);
}

static struct httpd_request *late;

static void one_more(void)
{
	late = world_request(&board, "/v1/poll");
	fake_request_query(late, "wait", "55");
	api_handle(under_way, late);
}

/*
 * At the end the disk has still to write a record, others wait for it, and one comes in beside it.
 */
static void test_closed(void **state)
{
	struct coord *c = opened();
	struct httpd_request *poll, *put;
	CLEANUP_JSON json_t *doc = NULL;
	struct node copy = { 0 };

	board = world_node(c, 1, "a", NODE_ROLE_WORKER);
	doc = presence_of(1);
	put = world_request(&board, "/v1/presence");
	presences_handle(c, put, world_find(c, &board), doc);
	fake_request_free(put);
	poll = world_request(&board, "/v1/poll");
	fake_request_query(poll, "seq", "3");
	fake_request_query(poll, "wait", "55");
	api_handle(c, poll);
	assert_int_equal(node_copy(world_find(c, &board), &copy), 0);
	assert_int_equal(node_revoke_identity(&copy), 0);
	memcpy(copy.identity, world_board(2).identity, NODE_KEY_LEN);
	world_submit(c, RECORD_TYPE_NODE, node_to_json(&copy)); /* its presence will end with it */
	node_done(&copy);
	assert_int_equal(fake_store_waiting(), 1);
	under_way = c;
	fake_httpd_on_flush = one_more;
	assert_null(coord_close(c));
	assert_int_equal(poll->status, 200);
	fake_request_free(poll);
	assert_int_equal(fake_store_rows(TABLE_LOG), 4);
	assert_int_equal(
		fake_store_rows(TABLE_PRESENCE), 1); /* of what was true when it was written */
	fake_request_refused(late, "too_many", "ending");
	assert_int_equal(fake_event_sources(), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_opened),
		TEST(test_urls),
		TEST(test_not_set_up),
		TEST(test_keys),
		TEST(test_damaged),
		TEST(test_below),
		TEST(test_asked),
		TEST(test_connected),
		TEST(test_closed),
	};
	static const char *const files[] = { COORD_SIGNING_KEY, COORD_TLS_KEY };
	int r;

	if (sodium_init() < 0 || !mkdtemp(dir))
		return 1;
	r = cmocka_run_group_tests(tests, NULL, NULL);
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		char path[COORD_PATH_MAX];

		path_of(files[i], path);
		(void) unlink(path);
	}
	(void) rmdir(dir);
	return r;
}
