/* SPDX-License-Identifier: MIT */
/* Steps that have criu freeze a tree of processes into files, or make one of them again. */
#include "host/steps.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "host/cgroup.h"
#include "host/criu.h"
#include "host/proc.h"

enum {
	INHERIT_FIRST = 20, /* where criu finds the files that it inherits */
	LOG_TAIL = 64 * 1024
};

/* One talk with criu. */
struct talk {
	const char *program,
		*cgroup; /* cgroup: that criu joins, so that what it makes is born there; or "" */
	const char *const *words;
	unsigned n;
	int fds[CRIU_WORDS_MAX];     /* by word; -1 */
	int numbers[CRIU_WORDS_MAX]; /* as told to criu */
	int sock;
	pid_t pid;
};

/* --- starting it --- */

static void talk_end(struct talk *t)
{
	closep(&t->sock);
	for (unsigned i = 0; i < t->n; i++)
		closep(&t->fds[i]);
	while (t->pid > 0 && waitpid(t->pid, NULL, 0) < 0 && errno == EINTR)
		;
	t->pid = 0;
}

static int open_words(struct talk *t, struct err *e)
{
	int inherited = INHERIT_FIRST;

	if (t->n > CRIU_WORDS_MAX) {
		t->n = 0;
		return err_set(e, -E_LIMIT, "more than %d words for criu", CRIU_WORDS_MAX);
	}
	for (unsigned i = 0; i < t->n; i++)
		t->fds[i] = t->numbers[i] = -1;
	for (unsigned i = 0; i < t->n; i++) {
		const char *path;
		char copy[PATH_MAX];
		size_t n;
		enum criu_opens opens = criu_word_opens(t->words[i], &path, &n);

		if (criu_word_inherits(t->words[i], &t->fds[i])) {
			/* at a number of its own: criu closes it there, and still needs its streams */
			t->fds[i] = fcntl(t->fds[i], F_DUPFD_CLOEXEC, 3);
			if (t->fds[i] < 0)
				return err_sys(e, -errno, "cannot pass on '%s'", t->words[i]);
			t->numbers[i] = inherited++;
			continue;
		}
		if (opens == CRIU_OPENS_NONE)
			continue;
		if (n >= sizeof(copy))
			return -ENAMETOOLONG;
		memcpy(copy, path, n);
		copy[n] = '\0';
		t->fds[i] = open(copy,
			O_CLOEXEC | O_RDONLY | (opens == CRIU_OPENS_FOLDER ? O_DIRECTORY : 0));
		if (t->fds[i] < 0)
			return err_sys(e, -errno, "cannot open '%s'", copy);
		t->numbers[i] = opens == CRIU_OPENS_FOLDER ? t->fds[i] : inherited++;
	}
	return 0;
}

/* Where the executor was before own_root(). */
struct place {
	int ns, cwd;
};

static void go_back(struct place *p)
{
	if (p->ns >= 0 && p->cwd >= 0) {
		(void)setns(p->ns, CLONE_NEWNS);
		(void)!fchdir(p->cwd);
	}
	closep(&p->ns);
	closep(&p->cwd);
}

/* criu wants a mount point to make the root of: in a mount namespace of its own, so that the host sees none. It
 * reaches the folders by this process's descriptors, so they must be opened in there too. */
static int own_root(const char *root, struct place *ret)
{
	ret->ns = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	ret->cwd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (ret->ns < 0 || ret->cwd < 0)
		return -errno;
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_SLAVE | MS_REC, NULL) < 0 ||
		mount(root, root, NULL, MS_BIND | MS_REC, NULL) < 0)
		return -errno;
	return 0;
}

/* The files that criu inherits, at their numbers. */
static int hand_over(const struct talk *t, int above)
{
	int from[CRIU_WORDS_MAX];

	/* first out of the way of the numbers */
	for (unsigned i = 0; i < t->n; i++) {
		bool inherited = t->fds[i] >= 0 && t->numbers[i] != t->fds[i];

		from[i] = inherited ? fcntl(t->fds[i], F_DUPFD_CLOEXEC, above) : -1;
		if (inherited && from[i] < 0)
			return -errno;
	}
	for (unsigned i = 0; i < t->n; i++)
		if (from[i] >= 0 && dup2(from[i], t->numbers[i]) < 0)
			return -errno;
	return 0;
}

static _Noreturn void become_criu(const struct talk *t, const char *file, int sock)
{
	char number[16];
	sigset_t none;
	int top;

	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)syscall(SYS_close_range, 3, ~0U, CLOSE_RANGE_CLOEXEC);
	top = fcntl(sock, F_DUPFD, INHERIT_FIRST + CRIU_WORDS_MAX);
	if (top < 0 || hand_over(t, top + 1) < 0 ||
		(t->cgroup[0] && cgroup_join(t->cgroup, true, NULL) < 0))
		_exit(126);
	(void)snprintf(number, sizeof(number), "%d", top);
	(void)execl(file, file, "swrk", number, (char *)NULL);
	_exit(127);
}

