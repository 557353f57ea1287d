/* SPDX-License-Identifier: Apache-2.0
 *
 * A shared ring and its shadow (frontend/xen_ring.h) against a front end with Xen's own macros. The heart: a back end that is killed before any of its stores. Ring and shadow
 * are write-protected while it runs, so that each store of the real machine code faults; there the memory is copied as a death would leave it, and a successor on the copy
 * must answer each request that the guest has waiting, once. Some deaths are real: the successor goes on in the same memory, and is killed in its recovery too.
 */
#include "tests/unit/test.h"

#include <signal.h>
#include <ucontext.h>

#include "frontend/xen_ring.h"
#include "tests/unit/require.h"
#include "tests/unit/xen_guest.h"

#define MEMORY_LEN (XEN_RING_PAGES_MAX * XEN_PAGE + XEN_SHADOW_BYTES)
#define TRAP_FLAG  0x100

static struct xen_setup
setup_of(enum xen_abi abi, unsigned pages)
{
	struct xen_setup setup = {.abi = abi, .rings = 1, .pages = pages};

	setup.ring[0].event_channel = 3;
	for (unsigned i = 0; i < pages; i++)
		setup.ring[0].references[i] = 100 + i;
	return setup;
}

/* ---- a ring with both its sides, and who waits for what ---- */

struct side {
	uint8_t *memory; /* MEMORY_LEN: the ring, then the shadow */
	struct front front;
	uint64_t next_id;
	uint64_t waiting[XEN_RING_SLOTS_MAX]; /* ids that the guest asked for and has no answer to */
	unsigned waiting_count;
};

/* The one that is alive. */
struct back {
	struct xen_ring ring;
	unsigned count;
	uint16_t entry[XEN_RING_SLOTS_MAX]; /* taken and not answered */
};

static struct xen_setup setup;

static struct xen_shadow *
shadow_of(const struct side *side)
{
	return (struct xen_shadow *)(void *)(side->memory + XEN_RING_PAGES_MAX * XEN_PAGE);
}

/* ---- what the guest does ---- */

static void
guest_asks(struct side *side)
{
	struct ask ask = {.operation = BLKIF_OP_FLUSH_DISKCACHE, .id = side->next_id++};

	front_put(&side->front, &ask);
	side->waiting[side->waiting_count++] = ask.id;
}

/* False: an answer that nobody waits for. */
static bool
guest_hears(struct side *side, const struct said *said)
{
	for (unsigned i = 0; i < side->waiting_count; i++)
		if (side->waiting[i] == said->id) {
			side->waiting[i] = side->waiting[--side->waiting_count];
			return said->status == BLKIF_RSP_OKAY && said->operation == BLKIF_OP_FLUSH_DISKCACHE;
		}
	return false;
}

static bool
guest_hears_all(struct side *side)
{
	struct said said;

	while (front_get(&side->front, &said))
		if (!guest_hears(side, &said))
			return false;
	return true;
}

/* ---- what the back end does ---- */

static bool
back_takes(struct back *back)
{
	uint8_t bytes[XEN_REQUEST_LEN_MAX];
	const char *lie = NULL;
	int got = xen_ring_take(&back->ring, bytes, &back->entry[back->count], &lie);

	if (got < 0)
		abort();
	back->count += (unsigned)got;
	return got > 0;
}

static void
back_answers(struct back *back, unsigned which)
{
	uint8_t bytes[XEN_REQUEST_LEN_MAX], response[XEN_RESPONSE_LEN_MAX];
	struct xen_request request = {.operation = BLKIF_OP_FLUSH_DISKCACHE};
	uint16_t entry = back->entry[which];

	xen_ring_retake(&back->ring, entry, bytes);
	memcpy(&request.id, bytes + (setup.abi == XEN_ABI_X86_32 ? 4 : 8), sizeof request.id);
	xen_response_print(setup.abi, &request, BLKIF_RSP_OKAY, response);
	back->entry[which] = back->entry[--back->count];
	xen_ring_answer(&back->ring, entry, response);
}

static int
back_recovers(struct back *back, const struct side *side, const char **lie)
{
	int count = xen_ring_recover(&back->ring, &setup, 0, side->memory, shadow_of(side), back->entry, lie);

	back->count = count > 0 ? (unsigned)count : 0;
	return count;
}

/* ---- after a death ---- */

static uint64_t seed;

static unsigned
below(unsigned limit)
{
	seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (unsigned)(seed >> 33) % limit;
}

static struct after {
	struct side side;
	struct back back;
	uint64_t checks;
} after;

