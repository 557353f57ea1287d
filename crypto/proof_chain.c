/* SPDX-License-Identifier: Apache-2.0
 *
 * Whether a chain of certificates makes somebody a host of our trust domain. Runs in netbus-keys; the chain is the peer's and hostile, the
 * bundle is ours. The same judgement falls on our own certificate when it is loaded.
 *
 * What concerns the leaf alone is looked at first, so that a person reads "expired" and not what the library stumbles over first; nothing of
 * it is believed before X509_verify_cert() has accepted the chain too.
 *
 * Sources: RFC 5280 4.2 and 6.1; SPIFFE X.509-SVID sections 3-5.
 */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "crypto/proof_internal.h"

/* Security level 2 of OpenSSL: no SHA-1, no RSA below 2048 bits, in CAs neither. */
#define AUTH_LEVEL 2

/* ---- parsing ---- */

static X509 *
parse_certificate(const uint8_t *der, size_t length)
{
	const unsigned char *at = der;
	X509 *certificate = d2i_X509(NULL, &at, (long)length);

	if (certificate != NULL && at == der + length)
		return certificate;
	X509_free(certificate);
	ERR_clear_error();
	return NULL;
}

STACK_OF(X509) * chain_parse(const uint8_t *untrusted, size_t length)
{
	struct reader reader = reader_over(untrusted, length);
	AUTO(auto_certificates_free) STACK_OF(X509) *chain = sk_X509_new_null();

	while (chain != NULL && !reader_done(&reader)) {
		uint32_t der_length = read_u24(&reader);
		const uint8_t *der = read_bytes(&reader, der_length);
		X509 *certificate;

		if (der == NULL || sk_X509_num(chain) == CHAIN_CERTIFICATES_MOST)
			return NULL;
		certificate = parse_certificate(der, der_length);
		if (certificate == NULL)
			return NULL;
		if (sk_X509_push(chain, certificate) <= 0) {
			X509_free(certificate);
			return NULL;
		}
	}
	return chain != NULL && sk_X509_num(chain) > 0 ? TAKE(chain) : NULL;
}

/* ---- the leaf ---- */

#define ID_FORMAT     "the certificate of spiffe://%s/host/%s"
#define ID_VALUES(id) (id)->trust_domain, (id)->host.text

