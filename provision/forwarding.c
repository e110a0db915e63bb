/*
 * forwarding: a board that runs pods passes packets between them and the mesh. What the switches
 * were before is noted first (before.c), so that --leave turns back what enrolment turned, unless
 * somebody else has come to need it.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/names.h"
#include "board/links.h"
#include "board/stops.h"
#include "board/sysctls.h"
#include "provision/enroll.h"
#include "sys/net/link.h"

#define OWN_FILE "60-hearth.conf"
enum { UPLINKS_MAX = 32, SYSCTLS_MAX = UPLINKS_MAX + 3, VALUE_MAX = 64 };

struct sysctl {
	char path[96]; /* below /proc/sys */
	const char *value;
};

static bool get(struct enroll *e, const char *name, char ret[static VALUE_MAX])
{
	char path[PATH_TEXT_MAX];
	CLEANUP_BUF struct buf now = { 0 };

	if (file_read(paths_join(e->proc_sys, name, path), VALUE_MAX - 1, &now) < 0 || !now.len)
		return false;
	(void) snprintf(ret, VALUE_MAX, "%.*s", (int) strcspn(buf_str(&now), "\n"), buf_str(&now));
	return true;
}

static bool has_value(struct enroll *e, const char *name, const char *value)
{
	char now[VALUE_MAX];

	return get(e, name, now) && !strcmp(now, value);
}

static int set(struct enroll *e, const char *name, const char *value)
{
	char path[PATH_TEXT_MAX];
	ssize_t len = (ssize_t) strlen(value);
	CLEANUP(close_p)
	int fd = open(paths_join(e->proc_sys, name, path), O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, value, (size_t) len) != len)
		return -errno;
	return 0;
}

/* --- on --- */

/*
 * With forwarding on, Linux ignores router advertisements unless accept_ra is 2, and the board
 * would lose its IPv6 default route: by whichever uplink that comes, also one whose cable is
 * plugged in later. Where a network manager reads them itself (accept_ra 0) nothing changes.
 */
static size_t add_uplinks(struct enroll *e, struct sysctl *list, size_t n)
{
	CLEANUP_LINKS_FACTS struct links_facts facts = { 0 };
	CLEANUP_LINKS struct links links = { 0 };
	struct links_rules rules = { .own_ifname = e->config.interface };
	CLEANUP_NL struct nl *nl = NULL;

	if (nl_open(&nl, NULL) < 0 || links_facts_read(nl, &facts, NULL) < 0 ||
		links_judge(&facts, &rules, &links) < 0)
		return n;
	for (size_t i = 0; i < links.n; i++) {
		const struct link_verdict *v = &links.list[i];
		char now[VALUE_MAX];

		if (!(v->class == LINK_CLASS_UPLINK || v->has_default) || n == UPLINKS_MAX ||
			strchr(v->name, '/'))
			continue;
		(void) snprintf(
			list[n].path, sizeof(list[n].path), "net/ipv6/conf/%s/accept_ra", v->name);
		if (!get(e, list[n].path, now) || now[0] == '0')
			continue;
		list[n++].value = "2";
	}
	return n;
}

/* Slashes, because an interface's name may have dots (VLANs). */
static int write_sysctls(struct enroll *e, const struct sysctl *list, size_t n, struct err *err)
{
	CLEANUP_BUF struct buf text = { 0 };
	char path[PATH_TEXT_MAX];

	buf_add_str(&text,
		"# Written by enroll-node: boards pass packets between pods and the mesh. "
		"accept_ra 2\n"
		"# keeps the IPv6 default route of an uplink although forwarding is on.\n");
	for (size_t i = 0; i < n; i++)
		buf_printf(&text, "%s = %s\n", list[i].path, list[i].value);
	int r = before_mkdirs(e, paths_join(e->host, "sysctl.d", path), err);

	if (r)
		return r;
	r = file_write_if_changed(
		paths_join(e->host, "sysctl.d/" OWN_FILE, path), text.data, text.len, 0644);
	return r < 0 ? err_set(err, r, "write %s: %s", path, strerror(-r)) : r;
}

static const char *kernel_default(const char *name)
{
	size_t len = strlen(name), tail = strlen("/accept_ra");

	return len > tail && !strcmp(name + len - tail, "/accept_ra") ? "1" : "0";
}

/* A file of ours without a note of what was before: an older Hearth enrolled this board. */
static bool note_written(void *ctx, const char *name, const char *value)
{
	before_note_sysctl(ctx, name, kernel_default(name), value);
	return true;
}

