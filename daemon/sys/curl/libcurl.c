/* libcurl: see libcurl.h. */
#include "sys/curl/libcurl.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>

#include "base/buf.h"

enum {
	USER_TIMEOUT_MS = 15000, /* unacknowledged bytes end a connection whose link is gone */
	/*
	 * A connection that only waits: the kernel ends it 16 s after the other end moved away
	 * (with the above).
	 */
	KEEPALIVE_IDLE_S = 10,
	KEEPALIVE_INTERVAL_S = 3,
	HEAD_MAX = 256 * 1024,
	/*
	 * libcurl reads what a proxy answers byte by byte and stops only when there is no more: a
	 * flood of them would keep the loop. A page that goes with a refusal is far smaller.
	 */
	ROUNDS_MAX = 512 * 1024,
	PROXY_REFUSES = 407,
};

static int started;

static void start(void)
{
	started = curl_global_init(CURL_GLOBAL_DEFAULT) ? -ENOMEM : 0;
}

int libcurl_start(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	(void) pthread_once(&once, start);
	return started;
}

bool libcurl_pin_is_valid(const char *pin)
{
	return strlen(pin) == 44 &&
	       strspn(pin, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/") ==
		       43 &&
	       pin[43] == '=';
}

/* --- the way through a proxy --- */

static size_t on_head(char *data, size_t size, size_t n, void *ctx)
{
	struct libcurl_way *way = ctx;

	way->head_bytes += size * n;
	return way->head_bytes > HEAD_MAX ? 0 : size * n;
}

static int on_progress(
	void *ctx, curl_off_t down_all, curl_off_t down, curl_off_t up_all, curl_off_t up)
{
	struct libcurl_way *way = ctx;

	return ++way->rounds > ROUNDS_MAX;
}

bool libcurl_way_floods(const struct libcurl_way *way)
{
	return way->rounds > ROUNDS_MAX || way->head_bytes > HEAD_MAX;
}

static CURLcode set_bounds(CURL *easy, struct libcurl_way *way)
{
	CURLcode r = CURLE_OK;

	r |= curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_head);
	r |= curl_easy_setopt(easy, CURLOPT_HEADERDATA, way);
	r |= curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, on_progress);
	r |= curl_easy_setopt(easy, CURLOPT_XFERINFODATA, way);
	r |= curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
	return r;
}

static CURLcode set_user(CURL *easy, const struct proxy *proxy)
{
	CURLcode r = CURLE_OK;

	if (!proxy->has_user)
		return r;
	r |= curl_easy_setopt(easy, CURLOPT_PROXYUSERNAME, proxy->user);
	r |= curl_easy_setopt(easy, CURLOPT_PROXYPASSWORD, proxy->password);
	if (proxy->kind == PROXY_SOCKS5)
		return r;
	/* Without Negotiate, which waits for a Kerberos server. */
	return r | curl_easy_setopt(easy, CURLOPT_PROXYAUTH,
			   (long) (CURLAUTH_BASIC | CURLAUTH_DIGEST | CURLAUTH_NTLM));
}

CURLcode libcurl_set_way(CURL *easy, const struct proxy *proxy, struct libcurl_way *way)
{
	static const long types[] = {
		[PROXY_HTTP] = CURLPROXY_HTTP,
		[PROXY_HTTPS] = CURLPROXY_HTTPS,
		[PROXY_SOCKS5] = CURLPROXY_SOCKS5_HOSTNAME,
	};
	char at[PROXY_TEXT_MAX];
	CURLcode r = CURLE_OK;

	*way = (struct libcurl_way){ .proxy = proxy };
	r |= curl_easy_setopt(easy, CURLOPT_NOPROXY, "");
	if (!proxy)
		return r | curl_easy_setopt(easy, CURLOPT_PROXY, "");
	r |= curl_easy_setopt(easy, CURLOPT_PROXY, proxy_text(proxy, at));
	r |= curl_easy_setopt(easy, CURLOPT_PROXYTYPE, types[proxy->kind]);
	r |= set_user(easy, proxy);
	return r | set_bounds(easy, way);
}

/* --- names --- */

