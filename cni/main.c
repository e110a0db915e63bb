/* The CNI plugin. See hearth-cni(8). */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/env.h"
#include "base/log.h"
#include "cni/plugin.h"

static const char *get(void *unused, const char *name)
{
	return getenv(name);
}

/*
 * Standard descriptors that the caller closed stay unusable, but taken: no file of ours may get
 * such a number and be read or printed to by mistake.
 */
static int occupy(int fd, int flags)
{
	if (fcntl(fd, F_GETFD) >= 0 || errno != EBADF)
		return 0;
	int null = open("/dev/null", flags | O_CLOEXEC);

	return null < 0 ? -errno : null == fd ? 0 : -EBADF;
}

int main(int argc, char **argv)
{
	env_open_log("hearth-cni");
	/* Opened the wrong way round: reading standard input then fails, as it should. */
	if (occupy(0, O_WRONLY) < 0 || occupy(1, O_RDONLY) < 0 || occupy(2, O_WRONLY) < 0)
		return 1;
	(void) signal(SIGPIPE, SIG_IGN); /* EPIPE is an error like others */
	if (argc > 1 && !strcmp(argv[1], "--version")) {
		printf("hearth-cni %s\n", HEARTH_VERSION);
		return 0;
	}
	if (argc > 1 || env_is_empty(get, NULL)) {
		fprintf(stderr,
			"hearth-cni %s: the CNI plugin of Hearth; container runtimes run it, see "
			"hearth-cni(8)\n"
			"CNI versions: 0.4.0, 1.0.0, 1.1.0\n",
			HEARTH_VERSION);
		return argc > 1 && strcmp(argv[1], "--help") ? 2 : 0;
	}
	return plugin_run(get, NULL, 0, 1);
}
