/* SPDX-License-Identifier: Apache-2.0
 *
 * Leases that end, processes that die and come back (tests/xenstore/drive.h).
 */
#include <string.h>
#include <unistd.h>

#include "tests/xenstore/drive.h"

#if defined(__SANITIZE_ADDRESS__)
#define UNDER_SANITIZER true
#else
#define UNDER_SANITIZER false
#endif

/* netbus-attach-xen dies: the guest is connected and stays so, and the next one gets the rings that the guest has. */
static void
gives_the_rings_to_the_next_process(void)
{
	const struct msg_xen_over over = {.domid = 51, .device = 51712, .again = 1, .reason = 2, .text = "it crashed"};
	struct place place = disk_served(51);
	struct msg_xen_rings rings;
	struct peer attach;

	attach = connect_disk(&place);
	for (unsigned i = 0; i < 2; i++) {
		require_quiet("%s", place.backend);
		close(attach.fd);
		say(&broker, MSG_XEN_OVER, &over, -1);
		attach = attach_ordered(&place);
		rings = hear(&attach, MSG_XEN_RINGS).xen_rings;
		REQUIRE(!rings.anew && memcmp(rings.refs.bytes, "\0\0\0\10", 4) == 0);
		answer_rings(&attach);
		require_quiet("%s", place.backend);
		REQUIRE(says("4", "%s/state", place.backend));
	}
	REQUIRE(watch_end() == 0);
}

static void
lets_a_guest_leave_while_there_is_no_process(void)
{
	struct place place = disk_served(52);
	struct peer attach;

	attach = connect_disk(&place);
	require_quiet("%s", place.backend);
	close(attach.fd);
	disk_take_away(&place);
	frontend_says(&place, 5);
	frontend_says(&place, 6);
	wait_backend(&place, 6);
	hear(&broker, MSG_XEN_GONE);
	hear_nothing(&broker, 1500);
	REQUIRE(watch_end() == 0);
}

/* Revoked: the guest's requests are answered with errors by the process, which keeps the rings until the guest lets go. */
static void
closes_a_disk_that_is_revoked(void)
{
	const struct msg_xen_over over = {.domid = 53, .device = 51712, .reason = 2, .text = "revoked (record 9)"};
	struct place place = disk_served(53);
	struct peer attach;

	attach = connect_disk(&place);
	say(&broker, MSG_XEN_OVER, &over, -1);
	wait_backend(&place, 5);
	REQUIRE(says("revoked (record 9)", "%s/error", place.backend));
	hear_nothing(&attach, 200);
	frontend_says(&place, 6);
	answer_close(&attach, false);
	wait_backend(&place, 6);
	hear_nothing(&broker, 100); /* the disk is in the guest's configuration still */
	disk_take_away(&place);
	hear(&broker, MSG_XEN_GONE);
	REQUIRE(watch_end() == 0);
}

/* A process that could not get the lease back has its predecessor's rings, and never said that it was ready. */
static void
has_rings_let_go_that_nobody_told_of(void)
{
	const struct msg_xen_over again = {.domid = 54, .device = 51712, .again = 1, .reason = 2, .text = "it crashed"};
	const struct msg_xen_over over = {.domid = 54, .device = 51712, .reason = 2, .text = "refused"};
	struct place place = disk_served(54);
	struct peer attach;

	attach = connect_disk(&place);
	close(attach.fd);
	say(&broker, MSG_XEN_OVER, &again, -1);
	hear(&broker, MSG_XEN_DISK);
	attach = attach_start(&place);
	say(&broker, MSG_XEN_OVER, &over, -1);
	wait_backend(&place, 5);
	frontend_says(&place, 6);
	answer_close(&attach, false);
	wait_backend(&place, 6);
	REQUIRE(watch_end() == 0);
}

/* netbus-xenwatch itself dies. */
static void
goes_on_after_it_was_killed(void)
{
	struct place place = place_of(0, "qdisk", 55, 51712), waiting = place_of(0, "qdisk", 56, 51712);
	struct peer attach;

	domain_make(55, "web-1");
	domain_make(56, "web-2");
	watch_start_serving("netbus,qdisk");
	disk_make(&place, TARGET, "w");
	attach = connect_disk(&place);
	require_quiet("%s", place.backend);
	watch_kill();
	close(attach.fd);
	disk_make(&waiting, TARGET, "w");
	watch_start_serving("netbus,qdisk");
	attach = attach_start(&place);
	attach_ready(&attach, true);
	REQUIRE(hear(&broker, MSG_XEN_DISK).xen_disk.domid == 56);
	require_quiet("%s", place.backend);
	hear_nothing(&attach, 0);
	hear_nothing(&broker, 0);
	disk_take_away(&place);
	frontend_says(&place, 6);
	answer_close(&attach, false);
	wait_backend(&place, 6);
	REQUIRE(watch_end() == 0);
}

