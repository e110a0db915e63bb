/*
 * The name servers of pods follow those of the board, which a router hands out anew (DHCP) or somebody sets.
 * Whether they changed is for hearth-helper to find out; here is seen that they may have.
 */
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/env.h"
#include "base/fnv.h"
#include "base/log.h"
#include "node/hearthd.h"

#define RESOLV_US (60 * USEC_PER_SEC)

/* A file is another when it was replaced, written or is gone. */
static uint64_t add_file(uint64_t hash, const char *path)
{
	struct stat st = { 0 };

	(void) stat(path, &st); /* none: zeroes */
	hash = fnv64(hash, &st.st_ino, sizeof(st.st_ino));
	hash = fnv64(hash, &st.st_size, sizeof(st.st_size));
	return fnv64(hash, &st.st_mtim, sizeof(st.st_mtim));
}

static void followed(void *ctx, int r, struct ipc_reply *reply, const struct err *err)
{
	struct hearthd *h = ctx;
	const char *servers;
	struct err why = { 0 };

	job_ended(&h->resolv_job);
	if (r < 0) {
		job_failed(&h->resolv_job);
		h->resolv_seen = 0;
		err_set(&why, r,
			"pods may ask name servers of before: hearth-helper: %.500s; tried again "
			"by itself",
			err->text);
		problem_set(&h->core.problems, "resolv", &why);
		return;
	}
	job_clear(&h->resolv_job);
	problem_set(&h->core.problems, "resolv", NULL);
	servers = json_string_value(json_object_get(reply->ok, "servers"));
	if (servers && *servers)
		log_seldom(LOG_LEVEL_NOTICE,
			"new pods ask the name server%s %s now; those that run, CoreDNS among "
			"them, keep what they had until they are restarted (kubectl -n kube-system "
			"rollout restart deployment coredns)",
			strchr(servers, ',') ? "s" : "", servers);
}

void resolv_look(struct hearthd *h)
{
	char own[PATH_TEXT_MAX], host[PATH_TEXT_MAX];
	struct stat st;
	uint64_t seen;

	if (stat(paths_join(h->core.paths.etc, "kubeadm/resolv.conf", own), &st) < 0) {
		problem_set(&h->core.problems, "resolv", NULL);
		return;
	}
	if (job_is_under_way(&h->resolv_job) ||
		(job_has_failed(&h->resolv_job) && !job_is_due(&h->resolv_job)))
		return;
	seen = add_file(FNV64_START, "/run/systemd/resolve/resolv.conf");
	seen = add_file(seen, paths_join(env_dir("HEARTH_HOST_ETC", "/etc"), "resolv.conf", host));
	if (seen == h->resolv_seen)
		return;
	h->resolv_seen = seen;
	job_ask(&h->resolv_job, &h->core, "resolv.follow", NULL, RESOLV_US, followed, h);
}
