/* SPDX-License-Identifier: Apache-2.0
 *
 * Silence on a lane (wire/silence.h): what follows from lease_ttl, and two ends that only ping, held against the rules by walking through the time.
 */
#include "tests/unit/test.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "wire/silence.h"

#define MS UINT64_C(1000000)

static const uint32_t ttls[] = {1000, 3000, 3001, 15000, 60001, 3600000};

/* ---- the table ---- */

/* What the printed formula comes to: lease_ttl, numbers, + and /, from left to right but / first. */
static uint64_t
term(const char **at, uint64_t lease_ttl)
{
	uint64_t value = 0;
	bool divides = false;

	for (;;) {
		uint64_t factor;
		char *end;

		while (**at == ' ')
			++*at;
		if (strncmp(*at, "lease_ttl", 9) == 0) {
			factor = lease_ttl;
			*at += 9;
		} else {
			factor = strtoull(*at, &end, 10);
			assert_ptr_not_equal(end, *at);
			*at = end;
		}
		value = divides ? value / factor : factor;
		while (**at == ' ')
			++*at;
		divides = **at == '/';
		if (!divides)
			return value;
		++*at;
	}
}

static uint64_t
worked_out(const char *formula, uint64_t lease_ttl)
{
	uint64_t sum = term(&formula, lease_ttl);

	while (*formula == '+') {
		formula++;
		sum += term(&formula, lease_ttl);
	}
	assert_int_equal(*formula, '\0');
	return sum;
}

static void
a_timer_is_what_its_printed_formula_comes_to(void **state)
{
	(void)state;
	for (unsigned timer = 0; timer < SILENCE_TIMERS; timer++)
		for (size_t i = 0; i < ARRAY_LENGTH(ttls); i++)
			assert_int_equal(silence_ms((enum silence_timer)timer, ttls[i]),
			    worked_out(silence_rows[timer].formula, ttls[i]));
}

static void
each_timer_has_a_name_and_a_meaning(void **state)
{
	(void)state;
	for (unsigned timer = 0; timer < SILENCE_TIMERS; timer++) {
		assert_true(strlen(silence_rows[timer].name) > 0 && strlen(silence_rows[timer].meaning) > 0);
		for (const char *at = silence_rows[timer].name; *at; at++)
			assert_true(islower((unsigned char)*at) || *at == '_');
	}
}

/* Two pings may be lost before who sends them is, and the broker waits for the session. */
static void
the_timers_leave_each_other_room(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(ttls); i++) {
		uint64_t ping = silence_ms(SILENCE_PING, ttls[i]);

		assert_true(3 * ping <= silence_ms(SILENCE_EXPORTER_GIVES_UP, ttls[i]));
		assert_int_equal(silence_ms(SILENCE_EXPORTER_GIVES_UP, ttls[i]), ttls[i]);
		assert_int_equal(silence_ms(SILENCE_ATTACHER_GIVES_UP, ttls[i]), ttls[i]);
		assert_true(silence_ms(SILENCE_BROKER_GIVES_UP, ttls[i]) > ttls[i]);
	}
}

/* ---- one end ---- */

static void
due_is_what_the_table_says_to_the_nanosecond(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(ttls); i++) {
		const uint64_t begin = 7777, ping = ttls[i] / 3 * MS, lost = ttls[i] * MS;
		struct silence silence;

		silence_begin(&silence, ttls[i], SILENCE_EXPORTER_GIVES_UP, begin);
		assert_int_equal(silence_due(&silence, begin), SILENCE_NOTHING_DUE);
		assert_true(silence_wait_ns(&silence, begin) == ping);
		assert_int_equal(silence_due(&silence, begin + ping - 1), SILENCE_NOTHING_DUE);
		assert_true(silence_wait_ns(&silence, begin + ping - 1) == 1);
		assert_int_equal(silence_due(&silence, begin + ping), SILENCE_PING_DUE);
		assert_true(silence_wait_ns(&silence, begin + ping) == 0);
		silence.spoke_ns = begin + lost - 1;
		assert_int_equal(silence_due(&silence, begin + lost - 1), SILENCE_NOTHING_DUE);
		assert_int_equal(silence_due(&silence, begin + lost), SILENCE_IS_LOST);
		assert_true(silence_wait_ns(&silence, begin + lost) == 0);
		silence.heard_ns = begin + 1;
		assert_int_equal(silence_due(&silence, begin + lost), SILENCE_NOTHING_DUE);
	}
}

/* A clock that was read in an earlier turn must not look like an age. */
static void
what_was_heard_later_than_now_is_not_long_ago(void **state)
{
	struct silence silence;

	(void)state;
	silence_begin(&silence, 3000, SILENCE_EXPORTER_GIVES_UP, 5000 * MS);
	assert_int_equal(silence_due(&silence, 0), SILENCE_NOTHING_DUE);
	assert_true(silence_wait_ns(&silence, 0) == 1000 * MS);
}

/* ---- two ends ---- */

struct end {
	struct silence silence;
	bool deaf, lost;
};

static uint64_t
earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* What its timer does. True: a ping leaves. */
static bool
beat(struct end *end, uint64_t now_ns)
{
	enum silence_due due = silence_due(&end->silence, now_ns);

	end->lost |= due == SILENCE_IS_LOST;
	if (due == SILENCE_PING_DUE)
		end->silence.spoke_ns = now_ns;
	return due == SILENCE_PING_DUE;
}

/* Both ends with nothing to say but pings, until `until_ns`, or the time at which the first gave up. */
static uint64_t
walk(struct end ends[static 2], uint32_t ttl_ms, uint64_t until_ns)
{
	uint64_t now_ns = 0;

	for (unsigned i = 0; i < 2; i++)
		silence_begin(&ends[i].silence, ttl_ms, i ? SILENCE_ATTACHER_GIVES_UP : SILENCE_EXPORTER_GIVES_UP, 0);
	while (now_ns < until_ns) {
		now_ns += earlier(silence_wait_ns(&ends[0].silence, now_ns), silence_wait_ns(&ends[1].silence, now_ns));
		for (unsigned i = 0; i < 2; i++)
			if (beat(&ends[i], now_ns) && !ends[1 - i].deaf)
				ends[1 - i].silence.heard_ns = now_ns;
		if (ends[0].lost || ends[1].lost)
			return now_ns;
	}
	return now_ns;
}

static void
pings_alone_keep_both_ends(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(ttls); i++) {
		struct end ends[2] = {0};

		walk(ends, ttls[i], 20 * ttls[i] * MS);
		assert_false(ends[0].lost || ends[1].lost);
	}
}

static void
an_end_that_is_not_heard_is_lost_after_lease_ttl_exactly(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(ttls); i++)
		for (unsigned deaf = 0; deaf < 2; deaf++) {
			struct end ends[2] = {0};

			ends[deaf].deaf = true;
			assert_true(walk(ends, ttls[i], 20 * ttls[i] * MS) == ttls[i] * MS);
			assert_true(ends[deaf].lost && !ends[1 - deaf].lost);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_timer_is_what_its_printed_formula_comes_to),
	    cmocka_unit_test(each_timer_has_a_name_and_a_meaning),
	    cmocka_unit_test(the_timers_leave_each_other_room),
	    cmocka_unit_test(due_is_what_the_table_says_to_the_nanosecond),
	    cmocka_unit_test(what_was_heard_later_than_now_is_not_long_ago),
	    cmocka_unit_test(pings_alone_keep_both_ends),
	    cmocka_unit_test(an_end_that_is_not_heard_is_lost_after_lease_ttl_exactly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
