/* SPDX-License-Identifier: Apache-2.0
 *
 * What a policy means, said once more: plain loops over rules as they were written, from the text of netbus-policy(5) and with no code of policy/. Slow on
 * purpose: no index, no sets made ready, each name compared each time. Times come from the C library's calendar and zones.
 *
 * tests/unit/policy_random.h makes such policies and their files; tests/unit/policy_model_test.c holds policy/ against this.
 */
#ifndef NETBUS_TESTS_POLICY_REFERENCE_H
#define NETBUS_TESTS_POLICY_REFERENCE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "policy/policy.h"

enum { REF_HOSTS, REF_VMS, REF_SHARES, REF_KINDS };
enum {
	REF_FILES = 4,
	REF_SETS = 5,
	REF_NAMES = 5,
	REF_RULES = 24,
	REF_LIMITS = 6,
	REF_TESTS = 6,
	REF_LABELS = 2,
	REF_TEXT = 140
};

struct ref_list {
	char names[REF_NAMES][REF_TEXT]; /* as written */
	int count;
};

struct ref_set {
	char name[16];
	bool by_traits;
	char class[8]; /* "": any */
	char keys[REF_LABELS][8], values[REF_LABELS][16];
	int label_count;
	struct ref_list members;
};

struct ref_file {
	char name[32], tenant[16]; /* "*": the operator's */
	struct ref_set sets[REF_KINDS][REF_SETS];
	int set_count[REF_KINDS];
};

struct ref_scope {
	const struct ref_file *file;
	bool given[REF_KINDS];
	struct ref_list lists[REF_KINDS];
};

struct ref_zone {
	const char *name, *posix; /* as the C library understands it */
};

struct ref_rule {
	struct ref_scope scope;
	char id[16];
	bool deny, observe, grant, ticket, has_mode, write, has_when;
	unsigned verbs;
	unsigned days; /* bit 0: Monday */
	int from, to;  /* minutes; -1: not given */
	const struct ref_zone *zone;
	int64_t max_ttl_us;
};

struct ref_limit {
	struct ref_scope scope;
	uint64_t iops;    /* no two have the same */
	const char *more; /* of its line */
};

struct ref_policy {
	struct ref_file files[REF_FILES];
	struct ref_rule rules[REF_RULES];
	struct ref_limit limits[REF_LIMITS];
	int file_count, rule_count, limit_count;
};

/* ---- zones: when each clock is turned, asked of the C library once ---- */

static const struct ref_zone ref_zones[] = {
    {"UTC", "UTC0"},
    {"+05:30", "AAA-5:30"},
    {"-09:30", "AAA9:30"},
    {"Europe/Berlin", "CET-1CEST,M3.5.0,M10.5.0/3"},
    {"America/New_York", "EST5EDT,M3.2.0,M11.1.0"},
    {"Australia/Lord_Howe", "AAA-10:30BBB-11,M10.1.0,M4.1.0"},
    {"Europe/Dublin", "IST-1GMT0,M10.5.0,M3.5.0/1"},
    {"America/Nuuk", "AAA2BBB1,M3.5.0/-1,M10.5.0/0"},
};

enum {
	REF_ZONES = sizeof ref_zones / sizeof ref_zones[0],
	REF_FIRST = 1735689600, /* 2025 */
	REF_LAST = 1924992000,  /* 2031 */
	REF_TURNS = 16,
};

struct ref_turns {
	int64_t at_s[REF_TURNS]; /* from when on ... */
	long east_s[REF_TURNS];  /* ... the clock is so far east */
	int count;
};

static struct ref_turns ref_turns[REF_ZONES];

static inline void
ref_learn_zones(void)
{
	for (int z = 0; z < REF_ZONES; z++) {
		setenv("TZ", ref_zones[z].posix, 1);
		tzset();
		for (time_t at = REF_FIRST; at < REF_LAST; at += 900) {
			struct ref_turns *turns = &ref_turns[z];
			struct tm local;

			localtime_r(&at, &local);
			if (turns->count == 0 || turns->east_s[turns->count - 1] != local.tm_gmtoff) {
				if (turns->count == REF_TURNS)
					abort();
				turns->at_s[turns->count] = at;
				turns->east_s[turns->count++] = local.tm_gmtoff;
			}
		}
	}
	unsetenv("TZ");
}

