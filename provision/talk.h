/*
 * talk: what enroll-node tells a person (or, with --json, a program). One line per step on stderr
 * as it is done; what it came to, and what comes next, on stdout at the end.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"

enum talk_state {
	TALK_DONE,  /* just done */
	TALK_KEPT,  /* was so already */
	TALK_WOULD, /* would be done, but for --dry-run */
	TALK_NOTE,  /* something to know; nothing failed */
};

/* Zero-initialise but for @json_output; talk_done() releases. */
struct talk {
	bool json_output;
	bool quiet; /* no lines at all */
	bool dry_run;
	unsigned done; /* steps in state TALK_DONE or TALK_WOULD */
	json_t *steps; /* owned: [{"step","state","text"}] */
	json_t *next;  /* owned: ["sentence", ...] */
};

void talk_done(struct talk *talk);

/* A line "done  keys      made ...". @step is one word. */
void talk_step(struct talk *talk, enum talk_state state, const char *step, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* Something that takes a while begins; overwritten by the step's own line on a terminal. */
void talk_wait(struct talk *talk, const char *step, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* One thing for the person to do next. */
void talk_next(struct talk *talk, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* "enroll-node: STEP: why", and that a re-run goes on from there. In JSON on stdout as well. */
void talk_failed(struct talk *talk, const char *step, const struct err *err);

/*
 * The end: @sentence, then what comes next. With --json one object instead: @about (may be NULL),
 * steps and next.
 */
void talk_end(struct talk *talk, const char *sentence, const json_t *about);
