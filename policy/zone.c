/* SPDX-License-Identifier: Apache-2.0
 *
 * Clocks of the world (policy/zone.h), by the civil calendar without leap seconds. Pure.
 */
#include "policy/zone.h"

#include <stdio.h>
#include <string.h>

#include "base/auto.h"
#include "base/text.h"
#include "policy/when.h"

#define ZONE_MAX (14 * 60)

static const struct zone zones[] = {
#define TURN(month, week, day, minute)   \
	{                                \
		month, week, day, minute \
	}
#define FIXED(name, east)                     {name, east, 0, {0}, {0}},
#define SAVING(name, east, saved, begin, end) {name, east, saved, begin, end},
#include "policy/zone.def"
#undef FIXED
#undef SAVING
};

static const char *const zone_names[] = {
#define FIXED(name, east)                     name,
#define SAVING(name, east, saved, begin, end) name,
#include "policy/zone.def"
#undef FIXED
#undef SAVING
    NULL,
};

/* ---- the calendar ---- */

static int64_t
floor_divide(int64_t number, int64_t by)
{
	return number / by - (number % by < 0);
}

/* Days since 1970 of a date of the Gregorian calendar: years begin in March, so that a leap day is the last of its year. */
static int64_t
day_of(int64_t year, unsigned month, unsigned day)
{
	int64_t shifted = month <= 2 ? year - 1 : year, era = floor_divide(shifted, 400);
	int64_t year_of_era = shifted - era * 400;
	int64_t day_of_year = (153 * (month > 2 ? (int64_t)month - 3 : (int64_t)month + 9) + 2) / 5 + day - 1;

	return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

static int64_t
year_of(int64_t day)
{
	int64_t year = 1970 + floor_divide(day * 400, 146097);

	while (day_of(year, 1, 1) > day)
		year--;
	while (day_of(year + 1, 1, 1) <= day)
		year++;
	return year;
}

/* 1970-01-01 was a Thursday. */
static unsigned
weekday_of(int64_t day)
{
	return (unsigned)(((day + 4) % 7 + 7) % 7);
}

/* The minute since 1970 that the clock shows when it is turned. */
static int64_t
turn_of(const struct zone_turn *turn, int64_t year)
{
	int64_t first = day_of(year, turn->month, 1);
	int64_t next_month = turn->month == 12 ? day_of(year + 1, 1, 1) : day_of(year, turn->month + 1u, 1);
	int64_t day = first + (turn->day + 7 - weekday_of(first)) % 7 + 7 * (turn->week - 1);

	while (day >= next_month)
		day -= 7;
	return day * DAY_MINUTES + turn->minute;
}

int
zone_east(const struct zone *zone, int64_t utc_minute)
{
	int64_t year, begin, end;
	bool changed;

	if (zone->saved == 0)
		return zone->east;
	year = year_of(floor_divide(utc_minute + zone->east, DAY_MINUTES));
	begin = turn_of(&zone->begin, year) - zone->east;
	end = turn_of(&zone->end, year) - zone->east - zone->saved;
	if (begin < end)
		changed = utc_minute >= begin && utc_minute < end;
	else /* in the south summer goes over the end of the year */
		changed = utc_minute >= begin || utc_minute < end;
	return changed ? zone->east + zone->saved : zone->east;
}

/* ---- names ---- */

static const struct zone *
find_zone(const char *name)
{
	size_t low = 0, high = ARRAY_LENGTH(zones);

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(name, zones[middle].name);

		if (order == 0)
			return &zones[middle];
		if (order > 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

static bool
parse_distance(const char *text, struct zone *zone)
{
	int minutes;

	if (*text != '+' && *text != '-')
		return false;
	minutes = when_parse_minute(text + 1);
	if (minutes < 0 || minutes > ZONE_MAX)
		return false;
	*zone = (struct zone){.east = (int16_t)(*text == '-' ? -minutes : minutes)};
	return true;
}

bool
zone_parse(const char *text, struct zone *zone)
{
	const struct zone *named = find_zone(text);

	if (strcmp(text, "UTC") == 0)
		*zone = (struct zone){0};
	else if (named)
		*zone = *named;
	else
		return parse_distance(text, zone);
	return true;
}

void
zone_print(const struct zone *zone, char text[static ZONE_TEXT_LEN])
{
	int minutes = zone->east < 0 ? -zone->east : zone->east;

	if (zone->name)
		snprintf(text, ZONE_TEXT_LEN, "%s", zone->name);
	else if (minutes == 0)
		snprintf(text, ZONE_TEXT_LEN, "UTC");
	else
		snprintf(text, ZONE_TEXT_LEN, "%c%02d:%02d", zone->east < 0 ? '-' : '+', minutes / 60, minutes % 60);
}

const char *
zone_nearest(const char *text)
{
	return nearest_word(text, zone_names);
}
