/* SPDX-License-Identifier: Apache-2.0
 *
 * kill -9 of the process that serves a vbd (frontend/xen_disk.h), at any moment, again and again, with a guest that goes on: rings, shadow, the guest's pages and the device are in
 * memory that all of them share. No request is lost or answered twice, what is read is what was written, and no notification is missed for good.
 */
#include "frontend/xen_ring.h"
#include "tests/unit/xen_world.h"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/log.h"

#define LONGEST_MS 10000 /* without a sign of life: a notification was lost */

/* ---- the process that serves: completes in any order, over several turns ---- */

static struct timer complete_later;

static void
on_complete(struct timer *timer)
{
	device_complete_some(&world.device, 1 + below(8));
	if (below(4) == 0)
		device_complete_some(&world.device, 100);
	if (world.device.held_count > 0)
		timer_start(world.loop, timer, 0, on_complete);
}

static void
submit_and_complete(struct backend *backend, struct io *io)
{
	device_submit(backend, io);
	if (complete_later.loop == NULL)
		timer_start(world.loop, &complete_later, 0, on_complete);
}

static const struct backend_class busy_class = {.name = "busy", .submit = submit_and_complete};

static _Noreturn void
serve(void)
{
	struct geometry geometry = world.device.backend.geometry;
	struct error error = {0};

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	world.loop = loop_new(NULL);
	disk_new(&geometry);
	world.device.backend.class = &busy_class;
	if (xen_disk_connect(world.disk, &world.setup, &error) < 0) {
		fprintf(stderr, "%s\n", error.text);
		_exit(1);
	}
	loop_run(world.loop);
	_exit(1);
}

static pid_t
process_start(void)
{
	pid_t pid;

	chance();
	pid = fork();
	REQUIRE(pid >= 0);
	if (pid == 0)
		serve();
	return pid;
}

static void
process_kill(pid_t pid)
{
	int status;

	kill(pid, SIGKILL);
	REQUIRE(waitpid(pid, &status, 0) == pid);
	REQUIRE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	/* They die too fast for what they took over to be answered; how many may is a_request_that_kills_each_process_is_given_up of xen_disk_test. */
	((struct xen_shadow *)(void *)world.shadow)->falls = 0;
}

/* ---- the guest ---- */

static bool
wait_for_notification(int most_ms)
{
	struct pollfd told = {.fd = world.guest.told_fd, .events = POLLIN};
	int got = poll(&told, 1, most_ms);

	take_all(world.guest.told_fd);
	return got > 0;
}

static void
go_on(void)
{
	unsigned ring = below(world.setup.rings);

	for (unsigned i = below(12); i > 0 && front_room(&world.fronts[ring]) > 0 && world.free_count > 1100 &&
				     world.waiting < REQUESTS_MAX - 8;
	     i--)
		ask_something(ring);
	push_all();
	wait_for_notification((int)below(3));
	hear_all();
}

static void
a_guest_does_not_notice_deaths(void **state)
{
	static const struct {
		enum xen_abi abi;
		unsigned rings, pages, kills;
	} worlds[] = {{XEN_ABI_X86_64, 1, 1, 80}, {XEN_ABI_X86_32, 3, 2, 50}, {XEN_ABI_X86_64, 16, 16, 20}};

	(void)state;
	for (unsigned i = 0; i < ARRAY_LENGTH(worlds); i++) {
		struct geometry geometry = device_geometry();
		pid_t pid;

		world_begin(&geometry, worlds[i].abi, worlds[i].rings, worlds[i].pages);
		pid = process_start();
		for (unsigned k = 0; k < worlds[i].kills; k++) {
			for (unsigned turn = below(12); turn > 0; turn--)
				go_on();
			process_kill(pid);
			pid = process_start();
		}
		while (world.waiting > 0) {
			hear_all();
			if (world.waiting > 0)
				assert_true(wait_for_notification(LONGEST_MS));
		}
		process_kill(pid);
		print_message("%u requests over %u deaths\n", world.answered, worlds[i].kills);
		assert_true(world.answered > 50);
		assert_int_equal(world.failed, 0);
		assert_memory_equal(world.model, world.device.bytes, DEVICE_SECTORS * 512);
		world_end();
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(a_guest_does_not_notice_deaths)};

	log_open("xen_kill_test", LOG_ERROR_);
	return cmocka_run_group_tests_name("xen_kill", tests, NULL, NULL);
}
