/* roster: see roster.h. All who wait are answered together: nobody but a relay or two asks. */
#include "node/roster.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "wire/fields.h"

struct asked {
	struct asked *next;
	struct ipc_request *request;
	uint64_t deadline_us;
};

struct roster {
	struct core *core;
	bool inside;
	struct asked *list; /* the newest first */
	sd_event_source *timer;
	bool has_reached;
	struct reached reached;
};

static json_t *member_json(const struct node *node)
{
	return json_pack("{s:I, s:s, s:o, s:o}", "id", (json_int_t) node->id, "name", node->name,
		"wg", field_key(node->wg), "identity", field_key(node->identity));
}

static json_t *ranges_json(const struct settings *settings)
{
	struct ip_prefix ranges[SETTINGS_RANGES];
	size_t n = settings ? settings_ranges(settings, ranges) : 0;
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		(void) json_array_append_new(list, field_prefix(&ranges[i]));
	return list;
}

/* By which coordinators are known: a relay carries connections to them. */
static json_t *pins_json(const struct settings *settings)
{
	json_t *list = json_array();

	for (size_t i = 0; settings && i < settings->n_pins; i++)
		(void) json_array_append_new(list, field_key(settings->pins[i]));
	if (settings && settings->has_next_pin)
		(void) json_array_append_new(list, field_key(settings->next_pin));
	return list;
}

/* By which names its clients ask for the relay here, as the log has them. */
static json_t *hosts_json(const struct roster *roster, const struct netmap *map)
{
	const struct node *self = netmap_by_id(map, roster->core->config.node);
	json_t *list = json_array();

	for (size_t i = 0; roster->inside && self && i < self->relay.n_hosts; i++)
		(void) json_array_append_new(list, json_string(self->relay.hosts[i]));
	return list;
}

/* NULL: out of memory. */
static json_t *answer_json(const struct roster *roster)
{
	const struct netmap *map = book_netmap(roster->core->book);
	CLEANUP_JSON json_t *members = json_array();

	for (const struct node *n = NULL; roster->inside && (n = netmap_next(map, n));)
		if (json_array_append_new(members, member_json(n)) < 0)
			return NULL;
	return json_pack("{s:I, s:I, s:O, s:o, s:o, s:o}", "seq",
		(json_int_t) mesh_log_head(book_log(roster->core->book)), "self",
		(json_int_t) (roster->inside ? roster->core->config.node : 0), "members", members,
		"ranges", ranges_json(netmap_settings(map)), "pins",
		pins_json(netmap_settings(map)), "hosts", hosts_json(roster, map));
}

static void reply(const struct roster *roster, struct ipc_request *request)
{
	uint64_t began_us = clock_cpu_us();
	json_t *answer = answer_json(roster);

	ipc_request_charge(request, clock_cpu_us() - began_us);
	if (answer)
		ipc_request_reply(request, answer);
	else
		ipc_request_fail(request, "internal", "out of memory");
}

/* Those whose time has come; all of them if @all. */
static void answer_waiting(struct roster *roster, bool all)
{
	uint64_t now_us = clock_now_us();
	struct asked **p = &roster->list;

	while (*p) {
		struct asked *a = *p;

		if (!all && now_us < a->deadline_us) {
			p = &a->next;
			continue;
		}
		*p = a->next;
		reply(roster, a->request);
		free(a);
	}
}

/* Who hung up is answered, too, and the answer goes nowhere. */
static void is_gone(void *ctx)
{
	((struct asked *) ctx)->deadline_us = 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *ctx)
{
	struct roster *roster = ctx;

	answer_waiting(roster, false);
	if (!roster->list)
		return 0;
	(void) sd_event_source_set_time_relative(roster->timer, USEC_PER_SEC);
	(void) sd_event_source_set_enabled(roster->timer, SD_EVENT_ONESHOT);
	return 0;
}

static void hold(struct roster *roster, struct ipc_request *request)
{
	struct asked *a = calloc(1, sizeof(*a));

	if (!a) {
		ipc_request_fail(request, "internal", "out of memory");
		return;
	}
	*a = (struct asked){ .next = roster->list,
		.request = request,
		.deadline_us = clock_now_us() + ROSTER_HOLD_S * USEC_PER_SEC };
	roster->list = a;
	ipc_request_on_gone(request, is_gone, a);
	if (a->next)
		return; /* the timer is set */
	(void) sd_event_source_set_time_relative(roster->timer, ROSTER_HOLD_S * USEC_PER_SEC);
	(void) sd_event_source_set_enabled(roster->timer, SD_EVENT_ONESHOT);
}

/* What the relay says of itself; whoever else asks says nothing. */
static int take_reached(struct roster *roster, const json_t *args, struct err *err)
{
	int r;

	if (!json_has(args, "reached"))
		return 0;
	r = reached_from_json(
		json_object_get(args, "reached"), clock_now_us(), &roster->reached, err);
	roster->has_reached |= r == 0;
	return r;
}

void roster_answer(struct roster *roster, struct ipc_request *request)
{
	const json_t *args = ipc_request_args(request);
	struct err err = { 0 };
	uint64_t seq = 0;
	bool has = json_has(args, "seq");

	if ((has && json_get_u64(args, "seq", INT64_MAX, &seq, &err) < 0) ||
		take_reached(roster, args, &err) < 0)
		ipc_request_fail(request, "bad_request", "%s", err.text);
	else if (has && roster->inside && seq == mesh_log_head(book_log(roster->core->book)))
		hold(roster, request);
	else
		reply(roster, request);
}

const struct reached *roster_reached(const struct roster *roster)
{
	return roster->has_reached ? &roster->reached : NULL;
}

void roster_follow(struct roster *roster, bool inside)
{
	roster->inside = inside;
	answer_waiting(roster, true);
}

int roster_new(struct core *core, struct roster **ret, struct err *err)
{
	struct roster *roster = calloc(1, sizeof(*roster));
	int r;

	if (!roster)
		return err_set(err, -ENOMEM, "out of memory");
	roster->core = core;
	r = sd_event_add_time(
		core->event, &roster->timer, CLOCK_MONOTONIC, 0, USEC_PER_SEC, on_timer, roster);
	if (r >= 0)
		r = sd_event_source_set_enabled(roster->timer, SD_EVENT_OFF);
	if (r < 0) {
		(void) roster_free(roster);
		return err_set(err, r, "cannot set up a timer: %s", strerror(-r));
	}
	*ret = roster;
	return 0;
}

struct roster *roster_free(struct roster *roster)
{
	if (!roster)
		return NULL;
	answer_waiting(roster, true);
	sd_event_source_disable_unref(roster->timer);
	free(roster);
	return NULL;
}
