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
#define RECORD_WHOLE_MAX  8272 /* bytes of a line as it stands in the trail, chain included, without its newline */
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

/* What a whole line of the trail says of its place and of whom it speaks. The texts point into the line, without their quotes and still escaped; length 0:
 * not there. */
struct record_text {
	const char *at;
	size_t length;
};
struct record_head {
	uint64_t seq;
	int64_t wall_us;
	struct record_text vm, share;
	uint8_t chain[RECORD_CHAIN_LEN];
};
/* Reads a line as record_print() and the trail make them: one JSON object without spaces, objects in it one deep. -EBADMSG when it is none, or lacks seq,
 * ts or chain. The line is not trusted: somebody may have written to the file. */
int record_read(const char *untrusted_line, size_t length, struct record_head *head);

#endif
