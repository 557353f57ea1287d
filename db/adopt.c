/* SPDX-License-Identifier: Apache-2.0
 *
 * Adoption: the operator's answer to a state database that db_open() refuses (db/db.h). Everything that an older database could bring back (epochs,
 * grants, numbers) is put beyond reach, and the trail, which is evidence, stays what it is.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "db/db.h"
#include "db/statement.h"

static const char *const trail_texts[] = {
    [TRAIL_SAME] = "same", [TRAIL_AHEAD] = "ahead", [TRAIL_BEHIND] = "behind", [TRAIL_DIFFERS] = "differs"};

static void
look_at_mark(const struct db *db, const char *path, struct mark_values *mark, struct db_adoption *adoption)
{
	int code = mark_read(path, mark, NULL);

	adoption->mark = code == -ENOENT ? "missing" : "damaged";
	if (code < 0)
		*mark = (struct mark_values){0};
	else
		adoption->mark = db->lineage.serial == 0 || memcmp(mark->line, db->lineage.line, MARK_LINE_LEN) == 0
				     ? "read"
				     : "of another database";
	adoption->mark_change = mark->begun;
	adoption->mark_lines = mark->lines;
}

static enum adopted_trail
compare_trail(uint64_t head_lines, const struct trail_survey *survey)
{
	if (survey->head.lines < head_lines)
		return TRAIL_BEHIND;
	if (!survey->same_at)
		return TRAIL_DIFFERS;
	return survey->head.lines > head_lines ? TRAIL_AHEAD : TRAIL_SAME;
}

static uint64_t
larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* All that was found, and the epochs that follow from it. */
static int
survey(struct db *db, const struct db_paths *paths, const struct trail_head *head, struct mark_values *mark,
    struct trail_survey *trail, struct db_adoption *adoption, struct error *error)
{
	int code = trail_survey(paths->trail, head->lines, head->chain, trail, error);

	if (code < 0)
		return code;
	look_at_mark(db, paths->mark, mark, adoption);
	adoption->trail = compare_trail(head->lines, trail);
	adoption->database_change = db->lineage.serial;
	adoption->database_lines = head->lines;
	adoption->trail_lines = trail->head.lines;
	adoption->database_epochs = db->epoch_high;
	adoption->epochs = larger(larger(db->epoch_high, mark->epochs), trail->epochs);
	if (strcmp(adoption->mark, "read") != 0)
		adoption->epochs += ADOPT_MARGIN;
	if (adoption->epochs > INT64_MAX / 2 || trail->generation > INT64_MAX / 2)
		return error_set(error, -ERANGE,
		    "%s or %s speaks of an epoch or a generation that cannot be; keep the files as evidence, but move "
		    "them "
		    "elsewhere",
		    paths->trail, paths->mark);
	return 0;
}

/* The checkpoint of lines that are lost is the last that shows that they were there; the next one would replace it. */
static void
keep_checkpoint(const struct db_paths *paths, struct db_adoption *adoption)
{
	bool lost = adoption->trail == TRAIL_BEHIND || adoption->trail == TRAIL_DIFFERS ||
		    adoption->trail_lines < adoption->mark_lines;

	if (!lost)
		return;
	snprintf(adoption->checkpoint, sizeof adoption->checkpoint, "%.200s.before-%llu", paths->checkpoint,
	    (unsigned long long)adoption->trail_lines + 1);
	if (rename(paths->checkpoint, adoption->checkpoint) < 0)
		adoption->checkpoint[0] = '\0';
}

/* From here on trail and mark are as db_commit() wants them. The new line is in the mark first: when we die before the database has it, it is refused again. */
static int
open_trail_and_mark(struct db *db, const struct db_paths *paths, const struct trail_survey *trail,
    const struct mark_values *old, const struct db_adoption *adoption, struct error *error)
{
	struct mark_values mark = {.lines = trail->head.lines, .epochs = adoption->epochs};
	uint64_t recovered = 0;
	int code = lineage_name(mark.line, error);

	if (code < 0)
		return code;
	mark.begun = mark.done = larger(old->begun, db->lineage.serial);
	db->trail = trail_open(paths->trail, &trail->head, &recovered, error);
	if (db->trail == NULL)
		return -EIO;
	memcpy(db->lineage.line, mark.line, sizeof mark.line);
	db->epoch_high = adoption->epochs;
	db->mark = mark_make(paths->mark, &mark, error);
	return db->mark ? 0 : -EIO;
}

