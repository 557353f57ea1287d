/* SPDX-License-Identifier: Apache-2.0
 *
 * netbus-keys: holds our private key, the trust bundle and the seal key, and does three things with them: signs our side of TLS handshakes, says
 * who a peer is (to the broker first), seals checkpoints of the audit trail. On an enroller it holds the CA's key too, and certifies hosts' keys with it. Started once by the monitor, which hands over the files' descriptors.
 *
 * Hostile: what comes from sessions and attachments, which is what their peers said. Trusted: the monitor; the broker, which nevertheless gets
 * nothing signed but checkpoints.
 *
 * Descriptors: 3 monitor; the others come over it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/sandbox.h"
#include "daemon/keys.h"

enum { FD_MONITOR = 3 };

static struct keys {
	struct loop *loop;
	struct channel monitor, broker; /* broker.fd -1 until the monitor introduces it */
	struct watch on_monitor, on_broker;
	struct key_files files;
	struct desks desks;
	bool over;
} keys = {.broker = {.fd = -1}};

static void
finish(int exit_code)
{
	keys.over = true;
	loop_quit(keys.loop, exit_code);
}

/* ---- the broker ---- */

/* Without a broker nothing that is proved could be used; the monitor ends all when it goes. */
static void
lose_broker(void)
{
	watch_stop(&keys.on_broker);
	if (keys.broker.fd >= 0)
		close(keys.broker.fd);
	keys.broker.fd = -1;
}

static int
tell_proved(uint32_t id, const struct proved_peer *peer)
{
	struct msg_proved proved = {.id = id, .not_after_us = (uint64_t)peer->not_after_us};
	int code;

	if (keys.broker.fd < 0)
		return -EPIPE;
	copy_text(proved.host, sizeof proved.host, peer->host.text);
	copy_text(proved.fingerprint, sizeof proved.fingerprint, peer->fingerprint);
	code = channel_send(&keys.broker, MSG_PROVED, &proved, -1);
	if (code < 0)
		log_error("cannot tell netbus-broker who the peer of process %u is: %s", id, strerror(-code));
	return code;
}

static int
answer_seal(const struct msg_seal *seal)
{
	struct msg_sealed sealed = {0};
	char note[sizeof sealed.note.bytes];
	int length = keys.files.current ? keystore_seal(keys.files.current, (const char *)seal->note.bytes,
					      seal->note.length, note, sizeof note)
					: -ENOKEY;

	if (length > 0) {
		memcpy(sealed.note.bytes, note, (size_t)length);
		sealed.note.length = (uint16_t)length;
	} else if (length != -ENOKEY) {
		log_error("a text of netbus-broker was not sealed, since it is not a checkpoint under the seal key's "
			  "name: %s",
		    strerror(-length));
	}
	return channel_send(&keys.broker, MSG_SEALED, &sealed, -1);
}

static int
answer_issue(const struct msg_issue *issue)
{
	struct msg_issued issued;

	enrol_answer(&keys.files, issue, &issued);
	return channel_send(&keys.broker, MSG_ISSUED, &issued, -1);
}

static void
on_broker(struct watch *watch, uint32_t events)
{
	struct channel_message message;
	int got = channel_recv(&keys.broker, &message);

	(void)watch, (void)events;
	if (got == -EAGAIN)
		return;
	if (got > 0 && message.number == MSG_SEAL && answer_seal(&message.body.seal) == 0)
		return;
	if (got > 0 && message.number == MSG_ISSUE && answer_issue(&message.body.issue) == 0)
		return;
	lose_broker(); /* if it is not the end, the monitor says so */
}

static void
take_broker(int fd)
{
	int code;

	lose_broker();
	keys.broker = (struct channel){.fd = fd, .self = ROLE_KEYS, .peer = ROLE_BROKER, .state = CH_NEW};
	code = watch_start(keys.loop, &keys.on_broker, fd, EPOLLIN, on_broker);
	if (code < 0) {
		log_error("cannot watch the channel to netbus-broker: %s", strerror(-code));
		finish(EXIT_FAILURE);
	}
}

/* ---- the monitor ---- */

static void
commit(const struct msg_keys_commit *commit)
{
	struct msg_keys_ready ready;

	key_files_commit(&keys.files, commit->host, &ready);
	if (channel_send(&keys.monitor, MSG_KEYS_READY, &ready, -1) < 0)
		finish(EXIT_FAILURE);
}

static void
take_monitor_message(struct channel_message *message)
{
	switch (message->number) {
	case MSG_KEY_FILE:
		key_files_add(&keys.files, message->body.key_file.kind, message->fd);
		return;
	case MSG_KEYS_COMMIT:
		commit(&message->body.keys_commit);
		return;
	case MSG_KEYS_PEER:
		desk_open(&keys.desks, &message->body.keys_peer, message->fd);
		return;
	case MSG_KEYS_BROKER:
		take_broker(message->fd);
		return;
	default:
		log_error("the monitor sent message %u, which is not for netbus-keys", message->number);
		if (message->fd >= 0)
			close(message->fd);
		finish(EXIT_FAILURE);
	}
}

static void
on_monitor(struct watch *watch, uint32_t events)
{
	struct channel_message message;
	int got = 0;

	(void)watch, (void)events;
	while (!keys.over && (got = channel_recv(&keys.monitor, &message)) > 0)
		take_monitor_message(&message);
	if (!keys.over && got != -EAGAIN)
		finish(got == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
}

/* ---- start ---- */

static int
prepare(struct error *error)
{
	int code = keystore_prepare(error);

	if (code < 0)
		return code;
	if (code > 0)
		log_warning("the system lets this process lock no memory (RLIMIT_MEMLOCK): keys could be written to "
			    "swap space");
	keys.loop = loop_new(error);
	if (keys.loop == NULL)
		return error->code;
	keys.monitor = (struct channel){.fd = FD_MONITOR, .self = ROLE_KEYS, .peer = ROLE_MONITOR, .state = CH_NEW};
	keys.desks = (struct desks){.loop = keys.loop, .files = &keys.files, .tell_proved = tell_proved};
	code = watch_start(keys.loop, &keys.on_monitor, FD_MONITOR, EPOLLIN, on_monitor);
	return code < 0
		   ? error_errno(error, code, "cannot watch the channel to the monitor (netbusd starts this program)")
		   : 0;
}

static void
clean_up(void)
{
	desks_clear(&keys.desks);
	lose_broker();
	key_files_clear(&keys.files);
	watch_stop(&keys.on_monitor);
	loop_free(keys.loop);
}

int
main(int argc, char **argv)
{
	struct error error = {0};
	int code;

	log_open("netbus-keys", LOG_INFO_);
	log_label(argc > 2 ? argv[2] : NULL);
	/* SANDBOX_FILE_IO: key files are read with pread(2). */
	if (sandbox_begin(&error) < 0 || prepare(&error) < 0 ||
	    sandbox_lock(SANDBOX_PASS_FDS | SANDBOX_FILE_IO, &error) < 0) {
		log_error("%s", error.text);
		return EXIT_FAILURE;
	}
	code = loop_run(keys.loop);
	clean_up();
	return code == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
