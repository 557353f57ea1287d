/* SPDX-License-Identifier: Apache-2.0
 *
 * The loader from the inside: one file's YAML tree into the policy that is being made (policy/rules.h).
 *
 * Every function adds a fault for what is wrong and goes on where it can, so that one load tells all. Functions that
 * return bool or a pointer give false or NULL when they added one.
 */
#ifndef NETBUS_POLICY_PARSE_H
#define NETBUS_POLICY_PARSE_H

#include "base/yaml.h"
#include "policy/rules.h"

/* The sets of one kind in one file: their names, and by the name's number the selector. */
struct sets {
	struct atoms names;
	struct set **at;
	size_t room;
};

struct parse {
	struct policy *policy;
	struct faults *faults;
	const struct yaml_file *yaml;
	const char *file;   /* its name, in the arena */
	const char *tenant; /* or NULL: an operator's file, tenant "*" */
	struct sets sets[DIMENSIONS];
	const struct selector **everything; /* by dimension: what an omitted selector means; in the arena */
	uint32_t stamp;                     /* of the union of sets that is being made */
};

/* A name or glob as it stands in a selector, with its tenant. */
struct scoped_name {
	char text[QUALIFIED_LEN_MAX + 1];
	bool any; /* "*" that means everything; `text` is empty */
};

/* ---- values (policy/parse_value.c) ---- */

#define FAULT(parse, node, ...) faults_add((parse)->faults, (parse)->file, (node)->line, (node)->column, __VA_ARGS__)

/* Text of a file as it can be shown: escaped and cut. */
struct shown {
	char text[96];
};
struct shown show(const char *text);

void parse_out_of_memory(struct parse *parse);
bool parse_is_kind(struct parse *parse, const struct yaml *node, enum yaml_kind kind, const char *what);
/* The number of the word in the NULL-terminated list, or -1. */
int parse_word(struct parse *parse, const struct yaml *node, const char *what, const char *const *words);
/* A name of base/name.h, copied into the arena. */
const char *parse_name(struct parse *parse, const struct yaml *node, const char *what);
/* {key: value} of a share set or a test. */
bool parse_labels(struct parse *parse, const struct yaml *node, const struct policy_label **labels, size_t *count);
extern const char *const share_classes[];

/* ---- names and sets (policy/parse_name.c, policy/parse_selector.c, policy/parse_set.c) ---- */

extern const char *const dimension_words[DIMENSIONS]; /* "share" */
extern const char *const section_words[DIMENSIONS];   /* "shares" */

bool parse_scoped_name(
    struct parse *parse, const struct yaml *node, enum dimension dimension, struct scoped_name *name);
/* One exact name, no glob, with its tenant; copied. For tests. */
const char *parse_exact_name(struct parse *parse, const struct yaml *node, enum dimension dimension);

/* A selector that is being made. */
struct filling {
	struct selector *selector;
	uint32_t *atoms;
	struct glob *globs;
};

/* `members`: the most that selector_add() will be called for. */
bool selector_begin(struct parse *parse, enum dimension dimension, size_t members, struct filling *filling);
bool selector_add(
    struct parse *parse, enum dimension dimension, const struct scoped_name *name, struct filling *filling);
void selector_end(struct filling *filling);
/* The members of a list (or the one that stands alone): sets as sets, all else into one selector. `self` (or NULL) is the set that is made; its own name
 * in it is a name. The parts are not known yet. */
bool parse_members(struct parse *parse, const struct yaml *node, enum dimension dimension, const struct set *self,
    struct selection *selection);
/* All sets that are named and those in them, which must be closed, each once. */
bool selection_sets(struct parse *parse, const struct yaml *node, enum dimension dimension,
    const struct selection *selection, struct set *sets[static POLICY_UNION_MAX], size_t *count);
/* Makes the parts from these sets and what is the selection's own. */
bool selection_unite(struct parse *parse, struct set *const *sets, size_t count, struct selection *selection);
/* Not more members than a set or list may have. */
bool parse_member_count(struct parse *parse, const struct yaml *list, const char *what);

/* The set of this file that a value names, or NULL. */
struct set *parse_find_set(const struct parse *parse, enum dimension dimension, const struct yaml *node);
/* Makes what an omitted selector means in this file. */
bool parse_everything(struct parse *parse);
void parse_sets(struct parse *parse, const struct yaml *section, enum dimension dimension);
/* The hosts, vms and shares of a rule or limit. */
bool parse_scope(struct parse *parse, const struct yaml *map, struct scope *scope);

/* ---- sections ---- */

bool parse_verbs(struct parse *parse, const struct yaml *node, uint8_t *verbs);
const struct when *parse_when(struct parse *parse, const struct yaml *node);
void parse_rules(struct parse *parse, const struct yaml *section);
void parse_limits(struct parse *parse, const struct yaml *section);
void parse_tests(struct parse *parse, const struct yaml *section);
/* One file; its yaml tree is not needed afterwards. */
void parse_policy_file(struct policy *policy, const struct policy_file *file, struct faults *faults);

#endif
