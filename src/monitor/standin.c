/* SPDX-License-Identifier: MIT */
/*
 * A guest whose monitor was killed goes on, but nobody answers its questions. What the monitor had of it (its
 * streams, QEMU's monitor, its exit status) ended with that process. Names and addresses didn't: they are links
 * and the stored plan. So the next command that meets the guest starts this in the monitor's stead.
 */
#include "monitor/machine.h"

#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>

#include "host/proc.h"
#include "host/steps.h"

static void guest_ended(struct monitor *m, struct source *s, uint32_t events)
{
	m->finished = true;
}

/* Whether the status file names that process, and no other with its number. */
static bool is_the_guest(const struct monitor *m, pid_t pid)
{
	char path[PATH_MAX], text[2048], line[64];
	_cleanup_close_ int fd = -1;
	uint64_t start;
	ssize_t n;
	char c;

	if (proc_stat(pid, &c, &start) < 0 ||
		snprintf(path, sizeof(path), "%s/status", m->run) >= (int)sizeof(path))
		return false;
	(void)snprintf(line, sizeof(line), "\npid %d %llu\n", (int)pid, (unsigned long long)start);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return false;
	text[n] = '\0';
	return strstr(text, line) != NULL;
}

/* Of the guest's plan, the steps that leave a socket to answer at. */
static struct plan *plan_of_sockets(const struct monitor *m)
{
	struct plan *p = plan_new();

	for (unsigned i = 0; i < plan_len(m->plan); i++) {
		const struct step *s = plan_step(m->plan, i);

		/* a card that was plugged out meanwhile has no interface any more */
		if (s->op == (m->machine ? &step_answer : &step_dns_socket) &&
			!(s->flags & STEP_MACHINE))
			plan_addv(p, AT_HOST, STEP_IGNORE, s->op, s->arg, s->n);
	}
	return p;
}

/* A container's is in its network namespace; what is passed on isn't. */
static int run_there(struct monitor *m, int pidfd, struct err *e)
{
	_cleanup_close_ int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	int r;

	if (own < 0 || (!m->machine && setns(pidfd, CLONE_NEWNET) < 0))
		return err_sys(e, -errno, "cannot enter the guest's network");
	r = plan_run(&m->step_run, e);
	if (!m->machine && setns(own, CLONE_NEWNET) < 0)
		return err_sys(e, -errno, "cannot leave the guest's network");
	return r;
}

int stand_in_begin(struct monitor *m, struct err *e)
{
	struct plan *whole;
	int fd = (int)syscall(SYS_pidfd_open, m->stand_in, 0), r;

	if (fd < 0 || !is_the_guest(m, m->stand_in))
		return err_set(e, -ESRCH, "the guest is gone");
	source_init(&m->guest_source, fd, guest_ended);
	(void)source_watch(m, &m->guest_source, EPOLLIN);
	r = guest_load_plan(m, e);
	if (r < 0)
		return r;
	whole = m->plan;
	m->plan = plan_of_sockets(m);
	plan_free(whole);
	if (plan_len(m->plan) == 0)
		return err_set(e, -E_NOTFOUND, "the guest asks nobody");
	step_run_init(&m->step_run, m->plan);
	r = run_there(m, fd, e);
	if (r < 0)
		return r;
	/* no guest of ours: what would be done to one isn't done */
	m->state = STATE_EXITED;
	if (m->machine)
		return lan_begin(m);
	guest_start_dns(m);
	return 0;
}
