/* SPDX-License-Identifier: Apache-2.0
 *
 * The lease engine as a table: every event in every phase, then what was asked for meanwhile. A result reads "phase/partner's phase ACTION:number ...",
 * an action with a star is carried out for the partner. tests/model walks through what may follow what.
 */
#include "tests/unit/test.h"

#include <string.h>

#include "authz/lease.h"

#define PHASES (LEASE_ENDED + 1)
#define EVENTS (LE_CLAIM + 1)

/* ---- a lease in each phase, with the partner that it has there ---- */

#define NOW   1000u
#define UNTIL 3000u
#define LATER 10000u
#define EPOCH 7u

struct fixture {
	struct share_core share;
	struct lease_core lease, other;
	struct lease_core *partner; /* &other, or NULL */
};

static struct lease_core
lease_in(enum lease_phase phase)
{
	const bool stored = phase >= LEASE_YIELDED || phase == LEASE_LIVE;
	const bool ends = phase >= LEASE_ENDING;

	if (phase == LEASE_NONE)
		return (struct lease_core){0};
	return (struct lease_core){.phase = phase,
	    .write = true,
	    .lanes_most = 3,
	    .lanes = phase == LEASE_HANDING || phase == LEASE_ENDED ? 0 : 3,
	    .reason = ends ? REASON_REVOKED : 0,
	    .epoch = stored ? EPOCH : 0,
	    .ttl_ms = 1000,
	    .heard_ms = 500,
	    .late_ms = phase == LEASE_YIELDED ? 2000 : LEASE_NEVER};
}

static const enum lease_phase partner_of[PHASES] = {
    [LEASE_NONE] = LEASE_LIVE,
    [LEASE_STANDBY] = LEASE_YIELDED,
    [LEASE_CLAIMING] = LEASE_MOVING,
    [LEASE_MOVING] = LEASE_CLAIMING,
    [LEASE_HANDING] = LEASE_CLAIMING,
};

static void
count(struct fixture *fixture)
{
	fixture->share.readers = fixture->share.writers = 0;
	for (int i = 0; i < 2; i++) {
		const struct lease_core *lease = i ? fixture->partner : &fixture->lease;

		if (lease && lease_holds(lease))
			++*(lease->write ? &fixture->share.writers : &fixture->share.readers);
	}
}

static void
set(struct fixture *fixture, enum lease_phase phase, enum lease_phase partner)
{
	*fixture = (struct fixture){.share.epoch = EPOCH, .lease = lease_in(phase), .other = lease_in(partner)};
	fixture->partner = partner == LEASE_NONE ? NULL : &fixture->other;
	count(fixture);
}

static struct lease_event
event_of(enum lease_event_kind kind)
{
	return (struct lease_event){.kind = kind,
	    .write = true,
	    .lanes_most = 3,
	    .ttl_ms = 1000,
	    .reason = kind == LE_NOT_STORED ? REASON_STATE_UNAVAILABLE : REASON_REVOKED,
	    .courtesy_ms = 77,
	    .epoch = kind == LE_STORED ? EPOCH + 1 : EPOCH,
	    .now_ms = kind == LE_TIME ? LATER : NOW,
	    .until_ms = UNTIL};
}

/* ---- what came of it, as text ---- */

static const char *const action_names[] = {"REFUSE", "STORE", "STORE_MOVE", "STORE_END", "ADMIT", "OPEN", "ASK_RELEASE",
    "PAUSE", "RESUME", "MARK", "FENCE", "RETRY_LATER", "OVER", "FAILED_MOVE", "BROKEN"};

static void
print_result(const struct fixture *fixture, const struct lease_actions *actions, char *text, size_t room)
{
	int length = snprintf(text, room, "%s%s%s", lease_phase_name(fixture->lease.phase), fixture->partner ? "/" : "",
	    fixture->partner ? lease_phase_name(fixture->other.phase) : "");

	for (unsigned i = 0; i < actions->count; i++)
		length += snprintf(text + length, room - (size_t)length, " %s%s:%u",
		    actions->list[i].of_other ? "*" : "", action_names[actions->list[i].kind], actions->list[i].number);
}

