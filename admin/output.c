/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers: as JSON for programs, as tables for people (admin.h). What is printed may come from peers: JSON is kept to ASCII, cells are
 * escaped.
 */
#include "admin/admin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/text.h"

/* ---- JSON ---- */

void
output_put(json_t *object, const char *key, json_t *taken)
{
	if (json_object_set_new(object, key, verb_memory(taken)) < 0)
		verb_memory(NULL);
}

void
output_append(json_t *array, json_t *taken)
{
	if (json_array_append_new(array, verb_memory(taken)) < 0)
		verb_memory(NULL);
}

void
output_json(json_t *taken)
{
	if (json_dumpf(verb_memory(taken), stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII | JSON_ENCODE_ANY) < 0)
		verb_memory(NULL);
	fputc('\n', stdout);
	json_decref(taken);
}

static json_t *
json_of_time(uint64_t at_us)
{
	char text[CLOCK_TEXT_LEN];

	if (at_us == 0)
		return json_null();
	clock_print((int64_t)at_us, text);
	return json_string(text);
}

static json_t *
json_of_number(const struct field *field, uint64_t value)
{
	size_t length = strlen(field->name);

	if (length > 3 && strcmp(field->name + length - 3, "_at") == 0)
		return json_of_time(value);
	if (field->kind == FIELD_U8 && field->least == 0 && field->most == 1)
		return json_boolean(value != 0);
	/* JSON's numbers have no width, jansson's have 63 bits: what is above stays a number, though a rounded one. */
	return value <= INT64_MAX ? json_integer((json_int_t)value) : json_real((double)value);
}

static json_t *
json_of_bytes(const uint8_t *bytes, size_t length)
{
	AUTO_FREE char *text = verb_memory(malloc(2 * length + 1));
	uint8_t any = 0;

	for (size_t i = 0; i < length; i++)
		any |= bytes[i];
	if (any == 0)
		return json_null();
	print_hex(bytes, length, text);
	return json_string(text);
}

/* The field at the reader, which stands in the message's encoding: that way no offset into a struct is worked out here. */
static json_t *
json_of_field(const struct field *field, struct reader *reader)
{
	const uint8_t *bytes;
	size_t length;

	switch (field->kind) {
	case FIELD_U8:
		return json_of_number(field, read_u8(reader));
	case FIELD_U16:
		return json_of_number(field, read_u16(reader));
	case FIELD_U32:
		return json_of_number(field, read_u32(reader));
	case FIELD_U64:
		return json_of_number(field, read_u64(reader));
	case FIELD_TEXT:
		length = read_u16(reader);
		bytes = read_bytes(reader, length);
		return bytes != NULL ? json_stringn((const char *)bytes, length) : NULL;
	case FIELD_BLOB:
		length = read_u16(reader);
		break;
	case FIELD_BYTES:
	default:
		length = field->most;
		break;
	}
	bytes = read_bytes(reader, length);
	return bytes != NULL ? json_of_bytes(bytes, length) : NULL;
}

json_t *
output_object(const struct message_type *type, const void *message)
{
	size_t room = message_room(type);
	AUTO_FREE uint8_t *encoded = verb_memory(malloc(room + 1));
	json_t *object = verb_memory(json_object());
	int length = message_encode(type, message, encoded, room);
	struct reader reader = reader_over(encoded, length > 0 ? (size_t)length : 0);

	for (unsigned i = 0; i < type->field_count && length >= 0; i++)
		output_put(object, type->fields[i].name, json_of_field(&type->fields[i], &reader));
	return object;
}

/* ---- tables ---- */

#define COLUMNS_MAX    16
#define WIDTH_DEFAULT  80
#define WIDTH_LEAST    8 /* no column is cut below this */
#define GAP            2
#define CUT_MARK       ".."
#define CELL_TEXT_ROOM (4 * CELL_LEN + 1) /* every byte may become \xNN */

struct table {
	const char *const *titles;
	size_t columns, rows;
	char **cells; /* rows * columns, owned */
};

