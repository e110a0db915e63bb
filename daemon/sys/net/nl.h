/*
 * nl: one rtnetlink socket, synchronous: a request goes out, its answer is read to the end, the
 * kernel's own sentence (extended acknowledgement) comes back in struct err.
 *
 * A socket belongs to the network namespace in which the calling thread was when it was opened and
 * stays there: to act in another namespace, setns(), nl_open(), and go back (or not).
 * Not shared between threads. The modules link, addr, route and neigh are made of this.
 */
#pragma once

#include <libmnl/libmnl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/ip.h"

struct nl;

int nl_open(struct nl **ret, struct err *err);
/* The same for another of the kernel's protocols: NETLINK_NETFILTER. */
int nl_open_protocol(int protocol, struct nl **ret, struct err *err);
struct nl *nl_close(struct nl *nl);
static inline void nl_close_p(struct nl **nl)
{
	*nl = nl_close(*nl);
}
#define CLEANUP_NL CLEANUP(nl_close_p)

/*
 * Starts a request in the socket's one send buffer: header and @family_len zeroed bytes of the
 * family's own header, borrowed until the next nl_start(). NLM_F_REQUEST and NLM_F_ACK are set
 * (without NLM_F_ACK for dumps).
 */
struct nlmsghdr *nl_start(
	struct nl *nl, uint16_t type, uint16_t flags, size_t family_len, void **ret_family);

/* Attributes; a request that grows too large fails in nl_ask() with -EMSGSIZE. */
void nl_put(struct nl *nl, struct nlmsghdr *nlh, uint16_t type, const void *data, size_t len);
void nl_put_u8(struct nl *nl, struct nlmsghdr *nlh, uint16_t type, uint8_t value);
void nl_put_u32(struct nl *nl, struct nlmsghdr *nlh, uint16_t type, uint32_t value);
void nl_put_str(struct nl *nl, struct nlmsghdr *nlh, uint16_t type, const char *text);
void nl_put_addr(struct nl *nl, struct nlmsghdr *nlh, uint16_t type, const struct ip_addr *addr);
/* Opens a nested attribute (with NLA_F_NESTED). NULL when full; nl_nest_end() accepts that. */
struct nlattr *nl_nest(struct nl *nl, struct nlmsghdr *nlh, uint16_t type);
void nl_nest_end(struct nlmsghdr *nlh, struct nlattr *nest);
/* Room for a header inside a nest, zeroed. NULL when full. */
void *nl_put_raw(struct nl *nl, struct nlmsghdr *nlh, size_t len);

/*
 * The next whole message of a received datagram: *@at and *@left move behind it. NULL at the end or
 * where the rest is no message. @at is aligned as struct nlmsghdr.
 */
const struct nlmsghdr *nl_next(const void **at, size_t *left);

/* Called for each message of an answer. A negative result ends the reading and is returned. */
typedef int nl_each(void *ctx, const struct nlmsghdr *nlh);

/*
 * Sends the request and reads its answer to the end (acknowledgement, error, or end of the dump).
 * @each may be NULL. Returns 0 or the kernel's -errno, with "what: why" in @err. -EINTR: the dump
 * was changed while it was read (nl_collect() asks again by itself).
 */
int nl_ask(struct nl *nl, struct nlmsghdr *nlh, nl_each *each, void *ctx, struct err *err);

/* Fills @item from @nlh: 1 keep, 0 skip, or -errno. */
typedef int nl_parse(void *ctx, const struct nlmsghdr *nlh, void *item);

/*
 * Dumps into an array of items of @size bytes, heap, the caller frees (NULL if there are none).
 * At most NL_ITEMS_MAX: -E2BIG.
 */
enum { NL_ITEMS_MAX = 1 << 20 };
int nl_collect(struct nl *nl, struct nlmsghdr *nlh, size_t size, nl_parse *parse, void *ctx,
	void **ret, size_t *ret_n, struct err *err);

/*
 * Attributes of a received message behind @family_len bytes, by type; those above @max are
 * skipped. -EBADMSG if the message is shorter than it must be.
 */
int nl_attrs(const struct nlmsghdr *nlh, size_t family_len, const struct nlattr **ret, size_t max);
int nl_attrs_nested(const struct nlattr *nest, const struct nlattr **ret, size_t max);

/* Values out of attributes that may be absent (NULL) or too short: then @fallback or empty. */
uint32_t nl_get_u32(const struct nlattr *attr, uint32_t fallback);
uint8_t nl_get_u8(const struct nlattr *attr, uint8_t fallback);
void nl_get_str(const struct nlattr *attr, char *ret, size_t size); /* cut if too long */
/* AF_UNSPEC if absent or of the wrong length for @family. */
struct ip_addr nl_get_addr(const struct nlattr *attr, uint8_t family);
