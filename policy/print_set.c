/* SPDX-License-Identifier: Apache-2.0
 *
 * Names, selectors and sets in a policy's canonical form (policy/print.h).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "policy/parse.h"
#include "policy/print_parts.h"

/* As people write them. */
static const enum dimension in_order[DIMENSIONS] = {BY_HOST, BY_VM, BY_SHARE};

static int
by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool
is_set(const struct source *source, enum dimension d, const char *name)
{
	for (size_t i = 0; i < source->set_count[d]; i++)
		if (strcmp(source->sets[d][i]->name, name) == 0)
			return true;
	return false;
}

void
say_name(struct printing *printing, enum dimension d, const char *name, bool is_set_possible)
{
	const struct source *source = printing->source;
	const char *local = source->tenant && d != BY_HOST ? name + strlen(source->tenant) + 1 : name;

	if (local != name && is_set_possible && is_set(source, d, local))
		local = name;
	say_text(printing, local);
}

/* ---- members ---- */

struct texts {
	const char **at; /* owned */
	size_t count;
};

static void
texts_clear(struct texts *texts)
{
	free(texts->at);
}

static size_t
member_count(const struct selection *selection)
{
	const struct selector *own = selection->own;

	return selection->set_count + (own ? own->atom_count + own->glob_count : 0);
}

/* Texts from `from` on in order, each once. */
static void
put_in_order(struct texts *texts, size_t from)
{
	size_t kept = from;

	if (texts->count - from < 2)
		return;
	qsort(texts->at + from, texts->count - from, sizeof *texts->at, by_text);
	for (size_t i = from; i < texts->count; i++)
		if (i == from || strcmp(texts->at[i], texts->at[kept - 1]) != 0)
			texts->at[kept++] = texts->at[i];
	texts->count = kept;
}

void
say_selection(struct printing *printing, enum dimension d, const struct selection *selection)
{
	const struct selector *own = selection->own;
	AUTO(texts_clear) struct texts texts = {.at = calloc(member_count(selection) + 1, sizeof *texts.at)};
	size_t sets;

	if (texts.at == NULL) {
		printing->code = printing->code ?: -ENOMEM;
		return;
	}
	for (size_t i = 0; i < selection->set_count; i++)
		texts.at[texts.count++] = selection->sets[i]->name;
	put_in_order(&texts, 0);
	sets = texts.count;
	for (size_t i = 0; own && i < own->atom_count; i++)
		texts.at[texts.count++] = printing->policy->names[d].at[own->atoms[i]].text;
	for (size_t i = 0; own && i < own->glob_count; i++)
		texts.at[texts.count++] = own->globs[i].text;
	put_in_order(&texts, sets);
	say(printing, "[%s", own && own->any ? "\"*\"" : "");
	for (size_t i = 0; i < texts.count; i++) {
		say(printing, i || (own && own->any) ? ", " : "");
		if (i < sets)
			say(printing, "%s", texts.at[i]);
		else
			say_name(printing, d, texts.at[i], true);
	}
	say(printing, "]");
}

void
say_scope(struct printing *printing, const struct scope *scope)
{
	for (size_t i = 0; i < DIMENSIONS; i++) {
		enum dimension d = in_order[i];

		if (scope->of[d].own == printing->source->everything[d])
			continue;
		say_key(printing, section_words[d]);
		say_selection(printing, d, &scope->of[d]);
	}
}

/* ---- sets ---- */

static int
by_name(const void *a, const void *b)
{
	return strcmp((*(struct set *const *)a)->name, (*(struct set *const *)b)->name);
}

static void
say_traits(struct printing *printing, const struct traits *traits)
{
	say(printing, "{");
	printing->first = true;
	if (traits->class) {
		say_key(printing, "class");
		say(printing, "%s", traits->class);
	}
	if (traits->label_count) {
		say_key(printing, "labels");
		say_labels(printing, traits->labels, traits->label_count);
	}
	say(printing, "}");
}

void
say_sets(struct printing *printing, enum dimension d)
{
	size_t count = printing->source->set_count[d];
	AUTO_FREE struct set **sets = calloc(count + 1, sizeof *sets);

	if (count == 0)
		return;
	if (sets == NULL) {
		printing->code = printing->code ?: -ENOMEM;
		return;
	}
	memcpy(sets, printing->source->sets[d], count * sizeof *sets);
	qsort(sets, count, sizeof *sets, by_name);
	say(printing, "%s:\n", section_words[d]);
	for (size_t i = 0; i < count; i++) {
		say(printing, "  %s: ", sets[i]->name);
		if (sets[i]->members.own && sets[i]->members.own->traits)
			say_traits(printing, sets[i]->members.own->traits);
		else
			say_selection(printing, d, &sets[i]->members);
		say(printing, "\n");
	}
}
