/*
 * httpd request: from head to reply, see httpd.h. microhttpd calls back for the head, for each
 * piece of the body, at its end, and again after a pause; the request walks through that once and
 * is then the handler's until its reply.
 */
#include <errno.h>
#include <gnutls/gnutls.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "sys/httpd/httpd-internal.h"
#include "sys/x509/x509.h"

/* A body that nobody wants is read to here, so that the client sees the refusal, not a reset. */
enum { DISCARD_MAX = 1 << 20, DISCARD_STRANGER_MAX = 128 << 10 };

static void request_free(struct httpd_request *r)
{
	if (r->body.data)
		explicit_bzero(r->body.data, r->body.len);
	buf_done(&r->body);
	if (r->response)
		MHD_destroy_response(r->response);
	free(r);
}

static void unlink_held(struct httpd_request *r)
{
	if (!r->pprev)
		return;
	*r->pprev = r->next;
	if (r->next)
		r->next->pprev = r->pprev;
	r->pprev = NULL;
}

static struct conn *conn_of(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info ? info->socket_context : NULL;
}

/* Once per connection: the key cannot change without a new handshake. */
static void learn_key(struct conn *conn, struct MHD_Connection *connection)
{
	unsigned n = 0;

	if (conn->key_known)
		return;
	conn->key_known = true;
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);

	if (!info || !info->tls_session)
		return;
	const gnutls_datum_t *chain = gnutls_certificate_get_peers(info->tls_session, &n);

	if (chain && n >= 1)
		conn->has_key = x509_key_of_der(chain[0].data, chain[0].size, conn->key) == 0;
}

static struct httpd_request *request_new(struct httpd *httpd, struct conn *conn,
	struct MHD_Connection *connection, const char *url, const char *method)
{
	struct httpd_request *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->httpd = httpd;
	r->conn = conn;
	r->connection = connection;
	/* Cut is fine: no path or method that we know is so long. */
	snprintf(r->path, sizeof(r->path), "%s", url);
	snprintf(r->method, sizeof(r->method), "%s", method);
	r->address = conn->address;
	return r;
}

/* The head is there: who asks, and for what, is known before anything is kept of the body. */
static void decide(struct httpd_request *r)
{
	const char *length =
		MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, "Content-Length");

	learn_key(r->conn, r->connection);
	r->in_handler = true;
	r->body_max = r->httpd->config.head(r->httpd->config.ctx, r);
	r->in_handler = false;
	if (length && strtoull(length, NULL, 10) > r->body_max)
		r->too_large = true;
}

static mhd_result add_body(struct httpd_request *r, const char *data, size_t *len)
{
	r->body_seen += *len;
	if (r->body_seen > r->body_max)
		r->too_large = true;
	if (r->body_seen > (size_t) (r->conn->known ? DISCARD_MAX : DISCARD_STRANGER_MAX))
		return MHD_NO;
	if (!r->too_large && !r->status)
		buf_add(&r->body, data, *len);
	*len = 0;
	return buf_failed(&r->body) ? MHD_NO : MHD_YES;
}

static mhd_result send_response(struct httpd_request *r)
{
	conn_set_phase(r->conn, CONN_SENDING);
	return MHD_queue_response(r->connection, r->status, r->response);
}

static void hold(struct httpd_request *r)
{
	struct httpd *h = r->httpd;

	r->held = true;
	r->next = h->requests;
	r->pprev = &h->requests;
	if (r->next)
		r->next->pprev = &r->next;
	h->requests = r;
}

static mhd_result serve(struct httpd_request *r)
{
	conn_set_phase(r->conn, CONN_SERVED);
	hold(r);
	r->in_handler = true;
	if (r->too_large)
		httpd_reply_error(r, 413, "too_large",
			"The request's body is longer than %zu bytes.", r->body_max);
	else
		r->httpd->config.handler(r->httpd->config.ctx, r);
	r->in_handler = false;
	if (r->response)
		return send_response(r);
	r->suspended = true;
	MHD_suspend_connection(r->connection);
	return MHD_YES;
}

