/* SPDX-License-Identifier: Apache-2.0
 *
 * The zones of `when` against those of the C library, which are given the same yearly rule as a POSIX TZ text and work it out in code of their own: every
 * row of policy/zone.def, each turn of each year from 2000 to 2050, the minutes before it, and every six hours between.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/auto.h"
#include "policy/zone.h"

static const char *const names[] = {
#define FIXED(name, east)                     name,
#define SAVING(name, east, saved, begin, end) name,
#include "policy/zone.def"
#undef FIXED
#undef SAVING
};

/* "-1:30" for 90 minutes east: POSIX counts to the west. */
static void
print_minutes(int minutes, char text[static 16])
{
	snprintf(text, 16, "%s%d:%02d", minutes < 0 ? "-" : "", abs(minutes) / 60, abs(minutes) % 60);
}

static void
use_zone(const struct zone *zone)
{
	char east[16], saved[16], begin[16], end[16], text[160];

	print_minutes(-zone->east, east);
	print_minutes(-zone->east - zone->saved, saved);
	print_minutes(zone->begin.minute, begin);
	print_minutes(zone->end.minute, end);
	if (zone->saved)
		snprintf(text, sizeof text, "AAA%sBBB%s,M%d.%d.%d/%s,M%d.%d.%d/%s", east, saved, zone->begin.month,
		    zone->begin.week, zone->begin.day, begin, zone->end.month, zone->end.week, zone->end.day, end);
	else
		snprintf(text, sizeof text, "AAA%s", east);
	setenv("TZ", text, 1);
	tzset();
}

static int
librarys_east(int64_t minute)
{
	time_t at = (time_t)(minute * 60);
	struct tm local;

	assert_non_null(localtime_r(&at, &local));
	return (int)(local.tm_gmtoff / 60);
}

static void
compare(const struct zone *zone, int64_t minute)
{
	int ours = zone_east(zone, minute), theirs = librarys_east(minute);

	if (ours != theirs)
		fail_msg("%s at minute %lld: %d, not %d", zone->name, (long long)minute, ours, theirs);
}

/* Every six hours finds each turn; then minute by minute around it. */
static void
agrees_with_the_c_library_on_every_zone(void **state)
{
	const int64_t first = INT64_C(946684800) / 60, last = INT64_C(2556144000) / 60, step = 360;
	unsigned turns = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
		struct zone zone;
		int before;

		assert_true(zone_parse(names[i], &zone));
		use_zone(&zone);
		before = librarys_east(first);
		for (int64_t minute = first; minute < last; minute += zone.saved ? step : 100 * step) {
			int now = librarys_east(minute);

			compare(&zone, minute);
			for (int64_t near = minute - step; now != before && near < minute; near++)
				compare(&zone, near);
			turns += now != before;
			before = now;
		}
	}
	print_message("%zu zones, %u turns\n", ARRAY_LENGTH(names), turns);
	assert_true(turns > 15000);
	unsetenv("TZ");
}

static void
names_stand_in_order_and_print_as_they_parse(void **state)
{
	static const char *const others[] = {"UTC", "+01:00", "-05:30", "+14:00", "-14:00"};
	char text[ZONE_TEXT_LEN];
	struct zone zone;

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
		assert_true(i == 0 || strcmp(names[i - 1], names[i]) < 0);
		assert_true(zone_parse(names[i], &zone));
		zone_print(&zone, text);
		assert_string_equal(text, names[i]);
	}
	for (size_t i = 0; i < ARRAY_LENGTH(others); i++) {
		assert_true(zone_parse(others[i], &zone));
		zone_print(&zone, text);
		assert_string_equal(text, others[i]);
	}
}

static void
refuses_what_is_no_zone(void **state)
{
	static const char *const texts[] = {"", "utc", "Z", "+1:00", "+14:01", "-14:01", "01:00", "+01:60", "+01:00 ",
	    "Europe", "europe/berlin", "Europe/Berlin ", "Africa/Casablanca"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
		struct zone zone = {.east = 77};

		if (zone_parse(texts[i], &zone))
			fail_msg("'%s' is taken", texts[i]);
		assert_int_equal(zone.east, 77);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(agrees_with_the_c_library_on_every_zone),
	    cmocka_unit_test(names_stand_in_order_and_print_as_they_parse),
	    cmocka_unit_test(refuses_what_is_no_zone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
