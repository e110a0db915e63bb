/*
 * leftalone: NetworkManager and systemd-networkd leave the mesh's interface alone. The package's
 * files say so for every name that begins with hearth; for another one they get a file each. Its
 * first line says whose it is, so that a second mesh on the machine keeps its own.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/names.h"
#include "provision/enroll.h"
#include "sys/exec/exec.h"

enum { FILE_MAX = 4096 };

static const struct manager {
	const char *home, *dir, *before,
		*after;   /* below /etc; the file's name around the interface's */
	const char *rule; /* @: the interface */
	const char *reload[5];
} managers[] = {
	{ "systemd", "systemd/network", "05-hearth-", ".network",
		"[Match]\nName=@\n\n[Link]\nUnmanaged=yes\n", { "networkctl", "reload", NULL } },
	{ "NetworkManager", "NetworkManager/conf.d", "90-hearth-", ".conf",
		"[device-hearth-@]\nmatch-device=interface-name:@\nmanaged=0\n",
		{ "nmcli", "general", "reload", "conf", NULL } },
};

static void closedir_p(DIR **dir)
{
	if (*dir)
		(void) closedir(*dir);
}

static void first_line(const struct enroll *e, struct buf *ret)
{
	buf_printf(ret, "# Written by enroll-node for the interface of %s/hearthd.yaml\n",
		e->paths.etc);
}

static bool is_ours(const struct enroll *e, const char *path)
{
	CLEANUP_BUF struct buf now = { 0 }, line = { 0 };

	first_line(e, &line);
	return file_read(path, FILE_MAX, &now) == 0 && !buf_failed(&line) &&
	       !strncmp(buf_str(&now), buf_str(&line), line.len);
}

/* Removes ours but for the one of @keep (NULL: all). How many that are or would be, or -errno. */
static int remove_others(
	struct enroll *e, const struct manager *m, const char *keep, struct err *err)
{
	char where[PATH_TEXT_MAX], path[PATH_TEXT_MAX];
	CLEANUP(closedir_p) DIR *dir = opendir(paths_join(e->host, m->dir, where));
	int found = 0;

	for (struct dirent *entry; dir && (entry = readdir(dir));) {
		if (strncmp(entry->d_name, m->before, strlen(m->before)) != 0 ||
			(keep && !strcmp(entry->d_name, keep)) ||
			!is_ours(e, paths_join(where, entry->d_name, path)))
			continue;
		if (!e->dry_run && unlink(path) < 0 && errno != ENOENT)
			return err_set(err, -errno, "remove %s: %s", path, strerror(errno));
		found++;
	}
	return found;
}

/* Best effort: it may not run, and reads its files when it starts. */
static void reload(const struct enroll *e, const struct manager *m)
{
	struct exec_options options = {
		.argv = m->reload, .output_max = FILE_MAX, .timeout_us = 10 * USEC_PER_SEC
	};
	CLEANUP_EXEC_RESULT struct exec_result result = { 0 };

	if (e->systemd)
		(void) exec_run(&options, &result, NULL);
}

/* The file for the interface; 1 written (or would be), 0 as it should be, or -errno. */
static int write_file(struct enroll *e, const struct manager *m, const char *name, struct err *err)
{
	char dir[PATH_TEXT_MAX], path[PATH_TEXT_MAX];
	CLEANUP_BUF struct buf text = { 0 }, now = { 0 };

	first_line(e, &text);
	for (const char *p = m->rule; *p; p++)
		if (*p == '@')
			buf_add_str(&text, e->config.interface);
		else
			buf_add(&text, p, 1);
	if (buf_failed(&text))
		return err_set(err, -ENOMEM, "out of memory");
	paths_join(paths_join(e->host, m->dir, dir), name, path);
	if (file_read(path, FILE_MAX, &now) == 0 && !strcmp(buf_str(&now), buf_str(&text)))
		return 0;
	if (e->dry_run)
		return 1;
	int r = before_mkdirs(e, dir, err);

	if (r)
		return r;
	r = file_write_atomic(path, text.data, text.len, 0644);
	return r < 0 ? err_set(err, r, "write %s: %s", path, strerror(-r)) : 1;
}

static bool is_here(const struct enroll *e, const struct manager *m)
{
	char path[PATH_TEXT_MAX];

	return access(paths_join(e->host, m->home, path), F_OK) == 0;
}

static int see_to(struct enroll *e, const struct manager *m, struct err *err)
{
	bool covered = names_is_mesh_link(e->config.interface);
	char name[64];

	(void) snprintf(name, sizeof(name), "%s%s%s", m->before, e->config.interface, m->after);
	int removed = remove_others(e, m, covered ? NULL : name, err);
	int written = removed < 0 || covered || !is_here(e, m) ? 0 : write_file(e, m, name, err);

	if (removed < 0 || written < 0)
		return removed < 0 ? removed : written;
	if (removed + written == 0)
		return 0;
	if (!e->dry_run)
		reload(e, m);
	talk_step(&e->talk, e->dry_run ? TALK_WOULD : TALK_DONE, "network",
		"%s %s/%s%s, so that interface %s is left alone", written ? "write" : "remove",
		e->host, m->dir, written ? "" : "'s file of another name", e->config.interface);
	return 0;
}

int leftalone_write(struct enroll *e, struct err *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(managers); i++)
		r = see_to(e, &managers[i], err);
	return r;
}

int leftalone_remove(struct enroll *e, struct err *err)
{
	int found = 0;

	for (size_t i = 0; i < ARRAY_LEN(managers); i++) {
		int r = remove_others(e, &managers[i], NULL, err);

		if (r < 0)
			return r;
		if (r > 0 && !e->dry_run)
			reload(e, &managers[i]);
		found += r;
	}
	return found;
}