static bool
counts_what_holds(const struct fixture *fixture)
{
	struct fixture expected = *fixture;

	expected.partner = fixture->partner ? &expected.other : NULL;
	count(&expected);
	return expected.share.readers == fixture->share.readers && expected.share.writers == fixture->share.writers;
}

/* Takes the step. `expected` NULL: nothing changes and nothing is asked for. */
static void
step_gives(const char *what, struct fixture *fixture, const struct lease_event *event, const char *expected)
{
	const struct fixture before = *fixture;
	struct lease_actions actions;
	char text[256];

	lease_step(&fixture->share, &fixture->lease, fixture->partner, event, &actions);
	print_result(fixture, &actions, text, sizeof text);
	if (expected && strcmp(text, expected) != 0)
		fail_msg("%s: '%s', not '%s'", what, text, expected);
	if (expected == NULL && (actions.count || memcmp(&before, fixture, sizeof before) != 0))
		fail_msg("%s: '%s', although it means nothing", what, text);
	if (!counts_what_holds(fixture))
		fail_msg("%s: '%s', but the share counts %u readers and %u writers", what, text, fixture->share.readers,
		    fixture->share.writers);
}

/* ---- every event in every phase ---- */

static const char *const table[PHASES][EVENTS] = {
    [LEASE_NONE] = {[LE_ASK] = "storing STORE:0",
	[LE_STAND_BY] = "standby/live ADMIT:0",
	[LE_JOIN] = "none/live REFUSE:14",
	[LE_HEARD] = "none/live"},
    [LEASE_STORING] = {[LE_STORED] = "live OPEN:0",
	[LE_NOT_STORED] = "ended REFUSE:18",
	[LE_JOIN] = "storing REFUSE:14",
	[LE_LANE_GONE] = "storing",
	[LE_HEARD] = "storing",
	[LE_RELEASE] = "storing",
	[LE_END] = "storing"},
    [LEASE_LIVE] = {[LE_JOIN] = "live ADMIT:2",
	[LE_LANE_GONE] = "ending MARK:22 FENCE:500",
	[LE_HEARD] = "live",
	[LE_TIME] = "ending MARK:37 FENCE:100",
	[LE_RELEASE] = "live ASK_RELEASE:2000",
	[LE_END] = "ending MARK:20 FENCE:77",
	[LE_YIELD] = "yielded PAUSE:0"},
    [LEASE_STANDBY] = {[LE_JOIN] = "standby/yielded REFUSE:14",
	[LE_LANE_GONE] = "ended/yielded OVER:22",
	[LE_HEARD] = "standby/yielded",
	[LE_TIME] = "ended/yielded OVER:37",
	[LE_RELEASE] = "ended/yielded OVER:20",
	[LE_END] = "ended/yielded OVER:20",
	[LE_CLAIM] = "claiming/moving *MARK:38 *FENCE:0"},
    [LEASE_CLAIMING] = {[LE_JOIN] = "claiming/moving REFUSE:14",
	[LE_LANE_GONE] = "claiming/moving",
	[LE_HEARD] = "claiming/moving",
	[LE_RELEASE] = "claiming/moving",
	[LE_END] = "claiming/moving"},
    [LEASE_YIELDED] = {[LE_JOIN] = "yielded REFUSE:14",
	[LE_LANE_GONE] = "ending MARK:22 FENCE:500",
	[LE_HEARD] = "yielded",
	[LE_TIME] = "ending MARK:37 FENCE:100",
	[LE_RELEASE] = "live RESUME:0 ASK_RELEASE:2000",
	[LE_END] = "ending MARK:20 FENCE:77",
	[LE_RESUME] = "live RESUME:0"},
    [LEASE_MOVING] = {[LE_JOIN] = "moving/claiming REFUSE:14",
	[LE_LANE_GONE] = "moving/claiming",
	[LE_HEARD] = "moving/claiming",
	[LE_RELEASE] = "moving/claiming",
	[LE_END] = "moving/claiming",
	[LE_FENCED] = "handing/claiming STORE_MOVE:0"},
    [LEASE_HANDING] = {[LE_STORED] = "ended/live OVER:38 *OPEN:0",
	[LE_NOT_STORED] = "live/standby *FAILED_MOVE:0",
	[LE_JOIN] = "handing/claiming REFUSE:14",
	[LE_HEARD] = "handing/claiming",
	[LE_RELEASE] = "handing/claiming",
	[LE_END] = "handing/claiming"},
    [LEASE_ENDING] = {[LE_JOIN] = "ending REFUSE:14",
	[LE_LANE_GONE] = "ending",
	[LE_HEARD] = "ending",
	[LE_FENCED] = "fenced STORE_END:20"},
    [LEASE_FENCED] = {[LE_JOIN] = "fenced REFUSE:14",
	[LE_LANE_GONE] = "fenced",
	[LE_HEARD] = "fenced",
	[LE_END_STORED] = "ended OVER:20",
	[LE_END_NOT_STORED] = "fenced RETRY_LATER:0",
	[LE_RETRY] = "fenced STORE_END:20"},
    [LEASE_ENDED] = {[LE_JOIN] = "ended REFUSE:14", [LE_HEARD] = "ended"},
};

