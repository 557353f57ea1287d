/* SPDX-License-Identifier: Apache-2.0
 *
 * The zygote (daemon/session_zygote.c): a process that a new session is forked of, since to execute one takes milliseconds and a megabyte. It answers in
 * order; whoever waits has been promised nothing yet, and neither broker nor netbus-keys knows of it. Where there is no zygote, or it is being made,
 * sessions are executed, so that nobody waits for it and everything works without it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "base/log.h"
#include "daemon/monitor.h"

/* After one that never got ready. */
#define AGAIN_NS (60 * NS_PER_SEC)
/* To fork once; much longer than it takes on the busiest machine, and much less than a peer waits for its handshake. */
#define LATE_NS (2 * NS_PER_SEC)

/* A session that was asked for. Counts as one (monitor->sessions). */
struct nascent {
	struct nascent *next;
	char source[64];
	int socket, channel; /* of the peer; our end of the one to the session */
};

/* ---- who waits ---- */

static void
on_late(struct timer *timer)
{
	struct zygote *zygote = CONTAINER_OF(timer, struct zygote, late);

	if (zygote->child)
		child_kill(zygote->child, "it does not answer");
}

/* Who is first now waits from now on. */
static void
watch_the_first(struct monitor *monitor)
{
	struct zygote *zygote = &monitor->zygote;

	if (zygote->first)
		timer_start(monitor->loop, &zygote->late, LATE_NS, on_late);
	else
		timer_stop(&zygote->late);
}

static struct nascent *
nascent_take_first(struct monitor *monitor)
{
	struct zygote *zygote = &monitor->zygote;
	struct nascent *nascent = zygote->first;

	if (nascent == NULL)
		return NULL;
	zygote->first = nascent->next;
	if (zygote->first == NULL)
		zygote->last = &zygote->first;
	monitor->sessions--;
	watch_the_first(monitor);
	return nascent;
}

static void
nascent_put_last(struct monitor *monitor, struct nascent *nascent)
{
	struct zygote *zygote = &monitor->zygote;

	if (zygote->first == NULL)
		zygote->last = &zygote->first;
	*zygote->last = nascent;
	zygote->last = &nascent->next;
	monitor->sessions++;
	if (zygote->first == nascent)
		watch_the_first(monitor);
}

/* The session's end of a new channel, or negative. */
static int
nascent_open_channel(struct nascent *nascent)
{
	int ends[2], code = packet_pair(ends);

	if (code < 0)
		return code;
	nascent->channel = ends[0];
	return ends[1];
}

bool
zygote_ask(struct monitor *monitor, const char *source, int socket)
{
	struct zygote *zygote = &monitor->zygote;
	AUTO_FREE struct nascent *nascent = NULL;
	AUTO_CLOSE int theirs = -1;

	if (zygote->child == NULL || !zygote->ready)
		return false;
	nascent = calloc(1, sizeof *nascent);
	theirs = nascent ? nascent_open_channel(nascent) : -1;
	if (theirs < 0)
		return false;
	nascent->socket = socket;
	snprintf(nascent->source, sizeof nascent->source, "%s", source);
	nascent_put_last(monitor, TAKE(nascent));
	child_tell(zygote->child, MSG_SESSION_FORK, &(struct msg_session_fork){0}, theirs);
	return true;
}

/* There is no process for it: another way is taken. */
static void
execute(struct monitor *monitor, struct nascent *owned)
{
	AUTO_FREE struct nascent *nascent = owned;
	struct error error = {0};
	struct child *session = NULL;

	close(nascent->channel);
	if (monitor->phase == PHASE_RUNNING)
		session = child_start(monitor, &(struct child_plan){.role = ROLE_SESSION}, &error);
	else
		error_set(&error, -ESHUTDOWN, "netbusd is stopping");
	session_begin(monitor, session, nascent->source, nascent->socket, &error);
}

/* ---- what it says ---- */

static void
take_forked(struct monitor *monitor, const struct msg_session_forked *forked)
{
	AUTO_FREE struct nascent *nascent = nascent_take_first(monitor);
	struct error error = {0};
	struct child *session;

	if (nascent == NULL) {
		child_kill(monitor->zygote.child, "it told of a session that nobody asked for");
	} else if (forked->pid == 0) {
		log_warning("a session could not be forked: %s", forked->text);
		execute(monitor, TAKE(nascent));
	} else {
		session = child_adopt(monitor, ROLE_SESSION, (pid_t)forked->pid, nascent->channel, &error);
		session_begin(monitor, session, nascent->source, nascent->socket, &error);
	}
}

void
zygote_said(struct child *zygote, const struct channel_message *message)
{
	if (message->number == MSG_SESSION_FORKED)
		take_forked(zygote->monitor, &message->body.session_forked);
	else
		zygote->monitor->zygote.ready = true;
}

/* ---- its life ---- */

static void
on_again(struct timer *timer)
{
	zygote_start(CONTAINER_OF(timer, struct monitor, zygote.again));
}

void
zygote_start(struct monitor *monitor)
{
	struct error error = {0};
	struct zygote *zygote = &monitor->zygote;

	zygote->ready = false;
	zygote->child =
	    child_start(monitor, &(struct child_plan){.role = ROLE_ZYGOTE, .arguments = {"--zygote"}}, &error);
	if (zygote->child == NULL) {
		log_warning("each session is executed by itself, which takes longer: %s", error.text);
		timer_start(monitor->loop, &zygote->again, AGAIN_NS, on_again);
	}
}

/* What it said before its end counts: of those sessions we are the parent. */
static void
hear_last_words(struct child *child)
{
	struct channel_message message;

	while (child->channel.fd >= 0 && channel_recv(&child->channel, &message) > 0)
		zygote_said(child, &message);
}

void
zygote_ended(struct child *child, bool clean, const char *cause)
{
	struct monitor *monitor = child->monitor;
	struct zygote *zygote = &monitor->zygote;
	struct nascent *nascent;
	bool was_ready;

	(void)clean;
	hear_last_words(child);
	was_ready = zygote->ready;
	zygote->child = NULL;
	zygote->ready = false;
	zygote->stray |= zygote->first != NULL;
	while ((nascent = nascent_take_first(monitor)) != NULL)
		execute(monitor, nascent);
	if (monitor->phase >= PHASE_STOPPING)
		return;
	if (was_ready || child->cause[0]) {
		log_notice("the zygote of netbus-session ended: %s; another one takes its place", cause);
		zygote_start(monitor);
		return;
	}
	log_warning(
	    "the zygote of netbus-session did not come up: %s; each session is executed by itself, which takes longer",
	    cause);
	timer_start(monitor->loop, &zygote->again, AGAIN_NS, on_again);
}

void
zygote_replace(struct monitor *monitor)
{
	struct zygote *zygote = &monitor->zygote;

	if (zygote->child == NULL)
		return;
	zygote->ready = false; /* at once: the next session is executed */
	child_kill(zygote->child, "a session crashed");
}

void
zygote_clear(struct monitor *monitor)
{
	struct nascent *nascent;

	timer_stop(&monitor->zygote.again);
	timer_stop(&monitor->zygote.late);
	while ((nascent = nascent_take_first(monitor)) != NULL) {
		close(nascent->socket);
		close(nascent->channel);
		free(nascent);
	}
}
