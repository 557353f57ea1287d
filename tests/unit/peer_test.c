/* SPDX-License-Identifier: Apache-2.0
 *
 * The export side of a lane (frontend/peer.h): asking for the share back, signs of life in the lane page, and an attach host that falls silent.
 */
#include "tests/unit/far_end.h"

#include "base/clock.h"
#include "frontend/peer.h"

#define EPOCH 7

static struct test {
	struct loop *loop;
	struct peer *peer;
	int far;
	struct lane_page page;
	struct backend backend;
	bool asked, over;
	enum reason reason;
	char text[256];
} test;

/* ---- a device that does everything at once ---- */

static void
device_now(struct backend *backend, struct io *io)
{
	(void)backend;
	io->status = 0;
}

static const struct backend_class device = {.name = "test", .now = device_now};

/* ---- the owner ---- */

static void
on_attach(void *owner, const struct msg_attach *attach)
{
	(void)owner, (void)attach;
	test.asked = true;
}

static void
on_join(void *owner, const struct msg_join *join)
{
	(void)owner, (void)join;
}

static void
on_leave(void *owner, bool all_lanes)
{
	(void)owner, (void)all_lanes;
	peer_left(test.peer);
}

static void
on_over(void *owner, enum reason reason, const char *text)
{
	(void)owner;
	assert_false(test.over);
	test.over = true;
	test.reason = reason;
	snprintf(test.text, sizeof test.text, "%s", text);
}

static const struct peer_events events = {on_attach, on_join, on_leave, on_over};

static const struct msg_release release = {
    .mode = RELEASE_DRAIN, .deadline_ms = 60000, .reason = REASON_REVOKED, .record = 123};

/* A peer that asked for a share and was not answered yet. */
static void
open_lane(void)
{
	struct msg_attach ask = {.vm = "a/v", .share = "a/s", .mode = 1, .lanes = 1};
	struct error error = {0};

	memset(&test, 0, sizeof test);
	test.loop = loop_new(&error);
	assert_non_null(test.loop);
	test.backend = (struct backend){
	    &device, {.size = 1 << 20, .logical_block = 512, .physical_block = 4096, .most_payload = 65536}};
	test.peer = peer_new(test.loop, plain_new(&test.far), "test", &events, &test, &error);
	assert_non_null(test.peer);
	say_control(test.far, FRAME_HELLO, &(struct msg_hello){.version_least = 1, .version_most = 1});
	say_control(test.far, FRAME_ATTACH, &ask);
	settle(test.loop);
	hear_type(test.far, FRAME_HELLO, NULL);
	assert_true(test.asked);
}

static void
serve(uint32_t silence_ms)
{
	struct msg_attached attached = {.lease = {1},
	    .epoch = EPOCH,
	    .size = 1 << 20,
	    .logical_block = 512,
	    .physical_block = 4096,
	    .payload_most = 65536,
	    .range_most = 65536,
	    .credit_bytes = LIMIT_CREDIT_BYTES,
	    .credits = LIMIT_CREDITS,
	    .lanes = 1,
	    .silence_ms = silence_ms};

	peer_serve(test.peer, &test.backend, &test.page, &attached);
	settle(test.loop);
	hear_type(test.far, FRAME_ATTACHED, NULL);
}

static void
lane_end(void)
{
	peer_free(test.peer);
	loop_free(test.loop);
	close(test.far);
}

static uint64_t
heard_ns(void)
{
	return atomic_load(&test.page.heard_ns);
}

/* ---- RELEASE ---- */

static void
a_release_is_told_and_the_lane_is_served_on(void **state)
{
	struct msg_release told;
	struct frame reply;

	(void)state;
	open_lane();
	serve(3600000);
	peer_release(test.peer, &release);
	settle(test.loop);
	hear_type(test.far, FRAME_RELEASE, &told);
	assert_memory_equal(&told, &release, sizeof told);
	say(test.far, &(struct frame){.type = FRAME_READ, .id = 1, .epoch = EPOCH, .count = 512}, NULL);
	settle(test.loop);
	reply = hear_type(test.far, FRAME_REPLY, NULL);
	assert_int_equal(reply.status, STATUS_OK);
	peer_end(test.peer, REASON_REVOKED);
	settle(test.loop);
	hear_type(test.far, FRAME_REVOKED, NULL);
	assert_true(test.over && test.reason == REASON_REVOKED);
	lane_end();
}

static void
who_is_not_served_is_not_told(void **state)
{
	(void)state;
	open_lane();
	peer_release(test.peer, &release);
	settle(test.loop);
	assert_true(hears_nothing(test.far));
	serve(3600000);
	peer_end(test.peer, REASON_REVOKED);
	peer_release(test.peer, &release);
	settle(test.loop);
	hear_type(test.far, FRAME_REVOKED, NULL);
	peer_release(test.peer, &release);
	settle(test.loop);
	assert_false(hear(test.far, &(struct frame){0}, (uint8_t[LIMIT_CONTROL_PAYLOAD]){0}));
	lane_end();
}

/* Optional frames that are known are held to who may send them. */
static void
an_attacher_that_sends_one_breaks_the_protocol(void **state)
{
	(void)state;
	open_lane();
	serve(3600000);
	say_control(test.far, FRAME_RELEASE, &release);
	settle(test.loop);
	assert_true(test.over && test.reason == REASON_PROTOCOL_ERROR);
	lane_end();
}

/* ---- silence ---- */

static void
the_page_says_when_the_peer_was_heard(void **state)
{
	uint64_t before = clock_monotonic_ns(), first, second;

	(void)state;
	open_lane();
	assert_int_equal(heard_ns(), 0);
	serve(3600000);
	first = heard_ns();
	assert_true(first >= before && first <= clock_monotonic_ns());
	settle(test.loop);
	assert_true(heard_ns() == first);
	say_control(test.far, FRAME_PONG, &(struct msg_pong){0});
	settle(test.loop);
	second = heard_ns();
	assert_true(second > first && second <= clock_monotonic_ns());
	say(test.far, &(struct frame){.type = FRAME_READ, .id = 1, .epoch = EPOCH, .count = 512}, NULL);
	settle(test.loop);
	assert_true(heard_ns() > second);
	lane_end();
}

static void
an_attacher_that_says_nothing_is_pinged_and_given_up(void **state)
{
	(void)state;
	open_lane();
	serve(1000);
	run_for(test.loop, 900);
	hear_type(test.far, FRAME_PING, NULL);
	hear_type(test.far, FRAME_PING, NULL);
	assert_false(test.over);
	run_for(test.loop, 250);
	assert_true(test.over && test.reason == REASON_SESSION_LOST);
	assert_string_equal(test.text, "nothing was heard of it for 1000 ms");
	lane_end();
}

static void
whatever_comes_is_a_sign_of_life(void **state)
{
	(void)state;
	open_lane();
	serve(1000);
	run_for(test.loop, 700);
	say(test.far, &(struct frame){.type = 0xff}, NULL);
	run_for(test.loop, 700);
	say_control(test.far, FRAME_PING, &(struct msg_ping){0});
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
	    cmocka_unit_test(a_release_is_told_and_the_lane_is_served_on),
	    cmocka_unit_test(who_is_not_served_is_not_told),
	    cmocka_unit_test(an_attacher_that_sends_one_breaks_the_protocol),
	    cmocka_unit_test(the_page_says_when_the_peer_was_heard),
	    cmocka_unit_test(an_attacher_that_says_nothing_is_pinged_and_given_up),
	    cmocka_unit_test(whatever_comes_is_a_sign_of_life),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
