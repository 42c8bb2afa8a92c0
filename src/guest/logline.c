/* SPDX-License-Identifier: MIT */
#include "guest/logline.h"

static int digits(const char *s, int n, int64_t *ret)
{
	*ret = 0;
	for (int i = 0; i < n; i++) {
		if (s[i] < '0' || s[i] > '9')
			return -E_CORRUPT;
		*ret = *ret * 10 + (s[i] - '0');
	}
	return 0;
}

/* Days since 1970 of the proleptic Gregorian calendar; years from March, so that the leap day is last. */
static int64_t days(int64_t y, int64_t m, int64_t d)
{
	y -= m <= 2;
	int64_t era = y / 400, year = y % 400;
	int64_t day = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;

	return era * 146097 + year * 365 + year / 4 - year / 100 + day - 719468;
}

int log_time(const char *s, size_t n, int64_t *ret)
{
	int64_t y, mo, d, h, mi, sec, ns = 0, scale = 100000000;

	if (n < 20 || s[n - 1] != 'Z' || s[4] != '-' || s[7] != '-' || s[10] != 'T' ||
		s[13] != ':' || s[16] != ':')
		return -E_CORRUPT;
	if (digits(s, 4, &y) < 0 || digits(s + 5, 2, &mo) < 0 || digits(s + 8, 2, &d) < 0 ||
		digits(s + 11, 2, &h) < 0 || digits(s + 14, 2, &mi) < 0 ||
		digits(s + 17, 2, &sec) < 0)
		return -E_CORRUPT;
	if (y < 1970 || mo < 1 || mo > 12 || d < 1 || d > 31 || h > 23 || mi > 59 || sec > 60)
		return -E_CORRUPT;
	if (n > 20) {
		if (s[19] != '.' || n > 30)
			return -E_CORRUPT;
		for (size_t i = 20; i < n - 1; i++, scale /= 10) {
			if (s[i] < '0' || s[i] > '9')
				return -E_CORRUPT;
			ns += (s[i] - '0') * scale;
		}
	}
	if (y > 2261) /* what 64 bits hold */
		return -E_CORRUPT;
	*ret = ((days(y, mo, d) * 24 + h) * 60 + mi) * 60 + sec;
	*ret = *ret * 1000000000 + ns;
	return 0;
}
