/* SPDX-License-Identifier: MIT */
/*
 * The layers of one image, by worker processes that take the largest that is left: processes, since none that may
 * start a guest has threads. They and the parent share a page that says which layer is next; what they tell goes
 * through a socket.
 */
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "image/pull-priv.h"
#include "store/journal.h"
#include "store/layer.h"
#include "store/partial.h"

#define READ_SIZE  (256 << 10)
#define TELL_EVERY (100 * 1000) /* microseconds */

struct message {
	unsigned index;
	enum transfer_state state;
	int64_t done;
	int code; /* negative: it failed, e says why */
	struct err e;
};

struct crew {
	struct pull *p;
	const struct pull_layer *layers;
	unsigned n;
	unsigned *order; /* largest first */
	unsigned *next;	 /* shared */
	int socket;	 /* the worker's end */
};

/* --- a worker ------------------------------------------------------------------------------------------ */

struct work {
	struct crew *crew;
	struct ctx *c;
	struct registry *registry;
	unsigned index;
	const struct pull_layer *l;
	int part;     /* the file of what has come */
	int64_t done; /* bytes of the blob that went into `in` */
	int64_t told; /* when */
	struct layer_in *in;
};

static int say(struct work *w, enum transfer_state state, int code, const struct err *e)
{
	struct message m = { .index = w->index, .state = state, .done = w->done, .code = code };

	if (e)
		m.e = *e;
	return RET_NERRNO((int)send(w->crew->socket, &m, sizeof(m), MSG_NOSIGNAL));
}

static int take(struct work *w, const void *data, size_t size, struct err *e)
{
	int64_t now;

	if (w->done + (int64_t)size > w->l->size)
		return err_set(e, -E_CORRUPT,
			"the layer '%s' is larger than the %lld bytes that the "
			"manifest says",
			w->l->digest, (long long)w->l->size);
	w->done += (int64_t)size;
	now = g_get_monotonic_time();
	if (now - w->told >= TELL_EVERY) {
		w->told = now;
		/* the parent is gone: nobody wants it any more */
		if (say(w, TRANSFER_GOING, 0, NULL) < 0)
			return -ECANCELED;
	}
	return layer_in_write(w->in, data, size, e);
}

static int again(struct work *w, struct err *e)
{
	layer_in_free(w->in);
	w->in = NULL;
	w->done = 0;
	return layer_in_new(w->c, &w->in, e);
}

/* What an earlier pull has left. */
static int take_part(struct work *w, int64_t size, struct err *e)
{
	g_autofree char *buf = g_malloc(READ_SIZE);
	int64_t at = 0;
	int r = 0;

	while (r >= 0 && at < size) {
		ssize_t n = RET_NERRNO(pread(w->part, buf, READ_SIZE, at));

		if (n == -EINTR)
			continue;
		if (n < 0)
			return err_sys(
				e, (int)n, "cannot read what has come of '%s'", w->l->digest);
		if (n == 0)
			break;
		at += n;
		r = take(w, buf, (size_t)n, e);
	}
	return r;
}

static int on_begin(void *arg, int64_t offset, struct err *e)
{
	struct work *w = arg;

	if (offset == w->done)
		return 0;
	/* from the beginning, since this registry has no parts */
	if (offset != 0)
		return err_set(e, -E_CORRUPT, "the registry sent another part than was asked for");
	if (ftruncate(w->part, 0) < 0)
		return err_sys(e, -errno, "cannot empty what has come of '%s'", w->l->digest);
	return again(w, e);
}

static int on_bytes(void *arg, const void *data, size_t size, struct err *e)
{
	struct work *w = arg;
	const char *p = data;
	size_t left = size;
	int64_t at = w->done;

	while (left > 0) {
		ssize_t n = RET_NERRNO(pwrite(w->part, p, left, at));

		if (n == -EINTR)
			continue;
		if (n < 0)
			return err_sys(e, (int)n, "cannot keep what comes of '%s'", w->l->digest);
		p += n;
		left -= (size_t)n;
		at += n;
	}
	return take(w, data, size, e);
}

