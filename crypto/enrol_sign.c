/* SPDX-License-Identifier: Apache-2.0
 *
 * Signatures of enrol/1 (crypto/enrol_sign.h). Keys and signatures to be checked are a stranger's.
 */
#include "crypto/enrol_sign.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/params.h>
#include <string.h>

#include "base/bytes.h"
#include "crypto/proof_internal.h"

#define LABEL_LEN 32

static void
auto_making_free(EVP_PKEY_CTX **slot)
{
	EVP_PKEY_CTX_free(*slot);
}

static bool
add_part(EVP_MD_CTX *context, const struct enrol_part *part)
{
	uint8_t length[4];

	put_be32(length, (uint32_t)part->length);
	return EVP_DigestUpdate(context, length, sizeof length) == 1 &&
	       EVP_DigestUpdate(context, part->bytes, part->length) == 1;
}

static bool
make_input(enum enrol_label label, const struct enrol_nonces *nonces, const struct enrol_part *parts, size_t count,
    uint8_t input[static ENROL_INPUT_LEN])
{
	static const char labels[][LABEL_LEN] = {[ENROL_POSSESSION] = "netbus enrol/1 possession",
	    [ENROL_PROOF] = "netbus enrol/1 proof",
	    [ENROL_SEAL] = "netbus enrol/1 answer"};
	AUTO(auto_digest_free) EVP_MD_CTX *context = EVP_MD_CTX_new();
	bool good = context != NULL && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1 &&
		    EVP_DigestUpdate(context, nonces->newcomer, ENROL_NONCE_LEN) == 1 &&
		    EVP_DigestUpdate(context, nonces->enroller, ENROL_NONCE_LEN) == 1;

	for (size_t i = 0; i < count && good; i++)
		good = add_part(context, &parts[i]);
	memcpy(input, labels[label], LABEL_LEN);
	return good && EVP_DigestFinal_ex(context, input + LABEL_LEN, NULL) == 1;
}

static const EVP_MD *
digest_of(EVP_PKEY *key)
{
	return key_type_of(key) == KEY_ED25519 ? NULL : EVP_sha256();
}

int
enrol_sign(EVP_PKEY *key, enum enrol_label label, const struct enrol_nonces *nonces, const struct enrol_part *parts,
    size_t count, uint8_t signature[static ENROL_SIGNATURE_MAX], size_t *length)
{
	AUTO(auto_digest_free) EVP_MD_CTX *context = EVP_MD_CTX_new();
	uint8_t input[ENROL_INPUT_LEN];
	size_t made = ENROL_SIGNATURE_MAX;
	bool done = key_type_of(key) != KEY_OTHER && context != NULL &&
		    make_input(label, nonces, parts, count, input) &&
		    EVP_DigestSignInit(context, NULL, digest_of(key), NULL, key) == 1 &&
		    EVP_DigestSign(context, signature, &made, input, sizeof input) == 1;

	ERR_clear_error();
	if (!done)
		return -EIO;
	*length = made;
	return 0;
}

int
enrol_verify(EVP_PKEY *key, enum enrol_label label, const struct enrol_nonces *nonces, const struct enrol_part *parts,
    size_t count, const uint8_t *untrusted_signature, size_t length)
{
	AUTO(auto_digest_free) EVP_MD_CTX *context = EVP_MD_CTX_new();
	uint8_t input[ENROL_INPUT_LEN];
	bool good = key_type_of(key) != KEY_OTHER && context != NULL &&
		    make_input(label, nonces, parts, count, input) &&
		    EVP_DigestVerifyInit(context, NULL, digest_of(key), NULL, key) == 1 &&
		    EVP_DigestVerify(context, untrusted_signature, length, input, sizeof input) == 1;

	ERR_clear_error();
	return good ? 0 : -EACCES;
}

/* ---- keys ---- */

static EVP_PKEY *
p256_key(const uint8_t *point, size_t length)
{
	AUTO(auto_making_free) EVP_PKEY_CTX *making = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	char group[] = "prime256v1";
	OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
	    OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, (void *)(uintptr_t)point, length),
	    OSSL_PARAM_construct_end()};
	EVP_PKEY *key = NULL;

	if (making == NULL || EVP_PKEY_fromdata_init(making) != 1 ||
	    EVP_PKEY_fromdata(making, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
		return NULL;
	return key;
}

EVP_PKEY *
enrol_public_key(uint8_t key_type, const uint8_t *untrusted, size_t length)
{
	EVP_PKEY *key = NULL;

	if (key_type == ENROL_ED25519 && length == ENROL_ED25519_LEN)
		key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, untrusted, length);
	else if (key_type == ENROL_P256 && length == ENROL_P256_LEN && untrusted[0] == 0x04) /* uncompressed */
		key = p256_key(untrusted, length);
	ERR_clear_error();
	return key;
}

int
enrol_raw_key(EVP_PKEY *key, uint8_t *key_type, uint8_t raw[static ENROL_P256_LEN], size_t *length)
{
	enum key_type type = key_type_of(key);
	size_t made = 0;

	if (type == KEY_OTHER ||
	    EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, raw, ENROL_P256_LEN, &made) != 1)
		return -EINVAL;
	if (made != (type == KEY_P256 ? ENROL_P256_LEN : ENROL_ED25519_LEN) || (type == KEY_P256 && raw[0] != 0x04))
		return -EINVAL;
	*key_type = type == KEY_P256 ? ENROL_P256 : ENROL_ED25519;
	*length = made;
	return 0;
}
