/* log: what gets in and what does not; what a torn file costs; ten thousand records. */
#include "mesh-maker.h"

#include <stdio.h>
#include <time.h>

static json_t *number(int n)
{
	return json_pack("{s:i}", "n", n);
}

/* A log of the key record and @n - 1 more. */
static struct mesh_log *log_of(size_t n)
{
	struct mesh_log *log = maker_log();

	for (size_t i = 1; i < n; i++)
		maker_append(log, "checkpoint", number((int) i));
	return log;
}

static void assert_refused(
	struct mesh_log *log, const struct record *record, int code, const char *says)
{
	struct err err = { 0 };
	uint64_t head = mesh_log_head(log);
	uint8_t hash[32];

	memcpy(hash, mesh_log_head_hash(log), sizeof(hash));
	int r = mesh_log_append(log, record, &err);

	if (r != code || !strstr(err.text, says))
		fail_msg("%d instead of %d: %s", r, code, err.text);
	assert_int_equal(err.code, code);
	/* The log held stays as it is. */
	assert_int_equal(mesh_log_head(log), head);
	assert_memory_equal(mesh_log_head_hash(log), hash, sizeof(hash));
}

static void test_grows(void **state)
{
	CLEANUP_MESH_LOG struct mesh_log *log = maker_empty_log();

	assert_int_equal(mesh_log_head(log), 0);
	assert_null(mesh_log_get(log, 0));
	assert_null(mesh_log_get(log, 1));
	log = mesh_log_free(log);
	log = log_of(5);
	assert_int_equal(mesh_log_head(log), 5);
	uint8_t key[32];

	record_public_key(maker_root_seed, key);
	assert_false(mesh_log_certifies(log, key));
	record_public_key(maker_sign_seed, key);
	assert_true(mesh_log_certifies(log, key));
	for (uint64_t seq = 2; seq <= 5; seq++)
		assert_memory_equal(mesh_log_get(log, seq)->prev, mesh_log_hash(log, seq - 1), 32);
	assert_null(mesh_log_get(log, 6));
	assert_null(mesh_log_hash(log, UINT64_MAX));
	/* Known records again: no harm, no change. */
	for (uint64_t seq = 1; seq <= 5; seq++)
		assert_refused(log, mesh_log_get(log, seq), -EALREADY, "known");
}

/* The payload keeps its bytes: what it says in JSON's freedom is signed as it is. */
static void test_bytes_as_sent(void **state)
{
	CLEANUP_MESH_LOG struct mesh_log *log = maker_log(), *again = NULL;
	CLEANUP_RECORD struct record record = { .seq = 2, .type = "x-later" };
	CLEANUP_BUF struct buf text = { 0 };
	static const char odd[] = " {\"b\" : 1,\n\"a\":1e0} ";
	size_t lines, good;

	record.payload = (uint8_t *) strdup(odd);
	record.payload_len = sizeof(odd) - 1;
	memcpy(record.prev, mesh_log_head_hash(log), sizeof(record.prev));
	assert_int_equal(record_sign(&record, maker_sign_seed), 0);
	assert_int_equal(mesh_log_append(log, &record, NULL), 0);
	assert_int_equal(mesh_log_save(log, 1, &text), 0);
	uint8_t hash[32];

	maker_root_hash(hash);
	assert_int_equal(mesh_log_load(hash, text.data, text.len, &again, &lines, &good, NULL), 0);
	assert_int_equal(mesh_log_get(again, 2)->payload_len, sizeof(odd) - 1);
	assert_memory_equal(mesh_log_get(again, 2)->payload, odd, sizeof(odd) - 1);
	/* No JSON at all is kept too, as long as nobody has to understand it. */
	CLEANUP_RECORD struct record empty = { .seq = 3, .type = "policy" };

	memcpy(empty.prev, mesh_log_head_hash(log), sizeof(empty.prev));
	assert_int_equal(record_sign(&empty, maker_sign_seed), 0);
	assert_int_equal(mesh_log_append(log, &empty, NULL), 0);
}

