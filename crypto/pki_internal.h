/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside crypto/pki*.c, which run in netbus-admin; what issues certificates also in netbus-keys of an enroller.
 *
 *   pki.c           what is made: the CA, and a host's certificate
 *   pki_make.c      one certificate with its extensions, signed
 *   pki_describe.c  what a certificate says; the CA's files read back
 *   pki_check.c     whether the files of a host belong together
 */
#ifndef NETBUS_CRYPTO_PKI_INTERNAL_H
#define NETBUS_CRYPTO_PKI_INTERNAL_H

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "crypto/pki.h"

#define PKI_SPIFFE_SCHEME "spiffe://"
#define PKI_SPIFFE_FOLDER "/host/"

struct pki_ca {
	X509 *certificate;
	EVP_PKEY *key;
	char trust_domain[256];
	int64_t not_after_us;
};

/* ---- pki.c ---- */

/* A certificate for somebody's public key, at most as long as the CA's own. NULL with error set. */
X509 *pki_certify_host(const struct pki_ca *ca, const struct name *host, EVP_PKEY *key, int64_t now_us,
    int64_t not_after_us, struct error *error);

/* ---- pki_make.c ---- */

struct pki_extension {
	int nid;
	const char *value; /* in the notation of x509v3_config(5) */
};

/* A certificate to be made. `issuer` NULL: it signs itself. */
struct pki_order {
	const char *common_name; /* cut to what X.520 allows */
	int64_t not_before_us, not_after_us;
	enum pki_key_type type;
	const struct pki_extension *extensions;
	size_t extension_count;
	const struct pki_ca *issuer;
};

/* A certificate for the public half of `key`; order->type is not looked at. NULL with error set. */
X509 *pki_certify(const struct pki_order *order, EVP_PKEY *key, struct error *error);
/* PEM, malloc'd and terminated. 0 or -ENOMEM. */
int pki_print_certificate(X509 *certificate, char **text, size_t *length);
/* Makes a key and its certificate. */
int pki_make(const struct pki_order *order, struct pki_pair *pair, struct error *error);
/* "<what>: <reason of the library>", and its queue of errors is empty after that. */
int pki_library_error(struct error *error, const char *what);

/* ---- pki_describe.c ---- */

/* The first certificate of a PEM text, or NULL. */
X509 *pki_read_certificate(const char *text, size_t length, struct error *error);

#endif
