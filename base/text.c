/* SPDX-License-Identifier: Apache-2.0
 *
 * Text in and out (base/text.h).
 */
#include "base/text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/auto.h"

/* ---- numbers with units ---- */

/* The digits at the start of `text`; *end is after them. False when there are none or they pass UINT64_MAX. */
static bool
leading_number(const char *text, uint64_t *number, const char **end)
{
	uint64_t value = 0;
	const char *at = text;

	for (; *at >= '0' && *at <= '9'; at++)
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*at - '0'), &value))
			return false;
	*number = value;
	*end = at;
	return at != text;
}

int
parse_number(const char *text, uint64_t least, uint64_t most, uint64_t *number, struct error *error)
{
	uint64_t value;
	const char *end;

	if (!leading_number(text, &value, &end) || *end != '\0')
		return error_set(error, -EINVAL, "'%.60s' is not a number; a whole number from %llu to %llu is", text,
		    (unsigned long long)least, (unsigned long long)most);
	if (value < least || value > most)
		return error_set(error, -ERANGE, "%.60s is out of range; from %llu to %llu is allowed", text,
		    (unsigned long long)least, (unsigned long long)most);
	*number = value;
	return 0;
}

struct unit {
	const char *name;
	uint64_t factor;
};

static const struct unit size_units[] = {{"", 1}, {"B", 1}, {"KiB", UINT64_C(1) << 10}, {"MiB", UINT64_C(1) << 20},
    {"GiB", UINT64_C(1) << 30}, {"TiB", UINT64_C(1) << 40}};
static const struct unit duration_units[] = {{"ms", 1000}, {"s", 1000000}, {"m", UINT64_C(60000000)},
    {"min", UINT64_C(60000000)}, {"h", UINT64_C(3600000000)}, {"d", UINT64_C(86400000000)}};

#define DURATION_MOST (INT64_C(3653) * 86400 * 1000000) /* ten years */

static int
parse_with_unit(const char *text, const struct unit *units, size_t count, uint64_t *value)
{
	uint64_t number;
	const char *end;

	if (!leading_number(text, &number, &end))
		return -EINVAL;
	for (size_t i = 0; i < count; i++)
		if (strcmp(end, units[i].name) == 0)
			return __builtin_mul_overflow(number, units[i].factor, value) ? -ERANGE : 0;
	return -EINVAL;
}

int
parse_size(const char *text, uint64_t *bytes, struct error *error)
{
	uint64_t value;
	int code = parse_with_unit(text, size_units, ARRAY_LENGTH(size_units), &value);

	if (code == 0 && value > INT64_MAX)
		code = -ERANGE;
	if (code < 0)
		return error_set(
		    error, code, "'%.60s' is not a size; write it like 4096, 64KiB, 200MiB, 1GiB or 2TiB", text);
	*bytes = value;
	return 0;
}

int
parse_duration(const char *text, int64_t *us, struct error *error)
{
	uint64_t value;
	int code = parse_with_unit(text, duration_units, ARRAY_LENGTH(duration_units), &value);

	if (code == 0 && value > (uint64_t)DURATION_MOST)
		code = -ERANGE;
	if (code < 0)
		return error_set(error, code,
		    "'%.60s' is not a duration; write it like 500ms, 30s, 15m, 8h or 7d (at most ten years)", text);
	*us = (int64_t)value;
	return 0;
}

