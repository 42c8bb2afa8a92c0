/* SPDX-License-Identifier: MIT */
#include "init/machine.h"

#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "init/serve.h"
#include "init/words.h"

static const struct service {
	const char *name;
	bool in_guest; /* works on its files, in its mount namespace */
	int words;     /* with the name, at least */
	int (*run)(const struct serve *s, struct err *e);
} services[] = {
	{ "pack", true, 2, serve_pack },
	{ "unpack", true, 2, serve_unpack },
	{ "stat", true, 2, serve_stat },
	{ "changes", false, 1, serve_changes },
	{ "ps", false, 1, serve_ps },
};

static const struct service *find(const char *name)
{
	for (unsigned i = 0; i < ELEMENTSOF(services); i++)
		if (strcmp(services[i].name, name) == 0)
			return &services[i];
	return NULL;
}

/* The guest's mounts as its command has them; without a command, the root that was made for one. */
static int enter(const struct machine *m)
{
	const struct step *root = serve_overlay(m->plan);

	if (!m->held)
		return setns(m->run.child_fd, CLONE_NEWNS);
	if (!root) {
		errno = ENOENT;
		return -1;
	}
	return chroot(root->arg[0]) < 0 ? -1 : chdir("/");
}

static _Noreturn void run(const struct machine *m, const struct service *x, const struct serve *s,
	const int theirs[3])
{
	struct err e = { 0 };
	sigset_t none;
	int r = 0;

	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	for (int i = 0; i < 3; i++)
		if (dup2(theirs[i], i) < 0)
			_exit(125);
	/* a tree that is deep keeps a descriptor a folder open */
	(void)setrlimit(RLIMIT_NOFILE, &(const struct rlimit){ 4096, 4096 });
	if (x->in_guest && enter(m) < 0)
		r = err_sys(&e, -errno, "cannot enter the guest");
	(void)syscall(SYS_close_range, 3, ~0U, 0);
	if (r == 0)
		r = x->run(s, &e);
	if (r >= 0)
		_exit(0);
	if (!e.text[0])
		err_sys(&e, r, "%s", x->name);
	dprintf(2, "%s\n", e.text);
	_exit(r == -ENOENT ? 2 : 1);
}

static int start(struct machine *m, struct session *s, struct err *e)
{
	const char *word[WORDS_MAX] = { 0 };
	int n = words_split((const char *)s->parts, s->n_parts, word), theirs[3] = { -1, -1, -1 };
	const struct service *x = n > 0 ? find(word[0]) : NULL;
	struct serve job = { .path = "", .flags = "", .plan = m->plan };
	const struct session *main = session_find(m, 0);
	int r;

	if (!x || n < x->words)
		return err_set(e, -E_UNSUPPORTED, "the machine has no service '%.64s'",
			n > 0 ? word[0] : "");
	if (!guest_running(m) && !(m->held && main && !main->exited))
		return err_set(e, -E_STATE, "the guest isn't running");
	if (n > 1)
		job.path = word[1];
	if (n > 2)
		job.flags = word[2];
	r = session_pipes(s, true, theirs, e);
	if (r >= 0) {
		s->pid = fork();
		if (s->pid == 0)
			run(m, x, &job, theirs);
		if (s->pid < 0) {
			s->pid = 0;
			r = err_sys(e, -errno, "cannot fork");
		}
	}
	for (int i = 0; i < 3; i++)
		closep(&theirs[i]);
	return r;
}

void guest_serve(struct machine *m, const struct machine_frame *f)
{
	struct session *s = session_find(m, f->session);
	struct err e = { 0 };
	bool lost = false;

	if (!s)
		s = session_new(m, f->session);
	if (!s || f->session == 0 || s->pid) {
		m->lost = true;
		return;
	}
	if (!take_part(s, f, &lost)) {
		m->lost |= lost;
		return;
	}
	if (sessions_are_many(m))
		err_set(&e, -E_LIMIT, "more than %d commands in one guest", SESSIONS_MAX);
	else
		(void)start(m, s, &e);
	if (e.code < 0) {
		send_error(m, s->id, &e);
		session_free(m, s);
		return;
	}
	port_send(m, MACHINE_STARTED, 0, s->id, NULL, 0);
	session_watch(m, s);
}
