/* SPDX-License-Identifier: Apache-2.0
 *
 * One new key, and one certificate for it or for a key that is there (crypto/pki.h). Runs in netbus-admin and, for keys of others, in netbus-keys. All input is ours or checked by pki.c: values of
 * extensions go to OpenSSL in its configuration notation, where a comma or a line in a name would mean something.
 */
#include <errno.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#include "base/auto.h"
#include "crypto/pki_internal.h"

#define COMMON_NAME_MAX 64  /* X.520 ub-common-name */
#define SERIAL_BITS     159 /* RFC 5280 4.1.2.2: positive, at most 20 bytes */

/* ---- memory of OpenSSL, released at the end of the scope ---- */

static void
free_certificate(X509 **slot)
{
	X509_free(*slot);
}

static void
free_key(EVP_PKEY **slot)
{
	EVP_PKEY_free(*slot);
}

static void
free_number(BIGNUM **slot)
{
	BN_free(*slot);
}

static void
free_bio(BIO **slot)
{
	BIO_free(*slot); /* one in memory wipes what it held */
}

int
pki_library_error(struct error *error, const char *what)
{
	unsigned long code = ERR_peek_last_error();
	const char *reason = ERR_reason_error_string(code);

	ERR_clear_error();
	return error_set(error, -EIO, "%s: %s", what, reason != NULL ? reason : "OpenSSL failed");
}

/* ---- parts ---- */

static EVP_PKEY *
new_key(enum pki_key_type type)
{
	if (type == PKI_P256)
		return EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
}

static int
set_serial(X509 *certificate)
{
	AUTO(free_number)
	BIGNUM *number = BN_new();

	if (number == NULL)
		return 0;
	do
		if (BN_rand(number, SERIAL_BITS, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) != 1)
			return 0;
	while (BN_is_zero(number));
	return BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != NULL;
}

static int
set_names(X509 *certificate, const struct pki_order *order)
{
	char name[COMMON_NAME_MAX + 1];
	X509_NAME *subject = X509_get_subject_name(certificate);
	const X509_NAME *issuer = subject;

	snprintf(name, sizeof name, "%s", order->common_name);
	if (X509_NAME_add_entry_by_NID(
		subject, NID_commonName, MBSTRING_UTF8, (const unsigned char *)name, -1, -1, 0) != 1)
		return 0;
	if (order->issuer != NULL)
		issuer = X509_get_subject_name(order->issuer->certificate);
	return X509_set_issuer_name(certificate, issuer);
}

static int
set_times(X509 *certificate, const struct pki_order *order)
{
	return ASN1_TIME_set(X509_getm_notBefore(certificate), order->not_before_us / 1000000) != NULL &&
	       ASN1_TIME_set(X509_getm_notAfter(certificate), order->not_after_us / 1000000) != NULL;
}

/* In the order of the table: the key identifiers of a certificate that signs itself need its own subject's first. */
static int
add_extensions(X509 *certificate, const struct pki_order *order)
{
	X509 *issuer = order->issuer != NULL ? order->issuer->certificate : certificate;
	X509V3_CTX context;

	X509V3_set_ctx_nodb(&context);
	X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
	for (size_t i = 0; i < order->extension_count; i++) {
		X509_EXTENSION *extension =
		    X509V3_EXT_conf_nid(NULL, &context, order->extensions[i].nid, order->extensions[i].value);
		int added = extension != NULL && X509_add_ext(certificate, extension, -1) == 1;

		X509_EXTENSION_free(extension);
		if (!added)
			return 0;
	}
	return 1;
}

static int
fill(X509 *certificate, EVP_PKEY *key, const struct pki_order *order)
{
	EVP_PKEY *signer = order->issuer != NULL ? order->issuer->key : key;
	const EVP_MD *digest = EVP_PKEY_is_a(signer, "ED25519") ? NULL : EVP_sha256();

	return X509_set_version(certificate, X509_VERSION_3) == 1 && set_serial(certificate) &&
	       set_names(certificate, order) && set_times(certificate, order) &&
	       X509_set_pubkey(certificate, key) == 1 && add_extensions(certificate, order) &&
	       X509_sign(certificate, signer, digest) > 0;
}

/* ---- texts ---- */

static int
take_text(BIO *bio, char **text, size_t *length)
{
	char *bytes;
	long count = BIO_get_mem_data(bio, &bytes);

	if (count <= 0)
		return 0;
	*text = malloc((size_t)count + 1);
	if (*text == NULL)
		return 0;
	memcpy(*text, bytes, (size_t)count);
	(*text)[count] = '\0';
	*length = (size_t)count;
	return 1;
}

static int
print_pair(X509 *certificate, EVP_PKEY *key, struct pki_pair *pair)
{
	AUTO(free_bio)
	BIO *public = BIO_new(BIO_s_mem());
	AUTO(free_bio)
	BIO *secret = BIO_new(BIO_s_mem());

	return public != NULL && secret != NULL && PEM_write_bio_X509(public, certificate) == 1 &&
	       PEM_write_bio_PKCS8PrivateKey(secret, key, NULL, NULL, 0, NULL, NULL) == 1 &&
	       take_text(public, &pair->certificate, &pair->certificate_length) &&
	       take_text(secret, &pair->key, &pair->key_length);
}

X509 *
pki_certify(const struct pki_order *order, EVP_PKEY *key, struct error *error)
{
	AUTO(free_certificate)
	X509 *certificate = X509_new();

	if (certificate == NULL || !fill(certificate, key, order)) {
		pki_library_error(error, "a certificate cannot be made");
		return NULL;
	}
	return TAKE(certificate);
}

int
pki_print_certificate(X509 *certificate, char **text, size_t *length)
{
	AUTO(free_bio)
	BIO *bio = BIO_new(BIO_s_mem());

	return bio != NULL && PEM_write_bio_X509(bio, certificate) == 1 && take_text(bio, text, length) ? 0 : -ENOMEM;
}

int
pki_make(const struct pki_order *order, struct pki_pair *pair, struct error *error)
{
	AUTO(free_key)
	EVP_PKEY *key = new_key(order->type);
	AUTO(free_certificate)
	X509 *certificate = NULL;
	struct pki_pair made = {0};

	if (key == NULL)
		return pki_library_error(error, "a key cannot be made");
	certificate = pki_certify(order, key, error);
	if (certificate == NULL)
		return error ? error->code : -EIO;
	if (!print_pair(certificate, key, &made)) {
		pki_pair_clear(&made);
		return pki_library_error(error, "a certificate cannot be written as PEM");
	}
	*pair = made;
	return 0;
}

void
pki_pair_clear(struct pki_pair *pair)
{
	if (pair->key != NULL)
		OPENSSL_cleanse(pair->key, pair->key_length);
	free(pair->key);
	free(pair->certificate);
	memset(pair, 0, sizeof *pair);
}
