/* SPDX-License-Identifier: Apache-2.0
 *
 * The stand-in in memory, and its comparison with the real database (tests/model/simulate_store.h).
 */
#include "tests/model/simulate_store.h"

#include <stddef.h>
#include <string.h>

#include "tests/model/simulate_disk.h"

static void
hold(struct store *store, bool holds, const char *sentence)
{
	if (!holds && store->broken == NULL)
		store->broken = sentence;
}

static struct store_row *
row_of(struct store *store, uint64_t id)
{
	for (unsigned i = 0; i < STORE_ROWS; i++)
		if (store->row[i].id == id)
			return &store->row[i];
	return NULL;
}

const struct store_row *
store_find(const struct store *store, uint64_t id)
{
	for (unsigned i = 0; i < STORE_ROWS; i++)
		if (store->row[i].id == id)
			return &store->row[i];
	return NULL;
}

/* The next epoch; the real database's, where there is one: after a change that a crash cut off it leaves some out (db/mark.h). */
static void
put(struct store *store, const struct store_row *new, uint64_t *epoch)
{
	struct store_row *row = row_of(store, 0);

	hold(store, row != NULL, "there is room for the row");
	hold(store, row_of(store, new->id) == NULL, "a lease is stored once");
	if (row == NULL)
		return;
	*row = *new;
	if (store->disk == NULL)
		*epoch = store->epoch[new->share] + 1;
	hold(store, *epoch > store->epoch[new->share], "an epoch grows");
	row->epoch = store->epoch[new->share] = *epoch;
}

static void
take(struct store *store, uint64_t id)
{
	struct store_row *row = row_of(store, id);

	hold(store, row != NULL, "only what is on disk is ended there");
	if (row)
		*row = (struct store_row){0};
}

bool
store_add(struct store *store, const struct store_row *new, bool fails, uint64_t *epoch)
{
	const struct disk_change change = {.add = new, .fails = fails};

	if (store->disk)
		hold(store, disk_commit(store->disk, &change, epoch) == !fails,
		    "the database stores what the engine allows");
	if (fails)
		return false;
	put(store, new, epoch);
	return true;
}

bool
store_move(struct store *store, uint64_t from, const struct store_row *new, bool fails, uint64_t *epoch)
{
	const struct disk_change change = {.end = from, .reason = REASON_MOVED, .add = new, .fails = fails};

	if (store->disk)
		hold(store, disk_commit(store->disk, &change, epoch) == !fails, "the database stores a hand-over");
	if (fails)
		return false;
	take(store, from);
	put(store, new, epoch);
	return true;
}

bool
store_end(struct store *store, uint64_t id, uint16_t reason, bool fails)
{
	const struct disk_change change = {.end = id, .reason = reason, .fails = fails};

	if (store->disk)
		hold(store, disk_commit(store->disk, &change, NULL) == !fails, "the database stores an end");
	if (!fails)
		take(store, id);
	return !fails;
}

static void
compare(struct store *store)
{
	if (store->disk)
		hold(store, disk_has(store->disk, store->epoch, store->row),
		    "the database has the live leases and the epochs that were committed");
}

void
store_init(struct store *store, struct disk *disk)
{
	*store = (struct store){.disk = disk};
	if (disk)
		hold(store, disk_begin(disk), "an empty database opens");
}

void
store_close(struct store *store)
{
	compare(store);
	if (store->disk)
		disk_end(store->disk);
}

void
store_crash(struct store *store, bool torn)
{
	if (store->disk)
		hold(store, disk_crash(store->disk, torn), "the database opens after a crash");
	compare(store);
}
