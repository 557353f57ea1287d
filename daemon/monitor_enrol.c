/* SPDX-License-Identifier: Apache-2.0
 *
 * An enroller's side: a process for each newcomer, which has a channel to the broker and none to netbus-keys; and the CA's files, which go to netbus-keys.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "base/log.h"
#include "daemon/monitor.h"
#include "wire/limits.h"

static void
introduce(struct child *enrol, int channel)
{
	struct msg_peer_new to_broker = {.id = enrol->id, .kind = PEER_ENROL};

	memcpy(to_broker.source, enrol->source, sizeof to_broker.source);
	child_tell(enrol->monitor->broker, MSG_PEER_NEW, &to_broker, channel);
}

static int
begin(struct monitor *monitor, const char *source, int socket, struct error *error)
{
	struct child *enrol;
	int broker[2], code;

	if (monitor->phase != PHASE_RUNNING)
		return error_set(error, -ESHUTDOWN, "netbusd is stopping");
	if (monitor->sessions >= LIMIT_SESSIONS || child_is_behind(monitor->broker))
		return error_set(error, -EAGAIN, "there is too much to do");
	code = packet_pair(broker);
	if (code < 0)
		return error_errno(error, code, "cannot make a channel");
	enrol = child_start(
	    monitor, &(struct child_plan){.role = ROLE_ENROL, .fds = {broker[1], socket}, .fd_count = 2}, error);
	if (enrol) {
		snprintf(enrol->source, sizeof enrol->source, "%s", source);
		monitor->sessions++;
		introduce(enrol, broker[0]);
	}
	close(broker[0]);
	close(broker[1]);
	return enrol ? 0 : error->code;
}

void
enrol_accepted(struct monitor *monitor, const char *source, int socket)
{
	struct error error = {0};

	if (begin(monitor, source, socket, &error) < 0) {
		log_warning("a newcomer from %s is sent away: %s", source, error.text);
		session_settle(monitor, source, false);
	}
	close(socket);
}

void
enrol_ended(struct child *enrol, bool clean, const char *cause)
{
	struct monitor *monitor = enrol->monitor;
	struct msg_peer_gone gone = {.id = enrol->id, .clean = clean};

	monitor->sessions--;
	snprintf(gone.cause, sizeof gone.cause, "%s", cause);
	child_tell(monitor->broker, MSG_PEER_GONE, &gone, -1);
	if (!enrol->proved)
		session_settle(monitor, enrol->source, false);
}

/* ---- the CA's files ---- */

int
enrol_open_files(const struct monitor *monitor, uint8_t kinds[static AUTHORITY_FILES_MOST],
    int fds[static AUTHORITY_FILES_MOST], unsigned *count, struct error *error)
{
	static const struct {
		enum key_file_kind kind;
		const char *name;
		bool is_secret, may_lack;
	} files[AUTHORITY_FILES_MOST] = {{KEY_FILE_AUTHORITY, "ca.pem", false, false},
	    {KEY_FILE_AUTHORITY_KEY, "ca.key", true, false}, {KEY_FILE_CROSS, "cross.pem", false, true}};
	int code = 0;

	for (size_t i = 0; i < ARRAY_LENGTH(files) && monitor->config->enrol_listen[0] && code == 0; i++) {
		code = open_key_file(monitor->config->enrol_ca, files[i].name, files[i].is_secret, &fds[*count], error);
		if (code == 0)
			kinds[(*count)++] = (uint8_t)files[i].kind;
		else if (code == -ENOENT && files[i].may_lack)
			code = 0;
	}
	return code;
}
