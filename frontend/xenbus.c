/* SPDX-License-Identifier: Apache-2.0
 *
 * The state machine of a disk's backend (frontend/xenbus.h). An event changes what is known; what follows from that is one function of what is known, so that it does not matter
 * in which order things came to be. tests/unit/xenbus_test.c walks through every state that can be reached.
 */
#include "frontend/xenbus.h"

#include "base/auto.h"

const char *
xenbus_state_name(enum xenbus_state state)
{
	static const char *const names[] = {"Unknown", "Initialising", "InitWait", "Initialised", "Connected",
	    "Closing", "Closed", "Reconfiguring", "Reconfigured"};

	return (unsigned)state < ARRAY_LENGTH(names) ? names[state] : names[0];
}

struct xenbus
xenbus_found(enum xenbus_state backend, enum xenbus_state frontend, bool is_online)
{
	return (struct xenbus){.backend = backend, .frontend = frontend, .is_offline = !is_online};
}

bool
xenbus_is_ending(const struct xenbus *bus)
{
	return bus->is_offline || bus->device == XENBUS_OVER || bus->is_spoiled;
}

/* Its rings are there. */
static bool
is_active(enum xenbus_state frontend)
{
	return frontend == XENBUS_INITIALISED || frontend == XENBUS_CONNECTED || frontend == XENBUS_RECONFIGURING ||
	       frontend == XENBUS_RECONFIGURED;
}

bool
xenbus_is_recovery(const struct xenbus *bus)
{
	return bus->backend == XENBUS_CONNECTED && is_active(bus->frontend) && bus->frontend != XENBUS_INITIALISED;
}

/* ---- what is known ---- */

/* A frontend that says Initialised has set up rings; when it came there from elsewhere, or with other nodes, they are not those that we have. */
static void
note_frontend(struct xenbus *bus, const struct xenbus_event *event)
{
	bool has_rings = bus->rings == XENBUS_RINGS_ASKED || bus->rings == XENBUS_RINGS_UP;

	if (event->state == XENBUS_INITIALISED && has_rings &&
	    (bus->frontend != XENBUS_INITIALISED || event->is_renewed))
		bus->is_stale = true;
	bus->frontend = event->state;
	if (!is_active(event->state) && event->state != XENBUS_CLOSING)
		bus->is_spoiled = false;
}

static void
note_rings(struct xenbus *bus, enum xenbus_rings rings)
{
	bus->rings = rings;
	if (rings == XENBUS_RINGS_NONE)
		bus->is_stale = bus->is_lying = false;
}

static unsigned
note_device(struct xenbus *bus, bool has_rings)
{
	if (bus->device == XENBUS_OVER)
		return 0;
	bus->device = XENBUS_READY;
	if (bus->rings == XENBUS_RINGS_NONE && has_rings)
		note_rings(bus, XENBUS_RINGS_UP);
	return xenbus_is_ending(bus) ? 0 : XENBUS_PUBLISH;
}

static unsigned
note_lost(struct xenbus *bus)
{
	note_rings(bus, XENBUS_RINGS_NONE);
	if (bus->device == XENBUS_OVER)
		return 0;
	bus->device = XENBUS_AWAY;
	return bus->is_offline ? 0 : XENBUS_ASK_DEVICE;
}

/* A process that is there may have rings of its predecessor's, to answer what is in them with errors. */
static unsigned
note_over(struct xenbus *bus, bool has_rings)
{
	unsigned actions = bus->device == XENBUS_OVER ? 0 : XENBUS_WRITE_ERROR;

	if (actions && bus->rings == XENBUS_RINGS_NONE && has_rings)
		note_rings(bus, XENBUS_RINGS_UP);
	bus->device = XENBUS_OVER;
	return actions;
}

static unsigned
note_refused(struct xenbus *bus)
{
	if (bus->rings != XENBUS_RINGS_ASKED)
		return 0;
	note_rings(bus, XENBUS_RINGS_NONE);
	bus->is_spoiled = true;
	return XENBUS_WRITE_ERROR;
}

static unsigned
note_lie(struct xenbus *bus)
{
	if (bus->rings == XENBUS_RINGS_ASKED || bus->rings == XENBUS_RINGS_UP)
		bus->is_lying = true;
	return note_over(bus, false);
}

static unsigned
note_removal(struct xenbus *bus)
{
	unsigned actions = bus->is_offline ? 0 : XENBUS_WRITE_OFFLINE;

	bus->is_offline = bus->is_removing = true;
	return actions;
}

/* The broker ends the attachment then, and with it the process that does not let go. */
static unsigned
note_late(struct xenbus *bus)
{
	unsigned actions = bus->is_removing ? XENBUS_TELL_HELD : 0;

	if (bus->rings == XENBUS_RINGS_LEAVING && (bus->is_dead || bus->is_vanished || bus->is_offline) &&
	    !bus->is_told) {
		bus->is_told = true;
		actions |= XENBUS_TELL_GONE;
	}
	return actions;
}

