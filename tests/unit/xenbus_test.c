/* SPDX-License-Identifier: Apache-2.0
 *
 * The state machine of a disk's backend (frontend/xenbus.h): every state that any order of events can bring it to, each event in each of them, and what must hold. Then the
 * ways that frontends and toolstacks really go.
 */
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "frontend/xenbus.h"
#include "tests/unit/test.h"

/* ---- all states ---- */

#define STATE_BITS 21

static unsigned
pack(const struct xenbus *bus)
{
	const bool flags[] = {bus->is_offline, bus->is_removing, bus->is_spoiled, bus->is_stale, bus->is_lying,
	    bus->is_dead, bus->is_vanished, bus->is_told, bus->is_over};
	unsigned packed = (unsigned)bus->backend | (unsigned)bus->frontend << 4 | (unsigned)bus->device << 8 |
			  (unsigned)bus->rings << 10;

	for (unsigned i = 0; i < ARRAY_LENGTH(flags); i++)
		packed |= (unsigned)flags[i] << (12 + i);
	return packed;
}

static struct xenbus
unpack(unsigned packed)
{
	struct xenbus bus = {
	    .backend = packed & 15, .frontend = packed >> 4 & 15, .device = packed >> 8 & 3, .rings = packed >> 10 & 3};
	bool *const flags[] = {&bus.is_offline, &bus.is_removing, &bus.is_spoiled, &bus.is_stale, &bus.is_lying,
	    &bus.is_dead, &bus.is_vanished, &bus.is_told, &bus.is_over};

	for (unsigned i = 0; i < ARRAY_LENGTH(flags); i++)
		*flags[i] = packed >> (12 + i) & 1;
	return bus;
}

#define EVENTS_MOST 64
static struct xenbus_event events[EVENTS_MOST];
static unsigned event_count;

static void
add_event(struct xenbus_event event)
{
	assert_true(event_count < EVENTS_MOST);
	events[event_count++] = event;
}

static void
make_events(void)
{
	event_count = 0;
	for (unsigned state = XENBUS_UNKNOWN; state <= XENBUS_RECONFIGURED; state++)
		for (unsigned flag = 0; flag < 2; flag++) {
			add_event(
			    (struct xenbus_event){.kind = XENBUS_ON_FRONTEND, .state = state, .is_renewed = flag});
			add_event((struct xenbus_event){.kind = XENBUS_ON_BACKEND, .state = state, .is_online = flag});
		}
	for (unsigned kind = XENBUS_ON_VANISHED; kind < XENBUS_KINDS; kind++)
		add_event((struct xenbus_event){.kind = kind});
	add_event((struct xenbus_event){.kind = XENBUS_ON_DEVICE, .has_rings = true});
	add_event((struct xenbus_event){.kind = XENBUS_ON_DEVICE_OVER, .has_rings = true});
}

/* ---- what must hold for each step ---- */

#define NODE_WRITES (XENBUS_WRITE_ERROR | XENBUS_PUBLISH | XENBUS_WRITE_OFFLINE | XENBUS_WRITE_STATE)

static bool
is_mapped(const struct xenbus *bus)
{
	return bus->rings == XENBUS_RINGS_UP || bus->rings == XENBUS_RINGS_LEAVING;
}

static void
check_writes(const struct xenbus *before, const struct xenbus *after, unsigned actions)
{
	if (actions & XENBUS_WRITE_STATE) {
		assert_true(after->backend != XENBUS_CONNECTED || after->rings == XENBUS_RINGS_UP);
		assert_true(after->backend != XENBUS_CLOSED || after->rings == XENBUS_RINGS_NONE);
	}
	if (actions & (XENBUS_REMOVE_NODES | XENBUS_FORGET))
		assert_int_equal(after->rings, XENBUS_RINGS_NONE);
	if (before->is_vanished || after->is_vanished)
		assert_int_equal(actions & (NODE_WRITES | XENBUS_REMOVE_NODES), 0);
	if (after->is_dead || after->is_vanished || after->is_offline)
		assert_int_equal(actions & XENBUS_ASK_DEVICE, 0);
}

