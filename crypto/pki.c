/* SPDX-License-Identifier: Apache-2.0
 *
 * The CA of a trust domain, and the certificates that it gives to hosts (crypto/pki.h). Runs in netbus-admin, with the rights of
 * the operator who has the CA's key. What the CA's files say is checked before anything is signed with them.
 */
#include "crypto/pki.h"

#include <errno.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/clock.h"
#include "crypto/pki_internal.h"

#define SECOND_US     INT64_C(1000000)
#define DAY_US        (86400 * SECOND_US)
#define CA_DAYS       3652
#define BACKDATING_US PKI_BACKDATING_US

/* ---- words ---- */

int
pki_key_type_parse(const char *text, enum pki_key_type *type, struct error *error)
{
	static const char *const names[] = {[PKI_ED25519] = "ed25519", [PKI_P256] = "p256"};

	for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
		if (strcmp(text, names[i]) == 0) {
			*type = (enum pki_key_type)i;
			return 0;
		}
	return error_set(error, -EINVAL, "'%.40s' is not a type of key; ed25519 and p256 are", text);
}

int
pki_trust_domain_check(const char *text, struct error *error)
{
	size_t length = strlen(text);

	if (length >= 1 && length <= PKI_TRUST_DOMAIN_MAX &&
	    strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789._-") == length)
		return 0;
	return error_set(error, -EINVAL,
	    "'%.80s' is not a trust domain: 1 to %d of a-z 0-9 . _ - are, such as example.net", text,
	    PKI_TRUST_DOMAIN_MAX);
}

/* ---- the authority ---- */

#define CA_EXTENSIONS 5

/* What the order points to is the caller's. */
static struct pki_order
order_for_ca(const char *trust_domain, char common_name[static PKI_TRUST_DOMAIN_MAX + 16],
    char uri[static PKI_TRUST_DOMAIN_MAX + 32], struct pki_extension extensions[static CA_EXTENSIONS], int64_t now_us)
{
	const struct pki_extension all[] = {{NID_basic_constraints, "critical,CA:TRUE,pathlen:0"},
	    {NID_key_usage, "critical,keyCertSign,cRLSign"}, {NID_subject_alt_name, uri},
	    {NID_subject_key_identifier, "hash"}, {NID_authority_key_identifier, "keyid:always"}};

	_Static_assert(ARRAY_LENGTH(all) == CA_EXTENSIONS, "room for each");
	memcpy(extensions, all, sizeof all);
	/* A common name has at most 64 characters: of a long trust domain its first ones stand there. */
	snprintf(common_name, PKI_TRUST_DOMAIN_MAX + 16, "%.54s Netbus CA", trust_domain);
	snprintf(uri, PKI_TRUST_DOMAIN_MAX + 32, "URI:" PKI_SPIFFE_SCHEME "%s", trust_domain);
	return (struct pki_order){.common_name = common_name,
	    .not_before_us = now_us - BACKDATING_US,
	    .not_after_us = now_us + CA_DAYS * DAY_US,
	    .type = PKI_ED25519,
	    .extensions = extensions,
	    .extension_count = CA_EXTENSIONS};
}

int
pki_make_ca(const char *trust_domain, int64_t now_us, struct pki_pair *pair, struct error *error)
{
	char common_name[PKI_TRUST_DOMAIN_MAX + 16], uri[PKI_TRUST_DOMAIN_MAX + 32];
	struct pki_extension extensions[CA_EXTENSIONS];
	struct pki_order order;
	int code = pki_trust_domain_check(trust_domain, error);

	if (code < 0)
		return code;
	order = order_for_ca(trust_domain, common_name, uri, extensions, now_us);
	return pki_make(&order, pair, error);
}

/* A passphrase is never asked for on the terminal: that would hang a script. */
static int
no_passphrase(char *buffer, int room, int writing, void *context)
{
	(void)buffer, (void)room, (void)writing, (void)context;
	return 0;
}

static EVP_PKEY *
read_key(const char *text, size_t length)
{
	BIO *bio = BIO_new_mem_buf(text, (int)length);
	EVP_PKEY *key = bio != NULL ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;

	BIO_free(bio);
	return key;
}

static int
check_ca(const struct pki_ca *ca, const struct pki_facts *facts, int64_t now_us, struct error *error)
{
	char until[CLOCK_TEXT_LEN];

	if (facts->kind != PKI_CA)
		return error_set(error, -EINVAL,
		    "ca.pem is not the certificate of a Netbus CA; netbus-admin pki init makes "
		    "one");
	if (X509_check_private_key(ca->certificate, ca->key) != 1)
		return error_set(error, -EINVAL, "ca.key is not the key of ca.pem; put the files of one CA together");
	clock_print(facts->not_after_us, until);
	if (facts->not_after_us <= now_us)
		return error_set(error, -EINVAL, "the CA was good until %s; make a new one", until);
	if (facts->not_before_us > now_us)
		return error_set(error, -EINVAL, "the CA is not good yet; is the clock of this machine right?");
	return 0;
}

static int
load_ca(struct pki_ca *ca, const char *certificate, size_t certificate_length, const char *key, size_t key_length,
    int64_t now_us, struct error *error)
{
	struct pki_facts facts;
	int code;

	ca->certificate = pki_read_certificate(certificate, certificate_length, error);
	if (ca->certificate == NULL)
		return error_wrap(error, "ca.pem");
	if (key_length > INT32_MAX)
		return error_set(error, -EFBIG, "ca.key is too long");
	ca->key = read_key(key, key_length);
	if (ca->key == NULL)
		return pki_library_error(error, "ca.key is not a private key without passphrase");
	code = pki_describe(certificate, certificate_length, &facts, error);
	if (code == 0)
		code = check_ca(ca, &facts, now_us, error);
	if (code < 0)
		return code;
	memcpy(ca->trust_domain, facts.trust_domain, sizeof ca->trust_domain);
	ca->not_after_us = facts.not_after_us;
	return 0;
}

struct pki_ca *
pki_ca_parse(const char *certificate, size_t certificate_length, const char *key, size_t key_length, int64_t now_us,
    struct error *error)
{
	struct pki_ca *ca = calloc(1, sizeof *ca);

	if (ca == NULL) {
		error_set(error, -ENOMEM, "there is no memory for the CA");
		return NULL;
	}
	if (load_ca(ca, certificate, certificate_length, key, key_length, now_us, error) < 0) {
		pki_ca_free(ca);
		return NULL;
	}
	return ca;
}

void
pki_ca_free(struct pki_ca *ca)
{
	if (ca == NULL)
		return;
	X509_free(ca->certificate);
	EVP_PKEY_free(ca->key);
	free(ca);
}

const char *
pki_ca_trust_domain(const struct pki_ca *ca)
{
	return ca->trust_domain;
}

/* ---- hosts ---- */

static int
check_days(const struct pki_ca *ca, unsigned days, int64_t now_us, struct error *error)
{
	int64_t left = (ca->not_after_us - now_us) / DAY_US;

	if (days < 1 || days > PKI_DAYS_MAX)
		return error_set(
		    error, -EINVAL, "a certificate for %u days cannot be made; 1 to %d days can", days, PKI_DAYS_MAX);
	if ((int64_t)days > left)
		return error_set(error, -EINVAL,
		    "a certificate for %u days would outlive its CA, which is good for %lld days "
		    "more; ask for fewer days, or make a new CA",
		    days, (long long)left);
	return 0;
}

/* The order that a host's certificate is made by; `parts` holds what it points to. */
struct host_order {
	char uri[sizeof "URI:" PKI_SPIFFE_SCHEME PKI_SPIFFE_FOLDER + sizeof((struct pki_ca *)NULL)->trust_domain +
		 NAME_LEN_MAX + 1];
	struct pki_extension extensions[6];
	struct pki_order order;
};

static const struct pki_order *
order_for_host(
    struct host_order *parts, const struct pki_ca *ca, const struct name *host, int64_t now_us, int64_t not_after_us)
{
	const struct pki_extension extensions[] = {{NID_basic_constraints, "critical,CA:FALSE"},
	    {NID_key_usage, "critical,digitalSignature"}, {NID_ext_key_usage, "serverAuth,clientAuth"},
	    {NID_subject_alt_name, parts->uri}, {NID_subject_key_identifier, "hash"},
	    {NID_authority_key_identifier, "keyid:always"}};

	_Static_assert(sizeof extensions == sizeof parts->extensions, "room for each");
	memcpy(parts->extensions, extensions, sizeof extensions);
	snprintf(parts->uri, sizeof parts->uri, "URI:" PKI_SPIFFE_SCHEME "%s" PKI_SPIFFE_FOLDER "%s", ca->trust_domain,
	    host->text);
	parts->order = (struct pki_order){.common_name = host->text,
	    .not_before_us = now_us - BACKDATING_US,
	    .not_after_us = not_after_us,
	    .extensions = parts->extensions,
	    .extension_count = ARRAY_LENGTH(parts->extensions),
	    .issuer = ca};
	return &parts->order;
}

int
pki_issue(const struct pki_ca *ca, const struct name *host, enum pki_key_type type, unsigned days, int64_t now_us,
    struct pki_pair *pair, struct error *error)
{
	struct host_order parts;
	int code = check_days(ca, days, now_us, error);

	if (code < 0)
		return code;
	order_for_host(&parts, ca, host, now_us, now_us + (int64_t)days * DAY_US);
	parts.order.type = type;
	return pki_make(&parts.order, pair, error);
}

X509 *
pki_certify_host(const struct pki_ca *ca, const struct name *host, EVP_PKEY *key, int64_t now_us, int64_t not_after_us,
    struct error *error)
{
	struct host_order parts;

	if (ca->not_after_us <= now_us) {
		error_set(error, -EINVAL, "the CA is good no more; roll it over with netbus-admin pki rollover begin");
		return NULL;
	}
	if (not_after_us > ca->not_after_us)
		not_after_us = ca->not_after_us;
	return pki_certify(order_for_host(&parts, ca, host, now_us, not_after_us), key, error);
}

/* ---- a new CA for an old one ---- */

int
pki_cross(const struct pki_ca *old, const struct pki_ca *new, int64_t now_us, char **text, size_t *length,
    struct error *error)
{
	char common_name[PKI_TRUST_DOMAIN_MAX + 16], uri[PKI_TRUST_DOMAIN_MAX + 32];
	struct pki_extension extensions[CA_EXTENSIONS];
	struct pki_order order = order_for_ca(new->trust_domain, common_name, uri, extensions, now_us);
	X509 *certificate;
	int code;

	order.issuer = old;
	order.not_after_us = old->not_after_us < new->not_after_us ? old->not_after_us : new->not_after_us;
	certificate = pki_certify(&order, new->key, error);
	if (certificate == NULL)
		return error ? error->code : -EIO;
	code = pki_print_certificate(certificate, text, length);
	X509_free(certificate);
	return code < 0 ? error_errno(error, code, "a certificate cannot be written as PEM") : 0;
}
