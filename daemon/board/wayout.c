/* wayout: see wayout.h. */
#include "board/wayout.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/ip.h"
#include "base/number.h"
#include "wire/outside.h"

enum { FILE_BYTES_MAX = 4096, HTTPS_PORT = 443 };

void wayout_done(struct wayout *w)
{
	if (w->url)
		explicit_bzero(w->url, strlen(w->url));
	free(w->url);
	free(w->no_proxy);
	*w = (struct wayout){ 0 };
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

bool wayout_equal(const struct wayout *a, const struct wayout *b)
{
	return same_text(a->url, b->url) && same_text(a->no_proxy, b->no_proxy);
}

static void wipe_buf(struct buf *buf)
{
	if (buf->data)
		explicit_bzero(buf->data, buf->cap);
	buf_done(buf);
}

/* --- where it comes from --- */

static const char *first_of(const char *const *names, const char **ret_name)
{
	for (; *names; names++) {
		const char *value = getenv(*names);

		if (value && *value) {
			*ret_name = *names;
			return value;
		}
	}
	return NULL;
}

static const char *environment_exceptions(void)
{
	static const char *const names[] = { "no_proxy", "NO_PROXY", NULL };
	const char *name;

	return first_of(names, &name);
}

/* @url is of @len bytes, of which blanks around it do not count. */
static int take_url(
	const char *url, size_t len, const char *from, struct wayout *w, struct err *err)
{
	static const char blanks[] = " \t\r\n";
	CLEANUP_PROXY struct proxy proxy = { 0 };
	size_t begin = strspn(url, blanks);

	while (len > begin && strchr(blanks, url[len - 1]))
		len--;
	w->url = strndup(url + begin, len - begin);
	if (!w->url)
		return err_set(err, -ENOMEM, "out of memory");
	(void) snprintf(w->from, sizeof(w->from), "%s", from);
	if (proxy_parse(w->url, &proxy, err) < 0)
		return err_prefix(err, "%s: the proxy's URL is not understood", from);
	(void) proxy_text(&proxy, w->text);
	return 0;
}

static int take_file(const char *path, struct wayout *w, struct err *err)
{
	CLEANUP(wipe_buf) struct buf text = { 0 };
	CLEANUP(close_p) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	int r = fd < 0 ? -errno : file_read_fd(fd, FILE_BYTES_MAX, &text, &st);

	if (r < 0)
		return err_set(err, r, "read the proxy's URL from %s: %s", path, strerror(-r));
	if (st.st_mode & S_IRWXO)
		return err_set(err, -EACCES,
			"%s is not used: everybody on this machine can read it, and a password may "
			"be in it. `chmod o= %s` mends that",
			path, path);
	return take_url(buf_str(&text), text.len, path, w, err);
}

static int take_environment(struct wayout *w, struct err *err)
{
	static const char *const names[] = { "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY",
		NULL };
	const char *name, *url = first_of(names, &name);

	return url ? take_url(url, strlen(url), name, w, err) : 0;
}

static int take_exceptions(const char *list, struct wayout *w, struct err *err)
{
	if (!list)
		return 0;
	w->no_proxy = strdup(list);
	return w->no_proxy ? 0 : err_set(err, -ENOMEM, "out of memory");
}

int wayout_find(const struct config *config, struct wayout *ret, struct err *err)
{
	CLEANUP_WAYOUT struct wayout w = { 0 };
	int r;

	if (config && *config->proxy_file)
		r = take_file(config->proxy_file, &w, err);
	else if (config && *config->proxy)
		r = take_url(config->proxy, strlen(config->proxy), "hearthd.yaml", &w, err);
	else
		r = take_environment(&w, err);
	if (r == 0)
		r = take_exceptions(config && config->has_no_proxy ? config->no_proxy
								   : environment_exceptions(),
			&w, err);
	if (r < 0)
		return r;
	*ret = w;
	w = (struct wayout){ 0 };
	return 0;
}

int wayout_read(const char *path, struct wayout *ret, struct err *err)
{
	CLEANUP(wipe_buf) struct buf text = { 0 };
	CLEANUP_WAYOUT struct wayout w = { 0 };
	int r = file_read_stream(path, FILE_BYTES_MAX, &text);

	if (r < 0)
		return err_set(err, r, "read the proxy's URL from %s: %s", path, strerror(-r));
	r = take_url(buf_str(&text), text.len, path, &w, err);
	if (r == 0)
		r = take_exceptions(environment_exceptions(), &w, err);
	if (r < 0)
		return r;
	*ret = w;
	w = (struct wayout){ 0 };
	return 0;
}

/* --- which way --- */

/* One label, or below a domain that is no one's: RFC 6762, 8375, and what routers use. */
static bool name_is_local(const char *host)
{
	static const char *const ends[] = { ".local", ".lan", ".home", ".home.arpa", ".internal",
		".fritz.box", ".localdomain" };
	size_t len = strlen(host);

	for (size_t i = 0; i < ARRAY_LEN(ends); i++)
		if (len > strlen(ends[i]) && !strcasecmp(host + len - strlen(ends[i]), ends[i]))
			return true;
	return !strchr(host, '.');
}

enum proxy_use wayout_choose(
	const struct wayout *w, const struct settings *settings, const char *host, uint16_t port)
{
	char name[PROXY_HOST_MAX];
	struct ip_addr addr;
	size_t len;

	if (!w->url || (w->no_proxy && proxy_is_excepted(w->no_proxy, host, port)))
		return PROXY_NEVER;
	len = (size_t) snprintf(name, sizeof(name), "%s", host);
	while (len && len < sizeof(name) && name[len - 1] == '.')
		name[--len] = 0;
	if (outside_host_objection(name) ||
		(settings && settings_check_outside(settings, name, NULL) < 0))
		return PROXY_NEVER;
	if (ip_addr_parse(name, &addr) < 0)
		return name_is_local(name) ? PROXY_ALSO : PROXY_ALWAYS;
	addr = ip_addr_unmapped(&addr);
	return ip_addr_is_private(&addr) ? PROXY_ALSO : PROXY_ALWAYS;
}

static enum proxy_use choose_url(
	const struct wayout *w, const struct settings *settings, const char *url)
{
	const char *mark = strchr(url, '#'), *digits = "";
	size_t len = mark ? (size_t) (mark - url) : strlen(url);
	char base[FIELD_URL_MAX], host[FIELD_URL_MAX];
	uint64_t port;

	if (len >= sizeof(base))
		return PROXY_NEVER;
	memcpy(base, url, len);
	base[len] = 0;
	if (!field_url_split(base, host, &digits))
		return PROXY_NEVER;
	if (number_parse(digits, 1, UINT16_MAX, &port) < 0)
		port = HTTPS_PORT;
	return wayout_choose(w, settings, mark ? mark + 1 : host, (uint16_t) port);
}

void wayout_choose_urls(const struct wayout *w, const struct settings *settings,
	const char *const *urls, size_t n, enum proxy_use *ret)
{
	for (size_t i = 0; i < n; i++)
		ret[i] = choose_url(w, settings, urls[i]);
}
