/*
 * poll: GET /v1/poll. Its arguments are read strictly: a board that asks wrongly is told, not
 * guessed at.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "coordinator/coord.h"
#include "wire/api.h"
#include "wire/kube.h"

struct poll_query {
	uint64_t seq;                /* the board's last record */
	unsigned wait_s;             /* how long it is ready to wait */
	char cursor[API_CURSOR_MAX]; /* "": none. Any text: of another instance it counts as none */
	bool wants_kube;             /* it named a bundle, or none with "kube=" */
	char kube[KUBE_ID_MAX];
};

/* The argument @name, "" without a value, NULL if it is absent. */
typedef const char *poll_argument_fn(void *ctx, const char *name);

/* 0, or -EINVAL and in @err a sentence for the board. */
int poll_query_read(poll_argument_fn *get, void *ctx, struct poll_query *ret, struct err *err);

void poll_handle(struct coord *coord, struct httpd_request *request, const struct node *node,
	const json_t *body);
/* For a caller that was node @id: the refusal tells it by which record it was removed. */
void poll_refuse_removed(
	struct coord *coord, struct httpd_request *request, uint32_t id, const char *message);
