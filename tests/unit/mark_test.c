/* SPDX-License-Identifier: Apache-2.0
 *
 * A state that was restored from a backup is always noticed, a crash never taken for one, and no epoch is ever handed out twice: not after a crash at
 * whatever point, not after an adoption of whatever state.
 */
#include "tests/unit/db_world.h"

#include <signal.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <time.h>

/* ---- helpers ---- */

enum { STATE, TRAIL, MARK, FILES };
static const char *const file_paths[FILES] = {state_path, trail_path, mark_path};

struct backup {
	char *bytes[FILES];
	size_t length[FILES];
};

static char *
read_file(const char *path, size_t *length)
{
	FILE *file = fopen(path, "re");
	char *bytes;
	struct stat status;

	assert_non_null(file);
	assert_int_equal(fstat(fileno(file), &status), 0);
	*length = (size_t)status.st_size;
	bytes = malloc(*length + 1);
	assert_int_equal(fread(bytes, 1, *length, file), *length);
	bytes[*length] = '\0';
	fclose(file);
	return bytes;
}

static void
write_file(const char *path, const char *bytes, size_t length)
{
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, length, file), length);
	fclose(file);
}

/* Of closed files: SQLite leaves no write-ahead log then. */
static void
back_up(struct backup *backup)
{
	for (int i = 0; i < FILES; i++)
		backup->bytes[i] = read_file(file_paths[i], &backup->length[i]);
}

static void
put_back(const struct backup *backup, unsigned which)
{
	for (int i = 0; i < FILES; i++)
		if (which & (1U << i))
			write_file(file_paths[i], backup->bytes[i], backup->length[i]);
}

static void
forget(struct backup *backup)
{
	for (int i = 0; i < FILES; i++)
		free(backup->bytes[i]);
}

/* Begins to give a lease, up to where only the commit is missing. */
static int
begin_lease(struct db *db, const char *share, struct db_lease *lease)
{
	struct record allow = {.event = EVENT_ATTACH_ALLOW, .share = share};
	int code;

	*lease = (struct db_lease){.mode = 1, .lanes = 1, .started_us = 1};
	if (getrandom(lease->id, sizeof lease->id, 0) != (ssize_t)sizeof lease->id)
		return -EIO;
	snprintf(lease->share.text, sizeof lease->share.text, "%s", share);
	snprintf(lease->vm.text, sizeof lease->vm.text, "%s", "acme/web-1");
	code = db_begin(db, NULL);
	if (code == 0)
		code = db_lease_add(db, lease, NULL);
	allow.epoch = lease->epoch;
	return code == 0 ? db_record(db, &allow, 1, NULL, NULL) : code;
}

/* Gives a lease and ends it: its epoch, or 0. */
static uint64_t
give(struct db *db, const char *share)
{
	struct db_lease lease;

	if (begin_lease(db, share, &lease) < 0 || db_commit(db, NULL) < 0 || db_begin(db, NULL) < 0 ||
	    db_lease_end(db, lease.id, 9, 21, NULL) < 0 || db_commit(db, NULL) < 0)
		return 0;
	return lease.epoch;
}

static uint64_t
open_and_give(const char *share)
{
	struct db *db = open_good();
	uint64_t epoch = give(db, share);

	assert_int_not_equal(epoch, 0);
	db_close(db);
	return epoch;
}

static void
add_grant(struct db *db, struct db_grant *grant)
{
	*grant = (struct db_grant){.mode = 1, .created_us = 1};
	snprintf(grant->vm.text, sizeof grant->vm.text, "%s", "acme/web-1");
	snprintf(grant->share.text, sizeof grant->share.text, "%s", "acme/disk-1");
	begin(db);
	assert_int_equal(db_grant_add(db, grant, NULL), 0);
	assert_int_equal(db_record(db, &(struct record){.event = EVENT_GRANT_ADD}, 1, NULL, NULL), 0);
	commit(db);
}

