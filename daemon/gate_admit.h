/* SPDX-License-Identifier: Apache-2.0
 *
 * Whom the gate lets in: counts for each source address (base/address.h, address_print_source()), and in all, of
 * connections that have not said a word (silent), of those that were handed on and are not proved yet (unproved), and of those that ended unproved.
 *
 * A source of which more than ADMIT_FAILURES_MAX ended unproved within a minute is shut out, for a second at first and for twice as long each time
 * that it goes on, up to a minute; one proved peer wipes its slate. Being silent is no failure: it costs only a place, and an honest host speaks at once.
 *
 * Pure: the time comes from the caller (monotonic nanoseconds, never going back). Bounded: sources of which nothing is known any more are forgotten.
 */
#ifndef NETBUS_DAEMON_GATE_ADMIT_H
#define NETBUS_DAEMON_GATE_ADMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/address.h"

#define ADMIT_FAILURES_MAX 32
#define ADMIT_SOURCES_MAX  2048 /* more than can be silent or unproved at once */

struct admit;

enum admit_verdict {
	ADMIT_IN,
	ADMIT_SHUT_OUT,    /* close it at once */
	ADMIT_SOURCE_FULL, /* close the silent one of this source that has waited longest, and ask again */
	ADMIT_FULL,        /* the same, of any source */
};

struct admit *admit_new(void); /* NULL: no memory */
void admit_free(struct admit *admit);

/* A connection came; ADMIT_IN counts it as silent. */
enum admit_verdict admit_arrive(struct admit *admit, const char *source, uint64_t now_ns);
/* It was closed before it was handed on. */
void admit_leave(struct admit *admit, const char *source);
/* It spoke: true moves it from silent to unproved; false: there are too many unproved, it has to wait. */
bool admit_pass(struct admit *admit, const char *source);
/* What was handed on is proved, or ended without. */
void admit_settle(struct admit *admit, const char *source, bool proved, uint64_t now_ns);

#endif
