/* SPDX-License-Identifier: Apache-2.0
 *
 * Between OpenSSL and the socket: records are gathered in memory and leave in one system call each quarter megabyte; what arrives is
 * read as OpenSSL asks for it, which after the handshake is as much as there is. Bytes are ciphertext, and the peer's are hostile.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/auto.h"
#include "crypto/tls_internal.h"

/* What already arrived when we close is thrown away first, up to this: closing over unread bytes makes the kernel reset the connection, and then
 * a lost packet with our last words is not sent again. */
#define DRAIN_MOST (64u << 10)

static struct tls_wire *
wire_of(BIO *bio)
{
	return BIO_get_data(bio);
}

static int
wire_create(BIO *bio)
{
	BIO_set_init(bio, 1);
	return 1;
}

static int
wire_write(BIO *bio, const char *bytes, size_t length, size_t *written)
{
	struct tls_wire *wire = wire_of(bio);

	BIO_clear_retry_flags(bio);
	if (buffer_append(&wire->out, bytes, length) < 0) {
		BIO_set_retry_write(bio);
		return 0;
	}
	*written = length;
	return 1;
}

static void
keep_first_bytes(struct tls_wire *wire, const char *bytes, size_t length)
{
	size_t more = sizeof wire->first - wire->first_length;

	if (more > length)
		more = length;
	memcpy(wire->first + wire->first_length, bytes, more);
	wire->first_length += more;
}

static int
wire_read(BIO *bio, char *bytes, size_t room, size_t *got)
{
	struct tls_wire *wire = wire_of(bio);
	ssize_t length;

	BIO_clear_retry_flags(bio);
	if (wire->is_drained) {
		BIO_set_retry_read(bio);
		return 0;
	}
	do
		length = recv(wire->fd, bytes, room, 0);
	while (length < 0 && errno == EINTR);
	if (length > 0) {
		wire->is_drained = (size_t)length < room;
		keep_first_bytes(wire, bytes, (size_t)length);
		*got = (size_t)length;
		return 1;
	}
	if (length == 0)
		wire->ended = true;
	else if (errno == EAGAIN)
		BIO_set_retry_read(bio);
	else
		wire->broken = -errno;
	return 0;
}

static long
wire_control(BIO *bio, int command, long number, void *pointer)
{
	(void)number, (void)pointer;
	switch (command) {
	case BIO_CTRL_FLUSH: /* whoever drives the connection flushes, once for all records */
		return 1;
	case BIO_CTRL_EOF:
		return wire_of(bio)->ended;
	default:
		return 0;
	}
}

BIO_METHOD *
tls_wire_method(void)
{
	BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "netbus wire");

	if (method == NULL)
		return NULL;
	BIO_meth_set_create(method, wire_create);
	BIO_meth_set_write_ex(method, wire_write);
	BIO_meth_set_read_ex(method, wire_read);
	BIO_meth_set_ctrl(method, wire_control);
	return method;
}

BIO *
tls_wire_bio(const BIO_METHOD *method, struct tls_wire *wire)
{
	BIO *bio = BIO_new_ex(tls_library(), method);

	if (bio)
		BIO_set_data(bio, wire);
	return bio;
}

int
tls_wire_flush(struct tls_wire *wire)
{
	while (wire->broken == 0 && buffer_length(&wire->out) > 0) {
		ssize_t sent = send(wire->fd, buffer_front(&wire->out), buffer_length(&wire->out), MSG_NOSIGNAL);

		if (sent >= 0)
			buffer_consume(&wire->out, (size_t)sent);
		else if (errno == EAGAIN)
			return -EAGAIN;
		else if (errno != EINTR)
			wire->broken = -errno;
	}
	return wire->broken;
}

void
tls_wire_close(struct tls_wire *wire)
{
	char rest[4096];
	size_t drained = 0;
	ssize_t length;

	if (wire->fd < 0)
		return;
	shutdown(wire->fd, SHUT_WR);
	while (drained < DRAIN_MOST && (length = recv(wire->fd, rest, sizeof rest, 0)) > 0)
		drained += (size_t)length;
	close(take_fd(&wire->fd));
	buffer_clear(&wire->out);
}