static int talk_begin(struct talk *t, struct err *e)
{
	char file[PATH_MAX];
	int sv[2];

	t->sock = -1;
	t->pid = 0;
	(void)snprintf(file, sizeof(file), "%s", t->program);
	if (strchr(file, '/') ? access(file, X_OK) < 0 : !program_find(t->program, file))
		return err_set(e, -E_UNSUPPORTED, "'%s' isn't installed", t->program);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) < 0)
		return -errno;
	t->sock = sv[0];
	t->pid = fork();
	if (t->pid == 0)
		become_criu(t, file, sv[1]);
	(void)close(sv[1]);
	return t->pid < 0 ? -errno : 0;
}

/* --- talking --- */

/* A reply, and a descriptor that came with it (or -1). */
static int hear(struct talk *t, struct criu_reply *ret, int *ret_fd, struct err *e)
{
	_cleanup_free_ uint8_t *buf = malloc(CRIU_PACKET_MAX);
	union {
		struct cmsghdr h;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec iov = { buf, CRIU_PACKET_MAX };
	struct msghdr m = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control) };
	ssize_t n;

	if (!buf)
		abort();
	do
		n = recvmsg(t->sock, &m, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	*ret_fd = -1;
	if (n > 0 && m.msg_controllen && control.h.cmsg_type == SCM_RIGHTS)
		memcpy(ret_fd, CMSG_DATA(&control.h), sizeof(int));
	if (n <= 0) {
		err_set(e, -E_UNSUPPORTED, "criu ended without an answer");
		return e ? (err_mend(e, "'criu check' says what this kernel lacks"), -E_UNSUPPORTED)
			 : -E_UNSUPPORTED;
	}
	if (criu_decode(buf, (size_t)n, ret) < 0)
		return err_set(e, -E_CORRUPT, "criu's answer is no message of its protocol");
	return 0;
}

static int say(struct talk *t, const uint8_t *buf, size_t n)
{
	return send(t->sock, buf, n, MSG_NOSIGNAL) == (ssize_t)n ? 0 : -EPIPE;
}

static int ask(struct talk *t, enum criu_type type, struct err *e)
{
	_cleanup_free_ uint8_t *buf = malloc(CRIU_PACKET_MAX);
	ssize_t n;

	if (!buf)
		abort();
	n = criu_encode(type, t->words, t->numbers, t->n, buf, e);
	if (n < 0)
		return (int)n;
	/* what it said to a criu that ended at once is read as its silence */
	(void)say(t, buf, (size_t)n);
	return 0;
}

/* The value of a word of the request, or "". */
static const char *value_of(const struct talk *t, const char *name)
{
	size_t n = strlen(name);

	for (unsigned i = 0; i < t->n; i++)
		if (strncmp(t->words[i], name, n) == 0 && t->words[i][n] == '=')
			return t->words[i] + n + 1;
	return "";
}

/* The last line of the log that says "Error", without its place in criu's source. */
static void last_error(const char *path, char *buf, size_t size)
{
	_cleanup_free_ char *text = malloc(LOG_TAIL + 1);
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	ssize_t n;
	char *found = NULL, *end;

	buf[0] = '\0';
	if (!text || fd < 0 || fstat(fd, &st) < 0)
		return;
	n = pread(fd, text, LOG_TAIL, st.st_size > LOG_TAIL ? st.st_size - LOG_TAIL : 0);
	text[n > 0 ? n : 0] = '\0';
	for (char *p = text; (p = strstr(p, "Error (")) != NULL; p++) {
		char *sum = strstr(p, "FAILED."), *line_end = strchr(p, '\n');

		/* the last of them says only that it failed */
		if (!sum || (line_end && line_end < sum))
			found = p;
	}
	if (!found)
		return;
	end = strstr(found, "): ");
	found = end ? end + 3 : found;
	found[strcspn(found, "\n")] = '\0';
	(void)snprintf(buf, size, "%s", found);
}

static int failed(const struct talk *t, const struct criu_reply *r, struct err *e)
{
	const char *dir = value_of(t, "--work-dir"), *file = value_of(t, "--log-file");
	char log[PATH_MAX], why[512];

	(void)snprintf(log, sizeof(log), "%s/%s", dir, file);
	last_error(log, why, sizeof(why));
	err_set(e, -EIO, "criu failed: %s%s%s", why[0] ? why : r->text,
		why[0] || r->text[0] || !r->code ? "" : err_words(-r->code),
		why[0] || r->text[0] || r->code ? "" : "it doesn't say why");
	if (e)
		(void)err_mend(e, "log file: %s", log);
	return -EIO;
}

/* --- notifications --- */

/* What the plan has for that moment: AT_MEET when the namespaces are there, AT_PARENT while all of it waits to go
 * on. */
