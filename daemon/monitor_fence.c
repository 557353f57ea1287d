/* SPDX-License-Identifier: Apache-2.0
 *
 * Ending all I/O of a lease, without the help of the processes that do it: they are told, get a short courtesy, and are killed. It is done when
 * the kernel has dropped the lock of each lane (monitor_hold.c), and is said to the broker only then.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/clock.h"
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

static struct fence *
fence_find(const struct monitor *monitor, const uint8_t lease[static LEASE_ID_LEN])
{
	struct fence *fence = monitor->fences;

	while (fence && memcmp(fence->lease, lease, LEASE_ID_LEN) != 0)
		fence = fence->next;
	return fence;
}

bool
fence_stands(const struct monitor *monitor, const uint8_t lease[static LEASE_ID_LEN])
{
	return fence_find(monitor, lease) != NULL;
}

/* ---- waiting ---- */

static void
answer(struct fence *fence)
{
	uint64_t elapsed_us = (clock_monotonic_ns() - fence->began_ns) / 1000;
	struct msg_fenced fenced = {.lanes = (uint8_t)fence->lanes,
	    .killed = (uint8_t)fence->killed,
	    .elapsed_us = elapsed_us < UINT32_MAX ? (uint32_t)elapsed_us : UINT32_MAX};

	memcpy(fenced.lease, fence->lease, sizeof fenced.lease);
	child_tell(fence->monitor->broker, MSG_FENCED, &fenced, -1);
	fence_free(fence);
}

static void
answer_the_done(struct monitor *monitor)
{
	for (struct fence *fence = monitor->fences, *next; fence; fence = next) {
		next = fence->next;
		if (fence->standing == 0)
			answer(fence);
	}
}

static void
say_when_slow(struct monitor *monitor, const struct hold *hold)
{
	if (monitor->drain_said || loop_now(monitor->loop) - monitor->drain_since_ns < PATIENCE_NS)
		return;
	monitor->drain_said = true;
	log_warning("share %s: its session ended or should have, and the device is still in use %s; waiting",
	    hold->share.text, hold->session ? "by its session" : "by requests in the kernel: look at the device");
}

static void on_drain(struct timer *timer);

/* Looks again soon, as long as somebody waits. */
static void
wait_on(struct monitor *monitor)
{
	const struct hold *hold = holds_awaited(monitor);
	uint64_t pause_ns;

	if (hold == NULL) {
		timer_stop(&monitor->drain);
		monitor->drain_since_ns = 0;
		return;
	}
	if (monitor->drain_since_ns == 0) {
		monitor->drain_since_ns = loop_now(monitor->loop);
		monitor->drain_said = false;
	}
	say_when_slow(monitor, hold);
	pause_ns = (loop_now(monitor->loop) - monitor->drain_since_ns) / 8;
	if (pause_ns < PAUSE_LEAST_NS)
		pause_ns = PAUSE_LEAST_NS;
	if (pause_ns > PAUSE_MOST_NS)
		pause_ns = PAUSE_MOST_NS;
	if (monitor->drain.loop ==
	    NULL) /* a running one is not put off: sessions that end all the time would do so for ever */
		timer_start(monitor->loop, &monitor->drain, pause_ns, on_drain);
}

static void
on_drain(struct timer *timer)
{
	struct monitor *monitor = CONTAINER_OF(timer, struct monitor, drain);

	holds_look(monitor, NULL);
	answer_the_done(monitor);
	wait_on(monitor);
}

/* Something changes soon: the pauses begin with the shortest again. */
static void
wait_anew(struct monitor *monitor)
{
	timer_stop(&monitor->drain);
	monitor->drain_since_ns = 0;
	wait_on(monitor);
}

void
fences_session_ended(struct child *session)
{
	hold_session_reaped(session);
	answer_the_done(session->monitor);
	wait_on(session->monitor);
}

/* ---- ending the sessions ---- */

/* Calls `act` for each session that still has a device under the lease. */
static void
each_session(struct fence *fence, void (*act)(struct child *session, void *context), void *context)
{
	for (struct hold *hold = fence->monitor->holds; hold; hold = hold->next)
		if (hold->fence == fence && hold->session)
			act(hold->session, context);
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
	struct monitor *monitor = fence->monitor;

	holds_look(monitor, fence);
	each_session(fence, kill_session, fence);
	answer_the_done(monitor);
	wait_anew(monitor); /* what was killed ends soon, whatever the courtesy was */
}

/* ---- the order ---- */

static struct fence *
fence_new(struct monitor *monitor, const uint8_t lease[static LEASE_ID_LEN])
{
	struct fence *fence = calloc(1, sizeof *fence);

	if (fence == NULL)
		return NULL;
	fence->monitor = monitor;
	fence->began_ns = clock_monotonic_ns();
	memcpy(fence->lease, lease, sizeof fence->lease);
	fence->slot = &monitor->fences;
	fence->next = monitor->fences;
	if (fence->next)
		fence->next->slot = &fence->next;
	monitor->fences = fence;
	holds_fence(fence);
	fence->lanes = fence->standing;
	return fence;
}

/* For one that stands already a second order can only make it sooner. */
static void
start_courtesy(struct fence *fence, uint64_t courtesy_ns, bool is_new)
{
	struct loop *loop = fence->monitor->loop;

	if (is_new || (fence->courtesy.loop && fence->courtesy.deadline_ns > loop_now(loop) + courtesy_ns))
		timer_start(loop, &fence->courtesy, courtesy_ns, on_courtesy_over);
}

void
fence_begin(struct monitor *monitor, const struct msg_fence *order)
{
	struct fence *fence = fence_find(monitor, order->lease);
	struct msg_end_now end = {.reason = order->reason};
	bool is_new = fence == NULL;

	if (is_new)
		fence = fence_new(monitor, order->lease);
	if (fence == NULL) {
		monitor_fail(monitor, "out of memory");
		return;
	}
	if (!order->quiet)
		each_session(fence, tell_session, &end);
	start_courtesy(fence, order->courtesy_ms * NS_PER_MS, is_new);
	if (order->quiet) /* its session has closed the device already */
		holds_look(monitor, fence);
	answer_the_done(monitor);
	wait_anew(monitor);
}

void
fences_clear(struct monitor *monitor)
{
	while (monitor->fences)
		fence_free(monitor->fences);
	timer_stop(&monitor->drain);
}
