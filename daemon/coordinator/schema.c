/*
 * schema: see schema.h. A migration that has been released is never edited; the next one is added.
 */
#include "coordinator/schema.h"

#include "base/cleanup.h"

static const char *const migrations[] = {
	"CREATE TABLE meta(key TEXT PRIMARY KEY NOT NULL, value BLOB NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE log(key INTEGER PRIMARY KEY, value BLOB NOT NULL);"
	"CREATE TABLE tokens(key TEXT PRIMARY KEY NOT NULL, value BLOB NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE uses(key TEXT PRIMARY KEY NOT NULL, value BLOB NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE presence(key INTEGER PRIMARY KEY, value BLOB NOT NULL);",
};

static const char *const tables[] = {
	[TABLE_META] = "meta",
	[TABLE_LOG] = "log",
	[TABLE_TOKENS] = "tokens",
	[TABLE_USES] = "uses",
	[TABLE_PRESENCE] = "presence",
};

const struct store_schema schema_coordinator = {
	.application_id = 0x48525448, /* "HRTH" */
	.what = "the coordinator's database",
	.migrations = migrations,
	.n_migrations = ARRAY_LEN(migrations),
	.tables = tables,
	.n_tables = ARRAY_LEN(tables),
};
