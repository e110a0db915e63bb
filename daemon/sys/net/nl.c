/*
 * nl: see nl.h. Every answer is checked to come from the kernel and to carry our sequence number;
 * a late answer to an earlier request is skipped. Nothing waits longer than NL_TIMEOUT_S.
 */
#include "sys/net/nl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { NL_SEND_MAX = 4096, NL_RECEIVE_MAX = 32768, NL_TIMEOUT_S = 10, NL_DUMP_TRIES = 16 };

struct nl {
	int fd;
	uint32_t seq;
	bool overflow; /* the request did not fit */
	/* Whole messages lie in these, so they are aligned as struct nlmsghdr is. */
	_Alignas(struct nlmsghdr) char send[NL_SEND_MAX];
	_Alignas(struct nlmsghdr) char receive[NL_RECEIVE_MAX];
};

int nl_open(struct nl **ret, struct err *err)
{
	return nl_open_protocol(NETLINK_ROUTE, ret, err);
}

int nl_open_protocol(int protocol, struct nl **ret, struct err *err)
{
	struct sockaddr_nl any = { .nl_family = AF_NETLINK };
	struct timeval timeout = { .tv_sec = NL_TIMEOUT_S };
	CLEANUP_NL struct nl *nl = malloc(sizeof(*nl));
	int one = 1;

	if (!nl)
		return err_set(err, -ENOMEM, "netlink: out of memory");
	nl->seq = 0;
	nl->overflow = false;
	nl->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
	if (nl->fd < 0 || bind(nl->fd, (struct sockaddr *) &any, sizeof(any)) < 0)
		return err_set(err, -errno, "netlink socket: %m");
	/* All three only make answers better; an old kernel without them still answers. */
	(void) setsockopt(nl->fd, SOL_NETLINK, NETLINK_EXT_ACK, &one, sizeof(one));
	(void) setsockopt(nl->fd, SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof(one));
	(void) setsockopt(nl->fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &one, sizeof(one));
	(void) setsockopt(nl->fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	*ret = TAKE(nl);
	return 0;
}

struct nl *nl_close(struct nl *nl)
{
	if (nl && nl->fd >= 0)
		(void) close(nl->fd);
	free(nl);
	return NULL;
}

struct nlmsghdr *nl_start(
	struct nl *nl, uint16_t type, uint16_t flags, size_t family_len, void **ret_family)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(nl->send);

	nl->overflow = false;
	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = (uint16_t) (NLM_F_REQUEST | flags);
	if ((flags & NLM_F_DUMP) != NLM_F_DUMP)
		nlh->nlmsg_flags |= NLM_F_ACK;
	*ret_family = mnl_nlmsg_put_extra_header(nlh, family_len);
	return nlh;
}

void nl_put(struct nl *nl, struct nlmsghdr *nlh, uint16_t type, const void *data, size_t len)
{
	if (!mnl_attr_put_check(nlh, sizeof(nl->send), type, len, data))
		nl->overflow = true;
}

void nl_put_u8(struct nl *nl, struct nlmsghdr *nlh, uint16_t type, uint8_t value)
{
	nl_put(nl, nlh, type, &value, sizeof(value));
}

void nl_put_u32(struct nl *nl, struct nlmsghdr *nlh, uint16_t type, uint32_t value)
{
	nl_put(nl, nlh, type, &value, sizeof(value));
}

void nl_put_str(struct nl *nl, struct nlmsghdr *nlh, uint16_t type, const char *text)
{
	nl_put(nl, nlh, type, text, strlen(text) + 1);
}

void nl_put_addr(struct nl *nl, struct nlmsghdr *nlh, uint16_t type, const struct ip_addr *addr)
{
	nl_put(nl, nlh, type, addr->bytes, ip_bytes(addr->family));
}

struct nlattr *nl_nest(struct nl *nl, struct nlmsghdr *nlh, uint16_t type)
{
	struct nlattr *nest = mnl_attr_nest_start_check(nlh, sizeof(nl->send), type);

	if (!nest)
		nl->overflow = true;
	return nest;
}

void nl_nest_end(struct nlmsghdr *nlh, struct nlattr *nest)
{
	if (nest)
		mnl_attr_nest_end(nlh, nest);
}

void *nl_put_raw(struct nl *nl, struct nlmsghdr *nlh, size_t len)
{
	if (nlh->nlmsg_len + NLMSG_ALIGN(len) > sizeof(nl->send)) {
		nl->overflow = true;
		return NULL;
	}
	return mnl_nlmsg_put_extra_header(nlh, len);
}

