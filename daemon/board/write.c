/* write: see write.h. */
#include "board/write.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"

struct write *write_new(const char *path, mode_t mode)
{
	struct write *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	(void) snprintf(w->path, sizeof(w->path), "%s", path);
	w->mode = mode;
	return w;
}

struct write *write_new_json(const char *path, const json_t *json, mode_t mode)
{
	CLEANUP(free_p) char *text = json ? json_text(json) : NULL;
	struct write *w = text ? write_new(path, mode) : NULL;

	if (w) {
		buf_add_str(&w->text, text);
		buf_add_str(&w->text, "\n");
	}
	if (text)
		explicit_bzero(text, strlen(text));
	return w && buf_failed(&w->text) ? write_free(w) : w;
}

struct write *write_free(struct write *w)
{
	if (w && w->text.data)
		explicit_bzero(w->text.data, w->text.cap);
	if (w)
		buf_done(&w->text);
	free(w);
	return NULL;
}

static int append(const struct write *w)
{
	CLEANUP(close_p) int fd = open(w->path, O_WRONLY | O_CLOEXEC);
	int r = fd < 0 ? -errno : 0;

	if (r == 0 && lseek(fd, (off_t) w->at, SEEK_SET) < 0)
		r = -errno;
	if (r == 0)
		r = file_write_all(fd, w->text.data, w->text.len);
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	if (r < 0 && fd >= 0)
		(void) !ftruncate(fd, (off_t) w->at); /* else its reader cuts it off */
	return r;
}

void write_run(void *write)
{
	struct write *w = write;
	int r;

	if (buf_failed(&w->text))
		r = -ENOMEM;
	else if (w->at)
		r = append(w);
	else
		r = file_write_if_changed(w->path, buf_str(&w->text), w->text.len, w->mode);
	w->result = r < 0 ? r : 0;
}
