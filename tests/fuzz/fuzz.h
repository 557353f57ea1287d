/* SPDX-License-Identifier: Apache-2.0
 *
 * For the fuzzers of tests/fuzz/: what libFuzzer calls, what must hold, and seeds that a fuzzer makes itself.
 *
 * With NETBUS_FUZZ_SEEDS=DIRECTORY a fuzzer writes its seeds there when it starts (tests/fuzz/fuzz.test does that first). Seeds that are
 * regressions, or text, are kept in tests/fuzz/seeds/NAME/.
 */
#ifndef NETBUS_TESTS_FUZZ_FUZZ_H
#define NETBUS_TESTS_FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/require.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static inline void
seed_write(const char *name, const void *bytes, size_t length)
{
	const char *directory = getenv("NETBUS_FUZZ_SEEDS");
	char path[512];
	FILE *file;

	if (directory == NULL)
		return;
	snprintf(path, sizeof path, "%s/%s", directory, name);
	file = fopen(path, "wb");
	REQUIRE(file != NULL && fwrite(bytes, 1, length, file) == length && fclose(file) == 0);
}

/* A terminated copy of exactly that size, so that a read behind it is seen. */
static inline char *
text_of(const uint8_t *bytes, size_t length)
{
	char *text = malloc(length + 1);

	REQUIRE(text != NULL);
	if (length)
		memcpy(text, bytes, length);
	text[length] = '\0';
	return text;
}

/* Whether all bytes are what memset() made of them: an output that was left alone. */
static inline bool
is_untouched(const void *output, size_t length, uint8_t filler)
{
	const uint8_t *at = output;

	for (size_t i = 0; i < length; i++)
		if (at[i] != filler)
			return false;
	return true;
}

#endif
