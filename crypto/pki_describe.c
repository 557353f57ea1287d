/* SPDX-License-Identifier: Apache-2.0
 *
 * What a certificate says (crypto/pki.h). Runs in netbus-admin. The file may come from anybody: what it says is shown, not believed.
 */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/auto.h"
#include "base/text.h"
#include "crypto/pki_internal.h"
#include "crypto/proof_internal.h"

X509 *
pki_read_certificate(const char *text, size_t length, struct error *error)
{
	BIO *bio = length <= INT32_MAX ? BIO_new_mem_buf(text, (int)length) : NULL;
	X509 *certificate = bio != NULL ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;

	BIO_free(bio);
	ERR_clear_error();
	if (certificate == NULL)
		error_set(error, -EINVAL, "there is no certificate in it, in PEM form");
	return certificate;
}

static void
free_names(GENERAL_NAMES **slot)
{
	GENERAL_NAMES_free(*slot);
}

/* The one SAN, escaped, when it is a URI. */
static void
describe_uri(const X509 *certificate, struct pki_facts *facts)
{
	int critical;
	AUTO(free_names)
	GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, &critical, NULL);
	const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, 0);
	const ASN1_IA5STRING *uri;

	if (critical == -2 || sk_GENERAL_NAME_num(names) != 1 || name->type != GEN_URI)
		return;
	uri = name->d.uniformResourceIdentifier;
	print_escaped((const char *)ASN1_STRING_get0_data(uri), (size_t)ASN1_STRING_length(uri), facts->spiffe_id,
	    sizeof facts->spiffe_id);
}

/* As RFC 5280 and our own CA want it; X509_check_ca() also knows older forms, so the extension itself is asked. */
static bool
is_ca(X509 *certificate)
{
	return X509_check_ca(certificate) == 1 && (X509_get_key_usage(certificate) & KU_KEY_CERT_SIGN) != 0;
}

/* A shown URI is the URI itself when it is well-formed: the escaped characters are in neither form. */
static void
describe_kind(X509 *certificate, struct pki_facts *facts)
{
	const char *domain = facts->spiffe_id + sizeof PKI_SPIFFE_SCHEME - 1;
	struct spiffe_id id;

	facts->kind = PKI_OTHER;
	if (strncmp(facts->spiffe_id, PKI_SPIFFE_SCHEME, sizeof PKI_SPIFFE_SCHEME - 1) != 0)
		return;
	if (is_ca(certificate)) {
		if (pki_trust_domain_check(domain, NULL) < 0)
			return;
		facts->kind = PKI_CA;
		snprintf(facts->trust_domain, sizeof facts->trust_domain, "%s", domain);
	} else if (spiffe_parse(facts->spiffe_id, strlen(facts->spiffe_id), &id, NULL) == 0) {
		facts->kind = PKI_HOST;
		snprintf(facts->trust_domain, sizeof facts->trust_domain, "%s", id.trust_domain);
		snprintf(facts->host, sizeof facts->host, "%s", id.host.text);
	}
}

static void
describe_key(X509 *certificate, struct pki_facts *facts)
{
	static const char *const names[] = {[KEY_ED25519] = "Ed25519", [KEY_P256] = "P-256"};
	EVP_PKEY *key = X509_get0_pubkey(certificate);
	enum key_type type = key_type_of(key);
	const char *name = key != NULL ? EVP_PKEY_get0_type_name(key) : NULL;

	if (type != KEY_OTHER)
		name = names[type];
	snprintf(facts->key_type, sizeof facts->key_type, "%s", name != NULL ? name : "unknown");
}

static int
read_time(const ASN1_TIME *time, int64_t *us)
{
	struct tm tm;

	if (ASN1_TIME_to_tm(time, &tm) != 1)
		return -EINVAL;
	*us = (int64_t)timegm(&tm) * 1000000;
	return 0;
}

int
pki_describe(const char *text, size_t length, struct pki_facts *facts, struct error *error)
{
	AUTO(auto_x509_free)
	X509 *certificate = pki_read_certificate(text, length, error);
	struct pki_facts found = {0};

	if (certificate == NULL)
		return -EINVAL;
	if (read_time(X509_get0_notBefore(certificate), &found.not_before_us) < 0 ||
	    read_time(X509_get0_notAfter(certificate), &found.not_after_us) < 0 ||
	    certificate_fingerprint(certificate, found.fingerprint) < 0)
		return pki_library_error(error, "the certificate has parts that cannot be read");
	describe_uri(certificate, &found);
	describe_kind(certificate, &found);
	describe_key(certificate, &found);
	ERR_clear_error();
	*facts = found;
	return 0;
}