static int fetch(struct work *w, int64_t have, struct err *e)
{
	struct registry_sink sink = { on_begin, on_bytes, w };
	struct layer_result result;
	int r;

	r = layer_in_new(w->c, &w->in, e);
	if (r >= 0)
		r = take_part(w, have, e);
	if (r >= 0 && w->done < w->l->size)
		r = registry_blob(w->registry, w->l->digest, w->done, &sink, NULL, e);
	if (r >= 0 && w->done != w->l->size)
		r = err_set(e, -E_CORRUPT, "the layer '%s' has %lld bytes, not %lld", w->l->digest,
			(long long)w->done, (long long)w->l->size);
	if (r >= 0)
		(void)say(w, TRANSFER_MAKING, 0, NULL);
	if (r >= 0)
		r = layer_in_finish(w->in, w->l->diff_id, w->l->digest, &result, e);
	layer_in_free(w->in);
	w->in = NULL;
	return r;
}

static bool is_of_content(int code)
{
	return code == -E_CORRUPT || code == -E_LIMIT || code == -E_UNSUPPORTED;
}

static int layer_is_there(struct ctx *c, const char *diff_id, struct err *e)
{
	struct store *s;
	int r = store_get(c, &s, e);

	return r < 0 ? r : store_layer_has(s, diff_id, e);
}

static int do_layer(struct work *w, struct err *e)
{
	_cleanup_close_ int part = -1;
	int64_t have;
	int r;

	r = part = partial_open(w->c, w->l->digest, &have, e);
	if (r < 0)
		return r;
	w->part = part;
	w->done = 0;
	/* another pull may have made it while we waited */
	r = layer_is_there(w->c, w->l->diff_id, e);
	if (r != 0)
		return r;
	(void)say(w, TRANSFER_GOING, 0, NULL);
	r = fetch(w, MIN(have, w->l->size), e);
	if (is_of_content(r) && have > 0) {
		/* a power cut may have left anything in what we had */
		r = RET_NERRNO(ftruncate(part, 0));
		w->done = 0;
		r = r < 0 ? err_sys(e, r, "cannot empty what has come of '%s'", w->l->digest)
			  : fetch(w, 0, e);
	}
	/* the room is needed, or what came is no good */
	if (is_of_content(r) || r == -ENOSPC)
		partial_remove(w->c, w->l->digest, part);
	return r;
}

static int do_all(struct work *w, struct err *e)
{
	struct crew *crew = w->crew;
	int r = 0;

	while (r >= 0) {
		unsigned at = __atomic_fetch_add(crew->next, 1, __ATOMIC_RELAXED);

		if (at >= crew->n)
			break;
		w->index = crew->order[at];
		w->l = &crew->layers[w->index];
		r = do_layer(w, e);
		if (r >= 0)
			(void)say(w, r > 0 ? TRANSFER_THERE : TRANSFER_DONE, 0, NULL);
	}
	return MIN(r, 0);
}

/*
 * Each has a journal of its own. When all are killed at once the lock that keeps collectors away is free when the
 * last of them is gone, and it is that one's plan whose undoing removes what all of them have left.
 */
static int work(struct crew *crew)
{
	_cleanup_(plan_freep) struct plan *plan = plan_new();
	struct ctx c = *crew->p->c;
	struct work w = { .crew = crew, .c = &c };
	struct journal_hold hold = { NULL };
	struct err e = { 0 };
	struct store *s;
	int r;

	/* a connection of its own; the parent has closed the store before it forked */
	c.store = NULL;
	plan_add(plan, AT_HOST, &step_content, "skopeo", "copy", "docker:", "containers-storage:");
	r = store_get(&c, &s, &e);
	if (r >= 0)
		r = journal_begin(&c, plan, &hold, &e);
	if (r >= 0)
		r = registry_copy(crew->p->registry, &c, &w.registry, &e);
	if (r >= 0)
		r = do_all(&w, &e);
	if (r < 0)
		(void)say(&w, TRANSFER_GOING, r, &e);
	registry_free(w.registry);
	journal_done(&hold);
	store_close(&c);
	return r < 0;
}

