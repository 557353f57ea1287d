/* SPDX-License-Identifier: Apache-2.0
 *
 * What one certificate says: who it names, which key it has, until when. Pure. Certificates are hostile until their chain was verified.
 *
 * Source: SPIFFE X.509-SVID section 2 (exactly one URI SAN). Stricter than that: no SAN of another type beside it.
 */
#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "base/text.h"
#include "crypto/proof_internal.h"

enum key_type
key_type_of(EVP_PKEY *key)
{
	char group[32];
	int is_explicit = 0;

	if (key == NULL)
		return KEY_OTHER;
	if (EVP_PKEY_is_a(key, "ED25519"))
		return KEY_ED25519;
	if (!EVP_PKEY_is_a(key, "EC") || EVP_PKEY_get_group_name(key, group, sizeof group, NULL) != 1)
		return KEY_OTHER;
	/* A curve that is spelled out in the key is not looked at further, whatever it looks like. */
	if (EVP_PKEY_get_int_param(key, OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS, &is_explicit) == 1 &&
	    is_explicit)
		return KEY_OTHER;
	return strcmp(group, "prime256v1") == 0 ? KEY_P256 : KEY_OTHER;
}

void
certificate_print(const X509 *certificate, char shown[static SHOWN_LEN])
{
	char subject[128];

	/* Escapes all that is not printable ASCII, cuts at the end. */
	if (X509_NAME_oneline(X509_get_subject_name(certificate), subject, sizeof subject) == NULL)
		subject[0] = '\0';
	snprintf(shown, SHOWN_LEN, "subject '%s'", subject);
}

static void
auto_names_free(GENERAL_NAMES **slot)
{
	GENERAL_NAMES_free(*slot);
}

int
certificate_identity(const X509 *certificate, struct spiffe_id *id, struct error *text)
{
	int critical;
	AUTO(auto_names_free)
	GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, &critical, NULL);
	const GENERAL_NAME *name;
	const ASN1_IA5STRING *uri;
	char shown[SHOWN_LEN];

	certificate_print(certificate, shown);
	/* -2: the extension is there more than once. */
	if (critical == -2 || sk_GENERAL_NAME_num(names) > 1) {
		error_set(text, -EACCES,
		    "the certificate (%s) has more than one SAN: exactly one is allowed, spiffe://<trust "
		    "domain>/host/<name>",
		    shown);
		return X509_V_ERR_CERT_REJECTED;
	}
	name = sk_GENERAL_NAME_value(names, 0); /* NULL when there is none */
	if (name == NULL || name->type != GEN_URI) {
		error_set(text, -EACCES,
		    "the certificate (%s) has no URI SAN: exactly one must be there, spiffe://<trust "
		    "domain>/host/<name>",
		    shown);
		return X509_V_ERR_CERT_REJECTED;
	}
	uri = name->d.uniformResourceIdentifier;
	if (spiffe_parse((const char *)ASN1_STRING_get0_data(uri), (size_t)ASN1_STRING_length(uri), id, text) < 0) {
		error_wrap(text, "the certificate (%s) names no host in its URI SAN", shown);
		return X509_V_ERR_CERT_REJECTED;
	}
	return X509_V_OK;
}

int
certificate_fingerprint(const X509 *certificate, char fingerprint[static 65])
{
	unsigned char *spki = NULL;
	int length = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &spki);
	uint8_t hash[32];
	int done;

	if (length <= 0)
		return -EINVAL;
	done = EVP_Digest(spki, (size_t)length, hash, NULL, EVP_sha256(), NULL);
	OPENSSL_free(spki);
	if (done != 1)
		return -EINVAL;
	print_hex(hash, sizeof hash, fingerprint);
	return 0;
}

static int
read_time(const ASN1_TIME *time, int64_t *us)
{
	struct tm tm;
	time_t seconds;

	if (ASN1_TIME_to_tm(time, &tm) != 1)
		return -EINVAL;
	seconds = timegm(&tm);
	if (seconds < 0) /* before 1970: there is no such certificate of ours */
		return -EINVAL;
	*us = (int64_t)seconds * 1000000;
	return 0;
}

int
certificate_not_after(const X509 *certificate, int64_t *us)
{
	return read_time(X509_get0_notAfter(certificate), us);
}

int
certificate_not_before(const X509 *certificate, int64_t *us)
{
	return read_time(X509_get0_notBefore(certificate), us);
}

int
certificate_write(struct writer *writer, X509 *certificate)
{
	int length = i2d_X509(certificate, NULL);
	uint8_t *der;

	if (length <= 0)
		return -EFBIG;
	write_u8(writer, (uint8_t)(length >> 16));
	write_u16(writer, (uint16_t)length);
	der = write_room(writer, (size_t)length);
	if (der == NULL)
		return -EFBIG;
	i2d_X509(certificate, &der);
	return 0;
}
