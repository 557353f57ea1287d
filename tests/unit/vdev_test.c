/* SPDX-License-Identifier: Apache-2.0
 *
 * base/vdev.h: a table from Xen's docs/man/xen-vbd-interface(7), what is refused, and that names and numbers belong together.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/auto.h"
#include "base/vdev.h"

static void
a_name_has_the_number_that_xen_gives_it(void **state)
{
	static const struct {
		const char *name;
		uint32_t device;
		const char *printed; /* NULL: the same */
	} cases[] = {
	    {"xvda", 51712, NULL},
	    {"xvda1", 51713, NULL},
	    {"xvda15", 51727, NULL},
	    {"xvdb", 51728, NULL},
	    {"xvdp", 51952, NULL},
	    {"xvda16", 268435472, NULL}, /* the extended numbers */
	    {"xvdq", 268439552, NULL},
	    {"xvdz", 268435456 + 25 * 256, NULL},
	    {"xvdaa", 268435456 + 26 * 256, NULL},
	    {"xvdq255", 268439552 + 255, NULL},
	    {"hda", 768, NULL},
	    {"hda1", 769, NULL},
	    {"hdb", 832, NULL},
	    {"hdb63", 895, NULL},
	    {"hdc", 5632, NULL},
	    {"hdd", 5696, NULL},
	    {"sda", 2048, NULL},
	    {"sdp15", 2303, NULL},
	    {"d0", 51712, "xvda"},
	    {"d0p1", 51713, "xvda1"},
	    {"d16", 268439552, "xvdq"},
	    {"d0p0", 51712, "xvda"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		struct error error = {0};
		uint32_t device = 0;
		char text[VDEV_TEXT_LEN];

		if (vdev_parse(cases[i].name, &device, &error) < 0 || device != cases[i].device)
			fail_msg("%s is %u, not %u: %s", cases[i].name, device, cases[i].device, error.text);
		vdev_print(device, text);
		assert_string_equal(text, cases[i].printed ? cases[i].printed : cases[i].name);
	}
}

static void
what_is_no_name_is_refused(void **state)
{
	static const char *const names[] = {"", "x", "xvd", "xvdA", "xvda0", "xvda01", "xvda256", "xvda-1", "xvda 1",
	    "xvda1x", "hde", "hda64", "sdq", "sdaa", "sda16", "d", "d-1", "d01", "d0p", "d0p256", "d0p01", "d1048576",
	    "vda", "51712", "0xca00", "/dev/xvda", "xvdaaaaaaaaaaaaaaaaaaaa", "d99999999999999999999",
	    "xvda99999999999999999999"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
		struct error error = {0};
		uint32_t device = 7;

		if (vdev_parse(names[i], &device, &error) == 0 || device != 7 || error.text[0] == '\0')
			fail_msg("'%s' is %u", names[i], device);
	}
}

static void
every_disk_and_partition_comes_back(void **state)
{
	char name[32], text[VDEV_TEXT_LEN];
	struct error error;

	(void)state;
	for (uint32_t disk = 0; disk < VDEV_DISKS_MOST; disk += disk < 1024 ? 1 : 991)
		for (uint32_t partition = 0; partition < VDEV_PARTITIONS_MOST; partition += 17) {
			uint32_t device = 0, again = 1;

			snprintf(name, sizeof name, "d%up%u", disk, partition);
			assert_int_equal(vdev_parse(name, &device, &error), 0);
			vdev_print(device, text);
			assert_int_equal(vdev_parse(text, &again, &error), 0);
			assert_int_equal(device, again);
		}
}

/* Whatever stands in a path of xenstore has a text, which is a name only when it is that number's. */
static void
any_number_has_a_text(void **state)
{
	char text[VDEV_TEXT_LEN];
	struct error error;

	(void)state;
	vdev_print(1u << 28, text); /* xvda has a number that is not this one */
	assert_string_equal(text, "268435456");
	for (uint64_t i = 0; i <= UINT32_MAX; i += i < 70000 ? 1 : 65521) {
		uint32_t again = (uint32_t)i + 1;

		vdev_print((uint32_t)i, text);
		if (vdev_parse(text, &again, &error) == 0)
			assert_int_equal(again, (uint32_t)i);
		else
			assert_true(text[0] >= '0' && text[0] <= '9');
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_name_has_the_number_that_xen_gives_it),
	    cmocka_unit_test(what_is_no_name_is_refused),
	    cmocka_unit_test(every_disk_and_partition_comes_back),
	    cmocka_unit_test(any_number_has_a_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
