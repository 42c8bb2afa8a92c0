/* SPDX-License-Identifier: MIT */
#include "store/journal.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "store/lock.h"
#include "store/store-priv.h"

#define FORWARD	    ".forward" /* end of the name of a plan that is finished, not undone */
#define JOURNAL_MAX (64 << 20) /* bytes of a plan's file */
#define BOOT_CHARS  8	       /* of the boot's id, in names */
#define EXITING	    0x4	       /* PF_EXITING of the kernel's flags in /proc/PID/stat */
#define TRIES	    20	       /* of fsck, while others go on dying */

/* As of a dead command: no boot has this id. */
#define LATER "1.0.00000000.0" FORWARD

static const step_table *const tables[] = { &host_steps, &store_steps, NULL };

static int read_small(const char *path, char *buf, size_t size)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, size - 1);

	buf[n > 0 ? n : 0] = '\0';
	return n > 0 ? 0 : -ENOENT;
}

/*
 * Field 22 of /proc/PID/stat, and whether the process still runs what is ours: not when it is a zombie, nor on its
 * way there, where it has lost its locks some time before it is one. proc_pid_stat(5).
 */
static int process_start(pid_t pid, uint64_t *ret)
{
	char path[64], buf[1024];
	const char *p;

	(void)g_snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if (read_small(path, buf, sizeof(buf)) < 0)
		return -ESRCH;
	/* the name in brackets may hold anything, brackets too */
	p = strrchr(buf, ')');
	if (!p || p[1] != ' ' || p[2] == 'Z' || p[2] == 'X')
		return -ESRCH;
	/* from field 3 on, a blank between */
	p += 2;
	for (int field = 3; field < 22; field++) {
		p = strchr(p, ' ');
		if (!p)
			return -ESRCH;
		p++;
		if (field + 1 == 9 && (g_ascii_strtoull(p, NULL, 10) & EXITING))
			return -ESRCH;
	}
	*ret = g_ascii_strtoull(p, NULL, 10);
	return 0;
}

static void boot_id(char ret[BOOT_CHARS + 1])
{
	char buf[64];

	if (read_small("/proc/sys/kernel/random/boot_id", buf, sizeof(buf)) < 0)
		(void)g_strlcpy(buf, "00000000", sizeof(buf));
	(void)g_strlcpy(ret, buf, BOOT_CHARS + 1);
}

struct owner {
	pid_t pid;
	uint64_t start;
	char boot[BOOT_CHARS + 1];
};

char *journal_owner(void)
{
	struct owner o = { .pid = getpid() };

	(void)process_start(o.pid, &o.start);
	boot_id(o.boot);
	return g_strdup_printf("%d.%" G_GUINT64_FORMAT ".%s", (int)o.pid, o.start, o.boot);
}

/* "PID.START.BOOT", and then anything. */
static bool parse_owner(const char *name, struct owner *ret)
{
	uint64_t pid;
	char *end;

	pid = g_ascii_strtoull(name, &end, 10);
	if (!g_ascii_isdigit(*name) || *end != '.' || pid == 0 || pid > INT32_MAX ||
		!g_ascii_isdigit(end[1]))
		return false;
	ret->pid = (pid_t)pid;
	ret->start = g_ascii_strtoull(end + 1, &end, 10);
	if (*end != '.' || strspn(end + 1, "0123456789abcdef") < BOOT_CHARS)
		return false;
	(void)g_strlcpy(ret->boot, end + 1, sizeof(ret->boot));
	return true;
}

bool journal_owner_lives(const char *name)
{
	char this_boot[BOOT_CHARS + 1];
	struct owner o;
	uint64_t now;

	if (!parse_owner(name, &o))
		return true;
	boot_id(this_boot);
	return strcmp(o.boot, this_boot) == 0 && process_start(o.pid, &now) == 0 && now == o.start;
}

