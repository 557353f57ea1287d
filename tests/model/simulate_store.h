/* SPDX-License-Identifier: Apache-2.0
 *
 * What is on disk in a simulated schedule: the live leases and each share's epoch, in memory; and, where it is wanted, the real database beside it
 * (db/db.h, SQLite and the audit trail on a memory file system), which must say the same at every step and after every crash.
 */
#ifndef NETBUS_TESTS_MODEL_SIMULATE_STORE_H
#define NETBUS_TESTS_MODEL_SIMULATE_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "authz/lease.h"

#define STORE_SHARES 3 /* share n has mode n (enum share_mode) */
#define STORE_ROWS   32

struct store_row {
	uint64_t id; /* 0 = none */
	uint64_t epoch;
	uint8_t share;
	bool write;
};

struct disk;

struct store {
	struct disk *disk;  /* NULL: memory only */
	const char *broken; /* what the disk did that it must not, NULL */
	uint64_t epoch[STORE_SHARES];
	struct store_row row[STORE_ROWS];
};

/* The directory of all schedules' databases; NULL when there is none to be had. */
struct disk *disk_new(void);
void disk_free(struct disk *disk);

/* An empty database with its shares. */
void store_init(struct store *store, struct disk *disk);
void store_close(struct store *store);

/* Each is one transaction with its record; `fails`: it is rolled back at the end. Whether it was committed. */
bool store_add(struct store *store, const struct store_row *new, bool fails, uint64_t *epoch);
bool store_move(struct store *store, uint64_t from, const struct store_row *new, bool fails, uint64_t *epoch);
bool store_end(struct store *store, uint64_t id, uint16_t reason, bool fails);
/* What a kill -9 leaves is opened again; `torn`: it comes when a transaction's records are on disk and the transaction is not. */
void store_crash(struct store *store, bool torn);

const struct store_row *store_find(const struct store *store, uint64_t id);

#endif
