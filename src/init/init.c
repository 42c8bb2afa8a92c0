/* SPDX-License-Identifier: MIT */
/*
 * lodge-init: the first process in a container that asked for one (--init), and in every machine.
 *
 *   lodge-init -- COMMAND [ARG...]
 *   /init
 *
 * The second is how the kernel starts it out of the initramfs: see machine.h. The first runs COMMAND as its child, passes signals on to it, reaps what is orphaned, and exits with the
 * child's status (128+n for a signal). 127 or 126 when COMMAND isn't there or can't be executed.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/macros.h"
#include "init/machine.h"

static void handle_terminal_stops(void (*handler)(int))
{
	const struct sigaction a = { .sa_handler = handler };

	(void)sigaction(SIGTTOU, &a, NULL);
	(void)sigaction(SIGTTIN, &a, NULL);
}

static _Noreturn void run(char **argv, const sigset_t *old)
{
	/* a process group of its own, in the foreground of the terminal when there is one */
	(void)setpgid(0, 0);
	if (isatty(0))
		(void)tcsetpgrp(0, getpgrp());
	handle_terminal_stops(SIG_DFL);
	(void)sigprocmask(SIG_SETMASK, old, NULL);
	(void)execvp(argv[0], argv);
	fprintf(stderr, "lodge-init: exec '%s': %s\n", argv[0], strerror(errno));
	_exit(errno == ENOENT ? 127 : 126);
}

int main(int argc, char **argv)
{
	sigset_t all, old;
	pid_t child;

	/* the kernel may add words of its command line that it doesn't know */
	if (getpid() == 1 && strcmp(argv[0], "/init") == 0 &&
		(argc < 2 || strcmp(argv[1], "--") != 0))
		machine_main();
	if (argc > 1 && strcmp(argv[1], "--") == 0) {
		argv++;
		argc--;
	}
	if (argc < 2) {
		fprintf(stderr, "usage: lodge-init -- COMMAND [ARG...]\n");
		return 125;
	}
	(void)sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, &old);
	/* tcsetpgrp() of the child must not stop us both */
	handle_terminal_stops(SIG_IGN);
	child = fork();
	if (child < 0) {
		fprintf(stderr, "lodge-init: cannot fork: %s\n", strerror(errno));
		return 125;
	}
	if (child == 0)
		run(argv + 1, &old);
	for (;;) {
		siginfo_t si;
		int status;
		pid_t p;

		if (sigwaitinfo(&all, &si) < 0)
			continue;
		if (si.si_signo != SIGCHLD) {
			(void)kill(-child, si.si_signo);
			continue;
		}
		while ((p = waitpid(-1, &status, WNOHANG)) > 0)
			if (p == child)
				return WIFEXITED(status) ? WEXITSTATUS(status)
							 : 128 + WTERMSIG(status);
	}
}