/* ---- names ---- */

static inline bool
ref_glob(const char *glob, const char *name)
{
	if (*glob == '\0')
		return *name == '\0';
	if (*glob == '*')
		return ref_glob(glob + 1, name) || (*name != '\0' && *name != '/' && ref_glob(glob, name + 1));
	if (*name == '\0')
		return false;
	return (*glob == '?' ? *name != '/' : *glob == *name) && ref_glob(glob + 1, name + 1);
}

static inline bool
ref_is_of(const char *name, const char *tenant)
{
	return strncmp(name, tenant, strlen(tenant)) == 0 && name[strlen(tenant)] == '/';
}

static inline const char *
ref_name(int kind, const struct policy_request *request)
{
	return kind == REF_HOSTS ? request->host : kind == REF_VMS ? request->vm : request->share;
}

static inline bool
ref_is_operators(const struct ref_file *file)
{
	return strcmp(file->tenant, "*") == 0;
}

/* What stands in no other file: in a tenant's file it speaks of that tenant's VMs and shares only. */
static inline bool
ref_in_tenant(const struct ref_file *file, int kind, const struct policy_request *request)
{
	return kind == REF_HOSTS || ref_is_operators(file) || ref_is_of(ref_name(kind, request), file->tenant);
}

static inline bool
ref_literal_or_glob(const struct ref_file *file, int kind, const char *text, const struct policy_request *request)
{
	char whole[2 * REF_TEXT];

	if (kind == REF_HOSTS || strchr(text, '/'))
		return ref_glob(text, ref_name(kind, request));
	if (ref_is_operators(file))
		return strcmp(text, "*") == 0;
	snprintf(whole, sizeof whole, "%s/%s", file->tenant, text);
	return ref_glob(whole, ref_name(kind, request));
}

static inline bool
ref_traits(const struct ref_set *set, const struct policy_request *request)
{
	if (set->class[0] && strcmp(set->class, request->share_class) != 0)
		return false;
	for (int i = 0; i < set->label_count; i++) {
		bool has = false;

		for (size_t k = 0; k < request->label_count; k++)
			has |= strcmp(request->labels[k].key, set->keys[i]) == 0 &&
			       strcmp(request->labels[k].value, set->values[i]) == 0;
		if (!has)
			return false;
	}
	return true;
}

static inline bool ref_set_has(
    const struct ref_file *file, int kind, const struct ref_set *set, const struct policy_request *request);

/* `inside`: the set whose member it is, whose own name is a name; or NULL. */
static inline bool
ref_member(const struct ref_file *file, int kind, const struct ref_set *inside, const char *text,
    const struct policy_request *request)
{
	for (int i = 0; i < file->set_count[kind]; i++)
		if (&file->sets[kind][i] != inside && strcmp(file->sets[kind][i].name, text) == 0)
			return ref_set_has(file, kind, &file->sets[kind][i], request);
	return ref_literal_or_glob(file, kind, text, request);
}

static inline bool
ref_set_has(const struct ref_file *file, int kind, const struct ref_set *set, const struct policy_request *request)
{
	if (set->by_traits)
		return ref_traits(set, request);
	for (int i = 0; i < set->members.count; i++)
		if (ref_member(file, kind, set, set->members.names[i], request))
			return true;
	return false;
}

static inline bool
ref_scope_matches(const struct ref_scope *scope, const struct policy_request *request)
{
	for (int kind = 0; kind < REF_KINDS; kind++) {
		bool match = !scope->given[kind];

		for (int i = 0; i < scope->lists[kind].count; i++)
			match |= ref_member(scope->file, kind, NULL, scope->lists[kind].names[i], request);
		if (!match || !ref_in_tenant(scope->file, kind, request))
			return false;
	}
	return true;
}

/* ---- mode and time ---- */

static inline bool
ref_mode(const struct ref_rule *rule, const struct policy_request *request)
{
	bool write = request->mode == MODE_RW;

	if (request->verb != VERB_ATTACH && request->verb != VERB_HANDOVER && request->verb != VERB_STEAL)
		return true;
	if (!rule->deny)
		return rule->write || !write;
	return !(rule->has_mode && rule->write) || write;
}

