/* SPDX-License-Identifier: Apache-2.0
 *
 * The real database of a simulated schedule. A crash is a copy of the files as they are at that moment, opened instead of them: what a kill -9 leaves.
 */
#ifndef NETBUS_TESTS_MODEL_SIMULATE_DISK_H
#define NETBUS_TESTS_MODEL_SIMULATE_DISK_H

#include "tests/model/simulate_store.h"

/* One transaction: an end, a new lease, or both. */
struct disk_change {
	uint64_t end; /* 0 = none */
	uint16_t reason;
	const struct store_row *add; /* NULL = none */
	bool fails;                  /* rolled back instead of committed */
};

bool disk_begin(struct disk *disk); /* an empty database */
void disk_end(struct disk *disk);
/* Whether it was committed; epoch is the new lease's. */
bool disk_commit(struct disk *disk, const struct disk_change *change, uint64_t *epoch);
bool disk_crash(struct disk *disk, bool torn);
/* Whether its live leases and epochs are these. */
bool disk_has(
    struct disk *disk, const uint64_t epoch[static STORE_SHARES], const struct store_row row[static STORE_ROWS]);

#endif
