/* SPDX-License-Identifier: Apache-2.0
 *
 * vmlinux payload <bzImage >compressed, vmlinux compact <ELF >ELF: the two steps that tests/xen/images does around the decompressor to get from Debian's
 * bzImage to a kernel that emulated machines start in a second. Nothing hostile is read: both files come out of Debian's packages.
 */
#include <elf.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST (256u << 20)

struct bytes {
	uint8_t *data;
	size_t size;
};

__attribute__((noreturn)) static void
give_up(const char *what)
{
	fprintf(stderr, "vmlinux: %s\n", what);
	exit(1);
}

static struct bytes
read_all(void)
{
	struct bytes in = {malloc(MOST), 0};

	if (in.data == NULL)
		give_up("no memory");
	in.size = fread(in.data, 1, MOST, stdin);
	if (ferror(stdin) || in.size == MOST)
		give_up("standard input cannot be read, or is too large");
	return in;
}

static void
write_all(const uint8_t *data, size_t size)
{
	if (fwrite(data, 1, size, stdout) != size || fflush(stdout) != 0)
		give_up("standard output cannot be written");
}

/* Documentation/x86/boot.rst: setup_sects at 0x1f1, "HdrS" at 0x202, payload_offset at 0x248 and payload_length at 0x24c, counted from the end of the
 * setup sectors. Its last four bytes are the size of what was compressed, which is no part of it. */
static void
payload(void)
{
	struct bytes in = read_all();
	uint32_t offset, length;
	size_t start;

	if (in.size < 0x250 || memcmp(in.data + 0x202, "HdrS", 4) != 0)
		give_up("standard input is no bzImage");
	memcpy(&offset, in.data + 0x248, sizeof offset);
	memcpy(&length, in.data + 0x24c, sizeof length);
	start = (in.data[0x1f1] + 1u) * 512u + offset;
	if (start > in.size || length > in.size - start || length < 4)
		give_up("the payload of the bzImage lies outside of it");
	write_all(in.data + start, length - 4);
}

/* Where the copy of a byte of a PT_LOAD went. Notes lie inside one. */
static uint64_t
moved(const Elf64_Phdr *old, const Elf64_Phdr *new, unsigned count, uint64_t offset)
{
	for (unsigned i = 0; i < count; i++)
		if (old[i].p_type == PT_LOAD && offset - old[i].p_offset < old[i].p_filesz)
			return new[i].p_offset + offset - old[i].p_offset;
	give_up("a note lies in no segment");
}

/* Debian's vmlinux carries 22 MiB of zeros (.bss, .brk) and pads its segments to 2 MiB: the same segments without, and no sections. */
static void
compact(void)
{
	struct bytes in = read_all();
	Elf64_Ehdr head;
	Elf64_Phdr old[16], new[16];
	uint8_t *out = calloc(1, MOST);
	size_t used;

	memcpy(&head, in.data, sizeof head);
	if (in.size < sizeof head || memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 || head.e_phnum > 16 || out == NULL ||
	    head.e_phoff + head.e_phnum * sizeof *old > in.size)
		give_up("standard input is no ELF file with at most 16 segments");
	memcpy(old, in.data + head.e_phoff, head.e_phnum * sizeof *old);
	memcpy(new, old, sizeof new);
	used = sizeof head + head.e_phnum * sizeof *new;
	for (unsigned i = 0; i < head.e_phnum; i++) {
		if (old[i].p_type != PT_LOAD)
			continue;
		if (old[i].p_offset > in.size || old[i].p_filesz > in.size - old[i].p_offset)
			give_up("a segment lies outside of the file");
		while (new[i].p_filesz > 0 && in.data[old[i].p_offset + new[i].p_filesz - 1] == 0)
			new[i].p_filesz--;
		new[i].p_align = 4096;
		new[i].p_offset = (used + 4095) & ~(size_t)4095;
		memcpy(out + new[i].p_offset, in.data + old[i].p_offset, new[i].p_filesz);
		used = new[i].p_offset + new[i].p_filesz;
	}
	for (unsigned i = 0; i < head.e_phnum; i++)
		if (old[i].p_type == PT_NOTE)
			new[i].p_offset = moved(old, new, head.e_phnum, old[i].p_offset);
	head.e_phoff = sizeof head;
	head.e_shoff = head.e_shentsize = head.e_shnum = head.e_shstrndx = 0;
	memcpy(out, &head, sizeof head);
	memcpy(out + sizeof head, new, head.e_phnum * sizeof *new);
	write_all(out, used);
}

int
main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "payload") == 0)
		payload();
	else if (argc == 2 && strcmp(argv[1], "compact") == 0)
		compact();
	else
		give_up("usage: vmlinux payload|compact");
	return 0;
}
