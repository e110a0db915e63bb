/*
 * ipc: requests and replies over a stream socket, PROTOCOL.md section 9: a local one, whose server
 * knows its peers by SO_PEERCRED, or between boards (section 11). A reply may come later than the
 * handler's return and may carry one descriptor. One request at a time per connection; connections
 * may be used again.
 *
 * Bounds: IPC_CLIENTS_MAX connections (a quarter of the descriptors that the process may have, if
 * that is less), half of them for one user other than root, the last few for root alone (when full,
 * an idle one is closed, else the new one refused with code `busy`); requests of IPC_REQUEST_MAX
 * bytes, replies of IPC_MESSAGE_MAX; 30 s for a message once it has begun. Time of ours: budget.h;
 * who has had his share is not refused, but waits.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/ip.h"

enum {
	IPC_CLIENTS_MAX = 64,
	IPC_REQUEST_MAX = 1 << 20,
	IPC_MESSAGE_MAX = 8 << 20,
	IPC_CODE_MAX = 48, /* an error code with its NUL */
};

struct ipc_server;
struct ipc_request;

struct ipc_creds {
	uid_t uid;
	gid_t gid;
	pid_t pid;
};

/*
 * A request arrived. It is owned by the handler, which ends it with exactly one of the functions
 * below that reply, now or later. It must not free the server.
 */
typedef void (*ipc_handler_fn)(void *ctx, struct ipc_request *request);

/*
 * For root, where systemd-tmpfiles did not: @run is root's, @run/@name a directory of @uid's, and
 * @run/@name.sock a link to @name.sock in it. So no daemon can take another's name in @run.
 */
int ipc_make_place(const char *run, const char *name, uid_t uid, gid_t gid, struct err *err);

/*
 * Listens on @path, or where it points if it is a link of root's (a socket left behind by a dead
 * process is replaced; a live one gives -EADDRINUSE) with @mode, and group @gid unless that is
 * (gid_t) -1.
 */
int ipc_server_new(sd_event *event, const char *path, mode_t mode, gid_t gid,
	ipc_handler_fn handler, void *ctx, struct ipc_server **ret, struct err *err);

/* Listens on a listening AF_UNIX stream socket (socket activation). Takes @listen_fd on success. */
int ipc_server_new_fd(sd_event *event, int listen_fd, ipc_handler_fn handler, void *ctx,
	struct ipc_server **ret, struct err *err);

/*
 * The same over TCP, for callers whom the network itself tells apart. @identify says who is at
 * @peer: a number above 0 that stands for the user wherever users count, or negative: nobody, and
 * the connection is closed. Nobody is root.
 */
typedef int64_t (*ipc_identify_fn)(void *ctx, const struct endpoint *peer);
int ipc_server_new_tcp(sd_event *event, const struct endpoint *on, ipc_identify_fn identify,
	ipc_handler_fn handler, void *ctx, struct ipc_server **ret, struct err *err);

/* User @uid has all the time that it wants, as root has: whom the server is there for. */
void ipc_server_serve(struct ipc_server *server, uid_t uid);

/* Whether anybody is connected: a request may be on its way, or its answer. */
bool ipc_server_is_busy(const struct ipc_server *server);

/* False if somebody removed or replaced the path it made: nobody finds it any more. */
bool ipc_server_has_path(const struct ipc_server *server);

/*
 * Closes everything, unlinks the path it made. Requests still open stay valid, their replies go
 * nowhere; their gone callbacks are not called.
 */
struct ipc_server *ipc_server_free(struct ipc_server *server);

/* Borrowed, valid until the reply. @args is an object, empty if the request had none. */
const char *ipc_request_call(const struct ipc_request *request);
const json_t *ipc_request_args(const struct ipc_request *request);
const struct ipc_creds *ipc_request_creds(const struct ipc_request *request);

/*
 * The user who asked had so much more of our time (clock_cpu_us()) than the handler's, as when it
 * is answered later.
 */
void ipc_request_charge(const struct ipc_request *request, uint64_t work_us);

/* @gone is called when the peer hangs up before the reply (which must still be made). */
void ipc_request_on_gone(struct ipc_request *request, void (*gone)(void *ctx), void *ctx);

/* Ends @request with {"ok": @ok}. Steals the reference; NULL stands for {}. */
void ipc_request_reply(struct ipc_request *request, json_t *ok);
/* As above and hands a copy of @fd over; @fd is closed in any case. */
void ipc_request_reply_fd(struct ipc_request *request, json_t *ok, int fd);
/* Ends @request with {"error": {code, message}}. */
void ipc_request_fail(struct ipc_request *request, const char *code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

struct ipc_reply {
	json_t *ok;              /* owned; NULL if the server refused */
	char code[IPC_CODE_MAX]; /* the server's error code, "" otherwise */
	int fd;                  /* a descriptor that came along, or -1; owned */
};

void ipc_reply_done(struct ipc_reply *reply);
#define CLEANUP_IPC_REPLY CLEANUP(ipc_reply_done)

/*
 * One call, blocking, for command lines. @args is borrowed, NULL for none; @timeout_us 0: wait for
 * ever. 0 and ret->ok; -EREMOTEIO if the server refused (ret->code, and @err holds its message);
 * -ENOENT or -ECONNREFUSED if nobody listens, -EACCES, -ETIMEDOUT, -EPROTO, ... with @err. The
 * caller releases @ret with ipc_reply_done() in every case.
 */
int ipc_call(const char *path, const char *call, const json_t *args, uint64_t timeout_us,
	struct ipc_reply *ret, struct err *err);

struct ipc_async;

/*
 * The end of an asynchronous call, with what ipc_call() would have returned. @reply and @err are
 * released after the return; take reply->ok or reply->fd by leaving NULL or -1 behind.
 */
typedef void (*ipc_done_fn)(void *ctx, int r, struct ipc_reply *reply, const struct err *err);

/*
 * One call from the loop, over a connection of its own. Errors at once (nobody listens) are
 * returned, later ones are given to @done. @ret (may be NULL) is valid until @done is called.
 */
int ipc_call_async(sd_event *event, const char *path, const char *call, const json_t *args,
	uint64_t timeout_us, ipc_done_fn done, void *ctx, struct ipc_async **ret, struct err *err);

/* The same over TCP. */
int ipc_call_async_tcp(sd_event *event, const struct endpoint *to, const char *call,
	const json_t *args, uint64_t timeout_us, ipc_done_fn done, void *ctx,
	struct ipc_async **ret, struct err *err);

/* Forgets the call; @done is not called. NULL is fine. */
struct ipc_async *ipc_async_cancel(struct ipc_async *async);