static void
every_event_in_every_phase(void **state)
{
	(void)state;
	for (unsigned phase = 0; phase < PHASES; phase++)
		for (unsigned kind = 0; kind < EVENTS; kind++) {
			struct lease_event event = event_of((enum lease_event_kind)kind);
			struct fixture fixture;
			char what[64];

			set(&fixture, (enum lease_phase)phase, kind == LE_ASK ? LEASE_NONE : partner_of[phase]);
			snprintf(what, sizeof what, "%s, event %u", lease_phase_name((enum lease_phase)phase), kind);
			step_gives(what, &fixture, &event, table[phase][kind]);
		}
}

/* ---- what was asked for meanwhile ---- */

static const struct {
	const char *what;
	enum lease_phase phase;
	uint16_t reason; /* of the lease, that was told to end */
	bool leaving;
	enum lease_phase partner;
	uint16_t partner_reason;
	struct {
		enum lease_event_kind kind;
		uint64_t epoch, now_ms; /* 0: as in event_of() */
		uint8_t lane;
	} event;
	const char *expected;
} meanwhile[] = {
    {"told to end while it is stored", LEASE_STORING, 20, false, 0, 0, {LE_STORED}, "ending MARK:20 FENCE:0"},
    {"told to end while it is not stored", LEASE_STORING, 20, false, 0, 0, {LE_NOT_STORED}, "ended REFUSE:18"},
    {"the epoch of before", LEASE_STORING, 0, false, 0, 0, {LE_STORED, EPOCH}, "storing BROKEN:0"},
    {"an epoch of long ago", LEASE_STORING, 0, false, 0, 0, {LE_STORED, 1}, "storing BROKEN:0"},
    {"the greatest epoch", LEASE_STORING, 0, false, 0, 0, {LE_STORED, UINT64_MAX}, "live OPEN:0"},
    {"a hand-over with the epoch of before", LEASE_HANDING, 0, false, LEASE_CLAIMING, 0, {LE_STORED, EPOCH},
	"handing/claiming BROKEN:0"},
    {"the source told to end, moving", LEASE_MOVING, 20, false, LEASE_CLAIMING, 0, {LE_FENCED},
	"fenced/standby STORE_END:20 *FAILED_MOVE:0"},
    {"the source told to end, too late", LEASE_HANDING, 20, false, LEASE_CLAIMING, 0, {LE_STORED},
	"ended/live OVER:20 *OPEN:0"},
    {"the source told to end, not stored", LEASE_HANDING, 20, false, LEASE_CLAIMING, 0, {LE_NOT_STORED},
	"fenced/standby STORE_END:20 *FAILED_MOVE:0"},
    {"the target lost, moving", LEASE_MOVING, 0, false, LEASE_CLAIMING, 22, {LE_FENCED}, "live/ended *OVER:22"},
    {"the target lost, stored", LEASE_HANDING, 0, false, LEASE_CLAIMING, 22, {LE_STORED},
	"ended/ending OVER:38 *MARK:22 *FENCE:0"},
    {"the target lost, not stored", LEASE_HANDING, 0, false, LEASE_CLAIMING, 22, {LE_NOT_STORED},
	"live/ended *OVER:22"},
    {"both told to end, moving", LEASE_MOVING, 20, false, LEASE_CLAIMING, 22, {LE_FENCED},
	"fenced/ended STORE_END:20 *OVER:22"},
    {"no target, moving", LEASE_MOVING, 0, false, LEASE_NONE, 0, {LE_FENCED}, "live"},
    {"not released in time", LEASE_LIVE, 0, true, 0, 0, {LE_TIME}, "ending MARK:39 FENCE:100"},
    {"still time to release", LEASE_LIVE, 0, true, 0, 0, {LE_TIME, 0, 1499}, NULL},
    {"a yield of who is to leave", LEASE_LIVE, 0, true, 0, 0, {LE_YIELD}, NULL},
    {"a lane for who is to leave", LEASE_LIVE, 0, true, 0, 0, {LE_JOIN}, "live REFUSE:14"},
    {"silent a millisecond less", LEASE_LIVE, 0, false, 0, 0, {LE_TIME, 0, 1499}, NULL},
    {"silent", LEASE_LIVE, 0, false, 0, 0, {LE_TIME, 0, 1500}, "ending MARK:37 FENCE:100"},
    {"a standby, silent a millisecond less", LEASE_STANDBY, 0, false, LEASE_LIVE, 0, {LE_TIME, 0, 1499}, NULL},
    {"claims a source that did not yield", LEASE_STANDBY, 0, false, LEASE_LIVE, 0, {LE_CLAIM},
	"standby/live REFUSE:12"},
    {"claims a source that moves to another", LEASE_STANDBY, 0, false, LEASE_MOVING, 0, {LE_CLAIM},
	"standby/moving REFUSE:12"},
    {"claims a source that ends", LEASE_STANDBY, 0, false, LEASE_ENDING, 0, {LE_CLAIM}, "standby/ending REFUSE:12"},
    {"claims a source that is over", LEASE_STANDBY, 0, false, LEASE_ENDED, 0, {LE_CLAIM}, "storing/ended STORE:0"},
    {"claims a source that is forgotten", LEASE_STANDBY, 0, false, LEASE_NONE, 0, {LE_CLAIM}, "storing STORE:0"},
    {"stands by for nobody", LEASE_NONE, 0, false, LEASE_NONE, 0, {LE_STAND_BY}, "none REFUSE:14"},
    {"stands by for who has yielded", LEASE_NONE, 0, false, LEASE_YIELDED, 0, {LE_STAND_BY}, "none/yielded REFUSE:14"},
    {"asks for what is held", LEASE_NONE, 0, false, LEASE_LIVE, 0, {LE_ASK}, "none/live REFUSE:12"},
    {"asks for what is being fenced", LEASE_NONE, 0, false, LEASE_ENDING, 0, {LE_ASK}, "none/ending REFUSE:12"},
    {"asks while the end is stored", LEASE_NONE, 0, false, LEASE_FENCED, 0, {LE_ASK}, "none/fenced REFUSE:12"},
    {"asks after the end", LEASE_NONE, 0, false, LEASE_ENDED, 0, {LE_ASK}, "storing/ended STORE:0"},
    {"a lane with the epoch of before", LEASE_LIVE, 0, false, 0, 0, {LE_JOIN, EPOCH - 1}, "live REFUSE:19"},
    {"a lane with the next epoch", LEASE_LIVE, 0, false, 0, 0, {LE_JOIN, EPOCH + 1}, "live REFUSE:19"},
    {"a further lane is lost", LEASE_LIVE, 0, false, 0, 0, {LE_LANE_GONE, .lane = 1}, "live"},
    {"a lane is lost that it has not", LEASE_LIVE, 0, false, 0, 0, {LE_LANE_GONE, .lane = 2}, NULL},
    {"a lane is lost that nobody can have", LEASE_LIVE, 0, false, 0, 0, {LE_LANE_GONE, .lane = 16}, NULL},
    {"a lane is lost beyond all shifts", LEASE_LIVE, 0, false, 0, 0, {LE_LANE_GONE, .lane = 255}, NULL},
};

