/* reply: see reply.h. */
#include "coordinator/reply.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/err.h"

void reply_refuse(struct httpd_request *request, enum api_code code, const char *format, ...)
{
	char text[ERR_TEXT_MAX];
	va_list args;

	va_start(args, format);
	(void) vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	httpd_reply_error(request, api_code_status(code), api_code_name(code), "%s", text);
}
