/*
 * record: see record.h. What is signed is a byte layout with lengths, never JSON, so that there is
 * exactly one reading of it:
 *
 *	"hearth-record-1\0"  seq (8, big endian)  prev (32)  by (32)
 *	type length (1)  type  payload length (4, big endian)  payload
 */
#include "wire/record.h"

#include <endian.h>
#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "base/buf.h"
#include "base/encode.h"
#include "wire/node.h"

static const char context[16] = "hearth-record-1";

void record_done(struct record *record)
{
	free(record->payload);
	*record = (struct record){ 0 };
}

struct record *record_list_free(struct record *records, size_t n)
{
	for (size_t i = 0; i < n; i++)
		record_done(&records[i]);
	free(records);
	return NULL;
}

bool record_type_is_valid(const char *type)
{
	size_t len = strlen(type);

	if (len < 1 || len >= RECORD_TYPE_MAX || type[0] == '-')
		return false;
	return strspn(type, "abcdefghijklmnopqrstuvwxyz-") == len;
}

static bool is_well_formed(const struct record *record)
{
	return record->seq >= 1 && record->seq <= RECORD_SEQ_MAX &&
	       memchr(record->type, '\0', sizeof(record->type)) &&
	       record_type_is_valid(record->type) && record->payload_len <= RECORD_PAYLOAD_MAX;
}

/* Appends what the signature covers. */
static int signed_bytes(const struct record *record, struct buf *out)
{
	uint64_t seq = htobe64(record->seq);
	uint32_t payload_len = htobe32((uint32_t) record->payload_len);
	uint8_t type_len = (uint8_t) strlen(record->type);

	buf_add(out, context, sizeof(context));
	buf_add(out, &seq, sizeof(seq));
	buf_add(out, record->prev, sizeof(record->prev));
	buf_add(out, record->by, sizeof(record->by));
	buf_add(out, &type_len, sizeof(type_len));
	buf_add(out, record->type, type_len);
	buf_add(out, &payload_len, sizeof(payload_len));
	buf_add(out, record->payload, record->payload_len);
	return buf_failed(out) ? -ENOMEM : 0;
}

int record_make(uint64_t seq, const uint8_t *prev, const char *type, const json_t *payload,
	struct record *ret)
{
	if (seq < 1 || seq > RECORD_SEQ_MAX || !record_type_is_valid(type))
		return -EINVAL;
	CLEANUP(free_p) char *text = json_text(payload);

	if (!text)
		return -ENOMEM;
	size_t len = strlen(text);

	if (len > RECORD_PAYLOAD_MAX)
		return -EFBIG;
	struct record record = { .seq = seq, .payload_len = len };

	if (prev)
		memcpy(record.prev, prev, sizeof(record.prev));
	memcpy(record.type, type, strlen(type) + 1);
	record.payload = (uint8_t *) TAKE(text);
	*ret = record;
	return 0;
}

int record_sign(struct record *record, const uint8_t seed[static RECORD_SEED_LEN])
{
	uint8_t secret[crypto_sign_SECRETKEYBYTES];
	CLEANUP_BUF struct buf bytes = { 0 };

	if (!is_well_formed(record))
		return -EINVAL;
	(void) crypto_sign_seed_keypair(record->by, secret, seed);
	int r = signed_bytes(record, &bytes);

	if (r == 0)
		(void) crypto_sign_detached(
			record->sig, NULL, (uint8_t *) bytes.data, bytes.len, secret);
	sodium_memzero(secret, sizeof(secret));
	return r;
}

int record_verify_signature(const struct record *record)
{
	CLEANUP_BUF struct buf bytes = { 0 };

	if (!is_well_formed(record))
		return -EBADMSG;
	int r = signed_bytes(record, &bytes);

	if (r)
		return r;
	if (crypto_sign_verify_detached(
		    record->sig, (uint8_t *) bytes.data, bytes.len, record->by) != 0)
		return -EBADMSG;
	return 0;
}

int record_hash(const struct record *record, uint8_t ret_hash[static RECORD_HASH_LEN])
{
	CLEANUP_BUF struct buf bytes = { 0 };

	if (!is_well_formed(record))
		return -EINVAL;
	int r = signed_bytes(record, &bytes);

	buf_add(&bytes, record->sig, sizeof(record->sig));
	if (r || buf_failed(&bytes))
		return -ENOMEM;
	(void) crypto_generichash(
		ret_hash, RECORD_HASH_LEN, (uint8_t *) bytes.data, bytes.len, NULL, 0);
	return 0;
}

int record_copy(const struct record *record, struct record *ret)
{
	struct record copy = *record;

	copy.payload = malloc(record->payload_len ? record->payload_len : 1);
	if (!copy.payload)
		return -ENOMEM;
	if (record->payload_len)
		memcpy(copy.payload, record->payload, record->payload_len);
	*ret = copy;
	return 0;
}

static int get_sig(const json_t *json, uint8_t ret[static RECORD_SIG_LEN], struct err *err)
{
	CLEANUP(free_p) uint8_t *data = NULL;
	const char *text;
	size_t len;
	int r = json_get_str(json, "sig", &text, err);

	if (r)
		return r;
	r = base64_decode(text, strlen(text), RECORD_SIG_LEN, &data, &len);
	if (r == -ENOMEM)
		return err_set(err, r, "out of memory");
	if (r < 0 || len != RECORD_SIG_LEN)
		return err_set(err, -EINVAL, "field \"sig\" must be 64 bytes in base64");
	memcpy(ret, data, RECORD_SIG_LEN);
	return 0;
}

