/* names: see names.h. */
#include "node/names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/names.h"
#include "node/hostnames.h"
#include "node/hostsfile.h"
#include "node/job.h"
#include "node/repair.h"

#define WRITE_US (60 * USEC_PER_SEC) /* a large file on a slow card */

struct names {
	struct core *core; /* borrowed, as hooks and ctx are */
	const struct names_hooks *hooks;
	void *ctx;
	struct hostsfile *file;
	struct job job;
	struct repair repairs, tries; /* of what was taken out; of what failed */
	char *text;                   /* in the file, or on its way */
	bool repair;                  /* what is on its way puts back what somebody took out */
	bool wait;                    /* newer ones than those on their way */
	bool wait_log;                /* the log is on its way to the disk */
	bool unsaved;                 /* they were asked for while it was not there */
};

static void look(void *ctx);

struct names *names_new(struct core *core, const struct names_hooks *hooks, void *ctx)
{
	struct names *names = calloc(1, sizeof(*names));

	if (!names)
		return NULL;
	names->core = core;
	names->hooks = hooks;
	names->ctx = ctx;
	if (hostsfile_new(core->event, look, names, &names->file) < 0)
		names = names_free(names);
	return names;
}

struct names *names_free(struct names *names)
{
	if (!names)
		return NULL;
	job_cancel(&names->job);
	hostsfile_free(names->file);
	free(names->text);
	free(names);
	return NULL;
}

static void failed(struct names *names, const struct err *why)
{
	struct err err;

	job_failed(&names->job);
	if (!hostsfile_path(names->file)[0]) /* a failure does not say which */
		hostsfile_watch(names->file, NAMES_HOSTS);
	hostsfile_failed(names->file);
	err_set(&err, why->code,
		"names of the mesh do not work on this board, they are not in its hosts file: "
		"%.500s; tried again by itself, at once when that changes or with `hearth reload`",
		why->text);
	problem_set(&names->core->problems, "helper", &err);
}

/* The other line stands before ours, so that it is the one resolvers find. */
static void tell_taken(struct names *names, const char *name)
{
	struct err err = { 0 };

	if (name)
		err_set(&err, -EEXIST,
			"%s has another address further up in the hosts file, which counts: "
			"another mesh of the same name on this machine, or somebody's own line",
			name);
	problem_set(&names->core->problems, "names", &err);
}

/* Older helpers do not say which file it is. */
static void are_in_place(struct names *names, const json_t *reply)
{
	const char *path = json_string_value(json_object_get(reply, "path"));
	bool changed = json_is_true(json_object_get(reply, "changed"));

	hostsfile_watch(names->file, path ? path : NAMES_HOSTS);
	if (names->repair && changed)
		log_notice("%s was changed by another program; Hearth's names are back in it",
			hostsfile_path(names->file));
	names->repair = false;
	hostsfile_wait(names->file, 0); /* it may have been changed before it was watched */
}

static void written(void *ctx, int r, struct ipc_reply *reply, const struct err *err)
{
	struct names *names = ctx;

	job_ended(&names->job);
	if (r >= 0) {
		job_clear(&names->job);
		are_in_place(names, reply->ok);
	}
	if (names->wait) {
		names->wait = false;
		names_write(names, true);
	} else if (r < 0) {
		failed(names, err);
	} else {
		problem_set(&names->core->problems, "helper", NULL);
		tell_taken(names, json_string_value(json_object_get(reply->ok, "taken")));
	}
}

static json_t *entries_of_now(const struct names *names)
{
	if (!names->hooks->is_up(names->ctx))
		return json_array();
	return hostnames_entries(
		book_netmap(names->core->book), names->hooks->has_ipv6, names->ctx);
}

void names_write(struct names *names, bool again)
{
	const struct core *core = names->core;
	CLEANUP_JSON json_t *entries = entries_of_now(names);
	CLEANUP_JSON json_t *args = NULL;
	CLEANUP(free_p) char *text = NULL;

	text = entries ? json_text(entries) : NULL;
	args = entries ? hostnames_request(json_incref(entries), core->config.interface) : NULL;
	if (!text || !args)
		return;                      /* out of memory: at the next change */
	if (job_is_under_way(&names->job)) { /* two on their way could overtake each other */
		names->wait = true;
		return;
	}
	if (!again && names->text && !strcmp(text, names->text))
		return;
	if (book_log_is_on_its_way(core->book)) {
		names->wait_log = true;
		return;
	}
	free(names->text);
	names->text = TAKE(text);
	names->unsaved = book_unsaved(core->book)->code != 0;
	job_ask(&names->job, core, "hosts.write", args, WRITE_US, written, names);
}

static void say_fight(struct names *names)
{
	struct err err = { 0 };

	err_set(&err, -EBUSY,
		"another program keeps removing Hearth's names from %.500s; find it, and let it "
		"keep the lines from \"# BEGIN hearth\" to \"# END hearth\"",
		hostsfile_path(names->file));
	problem_set(&names->core->problems, "hosts", &err);
}

/* Somebody may have mended what failed; or writes for ever what fails for ever: with pauses. */
static void try_changed(struct names *names)
{
	uint64_t now = clock_now_us(), wait_us = repair_wait_us(&names->tries, now);

	if (!hostsfile_has_changed(names->file))
		return;
	if (wait_us) {
		hostsfile_wait(names->file, wait_us);
		return;
	}
	repair_done(&names->tries, now);
	names_write(names, true);
}

/* The file was touched, or a minute went by. */
static void look(void *ctx)
{
	struct names *names = ctx;
	uint64_t now = clock_now_us(), wait_us;
	int r;

	if (!names->text || job_is_under_way(&names->job))
		return; /* it is being written, or will be */
	if (job_has_failed(&names->job)) {
		try_changed(names);
		return;
	}
	r = hostsfile_look(names->file, names->core->config.interface, names->text);
	if (!repair_is_fight(&names->repairs, now))
		problem_set(&names->core->problems, "hosts", NULL);
	if (r > 0 || r == -EACCES || r == -ENODATA) /* root may read what we may not */
		return;
	wait_us = repair_wait_us(&names->repairs, now);
	if (wait_us) {
		hostsfile_wait(names->file, wait_us);
		return;
	}
	repair_done(&names->repairs, now);
	if (repair_is_fight(&names->repairs, now))
		say_fight(names);
	else
		names->repair = true;
	names_write(names, true);
}

void names_look(struct names *names)
{
	hostsfile_wait(names->file, 0);
}

void names_log_settled(struct names *names, bool saved)
{
	bool ask = names->wait_log || (saved && names->unsaved);

	names->wait_log = false;
	names->unsaved = names->unsaved && !saved;
	if (ask)
		names_write(names, true);
}

void names_retry(struct names *names)
{
	if (job_has_failed(&names->job))
		look(names); /* mounts and file systems send no events */
	if (job_is_due(&names->job))
		names_write(names, true);
}

void names_hurry(struct names *names)
{
	job_hurry(&names->job);
}