/* A host that lived: a share, a grant, three epochs, and then, after the backup, three more and another share. */
static uint64_t
live_on(struct backup *backup)
{
	struct db *db = open_good();
	struct db_share both[2] = {
	    {.name = {"acme/disk-1"}, .class = "disk"}, {.name = {"acme/disk-2"}, .class = "disk"}};
	struct db_grant grant;
	uint64_t epoch = 0;

	add_share(db, "acme/disk-1", 0);
	add_grant(db, &grant);
	for (unsigned i = 0; i < 3; i++)
		give(db, "acme/disk-1");
	db_close(db);
	back_up(backup);
	db = open_good();
	begin(db);
	assert_int_equal(db_shares_sync(db, both, 2, NULL), 0);
	commit(db);
	for (unsigned i = 0; i < 3; i++)
		epoch = give(db, "acme/disk-1");
	give(db, "acme/disk-2");
	db_close(db);
	return epoch;
}

static void
refused(int code, const char *text)
{
	struct error error = {0};

	assert_null(db_open(&paths, 1, &error));
	if (error.code != code || strstr(error.text, text) == NULL)
		fail_msg("wanted %d '%s', got %d '%s'", code, text, error.code, error.text);
}

static void
adopt(bool keep_grants, struct db_adoption *adoption)
{
	struct error error = {0};

	if (db_adopt(&paths, keep_grants, 1, NULL, NULL, adoption, &error) < 0)
		fail_msg("%s", error.text);
	assert_true(adoption->needed);
}

static unsigned
lines_with(const char *text)
{
	size_t length;
	char *trail = read_file(trail_path, &length);
	unsigned count = 0;

	for (const char *at = trail; (at = strstr(at, text)) != NULL; at++)
		count++;
	free(trail);
	return count;
}

/* What adoption promises, whatever was adopted: it starts, epochs of known and of forgotten shares are above all earlier, grants are gone. */
static void
all_is_above(uint64_t epoch)
{
	struct db *db = open_good();
	struct db_share both[2] = {
	    {.name = {"acme/disk-1"}, .class = "disk"}, {.name = {"acme/disk-2"}, .class = "disk"}};

	begin(db);
	assert_int_equal(db_shares_sync(db, both, 2, NULL), 0);
	commit(db);
	assert_true(give(db, "acme/disk-1") > epoch);
	assert_true(give(db, "acme/disk-2") > epoch);
	assert_false(db_grant_covers(db, "acme/web-1", "acme/disk-1", "m1", 0, 5));
	db_close(db);
	db_close(open_good());
}

/* ---- restored backups ---- */

/* Each choice of what was put back. Only all of it together is not noticed, which cannot be by what is on this disk. */
static void
whatever_was_restored_is_noticed_and_can_be_adopted(void **state)
{
	static const struct {
		unsigned which;
		int code;
		const char *text;
		enum adopted_trail trail;
	} cases[] = {
	    {1 << STATE, -ESTALE, "older than what was done with it", TRAIL_AHEAD},
	    {1 << TRAIL, -EBADMSG, "shorter", TRAIL_BEHIND},
	    {1 << MARK, -ESTALE, "the mark was restored", TRAIL_SAME},
	    {1 << STATE | 1 << TRAIL, -ESTALE, "older than what was done with it", TRAIL_SAME},
	    {1 << STATE | 1 << MARK, -ESTALE, "the trail is newer", TRAIL_AHEAD},
	    {1 << TRAIL | 1 << MARK, -ESTALE, "the mark was restored", TRAIL_BEHIND},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct backup backup;
		struct db_adoption adoption;
		uint64_t epoch;
		size_t before, after;

		if (i > 0)
			set_up(state);
		epoch = live_on(&backup);
		put_back(&backup, cases[i].which);
		free(read_file(trail_path, &before));
		refused(cases[i].code, cases[i].text);
		refused(cases[i].code, cases[i].text); /* refusing changed nothing */
		free(read_file(trail_path, &after));
		assert_int_equal(before, after);
		adopt(false, &adoption);
		assert_int_equal(adoption.trail, cases[i].trail);
		assert_int_equal(adoption.grants, 1);
		assert_int_equal(lines_with("\"event\":\"state.adopted\""), 1);
		all_is_above(epoch);
		forget(&backup);
		if (i + 1 < sizeof cases / sizeof cases[0])
			tear_down(state);
	}
}

