/* SPDX-License-Identifier: Apache-2.0
 *
 * PASETO v4.public (crypto/paseto.h). The broker verifies tokens that came from peers; netbus-admin signs. The token is hostile until it is
 * verified: lengths before bytes, everything decoded once, nothing left over.
 */
#include "crypto/paseto.h"

#include <errno.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define HEADER        "v4.public."
#define HEADER_LEN    (sizeof HEADER - 1)
#define PUBLIC_PREFIX "k4.public."
#define SECRET_PREFIX "k4.secret."
#define ID_PREFIX     "k4.pid."
#define ID_BYTES      33
#define VARIANT       sodium_base64_VARIANT_URLSAFE_NO_PADDING
#define BASE64_LEN(n) (((n)*4 + 2) / 3) /* without NUL */
#define PIECES        4
#define PAE_MOST      (8 * (1 + PIECES) + HEADER_LEN + 2 * PASETO_TOKEN_MAX + PASETO_IMPLICIT_MAX)

_Static_assert(PASERK_ID_LEN == sizeof ID_PREFIX - 1 + BASE64_LEN(ID_BYTES), "id");
_Static_assert(PASERK_PUBLIC_LEN == sizeof PUBLIC_PREFIX - 1 + BASE64_LEN(PASETO_KEY_LEN), "public key");
_Static_assert(PASERK_SECRET_LEN == sizeof SECRET_PREFIX - 1 + BASE64_LEN(PASETO_SECRET_LEN), "secret key");
_Static_assert(PASETO_KEY_LEN == crypto_sign_PUBLICKEYBYTES && PASETO_SECRET_LEN == crypto_sign_SECRETKEYBYTES &&
		   PASETO_SIGNATURE_LEN == crypto_sign_BYTES,
    "as libsodium has them");

/* ---- base64url ---- */

/* All of the text, which must be the one text of its bytes. libsodium's decoder reads bytes beyond ASCII as letters, and what it makes of
 * bits that are left over is its own affair: the bytes are written again, and that must be the text. */
static bool
decode(const char *text, size_t length, uint8_t *bytes, size_t room, size_t *made)
{
	char again[BASE64_LEN(PASETO_TOKEN_MAX) + 1];
	bool good;

	if (length == 0 || BASE64_LEN(room) < length || length >= sizeof again)
		return false;
	if (sodium_base642bin(bytes, room, text, length, NULL, made, NULL, VARIANT) != 0 || BASE64_LEN(*made) != length)
		return false;
	sodium_bin2base64(again, sizeof again, bytes, *made, VARIANT);
	good = sodium_memcmp(again, text, length) == 0;
	sodium_memzero(again, sizeof again); /* it may have been a secret key */
	return good;
}

/* ---- pre-authentication encoding ---- */

/* A count or length: 64 bits, little-endian, the highest clear. */
static uint8_t *
put_length(uint8_t *at, size_t length)
{
	for (unsigned i = 0; i < 8; i++)
		at[i] = (uint8_t)((uint64_t)length >> 8 * i);
	return at + 8;
}

/* The bytes that are signed. Who calls has held each piece against its limit. */
static size_t
encode_pieces(const struct paseto_bytes pieces[static PIECES], uint8_t out[static PAE_MOST])
{
	uint8_t *at = put_length(out, PIECES);

	for (unsigned i = 0; i < PIECES; i++) {
		at = put_length(at, pieces[i].length);
		if (pieces[i].length)
			memcpy(at, pieces[i].at, pieces[i].length);
		at += pieces[i].length;
	}
	return (size_t)(at - out);
}

/* ---- tokens ---- */

int
paseto_parse(const char *token, size_t length, struct paseto *paseto)
{
	struct paseto parsed;
	const char *body, *dot;
	size_t body_length, made;

	if (length > PASETO_TOKEN_MAX || length <= HEADER_LEN || memcmp(token, HEADER, HEADER_LEN) != 0)
		return -EBADMSG;
	body = token + HEADER_LEN;
	dot = memchr(body, '.', length - HEADER_LEN);
	body_length = dot ? (size_t)(dot - body) : length - HEADER_LEN;
	if (!decode(body, body_length, parsed.payload, sizeof parsed.payload - 1, &made) || made < PASETO_SIGNATURE_LEN)
		return -EBADMSG;
	parsed.payload_length = made - PASETO_SIGNATURE_LEN;
	memcpy(parsed.signature, parsed.payload + parsed.payload_length, PASETO_SIGNATURE_LEN);
	parsed.payload[parsed.payload_length] = '\0';
	parsed.footer_length = 0;
	/* A dot promises a footer: without one there would be two texts of a token that has none. */
	if (dot && !decode(dot + 1, length - HEADER_LEN - body_length - 1, parsed.footer, sizeof parsed.footer - 1,
		       &parsed.footer_length))
		return -EBADMSG;
	parsed.footer[parsed.footer_length] = '\0';
	*paseto = parsed;
	return 0;
}

