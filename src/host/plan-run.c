/* SPDX-License-Identifier: MIT */
#include "host/plan.h"

#include <assert.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "host/clone.h"
#include "host/steps.h"

/* What the child tells the executor over sync_fd, one packet each. */
enum report_type {
	REPORT_GO,   /* executor -> child: what AT_PARENT had to do is done */
	REPORT_KEEP, /* child -> executor: a descriptor, for kept_fd[index] */
	REPORT_EXEC, /* child -> executor: the next thing is execve; end of file now means success */
	REPORT_FAILED, /* child -> executor: step index failed with e */
	REPORT_MEET,   /* child -> executor: run step index, I wait for REPORT_GO */
};

struct report {
	uint32_t type, index;
	struct err e;
};

void step_run_init(struct step_run *r, const struct plan *p)
{
	*r = (struct step_run){ .plan = p,
		.guest_fd = -1,
		.child_fd = -1,
		.cgroup_fd = -1,
		.trace_fd = -1,
		.sync_fd = -1,
		.userns_fd = -1,
		.fifo_fd = -1,
		.fd_dir = -1,
		.start_fd = -1 };
	for (unsigned i = 0; i < ELEMENTSOF(r->kept_fd); i++)
		r->kept_fd[i] = -1;
	for (unsigned i = 0; i < ELEMENTSOF(r->mapped_fd); i++)
		r->mapped_fd[i] = -1;
}

void step_run_done(struct step_run *r)
{
	closep(&r->child_fd);
	closep(&r->cgroup_fd);
	closep(&r->sync_fd);
	closep(&r->userns_fd);
	closep(&r->fifo_fd);
	closep(&r->fd_dir);
	closep(&r->start_fd);
	for (unsigned i = 0; i < ELEMENTSOF(r->kept_fd); i++)
		closep(&r->kept_fd[i]);
	for (unsigned i = 0; i < ELEMENTSOF(r->mapped_fd); i++)
		closep(&r->mapped_fd[i]);
	r->child_fd = r->cgroup_fd = r->sync_fd = r->userns_fd = -1;
	r->fifo_fd = r->fd_dir = r->start_fd = -1;
}

/* --- faults, for the tests --- */

/*
 * The only mutable state outside a run: how many steps this process has run. Kept here because a fault's
 * number counts over all plans of a process.
 */
static int steps_run;

/* 0: go on; otherwise the code to fail with. Kills the process after its step where that is asked. */
static int fault(const char *what)
{
	const char *f = getenv("LODGE_FAULT"), *colon;
	const char *me = program_invocation_short_name;
	size_t n = strlen(what);

	if (!f)
		return 0;
	colon = strchr(f, ':');
	if (strncmp(f, "kill:", 5) == 0 || strncmp(f, "fail:", 5) == 0) {
		if (strcmp(me, "lodge") != 0)
			return 0;
	} else {
		if (!colon || strlen(me) != (size_t)(colon - f) || strncmp(f, me, strlen(me)) != 0)
			return 0;
		f = colon + 1;
	}
	if (strncmp(f, what, n) != 0 || f[n] != ':' || strtol(f + n + 1, NULL, 10) != steps_run)
		return 0;
	if (what[0] == 'k')
		(void)kill(getpid(), SIGKILL);
	return -EIO;
}

/* --- one step --- */

static int64_t now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static void trace(
	const struct step_run *r, const struct step *s, const char *what, int64_t ns, int code)
{
	static const char *const at[_AT_MAX] = { "host", "clone", "parent", "child", "meet" };
	char line[512], subject[200];
	size_t k = 0;
	int n;

	if (r->trace_fd < 0)
		return;
	for (const char *p = s->n ? s->arg[0] : ""; *p && k < sizeof(subject) - 3; p++) {
		if (*p == '"' || *p == '\\')
			subject[k++] = '\\';
		subject[k++] = (unsigned char)*p < ' ' ? ' ' : *p;
	}
	subject[k] = '\0';
	n = snprintf(line, sizeof(line),
		"{\"event\":\"%s\",\"at\":\"%s\",\"step\":\"%s\",\"subject\":\"%s\",\"us\":%.1f,"
		"\"code\":\"%s\"}\n",
		what, at[s->at], s->op->name, subject, (double)ns / 1000,
		code < 0 ? err_name(code) : "");
	if (n > 0)
		(void)!write(
			r->trace_fd, line, (size_t)n < sizeof(line) ? (size_t)n : sizeof(line) - 1);
}