static void
a_backup_of_just_one_change_before_is_noticed(void **state)
{
	struct db *db = open_good();
	struct backup backup;

	(void)state;
	add_share(db, "acme/disk-1", 0);
	db_close(db);
	back_up(&backup);
	db = open_good();
	assert_int_equal(record(db, EVENT_GRANT_REMOVE), 0);
	db_close(db);
	put_back(&backup, 1 << STATE);
	refused(-ESTALE, "older");
	put_back(&backup, 1 << STATE | 1 << TRAIL);
	refused(-ESTALE, "older");
	forget(&backup);
}

static void
a_missing_or_spoiled_mark_is_refused(void **state)
{
	struct backup backup;
	uint64_t epoch = live_on(&backup);
	struct mark_values values;
	struct db_adoption adoption;
	size_t length;
	char *good = read_file(mark_path, &length), *spoiled = malloc(2 * MARK_FILE_LEN);

	(void)state;
	assert_int_equal(length, MARK_FILE_LEN);
	for (size_t i = 0; i < length; i++) { /* edited: any one byte */
		memcpy(spoiled, good, length);
		spoiled[i] ^= i % 2 ? 0x01 : 0x10;
		write_file(mark_path, spoiled, length);
		assert_int_equal(mark_read(mark_path, &values, NULL), -EBADMSG);
	}
	refused(-ESTALE, "damaged or was edited");
	for (size_t cut = 0; cut < length; cut += 73) { /* truncated */
		write_file(mark_path, good, cut);
		assert_int_equal(mark_read(mark_path, &values, NULL), -EBADMSG);
	}
	memcpy(spoiled, good, length);
	memset(spoiled + length, ' ', length); /* longer */
	write_file(mark_path, spoiled, 2 * length);
	refused(-ESTALE, "damaged");
	memset(spoiled, 'x', length);
	write_file(mark_path, spoiled, length);
	refused(-ESTALE, "damaged");
	assert_int_equal(unlink(mark_path), 0);
	refused(-ESTALE, "missing");
	write_file(mark_path, good, length);
	db_close(open_good());
	assert_int_equal(unlink(mark_path), 0);
	adopt(false, &adoption);
	assert_string_equal(adoption.mark, "missing");
	assert_true(adoption.epochs >= epoch + ADOPT_MARGIN);
	all_is_above(adoption.epochs);
	free(good);
	free(spoiled);
	forget(&backup);
}

static void
the_mark_of_another_database_is_refused(void **state)
{
	struct backup backup, other;
	struct db_adoption adoption;
	uint64_t epoch;

	epoch = live_on(&backup);
	tear_down(state);
	forget(&backup);
	set_up(state);
	live_on(&other);
	put_back(&other, 0);
	back_up(&backup); /* of the other, at the same change */
	tear_down(state);
	set_up(state);
	forget(&other);
	epoch = live_on(&other);
	put_back(&backup, 1 << MARK);
	refused(-ESTALE, "of another state database");
	adopt(false, &adoption);
	assert_string_equal(adoption.mark, "of another database");
	all_is_above(epoch + ADOPT_MARGIN - 1);
	forget(&backup);
	forget(&other);
}

/* ---- what is new ---- */

