/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside db/: the high-water mark, a file outside the state database that knows how far the database had come, so that an older one in its place (restored
 * from a backup, alone or together with the trail) is noticed, and so that no epoch is ever handed out twice.
 *
 *   netbus-mark 1 line=<32 hex> begun=<n> done=<n> lines=<n> epochs=<n> sum=<64 hex>        and spaces up to 511 bytes, then a newline
 *
 *   line    a random name of the database's history. An adopted database gets a new one, so that the line it left can never be continued.
 *   begun   number of the latest change (transaction) that was begun
 *   done    number of the latest change that is known to be committed; done <= begun
 *   lines   the trail has no line above this number
 *   epochs  no epoch above this was ever handed out, of any share
 *   sum     SHA-256 of the text before it
 *
 * The order of a change: (1) the mark says `begun` = n with the epochs and lines that n will have made, and is synced, (2) the trail's lines are synced,
 * (3) SQLite commits n, (4) the mark says `done` = n, written but not waited for: the change after it, mark_settle() and mark_close() sync it.
 *
 * What follows, for a database whose own number is d:
 *   d < done           it is older than what was committed: a restored backup. Refused.
 *   d > begun          a database that is newer than its mark, which steps 1 and 3 exclude: the mark is a restored one. Refused.
 *   the trail is longer than `lines`: steps 1 and 2 exclude it, so database and mark are restored ones and the trail is not. Refused.
 *   done <= d < begun  a crash cut the change off between 1 and 3 (d + 1 .. begun were never committed). It is no reason to refuse; epochs that these
 *                      changes drew may stand in the trail, so all later epochs are above `epochs`.
 *   done <= d = begun  nothing happened, or a crash between 3 and 4.
 * A loss of power may lose step 4 but none of the steps before: then the database may be taken for one that was cut off although somebody put back the
 * one of exactly the change before. Even then no epoch repeats, since those after it are above `epochs`.
 * Who puts back the whole disk (database, trail and mark together) is not noticed here; checkpoints kept elsewhere show it (netbus-audit(5)).
 *
 * It is written in place: that needs no space, so a full disk does not keep leases from ending. 512 bytes at offset 0 are one sector, which a disk writes
 * as a whole or not at all. A mark that cannot be read as exactly this is never guessed at.
 */
#ifndef NETBUS_DB_MARK_H
#define NETBUS_DB_MARK_H

#include <stdint.h>

#include "base/error.h"

#define MARK_LINE_LEN 16
#define MARK_FILE_LEN 512

struct mark_values {
	uint8_t line[MARK_LINE_LEN];
	uint64_t begun, done, lines, epochs;
};

struct mark;

/* 0; -ENOENT when there is no file; -EBADMSG when it is not exactly what was written; another errno when it cannot be read. */
int mark_read(const char *path, struct mark_values *values, struct error *error);
/* Makes the file anew, or replaces it, and opens it. */
struct mark *mark_make(const char *path, const struct mark_values *values, struct error *error);
/* Opens the file from which `values` were just read. */
struct mark *mark_open(const char *path, const struct mark_values *values, struct error *error);
/* Settles and closes; NULL is fine. */
void mark_close(struct mark *mark);

/* Steps 1 and 4 above. mark_begin() sets values->begun to a number that was never used; `lines` is what the trail will have, `epochs` the largest that was
 * ever handed out (less than before is taken as no more). -ESTALE when the file was moved or replaced meanwhile. */
int mark_begin(struct mark *mark, uint64_t lines, uint64_t epochs, struct error *error);
void mark_done(struct mark *mark);
/* Syncs what mark_done() wrote. */
int mark_settle(struct mark *mark);

const struct mark_values *mark_values(const struct mark *mark);

#endif
