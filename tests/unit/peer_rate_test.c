/* SPDX-License-Identifier: Apache-2.0
 *
 * Limits on the export side of a lane. The pace, with a time that the test makes: what its page allows passes, and no more. Then a whole peer in the real
 * loop, over a stream in memory: what is held back comes in order, and is answered when the lane ends.
 */
#include "tests/unit/test.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/auto.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "frontend/peer_lane.h"
#include "wire/frame.h"
#include "wire/limits.h"

#define SEC NS_PER_SEC

static const struct io a_read = {.op = IO_READ, .length = 4096}, a_flush = {.op = IO_FLUSH};

/* ---- the pace ---- */

static void
allow(
    struct lane_page *page, unsigned limited, uint64_t iops, uint64_t bandwidth, uint64_t after_iops, uint64_t until_ns)
{
	page->allowance.turn += 2;
	page->limited = limited;
	page->allowance.ops.rate = iops * LANE_OPERATION;
	page->allowance.ops.after = after_iops * LANE_OPERATION;
	page->allowance.ops.depth = LANE_OPERATION;
	page->allowance.bytes.rate = page->allowance.bytes.after = bandwidth;
	page->allowance.bytes.depth = 4096;
	page->allowance.until_ns = until_ns;
}

/* Whoever always wants the next one: how many pass from now until then. */
static uint64_t
pass_all(struct lane_pace *pace, struct lane_page *page, const struct io *io, uint64_t *now_ns, uint64_t until_ns)
{
	uint64_t passed = 0;
	unsigned lacking;

	while (*now_ns < until_ns) {
		lacking = pace_look(pace, page, *now_ns);
		if (lacking == 0) {
			pace_take(pace, page, io);
			passed++;
		} else {
			*now_ns += pace_wait_ns(pace, lacking);
		}
	}
	return passed;
}

static void
lets_through_what_its_page_allows(void **state)
{
	struct lane_page page = {0};
	struct lane_pace pace = {0};
	uint64_t now_ns = 77 * SEC;

	(void)state;
	allow(&page, LANE_LIMIT_OPS, 500, 0, 500, UINT64_MAX);
	assert_in_range(pass_all(&pace, &page, &a_read, &now_ns, 87 * SEC), 4999, 5001);
	allow(&page, LANE_LIMIT_BYTES, 0, 409600, 0, UINT64_MAX);
	assert_in_range(pass_all(&pace, &page, &a_read, &now_ns, 97 * SEC), 999, 1002);
	allow(&page, LANE_LIMIT_OPS | LANE_LIMIT_BYTES, 50, 409600, 50, UINT64_MAX);
	assert_in_range(pass_all(&pace, &page, &a_read, &now_ns, 107 * SEC), 499, 502);
	assert_in_range(page.demand.ops, 6497 * LANE_OPERATION, 6505 * LANE_OPERATION);
}

static void
goes_on_at_the_lasting_rate_when_nothing_new_is_said(void **state)
{
	struct lane_page page = {0};
	struct lane_pace pace = {0};
	uint64_t now_ns = SEC;

	(void)state;
	allow(&page, LANE_LIMIT_OPS, 2000, 0, 100, 2 * SEC);
	assert_in_range(pass_all(&pace, &page, &a_read, &now_ns, 2 * SEC), 1998, 2002);
	assert_in_range(pass_all(&pace, &page, &a_read, &now_ns, 12 * SEC), 999, 1002);
	/* Also one that did not look while it ended: from 12 to 13 s at 3000, but no more than its depth gathers. */
	allow(&page, LANE_LIMIT_OPS, 3000, 0, 10, 13 * SEC);
	pace_look(&pace, &page, now_ns);
	now_ns = 20 * SEC;
	assert_in_range(pass_all(&pace, &page, &a_read, &now_ns, 21 * SEC), 9, 12);
}

static void
does_not_take_over_what_is_being_written(void **state)
{
	struct lane_page page = {0};
	struct lane_pace pace = {0};

	(void)state;
	allow(&page, LANE_LIMIT_OPS, 10, 0, 10, UINT64_MAX);
	pace_look(&pace, &page, SEC);
	page.allowance.turn++;
	page.allowance.ops.rate = 999999;
	pace_look(&pace, &page, 2 * SEC);
	assert_int_equal(pace.ops.rate, 10 * LANE_OPERATION);
	page.allowance.turn++;
	pace_look(&pace, &page, 2 * SEC);
	assert_int_equal(pace.ops.rate, 999999);
}

