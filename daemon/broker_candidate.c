/* SPDX-License-Identifier: Apache-2.0
 *
 * What a policy would change, before it is in force. An operator sends its files piece by piece, since this process can read no directory but its own; they are
 * read by the loader that reads policy.d, and asked about: each live lease by the same function with which a reload judges it (lease_judge()), and each known
 * host, VM, share and mode under both policies.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/clock.h"
#include "daemon/broker.h"
#include "daemon/broker_survey.h"

#define COPY(to, from) snprintf((to), sizeof(to), "%s", (from))

/* ---- the files come ---- */

struct candidate {
	struct policy_files files;
	size_t bytes;
};

void
candidate_stop(struct client *client)
{
	if (client->candidate)
		policy_files_clear(&client->candidate->files);
	free(TAKE(client->candidate));
}

static unsigned
count_candidates(const struct broker *broker)
{
	unsigned count = 0;

	for (const struct client *client = broker->clients; client; client = client->next)
		count += client->candidate != NULL;
	return count;
}

/* Adds to the last file, or begins one. False: memory is out. */
static bool
add_part(struct candidate *candidate, const struct msg_candidate_part *ask)
{
	struct policy_files *files = &candidate->files;
	struct policy_file *last = files->count ? &files->list[files->count - 1] : NULL;
	char *text;

	if (last == NULL || strcmp(last->name, ask->file) != 0) {
		if (!policy_files_add(files, strdup(ask->file), calloc(1, 1), 0))
			return false;
		last = &files->list[files->count - 1];
	}
	text = realloc((char *)(uintptr_t)last->text, last->length + ask->text.length + 1);
	if (text == NULL)
		return false;
	memcpy(text + last->length, ask->text.bytes, ask->text.length);
	last->text = text;
	last->length += ask->text.length;
	text[last->length] = '\0';
	candidate->bytes += ask->text.length;
	return true;
}

static void
refuse_part(struct client *client, enum admin_exit code, const char *text)
{
	candidate_stop(client);
	client_done(client, code, 0, "%s", text);
}

void
candidate_part_asked(struct client *client, const struct msg_candidate_part *ask)
{
	char text[128];

	if (client->candidate == NULL && count_candidates(client->broker) >= LIMIT_CANDIDATES) {
		snprintf(text, sizeof text, "%u policies are asked about already, which is as many as may; try again",
		    LIMIT_CANDIDATES);
		refuse_part(client, ADMIN_CONFLICT, text);
		return;
	}
	if (client->candidate == NULL)
		client->candidate = calloc(1, sizeof *client->candidate);
	if (client->candidate == NULL) {
		refuse_part(client, ADMIN_FAILURE, "out of memory");
		return;
	}
	if (client->candidate->bytes + ask->text.length > LIMIT_CANDIDATE_BYTES) {
		snprintf(text, sizeof text,
		    "these files are larger than %u MiB together, which is too much to ask about",
		    LIMIT_CANDIDATE_BYTES >> 20);
		refuse_part(client, ADMIN_FAILURE, text);
	} else if (!add_part(client->candidate, ask)) {
		refuse_part(client, ADMIN_FAILURE, "out of memory");
	} else if (client->candidate->files.count > LIMIT_CANDIDATE_FILES) {
		snprintf(text, sizeof text, "more than %u files; join some", LIMIT_CANDIDATE_FILES);
		refuse_part(client, ADMIN_FAILURE, text);
	} else {
		client_done(client, ADMIN_OK, 0, "%s", "");
	}
}

/* No part at all: no files, which is a policy that denies everything. NULL: DONE was said. */
static struct policy *
take_candidate(struct client *client)
{
	static const struct policy_files none;
	const struct policy_files *files = client->candidate ? &client->candidate->files : &none;
	struct policy *policy;
	struct faults faults;

	faults_init(&faults);
	policy = policy_load(files->list, files->count, 1, clock_wall_us(), &faults);
	candidate_stop(client);
	for (const struct fault *fault = faults.first; fault; fault = fault->next) {
		struct msg_row_fault row = {0};

		COPY(row.text, fault->text);
		client_row(client, ADMIN_ROW_FAULT, &row);
	}
	if (policy == NULL)
		client_done(client, ADMIN_FAILURE, 0, "%zu fault%s: a load of this would change nothing", faults.count,
		    faults.count == 1 ? "" : "s");
	faults_clear(&faults);
	return policy;
}

/* ---- diff: leases ---- */

static bool
is_wanted(const struct msg_policy_diff *ask, const char *vm, const char *share, const char *host)
{
	return (ask->vm[0] == '\0' || strcmp(ask->vm, vm) == 0) &&
	       (ask->share[0] == '\0' || strcmp(ask->share, share) == 0) &&
	       (ask->host[0] == '\0' || strcmp(ask->host, host) == 0);
}

static void
tell_cut(struct client *client, const struct lease *lease, const struct verdict *verdict, bool allowed_now)
{
	struct msg_row_cut row = {.epoch = lease->row.epoch, .line = verdict->rule_line, .allowed_now = allowed_now};

	memcpy(row.lease, lease->row.id, sizeof row.lease);
	COPY(row.vm, lease->row.vm.text);
	COPY(row.share, lease->row.share.text);
	COPY(row.host, lease->row.host);
	COPY(row.mode, lease->row.mode ? "rw" : "ro");
	COPY(row.reason, reason_name((uint16_t)verdict->reason));
	COPY(row.sentence, reason_sentence((uint16_t)verdict->reason));
	COPY(row.rule, verdict->rule);
	COPY(row.file, verdict->rule_file);
	client_row(client, ADMIN_ROW_CUT, &row);
}

