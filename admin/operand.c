/* SPDX-License-Identifier: Apache-2.0
 *
 * Operands and option values of verbs, checked before anything is asked of the broker, so that a typing error is a usage
 * error with the rule that it breaks.
 */
#include "admin/admin.h"

#include <stdio.h>
#include <string.h>

#include "base/name.h"
#include "base/text.h"

int
operand_name(struct admin *admin, const char *what, const char *text, char name[static 64])
{
	struct name parsed;
	struct error error;

	_Static_assert(sizeof parsed.text == 64, "the room that callers give");
	if (text == NULL)
		return 0;
	if (name_parse(text, what, &parsed, &error) < 0)
		return verb_usage(admin, "%s", error.text);
	memcpy(name, parsed.text, sizeof parsed.text);
	return 0;
}

int
operand_qualified(struct admin *admin, const char *what, const char *text, char name[static 128])
{
	struct qualified parsed;
	struct error error;

	_Static_assert(sizeof parsed.text == 128, "the room that callers give");
	if (text == NULL)
		return 0;
	if (qualified_parse(text, what, &parsed, &error) < 0)
		return verb_usage(admin, "%s", error.text);
	memcpy(name, parsed.text, sizeof parsed.text);
	return 0;
}

int
operand_mode(struct admin *admin, const char *text, uint8_t *mode)
{
	if (text == NULL)
		return 0;
	if (strcmp(text, "ro") != 0 && strcmp(text, "rw") != 0)
		return verb_usage(admin, "--mode '%s' is no mode; ro (read) and rw (read and write) are", text);
	*mode = strcmp(text, "rw") == 0;
	return 0;
}

int
operand_number(struct admin *admin, const char *what, const char *text, uint64_t least, uint64_t most, uint64_t *number)
{
	struct error error;

	if (text == NULL)
		return 0;
	if (parse_number(text, least, most, number, &error) < 0)
		return verb_usage(admin, "%s: %s", what, error.text);
	return 0;
}

int
operand_duration(struct admin *admin, const char *what, const char *text, uint64_t most_us, uint64_t *us)
{
	char most[DURATION_TEXT_LEN];
	struct error error;
	int64_t parsed;

	if (text == NULL)
		return 0;
	if (parse_duration(text, &parsed, &error) < 0)
		return verb_usage(admin, "%s: %s", what, error.text);
	print_duration((int64_t)most_us, most);
	if (parsed <= 0 || (uint64_t)parsed > most_us)
		return verb_usage(
		    admin, "%s: %s is out of range; more than nothing and at most %s is allowed", what, text, most);
	*us = (uint64_t)parsed;
	return 0;
}

int
operand_reason(struct admin *admin, char *reason, size_t room)
{
	if (admin->reason[0] == '\0')
		return verb_usage(admin, "--reason is missing: the audit trail shall say why");
	snprintf(reason, room, "%s", admin->reason);
	return 0;
}