mhd_result request_access(void *cls, struct MHD_Connection *connection, const char *url,
	const char *method, const char *version, const char *data, size_t *data_len, void **ctx)
{
	struct httpd_request *r = *ctx;

	if (!r) {
		struct conn *conn = conn_of(connection);

		if (!conn)
			return MHD_NO;
		r = request_new(cls, conn, connection, url, method);
		if (!r)
			return MHD_NO;
		*ctx = r;
		conn_set_phase(conn, CONN_BODY);
		decide(r);
		return MHD_YES;
	}
	if (*data_len)
		return add_body(r, data, data_len);
	if (r->status)
		return r->response ? send_response(r) : MHD_NO;
	if (r->held) /* woken with no reply: sleep on */
		return MHD_suspend_connection(connection), MHD_YES;
	return serve(r);
}

void request_completed(void *cls, struct MHD_Connection *connection, void **ctx,
	enum MHD_RequestTerminationCode why)
{
	struct httpd_request *r = *ctx;

	if (!r)
		return;
	*ctx = NULL;
	conn_set_phase(r->conn, CONN_IDLE);
	if (r->held) { /* the handler has it still */
		unlink_held(r);
		r->connection = NULL;
		r->conn = NULL;
	} else {
		request_free(r);
	}
}

const char *httpd_request_method(const struct httpd_request *request)
{
	return request->method;
}

const char *httpd_request_path(const struct httpd_request *request)
{
	return request->path;
}

const char *httpd_request_query(const struct httpd_request *request, const char *name)
{
	const char *value = NULL;

	if (!request->connection ||
		MHD_lookup_connection_value_n(request->connection, MHD_GET_ARGUMENT_KIND, name,
			strlen(name), &value, NULL) != MHD_YES)
		return NULL;
	return value ? value : "";
}

const char *httpd_request_body(const struct httpd_request *request, size_t *ret_len)
{
	*ret_len = request->body.len;
	return buf_str(&request->body);
}

const struct ip_addr *httpd_request_address(const struct httpd_request *request)
{
	return &request->address;
}

const uint8_t *httpd_request_key(const struct httpd_request *request)
{
	return request->conn && request->conn->has_key ? request->conn->key : NULL;
}

void httpd_request_is_known(struct httpd_request *request)
{
	if (request->conn && request->conn->has_key)
		conn_prove(request->conn);
}

static void request_end(struct httpd_request *r, unsigned status, struct MHD_Response *response)
{
	r->held = false;
	unlink_held(r);
	if (!r->connection) {
		if (response)
			MHD_destroy_response(response);
		request_free(r);
		return;
	}
	r->status = status;
	r->response = response;
	if (response) {
		(void) MHD_add_response_header(response, "Content-Type", "application/json");
		(void) MHD_add_response_header(response, "Cache-Control", "no-store");
		if (status == 401 || status == 413 || status == 429 ||
			(status >= 400 && !r->conn->known))
			(void) MHD_add_response_header(response, "Connection", "close");
	}
	if (r->in_handler)
		return;
	r->suspended = false;
	MHD_resume_connection(r->connection);
	httpd_wake(r->httpd);
}

static struct MHD_Response *response_of(char *text, size_t len)
{
	struct MHD_Response *response =
		text ? MHD_create_response_from_buffer(len, text, MHD_RESPMEM_MUST_FREE) : NULL;

	if (!response)
		free(text);
	return response;
}

void httpd_reply_text(struct httpd_request *request, unsigned status, char *text, size_t len)
{
	static char failed[] = "{\"error\":{\"code\":\"internal\",\"message\":\"Out of memory.\"}}";
	struct MHD_Response *response = response_of(text, len);

	if (!response) {
		status = 500;
		response = MHD_create_response_from_buffer(
			sizeof(failed) - 1, failed, MHD_RESPMEM_PERSISTENT);
	}
	request_end(request, status, response);
}

void httpd_reply(struct httpd_request *request, unsigned status, json_t *body)
{
	char *text = body ? json_text(body) : NULL;

	json_decref(body);
	httpd_reply_text(request, status, text, text ? strlen(text) : 0);
}

void httpd_reply_error(
	struct httpd_request *request, unsigned status, const char *code, const char *format, ...)
{
	char text[ERR_TEXT_MAX];
	va_list args;

	va_start(args, format);
	(void) vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	httpd_reply(request, status,
		json_pack("{s:{s:s, s:s}}", "error", "code", code, "message", text));
}
