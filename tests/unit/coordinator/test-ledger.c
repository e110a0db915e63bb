/*
 * ledger: changes are decided one after the other, seen only once durable, and whole after a
 * restart.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <sodium.h>

#include "base/json.h"
#include "coordinator/ledger.h"
#include "coordinator/schema.h"
#include "mesh/alloc.h"
#include "mesh/ranges.h"

static char dir[] = "/tmp/hearth-ledger.XXXXXX", path[80];
static uint8_t root_seed[32] = { 1 }, signing_seed[32] = { 2 }, root_key[32], root_hash[32];

static struct store *make_store(void)
{
	struct store *s = NULL;
	struct err e = { 0 };
	struct settings settings = { .mesh = "home", .n_pins = 1, .pins = { { 9 } }, .n_urls = 1 };
	struct record_key key = { 0 };
	struct record records[2] = { 0 };
	struct mesh_log *log;
	record_public_key(root_seed, root_key);
	record_root_hash(root_key, root_hash);
	record_public_key(signing_seed, key.key);
	memcpy(key.root, root_key, 32);
	strcpy(settings.urls[0], "https://192.0.2.1:8443");
	ranges_set_defaults(&settings, (const uint8_t[RANGES_RANDOM_LEN]){ 1, 2, 3, 4, 5 });
	(void) unlink(path);
	if (store_open(path, &schema_coordinator, true, &s, &e) < 0)
		fail_msg("%s", e.text);
	struct store_batch *b = store_batch_new();
	log = mesh_log_new(root_hash);
	CLEANUP_JSON json_t *first = record_key_to_json(&key);
	CLEANUP_JSON json_t *second = settings_to_json(&settings);
	assert_int_equal(mesh_log_make_next(log, "key", first, root_seed, &records[0]), 0);
	assert_int_equal(mesh_log_append(log, &records[0], &e), 0);
	assert_int_equal(mesh_log_make_next(log, "settings", second, signing_seed, &records[1]), 0);
	for (int i = 0; i < 2; i++) {
		ledger_store_record(b, &records[i]);
		record_done(&records[i]);
	}
	assert_int_equal(store_commit_now(s, b, &e), 0);
	mesh_log_free(log);
	return s;
}

struct world {
	sd_event *event;
	struct ledger *ledger;
	int done, expected, order[1024], results[1024];
};

enum kind { ADD, NOTHING, REFUSE, FAIL, BAD };

struct work {
	struct change change;
	struct world *w;
	enum kind kind;
	int number;
};

static int decide(struct change *change, struct store_batch *batch)
{
	struct work *k = (struct work *) change;
	CLEANUP_NODE struct node node = { 0 };
	struct err e = { 0 };
	const struct netmap *netmap = ledger_netmap(change->ledger);
	if (k->kind == NOTHING)
		return 0;
	if (k->kind == REFUSE)
		return change_refuse(change, API_NAME_TAKEN, "no %d", k->number);
	if (k->kind == FAIL) /* the same row twice */
		for (int i = 0; i < 2; i++)
			store_batch_insert(batch, TABLE_USES, "x", "y", 1);
	(void) snprintf(node.name, sizeof(node.name), "n%d", k->number);
	memset(node.wg, 1 + k->number % 200, 32);
	node.wg[0] = (uint8_t) (1 + k->number / 200);
	memcpy(node.identity, node.wg, 32);
	if (k->kind == BAD)
		memset(node.wg, 0, 32);
	assert_int_equal(alloc_node(netmap, NODE_ROLE_MEMBER, &node, &e), 0);
	CLEANUP_JSON json_t *json = node_to_json(&node);
	if (ledger_set_record(change, RECORD_TYPE_NODE, json) < 0)
		return -EPERM;
	/* Not there before it is durable. */
	assert_null(netmap_by_name(netmap, node.name));
	return 1;
}

static void done(struct change *change, int r)
{
	struct work *k = (struct work *) change;
	struct world *w = k->w;
	char name[16];
	(void) snprintf(name, sizeof(name), "n%d", k->number);
	assert_int_equal(
		netmap_by_name(ledger_netmap(w->ledger), name) != NULL, k->kind == ADD && r == 1);
	if (k->kind == REFUSE)
		assert_int_equal(change->code, API_NAME_TAKEN);
	if (k->kind == BAD)
		assert_int_equal(change->code, API_INTERNAL);
	if (k->kind == FAIL)
		assert_int_equal(change->code, API_STORAGE);
	w->order[w->done] = k->number;
	w->results[w->done++] = r;
	if (w->done == w->expected)
		(void) sd_event_exit(w->event, 0);
	free(k);
}

