/*
 * state: the small things hearthd must not forget: its keys (made by enroll-node), the UDP port it
 * got, the counter of its presence, how far handshake timestamps may have been used.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "board/write.h"
#include "wire/fields.h"

struct state {
	uint16_t port;                /* in use last, 0: none yet */
	uint16_t port_wanted;         /* what the configuration said then */
	uint64_t counter;             /* numbers of presences up to here may have been used */
	char kube_done[FIELD_ID_MAX]; /* the join bundle that was carried out last, "" none */
};

/*
 * The number of the next presence: above *@last, the last one used, and above @known, the highest
 * one that others have. True: it is *@last now, for those up to @durable are reserved on the disk.
 * False: @state reserves it, and so many more that this is seldom, but must be on the disk first.
 * state_settle(): none of them is used any more, for an orderly end; true if that is news.
 */
bool state_take_counter(struct state *state, uint64_t durable, uint64_t known, uint64_t *last);
bool state_settle(struct state *state, uint64_t last);

/* What the file says: 0, or -EINVAL with @err and nothing in @ret. */
int state_from_json(const json_t *json, struct state *ret, struct err *err);
json_t *state_to_json(const struct state *state);

/*
 * Reads @path. An absent file is an empty state. A damaged one, too, and then -EBADMSG is returned
 * with a sentence: nothing in it is worth not starting.
 */
int state_load(const char *path, struct state *ret, struct err *err);
bool state_equal(const struct state *a, const struct state *b);
/* What to write to @path; NULL when out of memory, as of what follows. */
struct write *state_write(const char *path, const struct state *state);

/*
 * One hearthd at a time works on the directory @dir: a descriptor that the caller keeps open as
 * long as it does, or -EBUSY (after two seconds, for the other may be ending) with what to do,
 * -ENOENT ... with @err.
 */
int state_lock(const char *dir, struct err *err);

/* A key file: one line of base64. -ENOENT, -EINVAL, -EPERM (others may read it), with @err. */
int state_read_key(const char *path, uint8_t ret_key[static FIELD_KEY_LEN], struct err *err);

/* What to write to the key file because it is not there; NULL if it is. */
struct write *state_keep_key(const char *path, const uint8_t key[static FIELD_KEY_LEN]);

/*
 * Seconds since 1970 in a file of their own, because the tunnel's thread writes them. 0 if absent.
 */
uint64_t state_read_timestamp(const char *path);
/* What the file says: 0 for anything but digits and the end of the line. */
uint64_t state_parse_timestamp(const char *text, size_t len);
struct write *state_write_timestamp(const char *path, uint64_t until_s);
