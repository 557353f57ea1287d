/* SPDX-License-Identifier: Apache-2.0
 *
 * `when: {days: mon-fri, from: "07:00", to: "19:00", zone: "UTC"}` of a rule.
 */
#include <string.h>

#include "policy/parse.h"

static void
add_days(struct parse *parse, const struct yaml *node, struct when *when)
{
	uint8_t days;

	if (!parse_is_kind(parse, node, YAML_SCALAR, "days"))
		return;
	days = when_parse_days(node->text);
	if (days == 0)
		FAULT(parse, node,
		    "days: '%s' is not a day; write mon, tue, wed, thu, fri, sat, sun, a range "
		    "such as mon-fri, or a list of them",
		    show(node->text).text);
	when->days |= days;
}

static void
parse_days(struct parse *parse, const struct yaml *node, struct when *when)
{
	when->days = 0;
	if (node->kind != YAML_LIST) {
		add_days(parse, node, when);
		return;
	}
	if (node->count == 0)
		FAULT(parse, node, "days: an empty list is never; name a day, or leave 'days' out for all");
	for (const struct yaml *day = node->first; day; day = day->next)
		add_days(parse, day, when);
}

static void
parse_minute(struct parse *parse, const struct yaml *node, uint16_t *minute)
{
	int value;

	if (!parse_is_kind(parse, node, YAML_SCALAR, node->key))
		return;
	value = when_parse_minute(node->text);
	if (value < 0)
		FAULT(parse, node, "%s: '%s' is not a time of day; write it like \"07:00\", from 00:00 to 24:00",
		    node->key, show(node->text).text);
	else
		*minute = (uint16_t)value;
}

/* What has no yearly rule, so that it stands in no table. */
static bool
follows_the_moon(const char *text)
{
	static const char *const zones[] = {"Africa/Casablanca", "Africa/El_Aaiun", "Asia/Gaza", "Asia/Hebron"};

	for (size_t i = 0; i < sizeof zones / sizeof zones[0]; i++)
		if (strcmp(text, zones[i]) == 0)
			return true;
	return false;
}

static void
parse_zone(struct parse *parse, const struct yaml *node, struct when *when)
{
	static const char allowed[] = "\"UTC\", a zone of tzdata such as Europe/Berlin, or a fixed distance such as "
				      "\"+01:00\" or \"-05:30\" (at most 14 hours)";
	const char *near;

	if (!parse_is_kind(parse, node, YAML_SCALAR, "zone") || zone_parse(node->text, &when->zone))
		return;
	near = zone_nearest(node->text);
	if (strcmp(node->text, "Z") == 0 || strcmp(node->text, "utc") == 0 || strcmp(node->text, "GMT") == 0)
		FAULT(parse, node, "zone: '%s' is not known; did you mean 'UTC'?", node->text);
	else if (follows_the_moon(node->text))
		FAULT(parse, node,
		    "zone: '%s' cannot be used: its clocks are changed by the moon, which no yearly rule gives; write "
		    "a "
		    "fixed distance such as \"+01:00\"",
		    node->text);
	else if (near)
		FAULT(parse, node, "zone: '%s' is not known; did you mean '%s'? Allowed: %s", show(node->text).text,
		    near, allowed);
	else
		FAULT(parse, node, "zone: '%s' is not known; allowed: %s", show(node->text).text, allowed);
}

const struct when *
parse_when(struct parse *parse, const struct yaml *node)
{
	static const char *const keys[] = {"days", "from", "to", "zone", NULL};
	const struct yaml *days, *from, *to, *zone;
	struct when *when;

	if (!parse_is_kind(parse, node, YAML_MAP, "when"))
		return NULL;
	when = arena_take(&parse->policy->arena, sizeof *when);
	if (when == NULL) {
		parse_out_of_memory(parse);
		return NULL;
	}
	*when = (struct when){.days = WHEN_ALL_DAYS, .from = 0, .to = DAY_MINUTES};
	yaml_allow_keys(parse->yaml, node, keys, parse->faults);
	days = yaml_find(node, "days");
	from = yaml_find(node, "from");
	to = yaml_find(node, "to");
	zone = yaml_find(node, "zone");
	if (days)
		parse_days(parse, days, when);
	if (from)
		parse_minute(parse, from, &when->from);
	if (to)
		parse_minute(parse, to, &when->to);
	if (zone)
		parse_zone(parse, zone, when);
	if (days == NULL && from == NULL && to == NULL)
		FAULT(parse, node,
		    "when: names neither days nor a time; give days, from or to, or leave 'when' "
		    "out for always");
	else if (from && when->from == DAY_MINUTES)
		FAULT(parse, from, "from: 24:00 is the end of the day; write 00:00 and the day after");
	else if (when->from == when->to)
		FAULT(parse, node,
		    "when: begins and ends at the same time of day; leave 'from' and 'to' out for "
		    "whole days");
	return when;
}
