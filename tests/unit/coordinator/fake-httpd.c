/* fake-httpd: see fake-httpd.h. */
#include "fake-httpd.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/json.h"
#include "sys/listen/listen.h"

struct httpd_request *fake_request(const char *path)
{
	struct httpd_request *r = calloc(1, sizeof(*r));

	assert_non_null(r);
	r->method = "GET";
	r->path = path;
	assert_int_equal(ip_addr_parse("192.0.2.1", &r->address), 0);
	return r;
}

void fake_request_query(struct httpd_request *r, const char *name, const char *value)
{
	for (size_t i = 0; i < FAKE_QUERY_MAX; i++)
		if (!r->query[i][0] || !strcmp(r->query[i][0], name)) {
			r->query[i][0] = name;
			r->query[i][1] = value;
			return;
		}
	fail();
}

void fake_request_set_key(struct httpd_request *r, const uint8_t *key)
{
	r->has_key = key != NULL;
	if (key)
		memcpy(r->key, key, HTTPD_KEY_LEN);
}

void fake_request_free(struct httpd_request *r)
{
	assert_int_not_equal(r->status, 0); /* nobody is left without an answer */
	json_decref(r->reply);
	free(r->text);
	free(r);
}

static const char *member(const struct httpd_request *r, const char *name)
{
	const char *text =
		json_string_value(json_object_get(json_object_get(r->reply, "error"), name));

	return text ? text : "";
}

const char *fake_request_code(const struct httpd_request *r)
{
	return member(r, "code");
}

const char *fake_request_message(const struct httpd_request *r)
{
	return member(r, "message");
}

void fake_request_refused(struct httpd_request *r, const char *code, const char *message)
{
	assert_string_equal(fake_request_code(r), code);
	if (!strstr(fake_request_message(r), message))
		fail_msg("\"%s\" does not say \"%s\"", fake_request_message(r), message);
	fake_request_free(r);
}

const char *httpd_request_method(const struct httpd_request *r)
{
	return r->method;
}

const char *httpd_request_path(const struct httpd_request *r)
{
	return r->path;
}

const char *httpd_request_query(const struct httpd_request *r, const char *name)
{
	for (size_t i = 0; i < FAKE_QUERY_MAX && r->query[i][0]; i++)
		if (!strcmp(r->query[i][0], name))
			return r->query[i][1];
	return NULL;
}

const char *httpd_request_body(const struct httpd_request *r, size_t *ret_len)
{
	*ret_len = r->body ? strlen(r->body) : 0;
	return r->body ? r->body : "";
}

const struct ip_addr *httpd_request_address(const struct httpd_request *r)
{
	return &r->address;
}

const uint8_t *httpd_request_key(const struct httpd_request *r)
{
	return r->has_key ? r->key : NULL;
}

void httpd_request_is_known(struct httpd_request *r)
{
	r->known = true;
}

void httpd_reply_text(struct httpd_request *r, unsigned status, char *text, size_t len)
{
	assert_int_equal(r->status, 0);
	assert_non_null(text);
	r->status = status;
	r->text = text;
	r->reply = json_parse(text, len, NULL);
	assert_non_null(r->reply);
}

void httpd_reply(struct httpd_request *r, unsigned status, json_t *body)
{
	assert_non_null(body);
	char *text = json_text(body);

	json_decref(body);
	httpd_reply_text(r, status, text, strlen(text));
}

void httpd_reply_error(
	struct httpd_request *r, unsigned status, const char *code, const char *format, ...)
{
	char text[1024];
	va_list args;

	va_start(args, format);
	(void) vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	httpd_reply(r, status, json_pack("{s:{s:s, s:s}}", "error", "code", code, "message", text));
}

/* --- the server --- */

struct httpd *fake_httpd;
int fake_httpd_fails, fake_listen_fails, fake_listen_fd = -1;
void (*fake_httpd_on_flush)(void);

int listen_open(const char *where, int *ret_fd, struct err *err)
{
	if (fake_listen_fails < 0)
		return err_set(err, fake_listen_fails, "listen on %s: the kernel says no", where);
	*ret_fd = fake_listen_fd >= 0 ? fake_listen_fd : open("/dev/null", O_RDONLY | O_CLOEXEC);
	return 0;
}

int httpd_add(struct httpd *httpd, int fd, const struct endpoint *client)
{
	(void) close(fd);
	return 0;
}

int httpd_new(
	sd_event *event, const struct httpd_config *config, struct httpd **ret, struct err *err)
{
	assert_null(fake_httpd);
	if (fake_httpd_fails < 0)
		return err_set(err, fake_httpd_fails, "HTTPS says no");
	fake_httpd = calloc(1, sizeof(*fake_httpd));
	assert_non_null(fake_httpd);
	fake_httpd->config = *config;
	*ret = fake_httpd;
	return 0;
}

struct httpd *httpd_free(struct httpd *httpd)
{
	if (!httpd)
		return NULL;
	assert_ptr_equal(httpd, fake_httpd);
	assert_int_equal(close(httpd->config.listen_fd), 0);
	free(httpd);
	fake_httpd = NULL;
	return NULL;
}

void httpd_flush(struct httpd *httpd, uint64_t timeout_us)
{
	if (fake_httpd_on_flush)
		fake_httpd_on_flush();
}

unsigned httpd_connections(const struct httpd *httpd)
{
	return httpd->connections;
}

uint64_t httpd_put_out(const struct httpd *httpd)
{
	return httpd->put_out;
}

uint64_t httpd_turned_away(const struct httpd *httpd)
{
	return httpd->turned_away;
}
