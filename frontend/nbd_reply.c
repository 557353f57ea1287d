/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers on their way to an NBD client: laid out once, queued, and sent together with one gathering write (frontend/nbd_client.h).
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/log.h"
#include "frontend/nbd_client.h"

/* An answer has at most two: its header and its payload. */
#define VECTORS_MAX 128

static bool
is_structured(const struct nbd_request *request)
{
	return request->client->structured &&
	       (request->header.command == NBD_CMD_READ || request->header.command == NBD_CMD_BLOCK_STATUS);
}

static void
lay_out(struct nbd_request *request)
{
	const struct nbd_request_header *header = &request->header;
	uint32_t error = nbd_error_of(request->status);

	request->payload_length = header->command == NBD_CMD_READ && error == NBD_OK ? header->length : 0;
	if (!is_structured(request)) {
		nbd_simple_reply_encode(request->reply, error, header->cookie);
		request->reply_length = NBD_SIMPLE_REPLY_LEN;
	} else if (error != NBD_OK) {
		request->reply_length = nbd_error_chunk_encode(request->reply, header->cookie, error);
	} else if (header->command == NBD_CMD_READ) {
		request->reply_length =
		    nbd_data_chunk_encode(request->reply, header->cookie, header->offset, header->length);
	} else {
		request->reply_length = nbd_status_chunk_encode(request->reply, header->cookie, header->length);
	}
}

void
nbd_reply(struct nbd_request *request)
{
	struct nbd_client *client = request->client;

	if (client->phase == NBD_DEAD) {
		nbd_request_free(request);
		return;
	}
	lay_out(request);
	request->next = NULL;
	*client->replies_end = request;
	client->replies_end = &request->next;
	nbd_client_settle(client);
}

bool
nbd_has_output(const struct nbd_client *client)
{
	return client->replies || buffer_length(&client->handshake) > 0;
}

static unsigned
add_vector(struct iovec *vectors, unsigned count, uint8_t *bytes, size_t length, size_t *sent)
{
	size_t skip = *sent < length ? *sent : length;

	*sent -= skip;
	if (skip == length)
		return count;
	vectors[count] = (struct iovec){bytes + skip, length - skip};
	return count + 1;
}

static unsigned
gather(struct nbd_client *client, struct iovec *vectors)
{
	unsigned count = 0;
	size_t none = 0;

	if (buffer_length(&client->handshake))
		count = add_vector(
		    vectors, count, buffer_front(&client->handshake), buffer_length(&client->handshake), &none);
	for (struct nbd_request *reply = client->replies; reply && count + 2 <= VECTORS_MAX; reply = reply->next) {
		size_t sent = reply->sent;

		count = add_vector(vectors, count, reply->reply, reply->reply_length, &sent);
		count = add_vector(vectors, count, reply->payload, reply->payload_length, &sent);
	}
	return count;
}

static size_t
least(size_t a, size_t b)
{
	return a < b ? a : b;
}

static void
take_away(struct nbd_client *client, size_t sent)
{
	size_t part = least(sent, buffer_length(&client->handshake));

	buffer_consume(&client->handshake, part);
	sent -= part;
	while (client->replies && sent > 0) {
		struct nbd_request *first = client->replies;

		part = least(sent, first->reply_length + first->payload_length - first->sent);
		first->sent += part;
		sent -= part;
		if (first->sent < first->reply_length + first->payload_length)
			return;
		client->replies = first->next;
		if (client->replies == NULL)
			client->replies_end = &client->replies;
		nbd_request_free(first);
	}
}

void
nbd_send(struct nbd_client *client)
{
	struct iovec vectors[VECTORS_MAX];

	while (!client->is_blocked && nbd_has_output(client)) {
		struct msghdr message = {.msg_iov = vectors, .msg_iovlen = gather(client, vectors)};
		ssize_t sent = sendmsg(client->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (sent >= 0) {
			take_away(client, (size_t)sent);
		} else if (errno == EAGAIN) {
			client->is_blocked = true;
		} else if (errno != EINTR) {
			nbd_client_break(client, strerror(errno));
			return;
		}
	}
}
