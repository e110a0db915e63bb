/*
 * verbs: a program that is nothing but a few verbs, each with options of its own: its table, its
 * help, and what is said of a word that is no verb.
 */
#pragma once

#include <stddef.h>

struct verb {
	const char *name, *help;
	int (*run)(int argc, char **argv); /* argv[0] is the verb */
};

struct verbs {
	const char *program, *what; /* "hearth-relay", "The relay of a Hearth mesh." */
	const char *more;           /* a sentence below the table; NULL: none */
	const struct verb *list;
	size_t n;
};

/* Opens the log, locks memory if that may be, and runs a verb: the exit status. */
int verbs_main(const struct verbs *verbs, int argc, char **argv);
