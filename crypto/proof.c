/* SPDX-License-Identifier: Apache-2.0
 *
 * One handshake as netbus-keys sees it (crypto/proof.h): a nonce of ours, the peer's chain, and the peer's signature over a transcript that
 * holds the nonce. Everything but the store is untrusted: it was sent by a process that talks to the peer.
 *
 * Source: RFC 8446 4.4.3 (what is signed), 4.2.3 (schemes).
 */
#include "crypto/proof.h"

#include <errno.h>
#include <openssl/err.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/bytes.h"
#include "crypto/proof_internal.h"
#include "wire/limits.h"

#define SCHEME_ED25519           0x0807
#define SCHEME_ECDSA_P256_SHA256 0x0403
#define SHA256_LEN               32
#define SHA384_LEN               48

struct proof {
	struct keystore *store; /* held */
	enum tls_side side;
	char expect_host[NAME_LEN_MAX + 1];
	uint8_t nonce[TLS_NONCE_LEN];
	bool judged, accepted; /* the peer's chain */
	uint8_t *chain;        /* as it was given */
	size_t chain_length;
	X509 *leaf;
	struct spiffe_id peer;
};

/* ---- what is signed ---- */

size_t
sign_input_begin(enum tls_side side, uint8_t input[static SIGN_INPUT_MAX])
{
	/* With its NUL, which is the zero byte behind it. */
	static const char server[] = "TLS 1.3, server CertificateVerify",
			  client[] = "TLS 1.3, client CertificateVerify";
	_Static_assert(sizeof server == 34 && sizeof client == 34, "room in SIGN_INPUT_MAX");

	memset(input, ' ', SIGN_INPUT_PADDING);
	memcpy(input + SIGN_INPUT_PADDING, side == TLS_SERVER ? server : client, sizeof server);
	return SIGN_INPUT_PADDING + sizeof server;
}

int
proof_check_sign_input(enum tls_side side, const uint8_t *input, size_t length)
{
	uint8_t wanted[SIGN_INPUT_MAX];
	size_t prefix = sign_input_begin(side, wanted);

	if (length != prefix + SHA256_LEN && length != prefix + SHA384_LEN)
		return -EPERM;
	return memcmp(input, wanted, prefix) == 0 ? 0 : -EPERM;
}

/* ---- life ---- */

struct proof *
proof_new(struct keystore *store, enum tls_side our_side, const char *expect_host)
{
	struct proof *proof;

	if (strlen(expect_host) > NAME_LEN_MAX)
		return NULL;
	proof = calloc(1, sizeof *proof);
	if (proof == NULL)
		return NULL;
	proof->store = keystore_hold(store);
	proof->side = our_side;
	memcpy(proof->expect_host, expect_host, strlen(expect_host));
	randombytes_buf(proof->nonce, sizeof proof->nonce);
	return proof;
}

void
proof_free(struct proof *proof)
{
	if (proof == NULL)
		return;
	X509_free(proof->leaf);
	free(proof->chain);
	keystore_free(proof->store);
	free(proof);
}

const uint8_t *
proof_nonce(const struct proof *proof)
{
	return proof->nonce;
}

/* ---- the chain ---- */

static int
check_host(const struct proof *proof, const struct spiffe_id *id, struct error *text)
{
	if (proof->expect_host[0] == '\0' || strcmp(proof->expect_host, id->host.text) == 0)
		return X509_V_OK;
	error_set(text, -EACCES, "it is host '%s' that answers there, not '%s'; is the address of that host right?",
	    id->host.text, proof->expect_host);
	return X509_V_ERR_HOSTNAME_MISMATCH;
}

static int
remember(struct proof *proof, const uint8_t *bytes, size_t length, X509 *leaf)
{
	proof->chain = malloc(length);
	if (proof->chain == NULL || X509_up_ref(leaf) != 1)
		return -ENOMEM;
	memcpy(proof->chain, bytes, length);
	proof->chain_length = length;
	proof->leaf = leaf;
	return 0;
}

