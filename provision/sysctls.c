/* sysctls: what sysctl.d(5) files say. See sysctls.h. */
#include "provision/sysctls.h"

#include <ctype.h>
#include <dirent.h>
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/file.h"

enum { FILE_MAX = 1 << 20 };

/* "net.ipv4.ip_forward" is net/ipv4/ip_forward, "net.ipv4.conf.eth0/100.forwarding" that of eth0.100. */
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
	if (!strcmp(name, ip_forward) && !strcmp(pattern, "net/ipv4/conf/all/forwarding"))
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

bool sysctls_set_by_others(const char *etc, const char *but, const char *name, const char *value,
	char ret_path[static SYSCTLS_PATH_MAX])
{
	static const char *const system[] = { "/run/sysctl.d", "/usr/local/lib/sysctl.d",
		"/usr/lib/sysctl.d", "/lib/sysctl.d" };
	struct search search = { .name = name, .value = value };
	char dir[SYSCTLS_PATH_MAX];
	(void) snprintf(ret_path, SYSCTLS_PATH_MAX, "%s/sysctl.conf", etc);
	if (file_sets(ret_path, &search))
		return true;
	(void) snprintf(dir, sizeof(dir), "%s/sysctl.d", etc);
	bool found = dir_sets(dir, but, &search, ret_path);
	for (size_t i = 0; !found && !strcmp(etc, "/etc") && i < ARRAY_LEN(system); i++)
		found = dir_sets(system[i], but, &search, ret_path);
	return found;
}
