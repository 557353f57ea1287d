/* SPDX-License-Identifier: Apache-2.0
 *
 * One codec for all control messages: of the netbus/1 protocol (netbus.def), of the channels between our own processes
 * (channel.def) and of the admin socket (admin.def). A message is a table row: its fields, their limits and its
 * number stand in a .def file and nowhere else; struct, encoder, decoder and names follow from it.
 *
 * Encoding: fields in table order, big-endian, no padding. TEXT and BLOB: u16 length, then the bytes. BYTES: just the
 * bytes. A decoder takes exactly its input: a byte too many or too few, or a value outside its row's limits, is
 * -EBADMSG and the output is untouched. TEXT is well-formed UTF-8 without NUL or control characters.
 *
 * A struct has its members in table order, so each member's offset follows from C's own layout rule and the codec derives
 * it: numbers lie at their natural alignment, TEXT and BYTES anywhere, a BLOB on two. tests/unit/message_test.c holds every row
 * against sizeof.
 *
 * Pure: no system call, no global, no allocation.
 */
#ifndef NETBUS_WIRE_MESSAGE_H
#define NETBUS_WIRE_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

enum field_kind { FIELD_U8, FIELD_U16, FIELD_U32, FIELD_U64, FIELD_TEXT, FIELD_BYTES, FIELD_BLOB };

struct field {
	const char *name;
	enum field_kind kind;
	uint64_t least, most; /* numbers: value; TEXT, BLOB: length; BYTES: most = exact length */
};

struct message_type {
	const char *name;
	uint16_t number;
	uint32_t size; /* of the struct */
	uint16_t field_count;
	const struct field *fields;
};

/* Rows of a .def file between MESSAGE and END, with the file's own field macros:
 *   U8(name, least, most) U16 U32 U64 TEXT(name, least, most) BYTES(name, length) BLOB(name, least, most)
 * wire/message_struct.h and wire/message_table.h turn a .def file into structs and into a table.
 *
 * A TEXT field lies in its struct as char name[most + 1], a BLOB as: */
#define MESSAGE_BLOB(most)           \
	struct {                     \
		uint16_t length;     \
		uint8_t bytes[most]; \
	}

/* Bytes used, -ENOBUFS when `room` is too small, -EINVAL when the struct itself breaks a limit (a bug of ours). */
int message_encode(const struct message_type *type, const void *message, uint8_t *out, size_t room);
/* The same with the type's number in front, as u16: how messages of the channels and of the admin socket begin. */
#define MESSAGE_NUMBER_LEN 2
int message_encode_numbered(const struct message_type *type, const void *message, uint8_t *out, size_t room);
/* 0 or -EBADMSG. `message` has type->size bytes; unused text and blob bytes are zeroed. */
int message_decode(const struct message_type *type, const uint8_t *untrusted, size_t length, void *message);
/* The largest encoding a message of this type can have. */
size_t message_room(const struct message_type *type);

#endif