/* A name in the journal that isn't there yet: a process may run a plan within another's work. */
static int create_file(struct ctx *c, bool forward, char **ret_path, struct err *e)
{
	g_autofree char *owner = journal_owner();
	int fd, r;

	for (unsigned i = 0; i < 1000; i++) {
		g_autofree char *path =
			store_path(c, "journal/%s.%u%s", owner, i, forward ? FORWARD : "");

		fd = RET_NERRNO(open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
		if (fd == -ENOENT) {
			g_autofree char *folder = store_path(c, "journal");

			r = RET_NERRNO(mkdir(folder, 0700));
			if (r < 0 && r != -EEXIST)
				return err_sys(e, r, "cannot make '%s'", folder);
			continue;
		}
		if (fd == -EEXIST)
			continue;
		if (fd < 0)
			return err_sys(e, fd, "cannot write the journal '%s'", path);
		*ret_path = g_steal_pointer(&path);
		return fd;
	}
	return err_set(e, -E_LIMIT, "too many plans of one process in the journal");
}

static int write_file(
	struct ctx *c, const struct plan *p, bool forward, char **ret_path, struct err *e)
{
	_cleanup_close_ int fd = -1;
	_cleanup_free_ char *data = NULL;
	size_t size, done = 0;
	int r;

	r = plan_encode(p, &data, &size);
	if (r < 0)
		return err_sys(e, r, "cannot journal the plan");
	fd = create_file(c, forward, ret_path, e);
	if (fd < 0)
		return fd;
	while (done < size) {
		ssize_t n = write(fd, data + done, size - done);

		if (n < 0) {
			if (errno == EINTR)
				continue;
			r = err_sys(e, -errno, "cannot write the journal '%s'", *ret_path);
			(void)unlink(*ret_path);
			return r;
		}
		done += (size_t)n;
	}
	return 0;
}

/* Makes the folders, and undoes what a dead command left, before we build on it. */
static int begin(struct ctx *c, const struct plan *p, bool forward, char **ret_path, struct err *e)
{
	struct store *s;
	int r = store_get(c, &s, e);

	return r < 0 ? r : write_file(c, p, forward, ret_path, e);
}

int journal_collect_later(struct ctx *c, struct err *e)
{
	g_autofree char *path = NULL, *later = store_path(c, "journal/" LATER);
	_cleanup_(plan_freep) struct plan *p = plan_new();
	int r;

	plan_add(p, AT_HOST, &step_collect);
	r = write_file(c, p, true, &path, e);
	if (r < 0)
		return r;
	r = RET_NERRNO(rename(path, later));
	if (r < 0) {
		(void)unlink(path);
		return err_sys(e, r, "cannot write the journal '%s'", later);
	}
	return 0;
}

/* *ret_failed, when it is wanted: the step that failed. */
static int run_plan(struct ctx *c, struct plan *p, unsigned *ret_failed, struct err *e)
{
	struct step_run run;
	int r;

	step_run_init(&run, p);
	run.trace_fd = c->trace_fd;
	run.data = c;
	r = plan_run(&run, e);
	if (ret_failed)
		*ret_failed = run.failed;
	step_run_done(&run);
	return r < 0 ? r : 0;
}

static int undo_plan(struct ctx *c, struct plan *p, struct err *e)
{
	struct step_run run;
	int r;

	step_run_init(&run, p);
	run.trace_fd = c->trace_fd;
	run.data = c;
	r = plan_undo(&run, false, e);
	step_run_done(&run);
	return r;
}

static int journal(struct ctx *c, struct plan *p, bool forward, struct err *e)
{
	g_autofree char *path = NULL;
	unsigned failed = 0;
	int r;

	if (c->explain) {
		plan_show(p, stdout);
		return 0;
	}
	r = begin(c, p, forward, &path, e);
	if (r < 0)
		return r;
	r = run_plan(c, p, &failed, e);
	/* a removal that stopped half-way is for the next command to finish; one that was refused isn't */
	if (r >= 0 || !forward || failed == 0)
		(void)unlink(path);
	return r;
}

int journal_run(struct ctx *c, struct plan *p, struct err *e)
{
	return journal(c, p, false, e);
}

int journal_run_forward(struct ctx *c, struct plan *p, struct err *e)
{
	return journal(c, p, true, e);
}

int journal_begin(struct ctx *c, struct plan *p, struct journal_hold *ret, struct err *e)
{
	ret->path = NULL;
	if (c->explain) {
		plan_show(p, stdout);
		return 1;
	}
	return begin(c, p, false, &ret->path, e);
}

void journal_done(struct journal_hold *h)
{
	if (!h->path)
		return;
	(void)unlink(h->path);
	g_free(h->path);
	h->path = NULL;
}

void journal_abort(struct ctx *c, struct plan *p, struct journal_hold *h)
{
	if (!h->path)
		return;
	if (undo_plan(c, p, NULL) >= 0)
		(void)unlink(h->path);
	g_free(h->path);
	h->path = NULL;
}

/* --- what dead commands left --------------------------------------------------------------------- */

static int load(const char *path, struct plan **ret)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	g_autofree char *data = NULL;
	struct stat st;
	size_t done = 0;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_size > JOURNAL_MAX)
		return -E_CORRUPT;
	data = g_malloc((size_t)st.st_size + 1);
	while (done < (size_t)st.st_size) {
		ssize_t n = read(fd, data + done, (size_t)st.st_size - done);

		if (n <= 0)
			return n < 0 ? -errno : -E_CORRUPT;
		done += (size_t)n;
	}
	return plan_decode(data, done, tables, ret);
}

