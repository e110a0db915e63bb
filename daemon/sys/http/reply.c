/* Replies: what they hold, and what a refusal means. */
#include <errno.h>
#include <string.h>

#include "sys/http/http.h"
#include "wire/pass.h"

void http_reply_done(struct http_reply *reply)
{
	if (reply->body.data)
		explicit_bzero(reply->body.data, reply->body.cap);
	buf_done(&reply->body);
	*reply = (struct http_reply){ 0 };
}

static int status_to_errno(int status)
{
	switch (status) {
	case 401:
	case 403:
		return -EACCES;
	case 404:
		return -ENOENT;
	case 409:
		return -EEXIST;
	case 429:
	case 503:
		return -EAGAIN;
	case 507:
		return -ENOSPC;
	default:
		return -EREMOTEIO;
	}
}

int http_reply_json(
	const struct http_reply *reply, json_t **ret, char ret_code[static 64], struct err *err)
{
	CLEANUP_JSON json_t *json = NULL;
	const char *message = NULL, *code = NULL;
	char told[PASS_TOLD_MAX];
	struct err parse = { 0 };
	json_t *error;

	ret_code[0] = 0;
	json = json_parse(buf_str(&reply->body), reply->body.len, &parse);
	if (reply->status >= 200 && reply->status < 300) {
		if (!json)
			return err_set(err, -EBADMSG, "%s: the reply is no JSON: %s",
				pass_url_tell(reply->url, told), parse.text);
		*ret = TAKE(json);
		return 0;
	}
	error = json_object_get(json, "error");
	message = json_string_value(json_object_get(error, "message"));
	code = json_string_value(json_object_get(error, "code"));
	if (code)
		(void) snprintf(ret_code, 64, "%s", code);
	if (!message)
		return err_set(err, status_to_errno(reply->status), "%s: status %d",
			pass_url_tell(reply->url, told), reply->status);
	return err_set(err, status_to_errno(reply->status), "%.600s", message);
}
