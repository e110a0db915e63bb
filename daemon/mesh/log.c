/*
 * log: see log.h. A record gets in through check() and nowhere else. Records hang in one array by
 * number, each with its hash, so that the 10,000th costs what the first does.
 */
#include "mesh/log.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <string.h>

/* A line holds a payload in base64 and less than 1 KiB around it. */
enum { LINE_MAX_LEN = RECORD_PAYLOAD_MAX / 3 * 4 + 1024 };

struct item {
	struct record record;
	uint8_t hash[RECORD_HASH_LEN];
};

struct mesh_log {
	uint8_t root_hash[RECORD_HASH_LEN];
	uint8_t root[RECORD_KEY_LEN]; /* known from record 1 on */
	struct item *items;
	size_t n, cap;
	uint8_t (*certified)[RECORD_KEY_LEN]; /* a handful: one per signing key there ever was */
	size_t n_certified;
};

static const uint8_t zero_hash[RECORD_HASH_LEN];

struct mesh_log *mesh_log_new(const uint8_t root_hash[static RECORD_HASH_LEN])
{
	struct mesh_log *log = calloc(1, sizeof(*log));

	if (log)
		memcpy(log->root_hash, root_hash, RECORD_HASH_LEN);
	return log;
}

struct mesh_log *mesh_log_free(struct mesh_log *log)
{
	if (!log)
		return NULL;
	for (size_t i = 0; i < log->n; i++)
		record_done(&log->items[i].record);
	free(log->items);
	free(log->certified);
	free(log);
	return NULL;
}

uint64_t mesh_log_head(const struct mesh_log *log)
{
	return log->n;
}

const struct record *mesh_log_get(const struct mesh_log *log, uint64_t seq)
{
	return seq >= 1 && seq <= log->n ? &log->items[seq - 1].record : NULL;
}

json_t *mesh_log_page(const struct mesh_log *log, uint64_t from, size_t max)
{
	CLEANUP_JSON json_t *records = json_array();
	uint64_t first = from ? from : 1;

	for (uint64_t seq = first; records && seq <= log->n && seq - first < max; seq++)
		if (json_array_append_new(records, record_to_json(mesh_log_get(log, seq))) < 0)
			return NULL;
	return records ? json_pack("{s:I,s:O}", "seq", (json_int_t) log->n, "records", records)
		       : NULL;
}

const uint8_t *mesh_log_hash(const struct mesh_log *log, uint64_t seq)
{
	return seq >= 1 && seq <= log->n ? log->items[seq - 1].hash : NULL;
}

const uint8_t *mesh_log_head_hash(const struct mesh_log *log)
{
	return log->n ? log->items[log->n - 1].hash : zero_hash;
}

bool mesh_log_certifies(const struct mesh_log *log, const uint8_t key[static RECORD_KEY_LEN])
{
	for (size_t i = 0; i < log->n_certified; i++)
		if (!memcmp(log->certified[i], key, RECORD_KEY_LEN))
			return true;
	return false;
}

static bool is_key_record(const struct record *record)
{
	return !strcmp(record->type, RECORD_TYPE_KEY);
}

/* A `key` record: signed by the root key, which hashes to the root hash, and names that root. */
static int check_key_record(const struct mesh_log *log, const struct record *record,
	struct record_key *ret_key, struct err *err)
{
	uint8_t hash[RECORD_HASH_LEN];
	struct err why = { 0 };
	CLEANUP_JSON json_t *json = record_payload_json(record, &why);
	int r = json ? record_key_from_json(json, ret_key, &why) : why.code;

	if (r)
		return err_set(err, r, "record %" PRIu64 " (key): %s", record->seq, why.text);
	record_root_hash(ret_key->root, hash);
	if (memcmp(hash, log->root_hash, sizeof(hash)))
		return err_set(err, -EKEYREJECTED,
			"record %" PRIu64 " is of another mesh: its root key is not the one "
			"that this board was given with its token",
			record->seq);
	if (memcmp(ret_key->root, record->by, RECORD_KEY_LEN))
		return err_set(err, -EKEYREJECTED,
			"record %" PRIu64 " certifies a key and is not signed by the root key",
			record->seq);
	return 0;
}

/* May the key `by` sign this record? @ret_key is filled for a `key` record. */
static int check_signer(const struct mesh_log *log, const struct record *record,
	struct record_key *ret_key, struct err *err)
{
	if (is_key_record(record))
		return check_key_record(log, record, ret_key, err);
	if (!mesh_log_certifies(log, record->by))
		return err_set(err, -EKEYREJECTED,
			"record %" PRIu64 " (%s) is signed by a key "
			"that the root key has not certified",
			record->seq, record->type);
	return 0;
}

