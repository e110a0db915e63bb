/* reached: see reached.h. */
#include "wire/reached.h"

#include <errno.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "wire/fields.h"
#include "wire/node.h"

static const char *const names[REACHED_WAYS] = { [REACHED_UDP] = "udp", [REACHED_TCP] = "tcp" };

const char *reached_way_name(enum reached_way way)
{
	return names[way];
}

static int read_way(const json_t *json, uint64_t now_us, uint32_t *ret_node, uint64_t *ret_at_us,
	struct err *err)
{
	uint64_t node, ago_s;
	int r = json_get_u64(json, "node", NODE_ID_MAX, &node, err);

	if (r == 0)
		r = json_get_u64(json, "ago", INT32_MAX, &ago_s, err);
	if (r == 0 && !node)
		r = err_set(err, -EINVAL, "field \"node\" counts from 1");
	if (r)
		return r;
	*ret_node = (uint32_t) node;
	*ret_at_us = now_us > ago_s * USEC_PER_SEC ? now_us - ago_s * USEC_PER_SEC : 1;
	return 0;
}

int reached_from_json(const json_t *json, uint64_t now_us, struct reached *ret, struct err *err)
{
	struct reached reached = { 0 };

	for (size_t i = 0; i < REACHED_WAYS; i++) {
		const json_t *way = json_object_get(json, names[i]);
		int r;

		if (json_is_null(way))
			continue;
		if (!way)
			return err_set(err, -EINVAL, "field \"%s\" is missing", names[i]);
		r = field_refuse_missing(
			read_way(way, now_us, &reached.ways[i].node, &reached.ways[i].at_us, err),
			err);
		if (r)
			return err_prefix(err, "%s", names[i]);
	}
	*ret = reached;
	return 0;
}

json_t *reached_to_json(const struct reached *reached, uint64_t now_us)
{
	CLEANUP_JSON json_t *json = json_object();
	int bad = 0;

	for (size_t i = 0; i < REACHED_WAYS; i++) {
		uint64_t at_us = reached->ways[i].at_us;
		uint64_t ago_s = now_us > at_us ? (now_us - at_us) / USEC_PER_SEC : 0;

		bad |= json_object_set_new(json, names[i],
			reached->ways[i].node
				? json_pack("{s:I, s:I}", "node",
					  (json_int_t) reached->ways[i].node, "ago",
					  (json_int_t) (ago_s < INT32_MAX ? ago_s : INT32_MAX))
				: json_null());
	}
	return bad ? NULL : TAKE(json);
}

bool reached_same_ways(const struct reached *a, const struct reached *b)
{
	for (size_t i = 0; i < REACHED_WAYS; i++)
		if (!a->ways[i].node != !b->ways[i].node)
			return false;
	return true;
}
