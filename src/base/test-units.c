/* SPDX-License-Identifier: MIT */
#include "base/units.h"

#include <glib.h>

#define S  INT64_C(1000000000)
#define NO INT64_MIN /* refused */

struct row {
	const char *text;
	int64_t want;
};

static void check(int (*parse)(const char *s, int64_t *ret), const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int64_t got = NO;
		int r = parse(rows[i].text, &got);

		if (got != rows[i].want || (r == 0) != (rows[i].want != NO))
			g_error("'%s': %d, %" G_GINT64_FORMAT ", not %" G_GINT64_FORMAT,
				rows[i].text, r, got, rows[i].want);
	}
}

static void test_size(void)
{
	static const struct row rows[] = {
		{ "0", 0 },
		{ "1024", 1024 },
		{ "512k", 512 << 10 },
		{ "64M", 64 << 20 },
		{ "1.5g", 3 << 29 },
		{ "10GiB", INT64_C(10) << 30 },
		{ "2MB", 2 << 20 },
		{ "1 kb", 1024 },
		{ "3b", 3 },
		{ ".5k", 512 },
		{ "1t", INT64_C(1) << 40 },
		{ "1PiB", INT64_C(1) << 50 },
		{ "0.1k", 102 },
		{ "9223372036854775807", INT64_MAX },
		{ "9223372036854775808", NO },
		{ "8388608t", NO },
		{ "99999999999999999999", NO },
		{ "", NO },
		{ "k", NO },
		{ "-1", NO },
		{ "1x", NO },
		{ "1ki", NO },
		{ "1kbb", NO },
		{ "1 ", NO },
		{ "1e3", NO },
		{ "0x10", NO },
		{ "1..5", NO },
	};

	check(units_parse_size, rows, G_N_ELEMENTS(rows));
}

static void test_duration(void)
{
	static const struct row rows[] = {
		{ "10", 10 * S },
		{ "1.5", 3 * S / 2 },
		{ "0", 0 },
		{ "1h30m", 5400 * S },
		{ "300ms", 300000000 },
		{ "1m30s", 90 * S },
		{ "1us", 1000 },
		{ "1\xc2\xb5s", 1000 },
		{ "1\xce\xbcs", 1000 },
		{ "2ns", 2 },
		{ "-1.5h", -5400 * S },
		{ "+1s", S },
		{ "-1", -S },
		{ ".5m", 30 * S },
		{ "2562047h", 2562047 * (3600 * S) },
		{ "2562048h", NO },
		{ "", NO },
		{ "s", NO },
		{ "1m2", NO },
		{ "1 s", NO },
		{ "1d", NO },
		{ "-", NO },
		{ "--1s", NO },
	};

	check(units_parse_duration, rows, G_N_ELEMENTS(rows));
}

static int moment(const char *s, int64_t *ret)
{
	return units_parse_moment(s, 1000 * S, ret);
}

static void test_moment(void)
{
	static const struct row rows[] = {
		{ "10m", 400 * S },
		{ "-5s", 1005 * S },
		{ "1136073845.000000001", 1136073845 * S + 1 },
		{ "0", 0 },
		{ "1970-01-01T00:00:01Z", S },
		{ "1970-01-01T01:00:01+01:00", S },
		{ "1969-12-31T23:00:01.5-01:00", 3 * S / 2 },
		{ "2024-02-29T12:00Z", 1709208000 * S },
		{ "2024-02-29T12Z", 1709208000 * S },
		{ "2024-02-29Z", 1709164800 * S },
		{ "2024-02-29", 1709164800 * S }, /* TZ is UTC0 here */
		{ "2024-02-29T12:00:00.123456789", 1709208000 * S + 123456789 },
		{ "2023-02-29", NO },
		{ "1900-02-29", NO },
		{ "2024-13-01", NO },
		{ "2024-00-01", NO },
		{ "2024-04-31", NO },
		{ "2024-01-01T24:00", NO },
		{ "2024-01-01T12:60", NO },
		{ "2024-01-01T12:00:00X", NO },
		{ "2024-01-01T12:00:00+0100", NO },
		{ "2024-01", NO },
		{ "2299-01-01T00:00:00Z", NO },
		{ "yesterday", NO },
		{ "", NO },
	};

	g_setenv("TZ", "UTC0", TRUE);
	check(moment, rows, G_N_ELEMENTS(rows));
}

