/* cnilist: see cnilist.h. */
#include "board/cnilist.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

static const char own_list[] = "05-hearth.conflist";

static void close_dir(DIR **dir)
{
	if (*dir)
		(void) closedir(*dir);
}

static bool is_list(const char *name)
{
	const char *end = strrchr(name, '.');

	return end && (!strcmp(end, ".conflist") || !strcmp(end, ".conf") || !strcmp(end, ".json"));
}

/* Runtimes take the first in the order of bytes. False: ours. */
static bool find_first(const char *dir, char ret_name[static NAME_MAX + 1])
{
	CLEANUP(close_dir) DIR *d = opendir(dir);
	const struct dirent *entry;

	(void) snprintf(ret_name, NAME_MAX + 1, "%s", own_list);
	while (d && (entry = readdir(d)))
		if (is_list(entry->d_name) && strcmp(entry->d_name, ret_name) < 0)
			(void) snprintf(ret_name, NAME_MAX + 1, "%s", entry->d_name);
	return strcmp(ret_name, own_list) != 0;
}

/* Only what is known to be gone: others may have closed a directory to us. */
static bool is_gone(const char *path, bool *had)
{
	bool is_there = access(path, F_OK) == 0;

	*had = *had || is_there;
	return *had && !is_there && (errno == ENOENT || errno == ENOTDIR);
}

int cnilist_look(struct cnilist *cni, struct err *err)
{
	char path[PATH_MAX], first[NAME_MAX + 1];

	(void) snprintf(path, sizeof(path), "%s/%s", cni->dir, own_list);
	if (is_gone(path, &cni->had_list))
		return err_set(err, -ENOENT,
			"new pods of this board get no network from Hearth: "
			"%s was removed; run enroll-node again, which writes it",
			path);
	if (cni->had_list && find_first(cni->dir, first))
		return err_set(err, -EEXIST,
			"new pods of this board get no network from Hearth: %s/%s comes before %s, "
			"and container runtimes take the first; remove or rename it",
			cni->dir, first, own_list);
	if (is_gone(cni->plugin, &cni->had_plugin))
		return err_set(err, -ENOEXEC,
			"pods of this board cannot start or end: "
			"%s was removed; install Hearth again",
			cni->plugin);
	return 0;
}