static void
what_was_asked_for_meanwhile_is_done(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof meanwhile / sizeof meanwhile[0]; i++) {
		struct lease_event event = event_of(meanwhile[i].event.kind);
		struct fixture fixture;

		set(&fixture, meanwhile[i].phase, meanwhile[i].partner);
		fixture.lease.reason = meanwhile[i].reason;
		fixture.other.reason = meanwhile[i].partner_reason;
		if (meanwhile[i].leaving) {
			fixture.lease.leaving = true;
			fixture.lease.leave_reason = REASON_STOLEN;
			fixture.lease.late_ms = 2000;
		}
		if (meanwhile[i].event.epoch)
			event.epoch = meanwhile[i].event.epoch;
		if (meanwhile[i].event.now_ms)
			event.now_ms = meanwhile[i].event.now_ms;
		event.lane = meanwhile[i].event.lane;
		step_gives(meanwhile[i].what, &fixture, &event, meanwhile[i].expected);
	}
}

static void
a_standby_is_for_a_source_that_stays_and_in_its_mode(void **state)
{
	struct lease_event event = event_of(LE_STAND_BY);
	struct fixture fixture;

	(void)state;
	set(&fixture, LEASE_NONE, LEASE_LIVE);
	fixture.other.leaving = true;
	step_gives("for who is to leave", &fixture, &event, "none/live REFUSE:14");
	set(&fixture, LEASE_NONE, LEASE_LIVE);
	event.write = false;
	step_gives("in another mode", &fixture, &event, "none/live REFUSE:14");
}

