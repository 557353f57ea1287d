/* SPDX-License-Identifier: Apache-2.0
 *
 * The attach side of a lane (backend/remote.h) under an exporter that takes the share back, in order or not, and one that falls silent.
 */
#include "tests/unit/far_end.h"

#include "authz/reason.h"
#include "backend/remote.h"
#include "base/bytes.h"

#define EPOCH 7

static struct test {
	struct loop *loop;
	struct remote *remote;
	int far;
	unsigned ups, releases;
	struct msg_release release; /* the last one told */
	unsigned endings, completions_before_ending;
	uint16_t ending_reason;
	bool over;
	uint16_t reason;
	char text[256];
	struct io io;
	unsigned completions;
} test;

static void
on_up(void *owner, const struct msg_attached *attached)
{
	(void)owner, (void)attached;
	test.ups++;
}

static void
on_release(void *owner, const struct msg_release *release)
{
	(void)owner;
	test.releases++;
	test.release = *release;
}

static void
on_over(void *owner, uint16_t reason, uint64_t record, const char *text)
{
	(void)owner, (void)record;
	assert_false(test.over);
	test.over = true;
	test.reason = reason;
	snprintf(test.text, sizeof test.text, "%s", text);
}

static void
on_ending(void *owner, uint16_t reason)
{
	(void)owner;
	assert_false(test.over);
	test.endings++;
	test.ending_reason = reason;
	test.completions_before_ending = test.completions;
}

static const struct remote_events events = {on_up, on_release, on_over, on_ending};

static const struct msg_attached attached = {
    .lease = {1},
    .epoch = EPOCH,
    .size = 1 << 20,
    .logical_block = 512,
    .physical_block = 4096,
    .flags = DEVICE_FLUSH,
    .payload_most = 65536,
    .range_most = 65536,
    .credit_bytes = 1 << 20,
    .credits = 16,
    .lanes = 8,
    .silence_ms = 3600000,
};

/* A lane whose HELLO and ATTACH or JOIN were heard, and nothing answered yet. */
static void
open_lane(bool joining)
{
	struct msg_attach ask = {.vm = "a/v", .share = "a/s", .mode = 1, .lanes = 8};
	struct msg_join join = {.lease = {1}, .epoch = EPOCH};
	struct error error = {0};
	struct stream *stream;

	memset(&test, 0, sizeof test);
	test.loop = loop_new(&error);
	assert_non_null(test.loop);
	stream = plain_new(&test.far);
	test.remote = joining ? remote_join(test.loop, stream, "test", &join, &events, &test, &error)
			      : remote_attach(test.loop, stream, "test", &ask, &events, &test, &error);
	assert_non_null(test.remote);
	settle(test.loop);
	hear_type(test.far, FRAME_HELLO, NULL);
	hear_type(test.far, joining ? FRAME_JOIN : FRAME_ATTACH, NULL);
	say_control(test.far, FRAME_HELLO, &(struct msg_hello){.version_least = 1, .version_most = 1});
}

static void
lane_up(struct msg_attached answer, bool joining)
{
	open_lane(joining);
	say_control(test.far, FRAME_ATTACHED, &answer);
	settle(test.loop);
	assert_int_equal(test.ups, 1);
}

static void
lane_end(void)
{
	remote_free(test.remote);
	loop_free(test.loop);
	close(test.far);
}

static void
say_release(uint8_t mode, uint32_t deadline_ms, uint64_t record)
{
	say_control(test.far, FRAME_RELEASE,
	    &(struct msg_release){
		.mode = mode, .deadline_ms = deadline_ms, .reason = REASON_REVOKED, .record = record});
	settle(test.loop);
}

static void
on_done(struct io *io)
{
	(void)io;
	test.completions++;
}

static void
submit_write(void)
{
	static uint8_t buffer[4096];

	test.io = (struct io){.op = IO_WRITE, .length = sizeof buffer, .buffer = buffer, .on_done = on_done};
	io_submit(remote_backend(test.remote), &test.io);
	settle(test.loop);
}

static void
answer(const struct frame *request, uint16_t status)
{
	say(test.far,
	    &(struct frame){.type = FRAME_REPLY, .status = status, .id = request->id, .epoch = request->epoch}, NULL);
	settle(test.loop);
}

/* ---- RELEASE ---- */

static void
the_owner_is_told_and_the_lane_goes_on(void **state)
{
	struct frame request;

	(void)state;
	lane_up(attached, false);
	say_release(RELEASE_DRAIN, 60000, 123);
	assert_int_equal(test.releases, 1);
	assert_int_equal(test.release.mode, RELEASE_DRAIN);
	assert_int_equal(test.release.deadline_ms, 60000);
	assert_int_equal(test.release.reason, REASON_REVOKED);
	assert_int_equal(test.release.record, 123);
	assert_true(hears_nothing(test.far));
	submit_write();
	request = hear_type(test.far, FRAME_WRITE, NULL);
	answer(&request, STATUS_OK);
	assert_int_equal(test.completions, 1);
	assert_int_equal(test.io.status, 0);
	assert_false(test.over);
	lane_end();
}

