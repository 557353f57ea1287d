/* SPDX-License-Identifier: Apache-2.0
 *
 * NBD layouts (wire/nbd.h). Pure.
 */
#include "wire/nbd.h"

#include <errno.h>

/* ---- decoding ---- */

int
nbd_option_decode(const uint8_t untrusted[static NBD_OPTION_HEADER_LEN], struct nbd_option_header *header)
{
	if (get_be64(untrusted) != NBD_OPTION_MAGIC)
		return -EPROTO;
	*header = (struct nbd_option_header){get_be32(untrusted + 8), get_be32(untrusted + 12)};
	return 0;
}

int
nbd_request_decode(const uint8_t untrusted[static NBD_REQUEST_LEN], struct nbd_request_header *header)
{
	if (get_be32(untrusted) != NBD_REQUEST_MAGIC)
		return -EPROTO;
	*header = (struct nbd_request_header){
	    .flags = get_be16(untrusted + 4),
	    .command = get_be16(untrusted + 6),
	    .cookie = get_be64(untrusted + 8),
	    .offset = get_be64(untrusted + 16),
	    .length = get_be32(untrusted + 24),
	};
	return 0;
}

static struct nbd_text
read_text(struct reader *reader)
{
	uint32_t length = read_u32(reader);

	if (length > NBD_STRING_MAX)
		reader->bad = true;
	return (struct nbd_text){read_bytes(reader, length), length};
}

int
nbd_info_decode(const uint8_t *untrusted, size_t length, struct nbd_info_query *query)
{
	struct reader reader = reader_over(untrusted, length);
	uint16_t count;

	*query = (struct nbd_info_query){.name = read_text(&reader)};
	count = read_u16(&reader);
	if (count > NBD_INFO_MAX)
		return -EPROTO;
	for (uint16_t i = 0; i < count; i++)
		query->wants_name |= read_u16(&reader) == NBD_INFO_NAME;
	return reader_done(&reader) ? 0 : -EPROTO;
}

int
nbd_meta_decode(const uint8_t *untrusted, size_t length, struct nbd_meta_query *query)
{
	struct reader reader = reader_over(untrusted, length), all;

	*query = (struct nbd_meta_query){.name = read_text(&reader)};
	query->query_count = read_u32(&reader);
	all = reader;
	for (uint32_t i = 0; i < query->query_count && !reader.bad; i++)
		read_text(&reader);
	query->queries = all;
	return reader_done(&reader) ? 0 : -EPROTO;
}

bool
nbd_meta_next(struct nbd_meta_query *query, struct nbd_text *text)
{
	if (query->queries.at == query->queries.end)
		return false;
	*text = read_text(&query->queries);
	return !query->queries.bad;
}

bool
nbd_text_is(const struct nbd_text *text, const char *string)
{
	return text->length == strlen(string) && memcmp(text->bytes, string, text->length) == 0;
}

/* ---- encoding ---- */

uint32_t
nbd_error_of(int status)
{
	switch (status) {
	case 0:
		return NBD_OK;
	case -EPERM:
	case -EROFS:
	case -EACCES:
		return NBD_EPERM;
	case -ENOMEM:
		return NBD_ENOMEM;
	case -EINVAL:
		return NBD_EINVAL;
	case -ENOSPC:
	case -EDQUOT:
	case -EFBIG:
		return NBD_ENOSPC;
	case -EOVERFLOW:
		return NBD_EOVERFLOW;
	case -EOPNOTSUPP:
		return NBD_ENOTSUP;
	case -ESHUTDOWN:
		return NBD_ESHUTDOWN;
	default:
		return NBD_EIO;
	}
}

void
nbd_greeting_encode(uint8_t out[static NBD_GREETING_LEN])
{
	put_be64(out, NBD_MAGIC);
	put_be64(out + 8, NBD_OPTION_MAGIC);
	put_be16(out + 16, NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES);
}

void
nbd_option_reply_encode(uint8_t out[static NBD_OPTION_REPLY_LEN], uint32_t option, uint32_t type, uint32_t length)
{
	put_be64(out, NBD_REPLY_MAGIC);
	put_be32(out + 8, option);
	put_be32(out + 12, type);
	put_be32(out + 16, length);
}

void
nbd_simple_reply_encode(uint8_t out[static NBD_SIMPLE_REPLY_LEN], uint32_t error, uint64_t cookie)
{
	put_be32(out, NBD_SIMPLE_REPLY_MAGIC);
	put_be32(out + 4, error);
	put_be64(out + 8, cookie);
}

static void
chunk_encode(uint8_t *out, uint16_t type, uint64_t cookie, uint32_t length)
{
	put_be32(out, NBD_STRUCTURED_REPLY_MAGIC);
	put_be16(out + 4, NBD_REPLY_FLAG_DONE);
	put_be16(out + 6, type);
	put_be64(out + 8, cookie);
	put_be32(out + 16, length);
}

size_t
nbd_data_chunk_encode(uint8_t *out, uint64_t cookie, uint64_t offset, uint32_t payload)
{
	chunk_encode(out, NBD_REPLY_TYPE_OFFSET_DATA, cookie, 8 + payload);
	put_be64(out + NBD_CHUNK_LEN, offset);
	return NBD_CHUNK_LEN + 8;
}

size_t
nbd_error_chunk_encode(uint8_t *out, uint64_t cookie, uint32_t error)
{
	chunk_encode(out, NBD_REPLY_TYPE_ERROR, cookie, 6);
	put_be32(out + NBD_CHUNK_LEN, error);
	put_be16(out + NBD_CHUNK_LEN + 4, 0); /* no message */
	return NBD_CHUNK_LEN + 6;
}

size_t
nbd_status_chunk_encode(uint8_t *out, uint64_t cookie, uint32_t length)
{
	chunk_encode(out, NBD_REPLY_TYPE_BLOCK_STATUS, cookie, 12);
	put_be32(out + NBD_CHUNK_LEN, NBD_CONTEXT_ID);
	put_be32(out + NBD_CHUNK_LEN + 4, length);
	put_be32(out + NBD_CHUNK_LEN + 8, 0);
	return NBD_CHUNK_LEN + 12;
}
