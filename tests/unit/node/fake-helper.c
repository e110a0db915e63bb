/* fake-helper: see fake-helper.h. */
#include "fake-core.h"
#include "fake-helper.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/json.h"

enum { CALL_MAX_LEN = 64 };

struct ipc_async {
	struct ipc_async *next;
	char name[CALL_MAX_LEN];
	json_t *args;
	uint64_t timeout_us;
	ipc_done_fn done;
	void *ctx;
};

int fake_helper_refuses;
static struct ipc_async *waiting; /* the oldest first */
static size_t n_calls;

void fake_helper_reset(void)
{
	assert_null(waiting);
	fake_helper_refuses = 0;
	n_calls = 0;
}

size_t fake_helper_waiting(void)
{
	size_t n = 0;

	for (const struct ipc_async *a = waiting; a; a = a->next)
		n++;
	return n;
}

size_t fake_helper_calls(void)
{
	return n_calls;
}

const char *fake_helper_call(void)
{
	assert_non_null(waiting);
	return waiting->name;
}

const json_t *fake_helper_args(void)
{
	assert_non_null(waiting);
	return waiting->args;
}

uint64_t fake_helper_timeout_us(void)
{
	assert_non_null(waiting);
	return waiting->timeout_us;
}

int ipc_call_async(sd_event *event, const char *path, const char *call, const json_t *args,
	uint64_t timeout_us, ipc_done_fn done, void *ctx, struct ipc_async **ret, struct err *err)
{
	struct ipc_async **at = &waiting, *a;

	n_calls++;
	assert_string_equal(path, FAKE_RUN "/helper.sock");
	assert_true(timeout_us > 0);
	if (fake_helper_refuses)
		return err_set(
			err, fake_helper_refuses, "%s: %s", path, strerror(-fake_helper_refuses));
	a = calloc(1, sizeof(*a));
	assert_non_null(a);
	(void) snprintf(a->name, sizeof(a->name), "%s", call);
	a->args = args ? json_deep_copy(args) : json_object();
	a->timeout_us = timeout_us;
	a->done = done;
	a->ctx = ctx;
	while (*at)
		at = &(*at)->next;
	*at = a;
	if (ret)
		*ret = a;
	return 0;
}

static void forget(struct ipc_async *a)
{
	struct ipc_async **at = &waiting;

	while (*at && *at != a)
		at = &(*at)->next;
	assert_ptr_equal(*at, a);
	*at = a->next;
	json_decref(a->args);
	free(a);
}

struct ipc_async *ipc_async_cancel(struct ipc_async *a)
{
	if (a)
		forget(a);
	return NULL;
}

static void end(int r, json_t *ok, int fd, const struct err *err)
{
	struct ipc_reply reply = { .ok = ok, .fd = fd };
	ipc_done_fn done;
	void *ctx;

	assert_non_null(waiting);
	done = waiting->done;
	ctx = waiting->ctx;
	forget(waiting);
	done(ctx, r, &reply, err);
	json_decref(reply.ok);
	close_p(&reply.fd);
}

void fake_helper_answer_fd(json_t *ok, int fd)
{
	struct err none = { 0 };

	end(0, ok ? ok : json_object(), fd, &none);
}

void fake_helper_answer(json_t *ok)
{
	fake_helper_answer_fd(ok, -1);
}

void fake_helper_fail(int r, const char *text)
{
	struct err err = { 0 };

	err_set(&err, r, "%s", text);
	end(r, NULL, -1, &err);
}
