/* SPDX-License-Identifier: Apache-2.0
 *
 * generator NAME=VALUE...: keeps `depth` requests in flight on each of `lanes` connections from one thread, and prints what came of it as one line of JSON. See
 * struct options (generator.h) for the names. The same code drives Netbus, its peers and the limit server, so that a difference is the servers'.
 */
#include "tests/bench/generator.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/bytes.h"
#include "tests/bench/server_cpu.h"

#define INPUT_ROOM ((size_t)256 << 10)
/* So many leave before the rest of the input is looked at, so that the server works while we do. */
#define REQUESTS_PER_FLUSH 16
#define NS                 UINT64_C(1000000000)
#define WARM_BYTES         (64u << 10)
#define WARM_UP_NS         (NS * 3 / 10)
/* Latencies: 64 steps for each power of two. */
#define STEPS   64u
#define BUCKETS (64 * STEPS)

static struct options options = {.speak = "netbus",
    .op = "read",
    .bytes = 4096,
    .depth = 32,
    .lanes = 1,
    .parallel = 8,
    .seconds = 2,
    .vm = "acme/vm",
    .share = ""};

/* A slot that waits for its time; all wait equally long, so that who came first goes first. */
struct paused {
	struct paused *next;
	struct lane *lane;
	unsigned number;
	uint64_t until_ns;
};

static struct {
	uint64_t begin_ns, end_ns; /* of what counts */
	uint64_t requests, counted, random;
	uint64_t latencies[BUCKETS];
	uint8_t *payload;
	unsigned warm_lanes, lost_lanes;
	int epoll;
	uint64_t in_flight;
	bool over; /* nothing new begins */
	struct paused *first_paused, **last_paused;
	uint64_t meter_at, server_ns; /* when the server's CPU time is read next; that of what counted, at the end */
} run;

static uint64_t
now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS + (uint64_t)now.tv_nsec;
}

/* ---- connections ---- */

static int
connect_path(const char *path)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(to.sun_path, sizeof to.sun_path, "%s", path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) != 0)
		bulk_die("%s: %s", path, strerror(errno));
	return fd;
}

