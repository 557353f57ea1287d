/* SPDX-License-Identifier: Apache-2.0
 *
 * `when`: a window of the week, as the clocks of its zone show it. On the day on which they are put forward, the hour that they leave out is in no window;
 * the hour that they show twice is in a window both times.
 */
#ifndef NETBUS_POLICY_WHEN_H
#define NETBUS_POLICY_WHEN_H

#include <stdbool.h>
#include <stdint.h>

#include "policy/zone.h"

#define DAY_MINUTES 1440

struct when {
	uint8_t days;  /* bit 0: Monday */
	uint16_t from; /* minutes of the day, included */
	uint16_t to;   /* excluded, up to 1440; below `from`: ends on the next day */
	struct zone zone;
};

#define WHEN_ALL_DAYS 0x7f

bool when_match(const struct when *when, int64_t at_us);

/* "mon" or "fri-mon" -> mask of days; 0 when it is neither. */
uint8_t when_parse_days(const char *text);
/* "07:00" -> 420, "24:00" -> 1440; -1 when it is none. */
int when_parse_minute(const char *text);
/* What when_parse_days() takes for a mask: "mon-fri", or more than one word for what is no single range. */
#define DAYS_TEXT_LEN 40
void when_print_days(uint8_t days, const char *between, char text[static DAYS_TEXT_LEN]);

#endif
