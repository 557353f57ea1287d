/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of enrol/1 (wire/enrol.h), from wire/enrol.def, and its framing. Pure; what is decoded is a stranger's.
 */
#include "wire/enrol.h"

#include <errno.h>

#include "base/auto.h"
#include "base/bytes.h"

#include "wire/message_table.h"
#include "wire/enrol.def"
#include "wire/message_undef.h"

static const struct message_type types[] = {
#define MESSAGE(upper, lower, number, ...) \
	{#lower, (number), sizeof(struct msg_##lower), ARRAY_LENGTH(lower##_fields) - 1, lower##_fields},
#define U8(...)
#define U16(...)
#define U32(...)
#define U64(...)
#define TEXT(...)
#define BYTES(...)
#define BLOB(...)
#define END(...)
#include "wire/enrol.def"
#include "wire/message_undef.h"
};

const struct message_type *
enrol_type(uint16_t number)
{
	for (unsigned i = 0; i < ARRAY_LENGTH(types); i++)
		if (types[i].number == number)
			return &types[i];
	return NULL;
}

int
enrol_encode(uint16_t number, const void *message, uint8_t *out, size_t room)
{
	const struct message_type *type = enrol_type(number);
	int length;

	if (type == NULL)
		return -EINVAL;
	if (room < ENROL_LENGTH_LEN)
		return -ENOBUFS;
	length = message_encode_numbered(type, message, out + ENROL_LENGTH_LEN, room - ENROL_LENGTH_LEN);
	if (length < 0)
		return length;
	put_be16(out, (uint16_t)length);
	return ENROL_LENGTH_LEN + length;
}

int
enrol_check_length(uint16_t untrusted_length)
{
	return untrusted_length >= MESSAGE_NUMBER_LEN && untrusted_length <= LIMIT_ENROL_MESSAGE ? 0 : -EBADMSG;
}

int
enrol_decode(const uint8_t *untrusted, size_t length, uint16_t number, void *message)
{
	const struct message_type *type = enrol_type(number);

	if (type == NULL || length < MESSAGE_NUMBER_LEN || length > LIMIT_ENROL_MESSAGE ||
	    get_be16(untrusted) != number)
		return -EBADMSG;
	return message_decode(type, untrusted + MESSAGE_NUMBER_LEN, length - MESSAGE_NUMBER_LEN, message);
}

/* ---- the statement ---- */

static bool
length_fits(uint8_t key_type, size_t length)
{
	return length == (key_type == ENROL_P256 ? ENROL_P256_LEN : ENROL_ED25519_LEN);
}

int
enrol_encode_statement(const struct msg_enrol_statement *statement, uint8_t *out, size_t room)
{
	return message_encode(enrol_type(MSG_ENROL_STATEMENT), statement, out, room);
}

int
enrol_decode_statement(const uint8_t *untrusted, size_t length, struct msg_enrol_statement *statement)
{
	struct msg_enrol_statement read;
	int code = message_decode(enrol_type(MSG_ENROL_STATEMENT), untrusted, length, &read);

	if (code < 0)
		return code;
	if (!length_fits(read.key_type, read.key.length) || !length_fits(read.authority_type, read.authority.length))
		return -EBADMSG;
	*statement = read;
	return 0;
}
