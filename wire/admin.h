/* SPDX-License-Identifier: Apache-2.0
 *
 * The admin socket's messages as structs (struct msg_get_status, msg_row_lease, ...), generated from wire/admin.def, and the exit codes
 * that an answer ends with. Between netbus-admin and netbus-broker; the broker trusts no byte of it.
 */
#ifndef NETBUS_WIRE_ADMIN_H
#define NETBUS_WIRE_ADMIN_H

#include <stdbool.h>

#include "wire/limits.h"
#include "wire/message.h"

#define ADMIN_MESSAGE_MAX 12288 /* bytes of a packet, number included; limits_test holds all rows against it */

/* msg_done.exit_code, and of netbus-admin itself. */
enum admin_exit {
	ADMIN_OK = 0,
	ADMIN_FAILURE = 1,
	ADMIN_USAGE = 2,
	ADMIN_DENIED = 3,
	ADMIN_NOT_FOUND = 4,
	ADMIN_CONFLICT = 5,
	ADMIN_INCOMPLETE = 6,  /* the deadline passed */
	ADMIN_VERIFY = 7,      /* a verification failed */
	ADMIN_UNREACHABLE = 8, /* no daemon */
};

enum admin_access { ACCESS_READ = 1, ACCESS_CHANGE = 2, ACCESS_OPERATE = 3, ACCESS_ANSWER = 4 };

#include "wire/message_struct.h"
#include "wire/admin.def"
#include "wire/message_undef.h"

enum admin_number {
#define MESSAGE(upper, lower, number, ...) ADMIN_##upper = (number),
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

union admin_body {
#define MESSAGE(upper, lower, number, ...) struct msg_##lower lower;
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

struct admin_row {
	struct message_type type;
	enum admin_access access;
};

/* The row of a number, or NULL; and the i-th row of the table, or NULL. */
const struct admin_row *admin_row(uint16_t number);
const struct admin_row *admin_row_at(size_t i);

/* With the u16 number in front. Results as message_encode() and message_decode(). */
int admin_encode(uint16_t number, const void *message, uint8_t *out, size_t room);
int admin_decode(const uint8_t *untrusted, size_t length, uint16_t *number, union admin_body *body);

#endif
