/* SPDX-License-Identifier: Apache-2.0
 *
 * The handshake with an NBD client (doc/proto.md, "Fixed newstyle negotiation"; frontend/nbd_client.h).
 */
#include <errno.h>
#include <string.h>

#include "base/auto.h"
#include "frontend/nbd_client.h"

uint16_t
nbd_transmission_flags(const struct geometry *geometry)
{
	return (uint16_t)(NBD_FLAG_HAS_FLAGS | NBD_FLAG_SEND_FLUSH | NBD_FLAG_SEND_FUA | NBD_FLAG_SEND_DF |
			  NBD_FLAG_CAN_MULTI_CONN | (geometry->read_only ? NBD_FLAG_READ_ONLY : 0) |
			  (geometry->rotational ? NBD_FLAG_ROTATIONAL : 0) |
			  (geometry->can_discard && !geometry->read_only ? NBD_FLAG_SEND_TRIM : 0) |
			  (geometry->can_write_zeroes && !geometry->read_only ? NBD_FLAG_SEND_WRITE_ZEROES : 0));
}

/* ---- answers ---- */

static void
say(struct nbd_client *client, const void *bytes, size_t length)
{
	if (buffer_append(&client->handshake, bytes, length) < 0)
		nbd_client_break(client, "it does not read the answers to its options");
	else
		nbd_client_settle(client);
}

static void
answer(struct nbd_client *client, uint32_t option, uint32_t type, const void *payload, size_t length)
{
	uint8_t header[NBD_OPTION_REPLY_LEN];

	nbd_option_reply_encode(header, option, type, (uint32_t)length);
	say(client, header, sizeof header);
	if (client->phase != NBD_DEAD && length)
		say(client, payload, length);
}

static void
refuse(struct nbd_client *client, uint32_t option, uint32_t type, const char *why)
{
	answer(client, option, type, why, strlen(why));
}

void
nbd_option_refuse_long(struct nbd_client *client, uint32_t option)
{
	refuse(client, option, NBD_REP_ERR_TOO_BIG, "the option is too long");
}

/* ---- into transmission ---- */

static void
begin_transmission(struct nbd_client *client)
{
	struct nbd_server *server = client->server;

	timer_stop(&client->deadline);
	client->phase = NBD_TRANSMISSION;
	client->is_served = true;
	client->backend = server->events->on_client(server->owner, client);
}

static bool
is_our_name(const struct nbd_client *client, const struct nbd_text *name)
{
	return name->length == 0 || nbd_text_is(name, client->server->export_name);
}

static void
take_export_name(struct nbd_client *client, const uint8_t *payload, uint32_t length)
{
	const struct geometry *geometry = &client->server->geometry;
	uint8_t reply[10 + NBD_EXPORT_NAME_ZEROES] = {0};

	if (!is_our_name(client, &(struct nbd_text){payload, length})) {
		nbd_client_break(
		    client, "it asked for an export that is not here"); /* this option has no other answer */
		return;
	}
	put_be64(reply, geometry->size);
	put_be16(reply + 8, nbd_transmission_flags(geometry));
	say(client, reply, client->no_zeroes ? 10 : sizeof reply);
	if (client->phase != NBD_DEAD)
		begin_transmission(client);
}

static void
tell_export(struct nbd_client *client, uint32_t option)
{
	const struct geometry *geometry = &client->server->geometry;
	uint8_t export[12], sizes[14];

	put_be16(export, NBD_INFO_EXPORT);
	put_be64(export + 2, geometry->size);
	put_be16(export + 10, nbd_transmission_flags(geometry));
	answer(client, option, NBD_REP_INFO, export, sizeof export);
	put_be16(sizes, NBD_INFO_BLOCK_SIZE);
	put_be32(sizes + 2, geometry->logical_block);
	put_be32(sizes + 6, geometry->physical_block > 4096 ? geometry->physical_block : 4096);
	put_be32(sizes + 10, LIMIT_NBD_REQUEST);
	answer(client, option, NBD_REP_INFO, sizes, sizeof sizes);
}

static void
tell_name(struct nbd_client *client, uint32_t option)
{
	uint8_t reply[2 + NBD_STRING_MAX];
	size_t length = strlen(client->server->export_name);

	put_be16(reply, NBD_INFO_NAME);
	memcpy(reply + 2, client->server->export_name, length);
	answer(client, option, NBD_REP_INFO, reply, 2 + length);
}

static void
take_info(struct nbd_client *client, uint32_t option, const uint8_t *payload, uint32_t length)
{
	struct nbd_info_query query;

	if (nbd_info_decode(payload, length, &query) < 0) {
		refuse(client, option, NBD_REP_ERR_INVALID, "the option is malformed");
		return;
	}
	if (!is_our_name(client, &query.name)) {
		refuse(client, option, NBD_REP_ERR_UNKNOWN, "there is no such export here");
		return;
	}
	tell_export(client, option);
	if (query.wants_name && client->phase != NBD_DEAD)
		tell_name(client, option);
	if (client->phase != NBD_DEAD)
		answer(client, option, NBD_REP_ACK, NULL, 0);
	if (client->phase != NBD_DEAD && option == NBD_OPT_GO)
		begin_transmission(client);
}

/* ---- other options ---- */

