/* SPDX-License-Identifier: Apache-2.0
 *
 * PASETO v4.public: signed tokens, and their keys as PASERK writes them. Ed25519 and BLAKE2b by libsodium; pure beside that. It knows nothing
 * of what a token says (crypto/ticket.h does).
 *
 *   token       "v4.public." base64url(payload || signature) [ "." base64url(footer) ]
 *   signature   Ed25519 over PAE("v4.public.", payload, footer, implicit assertion)
 *   secret key  "k4.secret." base64url(seed || public key)      public key  "k4.public." base64url(key)
 *   key's id    "k4.pid." base64url(BLAKE2b-264("k4.pid." || the public key's text))
 *
 * base64url is taken in the one form that a value has: no padding, no letters beyond ASCII, no bits left over. So a token has one text.
 * Sources: PASETO specification (Version 4, Common), PASERK (k4.public, k4.secret, k4.pid).
 */
#ifndef NETBUS_CRYPTO_PASETO_H
#define NETBUS_CRYPTO_PASETO_H

#include <stddef.h>
#include <stdint.h>

#include "wire/limits.h"

#define PASETO_TOKEN_MAX     LIMIT_TICKET /* bytes of a token */
#define PASETO_IMPLICIT_MAX  255
#define PASETO_KEY_LEN       32
#define PASETO_SECRET_LEN    64 /* seed and public key, as libsodium has them */
#define PASETO_SIGNATURE_LEN 64
#define PASERK_ID_LEN        51 /* without the NUL, as the next two */
#define PASERK_PUBLIC_LEN    53
#define PASERK_SECRET_LEN    96

/* A piece of bytes; borrowed. */
struct paseto_bytes {
	const void *at;
	size_t length;
};

/* The parts of a token, decoded and not verified. Both buffers are NUL-terminated for people's eyes; they may hold NULs. */
struct paseto {
	uint8_t payload[PASETO_TOKEN_MAX + 1], footer[PASETO_TOKEN_MAX + 1], signature[PASETO_SIGNATURE_LEN];
	size_t payload_length, footer_length;
};

/* 0, or -EBADMSG: not one v4.public token of at most PASETO_TOKEN_MAX bytes. */
int paseto_parse(const char *untrusted_token, size_t length, struct paseto *paseto);
/* 0, or -EACCES: this key did not sign these parts with that implicit assertion. */
int paseto_verify(
    const uint8_t key[static PASETO_KEY_LEN], const struct paseto *paseto, const struct paseto_bytes *implicit);
/* The token, NUL-terminated: its length, or -ENOBUFS when it is longer than PASETO_TOKEN_MAX or `room`. */
int paseto_sign(const uint8_t secret[static PASETO_SECRET_LEN], const struct paseto_bytes *payload,
    const struct paseto_bytes *footer, const struct paseto_bytes *implicit, char *token, size_t room);

/* ---- keys ---- */

void paserk_print_public(const uint8_t key[static PASETO_KEY_LEN], char text[static PASERK_PUBLIC_LEN + 1]);
void paserk_print_secret(const uint8_t secret[static PASETO_SECRET_LEN], char text[static PASERK_SECRET_LEN + 1]);
void paserk_print_id(const uint8_t key[static PASETO_KEY_LEN], char text[static PASERK_ID_LEN + 1]);
/* From all of the text: 0 or -EINVAL. A secret key whose halves do not belong together is none. */
int paserk_parse_public(const char *text, size_t length, uint8_t key[static PASETO_KEY_LEN]);
int paserk_parse_secret(const char *text, size_t length, uint8_t secret[static PASETO_SECRET_LEN]);

#endif