/* An operator's word stands, whatever is in the store; and what ended for good stays so. */
static void
check_kept(const struct xenbus *before, const struct xenbus *after, const struct xenbus_event *event)
{
	if (after->is_removing)
		assert_true(after->is_offline);
	if (before->device == XENBUS_OVER)
		assert_int_equal(after->device, XENBUS_OVER);
	if (event->kind == XENBUS_ON_RINGS_DOWN && before->rings != XENBUS_RINGS_LEAVING)
		assert_int_equal(after->rings, before->rings);
}

static void
check_rings(const struct xenbus *before, const struct xenbus *after, unsigned actions)
{
	if (actions & XENBUS_SEND_RINGS) {
		assert_int_equal(after->rings, XENBUS_RINGS_ASKED);
		assert_int_equal(after->device, XENBUS_READY);
		assert_false(xenbus_is_ending(after));
		assert_int_equal(actions & XENBUS_SEND_CLOSE, 0);
	}
	if (actions & XENBUS_SEND_CLOSE) {
		assert_int_equal(after->rings, XENBUS_RINGS_LEAVING);
		assert_int_not_equal(before->rings, XENBUS_RINGS_LEAVING);
	}
}

static void
check_told(const struct xenbus *before, const struct xenbus *after, unsigned actions)
{
	assert_int_equal(!before->is_told && after->is_told, (actions & XENBUS_TELL_GONE) != 0);
	assert_int_equal(!before->is_over && after->is_over, (actions & XENBUS_FORGET) != 0);
	if (actions & XENBUS_FORGET)
		assert_true(after->is_told);
}

/* Of every state that can be reached. */
static void
check_state(const struct xenbus *bus)
{
	bool is_idle;

	if (bus->is_vanished || bus->is_dead) {
		assert_int_equal(bus->is_over, bus->rings == XENBUS_RINGS_NONE);
		return;
	}
	if (bus->backend == XENBUS_CONNECTED && !is_mapped(bus))
		assert_true(xenbus_is_recovery(bus));
	if (bus->rings != XENBUS_RINGS_NONE)
		return;
	if (bus->frontend == XENBUS_CLOSED)
		assert_int_equal(bus->backend, XENBUS_CLOSED);
	is_idle = bus->frontend == XENBUS_UNKNOWN || bus->frontend == XENBUS_INITIALISING ||
		  bus->frontend == XENBUS_INIT_WAIT;
	if (is_idle && xenbus_is_ending(bus))
		assert_int_equal(bus->backend, XENBUS_CLOSED);
	if (bus->is_offline && bus->backend == XENBUS_CLOSED)
		assert_true(bus->is_over);
}

/* What the store says is read again after each of our own writes, and whenever a guest likes: that nothing follows from it keeps us from spinning. */
static void
check_quiet(const struct xenbus *bus)
{
	const struct xenbus_event same[] = {{.kind = XENBUS_ON_FRONTEND, .state = bus->frontend},
	    {.kind = XENBUS_ON_BACKEND, .state = bus->backend, .is_online = !bus->is_offline}};

	for (size_t i = 0; i < ARRAY_LENGTH(same); i++) {
		struct xenbus again = *bus;

		assert_int_equal(xenbus_step(&again, &same[i]), 0);
		assert_int_equal(pack(&again), pack(bus));
	}
}

/* An event that says the same again does nothing more. Publishing compares with what is there, and being late is told each time. */
static void
check_repeated(const struct xenbus *after, const struct xenbus_event *event)
{
	struct xenbus again = *after;
	unsigned actions;

	if (event->kind == XENBUS_ON_BACKEND || event->kind == XENBUS_ON_LATE || event->is_renewed ||
	    event->kind == XENBUS_ON_DEVICE_LOST)
		return;
	actions = xenbus_step(&again, event) & ~(unsigned)XENBUS_PUBLISH;
	/* One refusal answers one question, and what follows may be the next question. */
	if (event->kind != XENBUS_ON_RINGS_REFUSED && event->kind != XENBUS_ON_RINGS_DOWN &&
	    event->kind != XENBUS_ON_RINGS_UP)
		assert_int_equal(actions, 0);
}

/* ---- from each state there is a way ---- */

static unsigned
step(struct xenbus *bus, struct xenbus_event event)
{
	return xenbus_step(bus, &event);
}

static unsigned
frontend_says(struct xenbus *bus, enum xenbus_state state)
{
	return step(bus, (struct xenbus_event){.kind = XENBUS_ON_FRONTEND, .state = state});
}