static inline bool
ref_when(const struct ref_rule *rule, int64_t at_us)
{
	const struct ref_turns *turns = &ref_turns[rule->zone - ref_zones];
	int64_t at_s = at_us / 1000000; /* after 1970 */
	int from = rule->from < 0 ? 0 : rule->from, to = rule->to < 0 ? 24 * 60 : rule->to;
	long east_s = 0;
	time_t local_s;
	struct tm local;
	int minute, today, yesterday;

	for (int i = 0; i < turns->count; i++)
		if (turns->at_s[i] <= at_s)
			east_s = turns->east_s[i];
	local_s = (time_t)(at_s + east_s);
	gmtime_r(&local_s, &local);
	minute = local.tm_hour * 60 + local.tm_min;
	today = (local.tm_wday + 6) % 7;
	yesterday = (today + 6) % 7;
	if (from < to)
		return rule->days >> today & 1 && minute >= from && minute < to;
	return (rule->days >> today & 1 && minute >= from) || (rule->days >> yesterday & 1 && minute < to);
}

static inline bool
ref_rule_matches(const struct ref_rule *rule, const struct policy_request *request)
{
	return rule->verbs & request->verb && ref_mode(rule, request) && ref_scope_matches(&rule->scope, request) &&
	       (!rule->has_when || ref_when(rule, request->at_us));
}

/* ---- the decision ---- */

struct ref_answer {
	enum policy_outcome outcome;
	const struct ref_rule *rule;
	unsigned unmet;
	int64_t max_ttl_us;
};

static inline unsigned
ref_unmet(const struct ref_rule *rule, const struct policy_facts *facts)
{
	return (rule->grant && !facts->grant_held ? DEMAND_GRANT : 0u) |
	       (rule->ticket && !facts->ticket_valid ? DEMAND_TICKET : 0u);
}

static inline int
ref_bits(unsigned mask)
{
	return (mask & DEMAND_GRANT ? 1 : 0) + (mask & DEMAND_TICKET ? 1 : 0);
}

/* Lower `weight` first, then the lower id. */
static inline bool
ref_before(const struct ref_rule *rule, int weight, const struct ref_rule *than, int than_weight)
{
	return than == NULL || weight < than_weight || (weight == than_weight && strcmp(rule->id, than->id) < 0);
}

/* `alone`: an observing rule that is taken as if it were in force; or NULL. */
static inline struct ref_answer
ref_decide(const struct ref_policy *policy, const struct policy_request *request, const struct policy_facts *facts,
    const struct ref_rule *alone)
{
	const struct ref_rule *deny = NULL, *met = NULL, *unmet = NULL;
	int64_t max_ttl_us = 0;
	int met_weight = 0, unmet_weight = 0;

	for (int i = 0; i < policy->rule_count; i++) {
		const struct ref_rule *rule = &policy->rules[i];
		int weight = rule->grant + rule->ticket, missing = ref_bits(ref_unmet(rule, facts));

		if ((rule->observe && rule != alone) || !ref_rule_matches(rule, request))
			continue;
		if (rule->deny) {
			if (ref_before(rule, 0, deny, 0))
				deny = rule;
			continue;
		}
		if (rule->max_ttl_us && (max_ttl_us == 0 || rule->max_ttl_us < max_ttl_us))
			max_ttl_us = rule->max_ttl_us;
		if (missing == 0 && ref_before(rule, weight, met, met_weight))
			met = rule, met_weight = weight;
		if (missing > 0 && ref_before(rule, missing, unmet, unmet_weight))
			unmet = rule, unmet_weight = missing;
	}
	if (deny)
		return (struct ref_answer){POLICY_RULE_DENIES, deny, 0, max_ttl_us};
	if (met)
		return (struct ref_answer){POLICY_ALLOWED, met, 0, max_ttl_us};
	if (unmet)
		return (struct ref_answer){POLICY_UNMET, unmet, ref_unmet(unmet, facts), max_ttl_us};
	return (struct ref_answer){POLICY_NO_RULE, NULL, 0, max_ttl_us};
}

#endif
