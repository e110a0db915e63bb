/* refused: see refused.h. The directory is root's, and lies in memory. */
#include "board/refused.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/json.h"
#include "base/owned.h"
#include "board/config.h"

enum { FILE_MAX = 4096 };

static void make_plain(char *to, size_t size, const char *from)
{
	size_t i;

	for (i = 0; from[i] && i < size - 1; i++)
		to[i] = (char) (from[i] >= ' ' && from[i] <= '~' ? from[i] : '?');
	to[i] = 0;
}

static bool is_plain(const char *text)
{
	for (; *text; text++)
		if (*text < ' ' || *text > '~')
			return false;
	return true;
}

static int get_plain(const json_t *json, const char *key, size_t size, char *ret, struct err *err)
{
	const char *text;
	int r = json_get_str(json, key, &text, err);

	if (r)
		return r;
	if (strlen(text) >= size || !is_plain(text))
		return err_set(err, -EINVAL, "field \"%s\" is not well formed", key);
	(void) snprintf(ret, size, "%s", text);
	return 0;
}

static int from_json(const json_t *json, struct refused *ret, struct err *err)
{
	uint64_t uid = 0;
	int r;

	if ((r = json_get_u64(json, "count", INT64_MAX, &ret->count, err)) ||
		(r = json_get_u64(json, "at", INT64_MAX, &ret->at, err)) ||
		(r = json_get_u64(json, "uid", UINT32_MAX, &uid, err)) ||
		(r = get_plain(json, "call", sizeof(ret->call), ret->call, err)) ||
		(r = get_plain(json, "why", sizeof(ret->why), ret->why, err)))
		return r == -ENOENT ? -EINVAL : r;
	ret->uid = (uid_t) uid;
	return 0;
}

int refused_read(const char *run, struct refused *ret, struct err *err)
{
	CLEANUP_BUF struct buf text = { 0 };
	char path[PATH_TEXT_MAX];
	struct refused refused = { 0 };
	struct stat st;
	int r = owned_read(paths_join(run, "refused.json", path), FILE_MAX, &text, &st);

	if (r)
		return err_set(err, r, "read %s: %s", path, strerror(-r));
	if (st.st_uid != 0)
		return err_set(err, -EPERM, "%s is not root's", path);
	CLEANUP_JSON json_t *json = json_parse(buf_str(&text), text.len, err);

	r = json ? from_json(json, &refused, err) : -EINVAL;
	if (r)
		return r;
	*ret = refused;
	return 0;
}

void refused_note(const char *run, uint64_t now_s, uid_t uid, const char *call, const char *why)
{
	char path[PATH_TEXT_MAX];
	struct refused refused = { 0 };

	(void) refused_read(run, &refused, NULL); /* none, or damaged: it begins anew */
	make_plain(refused.call, sizeof(refused.call), call);
	make_plain(refused.why, sizeof(refused.why), why);
	CLEANUP_JSON json_t *json = json_pack("{s:I, s:I, s:I, s:s, s:s}", "count",
		(json_int_t) refused.count + 1, "at", (json_int_t) now_s, "uid", (json_int_t) uid,
		"call", refused.call, "why", refused.why);

	if (json)
		(void) json_write_file(paths_join(run, "refused.json", path), json, 0644);
}
