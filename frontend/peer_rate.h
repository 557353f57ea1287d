/* SPDX-License-Identifier: Apache-2.0
 *
 * What the limits of the policy let a lane do now: two token buckets, whose rates the broker writes into the lane page (wire/lane_page.h).
 *
 * Pure: the time is passed in. Each request is one operation; READ, WRITE and a WRITE_ZEROES that must not make holes are also their bytes. A piece
 * passes when both buckets have something, however large it is, and is paid for afterwards.
 */
#ifndef NETBUS_FRONTEND_PEER_RATE_H
#define NETBUS_FRONTEND_PEER_RATE_H

#include <stdbool.h>
#include <stdint.h>

#include "backend/backend.h"
#include "base/bucket.h"
#include "wire/lane_page.h"

/* A lane that waits looks into its page at least this often. */
#define RATE_LOOK_NS (50 * NS_PER_MS)

struct lane_pace {
	bool begun;
	uint32_t turn; /* of the allowance that it goes by */
	uint64_t until_ns;
	uint64_t ops_after, bytes_after; /* the rates from then on */
	struct bucket ops, bytes;
};

/* Fills, and takes over what the broker wrote since. Returns what is lacking (enum lane_limited) for a request to pass: 0 = it may. */
unsigned pace_look(struct lane_pace *pace, const struct lane_page *page, uint64_t now_ns);
/* A request passes: counted in the page's demand, too. */
void pace_take(struct lane_pace *pace, struct lane_page *page, const struct io *io);
/* How long until what pace_look() found lacking is there, at most RATE_LOOK_NS. */
uint64_t pace_wait_ns(const struct lane_pace *pace, unsigned lacking);
/* The bytes that a request counts for. */
uint64_t pace_bytes(const struct io *io);

#endif