static void
notices_what_went_on_while_it_was_away(void)
{
	struct place place = place_of(0, "qdisk", 57, 51712), closed = place_of(0, "qdisk", 58, 51712);
	struct peer attach, other;

	domain_make(57, "web-1");
	domain_make(58, "web-2");
	watch_start_serving("netbus,qdisk");
	disk_make(&place, TARGET, "w");
	attach = connect_disk(&place);
	disk_make(&closed, TARGET, "w");
	other = connect_disk(&closed);
	require_quiet("/local/domain/0/backend/qdisk");
	watch_kill();
	close(attach.fd);
	close(other.fd);
	take_away("%s", place.backend);
	disk_take_away(&closed);
	frontend_says(&closed, 6);
	watch_start_serving("netbus,qdisk");
	attach = attach_start(&place);
	other = attach_start(&closed);
	attach_ready(&attach, true);
	REQUIRE(hear(&attach, MSG_XEN_CLOSE).xen_close.gone == 1);
	REQUIRE(hear(&broker, MSG_XEN_GONE).xen_gone.domid == 57);
	attach_ready(&other, true);
	answer_close(&other, false);
	REQUIRE(hear(&broker, MSG_XEN_GONE).xen_gone.domid == 58);
	wait_backend(&closed, 6);
	REQUIRE(watch_end() == 0);
}

/* A process that says what its role may not say, or what cannot be, is dropped, and its disk with what it had. */
static void
drops_a_process_that_breaks_the_rules(void)
{
	const struct msg_xen_gone gone = {59, 51712};
	struct place place = disk_served(59);
	struct peer attach;

	attach = attach_ordered(&place);
	wait_backend(&place, 2);
	say(&attach, MSG_XEN_GONE, &gone, -1);
	REQUIRE(is_closed(&attach));
	attach = attach_ordered(&place);
	say(&attach, MSG_XEN_RINGS_UP, &(struct msg_xen_rings_up){.ok = 1}, -1); /* to no question */
	say(&attach, MSG_XEN_RINGS_DOWN, &(struct msg_xen_rings_down){0}, -1);
	require_quiet("%s", place.backend);
	REQUIRE(says("2", "%s/state", place.backend));
	REQUIRE(watch_end() == 0);
}

/* The device is too small for one block, or was never said to be a whole number of them. */
static void
offers_whole_blocks_only(void)
{
	struct msg_xen_ready ready = {.size = 4095,
	    .logical_block = 4096,
	    .physical_block = 4096,
	    .flags = DEVICE_READ_ONLY | DEVICE_DISCARD,
	    .rings = 16};
	struct place place = disk_served(60);
	struct peer attach;

	hear(&broker, MSG_XEN_DISK);
	attach = attach_start(&place);
	say(&attach, MSG_XEN_READY, &ready, -1);
	wait_backend(&place, 2);
	REQUIRE(says("0", "%s/sectors", place.backend) && says("4", "%s/info", place.backend));
	REQUIRE(says("0", "%s/feature-discard", place.backend) && says("0", "%s/feature-flush-cache", place.backend));
	REQUIRE(watch_end() == 0);
}

/* libxenstore's reader is a thread of its own, and was there before. A sanitizer does more than the list allows. */
static void
locks_every_thread_down(void)
{
	disk_served(61);
	hear(&broker, MSG_XEN_DISK);
	require_of_threads("NoNewPrivs:\t1", 2);
	if (!UNDER_SANITIZER)
		require_of_threads("Seccomp:\t2", 2);
	if (geteuid() == 0) {
		require_of_threads("Uid:\t" DROP_UID "\t" DROP_UID "\t" DROP_UID "\t" DROP_UID, 2);
		require_of_threads("CapEff:\t0000000000000000", 2);
		require_of_threads("Groups:\t \n", 2);
	}
	REQUIRE(watch_end() == 0);
}

/* xenstored ends meanwhile. */
static void
waits_for_the_end(void)
{
	watch_start_serving("netbus,qdisk");
	REQUIRE(is_closed(&broker));
	REQUIRE(watch_end() == 1);
}

const struct scenario failure_scenarios[] = {
    {"gives_the_rings_to_the_next_process", gives_the_rings_to_the_next_process},
    {"lets_a_guest_leave_while_there_is_no_process", lets_a_guest_leave_while_there_is_no_process},
    {"closes_a_disk_that_is_revoked", closes_a_disk_that_is_revoked},
    {"has_rings_let_go_that_nobody_told_of", has_rings_let_go_that_nobody_told_of},
    {"goes_on_after_it_was_killed", goes_on_after_it_was_killed},
    {"notices_what_went_on_while_it_was_away", notices_what_went_on_while_it_was_away},
    {"drops_a_process_that_breaks_the_rules", drops_a_process_that_breaks_the_rules},
    {"offers_whole_blocks_only", offers_whole_blocks_only},
    {"locks_every_thread_down", locks_every_thread_down},
    {"waits_for_the_end", waits_for_the_end},
    {NULL, NULL},
};
