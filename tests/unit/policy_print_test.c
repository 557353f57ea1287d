/* SPDX-License-Identifier: Apache-2.0
 *
 * The canonical form of a policy: examples, and for 1 000 random policies that it loads again, decides the same, and prints as the same bytes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "policy/print.h"
#include "tests/unit/policy_random.h"

enum { POLICIES = 1000, REQUESTS = 300 };

static struct policy *
load_one(const char *text)
{
	struct policy_file file = {"10-a.yaml", text, strlen(text)};
	struct faults faults;
	struct policy *policy;

	faults_init(&faults);
	policy = policy_load(&file, 1, 1, 0, &faults);
	for (const struct fault *fault = faults.first; fault; fault = fault->next)
		print_error("%s\n", fault->text);
	faults_clear(&faults);
	assert_non_null(policy);
	return policy;
}

/* All files, each a buffer. */
struct printed {
	struct buffer texts[REF_FILES];
	char names[REF_FILES][32];
	size_t count;
};

static void
print_all(const struct policy *policy, struct printed *printed)
{
	printed->count = policy_file_count(policy);
	assert_in_range(printed->count, 0, REF_FILES);
	for (size_t i = 0; i < printed->count; i++) {
		buffer_init(&printed->texts[i], YAML_FILE_MAX);
		snprintf(printed->names[i], sizeof printed->names[i], "%s", policy_file_name(policy, i));
		assert_int_equal(policy_print(policy, i, &printed->texts[i]), 0);
	}
}

static void
printed_clear(struct printed *printed)
{
	for (size_t i = 0; i < printed->count; i++)
		buffer_clear(&printed->texts[i]);
}

static struct policy *
load_printed(const struct printed *printed)
{
	struct policy_file files[REF_FILES];
	struct policy *policy;
	struct faults faults;

	for (size_t i = 0; i < printed->count; i++)
		files[i] = (struct policy_file){printed->names[i], (const char *)buffer_front(&printed->texts[i]),
		    buffer_length(&printed->texts[i])};
	faults_init(&faults);
	policy = policy_load(files, printed->count, 1, 0, &faults);
	if (policy == NULL) {
		for (size_t i = 0; i < printed->count; i++)
			print_error("--- %s\n%.*s", files[i].name, (int)files[i].length, files[i].text);
		fail_msg("what was printed does not load: %s", faults.first->text);
	}
	return policy;
}

static void
assert_same_text(const struct buffer *one, const struct buffer *other)
{
	if (buffer_length(one) != buffer_length(other) ||
	    memcmp(buffer_front(one), buffer_front(other), buffer_length(one)) != 0)
		fail_msg("printed: %.*s--- printed again: %.*s", (int)buffer_length(one),
		    (const char *)buffer_front(one), (int)buffer_length(other), (const char *)buffer_front(other));
}

static void
assert_same_limits(const struct policy *one, const struct policy *other, const struct policy_request *request)
{
	struct policy_limit a[POLICY_LIMITS_MOST], b[POLICY_LIMITS_MOST];
	size_t count = policy_limits(one, request, a);

	assert_int_equal(count, policy_limits(other, request, b));
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(a[i].per, b[i].per);
		assert_string_equal(a[i].key, b[i].key);
		assert_memory_equal(&a[i].amounts, &b[i].amounts, sizeof a[i].amounts);
	}
}

struct ids {
	char text[REF_RULES * 24];
	size_t length;
};

static void
note(const struct policy_match *match, void *context)
{
	struct ids *ids = context;

	ids->length += (size_t)snprintf(ids->text + ids->length, sizeof ids->text - ids->length, "%s/%u/%d%d%d ",
	    match->id, match->unmet, match->deny, match->has_mode, (int)match->mode);
	assert_true(ids->length < sizeof ids->text);
}

static void
assert_same_answer(const struct policy *one, const struct policy *other, const struct random_request *asked)
{
	struct ids ids = {.length = 0}, other_ids = {.length = 0};
	struct policy_verdict a, b;

	policy_decide(one, &asked->request, &asked->facts, &a);
	policy_decide(other, &asked->request, &asked->facts, &b);
	assert_int_equal(a.outcome, b.outcome);
	assert_int_equal(a.unmet, b.unmet);
	assert_int_equal(a.max_ttl_us, b.max_ttl_us);
	assert_int_equal(a.observed, b.observed);
	assert_string_equal(a.rule ?: "", b.rule ?: "");
	assert_string_equal(a.file ?: "", b.file ?: "");
	policy_matches(one, &asked->request, &asked->facts, note, &ids);
	policy_matches(other, &asked->request, &asked->facts, note, &other_ids);
	assert_string_equal(ids.text, other_ids.text);
	assert_same_limits(one, other, &asked->request);
}