/* A copy of what matters: the ring, and of the shadow the head and the entries of ring 0. */
static void
copy_side(struct side *to, const struct side *from)
{
	uint8_t *memory = to->memory;
	size_t ring = setup.pages * XEN_PAGE, start = XEN_RING_PAGES_MAX * XEN_PAGE;

	*to = *from;
	to->memory = memory;
	memcpy(memory, from->memory, ring);
	memcpy(memory + start, from->memory + start,
	    XEN_PAGE + xen_ring_size(setup.abi, setup.pages) * sizeof(struct xen_shadow_entry));
	to->front.ring.sring = (void *)memory;
}

/* The successor goes on, in any order, until the guest waits for nothing. */
static void
check_death(const struct side *dead)
{
	const char *lie = NULL;

	after.checks++;
	copy_side(&after.side, dead);
	REQUIRE(xen_shadow_is_of(shadow_of(&after.side), &setup));
	REQUIRE(back_recovers(&after.back, &after.side, &lie) >= 0);
	while (back_takes(&after.back) || after.back.count > 0) {
		for (unsigned i = below(4); i > 0 && after.back.count > 0; i--)
			back_answers(&after.back, below(after.back.count));
		if (below(2) == 0) {
			xen_ring_push(&after.back.ring);
			REQUIRE(guest_hears_all(&after.side));
		}
	}
	xen_ring_push(&after.back.ring);
	REQUIRE(guest_hears_all(&after.side));
	REQUIRE(after.side.waiting_count == 0);
}

/* ---- each store faults ---- */

static struct live {
	struct side side;
	struct back back;
	bool is_armed;
	uint64_t stores;
	unsigned stores_to_death; /* 0: it lives on */
	sigjmp_buf death;
} live;

static void
protect(int protection)
{
	if (mprotect(live.side.memory, MEMORY_LEN, protection) < 0)
		abort();
}

static void
on_store(int number, siginfo_t *info, void *context)
{
	const uint8_t *at = info->si_addr;
	ucontext_t *machine = context;

	if (!live.is_armed || at < live.side.memory || at >= live.side.memory + MEMORY_LEN) {
		signal(number, SIG_DFL);
		return;
	}
	live.stores++;
	check_death(&live.side);
	protect(PROT_READ | PROT_WRITE);
	if (live.stores_to_death > 0 && --live.stores_to_death == 0)
		siglongjmp(live.death, 1);
	machine->uc_mcontext.gregs[REG_EFL] |= TRAP_FLAG; /* this one store, and then on_trap() */
}

static void
on_trap(int number, siginfo_t *info, void *context)
{
	ucontext_t *machine = context;

	(void)number, (void)info;
	machine->uc_mcontext.gregs[REG_EFL] &= ~TRAP_FLAG;
	protect(PROT_READ);
}

static void
catch_stores(void)
{
	struct sigaction store = {.sa_sigaction = on_store, .sa_flags = SA_SIGINFO},
			 trap = {.sa_sigaction = on_trap, .sa_flags = SA_SIGINFO};

	sigaction(SIGSEGV, &store, NULL);
	sigaction(SIGTRAP, &trap, NULL);
}

static void
arm(bool on)
{
	live.is_armed = on;
	protect(on ? PROT_READ : PROT_READ | PROT_WRITE);
}

/* ---- the property ---- */

static void
back_does_something(void)
{
	struct back *back = &live.back;

	switch (below(4)) {
	case 0:
	case 1:
		for (unsigned i = below(8); i > 0 && back_takes(back); i--)
			;
		break;
	case 2:
		for (unsigned i = below(8); i > 0 && back->count > 0; i--)
			back_answers(back, below(back->count));
		break;
	default:
		xen_ring_push(&back->ring);
		xen_ring_sleep(&back->ring);
	}
}

static void
guest_does_something(void)
{
	unsigned most = below(2) ? front_room(&live.side.front) : 4;

	for (unsigned i = below(most + 1); i > 0 && front_room(&live.side.front) > 0; i--)
		guest_asks(&live.side);
	front_push(&live.side.front);
	if (below(3) == 0)
		assert_true(guest_hears_all(&live.side));
}

static void
live_begin(uint32_t first)
{
	live.side.next_id = 1;
	live.side.waiting_count = 0;
	live.back.count = 0;
	front_begin(&live.side.front, setup.abi, live.side.memory, setup.pages, first);
	xen_shadow_clear(shadow_of(&live.side));
	xen_ring_begin(&live.back.ring, &setup, 0, live.side.memory, shadow_of(&live.side));
	xen_shadow_begin(shadow_of(&live.side), &setup);
}

