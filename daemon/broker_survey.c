/* SPDX-License-Identifier: Apache-2.0
 *
 * A walk through all known shares, VMs and hosts, a piece a turn (daemon/broker_survey.h). It answers for one generation: when another comes into force
 * meanwhile, it says so and ends.
 */
#include "daemon/broker_survey.h"

#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/clock.h"

#define QUESTIONS_A_TURN 4000u

/* ---- names ---- */

void
names_add(struct names *names, const char *name)
{
	size_t room = names->room ? 2 * names->room : 64;
	char **at = names->count < names->room ? names->at : reallocarray(names->at, room, sizeof *at);
	char *copy = at ? strdup(name) : NULL;

	if (at && names->count == names->room)
		names->room = room;
	if (at)
		names->at = at;
	if (copy == NULL)
		names->failed = true;
	else
		names->at[names->count++] = copy;
}

static int
by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void
names_settle(struct names *names)
{
	size_t kept = 0;

	if (names->count > 1)
		qsort(names->at, names->count, sizeof names->at[0], by_text);
	for (size_t i = 0; i < names->count; i++) {
		if (kept > 0 && strcmp(names->at[kept - 1], names->at[i]) == 0)
			free(names->at[i]);
		else
			names->at[kept++] = names->at[i];
	}
	names->count = kept;
}

void
names_clear(struct names *names)
{
	for (size_t i = 0; i < names->count; i++)
		free(names->at[i]);
	free(names->at);
	*names = (struct names){0};
}

/* ---- who is known ---- */

static void
add_host(const struct db_host *host, void *context)
{
	names_add(context, host->name.text);
}

void
survey_add_hosts(struct survey *survey)
{
	const struct broker *broker = survey->client->broker;

	db_hosts_each(broker->db, add_host, &survey->hosts);
	for (size_t i = 0; i < broker->config->peer_count; i++)
		names_add(&survey->hosts, broker->config->peers[i].host.text);
	names_add(&survey->hosts, broker->config->host.text);
}

struct adding {
	struct survey *survey;
	const char *share, *tenant;
};

static void
add(const struct adding *adding, const char *host, const char *vm, const char *share)
{
	size_t length = adding->tenant ? strlen(adding->tenant) : 0;
	bool is_of_share = adding->share && strcmp(adding->share, share) == 0;

	if (adding->tenant && !is_of_share && (strncmp(vm, adding->tenant, length) != 0 || vm[length] != '/'))
		return;
	names_add(&adding->survey->vms, vm);
	if (host[0] && (adding->tenant == NULL || is_of_share))
		names_add(&adding->survey->hosts, host);
}

static void
add_grant(const struct db_grant *grant, void *context)
{
	add(context, grant->host, grant->vm.text, grant->share.text);
}

static void
add_lease(const struct db_lease *lease, void *context)
{
	add(context, lease->host, lease->vm.text, lease->share.text);
}

void
survey_add_known(struct survey *survey, const char *share, const char *tenant)
{
	struct db *db = survey->client->broker->db;
	struct adding adding = {survey, share, tenant};

	db_grants_each(db, NULL, NULL, NULL, add_grant, &adding);
	db_leases_each(db, &(struct db_lease_filter){0}, add_lease, &adding);
	db_leases_each(db, &(struct db_lease_filter){.ended = true}, add_lease, &adding);
}

/* ---- one question ---- */

bool
survey_allows(
    const struct policy *policy, const struct policy_request *request, bool grant_held, struct policy_verdict *verdict)
{
	*verdict = (struct policy_verdict){.outcome = POLICY_NO_RULE};
	if (policy)
		policy_decide(
		    policy, request, &(struct policy_facts){.grant_held = grant_held, .ticket_valid = true}, verdict);
	return verdict->outcome == POLICY_ALLOWED;
}

bool
survey_is_moot(struct broker *broker, const struct policy_request *request)
{
	const struct config_share *share = config_share(broker->config, request->share);
	struct db_host host;

	return share == NULL || (request->mode == MODE_RW && share->read_only) ||
	       (db_host_get(broker->db, request->host, &host) == 0 && host.denied);
}

/* ---- the walk ---- */

struct survey *
survey_new(struct client *client)
{
	struct survey *survey = calloc(1, sizeof *survey);

	if (survey == NULL)
		client_done(client, ADMIN_FAILURE, 0, "out of memory");
	else
		survey->client = client;
	return survey;
}

void
survey_free(struct survey *survey)
{
	if (survey == NULL)
		return;
	timer_stop(&survey->turn);
	names_clear(&survey->hosts);
	names_clear(&survey->vms);
	names_clear(&survey->shares);
	policy_free(survey->candidate);
	free(survey);
}

void
survey_stop(struct client *client)
{
	survey_free(TAKE(client->survey));
}

uint64_t
survey_size(const struct survey *survey)
{
	uint64_t sides[] = {survey->shares.count, survey->vms.count, survey->hosts.count,
	    (uint64_t)survey->modes[0] + (uint64_t)survey->modes[1]};
	uint64_t size = 1;

	for (size_t i = 0; i < sizeof sides / sizeof sides[0]; i++)
		if (__builtin_mul_overflow(size, sides[i], &size))
			return UINT64_MAX;
	return size;
}

static uint64_t
generation_of(const struct broker *broker)
{
	return broker->policy ? policy_generation(broker->policy) : 0;
}

/* All hosts and modes for one VM and share. */
static void
look_at_pair(struct survey *survey, const char *share, const char *vm)
{
	const struct broker *broker = survey->client->broker;
	struct question question = {.host = "", .vm = vm, .share = share, .verb = survey->verb, .proved = true};
	struct policy_request request;

	question_to_request(broker, &question, &request);
	for (size_t h = 0; h < survey->hosts.count; h++)
		for (int mode = MODE_RO; mode <= MODE_RW; mode++) {
			request.host = survey->hosts.at[h];
			request.mode = (enum policy_mode)mode;
			if (survey->modes[mode])
				survey->look(survey, &request);
		}
}

static bool
is_over(const struct survey *survey)
{
	return survey->at == (uint64_t)survey->shares.count * survey->vms.count;
}

static bool
may_go_on(const struct survey *survey)
{
	return !survey->client->gone && buffer_length(&survey->client->out) < LIMIT_FOLLOWER_BYTES;
}

static void
on_turn(struct timer *timer)
{
	struct survey *survey = CONTAINER_OF(timer, struct survey, turn);
	struct client *client = survey->client;
	size_t each = 2 * survey->hosts.count, asked = 0;

	if (survey->generation != generation_of(client->broker)) {
		client_done(client, ADMIN_CONFLICT, 0, "the policy in force changed meanwhile; ask again");
		survey_stop(client);
		return;
	}
	for (; asked < QUESTIONS_A_TURN && !is_over(survey) && may_go_on(survey); asked += each + 1, survey->at++)
		look_at_pair(survey, survey->shares.at[survey->at / survey->vms.count],
		    survey->vms.at[survey->at % survey->vms.count]);
	if (is_over(survey)) {
		survey->finish(survey);
		survey_stop(client);
	} else if (may_go_on(survey)) {
		timer_start(client->broker->loop, timer, 0, on_turn);
	}
}

void
survey_taken(struct client *client)
{
	if (client->survey && client->survey->turn.loop == NULL && may_go_on(client->survey))
		timer_start(client->broker->loop, &client->survey->turn, 0, on_turn);
}

void
survey_begin(struct survey *taken)
{
	struct client *client = taken->client;

	client->survey = taken;
	taken->generation = generation_of(client->broker);
	timer_start(client->broker->loop, &taken->turn, 0, on_turn);
}