static void
what_is_not_limited_makes_no_debt(void **state)
{
	struct lane_page page = {0};
	struct lane_pace pace = {0};

	(void)state;
	allow(&page, LANE_LIMIT_BYTES, 0, 1 << 30, 0, UINT64_MAX);
	for (unsigned i = 0; i < 1000; i++) {
		pace_look(&pace, &page, SEC);
		pace_take(&pace, &page, &a_flush);
	}
	allow(&page, LANE_LIMIT_OPS, 1000, 0, 1000, UINT64_MAX);
	pace_look(&pace, &page, SEC); /* takes it over */
	assert_int_equal(pace_look(&pace, &page, SEC + NS_PER_MS), 0);
}

static void
counts_the_bytes_that_move(void **state)
{
	static const struct {
		struct io io;
		uint64_t bytes;
	} cases[] = {
	    {{.op = IO_READ, .length = 512}, 512},
	    {{.op = IO_WRITE, .length = 1 << 20, .flags = IO_FUA}, 1 << 20},
	    {{.op = IO_FLUSH}, 0},
	    {{.op = IO_DISCARD, .length = 1 << 30}, 0},
	    {{.op = IO_WRITE_ZEROES, .length = 1 << 30}, 0},
	    {{.op = IO_WRITE_ZEROES, .length = 1 << 30, .flags = IO_NO_HOLE}, 1 << 30},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
		assert_int_equal(pace_bytes(&cases[i].io), cases[i].bytes);
}

static void
a_large_piece_passes_and_is_made_up_for(void **state)
{
	struct lane_page page = {0};
	struct lane_pace pace = {0};
	struct io large = {.op = IO_WRITE, .length = 1 << 20};
	uint64_t now_ns = SEC;

	(void)state;
	allow(&page, LANE_LIMIT_BYTES, 0, 1 << 18, 0, UINT64_MAX); /* four seconds for each */
	assert_in_range(pass_all(&pace, &page, &large, &now_ns, 41 * SEC), 10, 11);
}

/* ---- a peer ---- */

#define REQUESTS 40

static struct world {
	struct stream stream; /* first */
	struct backend backend;
	struct buffer input, output;
	int event;
	struct loop *loop;
	struct peer *peer;
	struct lane_page page;
	struct defer complete;
	struct timer act; /* what a test does in the middle */
	struct io *first, **last;
	uint64_t submitted[REQUESTS];
	unsigned submitted_count;
	uint64_t replied[REQUESTS];
	unsigned replied_count, refused_count;
	bool was_revoked, was_detached, was_over;
	unsigned after_the_end; /* replies that came after REVOKED or DETACHED */
} world;

static ssize_t
stream_read(struct stream *stream, void *bytes, size_t room)
{
	size_t length = buffer_length(&world.input) < room ? buffer_length(&world.input) : room;

	(void)stream;
	if (length == 0)
		return -EAGAIN;
	memcpy(bytes, buffer_front(&world.input), length);
	buffer_consume(&world.input, length);
	return (ssize_t)length;
}

static uint8_t *
stream_reserve(struct stream *stream, size_t length)
{
	(void)stream;
	return buffer_reserve(&world.output, length);
}

static void
stream_commit(struct stream *stream, size_t length)
{
	(void)stream;
	buffer_commit(&world.output, length);
}

static void
take_reply(const struct frame *frame)
{
	world.after_the_end += world.was_revoked || world.was_detached;
	world.refused_count += frame->status != 0;
	world.replied[world.replied_count++] = frame->id;
}

static int
stream_flush(struct stream *stream)
{
	(void)stream;
	while (buffer_length(&world.output) > 0) {
		struct frame frame;

		assert_int_equal(frame_decode(buffer_front(&world.output), &frame), 0);
		if (frame.type == FRAME_REPLY)
			take_reply(&frame);
		world.was_revoked = world.was_revoked || frame.type == FRAME_REVOKED;
		world.was_detached = world.was_detached || frame.type == FRAME_DETACHED;
		buffer_consume(&world.output, FRAME_HEADER_LEN + (size_t)frame.length);
	}
	return 0;
}

static size_t
stream_queued(const struct stream *stream)
{
	(void)stream;
	return 0;
}

static bool
stream_buffered(const struct stream *stream)
{
	(void)stream;
	return buffer_length(&world.input) > 0;
}

static uint32_t
stream_wants(const struct stream *stream)
{
	(void)stream;
	return EPOLLIN;
}

static int
stream_fd(const struct stream *stream)
{
	(void)stream;
	return world.event;
}

static void
stream_close(struct stream *stream)
{
	(void)stream;
}

static const struct stream_class memory_stream = {stream_read, stream_reserve, stream_commit, stream_flush,
    stream_queued, stream_buffered, stream_wants, stream_fd, stream_close};

static void
on_complete(struct defer *defer)
{
	struct io *first = world.first;

	(void)defer;
	world.first = NULL, world.last = &world.first;
	while (first) {
		struct io *io = first;

		first = io->next;
		io->status = 0;
		io->on_done(io);
	}
}

static void
device_submit(struct backend *backend, struct io *io)
{
	(void)backend;
	io->next = NULL;
	world.submitted[world.submitted_count++] = io->offset / 4096;
	*world.last = io;
	world.last = &io->next;
	defer_start(world.loop, &world.complete, on_complete);
}

static const struct backend_class device = {.name = "test", .submit = device_submit};

static void
on_attach(void *owner, const struct msg_attach *attach)
{
	struct msg_attached attached = {.epoch = 1,
	    .size = REQUESTS * 4096,
	    .logical_block = 512,
	    .physical_block = 4096,
	    .payload_most = 4096,
	    .range_most = 4096,
	    .credit_bytes = LIMIT_CREDIT_BYTES,
	    .credits = LIMIT_CREDITS,
	    .lanes = 1,
	    .silence_ms = 3600000};

	(void)owner, (void)attach;
	peer_serve(world.peer, &world.backend, &world.page, &attached);
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
	peer_left(world.peer);
}

static void
on_over(void *owner, enum reason reason, const char *text)
{
	(void)owner, (void)reason, (void)text;
	world.was_over = true;
	loop_quit(world.loop, 0);
}

static const struct peer_events events = {on_attach, on_join, on_leave, on_over};

static void
say(const struct frame *frame, const void *payload)
{
	uint8_t *at = buffer_reserve(&world.input, FRAME_HEADER_LEN + (size_t)frame->length);

	assert_non_null(at);
	frame_encode(frame, at);
	if (frame->length)
		memcpy(at + FRAME_HEADER_LEN, payload, frame->length);
	buffer_commit(&world.input, FRAME_HEADER_LEN + (size_t)frame->length);
}

static void
say_control(uint8_t type, const void *message)
{
	uint8_t payload[LIMIT_CONTROL_PAYLOAD];
	int length = message_encode(control_type(type), message, payload, sizeof payload);

	assert_true(length >= 0);
	say(&(struct frame){.type = type, .length = (uint32_t)length}, payload);
}

/* A peer that attached and asked for this many reads and writes, all in one go. */
static void
begin(unsigned iops, unsigned requests)
{
	static const uint8_t block[4096];

	memset(&world, 0, sizeof world);
	world.stream.class = &memory_stream;
	world.last = &world.first;
	world.backend = (struct backend){&device, {.size = REQUESTS * 4096,
						      .logical_block = 512,
						      .physical_block = 4096,
						      .most_payload = 4096,
						      .most_range = 4096}};
	world.event = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
	world.loop = loop_new(NULL);
	buffer_init(&world.input, 1 << 20);
	buffer_init(&world.output, 1 << 20);
	assert_true(world.event >= 0 && world.loop != NULL);
	allow(&world.page, LANE_LIMIT_OPS, iops, 0, iops, UINT64_MAX);
	say_control(FRAME_HELLO, &(struct msg_hello){.version_least = 1, .version_most = 1, .software = "t"});
	say_control(FRAME_ATTACH, &(struct msg_attach){.vm = "a/v", .share = "a/s", .mode = 1, .lanes = 1});
	for (uint64_t i = 0; i < requests; i++)
		say(&(struct frame){.type = i % 3 ? FRAME_READ : FRAME_WRITE,
			.id = i + 1,
			.epoch = 1,
			.offset = i * 4096,
			.count = 4096,
			.length = i % 3 ? 0 : 4096},
		    block);
}

static void
run_until_over(void)
{
	world.peer = peer_new(world.loop, &world.stream, "test", &events, NULL, NULL);
	assert_non_null(world.peer);
	assert_int_equal(loop_run(world.loop), 0);
	assert_true(world.was_over);
	timer_stop(&world.act);
	peer_free(world.peer);
	buffer_clear(&world.input);
	buffer_clear(&world.output);
	loop_free(world.loop);
	close(world.event);
}

static void
assert_in_order(const uint64_t *numbers, unsigned count, uint64_t first)
{
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(numbers[i], first + i);
}

static void
what_waits_goes_in_order_and_a_detach_waits_for_it(void **state)
{
	uint64_t began_ns = clock_monotonic_ns(), took_ns;

	(void)state;
	begin(200, REQUESTS);
	say_control(FRAME_DETACH, &(struct msg_detach){1});
	run_until_over();
	took_ns = clock_monotonic_ns() - began_ns;
	assert_int_equal(world.submitted_count, REQUESTS);
	assert_in_order(world.submitted, REQUESTS, 0);
	assert_int_equal(world.replied_count, REQUESTS);
	assert_in_order(world.replied, REQUESTS, 1);
	assert_true(world.was_detached && world.refused_count == 0 && world.after_the_end == 0);
	/* One had been saved up, and the last is paid for later. */
	assert_true(took_ns >= (REQUESTS - 2) * SEC / 200);
	assert_in_range(world.page.demand.held, REQUESTS - 2, REQUESTS - 1);
	assert_true(world.page.demand.held_ns >= (REQUESTS - 3) * SEC / 200 && world.page.demand.held_ns <= took_ns);
	assert_true(world.page.demand.short_ops > 0 && world.page.demand.waits_for == 0);
}

static void
on_act_end(struct timer *timer)
{
	(void)timer;
	assert_int_equal(world.page.demand.waits_for, LANE_LIMIT_OPS);
	world.page.ended = REASON_REVOKED;
	peer_end(world.peer, REASON_REVOKED);
}

static void
the_end_of_a_lane_answers_what_waits_at_once(void **state)
{
	(void)state;
	begin(1, REQUESTS);
	timer_start(world.loop, &world.act, 20 * NS_PER_MS, on_act_end);
	run_until_over();
	assert_int_equal(world.submitted_count, 2);
	assert_int_equal(world.replied_count, REQUESTS);
	assert_in_order(world.replied, REQUESTS, 1);
	assert_int_equal(world.refused_count, REQUESTS - 2);
	assert_int_equal(world.page.counters.aborted, REQUESTS - 2);
	assert_true(world.was_revoked && world.after_the_end == 0);
	assert_int_equal(world.page.demand.waits_for, 0);
}

static void
on_act_mark(struct timer *timer)
{
	(void)timer;
	world.page.ended = REASON_REVOKED; /* the broker's word; the end itself comes later, or never */
	say_control(FRAME_DETACH, &(struct msg_detach){1});
}

static void
nothing_that_waited_is_submitted_after_the_brokers_word(void **state)
{
	(void)state;
	begin(20, REQUESTS);
	timer_start(world.loop, &world.act, 20 * NS_PER_MS, on_act_mark);
	run_until_over();
	assert_in_range(world.submitted_count, 2, 3);
	assert_int_equal(world.refused_count, REQUESTS - world.submitted_count);
	assert_int_equal(world.replied_count, REQUESTS);
}

static void
on_act_free(struct timer *timer)
{
	(void)timer;
	world.page.limited = 0;
}

static void
a_limit_that_is_lifted_lets_all_go_in_order(void **state)
{
	(void)state;
	begin(1, REQUESTS);
	say_control(FRAME_DETACH, &(struct msg_detach){1});
	timer_start(world.loop, &world.act, 10 * NS_PER_MS, on_act_free);
	run_until_over();
	assert_int_equal(world.submitted_count, REQUESTS);
	assert_in_order(world.submitted, REQUESTS, 0);
}

static void
on_act_break(struct timer *timer)
{
	(void)timer;
	say(&(struct frame){.type = FRAME_REPLY, .id = 99, .epoch = 1}, NULL); /* which only an exporter sends */
}

static void
a_lane_that_breaks_drops_what_waits(void **state)
{
	(void)state;
	begin(1, REQUESTS);
	timer_start(world.loop, &world.act, 10 * NS_PER_MS, on_act_break);
	run_until_over();
	assert_int_equal(world.submitted_count, 2);
	assert_int_equal(world.page.counters.aborted, REQUESTS - 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(lets_through_what_its_page_allows),
	    cmocka_unit_test(goes_on_at_the_lasting_rate_when_nothing_new_is_said),
	    cmocka_unit_test(does_not_take_over_what_is_being_written),
	    cmocka_unit_test(what_is_not_limited_makes_no_debt),
	    cmocka_unit_test(counts_the_bytes_that_move),
	    cmocka_unit_test(a_large_piece_passes_and_is_made_up_for),
	    cmocka_unit_test(what_waits_goes_in_order_and_a_detach_waits_for_it),
	    cmocka_unit_test(the_end_of_a_lane_answers_what_waits_at_once),
	    cmocka_unit_test(nothing_that_waited_is_submitted_after_the_brokers_word),
	    cmocka_unit_test(a_limit_that_is_lifted_lets_all_go_in_order),
	    cmocka_unit_test(a_lane_that_breaks_drops_what_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
