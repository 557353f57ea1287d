/* SPDX-License-Identifier: Apache-2.0
 *
 * The small PKI of netbus-admin: one certificate authority for a trust domain, and certificates of hosts as netbus-keys accepts
 * them. Texts are PEM; who reads and writes the files is the caller. Time comes from the caller too. Runs in netbus-admin, and
 * where a CA is enrolled with, in netbus-keys.
 *
 * CA:    Ed25519, CN "<trust domain> Netbus CA", URI SAN spiffe://<trust domain>, CA:TRUE pathlen:0, keyCertSign + cRLSign.
 * Host:  Ed25519 or P-256, URI SAN spiffe://<trust domain>/host/<name>, CA:FALSE, digitalSignature, serverAuth + clientAuth.
 * Sources: RFC 5280 section 4, SPIFFE X.509-SVID sections 2-5. The names in subject and issuer are for people only.
 */
#ifndef NETBUS_CRYPTO_PKI_H
#define NETBUS_CRYPTO_PKI_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/name.h"

/* With "/" and a host's name behind it, it must fit into the name of a seal key (SEAL_NAME_MAX). */
#define PKI_TRUST_DOMAIN_MAX 180
#define PKI_DAYS_DEFAULT     90
#define PKI_BACKDATING_US \
	INT64_C(300000000) /* certificates begin so long before they are made: clocks of hosts may be a little behind */
#define PKI_DAYS_MAX 3650

enum pki_key_type { PKI_ED25519, PKI_P256 };
/* "ed25519", "p256"; -EINVAL. */
int pki_key_type_parse(const char *text, enum pki_key_type *type, struct error *error);

/* 1 to PKI_TRUST_DOMAIN_MAX of a-z 0-9 . _ - ; -EINVAL. */
int pki_trust_domain_check(const char *text, struct error *error);

/* A certificate and its private key (PKCS #8), both PEM and terminated. */
struct pki_pair {
	char *certificate, *key; /* owned */
	size_t certificate_length, key_length;
};
/* Wipes the key and frees both. */
void pki_pair_clear(struct pki_pair *pair);

int pki_make_ca(const char *trust_domain, int64_t now_us, struct pki_pair *pair, struct error *error);

/* A CA as pki_make_ca() makes it, ready to sign. NULL when the texts are anything else, or it is not valid at this time. */
struct pki_ca;
struct pki_ca *pki_ca_parse(const char *certificate, size_t certificate_length, const char *key, size_t key_length,
    int64_t now_us, struct error *error);
void pki_ca_free(struct pki_ca *ca);
const char *pki_ca_trust_domain(const struct pki_ca *ca);

/* The new CA's key as the old one certifies it (RFC 4210 4.4.1, "new with old"): with it in front of the bundle, who trusts the old CA only accepts what the
 * new one signs. PEM, malloc'd. */
int pki_cross(const struct pki_ca *old, const struct pki_ca *new, int64_t now_us, char **text, size_t *length,
    struct error *error);

/* A new key, and a certificate for it that is good for 1..PKI_DAYS_MAX days, but not longer than the CA's own. */
int pki_issue(const struct pki_ca *ca, const struct name *host, enum pki_key_type type, unsigned days, int64_t now_us,
    struct pki_pair *pair, struct error *error);

/* What the first certificate of a file says; nothing of it is verified. */
enum pki_kind { PKI_HOST, PKI_CA, PKI_OTHER };
struct pki_facts {
	enum pki_kind kind;
	char spiffe_id[512];         /* its URI SAN, escaped; "" when there is not exactly one SAN, a URI */
	char trust_domain[256];      /* "" for PKI_OTHER */
	char host[NAME_LEN_MAX + 1]; /* "" but for PKI_HOST */
	char key_type[32];           /* "Ed25519", "P-256", else as the library names it */
	int64_t not_before_us, not_after_us;
	char fingerprint[65]; /* SHA-256 of the SPKI, lower-case hex */
};
int pki_describe(const char *text, size_t length, struct pki_facts *facts, struct error *error);

/* Whether the private key (PEM) is that of the first certificate, and whether one of a bundle's keys signed it: 1, 0, or -EINVAL when one of the texts cannot be
 * read. Says nothing of times, names or what may be used for what. */
int pki_key_fits(const char *certificate, size_t certificate_length, const char *key, size_t key_length);
int pki_is_issued_by(const char *certificate, size_t certificate_length, const char *bundle, size_t bundle_length);

#endif
