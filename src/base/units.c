/* SPDX-License-Identifier: MIT */
#include "base/units.h"

#include <glib.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define NS_PER_S	  1000000000LL
#define NUMBER_DIGITS_MAX 40 /* of one number; more is nobody's intent */

/* A decimal number without sign or exponent: whole.fraction. Exact, so that "0.1" is ten hundredths. */
struct decimal {
	uint64_t whole;
	uint64_t fraction; /* scaled by 1e18 */
	bool fractional;   /* a '.' was there */
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Reads a number at *s and moves it on. -EINVAL when there is no digit. */
static int parse_decimal(const char **s, struct decimal *ret)
{
	struct decimal d = {};
	uint64_t unit = 100000000000000000ULL; /* 1e17 */
	const char *p = *s, *start = p;
	bool digits = false;

	for (; is_digit(*p); p++, digits = true) {
		if (__builtin_mul_overflow(d.whole, 10, &d.whole) ||
			__builtin_add_overflow(d.whole, (uint64_t)(*p - '0'), &d.whole))
			return -ERANGE;
	}
	if (*p == '.') {
		d.fractional = true;
		for (p++; is_digit(*p); p++, unit /= 10, digits = true)
			d.fraction += unit * (uint64_t)(*p - '0');
	}
	if (!digits || p - start > NUMBER_DIGITS_MAX)
		return -EINVAL;
	*s = p;
	*ret = d;
	return 0;
}

/* d * unit, cut to whole; unit fits 1 PiB or one hour of nanoseconds. */
static int scale_decimal(const struct decimal *d, int64_t unit, int64_t *ret)
{
	int64_t part =
		(int64_t)((unsigned __int128)d->fraction * (uint64_t)unit / 1000000000000000000ULL);
	int64_t n;

	if (d->whole > INT64_MAX || __builtin_mul_overflow((int64_t)d->whole, unit, &n) ||
		__builtin_add_overflow(n, part, &n))
		return -ERANGE;
	*ret = n;
	return 0;
}

int units_parse_size(const char *s, int64_t *ret_bytes)
{
	static const char letters[] = "kmgtp";
	struct decimal d;
	const char *at;
	int shift = 0, r;

	r = parse_decimal(&s, &d);
	if (r < 0)
		return r;
	if (*s == ' ' && s[1])
		s++;
	at = *s ? strchr(letters, g_ascii_tolower(*s)) : NULL;
	if (at) {
		shift = 10 * (int)(at - letters + 1);
		s++;
		if (*s == 'i' || *s == 'I') {
			s++;
			if (*s != 'b' && *s != 'B')
				return -EINVAL;
		}
	}
	if (*s == 'b' || *s == 'B')
		s++;
	if (*s)
		return -EINVAL;
	return scale_decimal(&d, 1LL << shift, ret_bytes);
}

static int64_t duration_unit(const char **s)
{
	/* longest first, "m" must not eat the start of "ms" */
	static const struct {
		const char *name;
		int64_t ns;
	} units[] = {
		{ "ns", 1 },
		{ "us", 1000 },
		{ "\u00b5s", 1000 }, /* micro sign */
		{ "\u03bcs", 1000 }, /* Greek mu */
		{ "ms", 1000000 },
		{ "s", NS_PER_S },
		{ "m", 60 * NS_PER_S },
		{ "h", 3600 * NS_PER_S },
	};

	for (size_t i = 0; i < ELEMENTSOF(units); i++) {
		size_t n = strlen(units[i].name);

		if (strncmp(*s, units[i].name, n) == 0) {
			*s += n;
			return units[i].ns;
		}
	}
	return 0;
}

/* need_unit: Go's own rule, where only "0" may stand bare. */
static int parse_duration(const char *s, bool need_unit, int64_t *ret_ns)
{
	int64_t total = 0, ns, unit;
	bool negative = false;
	struct decimal d;
	int r;

	if (*s == '-' || *s == '+')
		negative = *s++ == '-';
	for (bool first = true; *s || first; first = false) {
		r = parse_decimal(&s, &d);
		if (r < 0)
			return r;
		unit = duration_unit(&s);
		if (!unit) {
			if (!first || *s || (need_unit && (d.whole || d.fraction || d.fractional)))
				return -EINVAL;
			unit = NS_PER_S;
		}
		r = scale_decimal(&d, unit, &ns);
		if (r < 0)
			return r;
		if (__builtin_add_overflow(total, ns, &total))
			return -ERANGE;
	}
	*ret_ns = negative ? -total : total;
	return 0;
}

int units_parse_duration(const char *s, int64_t *ret_ns)
{
	return parse_duration(s, false, ret_ns);
}

/* Two digits in lo..hi at *s. */
static int two_digits(const char **s, int lo, int hi, int *ret)
{
	const char *p = *s;
	int n;

	if (!is_digit(p[0]) || !is_digit(p[1]))
		return -EINVAL;
	n = (p[0] - '0') * 10 + (p[1] - '0');
	if (n < lo || n > hi)
		return -EINVAL;
	*s = p + 2;
	*ret = n;
	return 0;
}

/* "T15", "T15:04", "T15:04:05", "T15:04:05.999" */
static int parse_clock(const char **s, struct tm *tm, int64_t *ret_ns)
{
	struct decimal d;
	int r;

	*ret_ns = 0;
	if (**s != 'T' && **s != 't')
		return 0;
	(*s)++;
	if (two_digits(s, 0, 23, &tm->tm_hour) < 0)
		return -EINVAL;
	if (**s != ':')
		return 0;
	(*s)++;
	if (two_digits(s, 0, 59, &tm->tm_min) < 0)
		return -EINVAL;
	if (**s != ':')
		return 0;
	(*s)++;
	if (two_digits(s, 0, 59, &tm->tm_sec) < 0)
		return -EINVAL;
	if (**s != '.')
		return 0;
	r = parse_decimal(s, &d);
	return r < 0 ? r : scale_decimal(&d, NS_PER_S, ret_ns);
}

/* "Z", "+02:00": 1 and the offset in seconds; 0 when the text ends; or -EINVAL. */
static int parse_zone(const char **s, int *ret_offset)
{
	int h, m, sign;

	*ret_offset = 0;
	if (**s == '\0')
		return 0;
	if (**s == 'Z' || **s == 'z') {
		(*s)++;
		return **s ? -EINVAL : 1;
	}
	if (**s != '+' && **s != '-')
		return -EINVAL;
	sign = *(*s)++ == '-' ? -1 : 1;
	if (two_digits(s, 0, 23, &h) < 0 || *(*s)++ != ':' || two_digits(s, 0, 59, &m) < 0 || **s)
		return -EINVAL;
	*ret_offset = sign * (h * 3600 + m * 60);
	return 1;
}

static int parse_date(const char *s, int64_t *ret_ns)
{
	static const int days[] = { 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	struct tm tm = { .tm_isdst = -1 };
	int century, year, offset, r;
	int64_t t, fraction;

	if (two_digits(&s, 16, 22, &century) < 0 || two_digits(&s, 0, 99, &year) < 0 ||
		*s++ != '-' || two_digits(&s, 1, 12, &tm.tm_mon) < 0 || *s++ != '-')
		return -EINVAL;
	year += 100 * century;
	tm.tm_year = year - 1900;
	tm.tm_mon--;
	if (two_digits(&s, 1, days[tm.tm_mon], &tm.tm_mday) < 0)
		return -EINVAL;
	if (tm.tm_mon == 1 && tm.tm_mday == 29 && (year % 4 || (year % 100 == 0 && year % 400)))
		return -EINVAL;
	r = parse_clock(&s, &tm, &fraction);
	if (r < 0)
		return r;
	r = parse_zone(&s, &offset);
	if (r < 0)
		return r;
	t = r ? timegm(&tm) - offset : mktime(&tm);
	if (__builtin_mul_overflow(t, NS_PER_S, &t) || __builtin_add_overflow(t, fraction, &t))
		return -ERANGE;
	*ret_ns = t;
	return 0;
}

int units_parse_moment(const char *s, int64_t now_ns, int64_t *ret_ns)
{
	const char *p = s;
	struct decimal d;
	int64_t ns;
	int r;

	if (strchr(s, '-') > s)
		return parse_date(s, ret_ns);
	r = parse_decimal(&p, &d);
	if (r == 0 && *p == '\0')
		return scale_decimal(&d, NS_PER_S, ret_ns);
	r = parse_duration(s, true, &ns);
	if (r < 0)
		return r;
	return __builtin_sub_overflow(now_ns, ns, ret_ns) ? -ERANGE : 0;
}

int units_parse_int(const char *s, int64_t min, int64_t max, int64_t *ret)
{
	bool negative = *s == '-';
	int64_t n = 0;

	if (*s == '-' || *s == '+')
		s++;
	if (!*s)
		return -EINVAL;
	for (const char *p = s; *p; p++)
		if (!is_digit(*p))
			return -EINVAL;
	/* counted downwards: the lowest number has no positive twin */
	for (; *s; s++)
		if (__builtin_mul_overflow(n, 10, &n) || __builtin_sub_overflow(n, *s - '0', &n))
			return -ERANGE;
	if (!negative && __builtin_sub_overflow(0, n, &n))
		return -ERANGE;
	if (n < min || n > max)
		return -ERANGE;
	*ret = n;
	return 0;
}

static char *show_size(int64_t bytes, double base, const char *const *names)
{
	double size = (double)bytes;
	char digits[32];

	while (size >= base && names[1]) {
		size /= base;
		names++;
	}
	(void)snprintf(digits, sizeof(digits), "%.4g", size);
	return g_strconcat(digits, *names, NULL);
}

char *units_show_size(int64_t bytes)
{
	static const char *const names[] = { "B", "kB", "MB", "GB", "TB", "PB", "EB", NULL };

	return show_size(bytes, 1000, names);
}

char *units_show_size_binary(int64_t bytes)
{
	static const char *const names[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", NULL };

	return show_size(bytes, 1024, names);
}

char *units_show_duration(int64_t ns)
{
	int64_t s = ns / NS_PER_S, m = s / 60, h = (s + 1800) / 3600;

	if (s < 1)
		return g_strdup("Less than a second");
	if (s == 1)
		return g_strdup("1 second");
	if (s < 60)
		return g_strdup_printf("%d seconds", (int)s);
	if (m == 1)
		return g_strdup("About a minute");
	if (m < 60)
		return g_strdup_printf("%d minutes", (int)m);
	if (h == 1)
		return g_strdup("About an hour");
	if (h < 48)
		return g_strdup_printf("%d hours", (int)h);
	if (h < 24 * 7 * 2)
		return g_strdup_printf("%d days", (int)h / 24);
	if (h < 24 * 30 * 2)
		return g_strdup_printf("%d weeks", (int)h / 24 / 7);
	if (h < 24 * 365 * 2)
		return g_strdup_printf("%d months", (int)h / 24 / 30);
	return g_strdup_printf("%d years", (int)(s / 3600 / 24 / 365));
}

char *units_show_time(int64_t ns)
{
	int64_t fraction = ns % NS_PER_S;
	time_t t = ns / NS_PER_S;
	struct tm tm;
	char text[32];

	if (fraction < 0) {
		fraction += NS_PER_S;
		t--;
	}
	gmtime_r(&t, &tm);
	(void)strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	return g_strdup_printf("%s.%09dZ", text, (int)fraction);
}
