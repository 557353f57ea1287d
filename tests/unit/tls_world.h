/* SPDX-License-Identifier: Apache-2.0
 *
 * What the TLS tests share: real keys and certificates, a custody that has them (as netbus-keys does, in this process), and loopback
 * connections. Everything is driven in one thread: each side is asked in turn, and poll(2) waits when neither can go on.
 */
#ifndef NETBUS_TESTS_UNIT_TLS_WORLD_H
#define NETBUS_TESTS_UNIT_TLS_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bytes.h"
#include "crypto/tls_internal.h"

#define PATIENCE_MS 10000

/* ---- keys and certificates ---- */

static inline EVP_PKEY *
world_key(const char *kind)
{
	EVP_PKEY *key = strcmp(kind, "ED25519") == 0 ? EVP_PKEY_Q_keygen(NULL, NULL, "ED25519")
			: strcmp(kind, "RSA") == 0   ? EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048)
						     : EVP_PKEY_Q_keygen(NULL, NULL, "EC", kind);

	assert_non_null(key);
	return key;
}

/* The subject is the host's name, which the test custody takes for proved. */
static inline X509 *
world_certificate(EVP_PKEY *key, const char *name, unsigned padding)
{
	X509 *certificate = X509_new();
	char text[512];

	assert_non_null(certificate);
	X509_set_version(certificate, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
	X509_gmtime_adj(X509_getm_notBefore(certificate), -60);
	X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
	X509_NAME_add_entry_by_txt(
	    X509_get_subject_name(certificate), "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
	memset(text, 'x', sizeof text);
	for (; padding > 0; padding--)
		X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "description", MBSTRING_ASC,
		    (const unsigned char *)text, 500, -1, 0);
	X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
	X509_set_pubkey(certificate, key);
	assert_true(X509_sign(certificate, key, EVP_PKEY_is_a(key, "ED25519") ? NULL : EVP_sha256()) > 0);
	return certificate;
}

/* ---- a custody that has the key ---- */

enum misdeed { NONE, NO_IDENTITY, NO_SIGNATURE, NO_VERDICT, BAD_CHAIN, WRONG_HOST, NO_PROOF };

struct keeper {
	struct custody custody;
	enum misdeed misdeed;
	enum tls_side side;
	EVP_PKEY *key;
	X509 *certificate;
	uint8_t nonce[TLS_NONCE_LEN];
	uint8_t chain[2 * LIMIT_CHAIN];
	size_t chain_length;
	X509 *peer; /* the leaf that was judged */
	bool busy;
	unsigned begun, signatures, verdicts, proofs;
};

static inline int
keeper_identity(void *context, uint8_t nonce[static TLS_NONCE_LEN], const uint8_t **chain, size_t *length)
{
	struct keeper *keeper = context;
	uint8_t *der = keeper->chain + 3;
	int der_length = i2d_X509(keeper->certificate, NULL);

	if (keeper->busy)
		return -EBUSY;
	if (keeper->misdeed == NO_IDENTITY)
		return -ETIMEDOUT;
	assert_true(der_length > 0 && (size_t)der_length + 3 < sizeof keeper->chain);
	keeper->chain[0] = (uint8_t)(der_length >> 16);
	put_be16(keeper->chain + 1, (uint16_t)der_length);
	i2d_X509(keeper->certificate, &der);
	keeper->chain_length = (size_t)der_length + 3;
	for (unsigned i = 0; i < TLS_NONCE_LEN; i++)
		keeper->nonce[i] = (uint8_t)(0xa0 + 3 * i + (unsigned)keeper->side);
	memcpy(nonce, keeper->nonce, TLS_NONCE_LEN);
	*chain = keeper->chain;
	*length = keeper->chain_length;
	keeper->busy = true;
	keeper->begun++;
	return 0;
}

static inline void
keeper_end(void *context)
{
	struct keeper *keeper = context;

	assert_true(keeper->busy);
	keeper->busy = false;
}

static inline const EVP_MD *
digest_of(const EVP_PKEY *key)
{
	return EVP_PKEY_is_a(key, "ED25519") ? NULL : EVP_sha256();
}

static inline int
keeper_sign(void *context, const uint8_t *input, size_t length, uint8_t *signature, size_t room, size_t *used)
{
	struct keeper *keeper = context;
	EVP_MD_CTX *signing = EVP_MD_CTX_new();

	if (keeper->misdeed == NO_SIGNATURE) {
		EVP_MD_CTX_free(signing);
		return -EPERM;
	}
	/* What netbus-keys insists on: 64 spaces, the context string, 0, a hash. */
	assert_true(length == 64 + 34 + 32 || length == 64 + 34 + 48);
	assert_memory_equal(input + 64,
	    keeper->side == TLS_SERVER ? "TLS 1.3, server CertificateVerify" : "TLS 1.3, client CertificateVerify", 34);
	*used = room;
	assert_int_equal(EVP_DigestSignInit(signing, NULL, digest_of(keeper->key), NULL, keeper->key), 1);
	assert_int_equal(EVP_DigestSign(signing, signature, used, input, length), 1);
	EVP_MD_CTX_free(signing);
	keeper->signatures++;
	return 0;
}

static inline int
keeper_check_chain(void *context, const uint8_t *chain, size_t length, int *verify_error, struct error *text)
{
	struct keeper *keeper = context;
	struct reader reader = reader_over(chain, length);
	size_t der_length = read_u24(&reader);
	const uint8_t *der = read_bytes(&reader, der_length);

	assert_non_null(der);
	if (keeper->misdeed == NO_VERDICT)
		return -EPIPE;
	*verify_error = keeper->misdeed == BAD_CHAIN    ? X509_V_ERR_CERT_HAS_EXPIRED
			: keeper->misdeed == WRONG_HOST ? X509_V_ERR_HOSTNAME_MISMATCH
							: X509_V_OK;
	if (*verify_error != X509_V_OK)
		error_set(text, -EPROTO, "it does not please");
	X509_free(keeper->peer);
	keeper->peer = d2i_X509(NULL, &der, (long)der_length);
	assert_non_null(keeper->peer);
	keeper->verdicts++;
	return 0;
}

/* RFC 8446 4.4.1: after a HelloRetryRequest the first ClientHello counts as its hash. */
static inline size_t
transcript_hash(const char *digest_name, const uint8_t *transcript, size_t length, uint8_t hash[EVP_MAX_MD_SIZE])
{
	static const uint8_t retry_random[] = {0xcf, 0x21, 0xad, 0x74};
	const EVP_MD *digest = EVP_get_digestbyname(digest_name);
	EVP_MD_CTX *hashing = EVP_MD_CTX_new();
	size_t first = 4 + get_be16(transcript + 2);
	unsigned hash_length = 0;

	EVP_DigestInit(hashing, digest);
	if (memcmp(transcript + first + 6, retry_random, sizeof retry_random) == 0) {
		uint8_t substitute[4 + EVP_MAX_MD_SIZE] = {254};

		EVP_Digest(transcript, first, substitute + 4, &hash_length, digest, NULL);
		substitute[3] = (uint8_t)hash_length;
		EVP_DigestUpdate(hashing, substitute, 4 + hash_length);
		transcript += first;
		length -= first;
	}
	EVP_DigestUpdate(hashing, transcript, length);
	EVP_DigestFinal(hashing, hash, &hash_length);
	EVP_MD_CTX_free(hashing);
	return hash_length;
}

static inline bool
signature_fits(const struct keeper *keeper, const char *digest_name, const uint8_t *signature, size_t signature_length,
    const uint8_t *transcript, size_t length)
{
	uint8_t input[64 + 34 + EVP_MAX_MD_SIZE];
	EVP_PKEY *key = X509_get0_pubkey(keeper->peer);
	EVP_MD_CTX *verifying = EVP_MD_CTX_new();
	size_t hash_length = transcript_hash(digest_name, transcript, length, input + 64 + 34);
	bool fits;

	memset(input, ' ', 64);
	memcpy(input + 64,
	    keeper->side == TLS_CLIENT ? "TLS 1.3, server CertificateVerify" : "TLS 1.3, client CertificateVerify", 34);
	assert_int_equal(EVP_DigestVerifyInit(verifying, NULL, digest_of(key), NULL, key), 1);
	fits = EVP_DigestVerify(verifying, signature, signature_length, input, 64 + 34 + hash_length) == 1;
	EVP_MD_CTX_free(verifying);
	ERR_clear_error();
	return fits;
}

static inline int
keeper_prove(void *context, uint16_t scheme, const uint8_t *signature, size_t signature_length,
    const uint8_t *transcript, size_t length, char *host, struct error *error)
{
	struct keeper *keeper = context;

	assert_true(keeper->busy);
	if (keeper->misdeed == NO_PROOF)
		return error_set(error, -EACCES, "no such luck");
	assert_int_equal(scheme, EVP_PKEY_is_a(X509_get0_pubkey(keeper->peer), "ED25519") ? 0x0807 : 0x0403);
	assert_non_null(memmem(transcript, length, keeper->nonce, TLS_NONCE_LEN));
	if (!signature_fits(keeper, "SHA256", signature, signature_length, transcript, length) &&
	    !signature_fits(keeper, "SHA384", signature, signature_length, transcript, length))
		return error_set(error, -EACCES, "the signature does not fit the transcript");
	X509_NAME_get_text_by_NID(X509_get_subject_name(keeper->peer), NID_commonName, host, NAME_LEN_MAX + 1);
	keeper->proofs++;
	return 0;
}

static inline void
keeper_init(struct keeper *keeper, enum tls_side side, const char *key_kind, const char *name)
{
	*keeper = (struct keeper){.side = side,
	    .key = world_key(key_kind),
	    .custody = {.identity = keeper_identity,
		.sign = keeper_sign,
		.check_chain = keeper_check_chain,
		.prove = keeper_prove,
		.end = keeper_end}};
	keeper->custody.context = keeper;
	keeper->certificate = world_certificate(keeper->key, name, 0);
}

static inline void
keeper_clear(struct keeper *keeper)
{
	assert_false(keeper->busy);
	EVP_PKEY_free(keeper->key);
	X509_free(keeper->certificate);
	X509_free(keeper->peer);
}

/* ---- connections ---- */

static inline void
make_connection(int ends[2])
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof address;
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(listener >= 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &length), 0);
	ends[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(ends[1], (struct sockaddr *)&address, sizeof address), 0);
	ends[0] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(ends[0] >= 0);
	close(listener);
	fcntl(ends[1], F_SETFL, O_NONBLOCK);
}

