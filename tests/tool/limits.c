/* SPDX-License-Identifier: Apache-2.0
 *
 * limits NBD-SOCKET ADMIN-SOCKET ADDRESS PORT: breaks the limits that only a running process holds (wire/limits.h), one case of a table after the
 * other, from outside and raw. Prints "ok - CASE" or "not ok - CASE" with what was seen; used by tests/system/limits.test. Waits are for answers.
 */
#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/auto.h"
#include "wire/admin.h"
#include "wire/limits.h"
#include "wire/nbd.h"

#define ANSWER_MS 20000

static struct {
	const char *nbd, *admin, *address, *port;
} target;

/* What is wrong, or NULL. */
#define WANT(condition)                    \
	do {                               \
		if (!(condition))          \
			return #condition; \
	} while (0)

static void
give_up(const char *what)
{
	fprintf(stderr, "limits: %s\n", what);
	exit(2);
}

static int
dial_path(const char *path, int type)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, type, 0);

	snprintf(to.sun_path, sizeof to.sun_path, "%s", path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) != 0)
		give_up("cannot connect to a path");
	return fd;
}

static int
dial_host(void)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)strtoul(target.port, NULL, 10))};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0 || inet_pton(AF_INET, target.address, &to.sin_addr) != 1 ||
	    connect(fd, (struct sockaddr *)&to, sizeof to) != 0)
		give_up("cannot connect to the host");
	return fd;
}

static void
close_all(const int *fds, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		close(fds[i]);
}

static uint64_t
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* True when the other end closed, false when bytes came or nothing did for `ms`. */
static bool
is_closed(int fd, int ms)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
	uint8_t byte;

	return poll(&poll_fd, 1, ms) == 1 && recv(fd, &byte, 1, MSG_PEEK) <= 0;
}

/* All of it within the patience, or the end of the connection: false. */
static bool
get(int fd, void *bytes, size_t length)
{
	struct timeval patience = {.tv_sec = ANSWER_MS / 1000};

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	return recv(fd, bytes, length, MSG_WAITALL) == (ssize_t)length;
}

static bool
put(int fd, const void *bytes, size_t length)
{
	while (length > 0) {
		ssize_t sent = send(fd, bytes, length, MSG_NOSIGNAL);

		if (sent <= 0)
			return false;
		bytes = (const uint8_t *)bytes + sent;
		length -= (size_t)sent;
	}
	return true;
}

/* ---- NBD ---- */

/* A client that was greeted and said its flags. Those of the case before may still be about to be taken off the count. */
static int
nbd_open(void)
{
	for (unsigned tries = 0; tries < 1000; tries++) {
		int fd = dial_path(target.nbd, SOCK_STREAM);
		uint8_t greeting[NBD_GREETING_LEN];

		if (get(fd, greeting, sizeof greeting) && put(fd, "\0\0\0\3", NBD_CLIENT_FLAGS_LEN))
			return fd;
		close(fd);
	}
	give_up("no NBD client is greeted");
	return -1;
}

static bool
put_option(int fd, uint32_t option, uint32_t length)
{
	uint8_t header[NBD_OPTION_HEADER_LEN];

	put_be64(header, NBD_OPTION_MAGIC);
	put_be32(header + 8, option);
	put_be32(header + 12, length);
	return put(fd, header, sizeof header);
}

/* The next answer to an option: its type, or 0 at the end. What it says to people is thrown away. */
static uint32_t
get_option_reply(int fd)
{
	uint8_t reply[NBD_OPTION_REPLY_LEN], text[1024];
	uint32_t length;

	if (!get(fd, reply, sizeof reply))
		return 0;
	length = get_be32(reply + 16);
	return length <= sizeof text && (length == 0 || get(fd, text, length)) ? get_be32(reply + 12) : 0;
}

/* An option of that length with its payload, of zeroes. */
static uint32_t
ask_option(int fd, uint32_t length)
{
	static const uint8_t zeroes[LIMIT_NBD_OPTION + 1];

	return put_option(fd, NBD_OPT_INFO, length) && put(fd, zeroes, length) ? get_option_reply(fd) : 0;
}

