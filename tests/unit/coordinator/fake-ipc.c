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