static unsigned
happens(struct xenbus *bus, enum xenbus_kind kind)
{
	return step(bus, (struct xenbus_event){.kind = kind});
}

static unsigned
toolstack_removes(struct xenbus *bus)
{
	return step(bus, (struct xenbus_event){.kind = XENBUS_ON_BACKEND, .state = XENBUS_CLOSING, .is_online = false});
}

static void
can_be_detached(struct xenbus bus)
{
	toolstack_removes(&bus);
	frontend_says(&bus, XENBUS_CLOSING);
	frontend_says(&bus, XENBUS_CLOSED);
	happens(&bus, XENBUS_ON_RINGS_DOWN);
	assert_true(bus.is_over);
	assert_true(bus.is_vanished || bus.backend == XENBUS_CLOSED);
}

static void
ends_with_its_domain(struct xenbus bus)
{
	struct xenbus crashed = bus;

	happens(&bus, XENBUS_ON_DOMAIN_GONE);
	happens(&bus, XENBUS_ON_RINGS_DOWN);
	assert_true(bus.is_over);
	happens(&crashed, XENBUS_ON_DOMAIN_GONE);
	happens(&crashed, XENBUS_ON_DEVICE_LOST);
	assert_true(crashed.is_over);
}

static void
can_be_connected_again(struct xenbus bus)
{
	if (bus.is_offline || bus.is_dead || bus.is_vanished || bus.device == XENBUS_OVER)
		return;
	frontend_says(&bus, XENBUS_CLOSED);
	happens(&bus, XENBUS_ON_RINGS_DOWN);
	happens(&bus, XENBUS_ON_DEVICE);
	frontend_says(&bus, XENBUS_INITIALISING);
	assert_int_equal(bus.backend, XENBUS_INIT_WAIT);
	frontend_says(&bus, XENBUS_INITIALISED);
	assert_int_equal(bus.rings, XENBUS_RINGS_ASKED);
	happens(&bus, XENBUS_ON_RINGS_UP);
	assert_int_equal(bus.backend, XENBUS_CONNECTED);
}

/* ---- the walk ---- */

struct walk {
	uint8_t *seen; /* of each packed state */
	unsigned *queue, first, end;
};

static void
visit(struct walk *walk, const struct xenbus *bus)
{
	unsigned packed = pack(bus);

	if (walk->seen[packed])
		return;
	walk->seen[packed] = 1;
	walk->queue[walk->end++] = packed;
}

static void
walk_from(struct walk *walk, const struct xenbus *before)
{
	for (unsigned i = 0; i < event_count; i++) {
		struct xenbus after = *before;
		unsigned actions = xenbus_step(&after, &events[i]);

		if (before->is_over) {
			assert_int_equal(actions, 0);
			assert_int_equal(pack(&after), pack(before));
			continue;
		}
		check_writes(before, &after, actions);
		check_rings(before, &after, actions);
		check_told(before, &after, actions);
		check_kept(before, &after, &events[i]);
		check_state(&after);
		check_quiet(&after);
		check_repeated(&after, &events[i]);
		visit(walk, &after);
	}
}

static void
holds_in_every_state_that_can_be_reached(void **state)
{
	struct walk walk = {.seen = calloc(1u << STATE_BITS, 1), .queue = calloc(1u << STATE_BITS, sizeof(unsigned))};

	(void)state;
	assert_non_null(walk.seen);
	assert_non_null(walk.queue);
	make_events();
	for (unsigned backend = 0; backend <= XENBUS_RECONFIGURED; backend++)
		for (unsigned frontend = 0; frontend <= XENBUS_RECONFIGURED; frontend++)
			for (unsigned online = 0; online < 2; online++) {
				struct xenbus bus = xenbus_found(backend, frontend, online);

				/* What was found is told once, as it is: a start settles it. */
				step(&bus, (struct xenbus_event){
					       .kind = XENBUS_ON_BACKEND, .state = backend, .is_online = online});
				visit(&walk, &bus);
			}
	while (walk.first < walk.end) {
		struct xenbus bus = unpack(walk.queue[walk.first++]);

		walk_from(&walk, &bus);
		if (bus.is_over)
			continue;
		can_be_detached(bus);
		ends_with_its_domain(bus);
		can_be_connected_again(bus);
	}
	print_message("%u states, %u events in each\n", walk.end, event_count);
	assert_in_range(walk.end, 500, 1u << STATE_BITS);
	free(walk.seen);
	free(walk.queue);
}

