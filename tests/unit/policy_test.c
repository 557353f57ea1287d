/* SPDX-License-Identifier: Apache-2.0
 *
 * The policy language by example: each sentence of its "Decision" and "Matching in detail", and each selector, mode, demand and
 * window, as one line of a table.
 */
#include "tests/unit/policy_harness.h"

#include "base/auto.h"

#define ACME    "version: 1\ntenant: acme\n"
#define GLOBEX  "version: 1\ntenant: globex\n"
#define ALL     "version: 1\ntenant: \"*\"\n"
#define RULES   "rules:\n"
#define R(rule) "  - {" rule "}\n"
#define SETS                                      \
	"hosts:\n  rack1: [m1, m2, \"node-*\"]\n" \
	"vms:\n  web: [\"web-*\", db-1]\n"        \
	"shares:\n  disks: [\"disk-*\"]\n  sticks: {class: usb, labels: {kind: storage}}\n"

#define ALL_HELD "gt"

struct decision {
	const char *name;
	const char *files[FILES_MAX];
	const char *ask, *held; /* held: 'g' grant, 't' ticket */
	const char *want;
};

static const struct decision decisions[] = {
    /* 1. the default */
    {"denies_without_any_file", {NULL}, "m1 acme/web-1 acme/disk-1 attach ro", ALL_HELD, "none"},
    {"denies_without_a_matching_rule", {ACME RULES R("id: a, allow: [discard]")}, "m1 acme/web-1 acme/disk-1 attach ro",
	ALL_HELD, "none"},
    /* 2. scope: verb, tenant, host, VM, share */
    {"allows_when_all_match", {ACME RULES R("id: a, allow: [attach]")}, "m1 acme/web-1 acme/disk-1 attach ro", ALL_HELD,
	"allow a"},
    {"takes_each_verb_of_the_list", {ACME RULES R("id: a, allow: [list, usb-control]")},
	"m1 acme/web-1 acme/disk-1 usb-control ro", ALL_HELD, "allow a"},
    {"takes_a_single_verb_without_brackets", {ACME RULES R("id: a, allow: steal")},
	"m1 acme/web-1 acme/disk-1 steal ro", ALL_HELD, "allow a"},
    {"a_tenants_rule_does_not_reach_another_tenants_share", {ACME RULES R("id: a, allow: [attach]")},
	"m1 acme/web-1 globex/disk-1 attach ro", ALL_HELD, "none"},
    {"a_tenants_rule_does_not_serve_another_tenants_vm", {ACME RULES R("id: a, allow: [attach]")},
	"m1 globex/db-1 acme/disk-1 attach ro", ALL_HELD, "none"},
    {"a_star_in_a_tenants_file_stays_in_the_tenant",
	{ACME RULES R("id: a, allow: [attach], vms: \"*\", shares: \"*\"")}, "m1 globex/db-1 acme/disk-1 attach ro",
	ALL_HELD, "none"},
    {"a_tenants_deny_does_not_hurt_another_tenant",
	{ACME RULES R("id: a, deny: [attach]"), GLOBEX RULES R("id: b, allow: [attach]")},
	"m1 globex/v globex/s attach ro", ALL_HELD, "allow b"},
    {"a_tenant_may_write_its_own_name",
	{ACME RULES R("id: a, allow: [attach], vms: acme/web-1, shares: [acme/disk-1]")},
	"m1 acme/web-1 acme/disk-1 attach ro", ALL_HELD, "allow a"},
    {"an_operators_rule_reaches_all_tenants", {ALL RULES R("id: a, allow: [attach]")},
	"m1 acme/web-1 globex/disk-1 attach ro", ALL_HELD, "allow a"},
    {"an_operators_literal_is_one_tenants", {ALL RULES R("id: a, allow: [attach], vms: acme/web-1")},
	"m1 globex/web-1 acme/disk-1 attach ro", ALL_HELD, "none"},
    {"an_operators_glob_may_span_tenants",
	{ALL RULES R("id: a, allow: [attach], vms: \"*/web-*\", shares: \"a?me/*\"")},
	"m1 globex/web-1 acme/disk-1 attach ro", ALL_HELD, "allow a"},
    {"an_operators_star_is_everything",
	{ALL RULES R("id: a, allow: [attach], vms: \"*\", shares: \"*\", hosts: \"*\"")},
	"m1 globex/web-1 acme/disk-1 attach ro", ALL_HELD, "allow a"},
    {"a_prefix_of_a_tenant_is_not_the_tenant", {ACME RULES R("id: a, allow: [attach]")}, "m1 acme2/v acme2/s attach ro",
	ALL_HELD, "none"},
    /* sets, literals, globs */
    {"a_set_of_hosts_by_literal", {ACME SETS RULES R("id: a, allow: [attach], hosts: rack1")},
	"m2 acme/v acme/s attach ro", ALL_HELD, "allow a"},
    {"a_set_of_hosts_by_glob", {ACME SETS RULES R("id: a, allow: [attach], hosts: rack1")},
	"node-44 acme/v acme/s attach ro", ALL_HELD, "allow a"},
    {"a_set_leaves_others_out", {ACME SETS RULES R("id: a, allow: [attach], hosts: rack1")},
	"m3 acme/v acme/s attach ro", ALL_HELD, "none"},
    {"the_name_of_a_set_is_the_set_and_no_literal", {ACME SETS RULES R("id: a, allow: [attach], hosts: rack1")},
	"rack1 acme/v acme/s attach ro", ALL_HELD, "none"},
    {"a_name_that_is_no_set_is_a_literal", {ACME SETS RULES R("id: a, allow: [attach], hosts: rack2")},
	"rack2 acme/v acme/s attach ro", ALL_HELD, "allow a"},
    {"a_set_of_another_file_is_unknown_here",
	{ACME SETS, "version: 1\ntenant: acme\nrules:\n  - {id: b, allow: [attach], hosts: rack1}\n"},
	"m1 acme/v acme/s attach ro", ALL_HELD, "none"},
    {"sets_and_literals_mix_in_a_list", {ACME SETS RULES R("id: a, allow: [attach], hosts: [rack1, m9, \"z*\"]")},
	"m9 acme/v acme/s attach ro", ALL_HELD, "allow a"},
    {"a_set_in_a_list_is_the_set", {ACME SETS RULES R("id: a, allow: [attach], hosts: [m9, rack1]")},
	"node-1 acme/v acme/s attach ro", ALL_HELD, "allow a"},
    {"a_set_may_be_one_name", {ACME "hosts: {h: m1}\n" RULES R("id: a, allow: [attach], hosts: h")},
	"m1 acme/v acme/s attach ro", ALL_HELD, "allow a"},
    {"a_set_may_hold_sets_that_stand_after_it",
	{ACME "hosts: {a: [b, m9], b: [c, \"n-*\"], c: [m1]}\n" RULES R("id: a, allow: [attach], hosts: a")},
	"m1 acme/v acme/s attach ro", ALL_HELD, "allow a"},
    {"a_set_of_sets_leaves_others_out",
	{ACME "hosts: {a: [b, m9], b: [c, \"n-*\"], c: [m1]}\n" RULES R("id: a, allow: [attach], hosts: a")},
	"b acme/v acme/s attach ro", ALL_HELD, "none"},
    {"a_set_of_shares_may_hold_one_by_traits",
	{ACME "shares: {a: [x, d], d: {class: disk}}\n" RULES R("id: a, allow: [attach], shares: a")},
	"m1 acme/v acme/s attach ro", ALL_HELD, "allow a"},
    {"its_own_name_in_a_set_is_a_name", {ACME "hosts: {h: [h]}\n" RULES R("id: a, allow: [attach], hosts: h")},
	"h acme/v acme/s attach ro", ALL_HELD, "allow a"},
    {"an_empty_set_matches_nothing", {ACME "hosts: {h: []}\n" RULES R("id: a, allow: [attach], hosts: h")},
	"m1 acme/v acme/s attach ro", ALL_HELD, "none"},
    {"a_set_of_vms_gets_the_files_tenant", {ACME SETS RULES R("id: a, allow: [attach], vms: web")},
	"m1 acme/db-1 acme/s attach ro", ALL_HELD, "allow a"},
    {"a_literal_matches_whole", {ACME RULES R("id: a, allow: [attach], vms: web-1")}, "m1 acme/web-10 acme/s attach ro",
	ALL_HELD, "none"},
    /* mode */
    {"refuses_rw_when_the_allow_is_ro", {ACME RULES R("id: a, allow: [attach], mode: ro")},
	"m1 acme/v acme/s attach rw", ALL_HELD, "none"},
    {"refuses_rw_when_the_allow_says_no_mode", {ACME RULES R("id: a, allow: [attach]")}, "m1 acme/v acme/s attach rw",
	ALL_HELD, "none"},
    {"rw_includes_ro", {ACME RULES R("id: a, allow: [attach], mode: rw")}, "m1 acme/v acme/s attach ro", ALL_HELD,
	"allow a"},
    {"rw_allows_rw", {ACME RULES R("id: a, allow: [handover], mode: rw")}, "m1 acme/v acme/s handover rw", ALL_HELD,
	"allow a"},
    {"mode_concerns_handover", {ACME RULES R("id: a, allow: [handover]")}, "m1 acme/v acme/s handover rw", ALL_HELD,
	"none"},
    {"mode_concerns_steal", {ACME RULES R("id: a, allow: [steal]")}, "m1 acme/v acme/s steal rw", ALL_HELD, "none"},
    {"mode_does_not_concern_discard", {ACME RULES R("id: a, allow: [discard]")}, "m1 acme/v acme/s discard rw",
	ALL_HELD, "allow a"},
    {"a_deny_without_mode_hits_ro", {ACME RULES R("id: a, allow: [attach], mode: rw") R("id: d, deny: [attach]")},
	"m1 acme/v acme/s attach ro", ALL_HELD, "deny d"},
    {"a_deny_without_mode_hits_rw", {ACME RULES R("id: a, allow: [attach], mode: rw") R("id: d, deny: [attach]")},
	"m1 acme/v acme/s attach rw", ALL_HELD, "deny d"},
    {"a_deny_of_rw_leaves_ro", {ACME RULES R("id: a, allow: [attach], mode: rw") R("id: d, deny: [attach], mode: rw")},
	"m1 acme/v acme/s attach ro", ALL_HELD, "allow a"},
    {"a_deny_of_rw_hits_rw", {ACME RULES R("id: a, allow: [attach], mode: rw") R("id: d, deny: [attach], mode: rw")},
	"m1 acme/v acme/s attach rw", ALL_HELD, "deny d"},
    {"a_deny_of_ro_hits_rw_too",
	{ACME RULES R("id: a, allow: [attach], mode: rw") R("id: d, deny: [attach], mode: ro")},
	"m1 acme/v acme/s attach rw", ALL_HELD, "deny d"},
    {"a_deny_of_ro_hits_ro", {ACME RULES R("id: a, allow: [attach], mode: rw") R("id: d, deny: [attach], mode: ro")},
	"m1 acme/v acme/s attach ro", ALL_HELD, "deny d"},
    /* 3. deny outweighs; the lowest id in C order names it */
    {"a_deny_outweighs_every_allow", {ACME RULES R("id: a, allow: [attach]"), ALL RULES R("id: z, deny: [attach]")},
	"m1 acme/v acme/s attach ro", ALL_HELD, "deny z"},
    {"the_lowest_deny_names_it", {ACME RULES R("id: d9, deny: [attach]") R("id: d10, deny: [attach]")},
	"m1 acme/v acme/s attach ro", ALL_HELD, "deny d10"},
    {"a_deny_outweighs_unmet_demands", {ACME RULES R("id: a, allow: [attach]") R("id: d, deny: [attach]")},
	"m1 acme/v acme/s attach ro", "", "deny d"},
    /* 4. demands */
    {"a_grant_is_demanded_by_default", {ACME RULES R("id: a, allow: [attach]")}, "m1 acme/v acme/s attach ro", "t",
	"unmet a grant"},
    {"grant_required_is_the_default", {ACME RULES R("id: a, allow: [attach], grant: required")},
	"m1 acme/v acme/s attach ro", "t", "unmet a grant"},
    {"standing_needs_no_grant", {ACME RULES R("id: a, allow: [attach], grant: standing")}, "m1 acme/v acme/s attach ro",
	"", "allow a"},
    {"no_ticket_is_demanded_by_default", {ACME RULES R("id: a, allow: [attach]")}, "m1 acme/v acme/s attach ro", "g",
	"allow a"},
    {"a_ticket_can_be_demanded", {ACME RULES R("id: a, allow: [attach], ticket: required")},
	"m1 acme/v acme/s attach ro", "g", "unmet a ticket"},
    {"ticket_not_required_can_be_written", {ACME RULES R("id: a, allow: [attach], ticket: not-required")},
	"m1 acme/v acme/s attach ro", "g", "allow a"},
    {"all_that_is_missing_is_named", {ACME RULES R("id: a, allow: [attach], ticket: required")},
	"m1 acme/v acme/s attach ro", "", "unmet a grant ticket"},
    {"the_allow_with_the_fewest_demands_decides",
	{ACME RULES R("id: a, allow: [attach]") R("id: b, allow: [attach], grant: standing")},
	"m1 acme/v acme/s attach ro", ALL_HELD, "allow b"},
    {"of_equal_demands_the_lowest_id_decides", {ACME RULES R("id: b, allow: [attach]") R("id: a, allow: [attach]")},
	"m1 acme/v acme/s attach ro", ALL_HELD, "allow a"},
    {"a_met_rule_decides_over_an_unmet_one",
	{ACME RULES R("id: a, allow: [attach]") R("id: b, allow: [attach], grant: standing, ticket: required")},
	"m1 acme/v acme/s attach ro", "t", "allow b"},
    {"unmet_names_the_rule_with_the_fewest_missing",
	{ACME RULES R("id: a, allow: [attach], ticket: required")
		R("id: b, allow: [attach], grant: standing, ticket: required")},
	"m1 acme/v acme/s attach ro", "", "unmet b ticket"},
    /* observe */
    {"an_observing_deny_does_not_decide",
	{ACME RULES R("id: a, allow: [attach]") R("id: d, deny: [attach], observe: true")},
	"m1 acme/v acme/s attach ro", ALL_HELD, "allow a"},
    {"an_observing_allow_does_not_decide", {ACME RULES R("id: a, allow: [attach], observe: true")},
	"m1 acme/v acme/s attach ro", ALL_HELD, "none"},
    {"observe_false_decides", {ACME RULES R("id: a, allow: [attach], observe: false")}, "m1 acme/v acme/s attach ro",
	ALL_HELD, "allow a"},
    /* malformed requests */
    {"a_vm_without_a_tenant_matches_nothing", {ALL RULES R("id: a, allow: [attach]")}, "m1 web-1 acme/s attach ro",
	ALL_HELD, "none"},
    {"a_share_with_two_slashes_matches_nothing", {ALL RULES R("id: a, allow: [attach]")},
	"m1 acme/v acme/s/x attach ro", ALL_HELD, "none"},
    {"a_host_with_a_slash_matches_nothing", {ALL RULES R("id: a, allow: [attach]")}, "m/1 acme/v acme/s attach ro",
	ALL_HELD, "none"},
};

