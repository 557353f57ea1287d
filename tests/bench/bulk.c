/* SPDX-License-Identifier: Apache-2.0
 *
 * TLS in bulk (bulk.h).
 */
#include "tests/bench/bulk.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_AHEAD (256u << 10)

void
bulk_die(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	ERR_print_errors_fp(stderr);
	exit(2);
}

SSL_CTX *
bulk_context(bool server, const char *certificate, const char *key, const char *ca)
{
	SSL_CTX *context = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());

	if (context == NULL || SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) != 1 ||
	    SSL_CTX_set_ciphersuites(context, "TLS_AES_256_GCM_SHA384") != 1)
		bulk_die("no TLS 1.3");
	if (SSL_CTX_use_certificate_chain_file(context, certificate) != 1 ||
	    SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1)
		bulk_die("%s, %s: no certificate and key", certificate, key);
	if (ca != NULL) {
		if (SSL_CTX_load_verify_locations(context, ca, NULL) != 1)
			bulk_die("%s: no CA", ca);
		SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	}
	SSL_CTX_set_num_tickets(context, 0);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_read_ahead(context, 1);
	SSL_CTX_set_default_read_buffer_len(context, READ_AHEAD);
	return context;
}

/* ---- between OpenSSL and the socket ---- */

static int
wire_create(BIO *bio)
{
	BIO_set_init(bio, 1);
	return 1;
}

static void
to_wire(struct bulk *bulk, const void *bytes, size_t length)
{
	size_t waiting = bulk->wire_end - bulk->wire_start;

	if (bulk->wire_room - bulk->wire_end < length && bulk->wire_start >= waiting + length) {
		memmove(bulk->wire, bulk->wire + bulk->wire_start, waiting);
		bulk->wire_start = 0;
		bulk->wire_end = waiting;
	} else if (bulk->wire_room - bulk->wire_end < length) {
		bulk->wire_room = 2 * (bulk->wire_room + length);
		bulk->wire = realloc(bulk->wire, bulk->wire_room);
		if (bulk->wire == NULL)
			bulk_die("out of memory");
	}
	memcpy(bulk->wire + bulk->wire_end, bytes, length);
	bulk->wire_end += length;
}

static int
wire_write(BIO *bio, const char *bytes, size_t length, size_t *written)
{
	BIO_clear_retry_flags(bio);
	to_wire(BIO_get_data(bio), bytes, length);
	*written = length;
	return 1;
}

static int
wire_read(BIO *bio, char *bytes, size_t room, size_t *got)
{
	struct bulk *bulk = BIO_get_data(bio);
	ssize_t length;

	BIO_clear_retry_flags(bio);
	if (bulk->drained) {
		BIO_set_retry_read(bio);
		return 0;
	}
	do {
		length = recv(bulk->fd, bytes, room, bulk->blocking ? 0 : MSG_DONTWAIT);
		bulk->calls++;
	} while (length < 0 && errno == EINTR);
	bulk->drained = length < (ssize_t)room;
	bulk->blocking = false;
	if (length > 0) {
		*got = (size_t)length;
		return 1;
	}
	if (length < 0 && errno == EAGAIN)
		BIO_set_retry_read(bio);
	else
		bulk->ended = true;
	return 0;
}

static long
wire_control(BIO *bio, int command, long number, void *pointer)
{
	(void)bio, (void)number, (void)pointer;
	return command == BIO_CTRL_FLUSH;
}

static BIO *
wire_bio(struct bulk *bulk)
{
	static BIO_METHOD *_Atomic shared; /* two threads that come first may both make one: either will do */
	BIO_METHOD *method = shared;
	BIO *bio;

	if (method == NULL) {
		method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "bulk wire");
		BIO_meth_set_create(method, wire_create);
		BIO_meth_set_write_ex(method, wire_write);
		BIO_meth_set_read_ex(method, wire_read);
		BIO_meth_set_ctrl(method, wire_control);
		shared = method;
	}
	bio = BIO_new(method);
	BIO_set_data(bio, bulk);
	return bio;
}

/* ---- a connection ---- */

/* What the socket takes of the ciphertext. */
static int
push(struct bulk *bulk)
{
	while (bulk->wire_start < bulk->wire_end) {
		ssize_t sent = send(bulk->fd, bulk->wire + bulk->wire_start, bulk->wire_end - bulk->wire_start,
		    MSG_NOSIGNAL | MSG_DONTWAIT);

		bulk->calls++;
		if (sent > 0)
			bulk->wire_start += (size_t)sent;
		else if (sent < 0 && errno == EAGAIN)
			return -EAGAIN;
		else if (sent < 0 && errno != EINTR)
			break; /* whoever reads finds the end of it */
	}
	bulk->wire_start = bulk->wire_end = 0;
	return 0;
}

static void
send_all(struct bulk *bulk)
{
	struct pollfd writable = {.fd = bulk->fd, .events = POLLOUT};

	while (push(bulk) == -EAGAIN)
		poll(&writable, 1, -1);
}

static void
shake_hands(struct bulk *bulk)
{
	for (;;) {
		int done = SSL_do_handshake(bulk->ssl), code = SSL_get_error(bulk->ssl, done);

		send_all(bulk);
		if (done == 1)
			return;
		if (code != SSL_ERROR_WANT_READ || bulk->ended)
			bulk_die("no TLS handshake");
		bulk->drained = false;
		bulk->blocking = true;
	}
}