/* ---- the ways that are gone ---- */

static struct xenbus
new_disk(void)
{
	return xenbus_found(XENBUS_INITIALISING, XENBUS_INITIALISING, true);
}

static struct xenbus
connected_disk(void)
{
	struct xenbus bus = new_disk();

	assert_int_equal(happens(&bus, XENBUS_ON_DEVICE), XENBUS_PUBLISH | XENBUS_WRITE_STATE);
	assert_int_equal(bus.backend, XENBUS_INIT_WAIT);
	assert_int_equal(frontend_says(&bus, XENBUS_INITIALISED), XENBUS_SEND_RINGS);
	assert_false(xenbus_is_recovery(&bus));
	assert_int_equal(happens(&bus, XENBUS_ON_RINGS_UP), XENBUS_WRITE_STATE);
	assert_int_equal(bus.backend, XENBUS_CONNECTED);
	assert_int_equal(frontend_says(&bus, XENBUS_CONNECTED), 0);
	return bus;
}

static void
connects_a_frontend_that_waits_for_nothing(void **state)
{
	struct xenbus bus = new_disk();

	(void)state;
	assert_int_equal(frontend_says(&bus, XENBUS_CONNECTED), 0); /* mini-os; and there is no device yet */
	assert_int_equal(happens(&bus, XENBUS_ON_DEVICE), XENBUS_PUBLISH | XENBUS_WRITE_STATE | XENBUS_SEND_RINGS);
	assert_false(xenbus_is_recovery(&bus));
	happens(&bus, XENBUS_ON_RINGS_UP);
	assert_int_equal(bus.backend, XENBUS_CONNECTED);
}

static void
detaches(void **state)
{
	struct xenbus bus = connected_disk();

	(void)state;
	assert_int_equal(toolstack_removes(&bus), 0);
	assert_int_equal(frontend_says(&bus, XENBUS_CLOSING), 0);
	assert_int_equal(frontend_says(&bus, XENBUS_CLOSED), XENBUS_SEND_CLOSE);
	assert_int_equal(bus.backend, XENBUS_CLOSING);
	assert_int_equal(happens(&bus, XENBUS_ON_RINGS_DOWN),
	    XENBUS_WRITE_STATE | XENBUS_REMOVE_NODES | XENBUS_TELL_GONE | XENBUS_FORGET);
	assert_int_equal(bus.backend, XENBUS_CLOSED);
}

static void
answers_closed_where_no_frontend_ever_came(void **state)
{
	struct xenbus bus = new_disk();

	(void)state;
	toolstack_removes(&bus);
	assert_int_equal(bus.backend, XENBUS_CLOSED);
	assert_true(bus.is_over);
}

static void
answers_closed_to_a_refused_disk(void **state)
{
	struct xenbus bus = new_disk();

	(void)state;
	assert_int_equal(happens(&bus, XENBUS_ON_DEVICE_OVER), XENBUS_WRITE_ERROR | XENBUS_WRITE_STATE);
	assert_int_equal(bus.backend, XENBUS_CLOSED);
	assert_false(bus.is_over);
	toolstack_removes(&bus);
	assert_true(bus.is_over);
}

/* A lease that ended for good: the guest's requests are answered with errors until it leaves. */
static void
keeps_the_rings_of_a_revoked_disk_until_the_guest_leaves(void **state)
{
	struct xenbus bus = connected_disk();

	(void)state;
	assert_int_equal(happens(&bus, XENBUS_ON_DEVICE_OVER), XENBUS_WRITE_ERROR | XENBUS_WRITE_STATE);
	assert_int_equal(bus.backend, XENBUS_CLOSING);
	assert_int_equal(bus.rings, XENBUS_RINGS_UP);
	assert_int_equal(frontend_says(&bus, XENBUS_CLOSED), XENBUS_SEND_CLOSE);
	happens(&bus, XENBUS_ON_RINGS_DOWN);
	assert_int_equal(bus.backend, XENBUS_CLOSED);
	assert_int_equal(frontend_says(&bus, XENBUS_INITIALISING), 0);
}

