/*
 * Every handle made here is pinned, TLS 1.3, without redirects and bounded; there is no other place
 * in which a request is configured. A request without pins is refused.
 */
#include "sys/http/easy.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"

enum {
	CONNECT_TIMEOUT_S = 5,
	FOUND_S =
		60, /* how long a name is where it was; the one that answers, as long as it does */
	SYN_RETRIES = 1, /* where another URL waits: a host that is not there costs 3 s, not 5 */
};

static void free_secret(char **text)
{
	if (*text)
		explicit_bzero(*text, strlen(*text));
	free(*text);
	*text = NULL;
}

void http_config_done(struct http_config *config)
{
	for (size_t i = 0; i < config->n_urls; i++) {
		free(config->urls[i]);
		free(config->places[i].name);
	}
	free(config->proxy_place.name);
	free(config->pins);
	free(config->cert_pem);
	proxy_done(&config->proxy);
	free_secret(&config->key_pem);
	*config = (struct http_config){ 0 };
}

static int copy_text(const char *text, char **ret)
{
	if (!text)
		return 0;
	*ret = strdup(text);
	return *ret ? 0 : -ENOMEM;
}

void http_config_forget(struct http_config *config)
{
	for (size_t i = 0; i < config->n_urls; i++)
		config->places[i].n = 0;
	config->proxy_place.n = 0;
}

static int set_place(struct http_place *place, const char *host, uint16_t port)
{
	struct ip_addr addr;

	place->port = port;
	if (ip_addr_parse(host, &addr) == 0)
		return 0;
	place->name = strdup(host);
	return place->name ? 0 : -ENOMEM;
}

/* Of a URL that libcurl can read; others it refuses later, and says why. */
static int find_place(const char *url, struct http_place *ret)
{
	const char *mark = strchr(url, '#');
	CLEANUP(free_p) char *base = strndup(url, mark ? (size_t) (mark - url) : strlen(url));
	CURLU *parts = curl_url();
	char *host = NULL, *port = NULL;
	int r = base && parts ? 0 : -ENOMEM;

	if (r == 0 && !curl_url_set(parts, CURLUPART_URL, base, 0) &&
		!curl_url_get(parts, CURLUPART_HOST, &host, 0) &&
		!curl_url_get(parts, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) && *host != '[')
		r = set_place(ret, mark ? mark + 1 : host, (uint16_t) strtoul(port, NULL, 10));
	else if (r == 0 && mark && port)
		r = set_place(ret, mark + 1, (uint16_t) strtoul(port, NULL, 10));
	curl_free(host);
	curl_free(port);
	curl_url_cleanup(parts);
	return r;
}

static int copy_urls(
	const struct http_options *options, struct http_config *config, struct err *err)
{
	for (size_t i = 0; i < options->n_urls; i++) {
		const char *url = options->urls[i];
		size_t len = strlen(url);

		if (strncasecmp(url, "https://", 8) || len > HTTP_URL_LEN_MAX || len < 9)
			return err_set(err, -EINVAL, "\"%.200s\" is not an https:// URL", url);
		while (len > 9 && url[len - 1] == '/')
			len--;
		config->urls[i] = strndup(url, len);
		config->n_urls++;
		if (!config->urls[i] || find_place(config->urls[i], &config->places[i]) < 0)
			return err_set(err, -ENOMEM, "out of memory");
	}
	return 0;
}

static int find_ways(
	const struct http_options *options, struct http_config *config, struct err *err)
{
	for (size_t i = 0; i < config->n_urls; i++) {
		enum proxy_use use = !options->proxy ? PROXY_NEVER
				     : options->uses ? options->uses[i]
						     : PROXY_ALWAYS;

		if (use != PROXY_ALWAYS)
			config->ways[config->n_ways++] = (struct http_way){ i, false };
		if (use != PROXY_NEVER)
			config->ways[config->n_ways++] = (struct http_way){ i, true };
	}
	if (!options->proxy)
		return 0;
	if (proxy_parse(options->proxy, &config->proxy, err) < 0)
		return err_prefix(err, "the proxy");
	if (set_place(&config->proxy_place, config->proxy.host, config->proxy.port) < 0)
		return err_set(err, -ENOMEM, "out of memory");
	return 0;
}

