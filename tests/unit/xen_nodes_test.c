/* SPDX-License-Identifier: Apache-2.0
 *
 * What a guest and a toolstack wrote into xenstore, to values (frontend/xen_nodes.h): each node with what it may say and, one step beyond, what it may not.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Xen's header has the same tag. */
#define xenbus_state xens_state
#include <xen/io/xenbus.h>
#undef xenbus_state

#include "base/auto.h"
#include "base/bytes.h"
#include "frontend/xen_nodes.h"
#include "tests/unit/test.h"

/* ---- a guest's directory ---- */

struct node {
	const char *name, *value;
	size_t length; /* 0: of the text */
};

struct directory {
	struct node nodes[320];
	size_t count;
	int fails; /* what each read comes to, or 0 */
	char texts[320][24];
};

static void
put(struct directory *directory, const char *name, const char *value)
{
	for (size_t i = 0; i < directory->count; i++)
		if (strcmp(directory->nodes[i].name, name) == 0) {
			directory->nodes[i] = (struct node){name, value, 0};
			return;
		}
	assert_true(directory->count < ARRAY_LENGTH(directory->nodes));
	directory->nodes[directory->count++] = (struct node){name, value, 0};
}

static void
take_away(struct directory *directory, const char *name)
{
	for (size_t i = 0; i < directory->count; i++)
		if (strcmp(directory->nodes[i].name, name) == 0)
			directory->nodes[i] = directory->nodes[--directory->count];
}

/* As xenwatch's: -ENOENT, and nothing beyond the limit is ever given. */
static int
read_node(void *owner, const char *name, char *value)
{
	const struct directory *directory = owner;

	if (directory->fails)
		return directory->fails;
	for (size_t i = 0; i < directory->count; i++) {
		const struct node *node = &directory->nodes[i];
		size_t length = node->length ? node->length : strlen(node->value);

		if (strcmp(node->name, name) != 0)
			continue;
		if (length > XEN_VALUE_MOST)
			return -EMSGSIZE;
		memcpy(value, node->value, length);
		return (int)length;
	}
	return -ENOENT;
}

static struct directory
one_ring(void)
{
	struct directory directory = {.count = 0};

	put(&directory, "ring-ref", "8");
	put(&directory, "event-channel", "17");
	return directory;
}

/* `rings` of `pages`, each node with a number of its own. */
static void
many_rings(struct directory *directory, unsigned rings, unsigned pages, const char *rings_text, const char *order_text)
{
	static char names[320][40];
	unsigned at = 0;

	*directory = (struct directory){.count = 0};
	put(directory, "multi-queue-num-queues", rings_text);
	put(directory, "ring-page-order", order_text);
	for (unsigned ring = 0; ring < rings; ring++) {
		for (unsigned page = 0; page < pages; page++, at++) {
			snprintf(names[at], sizeof names[at], "queue-%u/ring-ref%u", ring, page);
			snprintf(directory->texts[at], sizeof directory->texts[at], "%u", 1000 + at);
			put(directory, names[at], directory->texts[at]);
		}
		snprintf(names[at], sizeof names[at], "queue-%u/event-channel", ring);
		snprintf(directory->texts[at], sizeof directory->texts[at], "%u", 1 + ring);
		put(directory, names[at], directory->texts[at]);
		at++;
	}
}

static int
parse(struct directory *directory, unsigned rings_most, struct msg_xen_rings *rings, struct error *error)
{
	*rings = (struct msg_xen_rings){.anew = 1};
	*error = (struct error){0};
	return xen_rings_parse(read_node, directory, rings_most, rings, error);
}

/* Refused with a sentence that names the node, and nothing is written. */
static void
is_refused(struct directory *directory, unsigned rings_most, const char *word)
{
	const struct msg_xen_rings untouched = {.anew = 1};
	struct msg_xen_rings rings;
	struct error error;

	assert_int_equal(parse(directory, rings_most, &rings, &error), -EBADMSG);
	assert_memory_equal(&rings, &untouched, sizeof rings);
	if (strstr(error.text, word) == NULL)
		fail_msg("'%s' does not say '%s'", error.text, word);
}

/* ---- rings ---- */

static void
takes_the_least_that_a_frontend_says(void **state)
{
	struct directory directory = one_ring();
	struct msg_xen_rings rings;
	struct error error;

	(void)state;
	assert_int_equal(parse(&directory, 16, &rings, &error), 0);
	assert_int_equal(rings.abi, XEN_PROTOCOL_NATIVE);
	assert_int_equal(rings.rings, 1);
	assert_int_equal(rings.pages, 1);
	assert_int_equal(rings.refs.length, 4);
	assert_int_equal(get_be32(rings.refs.bytes), 8);
	assert_int_equal(rings.channels.length, 4);
	assert_int_equal(get_be32(rings.channels.bytes), 17);
}