/* --- the parent ---------------------------------------------------------------------------------------- */

static pid_t hire(struct crew *crew, int parents_end)
{
	pid_t parent = getpid(), pid = fork();

	if (pid != 0)
		return pid;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	(void)close(parents_end);
	_exit(work(crew));
}

static void tell(struct crew *crew, const struct message *m)
{
	const struct transfer_progress *x = crew->p->o->progress;

	if (x && m->index < crew->n)
		x->layer(x->data, crew->layers[m->index].number, m->state, m->done,
			crew->layers[m->index].size);
}

/* Until all have ended, or one failed. */
static int listen_to(struct crew *crew, int fd, struct err *e)
{
	unsigned done = 0;

	for (;;) {
		struct message m;
		ssize_t n = RET_NERRNO(recv(fd, &m, sizeof(m), 0));

		if (n == -EINTR)
			continue;
		if (n <= 0)
			break;
		if (n != (ssize_t)sizeof(m) || m.index >= crew->n)
			continue;
		if (m.code < 0) {
			if (e)
				*e = m.e;
			return m.code;
		}
		tell(crew, &m);
		if (m.state == TRANSFER_DONE || m.state == TRANSFER_THERE)
			done++;
	}
	if (done < crew->n)
		return err_set(e, -EIO, "a process that fetched layers has died");
	return 0;
}

static int by_size(const void *a, const void *b, void *layers)
{
	const struct pull_layer *l = layers;
	const struct pull_layer *x = &l[*(const unsigned *)a], *y = &l[*(const unsigned *)b];

	return x->size < y->size ? 1 : x->size > y->size ? -1 : 0;
}

static int run_crew(struct crew *crew, struct err *e)
{
	unsigned n = MIN(crew->n, PULL_WORKERS), hired = 0;
	pid_t pids[PULL_WORKERS];
	int pair[2], r = 0;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(e, -errno, "cannot make a socket");
	crew->socket = pair[1];
	/* SQLite's connections aren't carried over a fork */
	store_close(crew->p->c);
	for (; r >= 0 && hired < n; hired++) {
		pids[hired] = hire(crew, pair[0]);
		if (pids[hired] < 0) {
			r = err_sys(e, -errno, "cannot make a process");
			break;
		}
	}
	(void)close(pair[1]);
	if (r >= 0)
		r = listen_to(crew, pair[0], e);
	(void)close(pair[0]);
	for (unsigned i = 0; i < hired; i++) {
		int status;

		/* what has come stays: there is nothing to say goodbye for */
		if (r < 0)
			(void)kill(pids[i], SIGKILL);
		while (waitpid(pids[i], &status, 0) < 0 && errno == EINTR)
			;
	}
	return r;
}

int pull_layers(struct pull *p, const struct pull_layer *layers, unsigned n, struct err *e)
{
	g_autofree unsigned *order = g_new(unsigned, n);
	struct crew crew = { .p = p, .layers = layers, .n = n, .order = order };
	int r;

	if (n == 0)
		return 0;
	for (unsigned i = 0; i < n; i++)
		order[i] = i;
	g_qsort_with_data(order, (int)n, sizeof(*order), by_size, (gpointer)(uintptr_t)layers);
	crew.next = mmap(NULL, sizeof(*crew.next), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (crew.next == MAP_FAILED)
		return err_sys(e, -errno, "cannot share a page");
	r = run_crew(&crew, e);
	(void)munmap(crew.next, sizeof(*crew.next));
	return r;
}
