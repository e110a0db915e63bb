/*
 * Every handle made here is pinned, TLS 1.3, without redirects and bounded; there is no other place
 * in which a request is configured. A request without pins is refused.
 */
#include "sys/http/easy.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"

enum {
	CONNECT_TIMEOUT_S = 5,
	REQUEST_TIMEOUT_S = 30,
	USER_TIMEOUT_MS = 15000, /* unacknowledged bytes end a connection whose link is gone */
	/*
	 * A poll that only waits: the kernel ends it 16 s after the other end moved away (with the
	 * above).
	 */
	KEEPALIVE_IDLE_S = 10,
	KEEPALIVE_INTERVAL_S = 3,
	REFUSAL_MS = 1000, /* who is there refuses at once; a host that is gone, after 3 s */
	SYN_RETRIES = 1,   /* where another URL waits: a host that is not there costs 3 s, not 5 */
};

static int global_result;

static void global_init(void)
{
	global_result = curl_global_init(CURL_GLOBAL_DEFAULT) ? -ENOMEM : 0;
}

int http_global_init(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	(void) pthread_once(&once, global_init);
	return global_result;
}

static void free_secret(char **text)
{
	if (*text)
		explicit_bzero(*text, strlen(*text));
	free(*text);
	*text = NULL;
}

void http_config_done(struct http_config *config)
{
	for (size_t i = 0; i < config->n_urls; i++)
		free(config->urls[i]);
	free(config->pins);
	free(config->cert_pem);
	free(config->proxy);
	free_secret(&config->key_pem);
	*config = (struct http_config){ 0 };
}

