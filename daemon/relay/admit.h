/*
 * admit: asks hearthd on this board, all the time, who the mesh's members are (PROTOCOL.md section
 * 9, the call `members`). While hearthd is away the last answer counts; without one nobody is
 * admitted.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "base/json.h"
#include "relay/core.h"
#include "wire/node-relay.h"
#include "wire/settings.h"

struct admit;

struct admit_hooks {
	/* Members or ranges are others than before. */
	void (*changed)(void *ctx);
	/* What hearthd is told of who reached us (wire/reached.h), a new document. NULL: nothing */
	json_t *(*reached)(void *ctx);
};

/* What hearthd answers. Zero-initialise. */
struct admit_answer {
	uint64_t seq;
	struct relay_member *members; /* owned */
	size_t n_members;
	struct ip_prefix ranges[SETTINGS_RANGES]; /* of the mesh: nothing is relayed to and from */
	size_t n_ranges;
	uint8_t pins[FIELD_PINS_MAX + 1][FIELD_KEY_LEN]; /* of coordinators */
	size_t n_pins;
	char hosts[NODE_RELAY_HOSTS_MAX][FIELD_HOST_MAX]; /* at which the log finds this relay */
	size_t n_hosts;
};
void admit_answer_done(struct admit_answer *answer);
#define CLEANUP_ADMIT_ANSWER CLEANUP(admit_answer_done)
/* 0, -EINVAL, -ENOMEM. */
int admit_answer_read(const json_t *json, struct admit_answer *ret, struct err *err);

/* Begins to ask at @path, hearthd's socket (copied). @core is borrowed. */
int admit_new(struct relay_core *core, const char *path, const struct admit_hooks *hooks, void *ctx,
	struct admit **ret, struct err *err);
struct admit *admit_free(struct admit *admit);

/* The mesh's ranges. Borrowed until changed(). */
const struct ip_prefix *admit_ranges(const struct admit *admit, size_t *ret_n);
/* By which its coordinators are known. Borrowed until changed(). */
const uint8_t (*admit_pins(const struct admit *admit, size_t *ret_n))[FIELD_KEY_LEN];
/* Where the log finds this relay. Borrowed until changed(). */
const char (*admit_hosts(const struct admit *admit, size_t *ret_n))[FIELD_HOST_MAX];
/* Why the members are not known, or may be others by now; "": they are known. Borrowed. */
const char *admit_problem(const struct admit *admit);
