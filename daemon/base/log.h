/*
 * log: lines on stderr for programs. Under systemd each line carries its priority ("<6>..."), so
 * that the journal knows it; elsewhere it carries the program's name. base, wire and mesh do not
 * log but return; debug lines apart.
 *
 * Logging never waits: while nobody reads stderr (a full pipe, a stopped journal, a terminal on
 * hold) lines are lost; how many is said when they can be written again.
 */
#pragma once

#include <stdbool.h>

#include "base/pace.h"

enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARNING,
	LOG_LEVEL_NOTICE,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG
};

/* "error", "warning" ..., NULL at the end. */
extern const char *const log_level_names[];

/*
 * @program is borrowed for ever. A program calls env_open_log(), which asks $HEARTH_LOG for the
 * level.
 */
void log_open(const char *program);
void log_set_level(enum log_level level);
bool log_enabled(enum log_level level);

/* One line; a newline or control byte inside @format's result is shown as '?'. Keeps errno. */
void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/*
 * What others can make us say as often as they like: ten lines at once from one place in the code,
 * then one every ten minutes, which tells how many were left out. @pace is that place's.
 */
void log_line_seldom(struct pace *pace, enum log_level level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#define log_seldom(level, ...)                                     \
	do {                                                       \
		static struct pace log_pace_;                      \
		log_line_seldom(&log_pace_, (level), __VA_ARGS__); \
	} while (0)

#define log_error(...)   log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_notice(...)  log_line(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_info(...)    log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)                                          \
	do {                                                    \
		if (log_enabled(LOG_LEVEL_DEBUG))               \
			log_line(LOG_LEVEL_DEBUG, __VA_ARGS__); \
	} while (0)
