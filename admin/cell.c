/* SPDX-License-Identifier: Apache-2.0
 *
 * Texts for the cells of tables. Nothing is escaped here: table_row() does that for all of them.
 */
#include "admin/admin.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"

/* Digits of a lease's id that a table shows: 32 bits are as good as unique among the leases of a host, and lease_operand() takes them. */
#define LEASE_BYTES_SHOWN 4

void
cell_text(char *cell, const char *text)
{
	size_t length = 0;

	for (; length < CELL_LEN - 1 && text[length] != '\0'; length++)
		cell[length] = text[length];
	cell[length] = '\0';
}

void
cell_number(char *cell, uint64_t number)
{
	snprintf(cell, CELL_LEN, "%llu", (unsigned long long)number);
}

void
cell_size(char *cell, uint64_t bytes)
{
	print_size(bytes, cell);
}

void
cell_time(char *cell, uint64_t at_us)
{
	char text[CLOCK_TEXT_LEN];

	cell[0] = '\0';
	if (at_us == 0)
		return;
	clock_print((int64_t)at_us, text);
	snprintf(cell, CELL_LEN, "%.10s %.5sZ", text, text + 11);
}

void
cell_lease(char *cell, const uint8_t lease[static 16])
{
	static const uint8_t none[16];

	cell[0] = '\0';
	if (memcmp(lease, none, sizeof none) != 0)
		print_hex(lease, LEASE_BYTES_SHOWN, cell);
}
