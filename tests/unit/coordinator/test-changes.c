/* ledger on a disk that is faked: what is never signed, and what is said when the disk does not take it. */
#include "world.h"

#include <errno.h>
#include <stdlib.h>

#include "base/json.h"
#include "mesh-maker.h"

static struct {
	int r;
	enum api_code code;
	char says[ERR_TEXT_MAX];
	bool done;
} last;

struct asked {
	struct change change;
	const char *type;
	json_t *payload; /* NULL: out of memory */
};

static int decide(struct change *change, struct store_batch *batch)
{
	struct asked *a = (struct asked *) change;
	int r = ledger_set_record(change, a->type, a->payload);

	return r < 0 ? r : 1;
}

static void done(struct change *change, int r)
{
	struct asked *a = (struct asked *) change;

	last.r = r;
	last.code = change->code;
	last.done = true;
	(void) snprintf(last.says, sizeof(last.says), "%s", change->err.text);
	json_decref(a->payload);
	free(a);
}

static void submit(struct coord *c, const char *type, json_t *payload)
{
	struct asked *a = calloc(1, sizeof(*a));

	assert_non_null(a);
	*a = (struct asked){
		.change = { .decide = decide, .done = done }, .type = type, .payload = payload
	};
	memset(&last, 0, sizeof(last));
	assert_int_equal(ledger_submit(c->ledger, &a->change), 0);
}

static void refused(
	struct coord *c, const char *type, json_t *payload, enum api_code code, const char *says)
{
	uint64_t head = mesh_log_head(ledger_log(c->ledger));

	submit(c, type, payload);
	(void) fake_store_flush();
	assert_true(last.done);
	assert_true(last.r < 0);
	assert_int_equal(last.code, code);
	if (!strstr(last.says, says))
		fail_msg("\"%s\" does not say \"%s\"", last.says, says);
	assert_int_equal(mesh_log_head(ledger_log(c->ledger)), head);
	assert_int_equal(fake_store_rows(TABLE_LOG), head);
}

/* What a board would not take in is not signed: it would be there for ever. */
static void test_never_signed(void **state)
{
	struct coord *c = *state;
	struct board a = world_node(c, 1, "a", NODE_ROLE_WORKER);
	struct settings settings = { 0 };
	struct node node = { 0 };
	char big[RECORD_PAYLOAD_MAX + 1];

	assert_int_equal(node_copy(world_find(c, &a), &node), 0);
	node.id = 2; /* its keys are another's */
	refused(c, RECORD_TYPE_NODE, node_to_json(&node), API_INTERNAL, "would be refused");
	node_done(&node);
	refused(c, RECORD_TYPE_NODE, json_object(), API_INTERNAL, "would be refused");
	refused(c, RECORD_TYPE_SETTINGS, json_object(), API_INTERNAL, "would be refused");
	settings_copy(coord_settings(c), &settings);
	assert_int_equal(ip_prefix_parse("10.99.0.0/16", &settings.services4), 0);
	refused(c, RECORD_TYPE_SETTINGS, settings_to_json(&settings), API_INTERNAL,
		"would be refused");
	settings_done(&settings);
	memset(big, 'x', sizeof(big));
	refused(c, "later", json_pack("{s:s%}", "x", big, sizeof(big) - 1), API_BAD_REQUEST,
		"too large");
	refused(c, "later", NULL, API_INTERNAL, "cannot be made");
}

static void test_disk(void **state)
{
	static const struct {
		int r;
		enum api_code code;
	} cases[] = {
		{ -EBUSY, API_TOO_MANY },
		{ -ENOMEM, API_INTERNAL },
		{ -ENOSPC, API_STORAGE },
		{ -EIO, API_STORAGE },
	};
	struct coord *c = *state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		fake_store_refuses = cases[i].r;
		refused(c, "later", json_object(), cases[i].code, "cannot keep up");
		fake_store_refuses = 0;
		fake_store_fails = cases[i].r;
		refused(c, "later", json_object(), cases[i].code, "the disk says no");
		fake_store_fails = 0;
	}
	submit(c, "later", json_object());
	assert_false(last.done); /* not before it is durable */
	assert_int_equal(mesh_log_head(ledger_log(c->ledger)), 2);
	(void) fake_store_flush();
	assert_int_equal(last.r, 1);
	assert_int_equal(mesh_log_head(ledger_log(c->ledger)), 3);
}

static void test_texts(void **state)
{
	struct coord *c = *state;

	world_record(c, "later", json_object());
	assert_null(ledger_record_text(c->ledger, 0));
	assert_non_null(strstr(ledger_record_text(c->ledger, 1), "\"seq\":1"));
	assert_string_equal(ledger_record_text(c->ledger, 3), fake_store_get(TABLE_LOG, "3"));
	assert_null(ledger_record_text(c->ledger, 4));
	assert_null(ledger_free(NULL));
}

/* All of it is proved when it is read. */
static void test_damaged(void **state)
{
	static const char *const bad[] = { "", "{", "{}", "[]" };
	struct coord *c = *state;
	struct ledger *ledger = NULL;
	char good[4096];

	(void) world_node(c, 1, "a", NODE_ROLE_WORKER);
	(void) snprintf(good, sizeof(good), "%s", fake_store_get(TABLE_LOG, "3"));
	for (size_t i = 0; i <= ARRAY_LEN(bad); i++) {
		struct err err = { 0 };

		/* Garbage; and a record that is good but not the one after this. */
		fake_store_put(TABLE_LOG, "3",
			i < ARRAY_LEN(bad) ? bad[i] : fake_store_get(TABLE_LOG, "2"));
		assert_int_equal(
			ledger_open(c->store, c->root_hash, maker_sign_seed, &ledger, &err),
			-EBADMSG);
		assert_non_null(strstr(err.text, "damaged at record 3"));
		assert_null(ledger);
	}
	fake_store_put(TABLE_LOG, "3", good);
	assert_int_equal(ledger_open(c->store, c->root_hash, maker_sign_seed, &ledger, NULL), 0);
	ledger_free(ledger);
}

/* Each is told after the one before it has been applied. */
static void test_applied(void **state)
{
	struct coord *c = *state;
	struct board a = world_node(c, 1, "a", NODE_ROLE_WORKER);

	world_submit(c, RECORD_TYPE_NODE, node_to_json(world_find(c, &a)));
	world_submit(c, "later", json_object());
	world_submit(c, "later", json_object());
	assert_int_equal(fake_store_waiting(), 1); /* one at a time */
	assert_int_equal(fake_store_flush(), 3);
	assert_int_equal(mesh_log_head(ledger_log(c->ledger)), 6);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, world_open, world_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_never_signed),
		TEST(test_disk),
		TEST(test_texts),
		TEST(test_damaged),
		TEST(test_applied),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
