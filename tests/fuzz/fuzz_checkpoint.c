/* SPDX-License-Identifier: Apache-2.0
 *
 * Signed checkpoints and their keys (crypto/seal.h). The first four bytes are an edit (place, byte, kind) of what the harness signs.
 *
 * Holds: a checkpoint that parses prints to the identical bytes, and what does not parse leaves the output alone; the key signs that and
 * nothing else; what it signed verifies to the same checkpoint; a note with an edit verifies to the same checkpoint or not at all.
 */
#include <errno.h>
#include <sodium.h>

#include "base/bytes.h"
#include "crypto/seal.h"
#include "tests/fuzz/fuzz.h"

#define FILLER 0xa5
#define GOOD   "m1\n7\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"

static struct seal_key *key;
static struct seal_public *public;

/* The same key in each run, so that a find is found again. */
static const char *
fixed_name(void)
{
	return "fixed";
}
static void
fixed_bytes(void *bytes, size_t length)
{
	memset(bytes, 7, length);
}
static struct randombytes_implementation fixed = {.implementation_name = fixed_name, .buf = fixed_bytes};

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	char secret_text[512], public_text[512];

	(void)argc, (void)argv;
	REQUIRE(randombytes_set_implementation(&fixed) == 0);
	REQUIRE(seal_generate("m1", secret_text, sizeof secret_text, public_text, sizeof public_text, NULL) == 0);
	key = seal_key_parse(secret_text, strlen(secret_text), NULL);
	public = seal_public_parse(public_text, strlen(public_text), NULL);
	REQUIRE(key != NULL && public != NULL);
	seed_write("checkpoint", "\0\0\0\0" GOOD, sizeof GOOD + 3);
	seed_write("edit", "\0\x31\x55\1" GOOD, sizeof GOOD + 3);
	seed_write("public", "\0\0\0\0m1+01020304+AQ==\n", 21);
	return 0;
}

static void
check_note(const char *note, size_t length, const struct checkpoint *signed_one, struct reader *choices)
{
	size_t at = read_u16(choices) % length, size = length;
	uint8_t byte = read_u8(choices), kind = read_u8(choices) % 3;
	struct checkpoint checkpoint;
	char *edited = malloc(length + 1);
	int code;

	REQUIRE(edited != NULL && seal_verify(public, note, length, &checkpoint, NULL) == 0);
	REQUIRE(memcmp(&checkpoint, signed_one, sizeof checkpoint) == 0);
	memcpy(edited, note, length);
	if (kind == 0) {
		edited[at] = (char)byte;
	} else if (kind == 1) {
		memmove(edited + at + 1, edited + at, size++ - at);
		edited[at] = (char)byte;
	} else {
		size = at;
	}
	memset(&checkpoint, FILLER, sizeof checkpoint);
	code = seal_verify(public, edited, size, &checkpoint, NULL);
	REQUIRE(code == 0 || code == -EBADMSG || code == -EACCES);
	REQUIRE(code == 0 ? memcmp(&checkpoint, signed_one, sizeof checkpoint) == 0
			  : is_untouched(&checkpoint, sizeof checkpoint, FILLER));
	free(edited);
}

static void
check_text(const char *text, size_t length, struct reader *choices)
{
	struct checkpoint checkpoint, other;
	char printed[SEAL_TEXT_MAX + 1], note[SEAL_NOTE_MAX];
	int signed_length = seal_sign(key, text, length, note, sizeof note);

	memset(&checkpoint, FILLER, sizeof checkpoint);
	if (checkpoint_parse(text, length, &checkpoint) < 0) {
		REQUIRE(is_untouched(&checkpoint, sizeof checkpoint, FILLER) && signed_length == -EPERM);
	} else {
		REQUIRE(checkpoint_print(&checkpoint, printed, sizeof printed) == (int)length);
		REQUIRE(memcmp(printed, text, length) == 0);
		REQUIRE(strcmp(checkpoint.origin, "m1") == 0 ? signed_length > 0 : signed_length == -EPERM);
		if (signed_length > 0)
			check_note(note, (size_t)signed_length, &checkpoint, choices);
	}
	REQUIRE(seal_verify(public, text, length, &other, NULL) < 0); /* nobody knows how to sign that */
}

static void
check_keys(const char *text, size_t length)
{
	struct seal_public *other_public = seal_public_parse(text, length, NULL);

	seal_public_free(other_public);
	if (length > 12 && memcmp(text, "PRIVATE+KEY+", 12) == 0) /* it takes locked pages: not each time */
		seal_key_free(seal_key_parse(text, length, NULL));
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	struct reader choices = reader_over(bytes, length);

	if (length < 4)
		return 0;
	check_text((const char *)bytes + 4, length - 4, &choices);
	check_keys((const char *)bytes + 4, length - 4);
	return 0;
}
