/* SPDX-License-Identifier: MIT */
#include "image/squeeze.h"

#include <glib.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include "codec/press.h"

#define PIECE	    ((size_t)1 << 20)
#define WORKERS_MAX 16
#define SLOTS_EACH  2 /* one is worked on while the other is filled or emptied */

struct worker {
	pid_t pid;
	int fd;
};

/* What stands in shared memory, one behind the other. */
struct slot {
	size_t n_in;
	int64_t n_out; /* or a code */
	char in[PIECE];
	char out[];
};

struct squeeze {
	enum inflate_kind kind;
	int level;
	inflate_sink sink;
	void *arg;
	char *memory;
	size_t slot_size;
	unsigned n_slots, n_workers;
	struct worker worker[WORKERS_MAX];
	uint64_t filled, taken; /* pieces given to workers, and written out */
	char *piece;		/* the one that is being filled */
	size_t n;
	bool any;
};

int squeeze_new(enum inflate_kind kind, int level, inflate_sink sink, void *arg,
	struct squeeze **ret, struct err *e)
{
	struct squeeze *q;
	int r = press_check(kind, level, e);

	if (r < 0)
		return r;
	q = g_new0(struct squeeze, 1);
	q->kind = kind;
	q->level = level;
	q->sink = sink;
	q->arg = arg;
	q->piece = g_malloc(PIECE);
	*ret = q;
	return 0;
}

void squeeze_free(struct squeeze *q)
{
	if (!q)
		return;
	for (unsigned i = 0; i < q->n_workers; i++) {
		closep(&q->worker[i].fd);
		while (waitpid(q->worker[i].pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	if (q->memory)
		(void)munmap(q->memory, q->slot_size * q->n_slots);
	g_free(q->piece);
	g_free(q);
}

void squeeze_freep(struct squeeze **q)
{
	squeeze_free(*q);
}

static struct slot *slot_of(struct squeeze *q, uint64_t n)
{
	return (struct slot *)(void *)(q->memory + n % q->n_slots * q->slot_size);
}

/* In the worker. A byte comes for each piece, whose place is known by counting. */
static void work(struct squeeze *q, unsigned me, int fd)
{
	for (uint64_t n = me;; n += q->n_workers) {
		struct slot *s = slot_of(q, n);
		size_t size = 0;
		char byte;
		int r;

		if (read(fd, &byte, 1) != 1)
			return;
		r = press_piece(q->kind, q->level, s->in, s->n_in, s->out,
			q->slot_size - sizeof(struct slot), &size, NULL);
		s->n_out = r < 0 ? r : (int64_t)size;
		if (write(fd, &byte, 1) != 1)
			return;
	}
}

static int start_worker(struct squeeze *q, unsigned i, struct err *e)
{
	int pair[2], r;
	pid_t parent = getpid(), pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(e, -errno, "cannot make a socket pair");
	r = pid = RET_NERRNO(fork());
	if (r < 0) {
		(void)close(pair[0]);
		(void)close(pair[1]);
		return err_sys(e, r, "cannot make a process");
	}
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)signal(SIGPIPE, SIG_IGN);
		/* the others' ends, or they would never see theirs closed */
		for (unsigned k = 0; k < i; k++)
			(void)close(q->worker[k].fd);
		(void)close(pair[0]);
		if (getppid() == parent)
			work(q, i, pair[1]);
		_exit(0);
	}
	(void)close(pair[1]);
	q->worker[i] = (struct worker){ pid, pair[0] };
	return 0;
}

static int start(struct squeeze *q, struct err *e)
{
	unsigned want = MIN(g_get_num_processors(), WORKERS_MAX);
	int r = 0;

	q->slot_size = (sizeof(struct slot) + press_bound(PIECE) + 4095) / 4096 * 4096;
	q->n_slots = want * SLOTS_EACH;
	q->memory = mmap(NULL, q->slot_size * q->n_slots, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (q->memory == MAP_FAILED) {
		q->memory = NULL;
		return err_sys(e, -errno, "cannot share memory");
	}
	/* workers count pieces by their number */
	q->n_workers = want;
	for (unsigned i = 0; r >= 0 && i < want; i++) {
		r = start_worker(q, i, e);
		if (r < 0)
			q->n_workers = i;
	}
	return r;
}

/* The oldest piece, when it is done. */
static int take(struct squeeze *q, struct err *e)
{
	struct slot *s = slot_of(q, q->taken);
	struct worker *w = &q->worker[q->taken % q->n_workers];
	char byte;
	ssize_t n;

	do
		n = read(w->fd, &byte, 1);
	while (n < 0 && errno == EINTR);
	if (n != 1)
		return err_set(e, -EIO, "a process that compressed has ended");
	q->taken++;
	if (s->n_out < 0)
		return err_set(e, (int)s->n_out, "cannot compress");
	return q->sink(q->arg, s->out, (size_t)s->n_out, e);
}

static int give(struct squeeze *q, struct err *e)
{
	struct slot *s;
	int r = 0;

	if (q->filled - q->taken == q->n_slots)
		r = take(q, e);
	if (r < 0)
		return r;
	s = slot_of(q, q->filled);
	memcpy(s->in, q->piece, q->n);
	s->n_in = q->n;
	q->n = 0;
	if (send(q->worker[q->filled % q->n_workers].fd, "", 1, MSG_NOSIGNAL) != 1)
		return err_set(e, -EIO, "a process that compressed has ended");
	q->filled++;
	return 0;
}

int squeeze_write(struct squeeze *q, const void *data, size_t size, struct err *e)
{
	const char *p = data;
	int r = 0;

	while (r >= 0 && size > 0) {
		size_t n = MIN(size, PIECE - q->n);

		if (q->n == PIECE) {
			if (!q->memory)
				r = start(q, e);
			if (r >= 0)
				r = give(q, e);
			continue;
		}
		memcpy(q->piece + q->n, p, n);
		q->n += n;
		p += n;
		size -= n;
	}
	return r;
}

/* All in this process. */
static int press_here(struct squeeze *q, struct err *e)
{
	size_t size = press_bound(q->n), n;
	g_autofree char *out = g_malloc(size);
	int r = press_piece(q->kind, q->level, q->piece, q->n, out, size, &n, e);

	return r < 0 ? r : q->sink(q->arg, out, n, e);
}

int squeeze_finish(struct squeeze *q, struct err *e)
{
	int r = 0;

	if (!q->memory)
		return press_here(q, e);
	if (q->n > 0)
		r = give(q, e);
	while (r >= 0 && q->taken < q->filled)
		r = take(q, e);
	return r;
}
