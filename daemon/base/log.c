/*
 * log: see log.h. One write per line, so that lines of several threads do not mix, and none that
 * waits. O_NONBLOCK belongs to the open file, which we share with whoever started us: so a pipe or
 * a terminal is opened once more for ourselves. Where that is not allowed (a pipe made by another
 * user), and for files, which do not make anybody wait, it is asked first whether there is room.
 */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"

#define SELDOM_US (600 * USEC_PER_SEC)
enum { LINE_MAX_LEN = 1200, SELDOM_BURST = 10 };

static const char *program_name = "hearth";
static atomic_int threshold = LOG_LEVEL_INFO; /* changed while other threads log */
static bool journal;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned long lost; /* lines; under the lock */

/* sd-daemon(3) priorities: err, warning, notice, info, debug */
const char *const log_level_names[] = { "error", "warning", "notice", "info", "debug", NULL };
static const int priority[] = { 3, 4, 5, 6, 7 };

void log_open(const char *program)
{
	program_name = program;
	journal = getenv("JOURNAL_STREAM") != NULL;
}

void log_set_level(enum log_level level)
{
	atomic_store_explicit(&threshold, level, memory_order_relaxed);
}

bool log_enabled(enum log_level level)
{
	return (int) level <= atomic_load_explicit(&threshold, memory_order_relaxed);
}

/*
 * Not kept open: whoever waits for the end of a pipe would wait for us after stderr is another
 * file.
 */
static int open_again(mode_t mode)
{
	if (!S_ISFIFO(mode) && !(S_ISCHR(mode) && isatty(STDERR_FILENO)))
		return -1;
	return open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

/* False: it would have to wait. Whatever else goes wrong, there is nowhere to say so. */
static bool write_now(const char *line, size_t len)
{
	struct pollfd room = { .fd = STDERR_FILENO, .events = POLLOUT };
	CLEANUP(close_p) int own = -1;
	struct stat st;
	ssize_t n;

	if (fstat(STDERR_FILENO, &st) < 0)
		return true;
	own = open_again(st.st_mode);
	if (S_ISSOCK(st.st_mode)) /* the journal's */
		n = send(STDERR_FILENO, line, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	else if (own >= 0)
		n = write(own, line, len);
	else if (poll(&room, 1, 0) == 0) /* a pipe with room has PIPE_BUF bytes, a line is less */
		return false;
	else
		n = write(STDERR_FILENO, line, len);
	return n >= 0 || errno != EAGAIN;
}

static int put_head(char *line, size_t size, enum log_level level)
{
	if (journal)
		return snprintf(line, size, "<%d>", priority[level]);
	return snprintf(line, size, "%s: %s", program_name,
		level == LOG_LEVEL_ERROR     ? "error: "
		: level == LOG_LEVEL_WARNING ? "warning: "
					     : "");
}

static bool tell_lost(void)
{
	char line[160];
	int n;

	if (!lost)
		return true;
	n = put_head(line, sizeof(line), LOG_LEVEL_WARNING);
	n += snprintf(line + n, sizeof(line) - (size_t) n,
		"%lu lines were lost here: nobody read them\n", lost);
	if (!write_now(line, (size_t) n))
		return false;
	lost = 0;
	return true;
}

__attribute__((format(printf, 2, 0))) static void put_line(
	enum log_level level, const char *format, va_list ap, unsigned left_out)
{
	char line[LINE_MAX_LEN], raw[LINE_MAX_LEN], more[64] = "";
	int saved = errno;
	size_t len = (size_t) put_head(line, sizeof(line), level), tail;
	int n;

	if (left_out)
		(void) snprintf(more, sizeof(more), " (and %u times before, not shown)", left_out);
	tail = strlen(more) + 1;
	errno = saved;
	n = vsnprintf(raw, sizeof(raw), format, ap);
	if (n > 0) /* words of others are in it: no line of theirs, and no colours */
		len += text_clean(raw, text_whole(raw, strlen(raw)), TEXT_LINE, line + len,
			sizeof(line) - len - tail);
	memcpy(line + len, more, tail - 1);
	line[len + tail - 1] = '\n';
	(void) pthread_mutex_lock(&lock);
	if (!tell_lost() || !write_now(line, len + tail))
		lost++;
	(void) pthread_mutex_unlock(&lock);
	errno = saved;
}

void log_line(enum log_level level, const char *format, ...)
{
	va_list ap;

	if (!log_enabled(level))
		return;
	va_start(ap, format);
	put_line(level, format, ap, 0);
	va_end(ap);
}

void log_line_seldom(struct pace *pace, enum log_level level, const char *format, ...)
{
	unsigned left_out = 0;
	int saved = errno;
	va_list ap;
	bool may;

	if (!log_enabled(level))
		return;
	(void) pthread_mutex_lock(&lock);
	may = pace_may(pace, SELDOM_BURST, SELDOM_US, clock_now_us(), &left_out);
	(void) pthread_mutex_unlock(&lock);
	errno = saved;
	if (!may)
		return;
	va_start(ap, format);
	put_line(level, format, ap, left_out);
	va_end(ap);
}
