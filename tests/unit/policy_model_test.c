/* SPDX-License-Identifier: Apache-2.0
 *
 * policy/, with its parser, sets, index and zones, against an evaluator that is slow and obvious (tests/unit/policy_reference.h), on random policies and
 * requests. NETBUS_POLICY_PAIRS says how many pairs (1 200 000; a tenth of them under sanitizers, which are slow); NETBUS_POLICY_SEED where to begin.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/policy_random.h"

#if defined(__SANITIZE_ADDRESS__)
enum { PAIRS = 120000 };
#else
enum { PAIRS = 1200000 };
#endif
enum { REQUESTS = 200 }; /* of each policy */

static uint64_t
setting(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 10) : otherwise;
}

static struct policy *
load(const struct ref_policy *random, struct faults *faults)
{
	static struct random_text texts[REF_FILES];
	struct policy_file files[REF_FILES];

	for (int i = 0; i < random->file_count; i++) {
		random_write(random, i, &texts[i]);
		files[i] = (struct policy_file){random->files[i].name, texts[i].bytes, texts[i].length};
	}
	return policy_load(files, (size_t)random->file_count, 1, 0, faults);
}

static void
show_files(const struct ref_policy *random)
{
	static struct random_text text;

	for (int i = 0; i < random->file_count; i++) {
		random_write(random, i, &text);
		print_error("--- %s\n%s", random->files[i].name, text.bytes);
	}
}

static void
show_request(const struct random_request *asked)
{
	const struct policy_request *request = &asked->request;

	print_error("%s %s %s, %s, %s %s at %lld us, %zu labels (%s, %s), grant %d, ticket %d\n", request->host,
	    request->vm, request->share, request->share_class, verb_name(request->verb), request->mode ? "rw" : "ro",
	    (long long)request->at_us, request->label_count, asked->labels[0].value, asked->labels[1].value,
	    asked->facts.grant_held, asked->facts.ticket_valid);
}

/* ---- one pair ---- */

static bool
is_same_verdict(const struct policy_verdict *verdict, const struct ref_answer *answer)
{
	return verdict->outcome == answer->outcome && verdict->unmet == answer->unmet &&
	       verdict->max_ttl_us == answer->max_ttl_us && (verdict->rule == NULL) == (answer->rule == NULL) &&
	       (verdict->rule == NULL || (strcmp(verdict->rule, answer->rule->id) == 0 &&
					     strcmp(verdict->file, answer->rule->scope.file->name) == 0));
}

struct seen {
	unsigned rules; /* one bit for the number in the reference, which its id ends with */
	unsigned unmet[REF_RULES];
	char last[16];
	bool in_order;
};

static void
see(const struct policy_match *match, void *context)
{
	struct seen *seen = context;
	int number = (int)strtol(strrchr(match->id, '-') + 1, NULL, 10);

	seen->rules |= 1u << number;
	seen->unmet[number] = match->unmet;
	seen->in_order &= strcmp(seen->last, match->id) < 0;
	snprintf(seen->last, sizeof seen->last, "%s", match->id);
}

static bool
is_same_list(const struct ref_policy *random, const struct policy *policy, const struct random_request *asked)
{
	struct seen all = {.in_order = true}, observed = {.in_order = true};
	unsigned want = 0, want_observed = 0;

	policy_matches(policy, &asked->request, &asked->facts, see, &all);
	policy_observed(policy, &asked->request, &asked->facts, see, &observed);
	for (int i = 0; i < random->rule_count; i++) {
		const struct ref_rule *rule = &random->rules[i];

		if (!ref_rule_matches(rule, &asked->request))
			continue;
		want |= 1u << i;
		if (!rule->deny && all.unmet[i] != ref_unmet(rule, &asked->facts))
			return false;
		if (rule->observe && ref_decide(random, &asked->request, &asked->facts, rule).rule == rule)
			want_observed |= 1u << i;
	}
	return all.rules == want && observed.rules == want_observed && all.in_order && observed.in_order;
}

static bool
are_same_limits(const struct ref_policy *random, const struct policy *policy, const struct random_request *asked)
{
	struct policy_limit limits[POLICY_LIMITS_MOST];
	size_t count = policy_limits(policy, &asked->request, limits);
	unsigned have = 0, want = 0;

	for (size_t i = 0; i < count; i++)
		have |= 1u << (limits[i].amounts.iops - 1000);
	for (int i = 0; i < random->limit_count; i++)
		if (ref_scope_matches(&random->limits[i].scope, &asked->request))
			want |= 1u << i;
	return have == want && count == (size_t)__builtin_popcount(want);
}

static bool
is_same(const struct ref_policy *random, const struct policy *policy, const struct random_request *asked, bool lists,
    unsigned outcomes[static 4])
{
	struct ref_answer answer = ref_decide(random, &asked->request, &asked->facts, NULL);
	struct policy_verdict verdict;

	policy_decide(policy, &asked->request, &asked->facts, &verdict);
	outcomes[verdict.outcome]++;
	return is_same_verdict(&verdict, &answer) &&
	       (!lists || (is_same_list(random, policy, asked) && are_same_limits(random, policy, asked)));
}

/* ---- many ---- */

static void
decides_as_the_obvious_evaluator_does(void **state)
{
	static struct ref_policy random;
	uint64_t pairs = setting("NETBUS_POLICY_PAIRS", PAIRS), first = setting("NETBUS_POLICY_SEED", 1), done = 0;
	unsigned outcomes[4] = {0};

	(void)state;
	for (uint64_t number = first; done < pairs; number++) {
		uint64_t seed = number * UINT64_C(1000003);
		struct faults faults;
		struct policy *policy;

		random_policy(&seed, &random);
		faults_init(&faults);
		policy = load(&random, &faults);
		if (policy == NULL) {
			show_files(&random);
			fail_msg("seed %llu: %s", (unsigned long long)number, faults.first->text);
		}
		for (int i = 0; i < REQUESTS; i++, done++) {
			struct random_request asked;

			random_ask(&seed, &asked);
			if (is_same(&random, policy, &asked, i % 8 == 0, outcomes))
				continue;
			show_files(&random);
			show_request(&asked);
			fail_msg("seed %llu, request %d: not as the text says", (unsigned long long)number, i);
		}
		policy_free(policy);
	}
	print_message("%llu pairs: allowed %u, no rule %u, denied %u, unmet %u\n", (unsigned long long)done,
	    outcomes[POLICY_ALLOWED], outcomes[POLICY_NO_RULE], outcomes[POLICY_RULE_DENIES], outcomes[POLICY_UNMET]);
	for (int i = 0; i < 4; i++)
		assert_true(outcomes[i] > done / 50);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(decides_as_the_obvious_evaluator_does),
	};

	ref_learn_zones();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
