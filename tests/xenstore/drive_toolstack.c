/* SPDX-License-Identifier: Apache-2.0
 *
 * Disks that a toolstack writes: found, published, connected, taken away (tests/xenstore/drive.h).
 */
#include <string.h>
#include <unistd.h>

#include "tests/xenstore/drive.h"

static void
check_published(const struct place *place)
{
	static const struct {
		const char *name, *text;
	} properties[] = {
	    {"sectors", "131072"},
	    {"sector-size", "4096"},
	    {"physical-sector-size", "8192"},
	    {"info", "0"},
	    {"feature-flush-cache", "1"},
	    {"feature-barrier", "0"},
	    {"feature-discard", "1"},
	    {"discard-granularity", "4096"},
	    {"discard-alignment", "0"},
	    {"discard-secure", "0"},
	    {"feature-max-indirect-segments", "1024"},
	    {"feature-persistent", "0"},
	    {"multi-queue-max-queues", "4"},
	    {"max-ring-page-order", "4"},
	    {"hotplug-status", "connected"},
	    {"error", NULL},
	};

	for (size_t i = 0; i < sizeof properties / sizeof properties[0]; i++)
		REQUIRE(says(properties[i].text, "%s/%s", place->backend, properties[i].name));
}

static void
serves_a_disk_that_libxl_wrote(void)
{
	struct place place = disk_served(11);
	struct msg_xen_disk ask;
	struct msg_xen_rings rings;
	struct peer attach;

	ask = hear(&broker, MSG_XEN_DISK).xen_disk;
	REQUIRE(ask.domid == 11 && ask.device == 51712 && ask.mode == ACCESS_RW);
	REQUIRE(strcmp(ask.domain, "web-1") == 0 && strcmp(ask.uuid, UUID) == 0 && strcmp(ask.vdev, "xvda") == 0);
	REQUIRE(strcmp(ask.exporter, "m2") == 0 && strcmp(ask.share, "acme/disk-1") == 0);
	attach = attach_start(&place);
	attach_ready(&attach, false);
	wait_backend(&place, 2);
	check_published(&place);
	require_quiet("%s", place.backend);
	frontend_sets_up(&place, 8, 17);
	rings = hear(&attach, MSG_XEN_RINGS).xen_rings;
	REQUIRE(rings.anew && rings.abi == XEN_PROTOCOL_X86_64 && rings.rings == 1 && rings.pages == 1);
	REQUIRE(memcmp(rings.refs.bytes, "\0\0\0\10", 4) == 0 && memcmp(rings.channels.bytes, "\0\0\0\21", 4) == 0);
	REQUIRE(says("2", "%s/state", place.backend)); /* nothing is mapped yet */
	answer_rings(&attach);
	wait_backend(&place, 4);
	frontend_says(&place, 4);
	require_quiet("%s", place.backend);
	REQUIRE(watch_end() == 0);
	REQUIRE(says("4", "%s/state", place.backend));
}

/* libxl removes the nodes itself when it sees Closed. */
static void
lets_a_disk_go_that_libxl_takes_away(void)
{
	struct place place = disk_served(12);
	struct peer attach;
	struct msg_xen_gone gone;

	attach = connect_disk(&place);
	disk_take_away(&place);
	hear_nothing(&attach, 100);
	frontend_says(&place, 5);
	frontend_says(&place, 6);
	REQUIRE(hear(&attach, MSG_XEN_CLOSE).xen_close.gone == 0);
	REQUIRE(says("5", "%s/state", place.backend)); /* its rings are mapped still */
	say(&attach, MSG_XEN_RINGS_DOWN, &(struct msg_xen_rings_down){0}, -1);
	wait_backend(&place, 6);
	gone = hear(&broker, MSG_XEN_GONE).xen_gone;
	REQUIRE(gone.domid == 12 && gone.device == 51712);
	REQUIRE(says(TARGET, "%s/params", place.backend));
	/* What is left over is not taken for a new disk, by us or by who comes after us. */
	watch_kill();
	watch_start_serving("netbus,qdisk");
	hear_nothing(&broker, 300);
	/* And the same place can be used again. */
	take_away("%s", place.backend);
	take_away("%s", place.frontend);
	disk_make(&place, TARGET, "r");
	REQUIRE(hear(&broker, MSG_XEN_DISK).xen_disk.mode == ACCESS_RO);
	REQUIRE(watch_end() == 0);
}

static void
answers_closed_when_a_disk_goes_that_never_was_up(void)
{
	struct place place = disk_served(13);

	hear(&broker, MSG_XEN_DISK);
	disk_take_away(&place);
	wait_backend(&place, 6);
	hear(&broker, MSG_XEN_GONE);
	REQUIRE(watch_end() == 0);
}

