/* SPDX-License-Identifier: Apache-2.0
 *
 * Random policies, as tests/unit/policy_reference.h knows them, their files as text, and random requests. Names are few, so that much matches; all from a
 * seed, so that what failed can be had again.
 */
#ifndef NETBUS_TESTS_POLICY_RANDOM_H
#define NETBUS_TESTS_POLICY_RANDOM_H

#include <stdarg.h>

#include "base/auto.h"
#include "base/clock.h"
#include "tests/unit/policy_reference.h"

static inline uint64_t
random_next(uint64_t *seed)
{
	uint64_t z = *seed += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/* From 0 to `below` - 1. */
static inline int
random_of(uint64_t *seed, int below)
{
	return (int)(random_next(seed) % (uint64_t)below);
}

static inline bool
random_chance(uint64_t *seed, int percent)
{
	return random_of(seed, 100) < percent;
}

/* ---- names ---- */

static const char *const random_tenants[] = {"acme", "acme2", "globex", "a"};
static const char *const random_locals[REF_KINDS][6] = {
    {"m1", "m2", "m10", "node-1", "node-2", "n"},
    {"web-1", "web-2", "web-10", "db-1", "w", "web"},
    {"disk-1", "disk-2", "disk-10", "iso", "gold-1", "d"},
};

static inline void
random_local(uint64_t *seed, int kind, char text[static REF_TEXT])
{
	snprintf(text, REF_TEXT, "%s", random_locals[kind][random_of(seed, 6)]);
}

/* Turns a name into a glob that may still match it. */
static inline void
random_blur(uint64_t *seed, char text[static REF_TEXT])
{
	for (int times = 1 + random_of(seed, 2); times > 0; times--) {
		size_t length = strlen(text), at = (size_t)random_of(seed, (int)length),
		       cut = (size_t)random_of(seed, (int)(length - at) + 1);

		if (random_chance(seed, 30)) {
			text[at] = '?';
			continue;
		}
		if (cut == 0)
			memmove(text + at + 1, text + at, length - at + 1);
		else
			memmove(text + at + 1, text + at + cut, length - at - cut + 1);
		text[at] = '*';
	}
}

/* A literal or glob as it may stand in that file. */
static inline void
random_name(uint64_t *seed, const struct ref_file *file, int kind, char text[static REF_TEXT])
{
	char tenant[REF_TEXT], local[REF_TEXT];

	if (random_chance(seed, 5)) {
		snprintf(text, REF_TEXT, "*");
		return;
	}
	random_local(seed, kind, local);
	if (random_chance(seed, 40))
		random_blur(seed, local);
	snprintf(tenant, sizeof tenant, "%s", file->tenant);
	if (ref_is_operators(file))
		snprintf(tenant, sizeof tenant, "%s", random_tenants[random_of(seed, 4)]);
	if (ref_is_operators(file) && random_chance(seed, 30))
		random_blur(seed, tenant);
	if (kind == REF_HOSTS || (!ref_is_operators(file) && random_chance(seed, 80)))
		snprintf(text, REF_TEXT, "%s", local);
	else
		snprintf(text, REF_TEXT, "%.60s/%.60s", tenant, local);
}

/* ---- policies ---- */

static inline void
random_set(uint64_t *seed, const struct ref_file *file, int kind, int number, int count, struct ref_set *set)
{
	/* Some are called as a host or VM is. */
	static const char *const names[REF_SETS] = {"s0", "s1", "s2", "s3", "s4"};

	snprintf(set->name, sizeof set->name, "%s", names[number]);
	if (random_chance(seed, 15))
		snprintf(set->name, sizeof set->name, "%s", random_locals[kind][number]);
	if (kind == REF_SHARES && random_chance(seed, 40)) {
		set->by_traits = true;
		if (random_chance(seed, 60))
			snprintf(set->class, sizeof set->class, "%s", random_chance(seed, 50) ? "usb" : "disk");
		set->label_count = set->class[0] ? random_of(seed, REF_LABELS + 1) : 1;
		for (int i = 0; i < set->label_count; i++) {
			snprintf(set->keys[i], sizeof set->keys[i], "%s", i ? "room" : "kind");
			snprintf(set->values[i], sizeof set->values[i], "%s", random_chance(seed, 50) ? "a: b" : "x");
		}
		return;
	}
	set->members.count = random_of(seed, REF_NAMES + 1);
	for (int i = 0; i < set->members.count; i++) {
		if (random_chance(seed, 30))
			snprintf(set->members.names[i], REF_TEXT, "s%d", random_of(seed, count));
		else if (random_chance(seed, 10))
			memcpy(set->members.names[i], set->name, sizeof set->name);
		else
			random_name(seed, file, kind, set->members.names[i]);
	}
}

static inline int
random_find_set(const struct ref_file *file, int kind, const char *name)
{
	for (int i = 0; i < file->set_count[kind]; i++)
		if (strcmp(file->sets[kind][i].name, name) == 0)
			return i;
	return -1;
}

/* A member may be a later set, so that there is no circle, or a name that may stand in that file. */
static inline void
random_mend(const struct ref_file *file, int kind, int number, char member[static REF_TEXT])
{
	bool whole = ref_is_operators(file) && kind != REF_HOSTS;
	int found = random_find_set(file, kind, member);

	if (found >= 0 && found < number)
		snprintf(member, REF_TEXT, whole ? "acme/q" : "q");
	else if (found <= number && whole && strchr(member, '/') == NULL)
		snprintf(member, REF_TEXT, "*");
}

static inline void
random_file(uint64_t *seed, int number, struct ref_file *file)
{
	static const char *const names[REF_FILES] = {"10-a.yaml", "20-b.yaml", "20-c.yaml", "90-d.yaml"};

	snprintf(file->name, sizeof file->name, "%s", names[number]);
	snprintf(file->tenant, sizeof file->tenant, "%s",
	    random_chance(seed, 35) ? "*" : random_tenants[random_of(seed, 4)]);
	for (int kind = 0; kind < REF_KINDS; kind++) {
		file->set_count[kind] = random_of(seed, REF_SETS + 1);
		for (int i = 0; i < file->set_count[kind]; i++)
			random_set(seed, file, kind, i, file->set_count[kind], &file->sets[kind][i]);
		for (int i = 0; i < file->set_count[kind]; i++)
			for (int k = 0; k < file->sets[kind][i].members.count; k++)
				random_mend(file, kind, i, file->sets[kind][i].members.names[k]);
	}
}

static inline void
random_scope(uint64_t *seed, const struct ref_file *file, struct ref_scope *scope)
{
	scope->file = file;
	for (int kind = 0; kind < REF_KINDS; kind++) {
		struct ref_list *list = &scope->lists[kind];

		scope->given[kind] = random_chance(seed, 60);
		list->count =
		    scope->given[kind] ? 1 + (random_chance(seed, 40) ? random_of(seed, REF_NAMES - 1) : 0) : 0;
		for (int i = 0; i < list->count; i++) {
			if (file->set_count[kind] && random_chance(seed, 50))
				memcpy(list->names[i], file->sets[kind][random_of(seed, file->set_count[kind])].name,
				    sizeof file->sets[kind][0].name);
			else
				random_name(seed, file, kind, list->names[i]);
		}
	}
}

static inline void
random_when(uint64_t *seed, struct ref_rule *rule)
{
	rule->has_when = true;
	rule->zone = &ref_zones[random_of(seed, REF_ZONES)];
	rule->days = random_chance(seed, 40) ? 0x7f : 1u + (unsigned)random_of(seed, 127);
	rule->from = random_chance(seed, 80) ? random_of(seed, 96) * 15 : -1;
	rule->to = random_chance(seed, 80) ? random_of(seed, 97) * 15 : -1;
	if ((rule->from < 0 ? 0 : rule->from) == (rule->to < 0 ? 1440 : rule->to))
		rule->to = -1;
	if (rule->from < 0 && rule->to == 0)
		rule->to = 15;
}

static inline void
random_rule(uint64_t *seed, const struct ref_policy *policy, int number, struct ref_rule *rule)
{
	snprintf(rule->id, sizeof rule->id, "r%d-%d", random_of(seed, 10), number);
	random_scope(seed, &policy->files[random_of(seed, policy->file_count)], &rule->scope);
	rule->deny = random_chance(seed, 25);
	rule->observe = random_chance(seed, 15);
	rule->verbs = random_chance(seed, 70) ? VERB_ATTACH : 0;
	rule->verbs |= 1u << random_of(seed, 7);
	rule->has_mode = random_chance(seed, 60);
	rule->write = rule->has_mode && random_chance(seed, 70);
	if (random_chance(seed, 30))
		random_when(seed, rule);
	if (rule->deny)
		return;
	rule->grant = random_chance(seed, 60);
	rule->ticket = random_chance(seed, 30);
	rule->max_ttl_us = random_chance(seed, 30) ? INT64_C(1000000) * (1 + random_of(seed, 100000)) : 0;
}

static inline void
random_policy(uint64_t *seed, struct ref_policy *policy)
{
	/* Not what is counted, which comes as a limit of its own. */
	static const char *const more[] = {"", ", per: vm", ", per: tenant, bandwidth: 1536KiB", ", burst: 2500ms",
	    ", floor_iops: 10, per: all", ", floor_bandwidth: 1023"};

	memset(policy, 0, sizeof *policy);
	policy->file_count = 1 + random_of(seed, REF_FILES);
	for (int i = 0; i < policy->file_count; i++)
		random_file(seed, i, &policy->files[i]);
	policy->rule_count = random_of(seed, REF_RULES + 1);
	for (int i = 0; i < policy->rule_count; i++)
		random_rule(seed, policy, i, &policy->rules[i]);
	policy->limit_count = random_of(seed, REF_LIMITS + 1);
	for (int i = 0; i < policy->limit_count; i++) {
		random_scope(seed, &policy->files[random_of(seed, policy->file_count)], &policy->limits[i].scope);
		policy->limits[i].iops = 1000 + (uint64_t)i;
		policy->limits[i].more = more[random_of(seed, ARRAY_LENGTH(more))];
	}
}

/* ---- requests ---- */

struct random_request {
	char host[REF_TEXT], vm[REF_TEXT], share[REF_TEXT];
	struct policy_label labels[REF_LABELS];
	struct policy_request request;
	struct policy_facts facts;
};

/* Half of the times are within an hour and a half of a turn of some clock. */
static inline int64_t
random_time(uint64_t *seed)
{
	const struct ref_turns *turns = &ref_turns[random_of(seed, REF_ZONES)];
	int64_t at_s = REF_FIRST + 86400 + random_of(seed, REF_LAST - REF_FIRST - 2 * 86400);

	if (turns->count > 1 && random_chance(seed, 50))
		at_s = turns->at_s[1 + random_of(seed, turns->count - 1)] - 5400 + random_of(seed, 10800);
	if (random_chance(seed, 50))
		at_s = at_s / 900 * 900; /* windows begin and end at quarters */
	return at_s * 1000000 + (random_chance(seed, 20) ? -1 : 0);
}

static inline void
random_ask(uint64_t *seed, struct random_request *asked)
{
	int tenant = random_of(seed, 4);
	char local[REF_TEXT];

	random_local(seed, REF_HOSTS, asked->host);
	if (random_chance(seed, 5))
		snprintf(asked->host, sizeof asked->host, "s%d", random_of(seed, REF_SETS));
	random_local(seed, REF_VMS, local);
	snprintf(asked->vm, sizeof asked->vm, "%s/%.60s", random_tenants[tenant], local);
	random_local(seed, REF_SHARES, local);
	snprintf(asked->share, sizeof asked->share, "%s/%.60s",
	    random_tenants[random_chance(seed, 85) ? tenant : random_of(seed, 4)], local);
	asked->labels[0] = (struct policy_label){"kind", random_chance(seed, 50) ? "a: b" : "x"};
	asked->labels[1] = (struct policy_label){"room", random_chance(seed, 50) ? "a: b" : "x"};
	asked->request = (struct policy_request){
	    .host = asked->host,
	    .vm = asked->vm,
	    .share = asked->share,
	    .share_class = random_chance(seed, 50) ? "disk" : "usb",
	    .labels = asked->labels,
	    .label_count = (size_t)random_of(seed, REF_LABELS + 1),
	    .verb = random_chance(seed, 70) ? VERB_ATTACH : (enum policy_verb)(1 << random_of(seed, 7)),
	    .mode = random_chance(seed, 50) ? MODE_RW : MODE_RO,
	    .at_us = random_time(seed),
	};
	asked->facts = (struct policy_facts){random_chance(seed, 60), random_chance(seed, 60)};
}

/* ---- tests, with what the reference says ---- */

struct random_test {
	struct random_request asked;
	struct ref_answer answer;
};

/* False when the file cannot ask it: it is another tenant's. */
static inline bool
random_test(uint64_t *seed, const struct ref_policy *policy, const struct ref_file *file, struct random_test *test)
{
	random_ask(seed, &test->asked);
	test->answer = ref_decide(policy, &test->asked.request, &test->asked.facts, NULL);
	return ref_in_tenant(file, REF_VMS, &test->asked.request) &&
	       ref_in_tenant(file, REF_SHARES, &test->asked.request);
}

/* ---- their files ---- */

struct random_text {
	char bytes[1 << 16];
	size_t length;
};

__attribute__((format(printf, 2, 3))) static inline void
random_say(struct random_text *text, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	text->length +=
	    (size_t)vsnprintf(text->bytes + text->length, sizeof text->bytes - text->length, format, arguments);
	va_end(arguments);
	if (text->length >= sizeof text->bytes)
		abort();
}

static inline void
random_say_list(struct random_text *text, const struct ref_list *list)
{
	if (list->count == 1 && list->names[0][1] != '\0') {
		random_say(text, "\"%s\"", list->names[0]);
		return;
	}
	random_say(text, "[");
	for (int i = 0; i < list->count; i++)
		random_say(text, "%s\"%s\"", i ? ", " : "", list->names[i]);
	random_say(text, "]");
}

static const char *const random_kinds[REF_KINDS] = {"hosts", "vms", "shares"};

static inline void
random_say_sets(struct random_text *text, const struct ref_file *file, int kind)
{
	if (file->set_count[kind])
		random_say(text, "%s:\n", random_kinds[kind]);
	for (int i = 0; i < file->set_count[kind]; i++) {
		const struct ref_set *set = &file->sets[kind][i];

		random_say(text, "  %s: ", set->name);
		if (!set->by_traits) {
			random_say_list(text, &set->members);
		} else {
			random_say(text, "{");
			if (set->class[0])
				random_say(text, "class: %s%s", set->class, set->label_count ? ", " : "");
			for (int k = 0; k < set->label_count; k++)
				random_say(text, "%s%s: \"%s\"", k ? ", " : "labels: {", set->keys[k], set->values[k]);
			random_say(text, "%s}", set->label_count ? "}" : "");
		}
		random_say(text, "\n");
	}
}

static inline void
random_say_scope(struct random_text *text, const struct ref_scope *scope)
{
	for (int kind = 0; kind < REF_KINDS; kind++) {
		if (!scope->given[kind])
			continue;
		random_say(text, ", %s: ", random_kinds[kind]);
		random_say_list(text, &scope->lists[kind]);
	}
}

static inline void
random_say_when(struct random_text *text, const struct ref_rule *rule)
{
	static const char *const days[] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};
	bool first = true;

	random_say(text, ", when: {days: [");
	for (int i = 0; i < 7; i++) {
		if (rule->days >> i & 1) {
			random_say(text, "%s%s", first ? "" : ", ", days[i]);
			first = false;
		}
	}
	random_say(text, "]");
	if (rule->from >= 0)
		random_say(text, ", from: \"%02d:%02d\"", rule->from / 60, rule->from % 60);
	if (rule->to >= 0)
		random_say(text, ", to: \"%02d:%02d\"", rule->to / 60, rule->to % 60);
	random_say(text, ", zone: \"%s\"}", rule->zone->name);
}

