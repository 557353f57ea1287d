/* SPDX-License-Identifier: Apache-2.0
 *
 * Everything that a policy file can have wrong: refused, at the right line and column, with what is allowed instead.
 */
#include "tests/unit/policy_harness.h"

#include <stdlib.h>

#include "base/auto.h"

#define ACME        "version: 1\ntenant: acme\n"
#define ALL         "version: 1\ntenant: \"*\"\n"
#define RULE(rule)  ACME "rules:\n  - {" rule "}\n"
#define LIMIT(text) ACME "limits:\n  - {" text "}\n"
#define TEST(text)  ACME "rules:\n  - {id: x, allow: [attach]}\ntests:\n  - {" text "}\n"
#define ASK         "host: m1, vm: v, share: s, verb: attach, "
#define LONG_NAME   "a123456789b123456789c123456789d123456789e123456789f123456789g123"

struct faulty {
	const char *text;
	const char *place;   /* how the fault begins */
	const char *says[3]; /* and what it holds */
};

static const struct faulty faulty[] = {
    /* the file */
    {"", "10-a.yaml:1:1:", {"no version", "version: 1"}},
    {"version: 1\n", "10-a.yaml:1:1:", {"no tenant"}},
    {"tenant: acme\n", "10-a.yaml:1:1:", {"no version"}},
    {"version: 2\ntenant: acme\n", "10-a.yaml:1:10:", {"'2'", "1 is"}},
    {"version: 1\ntenant: Acme\n", "10-a.yaml:2:9:", {"'Acme'", "not a name"}},
    {"version: 1\ntenant: [acme]\n", "10-a.yaml:2:9:", {"a list"}},
    {"- version: 1\n", "10-a.yaml:1:1:", {"the file", "a map"}},
    {ACME "rulez: []\n", "10-a.yaml:3:1:", {"'rulez'", "'rules'"}},
    {ACME "rules:\n", "10-a.yaml:3:", {"rules", "nothing stands here", "leave the key out"}},
    {ACME "rules: {id: x}\n", "10-a.yaml:3:8:", {"rules", "a list"}},
    {ACME "rules: [x]\n", "10-a.yaml:3:9:", {"a map"}},
    {ACME "version: 1\n", "10-a.yaml:3:1:", {"second time"}},
    {ACME "hosts: &a {h: [m1]}\n", "10-a.yaml:3:8:", {"anchor"}},
    {ACME "rules: [\n", "10-a.yaml:", {""}},
    {ACME "hosts: {h: [\xff]}\n", "10-a.yaml:3:", {"UTF-8"}},
    /* sets */
    {ACME "hosts: {h: [\"m/1\"]}\n", "10-a.yaml:3:13:", {"hosts", "'m/1'"}},
    {ACME "hosts: {h: [M1]}\n", "10-a.yaml:3:13:", {"'M1'", "neither a name nor a glob"}},
    {ACME "hosts: {h: [\"\"]}\n", "10-a.yaml:3:13:", {"neither a name nor a glob"}},
    {ACME "hosts: {h: [" LONG_NAME "4]}\n", "10-a.yaml:3:13:", {"63"}},
    {ACME "hosts: {H: [m1]}\n", "10-a.yaml:3:9:", {"'H'", "cannot name a set"}},
    {ACME "hosts: {h: {class: usb}}\n", "10-a.yaml:3:12:", {"a list"}},
    {ACME "hosts: {h: [[m1]]}\n", "10-a.yaml:3:13:", {"a single value"}},
    {ACME "hosts: {h: [g], g: [m1, h]}\n", "10-a.yaml:3:20:", {"'g' holds 'h'", "cannot be in itself"}},
    {ACME "hosts: {a: [b], b: [c], c: [d], d: [e], e: [f], f: [g], g: [h], h: [i], i: m}\n",
	"10-a.yaml:3:12:", {"9 deep", "at most 8"}},
    {ACME "hosts: [m1]\n", "10-a.yaml:3:8:", {"a map"}},
    {ACME "vms: {w: [globex/web-1]}\n", "10-a.yaml:3:11:", {"'globex/web-1'", "tenant acme"}},
    {ACME "vms: {w: [\"*/web-1\"]}\n", "10-a.yaml:3:11:", {"'*/web-1'", "tenant acme"}},
    {ACME "vms: {w: [acme/web/1]}\n", "10-a.yaml:3:11:", {"neither a name nor a glob"}},
    {ACME "shares: {s: [globex/disk-1]}\n", "10-a.yaml:3:14:", {"'globex/disk-1'"}},
    {ACME "shares: {s: {class: usv}}\n", "10-a.yaml:3:21:", {"'usv'", "'usb'"}},
    {ACME "shares: {s: {clas: usb}}\n", "10-a.yaml:3:14:", {"'clas'", "'class'"}},
    {ACME "shares: {s: {}}\n", "10-a.yaml:3:13:", {"class, labels"}},
    {ACME "shares: {s: {labels: {}}}\n", "10-a.yaml:3:22:", {"from 1 to 16"}},
    {ACME "shares: {s: {labels: {Kind: x}}}\n", "10-a.yaml:3:23:", {"'Kind'"}},
    {ACME "shares: {s: {labels: {kind: [x]}}}\n", "10-a.yaml:3:29:", {"a single value"}},
    {ACME "shares: {s: {labels: {kind: " LONG_NAME "}}}\n", "10-a.yaml:3:29:", {"longer than 63"}},
    {ALL "vms: {w: [web-1]}\n", "10-a.yaml:3:11:", {"'web-1' names no tenant", "tenant/name"}},
    {ALL "shares: {w: [\"disk-*\"]}\n", "10-a.yaml:3:14:", {"tenant/name"}},
    {ALL "rules: [{id: x, allow: [attach], vms: web}]\n", "10-a.yaml:3:39:", {"'web'", "nor a set"}},
    {ALL "rules: [{id: x, allow: [attach], shares: \"a/b/c\"}]\n", "10-a.yaml:3:42:", {"neither a name nor a glob"}},
    /* rules */
    {RULE("allow: [attach]"), "10-a.yaml:4:5:", {"no id"}},
    {RULE("id: Web, allow: [attach]"), "10-a.yaml:4:10:", {"'Web'", "not a name"}},
    {RULE("id: " LONG_NAME "4, allow: [attach]"), "10-a.yaml:4:10:", {"1 to 63"}},
    {RULE("id: x"), "10-a.yaml:4:5:", {"neither allows nor denies"}},
    {RULE("id: x, alow: [attach]"), "10-a.yaml:4:13:", {"'alow'", "'allow'"}},
    {RULE("id: x, allow: [attach], deny: [list]"), "10-a.yaml:4:36:", {"two rules"}},
    {RULE("id: x, allow: [atach]"), "10-a.yaml:4:21:", {"'atach'", "'attach'"}},
    {RULE("id: x, allow: []"), "10-a.yaml:4:20:", {"at least one"}},
    {RULE("id: x, allow: [attach, attach]"), "10-a.yaml:4:29:", {"twice"}},
    {RULE("id: x, allow: {attach: yes}"), "10-a.yaml:4:20:", {"a list"}},
    {RULE("id: x, allow: \"*\""), "10-a.yaml:4:20:", {"'*'", "usb-control"}},
    {RULE("id: x, allow: [attach], hosts: []"), "10-a.yaml:4:37:", {"empty list matches nothing"}},
    {RULE("id: x, allow: [attach], vms: "), "10-a.yaml:4:", {"vms", "nothing stands here"}},
    {RULE("id: x, allow: [attach], vms: {a: b}"), "10-a.yaml:4:35:", {"a list"}},
    {RULE("id: x, allow: [attach], vms: globex/v"), "10-a.yaml:4:35:", {"'globex/v'"}},
    {RULE("id: x, allow: [attach], shares: [s, globex/s]"), "10-a.yaml:4:42:", {"'globex/s'"}},
    {RULE("id: x, allow: [attach], mode: wr"), "10-a.yaml:4:36:", {"'wr'", "ro, rw"}},
    {RULE("id: x, allow: [attach], grant: require"), "10-a.yaml:4:37:", {"'required'"}},
    {RULE("id: x, allow: [attach], ticket: no"), "10-a.yaml:4:38:", {"not-required"}},
    {RULE("id: x, allow: [attach], observe: yes"), "10-a.yaml:4:39:", {"false, true"}},
    {RULE("id: x, allow: [attach], max_ttl: 8x"), "10-a.yaml:4:39:", {"max_ttl", "8h"}},
    {RULE("id: x, allow: [attach], max_ttl: 0s"), "10-a.yaml:4:39:", {"no time"}},
    {RULE("id: x, deny: [attach], grant: required"), "10-a.yaml:4:29:", {"'grant'", "allow"}},
    {RULE("id: x, deny: [attach], ticket: required"), "10-a.yaml:4:29:", {"'ticket'"}},
    {RULE("id: x, deny: [attach], max_ttl: 8h"), "10-a.yaml:4:29:", {"'max_ttl'"}},
    {ACME "rules:\n  - {id: x, allow: [attach]}\n  - {id: x, deny: [list]}\n",
	"10-a.yaml:5:5:", {"'x'", "10-a.yaml:4", "unique"}},
    /* when */
    {RULE("id: x, allow: [attach], when: {}"), "10-a.yaml:4:36:", {"neither days nor a time"}},
    {RULE("id: x, allow: [attach], when: {zone: UTC}"), "10-a.yaml:4:36:", {"neither days nor a time"}},
    {RULE("id: x, allow: [attach], when: always"), "10-a.yaml:4:36:", {"a map"}},
    {RULE("id: x, allow: [attach], when: {day: mon}"), "10-a.yaml:4:37:", {"'day'", "'days'"}},
    {RULE("id: x, allow: [attach], when: {days: monday}"), "10-a.yaml:4:43:", {"'monday'", "mon-fri"}},
    {RULE("id: x, allow: [attach], when: {days: mon-}"), "10-a.yaml:4:43:", {"'mon-'"}},
    {RULE("id: x, allow: [attach], when: {days: [mon, 2]}"), "10-a.yaml:4:49:", {"'2'"}},
    {RULE("id: x, allow: [attach], when: {days: []}"), "10-a.yaml:4:43:", {"never"}},
    {RULE("id: x, allow: [attach], when: {from: \"7:00\"}"), "10-a.yaml:4:43:", {"'7:00'", "07:00"}},
    {RULE("id: x, allow: [attach], when: {to: \"24:01\"}"), "10-a.yaml:4:41:", {"'24:01'"}},
    {RULE("id: x, allow: [attach], when: {to: \"12:60\"}"), "10-a.yaml:4:41:", {"'12:60'"}},
    {RULE("id: x, allow: [attach], when: {from: \"24:00\"}"), "10-a.yaml:4:43:", {"00:00"}},
    {RULE("id: x, allow: [attach], when: {from: \"07:00\", to: \"07:00\"}"), "10-a.yaml:4:36:", {"same time"}},
    {RULE("id: x, allow: [attach], when: {days: mon, zone: Europe/Berln}"),
	"10-a.yaml:4:54:", {"'Europe/Berln'", "did you mean 'Europe/Berlin'", "+01:00"}},
    {RULE("id: x, allow: [attach], when: {days: mon, zone: Nowhere/Land}"),
	"10-a.yaml:4:54:", {"'Nowhere/Land' is not known; allowed"}},
    {RULE("id: x, allow: [attach], when: {days: mon, zone: Africa/Casablanca}"), "10-a.yaml:4:54:", {"moon"}},
    {RULE("id: x, allow: [attach], when: {days: mon, zone: \"+1:00\"}"), "10-a.yaml:4:54:", {"'+1:00'"}},
    {RULE("id: x, allow: [attach], when: {days: mon, zone: \"+14:01\"}"), "10-a.yaml:4:54:", {"14 hours"}},
    {RULE("id: x, allow: [attach], when: {days: mon, zone: utc}"), "10-a.yaml:4:54:", {"'UTC'"}},
    /* limits */
    {LIMIT("hosts: m1"), "10-a.yaml:4:5:", {"limits nothing"}},
    {LIMIT("iops: 0"), "10-a.yaml:4:12:", {"iops", "from 1"}},
    {LIMIT("iops: many"), "10-a.yaml:4:12:", {"'many'"}},
    {LIMIT("iops: 1000000001"), "10-a.yaml:4:12:", {"1000000000"}},
    {LIMIT("iop: 10"), "10-a.yaml:4:6:", {"'iop'", "'iops'"}},
    {LIMIT("bandwidth: 200MB"), "10-a.yaml:4:17:", {"'200MB'", "200MiB"}},
    {LIMIT("bandwidth: 0"), "10-a.yaml:4:17:", {"deny"}},
    {LIMIT("iops: 5, burst: 0s"), "10-a.yaml:4:22:", {"burst"}},
    {LIMIT("iops: 5, burst: soon"), "10-a.yaml:4:22:", {"'soon'"}},
    {LIMIT("leases: 5, burst: 2s"), "10-a.yaml:4:24:", {"iops or bandwidth"}},
    {LIMIT("leases: 0"), "10-a.yaml:4:14:", {"leases"}},
    {LIMIT("leases: -1"), "10-a.yaml:4:14:", {"'-1'"}},
    {LIMIT("attach_rate: 20"), "10-a.yaml:4:19:", {"'20'", "20/min"}},
    {LIMIT("attach_rate: 20/hour"), "10-a.yaml:4:19:", {"20/min"}},
    {LIMIT("attach_rate: 0/min"), "10-a.yaml:4:19:", {"1/min"}},
    {LIMIT("attach_rate: 99999999999999999999/min"), "10-a.yaml:4:19:", {"1/min"}},
    {LIMIT("iops: 5, burst: 61m"), "10-a.yaml:4:22:", {"'61m'", "an hour"}},
    {LIMIT("bandwidth: 1025TiB"), "10-a.yaml:4:17:", {"'1025TiB'", "1024TiB"}},
    {LIMIT("floor_iops: 0"), "10-a.yaml:4:18:", {"floor_iops", "from 1"}},
    {LIMIT("floor_bandwidth: 0"), "10-a.yaml:4:23:", {"floor_bandwidth", "deny"}},
    {LIMIT("floor_bandwidth: 1025TiB"), "10-a.yaml:4:23:", {"1024TiB"}},
    {LIMIT("iops: 100, floor_iops: 101"), "10-a.yaml:4:29:", {"floor_iops", "100"}},
    {LIMIT("bandwidth: 1KiB, floor_bandwidth: 2KiB"), "10-a.yaml:4:40:", {"floor_bandwidth", "1024 bytes"}},
    {LIMIT("iops: 5, per: tennant"),
	"10-a.yaml:4:20:", {"'tennant'", "'tenant'", "lease, share, vm, tenant, host, all"}},
    {LIMIT("iops: 5, per: [vm]"), "10-a.yaml:4:20:", {"a single value"}},
    {LIMIT("leases: 5, per: lease"), "10-a.yaml:4:22:", {"per", "share, vm, tenant, host"}},
    {LIMIT("iops: 5, attach_rate: 5/min, per: lease"), "10-a.yaml:4:40:", {"attach_rate"}},
    {LIMIT("floor_iops: 5, per: vm"), "10-a.yaml:4:26:", {"each lease's own"}},
    {LIMIT("vms: globex/v, leases: 1"), "10-a.yaml:4:11:", {"'globex/v'"}},
    /* tests */
    {TEST("vm: v, share: s, verb: attach, expect: deny"), "10-a.yaml:6:5:", {"no 'host'"}},
    {TEST("host: m1, vm: v, share: s, verb: attach"), "10-a.yaml:6:5:", {"no 'expect'"}},
    {TEST(ASK "expect: denied"), "10-a.yaml:6:", {"'denied'", "deny, allow"}},
    {TEST(ASK "expect: allow, at: tomorrow"), "10-a.yaml:6:", {"'tomorrow'", "2026-11-22T12:00Z"}},
    {TEST(ASK "expect: allow, at: 1970-01-01T00:30+01:00"), "10-a.yaml:6:", {"1970 to 9999"}},
    {TEST(ASK "expect: allow, at: 9999-12-31T23:30-01:00"), "10-a.yaml:6:", {"1970 to 9999"}},
    {TEST(ASK "expect: allow, grant: required"), "10-a.yaml:6:", {"held, missing"}},
    {TEST(ASK "expect: allow, ticket: held"), "10-a.yaml:6:", {"valid, missing"}},
    {TEST(ASK "expect: allow, class: tape"), "10-a.yaml:6:", {"disk, usb"}},
    {TEST("host: m1, vm: \"v-*\", share: s, verb: attach, expect: deny"), "10-a.yaml:6:20:", {"glob", "one VM"}},
    {TEST("host: m1, vm: globex/v, share: s, verb: attach, expect: deny"), "10-a.yaml:6:20:", {"'globex/v'"}},
    {TEST("host: m1, vm: v, share: s, verb: [attach], expect: deny"), "10-a.yaml:6:", {"a single value"}},
    {TEST("host: m1, vm: v, share: s, verb: atach, expect: deny"), "10-a.yaml:6:", {"'attach'"}},
    /* tests that fail */
    {TEST(ASK "expect: deny"), "10-a.yaml:6:5: test 1: expected deny, got allow by 'x'", {""}},
    {TEST(ASK "mode: rw, expect: allow"), "10-a.yaml:6:5: test 1: expected allow, got deny, since no rule", {""}},
    {TEST(ASK "grant: missing, expect: allow, rule: x"),
	"10-a.yaml:6:5: test 1: expected allow by 'x', got deny, since 'x' demands a grant", {""}},
    {TEST(ASK "expect: allow, rule: y"), "10-a.yaml:6:5: test 1: expected allow by 'y', got allow by 'x'",
	{"no rule has that id"}},
    {TEST(ASK "expect: deny, rule: x"), "10-a.yaml:6:5: test 1: expected deny by 'x', got allow by 'x'", {""}},
};

