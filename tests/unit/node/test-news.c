/*
 * news: what is made of a piece of it, in which order, what a person is told of a log that is not
 * believed, and when the next poll is to wait.
 */
#include "fake-core.h"

#include "node/news.h"

static struct core *core;
static struct news *news;
static struct mesh_log *mesh_log; /* its head is 1 */
static struct api_news what;      /* to be taken */
static struct record records[4];

static struct {
	char order[256]; /* of what was done */
	/* the book: how many records are new, or why one is not */
	int added;
	bool changed;
	int bundle;
	const char *rekeyed; /* the line that must be there before them */
} t;

static void done(const char *word)
{
	assert_true(strlen(t.order) + strlen(word) + 2 < sizeof(t.order));
	(void) strcat(strcat(t.order, *t.order ? " " : ""), word);
}

/* --- instead of board/book --- */

const struct mesh_log *book_log(const struct book *book)
{
	return mesh_log;
}

int book_add_records(
	struct book *book, const struct record *list, size_t n, bool *ret_changed, struct err *err)
{
	assert_ptr_equal(list, what.records);
	assert_int_equal(n, what.n_records);
	if (t.rekeyed && fake_core_logged(t.rekeyed) == 1)
		done("rekeyed");
	done("added");
	*ret_changed = t.changed;
	return t.added < 0 ? err_set(err, t.added, "record 2 is forged") : t.added;
}

/* A document is the number of a node; what is not above zero is no news, or bad. */
int book_add_presence(struct book *book, const json_t *doc, uint64_t now_us, struct book_heard *ret,
	struct err *err)
{
	json_int_t id = json_integer_value(doc);

	assert_int_equal(now_us, clock_now_us());
	done("presence");
	if (id < 0)
		return err_set(err, -EBADMSG, "it did not sign it");
	ret->id = (uint32_t) id;
	return id > 0;
}

/* --- its hooks --- */

static void heard(void *ctx, const struct book_heard *h)
{
	char text[32];

	assert_ptr_equal(ctx, &t);
	(void) snprintf(text, sizeof(text), "heard-%u", h->id);
	done(text);
}

static void came(void *ctx)
{
	assert_ptr_equal(ctx, &t);
	done("came");
}

static int bundle(void *ctx, const struct kube_bundle *b)
{
	assert_ptr_equal(ctx, &t);
	assert_ptr_equal(b, &what.kube);
	done("bundle");
	return t.bundle;
}

static void on_records(void *ctx)
{
	assert_ptr_equal(ctx, &t);
	done("records");
}

static const struct news_hooks hooks = {
	.heard = heard, .came = came, .bundle = bundle, .records = on_records
};

static int set_up(void **state)
{
	core = fake_core_new();
	mesh_log = maker_log();
	what = (struct api_news){ .records = records };
	memset(records, 0, sizeof(records));
	memset(&t, 0, sizeof(t));
	news = news_new(core, &hooks, &t);
	assert_non_null(news);
	return 0;
}

static int tear_down(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(records); i++)
		record_done(&records[i]);
	json_decref(what.presence);
	news = news_free(news);
	mesh_log = mesh_log_free(mesh_log);
	core = fake_core_free(core);
	return 0;
}

/* The coordinator says that its log ends so. */
static void head(uint64_t seq, const uint8_t hash[static RECORD_HASH_LEN])
{
	what.head_seq = seq;
	memcpy(what.head_hash, hash, sizeof(what.head_hash));
}

/* It is taken with this result, and that much is done, in this order. */
static void take(int result, const char *order)
{
	t.order[0] = 0;
	assert_int_equal(news_take(news, &what), result);
	assert_string_equal(t.order, order);
}

static void test_nothing(void **state)
{
	take(0, "added came");
	assert_int_equal(fake_core_logged(""), 0);
	fake_core_wrong(core, "log", NULL);
}

static void test_records(void **state)
{
	t.added = 1;
	t.changed = true;
	take(0, "added came records");
	assert_int_equal(fake_core_logged("1 new record, the log is at 1"), 1);
	t.added = 2;
	take(0, "added came records");
	assert_int_equal(fake_core_logged("2 new records, the log is at 1"), 1);
	t.changed = false; /* of a kind that this version does not know */
	take(0, "added came");
}

static void test_presences(void **state)
{
	what.presence = json_pack("[iiii]", 3, 0, -1, 2);
	take(0, "added presence heard-3 presence presence presence heard-2 came");
	assert_int_equal(fake_core_logged("it did not sign it, ignoring"), 1);
	/* With new records all is looked at anyway. */
	t.added = 1;
	t.changed = true;
	take(0, "added presence presence presence presence came records");
	t.changed = false;
	take(0, "added presence heard-3 presence presence presence heard-2 came");
}

/* Of a batch that was refused the first ones may have been taken. */
static void test_refused(void **state)
{
	what.presence = json_pack("[i]", 3);
	head(1, mesh_log_hash(mesh_log, 1));
	t.added = -EBADMSG;
	take(-EBADMSG, "added presence came records");
	fake_core_wrong(
		core, "log", "the coordinator's log is not believed, this board keeps what");
	fake_core_wrong(core, "log", "record 2 is forged");
	t.added = 0;
	take(0, "added presence heard-3 came");
	fake_core_wrong(core, "log", NULL);
}