/* libcurl splits at ';', so a pin may hold nothing but base64. */
static bool pin_is_valid(const char *pin)
{
	return strlen(pin) == 44 &&
	       strspn(pin, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/") ==
		       43 &&
	       pin[43] == '=';
}

static int copy_text(const char *text, char **ret)
{
	if (!text)
		return 0;
	*ret = strdup(text);
	return *ret ? 0 : -ENOMEM;
}

int http_config_copy(const struct http_options *options, struct http_config *ret, struct err *err)
{
	CLEANUP(http_config_done) struct http_config config = { 0 };
	CLEANUP_BUF struct buf pins = { 0 };

	if (!options->n_urls || options->n_urls > HTTP_URLS_MAX)
		return err_set(err, -EINVAL, "1 to %d URLs are needed, not %zu", HTTP_URLS_MAX,
			options->n_urls);
	if (!options->n_pins || options->n_pins > HTTP_PINS_MAX)
		return err_set(err, -EINVAL, "1 to %d pins are needed, not %zu", HTTP_PINS_MAX,
			options->n_pins);
	if (!options->cert_pem != !options->key_pem)
		return err_set(err, -EINVAL, "a client certificate needs its key");
	for (size_t i = 0; i < options->n_urls; i++) {
		const char *url = options->urls[i];
		size_t len = strlen(url);

		if (strncasecmp(url, "https://", 8) || len > HTTP_URL_LEN_MAX || len < 9)
			return err_set(err, -EINVAL, "\"%.200s\" is not an https:// URL", url);
		while (len > 9 && url[len - 1] == '/')
			len--;
		config.urls[i] = strndup(url, len);
		if (!config.urls[i])
			return err_set(err, -ENOMEM, "out of memory");
		config.n_urls++;
	}
	for (size_t i = 0; i < options->n_pins; i++) {
		if (!pin_is_valid(options->pins[i]))
			return err_set(
				err, -EINVAL, "pin %zu is not the base64 of a SHA-256 hash", i + 1);
		buf_printf(&pins, "%ssha256//%s", i ? ";" : "", options->pins[i]);
	}
	config.pins = buf_take(&pins, NULL);
	if (!config.pins || copy_text(options->cert_pem, &config.cert_pem) ||
		copy_text(options->key_pem, &config.key_pem) ||
		copy_text(options->proxy, &config.proxy))
		return err_set(err, -ENOMEM, "out of memory");
	config.connect_timeout_us = options->connect_timeout_us ? options->connect_timeout_us
								: CONNECT_TIMEOUT_S * USEC_PER_SEC;
	*ret = config;
	config = (struct http_config){ 0 };
	return 0;
}

int http_attempt_init(struct http_attempt *attempt, const struct http_config *config,
	const struct http_request *request, struct err *err)
{
	uint64_t timeout =
		request->timeout_us ? request->timeout_us : REQUEST_TIMEOUT_S * USEC_PER_SEC;

	*attempt = (struct http_attempt){
		.reply_max = request->reply_max ? request->reply_max : HTTP_REPLY_MAX,
		.deadline_us = clock_now_us() + timeout,
	};
	http_attempt_restart(attempt, config);
	if (copy_text(request->method, &attempt->method) ||
		copy_text(request->path, &attempt->path))
		return err_set(err, -ENOMEM, "out of memory");
	if (request->body) {
		attempt->body = malloc(request->body_len + 1);
		if (!attempt->body)
			return err_set(err, -ENOMEM, "out of memory");
		memcpy(attempt->body, request->body, request->body_len);
		attempt->body_len = request->body_len;
	}
	return 0;
}

static void drop_handle(struct http_attempt *attempt)
{
	if (attempt->easy)
		curl_easy_cleanup(attempt->easy);
	curl_slist_free_all(attempt->headers);
	curl_slist_free_all(attempt->connect_to);
	attempt->easy = NULL;
	attempt->headers = attempt->connect_to = NULL;
}

void http_attempt_done(struct http_attempt *attempt)
{
	drop_handle(attempt);
	free(attempt->method);
	free(attempt->path);
	if (attempt->body) /* a token's secret or a join bundle may be in it */
		explicit_bzero(attempt->body, attempt->body_len);
	free(attempt->body);
	http_reply_done(&attempt->reply);
	*attempt = (struct http_attempt){ 0 };
}

void http_attempt_restart(struct http_attempt *attempt, const struct http_config *config)
{
	attempt->first = config->next < config->n_urls ? config->next : 0;
	attempt->tried = 0;
	attempt->good_is_next = true;
	attempt->had = SIZE_MAX;
	attempt->err = (struct err){ 0 };
}

static size_t on_body(char *data, size_t size, size_t n, void *ctx)
{
	struct http_attempt *attempt = ctx;
	size_t len = size * n;

	if (len > attempt->reply_max - attempt->reply.body.len) {
		attempt->now.too_big = true;
		return 0;
	}
	buf_add(&attempt->reply.body, data, len);
	return buf_failed(&attempt->reply.body) ? 0 : len;
}

static int on_socket(void *ctx, curl_socket_t fd, curlsocktype purpose)
{
	struct http_attempt *attempt = ctx;
	int retries = SYN_RETRIES;

	attempt->now.fd = fd;
	if (!attempt->now.is_alone)
		(void) setsockopt(fd, IPPROTO_TCP, TCP_SYNCNT, &retries, sizeof(retries));
	return CURL_SOCKOPT_OK;
}

/* Connected. Not earlier: the kernel then takes it for the time that connecting may last. */
static int on_connected(void *ctx, char *to, char *from, int to_port, int from_port)
{
	struct http_attempt *attempt = ctx;
	unsigned timeout_ms = USER_TIMEOUT_MS;

	/*
	 * Best effort: without it a dead link is noticed by the request's own timeout. One that was
	 * kept from an earlier request has it already.
	 */
	if (attempt->now.fd >= 0)
		(void) setsockopt(attempt->now.fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms,
			sizeof(timeout_ms));
	attempt->now.fd = -1;
	attempt->now.connected = true;
	return CURL_PREREQFUNC_OK;
}

static CURLcode set_body(struct http_attempt *attempt)
{
	CURLcode r = CURLE_OK;

	if (!strcmp(attempt->method, "GET"))
		return curl_easy_setopt(attempt->easy, CURLOPT_HTTPGET, 1L);
	r |= curl_easy_setopt(
		attempt->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t) attempt->body_len);
	r |= curl_easy_setopt(
		attempt->easy, CURLOPT_POSTFIELDS, attempt->body ? attempt->body : "");
	r |= curl_easy_setopt(attempt->easy, CURLOPT_CUSTOMREQUEST, attempt->method);
	return r;
}

