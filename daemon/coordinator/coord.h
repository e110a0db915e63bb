/*
 * coord: the running coordinator: what its subjects (enroll, poll, presence, relays, kube, meet,
 * urls, place) and the calls of api and admin share.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "base/err.h"
#include "coordinator/added.h"
#include "coordinator/feed.h"
#include "coordinator/ledger.h"
#include "coordinator/tokens.h"
#include "sys/httpd/httpd.h"
#include "sys/ipc/ipc.h"
#include "sys/store/store.h"

struct carry;
struct enroll;
struct kube;
struct meet;
struct place;
struct presences;
struct relays;
struct urls;

struct coord {
	sd_event *event;
	struct store *store; /* NULL from its end on: nothing is taken any more */
	struct ledger *ledger;
	struct tokens *tokens;
	struct feed *feed;
	struct httpd *httpd;
	struct ipc_server *ipc;
	char *certificate, *key; /* httpd's, PEM */
	/* Subjects: each knows what its own is. */
	struct enroll *enroll;
	struct presences *presences;
	struct relays *relays;
	struct kube *kube;
	struct place *place;
	struct urls *urls;
	struct carry *carry;
	struct meet *meet;
	struct added_list added; /* changed by added-change only */
	uint8_t root_hash[RECORD_HASH_LEN];
	bool urls_found; /* addresses for boards are found, beside any that a person set */
	uint16_t port;
	uint64_t started_s;
};

/* Wall clock in seconds. */
uint64_t coord_now_s(void);
bool coord_is_ending(const struct coord *coord);
const struct netmap *coord_netmap(const struct coord *coord);
const struct settings *coord_settings(const struct coord *coord);
/* 0, or -EINVAL and @err: why no record may say that a board is found so as a relay. */
int coord_check_relay(const struct coord *coord, const struct node_relay *relay, struct err *err);

/*
 * Handlers of requests: each ends @request, now or later. @node is the caller's, NULL for a call
 * that needs none; @body is an object, NULL for a call that has none; both are borrowed.
 */
typedef void (*coord_handler_fn)(struct coord *coord, struct httpd_request *request,
	const struct node *node, const json_t *body);
