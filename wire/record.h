/* SPDX-License-Identifier: Apache-2.0
 *
 * One line of the audit trail (netbus-audit(5)): a closed list of events, a fixed list of fields, JSON on one line.
 *
 *   {"v":1,"seq":42,"ts":"2026-11-22T12:00:00.000001Z","event":"attach.allow","decision":"allow","reason":"allowed","rule":"web-own-disks",
 *    "generation":3,"principal":{"host":"m1","vm":"acme/web-1","tenant":"acme","admin":"root"},"share":"acme/disk-1","lease":"<32 hex>",
 *    "epoch":7,"mode":"rw","detail":{...},"chain":"<64 hex>"}
 *
 * Fields that do not apply are left out. Peers' strings are escaped by JSON's rules. Payload data never stands here. Printing is pure.
 */
#ifndef NETBUS_WIRE_RECORD_H
#define NETBUS_WIRE_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RECORD_LINE_MAX   8192
#define RECORD_CHAIN_LEN  32
#define RECORD_DETAIL_MAX 12

enum record_event {
#define EVENT(symbol, name, sentence) EVENT_##symbol,
#include "wire/event.def"
#undef EVENT
	EVENT_COUNT
};

const char *event_name(enum record_event event);     /* "attach.allow" */
const char *event_sentence(enum record_event event); /* for netbus-audit(5) */

enum decision { DECISION_NONE, DECISION_ALLOW, DECISION_DENY };

struct record_detail {
	const char *key;  /* [a-z_]+ */
	const char *text; /* or NULL: then `number` */
	uint64_t number;
};

/* What a caller says; strings may be NULL and are untrusted. seq, time and chain are set by the trail. */
struct record {
	enum record_event event;
	enum decision decision;
	const char *reason, *rule;
	uint64_t generation;           /* 0: left out */
	const char *host, *vm, *admin; /* principal; tenant follows from vm, or from share */
	const char *share;
	const uint8_t *lease; /* 16 bytes, or NULL */
	uint64_t epoch;       /* 0: left out */
	const char *mode;     /* "ro", "rw" */
	struct record_detail detail[RECORD_DETAIL_MAX];
	size_t detail_count;
};

/* The line without its chain field and closing brace ("{...,"mode":"rw"), NUL-terminated: its length, or -ENOBUFS. The trail appends
 * `,"chain":"<hex>"}` and a newline, where chain = SHA-256(previous chain || this text). */
int record_print(const struct record *record, uint64_t seq, int64_t wall_us, char *out, size_t room);

#endif
