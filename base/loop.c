/* SPDX-License-Identifier: Apache-2.0
 *
 * The event loop (base/loop.h) on epoll(7). One turn: expired timers, ready descriptors, then what was deferred.
 *
 * A watch may be stopped, and its memory freed, by another watch's callback in the same turn, after its event was
 * fetched. Therefore watch_stop() also removes it from the fetched events that are still to be handled.
 */
#include "base/loop.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"

#define EVENTS_PER_TURN 64
/* Of the running average of gaps: how much the past weighs, and the longest gap in it, as a multiple of the time that may be polled. */
#define GAP_WEIGHT 7
#define GAP_MOST   4
/* A yield that takes longer ran somebody else; then polling waits. */
#define SLICE_LOST_NS       (50 * NS_PER_US)
#define SLICE_LOST_PAUSE_NS (100 * NS_PER_MS)

struct loop {
	int epoll;
	uint64_t now_ns;
	bool quit;
	int code;
	struct timer timers; /* ring, by deadline; the head is a sentinel */
	struct defer *first_defer, **last_defer;
	struct epoll_event fetched[EVENTS_PER_TURN];
	int fetched_count;
	uint64_t poll_ns;       /* 0: no polling */
	bool poll_next;         /* the next wait */
	uint64_t poll_after_ns; /* not before */
	uint64_t usual_gap_ns; /* from the end of a turn to the next event, a running average while polling is wanted */
};

struct loop *
loop_new(struct error *error)
{
	struct loop *loop = calloc(1, sizeof *loop);

	if (loop == NULL) {
		error_errno(error, -ENOMEM, "cannot make an event loop");
		return NULL;
	}
	loop->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll < 0) {
		error_errno(error, -errno, "cannot make an event loop");
		free(loop);
		return NULL;
	}
	loop->timers.next = loop->timers.prev = &loop->timers;
	loop->last_defer = &loop->first_defer;
	loop->now_ns = clock_monotonic_ns();
	return loop;
}

void
loop_free(struct loop *loop)
{
	if (loop == NULL)
		return;
	close(loop->epoll);
	free(loop);
}

void
loop_quit(struct loop *loop, int code)
{
	loop->quit = true;
	loop->code = code;
}

uint64_t
loop_now(const struct loop *loop)
{
	return loop->now_ns;
}

/* ---- descriptors ---- */

int
watch_start(struct loop *loop, struct watch *watch, int fd, uint32_t events, void (*on_ready)(struct watch *, uint32_t))
{
	struct epoll_event event = {.events = events, .data.ptr = watch};

	if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event) < 0)
		return -errno;
	*watch = (struct watch){.on_ready = on_ready, .loop = loop, .fd = fd, .events = events};
	return 0;
}

int
watch_change(struct watch *watch, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = watch};

	if (watch->loop == NULL)
		return -EINVAL;
	if (watch->events == events)
		return 0;
	if (epoll_ctl(watch->loop->epoll, EPOLL_CTL_MOD, watch->fd, &event) < 0)
		return -errno;
	watch->events = events;
	return 0;
}

void
watch_stop(struct watch *watch)
{
	struct loop *loop = watch->loop;

	if (loop == NULL)
		return;
	epoll_ctl(loop->epoll, EPOLL_CTL_DEL, watch->fd, NULL);
	for (int i = 0; i < loop->fetched_count; i++)
		if (loop->fetched[i].data.ptr == watch)
			loop->fetched[i].data.ptr = NULL;
	watch->loop = NULL;
}

static void
handle_ready(struct loop *loop)
{
	for (int i = 0; i < loop->fetched_count && !loop->quit; i++) {
		struct watch *watch = loop->fetched[i].data.ptr;

		if (watch != NULL)
			watch->on_ready(watch, loop->fetched[i].events);
	}
	loop->fetched_count = 0;
}

/* ---- timers ---- */

void
timer_start(struct loop *loop, struct timer *timer, uint64_t after_ns, void (*on_expire)(struct timer *))
{
	uint64_t now = clock_monotonic_ns();
	struct timer *before;

	timer_stop(timer);
	timer->loop = loop;
	timer->on_expire = on_expire;
	timer->deadline_ns = after_ns > UINT64_MAX - now ? UINT64_MAX : now + after_ns;
	/* From the back: new timers are mostly the latest. */
	before = loop->timers.prev;
	while (before != &loop->timers && before->deadline_ns > timer->deadline_ns)
		before = before->prev;
	timer->prev = before;
	timer->next = before->next;
	before->next->prev = timer;
	before->next = timer;
}

void
timer_stop(struct timer *timer)
{
	if (timer->loop == NULL)
		return;
	timer->prev->next = timer->next;
	timer->next->prev = timer->prev;
	timer->next = timer->prev = NULL;
	timer->loop = NULL;
}

static void
handle_timers(struct loop *loop)
{
	/* Only those that were due when the turn began, so that one that restarts itself with 0 cannot starve the rest. */
	while (loop->timers.next != &loop->timers && loop->timers.next->deadline_ns <= loop->now_ns && !loop->quit) {
		struct timer *timer = loop->timers.next;

		timer_stop(timer);
		timer->on_expire(timer);
	}
}

