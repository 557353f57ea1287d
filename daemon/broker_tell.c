/* SPDX-License-Identifier: Apache-2.0
 *
 * From the broker to the monitor. What ends many leases at once (a stop, a revoke, a host that goes) says more than a channel holds: what does not
 * fit waits here, in order, until the monitor has read on. There is at most a message or two for each lease and process.
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/broker.h"

struct outgoing {
	struct outgoing *next;
	uint16_t number;
	union channel_body body; /* only the struct of the message is there */
};

static int
keep(struct broker *broker, uint16_t number, const void *message)
{
	size_t size = channel_row(number)->type.size;
	struct outgoing *outgoing = malloc(offsetof(struct outgoing, body) + size);

	if (outgoing == NULL)
		return -ENOMEM;
	outgoing->next = NULL;
	outgoing->number = number;
	memcpy(&outgoing->body, message, size);
	*broker->outgoing_end = outgoing;
	broker->outgoing_end = &outgoing->next;
	return watch_change(&broker->on_monitor, EPOLLIN | EPOLLOUT);
}

void
broker_tell_monitor(struct broker *broker, uint16_t number, const void *message)
{
	int code = broker->outgoing ? -EAGAIN : channel_send(&broker->monitor, number, message, -1);

	if (code == -EAGAIN)
		code = keep(broker, number, message);
	if (code < 0)
		broker_fail(broker, "the monitor does not take messages: %s", strerror(-code));
}

static void
forget_first(struct broker *broker)
{
	struct outgoing *first = broker->outgoing;

	broker->outgoing = first->next;
	if (broker->outgoing == NULL)
		broker->outgoing_end = &broker->outgoing;
	free(first);
}

void
broker_tell_waiting(struct broker *broker)
{
	while (broker->outgoing) {
		int code = channel_send(&broker->monitor, broker->outgoing->number, &broker->outgoing->body, -1);

		if (code == -EAGAIN)
			return;
		if (code < 0) {
			broker_fail(broker, "the monitor does not take messages: %s", strerror(-code));
			return;
		}
		forget_first(broker);
	}
	watch_change(&broker->on_monitor, EPOLLIN);
}

void
broker_tell_nothing(struct broker *broker)
{
	while (broker->outgoing)
		forget_first(broker);
}
