/* SPDX-License-Identifier: Apache-2.0
 *
 * relay PORT: carries the bytes of each connection to it to 127.0.0.1:PORT and back. Prints "listening PORT". Stopped with SIGSTOP it is a network that
 * swallows everything and ends no connection; used by tests/system/silence.test.
 */
#include <arpa/inet.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define PAIRS_MOST 16

/* Descriptors 2n and 2n + 1 are the two sides of a connection; the listener is the last. */
static struct pollfd fds[2 * PAIRS_MOST + 1];

static void
give_up(const char *what)
{
	perror(what);
	exit(1);
}

static struct sockaddr_in
loopback(uint16_t port)
{
	return (struct sockaddr_in){
	    .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static int
listen_somewhere(void)
{
	struct sockaddr_in here = loopback(0);
	socklen_t length = sizeof here;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&here, length) < 0 || listen(fd, PAIRS_MOST) < 0 ||
	    getsockname(fd, (struct sockaddr *)&here, &length) < 0)
		give_up("relay: cannot listen");
	printf("listening %u\n", ntohs(here.sin_port));
	fflush(stdout);
	return fd;
}

static void
take_one(int listener, uint16_t port)
{
	struct sockaddr_in there = loopback(port);
	int near = accept(listener, NULL, NULL), far = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	for (unsigned i = 0; i < PAIRS_MOST; i++)
		if (fds[2 * i].fd < 0 && near >= 0 && connect(far, (struct sockaddr *)&there, sizeof there) == 0) {
			fds[2 * i] = (struct pollfd){.fd = near, .events = POLLIN};
			fds[2 * i + 1] = (struct pollfd){.fd = far, .events = POLLIN};
			return;
		}
	give_up("relay: cannot connect");
}

static bool
carry(int from, int to)
{
	static char bytes[65536];
	ssize_t got = recv(from, bytes, sizeof bytes, 0), done = 0;

	while (done < got) {
		ssize_t sent = send(to, bytes + done, (size_t)(got - done), MSG_NOSIGNAL);

		if (sent < 0)
			return false;
		done += sent;
	}
	return got > 0;
}

static void
end_pair(unsigned i)
{
	close(fds[2 * i].fd);
	close(fds[2 * i + 1].fd);
	fds[2 * i].fd = fds[2 * i + 1].fd = -1;
}

int
main(int argc, char **argv)
{
	struct pollfd *listener = &fds[2 * PAIRS_MOST];
	uint16_t port = argc == 2 ? (uint16_t)strtoul(argv[1], NULL, 10) : 0;

	for (unsigned i = 0; i < 2 * PAIRS_MOST; i++)
		fds[i].fd = -1;
	*listener = (struct pollfd){.fd = listen_somewhere(), .events = POLLIN};
	while (poll(fds, 2 * PAIRS_MOST + 1, -1) > 0) {
		for (unsigned i = 0; i < 2 * PAIRS_MOST; i++)
			if (fds[i].fd >= 0 && fds[i].revents && !carry(fds[i].fd, fds[i ^ 1].fd))
				end_pair(i / 2);
		if (listener->revents)
			take_one(listener->fd, port);
	}
	give_up("relay: poll");
}
