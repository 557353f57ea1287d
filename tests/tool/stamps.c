/* SPDX-License-Identifier: Apache-2.0
 *
 * stamps: who wrote which block, and when. Used by the tests in which a share changes hands while processes are killed (tests/system/kill.sh).
 *
 *   stamps write once|idle|busy NBD-URI LEDGER HOLDER EPOCH CONNECTIONS
 *       a guest that stamps blocks, over so many connections, a process for each. `once`: every block has its turn, and it flushes and leaves; `idle`: and
 *       it stays until it is cut off; `busy`: again and again until it is refused. Prints "written" after the first turn.
 *   stamps watch DISK LEDGER
 *       looks at the file behind the device when it changed, until its standard input has something to say
 *   stamps check DISK LEDGER
 *       looks once, when nobody writes: no block may be torn either
 *
 * A stamp is holder, epoch and turn; epoch and turn together are a version. A holder leaves every fourth block as it found it and zeroes every fourth. The
 * ledger, a file that all of them map, says of each block what the device must not go back behind:
 *
 *   - once it is flushed, no earlier version
 *   - once a holder has looked at it, which it does before it writes, no other version of an earlier holder than the one that it found
 *
 * and what the watcher has seen never goes back. What fails of this is said in a line "stamps: ...", with exit code 1.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <libnbd.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define BLOCK       4096
#define BLOCKS      256 /* the device */
#define CONNECTIONS 4   /* at most */
#define PAUSE_MS    5   /* between two looks of a watcher */
#define MAGIC       UINT64_C(0x4e425354414d5053)
#define COPIES      (BLOCK / sizeof(struct stamp))

struct stamp {
	uint64_t magic, block, version;
	char holder[40];
};

struct ledger {
	struct entry {
		_Atomic uint64_t flushed; /* the version that was answered before a flush that was answered */
		_Atomic uint64_t zeroing; /* what a block of zeros is: the last that was to be zeroed */
		_Atomic uint64_t found;   /* the version that the latest holder found */
		_Atomic uint64_t epoch;   /* that holder's; written after `found` */
	} entries[BLOCKS];
};

static struct ledger *ledger;

__attribute__((noreturn, format(printf, 1, 2))) static void
give_up(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	printf("stamps: ");
	vprintf(format, arguments);
	printf("\n");
	va_end(arguments);
	exit(1);
}

static void
open_ledger(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0 || ftruncate(fd, sizeof *ledger) < 0)
		give_up("the ledger %s cannot be opened", path);
	ledger = mmap(NULL, sizeof *ledger, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (ledger == MAP_FAILED)
		give_up("the ledger %s cannot be mapped", path);
	close(fd);
}

/* ---- versions ---- */

static uint64_t
version_of(uint64_t epoch, uint64_t turn)
{
	return epoch << 32 | turn;
}

static uint64_t
epoch_of(uint64_t version)
{
	return version >> 32;
}

/* Which block was read, as which version. False where it is torn: it was read while it was written. */
static bool
read_version(unsigned number, const struct stamp *stamps, uint64_t *version)
{
	static const struct stamp zero;

	for (size_t i = 1; i < COPIES; i++)
		if (memcmp(&stamps[i], &stamps[0], sizeof *stamps) != 0)
			return false;
	if (memcmp(&stamps[0], &zero, sizeof zero) == 0) {
		*version = atomic_load(&ledger->entries[number].zeroing);
		return true;
	}
	if (stamps[0].magic != MAGIC || stamps[0].block != number)
		give_up("block %u is none that anybody wrote", number);
	*version = stamps[0].version;
	return true;
}

/* ---- a guest ---- */

static struct guest {
	struct nbd_handle *nbd;
	uint64_t epoch, turn;
	const char *holder;
	unsigned first, step; /* its blocks: every `step`th */
	bool refused;
	unsigned waiting;
	struct stamp blocks[BLOCKS][COPIES];
} guest;

enum deed { LEAVE, ZERO, WRITE };

static enum deed
deed_of(unsigned number)
{
	switch ((number / guest.step + guest.epoch) % 4) {
	case 0:
		return LEAVE;
	case 1:
		return ZERO;
	default:
		return WRITE;
	}
}

