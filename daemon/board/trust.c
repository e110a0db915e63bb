/*
 * trust: see trust.h. The file is only ever raised, with its directory locked: hearth-helper and
 * enroll-node may write at once.
 */
#include "board/trust.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "base/owned.h"
#include "wire/fields.h"

enum { LOG_MAX = 256 * 1024 * 1024, FILE_MAX = 4096 };

struct seen {
	uint8_t root[RECORD_HASH_LEN], hash[RECORD_HASH_LEN];
	uint64_t seq, cluster;
};

struct trust {
	struct paths paths;
	struct seen seen; /* with @log in it */
	struct mesh_log *log;
	struct netmap *netmap;
};

const struct mesh_log *trust_log(const struct trust *trust)
{
	return trust->log;
}

const struct netmap *trust_netmap(const struct trust *trust)
{
	return trust->netmap;
}

uint64_t trust_cluster(const struct trust *trust)
{
	return trust->seen.cluster;
}

struct trust *trust_free(struct trust *trust)
{
	if (!trust)
		return NULL;
	netmap_free(trust->netmap);
	mesh_log_free(trust->log);
	free(trust);
	return NULL;
}

/* --- what was believed before --- */

static int read_fields(const json_t *json, struct seen *seen, struct err *err)
{
	int r;

	if ((r = field_get_nonzero_key(json, "root", seen->root, err)) ||
		(r = json_get_u64(json, "seq", RECORD_SEQ_MAX, &seen->seq, err)) ||
		(r = field_get_key(json, "hash", seen->hash, err)) ||
		(r = json_get_u64(json, "cluster", INT64_MAX, &seen->cluster, err)))
		return field_refuse_missing(r, err);
	return 0;
}

/* Nothing is believed of another mesh, where the board was before, nor where there is no file. */
static int read_seen(
	const struct paths *paths, const uint8_t *root, struct seen *ret, struct err *err)
{
	char path[PATH_TEXT_MAX];
	struct seen seen = { 0 };
	struct err why = { 0 };
	CLEANUP_JSON json_t *json =
		json_read_file(paths_join(paths->etc, "trust.json", path), FILE_MAX, &why);
	int r = json ? read_fields(json, &seen, &why) : why.code;

	if (r < 0 && r != -ENOENT)
		return err_set(err, -EBADMSG,
			"%s, where root of this board keeps how far it has believed the mesh's "
			"log, cannot be used: %.300s. Move it away if you know why",
			path, why.text);
	if (r < 0 || memcmp(seen.root, root, sizeof(seen.root)) != 0)
		seen = (struct seen){ 0 };
	memcpy(seen.root, root, sizeof(seen.root));
	*ret = seen;
	return 0;
}

static void raise(struct seen *to, const struct seen *from)
{
	if (from->seq > to->seq) {
		to->seq = from->seq;
		memcpy(to->hash, from->hash, sizeof(to->hash));
	}
	if (from->cluster > to->cluster)
		to->cluster = from->cluster;
}

static int write_seen(const struct paths *paths, const struct seen *seen)
{
	char path[PATH_TEXT_MAX];
	CLEANUP_JSON json_t *json = json_pack("{s:o, s:I, s:o, s:I}", "root", field_key(seen->root),
		"seq", (json_int_t) seen->seq, "hash", field_key(seen->hash), "cluster",
		(json_int_t) seen->cluster);

	return json ? json_write_file(paths_join(paths->etc, "trust.json", path), json, 0644)
		    : -ENOMEM;
}

static int save(struct trust *trust, struct err *err)
{
	struct seen now;
	CLEANUP(close_p) int fd = open(trust->paths.etc, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = fd < 0 || flock(fd, LOCK_EX) < 0 ? -errno : 0;

	if (r < 0)
		return err_set(err, r, "lock %s: %s", trust->paths.etc, strerror(-r));
	r = read_seen(&trust->paths, trust->seen.root, &now, err);
	if (r < 0)
		return r;
	raise(&trust->seen, &now);
	r = write_seen(&trust->paths, &trust->seen);
	return r < 0 ? err_set(err, r, "write %s/trust.json: %s", trust->paths.etc, strerror(-r))
		     : 0;
}

/* --- the log --- */

static int load_log(struct trust *trust, struct err *err)
{
	CLEANUP_BUF struct buf text = { 0 };
	char path[PATH_TEXT_MAX];
	size_t lines, good;
	struct stat st;
	struct err why = { 0 };
	int r = owned_read(paths_join(trust->paths.state, "log", path), LOG_MAX, &text, &st);

	if (r < 0 && r != -ENOENT)
		return err_set(err, r, "read %s: %s", path, strerror(-r));
	/* What does not fit is dropped: it proves nothing. */
	r = mesh_log_load(
		trust->seen.root, buf_str(&text), text.len, &trust->log, &lines, &good, &why);
	if (r == 0)
		r = netmap_follow(trust->netmap, trust->log, NULL, &why);
	return r < 0 ? err_set(err, r, "%s: %s", path, strerror(-r)) : 0;
}

static int check_not_older(const struct trust *trust, struct err *err)
{
	uint64_t head = mesh_log_head(trust->log), seq = trust->seen.seq;
	const uint8_t *hash = mesh_log_hash(trust->log, seq);

	if (head < seq)
		return err_set(err, -ESTALE,
			"the log in %s is proved up to record %" PRIu64
			", and root of this board has believed %" PRIu64
			" records: it was lost, put back from an old copy, or somebody who is "
			"not root changed it. hearthd gets what is missing from the coordinator; "
			"then try again. If the coordinator itself went back "
			"and is to be believed, move %s/trust.json away",
			trust->paths.state, head, seq, trust->paths.etc);
	if (hash && memcmp(hash, trust->seen.hash, RECORD_HASH_LEN) != 0)
		return err_set(err, -ENOTUNIQ,
			"record %" PRIu64
			" of the log in %s is another than the one that root of this "
			"board has believed: the coordinator was put back from a copy and went on, "
			"or somebody has its signing key. "
			"If it is to be believed, move %s/trust.json away",
			seq, trust->paths.state, trust->paths.etc);
	return 0;
}

static int keep_log(struct trust *trust, struct err *err)
{
	uint64_t head = mesh_log_head(trust->log);

	if (head == trust->seen.seq)
		return 0;
	trust->seen.seq = head;
	memcpy(trust->seen.hash, mesh_log_head_hash(trust->log), RECORD_HASH_LEN);
	return save(trust, err);
}

int trust_open(const struct paths *paths, const uint8_t root[static RECORD_HASH_LEN], bool keep,
	struct trust **ret, struct err *err)
{
	CLEANUP_TRUST struct trust *trust = calloc(1, sizeof(*trust));
	int r;

	if (!trust || !(trust->netmap = netmap_new()))
		return err_set(err, -ENOMEM, "out of memory");
	trust->paths = *paths;
	if ((r = read_seen(paths, root, &trust->seen, err)) || (r = load_log(trust, err)) ||
		(r = check_not_older(trust, err)) || (keep && (r = keep_log(trust, err))))
		return r;
	*ret = TAKE(trust);
	return 0;
}

int trust_keep_cluster(struct trust *trust, uint64_t seq, struct err *err)
{
	if (seq <= trust->seen.cluster)
		return 0;
	trust->seen.cluster = seq;
	return save(trust, err);
}