static void
decides_as_the_language_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(decisions); i++) {
		const struct decision *decision = &decisions[i];
		struct policy_facts facts = {strchr(decision->held, 'g') != NULL, strchr(decision->held, 't') != NULL};
		struct harness_question question;
		struct policy_verdict verdict;
		struct policy *policy;
		struct faults faults;
		char got[120];

		faults_init(&faults);
		policy = harness_load(decision->files, &faults);
		harness_print_faults(&faults);
		if (policy == NULL)
			fail_msg("%s: the files do not load", decision->name);
		harness_ask(decision->ask, &question);
		policy_decide(policy, &question.request, &facts, &verdict);
		harness_print_verdict(&verdict, got, sizeof got);
		if (strcmp(got, decision->want) != 0)
			fail_msg("%s: got '%s', wanted '%s'", decision->name, got, decision->want);
		assert_int_equal(verdict.generation, 7);
		policy_free(policy);
	}
}

/* ---- when ---- */

static void
reads_windows_in_their_zone(void **state)
{
	static const struct {
		const char *when, *at;
		bool inside;
	} cases[] = {
	    /* 2026-11-23 is a Monday. */
	    {"from: \"07:00\", to: \"19:00\"", "2026-11-23T07:00Z", true},
	    {"from: \"07:00\", to: \"19:00\"", "2026-11-23T06:59:59.999999Z", false},
	    {"from: \"07:00\", to: \"19:00\"", "2026-11-23T18:59:59.999999Z", true},
	    {"from: \"07:00\", to: \"19:00\"", "2026-11-23T19:00Z", false},
	    {"from: \"07:00\"", "2026-11-23T23:59Z", true},
	    {"to: \"07:00\"", "2026-11-23T00:00Z", true},
	    {"from: \"07:00\", to: \"24:00\"", "2026-11-23T23:59Z", true},
	    {"from: \"22:00\", to: \"00:00\"", "2026-11-23T23:59Z", true},
	    {"from: \"22:00\", to: \"00:00\"", "2026-11-24T00:00Z", false},
	    {"days: mon-fri", "2026-11-22T23:59:59Z", false},
	    {"days: mon-fri", "2026-11-23T00:00Z", true},
	    {"days: mon-fri", "2026-11-27T23:59Z", true},
	    {"days: mon-fri", "2026-11-28T00:00Z", false},
	    {"days: sat-mon", "2026-11-23T12:00Z", true},
	    {"days: sat-mon", "2026-11-24T12:00Z", false},
	    {"days: wed", "2026-11-25T12:00Z", true},
	    {"days: wed", "2026-11-26T12:00Z", false},
	    {"days: [mon, wed-thu]", "2026-11-26T12:00Z", true},
	    {"days: [mon, wed-thu]", "2026-11-24T12:00Z", false},
	    /* over midnight: `days` names the day on which it began */
	    {"days: fri, from: \"22:00\", to: \"06:00\"", "2026-11-27T22:00Z", true},
	    {"days: fri, from: \"22:00\", to: \"06:00\"", "2026-11-28T05:59Z", true},
	    {"days: fri, from: \"22:00\", to: \"06:00\"", "2026-11-28T06:00Z", false},
	    {"days: fri, from: \"22:00\", to: \"06:00\"", "2026-11-27T05:00Z", false},
	    {"days: fri, from: \"22:00\", to: \"06:00\"", "2026-11-28T22:30Z", false},
	    {"days: sun, from: \"22:00\", to: \"06:00\"", "2026-11-23T01:00Z", true},
	    /* zones */
	    {"from: \"07:00\", to: \"19:00\", zone: \"+01:00\"", "2026-11-23T06:00Z", true},
	    {"from: \"07:00\", to: \"19:00\", zone: \"+01:00\"", "2026-11-23T18:00Z", false},
	    {"from: \"07:00\", to: \"19:00\", zone: \"-05:30\"", "2026-11-23T12:29Z", false},
	    {"from: \"07:00\", to: \"19:00\", zone: \"-05:30\"", "2026-11-23T12:30Z", true},
	    {"days: mon, zone: \"+14:00\"", "2026-11-22T10:00Z", true},
	    {"days: mon, zone: \"-12:00\"", "2026-11-24T11:59Z", true},
	    {"days: mon, zone: UTC", "2026-11-24T11:59Z", false},
	    /* daylight saving: Berlin is at +01:00 until 2026-03-29T01:00Z, at +02:00 until 2026-10-25T01:00Z */
	    {"from: \"07:00\", to: \"19:00\", zone: Europe/Berlin", "2026-03-27T06:00Z", true},
	    {"from: \"07:00\", to: \"19:00\", zone: Europe/Berlin", "2026-03-27T05:59Z", false},
	    {"from: \"07:00\", to: \"19:00\", zone: Europe/Berlin", "2026-03-30T05:00Z", true},
	    {"from: \"07:00\", to: \"19:00\", zone: Europe/Berlin", "2026-03-30T04:59Z", false},
	    {"from: \"07:00\", to: \"19:00\", zone: Europe/Berlin", "2026-03-30T17:00Z", false},
	    {"from: \"02:00\", to: \"03:00\", zone: Europe/Berlin", "2026-03-29T00:59:59Z", false}, /* 01:59 */
	    {"from: \"02:00\", to: \"03:00\", zone: Europe/Berlin", "2026-03-29T01:00Z", false},    /* 03:00 */
	    {"from: \"02:00\", to: \"03:00\", zone: Europe/Berlin", "2026-10-25T00:00Z", true},     /* 02:00 */
	    {"from: \"02:00\", to: \"03:00\", zone: Europe/Berlin", "2026-10-25T01:30Z", true},     /* 02:30 again */
	    {"from: \"02:00\", to: \"03:00\", zone: Europe/Berlin", "2026-10-25T02:00Z", false},    /* 03:00 */
	    {"from: \"12:00\", to: \"13:00\", zone: Australia/Sydney", "2026-01-15T01:30Z", true},
	    {"from: \"12:00\", to: \"13:00\", zone: Australia/Sydney", "2026-07-15T02:30Z", true},
	    {"from: \"12:00\", to: \"13:00\", zone: Australia/Sydney", "2026-07-15T01:30Z", false},
	    {"days: thu", "1970-01-01T00:00Z", true},
	    {"days: wed, zone: \"-01:00\"", "1970-01-01T00:30Z", true},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		char text[256], ask[120];
		struct harness_question question;
		struct policy_facts facts = {true, true};
		struct policy_verdict verdict;
		struct policy *policy;
		struct faults faults;

		faults_init(&faults);
		snprintf(text, sizeof text, ACME RULES "  - {id: a, allow: [attach], when: {%s}}\n", cases[i].when);
		policy = harness_load((const char *const[FILES_MAX]){text}, &faults);
		harness_print_faults(&faults);
		assert_non_null(policy);
		snprintf(ask, sizeof ask, "m1 acme/v acme/s attach ro %s", cases[i].at);
		harness_ask(ask, &question);
		policy_decide(policy, &question.request, &facts, &verdict);
		if ((verdict.outcome == POLICY_ALLOWED) != cases[i].inside)
			fail_msg("{%s} at %s: got %d", cases[i].when, cases[i].at, verdict.outcome);
		policy_free(policy);
	}
}

