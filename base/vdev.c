/* SPDX-License-Identifier: Apache-2.0
 *
 * Names and numbers of Xen's virtual disks (base/vdev.h). Pure.
 */
#include "base/vdev.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { MAJOR_XVD = 202, MAJOR_SD = 8, MAJOR_HD = 3, MAJOR_HD_SECOND = 22 };

#define EXTENDED (1u << 28)

/* Digits without a leading zero; -1: none, or `most` or more. */
static int64_t
take_number(const char **at, uint32_t most)
{
	const char *text = *at;
	uint64_t number = 0;

	if (*text < '0' || *text > '9' || (text[0] == '0' && text[1] >= '0' && text[1] <= '9'))
		return -1;
	for (; *text >= '0' && *text <= '9'; text++) {
		number = number * 10 + (uint64_t)(*text - '0');
		if (number >= most)
			return -1;
	}
	*at = text;
	return (int64_t)number;
}

/* "a" is 0, "z" 25, "aa" 26. */
static int64_t
take_letters(const char **at, uint32_t most)
{
	const char *text = *at;
	uint64_t number = 0;

	if (*text < 'a' || *text > 'z')
		return -1;
	for (; *text >= 'a' && *text <= 'z'; text++) {
		number = number * 26 + (uint64_t)(*text - 'a') + 1;
		if (number > most)
			return -1;
	}
	*at = text;
	return (int64_t)number - 1;
}

/* After the letters: nothing, or a partition from 1 on. */
static int64_t
take_partition(const char *at)
{
	int64_t partition = *at == '\0' ? 0 : take_number(&at, VDEV_PARTITIONS_MOST);

	return *at == '\0' && partition >= 0 ? partition : -1;
}

static uint32_t
xvd_number(uint32_t disk, uint32_t partition)
{
	return disk < 16 && partition < 16 ? MAJOR_XVD << 8 | disk << 4 | partition : EXTENDED | disk << 8 | partition;
}

static bool
parse_lettered(const char *text, uint32_t *device)
{
	bool is_xvd = strncmp(text, "xvd", 3) == 0, is_sd = strncmp(text, "sd", 2) == 0,
	     is_hd = strncmp(text, "hd", 2) == 0;
	const char *at = text + (is_xvd ? 3 : 2);
	int64_t disk, partition;

	if (!is_xvd && !is_sd && !is_hd)
		return false;
	disk = take_letters(&at, is_xvd ? VDEV_DISKS_MOST : is_sd ? 16 : 4);
	if (disk < 0)
		return false;
	if (at[0] == '0')
		return false;
	partition = take_partition(at);
	if (partition < 0 || (is_sd && partition >= 16) || (is_hd && partition >= 64))
		return false;
	if (is_xvd)
		*device = xvd_number((uint32_t)disk, (uint32_t)partition);
	else if (is_sd)
		*device = MAJOR_SD << 8 | (uint32_t)disk << 4 | (uint32_t)partition;
	else
		*device =
		    (disk < 2 ? MAJOR_HD : MAJOR_HD_SECOND) << 8 | ((uint32_t)disk & 1) << 6 | (uint32_t)partition;
	return true;
}

static bool
parse_numbered(const char *text, uint32_t *device)
{
	const char *at = text + 1;
	int64_t disk, partition = 0;

	if (text[0] != 'd')
		return false;
	disk = take_number(&at, VDEV_DISKS_MOST);
	if (disk < 0)
		return false;
	if (*at == 'p') {
		at++;
		partition = take_number(&at, VDEV_PARTITIONS_MOST);
	}
	if (*at != '\0' || partition < 0)
		return false;
	*device = xvd_number((uint32_t)disk, (uint32_t)partition);
	return true;
}

int
vdev_parse(const char *untrusted_text, uint32_t *device, struct error *error)
{
	if (parse_lettered(untrusted_text, device) || parse_numbered(untrusted_text, device))
		return 0;
	return error_set(
	    error, -EINVAL, "'%.40s' is no name of a virtual disk; xvda, xvdb and so on are", untrusted_text);
}

/* ---- printing ---- */

static void
print_name(const char *kind, uint32_t disk, uint32_t partition, char text[static VDEV_TEXT_LEN])
{
	char letters[8];
	size_t at = sizeof letters - 1;

	letters[at] = '\0';
	for (uint32_t left = disk + 1; left > 0; left = (left - 1) / 26)
		letters[--at] = (char)('a' + (left - 1) % 26);
	if (partition)
		snprintf(text, VDEV_TEXT_LEN, "%s%s%u", kind, letters + at, partition);
	else
		snprintf(text, VDEV_TEXT_LEN, "%s%s", kind, letters + at);
}

void
vdev_print(uint32_t device, char text[static VDEV_TEXT_LEN])
{
	uint32_t major = device >> 8, minor = device & 0xff;

	bool is_extended = device >> 28 == 1, has_short = (device & ~EXTENDED) >> 8 < 16 && minor < 16;

	if (is_extended && !has_short)
		print_name("xvd", (device & ~EXTENDED) >> 8, minor, text);
	else if (major == MAJOR_XVD)
		print_name("xvd", minor >> 4, minor & 15, text);
	else if (major == MAJOR_SD)
		print_name("sd", minor >> 4, minor & 15, text);
	else if ((major == MAJOR_HD || major == MAJOR_HD_SECOND) && minor < 128)
		print_name("hd", (major == MAJOR_HD ? 0u : 2u) + (minor >> 6), minor & 63, text);
	else
		snprintf(text, VDEV_TEXT_LEN, "%u", device);
}
