/*
 * A block is the lines from one that begins with BEGIN to the one that begins with END. If somebody
 * took the end away, it is the lines of our shape after the beginning, so that nobody else's line
 * is lost. A file without a newline at its end gets one, which counts as part of the block.
 */
#include "wire/hosts.h"

#include <errno.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/names.h"

#define BEGIN  "# BEGIN hearth"
#define END    "# END hearth"
#define JOINED " (after a line without an end)"
#define NOTE   "; hearthd writes these lines, changes to them are lost"

/* The first words of a block's first and last line. */
struct marks {
	char begin[sizeof(BEGIN) + IF_NAMESIZE], end[sizeof(END) + IF_NAMESIZE];
};

static struct marks marks_of(const char *ifname)
{
	struct marks marks;
	bool is_default = !strcmp(ifname, NAMES_LINK_DEFAULT);

	/* No name of an interface holds a slash. */
	(void) snprintf(marks.begin, sizeof(marks.begin), BEGIN "%s%s", is_default ? "" : "/",
		is_default ? "" : ifname);
	(void) snprintf(marks.end, sizeof(marks.end), END "%s%s", is_default ? "" : "/",
		is_default ? "" : ifname);
	return marks;
}

struct span {
	size_t start, end;
};

static size_t line_end(const char *text, size_t len, size_t at)
{
	const char *newline = memchr(text + at, '\n', len - at);

	return newline ? (size_t) (newline - text) + 1 : len;
}

static bool starts_with(const char *text, size_t len, size_t at, const char *what)
{
	size_t n = strlen(what);

	return len - at >= n && !memcmp(text + at, what, n);
}

/* "# BEGIN hearth" and then anything but more of a word. */
static bool is_mark(const char *text, size_t len, size_t at, const char *mark)
{
	size_t after = at + strlen(mark);

	return starts_with(text, len, at, mark) &&
	       (after == len || strchr("\n\r ;(", text[after]) != NULL);
}

/* ADDRESS NAME... with nothing but names of ours. */
static bool is_ours(const char *text, size_t start, size_t end)
{
	size_t i = start, words = 0;

	while (i < end && text[i] != '\n') {
		size_t word = i;

		while (i < end && text[i] != ' ' && text[i] != '\n')
			i++;
		if (words++ > 0 && (i - word <= 9 || memcmp(text + i - 9, ".internal", 9) != 0))
			return false;
		while (i < end && text[i] == ' ')
			i++;
	}
	return words >= 2;
}

/* The first block at or behind @from. */
static bool find_block(
	const char *text, size_t len, size_t from, const struct marks *marks, struct span *ret)
{
	size_t at = from, end, i;

	while (at < len && !is_mark(text, len, at, marks->begin))
		at = line_end(text, len, at);
	if (at >= len)
		return false;
	ret->start = at;
	end = line_end(text, len, at);
	if (at > from && starts_with(text, len, at + strlen(marks->begin), JOINED))
		ret->start--; /* the newline we added */
	for (i = end; i < len && !is_mark(text, len, i, marks->begin); i = line_end(text, len, i))
		if (is_mark(text, len, i, marks->end)) {
			ret->end = line_end(text, len, i);
			return true;
		}
	for (i = end; i < len && is_ours(text, i, line_end(text, len, i));
		i = line_end(text, len, i))
		;
	ret->end = i;
	return true;
}

static void add_block(const struct marks *marks, const struct hosts_entry *entries, size_t n,
	bool joined, struct buf *ret)
{
	char text[IP_TEXT_MAX];

	if (!n)
		return;
	buf_printf(ret, "%s%s%s%s\n", joined ? "\n" : "", marks->begin, joined ? JOINED : "", NOTE);
	for (size_t i = 0; i < n; i++) {
		buf_add_str(ret, ip_addr_format(&entries[i].addr, text));
		for (size_t k = 0; k < entries[i].n_names; k++)
			buf_printf(ret, " %s", entries[i].names[k]);
		buf_add_str(ret, "\n");
	}
	buf_printf(ret, "%s\n", marks->end);
}

int hosts_edit(const char *old, size_t old_len, const char *ifname,
	const struct hosts_entry *entries, size_t n, struct buf *ret)
{
	const struct marks marks = marks_of(ifname);
	size_t at = 0, before = ret->len;
	bool placed = false;
	struct span block;

	while (find_block(old, old_len, at, &marks, &block)) {
		/* One that was joined to its line stays so, unless that newline is now needed. */
		bool joined = starts_with(old, old_len, block.start, "\n");

		buf_add(ret, old + at, block.start - at);
		if (!placed)
			add_block(&marks, entries, n, joined, ret);
		if (joined && block.end < old_len && (placed || !n))
			buf_add_str(ret, "\n");
		placed = true;
		at = block.end;
	}
	buf_add(ret, old + at, old_len - at);
	if (!placed)
		add_block(&marks, entries, n, old_len > 0 && old[old_len - 1] != '\n', ret);
	if (buf_failed(ret))
		return -ENOMEM;
	return ret->len - before > HOSTS_FILE_MAX ? -EFBIG : 0;
}

bool hosts_is_right(const char *text, size_t len, const char *ifname,
	const struct hosts_entry *entries, size_t n)
{
	const struct marks marks = marks_of(ifname);
	CLEANUP_BUF struct buf want = { 0 };
	struct span block, more;

	if (!find_block(text, len, 0, &marks, &block))
		return n == 0;
	add_block(&marks, entries, n, starts_with(text, len, block.start, "\n"), &want);
	return n && !buf_failed(&want) && want.len == block.end - block.start &&
	       !memcmp(buf_str(&want), text + block.start, want.len) &&
	       !find_block(text, len, block.end, &marks, &more);
}

