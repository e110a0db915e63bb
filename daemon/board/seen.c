/*
 * The file is read as a hint only: the tunnel tries the address beside all others, and who answers
 * there is decided by keys.
 */
#include "board/seen.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/pace.h"
#include "wire/presence.h"

enum { FILE_MAX = 1 << 20 };

/* Whoever relays our packets from ever new addresses makes them ever new endpoints. */
static const struct damping saving = {
	.free = 2,
	.first_us = 60 * USEC_PER_SEC,
	.longest_us = 1800 * USEC_PER_SEC,
	.forget_us = 3 * 3600 * USEC_PER_SEC,
};

struct seen {
	char *path;
	json_t *by_id; /* {"6": "203.0.113.7:20188"} */
	bool dirty;
	struct damper saved;
};

static const char *key_of(uint32_t id, char ret[static 16])
{
	(void) snprintf(ret, 16, "%" PRIu32, id);
	return ret;
}

struct seen *seen_new(const char *path, json_t *json)
{
	CLEANUP_JSON json_t *by_id = json_is_object(json) ? json_incref(json) : json_object();
	struct seen *seen = calloc(1, sizeof(*seen));

	json_decref(json);
	if (!seen)
		return NULL;
	seen->path = strdup(path);
	seen->by_id = TAKE(by_id);
	if (!seen->path || !seen->by_id)
		return seen_free(seen);
	return seen;
}

struct seen *seen_open(const char *path)
{
	return seen_new(path, json_read_file(path, FILE_MAX, NULL));
}

struct seen *seen_free(struct seen *seen)
{
	if (seen) {
		json_decref(seen->by_id);
		free(seen->path);
	}
	free(seen);
	return NULL;
}

bool seen_get(const struct seen *seen, uint32_t id, struct endpoint *ret)
{
	char key[16];
	const char *text = json_string_value(json_object_get(seen->by_id, key_of(id, key)));
	struct endpoint endpoint;

	/* The tunnel would refuse the whole peer for an address that none can be at. */
	if (!text || endpoint_parse(text, &endpoint) < 0 || !presence_endpoint_is_valid(&endpoint))
		return false;
	*ret = endpoint;
	return true;
}

void seen_note(struct seen *seen, uint32_t id, const struct endpoint *endpoint)
{
	char key[16], text[ENDPOINT_TEXT_MAX];
	const char *old = json_string_value(json_object_get(seen->by_id, key_of(id, key)));

	if (!endpoint)
		seen->dirty = json_object_del(seen->by_id, key) == 0 || seen->dirty;
	else if (!old || strcmp(old, endpoint_format(endpoint, text)) != 0)
		seen->dirty = json_object_set_new(seen->by_id, key,
				      json_string(endpoint_format(endpoint, text))) == 0 ||
			      seen->dirty;
}

struct write *seen_write(struct seen *seen, const struct netmap *map, uint64_t now_us)
{
	bool last = now_us == UINT64_MAX;
	struct write *w;
	const char *key;
	json_t *value;
	void *next;

	if (!seen->dirty || (!last && damper_wait_us(&seen->saved, &saving, now_us)))
		return NULL;
	json_object_foreach_safe(seen->by_id, next, key, value)
	{
		if (!netmap_by_id(map, (uint32_t) strtoul(key, NULL, 10)))
			(void) json_object_del(seen->by_id, key);
	}
	w = write_new_json(seen->path, seen->by_id, 0600);
	seen->dirty = !w;
	if (!last)
		damper_done(&seen->saved, &saving, now_us);
	return w;
}

void seen_written(struct seen *seen, const struct write *w)
{
	seen->dirty = seen->dirty || w->result < 0;
}