static void test_refused(void **state)
{
	CLEANUP_MESH_LOG struct mesh_log *log = log_of(4), *other = log_of(4);
	static const uint8_t foreign[32] = { 7 };
	const uint8_t *prev = mesh_log_head_hash(log);
	CLEANUP_RECORD struct record r = maker_record(6, prev, "node", number(1), maker_sign_seed);

	assert_refused(log, &r, -ERANGE, "missing");
	record_done(&r);
	r = maker_record(UINT64_C(1) << 50, prev, "node", number(1), maker_sign_seed);
	assert_refused(log, &r, -ERANGE, "missing");
	record_done(&r);
	/* Another record under a known number, properly signed: a fork. */
	r = maker_record(3, mesh_log_hash(log, 2), "node", number(9), maker_sign_seed);
	assert_refused(log, &r, -ENOTUNIQ, "grown apart");
	record_done(&r);
	/* The next number after another history. */
	maker_append(other, "node", number(50));
	maker_append(log, "node", number(51));
	maker_append(other, "node", number(52));
	assert_refused(log, mesh_log_get(other, 6), -ENOTUNIQ, "does not follow");
	assert_refused(log, mesh_log_get(other, 5), -ENOTUNIQ, "grown apart");
	/* A key nobody certified, the root key for what it does not sign, a key that certifies itself. */
	prev = mesh_log_head_hash(log);
	r = maker_record(6, prev, "node", number(1), foreign);
	assert_refused(log, &r, -EKEYREJECTED, "not certified");
	record_done(&r);
	r = maker_record(6, prev, "node", number(1), maker_root_seed);
	assert_refused(log, &r, -EKEYREJECTED, "not certified");
	record_done(&r);
	struct record_key key;

	record_public_key(maker_root_seed, key.root);
	record_public_key(foreign, key.key);
	r = maker_record(6, prev, "key", record_key_to_json(&key), maker_sign_seed);
	assert_refused(log, &r, -EKEYREJECTED, "not signed by the root");
	record_done(&r);
	record_public_key(foreign, key.root);
	r = maker_record(6, prev, "key", record_key_to_json(&key), foreign);
	assert_refused(log, &r, -EKEYREJECTED, "another mesh");
	record_done(&r);
	r = maker_record(6, prev, "key", number(1), maker_root_seed);
	assert_refused(log, &r, -EINVAL, "key");
	record_done(&r);
	/* Noise under a known number is a bad signature, not somebody's second history. */
	assert_int_equal(record_copy(mesh_log_get(log, 3), &r), 0);
	r.sig[5] ^= 1;
	assert_refused(log, &r, -EBADMSG, "does not hold");
	record_done(&r);
	r = (struct record){ .seq = 0, .type = "node" };
	assert_refused(log, &r, -EINVAL, "no record");
	r = (struct record){ .seq = 6, .type = "No" };
	assert_refused(log, &r, -EINVAL, "no record");
}

static void test_first(void **state)
{
	CLEANUP_MESH_LOG struct mesh_log *log = maker_empty_log(), *full = maker_log();
	struct record_key key;

	record_public_key(maker_root_seed, key.root);
	record_public_key(maker_sign_seed, key.key);
	CLEANUP_RECORD struct record r = maker_record(1, NULL, "node", number(1), maker_root_seed);

	assert_refused(log, &r, -EKEYREJECTED, "not certified");
	record_done(&r);
	r = maker_record(
		1, mesh_log_head_hash(full), "key", record_key_to_json(&key), maker_root_seed);
	assert_refused(log, &r, -ENOTUNIQ, "grown apart");
	record_done(&r);
	assert_int_equal(record_copy(mesh_log_get(full, 1), &r), 0);
	r.sig[0] ^= 1;
	assert_refused(log, &r, -EBADMSG, "does not hold");
	r.sig[0] ^= 1;
	assert_int_equal(mesh_log_append(log, &r, NULL), 0);
	/* The right record under another token's root hash. */
	uint8_t hash[32] = { 1 };

	log = mesh_log_free(log);
	log = mesh_log_new(hash);
	assert_refused(log, &r, -EKEYREJECTED, "another mesh");
}

