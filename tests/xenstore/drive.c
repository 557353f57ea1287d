/* SPDX-License-Identifier: Apache-2.0
 *
 * drive --list: names of all scenarios. drive NAME: runs one, against the xenstored of $XENSTORED_RUNDIR (tests/xenstore/drive.h).
 */
#include "tests/xenstore/drive.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <xenstore.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/loop.h"

#define NODE_MS    5000
#define MESSAGE_MS 7000
#define QUIET_MS   300

struct peer monitor = {-1, ROLE_MONITOR}, broker = {-1, ROLE_BROKER};
static struct xs_handle *store;
static pid_t watch_pid;
static uint32_t last_attachment;

void
require(bool condition, const char *text, const char *file, int line)
{
	if (condition)
		return;
	printf("%s:%d: does not hold: %s\n", file, line, text);
	exit(1);
}

#define PATH(path, format)                                \
	char path[PATH_LEN];                              \
	va_list arguments_;                               \
	va_start(arguments_, format);                     \
	vsnprintf(path, sizeof path, format, arguments_); \
	va_end(arguments_)

/* ---- xenstore ---- */

void
put(const char *text, const char *format, ...)
{
	PATH(path, format);
	REQUIRE(xs_write(store, XBT_NULL, path, text, (unsigned)strlen(text)));
}

void
take_away(const char *format, ...)
{
	PATH(path, format);
	REQUIRE(xs_rm(store, XBT_NULL, path));
}

char *
get(const char *format, ...)
{
	unsigned length;

	PATH(path, format);
	return xs_read(store, XBT_NULL, path, &length);
}

static bool
path_says(const char *path, const char *text)
{
	unsigned length;
	AUTO_FREE char *value = xs_read(store, XBT_NULL, path, &length);

	return text ? value && strcmp(value, text) == 0 : value == NULL;
}

bool
says(const char *text, const char *format, ...)
{
	PATH(path, format);
	return path_says(path, text);
}

/* An event of that watch, if one comes in that time. Those of watches that are over may come late. */
static bool
next_event(const char *token, int milliseconds)
{
	uint64_t deadline = clock_monotonic_ns() + (uint64_t)milliseconds * NS_PER_MS, now;

	while ((now = clock_monotonic_ns()) <= deadline) {
		struct pollfd ready = {.fd = xs_fileno(store), .events = POLLIN};
		AUTO_FREE char **event = xs_check_watch(store);

		if (event && strcmp(event[XS_WATCH_TOKEN], token) == 0)
			return true;
		if (event == NULL)
			poll(&ready, 1, (int)((deadline - now) / NS_PER_MS) + 1);
	}
	return false;
}

static const char *
new_token(void)
{
	static char token[16];
	static unsigned count;

	snprintf(token, sizeof token, "%u", ++count);
	return token;
}

void
wait_for(const char *text, const char *format, ...)
{
	uint64_t deadline = clock_monotonic_ns() + NODE_MS * NS_PER_MS;
	const char *token = new_token();

	PATH(path, format);
	REQUIRE(xs_watch(store, path, token));
	while (!path_says(path, text) && clock_monotonic_ns() < deadline)
		next_event(token, 100);
	xs_unwatch(store, path, token);
	if (!path_says(path, text)) {
		AUTO_FREE char *value = get("%s", path);

		printf("%s is '%s', wanted '%s'\n", path, value ? value : "(none)", text ? text : "(none)");
		exit(1);
	}
}

void
require_quiet(const char *format, ...)
{
	const char *token = new_token();

	PATH(path, format);
	REQUIRE(xs_watch(store, path, token));
	REQUIRE(next_event(token, NODE_MS)); /* a watch begins with an event */
	if (next_event(token, QUIET_MS)) {
		printf("somebody writes below %s\n", path);
		exit(1);
	}
	xs_unwatch(store, path, token);
}

/* By a connection of its own, whose library keeps the events until they are counted. */
static struct xs_handle *counting;

void
watch_count(const char *path)
{
	counting = xs_open(0);
	REQUIRE(counting != NULL && xs_watch(counting, path, "count"));
}

unsigned
watch_counted(void)
{
	unsigned count = 0;

	for (char **event; (event = xs_check_watch(counting)) != NULL; count++)
		free(event);
	return count;
}

bool
is_owned(const char *path, unsigned owner, unsigned reader)
{
	unsigned count;
	AUTO_FREE struct xs_permissions *permissions = xs_get_permissions(store, XBT_NULL, path, &count);

	return permissions && count == 2 && permissions[0].id == owner && permissions[0].perms == XS_PERM_NONE &&
	       permissions[1].id == reader && permissions[1].perms == XS_PERM_READ;
}

