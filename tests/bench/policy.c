/* SPDX-License-Identifier: Apache-2.0
 *
 * build/bench/policy [REQUESTS]: how fast policies of 10 to 10 000 rules load and decide, over 100 tenants, 1 000 hosts and 100 000 VM names, on one core.
 * Prints a line for each size; fails when at 10 000 rules the goals are missed: a million decisions a second, p99 under 5 us, loading under a second.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/auto.h"
#include "policy/policy.h"

enum { TENANTS = 100, HOSTS = 1000, VMS = 1000, POOLS = 10, SHARES = 200, FILES = TENANTS + 1, NAME_ROOM = 64 };

#define RATE_GOAL    1e6
#define P99_GOAL_NS  5000
#define LOAD_GOAL_US 1000000

/* The processor's time, where other programs would be in the way, or the clock on the wall, which is read faster. */
static int64_t
read_clock(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static int64_t
cpu_ns(void)
{
	return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}

static uint64_t
draw(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

/* ---- the files ---- */

struct text {
	char *bytes;
	size_t length;
};

__attribute__((format(printf, 2, 3))) static void
say(struct text *text, const char *format, ...)
{
	va_list arguments;

	if (text->bytes == NULL && (text->bytes = malloc(YAML_FILE_MAX)) == NULL)
		abort();
	va_start(arguments, format);
	text->length += (size_t)vsnprintf(text->bytes + text->length, YAML_FILE_MAX - text->length, format, arguments);
	va_end(arguments);
	if (text->length >= YAML_FILE_MAX)
		abort();
}

static void
say_sets(struct text *text, unsigned tenant)
{
	say(text, "version: 1\ntenant: t%u\nhosts:\n", tenant);
	for (unsigned rack = 0; rack < 4; rack++) {
		say(text, "  rack%u: [", rack);
		for (unsigned i = 0; i < 20; i++)
			say(text, "%sh%u", i ? ", " : "", (tenant * 10 + rack * 20 + i) % HOSTS);
		say(text, "]\n");
	}
	say(text, "vms:\n");
	for (unsigned pool = 0; pool < POOLS; pool++) {
		say(text, "  pool%u: [", pool);
		for (unsigned i = pool; i < VMS; i += POOLS)
			say(text, "%sapp%u-%u", i > pool ? ", " : "", i % 50, i);
		say(text, "]\n");
	}
	say(text, "shares:\n  sticks: {class: usb, labels: {kind: storage}}\nrules:\n");
}

/* What tenants write: own disks, disks of an application, pools, windows, denies. */
static void
say_tenants_rule(struct text *text, unsigned tenant, unsigned n)
{
	say(text, "  - {id: t%u-%u, ", tenant, n);
	switch (n % 8) {
	case 0:
	case 1:
		say(text, "allow: [attach, discard], hosts: rack%u, vms: app%u-%u, shares: disk-%u, mode: rw}\n", n % 4,
		    n % 50, n % VMS, n % SHARES);
		return;
	case 2:
		say(text, "allow: [attach], vms: \"app%u-*\", shares: \"data%u-*\", mode: rw, max_ttl: 8h}\n", n % 50,
		    n % 50);
		return;
	case 3:
		say(text, "allow: [attach], hosts: [rack%u, \"h%u*\"], vms: pool%u, shares: [\"iso-%u*\"]}\n", n % 4,
		    n % 100, n % POOLS, n % 10);
		return;
	case 4:
		say(text,
		    "allow: [attach], vms: pool%u, shares: disk-%u, "
		    "when: {days: mon-fri, from: \"07:00\", to: \"19:00\", zone: Europe/Berlin}}\n",
		    n % POOLS, n % SHARES);
		return;
	case 5:
		say(text, "deny: [attach], vms: app%u-%u, shares: sticks}\n", n % 50, n % VMS);
		return;
	case 6:
		say(text, "deny: [attach], mode: rw, shares: \"gold%u-*\"}\n", n % 20);
		return;
	default:
		say(text, "allow: [list, attach], grant: standing, vms: [pool%u, app0-%u], shares: iso-%u}\n",
		    n % POOLS, n % VMS, n % SHARES);
		return;
	}
}

static void
say_operators_rule(struct text *text, unsigned n)
{
	if (n % 3 == 0)
		say(text, "  - {id: all-%u, deny: [attach], hosts: [h%u, h%u]}\n", n, (n * 7) % HOSTS,
		    (n * 13) % HOSTS);
	else if (n % 3 == 1)
		say(text, "  - {id: all-%u, allow: [attach], vms: \"t%u/*\", shares: \"t%u/iso-%u\"}\n", n, n % TENANTS,
		    (n + 1) % TENANTS, n % 50);
	else
		say(text, "  - {id: all-%u, deny: [attach, steal], vms: \"*/app%u-%u\", hosts: \"h%u*\"}\n", n, n % 50,
		    n % VMS, 100 + n % 900);
}

/* One rule in ten is the operator's. */
static struct policy *
load(unsigned rules, int64_t *load_us, size_t *bytes)
{
	static struct text texts[FILES];
	static char names[FILES][NAME_ROOM];
	struct policy_file files[FILES];
	struct policy *policy;
	struct faults faults;
	int64_t begun;

	for (unsigned i = 0; i < FILES; i++) {
		texts[i].length = 0;
		snprintf(names[i], sizeof names[i], "%s-t%u.yaml", i < TENANTS ? "20" : "10", i);
		if (i < TENANTS)
			say_sets(&texts[i], i);
	}
	say(&texts[TENANTS], "version: 1\ntenant: \"*\"\nrules:\n");
	for (unsigned n = 0; n < rules; n++) {
		if (n % 10 == 9)
			say_operators_rule(&texts[TENANTS], n / 10);
		else
			say_tenants_rule(&texts[n % TENANTS], n % TENANTS, n / TENANTS * 3 + n % 8);
	}
	*bytes = 0;
	for (unsigned i = 0; i < FILES; i++) {
		if (texts[i].length > 8 && strcmp(texts[i].bytes + texts[i].length - 7, "rules:\n") == 0) {
			texts[i].length -= 7;
			texts[i].bytes[texts[i].length] = '\0';
		}
		files[i] = (struct policy_file){names[i], texts[i].bytes, texts[i].length};
		*bytes += texts[i].length;
	}
	faults_init(&faults);
	begun = cpu_ns();
	policy = policy_load(files, FILES, 1, 0, &faults);
	*load_us = (cpu_ns() - begun) / 1000;
	if (policy == NULL) {
		fprintf(stderr, "%s\n", faults.first->text);
		exit(1);
	}
	return policy;
}

/* ---- the questions ---- */

struct question {
	struct policy_request request;
	struct policy_facts facts;
	char host[16], vm[24], share[24];
};

static void
ask(struct question *question, uint64_t *seed)
{
	static const struct policy_label labels[] = {{"kind", "storage"}, {"room", "b2"}};
	static const char *const families[] = {"disk-%u", "disk-%u", "iso-%u", "data%u-9", "gold%u-1", "stick-%u"};
	unsigned tenant = draw(seed) % TENANTS, vm = draw(seed) % VMS, family = draw(seed) % ARRAY_LENGTH(families);
	char share[16];

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(share, sizeof share, families[family], (unsigned)(draw(seed) % (family > 2 ? 50 : SHARES)));
#pragma GCC diagnostic pop
	snprintf(question->host, sizeof question->host, "h%u", (unsigned)((tenant * 10 + draw(seed) % 100) % HOSTS));
	snprintf(question->vm, sizeof question->vm, "t%u/app%u-%u", tenant, vm % 50, vm);
	snprintf(question->share, sizeof question->share, "t%u/%s",
	    draw(seed) % 16 ? tenant : (unsigned)(draw(seed) % TENANTS), share);
	question->request = (struct policy_request){
	    .host = question->host,
	    .vm = question->vm,
	    .share = question->share,
	    .share_class = family == 5 ? "usb" : "disk",
	    .labels = labels,
	    .label_count = family == 5 ? 2 : 0,
	    .verb = draw(seed) % 8 ? VERB_ATTACH : VERB_DISCARD,
	    .mode = draw(seed) % 2 ? MODE_RW : MODE_RO,
	    .at_us = (int64_t)(INT64_C(1767225600000000) + (int64_t)(draw(seed) % (365 * 86400)) * 1000000),
	};
	question->facts = (struct policy_facts){.grant_held = draw(seed) % 4 != 0};
}

struct result {
	int64_t load_us, p50_ns, p99_ns, p999_ns;
	double rate;
	uint64_t outcomes[4];
	size_t bytes;
};

static int
by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static void
time_each(const struct policy *policy, const struct question *questions, size_t count, struct result *result)
{
	uint32_t *took = calloc(count, sizeof *took);
	struct policy_verdict verdict;

	if (took == NULL)
		abort();
	for (size_t i = 0; i < count; i++) {
		int64_t begun = read_clock(CLOCK_MONOTONIC);

		policy_decide(policy, &questions[i].request, &questions[i].facts, &verdict);
		took[i] = (uint32_t)(read_clock(CLOCK_MONOTONIC) - begun);
	}
	qsort(took, count, sizeof *took, by_value);
	result->p50_ns = took[count / 2];
	result->p99_ns = took[count - count / 100];
	result->p999_ns = took[count - count / 1000];
	free(took);
}

static struct result
measure(unsigned rules, const struct question *questions, size_t count)
{
	struct result result = {0};
	struct policy *policy = load(rules, &result.load_us, &result.bytes);
	struct policy_verdict verdict;
	int64_t begun;

	for (size_t i = 0; i < count / 8; i++)
		policy_decide(policy, &questions[i].request, &questions[i].facts, &verdict);
	begun = cpu_ns();
	for (size_t i = 0; i < count; i++) {
		policy_decide(policy, &questions[i].request, &questions[i].facts, &verdict);
		result.outcomes[verdict.outcome]++;
	}
	result.rate = (double)count * 1e9 / (double)(cpu_ns() - begun);
	time_each(policy, questions, count, &result);
	policy_free(policy);
	return result;
}

int
main(int argc, char **argv)
{
	static const unsigned sizes[] = {10, 100, 1000, 10000};
	size_t count = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000000;
	struct question *questions = calloc(count ? count : 1, sizeof *questions);
	struct result result = {0};
	uint64_t seed = 88172645463325252u;
	double first = 0;
	bool good;

	if (questions == NULL || count < 1000)
		return 2;
	for (size_t i = 0; i < count; i++)
		ask(&questions[i], &seed);
	printf("%6s %9s %7s %12s %8s %8s %8s   %s\n", "rules", "load", "files", "decisions/s", "p50", "p99", "p99.9",
	    "allowed/no rule/denied/unmet");
	for (size_t i = 0; i < ARRAY_LENGTH(sizes); i++) {
		result = measure(sizes[i], questions, count);
		first = i ? first : result.rate;
		printf("%6u %6.0f ms %4.1f MB %12.0f %5" PRId64 " ns %5" PRId64 " ns %5" PRId64
		       " ns   %.0f/%.0f/%.0f/%.0f %%\n",
		    sizes[i], (double)result.load_us / 1e3, (double)result.bytes / 1e6, result.rate, result.p50_ns,
		    result.p99_ns, result.p999_ns, 100.0 * (double)result.outcomes[0] / (double)count,
		    100.0 * (double)result.outcomes[1] / (double)count,
		    100.0 * (double)result.outcomes[2] / (double)count,
		    100.0 * (double)result.outcomes[3] / (double)count);
	}
	good = result.rate >= RATE_GOAL && result.p99_ns < P99_GOAL_NS && result.load_us < LOAD_GOAL_US;
	printf(
	    "a decision among 10000 rules costs %.2f times one among 10; goals of a million a second, p99 under 5 us, "
	    "loading under 1 s: %s\n",
	    first / result.rate, good ? "met" : "MISSED");
	free(questions);
	return good ? 0 : 1;
}