static CURLcode set_tls(CURL *easy, const struct http_config *config)
{
	CURLcode r = CURLE_OK;

	r |= curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long) CURL_SSLVERSION_TLSv1_3);
	r |= curl_easy_setopt(
		easy, CURLOPT_SSL_VERIFYPEER, 0L); /* the pin is checked in any case */
	r |= curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
	r |= curl_easy_setopt(easy, CURLOPT_PINNEDPUBLICKEY, config->pins);
	r |= curl_easy_setopt(easy, CURLOPT_SSL_SESSIONID_CACHE, 0L);
	if (config->cert_pem) {
		struct curl_blob cert = { config->cert_pem, strlen(config->cert_pem),
			CURL_BLOB_NOCOPY };
		struct curl_blob key = { config->key_pem, strlen(config->key_pem),
			CURL_BLOB_NOCOPY };

		r |= curl_easy_setopt(easy, CURLOPT_SSLCERTTYPE, "PEM");
		r |= curl_easy_setopt(easy, CURLOPT_SSLKEYTYPE, "PEM");
		r |= curl_easy_setopt(easy, CURLOPT_SSLCERT_BLOB, &cert);
		r |= curl_easy_setopt(easy, CURLOPT_SSLKEY_BLOB, &key);
	}
	return r;
}

static CURLcode set_transport(CURL *easy, const struct http_config *config, uint64_t left_us)
{
	uint64_t connect_us =
		config->connect_timeout_us < left_us ? config->connect_timeout_us : left_us;
	CURLcode r = CURLE_OK;

#if LIBCURL_VERSION_NUM >= 0x075500
	r |= curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "https");
#else
	r |= curl_easy_setopt(easy, CURLOPT_PROTOCOLS, (long) CURLPROTO_HTTPS);
#endif
	r |= curl_easy_setopt(easy, CURLOPT_PROXY, config->proxy ? config->proxy : "");
	r |= curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	r |= curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_1_1);
	r |= curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	r |= curl_easy_setopt(
		easy, CURLOPT_CONNECTTIMEOUT_MS, (long) (connect_us / USEC_PER_MSEC + 1));
	r |= curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long) (left_us / USEC_PER_MSEC + 1));
	r |= curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	r |= curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, (long) KEEPALIVE_IDLE_S);
	r |= curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, (long) KEEPALIVE_INTERVAL_S);
	r |= curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, on_socket);
	r |= curl_easy_setopt(easy, CURLOPT_USERAGENT, "hearth/" HEARTH_VERSION);
	return r;
}

/* "Expect:" would cost a round trip before each body of more than a kilobyte. */
static int set_headers(struct http_attempt *attempt)
{
	static const char *const lines[] = { "Accept: application/json",
		"Content-Type: application/json", "Expect:" };

	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		struct curl_slist *more = curl_slist_append(attempt->headers, lines[i]);

		if (!more)
			return -ENOMEM;
		attempt->headers = more;
	}
	return 0;
}

/* Where a URL with "#HOST" leads to, whatever its name; its port stays. */
static int set_host(struct http_attempt *attempt, const char *host)
{
	CLEANUP_BUF struct buf to = { 0 };

	if (!host)
		return 0;
	buf_printf(&to, strchr(host, ':') ? "::[%s]:" : "::%s:", host);
	attempt->connect_to = buf_failed(&to) ? NULL : curl_slist_append(NULL, buf_str(&to));
	if (!attempt->connect_to)
		return -ENOMEM;
	return curl_easy_setopt(attempt->easy, CURLOPT_CONNECT_TO, attempt->connect_to) ? -EINVAL
											: 0;
}

/* False: all have had their turns. */
static bool next_turn(struct http_attempt *attempt, const struct http_config *config)
{
	if (config->has_good && attempt->good_is_next) {
		attempt->good_is_next = false;
		attempt->had = attempt->at = config->good;
		return true;
	}
	attempt->good_is_next = true;
	while (attempt->tried < config->n_urls) {
		attempt->at = (attempt->first + attempt->tried++) % config->n_urls;
		if (attempt->at != attempt->had)
			return true;
	}
	return false;
}

