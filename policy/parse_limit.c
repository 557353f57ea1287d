/* SPDX-License-Identifier: Apache-2.0
 *
 * The `limits` of a policy file: whom, and how much. Zero means "no limit" inside, so a written zero is a fault.
 */
#include <string.h>

#include "base/text.h"
#include "policy/parse.h"

#define RATE_MAX      1000000000          /* operations per second */
#define BANDWIDTH_MAX (UINT64_C(1) << 50) /* bytes per second: 1024TiB */
#define BURST_MAX_US  INT64_C(3600000000)
#define LEASES_MAX    1000000

static const char *const per_words[] = {"lease", "share", "vm", "tenant", "host", "all", NULL};

const char *
per_name(enum policy_per per)
{
	return per_words[per];
}

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
parse_bandwidth(struct parse *parse, const struct yaml *map, const char *key, uint64_t *bandwidth)
{
	const struct yaml *node = yaml_find(map, key);
	struct error error;

	if (node == NULL || !parse_is_kind(parse, node, YAML_SCALAR, key))
		return;
	if (parse_size(node->text, bandwidth, &error) < 0)
		FAULT(parse, node, "%s (bytes per second): %s", key, error.text);
	else if (*bandwidth == 0)
		FAULT(parse, node, "%s: 0 would let nothing through; to forbid, write a deny", key);
	else if (*bandwidth > BANDWIDTH_MAX)
		FAULT(parse, node, "%s: '%s' is more than 1024TiB, the most there can be", key, show(node->text).text);
}

static void
parse_burst(struct parse *parse, const struct yaml *map, struct policy_amounts *amounts)
{
	const struct yaml *node = yaml_find(map, "burst");
	struct error error;

	if (node == NULL || !parse_is_kind(parse, node, YAML_SCALAR, "burst"))
		return;
	if (parse_duration(node->text, &amounts->burst_us, &error) < 0)
		FAULT(parse, node, "burst: %s", error.text);
	else if (amounts->burst_us == 0)
		FAULT(parse, node, "burst: 0 is no burst; leave it out");
	else if (amounts->burst_us > BURST_MAX_US)
		FAULT(parse, node, "burst: '%s' is longer than an hour, the most there can be", show(node->text).text);
	else if (yaml_find(map, "iops") == NULL && yaml_find(map, "bandwidth") == NULL)
		FAULT(parse, node,
		    "burst: says for how long iops or bandwidth may be used up at once; give one "
		    "of them");
}

/* "20/min" */
static void
parse_attach_rate(struct parse *parse, const struct yaml *map, struct policy_amounts *amounts)
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
parse_amounts(struct parse *parse, const struct yaml *map, struct policy_amounts *amounts)
{
	static const char *const keys[] = {
	    "iops", "bandwidth", "floor_iops", "floor_bandwidth", "leases", "attach_rate"};
	uint64_t leases;
	bool some = false;

	parse_count(parse, map, "iops", RATE_MAX, &amounts->iops);
	parse_count(parse, map, "floor_iops", RATE_MAX, &amounts->floor_iops);
	parse_count(parse, map, "leases", LEASES_MAX, &leases);
	amounts->leases = (uint32_t)leases;
	parse_bandwidth(parse, map, "bandwidth", &amounts->bandwidth);
	parse_bandwidth(parse, map, "floor_bandwidth", &amounts->floor_bandwidth);
	parse_burst(parse, map, amounts);
	parse_attach_rate(parse, map, amounts);
	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
		some |= yaml_find(map, keys[i]) != NULL;
	if (!some)
		FAULT(parse, map,
		    "limits: limits nothing; give iops, bandwidth, floor_iops, floor_bandwidth, leases or attach_rate");
}

/* A floor above the limit that it stands under is a slip. */
static void
check_floors(struct parse *parse, const struct yaml *map, const struct policy_amounts *amounts)
{
	if (amounts->iops && amounts->floor_iops > amounts->iops)
		FAULT(parse, yaml_find(map, "floor_iops"),
		    "floor_iops: more than the %llu that iops lets through; at most that can be",
		    (unsigned long long)amounts->iops);
	if (amounts->bandwidth && amounts->floor_bandwidth > amounts->bandwidth)
		FAULT(parse, yaml_find(map, "floor_bandwidth"),
		    "floor_bandwidth: more than the %llu bytes that bandwidth lets through; at most that can be",
		    (unsigned long long)amounts->bandwidth);
}

static void
parse_per(struct parse *parse, const struct yaml *map, struct limit *limit)
{
	const struct yaml *node = yaml_find(map, "per");
	bool counts = yaml_find(map, "leases") || yaml_find(map, "attach_rate");
	int word;

	limit->rates_per = PER_LEASE;
	limit->counts_per = PER_HOST;
	if (node == NULL)
		return;
	word = parse_word(parse, node, "per", per_words);
	if (word < 0)
		return;
	limit->rates_per = limit->counts_per = (enum policy_per)word;
	if (word == PER_LEASE && counts)
		FAULT(parse, node,
		    "per: a lease has no leases and attaches once; leases and attach_rate are per share, vm, tenant, "
		    "host (when per is left out) or all");
	if (!counts && !yaml_find(map, "iops") && !yaml_find(map, "bandwidth"))
		FAULT(parse, node,
		    "per: says who together may have iops, bandwidth, leases or attach_rate; give one of them (a floor "
		    "is "
		    "always each lease's own)");
}

static bool
parse_limit(struct parse *parse, const struct yaml *map)
{
	static const char *const keys[] = {"hosts", "vms", "shares", "per", "iops", "bandwidth", "burst", "floor_iops",
	    "floor_bandwidth", "leases", "attach_rate", NULL};
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
	check_floors(parse, map, &limit->amounts);
	parse_per(parse, map, limit);
	limit->file = parse->file;
	limit->line = map->line;
	limit->column = map->column;
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
