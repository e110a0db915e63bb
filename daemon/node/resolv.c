/* resolv: see resolv.h. */
#include "node/resolv.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/env.h"
#include "base/fnv.h"
#include "base/log.h"
#include "node/job.h"

#define RESOLV_US (60 * USEC_PER_SEC)

struct resolv {
	struct core *core; /* borrowed */
	struct job job;
	uint64_t seen; /* the files it was last asked for, 0: not yet */
};

struct resolv *resolv_new(struct core *core)
{
	struct resolv *resolv = calloc(1, sizeof(*resolv));

	if (resolv)
		resolv->core = core;
	return resolv;
}

struct resolv *resolv_free(struct resolv *resolv)
{
	if (resolv)
		job_cancel(&resolv->job);
	free(resolv);
	return NULL;
}

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
	struct resolv *resolv = ctx;
	const char *servers;
	struct err why = { 0 };

	job_ended(&resolv->job);
	if (r < 0) {
		job_failed(&resolv->job);
		resolv->seen = 0;
		err_set(&why, r,
			"pods may ask name servers of before: hearth-helper: %.500s; tried again "
			"by itself",
			err->text);
		problem_set(&resolv->core->problems, "resolv", &why);
		return;
	}
	job_clear(&resolv->job);
	problem_set(&resolv->core->problems, "resolv", NULL);
	servers = json_string_value(json_object_get(reply->ok, "servers"));
	if (servers && *servers)
		log_seldom(LOG_LEVEL_NOTICE,
			"new pods ask the name server%s %s now; those that run, CoreDNS among "
			"them, keep what they had until they are restarted (kubectl -n kube-system "
			"rollout restart deployment coredns)",
			strchr(servers, ',') ? "s" : "", servers);
}

void resolv_look(struct resolv *resolv)
{
	char own[PATH_TEXT_MAX], host[PATH_TEXT_MAX];
	struct stat st;
	uint64_t seen;

	if (stat(paths_join(resolv->core->paths.etc, "kubeadm/resolv.conf", own), &st) < 0) {
		problem_set(&resolv->core->problems, "resolv", NULL);
		return;
	}
	if (job_is_under_way(&resolv->job) ||
		(job_has_failed(&resolv->job) && !job_is_due(&resolv->job)))
		return;
	seen = add_file(FNV64_START, "/run/systemd/resolve/resolv.conf");
	seen = add_file(seen, paths_join(env_dir("HEARTH_HOST_ETC", "/etc"), "resolv.conf", host));
	if (seen == resolv->seen)
		return;
	resolv->seen = seen;
	job_ask(&resolv->job, resolv->core, "resolv.follow", NULL, RESOLV_US, followed, resolv);
}

void resolv_retry(struct resolv *resolv)
{
	if (job_is_due(&resolv->job))
		resolv_look(resolv);
}

void resolv_hurry(struct resolv *resolv)
{
	job_hurry(&resolv->job);
}
