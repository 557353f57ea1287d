/* SPDX-License-Identifier: Apache-2.0
 *
 * The host's end of an enrolment (crypto/enrol.h). Runs in netbus-join. The answer is a stranger's until its signature holds: then it is the enroller's,
 * who is known by the fingerprint in the token or by the bundle of before.
 */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <openssl/rand.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "crypto/enrol.h"
#include "crypto/pki_internal.h"
#include "crypto/proof_internal.h"

struct newcomer {
	EVP_PKEY *key;       /* new */
	EVP_PKEY *authority; /* the token's, or the present one */
	struct msg_enrol_statement statement;
	uint8_t statement_bytes[512];
	size_t statement_length;
	struct enrol_nonces nonces;
	char ca[65];                      /* of a join: the CA to know the enroller by */
	STACK_OF(X509) * chain, *anchors; /* of a renewal: present ones */
	char *key_text, *chain_text, *bundle_text;
	size_t key_length, chain_length, bundle_length;
	struct spiffe_id id;
	char fingerprint[65];
	int64_t not_after_us;
};

/* ---- life ---- */

struct newcomer *
newcomer_new(enum pki_key_type type, struct error *error)
{
	struct newcomer *newcomer = calloc(1, sizeof *newcomer);

	if (newcomer == NULL) {
		error_set(error, -ENOMEM, "out of memory");
		return NULL;
	}
	newcomer->key =
	    type == PKI_P256 ? EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256") : EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	if (newcomer->key == NULL || RAND_bytes(newcomer->nonces.newcomer, ENROL_NONCE_LEN) != 1) {
		pki_library_error(error, "a key cannot be made");
		newcomer_free(newcomer);
		return NULL;
	}
	return newcomer;
}

static void
forget_texts(struct newcomer *newcomer)
{
	if (newcomer->key_text)
		sodium_memzero(newcomer->key_text, newcomer->key_length);
	free(TAKE(newcomer->key_text));
	free(TAKE(newcomer->chain_text));
	free(TAKE(newcomer->bundle_text));
}

void
newcomer_free(struct newcomer *newcomer)
{
	if (newcomer == NULL)
		return;
	EVP_PKEY_free(newcomer->key);
	EVP_PKEY_free(newcomer->authority);
	sk_X509_pop_free(newcomer->chain, X509_free);
	sk_X509_pop_free(newcomer->anchors, X509_free);
	forget_texts(newcomer);
	sodium_memzero(newcomer, sizeof *newcomer);
	free(newcomer);
}

const uint8_t *
newcomer_nonce(const struct newcomer *newcomer)
{
	return newcomer->nonces.newcomer;
}

/* ---- who asks ---- */

int
newcomer_use_token(struct newcomer *newcomer, const struct join_token *token, struct error *error)
{
	newcomer->authority = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, token->seed, sizeof token->seed);
	if (newcomer->authority == NULL)
		return pki_library_error(error, "the token's key cannot be used");
	newcomer->statement.kind = ENROL_JOIN;
	memcpy(newcomer->statement.host, token->host.text, sizeof token->host.text);
	memcpy(newcomer->statement.token, token->id, sizeof token->id);
	print_hex(token->ca, sizeof token->ca, newcomer->ca);
	return 0;
}

static EVP_PKEY *
read_key(const char *text, size_t length)
{
	AUTO(auto_bio_free) BIO *bio = BIO_new_mem_buf(text, (int)length);

	return bio ? PEM_read_bio_PrivateKey(bio, NULL, certificates_no_passphrase, NULL) : NULL;
}

int
newcomer_type_of(const char *text, size_t length, enum pki_key_type *type)
{
	AUTO(auto_pkey_free) EVP_PKEY *key = read_key(text, length);
	enum key_type found = key_type_of(key);

	ERR_clear_error();
	if (found == KEY_OTHER)
		return -EINVAL;
	*type = found == KEY_P256 ? PKI_P256 : PKI_ED25519;
	return 0;
}

int
newcomer_use_present(
    struct newcomer *newcomer, const char *host, const struct newcomer_files *present, struct error *error)
{
	newcomer->authority = read_key(present->key, present->key_length);
	newcomer->chain = certificates_read(present->chain, present->chain_length, CHAIN_CERTIFICATES_MOST);
	newcomer->anchors = certificates_read(present->bundle, present->bundle_length, BUNDLE_MOST);
	ERR_clear_error();
	if (newcomer->authority == NULL || newcomer->chain == NULL || newcomer->anchors == NULL)
		return error_set(error, -EINVAL,
		    "host.key, host.pem or ca.pem cannot be read; join again with a token: netbusd --join");
	newcomer->statement.kind = ENROL_RENEW;
	memcpy(newcomer->statement.host, host, strlen(host));
	return 0;
}

/* ---- the request ---- */

