/* SPDX-License-Identifier: Apache-2.0
 *
 * Why something was allowed, refused or ended, by number, name and sentence; generated from authz/reason.def.
 */
#ifndef NETBUS_AUTHZ_REASON_H
#define NETBUS_AUTHZ_REASON_H

#include <stdbool.h>
#include <stdint.h>

enum reason {
#define REASON(number, symbol, name, wire, sentence) REASON_##symbol = (number),
#include "authz/reason.def"
#undef REASON
};

/* "grant-missing"; "unknown" for a number that is not in the table. */
const char *reason_name(uint16_t reason);
/* The sentence for a person. */
const char *reason_sentence(uint16_t reason);
/* What a peer may be told instead of it. */
uint16_t reason_on_wire(uint16_t reason);
/* Whether a lease that ended so may be had again by asking once more, with nobody having to do anything about it: then a guest may wait for that. Otherwise it is told that its
 * device is gone. */
bool reason_heals(uint16_t reason);
/* The number of a name, or 0. */
uint16_t reason_find(const char *name);

#endif
