/* SPDX-License-Identifier: Apache-2.0
 *
 * The codec of all control messages (wire/message.h). Pure. Input is untrusted.
 */
#include "wire/message.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/bytes.h"
#include "base/text.h"

/* ---- where a field lies in its struct ---- */

static size_t
field_alignment(const struct field *field)
{
	switch (field->kind) {
	case FIELD_U16:
	case FIELD_BLOB:
		return 2;
	case FIELD_U32:
		return 4;
	case FIELD_U64:
		return 8;
	case FIELD_U8:
	case FIELD_TEXT:
	case FIELD_BYTES:
		return 1;
	}
	return 1;
}

static size_t
field_size(const struct field *field)
{
	switch (field->kind) {
	case FIELD_U8:
		return 1;
	case FIELD_U16:
		return 2;
	case FIELD_U32:
		return 4;
	case FIELD_U64:
		return 8;
	case FIELD_TEXT:
		return field->most + 1;
	case FIELD_BYTES:
		return field->most;
	case FIELD_BLOB:
		return (2 + field->most + 1) / 2 * 2;
	}
	return 0;
}

/* C's rule: at the next multiple of its alignment. *end moves behind it. */
static size_t
place_field(const struct field *field, size_t *end)
{
	size_t alignment = field_alignment(field);
	size_t offset = (*end + alignment - 1) / alignment * alignment;

	*end = offset + field_size(field);
	return offset;
}

/* ---- encode ---- */

static bool
text_is_clean(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			return false;
	return is_utf8(text, length);
}

static uint64_t
load_number(const struct field *field, const uint8_t *at)
{
	uint16_t u16;
	uint32_t u32;
	uint64_t u64;

	switch (field->kind) {
	case FIELD_U8:
		return *at;
	case FIELD_U16:
		memcpy(&u16, at, sizeof u16);
		return u16;
	case FIELD_U32:
		memcpy(&u32, at, sizeof u32);
		return u32;
	default:
		memcpy(&u64, at, sizeof u64);
		return u64;
	}
}

static bool
encode_number(const struct field *field, const uint8_t *at, struct writer *out)
{
	uint64_t value = load_number(field, at);

	if (value < field->least || value > field->most)
		return false;
	if (field->kind == FIELD_U8)
		write_u8(out, (uint8_t)value);
	else if (field->kind == FIELD_U16)
		write_u16(out, (uint16_t)value);
	else if (field->kind == FIELD_U32)
		write_u32(out, (uint32_t)value);
	else
		write_u64(out, value);
	return true;
}

static bool
encode_text(const struct field *field, const uint8_t *at, struct writer *out)
{
	size_t length = strnlen((const char *)at, field->most + 1);

	if (length < field->least || length > field->most || !text_is_clean((const char *)at, length))
		return false;
	write_u16(out, (uint16_t)length);
	write_bytes(out, at, length);
	return true;
}

static bool
encode_blob(const struct field *field, const uint8_t *at, struct writer *out)
{
	uint16_t length;

	memcpy(&length, at, sizeof length);
	if (length < field->least || length > field->most)
		return false;
	write_u16(out, length);
	write_bytes(out, at + sizeof length, length);
	return true;
}

static bool
encode_field(const struct field *field, const uint8_t *at, struct writer *out)
{
	switch (field->kind) {
	case FIELD_TEXT:
		return encode_text(field, at, out);
	case FIELD_BYTES:
		write_bytes(out, at, field->most);
		return true;
	case FIELD_BLOB:
		return encode_blob(field, at, out);
	default:
		return encode_number(field, at, out);
	}
}

int
message_encode(const struct message_type *type, const void *message, uint8_t *out, size_t room)
{
	struct writer writer = writer_over(out, room);
	size_t end = 0;

	for (unsigned i = 0; i < type->field_count; i++) {
		size_t offset = place_field(&type->fields[i], &end);

		if (!encode_field(&type->fields[i], (const uint8_t *)message + offset, &writer))
			return -EINVAL;
	}
	return writer.bad ? -ENOBUFS : (int)writer_used(&writer);
}

