/* SPDX-License-Identifier: Apache-2.0
 *
 * The enroller's end of an enrolment (crypto/enrol.h), and the CA's files. Runs in netbus-keys. What is asked is a stranger's; that the token or host may
 * have what it wants is the broker's word.
 */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "crypto/enrol.h"
#include "crypto/pki_internal.h"
#include "crypto/proof_internal.h"

/* ---- the CA's files: pki init and pki rollover made them ---- */

int
authority_add(struct keystore *store, enum authority_file file, const char *text, size_t length, struct error *error)
{
	static const char *const names[] = {"ca.pem", "ca.key", "cross.pem"};
	char **slot = &store->authority_texts[file];

	free(*slot); /* a key is given once; see keystore_free() for how it is wiped */
	*slot = strndup(text, length);
	return *slot ? 0 : error_set(error, -ENOMEM, "cannot hold the CA's %s: out of memory", names[file]);
}

void
authority_wipe_texts(struct keystore *store)
{
	for (size_t i = 0; i < AUTHORITY_FILES; i++) {
		if (store->authority_texts[i])
			sodium_memzero(store->authority_texts[i], strlen(store->authority_texts[i]));
		free(TAKE(store->authority_texts[i]));
	}
}

static int
check_bundle(const struct keystore *store, struct error *error)
{
	for (int i = 0; i < sk_X509_num(store->authority_bundle); i++)
		if (X509_check_ca(sk_X509_value(store->authority_bundle, i)) != 1)
			return error_set(error, -EINVAL, "certificate %d in it is not one of a CA; take it out", i + 1);
	return 0;
}

static int
read_authority(struct keystore *store, struct error *error)
{
	const char *ca = store->authority_texts[AUTHORITY_CA], *key = store->authority_texts[AUTHORITY_KEY],
		   *cross = store->authority_texts[AUTHORITY_CROSS];

	if (ca == NULL || key == NULL)
		return error_set(error, -ENOENT, "ca.pem and ca.key are both needed; netbus-admin pki init makes them");
	store->authority = pki_ca_parse(ca, strlen(ca), key, strlen(key), clock_wall_us(), error);
	if (store->authority == NULL)
		return -EINVAL;
	store->authority_bundle = certificates_read(ca, strlen(ca), CHAIN_CERTIFICATES_MOST);
	store->cross = cross ? certificates_read(cross, strlen(cross), CHAIN_CERTIFICATES_MOST) : sk_X509_new_null();
	store->authority_store = X509_STORE_new();
	if (store->authority_bundle == NULL || store->cross == NULL || store->authority_store == NULL)
		return error_set(error, -EINVAL, "ca.pem or cross.pem does not hold 1 to %d certificates in PEM",
		    CHAIN_CERTIFICATES_MOST);
	for (int i = 0; i < sk_X509_num(store->authority_bundle); i++)
		if (X509_STORE_add_cert(store->authority_store, sk_X509_value(store->authority_bundle, i)) != 1)
			return error_set(error, -ENOMEM, "out of memory");
	return check_bundle(store, error);
}

int
authority_commit(struct keystore *store, struct error *error)
{
	int code;

	if (store->authority_texts[AUTHORITY_CA] == NULL && store->authority_texts[AUTHORITY_KEY] == NULL)
		return 0;
	code = read_authority(store, error);
	authority_wipe_texts(store);
	if (code == 0 && strcmp(pki_ca_trust_domain(store->authority), store->identity.trust_domain) != 0)
		code = error_set(error, -EINVAL, "it is the CA of trust domain '%s', but this host is of '%s'",
		    pki_ca_trust_domain(store->authority), store->identity.trust_domain);
	if (code == 0 && certificate_fingerprint(store->authority->certificate, store->authority_fingerprint) < 0)
		code = error_set(error, -EINVAL, "the key of its certificate cannot be read");
	if (code < 0)
		error_wrap(error, "the CA to enrol for (enrol: ca: in netbusd.yaml)");
	return code;
}

const char *
keystore_authority(const struct keystore *store)
{
	return store->authority_fingerprint;
}

/* ---- who asks ---- */

/* The certificate that a renewal stands on: of this host, good today, and its key is the one that signed. */
static int
check_present(const struct keystore *store, const struct enrol_case *ask, const struct msg_enrol_statement *statement,
    EVP_PKEY *authority, struct error *error)
{
	AUTO(auto_certificates_free)
	STACK_OF(X509) *chain =
	    ask->chain.length <= LIMIT_ENROL_CHAIN ? chain_parse(ask->chain.bytes, ask->chain.length) : NULL;
	struct spiffe_id id;

	if (chain == NULL)
		return error_set(error, -EACCES, "the present certificate is malformed");
	if (chain_judge(store->authority_store, store->identity.trust_domain, chain,
		(time_t)(clock_wall_us() / 1000000), &id, error) != X509_V_OK)
		return -EACCES;
	if (strcmp(id.host.text, statement->host) != 0)
		return error_set(error, -EACCES, "the present certificate is of host '%s', not of '%s'", id.host.text,
		    statement->host);
	if (EVP_PKEY_eq(X509_get0_pubkey(sk_X509_value(chain, 0)), authority) != 1) {
		ERR_clear_error();
		return error_set(error, -EACCES, "the present certificate is not of the key that asks");
	}
	return 0;
}

