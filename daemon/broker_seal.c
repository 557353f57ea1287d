/* SPDX-License-Identifier: Apache-2.0
 *
 * Checkpoints of the audit trail: soon after the trail grew, netbus-keys signs its size and root, and the note is put beside the trail. Copied
 * elsewhere, it shows later that the trail was not cut or rewritten.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/fd.h"
#include "base/log.h"
#include "crypto/seal.h"
#include "daemon/broker.h"

#define SEAL_PAUSE_MS 1000u
/* A checkpoint takes syncs, for which somebody whose lease is ending would wait: it is put off, once. */
#define PUT_OFF_MS 100u

static bool
some_lease_ends(const struct broker *broker)
{
	const struct lease *lease = broker->leases;

	while (lease && lease->core.phase != LEASE_ENDING)
		lease = lease->next;
	return lease != NULL;
}

static void
on_pause_over(struct timer *timer)
{
	struct broker *broker = CONTAINER_OF(timer, struct broker, seal);

	broker->seal_put_off = !broker->seal_put_off && some_lease_ends(broker);
	if (broker->seal_put_off) {
		timer_start(broker->loop, timer, PUT_OFF_MS * NS_PER_MS, on_pause_over);
		return;
	}
	seal_start(broker);
	db_tidy(broker->db);
}

void
broker_seal_soon(struct broker *broker)
{
	if (!broker->sealing && broker->seal.loop == NULL)
		timer_start(
		    broker->loop, &broker->seal, broker->sealed_lines ? SEAL_PAUSE_MS * NS_PER_MS : 0, on_pause_over);
}

void
seal_start(struct broker *broker)
{
	struct checkpoint checkpoint = {0};
	struct db_head head;
	struct msg_seal seal = {0};
	int length;

	if (broker->sealing || broker->seal_refused || broker->keys.fd < 0 || !broker->has_identity)
		return;
	db_settle(broker->db);
	db_head(broker->db, &head);
	if (head.size == broker->sealed_lines)
		return;
	snprintf(checkpoint.origin, sizeof checkpoint.origin, "%.180s/%s", broker->identity.trust_domain,
	    broker->identity.host);
	checkpoint.size = head.size;
	memcpy(checkpoint.root, head.root, sizeof checkpoint.root);
	length = checkpoint_print(&checkpoint, (char *)seal.note.bytes, sizeof seal.note.bytes);
	if (length < 0)
		return;
	seal.note.length = (uint16_t)length;
	broker->sealing = true;
	if (channel_send(&broker->keys, MSG_SEAL, &seal, -1) < 0)
		broker_fail(broker, "netbus-keys does not take messages");
}

/* What was signed, read back from the note itself: its second line. */
static uint64_t
lines_of(const struct msg_sealed *sealed)
{
	char text[300];
	const char *end;

	snprintf(text, sizeof text, "%.*s", (int)sealed->note.length, (const char *)sealed->note.bytes);
	end = strchr(text, '\n');
	return end ? strtoull(end + 1, NULL, 10) : 0;
}

void
seal_done(struct broker *broker, const struct msg_sealed *sealed)
{
	struct error error = {0};
	struct db_head head;

	broker->sealing = false;
	if (sealed->note.length == 0) {
		if (!broker->seal_refused)
			log_warning("the audit trail has no signed checkpoints: netbus-keys has no seal key of this "
				    "host's name (netbus-admin pki issue makes one)");
		broker->seal_refused = true;
	} else if (file_replace(
		       broker->config->audit_checkpoint, sealed->note.bytes, sealed->note.length, 0644, &error) < 0) {
		log_error("the checkpoint cannot be written: %s", error.text);
	} else {
		broker->sealed_lines = lines_of(sealed);
	}
	db_head(broker->db, &head); /* the trail may have grown meanwhile */
	if (broker->stopping && head.size != broker->sealed_lines)
		seal_start(broker);
	else if (head.size != broker->sealed_lines && !broker->seal_refused)
		broker_seal_soon(broker);
	if (broker->stopping)
		broker_stop_go_on(broker);
}
