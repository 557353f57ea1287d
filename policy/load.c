/* SPDX-License-Identifier: Apache-2.0
 *
 * From files to a policy (policy/policy.h): names checked, files read in C order, ids unique over all of them, indexes
 * built, tests run. Any fault, and there is no policy.
 */
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "policy/index.h"
#include "policy/parse.h"

#define FILE_NAME_MAX 255

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* "10-acme.yaml" */
static bool
is_file_name(const char *name)
{
	static const char end[] = ".yaml";
	size_t length = strlen(name), middle;

	if (length < 3 + 1 + sizeof end - 1 || length > FILE_NAME_MAX ||
	    strcmp(name + length - (sizeof end - 1), end) != 0)
		return false;
	middle = length - 3 - (sizeof end - 1);
	return is_digit(name[0]) && is_digit(name[1]) && name[2] == '-' &&
	       strspn(name + 3, "abcdefghijklmnopqrstuvwxyz0123456789._-") >= middle;
}

static int
by_name(const void *a, const void *b)
{
	const struct policy_file *x = *(const struct policy_file *const *)a, *y = *(const struct policy_file *const *)b;

	return strcmp(x->name, y->name);
}

static void
read_files(struct policy *policy, const struct policy_file **files, size_t count, struct faults *faults)
{
	qsort(files, count, sizeof *files, by_name);
	for (size_t i = 0; i < count; i++) {
		if (!is_file_name(files[i]->name))
			faults_add(faults, show(files[i]->name).text, 0, 0,
			    "not a name for a policy file; it is two digits, '-', some of a-z 0-9 "
			    ". _ -, and '.yaml', such as "
			    "10-acme.yaml. Rename it, or move it out of this directory");
		else if (i > 0 && strcmp(files[i]->name, files[i - 1]->name) == 0)
			faults_add(faults, files[i]->name, 0, 0, "the file is given twice");
		else
			parse_policy_file(policy, files[i], faults);
	}
}

/* By id; rules of one id (a fault) by where they stand. */
static int
by_id(const void *a, const void *b)
{
	const struct rule *x = *(const struct rule *const *)a, *y = *(const struct rule *const *)b;
	int order = strcmp(x->id, y->id);

	if (order == 0)
		order = strcmp(x->file, y->file);
	if (order == 0)
		order = x->line < y->line ? -1 : x->line > y->line;
	if (order == 0)
		order = x->column < y->column ? -1 : x->column > y->column;
	return order;
}

static void
sort_rules(struct policy *policy, struct faults *faults)
{
	if (policy->rule_count < 2)
		return;
	qsort(policy->rules, policy->rule_count, sizeof(struct rule *), by_id);
	for (size_t i = 1; i < policy->rule_count; i++) {
		const struct rule *first = policy->rules[i - 1], *again = policy->rules[i];

		if (strcmp(first->id, again->id) == 0)
			faults_add(faults, again->file, again->line, again->column,
			    "the id '%s' is taken by the rule in %s:%u; ids are unique over all "
			    "files, so choose another",
			    again->id, first->file, first->line);
	}
}

static bool
build_indexes(struct policy *policy)
{
	size_t most = policy->rule_count > policy->limit_count ? policy->rule_count : policy->limit_count;
	AUTO_FREE struct scope **scopes = calloc(most + 1, sizeof *scopes);

	if (scopes == NULL || !index_names(policy))
		return false;
	for (size_t i = 0; i < policy->limit_count; i++)
		scopes[i] = &policy->limits[i]->scope;
	if (!index_build(&policy->limit_index, policy, scopes, policy->limit_count))
		return false;
	for (size_t i = 0; i < policy->rule_count; i++)
		scopes[i] = &policy->rules[i]->scope;
	return index_build(&policy->rule_index, policy, scopes, policy->rule_count);
}

static void
load(struct policy *policy, const struct policy_file **files, size_t count, struct faults *faults)
{
	size_t before = faults->count;

	read_files(policy, files, count, faults);
	sort_rules(policy, faults);
	if (faults->count != before)
		return;
	if (!build_indexes(policy))
		faults_add(faults, "policy", 0, 0, "out of memory");
	else
		policy_run_tests(policy, faults);
}

struct policy *
policy_load(const struct policy_file *files, size_t count, uint64_t generation, int64_t now_us, struct faults *faults)
{
	AUTO_FREE const struct policy_file **sorted = calloc(count + 1, sizeof *sorted);
	struct policy *policy = calloc(1, sizeof *policy);
	size_t before = faults->count;

	(void)now_us;
	if (sorted == NULL || policy == NULL) {
		faults_add(faults, "policy", 0, 0, "out of memory");
	} else if (count > POLICY_FILES_MAX) {
		faults_add(faults, "policy", 0, 0, "%zu files; at most %d are allowed", count, POLICY_FILES_MAX);
	} else {
		for (size_t i = 0; i < count; i++)
			sorted[i] = &files[i];
		policy->generation = generation;
		load(policy, sorted, count, faults);
	}
	if (faults->count == before)
		return policy;
	policy_free(policy);
	return NULL;
}

void
policy_free(struct policy *policy)
{
	if (policy == NULL)
		return;
	arena_clear(&policy->arena);
	free(policy);
}

size_t
policy_rule_count(const struct policy *policy)
{
	return policy->rule_count;
}

const char *
policy_rule_id(const struct policy *policy, size_t number)
{
	return policy->rules[number]->id;
}

size_t
policy_test_count(const struct policy *policy)
{
	return policy->test_count;
}

size_t
policy_limit_count(const struct policy *policy)
{
	return policy->limit_count;
}

uint64_t
policy_generation(const struct policy *policy)
{
	return policy->generation;
}
