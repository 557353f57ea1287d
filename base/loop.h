/* SPDX-License-Identifier: Apache-2.0
 *
 * One single-threaded event loop per process: descriptors, timers, signals and work that waits for
 * the end of the current turn (so that everything that became ready leaves in one system call).
 *
 * Watches, timers and defers are embedded in their owner's struct and need no allocation. Each may
 * be stopped at any time, also from its own callback and also from another's callback in the same
 * turn: a stopped one is not called any more. Zero-initialised means "not started"; stopping what
 * is not started does nothing. Everything must be stopped before its memory goes away.
 *
 * Today the loop is epoll(7). The interface promises nothing about it.
 */
#ifndef NETBUS_BASE_LOOP_H
#define NETBUS_BASE_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "base/error.h"

struct loop;

struct watch {
	void (*on_ready)(struct watch *watch, uint32_t events); /* events: EPOLLIN, EPOLLOUT, ... */
	struct loop *loop;
	int fd;
	uint32_t events;
};

struct timer {
	void (*on_expire)(struct timer *timer);
	struct loop *loop;
	uint64_t deadline_ns; /* CLOCK_MONOTONIC */
	struct timer *next, *prev;
};

struct defer {
	void (*on_turn_end)(struct defer *defer);
	struct loop *loop;
	struct defer *next;
	bool queued;
};

/* NULL with error set when the kernel refuses. */
struct loop *loop_new(struct error *error);
void loop_free(struct loop *loop);

/* Runs until loop_quit(); returns the code given there, or a negative errno when epoll fails. */
int loop_run(struct loop *loop);
void loop_quit(struct loop *loop, int code);
/* Polling: sleeping and being woken costs more than a short request does. Once allowed, loop_poll() asks that the next wait looks for events for up to
 * `most_ns` before it sleeps. It does so only while what comes usually comes within that time (a running average), and gives way to whoever else
 * wants the processor. 0, the default: never. */
void loop_allow_poll(struct loop *loop, uint64_t most_ns);
void loop_poll(struct loop *loop);
/* Monotonic nanoseconds as of the start of this turn. */
uint64_t loop_now(const struct loop *loop);

/* The loop borrows fd. Returns 0 or a negative errno. */
int watch_start(
    struct loop *loop, struct watch *watch, int fd, uint32_t events, void (*on_ready)(struct watch *, uint32_t));
/* Other events for a started watch; 0 parks it (EPOLLERR and EPOLLHUP still arrive). No-op if equal. */
int watch_change(struct watch *watch, uint32_t events);
void watch_stop(struct watch *watch);

/* One shot, `after_ns` from now; restarts a running timer. */
void timer_start(struct loop *loop, struct timer *timer, uint64_t after_ns, void (*on_expire)(struct timer *));
void timer_stop(struct timer *timer);

/* Once, when all that was ready in this turn has been handled. Queued twice runs once. */
void defer_start(struct loop *loop, struct defer *defer, void (*on_turn_end)(struct defer *));
void defer_stop(struct defer *defer);

/* Blocks `signals` (0-terminated list) and starts `watch` on a signalfd for them, which the watch's
 * owner reads with loop_signal_read() and closes (watch->fd) after watch_stop(). */
int loop_signals(struct loop *loop, struct watch *watch, const int *signals, void (*on_ready)(struct watch *, uint32_t),
    struct error *error);
/* The next pending signal's number, or 0 when none is left. */
int loop_signal_read(struct watch *watch);

#define NS_PER_US  UINT64_C(1000)
#define NS_PER_MS  UINT64_C(1000000)
#define NS_PER_SEC UINT64_C(1000000000)

#endif
