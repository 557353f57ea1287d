/* SPDX-License-Identifier: Apache-2.0
 *
 * netbus-admin top: what two answers of the broker make of each lease, in which order they stand, and that a line fits where it is to stand.
 */
#include "admin/output.c"
#include "admin/top.c"
#include "admin/verb.c"
#include "tests/unit/test.h"

static struct top_lease
lease_named(uint8_t id, const char *vm, const char *share)
{
	struct top_lease lease = {0};

	lease.row.lease[0] = id;
	snprintf(lease.row.vm, sizeof lease.row.vm, "%s", vm);
	snprintf(lease.row.share, sizeof lease.row.share, "%s", share);
	snprintf(lease.row.host, sizeof lease.row.host, "m1");
	snprintf(lease.row.mode, sizeof lease.row.mode, "rw");
	return lease;
}

static const struct top_rate *
rate_of(const struct top_rate *rates, size_t count, uint8_t id)
{
	for (size_t i = 0; i < count; i++)
		if (rates[i].row->lease[0] == id)
			return &rates[i];
	fail_msg("lease %u has no rate", id);
	return NULL;
}

static bool
is_near(double a, double b)
{
	return a > b - 0.001 && a < b + 0.001;
}

static void
rates_are_of_the_time_between(void **state)
{
	struct top_lease old[] = {lease_named(1, "acme/a", "acme/x"), lease_named(2, "acme/b", "acme/x"),
	    lease_named(9, "acme/gone", "acme/x")};
	struct top_lease new[] = {lease_named(3, "acme/c", "acme/x"), old[1], old[0]};
	struct top_sample before = {.at_ns = 5000000000, .leases = old, .count = 3};
	struct top_sample after = {.at_ns = 7000000000, .wall_us = 100000000, .leases = new, .count = 3};
	struct top_rate rates[3];
	const struct top_rate *rate;

	(void)state;
	old[0].row.reads = 100, old[0].row.read_bytes = 4096;
	old[0].row.timed = 10, old[0].row.timed_device_ns = 1000, old[0].row.told = 5, old[0].row.told_total_ns = 50000;
	new[2].row = old[0].row, new[2].has_held = true, new[2].held = 8;
	new[2].row.reads = 150, new[2].row.writes = 20, new[2].row.flushes = 6, new[2].row.discards = 4;
	new[2].row.read_bytes = 8192, new[2].row.written_bytes = 4096;
	new[2].row.timed = 12, new[2].row.timed_device_ns = 5000, new[2].row.told = 6, new[2].row.told_total_ns = 70000;
	new[2].row.started_at = 40000000;
	new[1].row.told = 3, new[1].row.told_total_ns = 900;
	new[0].row.writes = 10, new[0].row.told = 4, new[0].row.told_total_ns = 8000;
	top_rates(&before, &after, TOP_IOPS, rates);
	rate = rate_of(rates, 3, 1);
	assert_true(
	    is_near(rate->iops, 40) && is_near(rate->bandwidth, 4096) && is_near(rate->held, 4) && rate->has_held);
	assert_true(rate->device_ns == 2000 && rate->total_ns == 20000 && rate->age_us == 60000000);
	/* It did nothing (what its host tells now is of earlier): there is no request whose time could be told. */
	rate = rate_of(rates, 3, 2);
	assert_true(
	    is_near(rate->iops, 0) && is_near(rate->bandwidth, 0) && rate->device_ns == 0 && rate->total_ns == 0);
	/* It came in between. */
	rate = rate_of(rates, 3, 3);
	assert_true(is_near(rate->iops, 5) && rate->total_ns == 2000 && !rate->has_held);
}

