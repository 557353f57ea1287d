/* SPDX-License-Identifier: Apache-2.0
 *
 * Ending all I/O of a lease, without the help of the processes that do it: they are told, get a short courtesy, and are killed. It is done when
 * the kernel has dropped the lock of each lane (monitor_hold.c), and is said to the broker only then.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/log.h"
#include "daemon/monitor.h"

/* While a fence waits the locks are looked at as often as an eighth of its age: what ends soon is seen soon. */
#define PAUSE_LEAST_NS (200 * 1000)
#define PAUSE_MOST_NS  (100 * NS_PER_MS)
#define PATIENCE_NS    (5 * NS_PER_SEC) /* then the log says what it waits for */

static void
fence_free(struct fence *fence)
{
	timer_stop(&fence->courtesy);
	*fence->slot = fence->next;
	if (fence->next)
		fence->next->slot = fence->slot;
	free(fence);
}

bool
fence_stands(const struct monitor *monitor, const uint8_t lease[static LEASE_ID_LEN])
{
	for (const struct fence *fence = monitor->fences; fence; fence = fence->next)
		if (memcmp(fence->lease, lease, LEASE_ID_LEN) == 0)
			return true;
	return false;
}

static void
answer(struct fence *fence)
{
	struct msg_fenced fenced = {.lanes = (uint8_t)fence->lanes, .killed = (uint8_t)fence->killed};

	memcpy(fenced.lease, fence->lease, sizeof fenced.lease);
	child_tell(fence->monitor->broker, MSG_FENCED, &fenced, -1);
	fence_free(fence);
}

/* Calls `act` for each session that still has a device under the lease. */
static void
each_session(struct fence *fence, void (*act)(struct child *session, void *context), void *context)
{
	for (struct hold *hold = fence->monitor->holds; hold; hold = hold->next) {
		struct child *session = hold->session && memcmp(hold->lease, fence->lease, LEASE_ID_LEN) == 0
					    ? child_find(fence->monitor, ROLE_SESSION, hold->session)
					    : NULL;

		if (session)
			act(session, context);
	}
}

static void
tell_session(struct child *session, void *context)
{
	child_tell(session, MSG_END_NOW, context, -1);
}

static void
kill_session(struct child *session, void *context)
{
	struct fence *fence = context;

	if (session->cause[0] == '\0')
		fence->killed++;
	child_kill(session, "its lease ended and it did not end in time");
}

static void
on_courtesy_over(struct timer *timer)
{
	struct fence *fence = CONTAINER_OF(timer, struct fence, courtesy);

	holds_look(fence->monitor);
	each_session(fence, kill_session, fence);
	fences_check(fence->monitor);
}

static void
on_drain(struct timer *timer)
{
	fences_check(CONTAINER_OF(timer, struct monitor, drain));
}

static void
say_when_slow(struct monitor *monitor)
{
	const struct hold *hold = monitor->holds;

	while (hold && hold->session && !fence_stands(monitor, hold->lease))
		hold = hold->next;
	if (hold == NULL || monitor->drain_said || loop_now(monitor->loop) - monitor->drain_since_ns < PATIENCE_NS)
		return;
	monitor->drain_said = true;
	log_warning("share %s: its session ended or should have, and the device is still in use %s; waiting",
	    hold->share.text, hold->session ? "by its session" : "by requests in the kernel: look at the device");
}

void
fences_check(struct monitor *monitor)
{
	holds_look(monitor);
	for (struct fence *fence = monitor->fences, *next; fence; fence = next) {
		next = fence->next;
		if (holds_of(monitor, fence->lease, NULL) == 0)
			answer(fence);
	}
	if (monitor->fences == NULL && !holds_linger(monitor)) {
		timer_stop(&monitor->drain);
		monitor->drain_pause_ns = 0;
		return;
	}
	if (monitor->drain_pause_ns == 0) {
		monitor->drain_since_ns = loop_now(monitor->loop);
		monitor->drain_said = false;
	}
	say_when_slow(monitor);
	monitor->drain_pause_ns = (loop_now(monitor->loop) - monitor->drain_since_ns) / 8;
	if (monitor->drain_pause_ns < PAUSE_LEAST_NS)
		monitor->drain_pause_ns = PAUSE_LEAST_NS;
	if (monitor->drain_pause_ns > PAUSE_MOST_NS)
		monitor->drain_pause_ns = PAUSE_MOST_NS;
	timer_start(monitor->loop, &monitor->drain, monitor->drain_pause_ns, on_drain);
}

void
fence_begin(struct monitor *monitor, const struct msg_fence *order)
{
	struct fence *fence = calloc(1, sizeof *fence);
	struct msg_end_now end = {.reason = order->reason};

	if (fence == NULL) {
		monitor_fail(monitor, "out of memory");
		return;
	}
	fence->monitor = monitor;
	memcpy(fence->lease, order->lease, sizeof fence->lease);
	fence->slot = &monitor->fences;
	fence->next = monitor->fences;
	if (fence->next)
		fence->next->slot = &fence->next;
	monitor->fences = fence;
	fence->lanes = holds_of(monitor, fence->lease, NULL);
	if (!order->quiet)
		each_session(fence, tell_session, &end);
	timer_start(monitor->loop, &fence->courtesy, order->courtesy_ms * NS_PER_MS, on_courtesy_over);
	monitor->drain_pause_ns = 0;
	fences_check(monitor);
}

void
fences_clear(struct monitor *monitor)
{
	while (monitor->fences)
		fence_free(monitor->fences);
	timer_stop(&monitor->drain);
}
