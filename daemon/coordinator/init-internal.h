/*
 * init-internal: what the files of init share.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "board/keys.h"
#include "coordinator/names.h"
#include "sys/store/store.h"
#include "sys/x509/x509.h"
#include "wire/record.h"
#include "wire/settings.h"

struct init {
	const char *state_dir, *user;
	char root_dir[COORD_PATH_MAX - 32]; /* a file's name fits behind it */
	char existing
		[FIELD_NAME_MAX];  /* the mesh that is here; "": none; "?": it is being served */
	struct store_batch *batch; /* the first records, until they are written */
	char *certificate;
	struct settings settings;
	uint16_t port;
	bool has_urls, if_needed, dry_run, allow_public;
	uint8_t root_seed[KEYS_SEED_LEN], signing_seed[KEYS_SEED_LEN], tls_seed[KEYS_SEED_LEN];
	uint8_t root_key[RECORD_KEY_LEN], root_hash[RECORD_HASH_LEN];
	char pin[X509_PIN_TEXT_LEN];
};

/*
 * What was asked for, on top of what @i holds. 0 to go on, -1 when all was said, else the exit
 * status.
 */
int init_read_options(struct init *i, int argc, char **argv);
/* Says why it fails, and how it is used if that is why (USAGE_STATUS). Returns @status. */
int init_fail(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));
