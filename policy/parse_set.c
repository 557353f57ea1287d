/* SPDX-License-Identifier: Apache-2.0
 *
 * The sets of a policy file: hosts and VMs by name, shares by name or by what they are. A set may hold other sets of the same kind, whichever stands
 * first; in the end each knows all that are below it.
 */
#include <string.h>

#include "policy/parse.h"

/* What the names of all shares of the file's tenant begin with. */
static const char *
tenant_prefix(struct parse *parse)
{
	size_t length = parse->tenant ? strlen(parse->tenant) : 0;
	char *prefix = arena_take(&parse->policy->arena, length + 2);

	if (prefix == NULL) {
		parse_out_of_memory(parse);
		return "";
	}
	if (length) {
		memcpy(prefix, parse->tenant, length);
		prefix[length] = '/';
	}
	return prefix;
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
	traits->prefix = tenant_prefix(parse);
	filling.selector->traits = traits;
	return parse->faults->count == before ? filling.selector : NULL;
}

/* ---- reading ---- */

static bool
name_set(struct parse *parse, const struct yaml *node, enum dimension dimension)
{
	struct sets *sets = &parse->sets[dimension];
	struct arena *arena = &parse->policy->arena;
	struct set *set, **all;
	uint32_t number;

	if (!name_is_valid(node->key, strlen(node->key))) {
		faults_add(parse->faults, parse->file, node->key_line, node->key_column,
		    "%s: '%s' cannot name a set; that takes 1 to %d of a-z 0-9 . _ -, the first a "
		    "letter or digit",
		    section_words[dimension], show(node->key).text, NAME_LEN_MAX);
		return true;
	}
	set = arena_take(arena, sizeof *set);
	all = arena_grow(arena, sets->at, sets->names.count, &sets->room, sizeof(struct set *));
	number = atoms_add(&sets->names, arena, node->key, strlen(node->key));
	if (set == NULL || all == NULL || number == NO_ATOM) {
		parse_out_of_memory(parse);
		return false;
	}
	set->name = sets->names.at[number].text;
	sets->at = all;
	all[number] = set;
	return true;
}

static struct set *
find_set(const struct sets *sets, const char *name)
{
	uint32_t number = atoms_find(&sets->names, name, strlen(name));

	return number == NO_ATOM ? NULL : sets->at[number];
}

static void
read_set(struct parse *parse, const struct yaml *node, enum dimension dimension)
{
	struct set *set = find_set(&parse->sets[dimension], node->key);
	bool good = false;

	if (set == NULL)
		return;
	if (node->kind == YAML_MAP && dimension == BY_SHARE) {
		set->members.own = parse_traits(parse, node);
		good = set->members.own != NULL;
	} else if ((node->kind == YAML_SCALAR && node->text[0] != '\0') ||
		   parse_is_kind(parse, node, YAML_LIST, node->key)) {
		good = parse_member_count(parse, node, node->key) &&
		       parse_members(parse, node, dimension, set, &set->members);
	}
	if (good)
		return;
	/* A set with a fault stands for everything until the load is refused, so that its users give no further faults. */
	set->members = (struct selection){.own = parse->everything[dimension]};
}

/* ---- closing: what is below ---- */

static bool
put_below(struct parse *parse, const struct yaml *node, enum dimension dimension, struct set *set)
{
	struct set *sets[POLICY_UNION_MAX];
	size_t count;

	if (!selection_sets(parse, node, dimension, &set->members, sets, &count))
		return false;
	set->below = arena_array(&parse->policy->arena, count + 1, sizeof *set->below);
	if (set->below == NULL) {
		parse_out_of_memory(parse);
		return false;
	}
	set->below[set->below_count++] = set;
	for (size_t i = 0; i < count; i++)
		set->below[set->below_count++] = sets[i];
	return selection_unite(parse, sets, count, &set->members);
}

static void close_set(struct parse *parse, const struct yaml *section, const struct yaml *node,
    enum dimension dimension, struct set *set);

/* All sets in it. False when one of them holds it. */
static bool
close_members(
    struct parse *parse, const struct yaml *section, const struct yaml *node, enum dimension dimension, struct set *set)
{
	bool good = true;

	for (size_t i = 0; i < set->members.set_count; i++) {
		struct set *one = set->members.sets[i];

		if (one->state == SET_UNREAD)
			close_set(parse, section, yaml_find(section, one->name), dimension, one);
		if (one->state == SET_OPEN) {
			FAULT(parse, node,
			    "%s: '%s' holds '%s', which holds '%s' in the end; a set cannot be in itself, so take one "
			    "out",
			    section_words[dimension], set->name, one->name, set->name);
			good = false;
		} else if (one->depth >= set->depth) {
			set->depth = one->depth + 1;
		}
	}
	return good;
}

static void
close_set(
    struct parse *parse, const struct yaml *section, const struct yaml *node, enum dimension dimension, struct set *set)
{
	bool good;

	set->state = SET_OPEN;
	set->depth = 1;
	good = close_members(parse, section, node, dimension, set);
	if (set->depth > POLICY_DEPTH_MAX) {
		FAULT(parse, node, "%s: in '%s' sets stand in sets %u deep; at most %d are allowed",
		    section_words[dimension], set->name, set->depth, POLICY_DEPTH_MAX);
		set->depth = 1;
		good = false;
	}
	if (!good)
		set->members = (struct selection){.own = parse->everything[dimension]};
	put_below(parse, node, dimension, set);
	set->state = SET_CLOSED;
}

/* ---- a section ---- */

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
	for (const struct yaml *node = section->first; node; node = node->next)
		if (!name_set(parse, node, dimension))
			return;
	for (const struct yaml *node = section->first; node; node = node->next)
		read_set(parse, node, dimension);
	for (const struct yaml *node = section->first; node; node = node->next) {
		struct set *set = find_set(&parse->sets[dimension], node->key);

		if (set && set->state == SET_UNREAD)
			close_set(parse, section, node, dimension, set);
	}
}

struct set *
parse_find_set(const struct parse *parse, enum dimension dimension, const struct yaml *node)
{
	return node->kind == YAML_SCALAR ? find_set(&parse->sets[dimension], node->text) : NULL;
}