static void
take_list(struct nbd_client *client, uint32_t length)
{
	uint8_t reply[4 + NBD_STRING_MAX];
	size_t name = strlen(client->server->export_name);

	if (length > 0) {
		refuse(client, NBD_OPT_LIST, NBD_REP_ERR_INVALID, "the option is malformed");
		return;
	}
	put_be32(reply, (uint32_t)name);
	memcpy(reply + 4, client->server->export_name, name);
	answer(client, NBD_OPT_LIST, NBD_REP_SERVER, reply, 4 + name);
	if (client->phase != NBD_DEAD)
		answer(client, NBD_OPT_LIST, NBD_REP_ACK, NULL, 0);
}

static void
take_structured_reply(struct nbd_client *client, uint32_t length)
{
	if (length > 0) {
		refuse(client, NBD_OPT_STRUCTURED_REPLY, NBD_REP_ERR_INVALID, "the option is malformed");
		return;
	}
	client->structured = true;
	answer(client, NBD_OPT_STRUCTURED_REPLY, NBD_REP_ACK, NULL, 0);
}

/* A LIST without queries, or with the namespace alone, asks for all that there is. */
static bool
is_asked_for(uint32_t option, struct nbd_meta_query *query)
{
	bool is_list = option == NBD_OPT_LIST_META_CONTEXT, found = is_list && query->query_count == 0;
	struct nbd_text text;

	while (nbd_meta_next(query, &text))
		found |= nbd_text_is(&text, NBD_CONTEXT_ALLOCATION) || (is_list && nbd_text_is(&text, "base:"));
	return found;
}

static void
take_meta_context(struct nbd_client *client, uint32_t option, const uint8_t *payload, uint32_t length)
{
	uint8_t reply[4 + sizeof NBD_CONTEXT_ALLOCATION - 1];
	struct nbd_meta_query query;
	bool found;

	if (!client->structured || nbd_meta_decode(payload, length, &query) < 0) {
		refuse(client, option, NBD_REP_ERR_INVALID,
		    client->structured ? "the option is malformed" : "structured replies come first");
		return;
	}
	if (!is_our_name(client, &query.name)) {
		refuse(client, option, NBD_REP_ERR_UNKNOWN, "there is no such export here");
		return;
	}
	found = is_asked_for(option, &query);
	if (option == NBD_OPT_SET_META_CONTEXT)
		client->has_allocation = found;
	put_be32(reply, option == NBD_OPT_SET_META_CONTEXT ? NBD_CONTEXT_ID : 0);
	memcpy(reply + 4, NBD_CONTEXT_ALLOCATION, sizeof NBD_CONTEXT_ALLOCATION - 1);
	if (found)
		answer(client, option, NBD_REP_META_CONTEXT, reply, sizeof reply);
	if (client->phase != NBD_DEAD)
		answer(client, option, NBD_REP_ACK, NULL, 0);
}

static void
take_option(struct nbd_client *client, const struct nbd_option_header *header, const uint8_t *payload)
{
	switch (header->option) {
	case NBD_OPT_EXPORT_NAME:
		take_export_name(client, payload, header->length);
		return;
	case NBD_OPT_ABORT:
		answer(client, header->option, NBD_REP_ACK, NULL, 0);
		if (client->phase != NBD_DEAD)
			client->phase = NBD_LEAVING;
		return;
	case NBD_OPT_LIST:
		take_list(client, header->length);
		return;
	case NBD_OPT_INFO:
	case NBD_OPT_GO:
		take_info(client, header->option, payload, header->length);
		return;
	case NBD_OPT_STRUCTURED_REPLY:
		take_structured_reply(client, header->length);
		return;
	case NBD_OPT_LIST_META_CONTEXT:
	case NBD_OPT_SET_META_CONTEXT:
		take_meta_context(client, header->option, payload, header->length);
		return;
	default:
		refuse(client, header->option, NBD_REP_ERR_UNSUP, "this option is not known here");
	}
}

/* ---- from the input ---- */

static int
take_flags(struct nbd_client *client)
{
	uint32_t flags;

	if (client->input_end - client->input_start < NBD_CLIENT_FLAGS_LEN)
		return 0;
	flags = get_be32(client->input + client->input_start);
	client->input_start += NBD_CLIENT_FLAGS_LEN;
	if (!(flags & NBD_FLAG_FIXED_NEWSTYLE) || (flags & ~(uint32_t)(NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES))) {
		nbd_client_break(client, "it does not speak fixed newstyle NBD, or wants more than that");
		return 0;
	}
	client->no_zeroes = flags & NBD_FLAG_NO_ZEROES;
	client->phase = NBD_OPTIONS;
	return 1;
}

int
nbd_option_take(struct nbd_client *client)
{
	const uint8_t *input = client->input + client->input_start;
	size_t available = client->input_end - client->input_start;
	struct nbd_option_header header;

	if (client->phase == NBD_GREETED)
		return take_flags(client);
	if (client->phase != NBD_OPTIONS || available < NBD_OPTION_HEADER_LEN)
		return 0;
	if (nbd_option_decode(input, &header) < 0) {
		nbd_client_break(client, "it sent what is no NBD option");
		return 0;
	}
	if (header.length > LIMIT_NBD_OPTION) {
		if (header.length > NBD_OPTION_SKIP_MAX || header.option == NBD_OPT_EXPORT_NAME) {
			nbd_client_break(client, "it sent an NBD option that is far too long");
			return 0;
		}
		client->input_start += NBD_OPTION_HEADER_LEN;
		client->skip = header.length;
		client->skip_option = header.option;
		return 1;
	}
	if (available - NBD_OPTION_HEADER_LEN < header.length)
		return 0;
	client->input_start += NBD_OPTION_HEADER_LEN + header.length;
	take_option(client, &header, input + NBD_OPTION_HEADER_LEN);
	return client->phase != NBD_DEAD;
}
