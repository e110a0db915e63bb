/*
 * proxied: the proxy by which this board reaches its coordinator: whoever enrols it names it, by a
 * file or the environment, and hearthd goes by the same one from then on. A URL with a password
 * lies in a file of its own, which hearthd's user may read and nobody else but root.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "provision/enroll.h"

int proxied_find(struct enroll *e, struct err *err)
{
	char path[PATH_TEXT_MAX];
	int r;

	if (e->enrolled && e->proxy_file) {
		talk_step(&e->talk, TALK_NOTE, "proxy",
			"%s is not used: this board is in mesh %s already. Its proxy is what %s "
			"says (hearthd(8)); after a change `systemctl reload hearthd`",
			e->proxy_file, e->config.mesh,
			paths_join(e->paths.etc, "hearthd.yaml", path));
		return 0;
	}
	if (e->enrolled)
		return 0;
	r = e->proxy_file ? wayout_read(e->proxy_file, &e->wayout, err)
			  : wayout_find(e->removed ? &e->config : NULL, &e->wayout, err);
	if (r == 0 && e->wayout.url)
		talk_step(&e->talk, TALK_NOTE, "proxy", "%s, from %s", e->wayout.text,
			e->wayout.from);
	return r;
}

/* Complete before anybody but root can read it. */
static int write_file(struct enroll *e, const char *path, struct err *err)
{
	int r = file_mkdirs(e->paths.etc, 0755);

	if (r == 0)
		r = file_write_atomic(path, e->wayout.url, strlen(e->wayout.url), 0600);
	if (r == 0 && (lchown(path, (uid_t) -1, e->gid) < 0 || chmod(path, 0640) < 0))
		r = -errno;
	return r < 0 ? err_set(err, r, "write %s: %s", path, strerror(-r)) : 0;
}

static json_t *exceptions(const char *list)
{
	static const char between[] = ", \t\r\n;";
	json_t *json = json_array();

	while (json && *(list += strspn(list, between))) {
		size_t len = strcspn(list, between);

		(void) json_array_append_new(json, json_stringn(list, len));
		list += len;
	}
	return json;
}

int proxied_put(struct enroll *e, json_t *config, struct err *err)
{
	CLEANUP_PROXY struct proxy proxy = { 0 };
	char path[PATH_TEXT_MAX];
	int r = 0;

	if (!e->wayout.url)
		return 0;
	r = proxy_parse(e->wayout.url, &proxy, err);
	if (r == 0 && proxy.has_user)
		r = write_file(e, paths_join(e->paths.etc, PROXIED_FILE, path), err);
	if (r < 0)
		return r;
	r = json_object_set_new(config, proxy.has_user ? "proxy_file" : "proxy",
		json_string(proxy.has_user ? path : e->wayout.url));
	if (r == 0 && e->wayout.no_proxy)
		r = json_object_set_new(config, "no_proxy", exceptions(e->wayout.no_proxy));
	return r < 0 ? err_set(err, -ENOMEM, "out of memory") : 0;
}
