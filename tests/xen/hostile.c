/* SPDX-License-Identifier: Apache-2.0
 *
 * hostile: a block frontend that lies, for tests/xen/{hostile,tenants}.test. It runs as a program in a PV guest without xen-blkfront (modules xen-gntalloc,
 * xen-evtchn, xen-gntdev) and is this guest's blkfront: it connects as an honest one in a shape of the dice's choice (ring layout, rings, pages), throws malformed requests,
 * writes nonsense to its nodes, closes, connects again, and between all that verifies that honest I/O is served rightly wherever it was not disconnected.
 *
 *   hostile run DEVICE SECONDS [SEED [ACT]]     the device's number, 51712 is xvda; only that act
 *   hostile honest DEVICE SECONDS [SEED]        only honest I/O
 *   hostile names DEVICE DOMAIN DEVICE          what can be reached of another domain's disk
 *
 * Exit code 0: all properties held. 1: one did not ("wrong: ..."). 2: the guest itself is unfit. 3: the backend does not serve this device any more.
 */
#include "tests/xen/hostile.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BARRED_MS 10000

static int
print_counts(const struct hostile *hostile)
{
	const struct tally *tally;
	unsigned i;

	for (i = 0; i < hostile_acts(); i++) {
		tally = &hostile->tally[i];
		if (tally->thrown > 0)
			printf("%-24s thrown %6" PRIu64 "  done %6" PRIu64 "  refused %6" PRIu64
			       "  unsupported %6" PRIu64 "  lost %6" PRIu64 "\n",
			    hostile_act_name(i), tally->thrown, tally->done, tally->failed, tally->unsupported,
			    tally->lost);
	}
	printf("connected %" PRIu64 " native, %" PRIu64 " x86_32, %" PRIu64
	       " x86_64; disconnected by the backend %" PRIu64 "; acts in xenstore %" PRIu64 "\n",
	    hostile->connects[GUEST_NATIVE], hostile->connects[GUEST_X86_32], hostile->connects[GUEST_X86_64],
	    hostile->thrown_out, hostile->node_acts);
	printf("honest: %" PRIu64 " writes, %" PRIu64 " reads verified; %u wrong\n", hostile->honest_writes,
	    hostile->honest_reads, hostile->failures);
	return hostile->failures > 0;
}

static _Noreturn void
barred(const struct hostile *hostile)
{
	print_counts(hostile);
	puts("barred: the backend does not serve this device any more");
	exit(hostile->failures > 0 ? 1 : 3);
}

static struct guest_shape
roll_shape(struct hostile *hostile)
{
	return (struct guest_shape){.abi = (enum guest_abi)dice_below(&hostile->dice, GUEST_ABIS),
	    .rings = 1 + (unsigned)dice_below(&hostile->dice, 4),
	    .order = (unsigned)dice_below(&hostile->dice, GUEST_ORDER_MAX + 1)};
}

/* A backend that says what is wrong does not serve any more, perhaps: whether it does is known soon. */
static int64_t
patience(struct hostile *hostile)
{
	char *error = guest_read(&hostile->disk, hostile->disk.backend, "error");
	int64_t ms = error ? BARRED_MS : ANSWER_MS;

	free(error);
	return ms;
}

/* The backend must have let go of the old rings and take new ones. */
static void
reconnect(struct hostile *hostile)
{
	struct guest_shape shape = roll_shape(hostile);
	enum guest_state state;

	hostile_forget(hostile);
	guest_close(&hostile->disk, ANSWER_MS);
	if (!guest_connect(&hostile->disk, shape, patience(hostile))) {
		state = guest_backend_state(&hostile->disk);
		if (state != GUEST_GONE && state < GUEST_CLOSING)
			hostile_wrong(
			    hostile, "the backend hangs in state %d while an honest frontend connects", (int)state);
		barred(hostile);
	}
	hostile->connected = true;
	hostile->connects[shape.abi]++;
}

/* A spoilt ring is the backend's to notice or not; it gets a moment for it. */
static void
ring_time(struct hostile *hostile)
{
	unsigned left = 1 + (unsigned)dice_below(&hostile->dice, 40);

	while (left-- > 0 && hostile->connected) {
		if (!hostile_act(hostile)) {
			if (!hostile->connected || guest_await_state(&hostile->disk, GUEST_CLOSING, GUEST_CLOSED, 300))
				hostile->thrown_out++;
			hostile->connected = false;
			return;
		}
		if (left % 8 == 0)
			hostile_check_service(hostile, 1);
	}
}

static void
go(struct hostile *hostile, int64_t until, bool lies)
{
	while (now_ms() < until && hostile->failures < 20) {
		reconnect(hostile);
		hostile_check_service(hostile, 4);
		if (!lies) {
			while (hostile->connected && now_ms() < until && hostile->failures < 20)
				hostile_check_service(hostile, 4);
			if (!hostile->connected)
				hostile_wrong(hostile, "an honest frontend was disconnected");
			continue;
		}
		hostile->lies = !hostile->lies; /* in every second connection */
		ring_time(hostile);
		hostile_check_service(hostile, 2);
		if (dice_below(&hostile->dice, 2))
			hostile_nodes(hostile);
	}
	reconnect(hostile);
	hostile_check_service(hostile, 4);
	hostile_forget(hostile);
	if (!guest_close(&hostile->disk, ANSWER_MS))
		hostile_wrong(hostile, "the backend does not close");
}

static int
run(unsigned device, int64_t seconds, uint64_t seed, const char *only, bool lies)
{
	static struct hostile hostile;

	if (only && !hostile_knows(only)) {
		fprintf(stderr, "hostile: there is no act '%s'\n", only);
		return 2;
	}
	hostile.dice.state = seed;
	hostile.only = only;
	guest_open(&hostile.disk, device);
	printf("seed %" PRIu64 ", device %u, backend %s, %" PRId64 " s\n", seed, device, hostile.disk.backend, seconds);
	fflush(stdout);
	go(&hostile, now_ms() + seconds * 1000, lies);
	return print_counts(&hostile);
}

static uint64_t
number(const char *text)
{
	return strtoull(text, NULL, 0);
}

int
main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";
	uint64_t seed = argc > 4 ? number(argv[4]) : (uint64_t)time(NULL);

	if (argc >= 4 && (strcmp(mode, "run") == 0 || strcmp(mode, "honest") == 0))
		return run(
		    (unsigned)number(argv[2]), (int64_t)number(argv[3]), seed, argc > 5 ? argv[5] : NULL, *mode == 'r');
	if (argc == 5 && strcmp(mode, "names") == 0)
		return hostile_names((unsigned)number(argv[2]), (unsigned)number(argv[3]), (unsigned)number(argv[4]));
	fputs("usage: hostile run DEVICE SECONDS [SEED [ACT]] | honest DEVICE SECONDS [SEED] | names DEVICE DOMAIN "
	      "DEVICE\n",
	    stderr);
	return 2;
}