static void
what_the_attach_host_has_not_told_yet_is_the_average_so_far(void **state)
{
	struct top_lease old[] = {lease_named(1, "acme/a", "acme/x")}, new[1];
	struct top_sample before = {.at_ns = 1, .leases = old, .count = 1},
			  after = {.at_ns = 2, .leases = new, .count = 1};
	struct top_rate rate;

	(void)state;
	old[0].row.reads = 5, old[0].row.told = 4, old[0].row.told_total_ns = 8000;
	new[0] = old[0];
	new[0].row.reads = 6;
	top_rates(&before, &after, TOP_IOPS, &rate);
	assert_true(rate.total_ns == 2000 && rate.device_ns == 0);
	/* Counters that went back, and a clock that did, are no rate. */
	new[0].row.reads = 1;
	after.at_ns = 0;
	top_rates(&before, &after, TOP_IOPS, &rate);
	assert_true(is_near(rate.iops, 0));
}

static void
the_busiest_stands_first_and_names_decide_between_equals(void **state)
{
	static const struct {
		enum top_order order;
		const char *ids; /* in their order */
	} cases[] = {{TOP_IOPS, "\3\1\4\2"}, {TOP_BANDWIDTH, "\1\3\4\2"}, {TOP_LATENCY, "\2\1\3\4"}};
	struct top_lease leases[] = {lease_named(1, "acme/a", "acme/x"), lease_named(2, "acme/b", "acme/y"),
	    lease_named(3, "acme/a", "acme/a"), lease_named(4, "acme/b", "acme/x")};
	struct top_sample before = {.at_ns = 1}, after = {.at_ns = 1000000001, .leases = leases, .count = 4};
	struct top_rate rates[4];

	(void)state;
	leases[0].row.reads = 10, leases[0].row.read_bytes = 1000, leases[0].row.timed = 1,
	leases[0].row.timed_device_ns = 70;
	leases[1].row.reads = 1, leases[1].row.told = 1, leases[1].row.told_total_ns = 90;
	leases[2].row.reads = 50, leases[2].row.read_bytes = 10;
	leases[3].row.reads = 1;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		top_rates(&before, &after, cases[i].order, rates);
		for (size_t k = 0; k < 4; k++)
			assert_int_equal(rates[k].row->lease[0], cases[i].ids[k]);
	}
}

/* ---- numbers ---- */

static void
numbers_are_short(void **state)
{
	static const struct {
		double number, step;
		const char *text;
	} numbers[] = {{0, 1000, "0"}, {0.5, 1000, "0.5"}, {7.5, 1000, "7.5"}, {9.96, 1000, "10"}, {999.4, 1000, "999"},
	    {999.6, 1000, "1.0k"}, {12345, 1000, "12.3k"}, {99949, 1000, "99.9k"}, {99951, 1000, "100k"},
	    {999600, 1000, "1.0M"}, {1023, 1024, "1.0k"}, {1536, 1024, "1.5k"}, {1610612736, 1024, "1.5G"},
	    {1e15, 1000, "1.0P"}};
	static const struct {
		uint64_t ns;
		const char *text;
	} latencies[] = {{0, "-"}, {1, "0.0us"}, {850, "0.8us"}, {8200, "8.2us"}, {85000, "85us"}, {999400, "999us"},
	    {999600, "1.0ms"}, {1234567, "1.2ms"}, {12345678, "12ms"}, {999600000, "1.0s"},
	    {UINT64_C(75000000000), "75s"}};
	char text[TOP_NUMBER_LEN];

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(numbers); i++) {
		top_number(numbers[i].number, numbers[i].step, text);
		assert_string_equal(text, numbers[i].text);
	}
	for (double number = 0.3; number < 1e15; number *= 1.07)
		for (unsigned step = 1000; step <= 1024; step += 24) {
			top_number(number, step, text);
			if (strlen(text) > 5)
				fail_msg("%f is '%s'", number, text);
		}
	for (size_t i = 0; i < ARRAY_LENGTH(latencies); i++) {
		top_latency(latencies[i].ns, text);
		assert_string_equal(text, latencies[i].text);
	}
}

/* ---- lines ---- */

static const char long_name[] = "a-tenant-with-a-long-name/and-a-device-with-a-very-long-one";

