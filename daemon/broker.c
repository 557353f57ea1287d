/* SPDX-License-Identifier: Apache-2.0
 *
 * netbus-broker: the process (start, channels to the monitor and to netbus-keys, orderly stop). What it decides is in broker_*.c.
 *
 * Descriptors: 3 monitor; the channels to netbus-keys, sessions and attachments, and the operators' socket come through it. The monitor is trusted.
 */
#include "daemon/broker.h"

#include <errno.h>
#include <sodium/core.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/sandbox.h"
#include "base/text.h"
#include "daemon/timers.h"

enum { FD_MONITOR = 3 };

#define RETRY_MS     1000u
#define STOP_SEAL_MS 2000u

static struct broker broker = {.admin_fd = -1, .keys = {.fd = -1}};

/* ---- for the other files ---- */

void
broker_fail(struct broker *self, const char *format, ...)
{
	char text[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	log_error("%s", text);
	loop_quit(self->loop, 1);
}

static void
told(int code)
{
	if (code < 0 && code != -EAGAIN)
		broker_fail(&broker, "the monitor does not take messages: %s", strerror(-code));
}

void
broker_tell_monitor(struct broker *self, uint16_t number, const void *message)
{
	int code = outbox_send(&self->outbox, number, message, -1);

	told(code == -EAGAIN ? outbox_keep(&self->outbox, number, message, -1) : code);
}

int
broker_record(struct broker *self, const struct record *record, uint64_t *seq, struct error *error)
{
	int code = db_begin(self->db, error);

	if (code < 0)
		return code;
	code = db_record(self->db, record, clock_wall_us(), seq, error);
	code = db_end(self->db, code, error);
	if (code == 0)
		broker_seal_soon(self);
	return code;
}

static void
on_retry(struct timer *timer)
{
	(void)timer;
	leases_retry(&broker);
	guests_finish(&broker);
}

void
broker_retry_soon(struct broker *self)
{
	timer_start(self->loop, &self->retry, RETRY_MS * NS_PER_MS, on_retry);
}

/* ---- stopping ---- */

static void
be_stopped(void)
{
	if (broker.stopped)
		return;
	broker.stopped = true;
	timer_stop(&broker.stop_late);
	events_flush(&broker); /* the monitor ends us as soon as it hears */
	broker_tell_monitor(&broker, MSG_STOPPED, &(struct msg_stopped){0});
}

static void
on_stop_late(struct timer *timer)
{
	(void)timer;
	log_warning("netbus-keys did not sign the last checkpoint of the audit trail in time");
	be_stopped();
}

void
broker_stop_go_on(struct broker *self)
{
	struct record record = {.event = EVENT_DAEMON_STOP};
	struct error error = {0};

	if (!self->stopping || self->stopped || self->leases || self->guests)
		return;
	if (!self->stop_recorded) {
		self->stop_recorded = true;
		if (broker_record(self, &record, NULL, &error) < 0)
			log_error("the stop cannot be recorded: %s", error.text);
		timer_start(self->loop, &self->stop_late, STOP_SEAL_MS * NS_PER_MS, on_stop_late);
		timer_stop(&self->seal);
		seal_start(self);
	}
	if (!self->sealing)
		be_stopped();
}

static void
stop(void)
{
	broker.stopping = true;
	for (struct lease *lease = broker.leases; lease; lease = lease->next)
		lease_end(lease, REASON_STOPPING, TIMER_CHANGE_COURTESY_MS, "the daemon is stopping");
	for (struct guest *guest = broker.guests, *next; guest; guest = next) {
		next = guest->next;
		guest_stop(guest, REASON_STOPPING);
	}
	guests_finish(&broker);
}

/* ---- messages ---- */

static void take_monitor_messages(void);

static void
on_keys(struct watch *watch, uint32_t events)
{
	struct channel_message message;
	int got;

	(void)watch, (void)events;
	while ((got = channel_recv(&broker.keys, &message)) > 0) {
		take_monitor_messages(); /* it introduced the process before netbus-keys heard of it */
		if (message.number == MSG_PROVED)
			process_proved(&broker, &message.body.proved);
		else if (message.number == MSG_SEALED)
			seal_done(&broker, &message.body.sealed);
		else if (message.number == MSG_ISSUED)
			enrol_issued(&broker, &message.body.issued);
	}
	if (got != -EAGAIN)
		broker_fail(&broker, "the channel to netbus-keys is gone");
}

static void
take_keys(int fd)
{
	broker.keys = (struct channel){.fd = fd, .self = ROLE_BROKER, .peer = ROLE_KEYS, .state = CH_NEW};
	if (watch_start(broker.loop, &broker.on_keys, fd, EPOLLIN, on_keys) < 0)
		broker_fail(&broker, "cannot watch the channel to netbus-keys");
}

static void
take_listening(const char *address)
{
	if (broker.listening_count < CONFIG_LISTEN_MAX)
		snprintf(broker.listening[broker.listening_count++], CONFIG_ADDRESS_LEN, "%s", address);
}

static void
reload(void)
{
	const struct policy_order order = {0};
	struct msg_reloaded reloaded = {.ok = 1};
	struct error error = {0};

	if (config_reload(&broker, &error) < 0 || policy_reload(&broker, &order, NULL, NULL, &error) < 0) {
		reloaded.ok = 0;
		snprintf(reloaded.text, sizeof reloaded.text, "%s", error.text);
	}
	broker_tell_monitor(&broker, MSG_RELOADED, &reloaded);
}

/* Takes message->fd. */
static void
take_monitor_message(struct channel_message *message)
{
	switch (message->number) {
	case MSG_PEER_NEW:
		if (message->body.peer_new.kind == PEER_KEYS)
			take_keys(message->fd);
		else if (message->body.peer_new.kind == PEER_XENWATCH)
			xen_watch_here(&broker, &message->body.peer_new, message->fd);
		else
			process_new(&broker, &message->body.peer_new, message->fd);
		return;
	case MSG_PEER_GONE:
		if (!xen_watch_gone(&broker, &message->body.peer_gone))
			process_gone(&broker, &message->body.peer_gone);
		return;
	case MSG_OPENED:
		session_opened(&broker, message->body.opened.id, message->fd);
		return;
	case MSG_OPEN_FAILED:
		session_open_failed(&broker, &message->body.open_failed);
		return;
	case MSG_FENCED:
		lease_fenced(&broker, &message->body.fenced);
		return;
	case MSG_ADMIN_SOCKET:
		admin_open(&broker, message->fd);
		return;
	case MSG_RELOAD:
		reload();
		return;
	case MSG_STOP:
		stop();
		return;
	case MSG_ATTACH_REFUSED:
		guest_refused(&broker, &message->body.attach_refused);
		return;
	case MSG_LISTENING:
		take_listening(message->body.listening.address);
		return;
	case MSG_ENROLLING:
		snprintf(broker.enrolling, sizeof broker.enrolling, "%s", message->body.enrolling.address);
		return;
	case MSG_RENEWED:
		renew_heard(&broker, &message->body.renewed);
		return;
	case MSG_IDENTITY_IS:
		broker.identity = message->body.identity_is;
		broker.has_identity = true;
		return;
	default:
		broker_fail(&broker, "the monitor sent a message that is not for the broker");
	}
}

static void
take_monitor_messages(void)
{
	struct channel_message message;
	int got;

	while ((got = channel_recv(&broker.monitor, &message)) > 0)
		take_monitor_message(&message);
	if (got != -EAGAIN)
		loop_quit(broker.loop, broker.stopped ? 0 : 1);
}

static void
on_monitor(struct watch *watch, uint32_t events)
{
	(void)watch;
	if (events & EPOLLOUT)
		told(outbox_flush(&broker.outbox));
	take_monitor_messages();
}

void
broker_catch_up(struct broker *self)
{
	if (self->keys.fd >= 0)
		on_keys(&self->on_keys, EPOLLIN);
}

/* ---- start ---- */

static int
load_config(struct error *error)
{
	struct faults faults;

	faults_init(&faults);
	broker.config = config_load(broker.config_path, broker.root, &faults);
	if (broker.config == NULL)
		error_set(error, -EINVAL, "%s", faults.first ? faults.first->text : "the configuration cannot be read");
	faults_clear(&faults);
	return broker.config ? 0 : -EINVAL;
}

/* The directories it may reach from now on. netbusd.yaml's is read again at a reload, and editors replace files rather than write into them. */
static int
confine(struct error *error)
{
	AUTO_FREE char *config_directory = strdup(broker.config_path);
	char *slash = config_directory ? strrchr(config_directory, '/') : NULL;
	int code;

	if (slash == NULL)
		return error_set(error, -EINVAL, "%s is no absolute path", broker.config_path);
	slash[slash == config_directory] = '\0';
	code = sandbox_paths(
	    (const char *const[]){config_directory, broker.config->policy_directory, "/etc/passwd", "/etc/group", NULL},
	    (const char *const[]){broker.config->state_directory, broker.config->log_directory, NULL}, error);
	if (code == 1)
		log_notice("this kernel has no Landlock: only file modes keep netbus-broker to its own directories");
	return code < 0 ? code : sandbox_lock(SANDBOX_PASS_FDS | SANDBOX_FILES | SANDBOX_ACCEPT, error);
}

static int
open_state(struct error *error)
{
	int code = broker_open_db(&broker, error);

	if (code == 0)
		code = leases_reconcile(&broker, &broker.orphans, error);
	if (code == 0)
		code = guests_reconcile(&broker, error);
	if (code == 0)
		code = shares_sync(&broker, error);
	return code == 0 ? policy_start(&broker, error) : code;
}

static int
start(struct error *error)
{
	struct record record = {.event = EVENT_DAEMON_START,
	    .detail = {{"version", NETBUS_VERSION, 0}, {"host", NULL, 0}, {"orphaned", NULL, 0}},
	    .detail_count = 3};
	int code;

	faults_init(&broker.faults);
	bucket_init(&broker.strangers, 1, LIMIT_STRANGERS, clock_monotonic_ns());
	broker.started_us = clock_wall_us();
	broker.monitor = (struct channel){.fd = FD_MONITOR, .self = ROLE_BROKER, .peer = ROLE_MONITOR, .state = CH_NEW};
	outbox_init(&broker.outbox, &broker.monitor, &broker.on_monitor);
	broker.loop = loop_new(error);
	if (broker.loop == NULL)
		return error->code;
	code = load_config(error);
	if (code == 0)
		code = confine(error);
	if (code == 0)
		code = tickets_load(broker.config, &broker.ticket_keys, error);
	if (code == 0)
		code = open_state(error);
	if (code < 0)
		return code;
	record.detail[1].text = broker.config->host.text;
	record.detail[2].number = broker.orphans;
	code = broker_record(&broker, &record, NULL, error);
	if (code < 0)
		return error_wrap(error, "the start cannot be recorded");
	events_begin(&broker);
	code = watch_start(broker.loop, &broker.on_monitor, FD_MONITOR, EPOLLIN, on_monitor);
	if (code < 0)
		return error_errno(error, code, "cannot watch the monitor");
	broker_tell_monitor(&broker, MSG_BROKER_READY,
	    &(struct msg_broker_ready){.generation = broker.policy ? policy_generation(broker.policy) : 0});
	return 0;
}

static int
adopt(struct error *error)
{
	int code = load_config(error);

	if (code == 0)
		code = confine(error);
	if (code == 0)
		code = broker_adopt(&broker, strcmp(broker.adopt, "keep") == 0, error);
	config_free(broker.config);
	return code;
}

static void
clean_up(void)
{
	admin_close(&broker);
	while (broker.processes)
		process_gone(&broker, &(struct msg_peer_gone){.id = broker.processes->id});
	defer_stop(&broker.ends);
	while (broker.leases)
		lease_free(broker.leases);
	xen_clear(&broker);
	limits_clear(&broker);
	outbox_clear(&broker.outbox);
	watch_stop(&broker.on_monitor);
	watch_stop(&broker.on_keys);
	if (broker.keys.fd >= 0)
		close(broker.keys.fd);
	for (struct guest *guest = broker.guests, *next; guest; guest = next) {
		next = guest->next;
		free(guest->order);
		free(guest);
	}
	timer_stop(&broker.retry);
	timer_stop(&broker.seal);
	timer_stop(&broker.stop_late);
	trial_clear(&broker);
	policy_free(broker.policy);
	free(broker.observed);
	faults_clear(&broker.faults);
	db_close(broker.db);
	config_free(broker.config);
	loop_free(broker.loop);
}

/* --id N --config PATH --root DIR [--adopt drop|keep]: by the monitor only. */
static int
take_arguments(int argc, char **argv, struct error *error)
{
	for (int i = 1; i + 1 < argc; i += 2) {
		if (strcmp(argv[i], "--config") == 0)
			broker.config_path = argv[i + 1];
		else if (strcmp(argv[i], "--root") == 0)
			broker.root = argv[i + 1];
		else if (strcmp(argv[i], "--adopt") == 0)
			broker.adopt = argv[i + 1];
	}
	return broker.config_path ? 0 : error_set(error, -EINVAL, "netbus-broker is started by netbusd, not by hand");
}

int
main(int argc, char **argv)
{
	struct error error = {0};
	int code;

	log_open("netbus-broker", LOG_INFO_);
	if (sodium_init() < 0) {
		log_error("libsodium cannot be set up");
		return 1;
	}
	if (sandbox_begin(&error) < 0 || take_arguments(argc, argv, &error) < 0 ||
	    (broker.adopt ? adopt(&error) : start(&error)) < 0) {
		log_error("%s", error.text);
		return 1;
	}
	/* Without what is called at an exit: a sanitizer's search for leaks needs files that are out of reach now. */
	if (broker.adopt)
		_exit(0);
	code = loop_run(broker.loop);
	clean_up();
	return code < 0 ? 1 : code;
}
