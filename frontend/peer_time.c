/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the time of a request goes on the export side of a lane: of one request in each turn of the loop, so that it costs a few looks at the clock for
 * many requests. The sums stand in the lane page, for whoever asks (`netbus-admin lease show`).
 */
#include "base/clock.h"
#include "frontend/peer_lane.h"

/* Since the last stage ended; a new one begins. */
static uint64_t
lap(struct timed *timed)
{
	uint64_t now = clock_monotonic_ns(), since = timed->since_ns;

	timed->since_ns = now;
	return now - since;
}

void
peer_time_begin(struct peer *peer)
{
	struct timed *timed = &peer->timed;

	if (timed->stage == TIMED_AT_DEVICE || timed->stage == TIMED_SENDING)
		return;
	timed->stage = TIMED_RECEIVING;
	lap(timed);
}

bool
peer_time_submit(struct peer *peer)
{
	struct timed *timed = &peer->timed;

	if (timed->stage != TIMED_RECEIVING)
		return false;
	timed->receive_ns = lap(timed);
	timed->stage = TIMED_AT_DEVICE;
	return true;
}

void
peer_time_done(struct peer *peer)
{
	peer->timed.device_ns = lap(&peer->timed);
	peer->timed.stage = TIMED_SENDING;
}

void
peer_time_sent(struct peer *peer)
{
	struct timed *timed = &peer->timed;
	struct lane_times *times = &peer->page->times;

	if (timed->stage != TIMED_SENDING)
		return;
	lane_page_add(&times->receive_ns, timed->receive_ns);
	lane_page_add(&times->device_ns, timed->device_ns);
	lane_page_add(&times->send_ns, lap(timed));
	lane_page_add(&times->timed, 1);
	timed->stage = TIMED_NONE;
}
