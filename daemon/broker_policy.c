/* SPDX-License-Identifier: Apache-2.0
 *
 * Which policy is in force: the files of policy.d when they have no fault and all their tests pass, else the last good ones, of which the state
 * database keeps a copy. A load changes everything or nothing.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "daemon/broker.h"

#define POLICY_FILES_MAX 1000
#define FAULTS_SHOWN     20 /* in the log; the rest is for whoever asks */

/* ---- files ---- */

struct files {
	struct policy_file *list;
	size_t count;
};

static void
files_clear(struct files *files)
{
	for (size_t i = 0; i < files->count; i++) {
		free((char *)(uintptr_t)files->list[i].name);
		free((char *)(uintptr_t)files->list[i].text);
	}
	free(files->list);
	*files = (struct files){0};
}

/* Takes name and text. */
static bool
files_add(struct files *files, char *name, char *text, size_t length)
{
	struct policy_file *list = reallocarray(files->list, files->count + 1, sizeof *list);

	if (list)
		files->list = list;
	if (list == NULL || name == NULL || text == NULL) {
		free(name);
		free(text);
		return false;
	}
	list[files->count++] = (struct policy_file){name, text, length};
	return true;
}

static void
read_file(struct files *files, const char *directory, const char *name, struct faults *faults)
{
	struct error error = {0};
	char path[4096], *text = NULL;
	size_t length = 0;

	if (path_print(path, sizeof path, "%s/%s", directory, name) < 0)
		faults_add(faults, name, 0, 0, "the path is too long");
	else if (file_read_all(path, YAML_FILE_MAX, &text, &length, &error) < 0)
		faults_add(faults, name, 0, 0, "%s", error.text);
	else if (!files_add(files, strdup(name), text, length))
		faults_add(faults, name, 0, 0, "out of memory");
}

/* Hidden files and editors' backups are not policy; any other name is, and a wrong one is a fault of the load. */
static bool
is_ignored(const char *name)
{
	size_t length = strlen(name);

	return name[0] == '.' || (length > 0 && name[length - 1] == '~');
}

static void
read_directory(struct files *files, const char *path, struct faults *faults)
{
	DIR *directory = opendir(path);
	const struct dirent *entry;

	if (directory == NULL) {
		if (errno != ENOENT) /* none at all: a policy that denies everything */
			faults_add(faults, path, 0, 0, "the policy directory cannot be read: %s", strerror(errno));
		return;
	}
	while ((entry = readdir(directory)) != NULL) {
		if (is_ignored(entry->d_name))
			continue;
		if (files->count == POLICY_FILES_MAX) {
			faults_add(faults, path, 0, 0, "more than %d files; join some", POLICY_FILES_MAX);
			break;
		}
		read_file(files, path, entry->d_name, faults);
	}
	closedir(directory);
}

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
	uint64_t generation = 0;
	int64_t loaded_us;

	db_policy_generation(broker->db, &generation, &loaded_us);
	return generation + 1;
}

/* The new policy, its copy and its record: all or nothing. */
static int
commit(struct broker *broker, const struct policy *policy, const struct files *files, const char *admin, uint64_t *seq,
    struct error *error)
{
	AUTO_FREE struct db_policy_file *copies = files->count ? calloc(files->count, sizeof *copies) : NULL;
	int64_t now_us = clock_wall_us();
	struct record record = {
	    .event = EVENT_POLICY_LOAD,
	    .generation = policy_generation(policy),
	    .admin = admin,
	    .detail = {{"files", NULL, files->count}, {"rules", NULL, policy_rule_count(policy)},
		{"tests", NULL, policy_test_count(policy)}},
	    .detail_count = 3,
	};
	int code;

	if (files->count && copies == NULL)
		return error_errno(error, -ENOMEM, "the policy");
	for (size_t i = 0; i < files->count; i++)
		copies[i] = (struct db_policy_file){files->list[i].name, files->list[i].text, files->list[i].length};
	code = db_begin(broker->db, error);
	if (code < 0)
		return code;
	code = db_policy_put(broker->db, policy_generation(policy), now_us, copies, files->count, error);
	if (code == 0)
		code = db_record(broker->db, &record, now_us, seq, error);
	if (code < 0) {
		db_rollback(broker->db);
		return code;
	}
	return db_commit(broker->db, error);
}