/* The kernel's sentence inside an error message, NULL if there is none. Borrowed. */
static const char *ext_ack(const struct nlmsghdr *nlh)
{
	const struct nlmsgerr *e = mnl_nlmsg_get_payload(nlh);

	if (!(nlh->nlmsg_flags & NLM_F_ACK_TLVS))
		return NULL;
	size_t offset = sizeof(*e);

	if (!(nlh->nlmsg_flags & NLM_F_CAPPED) && e->msg.nlmsg_len >= sizeof(e->msg))
		offset += NLMSG_ALIGN(e->msg.nlmsg_len) - sizeof(e->msg);
	const struct nlattr *attrs[NLMSGERR_ATTR_MSG + 1] = { 0 };

	if (nl_attrs(nlh, offset, attrs, NLMSGERR_ATTR_MSG) < 0)
		return NULL;
	const struct nlattr *text = attrs[NLMSGERR_ATTR_MSG];

	return text && mnl_attr_validate(text, MNL_TYPE_NUL_STRING) >= 0 ? mnl_attr_get_str(text)
									 : NULL;
}

/*
 * What the kernel calls an error is above -4096 (its ERR_PTR); anything else is none of ours to
 * negate.
 */
static int errno_of(int code)
{
	return code >= -4095 && code <= 0 ? code : -EBADMSG;
}

static int kernel_error(const struct nlmsghdr *nlh, struct err *err)
{
	const struct nlmsgerr *e = mnl_nlmsg_get_payload(nlh);

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*e))
		return err_set(err, -EBADMSG, "netlink: short answer");
	if (e->error == 0)
		return 0;
	int code = errno_of(e->error);
	const char *why = ext_ack(nlh);

	if (why && *why)
		return err_set(err, code, "%s (%s)", strerror(-code), why);
	return err_set(err, code, "%s", strerror(-code));
}

/* Not mnl_nlmsg_ok(): that takes a length above INT_MAX for a negative one. */
const struct nlmsghdr *nl_next(const void **at, size_t *left)
{
	const struct nlmsghdr *nlh = *at;

	if (*left < sizeof(*nlh) || nlh->nlmsg_len < sizeof(*nlh) || nlh->nlmsg_len > *left)
		return NULL;
	size_t step = NLMSG_ALIGN((size_t) nlh->nlmsg_len);

	if (step > *left)
		step = *left;
	*at = (const char *) *at + step;
	*left -= step;
	return nlh;
}

/* One datagram: 1 the answer is complete, 0 there is more, or -errno. */
static int answer(
	struct nl *nl, size_t n, nl_each *each, void *ctx, bool *interrupted, struct err *err)
{
	const void *at = nl->receive;

	for (const struct nlmsghdr *nlh; (nlh = nl_next(&at, &n));) {
		if (nlh->nlmsg_seq != nl->seq)
			continue;
		if (nlh->nlmsg_flags & NLM_F_DUMP_INTR)
			*interrupted = true;
		if (nlh->nlmsg_type == NLMSG_ERROR) {
			int r = kernel_error(nlh, err);

			return r < 0 ? r : 1;
		}
		if (nlh->nlmsg_type == NLMSG_DONE) {
			/* A dump that failed half-way says so in its last message. */
			int code = mnl_nlmsg_get_payload_len(nlh) >= sizeof(int)
					   ? *(int *) mnl_nlmsg_get_payload(nlh)
					   : 0;

			code = code > 0 ? 0 : errno_of(code);
			return code < 0 ? err_set(err, code, "%s", strerror(-code)) : 1;
		}
		int r = nlh->nlmsg_type >= NLMSG_MIN_TYPE && each ? each(ctx, nlh) : 0;

		if (r < 0)
			return err_set(err, r, "netlink: %s", strerror(-r));
	}
	return 0;
}