static void
takes_the_most_that_it_may_say(void **state)
{
	struct directory directory;
	struct msg_xen_rings rings;
	struct error error;
	uint8_t packet[LIMIT_CHANNEL_MESSAGE];

	(void)state;
	many_rings(&directory, 16, 16, "16", "4");
	put(&directory, "protocol", "x86_32-abi");
	assert_int_equal(parse(&directory, 16, &rings, &error), 0);
	assert_int_equal(rings.abi, XEN_PROTOCOL_X86_32);
	assert_int_equal(rings.rings, 16);
	assert_int_equal(rings.pages, 16);
	assert_int_equal(rings.refs.length, 1024);
	assert_int_equal(get_be32(rings.refs.bytes + 4 * 17), 1018); /* ring 1, page 1; each ring has one node more */
	assert_int_equal(get_be32(rings.channels.bytes + 4 * 15), 16);
	assert_true(channel_encode(MSG_XEN_RINGS, &rings, packet, sizeof packet) > 0);
}

static void
takes_one_page_under_either_name(void **state)
{
	struct directory directory = one_ring();
	struct msg_xen_rings rings;
	struct error error;

	(void)state;
	take_away(&directory, "ring-ref");
	put(&directory, "ring-ref0", "9");
	put(&directory, "multi-queue-num-queues", "1");
	put(&directory, "ring-page-order", "0");
	assert_int_equal(parse(&directory, 16, &rings, &error), 0);
	assert_int_equal(get_be32(rings.refs.bytes), 9);
}

static void
refuses_numbers_that_are_none_or_out_of_range(void **state)
{
	static const struct {
		const char *node, *least, *most, *below, *above;
	} nodes[] = {
	    {"ring-ref", "0", "4294967295", "-0", "4294967296"},
	    {"event-channel", "1", "131071", "0", "131072"},
	    {"multi-queue-num-queues", "1", "1", "0", "17"},
	    {"ring-page-order", "0", "0", "-0", "5"},
	};
	static const char *const never[] = {"", " 1", "1 ", "+1", "-1", "1\n", "0x1", "1e3", "one", "1.0",
	    "00000000001", "18446744073709551617", "99999999999999999999999999"};
	struct msg_xen_rings rings;
	struct error error;

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(nodes); i++) {
		struct directory directory = one_ring();

		put(&directory, nodes[i].node, nodes[i].least);
		assert_int_equal(parse(&directory, 16, &rings, &error), 0);
		put(&directory, nodes[i].node, nodes[i].most);
		assert_int_equal(parse(&directory, 16, &rings, &error), 0);
		put(&directory, nodes[i].node, nodes[i].below);
		is_refused(&directory, 16, nodes[i].node);
		put(&directory, nodes[i].node, nodes[i].above);
		is_refused(&directory, 16, nodes[i].node);
		for (size_t n = 0; n < ARRAY_LENGTH(never); n++) {
			put(&directory, nodes[i].node, never[n]);
			is_refused(&directory, 16, nodes[i].node);
		}
	}
}

static void
refuses_nul_and_what_is_too_long(void **state)
{
	static char longest[XEN_VALUE_MOST + 2];
	struct directory directory = one_ring();

	(void)state;
	directory.nodes[0] = (struct node){"ring-ref", "8\0", 2};
	is_refused(&directory, 16, "ring-ref");
	memset(longest, '1', sizeof longest - 1);
	put(&directory, "ring-ref", longest);
	is_refused(&directory, 16, "longer than 255");
	longest[XEN_VALUE_MOST] = '\0';
	is_refused(&directory, 16, "must be a number");
}

static void
refuses_what_is_missing(void **state)
{
	struct directory directory = one_ring();

	(void)state;
	take_away(&directory, "ring-ref");
	is_refused(&directory, 16, "ring-ref0");
	put(&directory, "ring-ref", "8");
	take_away(&directory, "event-channel");
	is_refused(&directory, 16, "event-channel");
	many_rings(&directory, 4, 4, "4", "2");
	take_away(&directory, "queue-3/ring-ref3");
	is_refused(&directory, 16, "queue-3/ring-ref3");
	/* The nodes of one ring do not stand for those of many, nor the other way round. */
	many_rings(&directory, 4, 4, "1", "2");
	is_refused(&directory, 16, "ring-ref0");
	directory = one_ring();
	put(&directory, "multi-queue-num-queues", "2");
	is_refused(&directory, 16, "queue-0/ring-ref");
	directory = one_ring();
	put(&directory, "ring-page-order", "1");
	is_refused(&directory, 16, "ring-ref0");
}

