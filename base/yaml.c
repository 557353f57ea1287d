/* SPDX-License-Identifier: Apache-2.0
 *
 * The strict YAML loader (base/yaml.h): libyaml's events into a tree. Whatever of YAML makes a file mean something else than it
 * says to a reader (aliases, tags, merge keys, implicit types, a second document) is a fault.
 */
#include "base/yaml.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/auto.h"
#include "base/text.h"

/* Nodes and texts in the order of their making, freed together. */
struct piece {
	struct piece *next;
	_Alignas(max_align_t) char bytes[];
};

struct yaml_file {
	char *name;
	struct piece *pieces;
	struct yaml *root;
	size_t nodes;
};

/* A list or map that is not closed yet. */
struct open_node {
	struct yaml *node;
	struct yaml *last; /* child */
	const char *key;   /* map: read, its value is not */
	unsigned key_line, key_column;
	bool skip_value; /* map: the key was no key; its value is read for its own faults only */
};

struct scan {
	struct yaml_file *file;
	struct faults *faults;
	struct open_node open[YAML_DEPTH_MAX];
	size_t depth;
	unsigned documents;
	bool over; /* nothing after this can be trusted */
};

static void *
piece_new(struct scan *scan, size_t size)
{
	struct piece *piece = calloc(1, sizeof *piece + size);

	if (piece == NULL) {
		faults_add(scan->faults, scan->file->name, 0, 0, "out of memory");
		scan->over = true;
		return NULL;
	}
	piece->next = scan->file->pieces;
	scan->file->pieces = piece;
	return piece->bytes;
}

static const char *
text_new(struct scan *scan, const char *text, size_t length)
{
	char *copy = piece_new(scan, length + 1);

	if (copy)
		memcpy(copy, text, length);
	return copy;
}

#define LINE(mark)   ((unsigned)(mark).line + 1)
#define COLUMN(mark) ((unsigned)(mark).column + 1)
#define FAULT_AT(scan, event, ...) \
	faults_add(                \
	    (scan)->faults, (scan)->file->name, LINE((event)->start_mark), COLUMN((event)->start_mark), __VA_ARGS__)

/* ---- the tree ---- */

static int
by_key(const void *a, const void *b)
{
	const struct yaml *x = *(const struct yaml *const *)a, *y = *(const struct yaml *const *)b;
	int order = strcmp(x->key, y->key);

	if (order != 0)
		return order;
	if (x->key_line != y->key_line)
		return x->key_line < y->key_line ? -1 : 1;
	return x->key_column < y->key_column ? -1 : x->key_column > y->key_column;
}

static void
refuse_duplicates(struct scan *scan, const struct yaml *map)
{
	AUTO_FREE const struct yaml **children = map->count > 1 ? calloc(map->count, sizeof(struct yaml *)) : NULL;
	size_t count = 0;

	if (map->count < 2)
		return;
	if (children == NULL) {
		faults_add(scan->faults, scan->file->name, 0, 0, "out of memory");
		return;
	}
	for (const struct yaml *child = map->first; child; child = child->next)
		children[count++] = child;
	qsort(children, count, sizeof(struct yaml *), by_key);
	for (size_t i = 1; i < count; i++)
		if (strcmp(children[i - 1]->key, children[i]->key) == 0)
			faults_add(scan->faults, scan->file->name, children[i]->key_line, children[i]->key_column,
			    "'%s' stands here a second time (first in line %u); each key may stand once",
			    children[i]->key, children[i - 1]->key_line);
}

/* Puts the node where it belongs: under the innermost open list or map, or as the root. */
static void
place(struct scan *scan, struct yaml *node)
{
	struct open_node *parent = scan->depth ? &scan->open[scan->depth - 1] : NULL;

	if (parent == NULL) {
		scan->file->root = node;
		return;
	}
	if (parent->node->kind == YAML_MAP) {
		node->key = parent->key;
		node->key_line = parent->key_line;
		node->key_column = parent->key_column;
		parent->key = NULL;
		if (parent->skip_value) {
			parent->skip_value = false;
			return;
		}
	}
	if (parent->last)
		parent->last->next = node;
	else
		parent->node->first = node;
	parent->last = node;
	parent->node->count++;
}