static void
answers_closed_when_the_frontend_is_removed_by_force(void)
{
	struct place place = disk_served(14);
	struct peer attach;

	attach = connect_disk(&place);
	disk_take_away(&place);
	take_away("%s", place.frontend);
	answer_close(&attach, false);
	wait_backend(&place, 6);
	hear(&broker, MSG_XEN_GONE);
	REQUIRE(watch_end() == 0);
}

static void
lets_go_of_a_disk_whose_nodes_vanish(void)
{
	struct place place = disk_served(15);
	struct peer attach;

	attach = connect_disk(&place);
	take_away("/local/domain/0/backend/qdisk/15");
	answer_close(&attach, true);
	hear(&broker, MSG_XEN_GONE);
	REQUIRE(says(NULL, "%s/state", place.backend)); /* and none is written anew */
	REQUIRE(watch_end() == 0);
}

static void
leaves_disks_of_others_alone(void)
{
	struct place file = place_of(0, "qdisk", 16, 51712), odd = place_of(0, "qdisk", 16, 51728);

	domain_make(16, "web-1");
	disk_make(&file, "aio:/srv/netbus://m2/acme/disk-1", "w");
	watch_start_serving("netbus,qdisk");
	disk_make(&odd, "qcow2:/srv/disk.qcow2", "w");
	hear_nothing(&broker, 300);
	REQUIRE(says("1", "%s/state", file.backend) && says("1", "%s/state", odd.backend));
	disk_take_away(&file);
	hear_nothing(&broker, 200);
	REQUIRE(says("5", "%s/state", file.backend));
	REQUIRE(watch_end() == 0);
}

/* What a guest may write says nothing of which share it gets. */
static void
believes_no_nodes_that_a_guest_can_write(void)
{
	struct place place = place_of(0, "qdisk", 17, 51712), own = place_of(0, "qdisk", 17, 51728);
	char path[PATH_LEN * 2];

	domain_make(17, "web-1");
	disk_make(&place, TARGET, "w");
	disk_make(&own, TARGET, "w");
	snprintf(path, sizeof path, "%s/params", place.backend);
	give(path, 0, 17, true);
	snprintf(path, sizeof path, "%s/mode", own.backend);
	give(path, 17, 0, false);
	watch_start_serving("netbus,qdisk");
	hear_nothing(&broker, 300);
	REQUIRE(says("1", "%s/state", place.backend) && says("1", "%s/state", own.backend));
	REQUIRE(watch_end() == 0);
}

static void
believes_no_name_that_a_guest_gave_itself(void)
{
	struct place place = place_of(0, "qdisk", 18, 51712);

	domain_make(18, "web-1");
	give("/local/domain/18/name", 18, 0, false);
	disk_make(&place, TARGET, "w");
	watch_start_serving("netbus,qdisk");
	wait_for("/local/domain/18/name is not the toolstack's alone and is not believed", "%s/waiting", place.backend);
	hear_nothing(&broker, 100);
	give("/local/domain/18/name", 0, 18, false);
	REQUIRE(strcmp(hear(&broker, MSG_XEN_DISK).xen_disk.domain, "web-1") == 0);
	REQUIRE(watch_end() == 0);
}

static void
refuses_what_cannot_be_meant(void)
{
	static const struct {
		const char *params, *mode;
	} disks[] = {{"aio:netbus://m2/acme", "w"}, {"aio:netbus://M2/acme/disk-1", "w"},
	    {"qcow2:netbus://m2/acme/disk-1", "w"}, {"aio:netbus://m2/../disk-1", "w"},
	    {"aio:netbus://m2/acme/disk-1", "x"}};

	domain_make(19, "web-1");
	watch_start_serving("netbus,qdisk");
	for (unsigned i = 0; i < sizeof disks / sizeof disks[0]; i++) {
		struct place place = place_of(0, "qdisk", 19, 51712 + 16 * i);

		disk_make(&place, disks[i].params, disks[i].mode);
		wait_backend(&place, 6);
		REQUIRE(says("error", "%s/hotplug-status", place.backend));
		disk_take_away(&place);
		wait_backend(&place, 6);
		hear(&broker, MSG_XEN_GONE);
	}
	REQUIRE(watch_end() == 0);
}

/* `online` and `state` change together. Who took the one from before and the other from after would think that all is over, and answer no more. */
static void
reads_what_was_written_at_once_as_one(void)
{
	struct place place = place_of(0, "qdisk", 26, 51712);

	domain_make(26, "web-1");
	watch_start_serving("netbus,qdisk");
	for (unsigned i = 0; i < 100; i++) {
		disk_make(&place, "aio:netbus://m2/acme", "w");
		wait_backend(&place, 6);
		disk_take_away(&place);
		wait_backend(&place, 6);
		hear(&broker, MSG_XEN_GONE);
		take_away("%s", place.backend);
		take_away("%s", place.frontend);
	}
	REQUIRE(watch_end() == 0);
}

