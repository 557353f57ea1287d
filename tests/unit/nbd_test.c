/* SPDX-License-Identifier: Apache-2.0
 *
 * The pure half of the NBD server (wire/nbd.h): headers and option payloads that a client sends, and each layout that it is sent, byte by byte as
 * doc/proto.md draws it.
 */
#include "tests/unit/test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/bytes.h"
#include "wire/nbd.h"

/* ---- headers ---- */

static void
a_request_header_is_its_fields(void **state)
{
	static const uint8_t bytes[NBD_REQUEST_LEN] = {0x25, 0x60, 0x95, 0x13, 1, 2, 0, 6, 11, 12, 13, 14, 15, 16, 17,
	    18, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33, 34};
	struct nbd_request_header header;

	(void)state;
	assert_int_equal(nbd_request_decode(bytes, &header), 0);
	assert_int_equal(header.flags, 0x0102);
	assert_int_equal(header.command, NBD_CMD_WRITE_ZEROES);
	assert_true(header.cookie == UINT64_C(0x0b0c0d0e0f101112));
	assert_true(header.offset == UINT64_C(0x15161718191a1b1c));
	assert_true(header.length == 0x1f202122);
}

static void
an_option_header_is_its_fields(void **state)
{
	static const uint8_t bytes[] = "IHAVEOPT\0\0\0\7\1\2\3\4";
	struct nbd_option_header header;

	(void)state;
	assert_int_equal(nbd_option_decode(bytes, &header), 0);
	assert_int_equal(header.option, NBD_OPT_GO);
	assert_int_equal(header.length, 0x01020304);
}

/* Every bit of both magic numbers counts. */
static void
another_magic_is_refused_untouched(void **state)
{
	struct nbd_request_header request = {.cookie = 5};
	struct nbd_option_header option = {.option = 5};

	(void)state;
	for (unsigned bit = 0; bit < 64; bit++) {
		uint8_t bytes[NBD_REQUEST_LEN] = "IHAVEOPT";

		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(nbd_option_decode(bytes, &option), -EPROTO);
		if (bit >= 32)
			continue;
		put_be32(bytes, NBD_REQUEST_MAGIC);
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(nbd_request_decode(bytes, &request), -EPROTO);
	}
	assert_int_equal(request.cookie, 5);
	assert_int_equal(option.option, 5);
}

/* ---- the payloads of options ---- */

#define BYTES(literal) literal, sizeof(literal) - 1

static const struct {
	const char *what, *bytes;
	size_t length;
	const char *name; /* NULL: refused */
	bool wants_name;
} infos[] = {
    {"the default export", BYTES("\0\0\0\0\0\0"), "", false},
    {"a name", BYTES("\0\0\0\3abc\0\0"), "abc", false},
    {"NAME asked for", BYTES("\0\0\0\1a\0\1\0\1"), "a", true},
    {"NAME asked for among others", BYTES("\0\0\0\1a\0\3\0\3\0\1\0\7"), "a", true},
    {"others asked for", BYTES("\0\0\0\1a\0\2\0\3\0\2"), "a", false},
    {"nothing", BYTES(""), NULL, false},
    {"a length cut short", BYTES("\0\0\0"), NULL, false},
    {"no count", BYTES("\0\0\0\1a"), NULL, false},
    {"a name cut short", BYTES("\0\0\0\4abc"), NULL, false},
    {"a name that takes the count", BYTES("\0\0\0\5abc\0\0"), NULL, false},
    {"a name of four gigabytes",
	BYTES("\xff\xff\xff\xff"
	      "abc\0\0"),
	NULL, false},
    {"an information too few", BYTES("\0\0\0\1a\0\2\0\1"), NULL, false},
    {"an information too many", BYTES("\0\0\0\1a\0\0\0\1"), NULL, false},
    {"half an information", BYTES("\0\0\0\1a\0\1\0"), NULL, false},
    {"a byte too many", BYTES("\0\0\0\0\0\0\0"), NULL, false},
};

/* The bytes at the end of a block of their own: what reads beyond them meets a sanitizer. */
static uint8_t *
exactly(const char *bytes, size_t length)
{
	uint8_t *copy = malloc(length ? length : 1);

	assert_non_null(copy);
	memcpy(copy, bytes, length);
	return copy;
}

