/* SPDX-License-Identifier: Apache-2.0
 *
 * writer NBD-URI DISK CONNECTIONS [stubborn]: a guest that writes at depth over so many connections, a process for each, until it is refused or its standard input has
 * something to say (a stubborn one goes on until the connection is closed); then it flushes and leaves. Prints "writing" once all are connected and have written. Afterwards each block of DISK, the file
 * behind the device, must be what was answered last: "N blocks are as answered" and how it ended, or what is wrong. Used by tests/system/release.test.
 */
#include <errno.h>
#include <fcntl.h>
#include <libnbd.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define BLOCK  4096
#define PLACES 4096 /* of each connection: much more than DEPTH, so that no two writes in flight meet */
#define DEPTH  16

struct slot {
	bool busy;
	unsigned place;
	uint64_t value;
	uint64_t block[BLOCK / 8];
};

static struct writer {
	struct nbd_handle *nbd;
	unsigned number, in_flight;
	struct slot slots[DEPTH];
	uint64_t answered[PLACES]; /* the last value that was answered with no error */
	uint64_t refused[PLACES];  /* one that came after it and was not: it may be there, or not */
	uint64_t values;
	int error; /* the first */
	bool stubborn;
} writer;

__attribute__((noreturn)) static void
give_up(const char *what)
{
	printf("writer: connection %u: %s: %s\n", writer.number, what, nbd_get_error() ? nbd_get_error() : "");
	exit(1);
}

static uint64_t
offset_of(unsigned place)
{
	return ((uint64_t)writer.number * PLACES + place) * BLOCK;
}

static int
on_written(void *user_data, int *error)
{
	struct slot *slot = user_data;

	slot->busy = false;
	writer.in_flight--;
	if (*error == 0) {
		writer.answered[slot->place] = slot->value;
		writer.refused[slot->place] = 0;
	} else {
		writer.refused[slot->place] = slot->value;
		if (!writer.stubborn)
			writer.error = writer.error ? writer.error : *error;
	}
	return 1;
}

static void
issue(struct slot *slot)
{
	nbd_completion_callback callback = {.callback = on_written, .user_data = slot};

	slot->busy = true;
	slot->value = ++writer.values;
	slot->place = (unsigned)(slot->value % PLACES);
	for (size_t i = 0; i < BLOCK / 8; i++)
		slot->block[i] = slot->value;
	writer.in_flight++;
	if (nbd_aio_pwrite(writer.nbd, slot->block, BLOCK, offset_of(slot->place), callback, 0) >= 0)
		return;
	/* Closed under us: not sent. */
	slot->busy = false;
	writer.in_flight--;
	writer.error = writer.error ? writer.error : ENOTCONN;
}

static bool
is_told_to_end(void)
{
	struct pollfd told = {.fd = STDIN_FILENO, .events = POLLIN};

	return poll(&told, 1, 0) > 0;
}

static void
write_on(int ready)
{
	bool ending = false;

	while (!writer.error && !ending) {
		for (unsigned i = 0; i < DEPTH && !writer.error; i++)
			if (!writer.slots[i].busy)
				issue(&writer.slots[i]);
		if (!writer.error && nbd_poll(writer.nbd, 100) < 0 && !writer.error)
			writer.error = ENOTCONN;
		if (ready >= 0 && writer.values > 2 * DEPTH) {
			close(ready);
			ready = -1;
		}
		ending = is_told_to_end();
	}
	while (writer.in_flight > 0 && nbd_poll(writer.nbd, 10000) > 0)
		continue;
}

static void
verify(const char *disk)
{
	int fd = open(disk, O_RDONLY | O_CLOEXEC);
	uint64_t block[BLOCK / 8];
	unsigned good = 0;

	for (unsigned place = 0; place < PLACES; place++) {
		if (fd < 0 || pread(fd, block, BLOCK, (off_t)offset_of(place)) != BLOCK)
			give_up("the file cannot be read");
		for (size_t i = 1; i < BLOCK / 8; i++)
			if (block[i] != block[0])
				give_up("a block is torn");
		if (writer.answered[place] && block[0] != writer.answered[place] && block[0] != writer.refused[place])
			give_up("a block that was answered is not in the file");
		good += writer.answered[place] != 0;
	}
	printf("%u blocks are as answered, %s\n", good, writer.error ? strerrorname_np(writer.error) : "finished");
}

/* What is asked for after the end is refused, or nobody is there. */
static void
ask_again(void)
{
	uint64_t block[BLOCK / 8];

	if (nbd_pread(writer.nbd, block, BLOCK, 0, 0) >= 0)
		give_up("a read after the end succeeds");
}

static int
run(const char *uri, const char *disk, unsigned number, int ready)
{
	writer.number = number;
	writer.nbd = nbd_create();
	if (writer.nbd == NULL || nbd_connect_uri(writer.nbd, uri) < 0)
		give_up("cannot connect");
	write_on(ready);
	if (writer.error)
		ask_again();
	else if (nbd_flush(writer.nbd, 0) < 0 || nbd_shutdown(writer.nbd, 0) < 0)
		give_up("cannot leave in order");
	verify(disk);
	return 0;
}

int
main(int argc, char **argv)
{
	unsigned connections = argc == 4 || argc == 5 ? (unsigned)strtoul(argv[3], NULL, 10) : 0;
	int ready[2], status, code = 0;
	char byte;

	if (connections == 0 || pipe(ready) < 0) {
		fprintf(stderr, "usage: writer NBD-URI DISK CONNECTIONS [stubborn]\n");
		return 2;
	}
	writer.stubborn = argc == 5;
	for (unsigned i = 0; i < connections; i++)
		if (fork() == 0) {
			close(ready[0]);
			return run(argv[1], argv[2], i, ready[1]);
		}
	close(ready[1]);
	while (read(ready[0], &byte, 1) > 0)
		continue;
	printf("writing\n");
	fflush(stdout);
	while (wait(&status) > 0)
		code |= status;
	return code != 0;
}
