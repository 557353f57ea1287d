/* SPDX-License-Identifier: Apache-2.0
 *
 * The `limits` of a policy file: whom, and how much. Zero means "no limit" inside, so a written zero is a fault.
 */
#include <string.h>

#include "base/text.h"
#include "policy/parse.h"

#define RATE_MAX   1000000000 /* operations per second */
#define LEASES_MAX 1000000

static void
parse_count(struct parse *parse, const struct yaml *map, const char *key, uint64_t most, uint64_t *count)
{
	const struct yaml *node = yaml_find(map, key);
	struct error error;

	*count = 0;
	if (node && parse_is_kind(parse, node, YAML_SCALAR, key) &&
	    parse_number(node->text, 1, most, count, &error) < 0)
		FAULT(parse, node, "%s: %s", key, error.text);
}

static void
parse_bandwidth(struct parse *parse, const struct yaml *map, struct policy_limits *amounts)
{
	const struct yaml *node = yaml_find(map, "bandwidth");
	struct error error;

	if (node == NULL || !parse_is_kind(parse, node, YAML_SCALAR, "bandwidth"))
		return;
	if (parse_size(node->text, &amounts->bandwidth, &error) < 0)
		FAULT(parse, node, "bandwidth (bytes per second): %s", error.text);
	else if (amounts->bandwidth == 0)
		FAULT(parse, node, "bandwidth: 0 would let nothing through; to forbid, write a deny");
}

static void
parse_burst(struct parse *parse, const struct yaml *map, struct policy_limits *amounts)
{
	const struct yaml *node = yaml_find(map, "burst");
	struct error error;

	if (node == NULL || !parse_is_kind(parse, node, YAML_SCALAR, "burst"))
		return;
	if (parse_duration(node->text, &amounts->burst_us, &error) < 0)
		FAULT(parse, node, "burst: %s", error.text);
	else if (amounts->burst_us == 0)
		FAULT(parse, node, "burst: 0 is no burst; leave it out");
	else if (yaml_find(map, "iops") == NULL && yaml_find(map, "bandwidth") == NULL)
		FAULT(parse, node,
		    "burst: says for how long iops or bandwidth may be used up at once; give one "
		    "of them");
}

/* "20/min" */
static void
parse_attach_rate(struct parse *parse, const struct yaml *map, struct policy_limits *amounts)
{
	static const char unit[] = "/min";
	const struct yaml *node = yaml_find(map, "attach_rate");
	char digits[16] = "";
	uint64_t rate = 0;
	size_t length;

	if (node == NULL || !parse_is_kind(parse, node, YAML_SCALAR, "attach_rate"))
		return;
	length = strlen(node->text);
	if (length > sizeof unit - 1 && length - (sizeof unit - 1) < sizeof digits &&
	    strcmp(node->text + length - (sizeof unit - 1), unit) == 0)
		memcpy(digits, node->text, length - (sizeof unit - 1));
	if (parse_number(digits, 1, LEASES_MAX, &rate, NULL) < 0)
		FAULT(parse, node, "attach_rate: '%s' is not a rate; write it like 20/min, from 1/min to %d/min",
		    show(node->text).text, LEASES_MAX);
	amounts->attach_rate = (uint32_t)rate;
}

static void
parse_amounts(struct parse *parse, const struct yaml *map, struct policy_limits *amounts)
{
	static const char *const keys[] = {"iops", "bandwidth", "leases", "attach_rate"};
	uint64_t leases;
	bool some = false;

	parse_count(parse, map, "iops", RATE_MAX, &amounts->iops);
	parse_count(parse, map, "leases", LEASES_MAX, &leases);
	amounts->leases = (uint32_t)leases;
	parse_bandwidth(parse, map, amounts);
	parse_burst(parse, map, amounts);
	parse_attach_rate(parse, map, amounts);
	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
		some |= yaml_find(map, keys[i]) != NULL;
	if (!some)
		FAULT(parse, map, "limits: limits nothing; give iops, bandwidth, leases or attach_rate");
}

static bool
parse_limit(struct parse *parse, const struct yaml *map)
{
	static const char *const keys[] = {
	    "hosts", "vms", "shares", "iops", "bandwidth", "burst", "leases", "attach_rate", NULL};
	struct policy *policy = parse->policy;
	struct limit *limit = arena_take(&policy->arena, sizeof *limit), **limits;

	limits = arena_grow(
	    &policy->arena, policy->limits, policy->limit_count, &policy->limit_room, sizeof(struct limit *));
	if (limit == NULL || limits == NULL) {
		parse_out_of_memory(parse);
		return false;
	}
	yaml_allow_keys(parse->yaml, map, keys, parse->faults);
	limit->scope.verbs = (1 << VERB_COUNT) - 1;
	parse_scope(parse, map, &limit->scope);
	parse_amounts(parse, map, &limit->amounts);
	policy->limits = limits;
	limits[policy->limit_count++] = limit;
	return true;
}

void
parse_limits(struct parse *parse, const struct yaml *section)
{
	if (section == NULL || !parse_is_kind(parse, section, YAML_LIST, "limits"))
		return;
	for (const struct yaml *map = section->first; map; map = map->next) {
		if (parse->policy->limit_count == POLICY_LIMITS_MAX) {
			FAULT(parse, map, "limits: more than %d in all files together", POLICY_LIMITS_MAX);
			return;
		}
		if (parse_is_kind(parse, map, YAML_MAP, "limits") && !parse_limit(parse, map))
			return;
	}
}
