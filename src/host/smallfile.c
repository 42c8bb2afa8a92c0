/* SPDX-License-Identifier: MIT */
#include "host/smallfile.h"

#include <fcntl.h>
#include <string.h>

int small_read_at(int dir_fd, const char *path, char *buf, size_t size)
{
	_cleanup_close_ int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, buf, size - 1);
	if (n < 0)
		return -errno;
	/* seq_file gives a page at most a call */
	for (ssize_t m; (size_t)n < size - 1 && n >= 1024; n += m) {
		m = read(fd, buf + n, size - 1 - (size_t)n);
		if (m <= 0)
			break;
	}
	if (n > 0 && buf[n - 1] == '\n')
		n--;
	buf[n] = '\0';
	return (int)n;
}

int small_read(const char *path, char *buf, size_t size)
{
	return small_read_at(AT_FDCWD, path, buf, size);
}

int small_parse_u64(const char *s, uint64_t *ret)
{
	uint64_t v = 0;

	if (!*s)
		return -EINVAL;
	for (; *s; s++) {
		if (*s < '0' || *s > '9')
			return -EINVAL;
		if (__builtin_mul_overflow(v, 10, &v) ||
			__builtin_add_overflow(v, (uint64_t)(*s - '0'), &v))
			return -ERANGE;
	}
	*ret = v;
	return 0;
}

int small_parse_i64(const char *s, int64_t *ret)
{
	uint64_t v;
	int r = small_parse_u64(*s == '-' ? s + 1 : s, &v);

	if (r < 0)
		return r;
	if (v > INT64_MAX)
		return -ERANGE;
	*ret = *s == '-' ? -(int64_t)v : (int64_t)v;
	return 0;
}

int small_take_u64(const char **s, uint64_t *ret)
{
	size_t n = strspn(*s, "0123456789");
	char num[24];
	int r;

	if (n == 0 || n >= sizeof(num))
		return -EINVAL;
	memcpy(num, *s, n);
	num[n] = '\0';
	r = small_parse_u64(num, ret);
	if (r >= 0)
		*s += n;
	return r;
}

int small_take_two(const char **s, char between, unsigned *ret_a, unsigned *ret_b)
{
	const char *p = *s;
	uint64_t a, b;

	if (small_take_u64(&p, &a) < 0 || *p++ != between || small_take_u64(&p, &b) < 0 ||
		a > UINT32_MAX || b > UINT32_MAX)
		return -EINVAL;
	*ret_a = (unsigned)a;
	*ret_b = (unsigned)b;
	*s = p;
	return 0;
}

int small_read_u64(const char *path, uint64_t *ret)
{
	char buf[64];
	int r = small_read(path, buf, sizeof(buf));

	if (r < 0)
		return r;
	if (strcmp(buf, "max") == 0) {
		*ret = UINT64_MAX;
		return 0;
	}
	return small_parse_u64(buf, ret);
}

int small_write_at(int dir_fd, const char *path, const char *text)
{
	_cleanup_close_ int fd = openat(dir_fd, path, O_WRONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = write(fd, text, strlen(text));
	return n < 0 ? -errno : 0;
}

int small_write(const char *path, const char *text)
{
	return small_write_at(AT_FDCWD, path, text);
}

int small_find_u64(const char *text, const char *key, uint64_t *ret)
{
	size_t n = strlen(key);

	for (const char *p = text; p; p = strchr(p, '\n'), p = p ? p + 1 : NULL) {
		if (strncmp(p, key, n) != 0 || (p[n] != ' ' && p[n] != ':' && p[n] != '\t'))
			continue;
		p += n;
		p += strspn(p, ": \t");
		return small_take_u64(&p, ret);
	}
	return -ENOENT;
}
