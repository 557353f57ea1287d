/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside db/: the audit trail as a file that is only appended to. Lines are gathered by trail_add() and reach the disk in trail_write(); the
 * caller then commits the new head to SQLite, or takes the lines back with trail_undo().
 *
 * Space for the ends of what runs is reserved ahead of the end of the file (fallocate(2)): on a full disk nothing new begins, but a revoke and
 * the end of a lease still find room.
 */
#ifndef NETBUS_DB_TRAIL_H
#define NETBUS_DB_TRAIL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "crypto/chain.h"
#include "wire/record.h"

#define TRAIL_RESERVE \
	(1u << 20) /* bytes: more than DB_BATCH_MAX ends of leases with their receipts, at the length that these have */

struct trail;

/* What SQLite holds: the state after the last committed line. */
struct trail_head {
	uint64_t lines, bytes;
	uint8_t chain[CHAIN_LEN];
	struct tree tree; /* tree.size == lines */
};

/* Opens or creates the file and holds it against `head`. Whole lines beyond the head that chain on are kept: *recovered says how many; a torn last line
 * is cut. -EBADMSG with what to do when the file is shorter than the head, or differs from it. */
struct trail *trail_open(const char *path, const struct trail_head *head, uint64_t *recovered, struct error *error);
void trail_close(struct trail *trail);

int trail_add(struct trail *trail, const struct record *record, int64_t now_us, uint64_t *seq, struct error *error);
/* Writes and syncs what was added. On failure nothing of it is left in the file (and if even that fails, the trail is out of order: all further writes
 * fail). */
int trail_write(struct trail *trail, struct error *error);
/* Forgets what was added since the last trail_keep(), also when it was written already. */
void trail_undo(struct trail *trail);
/* What was written is in SQLite's head now. */
void trail_keep(struct trail *trail);
/* With what was added but is not yet kept. */
const struct trail_head *trail_head(const struct trail *trail);

/* What the file says by itself, for who does not trust the head that he has. */
struct trail_survey {
	struct trail_head head;
	bool same_at;                /* the chain after line `at` is the given one */
	uint64_t epochs, generation; /* the largest that any line has */
};
/* Reads all of it and follows its chain; a missing file is an empty one, a torn last line is left out. -EBADMSG names the first line that does not chain
 * on. */
int trail_survey(const char *path, uint64_t at, const uint8_t chain[static CHAIN_LEN], struct trail_survey *survey,
    struct error *error);

/* Bytes of kept lines from `offset` on: at most `room`, *length 0 at their end. -EIO when the file lacks them. */
int trail_read(
    const struct trail *trail, uint64_t offset, char *text, size_t room, size_t *length, struct error *error);
/* With what is kept only. */
const struct trail_head *trail_kept(const struct trail *trail);

/* Tries to have the reserve whole. Whether it is, and the file in order. */
bool trail_ready(struct trail *trail);

#endif
