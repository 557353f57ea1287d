/* SPDX-License-Identifier: Apache-2.0
 *
 * Time zones, from a table in the program (policy/zone.def) instead of the zone files of whatever host decides: a decision depends on nothing but its
 * inputs, and two hosts with the same program decide alike. Only the rules of today are known, for all years; what `when` asks about is now.
 */
#ifndef NETBUS_POLICY_ZONE_H
#define NETBUS_POLICY_ZONE_H

#include <stdbool.h>
#include <stdint.h>

/* The `week`-th such day of the month (0: Sunday; week 5: the last), and the minute of it, which may lie outside of the day. */
struct zone_turn {
	uint8_t month, week, day;
	int16_t minute; /* on the clock as it goes before the turn */
};

struct zone {
	const char *name; /* "Europe/Berlin", or NULL: a fixed distance; static */
	int16_t east;     /* minutes east of UTC; with daylight saving: in standard time */
	int16_t saved;    /* minutes more from `begin` to `end` (Dublin: less); 0: no daylight saving */
	struct zone_turn begin, end;
};

/* How far its clocks are east of UTC at that minute since 1970 UTC, in minutes. */
int zone_east(const struct zone *zone, int64_t utc_minute);

/* "UTC", "+01:00", "-05:30" (at most 14 hours), "Europe/Berlin". False when it is none that is known. */
bool zone_parse(const char *text, struct zone *zone);
/* What zone_parse() takes for this zone. */
#define ZONE_TEXT_LEN 40
void zone_print(const struct zone *zone, char text[static ZONE_TEXT_LEN]);
/* The name in the table that is nearest to `text`, or NULL when none is near. */
const char *zone_nearest(const char *text);

#endif