static unsigned
tell_cuts(struct client *client, const struct msg_policy_diff *ask, const struct policy *candidate)
{
	struct broker *broker = client->broker;
	unsigned count = 0;

	for (const struct lease *lease = broker->leases; lease; lease = lease->next) {
		struct verdict then, now;

		if (!lease_is_live(lease) ||
		    !is_wanted(ask, lease->row.vm.text, lease->row.share.text, lease->row.host))
			continue;
		lease_judge(broker, candidate, lease, &then);
		if (then.allowed)
			continue;
		lease_judge(broker, broker->policy, lease, &now);
		tell_cut(client, lease, &then, now.allowed);
		count++;
	}
	return count;
}

/* ---- diff: rights ---- */

enum { GAINED, LOST, CUT };

static void
tell_right(struct client *client, const struct policy_request *request, bool gained, const struct policy_verdict *then,
    const struct policy_verdict *now)
{
	struct msg_row_right row = {.line = then->line, .former_line = now->line};

	COPY(row.change, gained ? "gained" : "lost");
	COPY(row.host, request->host);
	COPY(row.vm, request->vm);
	COPY(row.share, request->share);
	COPY(row.mode, request->mode == MODE_RW ? "rw" : "ro");
	COPY(row.rule, then->rule ? then->rule : "");
	COPY(row.file, then->file ? then->file : "");
	COPY(row.former_rule, now->rule ? now->rule : "");
	COPY(row.former_file, now->file ? now->file : "");
	client_row(client, ADMIN_ROW_RIGHT, &row);
}

/* The database is only asked where the policies differ, with a grant or without one. */
static void
look_at_right(struct survey *survey, const struct policy_request *request)
{
	struct broker *broker = survey->client->broker;
	struct policy_verdict then[2], now[2];
	bool allowed_then[2], allowed_now[2], grant;

	for (int held = 0; held < 2; held++) {
		allowed_then[held] = survey_allows(survey->candidate, request, held, &then[held]);
		allowed_now[held] = survey_allows(broker->policy, request, held, &now[held]);
	}
	if (allowed_then[0] == allowed_now[0] && allowed_then[1] == allowed_now[1])
		return;
	grant = db_grant_covers(
	    broker->db, request->vm, request->share, request->host, (uint8_t)request->mode, request->at_us);
	if (allowed_then[grant] == allowed_now[grant] || survey_is_moot(broker, request))
		return;
	survey->found[allowed_then[grant] ? GAINED : LOST]++;
	tell_right(survey->client, request, allowed_then[grant], &then[grant], &now[grant]);
}

static void
say_diff(struct survey *survey)
{
	client_done(survey->client, ADMIN_OK, 0, "%u right%s gained, %u lost; a reload would end %u live lease%s",
	    survey->found[GAINED], survey->found[GAINED] == 1 ? "" : "s", survey->found[LOST], survey->found[CUT],
	    survey->found[CUT] == 1 ? "" : "s");
}

static void
add_name(const char *name, void *context)
{
	names_add(context, name);
}

static void
add_names(struct survey *survey, const struct policy *policy)
{
	if (policy == NULL)
		return;
	policy_each_name(policy, SUBJECT_HOST, add_name, &survey->hosts);
	policy_each_name(policy, SUBJECT_VM, add_name, &survey->vms);
}

/* One that is asked for, or all that are known. */
static void
settle(struct names *names, const char *wanted)
{
	if (wanted[0]) {
		names_clear(names);
		names_add(names, wanted);
	}
	names_settle(names);
}

static void
gather(struct survey *survey, const struct msg_policy_diff *ask)
{
	const struct broker *broker = survey->client->broker;

	survey_add_hosts(survey);
	survey_add_known(survey, NULL, NULL);
	add_names(survey, broker->policy);
	add_names(survey, survey->candidate);
	for (size_t i = 0; i < broker->config->share_count; i++)
		names_add(&survey->shares, broker->config->shares[i].name.text);
	settle(&survey->hosts, ask->host);
	settle(&survey->vms, ask->vm);
	settle(&survey->shares, ask->share);
}

void
policy_diff_asked(struct client *client, const struct msg_policy_diff *ask)
{
	struct policy *candidate = take_candidate(client);
	struct survey *survey = candidate ? survey_new(client) : NULL;

	if (survey == NULL) {
		policy_free(candidate);
		return;
	}
	survey->candidate = candidate;
	survey->verb = VERB_ATTACH;
	survey->modes[MODE_RO] = survey->modes[MODE_RW] = true;
	survey->look = look_at_right;
	survey->finish = say_diff;
	survey->found[CUT] = tell_cuts(client, ask, candidate);
	gather(survey, ask);
	if (survey->hosts.failed || survey->vms.failed || survey->shares.failed) {
		client_done(client, ADMIN_FAILURE, 0, "out of memory");
		survey_free(survey);
	} else if (survey_size(survey) > LIMIT_QUESTIONS) {
		client_done(client, ADMIN_INCOMPLETE, 0,
		    "a reload would end %u live leases; what rights change was not looked at, since %zu hosts, %zu VMs "
		    "and %zu shares are too many to go through together: name one with --host, --vm or --share",
		    survey->found[CUT], survey->hosts.count, survey->vms.count, survey->shares.count);
		survey_free(survey);
	} else {
		survey_begin(survey);
	}
}
