/* SPDX-License-Identifier: Apache-2.0
 *
 * A test's netbus-xenwatch, which has no Xen: it says to broker and monitor what a line of `xenwatch.in` (a FIFO beside the program) tells it to, over the real channels, and
 * writes each message that it gets into `xenwatch.out`, a line each.
 *
 *   disk DOMID DEVICE DOMAIN UUID|- VDEV EXPORTER SHARE ro|rw     placed ATTACHMENT ok|no DOMID DOMAIN UUID|- [TEXT]     gone DOMID DEVICE     held DOMID DEVICE
 *   close DOMID DEVICE (to its netbus-attach-xen)     stray (what it may not say)     exit CODE
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "authz/reason.h"
#include "base/auto.h"
#include "base/log.h"
#include "daemon/channel.h"

enum { FD_MONITOR = 3, FD_BROKER = 4, DISKS_MOST = 128, WORDS_MOST = 16 };

struct disk {
	struct channel channel;
	uint32_t domid, device;
};

static struct {
	char directory[4000];
	FILE *in, *out;
	struct channel monitor, broker;
	struct disk disks[DISKS_MOST];
	size_t count;
} self;

__attribute__((format(printf, 1, 2))) static void
say(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vfprintf(self.out, format, arguments);
	va_end(arguments);
	fputc('\n', self.out);
	fflush(self.out);
}

static void
tell(struct channel *channel, uint16_t number, const void *message)
{
	int code = channel_send(channel, number, message, -1);

	if (code < 0)
		say("error %u %s", number, strerror(-code));
}

/* ---- what it is told to say ---- */

static uint32_t
number_of(const char *word)
{
	return (uint32_t)strtoul(word, NULL, 10);
}

static struct disk *
find(uint32_t domid, uint32_t device)
{
	for (size_t i = 0; i < self.count; i++)
		if (self.disks[i].domid == domid && self.disks[i].device == device && self.disks[i].channel.fd >= 0)
			return &self.disks[i];
	return NULL;
}

static void
say_disk(char **words)
{
	struct msg_xen_disk disk = {
	    .domid = number_of(words[1]), .device = number_of(words[2]), .mode = strcmp(words[8], "rw") == 0};

	snprintf(disk.domain, sizeof disk.domain, "%s", words[3]);
	snprintf(disk.uuid, sizeof disk.uuid, "%s", strcmp(words[4], "-") == 0 ? "" : words[4]);
	snprintf(disk.vdev, sizeof disk.vdev, "%s", words[5]);
	snprintf(disk.exporter, sizeof disk.exporter, "%s", words[6]);
	snprintf(disk.share, sizeof disk.share, "%s", words[7]);
	tell(&self.broker, MSG_XEN_DISK, &disk);
}

static void
say_placed(char **words, int count)
{
	struct msg_xen_placed placed = {
	    .attachment = number_of(words[1]), .ok = strcmp(words[2], "ok") == 0, .domid = number_of(words[3])};
	size_t used = 0;

	snprintf(placed.domain, sizeof placed.domain, "%s", words[4]);
	snprintf(placed.uuid, sizeof placed.uuid, "%s", strcmp(words[5], "-") == 0 ? "" : words[5]);
	for (int i = 6; i < count; i++)
		used +=
		    (size_t)snprintf(placed.text + used, sizeof placed.text - used, "%s%s", i > 6 ? " " : "", words[i]);
	tell(&self.broker, MSG_XEN_PLACED, &placed);
}

static void
say_close(char **words)
{
	struct disk *disk = find(number_of(words[1]), number_of(words[2]));

	if (disk)
		tell(&disk->channel, MSG_XEN_CLOSE, &(struct msg_xen_close){.gone = 1});
	else
		say("error no such disk");
}

static void
obey(char *line)
{
	char *words[WORDS_MOST], *rest = NULL;
	int count = 0;

	for (char *word = strtok_r(line, " \n", &rest); word && count < WORDS_MOST; word = strtok_r(NULL, " \n", &rest))
		words[count++] = word;
	if (count == 9 && strcmp(words[0], "disk") == 0)
		say_disk(words);
	else if (count >= 6 && strcmp(words[0], "placed") == 0)
		say_placed(words, count);
	else if (count == 3 && strcmp(words[0], "gone") == 0)
		tell(&self.broker, MSG_XEN_GONE,
		    &(struct msg_xen_gone){.domid = number_of(words[1]), .device = number_of(words[2])});
	else if (count == 3 && strcmp(words[0], "held") == 0)
		tell(&self.broker, MSG_XEN_HELD,
		    &(struct msg_xen_held){.domid = number_of(words[1]), .device = number_of(words[2])});
	else if (count == 3 && strcmp(words[0], "close") == 0)
		say_close(words);
	else if (count == 1 && strcmp(words[0], "stray") == 0)
		tell(&self.broker, MSG_LEAVE, &(struct msg_leave){0});
	else if (count == 2 && strcmp(words[0], "exit") == 0)
		exit((int)number_of(words[1]));
	else if (count)
		say("error what is '%s' with %d words?", words[0], count);
}

