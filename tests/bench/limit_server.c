/* SPDX-License-Identifier: Apache-2.0
 *
 * limit_server CERTIFICATE KEY CA BYTES: what the machine can do, as a yardstick. NBD over mutual TLS from the first byte, one thread for each
 * connection, a disk in RAM; all replies of a turn leave in full records with one send(2). It checks nothing about a request and nobody should run it.
 * Prints "listening PORT", serves until it is killed.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "base/bytes.h"
#include "tests/bench/bulk.h"
#include "wire/limits.h"
#include "wire/nbd.h"

/* At least one whole request of the largest kind that the bench sends. */
#define INPUT_ROOM         ((size_t)2 << 20)
#define REQUESTS_PER_FLUSH 16

static struct {
	SSL_CTX *context;
	uint8_t *disk;
	size_t size;
} server;

struct client {
	struct bulk bulk;
	uint8_t *input;
	size_t start, end;
};

/* Nothing to do before input comes, except that what the socket did not take yet leaves. */
static void
wait_for_input(struct client *client)
{
	struct pollfd either = {.fd = client->bulk.fd, .events = POLLIN | POLLOUT};

	while (bulk_flush(&client->bulk) == -EAGAIN) {
		poll(&either, 1, -1);
		if (either.revents & ~POLLOUT)
			break;
	}
	client->bulk.drained = false;
	client->bulk.blocking = true;
}

/* Until `length` bytes of input are here. */
static uint8_t *
need(struct client *client, size_t length)
{
	while (client->end - client->start < length) {
		ssize_t got = bulk_read(&client->bulk, client->input + client->end, INPUT_ROOM - client->end);

		if (got == 0)
			return NULL;
		if (got > 0) {
			client->end += (size_t)got;
			continue;
		}
		wait_for_input(client);
	}
	client->start += length;
	return client->input + client->start - length;
}

static void
compact(struct client *client)
{
	memmove(client->input, client->input + client->start, client->end - client->start);
	client->end -= client->start;
	client->start = 0;
}

/* Just enough for one GO: everything else is unsupported. */
static bool
negotiate(struct client *client)
{
	uint8_t greeting[NBD_GREETING_LEN], reply[NBD_OPTION_REPLY_LEN + 12];
	uint8_t *in;

	put_be64(greeting, NBD_MAGIC);
	put_be64(greeting + 8, NBD_OPTION_MAGIC);
	put_be16(greeting + 16, NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES);
	bulk_put(&client->bulk, greeting, sizeof greeting);
	if (need(client, NBD_CLIENT_FLAGS_LEN) == NULL)
		return false;
	while ((in = need(client, NBD_OPTION_HEADER_LEN)) != NULL) {
		uint32_t option = get_be32(in + 8), length = get_be32(in + 12);

		if (length > LIMIT_NBD_OPTION || (length > 0 && need(client, length) == NULL))
			return false;
		put_be64(reply, NBD_REPLY_MAGIC);
		put_be32(reply + 8, option);
		put_be32(reply + 12, NBD_REP_ERR_UNSUP);
		put_be32(reply + 16, 0);
		if (option == NBD_OPT_GO) {
			put_be32(reply + 12, NBD_REP_INFO);
			put_be32(reply + 16, 12);
			put_be16(reply + 20, NBD_INFO_EXPORT);
			put_be64(reply + 22, server.size);
			put_be16(reply + 30,
			    NBD_FLAG_HAS_FLAGS | NBD_FLAG_SEND_FLUSH | NBD_FLAG_SEND_FUA | NBD_FLAG_CAN_MULTI_CONN);
			bulk_put(&client->bulk, reply, sizeof reply);
			put_be32(reply + 12, NBD_REP_ACK);
			put_be32(reply + 16, 0);
		}
		bulk_put(&client->bulk, reply, NBD_OPTION_REPLY_LEN);
		if (option == NBD_OPT_GO)
			return true;
		compact(client);
	}
	return false;
}

static void
transmit(struct client *client)
{
	uint8_t *in, reply[NBD_SIMPLE_REPLY_LEN];

	for (unsigned i = 1; (in = need(client, NBD_REQUEST_LEN)) != NULL; i++) {
		uint16_t command = get_be16(in + 6);
		uint64_t cookie = get_be64(in + 8), offset = get_be64(in + 16);
		uint32_t length = get_be32(in + 24);

		if (command == NBD_CMD_DISC)
			return;
		if (offset > server.size || length > server.size - offset) /* it shall not crash */
			return;
		nbd_simple_reply_encode(reply, NBD_OK, cookie);
		if (command == NBD_CMD_WRITE) {
			if (INPUT_ROOM - client->start < length)
				compact(client);
			in = need(client, length);
			if (in == NULL)
				return;
			memcpy(server.disk + offset, in, length);
		}
		bulk_put(&client->bulk, reply, sizeof reply);
		if (command == NBD_CMD_READ)
			bulk_put(&client->bulk, server.disk + offset, length);
		if (i % REQUESTS_PER_FLUSH == 0) /* so that the other end works while we do */
			bulk_flush(&client->bulk);
		if (client->start == client->end)
			client->start = client->end = 0;
		else if (INPUT_ROOM - client->start < NBD_REQUEST_LEN)
			compact(client);
	}
}

static void *
serve(void *argument)
{
	struct client client = {.input = malloc(INPUT_ROOM)};

	bulk_open(&client.bulk, server.context, (int)(intptr_t)argument, true, NULL);
	if (negotiate(&client))
		transmit(&client);
	bulk_close(&client.bulk);
	free(client.input);
	return NULL;
}

int
main(int argc, char **argv)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof address;
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	if (argc != 5)
		bulk_die("limit_server CERTIFICATE KEY CA BYTES");
	server.context = bulk_context(true, argv[1], argv[2], argv[3]);
	server.size = strtoull(argv[4], NULL, 10);
	server.disk =
	    mmap(NULL, server.size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (server.disk == MAP_FAILED || bind(listener, (struct sockaddr *)&address, length) != 0 ||
	    listen(listener, 1024) != 0 || getsockname(listener, (struct sockaddr *)&address, &length) != 0)
		bulk_die("cannot listen: %s", strerror(errno));
	printf("listening %u\n", ntohs(address.sin_port));
	fflush(stdout);
	bulk_serve(listener, serve);
	return 0;
}
