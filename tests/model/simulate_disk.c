/* SPDX-License-Identifier: Apache-2.0
 *
 * The real database of a simulated schedule (tests/model/simulate_disk.h): netbus-broker's transactions, with their records, in files on /dev/shm.
 */
#include "tests/model/simulate_disk.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "db/db.h"
#include "db/mark.h"

static const char *const names[] = {"state.db", "state.db-wal", "audit.jsonl", "epoch.mark"};
#define NAMES (sizeof names / sizeof names[0])

struct disk {
	char path[64];
	char place; /* 'a' or 'b': where the files in use are; 't': the empty database that each schedule begins with */
	int64_t now_us;
	struct db *db;
};

/* ---- files ---- */

static void
path_of(const struct disk *disk, char place, const char *name, char *path)
{
	snprintf(path, PATH_MAX, "%s/%c/%s", disk->path, place, name);
}

static bool
copy_bytes(int from, int to)
{
	static char bytes[1 << 16];
	ssize_t length;

	while ((length = read(from, bytes, sizeof bytes)) > 0)
		if (write(to, bytes, (size_t)length) != length)
			return false;
	return length == 0;
}

/* What is not there is not there in the copy either. */
static bool
copy(const struct disk *disk, char from, char to, const char *name)
{
	char source[PATH_MAX], copied[PATH_MAX];
	AUTO_CLOSE int in = -1, out = -1;

	path_of(disk, from, name, source);
	path_of(disk, to, name, copied);
	unlink(copied);
	in = open(source, O_RDONLY | O_CLOEXEC);
	if (in < 0)
		return true;
	out = open(copied, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	return out >= 0 && copy_bytes(in, out);
}

static bool
copy_all(const struct disk *disk, char from, char to)
{
	bool good = true;

	for (size_t i = 0; i < NAMES; i++)
		good = copy(disk, from, to, names[i]) && good;
	return good;
}

static bool
open_in(struct disk *disk, char place)
{
	char state[PATH_MAX], trail[PATH_MAX], mark[PATH_MAX];
	const struct db_paths paths = {.state = state, .trail = trail, .checkpoint = "unused", .mark = mark};
	struct error error = {0};

	path_of(disk, place, names[0], state);
	path_of(disk, place, names[2], trail);
	path_of(disk, place, names[3], mark);
	disk->place = place;
	disk->db = db_open(&paths, ++disk->now_us, &error);
	if (disk->db == NULL)
		printf("    %s\n", error.text);
	return disk->db != NULL;
}

/* ---- the empty database ---- */

static void
share_name(unsigned share, struct qualified *name)
{
	snprintf(name->text, sizeof name->text, "acme/disk-%u", share);
}

static bool
make_shares(struct disk *disk)
{
	struct db_share shares[STORE_SHARES] = {0};

	for (unsigned i = 0; i < STORE_SHARES; i++) {
		share_name(i, &shares[i].name);
		snprintf(shares[i].class, sizeof shares[i].class, "disk");
		shares[i].share_mode = (uint8_t)i;
	}
	return db_begin(disk->db, NULL) == 0 && db_shares_sync(disk->db, shares, STORE_SHARES, NULL) == 0 &&
	       db_commit(disk->db, NULL) == 0;
}

static bool
make_empty(struct disk *disk)
{
	bool good;

	for (const char *place = "tab"; *place; place++) {
		char path[PATH_MAX];

		path_of(disk, *place, "", path);
		if (mkdir(path, 0700) < 0)
			return false;
	}
	good = open_in(disk, 't') && make_shares(disk);
	disk_end(disk);
	return good;
}

struct disk *
disk_new(void)
{
	struct disk *disk = calloc(1, sizeof *disk);

	if (disk == NULL)
		return NULL;
	snprintf(disk->path, sizeof disk->path, "%s/netbus-simulate.XXXXXX",
	    access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	if (mkdtemp(disk->path) && make_empty(disk))
		return disk;
	disk_free(disk);
	return NULL;
}

void
disk_free(struct disk *disk)
{
	char path[PATH_MAX];

	if (disk == NULL)
		return;
	for (const char *place = "tab"; *place; place++) {
		for (size_t i = 0; i < NAMES; i++) {
			path_of(disk, *place, names[i], path);
			unlink(path);
		}
		path_of(disk, *place, "", path);
		rmdir(path);
	}
	rmdir(disk->path);
	free(disk);
}

bool
disk_begin(struct disk *disk)
{
	return copy_all(disk, 't', 'a') && open_in(disk, 'a');
}

void
disk_end(struct disk *disk)
{
	db_close(TAKE(disk->db));
}

/* ---- transactions ---- */

static void
id_bytes(uint64_t id, uint8_t bytes[static LEASE_ID_LEN])
{
	memset(bytes, 0, LEASE_ID_LEN);
	memcpy(bytes, &id, sizeof id);
}

static int
end_lease(struct disk *disk, const struct disk_change *change)
{
	uint8_t id[LEASE_ID_LEN];
	const struct record record = {.event = EVENT_LEASE_END, .reason = reason_name(change->reason), .lease = id};
	int code;

	id_bytes(change->end, id);
	code = db_lease_end(disk->db, id, disk->now_us, change->reason, NULL);
	return code == 0 ? db_record(disk->db, &record, disk->now_us, NULL, NULL) : code;
}

static int
add_lease(struct disk *disk, const struct store_row *new, uint64_t *epoch)
{
	struct db_lease lease = {.mode = new->write, .lanes = 1, .started_us = disk->now_us};
	struct record record = {.event = EVENT_ATTACH_ALLOW, .decision = DECISION_ALLOW, .lease = lease.id};
	int code;

	id_bytes(new->id, lease.id);
	share_name(new->share, &lease.share);
	snprintf(lease.vm.text, sizeof lease.vm.text, "acme/web-1");
	snprintf(lease.host, sizeof lease.host, "m1");
	code = db_lease_add(disk->db, &lease, NULL);
	*epoch = record.epoch = lease.epoch;
	return code == 0 ? db_record(disk->db, &record, disk->now_us, NULL, NULL) : code;
}

/* Everything of the transaction but its commit. */
static int
make_change(struct disk *disk, const struct disk_change *change, uint64_t *epoch)
{
	int code = db_begin(disk->db, NULL);

	disk->now_us++;
	if (code == 0 && change->end)
		code = end_lease(disk, change);
	if (code == 0 && change->add)
		code = add_lease(disk, change->add, epoch);
	return code;
}

bool
disk_commit(struct disk *disk, const struct disk_change *change, uint64_t *epoch)
{
	if (make_change(disk, change, epoch) == 0 && !change->fails)
		return db_commit(disk->db, NULL) == 0;
	db_rollback(disk->db);
	return false;
}

/* ---- crashes ---- */

/* A record without an effect is enough: what it would have recorded must not have happened. */
/* The mark as it stood before it was told of the commit. */
static bool
copy_mark_not_done(const struct disk *disk, char to)
{
	char source[PATH_MAX], copied[PATH_MAX];
	struct mark_values values;
	struct mark *mark;

	path_of(disk, disk->place, names[3], source);
	path_of(disk, to, names[3], copied);
	if (mark_read(source, &values, NULL) < 0)
		return false;
	values.done = values.begun - 1;
	mark = mark_make(copied, &values, NULL);
	mark_close(mark);
	return mark != NULL;
}

static bool
crash_torn(struct disk *disk, char to)
{
	const struct record record = {.event = EVENT_ATTACH_ALLOW, .decision = DECISION_ALLOW, .epoch = 1};
	bool good = db_begin(disk->db, NULL) == 0 && db_record(disk->db, &record, disk->now_us, NULL, NULL) == 0 &&
		    copy_all(disk, disk->place, to) && db_commit(disk->db, NULL) == 0;

	return good && copy(disk, disk->place, to, names[2]) && copy_mark_not_done(disk, to);
}

bool
disk_crash(struct disk *disk, bool torn)
{
	char to = disk->place == 'a' ? 'b' : 'a';
	bool good = torn ? crash_torn(disk, to) : copy_all(disk, disk->place, to);

	disk_end(disk);
	return good && open_in(disk, to);
}

/* ---- comparing ---- */

struct comparison {
	const struct store_row *row;
	unsigned found;
	bool differs;
};

static void
compare_lease(const struct db_lease *lease, void *context)
{
	struct comparison *comparison = context;
	uint64_t id;

	memcpy(&id, lease->id, sizeof id);
	comparison->found++;
	for (unsigned i = 0; i < STORE_ROWS; i++)
		if (comparison->row[i].id == id && comparison->row[i].epoch == lease->epoch &&
		    comparison->row[i].write == lease->mode)
			return;
	comparison->differs = true;
}

static bool
epochs_are(struct disk *disk, const uint64_t epoch[static STORE_SHARES])
{
	for (unsigned i = 0; i < STORE_SHARES; i++) {
		struct qualified name;
		struct db_share share;

		share_name(i, &name);
		if (db_share_get(disk->db, name.text, &share) < 0 || share.epoch != epoch[i])
			return false;
	}
	return true;
}

bool
disk_has(struct disk *disk, const uint64_t epoch[static STORE_SHARES], const struct store_row row[static STORE_ROWS])
{
	struct comparison comparison = {.row = row};
	unsigned expected = 0;

	for (unsigned i = 0; i < STORE_ROWS; i++)
		expected += row[i].id != 0;
	return disk->db && db_leases_each(disk->db, &(struct db_lease_filter){0}, compare_lease, &comparison) == 0 &&
	       !comparison.differs && comparison.found == expected && epochs_are(disk, epoch);
}
