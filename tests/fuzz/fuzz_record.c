/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading a line of the trail (wire/record.h): any bytes, and lines that record_print() made of any texts.
 *
 * Holds: what is refused leaves the output alone; a VM and a share that were read stand in the line; a line that was printed is read back with its number,
 * its time and, of names that need no escape, its names.
 */
#include "base/bytes.h"
#include "tests/fuzz/fuzz.h"
#include "wire/record.h"

#define CHAIN ",\"chain\":\"abababababababababababababababababababababababababababababababab\"}"

static bool
is_inside(const struct record_text *text, const char *line, size_t length)
{
	return text->length == 0 || (text->at >= line && text->length <= (size_t)(line + length - text->at));
}

static void
read_any(const uint8_t *bytes, size_t length)
{
	char *line = text_of(bytes, length);
	struct record_head head;

	memset(&head, 0x5a, sizeof head);
	if (record_read(line, length, &head) < 0)
		REQUIRE(is_untouched(&head, sizeof head, 0x5a));
	else
		REQUIRE(head.seq > 0 && is_inside(&head.vm, line, length) && is_inside(&head.share, line, length));
	free(line);
}

static void
read_printed(const uint8_t *bytes, size_t length)
{
	size_t half = length / 2;
	char *vm = text_of(bytes, half), *share = text_of(bytes + half, length - half), line[RECORD_WHOLE_MAX + 1];
	struct record record = {.event = EVENT_ATTACH_DENY, .host = vm, .vm = vm, .share = share, .reason = share};
	int used = record_print(&record, 7, 1763812800000001, line, RECORD_LINE_MAX);
	struct record_head head;

	if (used > 0) {
		memcpy(line + used, CHAIN, sizeof CHAIN);
		REQUIRE(record_read(line, (size_t)used + sizeof CHAIN - 1, &head) == 0);
		REQUIRE(head.seq == 7 && head.wall_us == 1763812800000001);
		REQUIRE((head.vm.length == 0) == (vm[0] == '\0') && (head.share.length == 0) == (share[0] == '\0'));
	}
	free(vm);
	free(share);
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static const char whole[] =
	    "{\"v\":1,\"seq\":42,\"ts\":\"2026-11-22T12:00:00.000001Z\",\"event\":\"attach.allow\","
	    "\"principal\":{\"host\":\"m1\",\"vm\":\"acme/web-1\",\"tenant\":\"acme\"},"
	    "\"share\":\"acme/disk-1\",\"detail\":{\"source\":\"x\\\"y\",\"session\":12}" CHAIN;

	(void)argc, (void)argv;
	seed_write("whole", whole, sizeof whole - 1);
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	read_any(bytes, length);
	if (length < 4096)
		read_printed(bytes, length);
	return 0;
}
