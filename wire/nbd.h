/* SPDX-License-Identifier: Apache-2.0
 *
 * The NBD protocol's numbers and layouts, as a server needs them. Source: NetworkBlockDevice/nbd, doc/proto.md (the section is named at each). All
 * integers are big-endian.
 *
 * Pure. Decoders take hostile bytes of exactly the length that they name, and return 0 or -EPROTO.
 */
#ifndef NETBUS_WIRE_NBD_H
#define NETBUS_WIRE_NBD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

/* clang-format off */

/* "Fixed newstyle negotiation" */
#define NBD_MAGIC          UINT64_C(0x4e42444d41474943) /* "NBDMAGIC" */
#define NBD_OPTION_MAGIC   UINT64_C(0x49484156454f5054) /* "IHAVEOPT" */
#define NBD_REPLY_MAGIC    UINT64_C(0x0003e889045565a9)
#define NBD_GREETING_LEN        18 /* magic, option magic, u16 handshake flags */
#define NBD_CLIENT_FLAGS_LEN     4
#define NBD_OPTION_HEADER_LEN   16 /* option magic, u32 option, u32 length */
#define NBD_OPTION_REPLY_LEN    20 /* reply magic, u32 option, u32 type, u32 length */
#define NBD_EXPORT_NAME_ZEROES 124
#define NBD_STRING_MAX        4096 /* "Values": strings */

enum nbd_handshake_flag { NBD_FLAG_FIXED_NEWSTYLE = 1 << 0, NBD_FLAG_NO_ZEROES = 1 << 1 };

/* "Option types" */
enum nbd_option {
	NBD_OPT_EXPORT_NAME = 1, NBD_OPT_ABORT = 2, NBD_OPT_LIST = 3, NBD_OPT_STARTTLS = 5, NBD_OPT_INFO = 6, NBD_OPT_GO = 7,
	NBD_OPT_STRUCTURED_REPLY = 8, NBD_OPT_LIST_META_CONTEXT = 9, NBD_OPT_SET_META_CONTEXT = 10,
};

/* "Option reply types" */
enum nbd_option_reply {
	NBD_REP_ACK = 1, NBD_REP_SERVER = 2, NBD_REP_INFO = 3, NBD_REP_META_CONTEXT = 4,
};
#define NBD_REP_ERR_UNSUP   (UINT32_C(1) << 31 | 1)
#define NBD_REP_ERR_INVALID (UINT32_C(1) << 31 | 3)
#define NBD_REP_ERR_UNKNOWN (UINT32_C(1) << 31 | 6)
#define NBD_REP_ERR_TOO_BIG (UINT32_C(1) << 31 | 9)

/* "NBD_REP_INFO" */
enum nbd_info { NBD_INFO_EXPORT = 0, NBD_INFO_NAME = 1, NBD_INFO_DESCRIPTION = 2, NBD_INFO_BLOCK_SIZE = 3 };
#define NBD_INFO_MAX 64 /* information requests that are looked at; a client has four to ask for */

/* "Transmission flags" */
enum nbd_transmission_flag {
	NBD_FLAG_HAS_FLAGS = 1 << 0, NBD_FLAG_READ_ONLY = 1 << 1, NBD_FLAG_SEND_FLUSH = 1 << 2, NBD_FLAG_SEND_FUA = 1 << 3,
	NBD_FLAG_ROTATIONAL = 1 << 4, NBD_FLAG_SEND_TRIM = 1 << 5, NBD_FLAG_SEND_WRITE_ZEROES = 1 << 6, NBD_FLAG_SEND_DF = 1 << 7,
	NBD_FLAG_CAN_MULTI_CONN = 1 << 8,
};

/* "Request types", "Command flags" */
enum nbd_command {
	NBD_CMD_READ = 0, NBD_CMD_WRITE = 1, NBD_CMD_DISC = 2, NBD_CMD_FLUSH = 3, NBD_CMD_TRIM = 4, NBD_CMD_CACHE = 5,
	NBD_CMD_WRITE_ZEROES = 6, NBD_CMD_BLOCK_STATUS = 7,
};
enum nbd_command_flag {
	NBD_CMD_FLAG_FUA = 1 << 0, NBD_CMD_FLAG_NO_HOLE = 1 << 1, NBD_CMD_FLAG_DF = 1 << 2, NBD_CMD_FLAG_REQ_ONE = 1 << 3,
	NBD_CMD_FLAG_FAST_ZERO = 1 << 4,
};