static void
fill_rate(struct top_rate *rate, struct top_lease *lease, bool held)
{
	*lease = lease_named(1, long_name, long_name);
	snprintf(lease->row.host, sizeof lease->row.host, "a-host-of-long-name.example");
	lease->row.in_flight = 256;
	*rate = (struct top_rate){.row = &lease->row,
	    .iops = 123456,
	    .bandwidth = 123e9,
	    .device_ns = 999000,
	    .total_ns = 999000,
	    .has_held = held,
	    .held = 99900,
	    .age_us = UINT64_C(47) * 3600 * 1000000};
}

static void
a_line_fits_however_long_the_names_are(void **state)
{
	(void)state;
	for (unsigned held = 0; held < 2; held++)
		for (size_t width = 1; width < 250; width++) {
			char titles[TOP_LINE_MOST], line[TOP_LINE_MOST];
			struct top_layout layout;
			struct top_lease lease;
			struct top_rate rate;

			fill_rate(&rate, &lease, held);
			top_lay_out(&rate, 1, width, &layout);
			top_line(&layout, NULL, titles);
			top_line(&layout, &rate, line);
			if (output_width(line) > width || output_width(titles) > width)
				fail_msg("%zu columns: '%s'", width, line);
			/* Where there is room for it, nothing is cut but names, and titles stand over their columns. */
			if (width >= 72 &&
			    (strlen(line) != strlen(titles) || strstr(line, " 123k    115G 999us/999us 256 ") == NULL))
				fail_msg("%zu columns:\n'%s'\n'%s'", width, titles, line);
			assert_true(width < 72 || (strstr(titles, "HELD") != NULL) == (held == 1));
		}
}

static void
eighty_columns_are_enough_and_all_is_shown_where_there_is_room(void **state)
{
	struct top_lease lease = lease_named(1, "acme/web-1", "acme/disk-1");
	struct top_rate rate = {
	    .row = &lease.row, .iops = 12345, .bandwidth = 5e7, .has_held = true, .age_us = 61000000};
	struct top_layout layout;
	char line[TOP_LINE_MOST];

	(void)state;
	top_lay_out(&rate, 1, 80, &layout);
	top_line(&layout, NULL, line);
	assert_string_equal(line, "VM         SHARE       HOST MODE  IOPS BYTES/S   DEV/TOTAL FLY  HELD   AGE");
	top_line(&layout, &rate, line);
	assert_string_equal(line, "acme/web-1 acme/disk-1 m1   rw   12.3k   47.7M         -/-   0     0  1:01");
	fill_rate(&rate, &lease, false);
	top_lay_out(&rate, 1, SIZE_MAX, &layout);
	top_line(&layout, &rate, line);
	assert_non_null(strstr(line, long_name));
	top_lay_out(NULL, 0, 80, &layout);
	top_line(&layout, NULL, line);
	assert_null(strstr(line, "HELD"));
}

static void
what_peers_wrote_is_escaped(void **state)
{
	struct top_lease lease = lease_named(1, "acme/\033[2J", "acme/x");
	struct top_rate rate = {.row = &lease.row};
	struct top_layout layout;
	char line[TOP_LINE_MOST];

	(void)state;
	top_lay_out(&rate, 1, 120, &layout);
	top_line(&layout, &rate, line);
	assert_null(strchr(line, '\033'));
	assert_non_null(strstr(line, "acme/\\x1b[2J"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(rates_are_of_the_time_between),
	    cmocka_unit_test(what_the_attach_host_has_not_told_yet_is_the_average_so_far),
	    cmocka_unit_test(the_busiest_stands_first_and_names_decide_between_equals),
	    cmocka_unit_test(numbers_are_short),
	    cmocka_unit_test(a_line_fits_however_long_the_names_are),
	    cmocka_unit_test(eighty_columns_are_enough_and_all_is_shown_where_there_is_room),
	    cmocka_unit_test(what_peers_wrote_is_escaped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
