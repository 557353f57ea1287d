/* SPDX-License-Identifier: Apache-2.0
 *
 * A policy as text (policy/print.h): the files from top to bottom, as policy/parse_file.c reads them.
 */
#include "policy/print.h"

#include <string.h>

#include "base/clock.h"
#include "policy/print_parts.h"

/* ---- rules ---- */

static void
say_verbs(struct printing *printing, const char *key, uint8_t verbs)
{
	const char *between = "";

	say_key(printing, key);
	say(printing, "[");
	for (unsigned i = 0; i < VERB_COUNT; i++) {
		if (!(verbs >> i & 1))
			continue;
		say(printing, "%s%s", between, verb_name((enum policy_verb)(1 << i)));
		between = ", ";
	}
	say(printing, "]");
}

static void
say_minute(struct printing *printing, const char *key, unsigned minute)
{
	say_key(printing, key);
	say(printing, "\"%02u:%02u\"", minute / 60, minute % 60);
}

static void
say_when(struct printing *printing, const struct when *when)
{
	bool all_day = when->from == 0 && when->to == DAY_MINUTES;
	char days[DAYS_TEXT_LEN], zone[ZONE_TEXT_LEN];

	say_key(printing, "when");
	say(printing, "{");
	printing->first = true;
	if (when->days != WHEN_ALL_DAYS || all_day) {
		when_print_days(when->days, ", ", days);
		say_key(printing, "days");
		say(printing, "[%s]", days);
	}
	if (!all_day) {
		say_minute(printing, "from", when->from);
		say_minute(printing, "to", when->to);
	}
	zone_print(&when->zone, zone);
	if (strcmp(zone, "UTC") != 0) {
		say_key(printing, "zone");
		say(printing, "\"%s\"", zone);
	}
	say(printing, "}");
	printing->first = false;
}

static void
say_rule(struct printing *printing, const struct rule *rule)
{
	say(printing, "  - {");
	printing->first = true;
	say_key(printing, "id");
	say(printing, "%s", rule->id);
	say_verbs(printing, rule->deny ? "deny" : "allow", rule->scope.verbs);
	say_scope(printing, &rule->scope);
	if (rule->has_mode) {
		say_key(printing, "mode");
		say(printing, rule->mode == MODE_RW ? "rw" : "ro");
	}
	if (!rule->deny && !(rule->demands & DEMAND_GRANT)) {
		say_key(printing, "grant");
		say(printing, "standing");
	}
	if (rule->demands & DEMAND_TICKET) {
		say_key(printing, "ticket");
		say(printing, "required");
	}
	if (rule->when)
		say_when(printing, rule->when);
	if (rule->max_ttl_us) {
		say_key(printing, "max_ttl");
		say_duration(printing, rule->max_ttl_us);
	}
	if (rule->observe) {
		say_key(printing, "observe");
		say(printing, "true");
	}
	say(printing, "}\n");
}

/* ---- limits ---- */

static void
say_count(struct printing *printing, const char *key, uint64_t count, const char *unit)
{
	if (count == 0)
		return;
	say_key(printing, key);
	say(printing, "%llu%s", (unsigned long long)count, unit);
}

static void
say_bandwidth(struct printing *printing, const char *key, uint64_t bytes)
{
	if (bytes == 0)
		return;
	say_key(printing, key);
	say_size(printing, bytes);
}

static void
say_limit(struct printing *printing, const struct limit *limit)
{
	const struct policy_amounts *amounts = &limit->amounts;

	say(printing, "  - {");
	printing->first = true;
	say_scope(printing, &limit->scope);
	if (limit->rates_per != PER_LEASE || limit->counts_per != PER_HOST) {
		say_key(printing, "per");
		say(printing, "%s", per_name(limit->rates_per));
	}
	say_count(printing, "iops", amounts->iops, "");
	say_bandwidth(printing, "bandwidth", amounts->bandwidth);
	if (amounts->burst_us) {
		say_key(printing, "burst");
		say_duration(printing, amounts->burst_us);
	}
	say_count(printing, "floor_iops", amounts->floor_iops, "");
	say_bandwidth(printing, "floor_bandwidth", amounts->floor_bandwidth);
	say_count(printing, "leases", amounts->leases, "");
	say_count(printing, "attach_rate", amounts->attach_rate, "/min");
	say(printing, "}\n");
}

/* ---- tests ---- */

static void
say_word(struct printing *printing, const char *key, const char *word)
{
	say_key(printing, key);
	say(printing, "%s", word);
}

static void
say_names(struct printing *printing, const struct policy_request *request)
{
	say_word(printing, "host", request->host);
	say_key(printing, "vm");
	say_name(printing, BY_VM, request->vm, false);
	say_key(printing, "share");
	say_name(printing, BY_SHARE, request->share, false);
}

static void
say_test(struct printing *printing, const struct policy_test *test)
{
	const struct policy_request *request = &test->request;
	char at[CLOCK_TEXT_LEN];

	say(printing, "  - {");
	printing->first = true;
	say_names(printing, request);
	say_word(printing, "verb", verb_name(request->verb));
	if (request->mode == MODE_RW)
		say_word(printing, "mode", "rw");
	if (test->timed) {
		clock_print(request->at_us, at);
		say_key(printing, "at");
		say(printing, "\"%s\"", at);
	}
	if (strcmp(request->share_class, "disk") != 0)
		say_word(printing, "class", request->share_class);
	if (request->label_count) {
		say_key(printing, "labels");
		say_labels(printing, request->labels, request->label_count);
	}
	if (!test->facts.grant_held)
		say_word(printing, "grant", "missing");
	if (!test->facts.ticket_valid)
		say_word(printing, "ticket", "missing");
	say_word(printing, "expect", test->allow ? "allow" : "deny");
	if (test->rule)
		say_word(printing, "rule", test->rule);
	say(printing, "}\n");
}

/* ---- a file ---- */

/* The head of a section before its first line. */
static void
say_head(struct printing *printing, const char *head, bool *said)
{
	if (!*said)
		say(printing, "%s:\n", head);
	*said = true;
}

static void
say_lines(struct printing *printing)
{
	const struct policy *policy = printing->policy;
	const char *file = printing->source->name;
	bool rules = false, limits = false, tests = false;

	for (size_t i = 0; i < policy->rule_count; i++) {
		if (policy->rules[i]->file != file)
			continue;
		say_head(printing, "rules", &rules);
		say_rule(printing, policy->rules[i]);
	}
	for (size_t i = 0; i < policy->limit_count; i++) {
		if (policy->limits[i]->file != file)
			continue;
		say_head(printing, "limits", &limits);
		say_limit(printing, policy->limits[i]);
	}
	for (size_t i = 0; i < policy->test_count; i++) {
		if (policy->tests[i]->file != file)
			continue;
		say_head(printing, "tests", &tests);
		say_test(printing, policy->tests[i]);
	}
}

int
policy_print(const struct policy *policy, size_t file, struct buffer *out)
{
	struct printing printing = {.policy = policy, .source = &policy->sources[file], .out = out};

	say(&printing, "version: 1\ntenant: %s\n", printing.source->tenant ?: "\"*\"");
	say_sets(&printing, BY_HOST);
	say_sets(&printing, BY_VM);
	say_sets(&printing, BY_SHARE);
	say_lines(&printing);
	return printing.code;
}

size_t
policy_file_count(const struct policy *policy)
{
	return policy->source_count;
}

const char *
policy_file_name(const struct policy *policy, size_t file)
{
	return policy->sources[file].name;
}
