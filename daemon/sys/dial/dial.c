/*
 * dial: see dial.h. Names are looked up here, and libcurl is told (libcurl_set_place). Each
 * connection has a multi handle of its own: so nothing of libcurl's is shared between threads.
 */
#include "sys/dial/dial.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "sys/curl/libcurl.h"
#include "sys/curl/multi.h"
#include "sys/resolve/resolve.h"
#include "wire/proxy.h"

enum { TIMEOUT_S = 10, TEXT_MAX = PROXY_TEXT_MAX };

struct dial_conn {
	CURLM *multi; /* NULL while it is being made */
	CURL *easy;
	struct curl_slist *places;
	int fd; /* libcurl's */
	struct libcurl_way way;
	char said[CURL_ERROR_SIZE];
};

struct dial {
	sd_event *event;
	sd_event_source *timer;
	struct resolve *resolve; /* first: NULL when it is over */
	struct multi *multi;     /* then */
	struct dial_conn *conn;
	char host[PROXY_HOST_MAX];
	uint16_t port;
	char pin[64]; /* as libcurl takes it; "": none */
	bool has_proxy;
	struct proxy proxy;
	uint64_t deadline_us;
	bool (*may_use)(void *ctx, const struct ip_addr *addr);
	dial_done_fn done;
	void *ctx;
};

/* --- what it is to do --- */

static bool is_addr(const char *host)
{
	struct ip_addr addr;

	return ip_addr_parse(host, &addr) == 0;
}

/* A name without what would mean something in a URL. */
static bool host_is_plain(const char *host)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789-._";
	size_t len = strlen(host);

	return len && len < PROXY_HOST_MAX && (strspn(host, plain) == len || is_addr(host));
}

static const char *place(const struct dial *d, char ret[static TEXT_MAX])
{
	(void) snprintf(
		ret, TEXT_MAX, strchr(d->host, ':') ? "[%s]:%u" : "%s:%u", d->host, d->port);
	return ret;
}

static int copy_options(struct dial *d, const struct dial_options *options, struct err *err)
{
	uint64_t timeout_us = options->timeout_us ? options->timeout_us : TIMEOUT_S * USEC_PER_SEC;

	if (!host_is_plain(options->host) || !options->port)
		return err_set(err, -EINVAL, "\"%.260s\" port %u cannot be connected to",
			options->host, options->port);
	if (options->pin && !libcurl_pin_is_valid(options->pin))
		return err_set(err, -EINVAL, "the pin is not the base64 of a SHA-256 hash");
	if (options->proxy && proxy_parse(options->proxy, &d->proxy, err) < 0)
		return err_prefix(err, "the proxy");
	d->has_proxy = options->proxy;
	(void) snprintf(d->host, sizeof(d->host), "%s", options->host);
	d->port = options->port;
	if (options->pin)
		(void) snprintf(d->pin, sizeof(d->pin), "sha256//%s", options->pin);
	d->deadline_us = clock_now_us() + timeout_us;
	d->may_use = options->may_use;
	return 0;
}

/* Who has to be found before libcurl can begin; NULL: nobody. */
static const char *name_to_find(const struct dial *d, const struct dial_options *options)
{
	const char *name = d->has_proxy ? d->proxy.host : d->host;

	return is_addr(name) || (!d->has_proxy && options->n_addrs) ? NULL : name;
}

/* --- the ends --- */

struct dial_conn *dial_conn_free(struct dial_conn *conn)
{
	if (!conn)
		return NULL;
	if (conn->multi && conn->easy)
		(void) curl_multi_remove_handle(conn->multi, conn->easy);
	if (conn->easy)
		curl_easy_cleanup(conn->easy);
	if (conn->multi)
		(void) curl_multi_cleanup(conn->multi);
	curl_slist_free_all(conn->places);
	free(conn);
	return NULL;
}

struct dial *dial_cancel(struct dial *d)
{
	if (!d)
		return NULL;
	(void) resolve_cancel(d->resolve);
	if (d->multi && d->conn && d->conn->easy)
		(void) curl_multi_remove_handle(multi_handle(d->multi), d->conn->easy);
	(void) dial_conn_free(d->conn);
	(void) multi_free(d->multi);
	sd_event_source_disable_unref(d->timer);
	sd_event_unref(d->event);
	proxy_done(&d->proxy);
	free(d);
	return NULL;
}