static int notified(struct step_run *r, const struct criu_reply *reply, int fd, struct err *e)
{
	if (strcmp(reply->script, "orphan-pts-master") == 0 && fd >= 0) {
		closep(&r->kept_fd[KEPT_CONSOLE]);
		r->kept_fd[KEPT_CONSOLE] = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	} else if (strcmp(reply->script, "setup-namespaces") == 0) {
		r->child = reply->pid;
		return plan_run_at(r, AT_MEET, e);
	} else if (strcmp(reply->script, "post-restore") == 0) {
		r->child = reply->pid;
		return plan_run_at(r, AT_PARENT, e);
	}
	return 0;
}

static int converse(struct step_run *run, struct talk *t, enum criu_type type,
	struct criu_reply *ret, struct err *e)
{
	int code = ask(t, type, e), step = 0;

	while (code >= 0) {
		uint8_t answer[32];
		int fd;

		code = hear(t, ret, &fd, step < 0 ? NULL : e);
		if (code >= 0 && ret->type == CRIU_NOTIFY) {
			step = notified(run, ret, fd, e);
			(void)say(t, answer, criu_encode_notified(step >= 0, answer));
		} else if (code >= 0) {
			closep(&fd);
			break;
		}
		closep(&fd);
		if (step < 0)
			break;
	}
	if (step < 0)
		return step;
	return code >= 0 && !ret->success ? failed(t, ret, e) : code;
}

int criu_features(const char *program, struct err *e)
{
	_cleanup_(talk_end) struct talk t = { .program = program, .cgroup = "" };
	struct criu_reply reply = { 0 };
	uint8_t buf[64];
	int code = talk_begin(&t, e), fd;

	if (code >= 0)
		code = say(&t, buf, criu_encode_features(buf));
	if (code >= 0 || code == -EPIPE)
		code = hear(&t, &reply, &fd, e);
	if (code >= 0)
		closep(&fd);
	return code < 0 ? code : (int)reply.features;
}

/* --- the steps --- */

static void show_words(struct text *t, const char *const *words, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		text_add(t, " ");
		text_add_word(t, words[i]);
	}
}

static int dump_run(struct step_run *r, const struct step *s, struct err *e)
{
	_cleanup_(talk_end) struct talk t = {
		.program = s->arg[0], .cgroup = "", .words = s->arg + 2, .n = s->n - 2, .sock = -1
	};
	bool pre = strcmp(s->arg[1], "pre-dump") == 0;
	struct criu_reply reply = { 0 };
	int code = open_words(&t, e);

	if (code >= 0)
		code = talk_begin(&t, e);
	return code < 0 ? code : converse(r, &t, pre ? CRIU_PRE_DUMP : CRIU_DUMP, &reply, e);
}

static void dump_show(const struct step *s, struct text *t)
{
	text_add_word(t, s->arg[0]);
	text_addf(t, " %s", s->arg[1]);
	show_words(t, s->arg + 2, s->n - 2);
}

const struct step_ops step_criu_dump = {
	.name = "criu-dump", .args = "program command words...", .run = dump_run, .show = dump_show
};

static void end_child(pid_t pid)
{
	if (pid <= 0)
		return;
	(void)kill(pid, SIGKILL);
	while (waitpid(pid, NULL, __WALL) < 0 && errno == EINTR)
		;
}

static int restore_run(struct step_run *r, const struct step *s, struct err *e)
{
	_cleanup_(talk_end) struct talk t = { .program = s->arg[0],
		.cgroup = s->arg[1],
		.words = s->arg + 2,
		.n = s->n - 2,
		.sock = -1 };
	struct place before = { -1, -1 };
	struct criu_reply reply = { 0 };
	pid_t holder = r->child; /* of step "holder" */
	const char *root = value_of(&t, "--root");
	int code = own_root(root, &before);

	if (code < 0)
		err_sys(e, code, "cannot make a mount of '%s'", root);
	if (code >= 0)
		code = open_words(&t, e);
	else
		t.n = 0; /* nothing is open */
	if (code >= 0)
		code = talk_begin(&t, e);
	go_back(&before);
	if (code >= 0)
		code = converse(r, &t, CRIU_RESTORE, &reply, e);
	end_child(holder);
	if (r->child == holder)
		r->child = 0;
	if (code >= 0 && reply.pid <= 0)
		code = err_set(e, -E_CORRUPT, "criu restored nothing");
	if (code >= 0)
		r->child = reply.pid;
	else if (r->child > 0) { /* it is this process's child, and ended by criu */
		end_child(r->child);
		r->child = 0;
	}
	return code;
}

static void restore_show(const struct step *s, struct text *t)
{
	if (s->arg[1][0]) {
		text_add(t, "cgexec -g '*:");
		text_add(t, s->arg[1]);
		text_add(t, "' ");
	}
	text_add(t, "unshare -m --propagation slave ");
	text_add_word(t, s->arg[0]);
	text_add(t, " restore");
	show_words(t, s->arg + 2, s->n - 2);
}

const struct step_ops step_criu_restore = { .name = "criu-restore",
	.args = "program cgroup words...",
	.run = restore_run,
	.show = restore_show };
