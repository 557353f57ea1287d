/* SPDX-License-Identifier: Apache-2.0
 *
 * Channels between our own processes: who may say what to whom and when, as a table (wire/channel.def).
 * SOCK_SEQPACKET, one message per packet: u16 number, then the fields; at most LIMIT_CHANNEL_MESSAGE bytes and one
 * descriptor. The monitor makes every socket pair and tells both ends the id of the process at the other end, so that a
 * process can never speak for another.
 *
 * Pure: sending and receiving is daemon/channel.h.
 */
#ifndef NETBUS_WIRE_CHANNEL_H
#define NETBUS_WIRE_CHANNEL_H

#include <stdbool.h>

#include "wire/control.h"
#include "wire/enrol.h"
#include "wire/limits.h"
#include "wire/message.h"

enum role {
	ROLE_MONITOR = 1 << 0,
	ROLE_GATE = 1 << 1,
	ROLE_SESSION = 1 << 2,
	ROLE_ATTACH = 1 << 3,
	ROLE_BROKER = 1 << 4,
	ROLE_KEYS = 1 << 5,
	ROLE_ENROL = 1 << 6, /* serves one newcomer */
	ROLE_JOIN = 1 << 7,  /* gets this host's own next certificate */
	ROLE_XENWATCH = 1 << 8,
	ROLE_ATTACH_XEN = 1 << 9, /* an attachment whose guest is a set of Xen rings */
	ROLE_ZYGOTE = 1 << 10,    /* a netbus-session that has met nobody, and of which sessions are forked */
};
#define ROLE_COUNT 11
/* Attachments, of whatever guest: the lease's side of both is the same. */
#define ROLE_ATTACHES (ROLE_ATTACH | ROLE_ATTACH_XEN)

/* peer_new.kind, keys_peer.kind */
enum peer_kind { PEER_SESSION = 1, PEER_ATTACH = 2, PEER_KEYS = 3, PEER_ENROL = 4, PEER_XENWATCH = 5 };

/* xen_rings.abi: the layout of the requests in a ring (xen/io/blkif.h, "protocol"). */
enum xen_protocol { XEN_PROTOCOL_NATIVE = 0, XEN_PROTOCOL_X86_32 = 1, XEN_PROTOCOL_X86_64 = 2 };
/* DOMID_FIRST_RESERVED - 1 (xen/xen.h): the largest number of a real domain. */
#define XEN_DOMID_MOST 0x7fefu

/* session_begin.what: which of a session's descriptors comes with it */
enum session_fd { SESSION_FD_BROKER = 0, SESSION_FD_KEYS = 1, SESSION_FD_PEER = 2 };
#define SESSION_FDS 3

/* gate_listen.door, gate_accepted.door: which listener */
enum door { DOOR_PEERS = 0, DOOR_ENROL = 1 };

/* key_file.kind */
enum key_file_kind {
	KEY_FILE_CERTIFICATE = 1, /* host.pem: our chain, leaf first */
	KEY_FILE_KEY = 2,         /* host.key */
	KEY_FILE_CA = 3,          /* ca.pem: the trust bundle */
	KEY_FILE_SEAL = 4,        /* seal.key: signs audit checkpoints */
	/* of an enroller, from the CA's own directory */
	KEY_FILE_AUTHORITY = 5,     /* ca.pem: the CA that signs, then those that are trusted beside it */
	KEY_FILE_AUTHORITY_KEY = 6, /* ca.key */
	KEY_FILE_CROSS = 7,         /* cross.pem: the new CA as the old one certifies it, while a roll-over lasts */
};

/* State of a conversation, held by the receiver for each peer. Long-lived channels stay in CH_NEW.
 *
 *   session/attach -> keys:  NEW -> TOLD -> SIGNED or CHECKED -> BOTH -> PROVED
 *   session -> broker:       NEW -> PROVED (said by keys) -> ASKED -> HELD -> ENDED
 *   attach -> broker:        NEW -> PROVED (said by keys) -> HELD (up) -> ENDED
 *   enrol -> broker:         NEW -> TOLD (its nonce) -> ASKED
 */
enum channel_state {
	CH_NEW = 1 << 0,
	CH_TOLD = 1 << 1,
	CH_SIGNED = 1 << 2,
	CH_CHECKED = 1 << 3,
	CH_BOTH = 1 << 4,
	CH_PROVED = 1 << 5,
	CH_ASKED = 1 << 6,
	CH_HELD = 1 << 7,
	CH_ENDED = 1 << 8,
};

#include "wire/message_struct.h"
#include "wire/channel.def"
#include "wire/message_undef.h"

enum channel_number {
#define MESSAGE(upper, lower, number, ...) MSG_##upper = (number),
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

union channel_body {
#define MESSAGE(upper, lower, number, ...) struct msg_##lower lower;
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

struct channel_row {
	struct message_type type;
	unsigned from, to; /* role masks */
	unsigned states;   /* of the receiver's record of the sender */
	bool with_fd;
};

/* The row of a number, or NULL. */
const struct channel_row *channel_row(uint16_t number);
/* 0, or -EPERM when the table does not allow it. */
int channel_permits(const struct channel_row *row, enum role from, enum role to, unsigned state, bool has_fd);

/* With the u16 number in front. Results as message_encode() and message_decode(). */
int channel_encode(uint16_t number, const void *message, uint8_t *out, size_t room);
int channel_decode(const uint8_t *untrusted, size_t length, uint16_t *number, union channel_body *body);

#endif
