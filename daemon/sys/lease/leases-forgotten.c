/*
 * leases-forgotten: pods that containerd lost. It pins the network namespace of each
 * (/run/netns/cni-...), and when its state is wiped or damaged nobody ever unpins them: their links
 * stay up with nobody at the other end, no DEL comes, and containerd calls no GC, by which the
 * specification has runtimes tell which pods they know. So it is found out here, for containerd
 * only, by three things together:
 *
 *   - it runs anew since the lease was made: what it was about to start then, it starts no more;
 *   - the pod is not among the sandboxes that it keeps (it removes others' directories when it
 *     starts);
 *   - no process is in the namespace. (CRI-O may have a pod without any for long, and people make
 *     namespaces by hand; those have other names.)
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/env.h"
#include "sys/lease/leases-internal.h"
#include "sys/net/netns.h"

/* Tests have another directory. */
static const char *containerd_dir(void)
{
	return env_dir("HEARTH_CONTAINERD", "/run/containerd");
}

/* containerd binds its socket anew whenever it starts. Not ctime: people change its group. */
void leases_runtime(char ret[static LEASES_RUNTIME_MAX])
{
	char path[PATH_MAX];
	struct stat st;

	*ret = 0;
	(void) snprintf(path, sizeof(path), "%s/containerd.sock", containerd_dir());
	if (stat(path, &st) == 0)
		(void) snprintf(ret, LEASES_RUNTIME_MAX, "%llu.%lld.%09ld",
			(unsigned long long) st.st_ino, (long long) st.st_mtim.tv_sec,
			st.st_mtim.tv_nsec);
}

void leases_note_origin(struct lease *lease, const struct lease_owner *owner)
{
	struct stat st;

	leases_runtime(lease->runtime);
	if (!owner->pod || *owner->pod != '/' || strlen(owner->pod) >= sizeof(lease->pod) ||
		strchr(owner->pod, '\n') || stat(owner->pod, &st) < 0)
		return;
	(void) snprintf(lease->pod, sizeof(lease->pod), "%s", owner->pod);
	lease->pod_netns = st.st_ino;
}

bool leases_is_forgotten(const struct lease *lease, const char *runtime)
{
	const char *name = strrchr(lease->pod, '/');
	char path[PATH_MAX];

	if (!*runtime || !*lease->runtime || !strcmp(lease->runtime, runtime) || !name ||
		strncmp(name, "/cni-", 5) != 0)
		return false;
	(void) snprintf(path, sizeof(path), "%s/io.containerd.grpc.v1.cri/sandboxes/%s",
		containerd_dir(), lease->container);
	return access(path, F_OK) < 0 && errno == ENOENT;
}

bool leases_is_used(struct nl *nl, const struct lease *lease, const struct link *link)
{
	struct netns_use use = { .ino = lease->pod_netns };
	CLEANUP(close_p)
	int fd = lease->pod_netns ? netns_open(lease->pod, lease->pod_netns) : -ENOENT;

	if (fd < 0 || netns_id(nl, fd) != link->peer_netnsid || link->peer_netnsid < 0)
		return true;
	return netns_mark_used(&use, 1) < 0 || use.used;
}

bool leases_runtime_is_new(const struct leases *store)
{
	CLEANUP_BUF struct buf settled = { 0 };
	char now[LEASES_RUNTIME_MAX];

	leases_runtime(now);
	return *now && (leases_read(store, "runtime", LEASES_RUNTIME_MAX, &settled) < 0 ||
			       strcmp(buf_str(&settled), now) != 0);
}

void leases_runtime_settled(struct leases *store, const char *runtime)
{
	/* If not, it is looked after once more. */
	(void) leases_replace(store, "runtime", runtime, strlen(runtime));
}