static inline void
wait_for(int fd, short events)
{
	struct pollfd ready = {.fd = fd, .events = events};

	assert_int_equal(poll(&ready, 1, PATIENCE_MS), 1);
}

static inline void
wait_for_either(const int fds[2], const uint32_t wants[2])
{
	struct pollfd ready[2];

	for (int i = 0; i < 2; i++)
		ready[i] = (struct pollfd){.fd = fds[i],
		    .events = (short)((wants[i] & EPOLLIN ? POLLIN : 0) | (wants[i] & EPOLLOUT ? POLLOUT : 0))};
	assert_true(poll(ready, 2, PATIENCE_MS) > 0);
}

/* Both sides ours. code[i]: the last tls_handshake() of side i; stops when both are done or one has failed. */
struct pair {
	int fds[2];
	struct keeper keeper[2];
	struct tls *tls[2];
	struct stream *stream[2];
	struct error error[2];
	int code[2];
};

static inline void
pair_open(struct pair *pair, const char *server_key, const char *client_key)
{
	memset(pair, 0, sizeof *pair);
	keeper_init(&pair->keeper[TLS_SERVER], TLS_SERVER, server_key, "m2");
	keeper_init(&pair->keeper[TLS_CLIENT], TLS_CLIENT, client_key, "m1");
}

