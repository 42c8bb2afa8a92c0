/* SPDX-License-Identifier: MIT */
#include "monitor/monitor.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#define LOG_BUFFER (128 * 1024)
#define LOG_PREFIX 64 /* "2006-01-02T15:04:05.999999999Z stdout F " and room */

static char buffer[LOG_BUFFER] __attribute__((aligned(4096)));

int log_open(struct log *l, const char *path, int64_t max_size, int max_files)
{
	struct stat st;

	l->path = path;
	l->max_size = max_size;
	l->max_files = max_files < 1 ? 1 : max_files;
	l->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (l->fd < 0)
		return -errno;
	l->size = fstat(l->fd, &st) == 0 ? st.st_size : 0;
	return 0;
}

/*
 * log -> log.1 -> log.2 ...; max_files counts the current one. The oldest is removed first: ext4 writes a
 * file out at once that is renamed over another (auto_da_alloc), which would hold the guest up.
 */
static void rotate(struct log *l)
{
	char from[PATH_MAX], to[PATH_MAX];
	int fd;

	for (int i = l->max_files - 1; i >= 1; i--) {
		(void)snprintf(to, sizeof(to), "%s.%d", l->path, i);
		if (i == l->max_files - 1)
			(void)unlink(to);
		if (i == 1)
			(void)snprintf(from, sizeof(from), "%s", l->path);
		else
			(void)snprintf(from, sizeof(from), "%s.%d", l->path, i - 1);
		(void)rename(from, to);
	}
	if (l->max_files == 1)
		(void)unlink(l->path);
	fd = open(l->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (fd < 0)
		return; /* goes on in the old one rather than nowhere */
	(void)close(l->fd);
	l->fd = fd;
	l->size = 0;
}

/* A full disk loses log lines, never the guest: what can't be written is dropped. */
static void flush(struct log *l, const char *p, size_t n)
{
	while (n > 0) {
		ssize_t k = write(l->fd, p, n);

		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return;
		l->size += k;
		p += k;
		n -= (size_t)k;
	}
}

static size_t prefix(char *p, int stream)
{
	struct timespec t;
	struct tm tm;

	(void)clock_gettime(CLOCK_REALTIME, &t);
	(void)gmtime_r(&t.tv_sec, &tm);
	return (size_t)snprintf(p, LOG_PREFIX, "%04d-%02d-%02dT%02d:%02d:%02d.%09ldZ %s ",
		tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
		t.tv_nsec, stream == 1 ? "stdout" : "stderr");
}

/*
 * One time stamp for all that came in one read. A record never splits over two files, so a rotated file
 * stands for itself.
 */
void log_write(struct log *l, int stream, const char *data, size_t size)
{
	char head[LOG_PREFIX];
	size_t head_size, used = 0;

	if (l->fd < 0)
		return;
	head_size = prefix(head, stream);
	while (size > 0) {
		const char *nl = memchr(data, '\n', size);
		size_t part = nl ? (size_t)(nl - data) : size;

		if (part > LOG_BUFFER / 2) {
			part = LOG_BUFFER / 2;
			nl = NULL;
		}
		if (used + head_size + part + 3 > sizeof(buffer) ||
			(l->max_size > 0 && l->size + (int64_t)used >= l->max_size)) {
			flush(l, buffer, used);
			used = 0;
			if (l->max_size > 0 && l->size >= l->max_size)
				rotate(l);
		}
		memcpy(buffer + used, head, head_size);
		used += head_size;
		buffer[used++] = nl ? 'F' : 'P';
		buffer[used++] = ' ';
		memcpy(buffer + used, data, part);
		used += part;
		buffer[used++] = '\n';
		l->midline[stream - 1] = !nl;
		part += nl != NULL;
		data += part;
		size -= part;
	}
	flush(l, buffer, used);
}

void log_idle(struct log *l)
{
	(void)madvise(buffer, sizeof(buffer), MADV_DONTNEED);
}

void log_end(struct log *l)
{
	for (int stream = 1; stream <= 2; stream++)
		l->midline[stream - 1] = false;
}