/* ---- what it hears ---- */

static void
hear_monitor(const struct channel_message *message)
{
	const struct msg_xen_channel *channel = &message->body.xen_channel;
	struct disk *disk = &self.disks[self.count++ % DISKS_MOST];

	*disk = (struct disk){.domid = channel->domid, .device = channel->device};
	disk->channel =
	    (struct channel){.fd = message->fd, .self = ROLE_XENWATCH, .peer = ROLE_ATTACH_XEN, .state = CH_NEW};
	say("channel %u/%u attachment %u", channel->domid, channel->device, channel->attachment);
}

static void
hear_broker(const struct channel_message *message)
{
	const union channel_body *body = &message->body;

	if (message->number == MSG_XEN_PLACE)
		say("place %u %s %u %s %s %s", body->xen_place.attachment, body->xen_place.domain,
		    body->xen_place.device, body->xen_place.exporter, body->xen_place.share,
		    body->xen_place.mode ? "rw" : "ro");
	else if (message->number == MSG_XEN_ORDERED)
		say("ordered %u/%u attachment %u", body->xen_ordered.domid, body->xen_ordered.device,
		    body->xen_ordered.attachment);
	else if (message->number == MSG_XEN_OVER)
		say("over %u/%u %s %s %s", body->xen_over.domid, body->xen_over.device,
		    body->xen_over.again ? "again" : "final", reason_name(body->xen_over.reason), body->xen_over.text);
	else if (message->number == MSG_XEN_REMOVE)
		say("remove %u/%u", body->xen_remove.domid, body->xen_remove.device);
}

static void
hear_disk(const struct disk *disk, const struct channel_message *message)
{
	if (message->number == MSG_XEN_READY)
		say("ready %u/%u size %llu", disk->domid, disk->device,
		    (unsigned long long)message->body.xen_ready.size);
	else if (message->number == MSG_XEN_RINGS_DOWN)
		say("rings-down %u/%u", disk->domid, disk->device);
}

/* ---- the process ---- */

static void
begin(int argc, char **argv)
{
	char path[4096];
	ssize_t length = readlink("/proc/self/exe", self.directory, sizeof self.directory - 1);
	char *slash = length > 0 ? strrchr(self.directory, '/') : NULL;
	int fd;

	if (slash == NULL)
		exit(9);
	*slash = '\0';
	snprintf(path, sizeof path, "%s/xenwatch.in", self.directory);
	fd = open(path, O_RDWR | O_CLOEXEC); /* so that it never ends */
	self.in = fd < 0 ? NULL : fdopen(fd, "r");
	snprintf(path, sizeof path, "%s/xenwatch.out", self.directory);
	self.out = fopen(path, "a");
	if (self.in == NULL || self.out == NULL)
		exit(9);
	setvbuf(self.in, NULL, _IONBF, 0);
	self.monitor = (struct channel){.fd = FD_MONITOR, .self = ROLE_XENWATCH, .peer = ROLE_MONITOR, .state = CH_NEW};
	self.broker = (struct channel){.fd = FD_BROKER, .self = ROLE_XENWATCH, .peer = ROLE_BROKER, .state = CH_NEW};
	fprintf(self.out, "started");
	for (int i = 3; i < argc; i++) /* after --id N */
		fprintf(self.out, " %s", argv[i]);
	say("%s", "");
}

static void
hear_all(void)
{
	struct channel_message message;
	int got;

	while ((got = channel_recv(&self.monitor, &message)) > 0)
		if (message.number == MSG_XEN_CHANNEL)
			hear_monitor(&message);
	if (got == 0)
		exit(0);
	while (channel_recv(&self.broker, &message) > 0)
		hear_broker(&message);
	for (size_t i = 0; i < self.count && i < DISKS_MOST; i++) {
		struct disk *disk = &self.disks[i];

		while (disk->channel.fd >= 0 && (got = channel_recv(&disk->channel, &message)) > 0)
			hear_disk(disk, &message);
		if (disk->channel.fd >= 0 && got != -EAGAIN) {
			say("parted %u/%u", disk->domid, disk->device);
			close(take_fd(&disk->channel.fd));
		}
	}
}

int
main(int argc, char **argv)
{
	char line[2048];

	log_open("netbus-xenwatch", LOG_INFO_);
	begin(argc, argv);
	for (;;) {
		struct pollfd polls[3 + DISKS_MOST] = {{.fd = FD_MONITOR, .events = POLLIN},
		    {.fd = FD_BROKER, .events = POLLIN}, {.fd = fileno(self.in), .events = POLLIN}};
		nfds_t count = 3;

		for (size_t i = 0; i < self.count && i < DISKS_MOST; i++)
			polls[count++] = (struct pollfd){.fd = self.disks[i].channel.fd, .events = POLLIN};
		if (poll(polls, count, -1) < 0)
			return 9;
		hear_all();
		if (polls[2].revents & POLLIN && fgets(line, sizeof line, self.in))
			obey(line);
	}
}
