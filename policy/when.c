/* SPDX-License-Identifier: Apache-2.0
 *
 * Windows of the week (policy/when.h). Pure: the time is an argument.
 */
#include "policy/when.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define MINUTE_US    INT64_C(60000000)
#define EPOCH_IS_DAY 3 /* 1970-01-01 was a Thursday */

static const char day_names[7][4] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};

/* Rounds down, also before 1970. */
static int64_t
floor_divide(int64_t number, int64_t by)
{
	int64_t whole = number / by;

	return number % by < 0 ? whole - 1 : whole;
}

bool
when_match(const struct when *when, int64_t at_us)
{
	int64_t utc = floor_divide(at_us, MINUTE_US), minutes = utc + zone_east(&when->zone, utc);
	int64_t days = floor_divide(minutes, DAY_MINUTES);
	int minute = (int)(minutes - days * DAY_MINUTES);
	int day = (int)(((days + EPOCH_IS_DAY) % 7 + 7) % 7), day_before = (day + 6) % 7;
	bool today = when->days >> day & 1, began_yesterday = when->days >> day_before & 1;

	if (when->from < when->to)
		return today && minute >= when->from && minute < when->to;
	return (today && minute >= when->from) || (began_yesterday && minute < when->to);
}

static int
find_day(const char *text, size_t length)
{
	for (int day = 0; day < 7; day++)
		if (length == 3 && memcmp(text, day_names[day], 3) == 0)
			return day;
	return -1;
}

uint8_t
when_parse_days(const char *text)
{
	const char *dash = strchr(text, '-');
	int first = find_day(text, dash ? (size_t)(dash - text) : strlen(text));
	int last = dash ? find_day(dash + 1, strlen(dash + 1)) : first;
	uint8_t mask = 0;

	if (first < 0 || last < 0)
		return 0;
	for (int day = first; day != last; day = (day + 1) % 7)
		mask |= (uint8_t)(1 << day);
	return mask | (uint8_t)(1 << last);
}

/* "07:00" as minutes; -1 when it is not of that form. Hours are not checked. */
static int
hours_and_minutes(const char *text)
{
	static const char form[] = "dd:dd";

	if (strlen(text) != sizeof form - 1)
		return -1;
	for (size_t i = 0; i < sizeof form - 1; i++)
		if (form[i] == 'd' ? text[i] < '0' || text[i] > '9' : text[i] != form[i])
			return -1;
	if (text[3] > '5')
		return -1;
	return ((text[0] - '0') * 10 + text[1] - '0') * 60 + (text[3] - '0') * 10 + text[4] - '0';
}

int
when_parse_minute(const char *text)
{
	int minute = hours_and_minutes(text);

	return minute > DAY_MINUTES ? -1 : minute;
}

void
when_print_days(uint8_t days, const char *between, char text[static DAYS_TEXT_LEN])
{
	size_t used = 0;

	text[0] = '\0';
	for (int first = 0; first < 7; first++) {
		int last = first;

		if (!(days >> first & 1) || (first > 0 && days >> (first - 1) & 1))
			continue;
		while (last < 6 && days >> (last + 1) & 1)
			last++;
		used +=
		    (size_t)snprintf(text + used, DAYS_TEXT_LEN - used, "%s%s", used ? between : "", day_names[first]);
		if (last > first)
			used += (size_t)snprintf(text + used, DAYS_TEXT_LEN - used, "-%s", day_names[last]);
	}
}