void
bulk_open(struct bulk *bulk, SSL_CTX *context, int fd, bool server, const char *alpn)
{
	unsigned char protocol[64];
	int one = 1;
	BIO *bio;

	*bulk = (struct bulk){.fd = fd, .drained = true, .plain = malloc(BULK_RECORD)};
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	if (context == NULL)
		return;
	bulk->ssl = SSL_new(context);
	bio = wire_bio(bulk);
	SSL_set_bio(bulk->ssl, bio, bio);
	if (alpn != NULL) {
		protocol[0] = (unsigned char)strlen(alpn);
		memcpy(protocol + 1, alpn, protocol[0]);
		SSL_set_alpn_protos(bulk->ssl, protocol, protocol[0] + 1U);
	}
	if (server)
		SSL_set_accept_state(bulk->ssl);
	else
		SSL_set_connect_state(bulk->ssl);
	shake_hands(bulk);
}

void
bulk_close(struct bulk *bulk)
{
	SSL_free(bulk->ssl);
	close(bulk->fd);
	free(bulk->plain);
	free(bulk->wire);
}

static void
on_message(int is_sent, int version, int type, const void *message, size_t length, SSL *ssl, void *argument)
{
	struct bulk *bulk = argument;

	(void)version, (void)ssl;
	if (type != SSL3_RT_HANDSHAKE || length == 0 || *(const uint8_t *)message != SSL3_MT_KEY_UPDATE)
		return;
	if (is_sent)
		bulk->rekeys_sent++;
	else
		bulk->rekeys_received++;
}

void
bulk_rekey(struct bulk *bulk, uint64_t records)
{
	if (bulk->ssl == NULL)
		bulk_die("a connection in clear has no keys to change");
	bulk->rekey_each = records;
	SSL_set_msg_callback(bulk->ssl, on_message);
	SSL_set_msg_callback_arg(bulk->ssl, bulk);
}

static ssize_t
read_cleartext(struct bulk *bulk, void *bytes, size_t room)
{
	ssize_t got;

	if (bulk->drained)
		return -EAGAIN;
	got = recv(bulk->fd, bytes, room, bulk->blocking ? 0 : MSG_DONTWAIT);
	bulk->calls++;
	bulk->drained = got < (ssize_t)room;
	bulk->blocking = false;
	return got < 0 ? -errno : got;
}

ssize_t
bulk_read(struct bulk *bulk, void *bytes, size_t room)
{
	size_t total = 0, got;

	if (bulk->ssl == NULL)
		return read_cleartext(bulk, bytes, room);
	while (total < room && SSL_read_ex(bulk->ssl, (uint8_t *)bytes + total, room - total, &got) == 1)
		total += got;
	if (total > 0)
		return (ssize_t)total;
	return bulk->ended || SSL_get_error(bulk->ssl, 0) != SSL_ERROR_WANT_READ ? 0 : -EAGAIN;
}

/* The message leaves with the next record, so that there are never many in a row. */
static void
renew_keys(struct bulk *bulk)
{
	if (bulk->records++ < bulk->rekey_each)
		return;
	bulk->records = 1;
	if (SSL_key_update(bulk->ssl, SSL_KEY_UPDATE_REQUESTED) != 1)
		bulk_die("cannot change the keys");
}

static void
seal(struct bulk *bulk, const uint8_t *bytes, size_t length)
{
	size_t sealed;

	if (length > 0 && bulk->rekey_each > 0)
		renew_keys(bulk);
	if (length > 0 && SSL_write_ex(bulk->ssl, bytes, length, &sealed) != 1)
		bulk_die("cannot seal a record");
	if (bulk->wire_end - bulk->wire_start >= BULK_SEND)
		push(bulk);
}

void
bulk_put(struct bulk *bulk, const void *bytes, size_t length)
{
	const uint8_t *from = bytes;

	if (bulk->ssl == NULL) {
		to_wire(bulk, bytes, length);
		return;
	}
	while (length > 0) {
		size_t part = BULK_RECORD - bulk->plain_length;

		if (bulk->plain_length == 0 && length >= BULK_RECORD) { /* without a copy */
			seal(bulk, from, BULK_RECORD);
			from += BULK_RECORD;
			length -= BULK_RECORD;
			continue;
		}
		part = part < length ? part : length;
		memcpy(bulk->plain + bulk->plain_length, from, part);
		bulk->plain_length += part;
		from += part;
		length -= part;
		if (bulk->plain_length == BULK_RECORD) {
			seal(bulk, bulk->plain, BULK_RECORD);
			bulk->plain_length = 0;
		}
	}
}

int
bulk_flush(struct bulk *bulk)
{
	seal(bulk, bulk->plain, bulk->plain_length);
	bulk->plain_length = 0;
	return push(bulk);
}

void
bulk_serve(int listener, void *(*serve)(void *fd))
{
	int fd;

	while ((fd = accept(listener, NULL, NULL)) >= 0) {
		pthread_t thread;

		if (pthread_create(&thread, NULL, serve, (void *)(intptr_t)fd) != 0)
			bulk_die("no thread");
		pthread_detach(thread);
	}
}
