/* SPDX-License-Identifier: Apache-2.0
 *
 * Signed checkpoints of the audit trail (crypto/seal.h). netbus-keys signs, and signs nothing else with this key; netbus-admin
 * makes keys and verifies. Notes and key files are untrusted: each is taken apart by position, and must be consumed whole.
 *
 * Sources: C2SP signed-note (format, key hash, Ed25519 as algorithm 1), C2SP tlog-checkpoint (the three lines). Ed25519: libsodium.
 */
#include "crypto/seal.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/text.h"

#define ALGORITHM_ED25519 1
#define HASH_LEN          4
#define BASE64_VARIANT    sodium_base64_VARIANT_ORIGINAL
#define BASE64_LEN(bytes) (((bytes) + 2) / 3 * 4) /* without NUL */
#define KEY_BYTES         33                      /* the algorithm's byte and a seed or public key */
#define SECRET_PREFIX     "PRIVATE+KEY+"
#define SIGNATURE_PREFIX  "\xe2\x80\x94 " /* an em dash and a space */
#define SIGNATURE_BYTES   (HASH_LEN + crypto_sign_BYTES)

_Static_assert(crypto_sign_SEEDBYTES + 1 == KEY_BYTES, "a seed behind the algorithm's byte");
_Static_assert(crypto_sign_PUBLICKEYBYTES + 1 == KEY_BYTES, "a key behind the algorithm's byte");

/* All of it in guarded pages, read-only once it is made. */
struct seal_key {
	char name[SEAL_NAME_MAX + 1];
	uint8_t hash[HASH_LEN];
	uint8_t secret[crypto_sign_SECRETKEYBYTES];
};

struct seal_public {
	char name[SEAL_NAME_MAX + 1];
	uint8_t hash[HASH_LEN];
	uint8_t key[crypto_sign_PUBLICKEYBYTES];
};

/* A piece of a text, not terminated. */
struct span {
	const char *at;
	size_t length;
};

/* ---- pieces ---- */

/* Takes what stands before `separator` off the front, and the separator. */
static bool
take_until(struct span *text, char separator, struct span *piece)
{
	const char *found = memchr(text->at, separator, text->length);

	if (found == NULL)
		return false;
	*piece = (struct span){text->at, (size_t)(found - text->at)};
	text->at += piece->length + 1;
	text->length -= piece->length + 1;
	return true;
}

static bool
take_prefix(struct span *text, const char *prefix)
{
	size_t length = strlen(prefix);

	if (text->length < length || memcmp(text->at, prefix, length) != 0)
		return false;
	text->at += length;
	text->length -= length;
	return true;
}

/* libsodium's decoder reads bytes beyond ASCII as letters of base64, so that one value would have many texts. */
static bool
is_ascii(struct span text)
{
	for (size_t i = 0; i < text.length; i++)
		if ((unsigned char)text.at[i] > '~')
			return false;
	return true;
}

/* Exactly `length` bytes from all of the text. */
static bool
decode_base64(struct span text, uint8_t *bytes, size_t length)
{
	size_t made;

	return text.length == BASE64_LEN(length) && is_ascii(text) &&
	       sodium_base642bin(bytes, length, text.at, text.length, NULL, &made, NULL, BASE64_VARIANT) == 0 &&
	       made == length;
}

/* Names of keys and origins: no space and no plus (signed-note), and ASCII only, as ours are. */
static bool
take_name(struct span text, char name[static SEAL_NAME_MAX + 1])
{
	if (text.length == 0 || text.length > SEAL_NAME_MAX)
		return false;
	for (size_t i = 0; i < text.length; i++)
		if (text.at[i] <= ' ' || text.at[i] > '~' || text.at[i] == '+')
			return false;
	memcpy(name, text.at, text.length);
	name[text.length] = '\0';
	return true;
}

/* ---- keys ---- */