/* What rules would have decided that only observed, before their policy goes. */
static void
log_observed(const struct broker *broker)
{
	for (size_t i = 0; broker->policy && i < policy_rule_count(broker->policy); i++)
		if (broker->observed[i])
			log_info("policy: generation %llu: rule %s, which only observes, would have decided %llu times",
			    (unsigned long long)policy_generation(broker->policy), policy_rule_id(broker->policy, i),
			    (unsigned long long)broker->observed[i]);
}

/* Takes `observed`, a count of zero for each rule. */
static void
put_in_force(struct broker *broker, struct policy *policy, uint64_t *observed, int64_t loaded_us)
{
	log_observed(broker);
	policy_free(broker->policy);
	free(broker->observed);
	broker->policy = policy;
	broker->observed = observed;
	broker->policy_loaded_us = loaded_us;
	log_info("policy: generation %llu is in force, %zu rules, %zu tests passed",
	    (unsigned long long)policy_generation(policy), policy_rule_count(policy), policy_test_count(policy));
}

static uint64_t *
new_counts(const struct policy *policy)
{
	return calloc(policy_rule_count(policy) + 1, sizeof(uint64_t));
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

static int
load(struct broker *broker, const char *admin, bool dry_run, uint64_t *seq, struct error *error)
{
	AUTO(files_clear) struct files files = {0};
	struct faults faults;
	struct policy *policy = NULL;
	uint64_t *observed;
	int code;

	faults_init(&faults);
	read_directory(&files, broker->config->policy_directory, &faults);
	if (faults.count == 0)
		policy = policy_load(files.list, files.count, next_generation(broker), clock_wall_us(), &faults);
	if (policy == NULL && dry_run) {
		say_faulty(&faults, error);
		keep_faults(broker, &faults);
		return -EINVAL;
	}
	if (policy == NULL) {
		reject(broker, &faults, admin, seq, error);
		return -EINVAL;
	}
	if (dry_run) {
		policy_free(policy);
		return 0;
	}
	observed = new_counts(policy);
	code = observed ? commit(broker, policy, &files, admin, seq, error) : error_errno(error, -ENOMEM, "the policy");
	if (code < 0) {
		free(observed);
		policy_free(policy);
		return error_wrap(error, "the policy is good, but cannot be put in force");
	}
	faults_clear(&broker->faults);
	broker->load_failed_us = 0;
	broker->policy_is_last_good = false;
	put_in_force(broker, policy, observed, clock_wall_us());
	broker_seal_soon(broker);
	return 0;
}

/* ---- the last good one ---- */

struct copying {
	struct files *files;
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
	if (!files_add(copying->files, strdup(file->name), text, file->length))
		copying->failed = true;
}

static void
fall_back(struct broker *broker)
{
	AUTO(files_clear) struct files files = {0};
	struct copying copying = {&files, false};
	struct faults faults;
	struct policy *policy = NULL;
	uint64_t generation = 0, *observed;
	int64_t loaded_us = 0;

	faults_init(&faults);
	if (db_policy_generation(broker->db, &generation, &loaded_us) == 0 && generation > 0 &&
	    db_policy_each(broker->db, copy_file, &copying) == 0 && !copying.failed)
		policy = policy_load(files.list, files.count, generation, clock_wall_us(), &faults);
	faults_clear(&faults);
	observed = policy ? new_counts(policy) : NULL;
	if (observed == NULL) {
		policy_free(policy);
		log_error("policy: none is in force, so everything is denied until the files are good and loaded "
			  "(netbus-admin policy reload)");
		return;
	}
	broker->policy_is_last_good = true;
	put_in_force(broker, policy, observed, loaded_us);
}

int
policy_start(struct broker *broker, struct error *error)
{
	struct error faulty = {0};
	int code = load(broker, NULL, false, NULL, &faulty);

	if (code == -EINVAL) {
		fall_back(broker);
		return 0;
	}
	return code < 0 ? error_set(error, code, "%s", faulty.text) : 0;
}

int
policy_reload(struct broker *broker, const char *admin, bool dry_run, struct revoke *revoke, uint64_t *record,
    struct error *error)
{
	int code = load(broker, admin, dry_run, record, error);

	if (code == 0 && !dry_run) {
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
	if (code < 0) {
		db_rollback(broker->db);
		return code;
	}
	return db_commit(broker->db, error);
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