static void
info_is_taken_exactly_or_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(infos); i++) {
		AUTO_FREE uint8_t *bytes = exactly(infos[i].bytes, infos[i].length);
		struct nbd_info_query query;
		int code = nbd_info_decode(bytes, infos[i].length, &query);

		if (code != (infos[i].name ? 0 : -EPROTO))
			fail_msg("%s: %s", infos[i].what, code ? "refused" : "taken");
		if (infos[i].name &&
		    (!nbd_text_is(&query.name, infos[i].name) || query.wants_name != infos[i].wants_name))
			fail_msg("%s: not what was asked", infos[i].what);
	}
}

static const struct {
	const char *what, *bytes;
	size_t length;
	const char *queries[3]; /* of the export "abc" */
	bool good;
} metas[] = {
    {"no query", BYTES("\0\0\0\3abc\0\0\0\0"), {NULL}, true},
    {"one query", BYTES("\0\0\0\3abc\0\0\0\1\0\0\0\17base:allocation"), {NBD_CONTEXT_ALLOCATION}, true},
    {"two queries", BYTES("\0\0\0\3abc\0\0\0\2\0\0\0\5base:\0\0\0\1x"), {"base:", "x"}, true},
    {"an empty query", BYTES("\0\0\0\3abc\0\0\0\2\0\0\0\0\0\0\0\1x"), {"", "x"}, true},
    {"nothing", BYTES(""), {NULL}, false},
    {"no count", BYTES("\0\0\0\3abc"), {NULL}, false},
    {"a count cut short", BYTES("\0\0\0\3abc\0\0\0"), {NULL}, false},
    {"a query too few", BYTES("\0\0\0\3abc\0\0\0\2\0\0\0\1x"), {NULL}, false},
    {"a query too many", BYTES("\0\0\0\3abc\0\0\0\0\0\0\0\1x"), {NULL}, false},
    {"a query cut short", BYTES("\0\0\0\3abc\0\0\0\1\0\0\0\2x"), {NULL}, false},
    {"a query of four gigabytes", BYTES("\0\0\0\3abc\0\0\0\1\xff\xff\xff\xffx"), {NULL}, false},
    /* This one must be refused by the first that is missing: counting them all would take minutes. */
    {"four thousand million queries", BYTES("\0\0\0\3abc\xff\xff\xff\xff\0\0\0\1x"), {NULL}, false},
    {"a byte too many", BYTES("\0\0\0\3abc\0\0\0\1\0\0\0\1xy"), {NULL}, false},
};

static void
meta_queries_are_all_there_or_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(metas); i++) {
		AUTO_FREE uint8_t *bytes = exactly(metas[i].bytes, metas[i].length);
		struct nbd_meta_query query;
		struct nbd_text text;
		int code = nbd_meta_decode(bytes, metas[i].length, &query);

		if (code != (metas[i].good ? 0 : -EPROTO))
			fail_msg("%s: %s", metas[i].what, code ? "refused" : "taken");
		if (!metas[i].good)
			continue;
		assert_true(nbd_text_is(&query.name, "abc"));
		for (size_t k = 0; metas[i].queries[k]; k++)
			if (!nbd_meta_next(&query, &text) || !nbd_text_is(&text, metas[i].queries[k]))
				fail_msg("%s: query %zu is not '%s'", metas[i].what, k, metas[i].queries[k]);
		assert_false(nbd_meta_next(&query, &text));
	}
}

/* A string of `name` bytes and `count` informations, as INFO has them. */
static int
decode_large_info(uint32_t name, uint16_t count)
{
	static uint8_t bytes[NBD_STRING_MAX + 4 * NBD_INFO_MAX + 16];
	struct nbd_info_query query;

	put_be32(bytes, name);
	put_be16(bytes + 4 + name, count);
	return nbd_info_decode(bytes, 4 + name + 2 + 2 * (size_t)count, &query);
}

static void
a_string_and_a_list_have_their_limits(void **state)
{
	(void)state;
	assert_int_equal(decode_large_info(NBD_STRING_MAX, NBD_INFO_MAX), 0);
	assert_int_equal(decode_large_info(NBD_STRING_MAX + 1, 0), -EPROTO);
	assert_int_equal(decode_large_info(0, NBD_INFO_MAX + 1), -EPROTO);
}

