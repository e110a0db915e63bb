/*
 * db: see db.h. SQLite's codes become negative errno and a sentence here. A database that is
 * damaged is never repaired or replaced on our own: it is reported and left as it is.
 */
#include "sys/store/db.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

struct db {
	sqlite3 *db;
	int lock_fd;
	char *path;
	const struct store_schema *schema;
	sqlite3_stmt **statements; /* three for each table */
};

const char *db_path(const struct db *s)
{
	return s->path;
}

static int code_of(sqlite3 *db, int rc)
{
	switch (rc & 0xff) {
	case SQLITE_OK:
	case SQLITE_DONE:
	case SQLITE_ROW:
		return 0;
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EBUSY;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return -EBADMSG;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_CONSTRAINT:
		return -EEXIST;
	case SQLITE_READONLY:
	case SQLITE_PERM:
	case SQLITE_AUTH:
		return -EACCES;
	case SQLITE_CANTOPEN:
	case SQLITE_IOERR: {
		int e = db ? sqlite3_system_errno(db) : 0;

		return e == ENOSPC || e == EDQUOT ? -ENOSPC : e == EACCES ? -EACCES : -EIO;
	}
	default:
		return -EIO;
	}
}

static int explain(struct db *s, int rc, const char *doing, struct err *err)
{
	int r = code_of(s->db, rc);

	switch (r) {
	case -ENOSPC:
		return err_set(err, r,
			"%s: %s: the disk is full. "
			"Nothing was changed; free some space and try again.",
			s->path, doing);
	case -EBUSY:
		return err_set(err, r, "%s: another process has it open: stop that first", s->path);
	case -EBADMSG:
		return err_set(err, r,
			"%s: %s: the file is damaged (%s). "
			"It was left as it is; restore %s from a copy.",
			s->path, doing, sqlite3_errstr(rc), s->schema->what);
	case -EACCES:
		return err_set(
			err, r, "%s: %s: no permission to read and write it", s->path, doing);
	default:
		return err_set(err, r, "%s: %s: %s", s->path, doing,
			s->db ? sqlite3_errmsg(s->db) : sqlite3_errstr(rc));
	}
}

static int run_sql(struct db *s, const char *sql, const char *doing, struct err *err)
{
	int rc = sqlite3_exec(s->db, sql, NULL, NULL, NULL);

	return rc == SQLITE_OK ? 0 : explain(s, rc, doing, err);
}

