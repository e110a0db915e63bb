/*
 * names: the subject of the mesh's names in the hosts file of this board. hearth-helper writes them
 * there, only such as it finds proved in our log on disk; what others do to that file is seen and
 * put right.
 *
 * Its problems: "helper", they are not written; "hosts", somebody keeps removing them; "names", a
 * line further up counts.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "node/core.h"

struct names;

struct names_hooks {
	/* Whether this board is in the mesh; if not, there are no names. */
	bool (*is_up)(const void *ctx);
	/* Whether IPv6 leads to node @id, ourselves included. */
	bool (*has_ipv6)(const void *ctx, uint32_t id);
};

/* @core and @hooks are borrowed. NULL: out of memory. */
struct names *names_new(struct core *core, const struct names_hooks *hooks, void *ctx);
struct names *names_free(struct names *names);

/* Has those of now written; @again: also if they are the ones of last time. */
void names_write(struct names *names, bool again);
/* Are they where they were put? Looks soon. */
void names_look(struct names *names);
/*
 * Our log is on the disk, all of it (@saved), or it cannot be: what waited for that is asked for.
 */
void names_log_settled(struct names *names, bool saved);

/* Again what failed, when its pause is over or something has changed. */
void names_retry(struct names *names);
/* Without that pause. */
void names_hurry(struct names *names);
