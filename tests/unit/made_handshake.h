/* SPDX-License-Identifier: Apache-2.0
 *
 * Real TLS 1.3 handshakes by libssl, in memory, with keys of the tests' own: what each side would hand to its netbus-keys.
 */
#ifndef NETBUS_TESTS_UNIT_MADE_HANDSHAKE_H
#define NETBUS_TESTS_UNIT_MADE_HANDSHAKE_H

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdbool.h>

#include "crypto/tls.h"
#include "tests/unit/made_certificate.h"

/* One side: what goes in, and what comes out. */
struct half {
	const struct made *made;
	uint8_t nonce[TLS_NONCE_LEN];

	uint8_t transcript[16384]; /* up to the peer's Certificate */
	size_t length;
	bool frozen;
	uint8_t signature[512]; /* the peer's */
	size_t signature_length;
	uint16_t scheme;

	SSL_CTX *context;
	SSL *ssl;
};

struct handshake {
	struct half side[2]; /* by enum tls_side */
	const char *suite;   /* NULL = OpenSSL's choice */
	bool retry;          /* the server wants another group than the client sent a share of */
};

static inline void
half_on_message(int is_ours, int version, int content_type, const void *bytes, size_t length, SSL *ssl, void *owner)
{
	struct half *half = owner;
	const uint8_t *message = bytes;

	(void)version, (void)ssl;
	if (content_type != SSL3_RT_HANDSHAKE)
		return;
	if (!half->frozen) {
		assert_true(half->length + length <= sizeof half->transcript);
		memcpy(half->transcript + half->length, message, length);
		half->length += length;
	}
	if (!is_ours && message[0] == SSL3_MT_CERTIFICATE)
		half->frozen = true;
	if (!is_ours && message[0] == SSL3_MT_CERTIFICATE_VERIFY) {
		half->scheme = (uint16_t)(message[4] << 8 | message[5]);
		half->signature_length = length - 8;
		memcpy(half->signature, message + 8, length - 8);
	}
}

static inline int
half_on_extension(SSL *ssl, unsigned type, unsigned message, const unsigned char **bytes, size_t *length,
    X509 *certificate, size_t index, int *alert, void *owner)
{
	struct half *half = owner;

	(void)type, (void)certificate, (void)index, (void)alert;
	if (message != (unsigned)(SSL_is_server(ssl) ? SSL_EXT_TLS1_3_CERTIFICATE_REQUEST : SSL_EXT_CLIENT_HELLO))
		return 0;
	*bytes = half->nonce;
	*length = sizeof half->nonce;
	return 1;
}

static inline int
half_accepts_all(int good, X509_STORE_CTX *context)
{
	(void)good, (void)context;
	return 1;
}

static inline void
half_open(struct handshake *handshake, enum tls_side side)
{
	struct half *half = &handshake->side[side];
	bool is_client = side == TLS_CLIENT;

	half->context = SSL_CTX_new(is_client ? TLS_client_method() : TLS_server_method());
	assert_non_null(half->context);
	SSL_CTX_set_min_proto_version(half->context, TLS1_3_VERSION);
	assert_int_equal(SSL_CTX_use_certificate(half->context, half->made->certificate), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(half->context, half->made->key), 1);
	SSL_CTX_set_verify(half->context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, half_accepts_all);
	if (handshake->suite)
		assert_int_equal(SSL_CTX_set_ciphersuites(half->context, handshake->suite), 1);
	assert_int_equal(SSL_CTX_set1_groups_list(half->context, is_client          ? "X25519:P-256"
								 : handshake->retry ? "P-256"
										    : "X25519"),
	    1);
	assert_int_equal(
	    SSL_CTX_add_custom_ext(half->context, TLS_NONCE_EXTENSION,
		SSL_EXT_CLIENT_HELLO | SSL_EXT_TLS1_3_CERTIFICATE_REQUEST, half_on_extension, NULL, half, NULL, NULL),
	    1);
	half->ssl = SSL_new(half->context);
	assert_non_null(half->ssl);
	SSL_set_msg_callback(half->ssl, half_on_message);
	SSL_set_msg_callback_arg(half->ssl, half);
	if (is_client)
		SSL_set_connect_state(half->ssl);
	else
		SSL_set_accept_state(half->ssl);
}

/* Shakes hands. side[].made, side[].nonce, suite and retry are filled in. */
static inline void
handshake_run(struct handshake *handshake)
{
	BIO *ends[2];
	int done[2] = {0, 0};

	half_open(handshake, TLS_SERVER);
	half_open(handshake, TLS_CLIENT);
	assert_int_equal(BIO_new_bio_pair(&ends[0], 1 << 16, &ends[1], 1 << 16), 1);
	for (int side = 0; side < 2; side++)
		SSL_set_bio(handshake->side[side].ssl, ends[side], ends[side]);
	for (int turn = 0; turn < 10 && !(done[0] == 1 && done[1] == 1); turn++)
		for (int side = 0; side < 2; side++)
			done[side] = SSL_do_handshake(handshake->side[side].ssl);
	ERR_print_errors_fp(stderr);
	assert_int_equal(done[TLS_SERVER], 1);
	assert_int_equal(done[TLS_CLIENT], 1);
	for (int side = 0; side < 2; side++) {
		SSL_free(handshake->side[side].ssl);
		SSL_CTX_free(handshake->side[side].context);
		assert_true(handshake->side[side].frozen && handshake->side[side].signature_length > 0);
	}
}

#endif