int
paseto_verify(
    const uint8_t key[static PASETO_KEY_LEN], const struct paseto *paseto, const struct paseto_bytes *implicit)
{
	const struct paseto_bytes pieces[PIECES] = {{HEADER, HEADER_LEN}, {paseto->payload, paseto->payload_length},
	    {paseto->footer, paseto->footer_length}, *implicit};
	uint8_t signed_bytes[PAE_MOST];

	if (implicit->length > PASETO_IMPLICIT_MAX)
		return -EACCES;
	return crypto_sign_verify_detached(paseto->signature, signed_bytes, encode_pieces(pieces, signed_bytes), key) ==
		       0
		   ? 0
		   : -EACCES;
}

int
paseto_sign(const uint8_t secret[static PASETO_SECRET_LEN], const struct paseto_bytes *payload,
    const struct paseto_bytes *footer, const struct paseto_bytes *implicit, char *token, size_t room)
{
	const struct paseto_bytes pieces[PIECES] = {{HEADER, HEADER_LEN}, *payload, *footer, *implicit};
	uint8_t bytes[PASETO_TOKEN_MAX + PASETO_SIGNATURE_LEN], signed_bytes[PAE_MOST];
	size_t whole, length;

	if (payload->length > PASETO_TOKEN_MAX || footer->length > PASETO_TOKEN_MAX ||
	    implicit->length > PASETO_IMPLICIT_MAX)
		return -ENOBUFS;
	whole = payload->length + PASETO_SIGNATURE_LEN;
	length = HEADER_LEN + BASE64_LEN(whole) + (footer->length ? 1 + BASE64_LEN(footer->length) : 0);
	if (length > PASETO_TOKEN_MAX || length >= room)
		return -ENOBUFS;
	if (payload->length)
		memcpy(bytes, payload->at, payload->length);
	crypto_sign_detached(bytes + payload->length, NULL, signed_bytes, encode_pieces(pieces, signed_bytes), secret);
	memcpy(token, HEADER, HEADER_LEN);
	sodium_bin2base64(token + HEADER_LEN, room - HEADER_LEN, bytes, whole, VARIANT);
	if (footer->length) {
		size_t at = HEADER_LEN + BASE64_LEN(whole);

		token[at++] = '.';
		sodium_bin2base64(token + at, room - at, footer->at, footer->length, VARIANT);
	}
	return (int)length;
}

/* ---- keys ---- */

static void
print_key(const char *prefix, const uint8_t *bytes, size_t length, char *text, size_t room)
{
	size_t at = (size_t)snprintf(text, room, "%s", prefix);

	sodium_bin2base64(text + at, room - at, bytes, length, VARIANT);
}

void
paserk_print_public(const uint8_t key[static PASETO_KEY_LEN], char text[static PASERK_PUBLIC_LEN + 1])
{
	print_key(PUBLIC_PREFIX, key, PASETO_KEY_LEN, text, PASERK_PUBLIC_LEN + 1);
}

void
paserk_print_secret(const uint8_t secret[static PASETO_SECRET_LEN], char text[static PASERK_SECRET_LEN + 1])
{
	print_key(SECRET_PREFIX, secret, PASETO_SECRET_LEN, text, PASERK_SECRET_LEN + 1);
}

void
paserk_print_id(const uint8_t key[static PASETO_KEY_LEN], char text[static PASERK_ID_LEN + 1])
{
	char public[PASERK_PUBLIC_LEN + 1];
	uint8_t hash[ID_BYTES];
	crypto_generichash_state state;

	paserk_print_public(key, public);
	crypto_generichash_init(&state, NULL, 0, sizeof hash);
	crypto_generichash_update(&state, (const uint8_t *)ID_PREFIX, sizeof ID_PREFIX - 1);
	crypto_generichash_update(&state, (const uint8_t *)public, PASERK_PUBLIC_LEN);
	crypto_generichash_final(&state, hash, sizeof hash);
	print_key(ID_PREFIX, hash, sizeof hash, text, PASERK_ID_LEN + 1);
}

/* Exactly `length` bytes behind the prefix. */
static bool
parse_key(const char *prefix, const char *text, size_t text_length, uint8_t *bytes, size_t length)
{
	size_t at = strlen(prefix), made;

	return text_length == at + BASE64_LEN(length) && memcmp(text, prefix, at) == 0 &&
	       decode(text + at, text_length - at, bytes, length, &made) && made == length;
}

int
paserk_parse_public(const char *text, size_t length, uint8_t key[static PASETO_KEY_LEN])
{
	uint8_t parsed[PASETO_KEY_LEN];

	if (!parse_key(PUBLIC_PREFIX, text, length, parsed, sizeof parsed))
		return -EINVAL;
	memcpy(key, parsed, sizeof parsed);
	return 0;
}

int
paserk_parse_secret(const char *text, size_t length, uint8_t secret[static PASETO_SECRET_LEN])
{
	uint8_t parsed[PASETO_SECRET_LEN], made[PASETO_SECRET_LEN], public[PASETO_KEY_LEN];
	bool good = parse_key(SECRET_PREFIX, text, length, parsed, sizeof parsed);

	if (good) {
		crypto_sign_seed_keypair(public, made, parsed);
		good = sodium_memcmp(made, parsed, sizeof made) == 0;
	}
	if (good)
		memcpy(secret, parsed, sizeof parsed);
	sodium_memzero(parsed, sizeof parsed);
	sodium_memzero(made, sizeof made);
	return good ? 0 : -EINVAL;
}
