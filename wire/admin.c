/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of wire/admin.def, and its codec: wire/message.h behind a number. Pure.
 */
#include "wire/admin.h"

#include <errno.h>

#include "base/bytes.h"
#include "wire/record.h"

#include "wire/message_table.h"
#include "wire/admin.def"
#include "wire/message_undef.h"

_Static_assert(sizeof((struct msg_row_event *)NULL)->line == RECORD_WHOLE_MAX + 1, "ROW_EVENT carries any line");

#define FIELD_COUNT(fields) (sizeof(fields) / sizeof((fields)[0]) - 1) /* the last ends the list */

static const struct admin_row rows[] = {
#define MESSAGE(upper, lower, number, access) \
	{{#lower, (number), sizeof(struct msg_##lower), FIELD_COUNT(lower##_fields), lower##_fields}, ACCESS_##access},
#define U8(...)
#define U16(...)
#define U32(...)
#define U64(...)
#define TEXT(...)
#define BYTES(...)
#define BLOB(...)
#define END(...)
#include "wire/admin.def"
#include "wire/message_undef.h"
};

#define ROW_COUNT (sizeof rows / sizeof rows[0])

const struct admin_row *
admin_row_at(size_t i)
{
	return i < ROW_COUNT ? &rows[i] : NULL;
}

const struct admin_row *
admin_row(uint16_t number)
{
	for (size_t i = 0; i < ROW_COUNT; i++)
		if (rows[i].type.number == number)
			return &rows[i];
	return NULL;
}

int
admin_encode(uint16_t number, const void *message, uint8_t *out, size_t room)
{
	const struct admin_row *row = admin_row(number);

	return row ? message_encode_numbered(&row->type, message, out, room) : -EINVAL;
}

int
admin_decode(const uint8_t *untrusted, size_t length, uint16_t *number, union admin_body *body)
{
	const struct admin_row *row = length < 2 ? NULL : admin_row(get_be16(untrusted));
	int code;

	if (row == NULL)
		return -EBADMSG;
	code = message_decode(&row->type, untrusted + 2, length - 2, body);
	if (code == 0)
		*number = row->type.number;
	return code;
}
