/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of the messages between our processes (wire/channel.h), from wire/channel.def: who may say what to whom, when.
 */
#include "wire/channel.h"

#include <errno.h>

#include "base/auto.h"
#include "base/bytes.h"

/* The words of the .def file's from, to, states and fd columns. */
#define MONITOR   ROLE_MONITOR
#define GATE      ROLE_GATE
#define SESSION   ROLE_SESSION
#define ATTACH    ROLE_ATTACHES
#define BROKER    ROLE_BROKER
#define KEYS      ROLE_KEYS
#define ENROL     ROLE_ENROL
#define NEWJOIN   ROLE_JOIN
#define XENWATCH  ROLE_XENWATCH
#define ATTACHXEN ROLE_ATTACH_XEN
#define ZYGOTE    ROLE_ZYGOTE
#define ANY       0xffffu
#define FD_NONE   false
#define FD_ONE    true

#include "wire/message_table.h"
#include "wire/channel.def"
#include "wire/message_undef.h"

static const struct channel_row rows[] = {
#define MESSAGE(upper, lower, number, from, to, states, fd)                                                        \
	{{#upper, (number), sizeof(struct msg_##lower), ARRAY_LENGTH(lower##_fields) - 1, lower##_fields}, (from), \
	    (to), (states), (fd)},
#define U8(...)
#define U16(...)
#define U32(...)
#define U64(...)
#define TEXT(...)
#define BYTES(...)
#define BLOB(...)
#define END(...)
#include "wire/channel.def"
#include "wire/message_undef.h"
};

const struct channel_row *
channel_row(uint16_t number)
{
	for (unsigned i = 0; i < ARRAY_LENGTH(rows); i++)
		if (rows[i].type.number == number)
			return &rows[i];
	return NULL;
}

int
channel_permits(const struct channel_row *row, enum role from, enum role to, unsigned state, bool has_fd)
{
	if ((row->from & from) == 0 || (row->to & to) == 0)
		return -EPERM;
	if ((row->states & state) == 0)
		return -EPERM;
	return row->with_fd == has_fd ? 0 : -EPERM;
}

int
channel_encode(uint16_t number, const void *message, uint8_t *out, size_t room)
{
	const struct channel_row *row = channel_row(number);

	return row ? message_encode_numbered(&row->type, message, out, room) : -EINVAL;
}

int
channel_decode(const uint8_t *untrusted, size_t length, uint16_t *number, union channel_body *body)
{
	const struct channel_row *row;

	if (length < 2)
		return -EBADMSG;
	row = channel_row(get_be16(untrusted));
	if (row == NULL || message_decode(&row->type, untrusted + 2, length - 2, body) < 0)
		return -EBADMSG;
	*number = row->type.number;
	return 0;
}
