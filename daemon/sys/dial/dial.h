/*
 * dial: a TLS 1.3 connection over TCP to a server that is known by the pin of its key, made by
 * libcurl (CONNECT_ONLY), through a proxy where there is one, without ever waiting in the event
 * loop. Once it stands it can be used from any one thread, also another than the loop's.
 *
 * It carries no mark, for it must not need one: where it leads to is for the caller to see to. No
 * address of the mesh's may be among @addrs, nor pass @may_use, else it would lead into the tunnel
 * that it is to carry.
 *
 * A program that dials ignores SIGPIPE.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "base/err.h"
#include "base/ip.h"

struct dial;      /* being made */
struct dial_conn; /* stands */

/* All is copied. */
struct dial_options {
	const char *host; /* an address or a DNS name: for the proxy, and the server name of TLS */
	uint16_t port;
	/*
	 * Where host is, if it is a name and that is known; without a proxy nowhere else is
	 * connected to. n 0: looked up.
	 */
	const struct ip_addr *addrs;
	size_t n_addrs;
	/*
	 * base64(SHA-256(SubjectPublicKeyInfo)), and no name or date counts; NULL: the system's CAs
	 * vouch for host.
	 */
	const char *pin;
	/* "http://user:password@proxy:3128" (wire/proxy.h); NULL: none, whoever else says one. */
	const char *proxy;
	uint64_t timeout_us; /* 0: 10 s */
	/* Of an address that was looked up, host's or the proxy's; NULL: all may be used. */
	bool (*may_use)(void *ctx, const struct ip_addr *addr);
};

/*
 * Once, from the loop, not from within dial_start(): @conn is the caller's, or NULL and @err says
 * why, beginning with "HOST:PORT: ". @dial is gone.
 */
typedef void (*dial_done_fn)(void *ctx, struct dial_conn *conn, const struct err *err);

/*
 * 0, or -EINVAL (an option), -ENOMEM, or as @err says. Afterwards: -EHOSTUNREACH (a name that is
 * not found; the proxy does not get there), -ECONNREFUSED, -ENETUNREACH ..., -ETIMEDOUT,
 * -EKEYREJECTED (another key), -EPROTO (no TLS 1.3, or a certificate that no CA vouches for),
 * -EACCES (the proxy wants another user or password), -EPERM (it does not let us through; or
 * @may_use has said no to all addresses), -EFBIG (it answers without end), -EIO. @ctx is
 * @may_use's, too.
 */
int dial_start(sd_event *event, const struct dial_options *options, dial_done_fn done, void *ctx,
	struct dial **ret, struct err *err);
/* No callback follows. NULL is fine. Returns NULL. */
struct dial *dial_cancel(struct dial *dial);

/*
 * Neither waits. It is ready to receive or to send when poll() says so, but only after -EAGAIN:
 * what a record of TLS holds beyond what was asked for has left the socket already.
 */
int dial_conn_fd(const struct dial_conn *conn);
/*
 * @conn is a struct dial_conn: the signatures of struct ferry_stream (tunnel/ferry.h). How much, 0
 * of receive: the end, -EAGAIN: not now, or -errno. After -EAGAIN the same bytes must be sent
 * again, from the same place.
 */
ssize_t dial_conn_receive(void *conn, void *ret, size_t len);
ssize_t dial_conn_send(void *conn, const void *data, size_t len);
/* Says good-bye if it can. By whichever thread, when no other uses it. NULL is fine. */
struct dial_conn *dial_conn_free(struct dial_conn *conn);