static const char *mend_for(int code)
{
	switch (-code) {
	case EPERM:
		return "run as root, or see 'lodge doctor'";
	case ENOSPC:
		return "free space there ('lodge system prune' removes what nothing uses)";
	case EMFILE:
	case ENFILE:
		return "raise the limit of open files";
	case ENODEV:
	case EOPNOTSUPP:
		return "this kernel lacks it; see 'lodge doctor'";
	default:
		return NULL;
	}
}

/* Runs one step; on failure e says which and why. */
static int run_step(struct step_run *r, unsigned i, struct err *e)
{
	const struct step *s = plan_step(r->plan, i);
	int64_t begin = r->trace_fd >= 0 ? now_ns() : 0;
	struct err own = { 0 };
	int code = fault("fail");

	if (code == 0)
		code = s->op->run(r, s, &own);
	if (r->trace_fd >= 0)
		trace(r, s, "step", now_ns() - begin, code);
	if (code >= 0) {
		(void)fault("kill");
		steps_run++;
		return code;
	}
	steps_run++;
	if (s->flags & STEP_IGNORE)
		return 0;
	if (!own.text[0]) {
		if (s->n && s->arg[0][0])
			err_sys(&own, code, "%s '%s'", s->op->name, s->arg[0]);
		else
			err_sys(&own, code, "%s", s->op->name);
	}
	own.code = code;
	if (!own.mend[0] && mend_for(code))
		err_mend(&own, "%s", mend_for(code));
	r->failed_step = s->op->name;
	r->failed = i;
	if (e)
		*e = own;
	return code;
}

/* Whether this executor runs the step at that place; a machine's are lodge-init's. */
static bool is_at(const struct step *s, enum step_at at)
{
	return s->at == at && !(s->flags & STEP_MACHINE);
}

int plan_run_at(struct step_run *r, enum step_at at, struct err *e)
{
	int code;

	for (unsigned i = 0; i < plan_len(r->plan); i++) {
		if (!is_at(plan_step(r->plan, i), at))
			continue;
		code = run_step(r, i, e);
		if (code < 0)
			return code;
	}
	return 0;
}

/* Undoes, in reverse, all steps or those that are marked as done. */
static int undo_all(struct step_run *r, const bool *done, enum undo_why why, struct err *e)
{
	unsigned n = plan_len(r->plan);
	int first = 0;

	while (n-- > 0) {
		const struct step *s = plan_step(r->plan, n);
		int64_t begin = r->trace_fd >= 0 ? now_ns() : 0;
		struct err own = { 0 };
		int code;

		if (!s->op->undo || s->at == AT_CHILD || (s->flags & STEP_MACHINE) ||
			(done && !done[n]))
			continue;
		if (why == UNDO_RESTART && (s->flags & STEP_HOLD))
			continue;
		if (why != UNDO_FAILED && (s->flags & STEP_STAY))
			continue;
		code = s->op->undo(r, s, &own);
		if (r->trace_fd >= 0)
			trace(r, s, "undo", now_ns() - begin, code);
		if (code < 0 && first == 0) {
			first = code;
			if (!own.text[0])
				err_sys(&own, code, "undoing %s '%s'", s->op->name,
					s->n ? s->arg[0] : "");
			own.code = code;
			if (e)
				*e = own;
		}
	}
	return first;
}

int plan_undo(struct step_run *r, enum undo_why why, struct err *e)
{
	return undo_all(r, NULL, why, e);
}

/* --- the child --- */

