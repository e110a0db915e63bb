/*
 * added: hosts of which an administrator said that a relay is found there (`hearth relay add`). Of
 * one that nobody has enrolled yet only the host is known; once a relay of the mesh is met there,
 * which holds the key of its record, that record says the host (PROTOCOL.md section 7), and goes on
 * saying it whatever else the relay says of itself. Pure: the caller stores documents and passes
 * the time. Times are seconds since 1970.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "wire/node-relay.h"

enum {
	ADDED_MAX = 8,
	ADDED_KEEP_S = 24 * 3600, /* one that no record says is forgotten after that */
};

struct added {
	char host[FIELD_HOST_MAX];
	uint16_t port; /* TCP */
	uint64_t since;
	bool recorded;              /* the record of the relay with @pin says it */
	uint8_t pin[FIELD_KEY_LEN]; /* zero unless it is recorded, or was met */
	/* Addresses that this relay goes on saying, though it was not found there any more. */
	char gone[NODE_RELAY_HOSTS_MAX][FIELD_HOST_MAX];
	size_t n_gone;
	/* Not stored. */
	bool met;          /* a relay with @pin keeps our connections there, now */
	uint32_t watch;    /* by which whoever tries it knows it; 0: it has none yet */
	uint64_t leave_us; /* until then its connections stay, though it is recorded */
	uint64_t again_us; /* until then it is tried, though it is recorded */
	bool is_other;     /* one with this key was met there then */
	uint8_t other[FIELD_KEY_LEN];
	char problem[ERR_TEXT_MAX]; /* why it is not met; "": nobody knows yet */
};

/* Zero-initialise. The oldest first. */
struct added_list {
	struct added list[ADDED_MAX];
	size_t n;
};

/* As stored. 0, -EINVAL. */
int added_from_json(const json_t *json, struct added_list *ret, struct err *err);
json_t *added_to_json(const struct added_list *added);

/* NULL: it was not added. Borrowed until one is dropped. */
struct added *added_find(struct added_list *added, const char *host);
/* The same, as the last one; -ENOSPC: there are ADDED_MAX. */
int added_push(struct added_list *added, const char *host, uint16_t port, uint64_t now);
void added_drop(struct added_list *added, const char *host);

/*
 * @entry, which is met, is recorded from now on, and its relay is not found at @gone any more:
 * added ones of the same relay that are among these are dropped.
 */
void added_record(struct added_list *added, const char *host,
	const uint8_t pin[static FIELD_KEY_LEN], const char (*gone)[FIELD_HOST_MAX], size_t n_gone);

/* Another relay than the recorded one is there: as if it had been added @now. */
void added_turn(struct added *entry, uint64_t now);

/*
 * What the record of a relay says that says @relay of itself: the added hosts that are its, the
 * newest first, then its own, without those that are gone; as many as a record has room for.
 */
void added_apply(const struct added_list *added, struct node_relay *relay);
/*
 * The same of a record, once @host was dropped from @added: what was gone because of it is back. No
 * hosts: there was no other.
 */
void added_unapply(
	const struct added_list *added, const struct added *dropped, struct node_relay *relay);
