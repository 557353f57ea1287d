/* SPDX-License-Identifier: Apache-2.0
 *
 * Policy files: the strict YAML loader and the language (base/yaml.h, policy/policy.h). A zero byte separates two files.
 *
 * Holds: what is refused has a fault, and each fault names its file; what is taken is taken a second time, with the files in the other
 * order, and then answers every question of a list the same way, rule, file and line included; its canonical form is taken too, answers the
 * same and prints as itself; as a tenant's file it concerns no other tenant; what the trees of YAML say of themselves (depth, keys, positions) is so.
 */
#include "policy/policy.h"
#include "policy/print.h"
#include "tests/fuzz/fuzz.h"

static const char *const hosts[] = {"m1", "node-7"}, *const vms[] = {"acme/web-1", "globex/db-1"},
			 *const shares[] = {"acme/disk-1", "globex/disk-9"}, *const classes[] = {"disk", "usb"};
static const enum policy_verb verbs[] = {VERB_LIST, VERB_ATTACH, VERB_DISCARD, VERB_STEAL, VERB_USB_CONTROL};

#define PICK(list, n) (list)[(n) % (sizeof(list) / sizeof((list)[0]))]

static void
check_faults(const struct policy *policy, const struct faults *faults)
{
	size_t count = 0;

	for (const struct fault *fault = faults->first; fault; fault = fault->next, count++)
		REQUIRE(strncmp(fault->text, "10-a.yaml:", 10) == 0 || strncmp(fault->text, "20-b.yaml:", 10) == 0);
	REQUIRE(count == faults->count && (policy == NULL) == (count > 0));
}

static bool
is_same(const char *one, const char *other)
{
	return one && other ? strcmp(one, other) == 0 : one == other;
}

static void
check_same_limits(
    const struct policy *one, const struct policy *other, const struct policy_request *request, bool places)
{
	struct policy_limit a[POLICY_LIMITS_MOST], b[POLICY_LIMITS_MOST];
	size_t count = policy_limits(one, request, a);

	REQUIRE(count == policy_limits(other, request, b));
	for (size_t i = 0; i < count && i < POLICY_LIMITS_MOST; i++) {
		REQUIRE(is_same(a[i].file, b[i].file));
		REQUIRE(!places || (a[i].line == b[i].line && a[i].column == b[i].column));
		REQUIRE(a[i].per == b[i].per && is_same(a[i].key, b[i].key));
		REQUIRE(memcmp(&a[i].amounts, &b[i].amounts, sizeof a[i].amounts) == 0);
	}
}

/* `places`: lines and columns too. */
static void
check_same_answers(const struct policy *one, const struct policy *other, bool places)
{
	static const struct policy_label label = {"kind", "storage"};

	REQUIRE(policy_rule_count(one) == policy_rule_count(other));
	REQUIRE(policy_test_count(one) == policy_test_count(other));
	REQUIRE(policy_limit_count(one) == policy_limit_count(other));
	for (unsigned n = 0; n < 160; n++) {
		struct policy_request request = {PICK(hosts, n), PICK(vms, n / 2), PICK(shares, n / 4),
		    PICK(classes, n / 8), &label, n & 1, PICK(verbs, n / 16), n / 80 ? MODE_RW : MODE_RO,
		    INT64_C(40000000000) * (int64_t)n};
		struct policy_facts facts = {n & 1, n & 2};
		struct policy_verdict a = {0}, b = {0};

		policy_decide(one, &request, &facts, &a);
		policy_decide(other, &request, &facts, &b);
		REQUIRE(a.outcome == b.outcome && a.unmet == b.unmet && a.max_ttl_us == b.max_ttl_us);
		REQUIRE(a.observed == b.observed && (!places || a.line == b.line));
		REQUIRE(is_same(a.rule, b.rule) && is_same(a.file, b.file));
		REQUIRE(
		    (a.outcome == POLICY_NO_RULE) == (a.rule == NULL) && (a.outcome == POLICY_UNMET) == (a.unmet != 0));
		check_same_limits(one, other, &request, places);
	}
}