static void
recovers_without_a_change_of_state(void **state)
{
	struct xenbus bus = connected_disk();

	(void)state;
	assert_int_equal(happens(&bus, XENBUS_ON_DEVICE_LOST), XENBUS_ASK_DEVICE);
	assert_int_equal(bus.backend, XENBUS_CONNECTED);
	assert_int_equal(happens(&bus, XENBUS_ON_DEVICE), XENBUS_PUBLISH | XENBUS_SEND_RINGS);
	assert_true(xenbus_is_recovery(&bus));
	assert_int_equal(happens(&bus, XENBUS_ON_RINGS_UP), 0);
	assert_int_equal(bus.backend, XENBUS_CONNECTED);
}

static void
goes_on_where_rings_are_served_when_xenwatch_was_started_again(void **state)
{
	struct xenbus bus = xenbus_found(XENBUS_CONNECTED, XENBUS_CONNECTED, true);

	(void)state;
	assert_int_equal(
	    step(&bus, (struct xenbus_event){.kind = XENBUS_ON_DEVICE, .has_rings = true}), XENBUS_PUBLISH);
	assert_int_equal(bus.rings, XENBUS_RINGS_UP);
	assert_int_equal(frontend_says(&bus, XENBUS_CONNECTED), 0);
}

/* xenbus_reset_frontend() of a Linux that was started by kexec: Closing, Closed, Initialising. */
static void
takes_a_guest_that_boots_another_kernel_in_place(void **state)
{
	struct xenbus bus = connected_disk();

	(void)state;
	assert_int_equal(frontend_says(&bus, XENBUS_CLOSING), XENBUS_WRITE_STATE);
	assert_int_equal(frontend_says(&bus, XENBUS_CLOSED), XENBUS_SEND_CLOSE);
	assert_int_equal(happens(&bus, XENBUS_ON_RINGS_DOWN), XENBUS_WRITE_STATE);
	assert_int_equal(bus.backend, XENBUS_CLOSED);
	assert_int_equal(frontend_says(&bus, XENBUS_INITIALISING), XENBUS_WRITE_STATE);
	assert_int_equal(bus.backend, XENBUS_INIT_WAIT);
	assert_int_equal(frontend_says(&bus, XENBUS_INITIALISED), XENBUS_SEND_RINGS);
}

static void
takes_a_frontend_that_starts_over_without_a_word(void **state)
{
	struct xenbus bus = connected_disk();

	(void)state;
	assert_int_equal(frontend_says(&bus, XENBUS_INITIALISING), XENBUS_SEND_CLOSE);
	assert_int_equal(happens(&bus, XENBUS_ON_RINGS_DOWN), XENBUS_WRITE_STATE);
	assert_int_equal(bus.backend, XENBUS_INIT_WAIT);
}

/* blkfront_resume(): Initialised again, with other rings. */
static void
takes_new_rings_after_a_resume(void **state)
{
	struct xenbus bus = connected_disk();

	(void)state;
	assert_int_equal(frontend_says(&bus, XENBUS_INITIALISED), XENBUS_SEND_CLOSE);
	assert_int_equal(happens(&bus, XENBUS_ON_RINGS_DOWN), XENBUS_WRITE_STATE | XENBUS_SEND_RINGS);
	assert_false(xenbus_is_recovery(&bus));
	assert_int_equal(bus.backend, XENBUS_INIT_WAIT);
	assert_int_equal(happens(&bus, XENBUS_ON_RINGS_UP), XENBUS_WRITE_STATE);
	assert_int_equal(bus.backend, XENBUS_CONNECTED);
}

static void
asks_a_frontend_for_nothing_again_that_wrote_nonsense_until_it_starts_over(void **state)
{
	struct xenbus bus = new_disk();

	(void)state;
	happens(&bus, XENBUS_ON_DEVICE);
	frontend_says(&bus, XENBUS_INITIALISED);
	assert_int_equal(happens(&bus, XENBUS_ON_RINGS_REFUSED), XENBUS_WRITE_ERROR | XENBUS_WRITE_STATE);
	assert_int_equal(bus.backend, XENBUS_CLOSING);
	assert_int_equal(frontend_says(&bus, XENBUS_CONNECTED), 0);
	assert_int_equal(frontend_says(&bus, XENBUS_INITIALISED), 0);
	assert_int_equal(frontend_says(&bus, XENBUS_CLOSED), XENBUS_WRITE_STATE);
	assert_int_equal(frontend_says(&bus, XENBUS_INITIALISING), XENBUS_WRITE_STATE);
	assert_int_equal(bus.backend, XENBUS_INIT_WAIT);
}