static int
fill_statement(struct newcomer *newcomer)
{
	struct msg_enrol_statement *statement = &newcomer->statement;
	size_t key_length, authority_length;
	int length;

	if (enrol_raw_key(newcomer->key, &statement->key_type, statement->key.bytes, &key_length) < 0 ||
	    enrol_raw_key(
		newcomer->authority, &statement->authority_type, statement->authority.bytes, &authority_length) < 0)
		return -EINVAL;
	statement->key.length = (uint16_t)key_length;
	statement->authority.length = (uint16_t)authority_length;
	length = enrol_encode_statement(statement, newcomer->statement_bytes, sizeof newcomer->statement_bytes);
	if (length < 0)
		return length;
	newcomer->statement_length = (size_t)length;
	return 0;
}

static int
write_present(const struct newcomer *newcomer, struct msg_enrol_request *request)
{
	struct writer writer = writer_over(request->chain.bytes, sizeof request->chain.bytes);

	for (int i = 0; i < sk_X509_num(newcomer->chain); i++)
		if (certificate_write(&writer, sk_X509_value(newcomer->chain, i)) < 0)
			return -EFBIG;
	request->chain.length = (uint16_t)writer_used(&writer);
	return 0;
}

int
newcomer_request(struct newcomer *newcomer, const uint8_t nonce[static ENROL_NONCE_LEN],
    struct msg_enrol_request *request, struct error *error)
{
	struct enrol_part part;
	size_t possession = 0, proof = 0;

	*request = (struct msg_enrol_request){0};
	memcpy(newcomer->nonces.enroller, nonce, ENROL_NONCE_LEN);
	if (fill_statement(newcomer) < 0 || write_present(newcomer, request) < 0)
		return error_set(error, -EINVAL, "the present key or certificate is of no kind that can be enrolled");
	part = (struct enrol_part){newcomer->statement_bytes, newcomer->statement_length};
	if (enrol_sign(newcomer->key, ENROL_POSSESSION, &newcomer->nonces, &part, 1, request->possession.bytes,
		&possession) < 0 ||
	    enrol_sign(newcomer->authority, ENROL_PROOF, &newcomer->nonces, &part, 1, request->proof.bytes, &proof) < 0)
		return error_set(error, -EIO, "the request cannot be signed");
	request->possession.length = (uint16_t)possession;
	request->proof.length = (uint16_t)proof;
	memcpy(request->statement.bytes, newcomer->statement_bytes, newcomer->statement_length);
	request->statement.length = (uint16_t)newcomer->statement_length;
	return 0;
}

/* ---- the answer ---- */

/* Whom we trusted before: of a join, the certificate in the bundle whose key has the token's fingerprint. */
static int
find_anchors(struct newcomer *newcomer, const STACK_OF(X509) * bundle, struct error *error)
{
	char fingerprint[65];

	if (newcomer->ca[0] == '\0')
		return 0;
	sk_X509_pop_free(newcomer->anchors, X509_free);
	newcomer->anchors = sk_X509_new_null();
	for (int i = 0; i < sk_X509_num(bundle) && newcomer->anchors; i++) {
		X509 *ca = sk_X509_value(bundle, i);

		if (certificate_fingerprint(ca, fingerprint) == 0 && strcmp(fingerprint, newcomer->ca) == 0 &&
		    X509_up_ref(ca) == 1 && sk_X509_push(newcomer->anchors, ca) <= 0)
			X509_free(ca);
	}
	return sk_X509_num(newcomer->anchors) > 0 ? 0
						  : error_set(error, -EACCES,
							"whoever answers there is not the enroller of this token: its "
							"CA is another; nothing was changed");
}

static void
auto_store_free(X509_STORE **slot)
{
	X509_STORE_free(*slot);
}

static X509_STORE *
store_of(const STACK_OF(X509) * certificates)
{
	X509_STORE *store = X509_STORE_new();

	for (int i = 0; i < sk_X509_num(certificates) && store; i++)
		if (X509_STORE_add_cert(store, sk_X509_value(certificates, i)) != 1) {
			X509_STORE_free(store);
			return NULL;
		}
	return store;
}

/* The key that signed the leaf: of one we trust, or of the CA in the chain that one of those certified. chain_judge() accepted the chain. */
static EVP_PKEY *
issuer_key(const STACK_OF(X509) * anchors, const STACK_OF(X509) * chain)
{
	X509 *leaf = sk_X509_value(chain, 0), *next = sk_X509_num(chain) > 1 ? sk_X509_value(chain, 1) : NULL;
	EVP_PKEY *found = NULL;

	for (int i = 0; i < sk_X509_num(anchors) && found == NULL; i++) {
		EVP_PKEY *key = X509_get0_pubkey(sk_X509_value(anchors, i));

		if (X509_verify(leaf, key) == 1)
			found = key;
		else if (next && X509_check_ca(next) == 1 && X509_verify(next, key) == 1 &&
			 X509_verify(leaf, X509_get0_pubkey(next)) == 1)
			found = X509_get0_pubkey(next);
	}
	ERR_clear_error();
	return found;
}

