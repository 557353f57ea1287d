/* SPDX-License-Identifier: Apache-2.0
 *
 * What OpenSSL is told to do (crypto/tls.h): one protocol version, three ciphers, two groups, two signature schemes, and nothing that
 * carries a secret from one connection to the next. All connections of a process share one library context of ours and one set of these settings, since
 * making them takes milliseconds and most of a session's memory; no configuration file of the machine is read.
 */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/x509.h>

#include "base/auto.h"
#include "base/bytes.h"
#include "base/cpu.h"
#include "crypto/tls_internal.h"

#define CIPHERS_AES    "TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256"
#define CIPHERS_CHACHA "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256"
#define GROUPS         "X25519:P-256"
#define SCHEMES        "ed25519:ecdsa_secp256r1_sha256"

static void
free_certificate(X509 **certificate)
{
	X509_free(*certificate);
}

static void
free_key(EVP_PKEY **key)
{
	EVP_PKEY_free(*key);
}

/* AES-GCM is the faster one where the processor has instructions for it, and much slower than ChaCha20 (and not in constant time) where it has not. */
static const char *
best_ciphers(void)
{
	return cpu_has_aes() ? CIPHERS_AES : CIPHERS_CHACHA;
}

static int
restrict_protocol(SSL_CTX *context)
{
	char groups[] = GROUPS, schemes[] = SCHEMES; /* OpenSSL's macros take away a const */

	SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
					 SSL_OP_CIPHER_SERVER_PREFERENCE |
					 SSL_OP_PRIORITIZE_CHACHA); /* whichever end lacks the instructions decides */
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	SSL_CTX_clear_mode(context, SSL_MODE_AUTO_RETRY);
	SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_default_read_buffer_len(context, TLS_READ_AHEAD);
	SSL_CTX_set_max_cert_list(context, LIMIT_CHAIN);
	SSL_CTX_set_security_level(context, 2);
	return SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) == 1 &&
		       SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION) == 1 &&
		       SSL_CTX_set_ciphersuites(context, best_ciphers()) == 1 &&
		       SSL_CTX_set1_groups_list(context, groups) == 1 &&
		       SSL_CTX_set1_sigalgs_list(context, schemes) == 1 &&
		       SSL_CTX_set_max_early_data(context, 0) == 1 && SSL_CTX_set_num_tickets(context, 0) == 1
		   ? 0
		   : -EIO;
}

/* ---- what all connections of the process share ---- */

static struct {
	struct provider_context providers;
	BIO_METHOD *wire;
	SSL_CTX *settings; /* NULL: not made yet */
} shared;

static int
make_settings(struct error *error)
{
	SSL_CTX *settings = NULL;

	if (provider_open(&shared.providers) == 0)
		settings = SSL_CTX_new_ex(shared.providers.library, "?provider=default", TLS_method());
	shared.wire = tls_wire_method();
	if (settings == NULL || shared.wire == NULL)
		error_set(
		    error, -ENOMEM, "cannot set up the TLS library: %s", ERR_reason_error_string(ERR_get_error()));
	else if (restrict_protocol(settings) < 0)
		error_set(error, -EIO,
		    "the TLS library lacks something that Netbus needs (TLS 1.3, X25519, Ed25519, "
		    "AES-GCM): %s",
		    ERR_reason_error_string(ERR_get_error()));
	else if (tls_hooks_install(settings) < 0)
		error_set(error, -ENOMEM, "cannot set up the TLS library: out of memory");
	else
		return shared.settings = settings, 0;
	SSL_CTX_free(settings);
	BIO_meth_free(TAKE(shared.wire));
	provider_close(&shared.providers);
	return -EIO;
}

int
tls_prepare(struct error *error)
{
	uint8_t random[16];
	int code = 0;

	if (shared.settings != NULL)
		return 0;
	/* Nothing of the library's tables for names in old interfaces: TLS asks the providers. What it holds at the end of the process goes with that. */
	if (OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_ADD_ALL_CIPHERS |
				 OPENSSL_INIT_NO_ADD_ALL_DIGESTS | OPENSSL_INIT_LOAD_SSL_STRINGS |
				 OPENSSL_INIT_LOAD_CRYPTO_STRINGS | OPENSSL_INIT_NO_ATEXIT,
		NULL) != 1)
		return error_set(error, -EIO, "cannot start the TLS library");
	/* The first random number decides for good where randomness comes from. */
	if (make_settings(error) < 0)
		code = -EIO;
	else if (RAND_bytes_ex(shared.providers.library, random, sizeof random, 0) != 1)
		code = error_set(
		    error, -EIO, "cannot prepare the TLS library: %s", ERR_reason_error_string(ERR_get_error()));
	ERR_clear_error();
	return code;
}

OSSL_LIB_CTX *
tls_library(void)
{
	return shared.providers.library;
}

/* ---- one connection ---- */

static X509 *
read_certificate(const uint8_t *der, size_t length)
{
	X509 *certificate = X509_new_ex(shared.providers.library, NULL);
	const uint8_t *end = der;

	if (certificate && d2i_X509(&certificate, &end, (long)length) && end == der + length)
		return certificate;
	X509_free(certificate);
	return NULL;
}

static int
use_leaf(struct tls *tls, X509 *leaf)
{
	AUTO(free_key)
	EVP_PKEY *key = provider_key_new(shared.providers.library, X509_get0_pubkey(leaf), &tls->signer);

	/* The second call holds key and certificate against each other. */
	if (key == NULL || SSL_use_certificate(tls->ssl, leaf) != 1 || SSL_use_PrivateKey(tls->ssl, key) != 1)
		return -EINVAL;
	return 0;
}

static int
use_chain(struct tls *tls, const uint8_t *chain, size_t length)
{
	struct reader reader = reader_over(chain, length);
	int code = length > 0 ? 0 : -EINVAL;

	for (unsigned i = 0; code == 0 && !reader_done(&reader); i++) {
		AUTO(free_certificate) X509 *certificate = NULL;
		size_t der_length = read_u24(&reader);
		const uint8_t *der = read_bytes(&reader, der_length);

		certificate = der ? read_certificate(der, der_length) : NULL;
		if (certificate == NULL || (i > 0 && SSL_add1_chain_cert(tls->ssl, certificate) != 1))
			code = -EINVAL;
		else if (i == 0)
			code = use_leaf(tls, certificate);
	}
	return code;
}

static int
connect_ssl(struct tls *tls)
{
	BIO *bio;

	tls->ssl = SSL_new(shared.settings);
	bio = tls->ssl ? tls_wire_bio(shared.wire, &tls->wire) : NULL;
	if (bio == NULL || SSL_set_app_data(tls->ssl, tls) != 1) {
		BIO_free(bio);
		return -ENOMEM;
	}
	SSL_set_bio(tls->ssl, bio, bio);
	if (tls->side == TLS_SERVER)
		SSL_set_accept_state(tls->ssl);
	else
		SSL_set_connect_state(tls->ssl);
	return 0;
}

int
tls_set_up(struct tls *tls, const uint8_t *chain, size_t length, struct error *error)
{
	int code = tls_prepare(error);

	if (code < 0)
		return code;
	if (connect_ssl(tls) < 0)
		return error_set(error, -ENOMEM, "cannot set up a TLS connection: out of memory");
	if (use_chain(tls, chain, length) < 0)
		return error_set(error, -EINVAL,
		    "the TLS library does not take this host's certificate; see `netbus-admin pki "
		    "show`: %s",
		    ERR_reason_error_string(ERR_get_error()));
	ERR_clear_error();
	return 0;
}