int record_from_json(const json_t *json, struct record *ret, struct err *err)
{
	CLEANUP_RECORD struct record record = { 0 };
	const char *type, *payload;
	int r;

	if ((r = json_get_u64(json, "seq", RECORD_SEQ_MAX, &record.seq, err)) ||
		(r = field_get_key(json, "prev", record.prev, err)) ||
		(r = json_get_str(json, "type", &type, err)) ||
		(r = field_get_key(json, "by", record.by, err)) ||
		(r = json_get_str(json, "payload", &payload, err)) ||
		(r = get_sig(json, record.sig, err)))
		return field_refuse_missing(r, err);
	if (record.seq < 1)
		return err_set(err, -EINVAL, "field \"seq\" counts from 1");
	if (!record_type_is_valid(type))
		return err_set(err, -EINVAL, "field \"type\" must be 1 to 32 of a-z and hyphens");
	memcpy(record.type, type, strlen(type) + 1);
	r = base64_decode(
		payload, strlen(payload), RECORD_PAYLOAD_MAX, &record.payload, &record.payload_len);
	if (r == -ENOMEM)
		return err_set(err, r, "out of memory");
	if (r < 0)
		return err_set(err, -EINVAL, "field \"payload\" must be at most %d bytes in base64",
			(int) RECORD_PAYLOAD_MAX);
	*ret = record;
	record.payload = NULL;
	return 0;
}

json_t *record_to_json(const struct record *record)
{
	CLEANUP_JSON json_t *json = json_object();
	CLEANUP(free_p) char *payload = base64_encode(record->payload, record->payload_len);
	CLEANUP(free_p) char *sig = base64_encode(record->sig, sizeof(record->sig));
	int bad = !payload || !sig;

	if (bad)
		return NULL;
	bad |= json_object_set_new(json, "seq", json_integer((json_int_t) record->seq));
	bad |= json_object_set_new(json, "prev", field_key(record->prev));
	bad |= json_object_set_new(json, "type", json_string(record->type));
	bad |= json_object_set_new(json, "by", field_key(record->by));
	bad |= json_object_set_new(json, "payload", json_string(payload));
	bad |= json_object_set_new(json, "sig", json_string(sig));
	return bad ? NULL : TAKE(json);
}

int record_list_from_json(const json_t *obj, const char *key, size_t max, struct record **ret,
	size_t *ret_n, struct err *err)
{
	json_t *list;
	int r = field_refuse_missing(json_get_array(obj, key, max, &list, err), err);

	if (r)
		return r;
	size_t n = json_array_size(list);
	struct record *records = calloc(n ? n : 1, sizeof(*records));

	if (!records)
		return err_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < n && r == 0; i++)
		r = record_from_json(json_array_get(list, i), &records[i], err);
	if (r) {
		err_prefix(err, "field \"%s\"", key);
		record_list_free(records, n);
		return r;
	}
	*ret = records;
	*ret_n = n;
	return 0;
}

json_t *record_list_to_json(const struct record *records, size_t n)
{
	CLEANUP_JSON json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		if (json_array_append_new(list, record_to_json(&records[i])) < 0)
			return NULL;
	return TAKE(list);
}

json_t *record_payload_json(const struct record *record, struct err *err)
{
	CLEANUP_JSON json_t *json =
		json_parse((const char *) record->payload, record->payload_len, err);

	if (!json)
		return NULL;
	if (!json_is_object(json)) {
		err_set(err, -EINVAL, "an object was expected");
		return NULL;
	}
	return TAKE(json);
}

int record_key_from_json(const json_t *json, struct record_key *ret, struct err *err)
{
	struct record_key key;
	int r;

	if ((r = field_get_nonzero_key(json, "key", key.key, err)) ||
		(r = field_get_nonzero_key(json, "root", key.root, err)))
		return field_refuse_missing(r, err);
	*ret = key;
	return 0;
}

json_t *record_key_to_json(const struct record_key *key)
{
	CLEANUP_JSON json_t *json = json_object();
	int bad = json_object_set_new(json, "key", field_key(key->key));

	bad |= json_object_set_new(json, "root", field_key(key->root));
	return bad ? NULL : TAKE(json);
}

int tombstone_from_json(const json_t *json, struct tombstone *ret, struct err *err)
{
	struct tombstone tombstone = { 0 };
	uint64_t id;
	int r = json_get_u64(json, "id", NODE_ID_MAX, &id, err);

	if (r == 0 && !id)
		r = err_set(err, -EINVAL, "field \"id\" counts from 1");
	if (r == 0 && json_has(json, "reason"))
		r = field_get_text(json, "reason", sizeof(tombstone.reason), tombstone.reason, err);
	if (r)
		return field_refuse_missing(r, err);
	tombstone.id = (uint32_t) id;
	*ret = tombstone;
	return 0;
}

json_t *tombstone_to_json(const struct tombstone *tombstone)
{
	CLEANUP_JSON json_t *json = json_object();
	int bad = json_object_set_new(json, "id", json_integer(tombstone->id));

	bad |= json_object_set_new(
		json, "reason", json_string(tombstone->reason[0] ? tombstone->reason : "removed"));
	return bad ? NULL : TAKE(json);
}

void record_root_hash(
	const uint8_t root[static RECORD_KEY_LEN], uint8_t ret_hash[static RECORD_HASH_LEN])
{
	(void) crypto_generichash(ret_hash, RECORD_HASH_LEN, root, RECORD_KEY_LEN, NULL, 0);
}

void record_public_key(
	const uint8_t seed[static RECORD_SEED_LEN], uint8_t ret_key[static RECORD_KEY_LEN])
{
	uint8_t secret[crypto_sign_SECRETKEYBYTES];

	(void) crypto_sign_seed_keypair(ret_key, secret, seed);
	sodium_memzero(secret, sizeof(secret));
}
