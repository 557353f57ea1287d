/* SPDX-License-Identifier: Apache-2.0
 *
 * The nodes of a hostile guest (frontend/xen_nodes.h). Input: how many rings are offered, then lines "NAME=VALUE", of which a value may hold any byte but a line's end. The same
 * bytes are a target, a state and a number too.
 *
 * Holds: what is refused leaves the output alone and is explained in printable text; what is taken encodes as a message, has a channel for each ring and pages for each, none of
 * them twice, and no more than was offered; at most so many nodes are read as there can be; a target that is taken prints and parses to itself.
 */
#include <errno.h>

#include "base/auto.h"
#include "base/bytes.h"
#include "base/text.h"
#include "frontend/xen_nodes.h"
#include "tests/fuzz/fuzz.h"

/* protocol, number of rings, order; and for each of 16 rings 16 pages, which may have two names when it is one, and a channel. */
#define READS_MOST (3u + 16u * (16u + 2u))

struct guest {
	const uint8_t *bytes;
	size_t length;
	unsigned reads;
};

static int
read_node(void *owner, const char *name, char *value)
{
	struct guest *guest = owner;
	size_t name_length = strlen(name);

	REQUIRE(++guest->reads <= READS_MOST);
	for (const uint8_t *at = guest->bytes, *end = at + guest->length; at < end;) {
		const uint8_t *stop = memchr(at, '\n', (size_t)(end - at));
		size_t line = stop ? (size_t)(stop - at) : (size_t)(end - at);

		if (line > name_length && memcmp(at, name, name_length) == 0 && at[name_length] == '=') {
			size_t length = line - name_length - 1;

			if (length > XEN_VALUE_MOST)
				return -EMSGSIZE;
			memcpy(value, at + name_length + 1, length);
			return (int)length;
		}
		at += line + 1;
	}
	return -ENOENT;
}

static void
require_all_different(const uint8_t *numbers, size_t bytes)
{
	for (size_t i = 0; i < bytes; i += 4)
		for (size_t other = 0; other < i; other += 4)
			REQUIRE(get_be32(numbers + i) != get_be32(numbers + other));
}

static void
check_taken(const struct msg_xen_rings *rings, unsigned rings_most)
{
	uint8_t packet[LIMIT_CHANNEL_MESSAGE];
	union channel_body body;
	uint16_t number;
	int length = channel_encode(MSG_XEN_RINGS, rings, packet, sizeof packet);

	REQUIRE(length > 0 && channel_decode(packet, (size_t)length, &number, &body) == 0);
	REQUIRE(rings->rings >= 1 && rings->rings <= rings_most);
	REQUIRE(rings->pages >= 1 && rings->pages <= LIMIT_XEN_RING_PAGES && (rings->pages & (rings->pages - 1)) == 0);
	REQUIRE(rings->channels.length == rings->rings * 4u);
	REQUIRE(rings->refs.length == rings->rings * rings->pages * 4u);
	require_all_different(rings->channels.bytes, rings->channels.length);
	require_all_different(rings->refs.bytes, rings->refs.length);
	for (size_t i = 0; i < rings->channels.length; i += 4) {
		uint32_t channel = get_be32(rings->channels.bytes + i);

		REQUIRE(channel >= 1 && channel <= XEN_CHANNEL_MOST);
	}
}

static void
check_explained(const struct error *error)
{
	REQUIRE(error->code < 0 && error->text[0] != '\0' && is_utf8(error->text, strlen(error->text)));
	for (const char *at = error->text; *at; at++)
		REQUIRE((unsigned char)*at >= 0x20 && *at != 0x7f);
}

static void
check_rings(uint8_t choice, const uint8_t *bytes, size_t length)
{
	struct guest guest = {bytes, length, 0};
	struct msg_xen_rings rings;
	struct error error = {0};
	unsigned rings_most = 1 + choice % 16;

	memset(&rings, 0x5a, sizeof rings);
	if (xen_rings_parse(read_node, &guest, rings_most, &rings, &error) == 0) {
		rings.anew = 0;
		check_taken(&rings, rings_most);
		return;
	}
	REQUIRE(is_untouched(&rings, sizeof rings, 0x5a));
	check_explained(&error);
}

static void
check_target(const uint8_t *bytes, size_t length)
{
	AUTO_FREE char *text = text_of(bytes, length);
	struct xen_target target, again;
	struct error error = {0};
	char params[XEN_PARAMS_LEN];
	int code;

	memset(&target, 0x5a, sizeof target);
	code = xen_target_parse(text, length, &target, &error);
	if (code < 0) {
		REQUIRE(is_untouched(&target, sizeof target, 0x5a));
		REQUIRE(code == -ENOENT || code == -EINVAL);
		if (code == -EINVAL)
			check_explained(&error);
		return;
	}
	xen_target_print(target.exporter.text, target.share.text, params);
	REQUIRE(xen_target_parse(params, strlen(params), &again, NULL) == 0);
	REQUIRE(
	    strcmp(again.exporter.text, target.exporter.text) == 0 && strcmp(again.share.text, target.share.text) == 0);
}

static void
check_numbers(const uint8_t *bytes, size_t length)
{
	AUTO_FREE char *text = text_of(bytes, length);
	enum xenbus_state state = xen_state_parse(text, (int)length);
	uint32_t number = 0;
	uint8_t mode;

	REQUIRE(state >= XENBUS_UNKNOWN && state <= XENBUS_RECONFIGURED);
	if (xen_number_parse(text, length, 70000, &number) == 0)
		REQUIRE(number <= 70000 && length <= 10 && strtoul(text, NULL, 10) == number);
	if (xen_mode_parse(text, length, &mode) == 0)
		REQUIRE(length == 1 && mode <= ACCESS_RW);
}

static void
seed_many_rings(void)
{
	char text[8192] = "\x0fmulti-queue-num-queues=16\nring-page-order=4\nprotocol=x86_32-abi\n";
	size_t length = strlen(text);

	for (unsigned i = 0; i < 256; i++)
		length += (size_t)snprintf(
		    text + length, sizeof text - length, "queue-%u/ring-ref%u=%u\n", i / 16, i % 16, 8 + i);
	for (unsigned i = 0; i < 16; i++)
		length +=
		    (size_t)snprintf(text + length, sizeof text - length, "queue-%u/event-channel=%u\n", i, 1 + i);
	seed_write("many", text, length);
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static const char one[] = "\0ring-ref=8\nevent-channel=17\nprotocol=x86_64-abi\n",
			  two[] = "\1multi-queue-num-queues=2\nqueue-0/ring-ref=8\nqueue-1/ring-ref=9\nqueue-0/"
				  "event-channel=1\nqueue-1/event-channel=2\n",
			  twice[] = "\1multi-queue-num-queues=2\nqueue-0/ring-ref=8\nqueue-1/ring-ref=8\nqueue-0/"
				    "event-channel=1\nqueue-1/event-channel=2\n";

	(void)argc, (void)argv;
	seed_write("one", one, sizeof one - 1);
	seed_write("two", two, sizeof two - 1);
	seed_write("twice", twice, sizeof twice - 1);
	seed_many_rings();
	seed_write("target", "\0aio:netbus://m2/acme/disk-1", 28);
	seed_write("number",
	    "\0"
	    "51712",
	    6);
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	if (length == 0)
		return 0;
	check_rings(bytes[0], bytes + 1, length - 1);
	check_target(bytes + 1, length - 1);
	check_numbers(bytes + 1, length - 1);
	return 0;
}
