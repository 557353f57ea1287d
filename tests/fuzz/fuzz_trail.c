/* SPDX-License-Identifier: Apache-2.0
 *
 * The verifier of audit trails (crypto/audit.h). Input: how many lines the harness makes, how it is cut, an edit (kind, place, byte), whether
 * there is a checkpoint, and then what stands in the lines; or, when no line is to be made, the trail itself.
 *
 * Holds: the verdict (code, sentence, good lines, first bad line) does not depend on how the trail is cut into pieces; a trail as it was
 * written is good; one with an edit is not, against the checkpoint, unless the edit changed nothing; nor is one that was written anew
 * with a chain that fits.
 */
#include <errno.h>

#include "base/bytes.h"
#include "base/text.h"
#include "crypto/audit.h"
#include "tests/fuzz/fuzz.h"

#define ROOM 65536

static struct audit_verifier one, many;

/* `count` lines with the chain over them. */
static size_t
make_trail(unsigned count, struct reader *text, uint8_t *trail, struct tree *tree)
{
	uint8_t chain[CHAIN_LEN] = {0};
	size_t used = 0, share = (size_t)(text->end - text->at) / count;

	for (unsigned n = 1; n <= count; n++) {
		char *line = (char *)trail + used, hex[2 * CHAIN_LEN + 1];
		size_t length = (size_t)snprintf(line, 64, "{\"v\":1,\"seq\":%u,\"ts\":\"", n);

		for (size_t i = 0; i < share; i++) {
			uint8_t byte = read_u8(text);

			line[length++] = byte == '\n' ? ' ' : (char)byte;
		}
		chain_next(chain, line, length, chain);
		print_hex(chain, CHAIN_LEN, hex);
		length += (size_t)snprintf(line + length, AUDIT_TAIL_LEN + 1, AUDIT_CHAIN_FIELD "%s\"}", hex);
		tree_append(tree, line, length);
		line[length++] = '\n';
		used += length;
	}
	return used;
}

/* The new length. The room is one byte larger than the trail. */
static size_t
edit(uint8_t *trail, size_t length, struct reader *choices)
{
	uint8_t kind = read_u8(choices);
	size_t at = read_u16(choices) % (length + 1);
	uint8_t byte = read_u8(choices);

	switch (kind % 5) {
	case 1:
		if (at < length)
			trail[at] = byte;
		return length;
	case 2:
		memmove(trail + at + 1, trail + at, length - at);
		trail[at] = byte;
		return length + 1;
	case 3:
		if (at == length)
			return length;
		memmove(trail + at, trail + at + 1, length - at - 1);
		return length - 1;
	case 4:
		return at;
	default:
		return length;
	}
}

static int
verify(struct audit_verifier *verifier, const struct checkpoint *checkpoint, const uint8_t *trail, size_t length,
    size_t piece)
{
	audit_begin(verifier, checkpoint);
	for (size_t at = 0; at < length; at += piece) {
		size_t size = length - at < piece ? length - at : piece;
		uint8_t *copy = malloc(size);
		int code;

		REQUIRE(copy != NULL);
		memcpy(copy, trail + at, size);
		code = audit_feed(verifier, copy, size);
		free(copy);
		REQUIRE(code == 0 || code == -EBADMSG);
	}
	return audit_end(verifier);
}

static int
verdict(const struct checkpoint *checkpoint, const uint8_t *trail, size_t length, size_t piece)
{
	int code = verify(&one, checkpoint, trail, length, length + 1);

	REQUIRE(verify(&many, checkpoint, trail, length, piece) == code && one.error.code == many.error.code);
	REQUIRE(one.lines == many.lines && one.first_bad_line == many.first_bad_line);
	REQUIRE(code == 0 || strcmp(one.error.text, many.error.text) == 0);
	return code;
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static const char made[] = "\x03\x07\x01\x00\x00\x00\x00 2026-11-22T12:00:00Z\",\"kind\":\"ATTACH\"";
	static const char own[] = "\x00\x07\x00\x00\x00\x00\x00{\"v\":1,\"seq\":1,\"ts\":\"x\",\"chain\":\"\"}\n";

	(void)argc, (void)argv;
	seed_write("made", made, sizeof made - 1);
	seed_write("own", own, sizeof own - 1);
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	struct reader reader = reader_over(bytes, length);
	unsigned count = read_u8(&reader) % 8;
	size_t piece = 1 + (size_t)read_u8(&reader) * (count + 1);
	bool has_checkpoint = read_u8(&reader) & 1;
	struct reader choices = reader, text;
	char *other;
	struct checkpoint checkpoint = {.origin = "m1", .size = count};
	uint8_t *trail, *edited;
	struct tree tree = {0};
	size_t used;

	if (read_bytes(&reader, 4) == NULL || length > ROOM / 4)
		return 0;
	if (count == 0) {
		verdict(has_checkpoint ? &checkpoint : NULL, reader.at, (size_t)(reader.end - reader.at), piece);
		return 0;
	}
	trail = malloc(ROOM), edited = malloc(ROOM);
	REQUIRE(trail != NULL && edited != NULL);
	text = reader;
	used = make_trail(count, &reader, trail, &tree);
	tree_root(&tree, checkpoint.root);
	REQUIRE(verdict(has_checkpoint ? &checkpoint : NULL, trail, used, piece) == 0 || one.first_bad_line != 0);
	memcpy(edited, trail, used);
	length = edit(edited, used, &choices);
	if (length != used || memcmp(edited, trail, used) != 0)
		REQUIRE(verdict(&checkpoint, edited, length, piece) < 0);
	/* Written anew with a chain that fits: only the checkpoint's root tells. */
	other = text_of(text.at, (size_t)(text.end - text.at));
	other[0] ^= 0x40;
	text = reader_over((const uint8_t *)other, (size_t)(text.end - text.at));
	length = make_trail(count, &text, edited, &tree);
	if (length != used || memcmp(edited, trail, used) != 0)
		REQUIRE(verdict(&checkpoint, edited, length, piece) < 0);
	free(other);
	free(edited);
	free(trail);
	return 0;
}
