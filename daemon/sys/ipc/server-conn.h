/*
 * server-conn: one connection to a server of ipc.h, and its requests. For server.c alone.
 */
#pragma once

#include <sys/stat.h>

#include "sys/ipc/budget.h"
#include "sys/ipc/frame.h"
#include "sys/ipc/ipc.h"

enum phase { PHASE_READING, PHASE_WAITING, PHASE_WRITING, PHASE_RESTING };

struct ipc_conn {
	struct ipc_conn *next, **pprev; /* newest first */
	struct ipc_server *server;
	int fd;
	struct ipc_creds creds;
	enum phase phase;
	sd_event_source *on_io, *on_timeout;
	uint64_t deadline_us; /* of the message that has begun */
	struct ipc_reader reader;
	uint8_t *out;
	size_t out_len, out_pos;
	int out_fd;
	struct ipc_request *request; /* while waiting */
};

struct ipc_request {
	struct ipc_conn *client; /* NULL once the peer is gone */
	struct ipc_creds creds;
	struct ipc_server *server; /* NULL once it is gone */
	struct ipc_request *next, **pprev;
	json_t *doc;
	json_t *no_args;
	const char *call;
	const json_t *args;
	void (*gone)(void *ctx);
	void *gone_ctx;
};

struct ipc_server {
	sd_event *event;
	int fd;
	sd_event_source *on_accept;
	char *path;               /* to unlink, or NULL */
	struct stat made;         /* what is there */
	ipc_identify_fn identify; /* NULL: the kernel says who it is */
	ipc_handler_fn handler;
	void *ctx;
	struct ipc_conn *clients;
	size_t n_clients, clients_max;
	struct ipc_request *requests;
	struct budget budget;
	uid_t master;                  /* who is not counted; root never is */
	sd_event_source *accept_again; /* a user who has had his share connects again and again */
	uint64_t metered_us; /* processor time when the work under way began, 0: none is */
};

/*
 * Whose time it is: what is done between the two is charged to @uid. Work within work (a reply
 * within its request) is part of that: then the inner begin returns false.
 */
bool ipc_meter_begin(struct ipc_server *server);
void ipc_meter_end(struct ipc_server *server, bool began, uid_t uid);

/* {"error":{code, message}}; NULL when out of memory. */
json_t *ipc_refusal(const char *code, const char *message);

/* A connection on @fd, which is taken in any case, and its first in the server's list. */
int ipc_conn_new(struct ipc_server *server, int fd, const struct ipc_creds *creds);
/* Its request lives on, if there is one. Returns NULL. */
struct ipc_conn *ipc_conn_free(struct ipc_conn *conn);