/* Whether one of the line's names is one of ours with another address. */
static const char *taken_by_line(
	const char *line, size_t len, const struct hosts_entry *entries, size_t n)
{
	char text[512], *save = NULL, *word;
	struct ip_addr addr;

	if (len >= sizeof(text))
		return NULL; /* not one that resolvers read, either */
	memcpy(text, line, len);
	text[len] = 0;
	text[strcspn(text, "#")] = 0;
	word = strtok_r(text, " \t\r\n", &save);
	if (!word || ip_addr_parse(word, &addr) < 0)
		return NULL;
	while ((word = strtok_r(NULL, " \t\r\n", &save)))
		for (size_t i = 0; i < n; i++)
			for (size_t k = 0; k < entries[i].n_names; k++)
				if (!strcasecmp(word, entries[i].names[k]) &&
					addr.family == entries[i].addr.family &&
					!ip_addr_equal(&addr, &entries[i].addr))
					return entries[i].names[k];
	return NULL;
}

/* The next @domain in any case, NULL at the end. */
static const char *find_domain(const char *text, size_t len, const char *domain)
{
	size_t n = strlen(domain);

	while (len >= n) {
		const char *dot = memchr(text, '.', len - n + 1);

		if (!dot || !strncasecmp(dot, domain, n))
			return dot;
		len -= (size_t) (dot + 1 - text);
		text = dot + 1;
	}
	return NULL;
}

bool hosts_find_taken(const char *text, size_t len, const char *ifname,
	const struct hosts_entry *entries, size_t n, const char **ret)
{
	const struct marks marks = marks_of(ifname);
	const char *domain = n ? strchr(entries[0].names[0], '.') : NULL;
	struct span block;

	if (find_block(text, len, 0, &marks, &block))
		len = block.start;
	for (size_t at = 0; domain && at < len; at++) {
		const char *hit = find_domain(text + at, len - at, domain), *start;

		if (!hit)
			break;
		start = memrchr(text, '\n', (size_t) (hit - text));
		start = start ? start + 1 : text;
		at = line_end(text, len, (size_t) (hit - text)) - 1;
		*ret = taken_by_line(start, (size_t) (text + at + 1 - start), entries, n);
		if (*ret)
			return true;
	}
	return false;
}

/* Lower-case labels of letters, digits and inner hyphens, ending in .internal. */
static bool name_is_valid(const char *name)
{
	size_t len = strlen(name), label = 0;

	if (len <= 9 || len >= HOSTS_NAME_MAX || strcmp(name + len - 9, ".internal") != 0)
		return false;
	for (size_t i = 0; i <= len; i++) {
		char c = name[i];

		if (c == '.' || c == 0) {
			if (!label || label > 63 || name[i - 1] == '-')
				return false;
			label = 0;
		} else if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
			   (c == '-' && label)) {
			label++;
		} else {
			return false;
		}
	}
	return true;
}

static bool addr_is_valid(const struct ip_addr *addr)
{
	return !ip_addr_is_loopback(addr) && !ip_addr_is_multicast(addr) &&
	       !ip_addr_is_unspecified(addr) && !ip_addr_is_link_local(addr) &&
	       !(addr->family == AF_INET && (addr->bytes[0] == 0 || addr->bytes[0] >= 240));
}

/* What stands behind the first label. */
static bool same_domain(const char *a, const char *b)
{
	return !strcmp(strchr(a, '.'), strchr(b, '.'));
}

static int read_entry(
	const json_t *json, const char **domain, struct hosts_entry *entry, struct err *err)
{
	static const char *const known[] = { "address", "names", NULL };
	const char *text;
	json_t *names;
	int r = json_only(json, known, err);

	if (r == 0)
		r = json_get_str(json, "address", &text, err);
	if (r == 0)
		r = json_get_array(json, "names", HOSTS_NAMES_MAX, &names, err);
	if (r < 0)
		return r;
	if (ip_addr_parse(text, &entry->addr) < 0 || !addr_is_valid(&entry->addr))
		return err_set(err, -EINVAL, "address: not one that a board of a mesh can have");
	entry->n_names = json_array_size(names);
	if (!entry->n_names)
		return err_set(err, -EINVAL, "names: there is none");
	for (size_t i = 0; i < entry->n_names; i++) {
		const char *name = json_string_value(json_array_get(names, i));

		if (!name || !name_is_valid(name) || (*domain && !same_domain(name, *domain)))
			return err_set(err, -EINVAL, "names: not one of a mesh's domain");
		*domain = name;
		(void) snprintf(entry->names[i], sizeof(entry->names[i]), "%s", name);
	}
	return 0;
}

int hosts_entries_from_json(
	const json_t *list, struct hosts_entry **ret, size_t *ret_n, struct err *err)
{
	CLEANUP(free_p) struct hosts_entry *entries = NULL;
	size_t n = json_array_size(list);
	const char *domain = NULL;

	if (!json_is_array(list))
		return err_set(err, -EINVAL, "entries: not a list");
	if (n > HOSTS_ENTRIES_MAX)
		return err_set(err, -E2BIG, "entries: more than %d", HOSTS_ENTRIES_MAX);
	entries = calloc(n ? n : 1, sizeof(*entries));
	if (!entries)
		return err_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < n; i++) {
		int r = read_entry(json_array_get(list, i), &domain, &entries[i], err);

		if (r < 0)
			return r;
	}
	*ret = TAKE(entries);
	*ret_n = n;
	return 0;
}
