/*
 * The one place where the client's output goes out. A stream's buffer may end amidst a character:
 * what is not whole yet waits for its rest; without one it is not shown.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "cli/cli.h"

enum { CHUNK = 4096, WAITS_MAX = 3 };

struct output {
	int fd;
	char waits[WAITS_MAX]; /* the beginning of a character */
	size_t n_waits;
};

static struct output outputs[] = { { .fd = STDOUT_FILENO }, { .fd = STDERR_FILENO } };

static int write_clean(struct output *o, const char *text, size_t len)
{
	char clean[TEXT_GROWTH * CHUNK + 1];
	size_t n = text_clean(text, len, TEXT_LINES, clean, sizeof(clean));

	return file_write_all(o->fd, clean, n);
}

static ssize_t on_write(void *cookie, const char *data, size_t len)
{
	struct output *o = cookie;
	char chunk[CHUNK];

	for (size_t at = 0; at < len;) {
		size_t n = o->n_waits, take = sizeof(chunk) - n;

		take = take < len - at ? take : len - at;
		memcpy(chunk, o->waits, n);
		memcpy(chunk + n, data + at, take);
		at += take;
		n += take;
		size_t whole = text_whole(chunk, n);
		int r = write_clean(o, chunk, whole);

		if (r < 0) {
			errno = -r;
			return 0;
		}
		o->n_waits = n - whole;
		memcpy(o->waits, chunk + whole, o->n_waits);
	}
	return (ssize_t) len;
}

static FILE *open_output(struct output *o)
{
	cookie_io_functions_t calls = { .write = on_write };
	FILE *f = fopencookie(o, "w", calls);

	if (f)
		(void) setvbuf(
			f, NULL, o->fd == STDERR_FILENO || isatty(o->fd) ? _IOLBF : _IOFBF, 0);
	return f;
}

int cli_open_output(void)
{
	FILE *out = open_output(&outputs[0]), *err = open_output(&outputs[1]);

	if (!out || !err) {
		perror("hearth");
		return -ENOMEM;
	}
	stdout = out;
	stderr = err;
	return 0;
}