/* ---- decode ---- */

static bool
decode_number(const struct field *field, struct reader *in, uint8_t *at)
{
	uint64_t value;
	uint8_t u8;
	uint16_t u16;
	uint32_t u32;

	switch (field->kind) {
	case FIELD_U8:
		value = u8 = read_u8(in);
		if (at)
			*at = u8;
		break;
	case FIELD_U16:
		value = u16 = read_u16(in);
		if (at)
			memcpy(at, &u16, sizeof u16);
		break;
	case FIELD_U32:
		value = u32 = read_u32(in);
		if (at)
			memcpy(at, &u32, sizeof u32);
		break;
	default:
		value = read_u64(in);
		if (at)
			memcpy(at, &value, sizeof value);
		break;
	}
	return !in->bad && value >= field->least && value <= field->most;
}

static bool
decode_text(const struct field *field, struct reader *in, uint8_t *at)
{
	uint16_t length = read_u16(in);
	const uint8_t *bytes;

	if (in->bad || length < field->least || length > field->most)
		return false;
	bytes = read_bytes(in, length);
	if (bytes == NULL || !text_is_clean((const char *)bytes, length))
		return false;
	if (at)
		memcpy(at, bytes, length);
	return true;
}

static bool
decode_bytes(const struct field *field, struct reader *in, uint8_t *at)
{
	const uint8_t *bytes = read_bytes(in, field->most);

	if (bytes == NULL)
		return false;
	if (at)
		memcpy(at, bytes, field->most);
	return true;
}

static bool
decode_blob(const struct field *field, struct reader *in, uint8_t *at)
{
	uint16_t length = read_u16(in);
	const uint8_t *bytes;

	if (in->bad || length < field->least || length > field->most)
		return false;
	bytes = read_bytes(in, length);
	if (bytes == NULL)
		return false;
	if (at) {
		memcpy(at, &length, sizeof length);
		memcpy(at + sizeof length, bytes, length);
	}
	return true;
}

static bool
decode_field(const struct field *field, struct reader *in, uint8_t *at)
{
	switch (field->kind) {
	case FIELD_TEXT:
		return decode_text(field, in, at);
	case FIELD_BYTES:
		return decode_bytes(field, in, at);
	case FIELD_BLOB:
		return decode_blob(field, in, at);
	default:
		return decode_number(field, in, at);
	}
}

/* One pass over the input; `message` NULL only checks. */
static bool
decode_pass(const struct message_type *type, const uint8_t *untrusted, size_t length, uint8_t *message)
{
	struct reader reader = reader_over(untrusted, length);
	size_t end = 0;

	for (unsigned i = 0; i < type->field_count; i++) {
		size_t offset = place_field(&type->fields[i], &end);

		if (!decode_field(&type->fields[i], &reader, message ? message + offset : NULL))
			return false;
	}
	return reader_done(&reader);
}

int
message_encode_numbered(const struct message_type *type, const void *message, uint8_t *out, size_t room)
{
	int length;

	if (room < MESSAGE_NUMBER_LEN)
		return -ENOBUFS;
	put_be16(out, type->number);
	length = message_encode(type, message, out + MESSAGE_NUMBER_LEN, room - MESSAGE_NUMBER_LEN);
	return length < 0 ? length : length + MESSAGE_NUMBER_LEN;
}

int
message_decode(const struct message_type *type, const uint8_t *untrusted, size_t length, void *message)
{
	/* Checked as a whole before the output is touched. */
	if (!decode_pass(type, untrusted, length, NULL))
		return -EBADMSG;
	memset(message, 0, type->size);
	decode_pass(type, untrusted, length, message);
	return 0;
}

size_t
message_room(const struct message_type *type)
{
	size_t room = 0;

	for (unsigned i = 0; i < type->field_count; i++) {
		const struct field *field = &type->fields[i];

		if (field->kind == FIELD_TEXT || field->kind == FIELD_BLOB)
			room += 2 + field->most;
		else
			room += field_size(field);
	}
	return room;
}