static unsigned
note(struct xenbus *bus, const struct xenbus_event *event)
{
	switch (event->kind) {
	case XENBUS_ON_FRONTEND:
		note_frontend(bus, event);
		return 0;
	case XENBUS_ON_BACKEND:
		bus->backend = event->state;
		bus->is_offline = !event->is_online || bus->is_removing;
		return 0;
	case XENBUS_ON_VANISHED:
		bus->is_vanished = true;
		return 0;
	case XENBUS_ON_DEVICE:
		return note_device(bus, event->has_rings);
	case XENBUS_ON_DEVICE_LOST:
		return note_lost(bus);
	case XENBUS_ON_DEVICE_OVER:
		return note_over(bus, event->has_rings);
	case XENBUS_ON_RINGS_UP:
		if (bus->rings == XENBUS_RINGS_ASKED)
			note_rings(bus, XENBUS_RINGS_UP);
		return 0;
	case XENBUS_ON_RINGS_REFUSED:
		return note_refused(bus);
	case XENBUS_ON_RINGS_DOWN:
		if (bus->rings == XENBUS_RINGS_LEAVING)
			note_rings(bus, XENBUS_RINGS_NONE);
		return 0;
	case XENBUS_ON_LIE:
		return note_lie(bus);
	case XENBUS_ON_DOMAIN_GONE:
		bus->is_dead = true;
		return 0;
	case XENBUS_ON_REMOVE:
		return note_removal(bus);
	case XENBUS_ON_LATE:
		return note_late(bus);
	}
	return 0;
}

/* ---- what follows ---- */

static bool
must_let_go(const struct xenbus *bus)
{
	if (bus->rings != XENBUS_RINGS_ASKED && bus->rings != XENBUS_RINGS_UP)
		return false;
	if (bus->is_dead || bus->is_vanished || bus->is_stale || bus->is_lying)
		return true;
	return !is_active(bus->frontend) && bus->frontend != XENBUS_CLOSING;
}

/* The frontend waits for a device, or has not begun. */
static enum xenbus_state
state_for_beginner(const struct xenbus *bus)
{
	if (xenbus_is_ending(bus))
		return XENBUS_CLOSED;
	if (bus->device == XENBUS_READY)
		return XENBUS_INIT_WAIT;
	return bus->backend == XENBUS_CONNECTED || bus->backend == XENBUS_CLOSING ? XENBUS_INITIALISING : bus->backend;
}

/* It has rings, and nothing of them is mapped. */
static enum xenbus_state
state_for_waiting(const struct xenbus *bus)
{
	if (xenbus_is_ending(bus))
		return XENBUS_CLOSING;
	if (bus->backend == XENBUS_CONNECTED && bus->frontend == XENBUS_INITIALISED)
		return XENBUS_INIT_WAIT;
	if (bus->device == XENBUS_READY && bus->backend < XENBUS_INIT_WAIT)
		return XENBUS_INIT_WAIT;
	return bus->backend;
}

static enum xenbus_state
state_without_rings(const struct xenbus *bus)
{
	switch (bus->frontend) {
	case XENBUS_INITIALISING:
	case XENBUS_INIT_WAIT:
		return state_for_beginner(bus);
	case XENBUS_CLOSING:
		return XENBUS_CLOSING;
	case XENBUS_CLOSED:
		return XENBUS_CLOSED;
	case XENBUS_UNKNOWN:
		return bus->backend <= XENBUS_INIT_WAIT ? state_for_beginner(bus) : XENBUS_CLOSED;
	default:
		return state_for_waiting(bus);
	}
}

static enum xenbus_state
state_with_rings(const struct xenbus *bus)
{
	if (bus->frontend == XENBUS_CLOSING || xenbus_is_ending(bus))
		return XENBUS_CLOSING;
	if (bus->rings == XENBUS_RINGS_ASKED)
		return state_for_waiting(bus);
	return bus->rings == XENBUS_RINGS_UP ? XENBUS_CONNECTED : bus->backend;
}

/* The disk leaves: what there is to say to others. */
static unsigned
finish(struct xenbus *bus)
{
	unsigned actions = XENBUS_FORGET;

	if (!bus->is_vanished)
		actions |= XENBUS_REMOVE_NODES;
	if (!bus->is_told)
		actions |= XENBUS_TELL_GONE;
	bus->is_told = bus->is_over = true;
	return actions;
}

static unsigned
write_state(struct xenbus *bus, enum xenbus_state state)
{
	if (state == bus->backend)
		return 0;
	bus->backend = state;
	return XENBUS_WRITE_STATE;
}

static unsigned
settle_gone(struct xenbus *bus)
{
	unsigned actions = 0;

	if (bus->rings != XENBUS_RINGS_NONE)
		return 0;
	if (!bus->is_vanished)
		actions |= write_state(bus, XENBUS_CLOSED);
	return actions | finish(bus);
}

static unsigned
settle(struct xenbus *bus)
{
	unsigned actions = 0;

	if (must_let_go(bus)) {
		bus->rings = XENBUS_RINGS_LEAVING;
		actions |= XENBUS_SEND_CLOSE;
	}
	if (bus->is_dead || bus->is_vanished)
		return actions | settle_gone(bus);
	if (bus->rings != XENBUS_RINGS_NONE)
		return actions | write_state(bus, state_with_rings(bus));
	actions |= write_state(bus, state_without_rings(bus));
	if (bus->is_offline && bus->backend == XENBUS_CLOSED)
		return actions | finish(bus);
	if (bus->device == XENBUS_READY && is_active(bus->frontend) && !xenbus_is_ending(bus)) {
		bus->rings = XENBUS_RINGS_ASKED;
		actions |= XENBUS_SEND_RINGS;
	}
	return actions;
}

unsigned
xenbus_step(struct xenbus *bus, const struct xenbus_event *event)
{
	unsigned actions;

	if (bus->is_over)
		return 0;
	actions = note(bus, event);
	actions |= settle(bus);
	/* Nothing is written to nodes that are gone, and nobody is asked for what leaves. */
	if (bus->is_vanished)
		actions &= ~(unsigned)(XENBUS_WRITE_ERROR | XENBUS_PUBLISH | XENBUS_WRITE_OFFLINE | XENBUS_WRITE_STATE);
	if (bus->is_vanished || bus->is_dead)
		actions &= ~(unsigned)XENBUS_ASK_DEVICE;
	return actions;
}
