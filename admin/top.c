/* SPDX-License-Identifier: Apache-2.0
 *
 * Rates and lines of netbus-admin top (admin/top.h). Names come from the broker and are escaped.
 */
#include "admin/top.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/admin.h"
#include "base/auto.h"
#include "base/text.h"

#define CELL_ROOM   600 /* an escaped name */
#define NAME_LEAST  6   /* characters that a name keeps however narrow it gets */
#define CUT_MARK    ".."
#define BETWEEN     1
#define COLUMN_FREE 0 /* as wide as what is in it */

/* ---- rates ---- */

static const struct top_lease *
find_before(const struct top_sample *before, const struct msg_row_lease *row)
{
	for (size_t i = 0; i < before->count; i++)
		if (memcmp(before->leases[i].row.lease, row->lease, sizeof row->lease) == 0)
			return &before->leases[i];
	return NULL;
}

static uint64_t
requests_of(const struct msg_row_lease *row)
{
	return row->reads + row->writes + row->flushes + row->discards;
}

static uint64_t
bytes_of_row(const struct msg_row_lease *row)
{
	return row->read_bytes + row->written_bytes;
}

/* Counters grow; one that did not is the broker's, not ours, to explain. */
static uint64_t
grown(uint64_t now, uint64_t then)
{
	return now > then ? now - then : 0;
}

/* The average of what came in between; when nothing did, `otherwise`. */
static uint64_t
average(uint64_t sum, uint64_t count, uint64_t otherwise)
{
	return count > 0 ? sum / count : otherwise;
}

/* An attach host tells its part every few seconds only: meanwhile the average since the lease began stands for it. */
static void
compare_times(const struct msg_row_lease *old, const struct msg_row_lease *row, struct top_rate *rate)
{
	uint64_t before = average(row->told_total_ns, row->told, 0);

	rate->device_ns = average(grown(row->timed_device_ns, old->timed_device_ns), grown(row->timed, old->timed), 0);
	rate->total_ns = average(grown(row->told_total_ns, old->told_total_ns), grown(row->told, old->told), before);
}

/* A lease that was not there before began in between: then all that it did is of this time. */
static void
compare_leases(const struct top_lease *then, const struct top_lease *now, double seconds, struct top_rate *rate)
{
	static const struct top_lease nothing;
	const struct msg_row_lease *row = &now->row, *old;

	if (then == NULL)
		then = &nothing;
	old = &then->row;
	rate->iops = (double)grown(requests_of(row), requests_of(old)) / seconds;
	rate->bandwidth = (double)grown(bytes_of_row(row), bytes_of_row(old)) / seconds;
	rate->has_held = now->has_held;
	rate->held = (double)grown(now->held, then->held) / seconds;
	if (requests_of(row) != requests_of(old))
		compare_times(old, row, rate);
}

/* ---- order ---- */

static double
rank_of(const struct top_rate *rate, enum top_order order)
{
	switch (order) {
	case TOP_BANDWIDTH:
		return rate->bandwidth;
	case TOP_LATENCY:
		return (double)(rate->total_ns > 0 ? rate->total_ns : rate->device_ns);
	case TOP_IOPS:
	default:
		return rate->iops;
	}
}

static int
by_name(const struct msg_row_lease *a, const struct msg_row_lease *b)
{
	int order = strcmp(a->vm, b->vm);

	if (order == 0)
		order = strcmp(a->share, b->share);
	return order != 0 ? order : memcmp(a->lease, b->lease, sizeof a->lease);
}

static bool
goes_before(const struct top_rate *a, const struct top_rate *b, enum top_order order)
{
	double rank_a = rank_of(a, order), rank_b = rank_of(b, order);

	if (rank_a > rank_b || rank_a < rank_b)
		return rank_a > rank_b;
	return by_name(a->row, b->row) < 0;
}

/* Into its place among the first `count`; qsort(3) has no room for the order. */
static void
insert(struct top_rate *rates, size_t count, const struct top_rate *rate, enum top_order order)
{
	for (; count > 0 && goes_before(rate, &rates[count - 1], order); count--)
		rates[count] = rates[count - 1];
	rates[count] = *rate;
}