/* One that is in the transmission phase. */
static int
nbd_serve(void)
{
	int fd = nbd_open();
	uint8_t answer[10];

	if (!put_option(fd, NBD_OPT_EXPORT_NAME, 0) || !get(fd, answer, sizeof answer))
		give_up("the default export is not served");
	return fd;
}

static bool
put_request(int fd, uint16_t command, uint32_t length)
{
	uint8_t header[NBD_REQUEST_LEN] = {0};

	put_be32(header, NBD_REQUEST_MAGIC);
	put_be16(header + 6, command);
	put_be32(header + 24, length);
	return put(fd, header, sizeof header);
}

/* The error of the next simple reply, or UINT32_MAX at the end. */
static uint32_t
get_error(int fd)
{
	uint8_t reply[NBD_SIMPLE_REPLY_LEN];

	return get(fd, reply, sizeof reply) ? get_be32(reply + 4) : UINT32_MAX;
}

static bool
can_read(int fd)
{
	uint8_t bytes[4096];

	return put_request(fd, NBD_CMD_READ, sizeof bytes) && get_error(fd) == NBD_OK && get(fd, bytes, sizeof bytes);
}

static const char *
nbd_client_too_many(void)
{
	int fds[LIMIT_NBD_CLIENTS], over;

	for (unsigned i = 0; i < LIMIT_NBD_CLIENTS; i++)
		fds[i] = nbd_serve();
	over = dial_path(target.nbd, SOCK_STREAM);
	WANT(is_closed(over, ANSWER_MS));
	for (unsigned i = 0; i < LIMIT_NBD_CLIENTS; i++)
		WANT(can_read(fds[i]));
	close(over);
	close_all(fds, LIMIT_NBD_CLIENTS);
	return NULL;
}

static const char *
nbd_request_too_long(void)
{
	int fd = nbd_serve(), neighbour = nbd_serve();
	AUTO_FREE uint8_t *payload = calloc(1, LIMIT_NBD_REQUEST);

	WANT(payload != NULL);
	WANT(put_request(fd, NBD_CMD_WRITE, LIMIT_NBD_REQUEST) && put(fd, payload, LIMIT_NBD_REQUEST));
	WANT(get_error(fd) == NBD_OK);
	WANT(put_request(fd, NBD_CMD_READ, LIMIT_NBD_REQUEST) && get_error(fd) == NBD_OK);
	WANT(get(fd, payload, LIMIT_NBD_REQUEST));
	WANT(put_request(fd, NBD_CMD_READ, LIMIT_NBD_REQUEST + 1) && get_error(fd) == NBD_EOVERFLOW);
	WANT(can_read(fd));
	WANT(put_request(fd, NBD_CMD_WRITE, LIMIT_NBD_REQUEST + 1) && is_closed(fd, ANSWER_MS));
	WANT(can_read(neighbour));
	close(fd);
	close(neighbour);
	return NULL;
}

static const char *
nbd_option_too_long(void)
{
	int fd = nbd_open(), neighbour = nbd_serve();

	WANT(ask_option(fd, LIMIT_NBD_OPTION) == NBD_REP_ERR_INVALID); /* taken: zeroes are no payload of INFO */
	WANT(ask_option(fd, LIMIT_NBD_OPTION + 1) == NBD_REP_ERR_TOO_BIG);
	WANT(put_option(fd, NBD_OPT_LIST, 0) && get_option_reply(fd) == NBD_REP_SERVER);
	close(fd);
	fd = nbd_open();
	WANT(put_option(fd, NBD_OPT_INFO, UINT32_MAX) && is_closed(fd, ANSWER_MS));
	WANT(can_read(neighbour));
	close(fd);
	close(neighbour);
	return NULL;
}

/* ---- the admin socket ---- */

static bool
admin_answers(int fd)
{
	struct timeval patience = {.tv_sec = ANSWER_MS / 1000};
	uint8_t packet[ADMIN_MESSAGE_MAX];
	int length = admin_encode(ADMIN_GET_STATUS, &(struct msg_get_status){0}, packet, sizeof packet);

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	return put(fd, packet, (size_t)length) && recv(fd, packet, sizeof packet, 0) > 2 &&
	       get_be16(packet) == ADMIN_ROW_STATUS;
}

