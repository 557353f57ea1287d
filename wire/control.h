/* SPDX-License-Identifier: Apache-2.0
 *
 * The control payloads of netbus/1 as structs (struct msg_hello, msg_attach, ...), generated from wire/netbus.def.
 */
#ifndef NETBUS_WIRE_CONTROL_H
#define NETBUS_WIRE_CONTROL_H

#include "wire/message.h"

/* msg_release.mode */
enum release_mode {
	RELEASE_SOFT =
	    1, /* what was asked for is answered and flushed, nothing more is taken, and the attacher detaches */
	RELEASE_DRAIN = 2, /* the guest goes on, without new connections, until it leaves or the deadline is near */
};

#define RELEASE_DEADLINE_MOST_MS 3600000u

/* So long before the deadline of a RELEASE an attacher begins to leave. */
static inline uint32_t
release_lead_ms(uint32_t deadline_ms)
{
	return deadline_ms / 4 < 1000 ? deadline_ms / 4 : 1000;
}

#include "wire/message_struct.h"
#include "wire/netbus.def"
#include "wire/message_undef.h"

enum frame_control {
#define MESSAGE(upper, lower, number, ...) FRAME_##upper = (number),
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

#define NETBUS_ALPN     "netbus/1"
#define NETBUS_PROTOCOL 1
#define NETBUS_PORT     7715 /* default; not yet registered */

/* msg_attach.mode, and everywhere else a mode is a number */
enum access_mode { ACCESS_RO = 0, ACCESS_RW = 1 };

/* msg_attached.flags */
enum device_flag {
	DEVICE_READ_ONLY = 1 << 0,
	DEVICE_DISCARD = 1 << 1,
	DEVICE_WRITE_ZEROES = 1 << 2,
	DEVICE_FUA = 1 << 3,
	DEVICE_FLUSH = 1 << 4,
	DEVICE_ROTATIONAL = 1 << 5,
};

/* The row of a control frame type, or NULL. */
const struct message_type *control_type(uint8_t frame_type);

#endif
