/* SPDX-License-Identifier: Apache-2.0
 *
 * Whether this state database is the one that this host used last: held against the mark and the trail (db/mark.h has the argument). What comes out is
 * yes, or a sentence for the operator, who has to decide then.
 */
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/random.h>

#include "db/statement.h"

#define U(number) ((unsigned long long)(number))

int
lineage_name(uint8_t line[static MARK_LINE_LEN], struct error *error)
{
	if (getrandom(line, MARK_LINE_LEN, 0) != MARK_LINE_LEN)
		return error_errno(error, -errno, "no random numbers");
	return 0;
}

/* A database that was never held against a mark: the first start, or the first one of a Netbus that has marks. */
static int
check_first(const struct db *db, const char *path, const struct mark_values *mark, bool found, struct error *error)
{
	if (!found || mark->done == 0)
		return 0;
	return error_set(error, -ESTALE,
	    "the state database %s is new or of an earlier Netbus, but the mark %s knows of %llu changes made since; "
	    "shares "
	    "could be given away twice",
	    db->path, path, U(mark->done));
}

static int
check_known(const struct db *db, const char *path, const struct mark_values *mark, struct error *error)
{
	const struct lineage *own = &db->lineage;

	if (memcmp(mark->line, own->line, MARK_LINE_LEN) != 0)
		return error_set(error, -ESTALE,
		    "the mark %s is of another state database than %s: one of them was copied here, or is from before "
		    "an "
		    "adoption",
		    path, db->path);
	if (own->serial < mark->done)
		return error_set(error, -ESTALE,
		    "the state database %s is older than what was done with it: it ends at change %llu, but %s says "
		    "that "
		    "change %llu was committed, so it was restored from a backup; shares could be given away twice, "
		    "and "
		    "what was revoked since is allowed again",
		    db->path, U(own->serial), path, U(mark->done));
	if (own->serial > mark->begun)
		return error_set(error, -ESTALE,
		    "the mark %s is older than the state database %s (change %llu, not %llu), so the mark was restored "
		    "from "
		    "a backup, and nothing shows that the database was not",
		    path, db->path, U(mark->begun), U(own->serial));
	return 0;
}

int
lineage_check(const struct db *db, const char *path, struct mark_values *mark, bool *found, struct error *error)
{
	int code = mark_read(path, mark, error);

	*found = code == 0;
	if (code == -EBADMSG || (code == -ENOENT && db->lineage.serial > 0)) {
		error_wrap(error, "whether the state database %s is the newest cannot be known", db->path);
		return error ? error->code = -ESTALE : -ESTALE;
	}
	if (code < 0 && code != -ENOENT)
		return code;
	return db->lineage.serial == 0 ? check_first(db, path, mark, *found, error)
				       : check_known(db, path, mark, error);
}

int
lineage_check_trail(const struct db *db, const struct db_paths *paths, const struct mark_values *mark, bool found,
    uint64_t head_lines, uint64_t recovered, struct error *error)
{
	uint64_t lines = head_lines + recovered;

	if (recovered == 0 || (found && lines <= mark->lines))
		return 0;
	if (!found && head_lines > 0) /* of an earlier Netbus, which made no mark */
		return 0;
	return error_set(error, -ESTALE,
	    "the audit trail %s has %llu lines, the state database %s knows of %llu: the trail is newer, so the "
	    "database was "
	    "restored from a backup or made anew; shares could be given away twice",
	    paths->trail, U(lines), db->path, U(head_lines));
}

int
lineage_begin(struct db *db, const char *path, struct mark_values *mark, bool found, struct error *error)
{
	int code = 0;

	if (mark->epochs > db->epoch_high)
		db->epoch_high = mark->epochs;
	if (db->lineage.serial == 0) {
		code = lineage_name(db->lineage.line, error);
		memcpy(mark->line, db->lineage.line, sizeof mark->line);
		mark->epochs = db->epoch_high;
	}
	if (code < 0)
		return code;
	db->mark = found && db->lineage.serial ? mark_open(path, mark, error) : mark_make(path, mark, error);
	return db->mark ? 0 : -EIO;
}
