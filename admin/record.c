/* SPDX-License-Identifier: Apache-2.0
 *
 * Records of the audit trail as people see them. Nothing is escaped here: who prints does that.
 */
#include "admin/admin.h"

#include <stdio.h>

const char *
record_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

void
record_texts(const json_t *record, struct record_texts *texts)
{
	const json_t *principal = json_object_get(record, "principal"), *seq = json_object_get(record, "seq");
	const char *host = record_text(principal, "host"), *vm = record_text(principal, "vm"),
		   *name = record_text(principal, "admin");

	*texts = (struct record_texts){.event = record_text(record, "event"),
	    .share = record_text(record, "share"),
	    .reason = record_text(record, "reason"),
	    .rule = record_text(record, "rule")};
	if (json_is_integer(seq))
		snprintf(texts->seq, sizeof texts->seq, "%" JSON_INTEGER_FORMAT, json_integer_value(seq));
	snprintf(texts->time, sizeof texts->time, "%.19s", record_text(record, "ts"));
	snprintf(texts->who, sizeof texts->who, "%s%s%s%s%s", vm, vm[0] && host[0] ? " on " : "", host,
	    (vm[0] || host[0]) && name[0] ? ", " : "", name);
}