int libcurl_set_place(CURL *easy, const char *host, uint16_t port, const struct ip_addr *addrs,
	size_t n, struct curl_slist **ret)
{
	CLEANUP_BUF struct buf text = { 0 };
	struct curl_slist *places;

	buf_printf(&text, "%s:%u:", host, port);
	for (size_t i = 0; i < n; i++) {
		char addr[IP_TEXT_MAX];

		buf_printf(&text, addrs[i].family == AF_INET6 ? "%s[%s]" : "%s%s", i ? "," : "",
			ip_addr_format(&addrs[i], addr));
	}
	places = buf_failed(&text) ? NULL : curl_slist_append(NULL, buf_str(&text));
	if (!places || curl_easy_setopt(easy, CURLOPT_RESOLVE, places) != CURLE_OK) {
		curl_slist_free_all(places);
		return -ENOMEM;
	}
	*ret = places;
	return 0;
}

/* --- sockets --- */

CURLcode libcurl_set_keepalive(CURL *easy)
{
	CURLcode r = CURLE_OK;

	r |= curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	r |= curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, (long) KEEPALIVE_IDLE_S);
	r |= curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, (long) KEEPALIVE_INTERVAL_S);
	return r;
}

/* Best effort: without it a dead link is noticed later. */
void libcurl_set_user_timeout(int fd)
{
	unsigned timeout_ms = USER_TIMEOUT_MS;

	(void) setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof(timeout_ms));
}

/* --- errors --- */

int libcurl_errno(CURLcode code)
{
	switch ((int) code) {
	case CURLE_OK:
		return 0;
	case CURLE_AGAIN:
		return -EAGAIN;
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

static bool wants_another_user(CURL *easy, CURLcode code, long answer)
{
	long why = 0;

	if (code == CURLE_PROXY)
		(void) curl_easy_getinfo(easy, CURLINFO_PROXY_ERROR, &why);
	return answer == PROXY_REFUSES || why == CURLPX_USER_REJECTED || why == CURLPX_NO_AUTH;
}

/* Of a proxy that answered CONNECT with something else than that it stands. */
static int explain_answer(const char *at, long answer, struct err *ret)
{
	if (answer >= 500)
		return err_set(ret, -EHOSTUNREACH,
			"the proxy %s does not get there: it answers CONNECT with %ld", at, answer);
	return err_set(ret, -EPERM,
		"the proxy %s does not let this through: it answers CONNECT with %ld", at, answer);
}

/* Why, as a person says it; *@ret_r is the code that goes with it. */
static const char *reason(CURL *easy, CURLcode code, const char *said, int *ret_r)
{
	long error = 0;

	*ret_r = libcurl_errno(code);
	if (code == CURLE_COULDNT_CONNECT)
		(void) curl_easy_getinfo(easy, CURLINFO_OS_ERRNO, &error);
	if (error > 0) { /* it says how many milliseconds that took, another number each time */
		*ret_r = (int) -error;
		return strerror((int) error);
	}
	return said && *said ? said : curl_easy_strerror(code);
}

static int explain_proxy(
	CURL *easy, CURLcode code, const char *said, const struct libcurl_way *way, struct err *ret)
{
	const struct proxy *proxy = way->proxy;
	char at[PROXY_TEXT_MAX];
	long answer = 0;
	int r;

	(void) proxy_text(proxy, at);
	(void) curl_easy_getinfo(easy, CURLINFO_HTTP_CONNECTCODE, &answer);
	if (wants_another_user(easy, code, answer))
		return err_set(ret, -EACCES,
			proxy->has_user ? "the proxy %s wants another user or password"
					: "the proxy %s wants a user and a password",
			at);
	if (answer >= 300)
		return explain_answer(at, answer, ret);
	if (libcurl_way_floods(way))
		return err_set(ret, -EFBIG, "the proxy %s answers without end", at);
	said = reason(easy, code, said, &r);
	if (answer >= 200)
		return err_set(ret, r, "%s (by the proxy %s)", said, at);
	return err_set(ret, r, "the proxy %s: %s", at, said);
}

int libcurl_explain(
	CURL *easy, CURLcode code, const char *said, const struct libcurl_way *way, struct err *ret)
{
	int r;

	if (code == CURLE_SSL_PINNEDPUBKEYNOTMATCH)
		return err_set(ret, -EKEYREJECTED,
			"that server's key is none of the pinned ones; this is another server");
	if (way->proxy)
		return explain_proxy(easy, code, said, way, ret);
	said = reason(easy, code, said, &r);
	return err_set(ret, r, "%s", said);
}
