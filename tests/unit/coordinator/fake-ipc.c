/* fake-ipc: see fake-ipc.h. */
#include "fake-ipc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct ipc_request *fake_call(const char *call, json_t *args)
{
	struct ipc_request *r = calloc(1, sizeof(*r));

	assert_non_null(r);
	r->call = call;
	r->args = args ? args : json_object();
	return r;
}

void fake_call_free(struct ipc_request *r)
{
	assert_true(r->answered); /* nobody is left without an answer */
	json_decref(r->args);
	json_decref(r->ok);
	free(r);
}

void fake_call_refused(struct ipc_request *r, const char *code, const char *message)
{
	assert_string_equal(r->code, code);
	if (!strstr(r->message, message))
		fail_msg("\"%s\" does not say \"%s\"", r->message, message);
	fake_call_free(r);
}

json_t *fake_call_taken(struct ipc_request *r)
{
	json_t *ok = json_incref(r->ok);

	if (!ok)
		fail_msg("%s: %s", r->code, r->message);
	fake_call_free(r);
	return ok;
}

const char *ipc_request_call(const struct ipc_request *r)
{
	return r->call;
}

const json_t *ipc_request_args(const struct ipc_request *r)
{
	return r->args;
}

const struct ipc_creds *ipc_request_creds(const struct ipc_request *r)
{
	return &r->creds;
}

void ipc_request_charge(const struct ipc_request *r, uint64_t work_us)
{
	((struct ipc_request *) (uintptr_t) r)->charged++;
}

void ipc_request_reply(struct ipc_request *r, json_t *ok)
{
	assert_false(r->answered);
	r->answered = true;
	r->ok = ok ? ok : json_object();
}

void ipc_request_fail(struct ipc_request *r, const char *code, const char *format, ...)
{
	va_list args;

	assert_false(r->answered);
	r->answered = true;
	(void) snprintf(r->code, sizeof(r->code), "%s", code);
	va_start(args, format);
	(void) vsnprintf(r->message, sizeof(r->message), format, args);
	va_end(args);
}

/* --- the server --- */

struct ipc_server *fake_ipc;
int fake_ipc_fails, fake_place_fails;
bool fake_ipc_has_path = true;
char fake_place[256];

int ipc_make_place(const char *run, const char *name, uid_t uid, gid_t gid, struct err *err)
{
	if (fake_place_fails < 0)
		return err_set(err, fake_place_fails, "make %s: no", run);
	(void) snprintf(fake_place, sizeof(fake_place), "%s %s %u", run, name, (unsigned) uid);
	return 0;
}

int ipc_server_new(sd_event *event, const char *path, mode_t mode, gid_t gid,
	ipc_handler_fn handler, void *ctx, struct ipc_server **ret, struct err *err)
{
	assert_null(fake_ipc);
	if (fake_ipc_fails < 0)
		return err_set(err, fake_ipc_fails, "the local socket says no");
	fake_ipc = calloc(1, sizeof(*fake_ipc));
	assert_non_null(fake_ipc);
	*fake_ipc = (struct ipc_server){ .mode = mode, .gid = gid, .handler = handler, .ctx = ctx };
	(void) snprintf(fake_ipc->path, sizeof(fake_ipc->path), "%s", path);
	*ret = fake_ipc;
	return 0;
}

struct ipc_server *ipc_server_free(struct ipc_server *server)
{
	if (!server)
		return NULL;
	assert_ptr_equal(server, fake_ipc);
	free(server);
	fake_ipc = NULL;
	return NULL;
}

bool ipc_server_has_path(const struct ipc_server *server)
{
	assert_ptr_equal(server, fake_ipc);
	return fake_ipc_has_path;
}