static void
a_new_database_beside_an_old_mark_or_trail_is_refused(void **state)
{
	struct backup backup;

	(void)state;
	live_on(&backup);
	assert_int_equal(unlink(state_path), 0);
	refused(-ESTALE, "is new or of an earlier Netbus");
	assert_int_equal(unlink(mark_path), 0);
	unlink(state_path);
	refused(-ESTALE, "the trail is newer");
	refused(-ESTALE, "the trail is newer"); /* refusing made no mark */
	assert_int_equal(access(mark_path, F_OK), -1);
	assert_int_equal(unlink(trail_path), 0);
	unlink(state_path);
	db_close(open_good()); /* all anew */
	db_close(open_good());
	forget(&backup);
}

static void
a_first_start_that_was_cut_off_is_none(void **state)
{
	struct mark_values values = {.line = "cut", .begun = 1, .lines = 1};

	(void)state;
	mark_close(mark_make(mark_path, &values, NULL));
	db_close(open_good());
	db_close(open_good());
}

/* Made by the schema's first version: no mark, no history, a share at epoch 7. */
static void
a_database_of_an_earlier_netbus_gets_its_mark(void **state)
{
	sqlite3 *old;
	struct mark_values values;

	(void)state;
	assert_int_equal(sqlite3_open(state_path, &old), SQLITE_OK);
	assert_int_equal(sqlite3_exec(old, db_migrations[0], NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(
	    sqlite3_exec(old,
		"PRAGMA user_version = 1; INSERT INTO shares VALUES ('acme/disk-1', 'disk', 0, 0, 1, 1, 7)", NULL, NULL,
		NULL),
	    SQLITE_OK);
	sqlite3_close(old);
	db_close(open_good());
	assert_int_equal(mark_read(mark_path, &values, NULL), 0);
	assert_int_equal(values.epochs, 7);
	assert_int_equal(open_and_give("acme/disk-1"), 8);
	assert_int_equal(unlink(mark_path), 0);
	refused(-ESTALE, "missing");
}

/* ---- while it runs ---- */

static void
a_mark_that_was_moved_refuses_until_it_is_back(void **state)
{
	struct db *db = open_good();
	char moved[128];

	(void)state;
	snprintf(moved, sizeof moved, "%s/moved", directory);
	assert_int_equal(rename(mark_path, moved), 0);
	assert_int_equal(record(db, EVENT_DAEMON_START), -ESTALE);
	write_file(mark_path, "another", 7);
	assert_int_equal(record(db, EVENT_DAEMON_START), -ESTALE);
	assert_int_equal(rename(moved, mark_path), 0);
	assert_int_equal(record(db, EVENT_DAEMON_START), 0);
	db_close(db);
	db_close(open_good());
}

/* ---- adoption ---- */

static void
nothing_is_adopted_that_is_in_order(void **state)
{
	struct backup backup;
	struct db_adoption adoption;
	struct db *db;

	(void)state;
	live_on(&backup);
	assert_int_equal(db_adopt(&paths, false, 1, NULL, NULL, &adoption, NULL), 0);
	assert_false(adoption.needed);
	assert_int_equal(lines_with("state.adopted"), 0);
	db = open_good();
	assert_true(db_grant_covers(db, "acme/web-1", "acme/disk-1", "m1", 0, 5));
	db_close(db);
	forget(&backup);
}

static void
count_grant(const struct db_grant *grant, void *context)
{
	(void)grant;
	++*(unsigned *)context;
}

static void
grants_stay_if_asked_for_and_numbers_are_never_used_twice(void **state)
{
	struct backup backup;
	struct db_adoption adoption;
	struct db_grant later, grant;
	struct db *db;
	unsigned seen = 0;

	(void)state;
	live_on(&backup);
	db = open_good();
	add_grant(db, &later);
	db_close(db);
	put_back(&backup, 1 << STATE);
	assert_int_equal(db_adopt(&paths, true, 1, count_grant, &seen, &adoption, NULL), 0);
	assert_int_equal(seen, 1);
	assert_int_equal(adoption.grants, 1);
	assert_int_equal(lines_with("\"grants_kept\":1"), 1);
	db = open_good();
	assert_true(db_grant_covers(db, "acme/web-1", "acme/disk-1", "m1", 0, 5));
	add_grant(db, &grant);
	assert_true(grant.id > later.id);
	db_close(db);
	forget(&backup);
}

/* Also at the very number at which the adopted one is now. */
static void
the_line_that_was_left_is_never_continued(void **state)
{
	struct backup backup, left;
	struct db_adoption adoption;

	(void)state;
	live_on(&backup);
	back_up(&left);
	put_back(&backup, 1 << STATE);
	adopt(false, &adoption);
	put_back(&left, 1 << STATE);
	refused(-ESTALE, "of another state database");
	put_back(&left, 1 << STATE | 1 << TRAIL);
	refused(-ESTALE, "of another state database");
	forget(&backup);
	forget(&left);
}

static void
the_checkpoint_of_lost_lines_is_kept(void **state)
{
	struct backup backup;
	struct db_adoption adoption;

	(void)state;
	live_on(&backup);
	write_file(checkpoint_path, "signed", 6);
	put_back(&backup, 1 << STATE | 1 << TRAIL);
	adopt(false, &adoption);
	assert_true(adoption.mark_lines > adoption.trail_lines);
	assert_int_equal(access(adoption.checkpoint, F_OK), 0);
	assert_int_equal(access(checkpoint_path, F_OK), -1);
	forget(&backup);
}

static void
a_trail_that_is_broken_in_itself_is_not_adopted(void **state)
{
	struct backup backup;
	struct db_adoption adoption;
	struct error error = {0};
	uint64_t epoch = live_on(&backup);
	size_t length;
	char *trail = read_file(trail_path, &length), *grant = strstr(trail, "grant.add");

	(void)state;
	grant[0] = 'G';
	write_file(trail_path, trail, length);
	put_back(&backup, 1 << STATE);
	assert_int_equal(db_adopt(&paths, false, 1, NULL, NULL, &adoption, &error), -EBADMSG);
	assert_non_null(strstr(error.text, "line 1 was not written by netbusd"));
	refused(-ESTALE, "older"); /* and nothing was changed */
	assert_int_equal(unlink(trail_path), 0);
	adopt(false, &adoption);
	all_is_above(epoch);
	free(trail);
	forget(&backup);
}

/* A later epoch that only the trail tells of, since the mark is lost with the database. */
static void
the_trail_tells_of_epochs_too(void **state)
{
	struct backup backup;
	struct db_adoption adoption;
	uint64_t epoch = 0;
	struct db *db;

	(void)state;
	live_on(&backup);
	db = open_good();
	for (unsigned i = 0; i < 50; i++)
		epoch = give(db, "acme/disk-1");
	db_close(db);
	put_back(&backup, 1 << STATE);
	assert_int_equal(unlink(mark_path), 0);
	adopt(false, &adoption);
	assert_int_equal(adoption.epochs, epoch + ADOPT_MARGIN);
	forget(&backup);
}

/* ---- what is on the disk, and when ---- */

/* In place of libc's, for all of this program: which files were synced, in order. */
static char synced[256];

int
fdatasync(int fd)
{
	char link[32], path[128] = "";
	const char *name;
	size_t used = strlen(synced);

	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	if (readlink(link, path, sizeof path - 1) > 0 && (name = strrchr(path, '/')) != NULL)
		snprintf(synced + used, sizeof synced - used, "%s ", name + 1);
	return (int)syscall(SYS_fdatasync, fd);
}

static void
a_change_is_on_disk_in_the_order_mark_trail_database(void **state)
{
	struct db *db = open_good();
	struct mark_values values;

	(void)state;
	assert_int_equal(record(db, EVENT_DAEMON_START), 0); /* the first one also begins the write-ahead log */
	synced[0] = '\0';
	assert_int_equal(record(db, EVENT_DAEMON_START), 0);
	assert_string_equal(synced, "epoch.mark audit.jsonl state.db-wal ");
	assert_int_equal(mark_read(mark_path, &values, NULL), 0);
	assert_int_equal(values.done, values.begun); /* told, and synced with the next change or when asked */
	synced[0] = '\0';
	db_settle(db);
	db_settle(db);
	assert_string_equal(synced, "epoch.mark ");
	db_close(db);
}

/* ---- crashes ---- */

enum cut { CUT_BEGUN, CUT_TRAIL, CUT_COMMITTED, CUTS };

/* Gives a lease and dies on the way. */
static void
die_at(enum cut cut)
{
	struct mark_values before;
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		struct db *db = db_open(&paths, 1, NULL);
		struct db_lease lease;

		if (db == NULL || begin_lease(db, "acme/disk-1", &lease) < 0)
			_exit(1);
		if (cut == CUT_COMMITTED)
			_exit(db_commit(db, NULL) < 0);
		if (mark_begin(db->mark, trail_head(db->trail)->lines, db->epoch_high, NULL) < 0)
			_exit(1);
		_exit(cut == CUT_TRAIL && trail_write(db->trail, NULL) < 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	if (cut != CUT_COMMITTED)
		return;
	/* As a loss of power may leave it: what was not synced is not there. */
	assert_int_equal(mark_read(mark_path, &before, NULL), 0);
	before.done--;
	mark_close(mark_make(mark_path, &before, NULL));
}

static void
a_crash_anywhere_is_no_reason_to_refuse_and_repeats_no_epoch(void **state)
{
	struct db *db = open_good();
	uint64_t high;

	(void)state;
	add_share(db, "acme/disk-1", 0);
	high = give(db, "acme/disk-1");
	db_close(db);
	for (unsigned run = 0; run < 4 * CUTS; run++) {
		enum cut cut = (enum cut)(run % CUTS);
		struct db_share share;

		if (run >= 2 * CUTS)
			die_at(run % 2 ? CUT_TRAIL : CUT_BEGUN); /* and again before anything else was done */
		die_at(cut);
		db = open_good();
		if (cut == CUT_COMMITTED) {
			assert_int_equal(db_share_get(db, "acme/disk-1", &share), 0);
			assert_true(share.epoch > high);
			high = share.epoch;
			assert_int_equal(
			    sqlite3_exec(db->sqlite, "UPDATE leases SET live = 0, ended_us = 1 WHERE live = 1", NULL,
				NULL, NULL),
			    SQLITE_OK);
		}
		/* The epoch that was drawn may stand in the trail. */
		assert_true(give(db, "acme/disk-1") > high + (cut == CUT_COMMITTED ? 0 : 1));
		assert_int_equal(db_share_get(db, "acme/disk-1", &share), 0);
		high = share.epoch;
		db_close(db);
	}
}

/* ---- SIGKILL at random moments ---- */

/* The moment is drawn from a time that follows the disk, so that some are killed in the opening and some after several epochs. */
enum { KILLS = 150, FEW = 1, MANY = 6, MOST_US = 900000 };

static void
arm_kill(unsigned us)
{
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGKILL};
	const struct itimerspec when = {.it_value = {.tv_nsec = (long)us * 1000 + 1}};
	timer_t timer;

	if (timer_create(CLOCK_MONOTONIC, &event, &timer) < 0 || timer_settime(timer, 0, &when, NULL) < 0)
		_exit(1);
}

/* Tells each epoch once its transaction is committed; 0: the database did not open. Until it is killed. */
__attribute__((noreturn)) static void
give_until_killed(int tell, unsigned us)
{
	struct error error = {0};
	uint64_t epoch = 0;
	struct db *db;

	arm_kill(us);
	db = db_open(&paths, 1, &error);
	if (db == NULL)
		fprintf(stderr, "%s\n", error.text);
	else if (sqlite3_exec(db->sqlite, "UPDATE leases SET live = 0, ended_us = 1 WHERE live = 1", NULL, NULL, NULL))
		db = NULL;
	do {
		epoch = db ? give(db, "acme/disk-1") : 0;
		if (write(tell, &epoch, sizeof epoch) != (ssize_t)sizeof epoch)
			_exit(1);
	} while (epoch);
	_exit(2);
}

/* The trail's own epochs, also of what was never committed. */
static void
the_trail_has_no_epoch_twice(void)
{
	size_t length;
	char *trail = read_file(trail_path, &length);
	uint64_t last = 0;

	for (const char *at = trail; (at = strstr(at, ",\"epoch\":")) != NULL; at++) {
		uint64_t epoch = strtoull(at + strlen(",\"epoch\":"), NULL, 10);

		if (epoch <= last)
			fail_msg("epoch %llu after %llu", (unsigned long long)epoch, (unsigned long long)last);
		last = epoch;
	}
	free(trail);
}

static void
killed_at_any_moment_it_opens_again_and_epochs_only_grow(void **state)
{
	struct db *db = open_good();
	uint64_t last = 0, epoch;
	unsigned given = 0, most_us = 10000, longest_us = 0;

	(void)state;
	add_share(db, "acme/disk-1", 0);
	db_close(db);
	srandom(1);
	for (unsigned run = 0; run < KILLS; run++) {
		int ends[2], status;
		unsigned us = (unsigned)random() % most_us, before = given;
		pid_t pid;

		assert_int_equal(pipe(ends), 0);
		pid = fork();
		if (pid == 0)
			give_until_killed(ends[1], us);
		close(ends[1]);
		for (; read(ends[0], &epoch, sizeof epoch) == (ssize_t)sizeof epoch; given++) {
			if (epoch <= last)
				fail_msg("run %u: epoch %llu after %llu", run, (unsigned long long)epoch,
				    (unsigned long long)last);
			last = epoch;
		}
		close(ends[0]);
		if (given - before < FEW && most_us < MOST_US)
			most_us += most_us / 4;
		else if (given - before > MANY)
			most_us -= most_us / 4;
		longest_us = most_us > longest_us ? most_us : longest_us;
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	}
	print_message(
	    "%u kills within %u us, %u epochs, the last %llu\n", KILLS, longest_us, given, (unsigned long long)last);
	assert_true(given >= KILLS / 4);
	db_close(open_good());
	the_trail_has_no_epoch_twice();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(whatever_was_restored_is_noticed_and_can_be_adopted),
	    TEST(a_backup_of_just_one_change_before_is_noticed),
	    TEST(a_missing_or_spoiled_mark_is_refused),
	    TEST(the_mark_of_another_database_is_refused),
	    TEST(a_new_database_beside_an_old_mark_or_trail_is_refused),
	    TEST(a_first_start_that_was_cut_off_is_none),
	    TEST(a_database_of_an_earlier_netbus_gets_its_mark),
	    TEST(a_mark_that_was_moved_refuses_until_it_is_back),
	    TEST(nothing_is_adopted_that_is_in_order),
	    TEST(grants_stay_if_asked_for_and_numbers_are_never_used_twice),
	    TEST(the_line_that_was_left_is_never_continued),
	    TEST(the_checkpoint_of_lost_lines_is_kept),
	    TEST(a_trail_that_is_broken_in_itself_is_not_adopted),
	    TEST(the_trail_tells_of_epochs_too),
	    TEST(a_change_is_on_disk_in_the_order_mark_trail_database),
	    TEST(a_crash_anywhere_is_no_reason_to_refuse_and_repeats_no_epoch),
	    TEST(killed_at_any_moment_it_opens_again_and_epochs_only_grow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
