/*
 * runtime: see runtime.h. Of TOML only what these files use is read: tables, and keys with a
 * string, a number, a boolean or a list of strings, which may go on over several lines. What cannot
 * be read so is skipped.
 */
#include "board/runtime.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/file.h"

enum { FILE_MAX = 1 << 20, TABLE_MAX = 256, VALUE_MAX = 1024 };

#define CRI_SOCKET "/run/containerd/containerd.sock"

/* --- TOML --- */

/*
 * One key; @table is without quotes ("plugins.io.containerd.grpc.v1.cri.cni"), @value as it was
 * written.
 */
typedef int toml_each(void *ctx, const char *table, const char *key, const char *value);

static char *trim(char *text)
{
	char *end = text + strlen(text);

	while (isspace((unsigned char) *text))
		text++;
	while (end > text && isspace((unsigned char) end[-1]))
		*--end = 0;
	return text;
}

/* Ends @line where a comment begins. */
static void cut_comment(char *line)
{
	char quote = 0;

	for (; *line; line++) {
		if (quote)
			quote = *line == quote ? 0 : quote;
		else if (*line == '"' || *line == '\'')
			quote = *line;
		else if (*line == '#')
			*line = 0;
		if (!*line)
			return;
	}
}

static void unquote(const char *text, size_t len, char *ret, size_t size)
{
	size_t n = 0;

	for (size_t i = 0; i < len && n + 1 < size; i++)
		if (text[i] != '"' && text[i] != '\'' && text[i] != ' ')
			ret[n++] = text[i];
	ret[n] = 0;
}

struct toml {
	char table[TABLE_MAX], key[TABLE_MAX], value[VALUE_MAX];
	bool in_list; /* the value goes on */
};

static void add_value(struct toml *t, const char *text)
{
	size_t len = strlen(t->value);

	(void) snprintf(t->value + len, sizeof(t->value) - len, "%s", text);
	t->in_list = t->value[0] == '[' && !strchr(t->value, ']');
}

/* Whether a key with its value is whole. */
static bool read_line(struct toml *t, char *line)
{
	cut_comment(line);
	line = trim(line);
	char *equals = strchr(line, '='), *end = strchr(line, ']');

	if (t->in_list) {
		add_value(t, line);
		return !t->in_list;
	}
	if (*line == '[' && end) {
		unquote(line + 1, (size_t) (end - line - 1), t->table, sizeof(t->table));
		return false;
	}
	if (!equals)
		return false;
	unquote(line, (size_t) (equals - line), t->key, sizeof(t->key));
	t->value[0] = 0;
	add_value(t, trim(equals + 1));
	return !t->in_list;
}

static int toml_read(char *text, toml_each *each, void *ctx)
{
	struct toml t = { 0 };
	int r = 0;

	for (char *rest = text, *line; r == 0 && (line = strsep(&rest, "\n"));)
		if (read_line(&t, line))
			r = each(ctx, t.table, t.key, t.value);
	return r;
}

/* The @n-th string of a list, or the one string that @value is. False: there is none. */
static bool string_of(const char *value, size_t n, char *ret, size_t size)
{
	for (;; n--) {
		const char *begin = value + strcspn(value, "\"'");
		const char *end = *begin ? strchr(begin + 1, *begin) : NULL;

		if (!end)
			return false;
		if (!n) {
			(void) snprintf(ret, size, "%.*s", (int) (end - begin - 1), begin + 1);
			return true;
		}
		value = end + 1;
	}
}

/* --- containerd --- */

struct containerd {
	const char *path;
	const struct runtime_where *where;
	bool is_new, has_imports, has_systemd;
	struct err *err;
};

static bool ends_in(const char *text, const char *end)
{
	size_t n = strlen(text), m = strlen(end);

	return n >= m && !strcmp(text + n - m, end);
}

static int check_plugins(struct containerd *c, const char *value)
{
	char name[VALUE_MAX];

	for (size_t i = 0; string_of(value, i, name, sizeof(name)); i++)
		if (!strcmp(name, "cri") || !strcmp(name, "io.containerd.grpc.v1.cri") ||
			!strcmp(name, "io.containerd.cri.v1.runtime"))
			return err_set(c->err, -ENOPROTOOPT,
				"kubelet cannot use containerd: %s switches its plugin %.60s off "
				"(disabled_plugins, as Docker's package ships it); take it out of "
				"that list, then `sudo systemctl restart containerd`",
				c->path, name);
	return 0;
}

