/* log: see log.h. One write per line, so that lines of several threads do not mix. */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *program_name = "hearth";
static atomic_int threshold = LOG_LEVEL_INFO; /* changed while other threads log */
static bool journal;

/* sd-daemon(3) priorities: err, warning, notice, info, debug */
static const char *const names[] = { "error", "warning", "notice", "info", "debug" };
static const int priority[] = { 3, 4, 5, 6, 7 };

void log_open(const char *program)
{
	program_name = program;
	journal = getenv("JOURNAL_STREAM") != NULL;
	const char *want = getenv("HEARTH_LOG");
	for (size_t i = 0; want && i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(want, names[i]))
			log_set_level((enum log_level) i);
}

void log_set_level(enum log_level level)
{
	atomic_store_explicit(&threshold, level, memory_order_relaxed);
}

bool log_enabled(enum log_level level)
{
	return (int) level <= atomic_load_explicit(&threshold, memory_order_relaxed);
}

void log_line(enum log_level level, const char *format, ...)
{
	if (!log_enabled(level))
		return;
	int saved = errno;
	char line[1200];
	int n = journal ? snprintf(line, sizeof(line), "<%d>", priority[level])
			: snprintf(line, sizeof(line), "%s: %s", program_name,
				  level <= LOG_LEVEL_WARNING
					  ? (level == LOG_LEVEL_ERROR ? "error: " : "warning: ")
					  : "");
	va_list ap;
	va_start(ap, format);
	errno = saved;
	int m = vsnprintf(line + n, sizeof(line) - (size_t) n - 1, format, ap);
	va_end(ap);
	size_t len = (size_t) n + (m < 0 ? 0 : (size_t) m);
	if (len > sizeof(line) - 2)
		len = sizeof(line) - 2;
	for (size_t i = (size_t) n; i < len; i++)
		if ((unsigned char) line[i] < 0x20 || line[i] == 0x7f)
			line[i] = '?';
	line[len++] = '\n';
	ssize_t r = write(STDERR_FILENO, line, len);
	(void) r; /* nowhere to say that stderr is gone */
	errno = saved;
}