static void
live_one_turn(void)
{
	const char *lie = NULL;

	live.stores_to_death = below(3) == 0 ? 1 + below(60) : 0;
	if (sigsetjmp(live.death, 1) != 0) {
		/* Killed, and perhaps again while it recovers. */
		live.stores_to_death = below(2) == 0 ? 1 + below(20) : 0;
		arm(true);
		assert_true(back_recovers(&live.back, &live.side, &lie) >= 0);
	} else {
		arm(true);
	}
	back_does_something();
	arm(false);
	live.stores_to_death = 0;
	guest_does_something();
}

static void
each_request_is_answered_once_whatever_store_a_death_comes_before(void **state)
{
	static const struct {
		enum xen_abi abi;
		unsigned pages, turns;
		uint32_t first;
	} worlds[] = {
	    {XEN_ABI_X86_64, 1, 6000, 0},
	    {XEN_ABI_X86_32, 1, 6000, UINT32_MAX - 20}, /* the indices wrap around */
	    {XEN_ABI_X86_64, 2, 2000, UINT32_MAX - 2000},
	};

	(void)state;
	live.side.memory = shared_memory(MEMORY_LEN);
	after.side.memory = shared_memory(MEMORY_LEN);
	catch_stores();
	for (unsigned i = 0; i < ARRAY_LENGTH(worlds); i++) {
		setup = setup_of(worlds[i].abi, worlds[i].pages);
		seed = i;
		live_begin(worlds[i].first);
		for (unsigned turn = 0; turn < worlds[i].turns; turn++)
			live_one_turn();
		check_death(&live.side);
	}
	signal(SIGSEGV, SIG_DFL);
	signal(SIGTRAP, SIG_DFL);
	print_message("%llu stores, each a death\n", (unsigned long long)live.stores);
	assert_true(live.stores > 100000 && after.checks > live.stores);
	munmap(live.side.memory, MEMORY_LEN);
	munmap(after.side.memory, MEMORY_LEN);
}

/* ---- without deaths ---- */

static struct side plain;
static struct back worker;

static void
plain_begin(enum xen_abi abi, unsigned pages)
{
	setup = setup_of(abi, pages);
	plain = (struct side){.memory = shared_memory(MEMORY_LEN)};
	worker = (struct back){0};
	front_begin(&plain.front, abi, plain.memory, pages, 0);
	xen_ring_begin(&worker.ring, &setup, 0, plain.memory, shadow_of(&plain));
	xen_shadow_begin(shadow_of(&plain), &setup);
}

static void
plain_end(void)
{
	munmap(plain.memory, MEMORY_LEN);
}

static void
a_ring_is_as_large_as_xens_macros_make_it(void **state)
{
	(void)state;
	for (unsigned pages = 1; pages <= XEN_RING_PAGES_MAX; pages *= 2)
		for (enum xen_abi abi = XEN_ABI_X86_64; abi <= XEN_ABI_X86_32; abi++) {
			plain_begin(abi, pages);
			assert_int_equal(xen_ring_size(abi, pages), front_size(&plain.front));
			assert_true(front_size(&plain.front) <= XEN_RING_SLOTS_MAX);
			plain_end();
		}
	assert_int_equal(xen_ring_size(XEN_ABI_X86_64, XEN_RING_PAGES_MAX), XEN_RING_SLOTS_MAX);
}

static void
a_full_ring_is_taken_and_one_request_more_is_a_lie(void **state)
{
	uint8_t bytes[XEN_REQUEST_LEN_MAX];
	const char *lie = NULL;
	uint16_t entry;

	(void)state;
	plain_begin(XEN_ABI_X86_64, 1);
	while (front_room(&plain.front) > 0)
		guest_asks(&plain);
	front_push(&plain.front);
	while (back_takes(&worker))
		;
	assert_int_equal(worker.count, front_size(&plain.front));
	front_head(&plain.front)->req_prod++;
	assert_int_equal(xen_ring_take(&worker.ring, bytes, &entry, &lie), -EPROTO);
	assert_non_null(lie);
	/* Answered, but not yet the guest's: it has no slot for more. */
	back_answers(&worker, 0);
	assert_int_equal(xen_ring_take(&worker.ring, bytes, &entry, &lie), -EPROTO);
	xen_ring_push(&worker.ring);
	assert_int_equal(xen_ring_take(&worker.ring, bytes, &entry, &lie), 1);
	plain_end();
}

