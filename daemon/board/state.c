/*
 * Every file is replaced atomically; reading never fails for a damaged one.
 */
#include "board/state.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sodium.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/encode.h"
#include "base/file.h"
#include "base/json.h"
#include "base/number.h"
#include "base/owned.h"
#include "wire/presence.h"

enum { STATE_MAX = 65536, KEY_FILE_MAX = 256, COUNTERS_AT_ONCE = 64 };
#define LOCK_WAIT_US (2 * USEC_PER_SEC)

int state_from_json(const json_t *json, struct state *ret, struct err *err)
{
	struct state state = { 0 };
	uint64_t port = 0, wanted = 0;
	int r = json_is_object(json) ? 0 : err_set(err, -EINVAL, "it is no object");

	if (r == 0 && json_has(json, "port"))
		r = json_get_u64(json, "port", UINT16_MAX, &port, err);
	if (r == 0 && json_has(json, "port_wanted"))
		r = json_get_u64(json, "port_wanted", UINT16_MAX, &wanted, err);
	if (r == 0 && json_has(json, "counter"))
		r = json_get_u64(json, "counter", PRESENCE_COUNTER_MAX, &state.counter, err);
	if (r == 0 && json_has(json, "kube_done"))
		r = field_get_hex(json, "kube_done", FIELD_ID_MAX - 1, state.kube_done, err);
	if (r < 0)
		return r;
	state.port = (uint16_t) port;
	state.port_wanted = (uint16_t) wanted;
	*ret = state;
	return 0;
}

bool state_take_counter(struct state *state, uint64_t durable, uint64_t known, uint64_t *last)
{
	uint64_t next = (known > *last ? known : *last) + 1;

	if (next > state->counter)
		state->counter = next < PRESENCE_COUNTER_MAX - COUNTERS_AT_ONCE
					 ? next + COUNTERS_AT_ONCE - 1
					 : next;
	if (next > durable)
		return false;
	*last = next;
	return true;
}

bool state_settle(struct state *state, uint64_t last)
{
	if (last >= state->counter)
		return false;
	state->counter = last;
	return true;
}

int state_lock(const char *dir, struct err *err)
{
	CLEANUP(close_p) int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	uint64_t end = clock_now_us() + LOCK_WAIT_US;

	if (fd < 0)
		return err_set(err, -errno, "open %s: %m", dir);
	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK)
			return err_set(err, -errno, "lock %s: %m", dir);
		if (clock_now_us() >= end)
			return err_set(err, -EBUSY, "hearthd runs already on %s: end it first (%s)",
				dir, sd_booted() > 0 ? "systemctl stop hearthd" : "kill it");
		(void) poll(NULL, 0, 50);
	}
	return take_fd(&fd);
}

int state_load(const char *path, struct state *ret, struct err *err)
{
	CLEANUP_JSON json_t *json = NULL;
	struct err why = { 0 };

	*ret = (struct state){ 0 };
	json = json_read_file(path, STATE_MAX, &why);
	if (!json && why.code == -ENOENT)
		return 0;
	if (!json || state_from_json(json, ret, &why) < 0)
		return err_set(err, -EBADMSG, "%s is damaged and begun anew: %s", path, why.text);
	return 0;
}

json_t *state_to_json(const struct state *state)
{
	return json_pack("{s:i,s:i,s:I,s:s*}", "port", (int) state->port, "port_wanted",
		(int) state->port_wanted, "counter", (json_int_t) state->counter, "kube_done",
		state->kube_done[0] ? state->kube_done : NULL);
}

bool state_equal(const struct state *a, const struct state *b)
{
	return a->port == b->port && a->port_wanted == b->port_wanted && a->counter == b->counter &&
	       !strcmp(a->kube_done, b->kube_done);
}

struct write *state_write(const char *path, const struct state *state)
{
	CLEANUP_JSON json_t *json = state_to_json(state);

	return write_new_json(path, json, 0600);
}

int state_read_key(const char *path, uint8_t ret_key[static FIELD_KEY_LEN], struct err *err)
{
	CLEANUP_BUF struct buf text = { 0 };
	struct stat st;
	int r;

	r = owned_read(path, KEY_FILE_MAX, &text, &st);
	if (r == -ELOOP || r == -EMLINK || r == -EMEDIUMTYPE || r == -EISDIR)
		return err_set(err, r,
			"%s is no file of its own (a link, a pipe, a directory): "
			"nobody of Hearth's made it. Move it away",
			path);
	if (r < 0)
		return err_set(err, r, "read %s: %s", path, strerror(-r));
	if (st.st_mode & 077) {
		sodium_memzero(text.data, text.cap);
		return err_set(err, -EPERM, "%s can be read by others; `chmod 0600` it", path);
	}
	while (text.len && (text.data[text.len - 1] == '\n' || text.data[text.len - 1] == '\r'))
		text.data[--text.len] = 0;
	r = key_from_base64(buf_str(&text), ret_key);
	if (text.data)
		sodium_memzero(text.data, text.cap);
	if (r < 0)
		return err_set(err, -EINVAL,
			"%s holds no key (one line of base64); enrol this board again", path);
	return 0;
}

/* No clock shows more (clock_wall_us), and in microseconds it still is a number. */
#define TIMESTAMP_MAX_S (INT64_MAX / USEC_PER_SEC)

uint64_t state_parse_timestamp(const char *text, size_t len)
{
	char digits[24];
	uint64_t value = 0;

	/* Without its end the number may be one of fewer digits. */
	if (!len || len > sizeof(digits) || text[len - 1] != '\n' || memchr(text, 0, len))
		return 0;
	memcpy(digits, text, len - 1);
	digits[len - 1] = 0;
	return number_parse(digits, 0, TIMESTAMP_MAX_S, &value) == 0 ? value : 0;
}

struct write *state_keep_key(const char *path, const uint8_t key[static FIELD_KEY_LEN])
{
	char text[KEY_BASE64_LEN + 1];
	struct write *w;

	if (access(path, F_OK) == 0 || errno != ENOENT)
		return NULL;
	w = write_new(path, 0600);
	if (!w)
		return NULL;
	key_to_base64(key, text);
	text[KEY_BASE64_LEN - 1] = '\n';
	buf_add(&w->text, text, KEY_BASE64_LEN);
	sodium_memzero(text, sizeof(text));
	return w;
}

uint64_t state_read_timestamp(const char *path)
{
	CLEANUP_BUF struct buf text = { 0 };

	return file_read(path, 64, &text) < 0 ? 0 : state_parse_timestamp(buf_str(&text), text.len);
}

struct write *state_write_timestamp(const char *path, uint64_t until_s)
{
	struct write *w = write_new(path, 0600);

	if (w)
		buf_printf(&w->text, "%" PRIu64 "\n", until_s);
	return w;
}
