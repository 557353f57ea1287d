/* SPDX-License-Identifier: Apache-2.0
 *
 * Silence on a lane (wire/PROTOCOL.md section 7): when to say something so that the other end hears us, and when an other end that is not heard counts as lost.
 * Whatever comes from it, of whatever frame, is a sign of life. Everything follows from one number, lease_ttl (netbusd.yaml), which the exporter tells
 * as silence_ms in ATTACHED; wire/silence.def has the formulas.
 *
 * Pure: the time is told. Nanoseconds of one monotonic clock.
 */
#ifndef NETBUS_WIRE_SILENCE_H
#define NETBUS_WIRE_SILENCE_H

#include <stddef.h>
#include <stdint.h>

/* Of lease_ttl in netbusd.yaml; the protocol itself allows 1 s to 1 h (silence_ms). */
#define LEASE_TTL_LEAST_MS   3000u
#define LEASE_TTL_MOST_MS    3600000u
#define LEASE_TTL_DEFAULT_MS 15000u

/* The timers of wire/silence.def, in its order. */
enum silence_timer {
#define TIMER(upper, lower, formula, meaning) SILENCE_##upper,
#include "wire/silence.def"
#undef TIMER
	SILENCE_TIMERS
};

struct silence_row {
	const char *name, *formula, *meaning; /* "ping", "lease_ttl / 3", ... */
};

extern const struct silence_row silence_rows[SILENCE_TIMERS];

/* Milliseconds of that timer where lease_ttl is `lease_ttl_ms`. */
uint64_t silence_ms(enum silence_timer timer, uint32_t lease_ttl_ms);

/* One end's view of the other. */
struct silence {
	uint64_t heard_ns, spoke_ns; /* the last time that something came, and that something was said */
	uint64_t ping_ns, lost_ns;   /* what is too long */
};

enum silence_due { SILENCE_NOTHING_DUE, SILENCE_PING_DUE, SILENCE_IS_LOST };

/* Begins now. `gives_up` is this end's timer. */
void silence_begin(struct silence *silence, uint32_t lease_ttl_ms, enum silence_timer gives_up, uint64_t now_ns);
/* What is due. Lost beats ping. */
enum silence_due silence_due(const struct silence *silence, uint64_t now_ns);
/* Until something can be due, if nothing is heard or said meanwhile; 0: something is. */
uint64_t silence_wait_ns(const struct silence *silence, uint64_t now_ns);

#endif