static void
refuses_each_fault_where_it_stands(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(faulty); i++) {
		struct faults faults;
		struct policy *policy;
		const char *first;

		faults_init(&faults);
		policy = harness_load((const char *const[FILES_MAX]){faulty[i].text}, &faults);
		if (policy != NULL || faults.count == 0)
			fail_msg("accepted: %s", faulty[i].text);
		first = faults.first->text;
		if (strncmp(first, faulty[i].place, strlen(faulty[i].place)) != 0)
			fail_msg("wanted '%s', got '%s' for: %s", faulty[i].place, first, faulty[i].text);
		for (size_t k = 0; k < 3 && faulty[i].says[k]; k++)
			if (strstr(first, faulty[i].says[k]) == NULL)
				fail_msg("'%s' does not say '%s'", first, faulty[i].says[k]);
		faults_clear(&faults);
	}
}

static void
reports_all_faults_of_all_files_at_once(void **state)
{
	static const char *const texts[FILES_MAX] = {
	    ACME "hosts: {h: [M1]}\nrules:\n  - {id: x, alow: [attach]}\n  - {id: y, allow: "
		 "[attach], mode: wr}\n",
	    ACME "rules:\n  - {id: y, allow: [attach], hosts: []}\n",
	    ACME "limits:\n  - {iops: 0}\n",
	};
	struct faults faults;

	(void)state;
	faults_init(&faults);
	assert_null(harness_load(texts, &faults));
	/* The bad member, the bad key, the missing effect, the bad mode, the empty list, the second y, the zero. */
	if (faults.count != 7) {
		harness_print_faults(&faults);
		fail_msg("%zu faults", faults.count);
	}
	faults_clear(&faults);
}

