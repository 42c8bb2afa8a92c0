/* SPDX-License-Identifier: MIT */
#include "guest/machine-text.h"

#include <glib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/macros.h"

#define TICKS	   100 /* a second */
#define TARGET_MAX 4096
#define CHANGE_MAX (64 * 1024) /* bytes of a line */

/* A number and the blank (or end) after it. */
static bool take_number(const char **p, const char *end, unsigned base, uint64_t max, uint64_t *ret)
{
	const char *start = *p;
	uint64_t v = 0;

	for (; *p < end && **p != ' '; (*p)++) {
		unsigned digit = (unsigned)(**p - '0');

		if (digit >= base || v > (max - digit) / base)
			return false;
		v = v * base + digit;
	}
	if (*p == start)
		return false;
	if (*p < end)
		(*p)++;
	*ret = v;
	return true;
}

/* --- stat --- */

int machine_stat_parse(const char *text, size_t n, mode_t *ret_mode, char **ret_target)
{
	const char *p = text, *end = text + n;
	uint64_t mode, skipped;

	if (n == 0 || n > TARGET_MAX + 256 || memchr(text, 0, n) || end[-1] != '\n')
		return -E_CORRUPT;
	end--;
	if (!take_number(&p, end, 8, 0177777, &mode))
		return -E_CORRUPT;
	for (int i = 0; i < 3; i++)
		if (!take_number(&p, end, 10, INT64_MAX, &skipped))
			return -E_CORRUPT;
	if (p < end && *p == '-') /* before 1970 */
		p++;
	if (!take_number(&p, end, 10, UINT64_MAX, &skipped))
		return -E_CORRUPT;
	if (S_ISLNK(mode) && p == end)
		return -E_CORRUPT;
	*ret_mode = (mode_t)mode;
	*ret_target = g_strndup(p, (gsize)(end - p));
	return 0;
}

/* --- changes --- */

static char *unescape(const char *p, size_t n)
{
	GString *s = g_string_sized_new(n);

	for (size_t i = 0; i < n; i++) {
		if (p[i] == '\\' && i + 1 < n) {
			i++;
			g_string_append_c(s, p[i] == 'n' ? '\n' : p[i]);
		} else {
			g_string_append_c(s, p[i]);
		}
	}
	return g_string_free(s, FALSE);
}

/* Mount points that every guest has, where the image lacks them; mount points of volumes are told. */
static bool is_ours(char kind, const char *path)
{
	static const char *const ours[] = { "/etc/hostname", "/etc/hosts", "/etc/resolv.conf",
		"/dev", "/proc", "/sys", NULL };

	return kind == 'A' && g_strv_contains(ours, path);
}

static void add_change(json_t *all, const char *path, char kind)
{
	/* docker's numbers */
	int number = kind == 'A' ? 1 : kind == 'D' ? 2 : 0;
	json_t *j = json_pack("{s:s, s:i}", "Path", path, "Kind", number);

	if (j)
		json_array_append_new(all, j);
}

/* "A /PATH\n"; the end of the line, or NULL. */
static const char *take_change(const char *p, const char *end, char **ret_path)
{
	const char *nl = memchr(p, '\n', (size_t)(end - p));

	if (!nl || nl - p < 3 || nl - p > CHANGE_MAX || !strchr("ACD", *p) || p[1] != ' ' ||
		p[2] != '/' || memchr(p, 0, (size_t)(nl - p)))
		return NULL;
	*ret_path = unescape(p + 2, (size_t)(nl - p) - 2);
	return nl + 1;
}

int machine_changes_parse(const char *text, size_t n, json_t **ret)
{
	const char *p = text, *end = text + n, *next;
	json_t *all = json_array();
	size_t etc = 0, told = 0, hidden = 0; /* /etc itself: its place in the list from 1; in it */

	for (; p < end; p = next) {
		g_autofree char *path = NULL;

		next = take_change(p, end, &path);
		if (!next) {
			json_decref(all);
			return -E_CORRUPT;
		}
		if (is_ours(*p, path)) {
			hidden += g_str_has_prefix(path, "/etc/");
			continue;
		}
		add_change(all, path, *p);
		if (g_str_equal(path, "/etc") && *p != 'D')
			etc = json_array_size(all);
		told += g_str_has_prefix(path, "/etc/");
	}
	/* it changed for what is ours only */
	if (etc && hidden > 0 && told == 0)
		(void)json_array_remove(all, etc - 1);
	*ret = all;
	return 0;
}

/* --- ps --- */

struct process {
	uint64_t pid, ppid, uid, start, utime, stime;
	int64_t tty;
	char *comm, *arguments;
};

static void process_clear(struct process *p)
{
	g_free(p->comm);
	g_free(p->arguments);
}

/* "TEXT", with \" and \\ and \xHH in it. What a terminal would take for more than text is shown as '?'. */
static char *take_quoted(const char **p, const char *end)
{
	GString *s;

	if (*p >= end || **p != '"')
		return NULL;
	(*p)++;
	s = g_string_new(NULL);
	while (*p < end && **p != '"') {
		unsigned char c = (unsigned char)*(*p)++;

		if (c == '\\' && *p < end) {
			c = (unsigned char)*(*p)++;
			if (c == 'x' && end - *p >= 2 && g_ascii_isxdigit((*p)[0]) &&
				g_ascii_isxdigit((*p)[1])) {
				*p += 2;
				c = '?';
			}
		}
		g_string_append_c(s, c < ' ' || c == 0x7f ? '?' : (char)c);
	}
	if (*p >= end) {
		g_string_free(s, TRUE);
		return NULL;
	}
	(*p)++;
	if (*p < end && **p == ' ')
		(*p)++;
	return g_string_free(s, FALSE);
}

