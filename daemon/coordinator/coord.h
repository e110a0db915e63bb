/*
 * coord: the running coordinator: what its subjects (enrolment, polls, presence, bundles,
 * administration) share. Each subject is a file of handlers; this header is theirs alone.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "base/err.h"
#include "base/pace.h"
#include "coordinator/feed.h"
#include "coordinator/ledger.h"
#include "base/limiter.h"
#include "coordinator/tokens.h"
#include "sys/httpd/httpd.h"
#include "sys/ipc/ipc.h"
#include "sys/store/store.h"

enum {
	COORD_ENROLL_BURST = 30,   /* failed enrolments of one address at once, then one each 2 s */
	COORD_PRESENCE_BURST = 20, /* presences of one node, then one in half a minute */
};

struct presences;
struct urls;

struct coord {
	sd_event *event;
	struct store *store;
	struct ledger *ledger;
	struct tokens *tokens;
	struct feed *feed;
	struct presences *presences;
	struct limiter *enroll_limiter;
	struct httpd *httpd;
	struct ipc_server *ipc;
	struct urls *urls;
	struct trouble place_trouble;
	uint8_t root_hash[RECORD_HASH_LEN];
	bool urls_found; /* addresses for boards are found, not given with --url */
	uint16_t port;
	uint64_t started_s;
	uint64_t kube_expires;
	char kube_id[KUBE_ID_MAX];
	sd_event_source *on_kube_expiry;
};

/* Wall clock in seconds. */
uint64_t coord_now_s(void);
const struct netmap *coord_netmap(const struct coord *coord);
const struct settings *coord_settings(const struct coord *coord);

/* Reads everything from @state_dir, proves it, and gets ready to serve. @err tells a person. */
int coord_open(sd_event *event, const char *state_dir, struct coord **ret, struct err *err);
/* Ends open polls, writes what waits, closes everything. */
struct coord *coord_close(struct coord *coord);

/* api.c: the whole of PROTOCOL.md section 7; an httpd_head_fn and an httpd_handler_fn. */
size_t api_head(void *ctx, struct httpd_request *request);
void api_handle(void *ctx, struct httpd_request *request);
/* The routes, for the test that compares them with openapi.yaml: NULL at the end. */
const char *api_route(size_t index, const char **ret_method);

/*
 * Handlers: each ends @request, now or later. @node is the caller's, NULL for a call that needs none;
 * @body is an object, NULL for a call that has none; both are borrowed.
 */
typedef void (*api_handler_fn)(struct coord *coord, struct httpd_request *request,
	const struct node *node, const json_t *body);
void health_handle(struct coord *coord, struct httpd_request *request, const struct node *node,
	const json_t *body);
void enroll_handle(struct coord *coord, struct httpd_request *request, const struct node *node,
	const json_t *body);
/* What enroll_handle() would do, done to nobody. */
void enroll_check_handle(struct coord *coord, struct httpd_request *request,
	const struct node *node, const json_t *body);
/* For a caller that was node @id: the refusal tells it by which record it was removed. */
void poll_refuse_removed(
	struct coord *coord, struct httpd_request *request, uint32_t id, const char *message);
void poll_handle(struct coord *coord, struct httpd_request *request, const struct node *node,
	const json_t *body);
void presence_handle(struct coord *coord, struct httpd_request *request, const struct node *node,
	const json_t *body);
void kube_handle(struct coord *coord, struct httpd_request *request, const struct node *node,
	const json_t *body);

/* presence.c */
int presences_open(struct coord *coord, struct presences **ret, struct err *err);
/* Queues what has not been stored; call before the store is closed. */
struct presences *presences_close(struct presences *presences);
void presences_node_removed(struct presences *presences, uint32_t id);
/* @node has a new record. If it has another identity key, what the old one signed is forgotten. */
void presences_node_changed(struct presences *presences, const struct node *node);

/* kube.c */
int kube_load(struct coord *coord, struct err *err);

/* tokens of the store */
int enroll_load_tokens(struct coord *coord, struct err *err);

/* urls.c: watches this machine's addresses from now on (when coord->port is known). */
int urls_open(struct coord *coord, struct urls **ret, struct err *err);
struct urls *urls_close(struct urls *urls);
/* Announces those that the settings do not know yet, if they are to be found. */
void urls_refresh(struct coord *coord);
/* Adds them to a copy of the settings. Returns how many: they are its first. */
size_t urls_merge(const struct coord *coord, struct settings *settings);
/* The decision: @found are this machine's, the best first. */
size_t urls_add(struct settings *settings, const char (*found)[FIELD_URL_MAX], size_t n);

/* place.c: puts the node on whose machine it runs into the settings, if it is another one than they say. */
void place_refresh(struct coord *coord);
/* A board is up: this machine's own, perhaps, whose mesh address was not there before. */
void place_board_came(struct coord *coord);

/* admin.c: the calls of the local socket (admin.h); an ipc_handler_fn. */
void admin_handle(void *ctx, struct ipc_request *request);
