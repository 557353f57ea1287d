/* SPDX-License-Identifier: Apache-2.0
 *
 * What guests do: connect in every way, start over, lie, and write without end (tests/xenstore/drive.h).
 */
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/loop.h"
#include "tests/xenstore/drive.h"

static void
passes_on_many_rings_of_many_pages(void)
{
	struct place place = disk_served(31);
	struct msg_xen_rings rings;
	struct peer attach;
	char text[12];

	attach = attach_ordered(&place);
	wait_backend(&place, 2);
	put("4", "%s/multi-queue-num-queues", place.frontend);
	put("2", "%s/ring-page-order", place.frontend);
	put("x86_32-abi", "%s/protocol", place.frontend);
	for (unsigned queue = 0; queue < 4; queue++) {
		for (unsigned page = 0; page < 4; page++) {
			snprintf(text, sizeof text, "%u", 1000 + 10 * queue + page);
			put(text, "%s/queue-%u/ring-ref%u", place.frontend, queue, page);
		}
		snprintf(text, sizeof text, "%u", 50 + queue);
		put(text, "%s/queue-%u/event-channel", place.frontend, queue);
	}
	frontend_says(&place, 3);
	rings = hear(&attach, MSG_XEN_RINGS).xen_rings;
	REQUIRE(rings.abi == XEN_PROTOCOL_X86_32 && rings.rings == 4 && rings.pages == 4);
	REQUIRE(rings.refs.length == 64 && rings.channels.length == 16);
	for (unsigned i = 0; i < 16; i++)
		REQUIRE(get_be32(rings.refs.bytes + 4 * i) == 1000 + 10 * (i / 4) + i % 4);
	REQUIRE(get_be32(rings.channels.bytes + 12) == 53);
	REQUIRE(watch_end() == 0);
}

/* kexec: Closing, Closed, Initialising, and all over. */
static void
takes_a_guest_that_boots_anew_in_place(void)
{
	struct place place = disk_served(32);
	struct peer attach;

	attach = connect_disk(&place);
	for (unsigned i = 0; i < 3; i++) {
		frontend_says(&place, 5);
		wait_backend(&place, 5);
		frontend_says(&place, 6);
		answer_close(&attach, false);
		wait_backend(&place, 6);
		frontend_says(&place, 1);
		wait_backend(&place, 2);
		frontend_sets_up(&place, 9 + i, 18 + i);
		REQUIRE(hear(&attach, MSG_XEN_RINGS).xen_rings.anew);
		answer_rings(&attach);
		wait_backend(&place, 4);
		frontend_says(&place, 4);
	}
	hear_nothing(&broker, 0);
	REQUIRE(watch_end() == 0);
}

static void
takes_new_rings_after_a_resume(void)
{
	struct place place = disk_served(33);
	struct msg_xen_rings rings;
	struct peer attach;

	attach = connect_disk(&place);
	wait_for("4", "%s/state", place.frontend);
	require_quiet("%s", place.backend);
	frontend_sets_up(&place, 99, 20);
	answer_close(&attach, false);
	rings = hear(&attach, MSG_XEN_RINGS).xen_rings;
	REQUIRE(rings.anew && get_be32(rings.refs.bytes) == 99);
	answer_rings(&attach);
	wait_backend(&place, 4);
	/* The same once more, and nothing has changed: nothing is done. */
	frontend_says(&place, 4);
	require_quiet("%s", place.backend);
	/* Again, and another time before it was connected. */
	frontend_sets_up(&place, 100, 20);
	answer_close(&attach, false);
	REQUIRE(get_be32(hear(&attach, MSG_XEN_RINGS).xen_rings.refs.bytes) == 100);
	frontend_sets_up(&place, 101, 20);
	answer_rings(&attach);
	answer_close(&attach, false);
	REQUIRE(get_be32(hear(&attach, MSG_XEN_RINGS).xen_rings.refs.bytes) == 101);
	REQUIRE(watch_end() == 0);
}

/* Each by itself: the guest is told, its backend closes, and when it starts over it is served. */
static void
refuses_rings_that_cannot_be(void)
{
	static const struct {
		const char *name, *bad, *good;
	} nodes[] = {
	    {"ring-ref", "-1", "8"},
	    {"ring-ref", "4294967296", "8"},
	    {"ring-ref", "8 ", "8"},
	    {"event-channel", "0", "17"},
	    {"event-channel", "131072", "17"},
	    {"protocol", "x86_64-abi2", "x86_64-abi"},
	    {"ring-page-order", "5", "0"},
	    {"multi-queue-num-queues", "5", "1"},
	    {"multi-queue-num-queues", "0", "1"},
	};
	struct place place = disk_served(34);
	struct peer attach;

	attach = attach_ordered(&place);
	wait_backend(&place, 2);
	for (size_t i = 0; i < sizeof nodes / sizeof nodes[0]; i++) {
		put("8", "%s/ring-ref", place.frontend);
		put("17", "%s/event-channel", place.frontend);
		put(nodes[i].bad, "%s/%s", place.frontend, nodes[i].name);
		frontend_says(&place, 3);
		wait_backend(&place, 5);
		REQUIRE(says("error", "%s/hotplug-status", place.backend));
		put(nodes[i].good, "%s/%s", place.frontend, nodes[i].name);
		frontend_says(&place, 6);
		wait_backend(&place, 6);
		frontend_says(&place, 1);
		wait_backend(&place, 2);
	}
	frontend_says(&place, 3);
	hear(&attach, MSG_XEN_RINGS);
	answer_rings(&attach);
	wait_backend(&place, 4);
	REQUIRE(says(NULL, "%s/error", place.backend) && says("connected", "%s/hotplug-status", place.backend));
	REQUIRE(watch_end() == 0);
}

