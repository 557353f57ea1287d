/* SPDX-License-Identifier: Apache-2.0
 *
 * netbus-xenwatch: the only process that talks to xenstore (daemon/xenwatch.h). It finds the disks that are to be served, says what the guests may see of them, and tells
 * netbus-attach-xen which rings to map. It holds no ring, no device and no key; it parses what guests write into xenstore.
 *
 * Descriptors: 3 monitor, 4 broker. Arguments: --id N --serve TYPE[,TYPE] [--user NAME]. It starts with what it takes to open xenstore, which makes a thread that only reads; then
 * it gives that up, for both.
 */
#include "daemon/xenwatch.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/sandbox.h"

enum { FD_MONITOR = 3, FD_BROKER = 4 };

/* Watch events are taken as they come, or the library would keep them for us without a limit; but others get their turn. */
#define EVENTS_A_TURN 4096u

#define PULSE_NS (5 * NS_PER_SEC)

#define TOKEN_BACKEND "backend"
#define TOKEN_RELEASE "release"

static struct xenwatch self;

/* ---- to the broker ---- */

static void
lost(const char *whom, int code)
{
	log_error("the channel to %s is gone: %s", whom, strerror(-code));
	loop_quit(self.loop, EXIT_FAILURE);
}

void
xenwatch_tell(struct xenwatch *xenwatch, uint16_t number, const void *message)
{
	int code = outbox_send(&xenwatch->outbox, number, message, -1);

	if (code == -EAGAIN)
		code = outbox_keep(&xenwatch->outbox, number, message, -1);
	if (code < 0)
		lost("the broker", code);
}

/* ---- the store ---- */

void
xenwatch_lost_store(struct xenwatch *xenwatch)
{
	log_error("the connection to xenstored is gone");
	loop_quit(xenwatch->loop, EXIT_FAILURE);
}

static void
on_sweep(struct defer *defer)
{
	(void)defer;
	for (struct disk *disk = self.disks; disk; disk = disk->next)
		disk_look_if_touched(disk);
	for (struct disk *next, *disk = self.disks; disk; disk = next) {
		next = disk->next;
		if (disk->is_forgotten)
			disk_free(disk);
	}
}

void
xenwatch_sweep(struct xenwatch *xenwatch)
{
	defer_start(xenwatch->loop, &xenwatch->sweep, on_sweep);
}

/* /local/domain/D/device/vbd/V/state, as we asked for it. */
static void
touch_frontend(const char *path)
{
	for (struct disk *disk = self.disks; disk; disk = disk->next) {
		size_t length = strlen(disk->frontend);

		if (strncmp(path, disk->frontend, length) == 0 && path[length] == '/')
			disk_touch(disk);
	}
}

static void
take_event(char **event)
{
	const char *path = event[XS_WATCH_PATH], *token = event[XS_WATCH_TOKEN];

	if (strcmp(token, TOKEN_FRONTEND) == 0)
		touch_frontend(path);
	else if (strcmp(token, TOKEN_BACKEND) == 0)
		find_at(&self, path);
	else if (strcmp(token, TOKEN_RELEASE) == 0)
		for (struct disk *disk = self.disks; disk; disk = disk->next)
			disk_check_domain(disk);
}

static void take_events(void);

static void
on_more(struct timer *timer)
{
	(void)timer;
	take_events();
}

static void
take_events(void)
{
	for (unsigned i = 0; i < EVENTS_A_TURN; i++) {
		AUTO_FREE char **event = xs_check_watch(self.store.handle);

		if (event == NULL && errno == EAGAIN)
			return;
		if (event == NULL)
			self.store.is_broken = true;
		else
			take_event(event);
		if (self.store.is_broken) {
			xenwatch_lost_store(&self);
			return;
		}
	}
	timer_start(self.loop, &self.more, 1, on_more);
}

static void
on_store(struct watch *watch, uint32_t events)
{
	(void)watch, (void)events;
	take_events();
}

/* libxenstore does not say that its daemon is gone to who only waits for watches. */
static void
on_pulse(struct timer *timer)
{
	char value[XEN_VALUE_MOST + 1];

	store_read(&self.store, XBT_NULL, "domid", value);
	if (self.store.is_broken)
		xenwatch_lost_store(&self);
	timer_start(self.loop, timer, PULSE_NS, on_pulse);
}

static int
watch_store(struct error *error)
{
	char path[STORE_PATH_LEN];
	bool is_watched = xs_watch(self.store.handle, "@releaseDomain", TOKEN_RELEASE);

	for (unsigned i = 0; i < self.type_count && is_watched; i++) {
		if (path_print(path, sizeof path, "/local/domain/%u/backend/%s", self.store.domid, self.types[i]) < 0)
			return error_set(error, -ENAMETOOLONG, "--serve: '%s' is no backend type", self.types[i]);
		is_watched = xs_watch(self.store.handle, path, TOKEN_BACKEND);
	}
	return is_watched ? 0 : error_errno(error, -errno, "cannot watch xenstore");
}

/* ---- what the monitor and the broker say ---- */

static void
take_channel(const struct channel_message *message)
{
	const struct msg_xen_channel *told = &message->body.xen_channel;
	struct disk *disk = disk_find(&self, told->domid, told->device);

	if (disk == NULL)
		disk = disk_new(&self, told->domid, told->device, DISK_OWN_TYPE);
	if (disk)
		disk_channel(disk, message->fd);
	else
		close(message->fd);
}