/* ---- the share ---- */

static void
who_may_hold_a_share_beside_whom(void **state)
{
	static const struct {
		enum share_mode mode;
		uint32_t readers, writers;
		enum reason to_read, to_write;
	} rows[] = {
	    {SHARE_EXCLUSIVE, 0, 0, REASON_ALLOWED, REASON_ALLOWED},
	    {SHARE_EXCLUSIVE, 1, 0, REASON_SHARE_BUSY, REASON_SHARE_BUSY},
	    {SHARE_EXCLUSIVE, 0, 1, REASON_SHARE_BUSY, REASON_SHARE_BUSY},
	    {SHARE_SHARED_READ, 0, 0, REASON_ALLOWED, REASON_ALLOWED},
	    {SHARE_SHARED_READ, 1, 0, REASON_ALLOWED, REASON_BUSY_BY_RO},
	    {SHARE_SHARED_READ, UINT32_MAX, 0, REASON_ALLOWED, REASON_BUSY_BY_RO},
	    {SHARE_SHARED_READ, 0, 1, REASON_SHARE_BUSY, REASON_SHARE_BUSY},
	    {SHARE_SHARED_READ, 1, 1, REASON_SHARE_BUSY, REASON_SHARE_BUSY},
	    {SHARE_SHARED_WRITE, 0, 0, REASON_ALLOWED, REASON_ALLOWED},
	    {SHARE_SHARED_WRITE, 5, 5, REASON_ALLOWED, REASON_ALLOWED},
	    {(enum share_mode)9, 0, 1, REASON_SHARE_BUSY, REASON_SHARE_BUSY}, /* what is unknown is exclusive */
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const struct share_core share = {
		    .mode = rows[i].mode, .readers = rows[i].readers, .writers = rows[i].writers};

		if (share_ask(&share, false) != rows[i].to_read || share_ask(&share, true) != rows[i].to_write)
			fail_msg("row %zu: %s to read, %s to write", i, reason_name((uint16_t)share_ask(&share, false)),
			    reason_name((uint16_t)share_ask(&share, true)));
	}
}

/* ---- time ---- */

