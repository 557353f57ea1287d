/* SPDX-License-Identifier: Apache-2.0
 *
 * The files of the key store, and held against each other. They are root's, so a fault in them is a mistake, not an attack: the errors name
 * the file and the remedy. The text of a file is the caller's to wipe.
 */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/bytes.h"
#include "crypto/proof_internal.h"
#include "wire/channel.h"
#include "wire/limits.h"

#define CERTIFICATE_FILE "host.pem"
#define KEY_FILE         "host.key"
#define CA_FILE          "ca.pem"
#define SEAL_FILE        "seal.key"
#define ISSUE            "netbus-admin pki issue"

/* ---- PEM ---- */

/* Nobody is there to type one; without this the library would ask the terminal. */
int
certificates_no_passphrase(char *room, int length, int is_writing, void *owner)
{
	(void)room, (void)length, (void)is_writing, (void)owner;
	return -1;
}

STACK_OF(X509) * certificates_read(const char *text, size_t length, int most)
{
	AUTO(auto_bio_free) BIO *bio = BIO_new_mem_buf(text, (int)length);
	AUTO(auto_certificates_free) STACK_OF(X509) *list = sk_X509_new_null();
	X509 *certificate;
	unsigned long reason;

	if (bio == NULL || list == NULL)
		return NULL;
	while ((certificate = PEM_read_bio_X509(bio, NULL, certificates_no_passphrase, NULL)) != NULL) {
		if (sk_X509_num(list) == most || sk_X509_push(list, certificate) <= 0) {
			X509_free(certificate);
			return NULL;
		}
	}
	reason = ERR_peek_last_error();
	ERR_clear_error();
	/* The only good end is that no further block begins. */
	if (ERR_GET_LIB(reason) != ERR_LIB_PEM || ERR_GET_REASON(reason) != PEM_R_NO_START_LINE)
		return NULL;
	return sk_X509_num(list) > 0 ? TAKE(list) : NULL;
}

/* ---- one file each ---- */

/* u24 length + DER for each, as IDENTITY sends it. */
static int
print_chain(struct keystore *store, const STACK_OF(X509) * chain)
{
	AUTO_FREE uint8_t *bytes = malloc(LIMIT_CHAIN);
	struct writer writer;

	if (bytes == NULL)
		return -ENOMEM;
	writer = writer_over(bytes, LIMIT_CHAIN);
	for (int i = 0; i < sk_X509_num(chain); i++)
		if (certificate_write(&writer, sk_X509_value(chain, i)) < 0)
			return -EFBIG;
	free(store->chain_bytes);
	store->chain_bytes = TAKE(bytes);
	store->chain_length = writer_used(&writer);
	return 0;
}

static int
add_certificate(struct keystore *store, const char *text, size_t length, struct error *error)
{
	AUTO(auto_certificates_free) STACK_OF(X509) *chain = certificates_read(text, length, CHAIN_CERTIFICATES_MOST);

	if (chain == NULL)
		return error_set(error, -EINVAL,
		    CERTIFICATE_FILE " does not hold 1 to %d certificates in PEM; make it with " ISSUE,
		    CHAIN_CERTIFICATES_MOST);
	if (print_chain(store, chain) < 0)
		return error_set(error, -EFBIG,
		    "the certificates in " CERTIFICATE_FILE " are longer than %u bytes together; make them with " ISSUE,
		    LIMIT_CHAIN);
	sk_X509_pop_free(store->chain, X509_free);
	store->chain = TAKE(chain);
	return 0;
}

static int
add_key(struct keystore *store, const char *text, size_t length, struct error *error)
{
	AUTO(auto_bio_free) BIO *bio = BIO_new_mem_buf(text, (int)length);
	EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, certificates_no_passphrase, NULL) : NULL;

	ERR_clear_error();
	if (key == NULL)
		return error_set(
		    error, -EINVAL, KEY_FILE " is not a private key in PEM without a passphrase; make it with " ISSUE);
	EVP_PKEY_free(store->key);
	store->key = key;
	if (key_type_of(key) == KEY_OTHER)
		return error_set(error, -EINVAL,
		    "the key in " KEY_FILE " is neither Ed25519 nor ECDSA on P-256; make it with " ISSUE);
	return 0;
}

static int
add_ca(struct keystore *store, const char *text, size_t length, struct error *error)
{
	AUTO(auto_certificates_free) STACK_OF(X509) *list = certificates_read(text, length, BUNDLE_MOST);
	X509_STORE *bundle;

	if (list == NULL)
		return error_set(error, -EINVAL,
		    CA_FILE
		    " does not hold 1 to %d certificates in PEM; copy it from where netbus-admin pki init made it",
		    BUNDLE_MOST);
	for (int i = 0; i < sk_X509_num(list); i++)
		if (X509_check_ca(sk_X509_value(list, i)) != 1)
			return error_set(
			    error, -EINVAL, "certificate %d in " CA_FILE " is not one of a CA; take it out", i + 1);
	bundle = X509_STORE_new();
	if (bundle == NULL)
		return error_set(error, -ENOMEM, "cannot hold " CA_FILE ": out of memory");
	X509_STORE_free(store->bundle);
	store->bundle = bundle;
	for (int i = 0; i < sk_X509_num(list); i++)
		if (X509_STORE_add_cert(bundle, sk_X509_value(list, i)) != 1)
			return error_set(error, -ENOMEM, "cannot hold " CA_FILE ": out of memory");
	return 0;
}

