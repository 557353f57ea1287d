/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of netbus/1's control frames (wire/control.h), from wire/netbus.def.
 */
#include "wire/control.h"

#include "base/auto.h"

#include "wire/message_table.h"
#include "wire/netbus.def"
#include "wire/message_undef.h"

static const struct message_type types[] = {
#define MESSAGE(upper, lower, number, ...) \
	{#upper, (number), sizeof(struct msg_##lower), ARRAY_LENGTH(lower##_fields) - 1, lower##_fields},
#define U8(...)
#define U16(...)
#define U32(...)
#define U64(...)
#define TEXT(...)
#define BYTES(...)
#define BLOB(...)
#define END(...)
#include "wire/netbus.def"
#include "wire/message_undef.h"
};

const struct message_type *
control_type(uint8_t frame_type)
{
	for (unsigned i = 0; i < ARRAY_LENGTH(types); i++)
		if (types[i].number == frame_type)
			return &types[i];
	return NULL;
}
