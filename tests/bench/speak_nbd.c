/* SPDX-License-Identifier: Apache-2.0
 *
 * The generator as an NBD client: in clear, over TLS from the first byte, or through STARTTLS; simple replies.
 */
#include <string.h>

#include "base/bytes.h"
#include "tests/bench/generator.h"
#include "wire/nbd.h"

static void
put_option(struct lane *lane, uint32_t option, const void *payload, uint32_t length)
{
	uint8_t header[NBD_OPTION_HEADER_LEN];

	put_be64(header, NBD_OPTION_MAGIC);
	put_be32(header + 8, option);
	put_be32(header + 12, length);
	bulk_put(&lane->bulk, header, sizeof header);
	bulk_put(&lane->bulk, payload, length);
}

/* Reads answers to an option until the last one. */
static void
take_answers(struct lane *lane)
{
	for (;;) {
		const uint8_t *header = lane_need(lane, NBD_OPTION_REPLY_LEN);
		uint32_t type = get_be32(header + 12), length = get_be32(header + 16);
		const uint8_t *payload = lane_need(lane, length);

		if (type == NBD_REP_ACK)
			return;
		if (type & UINT32_C(1) << 31)
			bulk_die(
			    "the NBD server refuses an option: %#x %.*s", type, (int)length, (const char *)payload);
		if (type == NBD_REP_INFO && get_be16(payload) == NBD_INFO_EXPORT)
			lane->size = get_be64(payload + 2);
	}
}

static void
greet(struct lane *lane)
{
	uint8_t flags[NBD_CLIENT_FLAGS_LEN];

	lane_need(lane, NBD_GREETING_LEN);
	put_be32(flags, NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES);
	bulk_put(&lane->bulk, flags, sizeof flags);
}

static SSL_CTX *
context_of(const struct options *options)
{
	return bulk_context(false, options->certificate, options->key, options->ca);
}

static void
go(struct lane *lane)
{
	const char *name = lane->options->share ? lane->options->share : "";
	uint8_t query[256];
	uint32_t length = (uint32_t)strlen(name);

	put_be32(query, length);
	memcpy(query + 4, name, length);
	put_be16(query + 4 + length, 0);
	put_option(lane, NBD_OPT_GO, query, length + 6);
	take_answers(lane);
}

static void
nbd_open(struct lane *lane, const struct lane *first)
{
	bool secure = strcmp(lane->options->speak, "nbd-tls") == 0;
	static SSL_CTX *context;
	int fd = lane_connect(lane->options);

	(void)first;
	if (context == NULL && strcmp(lane->options->speak, "nbd") != 0)
		context = context_of(lane->options);
	bulk_open(&lane->bulk, secure ? context : NULL, fd, false, NULL);
	greet(lane);
	if (strcmp(lane->options->speak, "nbd-starttls") == 0) {
		put_option(lane, NBD_OPT_STARTTLS, NULL, 0);
		take_answers(lane);
		bulk_open(&lane->bulk, context, fd, false, NULL);
	}
	go(lane);
}

static void
nbd_request(struct lane *lane, const struct slot *slot, unsigned number, const uint8_t *payload)
{
	uint8_t header[NBD_REQUEST_LEN];

	put_be32(header, NBD_REQUEST_MAGIC);
	put_be16(header + 4, 0);
	put_be16(header + 6, slot->op == IO_WRITE ? NBD_CMD_WRITE : NBD_CMD_READ);
	put_be64(header + 8, number);
	put_be64(header + 16, slot->offset);
	put_be32(header + 24, slot->length);
	bulk_put(&lane->bulk, header, sizeof header);
	if (slot->op == IO_WRITE)
		bulk_put(&lane->bulk, payload, slot->length);
}

static struct slot *
nbd_reply_of(struct lane *lane, const uint8_t *header, uint32_t *payload)
{
	uint64_t cookie = get_be64(header + 8);
	struct slot *slot = &lane->slots[cookie];

	if (get_be32(header) != NBD_SIMPLE_REPLY_MAGIC || get_be32(header + 4) != NBD_OK ||
	    cookie >= lane->options->depth)
		bulk_die("an NBD reply that is an error or none: %#x %u", get_be32(header), get_be32(header + 4));
	*payload = slot->op == IO_READ ? slot->length : 0;
	return slot;
}

static void
nbd_leave(struct lane *lane)
{
	uint8_t header[NBD_REQUEST_LEN] = {0};

	put_be32(header, NBD_REQUEST_MAGIC);
	put_be16(header + 6, NBD_CMD_DISC);
	bulk_put(&lane->bulk, header, sizeof header);
	bulk_flush(&lane->bulk);
}

const struct protocol nbd_protocol = {"nbd", NBD_SIMPLE_REPLY_LEN, nbd_open, nbd_request, nbd_reply_of, nbd_leave};
