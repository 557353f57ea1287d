/* SPDX-License-Identifier: Apache-2.0
 *
 * Offline verification of an audit trail (netbus-audit(5)): fed with the file's bytes in pieces of any size, it names the first
 * line that is not as it was written, and holds the whole against a checkpoint whose signature was verified. Pure.
 *
 * What it finds by itself: a changed, inserted, removed or moved line, and a last line without its end. What only the checkpoint
 * shows: lines missing at the end, and a trail that somebody rewrote with a chain of his own.
 *
 * Every byte of the trail is untrusted: no line is looked at beyond AUDIT_LINE_MAX, nothing grows with the file.
 */
#ifndef NETBUS_CRYPTO_AUDIT_H
#define NETBUS_CRYPTO_AUDIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "crypto/chain.h"
#include "crypto/seal.h"

/* ,"chain":"<64 hex>"} */
#define AUDIT_CHAIN_FIELD ",\"chain\":\""
#define AUDIT_TAIL_LEN    (sizeof AUDIT_CHAIN_FIELD - 1 + 2 * (size_t)CHAIN_LEN + 2)
/* Of a line without its newline: RECORD_LINE_MAX of wire/record.h, less its NUL, and the chain field. */
#define AUDIT_LINE_MAX (8191 + AUDIT_TAIL_LEN)

struct audit_verifier {
	/* Results. */
	uint64_t lines;          /* that are good, from the first on */
	uint64_t first_bad_line; /* 0: none, or the fault is of no single line */
	struct error error;      /* error.code 0: nothing was found yet */
	/* The rest is its own. */
	bool has_checkpoint;
	struct checkpoint checkpoint;
	uint8_t chain[CHAIN_LEN];
	struct tree tree;
	size_t used;
	char line[AUDIT_LINE_MAX];
};

/* `checkpoint` is copied; NULL: the chain alone is verified, and missing lines at the end are not noticed. */
void audit_begin(struct audit_verifier *verifier, const struct checkpoint *checkpoint);
/* 0, or -EBADMSG with `error` and mostly `first_bad_line` set. After that it takes no more. */
int audit_feed(struct audit_verifier *verifier, const void *untrusted, size_t length);
/* The file is over: 0 or -EBADMSG. */
int audit_end(struct audit_verifier *verifier);

#endif
