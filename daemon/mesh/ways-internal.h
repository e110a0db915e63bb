/*
 * ways-internal: what the files of ways share; nobody else includes it. Each calls only those
 * below it:
 *
 *   ways.c         what happens, what is to be done, and when
 *   ways-look.c    looks for a better one
 *   ways-call.c    calls, and the rounds of pings that they arrange
 *   ways-choose.c  which way is used: proof, losses, comparison
 *   ways-predict.c  pings to ports of a NAT that counts
 *   ways-list.c    the list, and who may be pinged how often
 */
#pragma once

#include "mesh/ways.h"

/* --- the list --- */

struct way *ways_used(struct ways *w);
struct way *ways_relayed_one(struct ways *w);
struct way *ways_find(struct ways *w, const struct endpoint *to);
/* NULL when out of memory. */
struct way *ways_add(struct ways *w, const struct endpoint *to);
/* The peer says that it is there. NULL also if that is known, or is not to be believed. */
struct way *ways_add_named(struct ways *w, const struct endpoint *to);
/* All at the address of @way, it as well, have the losses that it has, and have proved nothing. */
void ways_share_losses(struct ways *w, const struct way *way);
/* Not the one in use. */
void ways_drop(struct ways *w, size_t at);
/*
 * Forgets those that nobody names any more, but for the @most that were heard last. Not the one in
 * use: it may work still, and is left only for another that does.
 */
void ways_drop_unnamed(struct ways *w, size_t most);
/* The list is another one: notes whether a NAT may keep ports. */
void ways_note_ports(struct ways *w);
/* It answered a moment ago, or has had no time yet to answer what was sent since. */
bool way_is_live(const struct way *way, uint64_t now_us);
/* One more ping there is within the bounds, and counts. */
bool ways_may_try(struct ways *w, struct way *way, uint64_t now_us);

/* --- which is used --- */

/* No answer since the doubt (or search, or look) began counts from here on. */
void ways_forget_answers(struct ways *w);
/* @way is used from now on, which may be the one that was. */
void ways_settle(struct ways *w, struct way *way, uint64_t now_us);
/* The one in use, if need be, for another that has answered. */
void ways_decide(struct ways *w, uint64_t now_us);
/* For one that is clearly better; as the end of a look, else of a race of first answers. */
void ways_prefer(struct ways *w, bool look, uint64_t now_us);
/* An answer came by @way: its proof goes on, or begins. */
void ways_note_proof(struct way *way, uint64_t now_us);
/* When @way is pinged because it is on trial, or was lost a moment ago; WAYS_NEVER: it is not. */
uint64_t ways_trial_us(const struct ways *w, const struct way *way);
/* That time has come. False: its trial is over, or is a later ping's. */
bool ways_go_on_trial(const struct ways *w, struct way *way, uint64_t now_us);

/* --- calls --- */

/* Traffic flows. */
bool ways_is_active(const struct ways *w, uint64_t now_us);
/* To be pinged only when the peer does the same, which it can be told. */
bool ways_needs_call(const struct ways *w, const struct way *way, uint64_t now_us);

/* Looked for from now on as at the beginning: the peer is called at once. */
void ways_call_begin(struct ways *w, uint64_t now_us);
/* When a call is due, or a round of pings that one arranged. */
uint64_t ways_call_deadline(const struct ways *w);
/* A call, to be sent by the relayed way (*ret), or what has to come before it. */
bool ways_call_next(struct ways *w, uint64_t now_us, struct ways_action *ret);
/* Rounds that were arranged and are due. */
void ways_punch(struct ways *w, uint64_t now_us);

/* --- predicted ports --- */

enum disco_mapping ways_own_mapping(const struct ways *w);
bool ways_both_count(const struct ways *w);
/* The burst of a round, if its call has any. */
void ways_predict_begin(struct ways *w, unsigned burst, uint64_t now_us);
/* One more ping of it (*ret). */
bool ways_predict_next(struct ways *w, uint64_t now_us, struct endpoint *ret);

/* --- looks --- */

uint64_t ways_look_deadline(const struct ways *w);
/* What is due of one, or its end. */
void ways_look(struct ways *w, uint64_t now_us);