/* Milliseconds that epoll may sleep: rounded up, so that a timer is due when it wakes. */
static int
sleep_ms(const struct loop *loop)
{
	uint64_t deadline = loop->timers.next->deadline_ns, ms;

	if (loop->first_defer != NULL)
		return 0;
	if (loop->timers.next == &loop->timers)
		return -1;
	if (deadline <= loop->now_ns)
		return 0;
	ms = (deadline - loop->now_ns + NS_PER_MS - 1) / NS_PER_MS;
	return ms > 3600000 ? 3600000 : (int)ms;
}

/* ---- the end of a turn ---- */

void
defer_start(struct loop *loop, struct defer *defer, void (*on_turn_end)(struct defer *))
{
	defer->on_turn_end = on_turn_end;
	if (defer->queued)
		return;
	defer->loop = loop;
	defer->queued = true;
	defer->next = NULL;
	*loop->last_defer = defer;
	loop->last_defer = &defer->next;
}

void
defer_stop(struct defer *defer)
{
	struct loop *loop = defer->loop;

	if (!defer->queued)
		return;
	for (struct defer **slot = &loop->first_defer; *slot != NULL; slot = &(*slot)->next) {
		if (*slot != defer)
			continue;
		*slot = defer->next;
		if (loop->last_defer == &defer->next)
			loop->last_defer = slot;
		break;
	}
	defer->queued = false;
	defer->next = NULL;
}

/* What is deferred meanwhile runs in this turn too, but at most a bounded number, so that descriptors get their turn. */
static void
handle_deferred(struct loop *loop)
{
	for (unsigned i = 0; i < 1024 && loop->first_defer != NULL && !loop->quit; i++) {
		struct defer *defer = loop->first_defer;

		defer_stop(defer);
		defer->on_turn_end(defer);
	}
}

/* ---- waiting ---- */

void
loop_allow_poll(struct loop *loop, uint64_t most_ns)
{
	loop->poll_ns = most_ns;
}

void
loop_poll(struct loop *loop)
{
	loop->poll_next = loop->poll_ns > 0;
}

/* Without sleeping, until there is an event or `until_ns`. When giving way costs a time slice, the processor is wanted elsewhere: who sleeps and is woken
 * gets it back sooner than who gives way again and again, so there is no polling for a while. */
static int
look_for_events(struct loop *loop, uint64_t now_ns, uint64_t until_ns)
{
	while (now_ns < until_ns) {
		int count = epoll_wait(loop->epoll, loop->fetched, EVENTS_PER_TURN, 0);
		uint64_t before = clock_monotonic_ns();

		if (count != 0)
			return count;
		sched_yield();
		now_ns = clock_monotonic_ns();
		if (now_ns - before > SLICE_LOST_NS) {
			loop->poll_after_ns = now_ns + SLICE_LOST_PAUSE_NS;
			return 0;
		}
	}
	return 0;
}

static int
wait_and_learn(struct loop *loop)
{
	uint64_t began = clock_monotonic_ns(), poll_ns = loop->poll_ns, gap;
	int count = 0;

	if (loop->usual_gap_ns <= poll_ns && began >= loop->poll_after_ns)
		count = look_for_events(loop, began, began + poll_ns);
	if (count == 0)
		count = epoll_wait(loop->epoll, loop->fetched, EVENTS_PER_TURN, sleep_ms(loop));
	gap = clock_monotonic_ns() - began;
	if (gap > GAP_MOST * poll_ns)
		gap = GAP_MOST * poll_ns;
	loop->usual_gap_ns = (GAP_WEIGHT * loop->usual_gap_ns + gap) / (GAP_WEIGHT + 1);
	return count;
}

static int
wait_for_events(struct loop *loop)
{
	bool poll = loop->poll_next;

	loop->poll_next = false;
	if (poll && sleep_ms(loop) != 0)
		return wait_and_learn(loop);
	return epoll_wait(loop->epoll, loop->fetched, EVENTS_PER_TURN, sleep_ms(loop));
}

int
loop_run(struct loop *loop)
{
	loop->quit = false;
	while (!loop->quit) {
		int count = wait_for_events(loop);

		if (count < 0 && errno != EINTR)
			return -errno;
		loop->fetched_count = count < 0 ? 0 : count;
		loop->now_ns = clock_monotonic_ns();
		handle_ready(loop);
		handle_timers(loop);
		handle_deferred(loop);
	}
	return loop->code;
}

/* ---- signals ---- */

int
loop_signals(struct loop *loop, struct watch *watch, const int *signals, void (*on_ready)(struct watch *, uint32_t),
    struct error *error)
{
	sigset_t set;
	int fd, code;

	sigemptyset(&set);
	for (; *signals; signals++)
		sigaddset(&set, *signals);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return error_errno(error, -errno, "cannot block signals");
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return error_errno(error, -errno, "cannot make a signalfd");
	code = watch_start(loop, watch, fd, EPOLLIN, on_ready);
	if (code < 0) {
		close(fd);
		return error_errno(error, code, "cannot watch for signals");
	}
	return 0;
}

int
loop_signal_read(struct watch *watch)
{
	struct signalfd_siginfo info;

	if (read(watch->fd, &info, sizeof info) != (ssize_t)sizeof info)
		return 0;
	return (int)info.ssi_signo;
}
