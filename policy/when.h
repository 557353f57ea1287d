/* SPDX-License-Identifier: Apache-2.0
 *
 * `when`: a window of the week, read in a zone that is a fixed distance from UTC.
 *
 * Named zones (Europe/Berlin) would need the zone files of whatever host decides, and two hosts with different files would
 * decide differently; a decision depends on nothing but its inputs, so they are refused.
 */
#ifndef NETBUS_POLICY_WHEN_H
#define NETBUS_POLICY_WHEN_H

#include <stdbool.h>
#include <stdint.h>

#define DAY_MINUTES 1440

struct when {
	uint8_t days;  /* bit 0: Monday */
	uint16_t from; /* minutes of the day, included */
	uint16_t to;   /* excluded, up to 1440; below `from`: ends on the next day */
	int16_t east;  /* minutes east of UTC */
};

#define WHEN_ALL_DAYS 0x7f

bool when_match(const struct when *when, int64_t at_us);

/* "mon" or "fri-mon" -> mask of days; 0 when it is neither. */
uint8_t when_parse_days(const char *text);
/* "07:00" -> 420, "24:00" -> 1440; -1 when it is none. */
int when_parse_minute(const char *text);
/* "UTC", "+01:00", "-05:30"; at most 14 hours. False when it is none of these. */
bool when_parse_zone(const char *text, int16_t *east);

#endif
