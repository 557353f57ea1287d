/* SPDX-License-Identifier: Apache-2.0
 *
 * struct stream (wire/stream.h) over an established TLS connection. Plaintext waits in one queue and is sealed as soon as it fills a record; a flush seals
 * the rest and sends up to a quarter megabyte with one system call. Reading takes as many records as the caller has room for.
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
	tls->wire.is_drained = false;
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

static int
renew_key(struct tls *tls)
{
	if (tls->records < tls->rekey_each)
		return 0;
	tls->records = 0;
	return SSL_key_update(tls->ssl, SSL_KEY_UPDATE_NOT_REQUESTED) == 1 ? 0 : -EPROTO;
}

static int
seal_record(struct tls *tls)
{
	size_t length = buffer_length(&tls->queue), sealed = 0;

	if (length > TLS_RECORD_MOST)
		length = TLS_RECORD_MOST;
	if (renew_key(tls) < 0 || SSL_write_ex(tls->ssl, buffer_front(&tls->queue), length, &sealed) != 1)
		return -EPROTO;
	buffer_consume(&tls->queue, sealed);
	tls->records++;
	return 0;
}

/* As long as `least` bytes wait, and the ciphertext has room. 0 or why not. */
static int
seal(struct tls *tls, size_t least)
{
	if (tls->failure < 0 && buffer_length(&tls->queue) > 0)
		return tls->failure;
	while (tls->wire.broken == 0 && buffer_length(&tls->queue) >= least &&
	       buffer_length(&tls->wire.out) < TLS_WIRE_MOST) {
		tls->wire.broken = seal_record(tls);
		if (buffer_length(&tls->wire.out) >= TLS_WIRE_SEND)
			tls_wire_flush(&tls->wire);
	}
	return tls->wire.broken;
}

/* A full record is sealed at once, while its bytes are in the processor's cache. What fails is told by the flush. */
static void
stream_commit(struct stream *stream, size_t length)
{
	struct tls *tls = tls_of(stream);

	buffer_commit(&tls->queue, length);
	if (buffer_length(&tls->queue) < TLS_RECORD_MOST)
		return;
	ERR_clear_error();
	seal(tls, TLS_RECORD_MOST);
}

static int
stream_flush(struct stream *stream)
{
	struct tls *tls = tls_of(stream);
	int code;

	ERR_clear_error();
	do { /* what waits is sealed before anything is sent: all of it leaves in one call */
		code = seal(tls, 1);
		if (code == 0)
			code = tls_wire_flush(&tls->wire);
	} while (code == 0 && buffer_length(&tls->queue) > 0);
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
