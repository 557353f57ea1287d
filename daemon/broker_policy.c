/* SPDX-License-Identifier: Apache-2.0
 *
 * Which policy is in force: the files of policy.d when they have no fault and all their tests pass, else the last good ones, of which the state
 * database keeps a copy. A load changes everything or nothing.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/log.h"
#include "daemon/broker.h"

#define FAULTS_SHOWN 20 /* in the log; the rest is for whoever asks */

/* ---- loading ---- */

static void
log_faults(const struct faults *faults)
{
	size_t shown = 0;

	for (const struct fault *fault = faults->first; fault && shown < FAULTS_SHOWN; fault = fault->next, shown++)
		log_error("%s", fault->text);
	if (faults->count > shown)
		log_error("and %zu more faults; netbus-admin policy check shows them all", faults->count - shown);
}

static uint64_t
next_generation(struct broker *broker)
{
	uint64_t generation = 0, last = 0;
	int64_t loaded_us;

	db_policy_generation(broker->db, &generation, &loaded_us, &last);
	return last + 1;
}

/* The new policy, its copy and its record, and the former one when this one is on trial (`trial`, else NULL): all or nothing. */
static int
commit(struct broker *broker, const struct policy *policy, const struct policy_files *files,
    const struct policy_order *order, struct db_trial *trial, uint64_t *seq, struct error *error)
{
	AUTO_FREE struct db_policy_file *copies = files->count ? calloc(files->count, sizeof *copies) : NULL;
	int64_t now_us = clock_wall_us();
	struct record record = {
	    .event = EVENT_POLICY_LOAD,
	    .generation = policy_generation(policy),
	    .admin = order->admin,
	    .detail = {{"files", NULL, files->count}, {"rules", NULL, policy_rule_count(policy)},
		{"tests", NULL, policy_test_count(policy)},
		{"confirm_within_us", NULL, (uint64_t)order->confirm_within_us}},
	    .detail_count = trial ? 4 : 3,
	};
	int code;

	if (files->count && copies == NULL)
		return error_errno(error, -ENOMEM, "the policy");
	for (size_t i = 0; i < files->count; i++)
		copies[i] = (struct db_policy_file){files->list[i].name, files->list[i].text, files->list[i].length};
	code = db_begin(broker->db, error);
	if (code < 0)
		return code;
	code = trial ? db_trial_begin(broker->db, trial, error) : db_trial_clear(broker->db, error);
	if (code == 0)
		code = db_policy_put(broker->db, policy_generation(policy), now_us, copies, files->count, error);
	if (code == 0)
		code = db_record(broker->db, &record, now_us, seq, error);
	return db_end(broker->db, code, error);
}

/* What rules would have decided that only observed, before their policy goes. */
void
policy_log_observed(const struct broker *broker)
{
	for (size_t i = 0; broker->policy && i < policy_rule_count(broker->policy); i++)
		if (broker->observed[i])
			log_info("policy: generation %llu: rule %s, which only observes, would have decided %llu times",
			    (unsigned long long)policy_generation(broker->policy), policy_rule_id(broker->policy, i),
			    (unsigned long long)broker->observed[i]);
}

static void
put_in_force(struct broker *broker, struct policy *policy, int64_t loaded_us)
{
	policy_free(broker->policy);
	free(broker->observed);
	broker->policy = policy;
	broker->observed = calloc(policy_rule_count(policy) + 1, sizeof *broker->observed);
	if (broker->observed == NULL)
		broker_fail(broker, "out of memory");
	broker->policy_loaded_us = loaded_us;
	log_info("policy: generation %llu is in force, %zu rules, %zu tests passed",
	    (unsigned long long)policy_generation(policy), policy_rule_count(policy), policy_test_count(policy));
}

/* The first fault, and how many there are, as one sentence. */
static int
say_faulty(const struct faults *faults, struct error *error)
{
	const char *first = faults->first ? faults->first->text : "out of memory";

	if (faults->count > 1)
		return error_set(error, -EINVAL, "%s (and %zu more)", first, faults->count - 1);
	return error_set(error, -EINVAL, "%s", first);
}