static void finish(struct dial *d, struct dial_conn *conn, struct err *err)
{
	dial_done_fn done = d->done;
	void *ctx = d->ctx;
	char text[TEXT_MAX];

	if (!conn)
		(void) err_prefix(err, "%s", place(d, text));
	(void) dial_cancel(d);
	done(ctx, conn, err);
}

static void failed(struct dial *d, CURLcode code, const char *said)
{
	struct err err = { 0 };

	(void) libcurl_explain(d->conn->easy, code, said, &d->conn->way, &err);
	finish(d, NULL, &err);
}

static int on_timeout(sd_event_source *source, uint64_t usec, void *ctx)
{
	struct dial *d = ctx;
	struct err err = { 0 };

	if (!d->resolve) {
		failed(d, CURLE_OPERATION_TIMEDOUT, "no answer in time");
		return 0;
	}
	(void) err_set(&err, -ETIMEDOUT, "%s cannot be looked up: no answer in time",
		d->has_proxy ? d->proxy.host : d->host);
	finish(d, NULL, &err);
	return 0;
}

/* It is the caller's from here on. */
static void hand_over(struct dial *d)
{
	struct dial_conn *conn = TAKE(d->conn);

	libcurl_set_user_timeout(conn->fd);
	conn->multi = multi_leave(TAKE(d->multi));
	finish(d, conn, NULL);
}

static void on_ran(void *ctx)
{
	struct dial *d = ctx;
	CURLMsg *message;
	curl_socket_t fd = CURL_SOCKET_BAD;
	int left;

	message = curl_multi_info_read(multi_handle(d->multi), &left);
	if (!message || message->msg != CURLMSG_DONE)
		return;
	if (message->data.result != CURLE_OK)
		return failed(d, message->data.result,
			message->data.result == CURLE_OPERATION_TIMEDOUT ? "no answer in time"
									 : d->conn->said);
	(void) curl_easy_setopt(d->conn->easy, CURLOPT_NOPROGRESS, 1L);
	(void) curl_easy_getinfo(d->conn->easy, CURLINFO_ACTIVESOCKET, &fd);
	if (fd == CURL_SOCKET_BAD)
		return failed(d, CURLE_RECV_ERROR, "it has closed the connection");
	d->conn->fd = fd;
	hand_over(d);
}

/* --- libcurl's part --- */

static CURLcode set_tls(CURL *easy, const struct dial *d)
{
	CURLcode r = CURLE_OK;

	r |= curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long) CURL_SSLVERSION_TLSv1_3);
	r |= curl_easy_setopt(easy, CURLOPT_SSL_SESSIONID_CACHE, 0L);
	if (!*d->pin)
		return r;
	/* The pin is checked in any case. */
	r |= curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
	r |= curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
	r |= curl_easy_setopt(easy, CURLOPT_PINNEDPUBLICKEY, d->pin);
	return r;
}

static CURLcode set_options(struct dial *d)
{
	CURL *easy = d->conn->easy;
	uint64_t now = clock_now_us();
	uint64_t left_us = d->deadline_us > now ? d->deadline_us - now : 0;
	char text[TEXT_MAX], url[TEXT_MAX + 16];
	CURLcode r = CURLE_OK;

	(void) snprintf(url, sizeof(url), "https://%s/", place(d, text));
	r |= curl_easy_setopt(easy, CURLOPT_URL, url);
	r |= curl_easy_setopt(easy, CURLOPT_CONNECT_ONLY, 1L);
	r |= curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	r |= curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_1_1);
	r |= curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L);
	r |= curl_easy_setopt(easy, CURLOPT_USERAGENT, "hearth/" HEARTH_VERSION);
	r |= curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, d->conn->said);
	r |= curl_easy_setopt(
		easy, CURLOPT_CONNECTTIMEOUT_MS, (long) (left_us / USEC_PER_MSEC + 1));
	r |= libcurl_set_keepalive(easy);
	r |= libcurl_set_way(easy, d->has_proxy ? &d->proxy : NULL, &d->conn->way);
	return r | set_tls(easy, d);
}