static int read_number(struct db *s, const char *sql, sqlite3_int64 *ret, struct err *err)
{
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(s->db, sql, -1, &st, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_step(st);
	if (rc == SQLITE_ROW)
		*ret = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	return rc == SQLITE_ROW ? 0 : explain(s, rc, "read its header", err);
}

static int check_whole(struct db *s, struct err *err)
{
	sqlite3_stmt *st = NULL;
	int r = 0;
	int rc = sqlite3_prepare_v2(s->db, "PRAGMA quick_check(1)", -1, &st, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_step(st);
	if (rc != SQLITE_ROW)
		r = explain(s, rc, "check it", err);
	else if (strcmp((const char *) sqlite3_column_text(st, 0), "ok") != 0)
		r = explain(s, SQLITE_CORRUPT, "check it", err);
	sqlite3_finalize(st);
	return r;
}

static int migrate(struct db *s, struct err *err)
{
	sqlite3_int64 version = 0, application = 0;
	char sql[128];
	int r = read_number(s, "PRAGMA user_version", &version, err);

	if (r == 0)
		r = read_number(s, "PRAGMA application_id", &application, err);
	if (r < 0)
		return r;
	if (version && application != (sqlite3_int64) s->schema->application_id)
		return err_set(err, -EBADMSG, "%s: this is a database, but not %s", s->path,
			s->schema->what);
	if (version < 0 || version > (sqlite3_int64) s->schema->n_migrations)
		return err_set(err, -EPROTONOSUPPORT,
			"%s: written by a newer program (format %lld, this one knows up to %zu). "
			"Install that version again, or restore an older copy.",
			s->path, (long long) version, s->schema->n_migrations);
	for (; version < (sqlite3_int64) s->schema->n_migrations && r == 0; version++) {
		snprintf(sql, sizeof(sql),
			"PRAGMA user_version=%lld; PRAGMA application_id=%u; COMMIT",
			(long long) version + 1, s->schema->application_id);
		r = run_sql(s, "BEGIN IMMEDIATE", "bring it to the new format", err);
		if (r == 0)
			r = run_sql(s, s->schema->migrations[version], "bring it to the new format",
				err);
		if (r == 0)
			r = run_sql(s, sql, "bring it to the new format", err);
	}
	return r;
}

static int prepare(struct db *s, struct err *err)
{
	static const char *const forms[] = {
		[OP_INSERT] = "INSERT INTO \"%w\"(key, value) VALUES(?1, ?2)",
		[OP_PUT] = "INSERT OR REPLACE INTO \"%w\"(key, value) VALUES(?1, ?2)",
		[OP_DELETE] = "DELETE FROM \"%w\" WHERE key = ?1",
	};

	s->statements = calloc(s->schema->n_tables * ARRAY_LEN(forms), sizeof(*s->statements));
	if (!s->statements)
		return err_set(err, -ENOMEM, "%s: out of memory", s->path);
	for (size_t t = 0; t < s->schema->n_tables; t++)
		for (size_t k = 0; k < ARRAY_LEN(forms); k++) {
			char *sql = sqlite3_mprintf(forms[k], s->schema->tables[t]);
			int rc = sql ? sqlite3_prepare_v3(s->db, sql, -1, SQLITE_PREPARE_PERSISTENT,
					       &s->statements[t * ARRAY_LEN(forms) + k], NULL)
				     : SQLITE_NOMEM;

			sqlite3_free(sql);
			if (rc != SQLITE_OK)
				return explain(s, rc, "prepare it", err);
		}
	return 0;
}

struct db *db_close(struct db *s)
{
	if (!s)
		return NULL;
	for (size_t i = 0; s->statements && i < s->schema->n_tables * 3; i++)
		sqlite3_finalize(s->statements[i]);
	free(s->statements);
	sqlite3_close(s->db);
	close_p(&s->lock_fd);
	free(s->path);
	free(s);
	return NULL;
}

static int open_database(struct db *s, bool create, struct err *err)
{
	/*
	 * SQLite makes its files with 0644 & ~umask: make it ourselves, it copies the mode to the
	 * WAL.
	 */
	s->lock_fd = open(s->path, O_RDWR | O_CLOEXEC | (create ? O_CREAT : 0), 0600);
	if (s->lock_fd < 0)
		return err_set(err, -errno, "%s %s: %m", create ? "make" : "open", s->path);
	/*
	 * One process at a time, but copies (sqlite3 .backup) may be made meanwhile: our own lock
	 * beside SQLite's, which are of another kind. The descriptor stays open until SQLite has
	 * closed: closing any descriptor of a file drops the locks of SQLite's kind.
	 */
	if (flock(s->lock_fd, LOCK_EX | LOCK_NB) < 0)
		return explain(
			s, errno == EWOULDBLOCK ? SQLITE_BUSY : SQLITE_IOERR, "lock it", err);
	int rc = sqlite3_open_v2(s->path, &s->db,
		SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);

	if (rc != SQLITE_OK)
		return explain(s, rc, "open it", err);
	sqlite3_limit(s->db, SQLITE_LIMIT_ATTACHED, 0);
	int r = run_sql(s,
		"PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON; PRAGMA journal_mode=WAL;"
		"PRAGMA synchronous=FULL; PRAGMA journal_size_limit=4194304;"
		"PRAGMA temp_store=MEMORY; BEGIN IMMEDIATE; COMMIT",
		"open it", err);

	if (r == 0)
		r = check_whole(s, err);
	if (r == 0)
		r = migrate(s, err);
	if (r == 0)
		r = prepare(s, err);
	return r;
}

int db_open(const char *path, const struct store_schema *schema, bool create, struct db **ret,
	struct err *err)
{
	struct db *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return err_set(err, -ENOMEM, "%s: out of memory", path);
	s->schema = schema;
	s->lock_fd = -1;
	s->path = strdup(path);
	r = s->path ? open_database(s, create, err) : err_set(err, -ENOMEM, "out of memory");
	if (r < 0) {
		db_close(s);
		return r;
	}
	*ret = s;
	return 0;
}

int db_each(struct db *s, size_t table, store_row_fn row, void *ctx, struct err *err)
{
	sqlite3_stmt *st = NULL;
	int r = 0, rc;
	char *sql = sqlite3_mprintf(
		"SELECT key, value FROM \"%w\" ORDER BY key", s->schema->tables[table]);

	rc = sql ? sqlite3_prepare_v2(s->db, sql, -1, &st, NULL) : SQLITE_NOMEM;
	sqlite3_free(sql);
	while (rc == SQLITE_OK || rc == SQLITE_ROW) {
		rc = sqlite3_step(st);
		if (rc != SQLITE_ROW)
			break;
		const void *value = sqlite3_column_blob(st, 1);
		size_t len = (size_t) sqlite3_column_bytes(st, 1);

		r = row(ctx, (const char *) sqlite3_column_text(st, 0), value ? value : "", len);
		if (r)
			break;
	}
	if (r == 0 && rc != SQLITE_DONE)
		r = explain(s, rc, "read it", err);
	sqlite3_finalize(st);
	return r;
}

static int run_op(struct db *s, const struct op *op)
{
	sqlite3_stmt *st = s->statements[op->table * 3 + (size_t) op->kind];
	int rc = sqlite3_bind_text(st, 1, op->key, -1, SQLITE_STATIC);

	if (rc == SQLITE_OK && op->kind != OP_DELETE)
		rc = sqlite3_bind_blob64(st, 2, op->value, op->len, SQLITE_STATIC);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(st);
	(void) sqlite3_reset(st); /* repeats the step's error */
	(void) sqlite3_clear_bindings(st);
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static void run_batch(struct db *s, struct store_batch *b)
{
	int rc = SQLITE_OK;

	if (b->failed) {
		b->result = err_set(&b->err, -ENOMEM, "out of memory");
		return;
	}
	b->result = run_sql(s, "SAVEPOINT batch", "write", &b->err);
	for (size_t i = 0; i < b->n_ops && b->result == 0; i++) {
		rc = run_op(s, &b->ops[i]);
		if (rc != SQLITE_OK)
			b->result = explain(s, rc, "write", &b->err);
	}
	/*
	 * Some errors (full disk) have ended the whole transaction already: then there is no
	 * savepoint.
	 */
	if (b->result < 0 && !sqlite3_get_autocommit(s->db))
		(void) run_sql(s, "ROLLBACK TO batch", "undo", NULL);
	if (!sqlite3_get_autocommit(s->db))
		(void) run_sql(s, "RELEASE batch", "write", NULL);
}

/* One transaction up to @end. False, with nothing changed, if it could not be had as a whole. */
static bool run_together(
	struct db *s, struct store_batch *list, struct store_batch *end, struct err *err)
{
	int r = run_sql(s, "BEGIN IMMEDIATE", "write", err);

	for (struct store_batch *b = list; b != end && r == 0; b = b->next) {
		run_batch(s, b);
		if (sqlite3_get_autocommit(s->db)) { /* everything so far was rolled back */
			r = -EIO;
			*err = b->err;
		}
	}
	if (r == 0)
		r = run_sql(s, "COMMIT", "write", err);
	if (r < 0 && !sqlite3_get_autocommit(s->db))
		(void) run_sql(s, "ROLLBACK", "undo", NULL);
	return r == 0;
}

void db_run(struct db *s, struct store_batch *list)
{
	struct err err = { 0 };

	if (run_together(s, list, NULL, &err))
		return;
	/* Together they do not fit on the disk: alone, some may. */
	for (struct store_batch *b = list; b; b = b->next) {
		err = (struct err){ 0 };
		b->err = err;
		if (!run_together(s, b, b->next, &err)) {
			b->err = err;
			b->result = err.code ? err.code : -EIO;
		}
	}
}