static inline void
random_say_rule(struct random_text *text, const struct ref_rule *rule)
{
	const char *between = "";

	random_say(text, "  - {id: %s, %s: [", rule->id, rule->deny ? "deny" : "allow");
	for (int i = 0; i < 7; i++) {
		if (rule->verbs >> i & 1) {
			random_say(text, "%s%s", between, verb_name((enum policy_verb)(1 << i)));
			between = ", ";
		}
	}
	random_say(text, "]");
	random_say_scope(text, &rule->scope);
	if (rule->has_mode)
		random_say(text, ", mode: %s", rule->write ? "rw" : "ro");
	if (!rule->deny)
		random_say(text, ", grant: %s%s", rule->grant ? "required" : "standing",
		    rule->ticket ? ", ticket: required" : "");
	if (rule->has_when)
		random_say_when(text, rule);
	if (rule->max_ttl_us)
		random_say(text, ", max_ttl: %llds", (long long)(rule->max_ttl_us / 1000000));
	random_say(text, "%s}\n", rule->observe ? ", observe: true" : "");
}

static inline void
random_say_test(struct random_text *text, const struct random_test *test)
{
	const struct random_request *asked = &test->asked;
	const struct policy_request *request = &asked->request;
	char at[CLOCK_TEXT_LEN];

	clock_print(request->at_us, at);
	random_say(text, "  - {host: %s, vm: %s, share: %s, verb: %s, class: %s, at: \"%s\", mode: %s", request->host,
	    request->vm, request->share, verb_name(request->verb), request->share_class, at,
	    request->mode ? "rw" : "ro");
	for (size_t i = 0; i < request->label_count; i++)
		random_say(
		    text, "%s%s: \"%s\"", i ? ", " : ", labels: {", request->labels[i].key, request->labels[i].value);
	random_say(text, "%s, grant: %s, ticket: %s, expect: %s", request->label_count ? "}" : "",
	    asked->facts.grant_held ? "held" : "missing", asked->facts.ticket_valid ? "valid" : "missing",
	    test->answer.outcome == POLICY_ALLOWED ? "allow" : "deny");
	if (test->answer.rule)
		random_say(text, ", rule: %s", test->answer.rule->id);
	random_say(text, "}\n");
}