void
print_size(uint64_t bytes, char text[static SIZE_TEXT_LEN])
{
	static const char *const names[] = {"", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	unsigned unit = 0;
	uint64_t whole = bytes;

	while (unit + 1 < ARRAY_LENGTH(names) && (bytes >> (10 * (unit + 1))) != 0)
		unit++;
	whole = bytes >> (10 * unit);
	if (unit == 0 || (whole << (10 * unit)) == bytes)
		snprintf(text, SIZE_TEXT_LEN, "%llu%s", (unsigned long long)whole, names[unit]);
	else
		snprintf(
		    text, SIZE_TEXT_LEN, "%.1f%s", (double)bytes / (double)(UINT64_C(1) << (10 * unit)), names[unit]);
}

void
print_duration(int64_t us, char text[static DURATION_TEXT_LEN])
{
	static const struct {
		const char *name;
		int64_t us;
	} units[] = {{"d", INT64_C(86400000000)}, {"h", INT64_C(3600000000)}, {"m", 60000000}, {"s", 1000000},
	    {"ms", 1000}, {"us", 1}};
	unsigned i = 0;
	int64_t rest;

	if (us < 0)
		us = 0;
	while (i + 1 < ARRAY_LENGTH(units) && us < units[i].us)
		i++;
	rest = us % units[i].us;
	if (i < 3 && rest >= units[i + 1].us)
		snprintf(text, DURATION_TEXT_LEN, "%lld%s %lld%s", (long long)(us / units[i].us), units[i].name,
		    (long long)(rest / units[i + 1].us), units[i + 1].name);
	else
		snprintf(text, DURATION_TEXT_LEN, "%lld%s", (long long)(us / units[i].us), units[i].name);
}

/* ---- hexadecimal ---- */

void
print_hex(const uint8_t *bytes, size_t length, char *text)
{
	static const char hex[] = "0123456789abcdef";

	for (size_t i = 0; i < length; i++) {
		text[2 * i] = hex[bytes[i] >> 4];
		text[2 * i + 1] = hex[bytes[i] & 15];
	}
	text[2 * length] = '\0';
}

static int
nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int
parse_hex(const char *text, uint8_t *bytes, size_t length)
{
	if (strlen(text) != 2 * length)
		return -EINVAL;
	for (size_t i = 0; i < 2 * length; i++)
		if (nibble(text[i]) < 0)
			return -EINVAL;
	for (size_t i = 0; i < length; i++)
		bytes[i] = (uint8_t)((unsigned)nibble(text[2 * i]) << 4 | (unsigned)nibble(text[2 * i + 1]));
	return 0;
}

/* ---- UTF-8 (RFC 3629) ---- */

/* Bytes of the well-formed sequence at `at`, or 0. */
static size_t
sequence_length(const uint8_t *at, size_t left)
{
	static const struct {
		uint8_t first, last; /* of the lead byte */
		uint8_t low, high;   /* of the second byte */
		uint8_t length;
	} forms[] = {{0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3}, {0xe1, 0xec, 0x80, 0xbf, 3},
	    {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3}, {0xf0, 0xf0, 0x90, 0xbf, 4},
	    {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4}};

	if (at[0] < 0x80)
		return 1;
	for (size_t i = 0; i < ARRAY_LENGTH(forms); i++) {
		if (at[0] < forms[i].first || at[0] > forms[i].last)
			continue;
		if (left < forms[i].length || at[1] < forms[i].low || at[1] > forms[i].high)
			return 0;
		for (size_t k = 2; k < forms[i].length; k++)
			if (at[k] < 0x80 || at[k] > 0xbf)
				return 0;
		return forms[i].length;
	}
	return 0;
}

bool
is_utf8(const char *text, size_t length)
{
	const uint8_t *at = (const uint8_t *)text;

	while (length > 0) {
		size_t step = sequence_length(at, length);

		if (step == 0)
			return false;
		at += step;
		length -= step;
	}
	return true;
}

/* C1 controls (U+0080..U+009F) are well-formed, but move a terminal's cursor. */
static bool
shows_as_it_is(const uint8_t *at, size_t step)
{
	if (step == 1)
		return at[0] >= 0x20 && at[0] < 0x7f && at[0] != '\\';
	return step > 1 && !(at[0] == 0xc2 && at[1] < 0xa0);
}

void
print_escaped(const char *text, size_t length, char *out, size_t room)
{
	const uint8_t *at = (const uint8_t *)text, *end = at + length;
	size_t used = 0;

	while (at < end) {
		size_t step = sequence_length(at, (size_t)(end - at));
		char escaped[5];
		const char *piece = (const char *)at;
		size_t piece_length = step;

		if (!shows_as_it_is(at, step)) {
			step = 1;
			piece_length = (size_t)snprintf(escaped, sizeof escaped, *at == '\\' ? "\\\\" : "\\x%02x", *at);
			piece = escaped;
		}
		if (used + piece_length + 1 > room)
			break;
		memcpy(out + used, piece, piece_length);
		used += piece_length;
		at += step;
	}
	if (room > 0)
		out[used] = '\0';
}

/* ---- the nearest word ---- */

#define WORD_LEN_MAX 64

/* Optimal string alignment: insertions, deletions, changes, and neighbours that were swapped, count one each. */
static unsigned
distance(const char *a, size_t a_length, const char *b, size_t b_length)
{
	unsigned rows[3][WORD_LEN_MAX + 1];
	unsigned *before = rows[0], *last = rows[1], *now = rows[2];

	for (size_t k = 0; k <= b_length; k++)
		last[k] = (unsigned)k;
	for (size_t i = 1; i <= a_length; i++) {
		unsigned *spare = before;

		now[0] = (unsigned)i;
		for (size_t k = 1; k <= b_length; k++) {
			unsigned best = last[k - 1] + (a[i - 1] != b[k - 1]);

			if (last[k] + 1 < best)
				best = last[k] + 1;
			if (now[k - 1] + 1 < best)
				best = now[k - 1] + 1;
			if (i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1] && before[k - 2] + 1 < best)
				best = before[k - 2] + 1;
			now[k] = best;
		}
		before = last;
		last = now;
		now = spare;
	}
	return last[b_length];
}

const char *
nearest_word(const char *text, const char *const *words)
{
	size_t length = strlen(text);
	const char *nearest = NULL;
	unsigned least = length <= 3 ? 2 : length <= 7 ? 3 : 4; /* distances below this count as near */

	if (length > WORD_LEN_MAX)
		return NULL;
	for (; *words != NULL; words++) {
		size_t word_length = strlen(*words);
		unsigned d;

		if (word_length > WORD_LEN_MAX)
			continue;
		d = distance(text, length, *words, word_length);
		if (d < least) {
			least = d;
			nearest = *words;
		}
	}
	return nearest;
}