/* One key of lists of directories: that of Hearth's plugin must be among them. */
static int check_bin(struct containerd *c, const char *value)
{
	char dir[VALUE_MAX], path[PATH_MAX], first[VALUE_MAX] = "";
	const char *plugin = c->where->plugin, *name = strrchr(plugin, '/') + 1;

	for (size_t i = 0; string_of(value, i, dir, sizeof(dir)); i++) {
		int n = snprintf(path, sizeof(path), "%s/%s", dir, name);

		if (n < (int) sizeof(path) && access(path, X_OK) == 0)
			return 0;
		if (!i)
			(void) snprintf(first, sizeof(first), "%s", dir);
	}
	if (!*first || access(plugin, X_OK) < 0)
		return 0; /* nothing said; or ours is not installed, which is another matter */
	return err_set(c->err, -ENOEXEC,
		"pods of this board cannot start: by %s containerd "
		"looks for network plugins in %.90s, and %s is not there; set bin_dir (bin_dirs) "
		"to \"%.*s\", then `sudo systemctl restart containerd`, or `sudo ln -s %s %.90s/`",
		c->path, first, plugin, (int) (name - 1 - plugin), plugin, plugin, first);
}

static int check_lists(struct containerd *c, const char *value)
{
	char dir[VALUE_MAX], own[PATH_MAX];

	(void) snprintf(own, sizeof(own), "%s/cni/net.d", c->where->etc);
	if (!string_of(value, 0, dir, sizeof(dir)) || !*dir || !strcmp(dir, own))
		return 0;
	return err_set(c->err, -ENOTDIR,
		"pods of this board get no network from Hearth: "
		"by %s containerd reads network configurations in %.90s, not in %s; "
		"set conf_dir to that, then `sudo systemctl restart containerd`",
		c->path, dir, own);
}

static int check_socket(struct containerd *c, const char *value)
{
	char path[VALUE_MAX];

	if (!string_of(value, 0, path, sizeof(path)) || !*path || !strcmp(path, CRI_SOCKET))
		return 0;
	return err_set(c->err, -ENOTSOCK,
		"kubelet looks for containerd at " CRI_SOCKET ", and by %s it listens on %.90s; "
		"set address in [grpc] to the former, or criSocket in /etc/hearth/kubeadm.d",
		c->path, path);
}

static int check_key(void *ctx, const char *table, const char *key, const char *value)
{
	struct containerd *c = ctx;
	bool is_cni = ends_in(table, ".cri.cni") || ends_in(table, ".cri.v1.runtime.cni");

	c->is_new |= !*table && !strcmp(key, "version") && *value >= '3' && *value <= '9';
	c->has_imports |= !*table && !strcmp(key, "imports") && strpbrk(value, "\"'");
	c->has_systemd |= !strcmp(key, "SystemdCgroup") && !strcmp(value, "true");
	if (!*table && !strcmp(key, "disabled_plugins"))
		return check_plugins(ctx, value);
	if (!strcmp(table, "grpc") && !strcmp(key, "address"))
		return check_socket(ctx, value);
	if (is_cni && !strcmp(key, "conf_dir"))
		return check_lists(ctx, value);
	if (is_cni && (!strcmp(key, "bin_dir") || !strcmp(key, "bin_dirs")))
		return check_bin(ctx, value);
	return 0;
}

/* containerd 2 tells kubelet which one it uses, and 1.x alone has this shim. */
static int check_cgroups(const struct containerd *c)
{
	char shim[PATH_MAX];

	(void) snprintf(shim, sizeof(shim), "%s/containerd-shim-runc-v1", c->where->bin);
	if (c->is_new || c->has_imports || c->has_systemd || access(shim, F_OK) < 0)
		return 0;
	return err_set(c->err, -EBADE,
		"pods of this board will be killed now and then: kubelet leaves "
		"cgroups to systemd, and containerd does not; set SystemdCgroup = true in %s, "
		"under [plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.runc.options], "
		"then `sudo systemctl restart containerd`",
		c->path);
}

int runtime_check_containerd(
	char *text, const char *path, const struct runtime_where *where, struct err *err)
{
	struct containerd c = { .path = path, .where = where, .err = err };
	int r = toml_read(text, check_key, &c);

	return r ? r : check_cgroups(&c);
}

int runtime_look_at_containerd(const struct runtime_where *where, struct err *err)
{
	char path[PATH_MAX];
	CLEANUP_BUF struct buf text = { 0 };

	(void) snprintf(path, sizeof(path), "%s/containerd/config.toml", where->etc);
	if (file_read(path, FILE_MAX, &text) < 0 || !*buf_str(&text))
		return 0;
	return runtime_check_containerd(text.data, path, where, err);
}

/* --- kubelet --- */

