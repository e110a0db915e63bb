/*
 * Preloaded: a worn SD card. Each fsync() and fdatasync() takes $SLOWDISK_MS more, and leaves a line in
 * $SLOWDISK_LOG.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static void be_slow(const char *what)
{
	const char *ms = getenv("SLOWDISK_MS"), *log = getenv("SLOWDISK_LOG");
	long n = ms ? strtol(ms, NULL, 10) : 0;
	struct timespec pause = { n / 1000, n % 1000 * 1000000 };
	int fd = log ? open(log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644) : -1;

	if (fd >= 0) {
		(void) dprintf(fd, "%s\n", what);
		(void) close(fd);
	}
	(void) nanosleep(&pause, NULL);
}

int fsync(int fd)
{
	static int (*real)(int);

	if (!real)
		*(void **) &real = dlsym(RTLD_NEXT, "fsync");
	be_slow("fsync");
	return real(fd);
}

int fdatasync(int fd)
{
	static int (*real)(int);

	if (!real)
		*(void **) &real = dlsym(RTLD_NEXT, "fdatasync");
	be_slow("fdatasync");
	return real(fd);
}