static void
far_ahead_and_backwards_are_lies(void **state)
{
	static const uint32_t moves[] = {33, 1000, INT32_MAX, (uint32_t)INT32_MAX + 1, UINT32_MAX, UINT32_MAX - 31};
	uint8_t bytes[XEN_REQUEST_LEN_MAX];
	uint16_t entry;

	(void)state;
	for (unsigned i = 0; i < ARRAY_LENGTH(moves); i++) {
		const char *lie = NULL;

		plain_begin(XEN_ABI_X86_64, 1);
		front_head(&plain.front)->req_prod = moves[i];
		assert_int_equal(xen_ring_take(&worker.ring, bytes, &entry, &lie), -EPROTO);
		plain_end();
	}
	/* By one, of what was taken. */
	plain_begin(XEN_ABI_X86_64, 1);
	guest_asks(&plain), guest_asks(&plain);
	front_push(&plain.front);
	assert_true(back_takes(&worker) && back_takes(&worker));
	front_head(&plain.front)->req_prod = 1;
	{
		const char *lie = NULL;

		assert_int_equal(xen_ring_take(&worker.ring, bytes, &entry, &lie), -EPROTO);
	}
	plain_end();
}

/* Our own number of published responses is what counts. */
static void
what_the_guest_writes_into_rsp_prod_is_of_no_account(void **state)
{
	(void)state;
	plain_begin(XEN_ABI_X86_64, 1);
	guest_asks(&plain);
	front_push(&plain.front);
	front_head(&plain.front)->rsp_prod = 4711;
	assert_true(back_takes(&worker));
	back_answers(&worker, 0);
	xen_ring_push(&worker.ring);
	assert_int_equal(front_head(&plain.front)->rsp_prod, 1);
	assert_true(guest_hears_all(&plain) && plain.waiting_count == 0);
	plain_end();
}

static void
a_guest_is_notified_when_it_asked_for_it_and_only_then(void **state)
{
	struct said said;

	(void)state;
	plain_begin(XEN_ABI_X86_64, 1);
	for (unsigned i = 0; i < 3; i++)
		guest_asks(&plain);
	front_push(&plain.front);
	while (back_takes(&worker))
		;
	assert_false(xen_ring_push(&worker.ring)); /* nothing to push */
	back_answers(&worker, 0);
	assert_true(xen_ring_push(&worker.ring)); /* it asked for the first */
	back_answers(&worker, 0);
	assert_false(xen_ring_push(&worker.ring)); /* it did not look since */
	assert_true(front_get(&plain.front, &said) && front_get(&plain.front, &said));
	assert_true(front_sleep(&plain.front));
	back_answers(&worker, 0);
	assert_true(xen_ring_push(&worker.ring));
	plain_end();
}

static void
sleep_asks_for_the_next_request_and_sees_one_that_is_there(void **state)
{
	(void)state;
	plain_begin(XEN_ABI_X86_64, 1);
	assert_true(xen_ring_sleep(&worker.ring));
	guest_asks(&plain);
	assert_true(front_push(&plain.front)); /* we asked for it */
	assert_false(xen_ring_sleep(&worker.ring));
	guest_asks(&plain);
	assert_false(front_push(&plain.front)); /* we look ourselves */
	assert_true(back_takes(&worker) && back_takes(&worker) && !back_takes(&worker));
	assert_true(xen_ring_sleep(&worker.ring));
	guest_asks(&plain);
	assert_true(front_push(&plain.front));
	plain_end();
}

static void
a_new_ring_may_have_requests_and_a_past(void **state)
{
	(void)state;
	plain_begin(XEN_ABI_X86_32, 4);
	front_begin(&plain.front, XEN_ABI_X86_32, plain.memory, 4, UINT32_MAX);
	guest_asks(&plain), guest_asks(&plain), guest_asks(&plain);
	front_push(&plain.front);
	xen_ring_begin(&worker.ring, &setup, 0, plain.memory, shadow_of(&plain));
	while (back_takes(&worker))
		;
	assert_int_equal(worker.count, 3);
	plain_end();
}

/* ---- a hostile shadow ---- */

static void
taken_is(struct xen_shadow_entry *entry)
{
	entry->state = XEN_TAKEN;
}
static void
state_is_none(struct xen_shadow_entry *entry)
{
	entry->state = 3;
}
static void
state_is_huge(struct xen_shadow_entry *entry)
{
	entry->state = UINT32_MAX;
}
static void
response_is_far(struct xen_shadow_entry *entry)
{
	entry->state = XEN_ANSWERED, entry->response = 4711;
}
static void
response_is_just_too_far(struct xen_shadow_entry *entry)
{
	entry->state = XEN_ANSWERED, entry->response = 32;
}
static void
response_is_just_too_old(struct xen_shadow_entry *entry)
{
	entry->state = XEN_ANSWERED, entry->response = UINT32_MAX - 32;
}
static void
entry_is_lost(struct xen_shadow_entry *entry)
{
	entry[-1].state = XEN_FREE;
}