static int parse_process(const char *p, const char *end, struct process *ret)
{
	uint64_t tty, *const numbers[] = { &ret->pid, &ret->ppid, &ret->uid, &ret->start,
		&ret->utime, &ret->stime };
	bool minus;

	for (unsigned i = 0; i < ELEMENTSOF(numbers); i++)
		if (!take_number(&p, end, 10, INT64_MAX / TICKS, numbers[i]))
			return -E_CORRUPT;
	minus = p < end && *p == '-';
	p += minus;
	if (!take_number(&p, end, 10, INT32_MAX, &tty))
		return -E_CORRUPT;
	ret->tty = minus ? 0 : (int64_t)tty;
	ret->comm = take_quoted(&p, end);
	ret->arguments = ret->comm ? take_quoted(&p, end) : NULL;
	return ret->arguments && p == end ? 0 : -E_CORRUPT;
}

/* A device number as proc(5) has it: /dev/pts/N, the consoles. */
static char *tty_name(int64_t tty)
{
	unsigned major = (unsigned)tty >> 8 & 0xfff;
	unsigned minor = ((unsigned)tty & 0xff) | ((unsigned)tty >> 12 & 0xfff00);

	if (major >= 136 && major <= 143)
		return g_strdup_printf("pts/%u", minor + (major - 136) * 256);
	if (major == 4)
		return minor < 64 ? g_strdup_printf("tty%u", minor)
				  : g_strdup_printf("ttyS%u", minor - 64);
	return g_strdup(major == 5 && minor == 1 ? "console" : "?");
}

/* As ps has it: the time of today, else the day, else the year. */
static char *start_text(int64_t start, int64_t now)
{
	time_t t = (time_t)start, n = (time_t)now;
	struct tm then, today;
	char text[32] = "?";

	if (localtime_r(&t, &then) && localtime_r(&n, &today))
		(void)strftime(text, sizeof(text),
			then.tm_year != today.tm_year	? "%Y"
			: then.tm_yday != today.tm_yday ? "%b%d"
							: "%H:%M",
			&then);
	return g_strdup(text);
}

static char *time_text(uint64_t seconds)
{
	uint64_t days = seconds / 86400;
	unsigned h = (unsigned)(seconds / 3600 % 24), m = (unsigned)(seconds / 60 % 60),
		 s = (unsigned)(seconds % 60);

	return days ? g_strdup_printf("%" G_GUINT64_FORMAT "-%02u:%02u:%02u", days, h, m, s)
		    : g_strdup_printf("%02u:%02u:%02u", h, m, s);
}

static void take(json_t *row, char *text)
{
	json_array_append_new(row, json_string(text) ?: json_string("?"));
	g_free(text);
}

static json_t *row_of(const struct process *p, uint64_t up, int64_t now)
{
	uint64_t age = up > p->start ? up - p->start : 1, used = p->utime + p->stime;
	json_t *row = json_array();

	/* names are the guest's own affair; this one is the same everywhere */
	take(row, p->uid ? g_strdup_printf("%" G_GUINT64_FORMAT, p->uid) : g_strdup("root"));
	take(row, g_strdup_printf("%" G_GUINT64_FORMAT, p->pid));
	take(row, g_strdup_printf("%" G_GUINT64_FORMAT, p->ppid));
	take(row, g_strdup_printf("%u", (unsigned)MIN(used * 100 / age, 99)));
	take(row, start_text(now / 1000000000 - (int64_t)(age / TICKS), now / 1000000000));
	take(row, tty_name(p->tty));
	take(row, time_text(used / TICKS));
	take(row, *p->arguments ? g_strdup(p->arguments) : g_strdup_printf("[%s]", p->comm));
	return row;
}

int machine_ps_parse(const char *text, size_t n, int64_t now, json_t **ret)
{
	static const char *const titles[] = { "UID", "PID", "PPID", "C", "STIME", "TTY", "TIME",
		"CMD" };
	const char *p = text, *end = text + n;
	json_t *rows = json_array(), *names = json_array();
	bool first = true;
	uint64_t up = 0;
	int r = 0;

	while (r >= 0 && p < end) {
		_cleanup_(process_clear) struct process one = { 0 };
		const char *nl = memchr(p, '\n', (size_t)(end - p));

		if (!nl || memchr(p, 0, (size_t)(nl - p)))
			r = -E_CORRUPT;
		else if (first)
			r = nl - p > 3 && memcmp(p, "up ", 3) == 0 &&
					    (p += 3,
						    take_number(&p, nl, 10, INT64_MAX / TICKS, &up))
				    ? 0
				    : -E_CORRUPT;
		else
			r = parse_process(p, nl, &one);
		if (r >= 0 && !first)
			json_array_append_new(rows, row_of(&one, up, now));
		first = false;
		p = nl ? nl + 1 : end;
	}
	if (r < 0 || first) {
		json_decref(rows);
		json_decref(names);
		return -E_CORRUPT;
	}
	for (unsigned i = 0; i < ELEMENTSOF(titles); i++)
		json_array_append_new(names, json_string(titles[i]));
	*ret = json_pack("{s:o, s:o}", "Titles", names, "Processes", rows);
	return 0;
}