static void
time_is_asked_for_when_something_is_due(void **state)
{
	static const struct {
		enum lease_phase phase;
		uint16_t lanes;
		uint32_t ttl_ms;
		uint64_t late_ms, due_ms;
	} rows[] = {
	    {LEASE_LIVE, 1, 1000, LEASE_NEVER, 1500},
	    {LEASE_LIVE, 1, 1000, 1200, 1200},
	    {LEASE_LIVE, 1, 1000, 1700, 1500},
	    {LEASE_LIVE, 1, 0, LEASE_NEVER, LEASE_NEVER},
	    {LEASE_LIVE, 1, 0, 1200, 1200},
	    {LEASE_LIVE, 0, 0, LEASE_NEVER, 10500}, /* no lanes and no time to live: ten seconds */
	    {LEASE_LIVE, 1, UINT32_MAX, LEASE_NEVER, UINT64_C(500) + UINT32_MAX},
	    {LEASE_YIELDED, 1, 1000, 1200, 1200},
	    {LEASE_STANDBY, 1, 1000, LEASE_NEVER, 1500},
	    {LEASE_STANDBY, 1, 0, LEASE_NEVER, LEASE_NEVER},
	    {LEASE_NONE, 0, 1000, 1, LEASE_NEVER},
	    {LEASE_STORING, 1, 1000, 1, LEASE_NEVER},
	    {LEASE_CLAIMING, 1, 1000, 1, LEASE_NEVER},
	    {LEASE_MOVING, 1, 1000, 1, LEASE_NEVER},
	    {LEASE_HANDING, 0, 1000, 1, LEASE_NEVER},
	    {LEASE_ENDING, 1, 1000, 1, LEASE_NEVER},
	    {LEASE_FENCED, 1, 1000, 1, LEASE_NEVER},
	    {LEASE_ENDED, 0, 1000, 1, LEASE_NEVER},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct lease_core lease = lease_in(rows[i].phase);

		lease.lanes = rows[i].lanes;
		lease.ttl_ms = rows[i].ttl_ms;
		lease.heard_ms = 500;
		lease.late_ms = rows[i].late_ms;
		if (lease_due_ms(&lease) != rows[i].due_ms)
			fail_msg("row %zu: %llu", i, (unsigned long long)lease_due_ms(&lease));
	}
}

static void
a_yield_that_is_late_goes_on(void **state)
{
	struct lease_event event = event_of(LE_TIME);
	struct fixture fixture;

	(void)state;
	set(&fixture, LEASE_YIELDED, LEASE_NONE);
	fixture.lease.heard_ms = 1500;
	event.now_ms = 1999;
	step_gives("not late yet", &fixture, &event, NULL);
	event.now_ms = 2000;
	step_gives("late", &fixture, &event, "live RESUME:0");
	assert_true(fixture.lease.late_ms == LEASE_NEVER);
}

static void
a_late_sign_of_life_takes_no_time_away(void **state)
{
	struct lease_event event = event_of(LE_HEARD);
	struct fixture fixture;

	(void)state;
	set(&fixture, LEASE_LIVE, LEASE_NONE);
	event.now_ms = 499;
	step_gives("of before", &fixture, &event, NULL);
	event.now_ms = 501;
	step_gives("of now", &fixture, &event, "live");
	assert_int_equal(fixture.lease.heard_ms, 501);
}

static void
a_release_may_be_sooner_but_not_later(void **state)
{
	static const struct {
		uint64_t until_ms;
		const char *expected;
		uint64_t late_ms;
	} rows[] = {
	    {3000, "live ASK_RELEASE:2000", 3000},
	    {9000, "live ASK_RELEASE:8000", 3000},
	    {2000, "live ASK_RELEASE:1000", 2000},
	    {1, "live ASK_RELEASE:0", 1}, /* over already: nothing is left */
	    {UINT64_MAX - 1, "live ASK_RELEASE:4294967295", 1},
	};
	struct lease_event event = event_of(LE_RELEASE);
	struct fixture fixture;

	(void)state;
	set(&fixture, LEASE_LIVE, LEASE_NONE);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		event.until_ms = rows[i].until_ms;
		event.reason = i ? REASON_REVOKED : REASON_STOLEN;
		step_gives("released", &fixture, &event, rows[i].expected);
		assert_int_equal(fixture.lease.late_ms, rows[i].late_ms);
		assert_int_equal(fixture.lease.leave_reason, REASON_STOLEN);
	}
}