void
top_rates(const struct top_sample *before, const struct top_sample *after, enum top_order order, struct top_rate *rates)
{
	double seconds = (double)grown(after->at_ns, before->at_ns) / 1e9;

	for (size_t i = 0; i < after->count; i++) {
		const struct top_lease *lease = &after->leases[i];
		struct top_rate rate = {
		    .row = &lease->row, .age_us = grown((uint64_t)after->wall_us, lease->row.started_at)};

		compare_leases(find_before(before, &lease->row), lease, seconds > 0 ? seconds : 1, &rate);
		insert(rates, i, &rate, order);
	}
}

/* ---- numbers ---- */

void
top_number(double number, double step, char text[static TOP_NUMBER_LEN])
{
	static const char units[] = " kMGTP";
	size_t unit = 0;
	int decimals;

	while (number >= 999.5 && unit + 2 < sizeof units) {
		number /= step;
		unit++;
	}
	decimals = number < 99.95 && (unit > 0 || number < 9.95) && number > 0 ? 1 : 0;
	snprintf(text, TOP_NUMBER_LEN, "%.*f%.*s", decimals, number, unit > 0, &units[unit]);
}

void
top_latency(uint64_t ns, char text[static TOP_NUMBER_LEN])
{
	static const struct {
		const char *name;
		double ns;
	} units[] = {{"us", 1e3}, {"ms", 1e6}, {"s", 1e9}};
	size_t unit = 0;
	double number;

	if (ns == 0) {
		snprintf(text, TOP_NUMBER_LEN, "-");
		return;
	}
	while (unit + 1 < ARRAY_LENGTH(units) && (double)ns / units[unit].ns >= 999.5)
		unit++;
	number = (double)ns / units[unit].ns;
	snprintf(text, TOP_NUMBER_LEN, "%.*f%s", number < 9.95 && number > 0 ? 1 : 0, number, units[unit].name);
}

/* ---- cells ---- */

static void
cell_vm(const struct top_rate *rate, char *cell)
{
	print_escaped(rate->row->vm, strlen(rate->row->vm), cell, CELL_ROOM);
}

static void
cell_share(const struct top_rate *rate, char *cell)
{
	print_escaped(rate->row->share, strlen(rate->row->share), cell, CELL_ROOM);
}

static void
cell_host(const struct top_rate *rate, char *cell)
{
	print_escaped(rate->row->host, strlen(rate->row->host), cell, CELL_ROOM);
}

static void
cell_mode(const struct top_rate *rate, char *cell)
{
	print_escaped(rate->row->mode, strlen(rate->row->mode), cell, CELL_ROOM);
}

static void
cell_iops(const struct top_rate *rate, char *cell)
{
	top_number(rate->iops, 1000, cell);
}

static void
cell_bandwidth(const struct top_rate *rate, char *cell)
{
	top_number(rate->bandwidth, 1024, cell);
}

static void
cell_latency(const struct top_rate *rate, char *cell)
{
	char device[TOP_NUMBER_LEN], total[TOP_NUMBER_LEN];

	top_latency(rate->device_ns, device);
	top_latency(rate->total_ns, total);
	snprintf(cell, CELL_ROOM, "%s/%s", device, total);
}

static void
cell_in_flight(const struct top_rate *rate, char *cell)
{
	snprintf(cell, CELL_ROOM, "%llu", (unsigned long long)rate->row->in_flight);
}

static void
cell_held(const struct top_rate *rate, char *cell)
{
	top_number(rate->held, 1000, cell);
}

static void
cell_age(const struct top_rate *rate, char *cell)
{
	uint64_t seconds = rate->age_us / 1000000;

	if (seconds < 3600)
		snprintf(
		    cell, CELL_ROOM, "%llu:%02llu", (unsigned long long)seconds / 60, (unsigned long long)seconds % 60);
	else if (seconds < 48 * 3600)
		snprintf(cell, CELL_ROOM, "%lluh%02llu", (unsigned long long)seconds / 3600,
		    (unsigned long long)seconds / 60 % 60);
	else
		snprintf(cell, CELL_ROOM, "%llud", (unsigned long long)seconds / 86400);
}

/* ---- lines ---- */