static const char *
admin_client_too_many(void)
{
	int fds[LIMIT_ADMIN_CLIENTS], over;

	for (unsigned i = 0; i < LIMIT_ADMIN_CLIENTS; i++) {
		fds[i] = dial_path(target.admin, SOCK_SEQPACKET);
		WANT(admin_answers(fds[i]));
	}
	over = dial_path(target.admin, SOCK_SEQPACKET);
	WANT(is_closed(over, ANSWER_MS));
	for (unsigned i = 0; i < LIMIT_ADMIN_CLIENTS; i++)
		WANT(!is_closed(fds[i], 0));
	close(over);
	close_all(fds, LIMIT_ADMIN_CLIENTS);
	return NULL;
}

/* What a follower gets to hear first: the number of the row. */
static uint16_t
follow(int fd)
{
	struct timeval patience = {.tv_sec = ANSWER_MS / 1000};
	struct msg_get_events ask = {.since = 1, .follow = 1};
	uint8_t packet[ADMIN_MESSAGE_MAX];
	int length = admin_encode(ADMIN_GET_EVENTS, &ask, packet, sizeof packet);

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	return put(fd, packet, (size_t)length) && recv(fd, packet, sizeof packet, 0) > 2 ? get_be16(packet) : 0;
}

static const char *
admin_follower_too_many(void)
{
	int fds[LIMIT_ADMIN_FOLLOWERS], over;

	for (unsigned i = 0; i < LIMIT_ADMIN_FOLLOWERS; i++) {
		fds[i] = dial_path(target.admin, SOCK_SEQPACKET);
		WANT(follow(fds[i]) == ADMIN_ROW_EVENT);
	}
	over = dial_path(target.admin, SOCK_SEQPACKET);
	WANT(follow(over) == ADMIN_DONE);
	WANT(admin_answers(over)); /* it may go on with what is no following */
	close(over);
	for (unsigned i = 0; i < LIMIT_ADMIN_FOLLOWERS; i++)
		WANT(!is_closed(fds[i], 0));
	close_all(fds, LIMIT_ADMIN_FOLLOWERS);
	for (unsigned tries = 0; tries < 1000; tries++) { /* they may still be about to be taken off the count */
		int fd = dial_path(target.admin, SOCK_SEQPACKET);
		uint16_t heard = follow(fd);

		close(fd);
		if (heard == ADMIN_ROW_EVENT)
			return NULL;
	}
	return "the places of those who left are free";
}

/* The exit code with which a part of a policy is answered; -1: none. */
static int
send_part(int fd)
{
	struct timeval patience = {.tv_sec = ANSWER_MS / 1000};
	struct msg_candidate_part part = {.file = "10-a.yaml"};
	uint8_t packet[ADMIN_MESSAGE_MAX];
	union admin_body body;
	uint16_t number = 0;
	int length = admin_encode(ADMIN_CANDIDATE_PART, &part, packet, sizeof packet);
	ssize_t got;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	if (!put(fd, packet, (size_t)length) || (got = recv(fd, packet, sizeof packet, 0)) <= 0 ||
	    admin_decode(packet, (size_t)got, &number, &body) < 0 || number != ADMIN_DONE)
		return -1;
	return body.done.exit_code;
}

static const char *
candidate_too_many(void)
{
	int fds[LIMIT_CANDIDATES], over;

	for (unsigned i = 0; i < LIMIT_CANDIDATES; i++) {
		fds[i] = dial_path(target.admin, SOCK_SEQPACKET);
		WANT(send_part(fds[i]) == ADMIN_OK);
	}
	over = dial_path(target.admin, SOCK_SEQPACKET);
	WANT(send_part(over) == ADMIN_CONFLICT);
	WANT(send_part(fds[0]) == ADMIN_OK);
	close_all(fds, LIMIT_CANDIDATES);
	for (unsigned tries = 0; tries < 1000; tries++) /* they may still be about to be taken off the count */
		if (send_part(over) == ADMIN_OK)
			return NULL;
	return "the places of those who left are free";
}