/* To one of @addrs, if there are any. */
static int begin(struct dial *d, const struct ip_addr *addrs, size_t n, struct err *err)
{
	int r;

	d->conn->easy = curl_easy_init();
	r = d->conn->easy ? multi_new(d->event, on_ran, d, &d->multi) : -ENOMEM;
	if (r == 0 && n)
		r = libcurl_set_place(d->conn->easy, d->has_proxy ? d->proxy.host : d->host,
			d->has_proxy ? d->proxy.port : d->port, addrs, n, &d->conn->places);
	if (r < 0)
		return err_set(err, r, "%s", strerror(-r));
	if (set_options(d) != CURLE_OK)
		return err_set(err, -EINVAL, "libcurl refuses an option");
	if (curl_multi_add_handle(multi_handle(d->multi), d->conn->easy) != CURLM_OK)
		return err_set(err, -ENOMEM, "out of memory");
	return 0;
}

/* --- names --- */

/* Those that may be used. */
static size_t choose(const struct dial *d, const struct ip_addr *list, size_t n,
	struct ip_addr ret[static RESOLVE_MAX])
{
	size_t have = 0;

	for (size_t i = 0; i < n && i < RESOLVE_MAX; i++)
		if (!d->may_use || d->may_use(d->ctx, &list[i]))
			ret[have++] = list[i];
	return have;
}

static void on_found(void *ctx, const struct ip_addr *list, size_t n, const struct err *err)
{
	struct dial *d = ctx;
	struct ip_addr usable[RESOLVE_MAX];
	struct err why = { 0 };
	char first[IP_TEXT_MAX];
	size_t have;

	d->resolve = NULL;
	if (!n) {
		why = *err;
		return finish(d, NULL, &why);
	}
	have = choose(d, list, n, usable);
	if (!have)
		(void) err_set(&why, -EPERM, "%s is at %s, which is not used",
			d->has_proxy ? d->proxy.host : d->host, ip_addr_format(&list[0], first));
	if (!have || begin(d, usable, have, &why) < 0)
		finish(d, NULL, &why);
}

/* --- the beginning --- */

static int start(struct dial *d, const struct dial_options *options, struct err *err)
{
	uint64_t now = clock_now_us();
	const char *name = name_to_find(d, options);
	bool is_told = !d->has_proxy && !is_addr(d->host);
	int r;

	r = sd_event_add_time_relative(d->event, &d->timer, CLOCK_MONOTONIC,
		d->deadline_us > now ? d->deadline_us - now : 0, 0, on_timeout, d);
	if (r < 0)
		return err_set(err, r, "set a timer: %s", strerror(-r));
	if (name)
		return resolve_start(d->event, name, on_found, d, &d->resolve, err);
	return begin(d, options->addrs, is_told ? options->n_addrs : 0, err);
}

int dial_start(sd_event *event, const struct dial_options *options, dial_done_fn done, void *ctx,
	struct dial **ret, struct err *err)
{
	struct dial *d;
	int r;

	if (libcurl_start() < 0)
		return err_set(err, -ENOMEM, "libcurl does not start");
	d = calloc(1, sizeof(*d));
	if (!d)
		return err_set(err, -ENOMEM, "out of memory");
	d->event = sd_event_ref(event);
	d->done = done;
	d->ctx = ctx;
	d->conn = calloc(1, sizeof(*d->conn));
	r = d->conn ? copy_options(d, options, err) : err_set(err, -ENOMEM, "out of memory");
	if (r == 0)
		r = start(d, options, err);
	if (r < 0) {
		(void) dial_cancel(d);
		return r;
	}
	*ret = d;
	return 0;
}

/* --- the connection --- */

int dial_conn_fd(const struct dial_conn *conn)
{
	return conn->fd;
}

ssize_t dial_conn_receive(void *conn, void *ret, size_t len)
{
	struct dial_conn *c = conn;
	size_t n = 0;
	CURLcode code = curl_easy_recv(c->easy, ret, len, &n);

	return code == CURLE_OK ? (ssize_t) n : libcurl_errno(code);
}

ssize_t dial_conn_send(void *conn, const void *data, size_t len)
{
	struct dial_conn *c = conn;
	size_t n = 0;
	CURLcode code = curl_easy_send(c->easy, data, len, &n);

	return code == CURLE_OK ? (ssize_t) n : libcurl_errno(code);
}
