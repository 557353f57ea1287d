/* SPDX-License-Identifier: Apache-2.0
 *
 * Whether the files of a host belong together (crypto/pki.h), for netbus-admin doctor. They are the operator's; nothing is trusted because of the answer.
 */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include "base/auto.h"
#include "crypto/pki_internal.h"

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
free_bio(BIO **slot)
{
	BIO_free(*slot);
}

/* No key of ours has a passphrase, and nobody is asked for one. */
static int
no_passphrase(char *buffer, int size, int writing, void *context)
{
	(void)buffer, (void)size, (void)writing, (void)context;
	return -1;
}

int
pki_key_fits(const char *certificate, size_t certificate_length, const char *key, size_t key_length)
{
	AUTO(free_certificate) X509 *read = pki_read_certificate(certificate, certificate_length, NULL);
	AUTO(free_bio) BIO *bio = key_length <= INT32_MAX ? BIO_new_mem_buf(key, (int)key_length) : NULL;
	AUTO(free_key) EVP_PKEY *private = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;
	int fits = read && private ? EVP_PKEY_eq(X509_get0_pubkey(read), private) == 1 : -EINVAL;

	ERR_clear_error();
	return fits;
}

int
pki_is_issued_by(const char *certificate, size_t certificate_length, const char *bundle, size_t bundle_length)
{
	AUTO(free_certificate) X509 *read = pki_read_certificate(certificate, certificate_length, NULL);
	AUTO(free_bio) BIO *bio = bundle_length <= INT32_MAX ? BIO_new_mem_buf(bundle, (int)bundle_length) : NULL;
	int issued = read && bio ? 0 : -EINVAL;

	while (issued == 0) {
		AUTO(free_certificate) X509 *issuer = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL);

		if (issuer == NULL)
			break;
		issued = X509_verify(read, X509_get0_pubkey(issuer)) == 1;
	}
	ERR_clear_error();
	return issued;
}