/* Takes the file over, so that only one command undoes the plan, and so that it's still there if that one
 * dies too. Returns 1 when the plan was undone (or finished), 0 when not. */
static int recover_one(struct ctx *c, const char *name, struct err *e)
{
	g_autofree char *old = store_path(c, "journal/%s", name), *path = NULL;
	_cleanup_(plan_freep) struct plan *p = NULL;
	bool forward = g_str_has_suffix(name, FORWARD);
	int fd, r;

	fd = create_file(c, forward, &path, e);
	if (fd < 0)
		return fd;
	(void)close(fd);
	if (rename(old, path) < 0) {
		(void)unlink(path); /* another command was first */
		return 0;
	}
	r = load(path, &p);
	if (r < 0) {
		/* it was being written: no step had been run */
		(void)unlink(path);
		return 1;
	}
	r = forward ? run_plan(c, p, NULL, e) : undo_plan(c, p, e);
	if (r < 0)
		return 0;
	(void)unlink(path);
	return 1;
}

int journal_recover(struct ctx *c, struct err *e)
{
	g_autofree char *folder = store_path(c, "journal");
	g_autoptr(GPtrArray) dead = NULL;
	DIR *d = opendir(folder);
	struct dirent *f;
	int n = 0;

	if (!d)
		return errno == ENOENT ? 0 : err_sys(e, -errno, "cannot read '%s'", folder);
	while ((f = readdir(d))) {
		if (f->d_name[0] == '.' || journal_owner_lives(f->d_name))
			continue;
		if (!dead)
			dead = g_ptr_array_new_with_free_func(g_free);
		g_ptr_array_add(dead, g_strdup(f->d_name));
	}
	(void)closedir(d);
	for (unsigned i = 0; dead && i < dead->len; i++)
		n += recover_one(c, dead->pdata[i], NULL) > 0;
	return n;
}

static void add_dead(GPtrArray *problems, const char *folder, const char *name)
{
	g_ptr_array_add(
		problems, g_strdup_printf("the plan '%s/%s' of a dead command cannot be undone",
				  folder, name));
}

/* What is wrong: to `problems`; plans of dead commands that we haven't tried: to `dead`. */
static int look_at_plans(struct ctx *c, GPtrArray *problems, GPtrArray *dead, struct err *e)
{
	g_autofree char *folder = store_path(c, "journal"), *self = journal_owner();
	struct dirent *f;
	DIR *d = opendir(folder);

	if (!d)
		return errno == ENOENT ? 0 : err_sys(e, -errno, "cannot read '%s'", folder);
	while ((f = readdir(d))) {
		struct owner o;

		if (strcmp(f->d_name, ".") == 0 || strcmp(f->d_name, "..") == 0)
			continue;
		if (!parse_owner(f->d_name, &o))
			g_ptr_array_add(problems,
				g_strdup_printf("unknown file '%s/%s'", folder, f->d_name));
		else if (g_str_has_prefix(f->d_name, self))
			add_dead(problems, folder, f->d_name); /* taken over, see recover_one */
		else if (!journal_owner_lives(f->d_name))
			add_dead(dead, folder, f->d_name);
	}
	(void)closedir(d);
	return 0;
}

/* One that died since the last look is no finding before its plan has been tried. */
int journal_fsck(struct ctx *c, GPtrArray *problems, struct err *e)
{
	unsigned before = problems->len;

	for (unsigned i = 0;; i++) {
		g_autoptr(GPtrArray) dead = g_ptr_array_new_with_free_func(g_free);
		int lock, r;

		g_ptr_array_set_size(problems, (int)before);
		r = look_at_plans(c, problems, dead, e);
		if (r < 0 || dead->len == 0)
			return r;
		/* while somebody adds content what a dead command has added can't be told from it */
		lock = store_lock_flags(c, "content", "collect", LOCK_TRY, NULL);
		if (lock < 0)
			return 0;
		(void)close(lock);
		if (i == TRIES) {
			g_ptr_array_extend_and_steal(problems, g_steal_pointer(&dead));
			return 0;
		}
		(void)journal_recover(c, NULL);
	}
}
