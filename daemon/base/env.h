/*
 * env: what the environment asks of a program. A variable that is empty is not set. One that cannot
 * be is said once, with what counts instead: who set it wants to know that it did nothing.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* A directory by its absolute path, or @fallback. Borrowed from the environment. */
const char *env_dir(const char *name, const char *fallback);

/* A number from @min to @max, or @fallback. */
uint64_t env_number(const char *name, uint64_t min, uint64_t max, uint64_t fallback);

/* The index of the value among @choices (NULL at the end), or @fallback, which is one, too. */
int env_choice(const char *name, const char *const *choices, int fallback);

/* log_open() of @program (borrowed), which says as much as $HEARTH_LOG wants. */
void env_open_log(const char *program);
