/* SPDX-License-Identifier: Apache-2.0
 *
 * Disks that an operator puts into a domain and takes away (tests/xenstore/drive.h).
 */
#include <string.h>
#include <unistd.h>

#include "tests/xenstore/drive.h"

static struct msg_xen_place
order_of(const char *domain, uint32_t device)
{
	struct msg_xen_place order = {
	    .attachment = 70, .device = device, .mode = ACCESS_RW, .exporter = "m2", .share = "acme/disk-1"};

	snprintf(order.domain, sizeof order.domain, "%s", domain);
	return order;
}

static struct msg_xen_placed
ask_place(const char *domain, uint32_t device)
{
	struct msg_xen_place order = order_of(domain, device);
	struct msg_xen_placed placed;

	say(&broker, MSG_XEN_PLACE, &order, -1);
	placed = hear(&broker, MSG_XEN_PLACED).xen_placed;
	REQUIRE(placed.attachment == 70);
	return placed;
}

/* Placed, up, and connected by the guest. */
static struct peer
put_disk(const struct place *place, const char *domain)
{
	struct msg_xen_placed placed = ask_place(domain, place->device);
	struct peer attach;

	REQUIRE(placed.ok && placed.domid == place->domid && strcmp(placed.uuid, UUID) == 0);
	REQUIRE(strcmp(placed.domain, domain) == 0);
	attach = attach_start(place);
	REQUIRE(says(NULL, "%s", place->backend) &&
		says(NULL, "%s", place->frontend)); /* the guest sees no disk that it may not get */
	attach_ready(&attach, false);
	connect_rings(&attach, place);
	return attach;
}

static void
puts_a_disk_into_a_domain_and_takes_it_away(void)
{
	const struct msg_xen_remove removal = {41, 51728};
	struct place place = place_of(0, "netbus", 41, 51728);
	struct peer attach;

	domain_make(41, "web-41");
	watch_start_serving("netbus,qdisk");
	attach = put_disk(&place, "web-41");
	REQUIRE(says("netbus://m2/acme/disk-1", "%s/params", place.backend) && says("w", "%s/mode", place.backend));
	REQUIRE(
	    says(place.backend, "%s/backend", place.frontend) && says(place.frontend, "%s/frontend", place.backend));
	REQUIRE(says("51728", "%s/virtual-device", place.frontend) && says("xvdb", "%s/dev", place.backend));
	REQUIRE(is_owned(place.backend, 0, 41) && is_owned(place.frontend, 41, 0));
	REQUIRE(is_owned_below(place.backend, "params", 0, 41) && is_owned_below(place.frontend, "state", 41, 0));
	say(&broker, MSG_XEN_REMOVE, &removal, -1);
	wait_backend(&place, 5);
	REQUIRE(says("0", "%s/online", place.backend));
	frontend_says(&place, 5);
	frontend_says(&place, 6);
	answer_close(&attach, false);
	hear(&broker, MSG_XEN_GONE);
	wait_for(NULL, "%s", place.backend);
	wait_for(NULL, "%s", place.frontend);
	wait_for(NULL, "/local/domain/0/backend/netbus/41");
	/* The place is free again. */
	put_disk(&place, "web-41");
	REQUIRE(watch_end() == 0);
}

/* A toolstack knows nothing of it: who else would make room for the next one? */
static void
clears_up_behind_an_operators_disk_that_is_over(void)
{
	const struct msg_xen_over over = {.domid = 29, .device = 51728, .reason = 2, .text = "revoked (record 9)"};
	struct place place = place_of(0, "netbus", 29, 51728);
	struct peer attach;

	domain_make(29, "web-29");
	watch_start_serving("netbus,qdisk");
	attach = put_disk(&place, "web-29");
	say(&broker, MSG_XEN_OVER, &over, -1);
	wait_backend(&place, 5);
	REQUIRE(says("revoked (record 9)", "%s/error", place.backend));
	wait_for("0", "%s/online", place.backend);
	frontend_says(&place, 6);
	answer_close(&attach, false);
	hear(&broker, MSG_XEN_GONE);
	wait_for(NULL, "%s", place.backend);
	wait_for(NULL, "%s", place.frontend);
	put_disk(&place, "web-29");
	REQUIRE(watch_end() == 0);
}

