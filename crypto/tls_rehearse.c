/* SPDX-License-Identifier: Apache-2.0
 *
 * A connection with ourselves, before there is any other (crypto/tls.h): OpenSSL looks up algorithms, and makes its tables for them, when they are first
 * used, which takes longer than a handshake and costs memory. A process that is forked later has all of it from us. Both kinds of keys that a host may have take
 * part; they are made here, and forgotten.
 */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/bytes.h"
#include "crypto/tls_internal.h"

#define STEPS_MOST 16

/* One side's custody: a key of its own, and a peer that is believed. */
struct actor {
	struct custody custody;
	EVP_PKEY *key;
	uint8_t chain[2048];
	size_t chain_length;
	struct tls *tls;
};

static int
actor_identity(void *context, uint8_t nonce[static TLS_NONCE_LEN], const uint8_t **chain, size_t *chain_length)
{
	struct actor *actor = context;

	memset(nonce, 0, TLS_NONCE_LEN);
	*chain = actor->chain;
	*chain_length = actor->chain_length;
	return 0;
}

static void
free_digest(EVP_MD_CTX **digest)
{
	EVP_MD_CTX_free(*digest);
}

static int
actor_sign(
    void *context, const uint8_t *input, size_t length, uint8_t *signature, size_t room, size_t *signature_length)
{
	struct actor *actor = context;
	AUTO(free_digest) EVP_MD_CTX *digest = EVP_MD_CTX_new();
	const char *name = EVP_PKEY_is_a(actor->key, "EC") ? "SHA256" : NULL;

	*signature_length = room;
	return digest != NULL &&
		       EVP_DigestSignInit_ex(digest, NULL, name, provider_whole_library(), NULL, actor->key, NULL) ==
			   1 &&
		       EVP_DigestSign(digest, signature, signature_length, input, length) == 1
		   ? 0
		   : -EIO;
}

static int
actor_check_chain(void *context, const uint8_t *chain, size_t length, int *verify_error, struct error *text)
{
	(void)context, (void)chain, (void)length, (void)text;
	*verify_error = X509_V_OK;
	return 0;
}

static int
actor_prove(void *context, uint16_t scheme, const uint8_t *signature, size_t signature_length,
    const uint8_t *transcript, size_t transcript_length, char *host, struct error *error)
{
	(void)context, (void)scheme, (void)signature, (void)signature_length, (void)transcript, (void)transcript_length,
	    (void)error;
	memcpy(host, "rehearsal", sizeof "rehearsal");
	return 0;
}

static void
actor_end(void *context)
{
	(void)context;
}

static void
free_certificate(X509 **certificate)
{
	X509_free(*certificate);
}

/* Signed by its own key, as u24 length + DER. */
static int
make_chain(struct actor *actor)
{
	AUTO(free_certificate) X509 *certificate = X509_new_ex(provider_whole_library(), NULL);
	const EVP_MD *digest = EVP_PKEY_is_a(actor->key, "EC") ? EVP_sha256() : NULL;
	uint8_t *der = actor->chain + 3;
	int length;

	if (certificate == NULL || X509_set_version(certificate, X509_VERSION_3) != 1 ||
	    X509_gmtime_adj(X509_getm_notBefore(certificate), 0) == NULL ||
	    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600) == NULL ||
	    X509_set_pubkey(certificate, actor->key) != 1 || X509_sign(certificate, actor->key, digest) <= 0)
		return -EIO;
	length = i2d_X509(certificate, NULL);
	if (length <= 0 || (size_t)length + 3 > sizeof actor->chain)
		return -EIO;
	actor->chain[0] = 0;
	put_be16(actor->chain + 1, (uint16_t)length);
	i2d_X509(certificate, &der);
	actor->chain_length = (size_t)length + 3;
	return 0;
}

static int
actor_init(struct actor *actor, EVP_PKEY *key, enum tls_side side, int socket, struct error *error)
{
	*actor = (struct actor){
	    .custody = {actor, actor_identity, actor_sign, actor_check_chain, actor_prove, actor_end}, .key = key};
	if (make_chain(actor) < 0) {
		close(socket);
		return error_set(error, -EIO, "cannot make a certificate");
	}
	actor->tls = tls_new(side, socket, &actor->custody, error);
	return actor->tls ? 0 : error->code;
}

static int
shake_hands(struct actor actors[2], struct error *error)
{
	int done[2] = {0, 0};

	for (unsigned step = 0; step < STEPS_MOST && (done[0] == 0 || done[1] == 0); step++)
		for (unsigned i = 0; i < 2; i++)
			if (done[i] == 0 && (done[i] = tls_handshake(actors[i].tls, error)) < 0)
				return done[i];
	return done[0] && done[1] ? 0 : error_set(error, -EIO, "the handshake does not end");
}

/* A few bytes each way. */
static int
talk(struct stream *streams[2])
{
	uint8_t bytes[64] = {0}, *room;

	for (unsigned i = 0; i < 2; i++) {
		room = streams[i]->class->reserve(streams[i], sizeof bytes);
		if (room == NULL)
			return -ENOMEM;
		memcpy(room, bytes, sizeof bytes);
		streams[i]->class->commit(streams[i], sizeof bytes);
		if (streams[i]->class->flush(streams[i]) < 0 ||
		    streams[1 - i]->class->read(streams[1 - i], bytes, sizeof bytes) != sizeof bytes)
			return -EIO;
	}
	return 0;
}

static int
play(struct actor actors[2], struct error *error)
{
	struct stream *streams[2];
	int code = shake_hands(actors, error);

	if (code < 0)
		return code;
	for (unsigned i = 0; i < 2; i++)
		streams[i] = tls_stream(TAKE(actors[i].tls), TLS_WIRE_MOST);
	code = talk(streams);
	for (unsigned i = 0; i < 2; i++)
		streams[i]->class->close(streams[i]);
	return code < 0 ? error_errno(error, code, "no byte comes through") : 0;
}

/* Takes the sockets. */
static int
rehearse(EVP_PKEY *key, const int sockets[2], struct error *error)
{
	static struct actor actors[2];
	int code = actor_init(&actors[0], key, TLS_SERVER, sockets[0], error);

	if (code == 0)
		code = actor_init(&actors[1], key, TLS_CLIENT, sockets[1], error);
	else
		close(sockets[1]);
	if (code == 0)
		code = play(actors, error);
	for (unsigned i = 0; i < 2; i++)
		tls_free(TAKE(actors[i].tls));
	return code;
}

int
tls_rehearse(struct error *error)
{
	EVP_PKEY *keys[2] = {NULL, NULL};
	int sockets[2], code = tls_prepare(error);

	if (code < 0)
		return code;
	keys[0] = EVP_PKEY_Q_keygen(provider_whole_library(), NULL, "EC", "P-256");
	keys[1] = EVP_PKEY_Q_keygen(provider_whole_library(), NULL, "ED25519");
	for (size_t i = 0; i < ARRAY_LENGTH(keys) && code == 0; i++) {
		if (keys[i] == NULL || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) < 0)
			code = error_set(error, -EIO, "no key, or no sockets");
		else
			code = rehearse(keys[i], sockets, error);
	}
	for (size_t i = 0; i < ARRAY_LENGTH(keys); i++)
		EVP_PKEY_free(keys[i]);
	ERR_clear_error();
	return code < 0 ? error_wrap(error, "TLS with ourselves does not work"), code : 0;
}