static void test_second_key(void **state)
{
	CLEANUP_MESH_LOG struct mesh_log *log = log_of(3);
	static const uint8_t seed[32] = { 4 };
	struct record_key key;

	record_public_key(maker_root_seed, key.root);
	record_public_key(seed, key.key);
	CLEANUP_RECORD struct record r = maker_record(
		4, mesh_log_head_hash(log), "key", record_key_to_json(&key), maker_root_seed);

	assert_int_equal(mesh_log_append(log, &r, NULL), 0);
	record_done(&r);
	r = maker_record(5, mesh_log_head_hash(log), "node", number(1), seed);
	assert_int_equal(mesh_log_append(log, &r, NULL), 0);
	record_done(&r);
	r = maker_record(6, mesh_log_head_hash(log), "node", number(1), maker_sign_seed);
	assert_int_equal(mesh_log_append(log, &r, NULL), 0);
}

/* Each byte of the next record changed in turn: nothing of it gets in. */
static void test_mutations(void **state)
{
	CLEANUP_MESH_LOG struct mesh_log *log = log_of(3), *longer = log_of(4);
	CLEANUP_RECORD struct record r = { 0 };

	assert_int_equal(record_copy(mesh_log_get(longer, 4), &r), 0);
	struct {
		uint8_t *at;
		size_t len;
	} parts[] = {
		{ (uint8_t *) &r.seq, sizeof(r.seq) },
		{ r.prev, sizeof(r.prev) },
		{ r.by, sizeof(r.by) },
		{ r.sig, sizeof(r.sig) },
		{ (uint8_t *) r.type, strlen(r.type) },
		{ r.payload, r.payload_len },
	};

	for (size_t p = 0; p < ARRAY_LEN(parts); p++)
		for (size_t i = 0; i < parts[p].len; i++) {
			struct err err = { 0 };

			parts[p].at[i] ^= 4;
			assert_true(mesh_log_append(log, &r, &err) < 0);
			assert_true(err.text[0] != '\0');
			parts[p].at[i] ^= 4;
		}
	assert_int_equal(mesh_log_head(log), 3);
	assert_int_equal(mesh_log_append(log, &r, NULL), 0);
}

static void test_heads(void **state)
{
	CLEANUP_MESH_LOG struct mesh_log *log = log_of(6);
	uint8_t other[32] = { 1 };
	struct err err = { 0 };

	assert_int_equal(mesh_log_check_head(log, 6, mesh_log_head_hash(log), NULL), 0);
	assert_int_equal(mesh_log_check_head(log, 7, other, NULL), 0);
	assert_int_equal(mesh_log_check_head(log, 0, other, NULL), 0);
	assert_int_equal(mesh_log_check_head(log, 4, mesh_log_hash(log, 4), &err), -ESTALE);
	assert_non_null(strstr(err.text, "old copy"));
	assert_int_equal(mesh_log_check_head(log, 6, other, &err), -ENOTUNIQ);
	assert_int_equal(mesh_log_check_head(log, 4, other, &err), -ENOTUNIQ);
	assert_non_null(strstr(err.text, "grown apart"));
}

static struct mesh_log *load(
	const char *text, size_t len, size_t *lines, size_t *good, struct err *err)
{
	struct mesh_log *log = NULL;
	uint8_t hash[32];

	maker_root_hash(hash);
	assert_int_equal(mesh_log_load(hash, text, len, &log, lines, good, err), 0);
	return log;
}

static size_t lines_in(const char *text, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++)
		n += text[i] == '\n';
	return n;
}

