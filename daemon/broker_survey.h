/* SPDX-License-Identifier: Apache-2.0
 *
 * One request of an operator that asks the policy many questions: all known hosts, VMs and shares, a few thousand of them in a turn of the loop, so that
 * nobody waits for it (broker_survey.c). What is asked is broker_candidate.c's and broker_who_can.c's.
 */
#ifndef NETBUS_DAEMON_BROKER_SURVEY_H
#define NETBUS_DAEMON_BROKER_SURVEY_H

#include "daemon/broker.h"

/* A sorted set of names, once names_settle() was called. */
struct names {
	char **at; /* owned, and the texts */
	size_t count, room;
	bool failed; /* memory was out */
};
void names_add(struct names *names, const char *name);
void names_settle(struct names *names);
void names_clear(struct names *names);

struct survey {
	struct client *client;
	struct names hosts, vms, shares;
	enum policy_verb verb;
	bool modes[2];            /* which are looked at: ro, rw */
	struct policy *candidate; /* owned, or NULL */
	/* Looks at one question, and answers rows. */
	void (*look)(struct survey *survey, const struct policy_request *request);
	/* Says DONE. */
	void (*finish)(struct survey *survey);
	unsigned found[3]; /* whatever `look` and `finish` count */
	uint64_t generation;
	uint64_t at; /* the VM and share that are looked at next */
	struct timer turn;
};

/* For `client`; zeroed but for that. NULL: out of memory, which was said. */
struct survey *survey_new(struct client *client);
/* How many questions it has. */
uint64_t survey_size(const struct survey *survey);
/* The client has it from now on; DONE comes by itself. */
void survey_begin(struct survey *taken);
void survey_free(struct survey *survey);
void survey_stop(struct client *client);
/* Some of what waited for the client was taken. */
void survey_taken(struct client *client);

/* Adds hosts that this host knows: of the hosts table, of netbusd.yaml and itself. */
void survey_add_hosts(struct survey *survey);
/* Adds hosts and VMs of grants and leases, also of ended ones; of the share, or of all (NULL). `tenant` (NULL: all) is whose VMs are meant. */
void survey_add_known(struct survey *survey, const char *share, const char *tenant);
/* What policy says with the facts of now, but for holders, bars and quota; a ticket counts as shown. `policy` may be NULL. */
bool survey_allows(
    const struct policy *policy, const struct policy_request *request, bool grant_held, struct policy_verdict *verdict);
/* The host is denied, or the share is read-only for such a mode: then nobody has it, whatever the policy says. */
bool survey_is_moot(struct broker *broker, const struct policy_request *request);

#endif
