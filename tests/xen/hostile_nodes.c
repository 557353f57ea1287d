/* SPDX-License-Identifier: Apache-2.0
 *
 * What the hostile frontend does in xenstore, where everything under its own device/vbd/N is its to write. Whatever it was, an honest close and connect afterwards must work.
 */
#include "tests/xen/hostile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LENGTH(of) (sizeof(of) / sizeof *(of))

static const char *const nodes[] = {
    "ring-ref",
    "ring-ref0",
    "ring-ref1",
    "ring-ref15",
    "event-channel",
    "ring-page-order",
    "num-ring-pages",
    "multi-queue-num-queues",
    "protocol",
    "state",
    "queue-0/ring-ref",
    "queue-0/ring-ref0",
    "queue-0/event-channel",
    "queue-1/ring-ref",
    "queue-1/event-channel",
    "queue-15/ring-ref",
    "queue-4294967296/ring-ref",
    "feature-persistent",
    "virtual-device",
    "device-type",
    "backend-id",
};

static const char *const values[] = {
    "",
    "0",
    "1",
    "2",
    "3",
    "4",
    "5",
    "6",
    "7",
    "8",
    "9",
    "16",
    "17",
    "-1",
    "-0",
    "+1",
    " 1",
    "1 ",
    "01",
    "0x10",
    "1.5",
    "1e3",
    "255",
    "256",
    "65535",
    "65536",
    "2147483647",
    "2147483648",
    "4294967295",
    "4294967296",
    "18446744073709551615",
    "18446744073709551616",
    "99999999999999999999999999999999999999",
    "x86_64-abi",
    "x86_32-abi",
    "x86_16-abi",
    "arm-abi",
    "evil-abi",
    "%s%s%s%n",
    "../../../0/backend",
    "\x01\x02\xff\xfe",
    "\n4\n",
    "netbus://elsewhere/globex/disk",
};

static void
write_nonsense(struct hostile *hostile)
{
	const char *node = nodes[dice_below(&hostile->dice, LENGTH(nodes))];
	char path[256], text[2048];

	switch (dice_below(&hostile->dice, 8)) {
	case 0:
		snprintf(path, sizeof path, "%s/%s", hostile->disk.frontend, node);
		xs_rm(hostile->disk.store, XBT_NULL, path);
		break;
	case 1:
		memset(text, (int)('0' + dice_below(&hostile->dice, 70)), sizeof text - 1);
		text[sizeof text - 1] = '\0';
		guest_write(&hostile->disk, node, "%s", text);
		break;
	case 2: /* a NUL in it */
		snprintf(path, sizeof path, "%s/%s", hostile->disk.frontend, node);
		xs_write(hostile->disk.store, XBT_NULL, path, "1\0002", 3);
		break;
	case 3:
		guest_write(&hostile->disk, node, "%llu", (unsigned long long)dice_nasty(&hostile->dice));
		break;
	default:
		guest_write(&hostile->disk, node, "%s", values[dice_below(&hostile->dice, LENGTH(values))]);
	}
}

static struct guest_shape
any_shape(struct hostile *hostile)
{
	return (struct guest_shape){.abi = (enum guest_abi)dice_below(&hostile->dice, GUEST_ABIS),
	    .rings = 1 + (unsigned)dice_below(&hostile->dice, 4),
	    .order = (unsigned)dice_below(&hostile->dice, 3)};
}

/* Any state, whether it may follow the one before or not, as fast as xenstored takes them. */
static void
wild_states(struct hostile *hostile)
{
	unsigned left = 1 + (unsigned)dice_below(&hostile->dice, 30);

	while (left-- > 0)
		if (dice_below(&hostile->dice, 6))
			guest_write(&hostile->disk, "state", "%u", (unsigned)dice_below(&hostile->dice, 10));
		else
			guest_write(&hostile->disk, "state", "%s", values[dice_below(&hostile->dice, LENGTH(values))]);
}

static void
begin(struct hostile *hostile)
{
	guest_set_state(&hostile->disk, GUEST_CLOSED);
	guest_await_state(&hostile->disk, GUEST_CLOSED, GUEST_INIT_WAIT, 2000);
	guest_set_state(&hostile->disk, GUEST_INITIALISING);
	guest_await_state(&hostile->disk, GUEST_INIT_WAIT, GUEST_INIT_WAIT, 2000);
	guest_rings_make(&hostile->disk, any_shape(hostile));
	guest_rings_publish(&hostile->disk);
}