static struct yaml *
node_new(struct scan *scan, const yaml_event_t *event, enum yaml_kind kind)
{
	struct yaml *node;

	if (++scan->file->nodes > YAML_NODES_MAX) {
		FAULT_AT(scan, event, "more than %d values in one file; split it", YAML_NODES_MAX);
		scan->over = true;
		return NULL;
	}
	node = piece_new(scan, sizeof *node);
	if (node == NULL)
		return NULL;
	node->kind = kind;
	node->line = LINE(event->start_mark);
	node->column = COLUMN(event->start_mark);
	return node;
}

static void
open_container(struct scan *scan, const yaml_event_t *event, enum yaml_kind kind)
{
	struct open_node *parent = scan->depth ? &scan->open[scan->depth - 1] : NULL;
	struct yaml *node;

	if (parent && parent->node->kind == YAML_MAP && parent->key == NULL) {
		FAULT_AT(scan, event, "a list or map cannot be a key; a key is a plain word");
		scan->over = true;
		return;
	}
	if (scan->depth == YAML_DEPTH_MAX) {
		FAULT_AT(scan, event, "nested deeper than %d levels", YAML_DEPTH_MAX);
		scan->over = true;
		return;
	}
	node = node_new(scan, event, kind);
	if (node == NULL)
		return;
	place(scan, node);
	scan->open[scan->depth++] = (struct open_node){.node = node};
}

static void
close_container(struct scan *scan)
{
	const struct yaml *node = scan->open[--scan->depth].node;

	assert(node != NULL);
	if (node->kind == YAML_MAP)
		refuse_duplicates(scan, node);
}

static void
take_key(struct scan *scan, const yaml_event_t *event)
{
	struct open_node *map = &scan->open[scan->depth - 1];
	const char *text = (const char *)event->data.scalar.value;

	map->key = text_new(scan, text, event->data.scalar.length);
	map->key_line = LINE(event->start_mark);
	map->key_column = COLUMN(event->start_mark);
	if (event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE) {
		FAULT_AT(scan, event, "the key '%s' is quoted; a key is a plain word", text);
		map->skip_value = true;
	} else if (strcmp(text, "<<") == 0) {
		FAULT_AT(scan, event, "merge keys ('<<') are not allowed; write the values out");
		map->skip_value = true;
	} else if (event->data.scalar.length == 0) {
		FAULT_AT(scan, event, "a key is missing before ':'");
		map->skip_value = true;
	}
}

static void
take_scalar(struct scan *scan, const yaml_event_t *event)
{
	const struct open_node *parent = scan->depth ? &scan->open[scan->depth - 1] : NULL;
	struct yaml *node;

	if (strlen((const char *)event->data.scalar.value) != event->data.scalar.length) {
		FAULT_AT(scan, event, "a NUL character is not allowed");
		scan->over = true;
		return;
	}
	if (parent && parent->node->kind == YAML_MAP && parent->key == NULL) {
		take_key(scan, event);
		return;
	}
	node = node_new(scan, event, YAML_SCALAR);
	if (node == NULL)
		return;
	node->text = text_new(scan, (const char *)event->data.scalar.value, event->data.scalar.length);
	node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
	place(scan, node);
}

/* ---- events ---- */

static void
refuse_decoration(struct scan *scan, const yaml_event_t *event, const yaml_char_t *anchor, const yaml_char_t *tag)
{
	if (anchor)
		FAULT_AT(scan, event, "the anchor '&%s' is not allowed; write the values out", (const char *)anchor);
	if (tag)
		FAULT_AT(scan, event, "the tag '%s' is not allowed; values are read as the text that they are",
		    (const char *)tag);
}

static void
begin_document(struct scan *scan, const yaml_event_t *event)
{
	if (event->data.document_start.version_directive ||
	    event->data.document_start.tag_directives.start != event->data.document_start.tag_directives.end)
		FAULT_AT(scan, event, "directives ('%%YAML', '%%TAG') are not allowed");
	if (++scan->documents > 1) {
		FAULT_AT(scan, event, "a second document begins here; a file holds one");
		scan->over = true;
	}
}

