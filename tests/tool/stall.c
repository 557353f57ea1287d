/* SPDX-License-Identifier: Apache-2.0
 *
 * stall read|write NBD-SOCKET SIZE WINDOW: a guest that asks for more and more, requests of SIZE bytes one after the other over the whole device and
 * WINDOW of them at most without an answer, and reads no answer until it is told to. Lines of standard input tell it:
 *
 *   read   reads answers from now on
 *   slow   the same, but in small pieces, and before each it has a short read on a second connection answered
 *   end    reads, asks for no more once the whole device had its turn, and exits when everything is answered
 *
 * What it writes, and what it must find, is a pattern that depends on the place only: "stall pattern BYTES" prints it. Ends with "N answered,
 * M asked for before the first was read", or at the first thing that is wrong; used by tests/system/slow.test.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/auto.h"
#include "wire/limits.h"
#include "wire/nbd.h"

#define PATIENCE_MS 60000
#define WINDOW_MOST 16384
#define SLOW_PIECE  4093
#define SHORT_READ  4096

/* A request without an answer; its number in this table is its cookie. */
struct slot {
	bool waits;
	uint64_t offset;
	uint32_t length;
};

static struct guest {
	const char *path;
	int fd, second; /* -1: not there yet */
	uint16_t command;
	uint64_t size; /* of the device */
	uint32_t request_size;
	unsigned window;
	uint8_t *pattern; /* `size` bytes */
	bool reading, slow, ending;

	struct slot slots[WINDOW_MOST];
	unsigned unanswered, next_slot;
	uint64_t asked, answered, asked_unread;
	uint64_t next_offset;
	bool lap_done; /* the whole device had its turn */

	uint8_t request[NBD_REQUEST_LEN]; /* being sent, and behind it a WRITE's payload */
	const uint8_t *payload;
	size_t payload_length, sent;
	bool sending;

	uint8_t reply[NBD_SIMPLE_REPLY_LEN]; /* being received, and behind it a READ's payload */
	uint8_t *data;
	size_t got;
} guest = {.fd = -1, .second = -1};

__attribute__((noreturn, format(printf, 1, 2))) static void
give_up(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	printf("stall: ");
	vprintf(format, arguments);
	printf("\n");
	va_end(arguments);
	exit(1);
}

/* ---- the pattern ---- */

static void
fill_pattern(uint8_t *out, uint64_t size)
{
	for (uint64_t place = 0; place + 8 <= size; place += 8)
		put_be64(out + place, (place + 1) * UINT64_C(0x9e3779b97f4a7c15));
}

static uint8_t *
new_pattern(uint64_t size)
{
	uint8_t *pattern = calloc(1, size);

	if (pattern == NULL)
		give_up("out of memory");
	fill_pattern(pattern, size);
	return pattern;
}

static void
check(const uint8_t *bytes, uint64_t offset, size_t length)
{
	if (memcmp(bytes, guest.pattern + offset, length) != 0)
		give_up("%zu bytes at %" PRIu64 " are not what was written there", length, offset);
}

/* ---- a connection ---- */

static void
get(int fd, void *bytes, size_t length)
{
	struct timeval patience = {.tv_sec = PATIENCE_MS / 1000};

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	if (recv(fd, bytes, length, MSG_WAITALL) != (ssize_t)length)
		give_up("the server closed, or does not answer");
}

static void
put(int fd, const void *bytes, size_t length)
{
	if (send(fd, bytes, length, MSG_NOSIGNAL) != (ssize_t)length)
		give_up("the server takes nothing");
}

/* One that is in the transmission phase of the default export, whose size is told. */
static int
dial(uint64_t *size)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	uint8_t greeting[NBD_GREETING_LEN], option[NBD_OPTION_HEADER_LEN], answer[10];
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(to.sun_path, sizeof to.sun_path, "%s", guest.path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) != 0)
		give_up("cannot connect to %s: %s", guest.path, strerror(errno));
	get(fd, greeting, sizeof greeting);
	put(fd, "\0\0\0\3", NBD_CLIENT_FLAGS_LEN);
	put_be64(option, NBD_OPTION_MAGIC);
	put_be32(option + 8, NBD_OPT_EXPORT_NAME);
	put_be32(option + 12, 0);
	put(fd, option, sizeof option);
	get(fd, answer, sizeof answer);
	*size = get_be64(answer);
	return fd;
}