bool
is_owned_below(const char *path, const char *name, unsigned owner, unsigned reader)
{
	char full[PATH_LEN * 2];

	snprintf(full, sizeof full, "%s/%s", path, name);
	return is_owned(full, owner, reader);
}

void
give(const char *path, unsigned owner, unsigned other, bool other_writes)
{
	struct xs_permissions permissions[] = {
	    {owner, XS_PERM_NONE}, {other, other_writes ? XS_PERM_READ | XS_PERM_WRITE : XS_PERM_READ}};

	REQUIRE(xs_set_permissions(store, XBT_NULL, path, permissions, 2));
}

/* ---- domains ---- */

static void
make_for_domain(const char *path, unsigned domid, unsigned owner)
{
	REQUIRE(xs_mkdir(store, XBT_NULL, path));
	give(path, owner, owner == 0 ? domid : 0, false);
}

static void
alive_path(char path[static PATH_LEN], unsigned domid)
{
	snprintf(path, PATH_LEN, "%.150s/alive-%u", getenv("NETBUS_ALONE"), domid);
}

void
domain_make(unsigned domid, const char *name)
{
	char path[PATH_LEN];
	int fd;

	alive_path(path, domid);
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	REQUIRE(fd >= 0);
	close(fd);
	snprintf(path, sizeof path, "/local/domain/%u", domid);
	make_for_domain(path, domid, 0);
	put(name, "/local/domain/%u/name", domid);
	put("/vm/" UUID, "/local/domain/%u/vm", domid);
	snprintf(path, sizeof path, "/local/domain/%u/device", domid);
	make_for_domain(path, domid, 0);
	REQUIRE(xs_introduce_domain(store, domid, 1, 5));
}

/* Xen raises an event at xenstored, which asks who lives. */
void
domain_end(unsigned domid)
{
	const uint32_t port = 1;
	char path[PATH_LEN];
	int fd;

	alive_path(path, domid);
	REQUIRE(unlink(path) == 0);
	snprintf(path, sizeof path, "%.150s/events", getenv("NETBUS_ALONE"));
	fd = open(path, O_WRONLY | O_CLOEXEC);
	REQUIRE(fd >= 0 && write(fd, &port, sizeof port) == sizeof port);
	close(fd);
}

/* ---- disks ---- */

struct place
place_of(unsigned owner, const char *type, unsigned domid, unsigned device)
{
	struct place place = {.domid = domid, .device = device};

	snprintf(place.backend, PATH_LEN, "/local/domain/%u/backend/%s/%u/%u", owner, type, domid, device);
	snprintf(place.frontend, PATH_LEN, "/local/domain/%u/device/vbd/%u", domid, device);
	return place;
}

static void
write_at(xs_transaction_t at, const char *directory, const char *name, const char *text)
{
	char path[PATH_LEN * 2];

	snprintf(path, sizeof path, "%s/%s", directory, name);
	REQUIRE(xs_write(store, at, path, text, (unsigned)strlen(text)));
}

static void
make_at(xs_transaction_t at, const char *path, unsigned owner, unsigned reader)
{
	struct xs_permissions permissions[] = {{owner, XS_PERM_NONE}, {reader, XS_PERM_READ}};

	REQUIRE(xs_mkdir(store, at, path) && xs_set_permissions(store, at, path, permissions, 2));
}

void
disk_make(const struct place *place, const char *params, const char *mode)
{
	xs_transaction_t at = xs_transaction_start(store);
	char domid[12], device[12];

	snprintf(domid, sizeof domid, "%u", place->domid);
	snprintf(device, sizeof device, "%u", place->device);
	make_at(at, place->backend, 0, place->domid);
	write_at(at, place->backend, "frontend", place->frontend);
	write_at(at, place->backend, "params", params);
	write_at(at, place->backend, "frontend-id", domid);
	write_at(at, place->backend, "online", "1");
	write_at(at, place->backend, "removable", "0");
	write_at(at, place->backend, "state", "1");
	write_at(at, place->backend, "mode", mode);
	write_at(at, place->backend, "device-type", "disk");
	make_at(at, place->frontend, place->domid, 0);
	write_at(at, place->frontend, "backend", place->backend);
	write_at(at, place->frontend, "backend-id", "0");
	write_at(at, place->frontend, "state", "1");
	write_at(at, place->frontend, "virtual-device", device);
	REQUIRE(xs_transaction_end(store, at, false));
}

void
disk_take_away(const struct place *place)
{
	xs_transaction_t at = xs_transaction_start(store);

	write_at(at, place->backend, "online", "0");
	write_at(at, place->backend, "state", "5");
	REQUIRE(xs_transaction_end(store, at, false));
}

void
frontend_says(const struct place *place, unsigned state)
{
	char text[12];

	snprintf(text, sizeof text, "%u", state);
	put(text, "%s/state", place->frontend);
}