/* Whoever goes on after a hand-over that failed begins anew: its time to live, and its lanes from 0. */
static void
a_source_that_goes_on_has_its_time_to_join(void **state)
{
	struct lease_event event = event_of(LE_NOT_STORED);
	struct fixture fixture;

	(void)state;
	set(&fixture, LEASE_HANDING, LEASE_CLAIMING);
	event.now_ms = 5000;
	step_gives("not stored", &fixture, &event, "live/standby *FAILED_MOVE:0");
	assert_int_equal(lease_due_ms(&fixture.lease), 6000);
	assert_int_equal(lease_due_ms(&fixture.other), 6000);
	event = event_of(LE_LANE_GONE);
	step_gives("the end of the lane that was fenced is heard of", &fixture, &event, NULL);
	event = event_of(LE_JOIN);
	step_gives("joins", &fixture, &event, "live/standby ADMIT:0");

	set(&fixture, LEASE_MOVING, LEASE_NONE);
	event = event_of(LE_FENCED);
	step_gives("fenced, and no target", &fixture, &event, "live");
	assert_int_equal(fixture.lease.lanes, 0);
}

/* ---- limits ---- */

static unsigned
lanes_admitted(uint8_t lanes_most)
{
	struct lease_event event = event_of(LE_ASK);
	struct lease_actions actions;
	struct fixture fixture;
	unsigned lanes = 1;

	set(&fixture, LEASE_NONE, LEASE_NONE);
	event.lanes_most = lanes_most;
	lease_step(&fixture.share, &fixture.lease, NULL, &event, &actions);
	event = event_of(LE_STORED);
	lease_step(&fixture.share, &fixture.lease, NULL, &event, &actions);
	event = event_of(LE_JOIN);
	event.epoch = EPOCH + 1;
	for (; lanes < 300; lanes++) {
		lease_step(&fixture.share, &fixture.lease, NULL, &event, &actions);
		assert_int_equal(actions.count, 1);
		if (actions.list[0].kind == LA_REFUSE)
			break;
		assert_int_equal(actions.list[0].number, lanes);
	}
	assert_int_equal(actions.list[0].number, REASON_LANES_EXHAUSTED);
	return lanes;
}

static void
lanes_are_as_many_as_may_be(void **state)
{
	static const uint8_t most[] = {1, 2, 15, 16, 17, 255}, admitted[] = {1, 2, 15, 16, 16, 16};

	(void)state;
	for (size_t i = 0; i < sizeof most; i++)
		assert_int_equal(lanes_admitted(most[i]), admitted[i]);
}

static void
phases_have_names(void **state)
{
	(void)state;
	for (unsigned i = 0; i < PHASES; i++)
		for (unsigned j = 0; j < i; j++)
			assert_string_not_equal(
			    lease_phase_name((enum lease_phase)i), lease_phase_name((enum lease_phase)j));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_event_in_every_phase),
	    cmocka_unit_test(what_was_asked_for_meanwhile_is_done),
	    cmocka_unit_test(a_standby_is_for_a_source_that_stays_and_in_its_mode),
	    cmocka_unit_test(who_may_hold_a_share_beside_whom),
	    cmocka_unit_test(time_is_asked_for_when_something_is_due),
	    cmocka_unit_test(a_yield_that_is_late_goes_on),
	    cmocka_unit_test(a_late_sign_of_life_takes_no_time_away),
	    cmocka_unit_test(a_release_may_be_sooner_but_not_later),
	    cmocka_unit_test(a_source_that_goes_on_has_its_time_to_join),
	    cmocka_unit_test(lanes_are_as_many_as_may_be),
	    cmocka_unit_test(phases_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
