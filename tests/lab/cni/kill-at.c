/*
 * kill-at N PROGRAM [ARGUMENT...]: runs it, and kills it (SIGKILL) as it enters its N-th system call
 * after exec. Exit status 137 if it was killed, else the program's own.
 */
#include <errno.h>
#include <stdbool.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

static int wait_for(pid_t pid)
{
	int status;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			exit(125);
	return status;
}

int main(int argc, char **argv)
{
	long n = argc > 2 ? strtol(argv[1], NULL, 10) : 0;
	if (n < 1) {
		fprintf(stderr, "usage: %s N PROGRAM [ARGUMENT...]\n", argv[0]);
		return 2;
	}
	pid_t pid = fork();
	if (pid == 0) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0)
			(void) execv(argv[2], argv + 2);
		_exit(126);
	}
	int status = wait_for(pid); /* stopped by exec */
	if (pid < 0 || !WIFSTOPPED(status) ||
		ptrace(PTRACE_SETOPTIONS, pid, NULL, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL) < 0)
		return 125;
	for (bool entering = true;;) {
		int sig = WIFSTOPPED(status) ? WSTOPSIG(status) : 0;
		if (sig == (SIGTRAP | 0x80)) {
			if (entering && --n == 0) {
				(void) kill(pid, SIGKILL);
				(void) wait_for(pid);
				return 137;
			}
			entering = !entering;
		}
		if (sig == (SIGTRAP | 0x80) || sig == SIGTRAP)
			sig = 0;
		if (ptrace(PTRACE_SYSCALL, pid, NULL, sig) < 0)
			return 125;
		status = wait_for(pid);
		if (WIFEXITED(status))
			return WEXITSTATUS(status);
		if (WIFSIGNALED(status))
			return 128 + WTERMSIG(status);
	}
}