static int
check_leaf(struct newcomer *newcomer, const STACK_OF(X509) * chain, int64_t now_us, struct error *error)
{
	AUTO(auto_store_free) X509_STORE *store = store_of(newcomer->anchors);
	X509 *leaf = sk_X509_value(chain, 0);

	if (store == NULL)
		return error_set(error, -ENOMEM, "out of memory");
	if (chain_judge(store, NULL, chain, (time_t)(now_us / 1000000), &newcomer->id, error) != X509_V_OK)
		return -EACCES;
	if (strcmp(newcomer->id.host.text, newcomer->statement.host) != 0 ||
	    EVP_PKEY_eq(X509_get0_pubkey(leaf), newcomer->key) != 1)
		return error_set(error, -EACCES, "the certificate that came back is not for our host and key");
	if (certificate_fingerprint(leaf, newcomer->fingerprint) < 0 ||
	    certificate_not_after(leaf, &newcomer->not_after_us) < 0)
		return error_set(error, -EACCES, "the certificate that came back cannot be read");
	return 0;
}

static int
check_seal(const struct newcomer *newcomer, const STACK_OF(X509) * chain, const struct msg_enrol_answer *answer,
    struct error *error)
{
	const struct enrol_part parts[] = {{newcomer->statement_bytes, newcomer->statement_length},
	    {answer->chain.bytes, answer->chain.length}, {answer->bundle.bytes, answer->bundle.length}};
	EVP_PKEY *key = issuer_key(newcomer->anchors, chain);

	if (key && enrol_verify(key, ENROL_SEAL, &newcomer->nonces, parts, ARRAY_LENGTH(parts), answer->signature.bytes,
		       answer->signature.length) == 0)
		return 0;
	return error_set(error, -EACCES, "the answer is not signed by the CA; nothing was changed");
}

static int
print_certificates(const STACK_OF(X509) * certificates, char **text, size_t *length)
{
	AUTO(auto_bio_free) BIO *bio = BIO_new(BIO_s_mem());
	char *bytes;
	long count;

	for (int i = 0; i < sk_X509_num(certificates); i++)
		if (bio == NULL || PEM_write_bio_X509(bio, sk_X509_value(certificates, i)) != 1)
			return -ENOMEM;
	count = BIO_get_mem_data(bio, &bytes);
	*text = count > 0 ? strndup(bytes, (size_t)count) : NULL;
	*length = (size_t)count;
	return *text ? 0 : -ENOMEM;
}

static int
print_key(struct newcomer *newcomer)
{
	AUTO(auto_bio_free) BIO *bio = BIO_new(BIO_s_secmem());
	char *bytes;
	long count;

	if (bio == NULL || PEM_write_bio_PKCS8PrivateKey(bio, newcomer->key, NULL, NULL, 0, NULL, NULL) != 1)
		return -ENOMEM;
	count = BIO_get_mem_data(bio, &bytes);
	newcomer->key_text = count > 0 ? strndup(bytes, (size_t)count) : NULL;
	newcomer->key_length = (size_t)count;
	return newcomer->key_text ? 0 : -ENOMEM;
}

int
newcomer_judge(struct newcomer *newcomer, const struct msg_enrol_answer *untrusted, int64_t now_us, struct error *error)
{
	AUTO(auto_certificates_free)
	STACK_OF(X509) *chain = chain_parse(untrusted->chain.bytes, untrusted->chain.length);
	AUTO(auto_certificates_free)
	STACK_OF(X509) *bundle = chain_parse(untrusted->bundle.bytes, untrusted->bundle.length);
	int code;

	forget_texts(newcomer);
	if (chain == NULL || bundle == NULL)
		return error_set(error, -EACCES, "the answer is malformed; is that the address of an enroller?");
	code = find_anchors(newcomer, bundle, error);
	if (code == 0)
		code = check_leaf(newcomer, chain, now_us, error);
	if (code == 0)
		code = check_seal(newcomer, chain, untrusted, error);
	if (code < 0)
		return code;
	if (print_key(newcomer) < 0 || print_certificates(chain, &newcomer->chain_text, &newcomer->chain_length) < 0 ||
	    print_certificates(bundle, &newcomer->bundle_text, &newcomer->bundle_length) < 0)
		return error_set(error, -ENOMEM, "out of memory");
	return 0;
}

void
newcomer_gain(const struct newcomer *newcomer, struct newcomer_gain *gain)
{
	*gain = (struct newcomer_gain){
	    .files = {newcomer->key_text, newcomer->chain_text, newcomer->bundle_text, newcomer->key_length,
		newcomer->chain_length, newcomer->bundle_length},
	    .host = newcomer->id.host.text,
	    .trust_domain = newcomer->id.trust_domain,
	    .fingerprint = newcomer->fingerprint,
	    .not_after_us = newcomer->not_after_us,
	};
}
