/* admin-change: see admin-change.h. */
#include "coordinator/admin-change.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/log.h"

void admin_audit(const struct ipc_request *request, const char *format, ...)
{
	char text[512];
	const struct ipc_creds *creds = ipc_request_creds(request);
	va_list args;

	va_start(args, format);
	(void) vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	log_notice("%s by uid %u (pid %d): %s", ipc_request_call(request), (unsigned) creds->uid,
		(int) creds->pid, text);
}

void admin_refuse(struct admin_change *a)
{
	ipc_request_fail(a->request, api_code_name(a->change.code), "%s", a->change.err.text);
}

bool admin_submit(struct admin_change *a)
{
	if (ledger_submit(a->coord->ledger, &a->change) == 0)
		return true;
	ipc_request_fail(
		a->request, api_code_name(API_TOO_MANY), "The coordinator is too busy. Try again.");
	return false;
}