/* Packet out, with a descriptor when fd >= 0. */
static int send_report(int sock, const struct report *rep, size_t size, int fd)
{
	union {
		struct cmsghdr h;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec iov = { (void *)(uintptr_t)rep, size };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (fd >= 0) {
		m.msg_control = &control;
		m.msg_controllen = sizeof(control);
		control.h = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(int)),
			.cmsg_level = SOL_SOCKET,
			.cmsg_type = SCM_RIGHTS };
		memcpy(CMSG_DATA(&control.h), &fd, sizeof(fd));
	}
	return RET_NERRNO(sendmsg(sock, &m, MSG_NOSIGNAL)) < 0 ? -EPIPE : 0;
}

static int keep_fd_in_child(struct step_run *r, unsigned which, int fd)
{
	struct report rep = { .type = REPORT_KEEP, .index = which };

	return send_report(r->sync_fd, &rep, offsetof(struct report, e), fd);
}

static int keep_fd_here(struct step_run *r, unsigned which, int fd)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);

	if (copy < 0)
		return -errno;
	closep(&r->kept_fd[which]);
	r->kept_fd[which] = copy;
	return 0;
}

/* The executor is to run step i now. It answers, or it and this process end. */
static int meet(struct step_run *r, unsigned i)
{
	struct report rep = { .type = REPORT_MEET, .index = i };

	if (send_report(r->sync_fd, &rep, offsetof(struct report, e), -1) < 0 ||
		read(r->sync_fd, &rep, sizeof(rep)) <= 0)
		_exit(125);
	return 0;
}

/* A failure goes to whoever waits: the executor, or after "wait-start" the one who let this process go. */
static void tell_failure(struct step_run *r, const struct report *rep)
{
	if (r->start_fd >= 0)
		(void)!write(r->start_fd, rep->e.text, strlen(rep->e.text));
	else
		(void)send_report(r->sync_fd, rep, sizeof(*rep), -1);
}

/* Does not return: the last step is the exec. */
static _Noreturn void child_main(struct step_run *r, unsigned from)
{
	struct report rep = { .type = REPORT_FAILED };
	struct report go;
	int code = 0;

	r->keep_fd = keep_fd_in_child;
	if (r->in_child)
		code = r->in_child(r, &rep.e);
	if (code >= 0 && read(r->sync_fd, &go, sizeof(go)) <= 0)
		_exit(125); /* the executor failed or died: it says so, or nobody listens */
	for (unsigned i = from; code >= 0 && i < plan_len(r->plan); i++) {
		const struct step *s = plan_step(r->plan, i);

		if (is_at(s, AT_MEET))
			code = meet(r, i);
		if (!is_at(s, AT_CHILD))
			continue;
		if ((s->op == &step_exec && r->start_fd < 0) || s->op == &step_wait_start) {
			rep.type = REPORT_EXEC;
			(void)send_report(r->sync_fd, &rep, offsetof(struct report, e), -1);
			rep.type = REPORT_FAILED;
		}
		rep.index = i;
		code = run_step(r, i, &rep.e);
	}
	if (code >= 0)
		err_set(&rep.e, -EINVAL, "the plan has no command to execute");
	tell_failure(r, &rep);
	_exit(125);
}

/* Runs the step that the child waits for, and lets it go on. */
static int meet_child(struct step_run *r, unsigned i, bool *done, struct err *e)
{
	struct report go = { .type = REPORT_GO };
	int code;

	if (i >= plan_len(r->plan) || !is_at(plan_step(r->plan, i), AT_MEET))
		return err_set(e, -E_CORRUPT, "the guest's first process waits for no step");
	code = run_step(r, i, e);
	if (code < 0)
		return code;
	done[i] = true;
	if (send_report(r->sync_fd, &go, offsetof(struct report, e), -1) < 0)
		return err_set(e, -ECHILD, "the guest's first process died while it was set up");
	return 0;
}

