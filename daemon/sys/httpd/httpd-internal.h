/*
 * httpd-internal: shared by httpd.c (daemon and loop), conn.c (connections) and request.c (one
 * request).
 */
#pragma once

#include <microhttpd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "sys/httpd/door.h"
#include "sys/httpd/httpd.h"

#if MHD_VERSION >= 0x00097002
typedef enum MHD_Result mhd_result;
#else
typedef int mhd_result;
#endif

enum conn_phase {
	CONN_FRESH,   /* handshake, first head */
	CONN_BODY,    /* the head is read */
	CONN_SERVED,  /* the handler has it: no limit of ours */
	CONN_SENDING, /* the reply */
	CONN_IDLE,    /* between requests */
};

struct conn {
	struct conn *next, **pprev;
	struct httpd *httpd;
	int fd; /* microhttpd's */
	enum conn_phase phase;
	uint64_t since_us;
	struct ip_addr address;
	bool key_known, has_key;
	bool known; /* the head handler knows the key: no stranger any more */
	bool ended; /* shut down, its place is given away; microhttpd sees it and cleans up */
	uint8_t key[HTTPD_KEY_LEN];
};

struct httpd {
	sd_event *event;
	struct MHD_Daemon *daemon;
	struct httpd_config config;
	sd_event_source *on_ready, *on_timer, *on_again, *on_sweep;
	struct door *door;
	struct conn *strangers, *known; /* newest first */
	unsigned n_known, known_max, n_sending, n_conns;
	uint64_t put_out, turned_away;
	unsigned idle_runs;             /* since the descriptor or a reply woke us */
	struct httpd_request *requests; /* those a handler holds */
	bool closing;
};

struct httpd_request {
	struct httpd_request *next, **pprev; /* while a handler holds it */
	struct httpd *httpd;
	struct conn *conn;
	struct MHD_Connection *connection; /* NULL once it is gone */
	char method[HTTPD_METHOD_MAX];
	char path[HTTPD_PATH_MAX];
	struct ip_addr address;
	struct buf body;
	size_t body_max, body_seen;
	bool too_large;
	bool held;       /* by the handler: freed by its reply */
	bool in_handler; /* the reply is queued on the way back */
	bool suspended;
	struct MHD_Response *response;
	unsigned status;
};

void conn_set_phase(struct conn *conn, enum conn_phase phase);
void conn_link(struct conn *conn, struct conn **list);
void conn_unlink(struct conn *conn);
/* Its place is free, once. */
void conn_leave(struct conn *conn);
/* For one more from @addr, should it be crowded. */
void conn_make_room(struct httpd *httpd, const struct ip_addr *addr);
/* No stranger any more. */
void conn_prove(struct conn *conn);
/* Runs the daemon soon. */
static inline void httpd_wake(struct httpd *httpd)
{
	httpd->idle_runs = 0;
	(void) sd_event_source_set_enabled(httpd->on_again, SD_EVENT_ONESHOT);
}

/* microhttpd's callbacks. */
mhd_result request_access(void *cls, struct MHD_Connection *connection, const char *url,
	const char *method, const char *version, const char *data, size_t *data_len, void **ctx);
void request_completed(void *cls, struct MHD_Connection *connection, void **ctx,
	enum MHD_RequestTerminationCode why);
