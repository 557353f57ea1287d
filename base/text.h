/* SPDX-License-Identifier: Apache-2.0
 *
 * Text in and out: numbers with units, hexadecimal, base64, escaping, and the nearest word of a list.
 * Parsers take the whole string or fail with an error that quotes it and says what is allowed.
 */
#ifndef NETBUS_BASE_TEXT_H
#define NETBUS_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* Decimal, no sign, no space, within [least, most]. -EINVAL / -ERANGE. */
int parse_number(const char *text, uint64_t least, uint64_t most, uint64_t *number, struct error *error);
/* "512", "4KiB", "200MiB", "1GiB", "2TiB" -> bytes. */
int parse_size(const char *text, uint64_t *bytes, struct error *error);
/* "500ms", "30s", "15m", "8h", "7d" -> microseconds; at most ten years. */
int parse_duration(const char *text, int64_t *us, struct error *error);

#define SIZE_TEXT_LEN 24
/* Exact when it is a whole number of a unit ("200MiB"), else one decimal ("1.4GiB"). */
void print_size(uint64_t bytes, char text[static SIZE_TEXT_LEN]);
#define DURATION_TEXT_LEN 24
/* The two leading units: "3h 12m", "45s", "120ms". */
void print_duration(int64_t us, char text[static DURATION_TEXT_LEN]);

/* Lower-case hexadecimal. `text` has room for 2 * length + 1. */
void print_hex(const uint8_t *bytes, size_t length, char *text);
/* Exactly `length` bytes from exactly 2 * length digits. -EINVAL. */
int parse_hex(const char *text, uint8_t *bytes, size_t length);

/* Copies `text` with everything but printable ASCII and well-formed UTF-8 escaped as \xNN (and \\ for a
 * backslash); always terminated, cut at `room`. */
void print_escaped(const char *text, size_t length, char *out, size_t room);

/* True if well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms). */
bool is_utf8(const char *text, size_t length);

/* The word of the NULL-terminated list nearest to `text` by edit distance, or NULL when none is near. */
const char *nearest_word(const char *text, const char *const *words);

#endif