/* All goes as it should, but for what the nodes say. */
static void
wild_nodes(struct hostile *hostile)
{
	unsigned left = 1 + (unsigned)dice_below(&hostile->dice, 6);

	begin(hostile);
	while (left-- > 0)
		write_nonsense(hostile);
	guest_set_state(&hostile->disk, dice_below(&hostile->dice, 2) ? GUEST_INITIALISED : GUEST_CONNECTED);
	guest_await_state(&hostile->disk, GUEST_CONNECTED, GUEST_CLOSING, 500);
}

/* Each is well-formed, and no grant or channel of the right kind: the same page twice, a read-only one, another domain's, a channel that is in use. */
static void
wrong_grants(struct hostile *hostile)
{
	uint32_t reference = hostile->disk.read_only_reference;
	uint8_t *page = NULL;

	begin(hostile);
	switch (dice_below(&hostile->dice, 4)) {
	case 0:
		break;
	case 1:
		page = guest_page(&hostile->disk, 32000, true, &reference);
		break;
	case 2:
		reference = (uint32_t)dice_below(&hostile->dice, 4096);
		break;
	default:
		reference = hostile->disk.data_reference[0];
		guest_write(&hostile->disk, "event-channel", "%u", (unsigned)dice_below(&hostile->dice, 64));
	}
	guest_write(&hostile->disk, "ring-ref", "%u", reference);
	guest_write(&hostile->disk, "ring-ref1", "%u", reference);
	guest_write(&hostile->disk, "queue-0/ring-ref", "%u", reference);
	guest_write(&hostile->disk, "queue-1/ring-ref1", "%u", reference);
	guest_set_state(&hostile->disk, GUEST_INITIALISED);
	guest_await_state(&hostile->disk, GUEST_CONNECTED, GUEST_CLOSING, 500);
	guest_page_drop(&hostile->disk, page);
}

/* Closes and reconnects in each state, without waiting for the other end. */
static void
close_in_each_state(struct hostile *hostile)
{
	enum guest_state reached;

	for (reached = GUEST_INITIALISING; reached <= GUEST_CLOSED; reached++) {
		begin(hostile);
		guest_set_state(&hostile->disk, reached);
		if (dice_below(&hostile->dice, 2))
			guest_await_state(
			    &hostile->disk, GUEST_CONNECTED, GUEST_CLOSING, (int64_t)dice_below(&hostile->dice, 300));
		if (dice_below(&hostile->dice, 2))
			guest_set_state(&hostile->disk, GUEST_CLOSING);
		guest_rings_drop(&hostile->disk);
		guest_set_state(&hostile->disk, dice_below(&hostile->dice, 2) ? GUEST_CLOSED : GUEST_INITIALISING);
	}
}

/* The nodes of a device that works change under the backend. */
static void
change_connected(struct hostile *hostile)
{
	unsigned left = 1 + (unsigned)dice_below(&hostile->dice, 20);

	begin(hostile);
	guest_set_state(&hostile->disk, GUEST_INITIALISED);
	guest_await_state(&hostile->disk, GUEST_CONNECTED, GUEST_CLOSING, 2000);
	while (left-- > 0) {
		write_nonsense(hostile);
		guest_set_state(&hostile->disk, dice_below(&hostile->dice, 2) ? GUEST_INITIALISED : GUEST_CONNECTED);
	}
}

/* What the backend would read of a frontend that is not there. */
static void
without_state(struct hostile *hostile)
{
	char path[160];

	snprintf(path, sizeof path, "%s/state", hostile->disk.frontend);
	xs_rm(hostile->disk.store, XBT_NULL, path);
	guest_await_state(&hostile->disk, GUEST_CLOSED, GUEST_CLOSING, 300);
}

void
hostile_nodes(struct hostile *hostile)
{
	static void (*const ways[])(struct hostile *) = {
	    wild_states, wild_nodes, wild_nodes, wrong_grants, close_in_each_state, change_connected, without_state};

	hostile->node_acts++;
	ways[dice_below(&hostile->dice, LENGTH(ways))](hostile);
}