static void
follows_no_path_that_a_node_names(void)
{
	struct place place = place_of(0, "qdisk", 20, 51712);

	domain_make(20, "web-1");
	disk_make(&place, TARGET, "w");
	put("/local/domain/21/device/vbd/51712", "%s/frontend", place.backend);
	watch_start_serving("netbus,qdisk");
	wait_backend(&place, 6);
	hear_nothing(&broker, 100);
	REQUIRE(watch_end() == 0);
}

static void
says_why_a_disk_is_refused(void)
{
	struct place place = disk_served(22);
	const struct msg_xen_over over = {
	    .domid = 22, .device = 51712, .reason = 2, .text = "acme/web-1 does not get it (record 7)"};

	hear(&broker, MSG_XEN_DISK);
	say(&broker, MSG_XEN_OVER, &over, -1);
	wait_backend(&place, 6);
	REQUIRE(says(over.text, "%s/error", place.backend) && says(over.text, "%s/hotplug-error", place.backend));
	REQUIRE(says("error", "%s/hotplug-status", place.backend));
	disk_take_away(&place);
	wait_backend(&place, 6);
	hear(&broker, MSG_XEN_GONE);
	REQUIRE(watch_end() == 0);
}

static void
asks_again_for_what_may_heal(void)
{
	struct place place = disk_served(23);
	const struct msg_xen_over over = {
	    .domid = 23, .device = 51712, .again = 1, .reason = 2, .text = "m2 is not reachable"};
	struct peer attach;

	for (unsigned i = 0; i < 2; i++) {
		hear(&broker, MSG_XEN_DISK);
		say(&broker, MSG_XEN_OVER, &over, -1);
		hear_nothing(&broker, 900);
	}
	REQUIRE(says("1", "%s/state", place.backend)); /* the guest waits, and who starts it can read why */
	REQUIRE(says("m2 is not reachable", "%s/waiting", place.backend) && says(NULL, "%s/error", place.backend));
	attach = connect_disk(&place);
	REQUIRE(says(NULL, "%s/waiting", place.backend));
	require_quiet("%s", place.backend);
	close(attach.fd);
	REQUIRE(watch_end() == 0);
}

/* In a driver domain nobody else may remove the backend's directory, and libxl waits for that. */
static void
clears_up_in_a_driver_domain(void)
{
	struct place place = place_of(24, "vbd", 25, 51712);
	struct peer attach;

	domain_make(24, "driver");
	domain_make(25, "web-1");
	put("24", "/local/domain/0/domid");
	watch_start_serving("netbus,qdisk,vbd");
	disk_make(&place, "netbus://m2/acme/disk-1", "w");
	attach = connect_disk(&place);
	put("0", "/local/domain/0/domid");
	disk_take_away(&place);
	frontend_says(&place, 6);
	answer_close(&attach, false);
	wait_for("6", "%s/state", place.backend); /* for libxl has to read that first */
	wait_for(NULL, "%s", place.backend);
	REQUIRE(says("6", "%s/state", place.frontend)); /* the guest's own is libxl's to remove */
	wait_for(NULL, "/local/domain/24/backend/vbd/25");
	hear(&broker, MSG_XEN_GONE);
	REQUIRE(watch_end() == 0);
}

const struct scenario toolstack_scenarios[] = {
    {"serves_a_disk_that_libxl_wrote", serves_a_disk_that_libxl_wrote},
    {"lets_a_disk_go_that_libxl_takes_away", lets_a_disk_go_that_libxl_takes_away},
    {"answers_closed_when_a_disk_goes_that_never_was_up", answers_closed_when_a_disk_goes_that_never_was_up},
    {"answers_closed_when_the_frontend_is_removed_by_force", answers_closed_when_the_frontend_is_removed_by_force},
    {"lets_go_of_a_disk_whose_nodes_vanish", lets_go_of_a_disk_whose_nodes_vanish},
    {"leaves_disks_of_others_alone", leaves_disks_of_others_alone},
    {"believes_no_nodes_that_a_guest_can_write", believes_no_nodes_that_a_guest_can_write},
    {"believes_no_name_that_a_guest_gave_itself", believes_no_name_that_a_guest_gave_itself},
    {"refuses_what_cannot_be_meant", refuses_what_cannot_be_meant},
    {"reads_what_was_written_at_once_as_one", reads_what_was_written_at_once_as_one},
    {"follows_no_path_that_a_node_names", follows_no_path_that_a_node_names},
    {"says_why_a_disk_is_refused", says_why_a_disk_is_refused},
    {"asks_again_for_what_may_heal", asks_again_for_what_may_heal},
    {"clears_up_in_a_driver_domain", clears_up_in_a_driver_domain},
    {NULL, NULL},
};
