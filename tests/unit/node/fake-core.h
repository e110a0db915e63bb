/*
 * fake-core: what hearthd's subjects borrow, as a test has it: the core of node 1 of three, whose
 * book is the test's, on the loop and the clock of fake-event. What is logged is kept.
 */
#pragma once

#include "fake-event.h"
#include "mesh-maker.h"

#include "node/core.h"

/* Not the one of the machine, on which a Hearth may run. */
#define FAKE_RUN "/nonexistent/run/hearth"

/* One at a time. Nothing is wrong, nobody has announced himself; nodes 1 to 3 run pods. */
struct core *fake_core_new(void);
/* Returns NULL. Whatever a subject left in the loop fails the test. */
struct core *fake_core_free(struct core *core);

/* Adds node @id to the book, with pods @number (0: none), or makes it another one. */
void fake_core_put(uint32_t id, uint32_t number, const char *name);
void fake_core_put_node(const struct node *node);
/* Its presence, to be changed as the test likes. */
struct presence *fake_core_announce(uint32_t id);

/* What the book says of its log: a write of it is under way; why the last one failed. */
extern bool fake_core_log_is_on_its_way;
extern struct err fake_core_unsaved;

/* There is the problem @name, and it says @words; NULL: there is none. */
void fake_core_wrong(const struct core *core, const char *name, const char *words);

/* How many lines that say @words were logged since this was asked last. */
size_t fake_core_logged(const char *words);
