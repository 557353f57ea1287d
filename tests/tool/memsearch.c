/* SPDX-License-Identifier: Apache-2.0
 *
 * memsearch PID HEX...: how often any of the byte strings stands in the readable memory of a process. Prints the count; exit 0 when it could look.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PIECE = 1 << 20, MOST = 256 };

/* A larger range is the shadow memory of a sanitizer: terabytes, of which every page that is looked at comes into being. */
#define RANGE_MOST ((uint64_t)64 << 30)

struct needle {
	uint8_t bytes[MOST];
	size_t length;
};

static struct needle
parse(const char *hex)
{
	struct needle needle = {.length = strlen(hex) / 2};

	if (needle.length == 0 || needle.length > MOST)
		exit(2);
	for (size_t i = 0; i < needle.length; i++) {
		char digits[3] = {hex[2 * i], hex[2 * i + 1], 0};

		needle.bytes[i] = (uint8_t)strtoul(digits, NULL, 16);
	}
	return needle;
}

static unsigned
count_in(const uint8_t *memory, size_t length, const struct needle *needle)
{
	unsigned count = 0;
	const uint8_t *at = memory;

	while ((at = memmem(at, length - (size_t)(at - memory), needle->bytes, needle->length)) != NULL) {
		count++;
		at++;
	}
	return count;
}

/* Pieces overlap by the longest needle, so that none is cut in two. */
static unsigned
search_range(int memory, uint64_t start, uint64_t end, const struct needle *needles, int needle_count)
{
	static uint8_t piece[PIECE + MOST];
	unsigned count = 0;

	for (uint64_t at = start; at < end; at += PIECE) {
		size_t want = end - at < sizeof piece ? (size_t)(end - at) : sizeof piece;
		ssize_t got = pread(memory, piece, want, (off_t)at);

		if (got <= 0)
			continue;
		for (int i = 0; i < needle_count; i++)
			count += count_in(piece, (size_t)got, &needles[i]);
	}
	return count;
}

int
main(int argc, char **argv)
{
	struct needle needles[8];
	char path[64], line[512];
	unsigned count = 0, ranges = 0;
	int memory;
	FILE *maps;

	if (argc < 3 || argc > 10)
		return 2;
	for (int i = 2; i < argc; i++)
		needles[i - 2] = parse(argv[i]);
	snprintf(path, sizeof path, "/proc/%s/maps", argv[1]);
	maps = fopen(path, "re");
	snprintf(path, sizeof path, "/proc/%s/mem", argv[1]);
	memory = open(path, O_RDONLY | O_CLOEXEC);
	if (maps == NULL || memory < 0) {
		perror(path);
		return 1;
	}
	while (fgets(line, sizeof line, maps)) {
		unsigned long start, end;
		char access[5];

		if (sscanf(line, "%lx-%lx %4s", &start, &end, access) == 3 && access[0] == 'r' &&
		    strstr(line, "[v") == NULL && end - start <= RANGE_MOST) {
			count += search_range(memory, start, end, needles, argc - 2);
			ranges++;
		}
	}
	fclose(maps);
	close(memory);
	if (ranges == 0)
		return 1;
	printf("%u\n", count);
	return 0;
}
