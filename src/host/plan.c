/* SPDX-License-Identifier: MIT */
#include "host/plan.h"

#include <assert.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* Strings and argument lists live in chunks that never move, so steps can point into them. */
struct chunk {
	struct chunk *next;
	size_t used, size;
	char data[];
};

struct plan {
	struct step *steps;
	unsigned n, allocated;
	struct chunk *chunks;
};

#define CHUNK_SIZE    (4 * 1024)
#define PLAN_MAGIC    "lodge plan 1\n"
#define PLAN_STEP_MAX 4096
#define PLAN_ARGS_MAX 65536

static void *need(void *p)
{
	if (!p)
		abort();
	return p;
}

static void *plan_alloc(struct plan *p, size_t size)
{
	struct chunk *c = p->chunks;
	void *at;

	size = (size + 7) & ~(size_t)7;
	if (!c || c->size - c->used < size) {
		size_t room = size > CHUNK_SIZE ? size : CHUNK_SIZE;

		c = need(malloc(sizeof(*c) + room));
		*c = (struct chunk){ .next = p->chunks, .size = room };
		p->chunks = c;
	}
	at = c->data + c->used;
	c->used += size;
	return at;
}

struct plan *plan_new(void)
{
	return need(calloc(1, sizeof(struct plan)));
}

void plan_free(struct plan *p)
{
	if (!p)
		return;
	for (struct chunk *c = p->chunks, *next; c; c = next) {
		next = c->next;
		free(c);
	}
	free(p->steps);
	free(p);
}

void plan_freep(struct plan **p)
{
	plan_free(*p);
}

const char *plan_str(struct plan *p, const char *fmt, ...)
{
	va_list ap, again;
	char *s, none[1];
	int n;

	va_start(ap, fmt);
	va_copy(again, ap);
	n = vsnprintf(none, sizeof(none), fmt, ap);
	va_end(ap);
	assert(n >= 0);
	s = plan_alloc(p, (size_t)n + 1);
	(void)vsnprintf(s, (size_t)n + 1, fmt, again);
	va_end(again);
	return s;
}

/* How many arguments an operation takes: at least *min, and exactly that unless open-ended. */
static bool takes(const struct step_ops *op, unsigned n)
{
	unsigned words = 0;
	bool open = false;

	for (const char *s = op->args; *s;) {
		size_t len = strcspn(s, " ");

		if (len >= 3 && strncmp(s + len - 3, "...", 3) == 0)
			open = true;
		else
			words++;
		s += len + strspn(s + len, " ");
	}
	return open ? n >= words : n == words;
}

static struct step *append(
	struct plan *p, enum step_at at, unsigned flags, const struct step_ops *op, unsigned n)
{
	struct step *s;

	if (p->n == p->allocated) {
		p->allocated = p->allocated ? p->allocated * 2 : 64;
		p->steps = need(realloc(p->steps, p->allocated * sizeof(*p->steps)));
	}
	s = &p->steps[p->n++];
	*s = (struct step){ .op = op, .at = at, .flags = (uint8_t)flags, .n = n };
	return s;
}

unsigned plan_addv(struct plan *p, enum step_at at, unsigned flags, const struct step_ops *op,
	const char *const *argv, unsigned n)
{
	struct step *s = append(p, at, flags, op, n);
	const char **copy = plan_alloc(p, (n + 1) * sizeof(*copy));

	assert(takes(op, n));
	for (unsigned i = 0; i < n; i++) {
		size_t size = strlen(argv[i]) + 1;

		copy[i] = memcpy(plan_alloc(p, size), argv[i], size);
	}
	copy[n] = NULL;
	s->arg = copy;
	return p->n - 1;
}

unsigned plan_addf(struct plan *p, enum step_at at, unsigned flags, const struct step_ops *op, ...)
{
	const char *argv[16];
	unsigned n = 0;
	va_list ap;

	va_start(ap, op);
	while ((argv[n] = va_arg(ap, const char *)) != NULL) {
		n++;
		assert(n < ELEMENTSOF(argv));
	}
	va_end(ap);
	return plan_addv(p, at, flags, op, argv, n);
}

unsigned plan_len(const struct plan *p)
{
	return p->n;
}

const struct step *plan_step(const struct plan *p, unsigned i)
{
	assert(i < p->n);
	return &p->steps[i];
}

struct plan *plan_of_machine(const struct plan *p)
{
	struct plan *ret = plan_new();

	for (unsigned i = 0; i < p->n; i++) {
		const struct step *s = &p->steps[i];

		if (s->flags & STEP_MACHINE)
			append(ret, s->at, s->flags & ~(unsigned)STEP_MACHINE, s->op, s->n)->arg =
				s->arg;
	}
	return ret;
}

/* --- storing --- */

