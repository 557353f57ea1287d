/* SPDX-License-Identifier: Apache-2.0
 *
 * A policy on trial: in force at once, and rolled back to the former one unless an operator confirms it in time. That takes no luck: the former files are in
 * the state database from the transaction on that puts the new ones in force, and a start that finds an unconfirmed generation rolls it back, whatever the
 * time. What was rolled back does not come back by itself either, although its files may still be in policy.d.
 *
 * The way back is the same as the way there: leases that the former policy does not allow end. Those that the unconfirmed one ended stay ended.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/log.h"
#include "daemon/broker.h"

#define AGAIN_MS 1000u /* after a roll-back that could not be stored */

static void on_late(struct timer *timer);

/* ---- the beginning and the good end ---- */

void
trial_begin(struct broker *broker, const struct db_trial *trial, int64_t within_us)
{
	struct policy_trial *has = &broker->trial;

	if (!has->waiting) {
		has->former = TAKE(broker->policy);
		has->former_observed = TAKE(broker->observed);
	}
	has->waiting = true;
	has->rolled_back = false;
	has->until_us = trial->until_us;
	timer_start(broker->loop, &has->late, (uint64_t)within_us * NS_PER_US, on_late);
}

void
trial_end(struct broker *broker)
{
	struct policy_trial *trial = &broker->trial;

	timer_stop(&trial->late);
	policy_free(TAKE(trial->former));
	free(TAKE(trial->former_observed));
	trial->waiting = trial->rolled_back = false;
	trial->until_us = 0;
}

void
trial_clear(struct broker *broker)
{
	trial_end(broker);
}

bool
trial_forbids(const struct broker *broker, struct policy_files *files)
{
	uint8_t digest[sizeof broker->trial.digest];

	if (!broker->trial.rolled_back)
		return false;
	policy_files_digest(files, digest);
	return memcmp(digest, broker->trial.digest, sizeof digest) == 0;
}

/* ---- back ---- */

static int
store_rollback(struct broker *broker, const struct db_trial *trial, uint64_t from, const char *why, struct error *error)
{
	const struct record record = {
	    .event = EVENT_POLICY_ROLLBACK,
	    .generation = trial->former,
	    .detail = {{"from", NULL, from}, {"why", why, 0}},
	    .detail_count = 2,
	};
	int code = db_begin(broker->db, error);

	if (code < 0)
		return code;
	code = db_trial_roll_back(broker->db, trial, error);
	if (code == 0)
		code = db_record(broker->db, &record, clock_wall_us(), NULL, error);
	return db_end(broker->db, code, error);
}

static void
be_rolled_back(struct broker *broker, const struct db_trial *trial, uint64_t from, const char *why)
{
	broker->trial.waiting = false;
	broker->trial.rolled_back = true;
	memcpy(broker->trial.digest, trial->digest, sizeof broker->trial.digest);
	log_warning(
	    "policy: generation %llu %s and was rolled back to generation %llu; leases that it ended stay ended",
	    (unsigned long long)from, why, (unsigned long long)trial->former);
}

static int
roll_back(struct broker *broker, struct error *error)
{
	static const char why[] = "was not confirmed in time";
	uint64_t from = policy_generation(broker->policy);
	struct db_trial trial;
	int code = db_trial_get(broker->db, &trial);

	if (code < 0)
		return error_errno(error, code, "the former policy cannot be read");
	code = store_rollback(broker, &trial, from, why, error);
	if (code < 0)
		return code;
	policy_log_observed(broker);
	policy_free(broker->policy);
	free(broker->observed);
	broker->policy = TAKE(broker->trial.former);
	broker->observed = TAKE(broker->trial.former_observed);
	broker->policy_loaded_us = trial.former_loaded_us;
	be_rolled_back(broker, &trial, from, why);
	leases_judge(broker, NULL);
	limits_reload(broker);
	broker_seal_soon(broker);
	return 0;
}

static void
on_late(struct timer *timer)
{
	struct broker *broker = CONTAINER_OF(timer, struct broker, trial.late);
	struct error error = {0};

	if (roll_back(broker, &error) == 0)
		return;
	log_error("the unconfirmed policy cannot be rolled back yet: %s", error.text);
	timer_start(broker->loop, timer, AGAIN_MS * NS_PER_MS, on_late);
}

int
trial_start(struct broker *broker, struct error *error)
{
	static const char why[] = "was not confirmed before the daemon ended";
	uint64_t from = 0, last;
	int64_t loaded_us;
	struct db_trial trial;
	int code = db_trial_get(broker->db, &trial);

	if (code == -ENOENT)
		return 0;
	if (code == 0)
		code = db_policy_generation(broker->db, &from, &loaded_us, &last);
	if (code < 0)
		return error_errno(error, code, "the policy that waits to be confirmed cannot be read");
	if (trial.waiting) {
		code = store_rollback(broker, &trial, from, why, error);
		if (code < 0)
			return error_wrap(error, "the unconfirmed policy cannot be rolled back");
		be_rolled_back(broker, &trial, from, why);
	}
	broker->trial.rolled_back = true;
	memcpy(broker->trial.digest, trial.digest, sizeof broker->trial.digest);
	return 0;
}

/* ---- confirming ---- */

static int
store_confirm(struct client *client, const struct msg_policy_confirm *ask, uint64_t *seq, struct error *error)
{
	struct broker *broker = client->broker;
	const struct record record = {
	    .event = EVENT_POLICY_CONFIRM,
	    .generation = policy_generation(broker->policy),
	    .admin = client->name,
	    .detail = {{"why", ask->reason, 0}},
	    .detail_count = 1,
	};
	int code = db_begin(broker->db, error);

	if (code < 0)
		return code;
	code = db_trial_clear(broker->db, error);
	if (code == 0)
		code = db_record(broker->db, &record, clock_wall_us(), seq, error);
	return db_end(broker->db, code, error);
}

static void
confirm(struct client *client, const struct msg_policy_confirm *ask)
{
	struct broker *broker = client->broker;
	struct msg_row_generation row = {
	    .generation = policy_generation(broker->policy), .rules = (uint32_t)policy_rule_count(broker->policy)};
	struct error error = {0};
	uint64_t seq = 0;

	if (store_confirm(client, ask, &seq, &error) < 0) {
		client_done(client, ADMIN_FAILURE, 0, "not confirmed: %s", error.text);
		return;
	}
	trial_end(broker);
	log_info("policy: generation %llu is confirmed", (unsigned long long)row.generation);
	broker_seal_soon(broker);
	client_row(client, ADMIN_ROW_GENERATION, &row);
	client_done(client, ADMIN_OK, seq, "generation %llu is confirmed", (unsigned long long)row.generation);
}

void
trial_confirm_asked(struct client *client, const struct msg_policy_confirm *ask)
{
	const struct broker *broker = client->broker;
	uint64_t generation = broker->policy ? policy_generation(broker->policy) : 0;

	if (ask->expect_generation && ask->expect_generation != generation)
		client_done(client, ADMIN_CONFLICT, 0, "generation %llu is in force, not %llu; nothing was confirmed",
		    (unsigned long long)generation, (unsigned long long)ask->expect_generation);
	else if (!broker->trial.waiting)
		client_done(client, ADMIN_CONFLICT, 0, "nothing waits to be confirmed; generation %llu is in force%s",
		    (unsigned long long)generation,
		    broker->trial.rolled_back ? ", since the one after it was rolled back" : "");
	else if (ask->dry_run)
		client_done(client, ADMIN_OK, 0, "generation %llu would be confirmed", (unsigned long long)generation);
	else
		confirm(client, ask);
}