/* ---- the gate, and the handshake behind it ---- */

/* The one that has waited longest makes room for the newest. */
static const char *
silent_connection_too_many(void)
{
	int fds[LIMIT_PENDING_SOURCE + 1];
	uint64_t begin = now_ms();
	unsigned closed = 0;

	for (unsigned i = 0; i < ARRAY_LENGTH(fds); i++)
		fds[i] = dial_host();
	WANT(is_closed(fds[0], ANSWER_MS));
	WANT(now_ms() - begin < LIMIT_SILENCE_MS); /* else it was its own silence that ended it */
	for (unsigned i = 1; i < ARRAY_LENGTH(fds); i++)
		closed += is_closed(fds[i], 0);
	WANT(closed == 0);
	WANT(is_closed(fds[LIMIT_PENDING_SOURCE], ANSWER_MS)); /* at last, of its own silence */
	WANT(now_ms() - begin >= LIMIT_SILENCE_MS);
	close_all(fds, ARRAY_LENGTH(fds));
	return NULL;
}

/* A byte of a ClientHello at each second: never silent, and never done. */
static const char *
half_a_client_hello_and_no_end(void)
{
	static const uint8_t hello[64] = {0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3};
	uint64_t begin = now_ms(), took;
	int fd = dial_host();

	for (size_t i = 0; i < sizeof hello && put(fd, hello + i, 1); i++)
		if (is_closed(fd, 1000))
			break;
	took = now_ms() - begin;
	WANT(took >= LIMIT_HANDSHAKE_MS - 1000);
	WANT(took < LIMIT_HANDSHAKE_MS + LIMIT_SILENCE_MS);
	close(fd);
	return NULL;
}

static const char *
nbd_handshake_and_no_end(void)
{
	uint64_t begin = now_ms(), took;
	int fd = nbd_open();

	WANT(put(fd, "IHAVE", 5) && is_closed(fd, ANSWER_MS));
	took = now_ms() - begin;
	WANT(took >= LIMIT_HANDSHAKE_MS - 1000);
	WANT(took < LIMIT_HANDSHAKE_MS + LIMIT_SILENCE_MS);
	close(fd);
	return NULL;
}

static const struct {
	const char *name;
	const char *(*act)(void);
} cases[] = {
    {"an_nbd_client_too_many_is_closed_and_the_others_go_on", nbd_client_too_many},
    {"an_nbd_request_too_long_ends_at_most_its_client", nbd_request_too_long},
    {"an_nbd_option_too_long_is_refused_and_one_far_too_long_ends_its_client", nbd_option_too_long},
    {"an_admin_client_too_many_is_sent_away", admin_client_too_many},
    {"a_follower_of_the_trail_too_many_is_refused", admin_follower_too_many},
    {"a_candidate_policy_too_many_is_refused", candidate_too_many},
    {"a_silent_connection_too_many_ends_the_oldest_of_its_source", silent_connection_too_many},
    {"a_client_hello_in_drops_ends_in_time", half_a_client_hello_and_no_end},
    {"half_an_nbd_handshake_ends_in_time", nbd_handshake_and_no_end},
};

/* In a process of its own: a case that went wrong leaves no connection to the next. */
static bool
passes(size_t i)
{
	int status = 1;
	pid_t child = fork();

	if (child == 0) {
		const char *wrong = cases[i].act();

		printf("%s - %s\n", wrong ? "not ok" : "ok", cases[i].name);
		if (wrong)
			printf("  not so: %s\n", wrong);
		fflush(stdout);
		_exit(wrong != NULL);
	}
	return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

int
main(int argc, char **argv)
{
	unsigned failed = 0;

	if (argc != 5) {
		fprintf(stderr, "usage: limits NBD-SOCKET ADMIN-SOCKET ADDRESS PORT\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	target.nbd = argv[1], target.admin = argv[2], target.address = argv[3], target.port = argv[4];
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
		failed += !passes(i);
	return failed ? 1 : 0;
}