int
lane_connect(const struct options *to)
{
	const char *colon = strrchr(to->connect, ':');
	struct sockaddr_in address = {.sin_family = AF_INET};
	char host[64];
	int fd;

	if (to->connect[0] == '/')
		return connect_path(to->connect);
	snprintf(host, sizeof host, "%.*s", colon ? (int)(colon - to->connect) : 0, to->connect);
	if (colon == NULL || inet_pton(AF_INET, host, &address.sin_addr) != 1)
		bulk_die("connect=%s: HOST:PORT or a path", to->connect);
	address.sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
	fd = socket(AF_INET, SOCK_STREAM, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
		bulk_die("%s: %s", to->connect, strerror(errno));
	return fd;
}

const uint8_t *
lane_need(struct lane *lane, size_t length)
{
	bulk_flush(&lane->bulk);
	while (lane->end - lane->start < length) {
		ssize_t got = bulk_read(&lane->bulk, lane->in + lane->end, INPUT_ROOM - lane->end);

		if (got == 0)
			bulk_die("lane %u: the server closed the connection", lane->number);
		if (got > 0) {
			lane->end += (size_t)got;
			continue;
		}
		lane->bulk.drained = false;
		lane->bulk.blocking = true;
	}
	lane->start += length;
	return lane->in + lane->start - length;
}

static void
lane_open(struct lane *lane, unsigned number, const struct lane *first)
{
	*lane = (struct lane){
	    .options = &options,
	    .protocol = strcmp(options.speak, "netbus") == 0 ? &netbus_protocol : &nbd_protocol,
	    .number = number,
	    .in = malloc(INPUT_ROOM),
	    .slots = calloc(options.depth, sizeof lane->slots[0]),
	};
	if (lane->in == NULL || lane->slots == NULL)
		bulk_die("out of memory");
	lane->protocol->open(lane, first);
	if (options.rekey)
		bulk_rekey(&lane->bulk, options.rekey);
}

static void
lane_clear(struct lane *lane)
{
	for (unsigned number = 0; number < options.depth; number++)
		free(lane->slots[number].buffer);
	bulk_close(&lane->bulk);
	free(lane->in);
	free(lane->slots);
}

static void
lane_close(struct lane *lane)
{
	lane->protocol->leave(lane);
	lane_clear(lane);
}

/* ---- requests ---- */

static uint64_t
next_random(void)
{
	run.random ^= run.random << 13;
	run.random ^= run.random >> 7;
	run.random ^= run.random << 17;
	return run.random;
}

static bool
verifies(void)
{
	return strcmp(options.op, "verify") == 0;
}

/* Every slot of every lane has blocks of its own, so that what was written can be held against what is read. */
static uint64_t
own_offset(const struct lane *lane, unsigned number)
{
	uint64_t lanes = options.each ? 1 : options.lanes; /* of one share */
	uint64_t places = lane->size / options.bytes, each = places / (options.depth * lanes);
	uint64_t slot = (uint64_t)(options.each ? 0 : lane->number) * options.depth + number;

	if (each == 0)
		bulk_die("the share is too small for depth, lanes and bytes");
	return (slot * each + next_random() % each) * options.bytes;
}

/* Says where it is, and which write of which lane it is of: one that was lost, or is another's, shows. */
static void
stamp(struct lane *lane, struct slot *slot)
{
	slot->mark = (++lane->rounds << 16 | (lane->number & 0xffff)) * UINT64_C(0x9e3779b97f4a7c15);
	for (uint32_t at = 0; at + 16 <= slot->length; at += 16) {
		put_be64(slot->buffer + at, slot->offset + at);
		put_be64(slot->buffer + at + 8, slot->mark);
	}
}

static void
check_stamp(const struct lane *lane, const struct slot *slot)
{
	for (uint32_t at = 0; at + 16 <= slot->length; at += 16)
		if (get_be64(slot->buffer + at) != slot->offset + at || get_be64(slot->buffer + at + 8) != slot->mark)
			bulk_die("lane %u: wrong data at %llu", lane->number, (unsigned long long)slot->offset + at);
}

static enum io_op
next_op(const struct slot *slot, bool is_first)
{
	if (verifies())
		return is_first || slot->buffer == NULL || slot->op == IO_READ ? IO_WRITE : IO_READ;
	if (strcmp(options.op, "mix") == 0)
		return next_random() & 1 << 20 ? IO_READ : IO_WRITE;
	return strcmp(options.op, "write") == 0 ? IO_WRITE : IO_READ;
}

/* At first each lane goes once over the whole device, so that no page of it is touched for the first time while it counts. */
static bool
warm_up(struct lane *lane, struct slot *slot, unsigned number)
{
	if (lane->warm >= lane->size || run.begin_ns != UINT64_MAX)
		return false;
	slot->op = strcmp(options.op, "read") == 0 ? IO_READ : IO_WRITE;
	slot->offset = lane->warm;
	slot->length = lane->size - lane->warm < WARM_BYTES ? (uint32_t)(lane->size - lane->warm) : WARM_BYTES;
	lane->warm += slot->length;
	if (lane->warm >= lane->size && ++run.warm_lanes == options.lanes) {
		run.begin_ns = now_ns() + WARM_UP_NS;
		run.end_ns = run.begin_ns + (uint64_t)(options.seconds * 1e9);
		run.meter_at = run.begin_ns;
	}
	lane->protocol->request(lane, slot, number, run.payload);
	return true;
}

static void
begin(struct lane *lane, unsigned number, bool is_first)
{
	struct slot *slot = &lane->slots[number];
	bool verify = verifies();

	lane->begun++;
	run.in_flight++;
	slot->began_ns = now_ns();
	if (warm_up(lane, slot, number))
		return;
	slot->op = next_op(slot, is_first);
	slot->length = options.bytes;
	if (!verify || slot->op == IO_WRITE)
		slot->offset =
		    verify ? own_offset(lane, number) : next_random() % (lane->size / options.bytes) * options.bytes;
	if (verify && slot->buffer == NULL)
		slot->buffer = malloc(slot->length);
	if (verify && slot->op == IO_WRITE)
		stamp(lane, slot);
	lane->protocol->request(lane, slot, number, verify ? slot->buffer : run.payload);
}

static unsigned
bucket_of(uint64_t ns)
{
	unsigned power = 63U - (unsigned)__builtin_clzll(ns | STEPS);

	return (power - 5) * STEPS + (unsigned)(ns >> (power - 6) & (STEPS - 1));
}

static uint64_t
value_of(unsigned bucket)
{
	unsigned power = bucket / STEPS + 5;

	return (UINT64_C(1) << power) + ((uint64_t)(bucket % STEPS) << (power - 6));
}

static void
pause_slot(struct lane *lane, unsigned number, uint64_t now)
{
	struct paused *paused = malloc(sizeof *paused);

	if (paused == NULL)
		bulk_die("out of memory");
	*paused = (struct paused){.lane = lane, .number = number, .until_ns = now + options.pause_ms * (NS / 1000)};
	*run.last_paused = paused;
	run.last_paused = &paused->next;
}

/* The server's CPU time, at the begin and at the end of what counts. */
static void
meter(uint64_t now)
{
	uint64_t total = options.server ? server_cpu_ns(options.server) : 0;

	run.meter_at = now < run.end_ns ? run.end_ns : UINT64_MAX;
	run.server_ns = total - run.server_ns;
}

static void
finish(struct lane *lane, struct slot *slot)
{
	uint64_t now = now_ns();

	run.requests++;
	run.in_flight--;
	if (now >= run.meter_at)
		meter(now);
	if (now >= run.begin_ns && now < run.end_ns) {
		run.counted++;
		run.latencies[bucket_of(now - slot->began_ns)]++;
	}
	if (slot->buffer != NULL && slot->op == IO_READ && slot->length == options.bytes)
		check_stamp(lane, slot);
	if (options.total ? run.requests * options.bytes >= options.total : now >= run.end_ns)
		run.over = true;
	if (options.pause_ms && !run.over)
		pause_slot(lane, (unsigned)(slot - lane->slots), now);
	else if (!run.over || (verifies() && slot->op == IO_WRITE)) /* nothing that was written is left unread */
		begin(lane, (unsigned)(slot - lane->slots), false);
}

/* Takes what is in the input. */
static void
take_replies(struct lane *lane)
{
	for (;;) {
		size_t here = lane->end - lane->start, part = here < lane->missing ? here : lane->missing;

		if (lane->reading && lane->reading->buffer)
			memcpy(lane->reading->buffer + lane->reading->length - lane->missing, lane->in + lane->start,
			    part);
		lane->start += part;
		lane->missing -= (uint32_t)part;
		if (lane->missing > 0)
			break;
		if (lane->reading)
			finish(lane, TAKE(lane->reading));
		if (lane->end - lane->start < lane->protocol->header)
			break;
		lane->reading = lane->protocol->reply(lane, lane->in + lane->start, &lane->missing);
		lane->start += lane->protocol->header;
		if (lane->reading && lane->missing != (lane->reading->op == IO_READ ? lane->reading->length : 0))
			bulk_die("lane %u: a reply with %u bytes, which are not those asked for", lane->number,
			    lane->missing);
	}
	memmove(lane->in, lane->in + lane->start, lane->end - lane->start);
	lane->end -= lane->start;
	lane->start = 0;
}

static void
lose(struct lane *lane)
{
	if (!options.outlive)
		bulk_die("lane %u: the server closed the connection", lane->number);
	epoll_ctl(run.epoll, EPOLL_CTL_DEL, lane->bulk.fd, NULL);
	if (++run.lost_lanes == options.lanes)
		bulk_die("all lanes were taken back");
}

/* All that came in is answered with new requests, which leave together. */
static void
turn(struct lane *lane)
{
	ssize_t got;

	lane->bulk.drained = false;
	while ((got = bulk_read(&lane->bulk, lane->in + lane->end, INPUT_ROOM - lane->end)) > 0) {
		lane->end += (size_t)got;
		take_replies(lane);
		if (lane->begun >= REQUESTS_PER_FLUSH || options.bytes >= BULK_RECORD) {
			bulk_flush(&lane->bulk);
			lane->begun = 0;
		}
	}
	if (got == 0) {
		lose(lane);
		return;
	}
	while (bulk_flush(&lane->bulk) == -EAGAIN) { /* the server answers before it reads on: read, too */
		struct pollfd either = {.fd = lane->bulk.fd, .events = POLLIN | POLLOUT};

		poll(&either, 1, options.spin ? 0 : -1);
		lane->bulk.drained = false;
		got = bulk_read(&lane->bulk, lane->in + lane->end, INPUT_ROOM - lane->end);
		lane->end += got > 0 ? (size_t)got : 0;
		take_replies(lane);
	}
}

/* All lanes that have something to say. True: so has standard input. */
static bool
take_turns(int epoll, int wait_ms)
{
	struct epoll_event ready[64];
	int count = epoll_wait(epoll, ready, ARRAY_LENGTH(ready), wait_ms);
	bool told = false;

	for (int i = 0; i < count; i++)
		if (ready[i].data.ptr != NULL)
			turn(ready[i].data.ptr);
		else
			told = true;
	return told;
}

/* Those whose time has come ask again. Milliseconds until the next one's. */
static int
resume_slots(void)
{
	uint64_t now = now_ns();
	struct paused *paused;

	while ((paused = run.first_paused) != NULL && (paused->until_ns <= now || run.over)) {
		run.first_paused = paused->next;
		if (run.first_paused == NULL)
			run.last_paused = &run.first_paused;
		if (!run.over) {
			begin(paused->lane, paused->number, false);
			turn(paused->lane);
		}
		free(paused);
	}
	return paused ? (int)((paused->until_ns - now) * 1000 / NS) + 1 : 1000;
}

static void
load(int epoll, struct lane *lanes)
{
	run.last_paused = &run.first_paused;
	for (unsigned i = 0; i < options.lanes; i++) {
		for (unsigned number = 0; number < options.depth; number++)
			begin(&lanes[i], number, true);
		turn(&lanes[i]);
	}
	while (!run.over || run.in_flight > 0) {
		int wait_ms = resume_slots();

		take_turns(epoll, options.spin ? 0 : wait_ms);
		if (now_ns() >= run.end_ns)
			run.over = true;
	}
	resume_slots();
}

/* ---- what came of it ---- */

static double
percentile_us(double part)
{
	uint64_t wanted = (uint64_t)((double)run.counted * part), seen = 0;

	for (unsigned i = 0; i < BUCKETS; i++) {
		seen += run.latencies[i];
		if (seen > wanted)
			return (double)value_of(i) / 1000;
	}
	return 0;
}

static void
report(const struct lane *lanes, double seconds)
{
	struct rusage usage;
	uint64_t calls = 0, sent = 0, received = 0;

	for (unsigned i = 0; i < options.lanes; i++) {
		calls += lanes[i].bulk.calls;
		sent += lanes[i].bulk.rekeys_sent;
		received += lanes[i].bulk.rekeys_received;
	}
	getrusage(RUSAGE_SELF, &usage);
	printf("{\"iops\":%.0f,\"mb_s\":%.1f,\"p50_us\":%.1f,\"p99_us\":%.1f,\"p999_us\":%.1f,\"requests\":%llu,\"cpu_"
	       "s\":%.3f,\"calls\":%llu,\"rekeys_sent\":%llu,\"rekeys_received\":%llu,\"server_us_io\":%.3f}\n",
	    (double)run.counted / seconds, (double)run.counted * options.bytes / seconds / 1e6, percentile_us(.5),
	    percentile_us(.99), percentile_us(.999), (unsigned long long)run.requests,
	    (double)usage.ru_utime.tv_sec + (double)usage.ru_stime.tv_sec +
		(double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6,
	    (unsigned long long)calls, (unsigned long long)sent, (unsigned long long)received,
	    run.counted ? (double)run.server_ns / 1000 / (double)run.counted : 0);
	fflush(stdout);
}

/* One after the other; those that are up are heard meanwhile, since a lane that does not answer is taken for lost. */
static void
open_lanes(int epoll, struct lane *lanes)
{
	for (unsigned i = 0; i < options.lanes; i++) {
		struct epoll_event event = {.events = EPOLLIN, .data.ptr = &lanes[i]};

		lane_open(&lanes[i], i, options.each || i == 0 ? NULL : &lanes[0]);
		if (epoll_ctl(epoll, EPOLL_CTL_ADD, lanes[i].bulk.fd, &event) != 0)
			bulk_die("cannot watch lane %u: %s", i, strerror(errno));
		take_turns(epoll, 0);
	}
}

/* A file has its line, or its end, at once, and cannot be watched. */
static void
wait_for_line(int epoll)
{
	struct epoll_event event = {.events = EPOLLIN};
	char line[64];

	if (epoll_ctl(epoll, EPOLL_CTL_ADD, STDIN_FILENO, &event) == 0) {
		while (!take_turns(epoll, -1))
			continue;
		epoll_ctl(epoll, EPOLL_CTL_DEL, STDIN_FILENO, NULL);
	}
	if (read(STDIN_FILENO, line, sizeof line) < 0)
		bulk_die("cannot read a line: %s", strerror(errno));
}

/* Each lane is left, then each is read to its end, which comes when the server is done with it. */
static void
leave_lanes(struct lane *lanes)
{
	for (unsigned i = 0; i < options.lanes; i++)
		lanes[i].protocol->leave(&lanes[i]);
	for (unsigned i = 0; i < options.lanes; i++)
		do {
			lanes[i].bulk.drained = false;
			lanes[i].bulk.blocking = true;
		} while (bulk_read(&lanes[i].bulk, lanes[i].in, INPUT_ROOM) != 0);
}

static void
run_load(void)
{
	struct lane *lanes = calloc(options.lanes, sizeof *lanes);
	int epoll = run.epoll = epoll_create1(0);
	uint64_t began;

	run.payload = malloc(options.bytes + WARM_BYTES);
	memset(run.payload, 0xa5, options.bytes + WARM_BYTES);
	open_lanes(epoll, lanes);
	if (options.hold) {
		printf("holding\n");
		fflush(stdout);
		wait_for_line(epoll);
	}
	began = now_ns();
	run.begin_ns = run.end_ns = UINT64_MAX; /* when it is warm: warm_up() */
	if (options.total || options.cold || strcmp(options.op, "verify") == 0) {
		run.begin_ns = began;
		run.end_ns = options.total ? UINT64_MAX : began + (uint64_t)(options.seconds * 1e9);
	}
	run.meter_at = run.begin_ns;
	load(epoll, lanes);
	report(lanes, options.total ? (double)(now_ns() - began) / 1e9 : options.seconds);
	if (options.stay) {
		wait_for_line(epoll);
		leave_lanes(lanes);
	}
	for (unsigned i = 0; i < options.lanes; i++)
		lane_clear(&lanes[i]);
	free(lanes);
	free(run.payload);
	close(epoll);
}

/* ---- opening and closing ---- */

static void
open_one(unsigned number)
{
	struct slot slot = {.op = IO_READ, .length = options.bytes};
	struct lane lane;

	lane_open(&lane, number, NULL);
	lane.slots[0] = slot;
	lane.protocol->request(&lane, &slot, 0, NULL);
	lane_need(&lane, lane.protocol->header + options.bytes);
	lane_close(&lane);
}

static void *
open_many(void *argument)
{
	_Atomic unsigned *left = argument;
	unsigned mine;

	while ((mine = (*left)--) > 0 && mine <= options.opens)
		open_one(mine % options.parallel);
	return NULL;
}

static void
run_opens(void)
{
	_Atomic unsigned left = options.opens;
	pthread_t *threads = calloc(options.parallel, sizeof *threads);
	uint64_t began;

	open_one(0); /* does not count; what all connections share is made here, by one thread */
	began = now_ns();
	for (unsigned i = 0; i < options.parallel; i++)
		if (pthread_create(&threads[i], NULL, open_many, &left) != 0)
			bulk_die("no thread");
	for (unsigned i = 0; i < options.parallel; i++)
		pthread_join(threads[i], NULL);
	printf("{\"opens_s\":%.1f}\n", options.opens / ((double)(now_ns() - began) / 1e9));
}

/* ---- options ---- */

static void
take_option(const char *name, const char *value)
{
	const struct {
		const char *name, **into;
	} texts[] = {{"speak", &options.speak}, {"connect", &options.connect}, {"certificate", &options.certificate},
	    {"key", &options.key}, {"ca", &options.ca}, {"share", &options.share}, {"vm", &options.vm},
	    {"op", &options.op}};
	const struct {
		const char *name;
		unsigned *into;
	} numbers[] = {{"bytes", &options.bytes}, {"depth", &options.depth}, {"lanes", &options.lanes},
	    {"parallel", &options.parallel}, {"opens", &options.opens}, {"server", &options.server},
	    {"pause_ms", &options.pause_ms}};

	for (size_t i = 0; i < ARRAY_LENGTH(texts); i++)
		if (strcmp(texts[i].name, name) == 0) {
			*texts[i].into = value;
			return;
		}
	for (size_t i = 0; i < ARRAY_LENGTH(numbers); i++)
		if (strcmp(numbers[i].name, name) == 0) {
			*numbers[i].into = (unsigned)strtoul(value, NULL, 10);
			return;
		}
	if (strcmp(name, "seconds") == 0)
		options.seconds = strtod(value, NULL);
	else if (strcmp(name, "total") == 0)
		options.total = strtoull(value, NULL, 10);
	else if (strcmp(name, "rekey") == 0)
		options.rekey = strtoull(value, NULL, 10);
	else if (strcmp(name, "spin") == 0)
		options.spin = strcmp(value, "1") == 0;
	else if (strcmp(name, "cold") == 0)
		options.cold = strcmp(value, "1") == 0;
	else if (strcmp(name, "each") == 0)
		options.each = strcmp(value, "1") == 0;
	else if (strcmp(name, "outlive") == 0)
		options.outlive = strcmp(value, "1") == 0;
	else if (strcmp(name, "hold") == 0)
		options.hold = strcmp(value, "1") == 0;
	else if (strcmp(name, "stay") == 0)
		options.stay = strcmp(value, "1") == 0;
	else
		bulk_die("%s=%s: no such option", name, value);
}

int
main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		char *value = strchr(argv[i], '=');

		if (value == NULL)
			bulk_die("%s: NAME=VALUE is wanted", argv[i]);
		*value = '\0';
		take_option(argv[i], value + 1);
	}
	if (options.connect == NULL || options.bytes == 0 || options.depth == 0 || options.lanes == 0 ||
	    options.parallel == 0)
		bulk_die("connect=HOST:PORT is wanted, and numbers above 0");
	signal(SIGPIPE, SIG_IGN);
	run.random = now_ns() | 1;
	if (options.opens)
		run_opens();
	else
		run_load();
	return 0;
}