static void
check_one(uint64_t seed)
{
	static struct random_text texts[REF_FILES];
	static struct ref_policy random;
	struct policy_file files[REF_FILES];
	struct policy *policy, *again;
	struct printed printed, twice;
	struct faults faults;

	random_policy(&seed, &random);
	for (int i = 0; i < random.file_count; i++) {
		random_write(&random, i, &texts[i]);
		files[i] = (struct policy_file){random.files[i].name, texts[i].bytes, texts[i].length};
	}
	faults_init(&faults);
	policy = policy_load(files, (size_t)random.file_count, 1, 0, &faults);
	if (policy == NULL)
		fail_msg("%s", faults.first->text);
	print_all(policy, &printed);
	again = load_printed(&printed);
	assert_int_equal(policy_rule_count(policy), policy_rule_count(again));
	assert_int_equal(policy_test_count(policy), policy_test_count(again));
	for (int i = 0; i < REQUESTS; i++) {
		struct random_request asked;

		random_ask(&seed, &asked);
		assert_same_answer(policy, again, &asked);
	}
	print_all(again, &twice);
	for (size_t i = 0; i < printed.count; i++)
		assert_same_text(&printed.texts[i], &twice.texts[i]);
	printed_clear(&printed);
	printed_clear(&twice);
	policy_free(policy);
	policy_free(again);
}

static void
random_policies_load_again_to_the_same(void **state)
{
	(void)state;
	for (uint64_t number = 1; number <= POLICIES; number++)
		check_one(number * UINT64_C(7919));
}

/* ---- examples ---- */

#define ACME "version: 1\ntenant: acme\n"
#define ALL  "version: 1\ntenant: \"*\"\n"