/* The first bytes of SHA-256(name || newline || algorithm || public key). */
static void
hash_key(const char *name, const uint8_t key[static crypto_sign_PUBLICKEYBYTES], uint8_t hash[static HASH_LEN])
{
	static const uint8_t middle[] = {'\n', ALGORITHM_ED25519};
	uint8_t whole[crypto_hash_sha256_BYTES];
	crypto_hash_sha256_state state;

	crypto_hash_sha256_init(&state);
	crypto_hash_sha256_update(&state, (const uint8_t *)name, strlen(name));
	crypto_hash_sha256_update(&state, middle, sizeof middle);
	crypto_hash_sha256_update(&state, key, crypto_sign_PUBLICKEYBYTES);
	crypto_hash_sha256_final(&state, whole);
	memcpy(hash, whole, HASH_LEN);
}

/* "<prefix><name>+<hash>+<base64>\n"; `bytes` are what stands behind the algorithm's byte. */
static int
print_key(const char *prefix, const char *name, const uint8_t hash[static HASH_LEN],
    const uint8_t bytes[static KEY_BYTES - 1], char *text, size_t room)
{
	uint8_t typed[KEY_BYTES] = {ALGORITHM_ED25519};
	char base64[BASE64_LEN(KEY_BYTES) + 1], hex[2 * HASH_LEN + 1];
	int length;

	memcpy(typed + 1, bytes, KEY_BYTES - 1);
	sodium_bin2base64(base64, sizeof base64, typed, sizeof typed, BASE64_VARIANT);
	print_hex(hash, HASH_LEN, hex);
	length = snprintf(text, room, "%s%s+%s+%s\n", prefix, name, hex, base64);
	sodium_memzero(typed, sizeof typed);
	sodium_memzero(base64, sizeof base64);
	return length < 0 || (size_t)length >= room ? -ENOBUFS : 0;
}

int
seal_generate(const char *name, char *secret, size_t secret_room, char *public, size_t public_room, struct error *error)
{
	uint8_t key[crypto_sign_PUBLICKEYBYTES], secret_key[crypto_sign_SECRETKEYBYTES];
	uint8_t seed[crypto_sign_SEEDBYTES], hash[HASH_LEN];
	char checked[SEAL_NAME_MAX + 1];
	int code;

	if (sodium_init() < 0)
		return error_set(error, -EIO, "libsodium cannot be set up");
	if (!take_name((struct span){name, strlen(name)}, checked))
		return error_set(error, -EINVAL,
		    "'%.80s' cannot name a seal key: 1 to %d printable ASCII characters without "
		    "space and + can",
		    name, SEAL_NAME_MAX);
	randombytes_buf(seed, sizeof seed);
	crypto_sign_seed_keypair(key, secret_key, seed);
	hash_key(name, key, hash);
	code = print_key(SECRET_PREFIX, name, hash, seed, secret, secret_room);
	if (code == 0)
		code = print_key("", name, hash, key, public, public_room);
	if (code < 0)
		sodium_memzero(secret, secret_room);
	sodium_memzero(seed, sizeof seed);
	sodium_memzero(secret_key, sizeof secret_key);
	return code < 0 ? error_set(error, code, "there is too little room for a seal key") : 0;
}

/* "<name>+<hash>+<base64>" with or without a newline. */
static bool
parse_key(struct span text, char name[static SEAL_NAME_MAX + 1], uint8_t hash[static HASH_LEN],
    uint8_t bytes[static KEY_BYTES])
{
	struct span name_text, hash_text;
	char hex[2 * HASH_LEN + 1] = "";

	if (text.length > 0 && text.at[text.length - 1] == '\n')
		text.length--;
	if (!take_until(&text, '+', &name_text) || !take_until(&text, '+', &hash_text) ||
	    hash_text.length != 2 * (size_t)HASH_LEN)
		return false;
	memcpy(hex, hash_text.at, hash_text.length);
	return take_name(name_text, name) && parse_hex(hex, hash, HASH_LEN) == 0 &&
	       decode_base64(text, bytes, KEY_BYTES) && bytes[0] == ALGORITHM_ED25519;
}

/* Fills the key from its text. The seed does not outlive this. */
static bool
read_secret(struct span text, struct seal_key *key)
{
	uint8_t seed[KEY_BYTES], public[crypto_sign_PUBLICKEYBYTES], hash[HASH_LEN];
	bool good = take_prefix(&text, SECRET_PREFIX) && parse_key(text, key->name, key->hash, seed);

	if (good) {
		crypto_sign_seed_keypair(public, key->secret, seed + 1);
		hash_key(key->name, public, hash);
		good = memcmp(hash, key->hash, HASH_LEN) == 0;
	}
	sodium_memzero(seed, sizeof seed);
	return good;
}

