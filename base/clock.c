/* SPDX-License-Identifier: Apache-2.0
 *
 * Clocks and RFC 3339 (base/clock.h).
 */
#include "base/clock.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

uint64_t
clock_monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

int64_t
clock_wall_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

void
clock_print(int64_t wall_us, char text[static CLOCK_TEXT_LEN])
{
	time_t seconds = wall_us / 1000000;
	long us = wall_us % 1000000;
	struct tm tm;
	char whole[64];

	if (us < 0) {
		us += 1000000;
		seconds--;
	}
	if (gmtime_r(&seconds, &tm) == NULL)
		memset(&tm, 0, sizeof tm);
	snprintf(whole, sizeof whole, "%04d-%02d-%02dT%02d:%02d:%02d.%06ldZ", tm.tm_year + 1900, tm.tm_mon + 1,
	    tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, us);
	memcpy(text, whole, CLOCK_TEXT_LEN - 1);
	text[CLOCK_TEXT_LEN - 1] = '\0';
}

/* `count` digits at *at, as a number; -1 when there are none. */
static int
digits(const char **at, int count)
{
	int number = 0;

	for (int i = 0; i < count; i++) {
		if (**at < '0' || **at > '9')
			return -1;
		number = number * 10 + (*(*at)++ - '0');
	}
	return number;
}

static bool
take(const char **at, char wanted)
{
	if (**at != wanted)
		return false;
	(*at)++;
	return true;
}

/* Microseconds of ".123456"; digits beyond the sixth are dropped. -1 when malformed. */
static long
fraction(const char **at)
{
	long us = 0, scale = 100000;

	if (**at < '0' || **at > '9')
		return -1;
	for (; **at >= '0' && **at <= '9'; (*at)++, scale /= 10)
		us += (**at - '0') * scale;
	return us;
}

/* Seconds east of UTC from "Z" or "+01:00"; false when malformed. */
static bool
offset(const char **at, long *seconds)
{
	int sign = **at == '-' ? -1 : 1, hours, minutes;

	*seconds = 0;
	if (take(at, 'Z') || take(at, 'z'))
		return true;
	if (!take(at, '+') && !take(at, '-'))
		return false;
	hours = digits(at, 2);
	if (hours < 0 || hours > 23 || !take(at, ':'))
		return false;
	minutes = digits(at, 2);
	if (minutes < 0 || minutes > 59)
		return false;
	*seconds = sign * (hours * 3600L + minutes * 60L);
	return true;
}

static bool
date_and_minute(const char **at, struct tm *tm)
{
	int year = digits(at, 4), month, day, hour, minute;

	if (year < 1970 || !take(at, '-'))
		return false;
	month = digits(at, 2);
	if (month < 1 || month > 12 || !take(at, '-'))
		return false;
	day = digits(at, 2);
	if (day < 1 || day > 31 || !(take(at, 'T') || take(at, 't') || take(at, ' ')))
		return false;
	hour = digits(at, 2);
	if (hour < 0 || hour > 23 || !take(at, ':'))
		return false;
	minute = digits(at, 2);
	if (minute < 0 || minute > 59)
		return false;
	*tm =
	    (struct tm){.tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day, .tm_hour = hour, .tm_min = minute};
	return true;
}

int
clock_parse(const char *text, int64_t *wall_us, struct error *error)
{
	const char *at = text;
	struct tm tm, check;
	long us = 0, east;
	time_t seconds;

	if (!date_and_minute(&at, &tm))
		goto malformed;
	check = tm;
	if (take(&at, ':')) {
		int second = digits(&at, 2);

		if (second < 0 || second > 59)
			goto malformed;
		tm.tm_sec = second;
		if (take(&at, '.') && (us = fraction(&at)) < 0)
			goto malformed;
	}
	if (!offset(&at, &east) || *at != '\0')
		goto malformed;
	seconds = timegm(&tm);
	if (tm.tm_mday != check.tm_mday) /* 31 April became 1 May */
		goto malformed;
	*wall_us = ((int64_t)seconds - east) * 1000000 + us;
	return 0;
malformed:
	return error_set(error, -EINVAL,
	    "'%.40s' is not a time; write it like 2026-11-22T12:00Z or 2026-11-22T13:00:30+01:00", text);
}
