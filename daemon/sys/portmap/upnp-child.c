/*
 * The process that asks (upnp.h). First it gives up what it was born with: every capability, all
 * files, for hearthd's keys are its user's as well, and more memory and time than honest answers
 * need.
 */
#include <errno.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "sys/portmap/upnp.h"

enum { MEMORY_MAX = 16 << 20, CPU_MAX_S = 3, DESCRIPTORS_MAX = 16, DATA_FIELD = 5 };

/* What it has now of what RLIMIT_DATA counts: sanitizers come with a lot. */
static size_t data_bytes(void)
{
	CLEANUP(fclose_p) FILE *f = fopen("/proc/self/statm", "re");
	char text[128] = "", *at = text;
	unsigned long pages = 0;

	if (!f || !fgets(text, sizeof(text), f))
		return 0;
	for (int i = 0; i <= DATA_FIELD; i++)
		pages = strtoul(at, &at, 10);
	return pages * (size_t) sysconf(_SC_PAGESIZE);
}

static int limit(__rlimit_resource_t what, rlim_t most)
{
	const struct rlimit both = { most, most };

	return setrlimit(what, &both) < 0 ? -errno : 0;
}

/* No file is opened, made or run from now on, and hearthd cannot be traced. */
static int close_files(void)
{
	const struct landlock_ruleset_attr none = {
		.handled_access_fs = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1 /* all of Linux 5.13 */
	};
	CLEANUP(close_p)
	int fd = (int) syscall(SYS_landlock_create_ruleset, &none, sizeof(none), 0);

	if (fd < 0 && (errno == ENOSYS || errno == EOPNOTSUPP || errno == EPERM))
		return 0; /* an older kernel, or one without it, or a systemd that knows of none */
	return fd < 0 || syscall(SYS_landlock_restrict_self, fd, 0) < 0 ? -errno : 0;
}

int upnp_confine(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { 0 };
	int r;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 ||
		syscall(SYS_capset, &head, none) < 0)
		return -errno;
	r = limit(RLIMIT_CPU, CPU_MAX_S);
	if (r == 0)
		r = limit(RLIMIT_NOFILE, DESCRIPTORS_MAX);
	if (r == 0)
		r = limit(RLIMIT_CORE, 0);
	if (r == 0)
		r = limit(RLIMIT_DATA, data_bytes() + MEMORY_MAX);
	return r == 0 ? close_files() : r;
}

static int read_job(struct upnp_job *ret)
{
	ssize_t n = read(STDIN_FILENO, ret, sizeof(*ret));

	if (n != (ssize_t) sizeof(*ret))
		return -EBADMSG;
	ret->name[sizeof(ret->name) - 1] = ret->url[sizeof(ret->url) - 1] = 0;
	return 0;
}

int upnp_main(void)
{
	struct upnp_job job;
	struct upnp_end end;
	int r = upnp_confine();

	if (r == 0)
		r = read_job(&job);
	if (r < 0) {
		fprintf(stderr, "hearthd %s is started by hearthd alone: %s\n", UPNP_ARGUMENT,
			strerror(-r));
		return 1;
	}
	upnp_do(&job, &end);
	return file_write_all(STDOUT_FILENO, (const char *) &end, sizeof(end)) < 0 ? 1 : 0;
}
