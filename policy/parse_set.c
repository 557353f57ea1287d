/* SPDX-License-Identifier: Apache-2.0
 *
 * The sets of a policy file: hosts and VMs by name, shares by name or by what they are.
 */
#include <string.h>

#include "policy/parse.h"

/* Sets do not nest, and a member that only looks like one would quietly be a name. */
static bool
is_other_set(struct parse *parse, const struct yaml *section, const struct yaml *set, const struct yaml *member)
{
	if (member->kind != YAML_SCALAR || strcmp(member->text, set->key) == 0 ||
	    yaml_find(section, member->text) == NULL)
		return false;
	FAULT(parse, member,
	    "%s: '%s' is itself a set of this file, and sets do not nest; write its members, or "
	    "rename one",
	    set->key, show(member->text).text);
	return true;
}

static const struct selector *
parse_member_list(struct parse *parse, const struct yaml *section, const struct yaml *set, enum dimension dimension)
{
	const struct yaml *member = set->kind == YAML_LIST ? set->first : set;
	struct filling filling;
	bool good = true;

	if (!parse_member_count(parse, set, set->key) || !selector_begin(parse, dimension, set->count + 1, &filling))
		return NULL;
	for (; member; member = set->kind == YAML_LIST ? member->next : NULL) {
		struct scoped_name name;

		good &= !is_other_set(parse, section, set, member) &&
			parse_scoped_name(parse, member, dimension, &name) &&
			selector_add(parse, dimension, &name, &filling);
	}
	selector_end(&filling);
	return good ? filling.selector : NULL;
}

/* {class: usb, labels: {kind: storage}}, of the file's tenant. */
static const struct selector *
parse_traits(struct parse *parse, const struct yaml *set)
{
	static const char *const keys[] = {"class", "labels", NULL};
	const struct yaml *class = yaml_find(set, "class"), *labels = yaml_find(set, "labels");
	struct traits *traits = arena_take(&parse->policy->arena, sizeof *traits);
	size_t before = parse->faults->count;
	struct filling filling;

	if (traits == NULL || !selector_begin(parse, BY_SHARE, 0, &filling)) {
		parse_out_of_memory(parse);
		return NULL;
	}
	yaml_allow_keys(parse->yaml, set, keys, parse->faults);
	if (set->count == 0)
		FAULT(parse, set, "%s: an empty set by traits; give it a class, labels, or both", set->key);
	if (class) {
		int word = parse_word(parse, class, "class", share_classes);

		traits->class = word < 0 ? NULL : share_classes[word];
	}
	if (labels)
		parse_labels(parse, labels, &traits->labels, &traits->label_count);
	filling.selector->traits = traits;
	filling.selector->tenant = parse->tenant;
	return parse->faults->count == before ? filling.selector : NULL;
}

static void
parse_set(struct parse *parse, const struct yaml *section, const struct yaml *set, enum dimension dimension)
{
	struct sets *sets = &parse->sets[dimension];
	struct arena *arena = &parse->policy->arena;
	const struct selector *selector, **all;
	uint32_t number;

	if (!name_is_valid(set->key, strlen(set->key))) {
		faults_add(parse->faults, parse->file, set->key_line, set->key_column,
		    "%s: '%s' cannot name a set; that takes 1 to %d of a-z 0-9 . _ -, the first a "
		    "letter or digit",
		    section_words[dimension], show(set->key).text, NAME_LEN_MAX);
		return;
	}
	if (set->kind == YAML_MAP && dimension == BY_SHARE)
		selector = parse_traits(parse, set);
	else if (set->kind == YAML_SCALAR && set->text[0] != '\0')
		selector = parse_member_list(parse, section, set, dimension);
	else
		selector = parse_is_kind(parse, set, YAML_LIST, set->key)
			       ? parse_member_list(parse, section, set, dimension)
			       : NULL;
	all = arena_grow(arena, sets->at, sets->names.count, &sets->room, sizeof(struct selector *));
	number = atoms_add(&sets->names, arena, set->key, strlen(set->key));
	if (number == NO_ATOM || all == NULL) {
		parse_out_of_memory(parse);
		return;
	}
	sets->at = all;
	/* A set with a fault stands for everything until the load is refused, so that its users give no further faults. */
	all[number] = selector ?: parse->everything[dimension];
}

void
parse_sets(struct parse *parse, const struct yaml *section, enum dimension dimension)
{
	if (section == NULL || !parse_is_kind(parse, section, YAML_MAP, section_words[dimension]))
		return;
	if (section->count > POLICY_SETS_MAX) {
		FAULT(parse, section, "%s: %zu sets; at most %d are allowed in a file", section_words[dimension],
		    section->count, POLICY_SETS_MAX);
		return;
	}
	for (const struct yaml *set = section->first; set; set = set->next)
		parse_set(parse, section, set, dimension);
}

const struct selector *
parse_find_set(const struct parse *parse, enum dimension dimension, const struct yaml *node)
{
	const struct sets *sets = &parse->sets[dimension];
	uint32_t number =
	    node->kind == YAML_SCALAR ? atoms_find(&sets->names, node->text, strlen(node->text)) : NO_ATOM;

	return number == NO_ATOM ? NULL : sets->at[number];
}
