/* admit: see admit.h. One call at a time, the next as soon as it has ended. */
#include "relay/admit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/log.h"
#include "base/pace.h"
#include "sys/ipc/ipc.h"

#define ANSWER_US    (40 * USEC_PER_SEC) /* hearthd holds the call for 25 s */
#define PAUSE_US     (USEC_PER_SEC / 4)
#define PAUSE_MAX_US (4 * USEC_PER_SEC)

struct admit {
	struct relay_core *core;
	const struct admit_hooks *hooks;
	void *ctx;
	char path[256];
	struct ipc_async *call;
	sd_event_source *timer;
	struct backoff backoff;
	struct trouble trouble;
	bool has_seq;
	uint64_t seq;
	struct ip_prefix ranges[SETTINGS_RANGES];
	size_t n_ranges;
	uint8_t pins[FIELD_PINS_MAX + 1][FIELD_KEY_LEN];
	size_t n_pins;
	char hosts[NODE_RELAY_HOSTS_MAX][FIELD_HOST_MAX];
	size_t n_hosts;
	char problem[ERR_TEXT_MAX];
};

/* --- what hearthd says --- */

void admit_answer_done(struct admit_answer *answer)
{
	free(answer->members);
	*answer = (struct admit_answer){ 0 };
}

static int read_member(const json_t *json, struct relay_member *ret, struct err *err)
{
	uint64_t id;
	int r = json_get_u64(json, "id", NODE_ID_MAX, &id, err);

	if (r == 0 && id == 0)
		r = err_set(err, -EINVAL, "field \"id\" counts from 1");
	if (r < 0)
		return r;
	ret->id = (uint32_t) id;
	if ((r = field_get_name(json, "name", ret->name, err)) ||
		(r = field_get_nonzero_key(json, "wg", ret->wg, err)))
		return r;
	return field_get_nonzero_key(json, "identity", ret->identity, err);
}