/* Whoever asks for the status reads them. Moved. */
static void
keep_faults(struct broker *broker, struct faults *faults)
{
	faults_clear(&broker->faults);
	broker->faults = *faults;
	if (broker->faults.first == NULL)
		broker->faults.last = &broker->faults.first;
	faults_init(faults);
}

static void
reject(struct broker *broker, struct faults *faults, const char *admin, uint64_t *seq, struct error *error)
{
	struct record record = {
	    .event = EVENT_POLICY_REJECT,
	    .admin = admin,
	    .generation = broker->policy ? policy_generation(broker->policy) : 0,
	    .detail = {{"faults", NULL, faults->count}, {"first", faults->first ? faults->first->text : "", 0}},
	    .detail_count = 2,
	};
	struct error unrecorded = {0};

	broker->load_failed_us = clock_wall_us();
	log_faults(faults);
	if (broker->policy)
		log_error("policy: not loaded; generation %llu stays in force",
		    (unsigned long long)policy_generation(broker->policy));
	say_faulty(faults, error);
	if (broker_record(broker, &record, seq, &unrecorded) < 0)
		log_error("the refused policy cannot be recorded: %s", unrecorded.text);
	keep_faults(broker, faults);
}

/* NULL: `faults` says what is wrong. */
static struct policy *
read_policy(struct broker *broker, struct policy_files *files, struct faults *faults)
{
	policy_files_read(files, broker->config->policy_directory, faults);
	if (faults->count > 0)
		return NULL;
	return policy_load(files->list, files->count, next_generation(broker), clock_wall_us(), faults);
}

static int
put_files_in_force(struct broker *broker, struct policy *policy, struct policy_files *files,
    const struct policy_order *order, uint64_t *seq, struct error *error)
{
	struct db_trial trial = {.until_us = clock_wall_us() + order->confirm_within_us};
	bool on_trial = order->confirm_within_us > 0;
	int code;

	policy_files_digest(files, trial.digest);
	code = commit(broker, policy, files, order, on_trial ? &trial : NULL, seq, error);
	if (code < 0) {
		policy_free(policy);
		return error_wrap(error, "the policy is good, but cannot be put in force");
	}
	faults_clear(&broker->faults);
	broker->load_failed_us = 0;
	broker->policy_is_last_good = false;
	policy_log_observed(broker);
	if (on_trial)
		trial_begin(broker, &trial, order->confirm_within_us);
	else
		trial_end(broker);
	put_in_force(broker, policy, clock_wall_us());
	broker_seal_soon(broker);
	return 0;
}

static int
load(struct broker *broker, const struct policy_order *order, uint64_t *seq, struct error *error)
{
	AUTO(policy_files_clear) struct policy_files files = {0};
	struct faults faults;
	struct policy *policy;

	faults_init(&faults);
	policy = read_policy(broker, &files, &faults);
	if (policy == NULL && order->dry_run) {
		say_faulty(&faults, error);
		keep_faults(broker, &faults);
		return -EINVAL;
	}
	if (policy == NULL) {
		reject(broker, &faults, order->admin, seq, error);
		return -EINVAL;
	}
	if (order->dry_run) {
		policy_free(policy);
		return 0;
	}
	if (order->admin == NULL && trial_forbids(broker, &files)) {
		policy_free(policy);
		return error_set(error, -ECANCELED,
		    "the files in %s are those that were rolled back; mend them, then: netbus-admin policy reload",
		    broker->config->policy_directory);
	}
	return put_files_in_force(broker, policy, &files, order, seq, error);
}

/* ---- the last good one ---- */

struct copying {
	struct policy_files *files;
	bool failed;
};

static void
copy_file(const struct db_policy_file *file, void *context)
{
	struct copying *copying = context;
	char *text = malloc(file->length + 1);

	if (text) {
		memcpy(text, file->text, file->length);
		text[file->length] = '\0';
	}
	if (!policy_files_add(copying->files, strdup(file->name), text, file->length))
		copying->failed = true;
}

