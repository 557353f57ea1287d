/* SPDX-License-Identifier: Apache-2.0
 *
 * What leases did between two answers of the broker, and how that looks in a line. Pure.
 */
#ifndef NETBUS_ADMIN_TOP_H
#define NETBUS_ADMIN_TOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/admin.h"

struct top_lease {
	struct msg_row_lease row;
	bool has_held;
	uint64_t held; /* requests that a limit held back, since the lease began */
};

struct top_sample {
	uint64_t at_ns; /* monotonic */
	int64_t wall_us;
	struct top_lease *leases; /* owned */
	size_t count;
};

/* Of one lease, in the time between. */
struct top_rate {
	const struct msg_row_lease *row; /* of the later sample */
	double iops, bandwidth;          /* a second; bytes */
	bool has_held;
	double held;                  /* a second */
	uint64_t device_ns, total_ns; /* of an average request; 0: none was timed */
	uint64_t age_us;
};

enum top_order { TOP_IOPS, TOP_BANDWIDTH, TOP_LATENCY };

/* One for each lease of `after` (its count), the busiest first; those of the same rank by VM and share. `rates` has room for them. */
void top_rates(
    const struct top_sample *before, const struct top_sample *after, enum top_order order, struct top_rate *rates);

#define TOP_COLUMNS_MOST 10
#define TOP_LINE_MOST    4096 /* bytes of a line */

/* How wide each column is, so that a line has at most `width` characters (when they are at least 70). */
struct top_layout {
	size_t widths[TOP_COLUMNS_MOST]; /* 0: the column is not there */
	size_t width;
};
void top_lay_out(const struct top_rate *rates, size_t count, size_t width, struct top_layout *layout);
/* The titles (`rate` NULL), or a lease; escaped, without newline. */
void top_line(const struct top_layout *layout, const struct top_rate *rate, char line[static TOP_LINE_MOST]);

#define TOP_NUMBER_LEN 16
/* "0", "7.5", "999", "12.3k", "1.2M": never longer than 5 characters below 10^15. `step` 1000 or 1024. */
void top_number(double number, double step, char text[static TOP_NUMBER_LEN]);
/* "85us", "1.2ms", "12ms", "3.4s"; "-" for 0. */
void top_latency(uint64_t ns, char text[static TOP_NUMBER_LEN]);

#endif