static const struct {
	const char *name, *text, *canonical;
} examples[] = {
    {"nothing", ACME, ACME},
    {"an_operators_file", "{tenant: '*', version: 1}\n", ALL},
    {"defaults_are_left_out",
	ACME "rules: [{shares: d, mode: rw, id: b, allow: attach, grant: required, ticket: not-required, observe: "
	     "false}]\n",
	ACME "rules:\n  - {id: b, allow: [attach], shares: [d], mode: rw}\n"},
    {"rules_come_by_id_and_verbs_in_their_order",
	ACME "rules:\n- id: b10\n  deny: [steal, list]\n- id: a\n  allow: [attach]\n  grant: standing\n  ticket: "
	     "required\n- id: b1\n  deny: attach\n  observe: true\n  mode: ro\n",
	ACME "rules:\n  - {id: a, allow: [attach], grant: standing, ticket: required}\n"
	     "  - {id: b1, deny: [attach], mode: ro, observe: true}\n  - {id: b10, deny: [list, steal]}\n"},
    {"sets_and_members_are_in_order_and_once",
	ACME "hosts: {z: [m2, m1, m2, \"n*\", a], a: m9}\nrules: [{id: x, deny: list, hosts: [m7, z, a, z, m7]}]\n",
	ACME "hosts:\n  a: [m9]\n  z: [a, m1, m2, \"n*\"]\nrules:\n  - {id: x, deny: [list], hosts: [a, z, m7]}\n"},
    {"a_name_that_would_be_a_set_keeps_its_tenant",
	ACME "vms: {w: [w, acme/x]}\nrules: [{id: x, deny: list, vms: [acme/w, acme/y, \"*\"]}]\n",
	ACME "vms:\n  w: [acme/w, x]\nrules:\n  - {id: x, deny: [list], vms: [\"*\", acme/w, y]}\n"},
    {"an_operators_names_keep_their_tenants",
	ALL "rules: [{id: x, deny: list, vms: [\"*/w\", \"a/w\", \"*\"], hosts: \"*\"}]\n",
	ALL "rules:\n  - {id: x, deny: [list], hosts: [\"*\"], vms: [\"*\", \"*/w\", a/w]}\n"},
    {"traits_by_key_and_any_value",
	ACME "shares: {s: {labels: {b: \"\\e\\\"\\\\ \\u00e9\\U0001F600\", a: x y}, class: usb}, t: []}\n",
	ACME "shares:\n  s: {class: usb, labels: {a: \"x y\", b: \"\\U0000001B\\\"\\\\ \\U000000E9\\U0001F600\"}}\n  "
	     "t: []\n"},
    {"windows",
	ACME "rules:\n- {id: a, deny: list, when: {days: [wed, mon-tue, sun], zone: Europe/Berlin}}\n"
	     "- {id: b, deny: list, when: {days: mon-sun, zone: \"+00:00\"}}\n"
	     "- {id: c, deny: list, when: {to: \"07:00\", zone: \"-03:30\"}}\n"
	     "- {id: d, deny: list, when: {days: fri-mon, from: \"22:00\", to: \"00:00\"}}\n",
	ACME "rules:\n  - {id: a, deny: [list], when: {days: [mon-wed, sun], zone: \"Europe/Berlin\"}}\n"
	     "  - {id: b, deny: [list], when: {days: [mon-sun]}}\n"
	     "  - {id: c, deny: [list], when: {from: \"00:00\", to: \"07:00\", zone: \"-03:30\"}}\n"
	     "  - {id: d, deny: [list], when: {days: [mon, fri-sun], from: \"22:00\", to: \"00:00\"}}\n"},
    {"durations_and_sizes_in_the_largest_unit",
	ACME
	"rules: [{id: a, allow: list, max_ttl: 120m}, {id: b, allow: list, max_ttl: 1500ms}]\n"
	"limits: [{bandwidth: 2048KiB, burst: 60s, leases: 3}, {bandwidth: 4097, per: vm, attach_rate: 5/min, iops: "
	"7, floor_iops: 2, floor_bandwidth: 3KiB, shares: x}]\n",
	ACME "rules:\n  - {id: a, allow: [list], max_ttl: 2h}\n  - {id: b, allow: [list], max_ttl: 1500ms}\n"
	     "limits:\n  - {bandwidth: 2MiB, burst: 1m, leases: 3}\n"
	     "  - {shares: [x], per: vm, iops: 7, bandwidth: 4097, floor_iops: 2, floor_bandwidth: 3KiB, attach_rate: "
	     "5/min}\n"},
    {"tests_as_they_stand",
	ACME
	"tests:\n- {expect: deny, verb: attach, share: acme/d, vm: v, host: m, mode: ro, grant: held}\n"
	"- {host: m, vm: v, share: d, verb: steal, expect: deny, mode: rw, at: \"2026-11-22T13:00+01:00\", class: usb, "
	"labels: {b: x, a: y}, grant: missing, ticket: missing}\n",
	ACME "tests:\n  - {host: m, vm: v, share: d, verb: attach, expect: deny}\n"
	     "  - {host: m, vm: v, share: d, verb: steal, mode: rw, at: \"2026-11-22T12:00:00.000000Z\", class: usb, "
	     "labels: "
	     "{a: y, b: x}, grant: missing, ticket: missing, expect: deny}\n"},
};

static void
examples_are_as_they_should_be(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(examples); i++) {
		struct policy *policy = load_one(examples[i].text);
		struct printed printed;

		print_all(policy, &printed);
		if (buffer_length(&printed.texts[0]) != strlen(examples[i].canonical) ||
		    memcmp(buffer_front(&printed.texts[0]), examples[i].canonical, strlen(examples[i].canonical)) != 0)
			fail_msg("%s:\n%.*s--- wanted:\n%s", examples[i].name, (int)buffer_length(&printed.texts[0]),
			    (const char *)buffer_front(&printed.texts[0]), examples[i].canonical);
		policy_free(load_printed(&printed));
		printed_clear(&printed);
		policy_free(policy);
	}
}

static void
stops_at_the_limit_of_the_buffer(void **state)
{
	struct policy *policy = load_one(examples[2].text);

	(void)state;
	for (size_t limit = 0; limit < strlen(examples[2].canonical); limit++) {
		struct buffer buffer;

		buffer_init(&buffer, limit);
		assert_int_equal(policy_print(policy, 0, &buffer), -ENOBUFS);
		buffer_clear(&buffer);
	}
	policy_free(policy);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(examples_are_as_they_should_be),
	    cmocka_unit_test(random_policies_load_again_to_the_same),
	    cmocka_unit_test(stops_at_the_limit_of_the_buffer),
	};

	ref_learn_zones();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
