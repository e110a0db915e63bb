/*
 * trust: what root of this board believes of its mesh. The log lies in hearthd's directory, so to
 * root it is bytes of somebody unprivileged. Believed is what is signed, from the root key on whose
 * hash root wrote down when the board was enrolled, and never less than root has believed before:
 * how far that was is in a file of root's,
 *
 *	ETC/trust.json	{"root":"<root hash>", "seq":17, "hash":"<of record 17>",
 *			 "cluster":1795000000}
 *
 * cluster: the highest sequence of a cluster document that root acted upon (PROTOCOL.md section 8),
 * 0 none.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "board/config.h"
#include "mesh/netmap.h"

struct trust;

/*
 * Reads the log in @paths' state directory, up to where it is proved by the root key of hash @root.
 * 0, or the log is not believed: -ESTALE it ends before what was believed, -ENOTUNIQ it is another,
 * what owned_read() says of one that is no plain file; -EBADMSG ETC/trust.json is damaged; -ENOMEM.
 * @keep: what is believed now is written down; -errno if it cannot be. (Not for a dry run.)
 */
int trust_open(const struct paths *paths, const uint8_t root[static RECORD_HASH_LEN], bool keep,
	struct trust **ret, struct err *err);
/* NULL is fine. Returns NULL. */
struct trust *trust_free(struct trust *trust);
static inline void trust_free_p(struct trust **trust)
{
	trust_free(*trust);
}
#define CLEANUP_TRUST CLEANUP(trust_free_p)

/* Borrowed. That log, and what the mesh is by it: without settings while it is empty. */
const struct mesh_log *trust_log(const struct trust *trust);
const struct netmap *trust_netmap(const struct trust *trust);

uint64_t trust_cluster(const struct trust *trust);
/* A cluster document of sequence @seq was acted upon: written down. 0 or -errno. */
int trust_keep_cluster(struct trust *trust, uint64_t seq, struct err *err);