/* The canonical form loads, has as much in it, decides the same, and prints as itself. */
static void
check_printed(const struct policy *policy)
{
	struct buffer texts[2], again;
	struct policy_file files[2];
	struct faults faults;
	struct policy *other;

	REQUIRE(policy_file_count(policy) <= 2);
	for (size_t i = 0; i < policy_file_count(policy); i++) {
		buffer_init(&texts[i], SIZE_MAX / 2);
		REQUIRE(policy_print(policy, i, &texts[i]) == 0);
		files[i] = (struct policy_file){
		    policy_file_name(policy, i), (const char *)buffer_front(&texts[i]), buffer_length(&texts[i])};
	}
	faults_init(&faults);
	other = policy_load(files, policy_file_count(policy), 1, 0, &faults);
	REQUIRE(other != NULL);
	check_same_answers(policy, other, false);
	for (size_t i = 0; i < policy_file_count(policy); i++) {
		buffer_init(&again, SIZE_MAX / 2);
		REQUIRE(policy_print(other, i, &again) == 0);
		REQUIRE(buffer_length(&again) == buffer_length(&texts[i]));
		REQUIRE(memcmp(buffer_front(&again), buffer_front(&texts[i]), buffer_length(&again)) == 0);
		buffer_clear(&again);
	}
	for (size_t i = 0; i < policy_file_count(policy); i++)
		buffer_clear(&texts[i]);
	policy_free(other);
}

static void
never_called(const struct policy_match *match, void *context)
{
	(void)match, (void)context;
	REQUIRE(false);
}

/* Whatever stands in a file of acme's: nothing in it concerns another tenant's VM or share. */
static void
check_tenant(const uint8_t *bytes, size_t length)
{
	static const char head[] = "version: 1\ntenant: acme\n";
	char *text = malloc(sizeof head - 1 + length + 1);
	struct policy_file file = {"10-acme.yaml", text, sizeof head - 1 + length};
	struct faults faults;
	struct policy *policy;

	REQUIRE(text != NULL);
	memcpy(text, head, sizeof head - 1);
	if (length)
		memcpy(text + sizeof head - 1, bytes, length);
	faults_init(&faults);
	policy = policy_load(&file, 1, 1, 0, &faults);
	for (unsigned n = 0; policy && n < 56; n++) {
		struct policy_request request = {PICK(hosts, n), vms[n / 2 % 2], shares[1 - n / 2 % 2],
		    PICK(classes, n / 4), NULL, 0, 1 << n / 8, n & 1 ? MODE_RW : MODE_RO,
		    INT64_C(40000000000) * (int64_t)n};
		struct policy_limit limits[POLICY_LIMITS_MOST];

		policy_matches(policy, &request, &(struct policy_facts){true, true}, never_called, NULL);
		REQUIRE(policy_limits(policy, &request, limits) == 0);
		request.vm = vms[1];
		request.share = shares[1];
		policy_matches(policy, &request, &(struct policy_facts){true, true}, never_called, NULL);
	}
	policy_free(policy);
	faults_clear(&faults);
	free(text);
}

static void
check_node(const struct yaml *node, unsigned depth)
{
	size_t count = 0;

	REQUIRE(depth <= YAML_DEPTH_MAX + 1 && node->line > 0 && node->column > 0);
	REQUIRE((node->kind == YAML_SCALAR) == (node->text != NULL));
	for (const struct yaml *child = node->first; child; child = child->next, count++) {
		REQUIRE((node->kind == YAML_MAP) == (child->key != NULL));
		REQUIRE(node->kind != YAML_MAP || yaml_find(node, child->key) == child); /* no key twice */
		check_node(child, depth + 1);
	}
	REQUIRE(count == node->count);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	const uint8_t *cut = length ? memchr(bytes, '\0', length) : NULL;
	size_t first = cut ? (size_t)(cut - bytes) : length;
	struct policy_file files[2] = {{"10-a.yaml", (const char *)bytes, first},
	    {"20-b.yaml", cut ? (const char *)cut + 1 : NULL, cut ? length - first - 1 : 0}};
	struct policy_file turned[2] = {files[1], files[0]};
	struct faults faults, again, yaml_faults;
	struct policy *policy, *other;
	struct yaml_file *yaml;

	faults_init(&faults), faults_init(&again), faults_init(&yaml_faults);
	yaml = yaml_parse("10-a.yaml", (const char *)bytes, length, &yaml_faults);
	REQUIRE((yaml == NULL) == (yaml_faults.count > 0));
	if (yaml)
		check_node(yaml_root(yaml), 0);
	policy = policy_load(files, cut ? 2 : 1, 1, 0, &faults);
	other = policy_load(cut ? turned : files, cut ? 2 : 1, 2, INT64_MAX / 2, &again);
	check_faults(policy, &faults);
	check_faults(other, &again);
	REQUIRE((policy == NULL) == (other == NULL));
	if (policy) {
		check_same_answers(policy, other, true);
		check_printed(policy);
	}
	check_tenant(bytes, length);
	policy_free(policy), policy_free(other);
	yaml_free(yaml);
	faults_clear(&faults), faults_clear(&again), faults_clear(&yaml_faults);
	return 0;
}