static void
refuses_more_rings_than_were_offered(void **state)
{
	struct directory directory;
	struct msg_xen_rings rings;
	struct error error;

	(void)state;
	many_rings(&directory, 4, 1, "4", "0");
	assert_int_equal(parse(&directory, 4, &rings, &error), 0);
	is_refused(&directory, 3, "multi-queue-num-queues");
}

/* Two rings over one page: each could change what the other has checked. */
static void
refuses_a_page_or_a_channel_that_is_named_twice(void **state)
{
	struct directory directory;

	(void)state;
	many_rings(&directory, 4, 4, "4", "2");
	put(&directory, "queue-3/ring-ref3", "1000");
	is_refused(&directory, 16, "queue-3/ring-ref3");
	many_rings(&directory, 4, 4, "4", "2");
	put(&directory, "queue-0/ring-ref3", "1000");
	is_refused(&directory, 16, "queue-0/ring-ref3");
	many_rings(&directory, 4, 4, "4", "2");
	put(&directory, "queue-2/event-channel", "1");
	is_refused(&directory, 16, "queue-2/event-channel");
}

static void
knows_two_protocols(void **state)
{
	static const char *const others[] = {"", "x86_64", "x86_64-abi ", "X86_64-ABI", "arm-abi", "x86_64-abi\n"};
	struct directory directory = one_ring();
	struct msg_xen_rings rings;
	struct error error;

	(void)state;
	put(&directory, "protocol", "x86_64-abi");
	assert_int_equal(parse(&directory, 16, &rings, &error), 0);
	assert_int_equal(rings.abi, XEN_PROTOCOL_X86_64);
	for (size_t i = 0; i < ARRAY_LENGTH(others); i++) {
		put(&directory, "protocol", others[i]);
		is_refused(&directory, 16, "protocol");
	}
}

static void
quotes_a_guest_only_escaped(void **state)
{
	struct directory directory = one_ring();
	struct msg_xen_rings rings;
	struct error error;

	(void)state;
	put(&directory, "ring-ref", "\x1b[2J\n8");
	assert_int_equal(parse(&directory, 16, &rings, &error), -EBADMSG);
	assert_null(strpbrk(error.text, "\x1b\n"));
	assert_non_null(strstr(error.text, "\\x1b"));
}

static void
passes_on_that_it_could_not_read(void **state)
{
	struct directory directory = one_ring();
	struct msg_xen_rings rings;
	struct error error;

	(void)state;
	directory.fails = -EACCES;
	assert_int_equal(parse(&directory, 16, &rings, &error), -EACCES);
}

/* ---- small values ---- */

static void
takes_one_digit_for_a_state(void **state)
{
	static const struct {
		const char *value;
		int length;
		enum xenbus_state want;
	} rows[] = {{"0", 1, XENBUS_UNKNOWN}, {"1", 1, XENBUS_INITIALISING}, {"6", 1, XENBUS_CLOSED},
	    {"8", 1, XENBUS_RECONFIGURED}, {"9", 1, XENBUS_UNKNOWN}, {"44", 2, XENBUS_UNKNOWN},
	    {"4\0", 2, XENBUS_UNKNOWN}, {"-", 1, XENBUS_UNKNOWN}, {"", 0, XENBUS_UNKNOWN},
	    {"4", -ENOENT, XENBUS_UNKNOWN}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
		assert_int_equal(xen_state_parse(rows[i].value, rows[i].length), rows[i].want);
}

static void
takes_r_or_w_for_a_mode(void **state)
{
	static const char *const others[] = {"", "R", "rw", "w!", "x", "w "};
	uint8_t mode = 7;

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(others); i++)
		assert_int_equal(xen_mode_parse(others[i], strlen(others[i]), &mode), -EINVAL);
	assert_int_equal(mode, 7);
	assert_int_equal(xen_mode_parse("r", 1, &mode), 0);
	assert_int_equal(mode, ACCESS_RO);
	assert_int_equal(xen_mode_parse("w", 1, &mode), 0);
	assert_int_equal(mode, ACCESS_RW);
}

/* ---- targets ---- */

