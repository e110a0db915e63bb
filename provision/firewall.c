/*
 * firewall: another tool's firewall that drops what pods send and get (board/stops.h finds it).
 * With --fix the rules that let pods through are put where that tool wants them from people: Docker
 * makes its chains anew when it starts, so a drop-in of its unit puts them there each time; ufw
 * keeps them itself. What was done is noted in before.json, and undone by --leave.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/names.h"
#include "board/stops.h"
#include "provision/enroll.h"
#include "sys/exec/exec.h"

enum { OUTPUT_MAX = 4096 };

#define DROP_IN_DIR "systemd/system/docker.service.d"
#define DROP_IN     DROP_IN_DIR "/10-hearth.conf"

/*
 * @D is the dollar sign as whoever runs it wants it. A machine without IPv6 chains has none to
 * change.
 */
#define EACH_RULE(D, command)                                                           \
	"for t in iptables ip6tables; do " D "t -w -nL DOCKER-USER >/dev/null 2>&1 && " \
	"for d in -i -o; do " command "; done; done; true"
#define ADD(D)                                                                       \
	EACH_RULE(D, D "t -w -C DOCKER-USER " D "d hth+ -j ACCEPT 2>/dev/null || " D \
		       "t -w -I DOCKER-USER " D "d hth+ -j ACCEPT")
#define REMOVE(D) EACH_RULE(D, D "t -w -D DOCKER-USER " D "d hth+ -j ACCEPT 2>/dev/null")

static const char drop_in[] =
	"# Written by enroll-node --fix: pods are let through Docker's firewall.\n"
	"[Service]\n"
	"ExecStartPost=-/bin/sh -c '" ADD("$$") "'\n";

static int run(const char *const *argv, const char *what, struct err *err)
{
	struct exec_options options = {
		.argv = argv, .output_max = OUTPUT_MAX, .timeout_us = 60 * USEC_PER_SEC
	};
	CLEANUP_EXEC_RESULT struct exec_result result = { 0 };
	int r = exec_run(&options, &result, err);

	return r < 0 ? r : exec_check(&result, what, err);
}

static int shell(const char *script, const char *what, struct err *err)
{
	const char *const argv[] = { "sh", "-c", script, NULL };

	return run(argv, what, err);
}

static int ufw_rule(
	bool allow, bool route, const char *direction, const char *ifname, struct err *err)
{
	const char *argv[8] = { "ufw" };
	size_t n = 1;

	if (route)
		argv[n++] = "route";
	if (!allow)
		argv[n++] = "delete";
	argv[n++] = "allow";
	argv[n++] = direction;
	argv[n++] = "on";
	argv[n] = ifname;
	return run(argv, allow ? "ufw allow" : "ufw delete allow", err);
}

/* What is passed on to and from pods, and what other boards and pods send to this one. */
static int ufw(const struct enroll *e, bool allow, struct err *err)
{
	int r = ufw_rule(allow, true, "in", NAMES_POD_LINK "+", err);

	if (r == 0)
		r = ufw_rule(allow, true, "out", NAMES_POD_LINK "+", err);
	if (r == 0)
		r = ufw_rule(allow, false, "in", e->config.interface, err);
	return r ? r : ufw_rule(allow, false, "in", NAMES_POD_LINK "+", err);
}

static int fix_docker(struct enroll *e, struct err *err)
{
	char path[PATH_TEXT_MAX], dir[PATH_TEXT_MAX];
	int r = before_mkdirs(e, paths_join(e->host, DROP_IN_DIR, dir), err);

	if (r)
		return r;
	r = file_write_if_changed(
		paths_join(e->host, DROP_IN, path), drop_in, strlen(drop_in), 0644);
	if (r < 0)
		return err_set(err, r, "write %s: %s", path, strerror(-r));
	r = service_reload_units(e, err);
	return r ? r : shell(ADD("$"), "iptables", err);
}

static const char *owner_name(enum nft_forward_owner owner)
{
	return owner == NFT_FORWARD_UFW ? "ufw" : "docker";
}

static int fix_one(struct enroll *e, enum nft_forward_owner owner, struct err *err)
{
	const char *name = owner_name(owner);
	int r = before_load(e, err);

	if (r == 0) {
		before_note_firewall(e, name);
		r = before_save(e, err);
	}
	if (r == 0)
		r = owner == NFT_FORWARD_UFW ? ufw(e, true, err) : fix_docker(e, err);
	if (r == 0)
		talk_step(&e->talk, TALK_DONE, "firewall",
			"pods are let through that of %s, now and at every boot", name);
	return r;
}

/* Both may be there, one for each family. What is not mended is told with the rest. */
int firewall_fix(struct enroll *e, struct err *err)
{
	struct stops stops = { .pods4 = e->settings.pods4,
		.pods6 = e->settings.pods6,
		.ifname = e->config.interface,
		.range4 = e->settings.mesh4,
		.range6 = e->settings.mesh6 };
	struct nft_forward found;
	unsigned fixed = 0;
	int r = 0;

	while (r == 0 && e->fix && stops_look_at_firewall(&stops, &found) &&
		found.owner != NFT_FORWARD_OTHER) {
		if (e->dry_run) {
			talk_step(&e->talk, TALK_WOULD, "firewall", "let pods through that of %s",
				owner_name(found.owner));
			return 0;
		}
		if (fixed & 1U << found.owner)
			return err_set(err, -EBUSY,
				"the firewall of %s drops what pods send and get, and still does "
				"with the rules that were to let them through: is the program that "
				"keeps it installed (%s)? `sudo nft list ruleset` shows its chains",
				owner_name(found.owner),
				found.owner == NFT_FORWARD_UFW ? "ufw" : "iptables, ip6tables");
		fixed |= 1U << found.owner;
		r = fix_one(e, found.owner, err);
	}
	return r;
}

/* What cannot be undone is told, and no reason to stay in the mesh. */
static void tell(struct enroll *e, const char *name, int r, const struct err *err)
{
	if (r < 0)
		talk_step(&e->talk, TALK_NOTE, "firewall",
			"the rules for pods in that of %s are not taken back: %s", name, err->text);
	else
		talk_step(&e->talk, e->dry_run ? TALK_WOULD : TALK_DONE, "firewall",
			"%s the rules for pods out of that of %s", e->dry_run ? "take" : "took",
			name);
}

int firewall_back(struct enroll *e, struct err *err)
{
	struct err why = { 0 };
	char path[PATH_TEXT_MAX];
	int r = before_load(e, err);

	if (r)
		return r;
	if (before_has_firewall(e, "docker")) {
		if (!e->dry_run && unlink(paths_join(e->host, DROP_IN, path)) == 0)
			r = service_reload_units(e, &why);
		if (r == 0 && !e->dry_run)
			r = shell(REMOVE("$"), "iptables", &why);
		tell(e, "docker", r, &why);
	}
	if (before_has_firewall(e, "ufw")) {
		r = e->dry_run ? 0 : ufw(e, false, &why);
		tell(e, "ufw", r, &why);
	}
	return 0;
}