struct seal_key *
seal_key_parse(const char *text, size_t length, struct error *error)
{
	struct seal_key *key;

	if (sodium_init() < 0) {
		error_set(error, -EIO, "libsodium cannot be set up");
		return NULL;
	}
	key = sodium_malloc(sizeof *key);
	if (key == NULL) {
		error_set(error, -ENOMEM, "there is no memory for the seal key");
		return NULL;
	}
	if (!read_secret((struct span){text, length}, key)) {
		error_set(error, -EINVAL,
		    "this is not a seal key: one line " SECRET_PREFIX
		    "NAME+HASH+BASE64 is, as netbus-admin pki issue makes it");
		sodium_free(key);
		return NULL;
	}
	sodium_mprotect_readonly(key);
	return key;
}

void
seal_key_free(struct seal_key *key)
{
	sodium_free(key); /* wipes it */
}

struct seal_public *
seal_public_parse(const char *text, size_t length, struct error *error)
{
	struct seal_public *key = calloc(1, sizeof *key);
	uint8_t bytes[KEY_BYTES], hash[HASH_LEN];

	if (key == NULL) {
		error_set(error, -ENOMEM, "there is no memory for the public key");
		return NULL;
	}
	if (sodium_init() >= 0 && parse_key((struct span){text, length}, key->name, key->hash, bytes)) {
		memcpy(key->key, bytes + 1, sizeof key->key);
		hash_key(key->name, key->key, hash);
		if (memcmp(hash, key->hash, HASH_LEN) == 0)
			return key;
	}
	error_set(error, -EINVAL,
	    "this is not the public key of a seal: one line NAME+HASH+BASE64 is, as in seal.pub "
	    "of netbus-admin pki issue");
	free(key);
	return NULL;
}

void
seal_public_free(struct seal_public *key)
{
	free(key);
}

/* ---- checkpoints ---- */

int
checkpoint_print(const struct checkpoint *checkpoint, char *text, size_t room)
{
	char base64[BASE64_LEN(CHAIN_LEN) + 1];
	int length;

	sodium_bin2base64(base64, sizeof base64, checkpoint->root, CHAIN_LEN, BASE64_VARIANT);
	length = snprintf(text, room, "%s\n%" PRIu64 "\n%s\n", checkpoint->origin, checkpoint->size, base64);
	return length < 0 || (size_t)length >= room ? -ENOBUFS : length;
}

/* Decimal, and written the one way that there is. */
static bool
take_size(struct span text, uint64_t *size)
{
	char digits[24], again[24];
	struct error error;

	if (text.length == 0 || text.length >= sizeof digits)
		return false;
	memcpy(digits, text.at, text.length);
	digits[text.length] = '\0';
	if (parse_number(digits, 0, UINT64_MAX, size, &error) < 0)
		return false;
	/* Against the text itself: it may have a NUL in it, where the copy ends. */
	return (size_t)snprintf(again, sizeof again, "%" PRIu64, *size) == text.length &&
	       memcmp(again, text.at, text.length) == 0;
}

int
checkpoint_parse(const char *text, size_t length, struct checkpoint *checkpoint)
{
	struct span rest = {text, length}, origin, size, root;
	struct checkpoint parsed = {0};

	if (length > SEAL_TEXT_MAX || !take_until(&rest, '\n', &origin) || !take_until(&rest, '\n', &size) ||
	    !take_until(&rest, '\n', &root) || rest.length != 0)
		return -EBADMSG;
	if (!take_name(origin, parsed.origin) || !take_size(size, &parsed.size) ||
	    !decode_base64(root, parsed.root, CHAIN_LEN))
		return -EBADMSG;
	*checkpoint = parsed;
	return 0;
}

/* ---- notes ---- */