static inline void
pair_shake_over(struct pair *pair)
{
	for (int i = 0; i < 2; i++) {
		pair->tls[i] = tls_new((enum tls_side)i, pair->fds[i], &pair->keeper[i].custody, &pair->error[i]);
		assert_non_null(pair->tls[i]);
	}
	while ((pair->code[0] == 0 || pair->code[1] == 0) && pair->code[0] >= 0 && pair->code[1] >= 0) {
		uint32_t wants[2];

		for (int i = 0; i < 2; i++) {
			if (pair->code[i] == 0)
				pair->code[i] = tls_handshake(pair->tls[i], &pair->error[i]);
			wants[i] = pair->code[i] == 0 ? tls_wants(pair->tls[i]) : 0;
		}
		if (pair->code[0] == 0 || pair->code[1] == 0)
			wait_for_either(pair->fds, wants);
	}
}

static inline void
pair_shake(struct pair *pair)
{
	make_connection(pair->fds);
	pair_shake_over(pair);
}

static inline void
pair_streams(struct pair *pair, size_t queue_limit)
{
	for (int i = 0; i < 2; i++) {
		assert_int_equal(pair->code[i], 1);
		pair->stream[i] = tls_stream(pair->tls[i], queue_limit);
		pair->tls[i] = NULL;
	}
}

static inline void
pair_close(struct pair *pair)
{
	for (int i = 0; i < 2; i++) {
		tls_free(pair->tls[i]);
		if (pair->stream[i])
			pair->stream[i]->class->close(pair->stream[i]);
	}
	for (int i = 0; i < 2; i++)
		keeper_clear(&pair->keeper[i]);
}

/* ---- the other side as plain OpenSSL ---- */

struct foreigner {
	SSL_CTX *context;
	SSL *ssl;
	int fd;
	bool done, failed;
};

static inline void
foreigner_close(struct foreigner *foreigner)
{
	SSL_free(foreigner->ssl);
	SSL_CTX_free(foreigner->context);
	if (foreigner->fd >= 0)
		close(foreigner->fd);
	ERR_clear_error();
}

static inline void
foreigner_step(struct foreigner *foreigner)
{
	int code;

	if (foreigner->done || foreigner->failed)
		return;
	ERR_clear_error();
	code = SSL_do_handshake(foreigner->ssl);
	foreigner->done = code == 1;
	foreigner->failed = code != 1 && SSL_get_error(foreigner->ssl, code) != SSL_ERROR_WANT_READ;
	ERR_clear_error();
}

/* Until ours has an outcome. */
static inline int
shake_with(struct tls *tls, int our_fd, struct foreigner *foreigner, struct error *error)
{
	int code = 0;

	while (code == 0) {
		struct pollfd ready[2] = {{.fd = our_fd, .events = POLLIN}, {.fd = foreigner->fd, .events = POLLIN}};

		foreigner_step(foreigner);
		code = tls_handshake(tls, error);
		if (code == 0)
			assert_true(poll(ready, foreigner->done || foreigner->failed ? 1 : 2, PATIENCE_MS) > 0);
	}
	foreigner_step(foreigner);
	return code;
}

#endif
