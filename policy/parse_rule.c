/* SPDX-License-Identifier: Apache-2.0
 *
 * The `rules` of a policy file. A rule either allows or denies; what belongs to an allow only (grant, ticket, max_ttl) is a
 * fault on a deny, since it would do nothing there.
 */
#include <string.h>

#include "base/text.h"
#include "policy/parse.h"

static const char *const verb_words[] = {
    "list", "attach", "discard", "resize-see", "handover", "steal", "usb-control", NULL};

static bool
add_verb(struct parse *parse, const struct yaml *node, uint8_t *verbs)
{
	int word = parse_word(parse, node, "verb", verb_words);
	enum policy_verb verb;

	if (word < 0)
		return false;
	verb = verb_find(verb_words[word]);
	if (*verbs & verb)
		FAULT(parse, node, "verb: '%s' stands here twice; once is enough", verb_words[word]);
	*verbs |= (uint8_t)verb;
	return true;
}

bool
parse_verbs(struct parse *parse, const struct yaml *node, uint8_t *verbs)
{
	bool good = true;

	if (node->kind == YAML_SCALAR && (node->text[0] != '\0' || node->quoted))
		return add_verb(parse, node, verbs);
	if (!parse_is_kind(parse, node, YAML_LIST, node->key))
		return false;
	if (node->count == 0)
		FAULT(parse, node, "%s: names no verb; a rule speaks of at least one", node->key);
	for (const struct yaml *verb = node->first; verb; verb = verb->next)
		good &= add_verb(parse, verb, verbs);
	return good && node->count > 0;
}

static bool
parse_effect(struct parse *parse, const struct yaml *map, struct rule *rule)
{
	const struct yaml *allow = yaml_find(map, "allow"), *deny = yaml_find(map, "deny");

	if (allow && deny) {
		FAULT(parse, deny, "a rule that has 'allow' cannot have 'deny' too; write two rules");
		return false;
	}
	if (allow == NULL && deny == NULL) {
		FAULT(parse, map,
		    "the rule neither allows nor denies; it needs 'allow' or 'deny' with a list of "
		    "verbs");
		return false;
	}
	rule->deny = deny != NULL;
	return parse_verbs(parse, deny ?: allow, &rule->scope.verbs);
}

static void
parse_mode(struct parse *parse, const struct yaml *map, struct rule *rule)
{
	static const char *const words[] = {"ro", "rw", NULL};
	const struct yaml *node = yaml_find(map, "mode");

	rule->mode = MODE_RO;
	if (node == NULL)
		return;
	rule->has_mode = true;
	rule->mode = parse_word(parse, node, "mode", words) == 1 ? MODE_RW : MODE_RO;
}

static void
parse_demands(struct parse *parse, const struct yaml *map, struct rule *rule)
{
	static const char *const grants[] = {"required", "standing", NULL};
	static const char *const tickets[] = {"not-required", "required", NULL};
	const struct yaml *grant = yaml_find(map, "grant"), *ticket = yaml_find(map, "ticket");

	if (grant == NULL || parse_word(parse, grant, "grant", grants) != 1)
		rule->demands |= DEMAND_GRANT;
	if (ticket && parse_word(parse, ticket, "ticket", tickets) != 0)
		rule->demands |= DEMAND_TICKET;
}

static void
parse_max_ttl(struct parse *parse, const struct yaml *map, struct rule *rule)
{
	const struct yaml *node = yaml_find(map, "max_ttl");
	struct error error;

	if (node == NULL || !parse_is_kind(parse, node, YAML_SCALAR, "max_ttl"))
		return;
	if (parse_duration(node->text, &rule->max_ttl_us, &error) < 0)
		FAULT(parse, node, "max_ttl: %s", error.text);
	else if (rule->max_ttl_us == 0)
		FAULT(parse, node,
		    "max_ttl: a lease of no time cannot be; leave max_ttl out for no limit, or "
		    "write a deny");
}

/* What only an allow can have. */
static void
parse_allow_only(struct parse *parse, const struct yaml *map, struct rule *rule)
{
	static const char *const keys[] = {"grant", "ticket", "max_ttl"};

	if (!rule->deny) {
		parse_demands(parse, map, rule);
		parse_max_ttl(parse, map, rule);
		return;
	}
	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
		const struct yaml *node = yaml_find(map, keys[i]);

		if (node)
			faults_add(parse->faults, parse->file, node->key_line, node->key_column,
			    "'%s' has no meaning on a deny; it belongs to an allow", keys[i]);
	}
}

static void
parse_observe(struct parse *parse, const struct yaml *map, struct rule *rule)
{
	static const char *const words[] = {"false", "true", NULL};
	const struct yaml *node = yaml_find(map, "observe");

	rule->observe = node && parse_word(parse, node, "observe", words) == 1;
}

static void
parse_id(struct parse *parse, const struct yaml *map, struct rule *rule)
{
	const struct yaml *node = yaml_find(map, "id");

	if (node == NULL)
		FAULT(parse, map, "the rule has no id; give it one that no other rule of any file has");
	else
		rule->id = parse_name(parse, node, "id");
}

static bool
keep_rule(struct parse *parse, struct rule *rule)
{
	struct policy *policy = parse->policy;
	struct rule **rules =
	    arena_grow(&policy->arena, policy->rules, policy->rule_count, &policy->rule_room, sizeof(struct rule *));

	if (rules == NULL) {
		parse_out_of_memory(parse);
		return false;
	}
	policy->rules = rules;
	rules[policy->rule_count++] = rule;
	return true;
}

static bool
parse_rule(struct parse *parse, const struct yaml *map)
{
	static const char *const keys[] = {"id", "allow", "deny", "hosts", "vms", "shares", "mode", "grant", "ticket",
	    "when", "max_ttl", "observe", NULL};
	const struct yaml *when = yaml_find(map, "when");
	struct rule *rule = arena_take(&parse->policy->arena, sizeof *rule);

	if (rule == NULL) {
		parse_out_of_memory(parse);
		return false;
	}
	rule->file = parse->file;
	rule->line = map->line;
	rule->column = map->column;
	yaml_allow_keys(parse->yaml, map, keys, parse->faults);
	parse_id(parse, map, rule);
	parse_scope(parse, map, &rule->scope);
	parse_mode(parse, map, rule);
	if (parse_effect(parse, map, rule))
		parse_allow_only(parse, map, rule);
	parse_observe(parse, map, rule);
	if (when)
		rule->when = parse_when(parse, when);
	return rule->id == NULL || keep_rule(parse, rule);
}

void
parse_rules(struct parse *parse, const struct yaml *section)
{
	if (section == NULL || !parse_is_kind(parse, section, YAML_LIST, "rules"))
		return;
	for (const struct yaml *map = section->first; map; map = map->next) {
		if (parse->policy->rule_count == POLICY_RULES_MAX) {
			FAULT(parse, map, "rules: more than %d in all files together", POLICY_RULES_MAX);
			return;
		}
		if (parse_is_kind(parse, map, YAML_MAP, "rules") && !parse_rule(parse, map))
			return;
	}
}
