/* SPDX-License-Identifier: Apache-2.0
 *
 * A join token: what an operator carries from the enroller to a new host. One line of text, "netbus-join-1." and base64url of:
 *
 *     u8 length, host name | 16 id | u64 expiry (seconds since 1970) | 32 fingerprint of the CA's key | 32 seed | 4 checksum
 *
 * The seed is an Ed25519 private key: the enroller keeps only its public half, so that whoever reads the enroller's state can use no token. The fingerprint is
 * what the new host knows the enroller by. The checksum finds what was mistyped or edited; what was edited with care, the enroller finds, which
 * goes by its own notes. Pure but for randomness.
 */
#ifndef NETBUS_CRYPTO_JOIN_TOKEN_H
#define NETBUS_CRYPTO_JOIN_TOKEN_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/name.h"

#define JOIN_TOKEN_ID_LEN   16
#define JOIN_TOKEN_SEED_LEN 32
#define JOIN_TOKEN_KEY_LEN  32
#define JOIN_TOKEN_CA_LEN   32
#define JOIN_TOKEN_TEXT_MAX 256 /* with the NUL */

struct join_token {
	struct name host;
	uint8_t id[JOIN_TOKEN_ID_LEN];
	uint64_t expires_s; /* since 1970 */
	uint8_t ca[JOIN_TOKEN_CA_LEN];
	uint8_t seed[JOIN_TOKEN_SEED_LEN]; /* secret */
};

/* Draws id and seed; `key` is the public half. 0 or -EIO. */
int join_token_draw(struct join_token *token, uint8_t key[static JOIN_TOKEN_KEY_LEN]);
/* The public half of the token's seed. */
void join_token_key(const struct join_token *token, uint8_t key[static JOIN_TOKEN_KEY_LEN]);
void join_token_print(const struct join_token *token, char text[static JOIN_TOKEN_TEXT_MAX]);
/* -EINVAL and a sentence; the token is not quoted, since it is a secret. */
int join_token_parse(const char *text, struct join_token *token, struct error *error);

/* SHA-256 of the SPKI of a raw public key (enum enrol_key_type in wire/enrol.h), as netbus-keys prints it: hex. -EINVAL when the length is not the
 * type's. */
int public_key_fingerprint(uint8_t key_type, const uint8_t *key, size_t length, char fingerprint[static 65]);

#endif