int nl_ask(struct nl *nl, struct nlmsghdr *nlh, nl_each *each, void *ctx, struct err *err)
{
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	bool interrupted = false;

	if (nl->overflow)
		return err_set(err, -EMSGSIZE, "netlink: request too large");
	nlh->nlmsg_seq = ++nl->seq;
	if (sendto(nl->fd, nlh, nlh->nlmsg_len, 0, (struct sockaddr *) &kernel, sizeof(kernel)) < 0)
		return err_set(err, -errno, "netlink send: %m");
	for (;;) {
		struct sockaddr_nl from = { 0 };
		struct iovec iov = { nl->receive, sizeof(nl->receive) };
		struct msghdr msg = { .msg_name = &from,
			.msg_namelen = sizeof(from),
			.msg_iov = &iov,
			.msg_iovlen = 1 };
		ssize_t n = recvmsg(nl->fd, &msg, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set(
				err, errno == EAGAIN ? -ETIMEDOUT : -errno, "netlink receive: %m");
		if (from.nl_pid != 0)
			continue; /* another process may write to our socket */
		if (msg.msg_flags & MSG_TRUNC)
			return err_set(err, -EMSGSIZE, "netlink: answer too large");
		int r = answer(nl, (size_t) n, each, ctx, &interrupted, err);

		if (r < 0)
			return r;
		if (r > 0)
			return interrupted ? err_set(err, -EINTR, "netlink: changed while read")
					   : 0;
	}
}

struct collection {
	nl_parse *parse;
	void *ctx;
	char *items;
	size_t size, n, cap;
};

static int collect(void *ctx, const struct nlmsghdr *nlh)
{
	struct collection *c = ctx;

	if (c->n == c->cap) {
		size_t cap = c->cap ? c->cap * 2 : 16;
		char *items = cap <= NL_ITEMS_MAX ? reallocarray(c->items, cap, c->size) : NULL;

		if (!items)
			return cap <= NL_ITEMS_MAX ? -ENOMEM : -E2BIG;
		c->items = items;
		c->cap = cap;
	}
	memset(c->items + c->n * c->size, 0, c->size);
	int r = c->parse(c->ctx, nlh, c->items + c->n * c->size);

	if (r > 0)
		c->n++;
	return r < 0 ? r : 0;
}

int nl_collect(struct nl *nl, struct nlmsghdr *nlh, size_t size, nl_parse *parse, void *ctx,
	void **ret, size_t *ret_n, struct err *err)
{
	struct collection c = { .parse = parse, .ctx = ctx, .size = size };
	int r = -EINTR;

	for (int i = 0; i < NL_DUMP_TRIES && r == -EINTR; i++) {
		c.n = 0;
		r = nl_ask(nl, nlh, collect, &c, err);
	}
	if (r < 0) {
		free(c.items);
		return r;
	}
	*ret = c.items;
	*ret_n = c.n;
	return 0;
}

/* libmnl's own walk trusts the caller to have room; this one takes what lies within @max. */
static int walk(const char *at, size_t left, const struct nlattr **ret, size_t max)
{
	while (left >= sizeof(struct nlattr)) {
		const struct nlattr *attr = (const struct nlattr *) at;

		if (!mnl_attr_ok(attr, (int) left))
			return -EBADMSG;
		uint16_t type = mnl_attr_get_type(attr);

		if (type <= max)
			ret[type] = attr;
		size_t step = MNL_ALIGN(attr->nla_len);

		if (step >= left)
			break;
		at += step;
		left -= step;
	}
	return 0;
}

int nl_attrs(const struct nlmsghdr *nlh, size_t family_len, const struct nlattr **ret, size_t max)
{
	size_t len = mnl_nlmsg_get_payload_len(nlh), skip = MNL_ALIGN(family_len);

	if (len < family_len)
		return -EBADMSG;
	if (len <= skip)
		return 0;
	return walk((const char *) mnl_nlmsg_get_payload(nlh) + skip, len - skip, ret, max);
}

int nl_attrs_nested(const struct nlattr *nest, const struct nlattr **ret, size_t max)
{
	if (!nest)
		return 0;
	return walk(mnl_attr_get_payload(nest), mnl_attr_get_payload_len(nest), ret, max);
}

uint32_t nl_get_u32(const struct nlattr *attr, uint32_t fallback)
{
	uint32_t value = fallback;

	if (attr && mnl_attr_get_payload_len(attr) >= sizeof(value))
		memcpy(&value, mnl_attr_get_payload(attr), sizeof(value));
	return value;
}

uint8_t nl_get_u8(const struct nlattr *attr, uint8_t fallback)
{
	return attr && mnl_attr_get_payload_len(attr) >= 1 ? mnl_attr_get_u8(attr) : fallback;
}

void nl_get_str(const struct nlattr *attr, char *ret, size_t size)
{
	size_t len = attr ? mnl_attr_get_payload_len(attr) : 0;

	if (len > size - 1)
		len = size - 1;
	if (len)
		memcpy(ret, mnl_attr_get_payload(attr), len);
	ret[len] = 0;
}

struct ip_addr nl_get_addr(const struct nlattr *attr, uint8_t family)
{
	struct ip_addr addr = { 0 };

	if (attr && ip_bytes(family) && mnl_attr_get_payload_len(attr) == ip_bytes(family)) {
		addr.family = family;
		memcpy(addr.bytes, mnl_attr_get_payload(attr), ip_bytes(family));
	}
	return addr;
}