static void
never_serves_a_liar_again(void **state)
{
	struct xenbus bus = connected_disk();

	(void)state;
	assert_int_equal(happens(&bus, XENBUS_ON_LIE), XENBUS_WRITE_ERROR | XENBUS_WRITE_STATE | XENBUS_SEND_CLOSE);
	assert_int_equal(happens(&bus, XENBUS_ON_RINGS_DOWN), 0);
	assert_int_equal(frontend_says(&bus, XENBUS_INITIALISED), 0);
	assert_int_equal(frontend_says(&bus, XENBUS_CLOSED), XENBUS_WRITE_STATE);
	assert_int_equal(frontend_says(&bus, XENBUS_INITIALISING), 0);
	assert_int_equal(bus.backend, XENBUS_CLOSED);
}

static void
tells_who_removes_it_that_the_guest_holds_it(void **state)
{
	struct xenbus bus = connected_disk();

	(void)state;
	assert_int_equal(happens(&bus, XENBUS_ON_REMOVE), XENBUS_WRITE_OFFLINE | XENBUS_WRITE_STATE);
	assert_int_equal(bus.backend, XENBUS_CLOSING);
	assert_int_equal(happens(&bus, XENBUS_ON_LATE), XENBUS_TELL_HELD);
	frontend_says(&bus, XENBUS_CLOSED);
	assert_int_equal(happens(&bus, XENBUS_ON_RINGS_DOWN),
	    XENBUS_WRITE_STATE | XENBUS_REMOVE_NODES | XENBUS_TELL_GONE | XENBUS_FORGET);
}

static void
has_the_process_ended_that_does_not_let_go_of_a_dead_domain(void **state)
{
	struct xenbus bus = connected_disk();

	(void)state;
	assert_int_equal(happens(&bus, XENBUS_ON_DOMAIN_GONE), XENBUS_SEND_CLOSE);
	assert_int_equal(happens(&bus, XENBUS_ON_LATE), XENBUS_TELL_GONE);
	assert_int_equal(happens(&bus, XENBUS_ON_LATE), 0);
	assert_int_equal(
	    happens(&bus, XENBUS_ON_DEVICE_LOST), XENBUS_WRITE_STATE | XENBUS_REMOVE_NODES | XENBUS_FORGET);
}

static void
names_every_state(void **state)
{
	(void)state;
	assert_string_equal(xenbus_state_name(XENBUS_INIT_WAIT), "InitWait");
	assert_string_equal(xenbus_state_name(XENBUS_RECONFIGURED), "Reconfigured");
	assert_string_equal(xenbus_state_name((enum xenbus_state)9), "Unknown");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(holds_in_every_state_that_can_be_reached),
	    cmocka_unit_test(connects_a_frontend_that_waits_for_nothing),
	    cmocka_unit_test(detaches),
	    cmocka_unit_test(answers_closed_where_no_frontend_ever_came),
	    cmocka_unit_test(answers_closed_to_a_refused_disk),
	    cmocka_unit_test(keeps_the_rings_of_a_revoked_disk_until_the_guest_leaves),
	    cmocka_unit_test(recovers_without_a_change_of_state),
	    cmocka_unit_test(goes_on_where_rings_are_served_when_xenwatch_was_started_again),
	    cmocka_unit_test(takes_a_guest_that_boots_another_kernel_in_place),
	    cmocka_unit_test(takes_a_frontend_that_starts_over_without_a_word),
	    cmocka_unit_test(takes_new_rings_after_a_resume),
	    cmocka_unit_test(asks_a_frontend_for_nothing_again_that_wrote_nonsense_until_it_starts_over),
	    cmocka_unit_test(never_serves_a_liar_again),
	    cmocka_unit_test(tells_who_removes_it_that_the_guest_holds_it),
	    cmocka_unit_test(has_the_process_ended_that_does_not_let_go_of_a_dead_domain),
	    cmocka_unit_test(names_every_state),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
