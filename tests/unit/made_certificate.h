/* SPDX-License-Identifier: Apache-2.0
 *
 * Certificates made to order for tests: good ones, and ones that are wrong in one way.
 */
#ifndef NETBUS_TESTS_UNIT_MADE_CERTIFICATE_H
#define NETBUS_TESTS_UNIT_MADE_CERTIFICATE_H

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdint.h>
#include <string.h>

#include "crypto/proof.h"
#include "wire/channel.h"

#define HOUR 3600
#define DAY  (24 * HOUR)

struct made {
	X509 *certificate;
	EVP_PKEY *key;
};

/* Extensions as openssl.cnf writes them; NULL or "" leaves one out. */
struct recipe {
	const char *subject, *key; /* key: ED25519, P-256, P-384, RSA */
	const char *basic, *usage, *extended, *san;
	long from, to; /* seconds from now */
};

static const struct recipe good_ca = {.subject = "test CA",
    .key = "ED25519",
    .basic = "critical,CA:TRUE",
    .usage = "critical,keyCertSign,cRLSign",
    .from = -DAY,
    .to = DAY};
static const struct recipe good_host = {.subject = "host",
    .key = "ED25519",
    .basic = "critical,CA:FALSE",
    .usage = "critical,digitalSignature",
    .extended = "serverAuth,clientAuth",
    .san = "critical,URI:spiffe://test.example/host/m1",
    .from = -DAY,
    .to = DAY};

/* The base with what `change` sets; "" there leaves an extension out. */
static inline struct recipe
but(struct recipe base, struct recipe change)
{
	const char **to[] = {&base.subject, &base.key, &base.basic, &base.usage, &base.extended, &base.san};
	const char *const from[] = {
	    change.subject, change.key, change.basic, change.usage, change.extended, change.san};

	for (size_t i = 0; i < sizeof from / sizeof from[0]; i++)
		if (from[i])
			*to[i] = from[i];
	if (change.from)
		base.from = change.from;
	if (change.to)
		base.to = change.to;
	return base;
}

static inline EVP_PKEY *
make_key(const char *type)
{
	if (strcmp(type, "RSA") == 0)
		return EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048);
	if (strncmp(type, "P-", 2) == 0)
		return EVP_PKEY_Q_keygen(NULL, NULL, "EC", type);
	return EVP_PKEY_Q_keygen(NULL, NULL, type);
}

static inline void
add_extension(X509 *certificate, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX context;
	X509_EXTENSION *extension;

	if (value == NULL || value[0] == '\0')
		return;
	X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	assert_non_null(extension);
	assert_int_equal(X509_add_ext(certificate, extension, -1), 1);
	X509_EXTENSION_free(extension);
}

/* Signed by `issuer`, NULL = by itself. */
static inline struct made
make_certificate(struct recipe recipe, const struct made *issuer)
{
	struct made made = {X509_new(), make_key(recipe.key)};
	static long serial = 1;
	X509_NAME *name;
	const struct made *signer;

	assert_non_null(made.key);
	X509_set_version(made.certificate, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(made.certificate), serial++);
	X509_set_pubkey(made.certificate, made.key);
	X509_gmtime_adj(X509_getm_notBefore(made.certificate), recipe.from);
	X509_gmtime_adj(X509_getm_notAfter(made.certificate), recipe.to);
	name = X509_get_subject_name(made.certificate);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)recipe.subject, -1, -1, 0);
	signer = issuer ? issuer : &made;
	X509_set_issuer_name(made.certificate, X509_get_subject_name(signer->certificate));
	add_extension(made.certificate, signer->certificate, NID_subject_key_identifier, "hash");
	if (issuer)
		add_extension(made.certificate, signer->certificate, NID_authority_key_identifier, "keyid:always");
	add_extension(made.certificate, signer->certificate, NID_basic_constraints, recipe.basic);
	add_extension(made.certificate, signer->certificate, NID_key_usage, recipe.usage);
	add_extension(made.certificate, signer->certificate, NID_ext_key_usage, recipe.extended);
	add_extension(made.certificate, signer->certificate, NID_subject_alt_name, recipe.san);
	assert_true(
	    X509_sign(made.certificate, signer->key, EVP_PKEY_is_a(signer->key, "ED25519") ? NULL : EVP_sha256()) > 0);
	return made;
}

static inline void
made_clear(struct made *made)
{
	X509_free(made->certificate);
	EVP_PKEY_free(made->key);
	*made = (struct made){0};
}

/* Appends u24 length + DER; the new length. */
static inline size_t
add_to_chain(uint8_t *chain, size_t length, const X509 *certificate)
{
	int der_length = i2d_X509(certificate, NULL);
	uint8_t *at = chain + length + 3;

	chain[length] = (uint8_t)(der_length >> 16);
	chain[length + 1] = (uint8_t)(der_length >> 8);
	chain[length + 2] = (uint8_t)der_length;
	i2d_X509(certificate, &at);
	return length + 3 + (size_t)der_length;
}

/* PEM of certificate or key (whichever is not NULL) behind what is in `text`; NUL-terminated. */
static inline void
add_pem(char *text, size_t room, X509 *certificate, EVP_PKEY *key)
{
	BIO *bio = BIO_new(BIO_s_mem());
	size_t used = strlen(text);
	int length;

	if (certificate)
		assert_int_equal(PEM_write_bio_X509(bio, certificate), 1);
	if (key)
		assert_int_equal(PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL), 1);
	length = BIO_read(bio, text + used, (int)(room - used - 1));
	assert_true(length > 0);
	text[used + (size_t)length] = '\0';
	BIO_free(bio);
}

/* A store as netbus-keys makes it from the files of `host`. */
static inline struct keystore *
make_store(const struct made *ca, const struct made *own, const char *host)
{
	struct keystore *store = keystore_new();
	char text[KEY_FILE_CA + 1][4096] = {{0}};
	struct error error = {0};

	add_pem(text[KEY_FILE_CERTIFICATE], sizeof text[0], own->certificate, NULL);
	add_pem(text[KEY_FILE_KEY], sizeof text[0], NULL, own->key);
	add_pem(text[KEY_FILE_CA], sizeof text[0], ca->certificate, NULL);
	for (uint8_t kind = KEY_FILE_CERTIFICATE; kind <= KEY_FILE_CA; kind++)
		assert_int_equal(keystore_add(store, kind, text[kind], strlen(text[kind]), &error), 0);
	if (keystore_commit(store, host, &error) != 0)
		fail_msg("%s", error.text);
	return store;
}

#endif