int
proof_check_chain(struct proof *proof, const uint8_t *untrusted_chain, size_t length, struct error *text)
{
	AUTO(auto_certificates_free) STACK_OF(X509) *chain = NULL;
	int code;

	if (proof->judged) {
		error_set(text, -EACCES, "the certificates of this handshake were checked already");
		return X509_V_ERR_CERT_REJECTED;
	}
	proof->judged = true;
	if (length <= LIMIT_CHAIN)
		chain = known_chain_get(&proof->store->known, untrusted_chain, length)
			    ?: chain_parse(untrusted_chain, length);
	if (chain == NULL) {
		error_set(text, -EACCES,
		    "the certificate chain is malformed, or has more than %d certificates or %u bytes",
		    CHAIN_CERTIFICATES_MOST, LIMIT_CHAIN);
		return X509_V_ERR_CERT_REJECTED;
	}
	code = chain_judge(
	    proof->store->bundle, proof->store->identity.trust_domain, chain, time(NULL), &proof->peer, text);
	if (code == X509_V_OK)
		code = check_host(proof, &proof->peer, text);
	if (code == X509_V_OK && remember(proof, untrusted_chain, length, sk_X509_value(chain, 0)) < 0) {
		error_set(text, -ENOMEM, "cannot keep the certificates: out of memory");
		code = X509_V_ERR_OUT_OF_MEM;
	}
	proof->accepted = code == X509_V_OK;
	if (proof->accepted)
		known_chain_put(&proof->store->known, untrusted_chain, length, chain);
	return code;
}

int
proof_peer_host(const struct proof *proof, struct name *host)
{
	if (!proof->accepted)
		return -EACCES;
	*host = proof->peer.host;
	return 0;
}

/* ---- the signature ---- */

/* The scheme must be the one of the leaf's key: nobody chooses a weaker reading of it. */
static int
scheme_fits(uint16_t scheme, EVP_PKEY *key, const EVP_MD **digest)
{
	enum key_type type = key_type_of(key);

	if (scheme == SCHEME_ED25519 && type == KEY_ED25519) {
		*digest = NULL;
		return 0;
	}
	if (scheme == SCHEME_ECDSA_P256_SHA256 && type == KEY_P256) {
		*digest = EVP_sha256();
		return 0;
	}
	return -EACCES;
}

static int
check_signature(const struct proof *proof, uint16_t scheme, const uint8_t *signature, size_t signature_length,
    const uint8_t *hash, size_t hash_length, struct error *error)
{
	AUTO(auto_digest_free) EVP_MD_CTX *context = EVP_MD_CTX_new();
	EVP_PKEY *key = X509_get0_pubkey(proof->leaf);
	const EVP_MD *digest;
	uint8_t input[SIGN_INPUT_MAX];
	size_t length = sign_input_begin(proof->side == TLS_CLIENT ? TLS_SERVER : TLS_CLIENT, input);
	bool good;

	if (scheme_fits(scheme, key, &digest) < 0)
		return error_set(
		    error, -EACCES, "the peer's signature scheme 0x%04x is not the one of its key", scheme);
	memcpy(input + length, hash, hash_length);
	good = context != NULL && EVP_DigestVerifyInit(context, NULL, digest, NULL, key) == 1 &&
	       EVP_DigestVerify(context, signature, signature_length, input, length + hash_length) == 1;
	ERR_clear_error();
	if (!good)
		return error_set(error, -EACCES, "the peer's signature over the handshake does not hold");
	return 0;
}

static int
describe(const struct proof *proof, struct proved_peer *peer, struct error *error)
{
	struct proved_peer found = {.host = proof->peer.host};

	if (certificate_fingerprint(proof->leaf, found.fingerprint) < 0 ||
	    certificate_not_after(proof->leaf, &found.not_after_us) < 0)
		return error_set(error, -EACCES, "cannot read the peer's certificate again");
	*peer = found;
	return 0;
}

int
proof_verify(struct proof *proof, uint16_t scheme, const uint8_t *signature, size_t signature_length,
    const uint8_t *untrusted_transcript, size_t length, struct proved_peer *peer, struct error *error)
{
	struct transcript_expected expected;
	struct reader our_chain = reader_over(proof->store->chain_bytes, proof->store->chain_length);
	uint8_t hash[TRANSCRIPT_HASH_MAX];
	int hash_length, code;

	if (!proof->accepted)
		return error_set(error, -EACCES, "the peer's certificates were not accepted");
	if (length > LIMIT_TRANSCRIPT)
		return error_set(error, -EACCES, "the handshake is longer than %u bytes", LIMIT_TRANSCRIPT);
	expected = (struct transcript_expected){.our_side = proof->side,
	    .nonce = proof->nonce,
	    .peer_chain = proof->chain,
	    .peer_chain_length = proof->chain_length};
	expected.our_leaf_length = read_u24(&our_chain);
	expected.our_leaf = our_chain.at;
	hash_length = transcript_hash(&expected, untrusted_transcript, length, hash, error);
	if (hash_length < 0)
		return hash_length;
	code = check_signature(proof, scheme, signature, signature_length, hash, (size_t)hash_length, error);
	return code < 0 ? code : describe(proof, peer, error);
}