/* It concerns the lease, whose lanes are all as good. */
static void
any_lane_takes_it(void **state)
{
	struct msg_attached answer = attached;

	(void)state;
	answer.lane = 5;
	lane_up(answer, true);
	say_release(RELEASE_SOFT, 1000, 0);
	assert_int_equal(test.releases, 1);
	assert_false(test.over);
	lane_end();
}

static void
only_a_sooner_deadline_is_news(void **state)
{
	static const struct {
		uint32_t deadline_ms;
		unsigned told;
	} steps[] = {{60000, 1}, {60000, 1}, {3600000, 1}, {59000, 2}, {60000, 2}, {58999, 2}, {0, 3}, {0, 3}};

	(void)state;
	lane_up(attached, false);
	for (size_t i = 0; i < ARRAY_LENGTH(steps); i++) {
		say_release(RELEASE_DRAIN, steps[i].deadline_ms, i);
		if (test.releases != steps[i].told)
			fail_msg("step %zu: told %u times", i, test.releases);
	}
	assert_false(test.over);
	lane_end();
}

static void
before_attached_it_is_out_of_turn(void **state)
{
	(void)state;
	for (unsigned joining = 0; joining < 2; joining++) {
		open_lane(joining);
		say_release(RELEASE_SOFT, 1000, 0);
		assert_true(test.over && test.reason == REASON_PROTOCOL_ERROR);
		assert_int_equal(test.releases, 0);
		lane_end();
	}
}

static void
a_value_out_of_its_limits_ends_the_lane(void **state)
{
	/* mode, deadline_ms, reason, record */
	static const struct {
		const char *what;
		uint8_t mode;
		uint32_t deadline_ms;
		uint16_t reason;
		uint32_t length;
	} bad[] = {
	    {"mode 0", 0, 1000, 20, 15},
	    {"mode 3", 3, 1000, 20, 15},
	    {"mode 255", 255, 1000, 20, 15},
	    {"a deadline beyond an hour", 1, 3600001, 20, 15},
	    {"the longest that fits", 1, UINT32_MAX, 20, 15},
	    {"no reason", 1, 1000, 0, 15},
	    {"a byte missing", 1, 1000, 20, 14},
	    {"a byte too many", 1, 1000, 20, 16},
	    {"nothing", 1, 1000, 20, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
		uint8_t payload[16] = {bad[i].mode};

		lane_up(attached, false);
		put_be32(payload + 1, bad[i].deadline_ms);
		put_be16(payload + 5, bad[i].reason);
		say(test.far, &(struct frame){.type = FRAME_RELEASE, .length = bad[i].length}, payload);
		settle(test.loop);
		if (!test.over || test.reason != REASON_PROTOCOL_ERROR || test.releases != 0)
			fail_msg("%s: taken", bad[i].what);
		lane_end();
	}
}

static void
while_leaving_it_is_ignored(void **state)
{
	(void)state;
	lane_up(attached, false);
	remote_detach(test.remote, true);
	settle(test.loop);
	say_release(RELEASE_SOFT, 1000, 0);
	assert_false(test.over);
	assert_int_equal(test.releases, 0);
	hear_type(test.far, FRAME_DETACH, NULL);
	say_control(test.far, FRAME_DETACHED, &(struct msg_detached){0});
	settle(test.loop);
	assert_true(test.over && test.reason == REASON_DETACHED);
	lane_end();
}

/* So that an owner who can ask for the lease again need not tell its guest of an error. */
static void
the_end_is_told_before_what_is_in_flight_fails(void **state)
{
	(void)state;
	lane_up(attached, false);
	submit_write();
	hear_type(test.far, FRAME_WRITE, NULL);
	shutdown(test.far, SHUT_WR);
	settle(test.loop);
	assert_true(test.over);
	assert_int_equal(test.endings, 1);
	assert_int_equal(test.ending_reason, REASON_SESSION_LOST);
	assert_int_equal(test.completions_before_ending, 0);
	assert_int_equal(test.completions, 1);
	assert_int_equal(test.io.status, -EIO);
	lane_end();
}

/* ---- leaving in order ---- */

static void
what_is_in_flight_is_answered_then_flushed_then_detached(void **state)
{
	struct msg_detach detach;
	struct frame request, flush;

	(void)state;
	lane_up(attached, false);
	submit_write();
	request = hear_type(test.far, FRAME_WRITE, NULL);
	remote_flush_and_detach(test.remote);
	settle(test.loop);
	assert_true(hears_nothing(test.far));
	answer(&request, STATUS_OK);
	assert_int_equal(test.completions, 1);
	assert_int_equal(test.io.status, 0);
	flush = hear_type(test.far, FRAME_FLUSH, NULL);
	assert_true(hears_nothing(test.far));
	submit_write();
	assert_int_equal(test.completions, 2);
	assert_int_equal(test.io.status, -ESHUTDOWN);
	assert_true(hears_nothing(test.far));
	answer(&flush, STATUS_OK);
	hear_type(test.far, FRAME_DETACH, &detach);
	assert_int_equal(detach.all_lanes, 1);
	say_control(test.far, FRAME_DETACHED, &(struct msg_detached){.completed = 2});
	settle(test.loop);
	assert_true(test.over && test.reason == REASON_DETACHED);
	assert_string_equal(test.text, "flushed and detached after 2 requests");
	lane_end();
}

static void
a_flush_that_fails_is_said(void **state)
{
	struct frame flush;

	(void)state;
	lane_up(attached, false);
	remote_flush_and_detach(test.remote);
	settle(test.loop);
	flush = hear_type(test.far, FRAME_FLUSH, NULL);
	answer(&flush, STATUS_IO);
	hear_type(test.far, FRAME_DETACH, NULL);
	say_control(test.far, FRAME_DETACHED, &(struct msg_detached){.completed = 1});
	settle(test.loop);
	assert_string_equal(test.text, "detached after 1 requests; the last flush failed: Input/output error");
	lane_end();
}

static void
what_cannot_be_written_is_not_flushed(void **state)
{
	static const uint32_t flags[] = {0, DEVICE_READ_ONLY | DEVICE_FLUSH};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(flags); i++) {
		struct msg_attached answer = attached;

		answer.flags = flags[i];
		lane_up(answer, false);
		remote_flush_and_detach(test.remote);
		settle(test.loop);
		hear_type(test.far, FRAME_DETACH, NULL);
		lane_end();
	}
}

