/* SPDX-License-Identifier: Apache-2.0
 *
 * struct stream (wire/stream.h) over an established TLS connection. Plaintext waits in one queue; a flush seals a quarter megabyte of it at a
 * time into full records and sends these with one system call. Reading takes as many records as the caller has room for.
 *
 * The peer is proved, but what it sends is still hostile: it can neither make a read endless (KeyUpdate messages are counted) nor a queue
 * longer than its limit.
 */
#include <errno.h>
#include <openssl/err.h>

#include "base/log.h"
#include "crypto/tls_internal.h"

static struct tls *
tls_of(struct stream *stream)
{
	return (struct tls *)(void *)stream; /* its first member */
}

static const struct tls *
tls_of_const(const struct stream *stream)
{
	return (const struct tls *)(const void *)stream;
}

/* ---- reading ---- */

static int
failure_of(struct tls *tls, int ssl_error)
{
	const char *alert = tls_alert_received();

	if (ssl_error == SSL_ERROR_ZERO_RETURN)
		return TLS_CLOSED;
	if (tls->wire.broken != 0)
		return tls->wire.broken;
	if (alert != NULL) {
		log_notice("the peer ended the connection with the TLS alert \"%s\"", alert);
		return -ECONNRESET;
	}
	return tls->wire.ended ? -ECONNRESET : -EPROTO;
}

/* OpenSSL stops after a message that is no data. */
static bool
go_on(struct tls *tls, unsigned messages_before)
{
	if (tls->idle_messages == messages_before) {
		tls->dry = true;
		return false;
	}
	if (tls->idle_messages > TLS_IDLE_MOST)
		tls->failure = -EPROTO;
	return tls->failure == 0;
}

static ssize_t
stream_read(struct stream *stream, void *bytes, size_t room)
{
	struct tls *tls = tls_of(stream);
	uint8_t *out = bytes;
	size_t total = 0, got;

	ERR_clear_error();
	tls->dry = false;
	while (tls->failure == 0 && total < room) {
		unsigned messages = tls->idle_messages;
		int code;

		if (SSL_read_ex(tls->ssl, out + total, room - total, &got) == 1) {
			total += got;
			tls->idle_messages = 0;
			continue;
		}
		code = SSL_get_error(tls->ssl, 0);
		if (code != SSL_ERROR_WANT_READ)
			tls->failure = failure_of(tls, code);
		else if (!go_on(tls, messages))
			break;
	}
	if (total > 0)
		return (ssize_t)total;
	if (tls->failure != 0)
		return tls->failure == TLS_CLOSED ? 0 : tls->failure;
	return -EAGAIN;
}

/* A failure that the caller has not been told counts: the socket may never become ready again. */
static bool
stream_buffered(const struct stream *stream)
{
	const struct tls *tls = tls_of_const(stream);

	return tls->failure != 0 || (!tls->dry && SSL_has_pending(tls->ssl));
}

/* ---- writing ---- */

static uint8_t *
stream_reserve(struct stream *stream, size_t length)
{
	return buffer_reserve(&tls_of(stream)->queue, length);
}

static void
stream_commit(struct stream *stream, size_t length)
{
	buffer_commit(&tls_of(stream)->queue, length);
}

static int
renew_key(struct tls *tls)
{
	if (tls->records < tls->rekey_each)
		return 0;
	tls->records = 0;
	return SSL_key_update(tls->ssl, SSL_KEY_UPDATE_NOT_REQUESTED) == 1 ? 0 : -EPROTO;
}

/* Only into an empty queue, which therefore always has room and is never moved. */
static int
seal(struct tls *tls)
{
	while (buffer_length(&tls->queue) > 0 && buffer_length(&tls->wire.out) < TLS_WIRE_MOST) {
		size_t length = buffer_length(&tls->queue), sealed = 0;

		if (length > TLS_RECORD_MOST)
			length = TLS_RECORD_MOST;
		if (renew_key(tls) < 0 || SSL_write_ex(tls->ssl, buffer_front(&tls->queue), length, &sealed) != 1)
			return -EPROTO;
		buffer_consume(&tls->queue, sealed);
		tls->records++;
	}
	return 0;
}

static int
stream_flush(struct stream *stream)
{
	struct tls *tls = tls_of(stream);
	int code = tls_wire_flush(&tls->wire);

	ERR_clear_error();
	while (code == 0 && buffer_length(&tls->queue) > 0) {
		if (tls->failure < 0)
			return tls->failure;
		code = seal(tls);
		if (code < 0)
			tls->wire.broken = code;
		else
			code = tls_wire_flush(&tls->wire);
	}
	return code;
}

static size_t
stream_queued(const struct stream *stream)
{
	const struct tls *tls = tls_of_const(stream);

	return buffer_length(&tls->queue) + buffer_length(&tls->wire.out);
}

/* ---- the rest ---- */

static uint32_t
stream_wants(const struct stream *stream)
{
	return EPOLLIN | (stream_queued(stream) > 0 ? EPOLLOUT : 0);
}

static int
stream_fd(const struct stream *stream)
{
	return tls_of_const(stream)->wire.fd;
}

/* No goodbye after a torn message: the peer shall not take the end of it for orderly. */
static void
stream_close(struct stream *stream)
{
	struct tls *tls = tls_of(stream);

	if (tls->failure >= 0 && tls->wire.broken == 0 && stream_flush(stream) == 0) {
		SSL_shutdown(tls->ssl);
		tls_wire_flush(&tls->wire);
	}
	ERR_clear_error();
	tls_free(tls);
}

const struct stream_class tls_stream_class = {
    .read = stream_read,
    .reserve = stream_reserve,
    .commit = stream_commit,
    .flush = stream_flush,
    .queued = stream_queued,
    .buffered = stream_buffered,
    .wants = stream_wants,
    .fd = stream_fd,
    .close = stream_close,
};