void
frontend_sets_up(const struct place *place, unsigned reference, unsigned channel)
{
	char text[12];

	snprintf(text, sizeof text, "%u", reference);
	put(text, "%s/ring-ref", place->frontend);
	snprintf(text, sizeof text, "%u", channel);
	put(text, "%s/event-channel", place->frontend);
	put("x86_64-abi", "%s/protocol", place->frontend);
	frontend_says(place, 3);
}

void
wait_backend(const struct place *place, unsigned state)
{
	char text[12];

	snprintf(text, sizeof text, "%u", state);
	wait_for(text, "%s/state", place->backend);
}

/* ---- netbus-xenwatch ---- */

static void
run_watch(int to_monitor, int to_broker, const char *types)
{
	char path[1024];

	snprintf(path, sizeof path, "%.900s/netbus-xenwatch", getenv("NETBUS_BIN"));
	if (dup2(to_monitor, 30) < 0 || dup2(to_broker, 31) < 0 || dup2(30, 3) < 0 || dup2(31, 4) < 0)
		_exit(126);
	close_range(5, ~0U, 0);
	if (geteuid() == 0)
		execl(path, path, "--id", "9", "--serve", types, "--user", DROP_USER, (char *)NULL);
	execl(path, path, "--id", "9", "--serve", types, (char *)NULL);
	_exit(127);
}

void
watch_start_serving(const char *types)
{
	int monitors[2], brokers[2];

	REQUIRE(packet_pair(monitors) == 0 && packet_pair(brokers) == 0);
	fflush(stdout);
	watch_pid = fork();
	REQUIRE(watch_pid >= 0);
	if (watch_pid == 0)
		run_watch(monitors[1], brokers[1], types);
	close(monitors[1]);
	close(brokers[1]);
	monitor.fd = monitors[0];
	broker.fd = brokers[0];
}

/* "Uid:" and the like, of one thread. */
static bool
thread_says(const char *thread, const char *line)
{
	char path[PATH_LEN], status[8192];
	size_t length;
	FILE *file;

	snprintf(path, sizeof path, "/proc/%d/task/%.20s/status", watch_pid, thread);
	file = fopen(path, "re");
	REQUIRE(file != NULL);
	length = fread(status, 1, sizeof status - 1, file);
	fclose(file);
	status[length] = '\0';
	return strstr(status, line) != NULL;
}

void
require_of_threads(const char *line, unsigned least)
{
	char path[PATH_LEN];
	unsigned count = 0;
	DIR *threads;

	snprintf(path, sizeof path, "/proc/%d/task", watch_pid);
	threads = opendir(path);
	REQUIRE(threads != NULL);
	for (const struct dirent *entry; (entry = readdir(threads)) != NULL;)
		if (entry->d_name[0] != '.') {
			count++;
			if (!thread_says(entry->d_name, line)) {
				printf("thread %s: not '%s'\n", entry->d_name, line);
				exit(1);
			}
		}
	closedir(threads);
	REQUIRE(count >= least);
}

