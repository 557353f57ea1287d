/* SPDX-License-Identifier: Apache-2.0
 *
 * Signed checkpoints of the audit trail: C2SP tlog-checkpoint (origin, size, base64 root) as a C2SP signed note with an Ed25519 signature.
 * The signing half runs in netbus-keys, the verifying half in netbus-admin. Ed25519 by libsodium.
 *
 * Secret key file ("seal.key"): one line "PRIVATE+KEY+<name>+<8 hex key hash>+<base64(0x01 || seed)>"; public ("seal.pub"): "<name>+<8 hex>+<base64(0x01 || key)>".
 */
#ifndef NETBUS_CRYPTO_SEAL_H
#define NETBUS_CRYPTO_SEAL_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "crypto/chain.h"

#define SEAL_NAME_MAX 255
#define SEAL_NOTE_MAX 2048
#define SEAL_TEXT_MAX 1024

struct seal_key; /* in guarded memory */
struct seal_public;

/* Makes a new pair; both texts are one line with a newline. */
int seal_generate(
    const char *name, char *secret, size_t secret_room, char *public, size_t public_room, struct error *error);
struct seal_key *seal_key_parse(const char *text, size_t length, struct error *error);
void seal_key_free(struct seal_key *key);
struct seal_public *seal_public_parse(const char *text, size_t length, struct error *error);
void seal_public_free(struct seal_public *key);

struct checkpoint {
	char origin[SEAL_NAME_MAX + 1];
	uint64_t size;
	uint8_t root[CHAIN_LEN];
};
/* The note's text ("origin\nsize\nbase64(root)\n"), NUL-terminated: its length or -ENOBUFS. */
int checkpoint_print(const struct checkpoint *checkpoint, char *text, size_t room);
/* 0 or -EBADMSG: exactly the three lines. */
int checkpoint_parse(const char *text, size_t length, struct checkpoint *checkpoint);

/* The whole note: text, empty line, an em dash and " name base64(hash || signature)". Refuses (-EPERM) a text that is not a checkpoint of this key's name. */
int seal_sign(const struct seal_key *key, const char *text, size_t length, char *note, size_t room);
/* The checkpoint of a note whose signature holds; -EBADMSG malformed, -EACCES signature of another key or bad. */
int seal_verify(
    const struct seal_public *key, const char *note, size_t length, struct checkpoint *checkpoint, struct error *error);

#endif