static void
take_event(struct scan *scan, const yaml_event_t *event)
{
	switch (event->type) {
	case YAML_DOCUMENT_START_EVENT:
		begin_document(scan, event);
		return;
	case YAML_ALIAS_EVENT:
		FAULT_AT(scan, event, "the alias '*%s' is not allowed; write the values out (quote it if it is a text)",
		    (const char *)event->data.alias.anchor);
		scan->over = true; /* it stands for a value that is not here */
		return;
	case YAML_SCALAR_EVENT:
		refuse_decoration(scan, event, event->data.scalar.anchor, event->data.scalar.tag);
		take_scalar(scan, event);
		return;
	case YAML_SEQUENCE_START_EVENT:
		refuse_decoration(scan, event, event->data.sequence_start.anchor, event->data.sequence_start.tag);
		open_container(scan, event, YAML_LIST);
		return;
	case YAML_MAPPING_START_EVENT:
		refuse_decoration(scan, event, event->data.mapping_start.anchor, event->data.mapping_start.tag);
		open_container(scan, event, YAML_MAP);
		return;
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		close_container(scan);
		return;
	case YAML_STREAM_END_EVENT:
		scan->over = true;
		return;
	case YAML_NO_EVENT:
	case YAML_STREAM_START_EVENT:
	case YAML_DOCUMENT_END_EVENT:
		return;
	}
}

/* The line and column of a byte. */
static void
place_of(const char *text, size_t at, unsigned *line, unsigned *column)
{
	*line = *column = 1;
	for (size_t i = 0; i < at; i++) {
		*column = text[i] == '\n' ? 1 : *column + 1;
		*line += text[i] == '\n';
	}
}

/* What mends it, where libyaml's words do not tell, or "". */
static const char *
mend(const char *problem)
{
	static const struct {
		const char *problem, *mend;
	} known[] = {
	    {"found character that cannot start any token",
		"; indent with spaces and not with tabs, and quote a text that begins with a character such as @ or %"},
	    {"mapping values are not allowed in this context", "; quote a text that has ': ' in it"},
	    {"did not find expected alphabetic or numeric character", "; quote a text that begins with '*' or '&'"},
	    {"did not find expected '-' indicator", "; the lines of one list or map begin in the same column"},
	    {"did not find expected key", "; the lines of one list or map begin in the same column"},
	    {"did not find expected node content", "; a name or value is missing here"},
	    {"found unexpected end of stream", "; the closing quote is missing"},
	};

	for (size_t i = 0; i < ARRAY_LENGTH(known); i++)
		if (strcmp(problem, known[i].problem) == 0)
			return known[i].mend;
	return "";
}

static void
say_syntax_error(struct scan *scan, const yaml_parser_t *parser, const char *text, size_t length)
{
	const char *problem = parser->problem ? parser->problem : "not well-formed YAML";
	unsigned line = LINE(parser->problem_mark), column = COLUMN(parser->problem_mark);

	if (parser->error == YAML_MEMORY_ERROR) {
		faults_add(scan->faults, scan->file->name, 0, 0, "out of memory");
	} else if (parser->error == YAML_READER_ERROR) { /* which reads ahead, and has no mark */
		place_of(text, parser->problem_offset < length ? parser->problem_offset : length, &line, &column);
		faults_add(scan->faults, scan->file->name, line, column, "%s; in a quoted text write \"\\x07\" for one",
		    problem);
	} else if (parser->context) {
		faults_add(scan->faults, scan->file->name, line, column, "%s (%s, which began in line %zu)%s", problem,
		    parser->context, parser->context_mark.line + 1, mend(problem));
	} else {
		faults_add(scan->faults, scan->file->name, line, column, "%s%s", problem, mend(problem));
	}
}