int
watch_end(void)
{
	int status = 0;

	close(monitor.fd);
	REQUIRE(waitpid(watch_pid, &status, 0) == watch_pid);
	watch_pid = 0;
	close(broker.fd);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void
watch_kill(void)
{
	kill(watch_pid, SIGKILL);
	waitpid(watch_pid, NULL, 0);
	watch_pid = 0;
	close(monitor.fd);
	close(broker.fd);
}

static void
end_watch_that_is_left(void)
{
	if (watch_pid > 0) {
		kill(watch_pid, SIGKILL);
		waitpid(watch_pid, NULL, 0);
	}
}

/* ---- messages ---- */

void
say(const struct peer *peer, uint16_t number, const void *message, int fd)
{
	uint8_t packet[LIMIT_CHANNEL_MESSAGE];
	int length = channel_encode(number, message, packet, sizeof packet);

	REQUIRE(length > 0);
	REQUIRE(packet_send(peer->fd, packet, (size_t)length, fd) == 0);
}

static ssize_t
take_packet(const struct peer *peer, uint8_t packet[static LIMIT_CHANNEL_MESSAGE], int milliseconds)
{
	struct pollfd ready = {.fd = peer->fd, .events = POLLIN};
	int fd = -1;
	ssize_t got;

	if (poll(&ready, 1, milliseconds) <= 0)
		return -EAGAIN;
	got = packet_recv(peer->fd, packet, LIMIT_CHANNEL_MESSAGE, &fd);
	REQUIRE(fd < 0);
	return got;
}

union channel_body
hear(const struct peer *peer, uint16_t number)
{
	uint8_t packet[LIMIT_CHANNEL_MESSAGE];
	union channel_body body;
	uint16_t heard = 0;
	ssize_t got = take_packet(peer, packet, MESSAGE_MS);

	if (got > 0)
		REQUIRE(channel_decode(packet, (size_t)got, &heard, &body) == 0);
	if (heard != number) {
		printf("heard %s, wanted %s\n",
		    heard      ? channel_row(heard)->type.name
		    : got == 0 ? "the end"
			       : "nothing",
		    channel_row(number)->type.name);
		exit(1);
	}
	REQUIRE(channel_permits(channel_row(heard), ROLE_XENWATCH, peer->role, CH_NEW, false) == 0);
	return body;
}

void
hear_nothing(const struct peer *peer, int milliseconds)
{
	uint8_t packet[LIMIT_CHANNEL_MESSAGE];

	REQUIRE(take_packet(peer, packet, milliseconds) == -EAGAIN);
}

bool
is_closed(const struct peer *peer)
{
	uint8_t packet[LIMIT_CHANNEL_MESSAGE];

	return take_packet(peer, packet, MESSAGE_MS) == 0;
}

/* ---- netbus-attach-xen ---- */

struct peer
attach_start(const struct place *place)
{
	const struct msg_xen_channel channel = {++last_attachment, place->domid, place->device};
	int ends[2];

	REQUIRE(packet_pair(ends) == 0);
	say(&monitor, MSG_XEN_CHANNEL, &channel, ends[1]);
	close(ends[1]);
	return (struct peer){ends[0], ROLE_ATTACH_XEN};
}

void
attach_ready(const struct peer *attach, bool connected)
{
	const struct msg_xen_ready ready = {.size = (UINT64_C(64) << 20) + 512,
	    .logical_block = 4096,
	    .physical_block = 8192,
	    .flags = DEVICE_FLUSH | DEVICE_DISCARD,
	    .rings = 4,
	    .connected = connected};

	say(attach, MSG_XEN_READY, &ready, -1);
}

struct peer
attach_ordered(const struct place *place)
{
	const struct msg_xen_ordered ordered = {place->domid, place->device, last_attachment + 1};
	struct msg_xen_disk ask = hear(&broker, MSG_XEN_DISK).xen_disk;
	struct peer attach;

	REQUIRE(ask.domid == place->domid && ask.device == place->device);
	say(&broker, MSG_XEN_ORDERED, &ordered, -1);
	attach = attach_start(place);
	attach_ready(&attach, false);
	return attach;
}

void
answer_rings(const struct peer *attach)
{
	const struct msg_xen_rings_up up = {.ok = 1};

	say(attach, MSG_XEN_RINGS_UP, &up, -1);
}

void
answer_close(const struct peer *attach, bool gone)
{
	REQUIRE(hear(attach, MSG_XEN_CLOSE).xen_close.gone == gone);
	say(attach, MSG_XEN_RINGS_DOWN, &(struct msg_xen_rings_down){0}, -1);
}

struct place
disk_served(unsigned domid)
{
	struct place place = place_of(0, "qdisk", domid, 51712);

	domain_make(domid, "web-1");
	watch_start_serving("netbus,qdisk");
	disk_make(&place, TARGET, "w");
	return place;
}

void
connect_rings(const struct peer *attach, const struct place *place)
{
	wait_backend(place, 2);
	frontend_sets_up(place, 8, 17);
	hear(attach, MSG_XEN_RINGS);
	answer_rings(attach);
	wait_backend(place, 4);
	frontend_says(place, 4);
}

struct peer
connect_disk(const struct place *place)
{
	struct peer attach = attach_ordered(place);

	connect_rings(&attach, place);
	return attach;
}

void
answer_end(const struct peer *attach)
{
	hear(attach, MSG_XEN_CLOSE);
	say(attach, MSG_XEN_RINGS_DOWN, &(struct msg_xen_rings_down){0}, -1);
}

/* ---- which ---- */

static const struct scenario *const groups[] = {
    toolstack_scenarios, guest_scenarios, operator_scenarios, failure_scenarios, model_scenarios};

static void
run(const struct scenario *scenario)
{
	store = xs_open(0);
	REQUIRE(store != NULL);
	xs_rm(store, XBT_NULL, "/local/domain"); /* of scenarios before this one */
	xs_rm(store, XBT_NULL, "/libxl");
	put("0", "/local/domain/0/domid");
	atexit(end_watch_that_is_left);
	scenario->run();
	exit(0);
}

int
main(int argc, char **argv)
{
	REQUIRE(argc == 2);
	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < ARRAY_LENGTH(groups); i++)
		for (const struct scenario *scenario = groups[i]; scenario->name; scenario++)
			if (strcmp(argv[1], "--list") == 0)
				puts(scenario->name);
			else if (strcmp(argv[1], scenario->name) == 0)
				run(scenario);
	return strcmp(argv[1], "--list") == 0 ? 0 : 2;
}