static void test_head(void **state)
{
	static const uint8_t other[RECORD_HASH_LEN] = { 1 };

	head(1, mesh_log_hash(mesh_log, 1));
	take(0, "added came");
	head(2, other); /* its records will be judged */
	take(0, "added came");
	fake_core_wrong(core, "log", NULL);
	head(1, other);
	take(-ENOTUNIQ, "added came");
	fake_core_wrong(core, "log", "the coordinator's log is not believed");
	head(0, other); /* it did not say */
	take(0, "added came");
	fake_core_wrong(core, "log", NULL);
}

/* An old copy of it was restored. */
static void test_head_is_lower(void **state)
{
	struct settings settings = maker_settings();

	maker_append(mesh_log, RECORD_TYPE_SETTINGS, settings_to_json(&settings));
	settings_done(&settings);
	head(1, mesh_log_hash(mesh_log, 1));
	take(-ESTALE, "added came");
	fake_core_wrong(core, "log", "not believed");
}

/* --- bundles --- */

static void test_bundle(void **state)
{
	what.has_kube = true;
	head(1, mesh_log_hash(mesh_log, 1));
	take(0, "added came bundle");
	t.bundle = -EAGAIN;
	take(-EAGAIN, "added came bundle");
	t.bundle = -EIO;
	take(-EAGAIN, "added came bundle");
	head(0, what.head_hash);
	t.bundle = 0;
	take(0, "added came bundle");
	fake_core_wrong(core, "log", NULL);
}

/* It comes again with the rest of the log, which is asked for at once if this was a part of it. */
static void test_bundle_before_its_signer(void **state)
{
	what.has_kube = true;
	head(2, what.head_hash);
	take(-EAGAIN, "added came");
	t.added = 1;
	t.changed = true;
	take(0, "added came records");
	what.has_kube = false;
	t.added = 0;
	t.changed = false;
	take(0, "added came");
}

static void test_worse_than_a_bundle(void **state)
{
	static const uint8_t other[RECORD_HASH_LEN] = { 1 };

	what.has_kube = true;
	t.bundle = -EAGAIN;
	head(1, other);
	take(-ENOTUNIQ, "added came bundle");
	head(2, other);
	t.added = -EKEYREJECTED;
	take(-EKEYREJECTED, "added came records");
	t.added = 0;
	t.bundle = 0;
	head(1, other);
	take(-ENOTUNIQ, "added came bundle");
}

/* --- other keys --- */

/* A record @seq that makes node @id another one than before: with another key, or another name. */
static struct record made(uint64_t seq, uint32_t id, bool rekeyed)
{
	CLEANUP_NODE struct node node = maker_node(id, id, rekeyed ? NULL : "other");

	if (rekeyed)
		memset(node.wg, 3, sizeof(node.wg));
	return maker_record(seq, NULL, RECORD_TYPE_NODE, node_to_json(&node), maker_sign_seed);
}

static void test_rekeyed(void **state)
{
	uint64_t next = netmap_seq(book_netmap(core->book)) + 1;

	records[0] = made(next, 2, false);
	records[1] = made(next + 1, 3, true);
	records[2] = made(next + 2, 4, true); /* a new one */
	what.n_records = 3;
	what.presence = json_pack("[i]", 3);
	what.has_kube = true;
	t.added = 3;
	t.changed = true;
	t.rekeyed = "the coordinator was taken over";
	take(0, "rekeyed added presence came bundle records");
}

/* What is known already was said when it came. */
static void test_rekeyed_once(void **state)
{
	uint64_t seq = netmap_seq(book_netmap(core->book));
	char words[64];

	(void) snprintf(words, sizeof(words), "record %u: node-2 (node 2) is given OTHER KEYS",
		(unsigned) seq + 1);
	t.rekeyed = words;
	records[0] = made(seq + 1, 2, true);
	what.n_records = 1;
	take(0, "rekeyed added came");
	record_done(&records[0]);
	records[0] = made(seq, 2, true);
	t.rekeyed = "OTHER KEYS";
	take(0, "added came");
}

/* From another board: as good as the coordinator's, and a problem of its own if they are not. */
static void take_of_board(int result, const char *order)
{
	t.order[0] = 0;
	assert_int_equal(news_take_records(news, 2, what.records, what.n_records), result);
	assert_string_equal(t.order, order);
}

static void test_of_a_board(void **state)
{
	t.added = 1;
	t.changed = true;
	take_of_board(1, "added came records");
	assert_int_equal(fake_core_logged("1 new record from board node-2, the log is at 1"), 1);
	t.changed = false;
	t.added = 0;
	take_of_board(0, "added came");
	t.added = -EBADMSG;
	take_of_board(-EBADMSG, "added came records");
	fake_core_wrong(core, "log", NULL);
	fake_core_wrong(core, "others",
		"the log of board node-2 is not believed, this board keeps what it has: record 2");
	t.added = 1;
	take_of_board(1, "added came");
	fake_core_wrong(core, "others", NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nothing),
		TEST(records),
		TEST(presences),
		TEST(refused),
		TEST(head),
		TEST(head_is_lower),
		TEST(bundle),
		TEST(bundle_before_its_signer),
		TEST(worse_than_a_bundle),
		TEST(rekeyed),
		TEST(rekeyed_once),
		TEST(of_a_board),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
