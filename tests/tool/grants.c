/* SPDX-License-Identifier: Apache-2.0
 *
 * grants STATE TRAIL MARK COUNT PAIRS: that many grants in the state database of a daemon that does not run, each with its record in the trail, as the broker makes
 * them but many to a transaction. Grant n is of vm-K for disk-K of tenant acme, K being n modulo PAIRS; the first PAIRS are for any host, the others for hosts that
 * there are not. Used by tests/system/scale.test.
 */
#include <sodium/core.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "db/db.h"

#define EACH 1000 /* in a transaction */

__attribute__((noreturn)) static void
give_up(const char *what)
{
	fprintf(stderr, "grants: %s\n", what);
	exit(1);
}

static void
add(struct db *db, unsigned number, unsigned pairs)
{
	struct db_grant grant = {.mode = 1, .created_us = clock_wall_us(), .maker = "test", .reason = "scale"};
	struct record record = {.event = EVENT_GRANT_ADD,
	    .host = grant.host,
	    .vm = grant.vm.text,
	    .share = grant.share.text,
	    .admin = grant.maker,
	    .mode = "rw",
	    .detail = {{"grant", NULL, 0}, {"why", grant.reason, 0}},
	    .detail_count = 2};
	struct error error = {0};

	snprintf(grant.vm.text, sizeof grant.vm.text, "acme/vm-%u", number % pairs);
	snprintf(grant.share.text, sizeof grant.share.text, "acme/disk-%u", number % pairs);
	if (number >= pairs)
		snprintf(grant.host, sizeof grant.host, "absent-%u", number / pairs);
	if (db_grant_add(db, &grant, &error) < 0)
		give_up(error.text);
	record.detail[0].number = grant.id;
	if (db_record(db, &record, grant.created_us, NULL, &error) < 0)
		give_up(error.text);
}

int
main(int argc, char **argv)
{
	unsigned count = argc > 4 ? (unsigned)strtoul(argv[4], NULL, 10) : 0;
	unsigned pairs = argc > 5 ? (unsigned)strtoul(argv[5], NULL, 10) : 0;
	struct error error = {0};
	struct db *db;

	if (count == 0 || pairs == 0 || sodium_init() < 0)
		give_up("STATE TRAIL MARK COUNT PAIRS are wanted");
	db = db_open(&(struct db_paths){.state = argv[1], .trail = argv[2], .mark = argv[3]}, clock_wall_us(), &error);
	if (db == NULL)
		give_up(error.text);
	for (unsigned number = 0; number < count; number++) {
		if (number % EACH == 0 && db_begin(db, &error) < 0)
			give_up(error.text);
		add(db, number, pairs);
		if ((number % EACH == EACH - 1 || number == count - 1) && db_commit(db, &error) < 0)
			give_up(error.text);
	}
	db_close(db);
	return 0;
}