static int check_signature(const struct record *record, struct err *err)
{
	int r = record_verify_signature(record);

	if (r == -EBADMSG)
		return err_set(err, r, "the signature of record %" PRIu64 " (%s) does not hold",
			record->seq, record->type);
	return r ? err_set(err, r, "%s", strerror(-r)) : 0;
}

/*
 * Everything that decides about @record. The signature comes before the talk of forks: noise is
 * not reported as somebody's second history. @prove: false leaves the signature of all but `key`
 * records to the caller.
 */
static int check(const struct mesh_log *log, const struct record *record, bool prove,
	uint8_t ret_hash[static RECORD_HASH_LEN], struct record_key *ret_key, struct err *err)
{
	int r = record_hash(record, ret_hash);

	if (r)
		return err_set(err, r, r == -ENOMEM ? "out of memory" : "no record of a log");
	const uint8_t *known = mesh_log_hash(log, record->seq);

	if (known && !memcmp(known, ret_hash, RECORD_HASH_LEN))
		return err_set(err, -EALREADY, "record %" PRIu64 " is known", record->seq);
	if (record->seq > log->n + 1)
		return err_set(err, -ERANGE,
			"record %" PRIu64 " came where record %zu is next; "
			"those between are missing",
			record->seq, log->n + 1);
	r = check_signer(log, record, ret_key, err);
	if (r == 0 && (prove || is_key_record(record)))
		r = check_signature(record, err);
	if (r)
		return r;
	if (known)
		return err_set(err, -ENOTUNIQ,
			"record %" PRIu64 " is not the one held under that number "
			"(%zu are held): the logs have grown apart",
			record->seq, log->n);
	if (memcmp(record->prev, mesh_log_head_hash(log), RECORD_HASH_LEN))
		return err_set(err, -ENOTUNIQ,
			"record %" PRIu64 " does not follow the record %zu held: "
			"the logs have grown apart",
			record->seq, log->n);
	return 0;
}

static int certify(struct mesh_log *log, const uint8_t key[static RECORD_KEY_LEN])
{
	void *grown = reallocarray(log->certified, log->n_certified + 1, sizeof(*log->certified));

	if (!grown)
		return -ENOMEM;
	log->certified = grown;
	memcpy(log->certified[log->n_certified++], key, RECORD_KEY_LEN);
	return 0;
}

static int grow(struct mesh_log *log)
{
	if (log->n < log->cap)
		return 0;
	size_t cap = log->cap ? log->cap * 2 : 64;
	void *grown = reallocarray(log->items, cap, sizeof(*log->items));

	if (!grown)
		return -ENOMEM;
	log->items = grown;
	log->cap = cap;
	return 0;
}

static int append(struct mesh_log *log, const struct record *record, bool prove, struct err *err)
{
	CLEANUP_RECORD struct record copy = { 0 };
	uint8_t hash[RECORD_HASH_LEN];
	struct record_key key;
	int r = check(log, record, prove, hash, &key, err);

	if (r)
		return r;
	if ((r = grow(log)) || (r = record_copy(record, &copy)) ||
		(is_key_record(record) && (r = certify(log, key.key))))
		return err_set(err, r, "out of memory");
	if (!log->n)
		memcpy(log->root, key.root, RECORD_KEY_LEN); /* only a `key` record gets here */
	struct item *item = &log->items[log->n++];

	item->record = copy;
	memcpy(item->hash, hash, sizeof(hash));
	copy.payload = NULL;
	return 0;
}

int mesh_log_append(struct mesh_log *log, const struct record *record, struct err *err)
{
	return append(log, record, true, err);
}

int mesh_log_make_next(const struct mesh_log *log, const char *type, const json_t *payload,
	const uint8_t seed[static RECORD_SEED_LEN], struct record *ret)
{
	CLEANUP_RECORD struct record record = { 0 };
	int r = record_make(log->n + 1, mesh_log_head_hash(log), type, payload, &record);

	if (r == 0)
		r = record_sign(&record, seed);
	if (r)
		return r;
	*ret = record;
	record.payload = NULL;
	return 0;
}

