/*
 * nft: keeps one nftables table of ours in the kernel: `nft -f -` with plain text, one process per
 * change, on the event loop; and notices when somebody else takes rules out of it (a flushed rule
 * set, a firewall's restart).
 */
#pragma once

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "base/err.h"

struct nft;

/* A transaction ended: @r is 0 or a negative errno, then @err says what nft said. */
typedef void (*nft_done_fn)(void *ctx, int r, const struct err *err);
/*
 * Somebody else may have removed the table or something in it. Called from the loop, also when it
 * was only that too much happened elsewhere: nft_is_whole() tells.
 */
typedef void (*nft_touched_fn)(void *ctx);

/*
 * Watches table @table of family inet (copied). Without the right to watch (no CAP_NET_ADMIN) or
 * without nf_tables in the kernel: -EPERM, -EPROTONOSUPPORT, ... and @err.
 */
int nft_new(sd_event *event, const char *table, nft_done_fn done, nft_touched_fn touched, void *ctx,
	struct nft **ret, struct err *err);

/*
 * Runs @text as one transaction (copied). One runs at a time; while it runs, of further texts only
 * the last is kept, and @done is called once for each text that was run.
 */
int nft_apply(struct nft *nft, const char *text, struct err *err);

/* Whether a transaction is under way. */
bool nft_is_busy(const struct nft *nft);

/*
 * Whether all that the last transaction put into the table is there, as the kernel tells. True
 * while one runs, and where the kernel does not tell.
 */
bool nft_is_whole(struct nft *nft);

/*
 * Whether there is such a table, whoever made it: 1, 0, or -errno where the kernel does not tell.
 */
int nft_is_there(struct nft *nft);

/*
 * Calls @each for the elements of a set that packets fill, each of @len bytes as the kernel has
 * them (an address, a link's name). 0 (also if there is no such set) or -errno; by then some may
 * have been told.
 */
typedef void (*nft_key_fn)(void *ctx, const void *key, size_t len);
int nft_keys(struct nft *nft, const char *set, nft_key_fn each, void *ctx);

/* A transaction under way is ended. NULL is fine. Returns NULL. */
struct nft *nft_free(struct nft *nft);

/* Runs @text and waits for its end, at most 10 s: for command lines. */
int nft_run(const char *text, struct err *err);