static int submit(struct world *w, enum kind kind, int number)
{
	struct work *k = calloc(1, sizeof(*k));
	*k = (struct work){
		.change = { .decide = decide, .done = done }, .w = w, .kind = kind, .number = number
	};
	int r = ledger_submit(w->ledger, &k->change);
	if (r < 0)
		free(k);
	return r;
}

static void test_order(void **state)
{
	static const enum kind kinds[] = { ADD, ADD, NOTHING, REFUSE, ADD, FAIL, BAD, ADD };
	struct world w = { .expected = ARRAY_LEN(kinds) };
	struct err e = { 0 };
	struct store *s = make_store();
	assert_true(sd_event_new(&w.event) >= 0);
	assert_int_equal(ledger_open(s, root_hash, signing_seed, &w.ledger, &e), 0);
	assert_int_equal(store_start(s, w.event, &e), 0);
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		assert_int_equal(submit(&w, kinds[i], (int) i), 0);
	assert_true(sd_event_loop(w.event) >= 0);
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		assert_int_equal(w.order[i], i);
		if (kinds[i] == ADD)
			assert_int_equal(w.results[i], 1);
		else if (kinds[i] == NOTHING)
			assert_int_equal(w.results[i], 0);
		else
			assert_true(w.results[i] < 0);
	}
	const struct netmap *netmap = ledger_netmap(w.ledger);
	assert_int_equal(mesh_log_head(ledger_log(w.ledger)), 6);
	assert_int_equal(netmap_by_name(netmap, "n7")->id, 4); /* the failed one left no gap */
	assert_non_null(strstr(ledger_record_text(w.ledger, 6), "\"seq\":6"));
	assert_null(ledger_record_text(w.ledger, 7));
	store_close(s);
	ledger_free(w.ledger);
	sd_event_unref(w.event);

	assert_int_equal(store_open(path, &schema_coordinator, false, &s, &e), 0);
	assert_int_equal(ledger_open(s, root_hash, signing_seed, &w.ledger, &e), 0);
	assert_int_equal(mesh_log_head(ledger_log(w.ledger)), 6);
	assert_int_equal(netmap_count(ledger_netmap(w.ledger)), 4);
	ledger_free(w.ledger);
	uint8_t other[32] = { 7 };
	assert_int_equal(ledger_open(s, other, signing_seed, &w.ledger, &e), -EBADMSG);
	store_close(s);
}

static void test_queue(void **state)
{
	struct world w = { .expected = -1 };
	struct err e = { 0 };
	struct store *s = make_store();
	int r = 0, n = 0;
	assert_true(sd_event_new(&w.event) >= 0);
	assert_int_equal(ledger_open(s, root_hash, signing_seed, &w.ledger, &e), 0);
	assert_int_equal(store_start(s, w.event, &e), 0);
	for (; r == 0; n++)
		r = submit(&w, ADD, n);
	assert_int_equal(r, -EBUSY);
	assert_int_equal(n - 1, LEDGER_QUEUE_MAX + 1); /* one of them is under way */
	/* An end in the middle still carries out and answers all of them. */
	store_close(s);
	assert_int_equal(w.done, n - 1);
	assert_int_equal(netmap_count(ledger_netmap(w.ledger)), w.done);
	ledger_free(w.ledger);
	sd_event_unref(w.event);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_queue),
	};
	if (sodium_init() < 0 || !mkdtemp(dir))
		return 77;
	(void) snprintf(path, sizeof(path), "%s/db", dir);
	int r = cmocka_run_group_tests(tests, NULL, NULL);
	static const char *const tails[] = { "", "-wal", "-shm" };
	for (size_t i = 0; i < ARRAY_LEN(tails); i++) {
		char name[96];
		(void) snprintf(name, sizeof(name), "%s%s", path, tails[i]);
		(void) unlink(name);
	}
	(void) rmdir(dir);
	return r;
}