int http_config_copy(const struct http_options *options, struct http_config *ret, struct err *err)
{
	CLEANUP(http_config_done) struct http_config config = { 0 };
	CLEANUP_BUF struct buf pins = { 0 };
	int r;

	if (!options->n_urls || options->n_urls > HTTP_URLS_MAX)
		return err_set(err, -EINVAL, "1 to %d URLs are needed, not %zu", HTTP_URLS_MAX,
			options->n_urls);
	if (!options->n_pins || options->n_pins > HTTP_PINS_MAX)
		return err_set(err, -EINVAL, "1 to %d pins are needed, not %zu", HTTP_PINS_MAX,
			options->n_pins);
	if (!options->cert_pem != !options->key_pem)
		return err_set(err, -EINVAL, "a client certificate needs its key");
	r = copy_urls(options, &config, err);
	if (r == 0)
		r = find_ways(options, &config, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < options->n_pins; i++) {
		if (!libcurl_pin_is_valid(options->pins[i]))
			return err_set(
				err, -EINVAL, "pin %zu is not the base64 of a SHA-256 hash", i + 1);
		buf_printf(&pins, "%ssha256//%s", i ? ";" : "", options->pins[i]);
	}
	config.pins = buf_take(&pins, NULL);
	if (!config.pins || copy_text(options->cert_pem, &config.cert_pem) ||
		copy_text(options->key_pem, &config.key_pem))
		return err_set(err, -ENOMEM, "out of memory");
	config.connect_timeout_us = options->connect_timeout_us ? options->connect_timeout_us
								: CONNECT_TIMEOUT_S * USEC_PER_SEC;
	*ret = config;
	config = (struct http_config){ 0 };
	return 0;
}

static size_t on_body(char *data, size_t size, size_t n, void *ctx)
{
	struct http_try *try = ctx;
	struct http_attempt *attempt = try->attempt;
	size_t len = size * n;

	if (len > attempt->reply_max - attempt->reply.body.len) {
		try->too_big = true;
		return 0;
	}
	buf_add(&attempt->reply.body, data, len);
	return buf_failed(&attempt->reply.body) ? 0 : len;
}

static int on_socket(void *ctx, curl_socket_t fd, curlsocktype purpose)
{
	struct http_try *try = ctx;
	int retries = SYN_RETRIES;

	try->fd = fd;
	if (!try->is_alone)
		(void) setsockopt(fd, IPPROTO_TCP, TCP_SYNCNT, &retries, sizeof(retries));
	return CURL_SOCKOPT_OK;
}

/*
 * Connected, TLS and pin included: the first one sends the request, and no other. The timeout is
 * not set earlier: the kernel then takes it for the time that connecting may last.
 */
static int on_connected(void *ctx, char *to, char *from, int to_port, int from_port)
{
	struct http_try *try = ctx;

	if (try->attempt->sender && try->attempt->sender != try)
		return CURL_PREREQFUNC_ABORT;
	try->attempt->sender = try;
	if (try->fd >= 0) /* one that was kept from an earlier request has it already */
		libcurl_set_user_timeout(try->fd);
	try->fd = -1;
	return CURL_PREREQFUNC_OK;
}

static CURLcode set_body(CURL *easy, const struct http_attempt *attempt)
{
	CURLcode r = CURLE_OK;

	if (!strcmp(attempt->method, "GET"))
		return curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
	r |= curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t) attempt->body_len);
	r |= curl_easy_setopt(easy, CURLOPT_POSTFIELDS, attempt->body ? attempt->body : "");
	r |= curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, attempt->method);
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
	r |= curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	r |= curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_1_1);
	r |= curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	r |= curl_easy_setopt(
		easy, CURLOPT_CONNECTTIMEOUT_MS, (long) (connect_us / USEC_PER_MSEC + 1));
	r |= curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long) (left_us / USEC_PER_MSEC + 1));
	r |= libcurl_set_keepalive(easy);
	r |= curl_easy_setopt(easy, CURLOPT_USERAGENT, "hearth/" HEARTH_VERSION);
	return r;
}

/* "Expect:" would cost a round trip before each body of more than a kilobyte. */
static int set_headers(struct http_try *try)
{
	static const char *const lines[] = { "Accept: application/json",
		"Content-Type: application/json", "Expect:" };

	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		struct curl_slist *more = curl_slist_append(try->headers, lines[i]);

		if (!more)
			return -ENOMEM;
		try->headers = more;
	}
	return 0;
}

/* Where a URL with "#HOST" leads to, whatever its name; its port stays. */
static int set_host(struct http_try *try, const char *host)
{
	CLEANUP_BUF struct buf to = { 0 };

	if (!host)
		return 0;
	buf_printf(&to, strchr(host, ':') ? "::[%s]:" : "::%s:", host);
	try->connect_to = buf_failed(&to) ? NULL : curl_slist_append(NULL, buf_str(&to));
	if (!try->connect_to)
		return -ENOMEM;
	return curl_easy_setopt(try->easy, CURLOPT_CONNECT_TO, try->connect_to) ? -EINVAL : 0;
}