static void
tells_our_targets_from_others(void **state)
{
	static const struct {
		const char *params;
		int want;
	} rows[] = {
	    {"netbus://m2/acme/disk-1", 0},
	    {"aio:netbus://m2/acme/disk-1", 0},
	    {"aio:netbus://m2.example/acme/disk.1_x", 0},
	    {"/dev/vg/disk", -ENOENT},
	    {"aio:/srv/disk.img", -ENOENT},
	    {"aio:/srv/netbus://m2/acme/disk-1", -ENOENT},
	    {"nbd:host:netbus://m2/acme/disk-1", -ENOENT},
	    {"x/y:netbus://m2/acme/disk-1", -ENOENT},
	    {"NETBUS://m2/acme/disk-1", -ENOENT},
	    {"netbus:/m2/acme/disk-1", -ENOENT},
	    {"", -ENOENT},
	    {"qcow2:netbus://m2/acme/disk-1", -EINVAL},
	    {":netbus://m2/acme/disk-1", -EINVAL},
	    {"aio:netbus://", -EINVAL},
	    {"netbus://m2", -EINVAL},
	    {"netbus://m2/acme", -EINVAL},
	    {"netbus:///acme/disk-1", -EINVAL},
	    {"netbus://m2//disk-1", -EINVAL},
	    {"netbus://m2/acme/", -EINVAL},
	    {"netbus://m2/acme/disk-1/more", -EINVAL},
	    {"netbus://m2/acme/disk-1 ", -EINVAL},
	    {"netbus://M2/acme/disk-1", -EINVAL},
	    {"netbus://m2:7715/acme/disk-1", -EINVAL},
	    {"netbus://root@m2/acme/disk-1", -EINVAL},
	    {"netbus://m2/acme/../etc", -EINVAL},
	    {"netbus://m2/acme/disk-1?x=1", -EINVAL},
	    {"netbus://aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggg/acme/disk-1", -EINVAL},
	};
	struct xen_target target;
	struct error error;

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		error = (struct error){0};
		if (xen_target_parse(rows[i].params, strlen(rows[i].params), &target, &error) != rows[i].want)
			fail_msg("'%s'", rows[i].params);
		assert_int_equal(error.text[0] != '\0', rows[i].want == -EINVAL);
	}
}

static void
prints_targets_as_it_takes_them(void **state)
{
	static const char whole[] = "netbus://m2/acme/disk-1";
	char text[XEN_PARAMS_LEN], longest[NAME_LEN_MAX + 1], share[QUALIFIED_LEN_MAX + 1];
	struct xen_target target;

	(void)state;
	assert_int_equal(xen_target_parse(whole, strlen(whole), &target, NULL), 0);
	assert_string_equal(target.exporter.text, "m2");
	assert_string_equal(target.share.text, "acme/disk-1");
	xen_target_print(target.exporter.text, target.share.text, text);
	assert_string_equal(text, whole);
	memset(longest, 'a', NAME_LEN_MAX);
	longest[NAME_LEN_MAX] = '\0';
	snprintf(share, sizeof share, "%s/%s", longest, longest);
	xen_target_print(longest, share, text);
	assert_int_equal(xen_target_parse(text, strlen(text), &target, NULL), 0);
	assert_string_equal(target.share.text, share);
	/* What follows a NUL is no part of a target, and with it nothing is one. */
	assert_int_equal(xen_target_parse("netbus://m2/acme/disk-1\0x", sizeof whole + 1, &target, NULL), -ENOENT);
}

/* The numbers are Xen's: its header says so, where there is one. */
static void
counts_states_as_xen_does(void **state)
{
	(void)state;
	assert_int_equal(XENBUS_INITIALISING, XenbusStateInitialising);
	assert_int_equal(XENBUS_INIT_WAIT, XenbusStateInitWait);
	assert_int_equal(XENBUS_INITIALISED, XenbusStateInitialised);
	assert_int_equal(XENBUS_CONNECTED, XenbusStateConnected);
	assert_int_equal(XENBUS_CLOSING, XenbusStateClosing);
	assert_int_equal(XENBUS_CLOSED, XenbusStateClosed);
	assert_int_equal(XENBUS_RECONFIGURING, XenbusStateReconfiguring);
	assert_int_equal(XENBUS_RECONFIGURED, XenbusStateReconfigured);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(takes_the_least_that_a_frontend_says),
	    cmocka_unit_test(takes_the_most_that_it_may_say),
	    cmocka_unit_test(takes_one_page_under_either_name),
	    cmocka_unit_test(refuses_numbers_that_are_none_or_out_of_range),
	    cmocka_unit_test(refuses_nul_and_what_is_too_long),
	    cmocka_unit_test(refuses_what_is_missing),
	    cmocka_unit_test(refuses_more_rings_than_were_offered),
	    cmocka_unit_test(refuses_a_page_or_a_channel_that_is_named_twice),
	    cmocka_unit_test(knows_two_protocols),
	    cmocka_unit_test(quotes_a_guest_only_escaped),
	    cmocka_unit_test(passes_on_that_it_could_not_read),
	    cmocka_unit_test(takes_one_digit_for_a_state),
	    cmocka_unit_test(takes_r_or_w_for_a_mode),
	    cmocka_unit_test(tells_our_targets_from_others),
	    cmocka_unit_test(prints_targets_as_it_takes_them),
	    cmocka_unit_test(counts_states_as_xen_does),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