static int
add_seal(struct keystore *store, const char *text, size_t length, struct error *error)
{
	struct seal_key *seal = seal_key_parse(text, length, error);

	if (seal == NULL)
		return error_wrap(error, SEAL_FILE);
	seal_key_free(store->seal);
	store->seal = seal;
	return 0;
}

static int
add_authority(struct keystore *store, const char *text, size_t length, struct error *error)
{
	return authority_add(store, AUTHORITY_CA, text, length, error);
}

static int
add_authority_key(struct keystore *store, const char *text, size_t length, struct error *error)
{
	return authority_add(store, AUTHORITY_KEY, text, length, error);
}

static int
add_cross(struct keystore *store, const char *text, size_t length, struct error *error)
{
	return authority_add(store, AUTHORITY_CROSS, text, length, error);
}

int
keystore_add(struct keystore *store, uint8_t key_file_kind, const char *text, size_t length, struct error *error)
{
	static int (*const add[])(struct keystore *, const char *, size_t, struct error *) = {
	    [KEY_FILE_CERTIFICATE] = add_certificate,
	    [KEY_FILE_KEY] = add_key,
	    [KEY_FILE_CA] = add_ca,
	    [KEY_FILE_SEAL] = add_seal,
	    [KEY_FILE_AUTHORITY] = add_authority,
	    [KEY_FILE_AUTHORITY_KEY] = add_authority_key,
	    [KEY_FILE_CROSS] = add_cross,
	};

	if (key_file_kind >= ARRAY_LENGTH(add) || add[key_file_kind] == NULL)
		return error_set(error, -EINVAL, "there is no key file of kind %u", key_file_kind);
	if (length > INT32_MAX)
		return error_set(error, -EFBIG, "a key file is too long");
	store->complete = false;
	return add[key_file_kind](store, text, length, error);
}

/* ---- all together ---- */

static int
check_present(const struct keystore *store, struct error *error)
{
	const char *missing = NULL;

	if (store->chain == NULL)
		missing = CERTIFICATE_FILE;
	else if (store->key == NULL)
		missing = KEY_FILE;
	else if (sk_X509_OBJECT_num(X509_STORE_get0_objects(store->bundle)) == 0)
		missing = CA_FILE;
	return missing ? error_set(error, -ENOENT, "%s is missing; make it with " ISSUE, missing) : 0;
}

/* When the CA above us ends: we with it. */
static void
find_ca_end(struct keystore *store)
{
	X509 *last = sk_X509_value(store->chain, sk_X509_num(store->chain) - 1);
	STACK_OF(X509_OBJECT) *objects = X509_STORE_get0_objects(store->bundle);
	int64_t us;

	for (int i = 0; i < sk_X509_OBJECT_num(objects); i++) {
		X509 *ca = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(objects, i));

		if (ca && X509_check_issued(ca, last) == X509_V_OK && certificate_not_after(ca, &us) == 0 &&
		    us > store->ca_not_after_us)
			store->ca_not_after_us = us;
	}
}

int
keystore_commit(struct keystore *store, const char *host, struct error *error)
{
	struct spiffe_id id;
	X509 *leaf;

	if (check_present(store, error) < 0)
		return error ? error->code : -ENOENT;
	leaf = sk_X509_value(store->chain, 0);
	if (EVP_PKEY_eq(store->key, X509_get0_pubkey(leaf)) != 1) {
		ERR_clear_error();
		return error_set(error, -EINVAL,
		    "the key in " KEY_FILE " is not the one of the certificate in " CERTIFICATE_FILE
		    "; copy both from the same " ISSUE);
	}
	if (chain_judge(store->bundle, NULL, store->chain, time(NULL), &id, error) != X509_V_OK) {
		error_wrap(error, CERTIFICATE_FILE);
		return -EINVAL;
	}
	if (strcmp(id.host.text, host) != 0)
		return error_set(error, -EINVAL,
		    CERTIFICATE_FILE
		    " is for host '%s', but this host is '%s' (host: in netbusd.yaml); make one with " ISSUE " %s",
		    id.host.text, host, host);
	if (certificate_fingerprint(leaf, store->fingerprint) < 0 ||
	    certificate_not_after(leaf, &store->not_after_us) < 0 ||
	    certificate_not_before(leaf, &store->not_before_us) < 0)
		return error_set(error, -EINVAL, CERTIFICATE_FILE ": the certificate's key or dates cannot be read");
	store->identity = id;
	find_ca_end(store);
	if (authority_commit(store, error) < 0)
		return -EINVAL;
	store->complete = true;
	return 0;
}
