/* SPDX-License-Identifier: Apache-2.0
 *
 * One page of memory that a session shares with the broker, one for each lane (a memfd made by the monitor).
 *
 * The broker writes `ended`; the session looks at it before each submission. It is a courtesy that makes an orderly end
 * quick: what really ends a lane is that its process is killed and its descriptor released. The broker also writes what the limits of the policy allow
 * the lane. The session writes the
 * counters, and the broker reads them, also after the session died. They come from a process that parses hostile
 * bytes: they are shown and recorded as its statement, and decide nothing.
 *
 * Native byte order: both ends are on this machine and of this build.
 */
#ifndef NETBUS_WIRE_LANE_PAGE_H
#define NETBUS_WIRE_LANE_PAGE_H

#include <stdatomic.h>
#include <stdint.h>

#define LANE_PAGE_LEN 4096

struct lane_counters {
	_Atomic uint64_t submitted, completed, aborted, errors; /* requests */
	_Atomic uint64_t last_completed;                   /* number of the last request answered, counted from 1 */
	_Atomic uint64_t reads, writes, flushes, discards; /* completed */
	_Atomic uint64_t read_bytes, written_bytes;
};

/* Where the time of a request goes: sums over the requests that were timed (one of each turn of the session's loop, so that it costs nothing). */
struct lane_times {
	_Atomic uint64_t timed; /* requests, by the session */
	_Atomic uint64_t receive_ns, device_ns,
	    send_ns;           /* taken from the socket and opened; in the backend; sealed and given to the socket */
	_Atomic uint64_t told; /* requests timed by the attach host, as it says itself (TIMES) */
	_Atomic uint64_t ring_ns, queue_ns,
	    exchange_ns; /* from waking up for the guest to the lane; waiting there; from being sent to its reply */
};

/* What a lane may let through, and until when more than that. Operations are counted in thousandths, so that a slow rate can be shared. */
#define LANE_OPERATION UINT64_C(1000)

enum lane_limited { LANE_LIMIT_OPS = 1 << 0, LANE_LIMIT_BYTES = 1 << 1 };

struct lane_rate {
	_Atomic uint64_t rate;  /* units per second, until `until_ns` */
	_Atomic uint64_t after; /* from then on, if nothing new was written */
	_Atomic uint64_t depth; /* units that may gather while the lane is quiet */
};

/* Written by the broker between an odd and the next even `turn`; whoever reads an odd one, or another one afterwards, reads again later. */
struct lane_allowance {
	_Atomic uint32_t turn;
	_Atomic uint64_t until_ns; /* CLOCK_MONOTONIC */
	struct lane_rate ops, bytes;
};

/* What the lane wanted, by the session; only while it is limited. */
struct lane_demand {
	_Atomic uint64_t ops, bytes; /* let through: thousandths of operations, bytes */
	_Atomic uint64_t held;       /* requests that had to wait */
	_Atomic uint64_t held_ns;    /* while one or more waited */
	_Atomic uint64_t short_ops,
	    short_bytes;            /* times that it was looked whether the first one may go and it was not */
	_Atomic uint32_t waits_for; /* enum lane_limited: what the first one that waits lacks; 0: none waits */
};

struct lane_page {
	_Atomic uint32_t ended;   /* 0, or the reason (authz/reason.h): no submission any more */
	_Atomic uint32_t limited; /* enum lane_limited: what of `allowance` counts; 0: nothing is held back */
	uint8_t pad[56];
	struct lane_counters counters; /* its own cache lines */
	struct lane_times times;
	/* CLOCK_MONOTONIC, when the session last heard its peer; 0: not yet. It renews the lease (wire/silence.def): the session says it once for what it
	 * read in one go, and a session that does not run says nothing. */
	_Atomic uint64_t heard_ns;
	_Alignas(64) struct lane_allowance allowance;
	_Alignas(64) struct lane_demand demand;
};

/* For the session, the only one that writes them: no need for a locked addition. */
static inline void
lane_page_add(_Atomic uint64_t *counter, uint64_t amount)
{
	atomic_store_explicit(
	    counter, atomic_load_explicit(counter, memory_order_relaxed) + amount, memory_order_relaxed);
}

_Static_assert(sizeof(struct lane_page) <= LANE_PAGE_LEN, "a lane page is one page");

#endif