static int whole(const char *s, int64_t *ret)
{
	return units_parse_int(s, -5, 9, ret);
}

static int any_whole(const char *s, int64_t *ret)
{
	return units_parse_int(s, INT64_MIN, INT64_MAX, ret);
}

static void test_int(void)
{
	static const struct row rows[] = {
		{ "9", 9 },
		{ "-5", -5 },
		{ "+3", 3 },
		{ "007", 7 },
		{ "10", NO },
		{ "-6", NO },
		{ "", NO },
		{ "-", NO },
		{ "1 ", NO },
		{ " 1", NO },
		{ "0x1", NO },
		{ "99999999999999999999", NO },
	};
	static const struct row wide[] = {
		{ "9223372036854775807", INT64_MAX },
		{ "-9223372036854775807", -INT64_MAX },
		{ "9223372036854775808", NO },
		{ "-9223372036854775809", NO },
	};
	int64_t least = 0;

	check(whole, rows, G_N_ELEMENTS(rows));
	check(any_whole, wide, G_N_ELEMENTS(wide));
	g_assert_cmpint(any_whole("-9223372036854775808", &least), ==, 0);
	g_assert_cmpint(least, ==, INT64_MIN);
}

static void check_text(char *got, const char *want)
{
	g_assert_cmpstr(got, ==, want);
	g_free(got);
}

static void test_show(void)
{
	check_text(units_show_size(0), "0B");
	check_text(units_show_size(999), "999B");
	check_text(units_show_size(1000), "1kB");
	check_text(units_show_size(124500000), "124.5MB");
	check_text(units_show_size(1234567), "1.235MB");
	check_text(units_show_size(INT64_MAX), "9.223EB");
	check_text(units_show_size_binary(1023), "1023B");
	check_text(units_show_size_binary(1536), "1.5KiB");
	check_text(units_show_size_binary(INT64_C(1) << 30), "1GiB");
	check_text(units_show_time(0), "1970-01-01T00:00:00.000000000Z");
	check_text(units_show_time(-1), "1969-12-31T23:59:59.999999999Z");
	check_text(units_show_time(1709208000 * S + 120), "2024-02-29T12:00:00.000000120Z");
}

static void test_show_duration(void)
{
	static const struct {
		int64_t seconds;
		const char *want;
	} rows[] = {
		{ 0, "Less than a second" },
		{ 1, "1 second" },
		{ 59, "59 seconds" },
		{ 60, "About a minute" },
		{ 119, "About a minute" },
		{ 120, "2 minutes" },
		{ 3599, "59 minutes" },
		{ 3600, "About an hour" },
		{ 5399, "About an hour" },
		{ 5400, "2 hours" },
		{ 47 * 3600, "47 hours" },
		{ 48 * 3600, "2 days" },
		{ 13 * 86400, "13 days" },
		{ 14 * 86400, "2 weeks" },
		{ 59 * 86400, "8 weeks" },
		{ 60 * 86400, "2 months" },
		{ 700 * 86400, "23 months" },
		{ 730 * 86400, "2 years" },
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
		check_text(units_show_duration(rows[i].seconds * S), rows[i].want);
	check_text(units_show_duration(-5), "Less than a second");
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/units/size", test_size);
	g_test_add_func("/units/duration", test_duration);
	g_test_add_func("/units/moment", test_moment);
	g_test_add_func("/units/int", test_int);
	g_test_add_func("/units/show", test_show);
	g_test_add_func("/units/show-duration", test_show_duration);
	return g_test_run();
}
