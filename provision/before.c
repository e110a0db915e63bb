/*
 * before: how the board was before it was enrolled, in ETC/before.json, so that --leave can put it
 * back:
 *
 *	{"sysctls": [{"name": "net/ipv4/ip_forward", "was": "0", "set": "1"}],
 *	 "links": ["br0"], "dirs": ["/etc/cni/net.d", "/etc/cni"], "firewalls": ["docker"]}
 *
 * It is written before anything is changed, and the first word counts: a later run, or one after a
 * reboot, would only see what an earlier one made. A sysctl without "set" changed along with
 * another one.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"
#include "provision/enroll.h"

enum { BEFORE_MAX = 1 << 20 };

static json_t *list(struct enroll *e, const char *key)
{
	json_t *found = json_object_get(e->before, key);

	if (!json_is_array(found)) {
		found = json_array();
		(void) json_object_set_new(e->before, key, found); /* no memory: seen by save */
	}
	return found;
}

int before_load(struct enroll *e, struct err *err)
{
	char path[PATH_TEXT_MAX];
	struct err why = { 0 };

	if (e->before)
		return 0;
	e->before = json_read_file(paths_join(e->paths.etc, "before.json", path), BEFORE_MAX, &why);
	if (json_is_object(e->before))
		return 0;
	json_decref(e->before);
	e->before = json_object();
	if (!e->before)
		return err_set(err, -ENOMEM, "out of memory");
	if (access(path, F_OK) == 0)
		talk_step(&e->talk, TALK_NOTE, "before",
			"%s says no more how this board was before (%s); "
			"what the kernel starts with is taken for it",
			path, *why.text ? why.text : "no JSON object");
	return 0;
}

int before_save(struct enroll *e, struct err *err)
{
	char path[PATH_TEXT_MAX];

	paths_join(e->paths.etc, "before.json", path);
	int r = file_mkdirs(e->paths.etc, 0755);

	if (r == 0)
		r = json_write_file(path, e->before, 0644);
	return r < 0 ? err_set(err, r, "write %s: %s", path, strerror(-r)) : 0;
}

static const char *text_of(const json_t *obj, const char *key)
{
	const char *text = json_string_value(json_object_get(obj, key));

	return text ? text : "";
}

bool before_knows(struct enroll *e, const char *name)
{
	size_t i;
	json_t *entry;

	json_array_foreach(list(e, "sysctls"), i,
		entry) if (!strcmp(text_of(entry, "name"), name)) return true;
	return false;
}

void before_note_sysctl(struct enroll *e, const char *name, const char *was, const char *set)
{
	if (before_knows(e, name))
		return;
	json_t *entry = json_pack("{s:s, s:s}", "name", name, "was", was);

	if (entry && set)
		(void) json_object_set_new(entry, "set", json_string(set));
	(void) json_array_append_new(list(e, "sysctls"), entry);
}

/* Root writes to what it finds here: below net/, and nothing that leads out of it. */
bool before_sysctl(struct enroll *e, size_t i, struct before_sysctl *ret)
{
	const json_t *entry;

	while ((entry = json_array_get(list(e, "sysctls"), i++))) {
		*ret = (struct before_sysctl){ .name = text_of(entry, "name"),
			.was = text_of(entry, "was"),
			.set = text_of(entry, "set"),
			.next = i };
		if (!strncmp(ret->name, "net/", 4) && !strstr(ret->name, "..") && *ret->was)
			return true;
	}
	return false;
}

static bool has_name(struct enroll *e, const char *key, const char *name)
{
	size_t i;
	json_t *entry;

	json_array_foreach(
		list(e, key), i, entry) if (json_string_value(entry) &&
					    !strcmp(json_string_value(entry), name)) return true;
	return false;
}

static void note_name(struct enroll *e, const char *key, const char *name)
{
	if (!has_name(e, key, name))
		(void) json_array_append_new(list(e, key), json_string(name));
}

void before_note_link(struct enroll *e, const char *name)
{
	note_name(e, "links", name);
}

bool before_has_link(struct enroll *e, const char *name)
{
	return has_name(e, "links", name);
}

void before_note_firewall(struct enroll *e, const char *name)
{
	note_name(e, "firewalls", name);
}

bool before_has_firewall(struct enroll *e, const char *name)
{
	return has_name(e, "firewalls", name);
}

/* The innermost first: in this order they can be removed. */
static size_t note_missing(struct enroll *e, const char *path)
{
	char dir[PATH_TEXT_MAX];
	struct stat st;
	size_t n = 0;

	(void) snprintf(dir, sizeof(dir), "%s", path);
	while (stat(dir, &st) < 0 && errno == ENOENT) {
		char *slash = strrchr(dir, '/');

		(void) json_array_insert_new(list(e, "dirs"), n++, json_string(dir));
		if (!slash || slash == dir)
			break;
		*slash = 0;
	}
	return n;
}

int before_mkdirs(struct enroll *e, const char *path, struct err *err)
{
	int r = before_load(e, err);

	if (r == 0 && note_missing(e, path))
		r = before_save(e, err);
	if (r)
		return r;
	r = file_mkdirs(path, 0755);
	return r < 0 ? err_set(err, r, "make %s: %s", path, strerror(-r)) : 0;
}

void before_remove_dirs(struct enroll *e)
{
	size_t i;
	json_t *dir;

	json_array_foreach(list(e, "dirs"), i, dir)
	{
		const char *path = json_string_value(dir);

		if (path && !strncmp(path, e->host, strlen(e->host)) && !strstr(path, ".."))
			(void) rmdir(path); /* with something of others in it: it stays */
	}
}
