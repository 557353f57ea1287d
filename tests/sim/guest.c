/* SPDX-License-Identifier: Apache-2.0
 *
 * Simulator (tests/sim/sim.h): the guest.
 *
 *   guest SOCKET DOMID DEVICE DOMAIN VDEV EXPORTER SHARE [operator]
 *
 * Commands on standard input, each answered with a line: `connect RINGS PAGES`, `work MS`, `once`, `check FILE`, `lie KIND`, `throw MS` (what an attacker may try), `restart RINGS PAGES` (a kernel that another one started), `close`,
 * `gone`, `over` (waits until the disk is over), `quit`.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "tests/sim/guest.h"

struct guest guest = {.events = -1, .watch = -1, .next_page = 8};

uint64_t
guest_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

uint32_t
guest_pages(unsigned count)
{
	uint32_t first = guest.next_page;

	guest.next_page += count;
	if (guest.next_page > SIM_PAGES) {
		fprintf(stderr, "the guest has no memory left\n");
		exit(1);
	}
	return first;
}

/* ---- who calls ---- */

static void
send_memory(int fd)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {0};
	char byte = 'm';
	struct iovec vector = {&byte, 1};
	struct msghdr message = {
	    .msg_iov = &vector, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	*header =
	    (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
	memcpy(CMSG_DATA(header), &guest.memory_fd, sizeof guest.memory_fd);
	sendmsg(fd, &message, MSG_NOSIGNAL);
}

void
guest_say(struct sim_message *message)
{
	message->domid = guest.disk.domid;
	message->device = guest.disk.device;
	if (guest.watch >= 0)
		send(guest.watch, message, sizeof *message, MSG_NOSIGNAL);
}

static void
say_rings(bool anew)
{
	struct sim_message message = {.type = SIM_RINGS_ARE, .anew = anew};

	rings_describe(&message);
	guest_say(&message);
}

static void
replace(int *slot, int fd)
{
	if (*slot >= 0)
		close(*slot);
	*slot = fd;
}

static void
on_caller(void)
{
	int fd = accept4(guest.listener, NULL, NULL, SOCK_CLOEXEC);
	char who = 0;

	if (fd < 0 || recv(fd, &who, 1, 0) != 1)
		return;
	if (who == 'g') {
		send_memory(fd); /* and stays open, of no more use */
	} else if (who == 'e') {
		replace(&guest.events, fd);
		for (unsigned i = 0; i < SIM_RINGS; i++)
			guest.fronts[i].is_pending = false;
	} else {
		replace(&guest.watch, fd);
		guest_say(&guest.disk);
		if (guest.is_connected)
			say_rings(false);
	}
}

/* ---- event channels ---- */

void
guest_signal(unsigned ring)
{
	uint32_t port = ring + 1 + SIM_PORT_BASE;

	if (guest.events < 0 || guest.fronts[ring].is_pending)
		return;
	guest.fronts[ring].is_pending = true;
	send(guest.events, &port, sizeof port, MSG_NOSIGNAL);
}

/* An event that comes while it is masked is told when it is unmasked: so each unmask is followed by another event if there may be something. */
static void
on_events(void)
{
	uint32_t words[64];
	ssize_t got = recv(guest.events, words, sizeof words, MSG_DONTWAIT);

	if (got <= 0) {
		if (got == 0 || errno != EAGAIN)
			replace(&guest.events, -1);
		return;
	}
	for (size_t i = 0; i < (size_t)got / sizeof *words; i++) {
		unsigned ring = (words[i] & ~SIM_NOTIFY) - SIM_PORT_BASE - 1;

		if (ring >= guest.rings)
			continue;
		if (guest.is_throwing) {
			guest.fronts[ring].is_pending &= (words[i] & SIM_NOTIFY) != 0;
			continue;
		}
		if (words[i] & SIM_NOTIFY) {
			rings_take(ring, work_response);
			continue;
		}
		guest.fronts[ring].is_pending = false;
		if (guest.fronts[ring].ring.sring->req_prod >= guest.fronts[ring].ring.sring->req_event)
			guest_signal(ring);
	}
}

/* ---- the watcher ---- */

static void
on_watch(void)
{
	struct sim_message message;

	if (recv(guest.watch, &message, sizeof message, 0) != sizeof message) {
		replace(&guest.watch, -1);
		return;
	}
	guest.said = message;
	if (message.type == SIM_READY) {
		guest.is_ready = true;
		guest.size = message.size;
		guest.most_rings = message.rings;
	}
	guest.is_up |= message.type == SIM_UP && message.ok;
	guest.is_refused |= message.type == SIM_UP && !message.ok;
	guest.is_down |= message.type == SIM_DOWN;
	guest.is_over |= message.type == SIM_OVER;
	guest.is_lied |= message.type == SIM_LIE;
	guest.wants_close |= message.type == SIM_REMOVE;
}

void
guest_turn(int most_ms)
{
	struct pollfd on[] = {{guest.listener, POLLIN, 0}, {guest.events, POLLIN, 0}, {guest.watch, POLLIN, 0}};

	poll(on, 3, most_ms);
	if (on[1].revents)
		on_events();
	if (on[2].revents)
		on_watch();
	if (on[0].revents)
		on_caller();
}

/* ---- commands ---- */

__attribute__((format(printf, 1, 2))) static void
answer(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	putchar('\n');
	fflush(stdout);
}

static void
connect_rings(unsigned rings, unsigned pages)
{
	while (!guest.is_ready && !guest.is_over)
		guest_turn(100);
	if (guest.is_over) {
		answer("over: %s", guest.said.text);
		return;
	}
	work_begin();
	rings_make(rings < guest.most_rings ? rings : guest.most_rings, pages);
	guest.is_up = guest.is_refused = false;
	say_rings(true);
	while (!guest.is_up && !guest.is_refused && !guest.is_over)
		guest_turn(100);
	guest.is_connected = guest.is_up;
	if (guest.is_up)
		answer("connected rings=%u size=%llu", guest.rings, (unsigned long long)guest.size);
	else
		answer("not connected: %s", guest.said.text);
}

static void
close_rings(bool gone)
{
	guest.is_down = false;
	guest.is_connected = false;
	guest_say(&(struct sim_message){.type = SIM_CLOSE, .gone = gone});
	while (!guest.is_down)
		guest_turn(100);
	answer("closed");
}

static void
lie(unsigned kind)
{
	guest.is_lied = false;
	if (!ring_lie(kind)) {
		answer("there is no such lie");
		return;
	}
	while (!guest.is_lied)
		guest_turn(100);
	answer("lied: %s", guest.said.text);
}

/* Until it is caught in a lie, or the time is over. */
static void
throw_requests(unsigned milliseconds)
{
	uint64_t until = guest_ms() + milliseconds, thrown = 0;

	guest.is_throwing = true;
	while (guest_ms() < until && !guest.is_lied) {
		for (unsigned i = 0; i < guest.rings; i++)
			thrown += ring_throw(i);
		guest_turn(1);
	}
	answer("thrown=%llu %s", (unsigned long long)thrown, guest.is_lied ? guest.said.text : "and no lie");
}

static void
wait_over(void)
{
	while (!guest.is_over)
		guest_turn(100);
	answer("over: %s", guest.said.text);
}

static bool
take_command(const char *line)
{
	unsigned a = 0, b = 0;
	char word[32] = "", path[512] = "";

	sscanf(line, "%31s %511s", word, path);
	sscanf(line, "%*s %u %u", &a, &b);
	if (strcmp(word, "connect") == 0 || strcmp(word, "restart") == 0)
		connect_rings(a, b);
	else if (strcmp(word, "work") == 0)
		work(a);
	else if (strcmp(word, "once") == 0)
		work_once();
	else if (strcmp(word, "check") == 0)
		work_check_file(path);
	else if (strcmp(word, "lie") == 0)
		lie(a);
	else if (strcmp(word, "throw") == 0)
		throw_requests(a);
	else if (strcmp(word, "close") == 0 || strcmp(word, "gone") == 0)
		close_rings(word[0] == 'g');
	else if (strcmp(word, "over") == 0)
		wait_over();
	else
		return false;
	return true;
}

static void
read_commands(void)
{
	static char input[4096];
	size_t used = 0;

	for (;;) {
		struct pollfd on = {0, POLLIN, 0};
		char *end;
		ssize_t got;

		guest_turn(20);
		if (guest.wants_close && guest.is_connected) {
			guest.wants_close = false;
			close_rings(true);
		}
		if (poll(&on, 1, 0) == 0)
			continue;
		got = read(0, input + used, sizeof input - 1 - used);
		if (got <= 0)
			return;
		used += (size_t)got;
		input[used] = '\0';
		while ((end = strchr(input, '\n')) != NULL) {
			*end = '\0';
			if (!take_command(input))
				return;
			used -= (size_t)(end + 1 - input);
			memmove(input, end + 1, used + 1);
		}
	}
}

static void
text_of(char *into, size_t room, const char *from)
{
	snprintf(into, room, "%s", from);
}

int
main(int argc, char **argv)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if (argc < 8) {
		fprintf(stderr, "usage: guest SOCKET DOMID DEVICE DOMAIN VDEV EXPORTER SHARE [operator]\n");
		return 2;
	}
	guest.disk = (struct sim_message){.type = SIM_DISK,
	    .domid = (uint32_t)strtoul(argv[2], NULL, 10),
	    .device = (uint32_t)strtoul(argv[3], NULL, 10),
	    .by_operator = argc > 8};
	text_of(guest.disk.domain, sizeof guest.disk.domain, argv[4]);
	text_of(guest.disk.vdev, sizeof guest.disk.vdev, argv[5]);
	text_of(guest.disk.exporter, sizeof guest.disk.exporter, argv[6]);
	text_of(guest.disk.share, sizeof guest.disk.share, argv[7]);
	guest.memory_fd = memfd_create("guest", MFD_CLOEXEC);
	if (guest.memory_fd < 0 || ftruncate(guest.memory_fd, (off_t)SIM_PAGES * SIM_PAGE) < 0)
		return 1;
	guest.memory = mmap(NULL, (size_t)SIM_PAGES * SIM_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, guest.memory_fd, 0);
	text_of(address.sun_path, sizeof address.sun_path, argv[1]);
	guest.listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (bind(guest.listener, (struct sockaddr *)&address, sizeof address) < 0 || listen(guest.listener, 16) < 0) {
		perror(argv[1]);
		return 1;
	}
	answer("here");
	read_commands();
	return 0;
}