static CURLcode set_callbacks(struct http_try *try)
{
	CURLcode r = CURLE_OK;

	r |= curl_easy_setopt(try->easy, CURLOPT_ERRORBUFFER, try->curl_text);
	r |= curl_easy_setopt(try->easy, CURLOPT_WRITEFUNCTION, on_body);
	r |= curl_easy_setopt(try->easy, CURLOPT_WRITEDATA, try);
	r |= curl_easy_setopt(try->easy, CURLOPT_SOCKOPTFUNCTION, on_socket);
	r |= curl_easy_setopt(try->easy, CURLOPT_SOCKOPTDATA, try);
	r |= curl_easy_setopt(try->easy, CURLOPT_PREREQFUNCTION, on_connected);
	r |= curl_easy_setopt(try->easy, CURLOPT_PREREQDATA, try);
	r |= curl_easy_setopt(try->easy, CURLOPT_PRIVATE, try);
	return r;
}

void http_try_close(struct http_try *try)
{
	(void) resolve_cancel(try->resolve);
	if (try->multi)
		(void) curl_multi_remove_handle(try->multi, try->easy);
	if (try->easy)
		curl_easy_cleanup(try->easy);
	curl_slist_free_all(try->headers);
	curl_slist_free_all(try->connect_to);
	curl_slist_free_all(try->places);
	*try = (struct http_try){ .fd = -1 };
}

/* The name, if there was one, is found. */
static int connect_try(struct http_try *try, struct err *err)
{
	const struct http_place *place = try->place;

	if (place->name && libcurl_set_place(try->easy, place->name, place->port, place->addrs,
				   place->n, &try->places) < 0)
		return err_set(err, -ENOMEM, "out of memory");
	if (curl_multi_add_handle(try->attempt->multi, try->easy) != CURLM_OK)
		return err_set(err, -ENOMEM, "libcurl takes no more requests");
	try->multi = try->attempt->multi;
	return 0;
}

static void on_found(void *ctx, const struct ip_addr *list, size_t n, const struct err *err)
{
	struct http_try *try = ctx;
	struct http_attempt *attempt = try->attempt;

	try->resolve = NULL;
	memcpy(try->place->addrs, list, n * sizeof(*list));
	try->place->n = n;
	try->place->found_us = clock_now_us();
	if (!n)
		try->why = *err;
	else
		(void) connect_try(try, &try->why);
	attempt->looked_up(attempt->ctx);
}

static int begin_try(struct http_try *try, bool is_good, uint64_t now_us, struct err *err)
{
	const struct http_place *place = try->place;

	if (!place->name ||
		(place->n && (is_good || now_us - place->found_us < FOUND_S * USEC_PER_SEC)))
		return connect_try(try, err);
	return resolve_start(try->attempt->event, place->name, on_found, try, &try->resolve, err);
}

int http_try_open(struct http_try *try, struct http_attempt *attempt, struct http_config *config,
	size_t at, uint64_t now_us, struct err *err)
{
	const struct http_way *way = &config->ways[at];
	const char *base = config->urls[way->at], *mark = strchr(base, '#');
	CLEANUP_BUF struct buf url = { 0 };
	CURLcode r = CURLE_OK;

	*try = (struct http_try){ .attempt = attempt,
		.at = at,
		.place = way->by_proxy ? &config->proxy_place : &config->places[way->at],
		.began_us = now_us,
		.fd = -1,
		.is_alone = config->n_ways == 1 };
	buf_add(&url, base, mark ? (size_t) (mark - base) : strlen(base));
	buf_add_str(&url, attempt->path);
	try->easy = curl_easy_init();
	if (!try->easy || buf_failed(&url) || set_headers(try) ||
		set_host(try, mark ? mark + 1 : NULL))
		return err_set(err, -ENOMEM, "out of memory");
	r |= set_transport(try->easy, config, attempt->deadline_us - now_us);
	r |= libcurl_set_way(try->easy, way->by_proxy ? &config->proxy : NULL, &try->way);
	r |= set_tls(try->easy, config);
	r |= set_body(try->easy, attempt);
	r |= curl_easy_setopt(try->easy, CURLOPT_URL, buf_str(&url));
	r |= curl_easy_setopt(try->easy, CURLOPT_HTTPHEADER, try->headers);
	r |= set_callbacks(try);
	if (r)
		return err_set(err, -EINVAL, "libcurl refuses an option for %s", base);
	return begin_try(try, config->has_good && config->good == at, now_us, err);
}