static void note_older(struct enroll *e)
{
	char path[PATH_TEXT_MAX];
	CLEANUP_BUF struct buf text = { 0 };

	if (file_read(paths_join(e->host, "sysctl.d/" OWN_FILE, path), 65536, &text) < 0)
		return;
	if (*buf_str(&text))
		(void) sysctls_in_text(text.data, note_written, e);
}

static void closedir_p(DIR **dir)
{
	if (*dir)
		(void) closedir(*dir);
}

/* The switch for all links turns those of the single ones, which may have been set apart. */
static void note_links_of(struct enroll *e, const char *family, const char *all)
{
	char path[PATH_TEXT_MAX], name[PATH_TEXT_MAX], was[VALUE_MAX];

	(void) snprintf(name, sizeof(name), "net/%s/conf", family);
	CLEANUP(closedir_p) DIR *dir = opendir(paths_join(e->proc_sys, name, path));

	for (struct dirent *entry; dir && (entry = readdir(dir));) {
		if (entry->d_name[0] == '.' || !strcmp(entry->d_name, "all") ||
			!strcmp(entry->d_name, "default"))
			continue;
		(void) snprintf(
			name, sizeof(name), "net/%s/conf/%.16s/forwarding", family, entry->d_name);
		if (get(e, name, was) && strcmp(was, all) != 0)
			before_note_sysctl(e, name, was, NULL);
	}
}

/*
 * What usually wants packets passed on: of a container engine, of virtual machines, of another VPN.
 */
static bool may_need_forwarding(const struct enroll *e, const struct link *link)
{
	static const char *const kinds[] = { "bridge", "veth", "wireguard", "tun", "vxlan",
		"ipvlan", "macvlan" };

	if (names_is_pod_link(link->name) || !strcmp(link->name, e->config.interface))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (!strcmp(link->kind, kinds[i]))
			return true;
	return false;
}

static void note_links(struct enroll *e)
{
	CLEANUP_NL struct nl *nl = NULL;
	struct link *links = NULL;
	size_t n = 0;

	if (nl_open(&nl, NULL) == 0 && link_list(nl, &links, &n, NULL) == 0)
		for (size_t i = 0; i < n; i++)
			if (may_need_forwarding(e, &links[i]))
				before_note_link(e, links[i].name);
	free(links);
}

static int note_before(struct enroll *e, const struct sysctl *list, size_t n, struct err *err)
{
	static const char redirects[] = "net/ipv4/conf/all/accept_redirects";
	char was[VALUE_MAX];
	int r = before_load(e, err);

	if (r)
		return r;
	bool first = !before_knows(e, "net/ipv4/ip_forward");

	note_older(e);
	for (size_t i = 0; i < n; i++)
		if (get(e, list[i].path, was))
			before_note_sysctl(e, list[i].path, was, list[i].value);
	if (first) {
		note_links(e);
		if (get(e, "net/ipv4/ip_forward", was))
			note_links_of(e, "ipv4", was);
		if (get(e, "net/ipv6/conf/all/forwarding", was))
			note_links_of(e, "ipv6", was);
		/* Linux sets it to the opposite of ip_forward whenever that changes. */
		if (get(e, redirects, was))
			before_note_sysctl(e, redirects, was, NULL);
	}
	return before_save(e, err);
}

static bool kernel_has_ipv6(const struct enroll *e)
{
	char path[PATH_TEXT_MAX];

	return access(paths_join(e->proc_sys, "net/ipv6/conf", path), F_OK) == 0;
}

static size_t wanted(struct enroll *e, struct sysctl list[static SYSCTLS_MAX])
{
	static const char *const forwarding[] = { "net/ipv4/ip_forward",
		"net/ipv6/conf/all/forwarding", "net/ipv6/conf/default/forwarding" };
	/* accept_ra first: forwarding throws routes of advertisements away at once. */
	size_t n = add_uplinks(e, list, 0);
	size_t families = kernel_has_ipv6(e) ? ARRAY_LEN(forwarding) : 1;

	for (size_t i = 0; i < families && n < SYSCTLS_MAX; i++) {
		(void) snprintf(list[n].path, sizeof(list[n].path), "%s", forwarding[i]);
		list[n++].value = "1";
	}
	return n;
}