static void
encode_request(uint8_t out[static NBD_REQUEST_LEN], uint16_t command, uint64_t cookie, uint64_t offset, uint32_t length)
{
	put_be32(out, NBD_REQUEST_MAGIC);
	put_be16(out + 4, 0);
	put_be16(out + 6, command);
	put_be64(out + 8, cookie);
	put_be64(out + 16, offset);
	put_be32(out + 24, length);
}

/* The cookie of a reply that says OK. */
static uint64_t
decode_reply(const uint8_t reply[static NBD_SIMPLE_REPLY_LEN])
{
	if (get_be32(reply) != NBD_SIMPLE_REPLY_MAGIC)
		give_up("that is no reply");
	if (get_be32(reply + 4) != NBD_OK)
		give_up("a request failed with error %u", get_be32(reply + 4));
	return get_be64(reply + 8);
}

/* How a slow guest passes its time. */
static void
read_on_second(uint64_t offset)
{
	uint8_t request[NBD_REQUEST_LEN], reply[NBD_SIMPLE_REPLY_LEN], data[SHORT_READ];
	uint64_t size;

	if (guest.second < 0)
		guest.second = dial(&size);
	offset -= offset % SHORT_READ;
	encode_request(request, NBD_CMD_READ, 0, offset, sizeof data);
	put(guest.second, request, sizeof request);
	get(guest.second, reply, sizeof reply);
	decode_reply(reply);
	get(guest.second, data, sizeof data);
	check(data, offset, sizeof data);
}

/* ---- asking ---- */

static bool
wants_to_ask(void)
{
	return guest.sending || (guest.unanswered < guest.window && !(guest.ending && guest.lap_done));
}

static unsigned
free_slot(void)
{
	while (guest.slots[guest.next_slot].waits)
		guest.next_slot = (guest.next_slot + 1) % guest.window;
	return guest.next_slot;
}

static void
begin_request(void)
{
	unsigned cookie = free_slot();
	struct slot *slot = &guest.slots[cookie];
	uint64_t left = guest.size - guest.next_offset;

	*slot = (struct slot){true, guest.next_offset, left < guest.request_size ? (uint32_t)left : guest.request_size};
	encode_request(guest.request, guest.command, cookie, slot->offset, slot->length);
	guest.payload = guest.pattern + slot->offset;
	guest.payload_length = guest.command == NBD_CMD_WRITE ? slot->length : 0;
	guest.sent = 0;
	guest.sending = true;
	guest.next_offset += slot->length;
	guest.unanswered++;
	guest.asked++;
	if (guest.next_offset == guest.size) {
		guest.next_offset = 0;
		guest.lap_done = true;
	}
}