/* ---- limits ---- */

#define LIMITS   "limits:\n"
#define ASKED    "m1 acme/web-1 acme/disk-1 attach rw"
#define BURST(n) "  - {iops: " #n "}\n"

/* `want`: one word for each limit, "LINE:PER:KEY:amounts". */
static const struct {
	const char *name;
	const char *files[FILES_MAX];
	const char *ask, *want;
} limit_cases[] = {
    {"no_limit_is_none", {ACME}, ASKED, ""},
    {"a_rate_is_each_leases_own", {ACME LIMITS R("iops: 5")}, ASKED, "10-a.yaml:4:lease::iops=5"},
    {"counts_are_a_hosts", {ACME LIMITS R("leases: 5, attach_rate: 6/min")}, ASKED,
	"10-a.yaml:4:host:m1:leases=5:attaches=6"},
    {"one_line_may_be_counted_in_two_ways", {ACME LIMITS R("leases: 5, bandwidth: 1KiB, burst: 2s")}, ASKED,
	"10-a.yaml:4:lease::bandwidth=1024:burst=2000000 10-a.yaml:4:host:m1:leases=5"},
    {"per_share", {ACME LIMITS R("iops: 5, per: share")}, ASKED, "10-a.yaml:4:share:acme/disk-1:iops=5"},
    {"per_vm", {ACME LIMITS R("leases: 5, iops: 7, per: vm")}, ASKED,
	"10-a.yaml:4:vm:acme/web-1:iops=7 10-a.yaml:4:vm:acme/web-1:leases=5"},
    {"a_tenant_is_the_vms", {ALL LIMITS R("iops: 5, per: tenant")}, "m1 globex/web-1 acme/disk-1 attach rw",
	"10-a.yaml:4:tenant:globex:iops=5"},
    {"per_host", {ACME LIMITS R("iops: 5, per: host")}, ASKED, "10-a.yaml:4:host:m1:iops=5"},
    {"per_all", {ACME LIMITS R("iops: 5, per: all")}, ASKED, "10-a.yaml:4:all::iops=5"},
    {"floors_may_stand_alone", {ACME LIMITS R("floor_iops: 5, floor_bandwidth: 1KiB")}, ASKED,
	"10-a.yaml:4:lease::floor_iops=5:floor_bandwidth=1024"},
    {"all_that_match_hold_in_order_of_files_and_lines",
	{ACME LIMITS R("iops: 9") R("iops: 5, vms: web-1") R("iops: 1, vms: db-1"), ALL LIMITS R("iops: 7, per: all"),
	    GLOBEX LIMITS R("iops: 2")},
	ASKED, "10-a.yaml:4:lease::iops=9 10-a.yaml:5:lease::iops=5 20-b.yaml:4:all::iops=7"},
    {"one_that_matches_in_two_ways_is_one_and_two_on_one_line_are_two",
	{ACME "shares: {a: [disk-1], b: [disk-1, disk-2]}\nlimits: [{iops: 9, shares: [a, b]}, {iops: 9}]\n"}, ASKED,
	"10-a.yaml:4:lease::iops=9 10-a.yaml:4:lease::iops=9"},
    {"more_than_eight_are_counted_by_the_first_and_said",
	{ALL LIMITS BURST(1) BURST(2) BURST(3) BURST(4) BURST(5), ACME LIMITS BURST(6) BURST(7) BURST(8) BURST(9)},
	ASKED,
	"10-a.yaml:4:lease::iops=1 10-a.yaml:5:lease::iops=2 10-a.yaml:6:lease::iops=3 10-a.yaml:7:lease::iops=4 "
	"10-a.yaml:8:lease::iops=5 20-b.yaml:4:lease::iops=6 20-b.yaml:5:lease::iops=7 20-b.yaml:6:lease::iops=8 +1"},
};