static int
check_signatures(const struct enrol_case *ask, EVP_PKEY *key, EVP_PKEY *authority, struct error *error)
{
	if (key == NULL || authority == NULL)
		return error_set(error, -EACCES, "a public key in the request is none");
	if (enrol_verify(key, ENROL_POSSESSION, &ask->nonces, &ask->statement, 1, ask->possession.bytes,
		ask->possession.length) < 0)
		return error_set(error, -EACCES, "the new key did not sign the request");
	if (enrol_verify(
		authority, ENROL_PROOF, &ask->nonces, &ask->statement, 1, ask->proof.bytes, ask->proof.length) < 0)
		return error_set(error, -EACCES, "the request is not signed by the join token or the present key");
	return 0;
}

/* ---- the answer ---- */

static int
print_chain(struct enrol_issued *issued, X509 *leaf, const STACK_OF(X509) * cross)
{
	struct writer writer = writer_over(issued->chain, sizeof issued->chain);
	int code = certificate_write(&writer, leaf);

	for (int i = 0; i < sk_X509_num(cross) && code == 0; i++)
		code = certificate_write(&writer, sk_X509_value(cross, i));
	issued->chain_length = writer_used(&writer);
	return code;
}

static int
print_bundle(struct enrol_issued *issued, const STACK_OF(X509) * bundle)
{
	struct writer writer = writer_over(issued->bundle, sizeof issued->bundle);
	int code = 0;

	for (int i = 0; i < sk_X509_num(bundle) && code == 0; i++)
		code = certificate_write(&writer, sk_X509_value(bundle, i));
	issued->bundle_length = writer_used(&writer);
	return code;
}

static int
answer(const struct keystore *store, const struct enrol_case *ask, X509 *leaf, struct enrol_issued *issued,
    struct error *error)
{
	struct enrol_part parts[3];

	memcpy(issued->issuer, store->authority_fingerprint, sizeof issued->issuer);
	if (certificate_fingerprint(leaf, issued->fingerprint) < 0 ||
	    certificate_not_after(leaf, &issued->not_after_us) < 0)
		return error_set(error, -EIO, "the new certificate cannot be read");
	if (print_chain(issued, leaf, store->cross) < 0 || print_bundle(issued, store->authority_bundle) < 0)
		return error_set(error, -EFBIG, "the CA's certificates are too long to be handed out");
	parts[0] = ask->statement;
	parts[1] = (struct enrol_part){issued->chain, issued->chain_length};
	parts[2] = (struct enrol_part){issued->bundle, issued->bundle_length};
	if (enrol_sign(store->authority->key, ENROL_SEAL, &ask->nonces, parts, ARRAY_LENGTH(parts), issued->signature,
		&issued->signature_length) < 0)
		return error_set(error, -EIO, "the CA's key, which must be Ed25519 or P-256, does not sign the answer");
	return 0;
}

int
keystore_enrol(
    const struct keystore *store, const struct enrol_case *ask, struct enrol_issued *issued, struct error *error)
{
	struct msg_enrol_statement statement;
	AUTO(auto_pkey_free) EVP_PKEY *key = NULL;
	AUTO(auto_pkey_free) EVP_PKEY *authority = NULL;
	AUTO(auto_x509_free) X509 *leaf = NULL;
	struct name host;
	int code;

	if (store->authority == NULL)
		return error_set(error, -ENOKEY, "this host has no CA to enrol for");
	if (enrol_decode_statement(ask->statement.bytes, ask->statement.length, &statement) < 0 ||
	    name_parse(statement.host, "host", &host, NULL) < 0)
		return error_set(error, -EACCES, "the request is malformed");
	key = enrol_public_key(statement.key_type, statement.key.bytes, statement.key.length);
	authority = enrol_public_key(statement.authority_type, statement.authority.bytes, statement.authority.length);
	code = check_signatures(ask, key, authority, error);
	if (code == 0 && statement.kind == ENROL_RENEW)
		code = check_present(store, ask, &statement, authority, error);
	if (code < 0)
		return code;
	leaf = pki_certify_host(store->authority, &host, key, clock_wall_us(), ask->not_after_us, error);
	return leaf ? answer(store, ask, leaf, issued, error) : -EIO;
}