/* False when the socket takes no more. */
static bool
send_some(const uint8_t *bytes, size_t length)
{
	ssize_t sent = send(guest.fd, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (sent < 0 && errno != EAGAIN && errno != EINTR)
		give_up("cannot send: %s", strerror(errno));
	if (sent > 0)
		guest.sent += (size_t)sent;
	return sent > 0;
}

static void
ask(void)
{
	bool goes_on = true;

	while (goes_on && wants_to_ask()) {
		if (!guest.sending)
			begin_request();
		if (guest.sent < NBD_REQUEST_LEN)
			goes_on = send_some(guest.request + guest.sent, NBD_REQUEST_LEN - guest.sent);
		else if (guest.sent < NBD_REQUEST_LEN + guest.payload_length)
			goes_on = send_some(guest.payload + (guest.sent - NBD_REQUEST_LEN),
			    NBD_REQUEST_LEN + guest.payload_length - guest.sent);
		if (guest.sent == NBD_REQUEST_LEN + guest.payload_length)
			guest.sending = false;
	}
}

/* ---- reading answers ---- */

/* Whose answer is being received, once its header is here. */
static struct slot *
answered_slot(void)
{
	uint64_t cookie = decode_reply(guest.reply);

	if (cookie >= guest.window || !guest.slots[cookie].waits)
		give_up("a reply that nobody waits for");
	return &guest.slots[cookie];
}

static void
finish_answer(struct slot *slot, size_t length)
{
	check(guest.data, slot->offset, length);
	slot->waits = false;
	guest.got = 0;
	guest.unanswered--;
	guest.answered++;
}

/* False when there is no more for now. */
static bool
receive_some(uint8_t *into, size_t length)
{
	ssize_t got;

	if (guest.slow && length > SLOW_PIECE)
		length = SLOW_PIECE;
	got = recv(guest.fd, into, length, MSG_DONTWAIT);
	if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
		give_up("the server closed with %u requests unanswered", guest.unanswered);
	if (got > 0)
		guest.got += (size_t)got;
	return got > 0;
}

static bool
receive_payload(void)
{
	struct slot *slot = answered_slot();
	size_t whole = guest.command == NBD_CMD_READ ? slot->length : 0, here = guest.got - NBD_SIMPLE_REPLY_LEN;
	bool goes_on = true;

	if (here < whole) {
		if (guest.slow)
			read_on_second(slot->offset + here);
		goes_on = receive_some(guest.data + here, whole - here);
	}
	if (guest.got == NBD_SIMPLE_REPLY_LEN + whole)
		finish_answer(slot, whole);
	return goes_on;
}

static void
receive(void)
{
	bool goes_on = true;

	while (goes_on && guest.unanswered > 0) {
		if (guest.got < NBD_SIMPLE_REPLY_LEN)
			goes_on = receive_some(guest.reply + guest.got, NBD_SIMPLE_REPLY_LEN - guest.got);
		else
			goes_on = receive_payload();
	}
}

/* ---- what it is told ---- */

static void
obey(void)
{
	char line[16];

	if (fgets(line, sizeof line, stdin) == NULL)
		give_up("nobody is there to say what is next");
	if (!guest.reading)
		guest.asked_unread = guest.asked;
	guest.reading = true;
	if (strcmp(line, "slow\n") == 0)
		guest.slow = true;
	else if (strcmp(line, "end\n") == 0)
		guest.ending = true;
	else if (strcmp(line, "read\n") != 0)
		give_up("it can be told to read, slow and end");
}

static void
work(void)
{
	while (!guest.ending || !guest.lap_done || guest.unanswered > 0) {
		struct pollfd fds[2] = {
		    {.fd = guest.fd, .events = (guest.reading ? POLLIN : 0) | (wants_to_ask() ? POLLOUT : 0)},
		    {.fd = guest.ending ? -1 : STDIN_FILENO, .events = POLLIN},
		};

		if (poll(fds, ARRAY_LENGTH(fds), PATIENCE_MS) <= 0)
			give_up("nothing happens, with %u requests unanswered", guest.unanswered);
		if (fds[1].revents)
			obey();
		if (fds[0].revents & (POLLHUP | POLLERR))
			give_up("the server closed with %u requests unanswered", guest.unanswered);
		if (fds[0].revents & POLLOUT)
			ask();
		if (fds[0].revents & POLLIN)
			receive();
	}
}

static int
print_pattern(uint64_t size)
{
	AUTO_FREE uint8_t *pattern = new_pattern(size);

	return fwrite(pattern, 1, size, stdout) == size && fflush(stdout) == 0 ? 0 : 1;
}

int
main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "pattern") == 0)
		return print_pattern(strtoull(argv[2], NULL, 10));
	if (argc != 5) {
		fprintf(stderr, "usage: stall read|write NBD-SOCKET SIZE WINDOW, or stall pattern BYTES\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	setvbuf(stdin, NULL, _IONBF, 0); /* what is in a buffer makes no descriptor ready */
	guest.command = strcmp(argv[1], "read") == 0 ? NBD_CMD_READ : NBD_CMD_WRITE;
	guest.path = argv[2];
	guest.request_size = (uint32_t)strtoul(argv[3], NULL, 10);
	guest.window = (unsigned)strtoul(argv[4], NULL, 10);
	if (guest.window == 0 || guest.window > WINDOW_MOST || guest.request_size == 0)
		give_up("a window is at most %u requests", WINDOW_MOST);
	guest.fd = dial(&guest.size);
	guest.pattern = new_pattern(guest.size);
	guest.data = malloc(guest.request_size);
	if (guest.data == NULL)
		give_up("out of memory");
	work();
	printf("%" PRIu64 " answered, %" PRIu64 " asked for before the first was read\n", guest.answered,
	    guest.asked_unread);
	free(guest.pattern);
	free(guest.data);
	return 0;
}