/* The exporter's deadline came first. */
static void
the_end_by_force_ends_a_leaving_lane_with_its_flush(void **state)
{
	(void)state;
	lane_up(attached, false);
	remote_flush_and_detach(test.remote);
	settle(test.loop);
	hear_type(test.far, FRAME_FLUSH, NULL);
	say_control(test.far, FRAME_REVOKED, &(struct msg_revoked){.reason = REASON_REVOKED, .epoch = EPOCH});
	settle(test.loop);
	assert_true(test.over && test.reason == REASON_REVOKED);
	lane_end();
}

/* ---- silence ---- */

static void
an_exporter_that_says_nothing_is_pinged_and_given_up(void **state)
{
	struct msg_attached answer = attached;

	(void)state;
	answer.silence_ms = 1000;
	lane_up(answer, false);
	run_for(test.loop, 900);
	hear_type(test.far, FRAME_PING, NULL);
	hear_type(test.far, FRAME_PING, NULL);
	assert_false(test.over);
	run_for(test.loop, 250);
	assert_true(test.over && test.reason == REASON_SESSION_LOST);
	assert_non_null(strstr(test.text, "silent: nothing was heard of it for 1000 ms"));
	lane_end();
}

/* Any frame, also one that nobody here knows, and half of one. */
static void
whatever_comes_is_a_sign_of_life(void **state)
{
	struct msg_attached answer = attached;

	(void)state;
	answer.silence_ms = 1000;
	lane_up(answer, false);
	run_for(test.loop, 700);
	say(test.far, &(struct frame){.type = 0xff}, NULL);
	run_for(test.loop, 700);
	say_release(RELEASE_DRAIN, 60000, 0);
	run_for(test.loop, 700);
	assert_int_equal(send(test.far, "\x0a", 1, MSG_NOSIGNAL), 1);
	run_for(test.loop, 700);
	assert_false(test.over);
	run_for(test.loop, 500);
	assert_true(test.over && test.reason == REASON_SESSION_LOST);
	lane_end();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_owner_is_told_and_the_lane_goes_on),
	    cmocka_unit_test(any_lane_takes_it),
	    cmocka_unit_test(only_a_sooner_deadline_is_news),
	    cmocka_unit_test(before_attached_it_is_out_of_turn),
	    cmocka_unit_test(a_value_out_of_its_limits_ends_the_lane),
	    cmocka_unit_test(while_leaving_it_is_ignored),
	    cmocka_unit_test(what_is_in_flight_is_answered_then_flushed_then_detached),
	    cmocka_unit_test(the_end_is_told_before_what_is_in_flight_fails),
	    cmocka_unit_test(a_flush_that_fails_is_said),
	    cmocka_unit_test(what_cannot_be_written_is_not_flushed),
	    cmocka_unit_test(the_end_by_force_ends_a_leaving_lane_with_its_flush),
	    cmocka_unit_test(an_exporter_that_says_nothing_is_pinged_and_given_up),
	    cmocka_unit_test(whatever_comes_is_a_sign_of_life),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