int plan_encode(const struct plan *p, char **ret, size_t *ret_size)
{
	FILE *f = open_memstream(ret, ret_size);

	need(f);
	fputs(PLAN_MAGIC, f);
	for (unsigned i = 0; i < p->n; i++) {
		const struct step *s = &p->steps[i];

		fprintf(f, "%u %u %s %u\n", (unsigned)s->at, (unsigned)s->flags, s->op->name, s->n);
		for (unsigned k = 0; k < s->n; k++)
			fwrite(s->arg[k], 1, strlen(s->arg[k]) + 1, f);
	}
	return fclose(f) == 0 ? 0 : -ENOMEM;
}

static const struct step_ops *find_op(const step_table *const tables[], const char *name)
{
	for (unsigned t = 0; tables[t]; t++)
		for (unsigned i = 0; (*tables[t])[i]; i++)
			if (strcmp((*tables[t])[i]->name, name) == 0)
				return (*tables[t])[i];
	return NULL;
}

static int decode_step(
	struct plan *p, const step_table *const tables[], const char **at, const char *end)
{
	const char *line_end = memchr(*at, '\n', (size_t)(end - *at));
	const struct step_ops *op = NULL;
	unsigned long place, flags, n;
	char line[128], *rest, *name;
	struct step *s;
	const char **argv;

	if (!line_end || (size_t)(line_end - *at) >= sizeof(line))
		return -E_CORRUPT;
	memcpy(line, *at, (size_t)(line_end - *at));
	line[line_end - *at] = '\0';
	place = strtoul(line, &rest, 10);
	flags = strtoul(rest, &rest, 10);
	name = rest + (*rest == ' ');
	rest = strchr(name, ' ');
	if (!rest || place >= _AT_MAX || flags > UINT8_MAX || p->n >= PLAN_STEP_MAX)
		return -E_CORRUPT;
	*rest++ = '\0';
	n = strtoul(rest, &rest, 10);
	if (*rest || n > PLAN_ARGS_MAX)
		return -E_CORRUPT;
	op = find_op(tables, name);
	if (!op || !takes(op, (unsigned)n))
		return -E_CORRUPT;
	s = append(p, (enum step_at)place, (unsigned)flags, op, (unsigned)n);
	argv = plan_alloc(p, (n + 1) * sizeof(*argv));
	*at = line_end + 1;
	for (unsigned long i = 0; i < n; i++) {
		const char *nul = memchr(*at, '\0', (size_t)(end - *at));

		if (!nul)
			return -E_CORRUPT;
		argv[i] = *at;
		*at = nul + 1;
	}
	argv[n] = NULL;
	s->arg = argv;
	return 0;
}

int plan_decode(const char *data, size_t size, const step_table *const tables[], struct plan **ret)
{
	_cleanup_(plan_freep) struct plan *p = plan_new();
	const char *at, *end;
	char *copy;
	int r;

	if (size < strlen(PLAN_MAGIC) || memcmp(data, PLAN_MAGIC, strlen(PLAN_MAGIC)) != 0)
		return -E_CORRUPT;
	copy = plan_alloc(p, size);
	memcpy(copy, data, size);
	at = copy + strlen(PLAN_MAGIC);
	end = copy + size;
	while (at < end) {
		r = decode_step(p, tables, &at, end);
		if (r < 0)
			return r;
	}
	*ret = TAKE_PTR(p);
	return 0;
}

/* --- showing --- */

void plan_show(const struct plan *p, FILE *f)
{
	static const char *const heading[_AT_MAX] = {
		[AT_HOST] = "# on the host",
		[AT_CLONE] = "# the guest's first process",
		[AT_PARENT] = "# on the host, while the first process ($pid) waits",
		[AT_CHILD] = "# in the guest",
		[AT_MEET] = "# on the host, while the guest waits there",
	};
	static const char *const in_machine[_AT_MAX] = {
		[AT_HOST] = "# in the machine",
		[AT_CLONE] = "# in the machine: the command's process",
		[AT_PARENT] = "# in the machine, while that process waits",
		[AT_CHILD] = "# in the machine, in that process",
		[AT_MEET] = "# in the machine, while that process waits there",
	};
	const char *last = NULL;

	for (unsigned i = 0; i < p->n; i++) {
		const struct step *s = &p->steps[i];
		char line[16 * 1024];
		struct text t = TEXT_ON(line);

		line[0] = '\0';
		if (s->flags & STEP_MACHINE ? in_machine[s->at] != last : heading[s->at] != last)
			fprintf(f, "%s\n",
				s->flags & STEP_MACHINE ? in_machine[s->at] : heading[s->at]);
		last = s->flags & STEP_MACHINE ? in_machine[s->at] : heading[s->at];
		s->op->show(s, &t);
		fprintf(f, "%s%s\n", line, t.cut ? " ..." : "");
	}
}