int http_attempt_prepare(struct http_attempt *attempt, const struct http_config *config)
{
	uint64_t now = clock_now_us();
	CLEANUP_BUF struct buf url = { 0 };
	CURLcode r = CURLE_OK;
	const char *base, *mark;

	if (now >= attempt->deadline_us) {
		if (!attempt->err.code)
			err_set(&attempt->err, -ETIMEDOUT, "no answer in time");
		return -ETIMEDOUT;
	}
	if (!next_turn(attempt, config))
		return attempt->err.code ? attempt->err.code : -ETIMEDOUT;
	attempt->began_us = now;
	drop_handle(attempt);
	http_reply_done(&attempt->reply);
	memset(&attempt->now, 0, sizeof(attempt->now));
	attempt->now.fd = -1;
	attempt->now.is_alone = config->n_urls == 1;
	base = config->urls[attempt->at];
	mark = strchr(base, '#');
	buf_add(&url, base, mark ? (size_t) (mark - base) : strlen(base));
	buf_add_str(&url, attempt->path);
	attempt->easy = curl_easy_init();
	if (!attempt->easy || buf_failed(&url) || set_headers(attempt) ||
		set_host(attempt, mark ? mark + 1 : NULL))
		return err_set(&attempt->err, -ENOMEM, "out of memory");
	(void) snprintf(attempt->reply.url, sizeof(attempt->reply.url), "%s", base);
	r |= set_transport(attempt->easy, config, attempt->deadline_us - now);
	r |= set_tls(attempt->easy, config);
	r |= set_body(attempt);
	r |= curl_easy_setopt(attempt->easy, CURLOPT_URL, buf_str(&url));
	r |= curl_easy_setopt(attempt->easy, CURLOPT_HTTPHEADER, attempt->headers);
	r |= curl_easy_setopt(attempt->easy, CURLOPT_ERRORBUFFER, attempt->now.curl_text);
	r |= curl_easy_setopt(attempt->easy, CURLOPT_WRITEFUNCTION, on_body);
	r |= curl_easy_setopt(attempt->easy, CURLOPT_WRITEDATA, attempt);
	r |= curl_easy_setopt(attempt->easy, CURLOPT_SOCKOPTDATA, attempt);
	r |= curl_easy_setopt(attempt->easy, CURLOPT_PREREQFUNCTION, on_connected);
	r |= curl_easy_setopt(attempt->easy, CURLOPT_PREREQDATA, attempt);
	r |= curl_easy_setopt(attempt->easy, CURLOPT_PRIVATE, attempt);
	if (r)
		return err_set(&attempt->err, -EINVAL, "libcurl refuses an option for %s", base);
	return 0;
}

static int code_to_errno(CURLcode code)
{
	switch ((int) code) {
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
		return -EHOSTUNREACH;
	case CURLE_COULDNT_CONNECT:
		return -ECONNREFUSED;
	case CURLE_OPERATION_TIMEDOUT:
		return -ETIMEDOUT;
	case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
		return -EKEYREJECTED;
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CERTPROBLEM:
		return -EPROTO;
	case CURLE_OUT_OF_MEMORY:
		return -ENOMEM;
	case CURLE_URL_MALFORMAT:
	case CURLE_UNSUPPORTED_PROTOCOL:
		return -EINVAL;
	default:
		return -EIO;
	}
}

/* Whoever was there a moment ago, and may be again in another. */
static bool only_refused(const struct http_attempt *attempt, CURLcode code)
{
	if (code == CURLE_OPERATION_TIMEDOUT || code == CURLE_SSL_PINNEDPUBKEYNOTMATCH ||
		attempt->now.too_big)
		return false;
	return attempt->now.connected ||
	       clock_now_us() - attempt->began_us < REFUSAL_MS * USEC_PER_MSEC;
}

static void note_failure(
	const struct http_attempt *attempt, struct http_config *config, CURLcode code)
{
	if (config->has_good && attempt->at == config->good) {
		if (only_refused(attempt, code))
			return;
		config->has_good = false;
	}
	config->next = (attempt->at + 1) % config->n_urls;
}

int http_attempt_ended(struct http_attempt *attempt, struct http_config *config, CURLcode code)
{
	const char *said = attempt->now.curl_text;
	const char *text = said[0] ? said : curl_easy_strerror(code);
	struct err now = { 0 };
	long status = 0;

	if (code == CURLE_OK) {
		(void) curl_easy_getinfo(attempt->easy, CURLINFO_RESPONSE_CODE, &status);
		attempt->reply.status = (int) status;
		config->good = attempt->at;
		config->has_good = true;
		return 0;
	}
	note_failure(attempt, config, code);
	if (attempt->now.too_big)
		err_set(&now, -EFBIG, "%s: the reply is larger than %zu bytes", attempt->reply.url,
			attempt->reply_max);
	else if (code == CURLE_SSL_PINNEDPUBKEYNOTMATCH)
		err_set(&now, -EKEYREJECTED,
			"%s: that server's key is none of the pinned ones; this is another server",
			attempt->reply.url);
	else
		err_set(&now, code_to_errno(code), "%s: %s", attempt->reply.url, text);
	/* Of several failures the first pin mismatch is the one a person must hear of. */
	if (attempt->err.code != -EKEYREJECTED)
		attempt->err = now;
	return attempt->err.code;
}
