/* SPDX-License-Identifier: Apache-2.0
 *
 * The export host takes the share back (RELEASE, wire/PROTOCOL.md section 4): the guest sees the device go in an orderly way. Runs in netbus-attach.
 *
 * It is a request of a host that could as well have cut the connection, so that there is nothing to check but its limits; and a promise to
 * nobody: the exporter ends the lease at its deadline whatever happens here.
 */
#include <stdio.h>
#include <string.h>

#include "authz/reason.h"
#include "base/auto.h"
#include "base/log.h"
#include "daemon/attach.h"

#define TEXT_LEN 512

static const char *
mode_name(const struct attach *attach)
{
	return attach->release.told.mode == RELEASE_SOFT ? "soft" : "drain";
}

/* "soft, record 123" */
static const char *
how(const struct attach *attach, char text[static 48])
{
	unsigned long long record = attach->release.told.record;

	if (record)
		snprintf(text, 48, "%s, record %llu", mode_name(attach), record);
	else
		snprintf(text, 48, "%s", mode_name(attach));
	return text;
}

/* ---- leaving ---- */

static bool
is_lane_0_alone(const struct attach *attach)
{
	for (unsigned i = 1; i < LIMIT_LANES; i++)
		if (attach->lanes[i].state != LANE_IDLE)
			return false;
	return true;
}

/* Lane 0 is the last: its flush covers what was answered on the others, and its DETACH ends the lease. */
static void
leave(struct attach *attach)
{
	timer_stop(&attach->release.leave);
	attach->release.is_leaving = attach->detaching = true;
	guest_release(attach->guest);
	for (unsigned i = 1; i < LIMIT_LANES; i++)
		lane_leave(&attach->lanes[i]);
	release_go_on(attach);
}

void
release_go_on(struct attach *attach)
{
	const struct release *release = &attach->release;

	if (attach->over || !release->is_asked)
		return;
	if (!release->is_leaving && !attach->detaching && guest_is_idle(attach->guest))
		leave(attach);
	else if (release->is_leaving && is_lane_0_alone(attach))
		lane_leave(&attach->lanes[0]);
}

/* ---- asked ---- */

static void
on_leave_time(struct timer *timer)
{
	leave(CONTAINER_OF(timer, struct attach, release.leave));
}

static void
say_what_happens(const struct attach *attach, uint32_t deadline_ms)
{
	char text[48];

	if (attach->release.told.mode == RELEASE_SOFT)
		log_notice("host %s takes the share %s back (%s): new requests are refused, then it detaches",
		    attach->exporter, attach->order.share, how(attach, text));
	else
		log_notice("host %s takes the share %s back (%s): the guest goes on, without new connections, for "
			   "at most %u ms",
		    attach->exporter, attach->order.share, how(attach, text), deadline_ms);
}

static void
drain(struct attach *attach, uint32_t deadline_ms)
{
	guest_drain(attach->guest);
	timer_start(attach->loop, &attach->release.leave, (deadline_ms - release_lead_ms(deadline_ms)) * NS_PER_MS,
	    on_leave_time);
	release_go_on(attach);
}

void
release_take(struct attach *attach, const struct msg_release *told)
{
	struct release *release = &attach->release;
	uint64_t by_ns = loop_now(attach->loop) + told->deadline_ms * NS_PER_MS;

	if (attach->over || attach->detaching || !attach->is_up || (release->is_asked && by_ns >= release->by_ns))
		return;
	if (!release->is_asked) {
		release->is_asked = true;
		release->told = *told;
		say_what_happens(attach, told->deadline_ms);
	}
	release->by_ns = by_ns;
	if (release->told.mode == RELEASE_SOFT)
		leave(attach);
	else
		drain(attach, told->deadline_ms);
}

/* ---- the end ---- */

void
release_end(struct attach *attach, uint16_t reason, uint64_t record, const char *text)
{
	const struct release *release = &attach->release;
	char full[TEXT_LEN], mode[48];

	if (release->is_leaving && reason == REASON_DETACHED) {
		snprintf(full, sizeof full,
		    "host %s took the share %s back (%s): what the guest had asked for is answered; %s",
		    attach->exporter, attach->order.share, how(attach, mode), text);
		reason = release->told.reason;
		record = release->told.record;
	} else if (release->is_asked && reason != REASON_DETACHED && reason != REASON_STOPPING) {
		snprintf(full, sizeof full, "host %s took the share %s back (%s), and it did not end in order: %s",
		    attach->exporter, attach->order.share, how(attach, mode), text);
		record = record ? record : release->told.record;
	} else if (reason == REASON_REVOKED) {
		snprintf(full, sizeof full, "host %s took the share %s back at once: %s", attach->exporter,
		    attach->order.share, text);
	} else {
		snprintf(full, sizeof full, "%s", text);
	}
	attach_over(attach, reason, record, full);
}