int forwarding_on(struct enroll *e, struct err *err)
{
	struct sysctl list[SYSCTLS_MAX];
	size_t n = wanted(e, list), changed = 0;

	for (size_t i = 0; i < n; i++)
		changed += !has_value(e, list[i].path, list[i].value);
	const char *at_boot = stops_look_at_boot(e->host, NULL)
				      ? "and until the next boot, see below"
				      : "and at every boot";

	if (e->dry_run) {
		talk_step(&e->talk, changed ? TALK_WOULD : TALK_KEPT, "forwarding", "%s%s",
			changed ? "turn on, now " : "is on", changed ? at_boot : "");
		return 0;
	}
	int wrote = note_before(e, list, n, err);

	if (!wrote)
		wrote = write_sysctls(e, list, n, err);
	if (wrote < 0)
		return wrote;
	for (size_t i = 0; i < n; i++) {
		int r = has_value(e, list[i].path, list[i].value)
				? 0
				: set(e, list[i].path, list[i].value);

		if (r < 0)
			return err_set(err, r,
				"set %s to %s: %s. "
				"Pods need it; in a container, the host must set it",
				list[i].path, list[i].value, strerror(-r));
	}
	talk_step(&e->talk, wrote || changed ? TALK_DONE : TALK_KEPT, "forwarding",
		"IPv4 and IPv6 packets are passed on, now %s (%s/sysctl.d/" OWN_FILE ")", at_boot,
		e->host);
	return 0;
}

/* --- back --- */

/*
 * Links that were there before enrolment did without forwarding, or it was on. A made-up /proc/sys
 * has none.
 */
static bool newcomer(struct enroll *e, char ret[static IFNAMSIZ])
{
	CLEANUP_NL struct nl *nl = NULL;
	struct link *links = NULL;
	size_t n = 0;
	bool found = false;

	if (strcmp(e->proc_sys, "/proc/sys") != 0 || nl_open(&nl, NULL) < 0 ||
		link_list(nl, &links, &n, NULL) < 0)
		n = 0;
	for (size_t i = 0; i < n && !found; i++) {
		found = may_need_forwarding(e, &links[i]) && !before_has_link(e, links[i].name);
		if (found)
			(void) snprintf(ret, IFNAMSIZ, "%s", links[i].name);
	}
	free(links);
	return found;
}

struct back {
	bool turned; /* forwarding of one family at least */
	struct buf text;
	char newcomer[IFNAMSIZ]; /* who may need it, empty: nobody */
};

static void back_done(struct back *back)
{
	buf_done(&back->text);
}

/* Why @s stays as enrolment made it; false: nobody needs it. */
static bool is_needed(
	struct enroll *e, const struct before_sysctl *s, const struct back *back, bool forwarding)
{
	char path[SYSCTLS_PATH_MAX];

	if (sysctls_set_by_others(e->host, OWN_FILE, s->name, s->set, path)) {
		talk_step(&e->talk, TALK_NOTE, "forwarding", "%s stays %s: %s sets it", s->name,
			s->set, path);
		return true;
	}
	if (!forwarding || !*back->newcomer)
		return false;
	talk_step(&e->talk, TALK_NOTE, "forwarding",
		"%s stays %s until the next boot: %s came after enrolment and may need it. "
		"If nothing does: sysctl -w %s=%s",
		s->name, s->set, back->newcomer, s->name, s->was);
	return true;
}

static void turn_back(struct enroll *e, const struct before_sysctl *s, struct back *back)
{
	char now[VALUE_MAX];
	bool forwarding = !strcmp(s->name, "net/ipv4/ip_forward") || strstr(s->name, "/forwarding");
	bool along = !*s->set; /* changes with another one, and so goes back with it */

	if (!get(e, s->name, now) || !strcmp(now, s->was) || (along && !back->turned))
		return;
	if (!along && strcmp(now, s->set) != 0) {
		talk_step(&e->talk, TALK_NOTE, "forwarding",
			"%s is %s: somebody changed it after enrolment, and it stays so", s->name,
			now);
		return;
	}
	if (!along && is_needed(e, s, back, forwarding))
		return;
	int r = e->dry_run ? 0 : set(e, s->name, s->was);

	if (r < 0) {
		talk_step(&e->talk, TALK_NOTE, "forwarding",
			"set %s to %s again: %s. It is so after the next boot", s->name, s->was,
			strerror(-r));
		return;
	}
	back->turned |= forwarding;
	buf_printf(&back->text, "%s%s %s", back->text.len ? ", " : "", s->name, s->was);
}

int forwarding_back(struct enroll *e, struct err *err)
{
	CLEANUP(back_done) struct back back = { 0 };
	struct before_sysctl s = { 0 };
	int r = before_load(e, err);

	if (r)
		return r;
	note_older(e);
	if (!before_sysctl(e, 0, &s))
		return 0;
	(void) newcomer(e, back.newcomer);
	for (size_t at = 0; before_sysctl(e, at, &s); at = s.next)
		turn_back(e, &s, &back);
	if (back.text.len)
		talk_step(&e->talk, e->dry_run ? TALK_WOULD : TALK_DONE, "forwarding",
			"%s as before: %s", e->dry_run ? "set" : "is", buf_str(&back.text));
	return 0;
}
