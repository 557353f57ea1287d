/* SPDX-License-Identifier: Apache-2.0
 *
 * The `tests` of a policy file: questions with the answer that the operator expects. Names need not exist yet. What a
 * question leaves out is what a well-meaning host would bring: a disk, read-only, grant held, ticket valid.
 */
#include <string.h>

#include "base/clock.h"
#include "policy/parse.h"

#define AT_MAX_US INT64_C(253402300799999999) /* 9999-12-31T23:59:59.999999Z */

/* The child that must be there. */
static const struct yaml *
demand(struct parse *parse, const struct yaml *map, const char *key)
{
	const struct yaml *node = yaml_find(map, key);

	if (node == NULL)
		FAULT(parse, map, "the test has no '%s'; host, vm, share, verb and expect are needed", key);
	return node;
}

static void
parse_names(struct parse *parse, const struct yaml *map, struct policy_request *request)
{
	const struct yaml *host = demand(parse, map, "host"), *vm = demand(parse, map, "vm"),
			  *share = demand(parse, map, "share");

	if (host)
		request->host = parse_exact_name(parse, host, BY_HOST);
	if (vm)
		request->vm = parse_exact_name(parse, vm, BY_VM);
	if (share)
		request->share = parse_exact_name(parse, share, BY_SHARE);
}

static void
parse_share_traits(struct parse *parse, const struct yaml *map, struct policy_request *request)
{
	const struct yaml *class = yaml_find(map, "class"), *labels = yaml_find(map, "labels");
	int word = class ? parse_word(parse, class, "class", share_classes) : 0;

	request->share_class = share_classes[word < 0 ? 0 : word];
	if (labels)
		parse_labels(parse, labels, &request->labels, &request->label_count);
}

static void
parse_verb_and_mode(struct parse *parse, const struct yaml *map, struct policy_request *request)
{
	static const char *const modes[] = {"ro", "rw", NULL};
	const struct yaml *verb = demand(parse, map, "verb"), *mode = yaml_find(map, "mode");
	uint8_t verbs = 0;

	if (verb && parse_is_kind(parse, verb, YAML_SCALAR, "verb") && parse_verbs(parse, verb, &verbs))
		request->verb = verbs;
	request->mode = mode && parse_word(parse, mode, "mode", modes) == 1 ? MODE_RW : MODE_RO;
}

static void
parse_time(struct parse *parse, const struct yaml *map, struct policy_test *test)
{
	const struct yaml *at = yaml_find(map, "at");
	struct error error;

	if (at == NULL || !parse_is_kind(parse, at, YAML_SCALAR, "at"))
		return;
	test->timed = true;
	if (clock_parse(at->text, &test->request.at_us, &error) < 0)
		FAULT(parse, at, "at: %s", error.text);
	else if (test->request.at_us < 0 || test->request.at_us > AT_MAX_US)
		FAULT(parse, at, "at: '%s' is not within the years 1970 to 9999 UTC", show(at->text).text);
}

static void
parse_facts(struct parse *parse, const struct yaml *map, struct policy_facts *facts)
{
	static const char *const grants[] = {"held", "missing", NULL};
	static const char *const tickets[] = {"valid", "missing", NULL};
	const struct yaml *grant = yaml_find(map, "grant"), *ticket = yaml_find(map, "ticket");

	facts->grant_held = grant == NULL || parse_word(parse, grant, "grant", grants) == 0;
	facts->ticket_valid = ticket == NULL || parse_word(parse, ticket, "ticket", tickets) == 0;
}

static void
parse_expectation(struct parse *parse, const struct yaml *map, struct policy_test *test)
{
	static const char *const words[] = {"deny", "allow", NULL};
	const struct yaml *expect = demand(parse, map, "expect"), *rule = yaml_find(map, "rule");

	test->allow = expect && parse_word(parse, expect, "expect", words) == 1;
	if (rule)
		test->rule = parse_name(parse, rule, "rule");
}

static bool
parse_test(struct parse *parse, const struct yaml *map, unsigned number)
{
	static const char *const keys[] = {
	    "host", "vm", "share", "verb", "expect", "mode", "rule", "at", "class", "labels", "grant", "ticket", NULL};
	struct policy *policy = parse->policy;
	struct policy_test *test = arena_take(&policy->arena, sizeof *test), **tests;

	tests = arena_grow(
	    &policy->arena, policy->tests, policy->test_count, &policy->test_room, sizeof(struct policy_test *));
	if (test == NULL || tests == NULL) {
		parse_out_of_memory(parse);
		return false;
	}
	*test = (struct policy_test){.file = parse->file, .line = map->line, .column = map->column, .number = number};
	yaml_allow_keys(parse->yaml, map, keys, parse->faults);
	parse_names(parse, map, &test->request);
	parse_share_traits(parse, map, &test->request);
	parse_verb_and_mode(parse, map, &test->request);
	parse_time(parse, map, test);
	parse_facts(parse, map, &test->facts);
	parse_expectation(parse, map, test);
	policy->tests = tests;
	tests[policy->test_count++] = test;
	return true;
}

void
parse_tests(struct parse *parse, const struct yaml *section)
{
	unsigned number = 0;

	if (section == NULL || !parse_is_kind(parse, section, YAML_LIST, "tests"))
		return;
	for (const struct yaml *map = section->first; map; map = map->next) {
		if (parse->policy->test_count == POLICY_TESTS_MAX) {
			FAULT(parse, map, "tests: more than %d in all files together", POLICY_TESTS_MAX);
			return;
		}
		number++;
		if (parse_is_kind(parse, map, YAML_MAP, "tests") && !parse_test(parse, map, number))
			return;
	}
}
