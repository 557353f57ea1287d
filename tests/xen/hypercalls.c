/* SPDX-License-Identifier: Apache-2.0
 *
 * hypercalls <TRACE: counts the hypercalls in what `xentrace -e 0x00229000` wrote, by domain and number, "DOMAIN NUMBER COUNT" a line. For tests/xen/bench, on a machine with
 * one CPU. Xen 4.17's xen/include/public/trace.h: a record is a word (event: bits 0..27; further words: 28..30; bit 31: a time of two words comes before them), and a PV
 * hypercall says its number in the low 20 bits of the first further word. Which domain it is the scheduler's last record says.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define PV_HYPERCALL 0x0020100du /* TRC_PV_HYPERCALL_V2 */
#define SWITCHED_TO  0x0002800fu /* TRC_SCHED_SWITCH_INFNEXT: domain, ... */
#define DOMAINS      64u
#define NUMBERS      64u

static uint32_t
word(void)
{
	uint32_t value;

	return fread(&value, sizeof value, 1, stdin) == 1 ? value : 0;
}

int
main(void)
{
	static uint64_t counts[DOMAINS][NUMBERS];
	uint32_t head, further[7] = {0}, domain = 0, number, i;

	while (fread(&head, sizeof head, 1, stdin) == 1) {
		if (head >> 31) {
			word();
			word();
		}
		for (i = 0; i < (head >> 28 & 7); i++)
			further[i] = word();
		if ((head & 0x0fffffffu) == SWITCHED_TO)
			domain = further[0];
		number = further[0] & 0xfffff;
		if ((head & 0x0fffffffu) == PV_HYPERCALL && domain < DOMAINS && number < NUMBERS)
			counts[domain][number]++;
	}
	for (domain = 0; domain < DOMAINS; domain++)
		for (number = 0; number < NUMBERS; number++)
			if (counts[domain][number] > 0)
				printf("%u %u %llu\n", domain, number, (unsigned long long)counts[domain][number]);
	return 0;
}