static void
on_monitor(struct watch *watch, uint32_t events)
{
	struct channel_message message;
	int got;

	(void)watch, (void)events;
	while ((got = channel_recv(&self.monitor, &message)) > 0)
		take_channel(&message);
	if (got != -EAGAIN)
		loop_quit(self.loop, got == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
}

static void
take_over(const struct msg_xen_over *over)
{
	struct disk *disk = disk_find(&self, over->domid, over->device);

	if (disk == NULL)
		return;
	if (over->again && disk->has_nodes)
		disk_wait(disk, over->text);
	else
		disk_refuse(disk, over->text);
}

static void
take_removal(const struct msg_xen_remove *removal)
{
	const struct msg_xen_gone gone = {removal->domid, removal->device};
	struct disk *disk = disk_find(&self, removal->domid, removal->device);

	if (disk)
		disk_remove(disk);
	else
		xenwatch_tell(&self, MSG_XEN_GONE, &gone);
}

/* XEN_ORDERED needs nothing: what comes is a channel, or XEN_OVER. */
static void
take_broker_message(const struct channel_message *message)
{
	switch (message->number) {
	case MSG_XEN_PLACE:
		place_answer(&self, &message->body.xen_place);
		return;
	case MSG_XEN_OVER:
		take_over(&message->body.xen_over);
		return;
	case MSG_XEN_REMOVE:
		take_removal(&message->body.xen_remove);
		return;
	}
}

static void
on_broker(struct watch *watch, uint32_t events)
{
	struct channel_message message;
	int got;

	(void)watch;
	if ((events & EPOLLOUT) && (got = outbox_flush(&self.outbox)) < 0 && got != -EAGAIN)
		lost("the broker", got);
	while ((got = channel_recv(&self.broker, &message)) > 0)
		take_broker_message(&message);
	if (got == 0)
		loop_quit(self.loop, EXIT_SUCCESS);
	else if (got != -EAGAIN)
		lost("the broker", got);
}

/* ---- start ---- */

/* "netbus,qdisk": cut in place. */
static int
take_types(char *list, struct error *error)
{
	for (char *rest = list, *type; (type = strsep(&rest, ",")) != NULL;) {
		if (type[0] == '\0' || strspn(type, "abcdefghijklmnopqrstuvwxyz") != strlen(type) ||
		    strlen(type) > 15 || self.type_count == DISK_TYPES_MAX)
			return error_set(
			    error, -EINVAL, "--serve: must be up to %u backend types, as netbus,qdisk", DISK_TYPES_MAX);
		self.types[self.type_count++] = type;
	}
	return 0;
}

static int
take_arguments(int argc, char **argv, struct error *error)
{
	static char standard[] = DISK_OWN_TYPE ",qdisk";
	char *types = standard;

	for (int i = 1; i + 1 < argc; i += 2)
		if (strcmp(argv[i], "--id") == 0)
			log_label(argv[i + 1]);
		else if (strcmp(argv[i], "--serve") == 0)
			types = argv[i + 1];
		else if (strcmp(argv[i], "--user") == 0)
			self.user = argv[i + 1];
		else
			return error_set(
			    error, -EINVAL, "unknown argument '%s' (netbusd starts this program)", argv[i]);
	return take_types(types, error);
}

/* As long as it may: afterwards nothing can be opened. xs_fileno() makes a pipe. */
static int
open_all(struct error *error)
{
	int code = store_open(&self.store, error);

	if (code == 0)
		code = watch_store(error);
	if (code < 0)
		return code;
	self.loop = loop_new(error);
	if (self.loop == NULL)
		return error->code;
	self.monitor = (struct channel){.fd = FD_MONITOR, .self = ROLE_XENWATCH, .peer = ROLE_MONITOR, .state = CH_NEW};
	self.broker = (struct channel){.fd = FD_BROKER, .self = ROLE_XENWATCH, .peer = ROLE_BROKER, .state = CH_NEW};
	outbox_init(&self.outbox, &self.broker, &self.on_broker);
	code = watch_start(self.loop, &self.on_monitor, FD_MONITOR, EPOLLIN, on_monitor);
	if (code == 0)
		code = watch_start(self.loop, &self.on_broker, FD_BROKER, EPOLLIN, on_broker);
	if (code == 0)
		code = watch_start(self.loop, &self.on_store, xs_fileno(self.store.handle), EPOLLIN, on_store);
	return code < 0 ? error_errno(error, code, "cannot watch a descriptor (netbusd starts this program)") : 0;
}

static void
clean_up(void)
{
	while (self.disks)
		disk_free(self.disks);
	watch_stop(&self.on_monitor);
	watch_stop(&self.on_broker);
	watch_stop(&self.on_store);
	defer_stop(&self.sweep);
	timer_stop(&self.more);
	timer_stop(&self.pulse);
	outbox_clear(&self.outbox);
	loop_free(self.loop);
}

int
main(int argc, char **argv)
{
	struct error error = {0};
	int code;

	log_open("netbus-xenwatch", LOG_INFO_);
	if (sandbox_begin(&error) < 0 || take_arguments(argc, argv, &error) < 0 || open_all(&error) < 0 ||
	    sandbox_become(self.user, &error) < 0 || sandbox_lock(SANDBOX_PASS_FDS | SANDBOX_THREADS, &error) < 0) {
		log_error("%s", error.text);
		return EXIT_FAILURE;
	}
	/* Processes that live have their channels here before their disks are found. */
	on_monitor(&self.on_monitor, 0);
	find_all(&self);
	timer_start(self.loop, &self.pulse, PULSE_NS, on_pulse);
	log_info("watching xenstore as domain %u", self.store.domid);
	code = loop_run(self.loop);
	clean_up();
	return code == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