static inline void
random_say_tests(struct random_text *text, const struct ref_policy *policy, const struct ref_file *file)
{
	uint64_t seed = (uint64_t)policy->rule_count * 1000 + (uint64_t)(file - policy->files);
	bool some = false;

	for (int i = 0; i < REF_TESTS; i++) {
		struct random_test test;

		if (!random_test(&seed, policy, file, &test))
			continue;
		random_say(text, "%s", some ? "" : "tests:\n");
		random_say_test(text, &test);
		some = true;
	}
}

static inline void
random_write(const struct ref_policy *policy, int number, struct random_text *text)
{
	const struct ref_file *file = &policy->files[number];
	bool some = false;

	text->length = 0;
	random_say(text, "version: 1\ntenant: \"%s\"\n", file->tenant);
	for (int kind = 0; kind < REF_KINDS; kind++)
		random_say_sets(text, file, kind);
	for (int i = 0; i < policy->rule_count; i++) {
		if (policy->rules[i].scope.file != file)
			continue;
		random_say(text, "%s", some ? "" : "rules:\n");
		random_say_rule(text, &policy->rules[i]);
		some = true;
	}
	some = false;
	for (int i = 0; i < policy->limit_count; i++) {
		if (policy->limits[i].scope.file != file)
			continue;
		random_say(
		    text, "%s  - {iops: %llu", some ? "" : "limits:\n", (unsigned long long)policy->limits[i].iops);
		random_say_scope(text, &policy->limits[i].scope);
		random_say(text, "%s}\n", policy->limits[i].more);
		some = true;
	}
	random_say_tests(text, policy, file);
}

#endif
