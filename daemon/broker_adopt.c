/* SPDX-License-Identifier: Apache-2.0
 *
 * The state of this host is opened here, and what to do when it is refused is said, and done: netbusd --adopt-state. Adoption runs in netbus-broker, as
 * its user and inside its bounds, with nothing else started; what it did is printed for the operator.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "daemon/broker.h"

static struct db_paths
paths_of(const struct config *config)
{
	return (struct db_paths){config->state_db, config->audit_trail, config->audit_checkpoint, config->epoch_mark};
}

/* The whole remedy, to be typed as it stands. */
static int
say_remedy(const struct broker *broker, struct error *error)
{
	bool has_root = broker->root && strcmp(broker->root, "/") != 0;
	struct error why = *error;

	return error_set(error, -ESTALE,
	    "%.600s. Put the newest files back; or, if this is the state to go on with: netbusd --adopt-state --config "
	    "%.180s%s%.180s (drops the grants, see netbusd(8))",
	    why.text, broker->config_path, has_root ? " --root " : "", has_root ? broker->root : "");
}

int
broker_open_db(struct broker *broker, struct error *error)
{
	struct db_paths paths = paths_of(broker->config);

	broker->db = db_open(&paths, clock_wall_us(), error);
	if (broker->db)
		return 0;
	return error->code == -ESTALE ? say_remedy(broker, error) : -EIO;
}

/* As the command that makes it again, for who finds that it still holds. dprintf(3), since stdio would ask a terminal what it is, which is forbidden here. */
static void
print_grant(const struct db_grant *grant, void *context)
{
	const bool *keep = context;
	int64_t left_us = grant->expires_us - clock_wall_us();
	char left[DURATION_TEXT_LEN] = "";

	if (grant->expires_us)
		print_duration(left_us > 0 ? left_us : 0, left);
	dprintf(STDOUT_FILENO, "  %s %llu: netbus-admin grant %s %s --mode %s%s%s%s%s\n", *keep ? "kept" : "dropped",
	    (unsigned long long)grant->id, grant->vm.text, grant->share.text, grant->mode ? "rw" : "ro",
	    grant->host[0] ? " --host " : "", grant->host, left[0] ? "   # expires in " : "", left);
}

static void
print_trail(const struct db_adoption *done)
{
	const unsigned long long lines = done->trail_lines, known = done->database_lines;

	switch (done->trail) {
	case TRAIL_SAME:
		dprintf(STDOUT_FILENO, "Audit trail: %llu lines, as the database knows it.\n", lines);
		break;
	case TRAIL_AHEAD:
		dprintf(STDOUT_FILENO,
		    "Audit trail: kept, with %llu lines of which the database knew %llu: what was done since stands in "
		    "the "
		    "others.\n",
		    lines, known);
		break;
	case TRAIL_BEHIND:
		dprintf(STDOUT_FILENO, "AUDIT TRAIL: %llu lines, but the database knew %llu. The others are lost.\n",
		    lines, known);
		break;
	case TRAIL_DIFFERS:
		dprintf(STDOUT_FILENO, "AUDIT TRAIL: %llu lines, but not those that the database knew.\n", lines);
		break;
	}
	if (done->mark_lines > lines)
		dprintf(STDOUT_FILENO, "AUDIT TRAIL: it once had %llu lines. %llu are lost.\n",
		    (unsigned long long)done->mark_lines, (unsigned long long)done->mark_lines - lines);
	if (done->checkpoint[0])
		dprintf(STDOUT_FILENO, "The checkpoint that shows the lost lines was kept as %s.\n", done->checkpoint);
}

static void
print_adoption(const struct db_adoption *done, bool keep_grants)
{
	dprintf(STDOUT_FILENO, "Adopted the state database, which was refused: %s.\n", done->why.text);
	dprintf(STDOUT_FILENO, "Changes: the database ends at %llu, the mark (%s) at %llu.\n",
	    (unsigned long long)done->database_change, done->mark, (unsigned long long)done->mark_change);
	dprintf(STDOUT_FILENO, "Epochs: all from now on are above %llu (the database's largest was %llu).\n",
	    (unsigned long long)done->epochs, (unsigned long long)done->database_epochs);
	print_trail(done);
	dprintf(STDOUT_FILENO, "Leases: %u were live in the database; the next start records that they are over.\n",
	    done->leases);
	if (keep_grants)
		dprintf(STDOUT_FILENO,
		    "GRANTS: %u KEPT. THEY MAY INCLUDE ONES THAT WERE REVOKED AFTER THE BACKUP: look for grant.remove "
		    "and "
		    "revoke.begin in the trail, and remove those.\n",
		    done->grants);
	else
		dprintf(STDOUT_FILENO,
		    "GRANTS: %u DROPPED, since they may include ones that were revoked after the backup. Make anew "
		    "those that "
		    "still hold.\n",
		    done->grants);
	dprintf(STDOUT_FILENO,
	    "BARS, DENIED HOSTS AND DISABLED SHARES ARE THOSE OF THE BACKUP: what was barred, denied or disabled since "
	    "is not "
	    "any more; the trail has it.\nRecorded as line %llu of the trail (state.adopted). Start netbusd now.\n",
	    (unsigned long long)done->record);
}

int
broker_adopt(struct broker *broker, bool keep_grants, struct error *error)
{
	struct db_paths paths = paths_of(broker->config);
	struct db_adoption done;
	int code = db_adopt(&paths, keep_grants, clock_wall_us(), print_grant, &keep_grants, &done, error);

	if (code < 0)
		return error_wrap(error, "nothing was adopted");
	if (done.needed)
		print_adoption(&done, keep_grants);
	else
		dprintf(STDOUT_FILENO, "Nothing to adopt: the state database is the newest. Nothing was changed.\n");
	return 0;
}