/* A file cut at every byte: all whole lines stay, and what is good can be appended to. */
static void test_torn(void **state)
{
	CLEANUP_MESH_LOG struct mesh_log *log = log_of(4);
	CLEANUP_BUF struct buf text = { 0 };

	assert_int_equal(mesh_log_save(log, 1, &text), 0);
	for (size_t len = 0; len <= text.len; len++) {
		size_t lines, good, whole = lines_in(text.data, len);
		struct err err = { 0 };
		CLEANUP(free_p) char *exact = malloc(len ? len : 1);

		memcpy(exact, text.data, len);
		CLEANUP_MESH_LOG struct mesh_log *some = load(exact, len, &lines, &good, &err);

		assert_int_equal(mesh_log_head(some), whole);
		assert_int_equal(lines, good != len);
		assert_int_equal(lines_in(text.data, good), whole);
		assert_true(!good || text.data[good - 1] == '\n');
		if (lines)
			assert_non_null(strstr(err.text, "dropped 1 of"));
		/* Appending what is missing to the good part gives the file again. */
		CLEANUP_BUF struct buf again = { 0 };

		buf_add(&again, exact, good);
		assert_int_equal(mesh_log_save(log, whole + 1, &again), 0);
		assert_int_equal(again.len, text.len);
		assert_memory_equal(again.data, text.data, text.len);
	}
}

/* A byte gone bad anywhere: the records before it stay, and nothing false gets in. */
static void test_rotten(void **state)
{
	CLEANUP_MESH_LOG struct mesh_log *log = log_of(4);
	CLEANUP_BUF struct buf text = { 0 };

	assert_int_equal(mesh_log_save(log, 1, &text), 0);
	for (size_t i = 0; i < text.len; i++) {
		size_t lines, good, before = lines_in(text.data, i);
		char old = text.data[i];

		text.data[i] = (char) (old ^ (i % 3 ? 1 : 0x20));
		struct err err = { 0 };
		CLEANUP_MESH_LOG struct mesh_log *some =
			load(text.data, text.len, &lines, &good, &err);

		text.data[i] = old;
		assert_int_equal(mesh_log_head(some), before);
		assert_true(lines >= 1);
		assert_true(good <= i);
		for (uint64_t seq = 1; seq <= before; seq++)
			assert_memory_equal(mesh_log_hash(some, seq), mesh_log_hash(log, seq), 32);
	}
}

static void test_garbage(void **state)
{
	CLEANUP_MESH_LOG struct mesh_log *log = log_of(3);
	static const char *const tails[] = { "\n", "x\n", "{}\n", "null\n", "\n\n\n", "[",
		"\xff\xfe\n" };

	for (size_t i = 0; i < ARRAY_LEN(tails); i++) {
		CLEANUP_BUF struct buf text = { 0 };
		size_t lines, good, whole;
		struct err err = { 0 };

		assert_int_equal(mesh_log_save(log, 1, &text), 0);
		whole = text.len;
		buf_add_str(&text, tails[i]);
		CLEANUP_MESH_LOG struct mesh_log *some =
			load(text.data, text.len, &lines, &good, &err);

		assert_int_equal(mesh_log_head(some), 3);
		assert_int_equal(good, whole);
		assert_true(lines >= 1);
		assert_non_null(strstr(err.text, "line 4"));
	}
	/* A line of a megabyte without an end, a NUL, and a whole file of another mesh. */
	CLEANUP_BUF struct buf large = { 0 }, text = { 0 };
	size_t lines, good;

	for (int i = 0; i < 1024; i++)
		buf_printf(&large, "%01024d", 0);
	CLEANUP_MESH_LOG struct mesh_log *one = load(large.data, large.len, &lines, &good, NULL);

	assert_int_equal(mesh_log_head(one), 0);
	large.data[7] = '\0';
	CLEANUP_MESH_LOG struct mesh_log *two = load(large.data, large.len, &lines, &good, NULL);

	assert_int_equal(mesh_log_head(two), 0);
	assert_int_equal(lines, 1);
	assert_int_equal(mesh_log_save(log, 1, &text), 0);
	uint8_t hash[32] = { 3 };
	CLEANUP_MESH_LOG struct mesh_log *foreign = NULL;
	struct err err = { 0 };

	assert_int_equal(
		mesh_log_load(hash, text.data, text.len, &foreign, &lines, &good, &err), 0);
	assert_int_equal(mesh_log_head(foreign), 0);
	assert_int_equal(lines, 3);
	assert_int_equal(good, 0);
	assert_non_null(strstr(err.text, "another mesh"));
	/* The same record twice in a file does no harm. */
	CLEANUP_BUF struct buf twice = { 0 };

	assert_int_equal(mesh_log_save(log, 1, &twice), 0);
	assert_int_equal(mesh_log_save(log, 2, &twice), 0);
	CLEANUP_MESH_LOG struct mesh_log *same = load(twice.data, twice.len, &lines, &good, NULL);

	assert_int_equal(mesh_log_head(same), 3);
	assert_int_equal(lines, 0);
	assert_int_equal(good, twice.len);
}

