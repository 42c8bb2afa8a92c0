/* SPDX-License-Identifier: MIT */
#include "host/users.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define USER_FILE_MAX (4 * 1024 * 1024)
#define FIELDS_MAX    7

/* A line of either file, cut at its colons. */
struct fields {
	char *f[FIELDS_MAX];
	unsigned n;
};

/* Calls fn for each line that has at least `least` fields until it returns true. text is cut up. */
static void each_line(
	char *text, unsigned least, bool (*fn)(const struct fields *l, void *data), void *data)
{
	for (char *line; (line = strsep(&text, "\n")) != NULL;) {
		struct fields l = { 0 };

		while (line && l.n < FIELDS_MAX)
			l.f[l.n++] = strsep(&line, ":");
		if (l.n >= least && l.f[0][0] && fn(&l, data))
			return;
	}
}

static bool number(const char *s, uint32_t *ret)
{
	char *end;
	unsigned long long v;

	if (*s < '0' || *s > '9')
		return false;
	errno = 0;
	v = strtoull(s, &end, 10);
	if (*end || v > UINT32_MAX - 1) /* (uid_t)-1 means "leave it" to setresuid(2) */
		return false;
	*ret = (uint32_t)v;
	return true;
}

struct passwd_search {
	const char *name;
	uint32_t uid;
	bool by_uid, found;
	char user[256];
	struct user_ids *ids;
};

static bool passwd_line(const struct fields *l, void *data)
{
	struct passwd_search *q = data;
	uint32_t uid = 0, gid = 0;

	if (!number(l->f[2], &uid) || !number(l->f[3], &gid))
		return false;
	/* a name wins over a number, so a user may be called "1000" */
	if (strcmp(l->f[0], q->name) != 0 && !(q->by_uid && uid == q->uid))
		return false;
	q->found = true;
	q->ids->uid = uid;
	q->ids->gid = gid;
	(void)snprintf(q->user, sizeof(q->user), "%s", l->f[0]);
	if (l->n > 5 && l->f[5][0] && strlen(l->f[5]) < sizeof(q->ids->home))
		memcpy(q->ids->home, l->f[5], strlen(l->f[5]) + 1);
	return true;
}

struct group_search {
	const char *name;   /* by name ... */
	const char *member; /* ... or all that list this user */
	bool found;
	uint32_t gid;
	struct user_ids *ids;
};

static void add_group(struct user_ids *ids, gid_t gid)
{
	for (size_t i = 0; i < ids->n_groups; i++)
		if (ids->groups[i] == gid)
			return;
	if (ids->n_groups < USER_GROUPS_MAX)
		ids->groups[ids->n_groups++] = gid;
}

static bool group_line(const struct fields *l, void *data)
{
	struct group_search *q = data;
	uint32_t gid = 0;

	if (!number(l->f[2], &gid))
		return false;
	if (q->name) {
		q->found = strcmp(l->f[0], q->name) == 0;
		q->gid = gid;
		return q->found;
	}
	if (l->n > 3)
		for (char *rest = l->f[3], *m; (m = strsep(&rest, ",")) != NULL;)
			if (*m && strcmp(m, q->member) == 0)
				add_group(q->ids, gid);
	return false;
}

static int group_by_name(const char *group, const char *name, gid_t *ret, struct err *e)
{
	_cleanup_free_ char *text = strdup(group);
	struct group_search q = { .name = name };

	if (!text)
		return -ENOMEM;
	each_line(text, 3, group_line, &q);
	if (q.found) {
		*ret = q.gid;
		return 0;
	}
	if (number(name, ret))
		return 0;
	return err_set(e, -E_NOTFOUND, "no such group '%s' in the guest's /etc/group", name);
}

int users_resolve_in(const char *passwd, const char *group, const char *user, const char *more,
	struct user_ids *ret, struct err *e)
{
	_cleanup_free_ char *text = strdup(passwd), *name = strdup(user), *list = strdup(more);
	struct passwd_search q = { .ids = ret };
	char *of_group;
	gid_t gid = 0;
	int r;

	if (!text || !name || !list)
		return -ENOMEM;
	memset(ret, 0, sizeof(*ret));
	ret->home[0] = '/';
	of_group = strchr(name, ':');
	if (of_group)
		*of_group++ = '\0';
	q.name = name[0] ? name : "0";
	q.by_uid = number(q.name, &q.uid);
	each_line(text, 4, passwd_line, &q);
	if (!q.found && !q.by_uid)
		return err_set(
			e, -E_NOTFOUND, "no such user '%s' in the guest's /etc/passwd", q.name);
	if (!q.found)
		ret->uid = q.uid;
	if (of_group && *of_group) {
		r = group_by_name(group, of_group, &ret->gid, e);
		if (r < 0)
			return r;
	} else if (q.found) {
		_cleanup_free_ char *groups = strdup(group);
		struct group_search all = { .member = q.user, .ids = ret };

		if (!groups)
			return -ENOMEM;
		each_line(groups, 4, group_line, &all);
	}
	for (char *rest = list, *m; (m = strsep(&rest, ",")) != NULL;) {
		if (!*m)
			continue;
		r = group_by_name(group, m, &gid, e);
		if (r < 0)
			return r;
		add_group(ret, gid);
	}
	return 0;
}

/* The whole of a regular file, or "" when there is none. Caller frees. */
static char *read_text(const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	size_t n = 0;
	char *s;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > USER_FILE_MAX)
		return strdup("");
	s = malloc((size_t)st.st_size + 1);
	if (!s)
		return NULL;
	while (n < (size_t)st.st_size) {
		ssize_t k = read(fd, s + n, (size_t)st.st_size - n);

		if (k <= 0)
			break;
		n += (size_t)k;
	}
	s[n] = '\0';
	return s;
}

int users_resolve(const char *user, const char *more, struct user_ids *ret, struct err *e)
{
	_cleanup_free_ char *passwd = read_text("/etc/passwd");
	_cleanup_free_ char *group = NULL;

	group = read_text("/etc/group");
	if (!passwd || !group)
		return -ENOMEM;
	return users_resolve_in(passwd, group, user, more, ret, e);
}
