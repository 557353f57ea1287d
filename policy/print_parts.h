/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside policy/print*.c: one file's text while it is written. Errors stick: after the first nothing more is written.
 */
#ifndef NETBUS_POLICY_PRINT_PARTS_H
#define NETBUS_POLICY_PRINT_PARTS_H

#include "base/buffer.h"
#include "policy/rules.h"

struct printing {
	const struct policy *policy;
	const struct source *source;
	struct buffer *out;
	int code;   /* 0, or the first error */
	bool first; /* no key of this {...} stands yet */
};

void say(struct printing *printing, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* ", key: " or "key: ". */
void say_key(struct printing *printing, const char *key);
/* As it must be quoted to be read as this text. */
void say_text(struct printing *printing, const char *text);
/* In the largest unit of which it is a whole number. */
void say_duration(struct printing *printing, int64_t us);
void say_size(struct printing *printing, uint64_t bytes);
/* "{kind: storage}", by key. */
void say_labels(struct printing *printing, const struct policy_label *labels, size_t count);

/* The name without the file's tenant, unless it would then be a set's. `is_set_possible`: where names of sets may stand. */
void say_name(struct printing *printing, enum dimension d, const char *name, bool is_set_possible);
/* "[rack1, m9, "node-*"]" */
void say_selection(struct printing *printing, enum dimension d, const struct selection *selection);
/* hosts, vms and shares, as far as they are given. */
void say_scope(struct printing *printing, const struct scope *scope);
void say_sets(struct printing *printing, enum dimension d);

#endif