int mesh_log_check_head(const struct mesh_log *log, uint64_t seq,
	const uint8_t hash[static RECORD_HASH_LEN], struct err *err)
{
	const uint8_t *known = mesh_log_hash(log, seq);

	if (!known)
		return 0;
	if (memcmp(known, hash, RECORD_HASH_LEN))
		return err_set(err, -ENOTUNIQ,
			"the other log has another record %" PRIu64 " than the one held "
			"(%zu are held): the logs have grown apart; what is held stays",
			seq, log->n);
	if (seq < log->n)
		return err_set(err, -ESTALE,
			"the other log ends at record %" PRIu64 ", %zu are held: "
			"it was restored from an old copy; what is held stays",
			seq, log->n);
	return 0;
}

int mesh_log_save(const struct mesh_log *log, uint64_t from, struct buf *out)
{
	for (uint64_t seq = from ? from : 1; seq <= log->n; seq++) {
		CLEANUP_JSON json_t *json = record_to_json(mesh_log_get(log, seq));
		CLEANUP(free_p) char *text = json ? json_text(json) : NULL;

		if (!text)
			return -ENOMEM;
		buf_add_str(out, text);
		buf_add_str(out, "\n");
	}
	return buf_failed(out) ? -ENOMEM : 0;
}

/*
 * Takes the last record off again. Only the loader does, and never a `key` record: their signatures
 * are verified before they get in, so it stops there.
 */
static void drop_last(struct mesh_log *log)
{
	record_done(&log->items[--log->n].record);
}

/* One line, without its newline. 1 if it brought a record, 0 if that was known. */
static int load_line(struct mesh_log *log, const char *line, size_t len, struct err *err)
{
	CLEANUP_RECORD struct record record = { 0 };

	if (len > LINE_MAX_LEN)
		return err_set(err, -EINVAL, "longer than a record can be");
	struct err why = { 0 };
	CLEANUP_JSON json_t *json = json_parse(line, len, &why);
	int r = json ? record_from_json(json, &record, err)
		     : err_set(err, why.code, "%s", why.text);

	if (r == 0)
		r = append(log, &record, false, err);
	return r == -EALREADY ? 0 : r ? r : 1;
}

/* Reads until a line is refused. @starts: where the line of each record begins. */
static int load_lines(struct mesh_log *log, const char *text, size_t len, size_t **starts,
	size_t *ret_len, struct err *err)
{
	size_t at = 0, cap = 0;

	while (at < len) {
		const char *end = memchr(text + at, '\n', len - at);
		int r = end ? load_line(log, text + at, (size_t) (end - text) - at, err)
			    : err_set(err, -EINVAL, "its end is missing");

		if (r == -ENOMEM)
			return r;
		if (r < 0)
			break;
		if (log->n > cap) {
			cap = cap ? cap * 2 : 64;
			void *grown = reallocarray(*starts, cap, sizeof(**starts));

			if (!grown)
				return -ENOMEM;
			*starts = grown;
		}
		if (r)
			(*starts)[log->n - 1] = at;
		at = (size_t) (end - text) + 1;
	}
	*ret_len = at;
	return 0;
}

static size_t count_lines(const char *text, size_t len)
{
	size_t lines = 0;

	for (size_t i = 0; i < len; i++)
		lines += text[i] == '\n';
	return lines + (len && text[len - 1] != '\n');
}

int mesh_log_load(const uint8_t root_hash[static RECORD_HASH_LEN], const char *text, size_t len,
	struct mesh_log **ret, size_t *ret_lines, size_t *ret_len, struct err *err)
{
	CLEANUP_MESH_LOG struct mesh_log *log = mesh_log_new(root_hash);
	CLEANUP(free_p) size_t *starts = NULL;
	struct err why = { 0 }, bad = { 0 };
	size_t good = 0;
	int r = log ? load_lines(log, text, len, &starts, &good, &why) : -ENOMEM;

	while (r == 0 && log->n) {
		r = check_signature(&log->items[log->n - 1].record, &bad);
		if (r == 0)
			break;
		if (r == -EBADMSG) {
			why = bad;
			good = starts[log->n - 1];
			drop_last(log);
			r = 0;
		}
	}
	if (r)
		return err_set(err, r, "%s", strerror(-r));
	size_t lines = count_lines(text + good, len - good);

	if (lines)
		(void) err_set(err, -EBADMSG, "dropped %zu of %zu lines, from line %zu on: %s",
			lines, count_lines(text, len), count_lines(text, good) + 1, why.text);
	*ret = TAKE(log);
	*ret_lines = lines;
	*ret_len = good;
	return 0;
}