struct seen {
	void (*each)(const struct db_grant *, void *);
	void *context;
	unsigned count;
};

static void
see_grant(const struct db_grant *grant, void *context)
{
	struct seen *seen = context;

	seen->count++;
	if (seen->each)
		seen->each(grant, seen->context);
}

static void
count_lease(const struct db_lease *lease, void *context)
{
	(void)lease;
	++*(unsigned *)context;
}

static int
write_record(struct db *db, bool keep_grants, int64_t now_us, struct db_adoption *adoption, struct error *error)
{
	const struct record record = {
	    .event = EVENT_STATE_ADOPTED,
	    .detail = {{"why", adoption->why.text, 0}, {"mark", adoption->mark, 0},
		{"trail", trail_texts[adoption->trail], 0}, {"database_change", NULL, adoption->database_change},
		{"mark_change", NULL, adoption->mark_change}, {"database_lines", NULL, adoption->database_lines},
		{"trail_lines", NULL, adoption->trail_lines}, {"mark_lines", NULL, adoption->mark_lines},
		{"database_epochs", NULL, adoption->database_epochs}, {"epochs", NULL, adoption->epochs},
		{"leases_open", NULL, adoption->leases},
		{keep_grants ? "grants_kept" : "grants_dropped", NULL, adoption->grants}},
	    .detail_count = 12,
	};

	return db_record(db, &record, now_us, &adoption->record, error);
}

static int
change(struct db *db, bool keep_grants, uint64_t generation, int64_t now_us, struct seen *seen,
    struct db_adoption *adoption, struct error *error)
{
	int code = db_begin(db, error);

	if (code == 0)
		code = statement_run(db, statement_bind(db, ST_FLOOR_RAISE, "i", (int64_t)adoption->epochs), error);
	if (code == 0)
		code = statement_run(db, statement_bind(db, ST_GENERATION_RAISE, "i", (int64_t)generation), error);
	if (code == 0)
		code = statement_run(db, statement_bind(db, ST_NUMBERS_SKIP, "i", (int64_t)ADOPT_NUMBERS), error);
	if (code == 0)
		code = db_leases_each(db, &(struct db_lease_filter){0}, count_lease, &adoption->leases);
	if (code == 0)
		code = db_grants_each(db, NULL, NULL, NULL, see_grant, seen);
	adoption->grants = seen->count;
	if (code == 0 && !keep_grants)
		code = statement_run(db, statement_bind(db, ST_GRANTS_REMOVE, ""), error);
	if (code == 0)
		code = write_record(db, keep_grants, now_us, adoption, error);
	if (code == 0)
		return db_commit(db, error);
	db_rollback(db);
	return code;
}

static int
adopt(const struct db_paths *paths, bool keep_grants, int64_t now_us, struct seen *seen, struct db_adoption *adoption,
    struct error *error)
{
	struct trail_survey trail;
	struct trail_head head;
	struct mark_values mark = {0};
	struct db *db = db_open_tables(paths, &head, error);
	int code = db ? survey(db, paths, &head, &mark, &trail, adoption, error) : -EIO;

	if (code == 0) {
		keep_checkpoint(paths, adoption);
		code = open_trail_and_mark(db, paths, &trail, &mark, adoption, error);
	}
	if (code == 0)
		code = change(db, keep_grants, trail.generation, now_us, seen, adoption, error);
	db_close(db);
	return code;
}

int
db_adopt(const struct db_paths *paths, bool keep_grants, int64_t now_us, void (*each)(const struct db_grant *, void *),
    void *context, struct db_adoption *adoption, struct error *error)
{
	struct seen seen = {each, context, 0};
	struct db *db;

	*adoption = (struct db_adoption){0};
	db = db_open(paths, now_us, &adoption->why);
	if (db) {
		db_close(db);
		return 0;
	}
	adoption->needed = true;
	if (adoption->why.code != -ESTALE && adoption->why.code != -EBADMSG)
		return error_set(error, adoption->why.code, "%s", adoption->why.text);
	return adopt(paths, keep_grants, now_us, &seen, adoption, error);
}