/* clang-format off */
struct column {
	const char *title;
	size_t width;
	bool is_number; /* stands to the right */
	bool (*given)(const struct top_rate *rate); /* NULL: always there */
	void (*print)(const struct top_rate *rate, char *cell);
};

static bool
held_given(const struct top_rate *rate)
{
	return rate->has_held;
}

static const struct column columns[] = {
	{"VM",        COLUMN_FREE, false, NULL,       cell_vm},
	{"SHARE",     COLUMN_FREE, false, NULL,       cell_share},
	{"HOST",      COLUMN_FREE, false, NULL,       cell_host},
	{"MODE",      4,           false, NULL,       cell_mode},
	{"IOPS",      5,           true,  NULL,       cell_iops},
	{"BYTES/S",   7,           true,  NULL,       cell_bandwidth},
	{"DEV/TOTAL", 11,          true,  NULL,       cell_latency},
	{"FLY",       3,           true,  NULL,       cell_in_flight},
	{"HELD",      5,           true,  held_given, cell_held},
	{"AGE",       5,           true,  NULL,       cell_age},
};
/* clang-format on */

#define COLUMN_COUNT ARRAY_LENGTH(columns)
_Static_assert(ARRAY_LENGTH(columns) <= TOP_COLUMNS_MOST, "a layout has room for all columns");

static size_t
widest_of(const struct column *column, const struct top_rate *rates, size_t count)
{
	size_t widest = output_width(column->title);
	char cell[CELL_ROOM];

	for (size_t i = 0; i < count; i++) {
		column->print(&rates[i], cell);
		if (output_width(cell) > widest)
			widest = output_width(cell);
	}
	return widest;
}

/* The widest name gives, one character at a time, until a line fits or none can give more. */
static void
narrow(struct top_layout *layout)
{
	for (;;) {
		size_t whole = 0, widest = 0;

		for (size_t i = 0; i < COLUMN_COUNT; i++) {
			whole += layout->widths[i] > 0 ? layout->widths[i] + (i > 0 ? BETWEEN : 0) : 0;
			if (columns[i].width == COLUMN_FREE && layout->widths[i] > layout->widths[widest])
				widest = i;
		}
		if (whole <= layout->width || layout->widths[widest] <= NAME_LEAST)
			return;
		layout->widths[widest]--;
	}
}

void
top_lay_out(const struct top_rate *rates, size_t count, size_t width, struct top_layout *layout)
{
	*layout = (struct top_layout){.width = width};
	for (size_t i = 0; i < COLUMN_COUNT; i++) {
		if (columns[i].given != NULL && (count == 0 || !columns[i].given(&rates[0])))
			continue;
		layout->widths[i] =
		    columns[i].width == COLUMN_FREE ? widest_of(&columns[i], rates, count) : columns[i].width;
	}
	narrow(layout);
}

/* A cell of that width; what is too long for it and is a name, is cut. Returns the end of the line. */
static size_t
put_cell(char *line, size_t used, const char *text, size_t width, const struct column *column)
{
	size_t has = output_width(text), room = TOP_LINE_MOST - used;
	int pad = has < width ? (int)(width - has) : 0;

	if (has > width && !column->is_number)
		used += (size_t)snprintf(
		    line + used, room, "%.*s%s", (int)output_bytes(text, width - strlen(CUT_MARK)), text, CUT_MARK);
	else if (column->is_number)
		used += (size_t)snprintf(line + used, room, "%*s%s", pad, "", text);
	else
		used += (size_t)snprintf(line + used, room, "%s%*s", text, pad, "");
	return used;
}

void
top_line(const struct top_layout *layout, const struct top_rate *rate, char line[static TOP_LINE_MOST])
{
	char cell[CELL_ROOM];
	size_t used = 0;

	for (size_t i = 0; i < COLUMN_COUNT; i++) {
		if (layout->widths[i] == 0)
			continue;
		if (rate != NULL)
			columns[i].print(rate, cell);
		if (used > 0)
			line[used++] = ' ';
		used = put_cell(line, used, rate != NULL ? cell : columns[i].title, layout->widths[i], &columns[i]);
	}
	line[used] = '\0';
	line[output_bytes(line, layout->width)] = '\0'; /* a terminal that is narrower still */
}