/* Reads what the child says until it has executed the command or waits for its start, failed or died. */
static int follow_child(struct step_run *r, bool *done, struct err *e)
{
	bool exec_is_next = false;
	int code;

	for (;;) {
		union {
			struct cmsghdr h;
			char space[CMSG_SPACE(sizeof(int))];
		} control = { 0 };
		struct report rep;
		struct iovec iov = { &rep, sizeof(rep) };
		struct msghdr m = { .msg_iov = &iov,
			.msg_iovlen = 1,
			.msg_control = &control,
			.msg_controllen = sizeof(control) };
		ssize_t n = recvmsg(r->sync_fd, &m, MSG_CMSG_CLOEXEC);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		if (rep.type == REPORT_EXEC)
			exec_is_next = true;
		else if (rep.type == REPORT_MEET) {
			code = meet_child(r, rep.index, done, e);
			if (code < 0)
				return code;
		} else if (rep.type == REPORT_KEEP && m.msg_controllen && rep.index < _KEPT_MAX) {
			closep(&r->kept_fd[rep.index]);
			memcpy(&r->kept_fd[rep.index], CMSG_DATA(&control.h), sizeof(int));
		} else if (rep.type == REPORT_FAILED && (size_t)n == sizeof(rep)) {
			r->failed = rep.index < plan_len(r->plan) ? rep.index : 0;
			r->failed_step = plan_step(r->plan, r->failed)->op->name;
			if (e)
				*e = rep.e;
			return rep.e.code < 0 ? rep.e.code : -EIO;
		}
	}
	if (exec_is_next)
		return 0;
	err_set(e, -ECHILD, "the guest's first process died while it was set up");
	err_mend(e, "if the memory limit (-m) is very low, raise it");
	return -ECHILD;
}

static void reap(struct step_run *r)
{
	if (r->child <= 0)
		return;
	(void)kill(r->child, SIGKILL);
	while (waitpid(r->child, NULL, __WALL) < 0 && errno == EINTR)
		;
	r->child = 0;
}

/* The clone step, at index i: makes the child, runs AT_PARENT, lets the child go, and waits for its exec. */
static int run_clone(struct step_run *r, unsigned i, bool *done, struct err *e)
{
	struct report go = { .type = REPORT_GO };
	_cleanup_close_ int theirs = -1;
	int sv[2], code;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) < 0)
		return err_sys(e, -errno, "cannot make a socket pair");
	r->sync_fd = sv[0];
	theirs = sv[1];
	pid = clone_guest(plan_step(r->plan, i)->arg[0], r->cgroup_fd, &r->child_fd);
	if (pid == 0) {
		(void)close(sv[0]);
		r->sync_fd = TAKE_FD(theirs);
		child_main(r, i + 1);
	}
	if (pid < 0) {
		err_sys(e, pid, "clone '%s'", plan_step(r->plan, i)->arg[0]);
		err_mend(e, "%s",
			pid == -ENOSPC ? "raise user.max_user_namespaces or its kind"
				       : "see 'lodge doctor' for what this host lacks");
		return pid;
	}
	r->child = pid;
	steps_run++;
	closep(&theirs);
	theirs = -1;
	for (unsigned k = i + 1; k < plan_len(r->plan); k++) {
		if (!is_at(plan_step(r->plan, k), AT_PARENT))
			continue;
		code = run_step(r, k, e);
		if (code < 0)
			return code;
		done[k] = true;
	}
	if (send_report(r->sync_fd, &go, offsetof(struct report, e), -1) < 0)
		return err_set(e, -ECHILD, "the guest's first process died before it was set up");
	code = follow_child(r, done, e);
	(void)close(r->sync_fd);
	r->sync_fd = -1;
	return code;
}

int plan_run(struct step_run *r, struct err *e)
{
	_cleanup_free_ bool *done = calloc(plan_len(r->plan) + 1, sizeof(*done));
	int code = 0;

	if (!done)
		abort();
	r->keep_fd = keep_fd_here;
	for (unsigned i = 0; i < plan_len(r->plan) && code >= 0; i++) {
		const struct step *s = plan_step(r->plan, i);

		if (is_at(s, AT_CLONE))
			code = run_clone(r, i, done, e);
		else if (is_at(s, AT_HOST))
			code = run_step(r, i, e);
		else
			continue;
		done[i] = code >= 0;
	}
	if (code >= 0)
		return 0;
	reap(r);
	(void)undo_all(r, done, UNDO_FAILED, NULL);
	return code;
}