static int read_members(const json_t *json, struct admit_answer *ret, struct err *err)
{
	json_t *list, *member;
	size_t i;
	int r = json_get_array(json, "members", MEMBERS_MAX, &list, err);

	if (r < 0)
		return r;
	ret->members = calloc(json_array_size(list) + 1, sizeof(*ret->members));
	if (!ret->members)
		return err_set(err, -ENOMEM, "out of memory");
	json_array_foreach(list, i, member)
	{
		r = read_member(member, &ret->members[ret->n_members++], err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int read_ranges(const json_t *json, struct admit_answer *ret, struct err *err)
{
	json_t *list, *range;
	size_t i;
	int r = json_get_array(json, "ranges", SETTINGS_RANGES, &list, err);

	if (r < 0)
		return r;
	json_array_foreach(list, i, range)
	{
		const char *text = json_string_value(range);

		if (!text || ip_prefix_parse(text, &ret->ranges[ret->n_ranges++]) < 0)
			return err_set(err, -EINVAL, "field \"ranges\" must be a list of ranges");
	}
	return 0;
}

static int read_pins(const json_t *json, struct admit_answer *ret, struct err *err)
{
	json_t *list, *pin;
	size_t i;
	int r;

	if (!json_has(json, "pins"))
		return 0; /* a hearthd of before */
	r = json_get_array(json, "pins", FIELD_PINS_MAX + 1, &list, err);
	if (r < 0)
		return r;
	json_array_foreach(list, i, pin)
	{
		const char *text = json_string_value(pin);

		if (!text || key_from_base64(text, ret->pins[ret->n_pins++]) < 0)
			return err_set(err, -EINVAL, "field \"pins\" must be a list of pins");
	}
	return 0;
}

static int read_hosts(const json_t *json, struct admit_answer *ret, struct err *err)
{
	json_t *list, *host;
	size_t i;
	int r;

	if (!json_has(json, "hosts"))
		return 0; /* a hearthd of before */
	r = json_get_array(json, "hosts", NODE_RELAY_HOSTS_MAX, &list, err);
	if (r < 0)
		return r;
	json_array_foreach(list, i, host)
	{
		const char *text = json_string_value(host);

		if (!text || !field_host_is_valid(text))
			return err_set(err, -EINVAL, "field \"hosts\" must be a list of hosts");
		(void) snprintf(ret->hosts[ret->n_hosts++], FIELD_HOST_MAX, "%s", text);
	}
	return 0;
}

int admit_answer_read(const json_t *json, struct admit_answer *ret, struct err *err)
{
	CLEANUP_ADMIT_ANSWER struct admit_answer answer = { 0 };
	int r = json_get_u64(json, "seq", INT64_MAX, &answer.seq, err);

	if (r == 0)
		r = read_members(json, &answer, err);
	if (r == 0)
		r = read_ranges(json, &answer, err);
	if (r == 0)
		r = read_pins(json, &answer, err);
	if (r == 0)
		r = read_hosts(json, &answer, err);
	r = field_refuse_missing(r, err);
	if (r < 0)
		return r;
	*ret = answer;
	answer = (struct admit_answer){ 0 };
	return 0;
}

/* --- asking --- */

static void ask(struct admit *admit);

static void ask_later(struct admit *admit, const struct err *err)
{
	uint64_t now_us = clock_now_us();

	(void) snprintf(admit->problem, sizeof(admit->problem), "%s", err->text);
	if (trouble_is(&admit->trouble, err->code, now_us))
		log_warning("who the mesh's members are is not known%s: hearthd: %s",
			admit->has_seq ? " any more; those of before are served" : "", err->text);
	backoff_failed(&admit->backoff, PAUSE_US, PAUSE_MAX_US, now_us);
	(void) sd_event_source_set_time(admit->timer, admit->backoff.next_us);
	(void) sd_event_source_set_enabled(admit->timer, SD_EVENT_ONESHOT);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *ctx)
{
	ask(ctx);
	return 0;
}

static bool is_news(const struct admit *admit, const struct admit_answer *answer)
{
	size_t n;

	(void) members_list(admit->core->members, &n);
	return answer->n_members ? !admit->has_seq || answer->seq != admit->seq : n > 0;
}

/* 1: they are others than before. */
static int take(struct admit *admit, const json_t *json, struct err *err)
{
	CLEANUP_ADMIT_ANSWER struct admit_answer answer = { 0 };
	int r = admit_answer_read(json, &answer, err);

	if (r < 0)
		return r;
	if (!is_news(admit, &answer))
		return 0;
	r = members_set(admit->core->members, answer.members, answer.n_members);
	if (r < 0)
		return err_set(err, r, "its list cannot be used: %s", strerror(-r));
	memcpy(admit->ranges, answer.ranges, sizeof(admit->ranges));
	admit->n_ranges = answer.n_ranges;
	memcpy(admit->pins, answer.pins, sizeof(admit->pins));
	admit->n_pins = answer.n_pins;
	memcpy(admit->hosts, answer.hosts, sizeof(admit->hosts));
	admit->n_hosts = answer.n_hosts;
	admit->seq = answer.seq;
	admit->has_seq = answer.n_members; /* a board outside any mesh is not held */
	return 1;
}

static void they_are_known(struct admit *admit)
{
	struct trouble_end end;
	char span[PACE_SPAN_MAX];

	admit->backoff = (struct backoff){ 0 };
	admit->problem[0] = '\0';
	if (trouble_over(&admit->trouble, clock_now_us(), &end))
		log_notice("hearthd says who the mesh's members are, after %s",
			pace_span_format(end.lasted_us, span));
	ask(admit);
}

static void ended(void *ctx, int r, struct ipc_reply *reply, const struct err *error)
{
	struct admit *admit = ctx;
	struct err err = { 0 };

	admit->call = NULL;
	if (r < 0) {
		ask_later(admit, error);
		return;
	}
	r = take(admit, reply->ok, &err);
	if (r == 1)
		admit->hooks->changed(admit->ctx);
	if (r >= 0 && !admit->has_seq)
		r = err_set(&err, -ENODATA, "this board is in no mesh");
	if (r < 0)
		ask_later(admit, &err);
	else
		they_are_known(admit);
}

static void ask(struct admit *admit)
{
	CLEANUP_JSON json_t *args = json_object();
	struct err err = { 0 };

	if (admit->has_seq)
		(void) json_object_set_new(args, "seq", json_integer((json_int_t) admit->seq));
	if (admit->hooks->reached)
		(void) json_object_set_new(args, "reached", admit->hooks->reached(admit->ctx));
	if (ipc_call_async(admit->core->event, admit->path, "members", args, ANSWER_US, ended,
		    admit, &admit->call, &err) < 0)
		ask_later(admit, &err);
}

int admit_new(struct relay_core *core, const char *path, const struct admit_hooks *hooks, void *ctx,
	struct admit **ret, struct err *err)
{
	struct admit *admit = calloc(1, sizeof(*admit));
	int r;

	if (!admit)
		return err_set(err, -ENOMEM, "out of memory");
	admit->core = core;
	admit->hooks = hooks;
	admit->ctx = ctx;
	(void) snprintf(admit->path, sizeof(admit->path), "%s", path);
	r = sd_event_add_time(core->event, &admit->timer, CLOCK_MONOTONIC, 0, 10 * USEC_PER_MSEC,
		on_timer, admit); /* armed: it begins in the loop */
	if (r < 0) {
		(void) admit_free(admit);
		return err_set(err, r, "cannot set up a timer: %s", strerror(-r));
	}
	*ret = admit;
	return 0;
}

struct admit *admit_free(struct admit *admit)
{
	if (!admit)
		return NULL;
	(void) ipc_async_cancel(admit->call);
	sd_event_source_disable_unref(admit->timer);
	free(admit);
	return NULL;
}

const struct ip_prefix *admit_ranges(const struct admit *admit, size_t *ret_n)
{
	*ret_n = admit->n_ranges;
	return admit->ranges;
}

const uint8_t (*admit_pins(const struct admit *admit, size_t *ret_n))[FIELD_KEY_LEN]
{
	*ret_n = admit->n_pins;
	return admit->pins;
}

const char (*admit_hosts(const struct admit *admit, size_t *ret_n))[FIELD_HOST_MAX]
{
	*ret_n = admit->n_hosts;
	return admit->hosts;
}

const char *admit_problem(const struct admit *admit)
{
	return admit->problem;
}