/*
 * The loader verifies the last signature only. Somebody who writes records into the file without
 * the key gets none of them in, wherever he puts them, and a key record of his certifies nothing.
 */
static void test_forged_file(void **state)
{
	CLEANUP_MESH_LOG struct mesh_log *log = log_of(3);
	static const uint8_t foreign[32] = { 7 };
	CLEANUP_BUF struct buf text = { 0 };
	uint8_t prev[32];

	assert_int_equal(mesh_log_save(log, 1, &text), 0);
	memcpy(prev, mesh_log_head_hash(log), sizeof(prev));
	for (uint64_t seq = 4; seq < 8; seq++) {
		/* A chain that fits, by the certified key's name, with signatures of another. */
		CLEANUP_RECORD struct record r =
			maker_record(seq, prev, "node", number(1), foreign);

		record_public_key(maker_sign_seed, r.by);
		assert_int_equal(record_hash(&r, prev), 0);
		CLEANUP_JSON json_t *json = record_to_json(&r);
		CLEANUP(free_p) char *line = json_text(json);

		buf_printf(&text, "%s\n", line);
	}
	size_t lines, good;
	struct err err = { 0 };
	CLEANUP_MESH_LOG struct mesh_log *some = load(text.data, text.len, &lines, &good, &err);

	assert_int_equal(mesh_log_head(some), 3);
	assert_int_equal(lines, 4);
	assert_non_null(strstr(err.text, "does not hold"));
	/* And the log goes on from there. */
	maker_append(some, "node", number(1));
	assert_int_equal(mesh_log_head(some), 4);
}

static double now_s(void)
{
	struct timespec t;

	(void) clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double) t.tv_sec + (double) t.tv_nsec / 1e9;
}

static void test_ten_thousand(void **state)
{
	CLEANUP_MESH_LOG struct mesh_log *log = maker_log();
	struct settings settings = maker_settings();
	double start = now_s();

	maker_append(log, "settings", settings_to_json(&settings));
	while (mesh_log_head(log) < 10000) {
		CLEANUP_NODE struct node node = maker_node((uint32_t) mesh_log_head(log), 0, NULL);

		maker_append(log, "node", node_to_json(&node));
	}
	double made = now_s();
	CLEANUP_BUF struct buf text = { 0 };
	size_t lines, good;

	assert_int_equal(mesh_log_save(log, 1, &text), 0);
	double saved = now_s();
	CLEANUP_MESH_LOG struct mesh_log *again = load(text.data, text.len, &lines, &good, NULL);

	assert_int_equal(mesh_log_head(again), 10000);
	assert_int_equal(lines, 0);
	double loaded = now_s();
	CLEANUP_NETMAP struct netmap *netmap = netmap_new();
	size_t refused;

	assert_int_equal(netmap_follow(netmap, again, &refused, NULL), 0);
	assert_int_equal(refused, 0);
	assert_int_equal(netmap_count(netmap), 9998);
	double mapped = now_s();

	print_message("10,000 records: %.2f s made and verified, %.2f s saved (%zu KiB), "
		      "%.2f s loaded, %.2f s netmap\n",
		made - start, saved - made, text.len / 1024, loaded - saved, mapped - loaded);
	for (uint64_t seq = 1; seq <= 10000; seq += 997)
		assert_int_equal(mesh_log_get(again, seq)->seq, seq);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_grows),
		cmocka_unit_test(test_bytes_as_sent),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_first),
		cmocka_unit_test(test_second_key),
		cmocka_unit_test(test_mutations),
		cmocka_unit_test(test_heads),
		cmocka_unit_test(test_torn),
		cmocka_unit_test(test_rotten),
		cmocka_unit_test(test_garbage),
		cmocka_unit_test(test_forged_file),
		cmocka_unit_test(test_ten_thousand),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