static void
print_time(const ASN1_TIME *time, char text[static CLOCK_TEXT_LEN])
{
	struct tm tm;

	snprintf(text, CLOCK_TEXT_LEN, "a time that cannot be read");
	if (ASN1_TIME_to_tm(time, &tm) == 1)
		strftime(text, CLOCK_TEXT_LEN, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

static int
check_time(const X509 *leaf, const struct spiffe_id *id, time_t now, struct error *text)
{
	char shown[CLOCK_TEXT_LEN];

	/* X509_cmp_time(): negative = the certificate's time is at or before ours, 0 = it cannot be read. */
	if (X509_cmp_time(X509_get0_notBefore(leaf), &now) >= 0) {
		print_time(X509_get0_notBefore(leaf), shown);
		error_set(text, -EACCES,
		    ID_FORMAT " is not yet valid: it begins on %s; are the clocks of both hosts right?", ID_VALUES(id),
		    shown);
		return X509_V_ERR_CERT_NOT_YET_VALID;
	}
	if (X509_cmp_time(X509_get0_notAfter(leaf), &now) <= 0) {
		print_time(X509_get0_notAfter(leaf), shown);
		error_set(text, -EACCES, ID_FORMAT " expired on %s; issue a new one with netbus-admin pki issue",
		    ID_VALUES(id), shown);
		return X509_V_ERR_CERT_HAS_EXPIRED;
	}
	return X509_V_OK;
}

static int
check_usage(X509 *leaf, const struct spiffe_id *id, struct error *text)
{
	uint32_t flags = X509_get_extension_flags(leaf), usage = X509_get_key_usage(leaf),
		 extended = X509_get_extended_key_usage(leaf);
	const char *wrong = NULL;

	if (flags & EXFLAG_INVALID)
		wrong = "has extensions that cannot be read";
	else if (X509_check_ca(leaf) != 0 || (flags & EXFLAG_CA))
		wrong = "is one of a CA, not of a host";
	else if (!(flags & EXFLAG_KUSAGE) || !(usage & KU_DIGITAL_SIGNATURE))
		wrong = "does not allow signatures (key usage digitalSignature)";
	else if (usage & (KU_KEY_CERT_SIGN | KU_CRL_SIGN))
		wrong = "allows signing of certificates (key usage keyCertSign or cRLSign), which a host's must not";
	else if (!(flags & EXFLAG_XKUSAGE) || !(extended & XKU_SSL_SERVER))
		wrong = "cannot be used as a server: its EKU does not allow serverAuth (purpose)";
	else if (!(extended & XKU_SSL_CLIENT))
		wrong = "cannot be used as a client: its EKU does not allow clientAuth (purpose)";
	if (wrong == NULL)
		return X509_V_OK;
	error_set(text, -EACCES, ID_FORMAT " %s; issue one with netbus-admin pki issue", ID_VALUES(id), wrong);
	return X509_V_ERR_INVALID_PURPOSE;
}

static int
check_leaf(X509 *leaf, const char *trust_domain, time_t now, struct spiffe_id *id, struct error *text)
{
	int code = certificate_identity(leaf, id, text);

	if (code != X509_V_OK)
		return code;
	if (trust_domain != NULL && strcmp(id->trust_domain, trust_domain) != 0) {
		error_set(text, -EACCES, ID_FORMAT " is of another trust domain '%s' (ours is '%s')", ID_VALUES(id),
		    id->trust_domain, trust_domain);
		return X509_V_ERR_CERT_REJECTED;
	}
	code = check_time(leaf, id, now, text);
	if (code == X509_V_OK)
		code = check_usage(leaf, id, text);
	if (code == X509_V_OK && key_type_of(X509_get0_pubkey(leaf)) == KEY_OTHER) {
		error_set(
		    text, -EACCES, ID_FORMAT " has a key that is neither Ed25519 nor ECDSA on P-256", ID_VALUES(id));
		code = X509_V_ERR_CERT_REJECTED;
	}
	return code;
}

/* ---- the chain ---- */

static bool
issuer_is_unknown(int code)
{
	switch (code) {
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_CERT_UNTRUSTED:
		return true;
	default:
		return false;
	}
}

static void
explain(const X509_STORE_CTX *context, int code, const struct spiffe_id *id, struct error *text)
{
	int depth = X509_STORE_CTX_get_error_depth(context);

	if (issuer_is_unknown(code))
		error_set(
		    text, -EACCES, ID_FORMAT " is not signed by a CA of our bundle (unknown issuer)", ID_VALUES(id));
	else if (depth > 0)
		error_set(text, -EACCES, ID_FORMAT " is refused because of the CA above it (depth %d): %s",
		    ID_VALUES(id), depth, X509_verify_cert_error_string(code));
	else
		error_set(
		    text, -EACCES, ID_FORMAT " is refused: %s", ID_VALUES(id), X509_verify_cert_error_string(code));
}

static void
auto_context_free(X509_STORE_CTX **slot)
{
	X509_STORE_CTX_free(*slot);
}

static int
verify(X509_STORE *bundle, const STACK_OF(X509) * chain, time_t now, const struct spiffe_id *id, struct error *text)
{
	AUTO(auto_context_free) X509_STORE_CTX *context = X509_STORE_CTX_new();
	X509_VERIFY_PARAM *parameters;
	int code;

	if (context == NULL ||
	    X509_STORE_CTX_init(context, bundle, sk_X509_value(chain, 0), (STACK_OF(X509) *)(uintptr_t)chain) != 1) {
		error_set(text, -ENOMEM, "cannot verify a certificate: out of memory");
		return X509_V_ERR_OUT_OF_MEM;
	}
	parameters = X509_STORE_CTX_get0_param(context);
	X509_VERIFY_PARAM_set_flags(parameters, X509_V_FLAG_X509_STRICT);
	X509_VERIFY_PARAM_set_purpose(parameters, X509_PURPOSE_ANY); /* the leaf's is ours to check: it needs both */
	X509_VERIFY_PARAM_set_depth(parameters, CHAIN_DEPTH_MOST);
	X509_VERIFY_PARAM_set_auth_level(parameters, AUTH_LEVEL);
	X509_VERIFY_PARAM_set_time(parameters, now);
	if (X509_verify_cert(context) == 1)
		return X509_V_OK;
	code = X509_STORE_CTX_get_error(context);
	ERR_clear_error();
	if (code == X509_V_OK) /* it failed without a reason */
		code = X509_V_ERR_UNSPECIFIED;
	explain(context, code, id, text);
	return code;
}

int
chain_judge(X509_STORE *bundle, const char *trust_domain, const STACK_OF(X509) * chain, time_t now,
    struct spiffe_id *id, struct error *text)
{
	struct spiffe_id found;
	int code = check_leaf(sk_X509_value(chain, 0), trust_domain, now, &found, text);

	if (code == X509_V_OK)
		code = verify(bundle, chain, now, &found, text);
	if (code == X509_V_OK)
		*id = found;
	return code;
}
