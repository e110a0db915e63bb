/* why-internal: shared by why.c (who is asked) and why-answer.c (what is made of it). */
#pragma once

#include "mesh/why.h"
#include "node/ping.h"
#include "node/why.h"

struct why_call;

/* A board that is asked. */
struct why_ask {
	struct why_call *call;
	uint32_t id;
	struct ipc_async *async; /* NULL: it has answered, or will not */
	enum why_missing missing;
	struct why_facts facts; /* if that is WHY_MISSING_NOT */
};

struct why_echo {
	struct why_call *call;
	struct ip_addr addr;
};

struct why_call {
	struct why_call *next;
	struct why *why;
	struct ipc_request *request;
	char name[NODE_NAME_MAX];
	uint32_t id; /* 0: there is no such board */
	bool removed;
	struct why_ask asks[1 + WHY_WITNESSES_MAX]; /* the first is the board itself */
	size_t n_asks;
	struct why_echo echoes[WHY_ECHOES_MAX];
	struct ip_addr echo; /* the first that answered; family 0: none yet */
	unsigned open;       /* answers that may come */
	sd_event_source *timer;
};

struct why {
	struct core *core;
	const struct peers *peers;
	const struct why_hooks *hooks;
	void *ctx;
	struct ping *ping; /* through no tunnel; NULL: nobody is asked */
	struct why_call *calls;
	unsigned n_calls;
};

/* --- why-answer.c --- */

/* Ends the request of @call: all whom it asked have answered, or had their time. */
void why_call_answer(struct why_call *call);