static int
on_answered(void *user_data, int *error)
{
	(void)user_data;
	guest.waiting--;
	guest.refused |= *error != 0;
	return 1;
}

static void
issue(unsigned number)
{
	nbd_completion_callback done = {.callback = on_answered};
	struct stamp stamp = {.magic = MAGIC, .block = number, .version = version_of(guest.epoch, guest.turn)};
	uint64_t offset = (uint64_t)number * BLOCK;
	int64_t cookie = 0;

	snprintf(stamp.holder, sizeof stamp.holder, "%s", guest.holder);
	switch (deed_of(number)) {
	case LEAVE:
		return;
	case ZERO:
		atomic_store(&ledger->entries[number].zeroing, stamp.version);
		guest.waiting++;
		cookie = nbd_aio_zero(guest.nbd, BLOCK, offset, done, 0);
		break;
	case WRITE:
		for (size_t i = 0; i < COPIES; i++)
			guest.blocks[number][i] = stamp;
		guest.waiting++;
		cookie = nbd_aio_pwrite(guest.nbd, guest.blocks[number], BLOCK, offset, done, 0);
	}
	if (cookie < 0) { /* cut off: not sent */
		guest.waiting--;
		guest.refused = true;
	}
}

/* Every block once, and a flush; then they are what the device must have. */
static void
take_turn(void)
{
	guest.turn++;
	for (unsigned number = guest.first; number < BLOCKS && !guest.refused; number += guest.step)
		issue(number);
	while (guest.waiting > 0)
		if (nbd_poll(guest.nbd, -1) < 0)
			break;
	if (guest.waiting > 0 || guest.refused || nbd_flush(guest.nbd, 0) < 0) {
		guest.refused = true;
		return;
	}
	for (unsigned number = guest.first; number < BLOCKS; number += guest.step)
		if (deed_of(number) != LEAVE)
			atomic_store(&ledger->entries[number].flushed, version_of(guest.epoch, guest.turn));
}

/* What those before it had flushed is there; and from now on nothing of them may come after what it finds. */
static void
look_around(void)
{
	for (unsigned number = guest.first; number < BLOCKS; number += guest.step) {
		struct entry *entry = &ledger->entries[number];
		uint64_t version;

		if (nbd_pread(guest.nbd, guest.blocks[number], BLOCK, (uint64_t)number * BLOCK, 0) < 0) {
			guest.refused = true;
			return;
		}
		if (!read_version(number, guest.blocks[number], &version))
			give_up("epoch %" PRIu64 " finds block %u torn", guest.epoch, number);
		if (version < atomic_load(&entry->flushed))
			give_up("epoch %" PRIu64 " does not find what epoch %" PRIu64 " had flushed in block %u",
			    guest.epoch, epoch_of(entry->flushed), number);
		atomic_store(&entry->found, version);
		atomic_store(&entry->epoch, guest.epoch);
	}
}

static void
stay_until_cut_off(void)
{
	while (!nbd_aio_is_closed(guest.nbd) && !nbd_aio_is_dead(guest.nbd))
		if (nbd_poll(guest.nbd, -1) < 0)
			return;
}

static int
guest_run(const char *how, const char *uri, int ready)
{
	guest.nbd = nbd_create();
	if (guest.nbd == NULL || nbd_connect_uri(guest.nbd, uri) < 0)
		give_up("cannot connect: %s", nbd_get_error());
	look_around();
	if (!guest.refused)
		take_turn();
	if (guest.refused)
		give_up("epoch %" PRIu64 " is refused in its first turn: %s", guest.epoch,
		    nbd_get_error() ? nbd_get_error() : "in an answer");
	close(ready);
	if (strcmp(how, "idle") == 0)
		stay_until_cut_off();
	while (strcmp(how, "busy") == 0 && !guest.refused)
		take_turn();
	if (strcmp(how, "once") == 0 && nbd_shutdown(guest.nbd, 0) < 0)
		give_up("cannot leave in order: %s", nbd_get_error());
	nbd_close(guest.nbd);
	return 0;
}

