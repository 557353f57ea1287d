/* SPDX-License-Identifier: Apache-2.0
 *
 * Values in a policy's canonical form (policy/print.h).
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "policy/print_parts.h"

static void
append(struct printing *printing, const char *text, size_t length)
{
	if (printing->code == 0)
		printing->code = buffer_append(printing->out, text, length);
}

void
say(struct printing *printing, const char *format, ...)
{
	char text[512]; /* pieces are words, names and numbers */
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	append(printing, text, (size_t)length);
}

void
say_key(struct printing *printing, const char *key)
{
	say(printing, "%s%s: ", printing->first ? "" : ", ", key);
	printing->first = false;
}

/* ---- texts ---- */

/* Nothing in a name, or in tenant/name, means anything to YAML. */
static bool
is_plain(const char *text)
{
	static const char bytes[] = "abcdefghijklmnopqrstuvwxyz0123456789._-/";

	return strchr("._-/", *text) == NULL && text[strspn(text, bytes)] == '\0';
}

/* One character of well-formed UTF-8 from *text on. */
static unsigned
take_character(const char **text)
{
	const unsigned char *at = (const unsigned char *)*text;
	unsigned more = at[0] < 0xc0 ? 0 : at[0] < 0xe0 ? 1 : at[0] < 0xf0 ? 2 : 3;
	unsigned character = more ? at[0] & (0x3fu >> more) : at[0];

	for (unsigned i = 1; i <= more && at[i]; i++)
		character = character << 6 | (at[i] & 0x3f);
	*text += more + 1;
	return character;
}

void
say_text(struct printing *printing, const char *text)
{
	if (is_plain(text)) {
		say(printing, "%s", text);
		return;
	}
	say(printing, "\"");
	while (*text) {
		unsigned character = take_character(&text);

		if (character == '"' || character == '\\')
			say(printing, "\\%c", (char)character);
		else if (character >= 0x20 && character < 0x7f)
			say(printing, "%c", (char)character);
		else
			say(printing, "\\U%08X", character);
	}
	say(printing, "\"");
}

/* ---- numbers ---- */

struct unit {
	const char *name;
	uint64_t size;
};

/* Of the last unit every number is a multiple: durations are read in whole milliseconds. */
static void
say_in_units(struct printing *printing, uint64_t number, const struct unit *units, uint64_t least)
{
	while (number % units->size && units->size > least)
		units++;
	say(printing, "%llu%s", (unsigned long long)(number / units->size), units->name);
}

void
say_duration(struct printing *printing, int64_t us)
{
	static const struct unit units[] = {
	    {"d", UINT64_C(86400000000)}, {"h", UINT64_C(3600000000)}, {"m", 60000000}, {"s", 1000000}, {"ms", 1000}};

	say_in_units(printing, (uint64_t)us, units, 1000);
}

void
say_size(struct printing *printing, uint64_t bytes)
{
	static const struct unit units[] = {{"TiB", UINT64_C(1) << 40}, {"GiB", UINT64_C(1) << 30},
	    {"MiB", UINT64_C(1) << 20}, {"KiB", UINT64_C(1) << 10}, {"", 1}};

	say_in_units(printing, bytes, units, 1);
}

/* ---- labels ---- */

static int
by_key(const void *a, const void *b)
{
	return strcmp(((const struct policy_label *)a)->key, ((const struct policy_label *)b)->key);
}

void
say_labels(struct printing *printing, const struct policy_label *labels, size_t count)
{
	struct policy_label sorted[POLICY_LABELS_MAX];

	memcpy(sorted, labels, count * sizeof *labels);
	qsort(sorted, count, sizeof *sorted, by_key);
	say(printing, "{");
	for (size_t i = 0; i < count; i++) {
		say(printing, "%s%s: ", i ? ", " : "", sorted[i].key);
		say_text(printing, sorted[i].value);
	}
	say(printing, "}");
}
