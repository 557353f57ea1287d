/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the time of a request goes on the attach side of a lane: of one request at a time, so that it costs a few looks at the clock for many requests.
 * The sums are told to the exporter (TIMES), whose `netbus-admin lease show` prints the whole way.
 */
#include "backend/remote_lane.h"
#include "base/clock.h"

void
remote_time_submit(struct remote *remote, struct io *io)
{
	struct timed *timed = &remote->timed;
	uint64_t woke;

	if (timed->io != NULL)
		return;
	woke = loop_now(remote->loop);
	timed->io = io;
	timed->is_sent = false;
	timed->since_ns = clock_monotonic_ns();
	timed->ring_ns = timed->since_ns > woke ? timed->since_ns - woke : 0;
}

void
remote_time_send(struct remote *remote, const struct io *io)
{
	struct timed *timed = &remote->timed;
	uint64_t now;

	if (timed->io != io)
		return;
	now = clock_monotonic_ns();
	timed->queue_ns = now - timed->since_ns;
	timed->since_ns = now;
	timed->is_sent = true;
}

void
remote_time_done(struct remote *remote, const struct io *io, int status)
{
	struct timed *timed = &remote->timed;

	if (timed->io != io)
		return;
	if (timed->is_sent && status == 0) {
		timed->sums.timed++;
		timed->sums.ring_ns += timed->ring_ns;
		timed->sums.queue_ns += timed->queue_ns;
		timed->sums.exchange_ns += clock_monotonic_ns() - timed->since_ns;
	}
	timed->io = NULL;
}
