/* SPDX-License-Identifier: Apache-2.0
 *
 * Values that more than one section of a policy file has: words of a list, names, labels.
 */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "policy/parse.h"

const char *const share_classes[] = {"disk", "usb", NULL};

struct shown
show(const char *text)
{
	struct shown shown;

	print_escaped(text, strlen(text), shown.text, sizeof shown.text);
	return shown;
}

void
parse_out_of_memory(struct parse *parse)
{
	faults_add(parse->faults, parse->file, 0, 0, "out of memory");
}

bool
parse_is_kind(struct parse *parse, const struct yaml *node, enum yaml_kind kind, const char *what)
{
	static const char *const forms[] = {
	    [YAML_SCALAR] = "a single value",
	    [YAML_LIST] = "a list ([a, b] or a line with '- ' for each)",
	    [YAML_MAP] = "a map (key: value)",
	};
	bool empty = node->kind == YAML_SCALAR && !node->quoted && node->text[0] == '\0';

	if (empty)
		FAULT(parse, node, "%s: nothing stands here; write %s, or leave the key out", what, forms[kind]);
	else if (node->kind != kind)
		FAULT(parse, node, "%s: this is %s; %s is expected", what, forms[node->kind], forms[kind]);
	return !empty && node->kind == kind;
}

static void
list_words(const char *const *words, char *text, size_t room)
{
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; words[i] && used < room; i++)
		used += (size_t)snprintf(text + used, room - used, "%s%s", i ? ", " : "", words[i]);
}

int
parse_word(struct parse *parse, const struct yaml *node, const char *what, const char *const *words)
{
	const char *near;
	char allowed[160];

	if (!parse_is_kind(parse, node, YAML_SCALAR, what))
		return -1;
	for (int i = 0; words[i]; i++)
		if (strcmp(words[i], node->text) == 0)
			return i;
	list_words(words, allowed, sizeof allowed);
	near = nearest_word(node->text, words);
	if (near)
		FAULT(parse, node, "%s: '%s' is not known; did you mean '%s'? Allowed: %s", what, show(node->text).text,
		    near, allowed);
	else
		FAULT(parse, node, "%s: '%s' is not known; allowed: %s", what, show(node->text).text, allowed);
	return -1;
}

const char *
parse_name(struct parse *parse, const struct yaml *node, const char *what)
{
	const char *copy;

	if (!parse_is_kind(parse, node, YAML_SCALAR, what))
		return NULL;
	if (!name_is_valid(node->text, strlen(node->text))) {
		FAULT(parse, node,
		    "%s: '%s' is not a name; a name is 1 to %d of a-z 0-9 . _ -, the first a "
		    "letter or digit",
		    what, show(node->text).text, NAME_LEN_MAX);
		return NULL;
	}
	copy = arena_text(&parse->policy->arena, node->text, strlen(node->text));
	if (copy == NULL)
		parse_out_of_memory(parse);
	return copy;
}

static bool
parse_label(struct parse *parse, const struct yaml *node, struct policy_label *label)
{
	if (!name_is_valid(node->key, strlen(node->key))) {
		faults_add(parse->faults, parse->file, node->key_line, node->key_column,
		    "labels: '%s' is not a label's name; that is 1 to %d of a-z 0-9 . _ -, the "
		    "first a letter or digit",
		    show(node->key).text, NAME_LEN_MAX);
		return false;
	}
	if (!parse_is_kind(parse, node, YAML_SCALAR, "labels"))
		return false;
	if (strlen(node->text) > POLICY_VALUE_MAX) {
		FAULT(parse, node, "labels: the value of '%s' is longer than %d bytes", node->key, POLICY_VALUE_MAX);
		return false;
	}
	label->key = arena_text(&parse->policy->arena, node->key, strlen(node->key));
	label->value = arena_text(&parse->policy->arena, node->text, strlen(node->text));
	if (label->key == NULL || label->value == NULL)
		parse_out_of_memory(parse);
	return label->key && label->value;
}

bool
parse_labels(struct parse *parse, const struct yaml *node, const struct policy_label **labels, size_t *count)
{
	struct policy_label *at;
	size_t good = 0;

	if (!parse_is_kind(parse, node, YAML_MAP, "labels"))
		return false;
	if (node->count == 0 || node->count > POLICY_LABELS_MAX) {
		FAULT(parse, node, "labels: %zu stand here; from 1 to %d are allowed", node->count, POLICY_LABELS_MAX);
		return false;
	}
	at = arena_array(&parse->policy->arena, node->count, sizeof *at);
	if (at == NULL) {
		parse_out_of_memory(parse);
		return false;
	}
	for (const struct yaml *label = node->first; label; label = label->next)
		good += parse_label(parse, label, &at[good]);
	*labels = at;
	*count = good;
	return good == node->count;
}
