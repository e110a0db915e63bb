/* sysctls: what sysctl.d(5) files say. See sysctls.h. */
#include "board/sysctls.h"

#include <ctype.h>
#include <dirent.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/file.h"

enum { FILE_MAX = 1 << 20 };

/*
 * "net.ipv4.ip_forward" is net/ipv4/ip_forward, "net.ipv4.conf.eth0/100.forwarding" that of
 * eth0.100.
 */
static void to_path(char *name)
{
	bool swap = name[strcspn(name, "./")] == '.';

	for (char *p = name; swap && *p; p++)
		*p = (char) (*p == '.' ? '/' : *p == '/' ? '.' : *p);
}

/* Both are one switch in the kernel. */
static bool names_it(const char *pattern, const char *name)
{
	static const char ip_forward[] = "net/ipv4/ip_forward";

	if (!strcmp(name, ip_forward) &&
		!fnmatch(pattern, "net/ipv4/conf/all/forwarding", FNM_PATHNAME))
		return true;
	return fnmatch(pattern, name, FNM_PATHNAME) == 0;
}

static bool split_line(char *line, char **ret_name, char **ret_value)
{
	char *equals = strchr(line, '=');

	while (isspace((unsigned char) *line) || *line == '-')
		line++;
	if (*line == '#' || *line == ';' || !equals || equals < line)
		return false;
	char *end = equals, *value = equals + 1;

	while (end > line && isspace((unsigned char) end[-1]))
		end--;
	*end = 0;
	while (isspace((unsigned char) *value))
		value++;
	for (end = value + strlen(value); end > value && isspace((unsigned char) end[-1]);)
		*--end = 0;
	*ret_name = line;
	*ret_value = value;
	return true;
}

bool sysctls_in_text(char *text, sysctls_line *each, void *ctx)
{
	bool more = true;
	char *next = NULL;

	for (char *line = text; line && more; line = next) {
		char *name, *value;

		next = strchr(line, '\n');
		if (next)
			*next++ = 0;
		if (!split_line(line, &name, &value))
			continue;
		to_path(name);
		more = each(ctx, name, value);
	}
	return more;
}

struct search {
	const char *name, *value;
	bool found;
};

static bool compare(void *ctx, const char *name, const char *value)
{
	struct search *search = ctx;

	if (names_it(name, search->name))
		search->found = !strcmp(value, search->value); /* a later line counts more */
	return true;
}

static bool file_sets(const char *path, struct search *search)
{
	CLEANUP_BUF struct buf text = { 0 };

	search->found = false;
	if (file_read(path, FILE_MAX, &text) == 0 && *buf_str(&text))
		(void) sysctls_in_text(text.data, compare, search);
	return search->found;
}

static void closedir_p(DIR **dir)
{
	if (*dir)
		(void) closedir(*dir);
}

static bool dir_sets(const char *dir, const char *but, struct search *search,
	char ret_path[static SYSCTLS_PATH_MAX])
{
	CLEANUP(closedir_p) DIR *open = opendir(dir);

	for (struct dirent *entry; open && (entry = readdir(open));) {
		size_t len = strlen(entry->d_name);

		if (len < 5 || strcmp(entry->d_name + len - 5, ".conf") != 0 ||
			!strcmp(entry->d_name, but))
			continue;
		int n = snprintf(ret_path, SYSCTLS_PATH_MAX, "%s/%s", dir, entry->d_name);

		if (n < SYSCTLS_PATH_MAX && file_sets(ret_path, search))
			return true;
	}
	return false;
}

static const char *const system_dirs[] = { "/run/sysctl.d", "/usr/local/lib/sysctl.d",
	"/usr/lib/sysctl.d", "/lib/sysctl.d" };

bool sysctls_set_by_others(const char *etc, const char *but, const char *name, const char *value,
	char ret_path[static SYSCTLS_PATH_MAX])
{
	struct search search = { .name = name, .value = value };
	char dir[SYSCTLS_PATH_MAX];

	(void) snprintf(ret_path, SYSCTLS_PATH_MAX, "%s/sysctl.conf", etc);
	if (file_sets(ret_path, &search))
		return true;
	(void) snprintf(dir, sizeof(dir), "%s/sysctl.d", etc);
	bool found = dir_sets(dir, but, &search, ret_path);

	for (size_t i = 0; !found && !strcmp(etc, "/etc") && i < ARRAY_LEN(system_dirs); i++)
		found = dir_sets(system_dirs[i], but, &search, ret_path);
	return found;
}

