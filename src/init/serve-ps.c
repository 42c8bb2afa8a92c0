/* SPDX-License-Identifier: MIT */
/* The processes of the guest, from lodge-init's own /proc: those that have another number in a pid namespace of their
 * own. proc(5). */
#include "init/serve.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "host/smallfile.h"

#define ARGUMENTS_MAX 4096
#define TICKS	      100 /* a second, in what the kernel tells: USER_HZ */

struct process {
	int pid, ppid; /* as lodge-init sees them */
	int inner;     /* as the guest does; 0: it isn't the guest's */
};

/* "NSpid:\t12\t1": the last number, when there are two at least. */
static int inner_pid(const char *status)
{
	const char *p = strstr(status, "\nNSpid:");
	uint64_t n, inner = 0;
	int found = 0;

	for (p = p ? p + strlen("\nNSpid:") : NULL; p && *p == '\t'; found++) {
		p++;
		if (small_take_u64(&p, &n) < 0)
			break;
		inner = n;
	}
	return found > 1 && inner <= INT_MAX ? (int)inner : 0;
}

static int parent_pid(const char *status)
{
	uint64_t n;

	return small_find_u64(status, "PPid", &n) == 0 && n <= INT_MAX ? (int)n : 0;
}

/* In quotes: what is in there can't end the line, nor the word. */
static void quote(struct text *t, const char *s, size_t n)
{
	text_add(t, "\"");
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c == '"' || c == '\\')
			text_addf(t, "\\%c", c);
		else if (c < ' ' || c == 0x7f)
			text_addf(t, "\\x%02x", c);
		else
			text_addf(t, "%c", c);
	}
	text_add(t, "\"");
}

/* /proc/PID/FILE; its length, 0 when the process is gone. */
static size_t read_of(int pid, const char *file, char *buf, size_t size)
{
	char path[64];
	_cleanup_close_ int fd = -1;
	ssize_t n;

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, buf, size - 1);
	buf[n < 0 ? 0 : n] = '\0';
	return n < 0 ? 0 : (size_t)n;
}

static int outer_to_inner(const struct process *all, size_t n, int pid)
{
	for (size_t i = 0; i < n; i++)
		if (all[i].pid == pid)
			return all[i].inner;
	return 0;
}

/* Field n (from 3) of /proc/PID/stat, of what stands behind the name; 0 when it isn't there. */
static uint64_t field(const char *rest, unsigned n)
{
	uint64_t v;

	for (unsigned i = 3; rest && i < n; i++)
		rest = strchr(rest + 1, ' ');
	if (!rest || *rest != ' ')
		return 0;
	rest++;
	return small_take_u64(&rest, &v) < 0 ? 0 : v;
}

static int say(const struct process *all, size_t n, const struct process *p, struct err *e)
{
	static char line[4 * ARGUMENTS_MAX + 512];
	char stat[1024], arguments[ARGUMENTS_MAX], path[32];
	struct text t = TEXT_ON(line);
	const char *open, *close;
	struct stat st;
	size_t k;

	(void)snprintf(path, sizeof(path), "/proc/%d", p->pid);
	if (lstat(path, &st) < 0 || read_of(p->pid, "stat", stat, sizeof(stat)) == 0)
		return 0;
	open = strchr(stat, '(');
	close = strrchr(stat, ')'); /* the name between may hold anything */
	if (!open || !close || close < open)
		return 0;
	k = read_of(p->pid, "cmdline", arguments, sizeof(arguments));
	while (k > 0 && arguments[k - 1] == '\0')
		k--;
	for (size_t i = 0; i < k; i++)
		if (arguments[i] == '\0')
			arguments[i] = ' ';
	text_addf(&t, "%d %d %u %llu %llu %llu %llu ", p->inner, outer_to_inner(all, n, p->ppid),
		(unsigned)st.st_uid, (unsigned long long)field(close + 1, 22),
		(unsigned long long)field(close + 1, 14), (unsigned long long)field(close + 1, 15),
		(unsigned long long)field(close + 1, 7));
	quote(&t, open + 1, (size_t)(close - open - 1));
	text_add(&t, " ");
	quote(&t, arguments, k);
	text_add(&t, "\n");
	return serve_write(line, t.n, e);
}

static int look_at(int pid, struct process *ret)
{
	char status[SMALL_MAX];

	if (read_of(pid, "status", status, sizeof(status)) == 0)
		return -ESRCH;
	*ret = (struct process){ pid, parent_pid(status), inner_pid(status) };
	return ret->inner > 0 ? 0 : -ESRCH;
}

static int say_uptime(struct err *e)
{
	struct timespec t;
	char line[64];
	int n;

	(void)clock_gettime(CLOCK_BOOTTIME, &t);
	n = snprintf(line, sizeof(line), "up %lld\n",
		(long long)t.tv_sec * TICKS + t.tv_nsec / (1000000000 / TICKS));
	return serve_write(line, (size_t)n, e);
}

int serve_ps(const struct serve *s, struct err *e)
{
	struct process *all = NULL;
	size_t n = 0;
	DIR *d = opendir("/proc");
	struct dirent *f;
	int r = 0;

	if (!d)
		return err_sys(e, -errno, "cannot read '/proc'");
	r = say_uptime(e);
	while ((f = readdir(d))) {
		struct process *more;
		uint64_t pid;

		if (small_parse_u64(f->d_name, &pid) < 0 || pid > INT_MAX)
			continue;
		more = realloc(all, (n + 1) * sizeof(*all));
		if (!more)
			return -ENOMEM;
		all = more;
		if (look_at((int)pid, &all[n]) == 0)
			n++;
	}
	(void)closedir(d);
	for (size_t i = 0; r >= 0 && i < n; i++)
		r = say(all, n, &all[i], e);
	return r;
}
