/*
 * look: what the board is and whether it can do what it is wanted for. Looks only, changes nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/names.h"
#include "board/locals.h"
#include "board/stops.h"
#include "provision/enroll.h"
#include "sys/exec/exec.h"
#include "sys/tun/tun.h"

enum { OUTPUT_MAX = 4096 };

static int check_tun(struct err *err)
{
	CLEANUP(close_p) int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	if (fd >= 0)
		return 0;
	(void) tun_explain(-errno, err);
	return err_prefix(err, "the mesh's interface is a TUN device");
}

static int check_nft(struct err *err)
{
	const char *const argv[] = { "nft", "list", "tables", NULL };
	struct exec_options options = {
		.argv = argv, .output_max = OUTPUT_MAX, .timeout_us = 10 * USEC_PER_SEC
	};
	CLEANUP_EXEC_RESULT struct exec_result result = { 0 };
	int r = exec_run(&options, &result, err);

	if (r == -ENOENT)
		return err_set(err, r, "nft is not installed; `apt install nftables`");
	if (r == 0)
		r = exec_check(&result, "nft list tables", err);
	return r < 0 ? err_prefix(err, "nftables does not work here") : 0;
}

/* For runs to come, hearth-helper's included: a board is what it was enrolled as. */
static int keep_facts(struct enroll *e, struct err *err)
{
	char path[PATH_TEXT_MAX];
	CLEANUP_JSON json_t *json = json_read_file(e->facts_file, 65536, err);

	if (!json)
		return err->code;
	paths_join(e->paths.etc, "facts.json", path);
	CLEANUP_JSON json_t *now = json_read_file(path, 65536, NULL);

	if (now && json_equal(now, json))
		return 0;
	int r = file_mkdirs(e->paths.etc, 0755);

	if (r == 0)
		r = json_write_file(path, json, 0644);
	return r < 0 ? err_set(err, r, "write %s: %s", path, strerror(-r)) : 0;
}

static int find_facts(struct enroll *e, struct err *err)
{
	if (e->facts_file && setenv("HEARTH_FACTS", e->facts_file, 1) < 0)
		return err_set(err, -ENOMEM, "out of memory");
	int r = facts_get(e->paths.etc, &e->facts, err);

	if (r == 0 && e->facts_file && !e->dry_run)
		r = keep_facts(e, err);
	if (r)
		return r;
	talk_step(&e->talk, TALK_KEPT, "board", "%s%s%s, %u cores, %llu MiB%s%s",
		*e->facts.model ? e->facts.model : "unknown model", *e->facts.arch ? ", " : "",
		e->facts.arch, e->facts.cores, (unsigned long long) e->facts.memory_bytes >> 20,
		*e->facts.storage ? ", root on " : "", e->facts.storage);
	return 0;
}

int look_board(struct enroll *e, struct err *err)
{
	int r = find_facts(e, err);

	if (r)
		return r;
	e->systemd = sd_booted() > 0;
	if (geteuid() != 0)
		return err_set(err, -EPERM,
			"enroll-node must be root: it writes below /etc and starts a service. "
			"Run it with sudo");
	r = check_tun(err);
	if (r == 0)
		r = check_nft(err);
	if (r == 0)
		talk_step(&e->talk, TALK_KEPT, "needs", "root, TUN and nftables%s",
			e->systemd ? "" : "; no systemd as process 1, which is fine");
	return r;
}

/* --- ranges --- */

int look_ranges(struct enroll *e, struct err *err)
{
	CLEANUP_LOCALS struct locals l = { 0 };
	struct locals_own own = { .ifname = e->config.interface };
	unsigned flags = 0;

	if (e->enrolled) {
		own.mesh4 = e->node.mesh4;
		own.mesh6 = e->node.mesh6;
	}
	int r = locals_read(&own, &l, err);

	if (l.tailscale)
		flags |= RANGES_TAILSCALE;
	if (!e->allow_public_ranges && !(e->enrolled && e->config.public_ranges))
		flags |= RANGES_ONLY_PRIVATE;
	if (r == 0)
		r = ranges_check(&e->settings, l.list, l.n, flags, err);
	if (r)
		return r;
	talk_step(&e->talk, TALK_KEPT, "ranges", "no address range of the mesh is in use here%s",
		l.tailscale ? "; Tailscale is installed, and its ranges are left alone" : "");
	return 0;
}

/* --- pods --- */

int look_pods(struct enroll *e, struct err *err)
{
	CLEANUP_NL struct nl *nl = NULL;
	char lists[PATH_TEXT_MAX];
	struct err found[STOPS] = { 0 };
	struct stops stops = { .etc = e->host,
		.own = e->paths.etc,
		.cni = { .dir = paths_join(e->host, "cni/net.d", lists),
			.plugin = NAMES_CNI_PLUGIN },
		.mesh4 = e->node.mesh4,
		.pods4 = e->settings.pods4,
		.pods6 = e->settings.pods6,
		.ifname = e->config.interface,
		.range4 = e->settings.mesh4,
		.range6 = e->settings.mesh6,
		.ahead = true };
	int r = nl_open(&nl, err);

	if (r)
		return r;
	stops_look(&stops, nl, found);
	for (int i = 0; i < STOPS; i++)
		if (found[i].code && i != STOP_DNS) /* said where the file is written */
			talk_step(&e->talk, TALK_NOTE, "pods", "%s", found[i].text);
	return 0;
}
