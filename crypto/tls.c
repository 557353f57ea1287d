/* SPDX-License-Identifier: Apache-2.0
 *
 * A TLS connection's life, and its handshake step by step (crypto/tls.h). The peer's bytes are hostile; custody is trusted.
 */
#include "crypto/tls.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "crypto/tls_internal.h"

/* Handshake messages that wait for the socket; the gathered records of tls_stream.c come to TLS_WIRE_MOST. */
#define SPARE_ROOM (64u << 10)

static void
end_shake(struct tls *tls)
{
	if (tls->shake == NULL)
		return;
	if (tls->shake->began)
		tls->custody->end(tls->custody->context);
	free(TAKE(tls->shake));
}

void
tls_free(struct tls *tls)
{
	if (tls == NULL)
		return;
	end_shake(tls);
	SSL_free(tls->ssl);
	tls_wire_close(&tls->wire);
	buffer_clear(&tls->queue);
	free(tls);
}

static int
set_up_socket(int fd, struct error *error)
{
	int one = 1, code = fd_set_nonblocking(fd, true);

	if (code < 0)
		return error_errno(error, code, "cannot set up the connection");
	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) < 0 && errno != EOPNOTSUPP)
		return error_errno(error, -errno, "cannot set up the connection");
	return 0;
}

static int
begin(struct tls *tls, struct error *error)
{
	const uint8_t *chain;
	size_t length;
	int code = set_up_socket(tls->wire.fd, error);

	if (code < 0)
		return code;
	code = tls->custody->identity(tls->custody->context, tls->shake->nonce, &chain, &length);
	if (code == -EBUSY)
		return error_set(error, code, "another TLS handshake of this process is under way");
	if (code < 0)
		return error_errno(error, code, "netbus-keys does not tell this host's identity");
	tls->shake->began = true;
	return tls_set_up(tls, chain, length, error);
}

struct tls *
tls_new(enum tls_side side, int socket, const struct custody *custody, struct error *error)
{
	AUTO_CLOSE int fd = socket;
	struct tls *tls = calloc(1, sizeof *tls);
	struct tls_shake *shake = calloc(1, sizeof *shake);

	if (tls == NULL || shake == NULL) {
		free(tls);
		free(shake);
		error_set(error, -ENOMEM, "cannot begin a TLS handshake: out of memory");
		return NULL;
	}
	tls->stream.class = &tls_stream_class;
	tls->side = side;
	tls->custody = custody;
	tls->signer = (struct provider_signer){.sign = tls_on_sign, .owner = tls};
	tls->shake = shake;
	tls->wire.fd = take_fd(&fd);
	buffer_init(&tls->wire.out, TLS_WIRE_MOST + SPARE_ROOM);
	if (begin(tls, error) < 0) {
		tls_free(tls);
		return NULL;
	}
	return tls;
}

/* OpenSSL is content; what else must be so before the proof is asked for. */
static void
check_outcome(struct tls *tls)
{
	const struct tls_shake *shake = tls->shake;

	if (SSL_version(tls->ssl) != TLS1_3_VERSION)
		tls_refuse(tls, -EPROTO, "the peer agreed to another version than TLS 1.3");
	else if (!shake->signed_ours)
		tls_refuse(tls, -EPROTO, "the peer did not ask for our certificate: it is not a Netbus host");
	else if (!shake->whole)
		tls_refuse(tls, -EPROTO, "the peer did not sign the handshake");
}

static int
prove(struct tls *tls, struct error *error)
{
	struct tls_shake *shake = tls->shake;
	char host[NAME_LEN_MAX + 1] = "";
	struct error why = {0};
	int code;

	code = tls->custody->prove(tls->custody->context, shake->scheme, shake->signature, shake->signature_length,
	    shake->transcript, shake->length, host, &why);
	if (code < 0)
		return error_set(error, code, "the peer's identity is not proved: %s", why.text);
	memcpy(tls->host, host, sizeof tls->host);
	tls->host[sizeof tls->host - 1] = '\0';
	end_shake(tls);
	return 1;
}

int
tls_handshake(struct tls *tls, struct error *error)
{
	bool finished, waits;

	if (tls->shake == NULL)
		return 1;
	ERR_clear_error();
	tls->wire.is_drained = false;
	finished = SSL_do_handshake(tls->ssl) == 1;
	waits = !finished && SSL_get_error(tls->ssl, -1) == SSL_ERROR_WANT_READ;
	tls_wire_flush(&tls->wire); /* alerts too */
	if (finished)
		check_outcome(tls);
	if (tls->shake->refusal.code != 0 || tls->wire.broken != 0 || !(finished || waits))
		return tls_explain(tls, error);
	if (!finished || buffer_length(&tls->wire.out) > 0)
		return 0;
	return prove(tls, error);
}

uint32_t
tls_wants(const struct tls *tls)
{
	return EPOLLIN | (buffer_length(&tls->wire.out) > 0 ? EPOLLOUT : 0);
}

const char *
tls_peer_host(const struct tls *tls)
{
	return tls->host;
}

const char *
tls_cipher(const struct tls *tls)
{
	return SSL_get_cipher_name(tls->ssl);
}

struct stream *
tls_stream(struct tls *tls, size_t queue_limit)
{
	/* Only now: during the handshake nothing that comes after it may be taken from the socket, where the owner's loop would no more see it. */
	SSL_set_read_ahead(tls->ssl, 1);
	buffer_init(&tls->queue, queue_limit);
	tls->rekey_each = TLS_REKEY_RECORDS;
	return &tls->stream;
}
