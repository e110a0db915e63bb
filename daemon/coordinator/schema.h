/*
 * schema: the tables of the coordinator's database.
 */
#pragma once

#include "sys/store/store.h"

enum schema_table {
	TABLE_META,     /* text -> text: "root" (the root hash), "urls" (given or found), "kube",
			   "added" (added.h) */
	TABLE_LOG,      /* sequence -> record */
	TABLE_TOKENS,   /* token id -> grant (tokens.h) */
	TABLE_USES,     /* "<token id> <identity key>" -> {"node", "at"} */
	TABLE_PRESENCE, /* node id -> presence document */
};

extern const struct store_schema schema_coordinator;
