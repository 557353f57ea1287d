/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of reasons (authz/reason.def) by number and by name.
 */
#include "authz/reason.h"

#include <stddef.h>
#include <string.h>

struct reason_row {
	uint16_t number, wire;
	const char *name, *sentence;
};

static const struct reason_row rows[] = {
#define REASON(number, symbol, name, wire, sentence) {(number), REASON_##wire, (name), (sentence)},
#include "authz/reason.def"
#undef REASON
};

#define ROW_COUNT (sizeof rows / sizeof rows[0])

/* The numbers are small and dense today, but a table that has lost a row must still be found right. */
static const struct reason_row *
find(uint16_t reason)
{
	for (size_t i = 0; i < ROW_COUNT; i++)
		if (rows[i].number == reason)
			return &rows[i];
	return NULL;
}

const char *
reason_name(uint16_t reason)
{
	const struct reason_row *row = find(reason);

	return row ? row->name : "unknown";
}

const char *
reason_sentence(uint16_t reason)
{
	const struct reason_row *row = find(reason);

	return row ? row->sentence : "a reason that this version does not know";
}

uint16_t
reason_on_wire(uint16_t reason)
{
	const struct reason_row *row = find(reason);

	return row ? row->wire : REASON_REFUSED;
}

/* None that somebody decided, here or there, and none that says who is wrong. */
static const uint16_t healing[] = {
    REASON_AUDIT_UNAVAILABLE,
    REASON_STATE_UNAVAILABLE,
    REASON_SESSION_LOST,
    REASON_STOPPING,
    REASON_ORPHANED,
    REASON_UNREACHABLE,
    REASON_UNAVAILABLE,
    REASON_TIMED_OUT,
    REASON_TLS_FAILED,
    REASON_SILENT,
};

bool
reason_heals(uint16_t reason)
{
	for (size_t i = 0; i < sizeof healing / sizeof healing[0]; i++)
		if (healing[i] == reason)
			return true;
	return false;
}

uint16_t
reason_find(const char *name)
{
	for (size_t i = 0; i < ROW_COUNT; i++)
		if (strcmp(rows[i].name, name) == 0)
			return rows[i].number;
	return 0;
}
