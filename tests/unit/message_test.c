/* SPDX-License-Identifier: Apache-2.0
 *
 * Every row of the three message tables (wire/netbus.def, channel.def, admin.def) against the compiler's layout of its struct, and against its own limits:
 * what is within them survives, what is one beyond is refused both ways. Rows are taken from the .def files, so a new one is held without a line here.
 */
#include "tests/unit/test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/bytes.h"
#include "wire/admin.h"
#include "wire/channel.h"
#include "wire/control.h"
#include "wire/enrol.h"

#define FIELDS_MOST 40
#define ROOM        32768
#define UNTOUCHED   0x5a

/* A row, and where the compiler put the members of its struct. */
struct subject {
	const char *table, *name;
	uint16_t number;
	const struct message_type *type;
	size_t size;
	struct member {
		const char *name;
		size_t offset, size;
	} members[FIELDS_MOST];
};

/* clang-format off */
#define MEMBER(name)             {#name, (size_t)((const char *)&here.name - (const char *)&here), sizeof here.name},
#define U8(name, least, most)    MEMBER(name)
#define U16(name, least, most)   MEMBER(name)
#define U32(name, least, most)   MEMBER(name)
#define U64(name, least, most)   MEMBER(name)
#define TEXT(name, least, most)  MEMBER(name)
#define BYTES(name, length)      MEMBER(name)
#define BLOB(name, least, most)  MEMBER(name)
#define END(upper, lower)        }}; hold(&subject); }

