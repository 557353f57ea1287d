/* SPDX-License-Identifier: Apache-2.0
 *
 * The codec of all messages (wire/message.h), driven from the four tables: the first two bytes choose a row, so that no message can be
 * forgotten; a new row is here by itself.
 *
 * Holds: what decodes encodes back to the identical bytes, and needs exactly that room; what does not decode leaves the output alone; every
 * row takes its smallest and its largest message.
 */
#include <errno.h>

#include "base/bytes.h"
#include "tests/fuzz/fuzz.h"
#include "wire/admin.h"
#include "wire/channel.h"
#include "wire/control.h"
#include "wire/enrol.h"

#define ROWS_MAX 1024
#define ROOM     65536
#define FILLER   0xa5

static const struct message_type *rows[ROWS_MAX];
static size_t row_count;

static void
check(const struct message_type *type, const uint8_t *bytes, size_t length, bool must_decode)
{
	uint8_t *message = malloc(type->size), *again = malloc(length ? length : 1);
	int code;

	REQUIRE(message != NULL && again != NULL);
	memset(message, FILLER, type->size);
	code = message_decode(type, bytes, length, message);
	REQUIRE(code == 0 || (code == -EBADMSG && !must_decode));
	if (code == 0) {
		REQUIRE(length <= message_room(type));
		REQUIRE(message_encode(type, message, again, length) == (int)length);
		REQUIRE(memcmp(bytes, again, length) == 0);
		REQUIRE(length == 0 || message_encode(type, message, again, length - 1) == -ENOBUFS);
	} else {
		REQUIRE(is_untouched(message, type->size, FILLER));
	}
	free(again);
	free(message);
}

/* A message whose fields are all at one end of their limits. */
static size_t
make_extreme(const struct message_type *type, bool largest, uint8_t *bytes)
{
	struct writer out = writer_over(bytes, ROOM);

	for (unsigned i = 0; i < type->field_count; i++) {
		const struct field *field = &type->fields[i];
		uint64_t value = largest ? field->most : field->least;

		if (field->kind == FIELD_TEXT || field->kind == FIELD_BLOB)
			write_u16(&out, (uint16_t)value);
		if (field->kind == FIELD_TEXT || field->kind == FIELD_BLOB || field->kind == FIELD_BYTES) {
			uint8_t *room = write_room(&out, value);

			REQUIRE(room != NULL);
			memset(room, 'a', value);
		} else {
			static const unsigned widths[] = {
			    [FIELD_U8] = 1, [FIELD_U16] = 2, [FIELD_U32] = 4, [FIELD_U64] = 8};

			for (unsigned left = widths[field->kind]; left-- > 0;)
				write_u8(&out, (uint8_t)(value >> 8 * left));
		}
	}
	return writer_used(&out);
}

static void
add_row(const struct message_type *type, const char *table)
{
	static uint8_t bytes[2 + ROOM];
	char name[96];
	size_t length;

	if (type == NULL)
		return;
	REQUIRE(row_count < ROWS_MAX);
	rows[row_count] = type;
	for (int largest = 0; largest < 2; largest++) {
		put_be16(bytes, (uint16_t)row_count);
		length = make_extreme(type, largest, bytes + 2);
		check(type, bytes + 2, length, true);
		snprintf(name, sizeof name, "%s-%s-%d", table, type->name, largest);
		if (length <= 4096)
			seed_write(name, bytes, 2 + length);
	}
	row_count++;
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	for (unsigned number = 0; number <= UINT16_MAX; number++) {
		const struct channel_row *channel = channel_row((uint16_t)number);
		const struct admin_row *admin = admin_row((uint16_t)number);

		add_row(number <= UINT8_MAX ? control_type((uint8_t)number) : NULL, "netbus");
		add_row(channel ? &channel->type : NULL, "channel");
		add_row(admin ? &admin->type : NULL, "admin");
		add_row(enrol_type((uint16_t)number), "enrol");
	}
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	if (length >= 2)
		check(rows[get_be16(bytes) % row_count], bytes + 2, length - 2, false);
	return 0;
}