static void
add_amount(char *text, size_t room, const char *name, uint64_t amount)
{
	size_t used = strlen(text);

	if (amount)
		snprintf(text + used, room - used, ":%s=%llu", name, (unsigned long long)amount);
}

static void
print_limits(const struct policy_limit *limits, size_t count, char *text, size_t room)
{
	text[0] = '\0';
	for (size_t i = 0; i < count && i < POLICY_LIMITS_MOST; i++) {
		const struct policy_amounts *amounts = &limits[i].amounts;
		size_t used = strlen(text);

		snprintf(text + used, room - used, "%s%s:%u:%s:%s", i ? " " : "", limits[i].file, limits[i].line,
		    per_name(limits[i].per), limits[i].key);
		add_amount(text, room, "iops", amounts->iops);
		add_amount(text, room, "bandwidth", amounts->bandwidth);
		add_amount(text, room, "burst", (uint64_t)amounts->burst_us);
		add_amount(text, room, "floor_iops", amounts->floor_iops);
		add_amount(text, room, "floor_bandwidth", amounts->floor_bandwidth);
		add_amount(text, room, "leases", amounts->leases);
		add_amount(text, room, "attaches", amounts->attach_rate);
	}
	if (count > POLICY_LIMITS_MOST)
		snprintf(text + strlen(text), room - strlen(text), " +%zu", count - POLICY_LIMITS_MOST);
}

static void
finds_the_limits_that_apply(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(limit_cases); i++) {
		struct policy_limit limits[POLICY_LIMITS_MOST];
		struct harness_question question;
		struct faults faults;
		struct policy *policy;
		char text[1024];

		faults_init(&faults);
		policy = harness_load(limit_cases[i].files, &faults);
		harness_print_faults(&faults);
		if (policy == NULL)
			fail_msg("%s: not loaded", limit_cases[i].name);
		harness_ask(limit_cases[i].ask, &question);
		print_limits(limits, policy_limits(policy, &question.request, limits), text, sizeof text);
		if (strcmp(text, limit_cases[i].want) != 0)
			fail_msg("%s: '%s', not '%s'", limit_cases[i].name, text, limit_cases[i].want);
		policy_free(policy);
		faults_clear(&faults);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(decides_as_the_language_says),
	    cmocka_unit_test(reads_windows_in_their_zone),
	    cmocka_unit_test(finds_the_limits_that_apply),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
