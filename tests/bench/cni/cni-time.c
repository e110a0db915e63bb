/*
 * cni-time ROUNDS NETNS NAME CONF PLUGIN [NAME CONF PLUGIN ...]: in each round, for each plugin in
 * turn, one ADD and one DEL of container "bench" in NETNS, timed from before the fork to the end.
 * Prints one line per plugin: NAME ADD-median ADD-p95 DEL-median DEL-p95 (milliseconds), and the
 * largest resident set of its ADD (kilobytes).
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PLUGINS_MAX = 8, ROUNDS_MAX = 10000 };

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double) t.tv_sec * 1e3 + (double) t.tv_nsec / 1e6;
}

static double call(const char *command, const char *conf, const char *plugin, long *ret_rss)
{
	struct rusage usage;
	int status;

	setenv("CNI_COMMAND", command, 1);
	double start = now_ms();
	pid_t pid = vfork();

	if (pid == 0) {
		int in = open(conf, O_RDONLY), out = open("/dev/null", O_WRONLY);

		if (in < 0 || out < 0 || dup2(in, 0) < 0 || dup2(out, 1) < 0)
			_exit(126);
		execl(plugin, plugin, (char *) NULL);
		_exit(127);
	}
	if (pid < 0 || wait4(pid, &status, 0, &usage) != pid || status != 0) {
		fprintf(stderr, "%s of %s failed\n", command, plugin);
		exit(1);
	}
	if (ret_rss && usage.ru_maxrss > *ret_rss)
		*ret_rss = usage.ru_maxrss;
	return now_ms() - start;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *) a, y = *(const double *) b;

	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	int rounds = argc > 2 ? atoi(argv[1]) : 0, plugins = (argc - 3) / 3;
	static double add[PLUGINS_MAX][ROUNDS_MAX], del[PLUGINS_MAX][ROUNDS_MAX];
	long rss[PLUGINS_MAX] = { 0 };

	if (rounds < 1 || rounds > ROUNDS_MAX || plugins < 1 || plugins > PLUGINS_MAX ||
		argc != 3 + 3 * plugins)
		return 2;
	setenv("CNI_CONTAINERID", "bench", 1);
	setenv("CNI_NETNS", argv[2], 1);
	setenv("CNI_IFNAME", "eth0", 1);
	for (int i = -2; i < rounds; i++) /* two to warm up */
		for (int p = 0; p < plugins; p++) {
			const char *conf = argv[4 + 3 * p], *plugin = argv[5 + 3 * p];
			int at = i < 0 ? 0 : i;

			add[p][at] = call("ADD", conf, plugin, &rss[p]);
			del[p][at] = call("DEL", conf, plugin, NULL);
		}
	for (int p = 0; p < plugins; p++) {
		size_t n = (size_t) rounds;

		qsort(add[p], n, sizeof(double), compare);
		qsort(del[p], n, sizeof(double), compare);
		printf("%s %.2f %.2f %.2f %.2f %ld\n", argv[3 + 3 * p], add[p][n / 2],
			add[p][n * 95 / 100], del[p][n / 2], del[p][n * 95 / 100], rss[p]);
	}
	return 0;
}
