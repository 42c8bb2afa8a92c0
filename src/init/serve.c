/* SPDX-License-Identifier: MIT */
#include "init/serve.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "host/path.h"

#define LINKS_MAX 40 /* as the kernel has it, path_resolution(7) */

static void place_done(int *dir)
{
	closep(dir);
	*dir = -1;
}

static int find_once(int root, const char *path, struct serve_place *p)
{
	int r = path_parent_in(root, path, false, p->name);

	if (r == -EINVAL) { /* "/", and what ends in ".." */
		memcpy(p->name, ".", 2);
		r = path_open_in(root, *path ? path : "/", O_PATH | O_DIRECTORY | O_CLOEXEC, 0, 0);
	}
	p->dir = r;
	return r < 0 ? r : 0;
}

/* Where the link leads that stands at path: next gets a path from the root. */
static int follow_link(const struct serve_place *p, const char *path, char next[PATH_MAX])
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(p->dir, p->name, target, sizeof(target) - 1);
	const char *slash;
	int k;

	if (n < 0)
		return -errno;
	target[n] = '\0';
	slash = strrchr(path, '/');
	k = target[0] == '/' || !slash
		    ? snprintf(next, PATH_MAX, "%s", target)
		    : snprintf(next, PATH_MAX, "%.*s/%s", (int)(slash - path), path, target);
	return k < PATH_MAX ? 0 : -ENAMETOOLONG;
}

/* Without the slashes at its end. */
static int copy_path(const char *path, char to[PATH_MAX])
{
	size_t n = strlen(path);

	while (n > 1 && path[n - 1] == '/')
		n--;
	if (n >= PATH_MAX)
		return -ENAMETOOLONG;
	memcpy(to, path, n);
	to[n] = '\0';
	return 0;
}

int serve_find(const char *path, bool follow, struct serve_place *ret)
{
	_cleanup_close_ int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	char at[PATH_MAX], next[PATH_MAX];
	struct stat st;
	int r = copy_path(path, at);

	if (root < 0)
		return -errno;
	for (int i = 0; r >= 0 && i < LINKS_MAX; i++) {
		struct serve_place p;

		r = find_once(root, at, &p);
		if (r < 0)
			return r;
		if (fstatat(p.dir, p.name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			r = -errno;
		else if (!follow || !S_ISLNK(st.st_mode)) {
			*ret = p;
			return 0;
		} else
			r = follow_link(&p, at, next);
		place_done(&p.dir);
		if (r >= 0)
			r = copy_path(next, at);
	}
	return r < 0 ? r : -ELOOP;
}

int serve_write(const void *data, size_t size, struct err *e)
{
	const char *p = data;

	while (size > 0) {
		ssize_t n = write(1, p, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, -errno, "cannot write");
		p += n;
		size -= (size_t)n;
	}
	return 0;
}

/* --- folders --- */

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void serve_names_free(char **names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(names[i]);
	free(names);
}

static int add_name(char ***names, size_t *n, const char *name)
{
	if ((*n & (*n - 1)) == 0) { /* 0, or a power of two: it is full */
		char **more = realloc(*names, (*n ? 2 * *n : 1) * sizeof(**names));

		if (!more)
			return -ENOMEM;
		*names = more;
	}
	(*names)[*n] = strdup(name);
	return (*names)[(*n)++] ? 0 : -ENOMEM;
}

int serve_names(int dir, char ***ret, size_t *ret_n)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *f;
	char **names = NULL;
	size_t n = 0;

	if (!d) {
		r = -errno;
		closep(&fd);
		return r;
	}
	while (r == 0 && (f = readdir(d)))
		if (strcmp(f->d_name, ".") != 0 && strcmp(f->d_name, "..") != 0)
			r = add_name(&names, &n, f->d_name);
	(void)closedir(d);
	if (r < 0) {
		serve_names_free(names, n);
		return r;
	}
	if (n)
		qsort(names, n, sizeof(*names), by_name);
	*ret = names;
	*ret_n = n;
	return 0;
}

int serve_path_add(struct serve_path *p, const char *name)
{
	size_t k = strlen(name), need = p->n + k + 2;

	if (need > p->size) {
		char *more = realloc(p->p, 2 * need);

		if (!more)
			return -ENOMEM;
		p->p = more;
		p->size = 2 * need;
	}
	if (p->n && p->p[p->n - 1] != '/')
		p->p[p->n++] = '/';
	memcpy(p->p + p->n, name, k + 1);
	p->n += k;
	return 0;
}

void serve_path_cut(struct serve_path *p, size_t n)
{
	p->n = n;
	p->p[n] = '\0';
}
