/*
 * leases-internal: what the files of the store share. leases-dir.c opens the directory, locks it
 * and changes the files in it; leases-choose.c finds a free address; leases.c keeps leases with
 * both.
 */
#pragma once

#include <limits.h>

#include "base/buf.h"
#include "sys/lease/leases.h"

enum { BOOT_ID_MAX = 40 };

struct leases {
	int dir, lock;
	int held; /* the file of the lease that was taken, locked; -1 none */
	uint64_t netns;
	char boot[BOOT_ID_MAX];
	char path[PATH_MAX];
};

/* --- leases-dir.c: each returns 0 or -errno unless it says otherwise --- */

/* Appends what file @name holds to @ret. -EBADMSG: no plain file, or more than @max bytes. */
int leases_read(const struct leases *store, const char *name, size_t max, struct buf *ret);
/* A new file ".new" holding @text. What an interrupted call left under that name goes away. */
int leases_write_new(const struct leases *store, const char *text, size_t len);
/* The file @name is @text afterwards, or what it was. */
int leases_replace(const struct leases *store, const char *name, const char *text, size_t len);
/* 0 also if there is none. */
int leases_remove(const struct leases *store, const char *name);
/* Whether @a and @b are two names of one file. */
bool leases_is_same_file(const struct leases *store, const char *a, const char *b);
/*
 * Calls @each with every name that is @wanted, until one call does not return 0; that is returned.
 */
int leases_each(struct leases *store, bool (*wanted)(const char *name),
	int (*each)(struct leases *store, void *ctx, const char *name), void *ctx);

/* Waits up to ten seconds, then -ETIMEDOUT. */
int leases_lock(struct leases *store, struct err *err);
/* -EAGAIN: somebody has it. */
int leases_try_lock(struct leases *store, struct err *err);
void leases_unlock(struct leases *store);
void leases_pause_us(uint64_t us);

/* --- leases.c --- */

/* The file's lease. -EBADMSG: it holds none; -ESTALE: one of another boot. */
int leases_read_lease(struct leases *store, const char *name, struct lease *ret);
/* Removes its files, under the lock. */
int leases_remove_lease(struct leases *store, const struct lease *lease);
/*
 * Locks the lease @key for one that works on it, or (@alone) to see that nobody does: -EAGAIN. A
 * descriptor.
 */
int leases_hold(const struct leases *store, const char *key, bool alone);
/* A key or an address. */
bool leases_is_lease_name(const char *name);

/* --- leases-forgotten.c --- */

/* Notes where the pod is, and for which run of containerd it is made. */
void leases_note_origin(struct lease *lease, const struct lease_owner *owner);
/* A text that is another when containerd was started anew; "": there is none here. */
void leases_runtime(char ret[static LEASES_RUNTIME_MAX]);
/* containerd made it in an earlier run than @runtime, and does not know it any more. */
bool leases_is_forgotten(const struct lease *lease, const char *runtime);
/* Nothing of a run before @runtime is left to look after. Under the lock. */
void leases_runtime_settled(struct leases *store, const char *runtime);

/* --- leases-choose.c: all of it under the lock --- */

/* One search. From init() to done(), which takes one that is all zero, too. */
struct leases_choice {
	struct leases *store;
	struct buf released, next; /* the files of these names */
	struct buf new_next;       /* lines for the latter */
	uint64_t now_us;
	uint64_t wait_us; /* the shortest wait that would have helped, 0 none */
};

void leases_choice_init(struct leases *store, struct leases_choice *ret);
void leases_choice_done(struct leases_choice *c);

/*
 * Adds to @lease one address of each family for which there is a range; wanted ones first. -EAGAIN:
 * there will be one after @c->wait_us; -EADDRINUSE and -ENOSPC as leases_take().
 */
int leases_choice_make(struct leases_choice *c, const struct ip_prefix *subnets, size_t n_subnets,
	const struct ip_addr *want, size_t n_want, struct lease *lease, struct err *err);
/* The addresses were leased: the next search goes on behind them. */
void leases_choice_keep(struct leases_choice *c);

/* The addresses of @lease are given back: they rest a while. */
void leases_note_released(struct leases *store, const struct lease *lease);

/* --- leases-choose.c: the lines of its two files, which hearthd's user may have written --- */

/* "released", lines "ADDRESS MICROSECONDS": appends those that are younger than the delay. */
void leases_lines_released(const char *text, uint64_t now_us, struct buf *ret);
/* Of such: when @addr may be used again. 0 now, else microseconds to wait. */
uint64_t leases_lines_rest_us(const char *released, const char *addr, uint64_t now_us);
/* "next", lines "SUBNET INDEX": where the search in @subnet goes on, @first if it is not known. */
uint64_t leases_lines_next(const char *text, const char *subnet, uint64_t first, uint64_t last);
/* Appends to @lines those of @old that are of other ranges. */
void leases_lines_merge(const char *old, struct buf *lines);