/* --- the next boot --- */

enum { FILES_MAX = 256 };

struct file {
	char name[NAME_MAX + 1];
	char dir[SYSCTLS_PATH_MAX];
};

struct files {
	struct file *list;
	size_t n;
};

static void files_done(struct files *files)
{
	free(files->list);
}

static bool is_known(const struct files *files, const char *name)
{
	for (size_t i = 0; i < files->n; i++)
		if (!strcmp(files->list[i].name, name))
			return true;
	return false;
}

static void add_dir(struct files *files, const char *dir)
{
	CLEANUP(closedir_p) DIR *open = opendir(dir);

	for (struct dirent *entry; open && files->n < FILES_MAX && (entry = readdir(open));) {
		size_t len = strlen(entry->d_name);

		if (len < 5 || strcmp(entry->d_name + len - 5, ".conf") != 0 ||
			is_known(files, entry->d_name))
			continue;
		struct file *file = &files->list[files->n++];

		(void) snprintf(file->name, sizeof(file->name), "%s", entry->d_name);
		(void) snprintf(file->dir, sizeof(file->dir), "%s", dir);
	}
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct file *) a)->name, ((const struct file *) b)->name);
}

struct boot {
	const char *name;
	const char *path; /* of the file that is read */
	char *ret_value, *ret_path;
	bool found, by_name;
};

static bool take(void *ctx, const char *name, const char *value)
{
	struct boot *boot = ctx;
	bool pattern = strpbrk(name, "*?[") != NULL;

	if (!names_it(name, boot->name) || (pattern && boot->by_name))
		return true;
	boot->found = true;
	boot->by_name = !pattern;
	(void) snprintf(boot->ret_value, SYSCTLS_VALUE_MAX, "%s", value);
	(void) snprintf(boot->ret_path, SYSCTLS_PATH_MAX, "%s", boot->path);
	return true;
}

static void read_file(struct boot *boot, const char *dir, const char *name)
{
	char path[SYSCTLS_PATH_MAX];
	CLEANUP_BUF struct buf text = { 0 };
	int n = snprintf(path, sizeof(path), "%s/%s", dir, name);

	boot->path = path;
	if (n > 0 && n < (int) sizeof(path) && file_read(path, FILE_MAX, &text) == 0 &&
		*buf_str(&text))
		(void) sysctls_in_text(text.data, take, boot);
	boot->path = NULL;
}

static bool is_ufw_on(const char *etc)
{
	char path[SYSCTLS_PATH_MAX];
	CLEANUP_BUF struct buf text = { 0 };

	(void) snprintf(path, sizeof(path), "%s/ufw/ufw.conf", etc);
	return file_read(path, FILE_MAX, &text) == 0 && strstr(buf_str(&text), "ENABLED=yes");
}

bool sysctls_at_boot(const char *etc, const char *name, char ret_value[static SYSCTLS_VALUE_MAX],
	char ret_path[static SYSCTLS_PATH_MAX])
{
	CLEANUP(files_done)
	struct files files = { .list = calloc(FILES_MAX, sizeof(*files.list)) };
	struct boot boot = { .name = name, .ret_value = ret_value, .ret_path = ret_path };
	char dir[SYSCTLS_PATH_MAX];

	if (!files.list)
		return false;
	(void) snprintf(dir, sizeof(dir), "%s/sysctl.d", etc);
	add_dir(&files, dir);
	for (size_t i = 0; !strcmp(etc, "/etc") && i < ARRAY_LEN(system_dirs); i++)
		add_dir(&files, system_dirs[i]);
	qsort(files.list, files.n, sizeof(*files.list), by_name);
	for (size_t i = 0; i < files.n; i++)
		read_file(&boot, files.list[i].dir, files.list[i].name);
	read_file(&boot, etc, "sysctl.conf");
	if (is_ufw_on(etc))
		read_file(&boot, etc, "ufw/sysctl.conf");
	return boot.found;
}