struct table *
table_new(const char *const *titles)
{
	struct table *table = verb_memory(calloc(1, sizeof *table));

	table->titles = titles;
	while (titles[table->columns] != NULL && table->columns < COLUMNS_MAX)
		table->columns++;
	return table;
}

void
table_row(struct table *table, const char *const *cells)
{
	size_t at = table->rows * table->columns;
	char text[CELL_TEXT_ROOM];

	table->cells = verb_memory(reallocarray(table->cells, at + table->columns, sizeof *table->cells));
	for (size_t i = 0; i < table->columns; i++) {
		const char *cell = cells[i] != NULL && cells[i][0] != '\0' ? cells[i] : "-";

		print_escaped(cell, strlen(cell), text, sizeof text);
		table->cells[at + i] = verb_memory(strdup(text));
	}
	table->rows++;
}

size_t
output_width(const char *text)
{
	size_t width = 0;

	for (; *text != '\0'; text++)
		width += ((unsigned char)*text & 0xc0) != 0x80;
	return width;
}

size_t
output_bytes(const char *text, size_t width)
{
	const char *at = text;

	while (*at != '\0' && (width > 0 || ((unsigned char)*at & 0xc0) == 0x80)) {
		if (((unsigned char)*at & 0xc0) != 0x80)
			width--;
		at++;
	}
	return (size_t)(at - text);
}

size_t
output_terminal_width(void)
{
	struct winsize size;

	if (!isatty(STDOUT_FILENO))
		return SIZE_MAX;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
		return size.ws_col;
	return WIDTH_DEFAULT;
}

/* The widest column gives, one character at a time, until the row fits or none can give more. */
static void
fit(size_t *widths, size_t columns, size_t room)
{
	for (;;) {
		size_t whole = GAP * (columns - 1), widest = 0;

		for (size_t i = 0; i < columns; i++) {
			whole += widths[i];
			if (widths[i] > widths[widest])
				widest = i;
		}
		if (whole <= room || widths[widest] <= WIDTH_LEAST)
			return;
		widths[widest]--;
	}
}

static void
print_cell(const char *text, size_t width, bool last)
{
	size_t has = output_width(text);

	if (has > width) {
		printf("%.*s%s", (int)output_bytes(text, width - strlen(CUT_MARK)), text, CUT_MARK);
		has = width;
	} else {
		fputs(text, stdout);
	}
	if (!last)
		printf("%*s", (int)(width - has + GAP), "");
}

static void
print_rows(const struct admin *admin, const struct table *table, const size_t *widths)
{
	fputs(admin->color ? "\033[1m" : "", stdout);
	for (size_t i = 0; i < table->columns; i++)
		print_cell(table->titles[i], widths[i], i + 1 == table->columns);
	fputs(admin->color ? "\033[0m\n" : "\n", stdout);
	for (size_t at = 0; at < table->rows * table->columns; at++) {
		size_t i = at % table->columns;

		print_cell(table->cells[at], widths[i], i + 1 == table->columns);
		if (i + 1 == table->columns)
			fputc('\n', stdout);
	}
}

void
table_free(struct table *table)
{
	if (table == NULL)
		return;
	for (size_t at = 0; at < table->rows * table->columns; at++)
		free(table->cells[at]);
	free(table->cells);
	free(table);
}

void
table_print(struct admin *admin, struct table *taken, const char *empty)
{
	size_t widths[COLUMNS_MAX] = {0};

	for (size_t i = 0; i < taken->columns; i++)
		widths[i] = output_width(taken->titles[i]);
	for (size_t at = 0; at < taken->rows * taken->columns; at++) {
		size_t width = output_width(taken->cells[at]);

		if (width > widths[at % taken->columns])
			widths[at % taken->columns] = width;
	}
	fit(widths, taken->columns, output_terminal_width());
	if (taken->rows > 0)
		print_rows(admin, taken, widths);
	else if (empty[0] != '\0')
		verb_say(admin, "%s", empty);
	table_free(taken);
}