static void
takes_nonsense_for_no_state(void)
{
	static const char *const states[] = {"9", "44", "-4", " 4", "4 ", "", "four", "0x4"};
	struct place place = disk_served(35);
	struct peer attach;

	attach = connect_disk(&place);
	for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
		put(states[i], "%s/state", place.frontend);
		answer_close(&attach, false);
		wait_backend(&place, 6);
		frontend_says(&place, 1);
		wait_backend(&place, 2);
		frontend_sets_up(&place, 8, 17);
		hear(&attach, MSG_XEN_RINGS);
		answer_rings(&attach);
		wait_backend(&place, 4);
	}
	REQUIRE(watch_end() == 0);
}

/* One guest writes as fast as it can; what we write for it is bounded, and another's disk is connected meanwhile. */
static void
is_kept_busy_by_no_guest(void)
{
	struct place flooder = place_of(0, "qdisk", 36, 51712), other = place_of(0, "qdisk", 37, 51712);
	struct peer attach;
	uint64_t begin;

	domain_make(36, "evil");
	domain_make(37, "web-1");
	watch_start_serving("netbus,qdisk");
	disk_make(&flooder, TARGET, "w");
	attach = attach_ordered(&flooder);
	wait_backend(&flooder, 2);
	put("x", "%s/ring-ref", flooder.frontend);
	put("17", "%s/event-channel", flooder.frontend);
	watch_count(flooder.backend);
	for (unsigned i = 0; i < 20000; i++)
		frontend_says(&flooder, (unsigned[]){3, 6, 1}[i % 3]);
	begin = clock_monotonic_ns();
	disk_make(&other, TARGET, "w");
	connect_disk(&other);
	REQUIRE(clock_monotonic_ns() - begin < 3 * NS_PER_SEC);
	/* 40 looks, 20 in each second, and at most six nodes for each. */
	REQUIRE(watch_counted() < 600);
	hear_nothing(&attach, 0);
	/* It is served like any other as soon as it behaves. */
	frontend_says(&flooder, 6);
	wait_backend(&flooder, 6);
	frontend_says(&flooder, 1);
	wait_backend(&flooder, 2);
	frontend_sets_up(&flooder, 8, 17);
	hear(&attach, MSG_XEN_RINGS);
	REQUIRE(watch_end() == 0);
}

static void
never_serves_a_liar_again(void)
{
	const struct msg_xen_lie lie = {.text = "request 7 has 400 segments"};
	struct place place = disk_served(38);
	struct peer attach;

	attach = connect_disk(&place);
	say(&attach, MSG_XEN_LIE, &lie, -1);
	answer_close(&attach, false);
	wait_backend(&place, 5);
	REQUIRE(says("the guest broke the block protocol: request 7 has 400 segments", "%s/error", place.backend));
	frontend_says(&place, 6);
	wait_backend(&place, 6);
	frontend_says(&place, 1);
	require_quiet("%s", place.backend);
	REQUIRE(watch_end() == 0);
}

static void
lets_go_when_a_domain_ends(void)
{
	struct place place = place_of(0, "qdisk", 39, 51712), other = place_of(0, "qdisk", 40, 51712);
	struct peer attach;

	domain_make(39, "web-1");
	domain_make(40, "web-2");
	watch_start_serving("netbus,qdisk");
	disk_make(&place, TARGET, "w");
	attach = connect_disk(&place);
	disk_make(&other, TARGET, "w");
	connect_disk(&other);
	domain_end(39);
	answer_end(&attach);
	REQUIRE(hear(&broker, MSG_XEN_GONE).xen_gone.domid == 39);
	wait_backend(&place, 6);
	REQUIRE(says("4", "%s/state", other.backend));
	hear_nothing(&broker, 200);
	REQUIRE(watch_end() == 0);
}

const struct scenario guest_scenarios[] = {
    {"passes_on_many_rings_of_many_pages", passes_on_many_rings_of_many_pages},
    {"takes_a_guest_that_boots_anew_in_place", takes_a_guest_that_boots_anew_in_place},
    {"takes_new_rings_after_a_resume", takes_new_rings_after_a_resume},
    {"refuses_rings_that_cannot_be", refuses_rings_that_cannot_be},
    {"takes_nonsense_for_no_state", takes_nonsense_for_no_state},
    {"is_kept_busy_by_no_guest", is_kept_busy_by_no_guest},
    {"never_serves_a_liar_again", never_serves_a_liar_again},
    {"lets_go_when_a_domain_ends", lets_go_when_a_domain_ends},
    {NULL, NULL},
};
