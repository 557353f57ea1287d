/* SPDX-License-Identifier: Apache-2.0
 *
 * Strict YAML (on libyaml's event layer) into a small tree that remembers where everything stood.
 *
 * Refused with file:line:col: invalid UTF-8, anchors, aliases, tags, merge keys ("<<"), directives, a second document,
 * duplicate keys, keys that are not plain scalars, files over 1 MiB, nesting over 8, more than 200 000 nodes.
 * Nothing is typed implicitly: every scalar is text, and whether it was quoted is remembered.
 *
 * All faults of a file are reported through a `struct faults` list, not only the first; scanning stops at the first
 * syntax error of libyaml itself, since nothing after it can be trusted.
 */
#ifndef NETBUS_BASE_YAML_H
#define NETBUS_BASE_YAML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define YAML_FILE_MAX  ((size_t)1 << 20)
#define YAML_DEPTH_MAX 8
#define YAML_NODES_MAX 200000

enum yaml_kind { YAML_SCALAR, YAML_LIST, YAML_MAP };

struct yaml {
	enum yaml_kind kind;
	unsigned line, column; /* from 1 */
	const char *text;      /* scalar: its value */
	bool quoted;           /* scalar: '...' or "..." or block */
	const char *key;       /* this node's key in its map, or NULL */
	unsigned key_line, key_column;
	struct yaml *first, *next; /* children in file order */
	size_t count;              /* of children */
};

/* A list of everything that is wrong with a set of files. */
struct fault {
	char *text; /* "file:line:col: what, why, what is allowed" */
	struct fault *next;
};

struct faults {
	struct fault *first, **last;
	size_t count;
};

void faults_init(struct faults *faults);
void faults_clear(struct faults *faults);
/* `line` 0 leaves the position out. */
void faults_add(struct faults *faults, const char *file, unsigned line, unsigned column, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

struct yaml_file; /* owns the text and all nodes */

/* Parses `text` (which need not be terminated; may hold any bytes). `name` is shown in faults, copied. Returns NULL
 * when anything was added to `faults`. An empty document gives a root of kind YAML_MAP without children. */
struct yaml_file *yaml_parse(const char *name, const char *text, size_t length, struct faults *faults);
/* Not for other objects: libyaml has a function of this name of its own, which must not become this one. */
void yaml_free(struct yaml_file *file) __attribute__((visibility("hidden")));
const struct yaml *yaml_root(const struct yaml_file *file);
const char *yaml_name(const struct yaml_file *file);

/* The child of a map with this key, or NULL. */
const struct yaml *yaml_find(const struct yaml *map, const char *key);
/* Adds a fault for each key that is not in the NULL-terminated list, with the nearest valid one suggested. */
void yaml_allow_keys(
    const struct yaml_file *file, const struct yaml *map, const char *const *keys, struct faults *faults);

#endif