static void
refuses_an_id_that_another_file_has(void **state)
{
	struct faults faults;

	(void)state;
	faults_init(&faults);
	assert_null(harness_load(
	    (const char *const[FILES_MAX]){RULE("id: x, allow: [attach]"), RULE("id: x, deny: [list]")}, &faults));
	assert_int_equal(faults.count, 1);
	assert_string_equal(faults.first->text, "20-b.yaml:4:5: the id 'x' is taken by the rule in 10-a.yaml:4; "
						"ids are unique over all files, so choose another");
	faults_clear(&faults);
}

static void
refuses_files_with_other_names(void **state)
{
	static const struct {
		const char *name;
		bool good;
	} cases[] = {
	    {"10-acme.yaml", true},
	    {"00-a.yaml", true},
	    {"99-a.b_c-9.yaml", true},
	    {"1-acme.yaml", false},
	    {"100-acme.yaml", false},
	    {"10acme.yaml", false},
	    {"10-.yaml", false},
	    {"10-acme.yml", false},
	    {"10-Acme.yaml", false},
	    {"10-acme.yaml~", false},
	    {".10-acme.yaml", false},
	    {"10-a/b.yaml", false},
	    {"ab-acme.yaml", false},
	    {"README", false},
	    {"", false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		struct policy_file file = {cases[i].name, ACME, sizeof ACME - 1};
		struct faults faults;
		struct policy *policy;

		faults_init(&faults);
		policy = policy_load(&file, 1, 1, 0, &faults);
		if ((policy != NULL) != cases[i].good)
			fail_msg("'%s' should%s be accepted", cases[i].name, cases[i].good ? "" : " not");
		policy_free(policy);
		faults_clear(&faults);
	}
}

/* `count` times `piece` (which may use one %zu for its number) between two texts. */
static char *
repeat(const char *before, const char *piece, size_t count, const char *after)
{
	size_t room = strlen(before) + strlen(after) + count * (strlen(piece) + 8) + 1, used;
	char *text = malloc(room);

	assert_non_null(text);
	used = (size_t)snprintf(text, room, "%s", before);
	for (size_t i = 0; i < count; i++) {
		const char *number = strchr(piece, '#');

		used += number ? (size_t)snprintf(
				     text + used, room - used, "%.*s%zu%s", (int)(number - piece), piece, i, number + 1)
			       : (size_t)snprintf(text + used, room - used, "%s", piece);
	}
	snprintf(text + used, room - used, "%s", after);
	return text;
}

static void
refuses_more_than_the_limits_and_names_them(void **state)
{
	static const struct {
		const char *before, *piece, *after;
		size_t most;
		const char *says;
	} cases[] = {
	    {ACME "hosts: {h: [", "m#,", "]}\n", 10000, "10000"},
	    {ACME "hosts: {", "h#: a,", "}\n", 1000, "1000"},
	    {ACME "rules: [{id: x, allow: [attach], hosts: [", "m#,", "]}]\n", 10000, "10000"},
	    {ACME "shares: {s: {labels: {", "k#: v,", "}}}\n", 16, "16"},
	    {ACME "limits:\n", "- {leases: 1}\n", "", 10000, "10000"},
	    {ACME "tests:\n", "- {host: m, vm: v, share: s, verb: list, expect: deny}\n", "", 10000, "10000"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		for (size_t over = 0; over < 2; over++) {
			AUTO_FREE char *text =
			    repeat(cases[i].before, cases[i].piece, cases[i].most + over, cases[i].after);
			struct faults faults;
			struct policy *policy;

			faults_init(&faults);
			policy = harness_load((const char *const[FILES_MAX]){text}, &faults);
			if ((policy == NULL) != (over == 1)) {
				harness_print_faults(&faults);
				fail_msg("case %zu with %zu over: %s", i, over, policy ? "accepted" : "refused");
			}
			if (over && strstr(faults.first->text, cases[i].says) == NULL)
				fail_msg("'%s' does not name the limit", faults.first->text);
			policy_free(policy);
			faults_clear(&faults);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(refuses_each_fault_where_it_stands),
	    cmocka_unit_test(reports_all_faults_of_all_files_at_once),
	    cmocka_unit_test(refuses_an_id_that_another_file_has),
	    cmocka_unit_test(refuses_files_with_other_names),
	    cmocka_unit_test(refuses_more_than_the_limits_and_names_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
