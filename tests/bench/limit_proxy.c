/* SPDX-License-Identifier: Apache-2.0
 *
 * limit_proxy CERTIFICATE KEY CA PORT PATH: the attach host's half of the limit: each connection to the unix socket PATH gets a TLS connection to the limit
 * server on 127.0.0.1:PORT and a thread that carries the bytes between the two, as many at a time as there are. It understands none of them and nobody should
 * run it. Prints "listening PATH", serves until it is killed.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "tests/bench/bulk.h"

/* Carried in one go: enough for many small requests, and little enough to stay in the cache between one side and the other. */
#define PIECE (128u << 10)

static struct {
	SSL_CTX *context;
	struct sockaddr_in exporter;
} proxy;

static bool
waits(const struct bulk *bulk)
{
	return bulk->wire_start < bulk->wire_end;
}

/* Carries what is there, unless `to` does not keep up. False at the end of the stream. */
static bool
carry(struct bulk *from, struct bulk *to, uint8_t *piece)
{
	ssize_t got;

	if (waits(to) && bulk_flush(to) == -EAGAIN)
		return true;
	from->drained = false;
	while ((got = bulk_read(from, piece, PIECE)) > 0) {
		bulk_put(to, piece, (size_t)got);
		if (bulk_flush(to) == -EAGAIN)
			return true;
	}
	return got == -EAGAIN;
}

/* Until one of the two has something to say, or room for what waits for it. */
static void
wait_for_either(const struct bulk *guest, const struct bulk *exporter)
{
	struct pollfd both[2] = {
	    {.fd = guest->fd, .events = waits(guest) ? POLLOUT : 0},
	    {.fd = exporter->fd, .events = waits(exporter) ? POLLOUT : 0},
	};

	both[0].events |= waits(exporter) ? 0 : POLLIN;
	both[1].events |= waits(guest) ? 0 : POLLIN;
	poll(both, 2, -1);
}

static void *
serve(void *argument)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	struct bulk guest, exporter;
	uint8_t *piece = malloc(PIECE);

	if (piece == NULL || fd < 0 ||
	    connect(fd, (const struct sockaddr *)&proxy.exporter, sizeof proxy.exporter) != 0)
		bulk_die("cannot reach the limit server: %s", strerror(errno));
	bulk_open(&guest, NULL, (int)(intptr_t)argument, true, NULL);
	bulk_open(&exporter, proxy.context, fd, false, NULL);
	while (carry(&guest, &exporter, piece) && carry(&exporter, &guest, piece))
		wait_for_either(&guest, &exporter);
	bulk_close(&guest);
	bulk_close(&exporter);
	free(piece);
	return NULL;
}

int
main(int argc, char **argv)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int listener = socket(AF_UNIX, SOCK_STREAM, 0);

	if (argc != 6)
		bulk_die("limit_proxy CERTIFICATE KEY CA PORT PATH");
	proxy.context = bulk_context(false, argv[1], argv[2], argv[3]);
	proxy.exporter = (struct sockaddr_in){.sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	    .sin_port = htons((uint16_t)strtoul(argv[4], NULL, 10))};
	snprintf(address.sun_path, sizeof address.sun_path, "%s", argv[5]);
	if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 1024) != 0)
		bulk_die("%s: %s", argv[5], strerror(errno));
	printf("listening %s\n", argv[5]);
	fflush(stdout);
	bulk_serve(listener, serve);
	return 0;
}
