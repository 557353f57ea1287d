/* SPDX-License-Identifier: Apache-2.0
 *
 * For the tests of policy/: files from strings, requests from one line of words, verdicts as one line of words.
 */
#ifndef NETBUS_TESTS_POLICY_HARNESS_H
#define NETBUS_TESTS_POLICY_HARNESS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "policy/policy.h"

#define FILES_MAX 3

/* The texts get the names 10-a.yaml, 20-b.yaml, 30-c.yaml; NULL ends them early. */
static inline struct policy *
harness_load(const char *const texts[FILES_MAX], struct faults *faults)
{
	static const char *const names[FILES_MAX] = {"10-a.yaml", "20-b.yaml", "30-c.yaml"};
	struct policy_file files[FILES_MAX];
	size_t count = 0;

	for (; count < FILES_MAX && texts[count]; count++)
		files[count] = (struct policy_file){names[count], texts[count], strlen(texts[count])};
	return policy_load(files, count, 7, 0, faults);
}

static inline void
harness_print_faults(const struct faults *faults)
{
	for (const struct fault *fault = faults->first; fault; fault = fault->next)
		print_error("  %s\n", fault->text);
}

/* "m1 acme/web-1 acme/disk-1 attach rw 2026-11-22T12:00Z"; the time may be missing (then 1970). */
struct harness_question {
	char host[80], vm[160], share[160], verb[32], mode[8], at[40];
	struct policy_request request;
};

static inline void
harness_ask(const char *line, struct harness_question *question)
{
	int words = sscanf(line, "%79s %159s %159s %31s %7s %39s", question->host, question->vm, question->share,
	    question->verb, question->mode, question->at);

	assert_in_range(words, 5, 6);
	question->request = (struct policy_request){
	    .host = question->host,
	    .vm = question->vm,
	    .share = question->share,
	    .share_class = "disk",
	    .verb = verb_find(question->verb),
	    .mode = strcmp(question->mode, "rw") == 0 ? MODE_RW : MODE_RO,
	};
	assert_true(question->request.verb != 0);
	if (words == 6)
		assert_int_equal(clock_parse(question->at, &question->request.at_us, NULL), 0);
}

/* "allow a", "deny a", "none", "unmet a grant ticket" */
static inline void
harness_print_verdict(const struct policy_verdict *verdict, char *text, size_t room)
{
	static const char *const words[] = {[POLICY_ALLOWED] = "allow",
	    [POLICY_NO_RULE] = "none",
	    [POLICY_RULE_DENIES] = "deny",
	    [POLICY_UNMET] = "unmet"};

	snprintf(text, room, "%s%s%s%s%s", words[verdict->outcome], verdict->rule ? " " : "",
	    verdict->rule ? verdict->rule : "", verdict->unmet & DEMAND_GRANT ? " grant" : "",
	    verdict->unmet & DEMAND_TICKET ? " ticket" : "");
}

#endif