/* Those that older guides tell people to set, and that undo what kubeadm and enroll-node set. */
static int check_arguments(const char *path, const char *line, struct err *err)
{
	static const struct {
		const char *flag, *why;
	} flags[] = {
		{ "--node-ip", "the Node gets that address instead of the mesh's" },
		{ "--hostname-override", "the Node gets another name than the board has" },
		{ "--container-runtime-endpoint", "it may look for another container runtime" },
		{ "--resolv-conf", "pods get other name servers than enroll-node found" },
		{ "--pod-cidr", "pods' addresses are the mesh's to give" },
	};

	for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
		const char *found = strstr(line, flags[i].flag);
		char next = found ? found[strlen(flags[i].flag)] : 0;

		if (next == '=' || next == ' ')
			return err_set(err, -(int) (i + 1),
				"kubelet is not started as its files say: %s gives it %s, and %s; "
				"take it out of there, then `sudo systemctl restart kubelet`",
				path, flags[i].flag, flags[i].why);
	}
	return 0;
}

static int look_at_arguments(const char *etc, struct err *err)
{
	static const char *const files[] = { "default/kubelet", "sysconfig/kubelet" };
	char path[PATH_MAX];
	int r = 0;

	for (size_t i = 0; i < ARRAY_LEN(files) && r == 0; i++) {
		CLEANUP_BUF struct buf text = { 0 };

		(void) snprintf(path, sizeof(path), "%s/%s", etc, files[i]);
		if (file_read(path, FILE_MAX, &text) < 0 || !*buf_str(&text))
			continue;
		for (char *rest = text.data, *line; r == 0 && (line = strsep(&rest, "\n"));) {
			line += strspn(line, " \t");
			if (!strncmp(line, "KUBELET_EXTRA_ARGS=", 19))
				r = check_arguments(path, line, err);
		}
	}
	return r;
}

static void close_dir(DIR **dir)
{
	if (*dir)
		(void) closedir(*dir);
}

static bool says(const char *path, const char *word)
{
	CLEANUP_BUF struct buf text = { 0 };

	return file_read(path, FILE_MAX, &text) == 0 && strstr(buf_str(&text), word);
}

struct unit {
	bool found, reads_kubeadm;
};

static void look_at_unit(const char *dir, struct unit *unit)
{
	static const char word[] = "kubeadm-flags.env";
	char path[PATH_MAX], drop_ins[PATH_MAX / 2];

	(void) snprintf(path, sizeof(path), "%s/kubelet.service", dir);
	unit->found |= access(path, F_OK) == 0;
	unit->reads_kubeadm |= says(path, word);
	(void) snprintf(drop_ins, sizeof(drop_ins), "%s/kubelet.service.d", dir);
	CLEANUP(close_dir) DIR *open = opendir(drop_ins);

	for (struct dirent *entry; open && (entry = readdir(open));) {
		(void) snprintf(path, sizeof(path), "%s/%s", drop_ins, entry->d_name);
		unit->reads_kubeadm |= ends_in(entry->d_name, ".conf") && says(path, word);
	}
}

/*
 * Both files are written by packages and by enroll-node, and removed by hand or by another's
 * playbook.
 */
static int look_at_units(const char *etc, struct err *err)
{
	static const char *const system[] = { "/run/systemd/system",
		"/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system" };
	char path[PATH_MAX];
	struct unit unit = { 0 };

	(void) snprintf(path, sizeof(path), "%s/systemd/system", etc);
	look_at_unit(path, &unit);
	for (size_t i = 0; !strcmp(etc, "/etc") && i < ARRAY_LEN(system); i++)
		look_at_unit(system[i], &unit);
	if (!unit.found)
		return 0;
	if (!unit.reads_kubeadm)
		return err_set(err, -ENOEXEC,
			"kubelet does not read what kubeadm writes for it: "
			"none of its unit's drop-ins (kubelet.service.d/10-kubeadm.conf, "
			"of the package kubeadm) names kubeadm-flags.env; install kubeadm again");
	(void) snprintf(
		path, sizeof(path), "%s/systemd/system/kubelet.service.d/10-hearth.conf", etc);
	return access(path, F_OK) == 0 || errno != ENOENT
		       ? 0
		       : err_set(err, -ENOLINK,
				 "kubelet may start before the mesh has its addresses, "
				 "and register without one: "
				 "%s is not there; `sudo enroll-node` writes it",
				 path);
}

int runtime_look_at_kubelet(const char *etc, struct err *err)
{
	int r = look_at_arguments(etc, err);

	return r ? r : look_at_units(etc, err);
}
