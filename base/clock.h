/* SPDX-License-Identifier: Apache-2.0
 *
 * Clocks, for the rim of a program only: pure code takes the time as an argument.
 */
#ifndef NETBUS_BASE_CLOCK_H
#define NETBUS_BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

uint64_t clock_monotonic_ns(void);
/* Microseconds since 1970 UTC. */
int64_t clock_wall_us(void);

#define CLOCK_TEXT_LEN 28
/* RFC 3339 in UTC with microseconds: "2026-11-22T12:00:00.123456Z". */
void clock_print(int64_t wall_us, char text[static CLOCK_TEXT_LEN]);
/* RFC 3339: "2026-11-22T12:00Z", with optional seconds, fraction and "+01:00" instead of "Z". */
int clock_parse(const char *text, int64_t *wall_us, struct error *error);

#endif