int
seal_sign(const struct seal_key *key, const char *text, size_t length, char *note, size_t room)
{
	uint8_t signature[SIGNATURE_BYTES];
	char base64[BASE64_LEN(SIGNATURE_BYTES) + 1];
	struct checkpoint checkpoint;
	int made;

	if (checkpoint_parse(text, length, &checkpoint) < 0 || strcmp(checkpoint.origin, key->name) != 0)
		return -EPERM;
	memcpy(signature, key->hash, HASH_LEN);
	crypto_sign_detached(signature + HASH_LEN, NULL, (const uint8_t *)text, length, key->secret);
	sodium_bin2base64(base64, sizeof base64, signature, sizeof signature, BASE64_VARIANT);
	made = snprintf(note, room, "%.*s\n" SIGNATURE_PREFIX "%s %s\n", (int)length, text, key->name, base64);
	return made < 0 || (size_t)made >= room ? -ENOBUFS : made;
}

/* The text of a note (with its last newline) and its signature lines, behind the last empty line. */
static bool
split_note(struct span note, struct span *text, struct span *signatures)
{
	for (size_t i = note.length; i >= 2; i--)
		if (note.at[i - 1] == '\n' && note.at[i - 2] == '\n') {
			*text = (struct span){note.at, i - 1};
			*signatures = (struct span){note.at + i, note.length - i};
			return true;
		}
	return false;
}

enum signature_kind { SIGNATURE_MALFORMED, SIGNATURE_OF_ANOTHER, SIGNATURE_BAD, SIGNATURE_GOOD };

static enum signature_kind
judge_signature(const struct seal_public *key, struct span text, struct span line)
{
	uint8_t bytes[SEAL_NOTE_MAX];
	struct span name_text;
	char name[SEAL_NAME_MAX + 1];
	size_t length;

	if (!take_prefix(&line, SIGNATURE_PREFIX) || !take_until(&line, ' ', &name_text) ||
	    !take_name(name_text, name) || !is_ascii(line) ||
	    sodium_base642bin(bytes, sizeof bytes, line.at, line.length, NULL, &length, NULL, BASE64_VARIANT) != 0 ||
	    length <= HASH_LEN)
		return SIGNATURE_MALFORMED;
	if (strcmp(name, key->name) != 0 || memcmp(bytes, key->hash, HASH_LEN) != 0)
		return SIGNATURE_OF_ANOTHER;
	if (length != SIGNATURE_BYTES ||
	    crypto_sign_verify_detached(bytes + HASH_LEN, (const uint8_t *)text.at, text.length, key->key) != 0)
		return SIGNATURE_BAD;
	return SIGNATURE_GOOD;
}

/* Signatures of others (witnesses) may stand beside ours; ours must be there, and each that says it is ours must hold. */
static enum signature_kind
judge_signatures(const struct seal_public *key, struct span text, struct span lines)
{
	enum signature_kind kind = SIGNATURE_OF_ANOTHER;
	struct span line;

	if (lines.length == 0)
		return SIGNATURE_MALFORMED;
	while (lines.length > 0) {
		enum signature_kind one;

		if (!take_until(&lines, '\n', &line))
			return SIGNATURE_MALFORMED;
		one = judge_signature(key, text, line);
		if (one == SIGNATURE_MALFORMED || one == SIGNATURE_BAD)
			return one;
		if (one == SIGNATURE_GOOD)
			kind = one;
	}
	return kind;
}

int
seal_verify(
    const struct seal_public *key, const char *note, size_t length, struct checkpoint *checkpoint, struct error *error)
{
	struct span text, signatures;
	struct checkpoint parsed;
	enum signature_kind kind = SIGNATURE_MALFORMED;

	if (length <= SEAL_NOTE_MAX && split_note((struct span){note, length}, &text, &signatures))
		kind = judge_signatures(key, text, signatures);
	if (kind == SIGNATURE_MALFORMED)
		return error_set(error, -EBADMSG,
		    "this is not a signed checkpoint: three lines, an empty line and signatures "
		    "are");
	if (kind == SIGNATURE_OF_ANOTHER)
		return error_set(error, -EACCES, "the checkpoint is not signed with the key %s", key->name);
	if (kind == SIGNATURE_BAD)
		return error_set(error, -EACCES,
		    "the signature of the checkpoint is not by the key %s, or the checkpoint was "
		    "changed",
		    key->name);
	if (checkpoint_parse(text.at, text.length, &parsed) < 0 || strcmp(parsed.origin, key->name) != 0)
		return error_set(error, -EBADMSG, "what %s signed is not a checkpoint of its own trail", key->name);
	*checkpoint = parsed;
	return 0;
}