static int
write_all(char **arguments, unsigned connections)
{
	int ready[2], status, code = 0;
	char byte;

	if (pipe(ready) < 0)
		return 1;
	guest.holder = arguments[3];
	guest.epoch = strtoull(arguments[4], NULL, 10);
	guest.step = connections;
	for (guest.first = 0; guest.first < connections; guest.first++)
		if (fork() == 0) {
			close(ready[0]);
			return guest_run(arguments[0], arguments[1], ready[1]);
		}
	close(ready[1]);
	while (read(ready[0], &byte, 1) > 0)
		continue;
	printf("written\n");
	fflush(stdout);
	while (wait(&status) > 0)
		code |= status;
	return code != 0;
}

/* ---- a watcher ---- */

static struct watcher {
	int fd;
	uint64_t seen[BLOCKS], looks, torn;
} watcher;

static void
judge(unsigned number, uint64_t version, uint64_t flushed, uint64_t epoch, uint64_t found)
{
	if (version < flushed)
		give_up("block %u is of epoch %" PRIu64 " turn %u, and epoch %" PRIu64 " had flushed turn %u", number,
		    epoch_of(version), (uint32_t)version, epoch_of(flushed), (uint32_t)flushed);
	if (version < watcher.seen[number])
		give_up("block %u went back from epoch %" PRIu64 " turn %u to epoch %" PRIu64 " turn %u", number,
		    epoch_of(watcher.seen[number]), (uint32_t)watcher.seen[number], epoch_of(version),
		    (uint32_t)version);
	if (epoch_of(version) < epoch && version != found)
		give_up("block %u: epoch %" PRIu64 " wrote turn %u after epoch %" PRIu64 " had the share", number,
		    epoch_of(version), (uint32_t)version, epoch);
	watcher.seen[number] = version;
}

/* The order matters: what the ledger demands was true before the block is read. */
static bool
look_at(unsigned number)
{
	const struct entry *entry = &ledger->entries[number];
	struct stamp stamps[COPIES];
	uint64_t flushed = atomic_load(&entry->flushed), epoch = atomic_load(&entry->epoch);
	uint64_t found = atomic_load(&entry->found), version;

	if (pread(watcher.fd, stamps, BLOCK, (off_t)number * BLOCK) != BLOCK)
		give_up("block %u cannot be read", number);
	if (!read_version(number, stamps, &version))
		return false;
	/* Another holder looked around in between: the next look is the one that counts. */
	if (atomic_load(&entry->epoch) == epoch)
		judge(number, version, flushed, epoch, found);
	return true;
}

static void
look(void)
{
	watcher.looks++;
	for (unsigned number = 0; number < BLOCKS; number++)
		watcher.torn += !look_at(number);
}

static void
watch(const char *disk)
{
	int changes = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	struct pollfd polls[] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = changes, .events = POLLIN}};
	char events[16384];

	if (changes < 0 || inotify_add_watch(changes, disk, IN_MODIFY) < 0)
		give_up("%s cannot be watched", disk);
	printf("watching\n");
	fflush(stdout);
	while (poll(polls, 2, -1) > 0 && polls[0].revents == 0) {
		while (read(changes, events, sizeof events) > 0)
			continue;
		look();
		if (poll(polls, 1, PAUSE_MS) > 0) /* the processor is for those who are watched */
			break;
	}
}

int
main(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";
	unsigned connections = argc == 8 ? (unsigned)strtoul(argv[7], NULL, 10) : 0;

	if (strcmp(verb, "write") == 0 && connections > 0 && connections <= CONNECTIONS) {
		open_ledger(argv[4]);
		return write_all(&argv[2], connections);
	}
	if (argc != 4 || (strcmp(verb, "watch") != 0 && strcmp(verb, "check") != 0)) {
		fprintf(stderr, "usage: stamps write once|idle|busy NBD-URI LEDGER HOLDER EPOCH CONNECTIONS\n"
				"       stamps watch|check DISK LEDGER\n");
		return 2;
	}
	open_ledger(argv[3]);
	watcher.fd = open(argv[2], O_RDONLY | O_CLOEXEC);
	if (strcmp(verb, "watch") == 0)
		watch(argv[2]);
	look();
	if (strcmp(verb, "check") == 0 && watcher.torn > 0)
		give_up("%" PRIu64 " blocks are torn", watcher.torn);
	printf("%" PRIu64 " looks, nothing went back\n", watcher.looks);
	return 0;
}