/* "Transmission": request, simple reply, structured reply chunk */
#define NBD_REQUEST_MAGIC          UINT32_C(0x25609513)
#define NBD_SIMPLE_REPLY_MAGIC     UINT32_C(0x67446698)
#define NBD_STRUCTURED_REPLY_MAGIC UINT32_C(0x668e33ef)
#define NBD_REQUEST_LEN      28
#define NBD_SIMPLE_REPLY_LEN 16
#define NBD_CHUNK_LEN        20
#define NBD_REPLY_HEADER_MAX 40 /* a chunk's header and what stands before a payload */

enum nbd_chunk_flag { NBD_REPLY_FLAG_DONE = 1 << 0 };
enum nbd_chunk_type {
	NBD_REPLY_TYPE_NONE = 0, NBD_REPLY_TYPE_OFFSET_DATA = 1, NBD_REPLY_TYPE_BLOCK_STATUS = 5, NBD_REPLY_TYPE_ERROR = 32769,
};

/* "Error values" */
enum nbd_error {
	NBD_OK = 0, NBD_EPERM = 1, NBD_EIO = 5, NBD_ENOMEM = 12, NBD_EINVAL = 22, NBD_ENOSPC = 28, NBD_EOVERFLOW = 75,
	NBD_ENOTSUP = 95, NBD_ESHUTDOWN = 108,
};

/* clang-format on */

/* "Metadata querying": the one context that there is, and the number that we gave it. */
#define NBD_CONTEXT_ALLOCATION "base:allocation"
#define NBD_CONTEXT_ID         1

struct nbd_option_header {
	uint32_t option, length;
};

struct nbd_request_header {
	uint16_t flags, command;
	uint64_t cookie, offset;
	uint32_t length;
};

/* A name in somebody else's bytes; not terminated. */
struct nbd_text {
	const uint8_t *bytes;
	size_t length;
};

/* The payload of INFO and GO. */
struct nbd_info_query {
	struct nbd_text name;
	bool wants_name;
};

/* The payload of LIST_META_CONTEXT and SET_META_CONTEXT; `queries` are read one by one with nbd_meta_next(). */
struct nbd_meta_query {
	struct nbd_text name;
	uint32_t query_count;
	struct reader queries;
};

int nbd_option_decode(const uint8_t untrusted[static NBD_OPTION_HEADER_LEN], struct nbd_option_header *header);
int nbd_request_decode(const uint8_t untrusted[static NBD_REQUEST_LEN], struct nbd_request_header *header);
int nbd_info_decode(const uint8_t *untrusted, size_t length, struct nbd_info_query *query);
/* Checks all queries; nbd_meta_next() then cannot fail before they are used up (false). */
int nbd_meta_decode(const uint8_t *untrusted, size_t length, struct nbd_meta_query *query);
bool nbd_meta_next(struct nbd_meta_query *query, struct nbd_text *text);
bool nbd_text_is(const struct nbd_text *text, const char *string);

/* A negative errno as an error value; what has none of its own is NBD_EIO. 0 is NBD_OK. */
uint32_t nbd_error_of(int status);

void nbd_greeting_encode(uint8_t out[static NBD_GREETING_LEN]);
void nbd_option_reply_encode(uint8_t out[static NBD_OPTION_REPLY_LEN], uint32_t option, uint32_t type, uint32_t length);
void nbd_simple_reply_encode(uint8_t out[static NBD_SIMPLE_REPLY_LEN], uint32_t error, uint64_t cookie);
/* Whole chunks with DONE set, but for a payload that follows. They return their length, at most NBD_REPLY_HEADER_MAX. */
size_t nbd_data_chunk_encode(uint8_t *out, uint64_t cookie, uint64_t offset, uint32_t payload);
size_t nbd_error_chunk_encode(uint8_t *out, uint64_t cookie, uint32_t error);
/* One extent of allocated data (flags 0). */
size_t nbd_status_chunk_encode(uint8_t *out, uint64_t cookie, uint32_t length);

#endif