static void
a_text_is_all_of_the_string(void **state)
{
	static const struct nbd_text text = {(const uint8_t *)"abc", 3};

	(void)state;
	assert_true(nbd_text_is(&text, "abc"));
	assert_false(nbd_text_is(&text, "ab"));
	assert_false(nbd_text_is(&text, "abcd"));
	assert_false(nbd_text_is(&text, "abd"));
}

/* ---- what is sent ---- */

static void
a_handshake_is_laid_out_as_specified(void **state)
{
	uint8_t greeting[NBD_GREETING_LEN], reply[NBD_OPTION_REPLY_LEN];

	(void)state;
	nbd_greeting_encode(greeting);
	assert_memory_equal(greeting, "NBDMAGICIHAVEOPT\0\3", sizeof greeting);
	nbd_option_reply_encode(reply, NBD_OPT_GO, NBD_REP_ERR_UNKNOWN, 0x01020304);
	assert_memory_equal(reply, "\0\x03\xe8\x89\x04\x55\x65\xa9\0\0\0\7\x80\0\0\6\1\2\3\4", sizeof reply);
}

#define COOKIE       UINT64_C(0x6162636465666768)
#define COOKIE_BYTES "abcdefgh"

static void
a_reply_is_laid_out_as_specified(void **state)
{
	uint8_t bytes[NBD_REPLY_HEADER_MAX];

	(void)state;
	nbd_simple_reply_encode(bytes, NBD_EINVAL, COOKIE);
	assert_memory_equal(bytes, "\x67\x44\x66\x98\0\0\0\x16" COOKIE_BYTES, NBD_SIMPLE_REPLY_LEN);
	assert_int_equal(nbd_data_chunk_encode(bytes, COOKIE, 0x0102, 0x1000), 28);
	assert_memory_equal(bytes, "\x66\x8e\x33\xef\0\1\0\1" COOKIE_BYTES "\0\0\x10\x08\0\0\0\0\0\0\1\2", 28);
	assert_int_equal(nbd_error_chunk_encode(bytes, COOKIE, NBD_ESHUTDOWN), 26);
	assert_memory_equal(bytes, "\x66\x8e\x33\xef\0\1\x80\1" COOKIE_BYTES "\0\0\0\6\0\0\0\x6c\0\0", 26);
	assert_int_equal(nbd_status_chunk_encode(bytes, COOKIE, 0x1000), 32);
	assert_memory_equal(bytes, "\x66\x8e\x33\xef\0\1\0\5" COOKIE_BYTES "\0\0\0\x0c\0\0\0\1\0\0\x10\0\0\0\0\0", 32);
}

static const struct {
	int status;
	uint32_t error;
} errors[] = {
    {0, NBD_OK},
    {-EPERM, NBD_EPERM},
    {-EROFS, NBD_EPERM},
    {-EACCES, NBD_EPERM},
    {-EIO, NBD_EIO},
    {-ENOMEM, NBD_ENOMEM},
    {-EINVAL, NBD_EINVAL},
    {-ENOSPC, NBD_ENOSPC},
    {-EDQUOT, NBD_ENOSPC},
    {-EFBIG, NBD_ENOSPC},
    {-EOVERFLOW, NBD_EOVERFLOW},
    {-EOPNOTSUPP, NBD_ENOTSUP},
    {-ESHUTDOWN, NBD_ESHUTDOWN},
    {-ENXIO, NBD_EIO},
    {-EBADMSG, NBD_EIO},
    {EINVAL, NBD_EIO},
    {1, NBD_EIO},
};

static void
an_errno_is_an_error_of_the_protocol_and_never_a_success(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(errors); i++)
		assert_int_equal(nbd_error_of(errors[i].status), errors[i].error);
	for (int status = -4096; status < 0; status++)
		assert_int_not_equal(nbd_error_of(status), NBD_OK);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_request_header_is_its_fields),
	    cmocka_unit_test(an_option_header_is_its_fields),
	    cmocka_unit_test(another_magic_is_refused_untouched),
	    cmocka_unit_test(info_is_taken_exactly_or_refused),
	    cmocka_unit_test(meta_queries_are_all_there_or_refused),
	    cmocka_unit_test(a_string_and_a_list_have_their_limits),
	    cmocka_unit_test(a_text_is_all_of_the_string),
	    cmocka_unit_test(a_handshake_is_laid_out_as_specified),
	    cmocka_unit_test(a_reply_is_laid_out_as_specified),
	    cmocka_unit_test(an_errno_is_an_error_of_the_protocol_and_never_a_success),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