static void
scan_all(struct scan *scan, const char *text, size_t length)
{
	yaml_parser_t parser;
	yaml_event_t event;

	if (!yaml_parser_initialize(&parser)) {
		faults_add(scan->faults, scan->file->name, 0, 0, "out of memory");
		return;
	}
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, length);
	while (!scan->over) {
		if (!yaml_parser_parse(&parser, &event)) {
			say_syntax_error(scan, &parser, text, length);
			break;
		}
		take_event(scan, &event);
		yaml_event_delete(&event);
	}
	yaml_parser_delete(&parser);
}

/* The place of the first byte that is not UTF-8. */
static void
say_not_utf8(struct scan *scan, const char *text, size_t length)
{
	size_t good = 0, bad = length;
	unsigned line, column;

	while (good + 1 < bad) { /* the longest good beginning; one that is cut inside a character is not good */
		size_t middle = good + (bad - good) / 2, cut = middle;

		while (cut > good && ((unsigned char)text[cut] & 0xc0) == 0x80)
			cut--;
		if (is_utf8(text, cut))
			good = middle;
		else
			bad = middle;
	}
	place_of(text, good, &line, &column);
	faults_add(scan->faults, scan->file->name, line, column,
	    "here or in the next bytes the file is not UTF-8; save it as UTF-8");
}

struct yaml_file *
yaml_parse(const char *name, const char *text, size_t length, struct faults *faults)
{
	size_t before = faults->count;
	struct scan scan = {.faults = faults, .file = calloc(1, sizeof *scan.file)};

	if (scan.file == NULL || (scan.file->name = strdup(name)) == NULL) {
		faults_add(faults, name, 0, 0, "out of memory");
		yaml_free(scan.file);
		return NULL;
	}
	if (length > YAML_FILE_MAX)
		faults_add(faults, name, 0, 0, "the file is larger than %zu bytes; split it", YAML_FILE_MAX);
	else if (!is_utf8(text, length))
		say_not_utf8(&scan, text, length);
	else
		scan_all(&scan, text, length);
	if (faults->count == before && scan.file->root == NULL) {
		scan.file->root = piece_new(&scan, sizeof *scan.file->root);
		if (scan.file->root)
			*scan.file->root = (struct yaml){.kind = YAML_MAP, .line = 1, .column = 1};
	}
	if (faults->count == before)
		return scan.file;
	yaml_free(scan.file);
	return NULL;
}

void
yaml_free(struct yaml_file *file)
{
	if (file == NULL)
		return;
	while (file->pieces) {
		struct piece *piece = file->pieces;

		file->pieces = piece->next;
		free(piece);
	}
	free(file->name);
	free(file);
}

const struct yaml *
yaml_root(const struct yaml_file *file)
{
	return file->root;
}

const char *
yaml_name(const struct yaml_file *file)
{
	return file->name;
}

const struct yaml *
yaml_find(const struct yaml *map, const char *key)
{
	if (map->kind != YAML_MAP)
		return NULL;
	for (const struct yaml *child = map->first; child; child = child->next)
		if (strcmp(child->key, key) == 0)
			return child;
	return NULL;
}

static void
list_words(const char *const *words, char *text, size_t room)
{
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; words[i] && used < room; i++)
		used += (size_t)snprintf(text + used, room - used, "%s%s", i ? ", " : "", words[i]);
}

void
yaml_allow_keys(const struct yaml_file *file, const struct yaml *map, const char *const *keys, struct faults *faults)
{
	char allowed[512];

	list_words(keys, allowed, sizeof allowed);
	for (const struct yaml *child = map->kind == YAML_MAP ? map->first : NULL; child; child = child->next) {
		const char *near;
		bool known = false;

		for (size_t i = 0; keys[i] && !known; i++)
			known = strcmp(keys[i], child->key) == 0;
		if (known)
			continue;
		near = nearest_word(child->key, keys);
		if (near)
			faults_add(faults, file->name, child->key_line, child->key_column,
			    "'%s' is not known here; did you mean '%s'? Allowed: %s", child->key, near, allowed);
		else
			faults_add(faults, file->name, child->key_line, child->key_column,
			    "'%s' is not known here; allowed: %s", child->key, allowed);
	}
}
