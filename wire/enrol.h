/* SPDX-License-Identifier: Apache-2.0
 *
 * The enrol/1 protocol (wire/enrol.def): how a host gets its first certificate for a join token, and its next one for the present one. Signed messages on
 * plain TCP: nothing in them is secret, and each is authenticated end to end, so that neither end's network process can forge one (ARCHITECTURE.md,
 * "Enrolment"). Pure.
 */
#ifndef NETBUS_WIRE_ENROL_H
#define NETBUS_WIRE_ENROL_H

#include "wire/limits.h"
#include "wire/message.h"

#define ENROL_VERSION   1
#define ENROL_NONCE_LEN 32
#define ENROL_TOKEN_LEN 16
/* One message on the stream: a u16 length, which does not count itself, and so many bytes. */
#define ENROL_LENGTH_LEN 2

enum enrol_kind { ENROL_JOIN = 1, ENROL_RENEW = 2 };
enum enrol_key_type { ENROL_ED25519 = 1, ENROL_P256 = 2 };
#define ENROL_ED25519_LEN 32u
#define ENROL_P256_LEN    65u

#include "wire/message_struct.h"
#include "wire/enrol.def"
#include "wire/message_undef.h"

enum enrol_number {
#define MESSAGE(upper, lower, number, ...) MSG_##upper = (number),
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

/* The row of a number, or NULL. */
const struct message_type *enrol_type(uint16_t number);
/* A whole message for the stream, length in front: bytes used, or as message_encode(). */
int enrol_encode(uint16_t number, const void *message, uint8_t *out, size_t room);
/* One message (without its length in front) that must be `number`: 0 or -EBADMSG. */
int enrol_decode(const uint8_t *untrusted, size_t length, uint16_t number, void *message);
/* What a length may be: 0 or -EBADMSG. */
int enrol_check_length(uint16_t untrusted_length);

/* The bytes of a statement, as they are signed and sent. */
int enrol_encode_statement(const struct msg_enrol_statement *statement, uint8_t *out, size_t room);
/* 0 or -EBADMSG: also when a key's length is not its type's. */
int enrol_decode_statement(const uint8_t *untrusted, size_t length, struct msg_enrol_statement *statement);

#endif