static void
finds_no_place_where_there_is_none(void)
{
	struct place taken = place_of(0, "qdisk", 42, 51728);

	domain_make(42, "web-42");
	domain_make(43, "twin");
	domain_make(44, "twin");
	domain_make(45, "web-45");
	give("/local/domain/45/name", 45, 0, false);
	disk_make(&taken, "phy:/dev/null", "w");
	watch_start_serving("netbus,qdisk");
	REQUIRE(!ask_place("nobody", 51728).ok);
	REQUIRE(!ask_place("Domain-0", 51728).ok);
	REQUIRE(!ask_place("twin", 51728).ok);
	REQUIRE(!ask_place("web-45", 51728).ok); /* a name that the guest gave itself */
	REQUIRE(!ask_place("web-42", 51728).ok);
	put("", "/libxl/42/device/vbd/51744");
	REQUIRE(!ask_place("web-42", 51744).ok);
	REQUIRE(ask_place("web-42", 51760).ok);
	REQUIRE(!ask_place("web-42", 51760).ok); /* it is promised */
	REQUIRE(watch_end() == 0);
}

static void
writes_nothing_for_a_disk_that_is_refused(void)
{
	const struct msg_xen_over over = {.domid = 46, .device = 51728, .reason = 2, .text = "no"};
	struct place place = place_of(0, "netbus", 46, 51728);

	domain_make(46, "web-46");
	watch_start_serving("netbus,qdisk");
	REQUIRE(ask_place("web-46", 51728).ok);
	say(&broker, MSG_XEN_OVER, &over, -1);
	REQUIRE(ask_place("web-46", 51728).ok); /* so it is free again */
	REQUIRE(says(NULL, "%s", place.backend) && says(NULL, "%s", place.frontend));
	REQUIRE(watch_end() == 0);
}

static void
tells_that_a_guest_holds_a_disk(void)
{
	const struct msg_xen_remove removal = {47, 51728};
	struct place place = place_of(0, "netbus", 47, 51728);
	struct peer attach;

	domain_make(47, "web-47");
	watch_start_serving("netbus,qdisk");
	attach = put_disk(&place, "web-47");
	say(&broker, MSG_XEN_REMOVE, &removal, -1);
	wait_backend(&place, 5);
	hear_nothing(&broker, 6000);
	hear(&broker, MSG_XEN_HELD);
	frontend_says(&place, 6);
	answer_close(&attach, false);
	hear(&broker, MSG_XEN_GONE);
	REQUIRE(watch_end() == 0);
}

static void
clears_up_behind_a_domain_that_ends(void)
{
	struct place place = place_of(0, "netbus", 48, 51728);
	struct peer attach;

	domain_make(48, "web-48");
	watch_start_serving("netbus,qdisk");
	attach = put_disk(&place, "web-48");
	domain_end(48);
	answer_end(&attach);
	hear(&broker, MSG_XEN_GONE);
	wait_for(NULL, "%s", place.backend);
	REQUIRE(watch_end() == 0);
}

/* The nodes are what a restart finds it by, the domain's end included. */
static void
clears_up_behind_a_domain_that_ended_while_nobody_looked(void)
{
	struct place place = place_of(0, "netbus", 49, 51728);

	domain_make(49, "web-49");
	watch_start_serving("netbus,qdisk");
	put_disk(&place, "web-49");
	watch_kill();
	domain_end(49);
	watch_start_serving("netbus,qdisk");
	wait_for(NULL, "%s", place.backend);
	hear(&broker, MSG_XEN_GONE);
	REQUIRE(watch_end() == 0);
}

static void
answers_for_a_disk_that_it_does_not_know(void)
{
	const struct msg_xen_remove removal = {50, 51728};
	const struct msg_xen_over over = {.domid = 50, .device = 51728, .reason = 2, .text = "no"};

	watch_start_serving("netbus,qdisk");
	say(&broker, MSG_XEN_OVER, &over, -1);
	say(&broker, MSG_XEN_REMOVE, &removal, -1);
	hear(&broker, MSG_XEN_GONE);
	REQUIRE(watch_end() == 0);
}

const struct scenario operator_scenarios[] = {
    {"puts_a_disk_into_a_domain_and_takes_it_away", puts_a_disk_into_a_domain_and_takes_it_away},
    {"clears_up_behind_an_operators_disk_that_is_over", clears_up_behind_an_operators_disk_that_is_over},
    {"finds_no_place_where_there_is_none", finds_no_place_where_there_is_none},
    {"writes_nothing_for_a_disk_that_is_refused", writes_nothing_for_a_disk_that_is_refused},
    {"tells_that_a_guest_holds_a_disk", tells_that_a_guest_holds_a_disk},
    {"clears_up_behind_a_domain_that_ends", clears_up_behind_a_domain_that_ends},
    {"clears_up_behind_a_domain_that_ended_while_nobody_looked",
	clears_up_behind_a_domain_that_ended_while_nobody_looked},
    {"answers_for_a_disk_that_it_does_not_know", answers_for_a_disk_that_it_does_not_know},
    {NULL, NULL},
};
