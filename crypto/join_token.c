/* SPDX-License-Identifier: Apache-2.0
 *
 * Join tokens as text (crypto/join_token.h). The text is typed by a person and may be anybody's.
 */
#include "crypto/join_token.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "base/bytes.h"
#include "base/text.h"
#include "wire/enrol.h"

#define PREFIX       "netbus-join-1."
#define CHECKSUM_LEN 4
#define FIXED_LEN    (1 + JOIN_TOKEN_ID_LEN + 8 + JOIN_TOKEN_CA_LEN + JOIN_TOKEN_SEED_LEN + CHECKSUM_LEN)
#define BINARY_MAX   (FIXED_LEN + NAME_LEN_MAX)

_Static_assert(sizeof PREFIX + (BINARY_MAX + 2) / 3 * 4 <= JOIN_TOKEN_TEXT_MAX, "any token fits into its text");
_Static_assert(JOIN_TOKEN_ID_LEN == ENROL_TOKEN_LEN, "one length for ids");
_Static_assert(JOIN_TOKEN_SEED_LEN == crypto_sign_SEEDBYTES && JOIN_TOKEN_KEY_LEN == crypto_sign_PUBLICKEYBYTES,
    "a seed of Ed25519");

int
join_token_draw(struct join_token *token, uint8_t key[static JOIN_TOKEN_KEY_LEN])
{
	if (sodium_init() < 0)
		return -EIO;
	randombytes_buf(token->id, sizeof token->id);
	randombytes_buf(token->seed, sizeof token->seed);
	join_token_key(token, key);
	return 0;
}

void
join_token_key(const struct join_token *token, uint8_t key[static JOIN_TOKEN_KEY_LEN])
{
	uint8_t secret[crypto_sign_SECRETKEYBYTES];

	crypto_sign_seed_keypair(key, secret, token->seed);
	sodium_memzero(secret, sizeof secret);
}

static void
checksum(const uint8_t *bytes, size_t length, uint8_t sum[static CHECKSUM_LEN])
{
	uint8_t hash[crypto_hash_sha256_BYTES];

	crypto_hash_sha256(hash, bytes, length);
	memcpy(sum, hash, CHECKSUM_LEN);
}

void
join_token_print(const struct join_token *token, char text[static JOIN_TOKEN_TEXT_MAX])
{
	uint8_t binary[BINARY_MAX], sum[CHECKSUM_LEN];
	struct writer writer = writer_over(binary, sizeof binary);
	size_t name_length = strlen(token->host.text), prefix = strlen(PREFIX);

	write_u8(&writer, (uint8_t)name_length);
	write_bytes(&writer, token->host.text, name_length);
	write_bytes(&writer, token->id, sizeof token->id);
	write_u64(&writer, token->expires_s);
	write_bytes(&writer, token->ca, sizeof token->ca);
	write_bytes(&writer, token->seed, sizeof token->seed);
	checksum(binary, writer_used(&writer), sum);
	write_bytes(&writer, sum, sizeof sum);
	memcpy(text, PREFIX, sizeof PREFIX);
	sodium_bin2base64(text + prefix, JOIN_TOKEN_TEXT_MAX - prefix, binary, writer_used(&writer),
	    sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	sodium_memzero(binary, sizeof binary);
}

static int
read_fields(const uint8_t *binary, size_t length, struct join_token *token, struct error *error)
{
	struct reader reader = reader_over(binary, length);
	char name[NAME_LEN_MAX + 1] = "";
	uint8_t sum[CHECKSUM_LEN], name_length = read_u8(&reader);
	const uint8_t *text = name_length <= NAME_LEN_MAX ? read_bytes(&reader, name_length) : NULL;
	const uint8_t *id = read_bytes(&reader, sizeof token->id);
	const uint8_t *ca, *seed, *given;

	token->expires_s = read_u64(&reader);
	ca = read_bytes(&reader, sizeof token->ca);
	seed = read_bytes(&reader, sizeof token->seed);
	given = read_bytes(&reader, CHECKSUM_LEN);
	if (text == NULL || given == NULL || !reader_done(&reader) || !name_is_valid((const char *)text, name_length))
		return error_set(
		    error, -EINVAL, "the join token is not whole; copy it as netbus-admin pki token printed it");
	checksum(binary, length - CHECKSUM_LEN, sum);
	if (sodium_memcmp(sum, given, sizeof sum) != 0)
		return error_set(error, -EINVAL,
		    "the join token was edited or mistyped: its checksum does not hold; copy it as netbus-admin pki "
		    "token "
		    "printed it");
	memcpy(name, text, name_length);
	memcpy(token->id, id, sizeof token->id);
	memcpy(token->ca, ca, sizeof token->ca);
	memcpy(token->seed, seed, sizeof token->seed);
	return name_parse(name, "host", &token->host, error);
}

int
join_token_parse(const char *text, struct join_token *token, struct error *error)
{
	uint8_t binary[BINARY_MAX];
	struct join_token read = {0};
	size_t prefix = strlen(PREFIX), length = 0;
	int code;

	if (strncmp(text, PREFIX, prefix) != 0)
		return error_set(error, -EINVAL,
		    "this is not a join token, which begins with " PREFIX
		    "; netbus-admin pki token HOST makes one on the enroller");
	if (strlen(text) >= JOIN_TOKEN_TEXT_MAX ||
	    sodium_base642bin(binary, sizeof binary, text + prefix, strlen(text + prefix), NULL, &length, NULL,
		sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0)
		code = error_set(
		    error, -EINVAL, "the join token is not whole; copy it as netbus-admin pki token printed it");
	else
		code = read_fields(binary, length, &read, error);
	if (code == 0)
		*token = read;
	sodium_memzero(binary, sizeof binary);
	sodium_memzero(&read, sizeof read);
	return code;
}

/* ---- fingerprints ---- */

int
public_key_fingerprint(uint8_t key_type, const uint8_t *key, size_t length, char fingerprint[static 65])
{
	/* RFC 8410 section 4; RFC 5480 section 2 with secp256r1: all of the SPKI but the key itself. */
	static const uint8_t ed25519[] = {0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00};
	static const uint8_t p256[] = {0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01,
	    0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00};
	bool is_p256 = key_type == ENROL_P256;
	crypto_hash_sha256_state state;
	uint8_t hash[crypto_hash_sha256_BYTES];

	if (length != (is_p256 ? ENROL_P256_LEN : ENROL_ED25519_LEN) || (!is_p256 && key_type != ENROL_ED25519))
		return -EINVAL;
	crypto_hash_sha256_init(&state);
	crypto_hash_sha256_update(&state, is_p256 ? p256 : ed25519, is_p256 ? sizeof p256 : sizeof ed25519);
	crypto_hash_sha256_update(&state, key, length);
	crypto_hash_sha256_final(&state, hash);
	print_hex(hash, sizeof hash, fingerprint);
	return 0;
}