static void
each_of_control(void (*hold)(const struct subject *subject))
{
#define MESSAGE(upper, lower, number, ...) { static const struct msg_##lower here; \
	const struct subject subject = {"netbus.def", #upper, (number), control_type(number), sizeof here, {
#include "wire/netbus.def"
#undef MESSAGE
}

static void
each_of_channel(void (*hold)(const struct subject *subject))
{
#define MESSAGE(upper, lower, number, ...) { static const struct msg_##lower here; \
	const struct subject subject = {"channel.def", #upper, (number), &channel_row(number)->type, sizeof here, {
#include "wire/channel.def"
#undef MESSAGE
}

static void
each_of_enrol(void (*hold)(const struct subject *subject))
{
#define MESSAGE(upper, lower, number, ...) { static const struct msg_##lower here; \
	const struct subject subject = {"enrol.def", #lower, (number), enrol_type(number), sizeof here, {
#include "wire/enrol.def"
#undef MESSAGE
}

static void
each_of_admin(void (*hold)(const struct subject *subject))
{
#define MESSAGE(upper, lower, number, ...) { static const struct msg_##lower here; \
	const struct subject subject = {"admin.def", #lower, (number), &admin_row(number)->type, sizeof here, {
#include "wire/admin.def"
#include "wire/message_undef.h"
}
/* clang-format on */

static void
each(void (*hold)(const struct subject *subject))
{
	each_of_control(hold);
	each_of_channel(hold);
	each_of_enrol(hold);
	each_of_admin(hold);
}

/* ---- a message, written down twice: as the struct that the compiler made, and as bytes ---- */

enum extreme { LEAST, BETWEEN, MOST, EXTREMES };

/* What one field holds instead: a number, or a length, and the last bytes of its text. */
struct twist {
	int field; /* -1: none */
	uint64_t value;
	const char *ending;
	size_t ending_length;
};

static const struct twist none = {.field = -1};

struct made {
	uint8_t message[ROOM], bytes[ROOM];
	size_t length;
};

static bool
is_number(const struct field *field)
{
	return field->kind <= FIELD_U64;
}

static uint64_t
value_of(const struct field *field, unsigned i, enum extreme extreme)
{
	uint64_t span = field->most - field->least;

	if (extreme == LEAST || span == 0)
		return field->least;
	if (extreme == MOST)
		return field->most;
	return field->least + (i + 1) * UINT64_C(0x9e3779b97f4a7c15) % span;
}

static void
make_number(const struct field *field, uint64_t value, uint8_t *at, struct writer *out)
{
	/* The low bytes come first on all machines that Netbus runs on. */
	memcpy(at, &value,
	    field->kind == FIELD_U8    ? 1
	    : field->kind == FIELD_U16 ? 2
	    : field->kind == FIELD_U32 ? 4
				       : 8);
	if (field->kind == FIELD_U8)
		write_u8(out, (uint8_t)value);
	else if (field->kind == FIELD_U16)
		write_u16(out, (uint16_t)value);
	else if (field->kind == FIELD_U32)
		write_u32(out, (uint32_t)value);
	else
		write_u64(out, value);
}

/* Bytes of a TEXT are letters, of others anything. A length beyond the field stays in the bytes, and out of the struct. */
static void
make_bytes(const struct subject *subject, unsigned i, size_t length, const struct twist *twist, struct made *made,
    struct writer *out)
{
	const struct field *field = &subject->type->fields[i];
	const struct member *member = &subject->members[i];
	uint16_t said = (uint16_t)length;
	size_t ahead = field->kind == FIELD_BLOB ? sizeof said : 0;
	uint8_t *content;

	if (field->kind != FIELD_BYTES)
		write_u16(out, said);
	content = write_room(out, length);
	assert_non_null(content);
	for (size_t k = 0; k < length; k++)
		content[k] = (uint8_t)(field->kind == FIELD_TEXT ? 'a' + (i + k) % 26 : 3 + i * 7 + k);
	if (twist->ending_length > 0 && twist->field == (int)i)
		memcpy(content + length - twist->ending_length, twist->ending, twist->ending_length);
	memcpy(made->message + member->offset, &said, ahead);
	if (length > member->size - ahead)
		length = member->size - ahead;
	memcpy(made->message + member->offset + ahead, content, length);
}

static void
make(const struct subject *subject, enum extreme extreme, const struct twist *twist, struct made *made)
{
	struct writer out = writer_over(made->bytes, sizeof made->bytes);

	assert_true(subject->size <= sizeof made->message);
	memset(made->message, 0, sizeof made->message);
	for (unsigned i = 0; i < subject->type->field_count; i++) {
		const struct field *field = &subject->type->fields[i];
		uint64_t value = twist->field == (int)i ? twist->value : value_of(field, i, extreme);

		if (is_number(field))
			make_number(field, value, made->message + subject->members[i].offset, &out);
		else
			make_bytes(subject, i, value, twist, made, &out);
	}
	assert_false(out.bad);
	made->length = writer_used(&out);
}

static void
refused(const struct subject *subject, const uint8_t *bytes, size_t length, const char *what)
{
	static uint8_t out[ROOM], untouched[ROOM];

	memset(out, UNTOUCHED, subject->size);
	memset(untouched, UNTOUCHED, subject->size);
	if (message_decode(subject->type, bytes, length, out) != -EBADMSG)
		fail_msg("%s: %s: taken with %s", subject->table, subject->name, what);
	if (memcmp(out, untouched, subject->size) != 0)
		fail_msg("%s: %s: the output is touched with %s", subject->table, subject->name, what);
}

/* ---- the properties ---- */

static void
row_is_its_number(const struct subject *subject)
{
	if (subject->type == NULL || strcmp(subject->type->name, subject->name) != 0)
		fail_msg("%s: %s: its number %u is that of %s", subject->table, subject->name, subject->number,
		    subject->type ? subject->type->name : "nothing");
	assert_int_equal(subject->type->number, subject->number);
}

static void
a_number_is_one_row_of_its_table(void **state)
{
	(void)state;
	each(row_is_its_number);
}

static void
row_lies_as_its_struct(const struct subject *subject)
{
	const struct message_type *type = subject->type;

	assert_int_equal(type->size, subject->size);
	assert_in_range(type->field_count, 1, FIELDS_MOST);
	for (unsigned i = 0; i < type->field_count; i++)
		assert_string_equal(type->fields[i].name, subject->members[i].name);
	assert_null(subject->members[type->field_count == FIELDS_MOST ? 0 : type->field_count].name);
}

static void
a_row_has_the_size_and_the_members_of_its_struct(void **state)
{
	(void)state;
	each(row_lies_as_its_struct);
}

/* The struct is filled where the compiler put its members: if the codec saw one elsewhere, the bytes would be others. */
static void
row_survives(const struct subject *subject)
{
	static struct made made;
	static uint8_t decoded[ROOM], again[ROOM];

	for (enum extreme extreme = LEAST; extreme < EXTREMES; extreme++) {
		make(subject, extreme, &none, &made);
		if (message_encode(subject->type, made.message, again, sizeof again) != (int)made.length ||
		    memcmp(again, made.bytes, made.length) != 0)
			fail_msg("%s: %s: not the bytes of its table", subject->table, subject->name);
		memset(decoded, UNTOUCHED, sizeof decoded);
		assert_int_equal(message_decode(subject->type, made.bytes, made.length, decoded), 0);
		if (memcmp(decoded, made.message, subject->size) != 0)
			fail_msg("%s: %s: not the struct that was encoded", subject->table, subject->name);
		assert_int_equal(decoded[subject->size], UNTOUCHED);
		memset(again, 0, sizeof again);
		assert_int_equal(message_encode(subject->type, decoded, again, sizeof again), made.length);
		assert_memory_equal(again, made.bytes, made.length);
	}
}

static void
a_message_within_its_limits_survives_bit_by_bit(void **state)
{
	(void)state;
	each(row_survives);
}

static void
row_has_its_room(const struct subject *subject)
{
	static struct made made;

	make(subject, MOST, &none, &made);
	assert_int_equal(message_room(subject->type), made.length);
	make(subject, BETWEEN, &none, &made);
	assert_true(made.length <= message_room(subject->type));
}

static void
the_room_of_a_row_is_its_largest_encoding(void **state)
{
	(void)state;
	each(row_has_its_room);
}

static unsigned twists; /* that could be made: without any, a table would be held by nothing */

static void
one_beyond(const struct subject *subject, const struct twist *twist, const char *what)
{
	static struct made made;
	static uint8_t out[ROOM];

	make(subject, BETWEEN, twist, &made);
	refused(subject, made.bytes, made.length, what);
	if (message_encode(subject->type, made.message, out, sizeof out) != -EINVAL)
		fail_msg("%s: %s: encoded with %s", subject->table, subject->name, what);
	twists++;
}

static void
row_has_limits(const struct subject *subject)
{
	static const uint64_t width[] = {[FIELD_U8] = UINT8_MAX,
	    [FIELD_U16] = UINT16_MAX,
	    [FIELD_U32] = UINT32_MAX,
	    [FIELD_U64] = UINT64_MAX,
	    [FIELD_TEXT] = UINT16_MAX,
	    [FIELD_BLOB] = UINT16_MAX};

	for (unsigned i = 0; i < subject->type->field_count; i++) {
		const struct field *field = &subject->type->fields[i];

		if (field->kind == FIELD_BYTES) /* its length is not in the message */
			continue;
		assert_true(field->least <= field->most && field->most <= width[field->kind]);
		if (field->least > 0)
			one_beyond(subject, &(struct twist){(int)i, field->least - 1, NULL, 0}, field->name);
		if (field->most < width[field->kind])
			one_beyond(subject, &(struct twist){(int)i, field->most + 1, NULL, 0}, field->name);
	}
}

static void
a_field_one_below_or_above_its_limits_is_refused_both_ways(void **state)
{
	(void)state;
	twists = 0;
	each(row_has_limits);
	assert_true(twists > 300);
}

static void
row_is_exact(const struct subject *subject)
{
	static struct made made;

	for (enum extreme extreme = LEAST; extreme < EXTREMES; extreme++) {
		uint8_t *exact;

		make(subject, extreme, &none, &made);
		exact = malloc(made.length); /* ends where the input ends, so that a sanitizer sees a read beyond it */
		assert_non_null(exact);
		for (size_t left = 0; left < made.length; left++) {
			memcpy(exact + made.length - left, made.bytes, left);
			refused(subject, exact + made.length - left, left, "bytes missing");
		}
		free(exact);
		made.bytes[made.length] = 0;
		refused(subject, made.bytes, made.length + 1, "a byte too many");
	}
}

static void
a_byte_missing_or_too_many_is_refused(void **state)
{
	(void)state;
	each(row_is_exact);
}

static void
row_needs_its_room(const struct subject *subject)
{
	static struct made made;
	uint8_t *exact;

	make(subject, BETWEEN, &none, &made);
	exact = malloc(made.length);
	assert_non_null(exact);
	for (size_t room = 0; room < made.length; room++)
		assert_int_equal(
		    message_encode(subject->type, made.message, exact + made.length - room, room), -ENOBUFS);
	assert_int_equal(message_encode(subject->type, made.message, exact, made.length), made.length);
	free(exact);
}

static void
a_room_too_small_is_said_to_be(void **state)
{
	(void)state;
	each(row_needs_its_room);
}

static const struct {
	const char *what, *ending;
	size_t length;
	bool good;
} endings[] = {
    {"two bytes of UTF-8", "\xc3\xa9", 2, true},
    {"a space", " ", 1, true},
    {"NUL", "", 1, false},
    {"NUL, then more", "\0a", 2, false},
    {"a new line", "\n", 1, false},
    {"an escape", "\x1b", 1, false},
    {"the last control character", "\x1f", 1, false},
    {"DEL", "\x7f", 1, false},
    {"UTF-8 cut short", "\xc3", 1, false},
    {"a continuation byte alone", "\x80", 1, false},
    {"an overlong form", "\xc0\x80", 2, false},
    {"a surrogate", "\xed\xa0\x80", 3, false},
    {"Latin-1", "\xe9", 1, false},
};

static void
text_is_text(const struct subject *subject, unsigned i, size_t e)
{
	static struct made made;
	static uint8_t out[ROOM];
	const struct field *field = &subject->type->fields[i];
	struct twist twist = {(int)i, field->least, endings[e].ending, endings[e].length};

	if (twist.value < endings[e].length)
		twist.value = endings[e].length;
	if (twist.value > field->most)
		return;
	make(subject, BETWEEN, &twist, &made);
	twists++;
	if (endings[e].good) {
		assert_int_equal(message_decode(subject->type, made.bytes, made.length, out), 0);
		assert_int_equal(message_encode(subject->type, made.message, out, sizeof out), made.length);
		return;
	}
	refused(subject, made.bytes, made.length, endings[e].what);
	if (strlen(endings[e].ending) == endings[e].length) /* a NUL just ends the struct's text */
		assert_int_equal(message_encode(subject->type, made.message, out, sizeof out), -EINVAL);
}

static void
row_has_clean_texts(const struct subject *subject)
{
	for (unsigned i = 0; i < subject->type->field_count; i++)
		for (size_t e = 0; subject->type->fields[i].kind == FIELD_TEXT && e < ARRAY_LENGTH(endings); e++)
			text_is_text(subject, i, e);
}

static void
text_is_utf8_without_control_characters(void **state)
{
	(void)state;
	twists = 0;
	each(row_has_clean_texts);
	assert_true(twists > 1000);
}

/* ---- the number in front ---- */

static void
channel_and_admin_messages_have_their_number_in_front(void **state)
{
	uint8_t bytes[8];
	uint16_t number = 0;
	union channel_body channel = {.end_now = {.reason = 513}};
	union admin_body admin = {.get_attachments = {.ended = 1}};

	(void)state;
	assert_int_equal(channel_encode(MSG_END_NOW, &channel, bytes, sizeof bytes), 4);
	assert_memory_equal(bytes, "\0\x48\x02\x01", 4);
	assert_int_equal(channel_decode(bytes, 4, &number, &channel), 0);
	assert_int_equal(number, MSG_END_NOW);
	assert_int_equal(admin_encode(ADMIN_GET_ATTACHMENTS, &admin, bytes, sizeof bytes), 3);
	assert_memory_equal(bytes, "\0\x06\x01", 3);
	assert_int_equal(admin_decode(bytes, 3, &number, &admin), 0);
	assert_int_equal(number, ADMIN_GET_ATTACHMENTS);
}

static void
what_has_no_number_or_one_of_no_row_is_refused(void **state)
{
	static const uint8_t unknown[] = {0xff, 0xff, 0};
	uint8_t bytes[8];
	uint16_t number = 7;
	union channel_body channel;
	union admin_body admin;

	(void)state;
	for (size_t length = 0; length <= sizeof unknown; length++) {
		assert_int_equal(channel_decode(unknown, length, &number, &channel), -EBADMSG);
		assert_int_equal(admin_decode(unknown, length, &number, &admin), -EBADMSG);
	}
	assert_int_equal(number, 7);
	assert_int_equal(channel_encode(0xffff, &channel, bytes, sizeof bytes), -EINVAL);
	assert_int_equal(admin_encode(0xffff, &admin, bytes, sizeof bytes), -EINVAL);
	for (size_t room = 0; room < 2; room++) {
		assert_int_equal(channel_encode(MSG_STOP, &(struct msg_stop){0}, bytes, room), -ENOBUFS);
		assert_int_equal(admin_encode(ADMIN_GET_STATUS, &(struct msg_get_status){0}, bytes, room), -ENOBUFS);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_number_is_one_row_of_its_table),
	    cmocka_unit_test(a_row_has_the_size_and_the_members_of_its_struct),
	    cmocka_unit_test(a_message_within_its_limits_survives_bit_by_bit),
	    cmocka_unit_test(the_room_of_a_row_is_its_largest_encoding),
	    cmocka_unit_test(a_field_one_below_or_above_its_limits_is_refused_both_ways),
	    cmocka_unit_test(a_byte_missing_or_too_many_is_refused),
	    cmocka_unit_test(a_room_too_small_is_said_to_be),
	    cmocka_unit_test(text_is_utf8_without_control_characters),
	    cmocka_unit_test(channel_and_admin_messages_have_their_number_in_front),
	    cmocka_unit_test(what_has_no_number_or_one_of_no_row_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
