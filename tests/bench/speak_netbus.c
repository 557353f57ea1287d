/* SPDX-License-Identifier: Apache-2.0
 *
 * The generator as an attach host: netbus/1 with a good certificate, straight to an exporter.
 */
#include <stdio.h>
#include <string.h>

#include "tests/bench/generator.h"
#include "wire/control.h"
#include "wire/frame.h"
#include "wire/limits.h"

static void
put_control(struct lane *lane, uint8_t type, const void *message)
{
	uint8_t header[FRAME_HEADER_LEN], payload[LIMIT_CONTROL_PAYLOAD];
	int length = message_encode(control_type(type), message, payload, sizeof payload);

	frame_encode(&(struct frame){.type = type, .length = (uint32_t)length}, header);
	bulk_put(&lane->bulk, header, sizeof header);
	bulk_put(&lane->bulk, payload, (size_t)length);
}

static void
ask(struct lane *lane, const struct lane *first)
{
	struct msg_attach attach = {.mode = ACCESS_RW, .lanes = LIMIT_LANES};
	struct msg_join join = {.epoch = first ? first->epoch : 0};

	if (first != NULL) {
		memcpy(join.lease, first->lease, sizeof join.lease);
		put_control(lane, FRAME_JOIN, &join);
		return;
	}
	/* The names come from the command line and may have a %u. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(attach.vm, sizeof attach.vm, lane->options->vm, lane->number);
	snprintf(attach.share, sizeof attach.share, lane->options->share, lane->number);
#pragma GCC diagnostic pop
	put_control(lane, FRAME_ATTACH, &attach);
}

static bool
take_answer(struct lane *lane)
{
	struct msg_attached attached;
	struct msg_refused refused;
	struct frame frame;
	const uint8_t *payload;

	if (frame_decode(lane_need(lane, FRAME_HEADER_LEN), &frame) < 0)
		bulk_die("no frame of netbus/1");
	payload = lane_need(lane, frame.length);
	if (frame.type == FRAME_REFUSED &&
	    message_decode(control_type(frame.type), payload, frame.length, &refused) == 0)
		bulk_die("lane %u is refused: reason %u, record %llu", lane->number, refused.reason,
		    (unsigned long long)refused.record);
	if (frame.type != FRAME_ATTACHED)
		return false;
	if (message_decode(control_type(frame.type), payload, frame.length, &attached) < 0)
		bulk_die("a malformed ATTACHED");
	lane->size = attached.size;
	lane->epoch = attached.epoch;
	memcpy(lane->lease, attached.lease, sizeof lane->lease);
	return true;
}

static void
netbus_open(struct lane *lane, const struct lane *first)
{
	struct msg_hello hello = {
	    .version_least = NETBUS_PROTOCOL, .version_most = NETBUS_PROTOCOL, .software = "bench generator"};
	static SSL_CTX *context;

	if (context == NULL)
		context = bulk_context(false, lane->options->certificate, lane->options->key, NULL);
	bulk_open(&lane->bulk, context, lane_connect(lane->options), false, NETBUS_ALPN);
	put_control(lane, FRAME_HELLO, &hello);
	ask(lane, first);
	while (!take_answer(lane))
		continue;
}

static void
netbus_request(struct lane *lane, const struct slot *slot, unsigned number, const uint8_t *payload)
{
	struct frame frame = {
	    .type = slot->op == IO_WRITE ? FRAME_WRITE : FRAME_READ,
	    .length = slot->op == IO_WRITE ? slot->length : 0,
	    .id = number,
	    .epoch = lane->epoch,
	    .offset = slot->offset,
	    .count = slot->length,
	};
	uint8_t header[FRAME_HEADER_LEN];

	frame_encode(&frame, header);
	bulk_put(&lane->bulk, header, sizeof header);
	bulk_put(&lane->bulk, payload, frame.length);
}

static struct slot *
netbus_reply(struct lane *lane, const uint8_t *header, uint32_t *payload)
{
	struct frame frame;

	if (frame_decode(header, &frame) < 0)
		bulk_die("no frame of netbus/1");
	*payload = frame.length;
	if (frame.type == FRAME_PING)
		put_control(lane, FRAME_PONG, &(struct msg_pong){.cookie = 0});
	if (frame.type == FRAME_REVOKED && !lane->options->outlive)
		bulk_die("lane %u: revoked", lane->number);
	if (frame.type != FRAME_REPLY)
		return NULL;
	if (frame.status != STATUS_OK || frame.id >= lane->options->depth)
		bulk_die("a reply with status %u to request %llu", frame.status, (unsigned long long)frame.id);
	return &lane->slots[frame.id];
}

static void
netbus_leave(struct lane *lane)
{
	put_control(lane, FRAME_DETACH, &(struct msg_detach){.all_lanes = 1});
	bulk_flush(&lane->bulk);
}

const struct protocol netbus_protocol = {
    "netbus", FRAME_HEADER_LEN, netbus_open, netbus_request, netbus_reply, netbus_leave};