static void
a_shadow_that_cannot_be_is_refused_and_nothing_is_changed(void **state)
{
	static void (*const spoil[])(struct xen_shadow_entry *) = {taken_is, state_is_none, state_is_huge,
	    response_is_far, response_is_just_too_far, response_is_just_too_old, entry_is_lost};

	(void)state;
	for (unsigned i = 0; i < ARRAY_LENGTH(spoil); i++) {
		struct xen_ring before;
		const char *lie = NULL;
		uint16_t entries[XEN_RING_SLOTS_MAX];
		uint8_t *copy;

		plain_begin(XEN_ABI_X86_64, 1);
		guest_asks(&plain);
		front_push(&plain.front);
		assert_true(back_takes(&worker)); /* entry 0 */
		worker.ring.entries[1].index = 99;
		spoil[i](&worker.ring.entries[1]);
		before = worker.ring;
		copy = malloc(MEMORY_LEN);
		memcpy(copy, plain.memory, MEMORY_LEN);
		assert_int_equal(
		    xen_ring_recover(&worker.ring, &setup, 0, plain.memory, shadow_of(&plain), entries, &lie), -EPROTO);
		assert_non_null(lie);
		assert_memory_equal(&before, &worker.ring, sizeof before);
		assert_memory_equal(copy, plain.memory, MEMORY_LEN);
		free(copy);
		plain_end();
	}
}

static void
a_guest_that_moved_rsp_prod_cannot_be_taken_over(void **state)
{
	static const uint32_t moves[] = {1, 2, 100, UINT32_MAX};

	(void)state;
	for (unsigned i = 0; i < ARRAY_LENGTH(moves); i++) {
		const char *lie = NULL;
		uint16_t entries[XEN_RING_SLOTS_MAX];

		plain_begin(XEN_ABI_X86_64, 1);
		guest_asks(&plain);
		front_push(&plain.front);
		assert_true(back_takes(&worker));
		front_head(&plain.front)->rsp_prod = moves[i];
		assert_int_equal(
		    xen_ring_recover(&worker.ring, &setup, 0, plain.memory, shadow_of(&plain), entries, &lie), -EPROTO);
		plain_end();
	}
}

static void
a_shadow_is_that_of_its_setup_only(void **state)
{
	struct xen_setup others[6];

	(void)state;
	plain_begin(XEN_ABI_X86_64, 2);
	for (unsigned i = 0; i < ARRAY_LENGTH(others); i++)
		others[i] = setup;
	others[0].abi = XEN_ABI_X86_32;
	others[1].rings = 2;
	others[2].pages = 1;
	others[3].ring[0].event_channel++;
	others[4].ring[0].references[1]++;
	others[5].ring[0].references[0]++;
	assert_true(xen_shadow_is_of(shadow_of(&plain), &setup));
	for (unsigned i = 0; i < ARRAY_LENGTH(others); i++)
		assert_false(xen_shadow_is_of(shadow_of(&plain), &others[i]));
	xen_shadow_clear(shadow_of(&plain));
	assert_false(xen_shadow_is_of(shadow_of(&plain), &setup));
	plain_end();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_ring_is_as_large_as_xens_macros_make_it),
	    cmocka_unit_test(a_full_ring_is_taken_and_one_request_more_is_a_lie),
	    cmocka_unit_test(far_ahead_and_backwards_are_lies),
	    cmocka_unit_test(what_the_guest_writes_into_rsp_prod_is_of_no_account),
	    cmocka_unit_test(a_guest_is_notified_when_it_asked_for_it_and_only_then),
	    cmocka_unit_test(sleep_asks_for_the_next_request_and_sees_one_that_is_there),
	    cmocka_unit_test(a_new_ring_may_have_requests_and_a_past),
	    cmocka_unit_test(a_shadow_that_cannot_be_is_refused_and_nothing_is_changed),
	    cmocka_unit_test(a_guest_that_moved_rsp_prod_cannot_be_taken_over),
	    cmocka_unit_test(a_shadow_is_that_of_its_setup_only),
	    cmocka_unit_test(each_request_is_answered_once_whatever_store_a_death_comes_before),
	};

	return cmocka_run_group_tests_name("xen_ring", tests, NULL, NULL);
}