static void
fall_back(struct broker *broker)
{
	AUTO(policy_files_clear) struct policy_files files = {0};
	struct copying copying = {&files, false};
	struct faults faults;
	struct policy *policy = NULL;
	uint64_t generation = 0, last = 0;
	int64_t loaded_us = 0;

	faults_init(&faults);
	if (db_policy_generation(broker->db, &generation, &loaded_us, &last) == 0 && generation > 0 &&
	    db_policy_each(broker->db, copy_file, &copying) == 0 && !copying.failed)
		policy = policy_load(files.list, files.count, generation, clock_wall_us(), &faults);
	faults_clear(&faults);
	if (policy == NULL) {
		log_error("policy: none is in force, so everything is denied until the files are good and loaded "
			  "(netbus-admin policy reload)");
		return;
	}
	broker->policy_is_last_good = true;
	put_in_force(broker, policy, loaded_us);
}

int
policy_start(struct broker *broker, struct error *error)
{
	const struct policy_order order = {0};
	struct error faulty = {0};
	int code = trial_start(broker, error);

	if (code < 0)
		return code;
	code = load(broker, &order, NULL, &faulty);
	if (code == -ECANCELED)
		log_warning("policy: %s", faulty.text);
	if (code == -EINVAL || code == -ECANCELED) {
		fall_back(broker);
		return 0;
	}
	return code < 0 ? error_set(error, code, "%s", faulty.text) : 0;
}

/* Whether what is in force may be replaced in this way. */
static int
check_order(const struct broker *broker, const struct policy_order *order, struct error *error)
{
	uint64_t generation = broker->policy ? policy_generation(broker->policy) : 0;

	if (order->expect_generation && order->expect_generation != generation)
		return error_set(error, -EBUSY, "generation %llu is in force, not %llu; nothing was loaded",
		    (unsigned long long)generation, (unsigned long long)order->expect_generation);
	if (broker->trial.waiting && order->confirm_within_us == 0 && !order->dry_run)
		return error_set(error, -EBUSY,
		    "generation %llu waits to be confirmed, and nothing was loaded: netbus-admin policy confirm "
		    "comes first, or a reload with --confirm-within",
		    (unsigned long long)generation);
	return 0;
}

int
policy_reload(struct broker *broker, const struct policy_order *order, struct revoke *revoke, uint64_t *record,
    struct error *error)
{
	int code = check_order(broker, order, error);

	if (code == 0)
		code = load(broker, order, record, error);
	if (code == 0 && !order->dry_run) {
		leases_judge(broker, revoke);
		limits_reload(broker);
	}
	return code;
}

/* ---- netbusd.yaml ---- */

int
shares_sync(struct broker *broker, struct error *error)
{
	const struct config *config = broker->config;
	AUTO_FREE struct db_share *shares = calloc(config->share_count + 1, sizeof *shares);
	int code;

	if (shares == NULL)
		return error_errno(error, -ENOMEM, "the shares");
	for (size_t i = 0; i < config->share_count; i++) {
		const struct config_share *share = &config->shares[i];

		shares[i].name = share->name;
		snprintf(shares[i].class, sizeof shares[i].class, "%s", share->class);
		shares[i].share_mode = (uint8_t)share->sharing;
		shares[i].read_only = share->read_only;
	}
	code = db_begin(broker->db, error);
	if (code < 0)
		return code;
	code = db_shares_sync(broker->db, shares, config->share_count, error);
	return db_end(broker->db, code, error);
}

int
config_reload(struct broker *broker, struct error *error)
{
	struct record record = {
	    .event = EVENT_CONFIG_LOAD, .detail = {{"shares", NULL, 0}, {"ticket_keys", NULL, 0}}, .detail_count = 2};
	struct ticket_keys keys, old_keys = broker->ticket_keys;
	struct faults faults;
	struct config *config, *old = broker->config;
	int code;

	faults_init(&faults);
	config = config_load(broker->config_path, broker->root, &faults);
	if (config == NULL) {
		say_faulty(&faults, error);
		faults_clear(&faults);
		return -EINVAL;
	}
	code = tickets_load(config, &keys, error);
	if (code < 0) {
		config_free(config);
		return code;
	}
	broker->config = config;
	code = shares_sync(broker, error);
	if (code < 0) {
		broker->config = old;
		config_free(config);
		return code;
	}
	config_free(old);
	broker->ticket_keys = keys;
	if (tickets_lost_a_key(&old_keys, &keys)) /* whatever the policy files are like */
		leases_judge(broker, NULL);
	record.detail[0].number = config->share_count;
	record.detail[1].number = keys.count;
	return broker_record(broker, &record, NULL, error);
}
