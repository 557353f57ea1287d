/* SPDX-License-Identifier: Apache-2.0
 *
 * A file backend against a model that is an array of bytes: thousands of random requests, many in flight, by both engines, on each kind of
 * file that this machine has. The seed is fixed and printed with each failure by its step.
 */
#include "tests/unit/file_harness.h"

#define SIZE       (UINT64_C(4) << 20)
#define BLOCKS     (SIZE / 512)
#define MOST_BLOCK 512 /* of one request: 256 KiB */
#define ROUNDS     60
#define DEPTH      400 /* more than fit into the ring */

/* A byte is known unless it was discarded since it was written. */
struct model {
	uint8_t bytes[SIZE];
	bool known[BLOCKS];
	bool taken
	    [BLOCKS]; /* by a request in flight: what overlaps may be executed in any order, and is not submitted */
	uint64_t seed;
};

static uint32_t
next_random(struct model *model)
{
	model->seed ^= model->seed << 13;
	model->seed ^= model->seed >> 7;
	model->seed ^= model->seed << 17;
	return (uint32_t)(model->seed >> 11);
}

static bool
take_range(struct model *model, uint64_t block, uint64_t count)
{
	for (uint64_t i = block; i < block + count; i++)
		if (model->taken[i])
			return false;
	memset(model->taken + block, true, count);
	return true;
}

static void
expect_read(struct model *model, struct request *request)
{
	request->expected = malloc(request->io.length);
	assert_non_null(request->expected);
	memcpy(request->expected, model->bytes + request->io.offset, request->io.length);
}

static void
apply(struct model *model, struct request *request)
{
	struct io *io = &request->io;

	if (io->op == IO_READ) {
		expect_read(model, request);
		return;
	}
	if (io->op == IO_WRITE) {
		for (uint32_t i = 0; i < io->length; i++)
			io->buffer[i] = (uint8_t)next_random(model);
		memcpy(model->bytes + io->offset, io->buffer, io->length);
	}
	if (io->op == IO_WRITE_ZEROES)
		memset(model->bytes + io->offset, 0, io->length);
	memset(model->known + io->offset / 512, io->op != IO_DISCARD, io->length / 512);
}

/* A random request that overlaps with none in flight; false when there was no room for it. */
static bool
make_request(struct bench *bench, struct model *model, struct request *request)
{
	static const enum io_op ops[] = {IO_READ, IO_READ, IO_READ, IO_WRITE, IO_WRITE, IO_WRITE, IO_FLUSH, IO_DISCARD,
	    IO_WRITE_ZEROES, IO_WRITE_ZEROES};
	enum io_op op = ops[next_random(model) % ARRAY_LENGTH(ops)];
	uint64_t block = next_random(model) % BLOCKS,
		 count = 1 + next_random(model) % (next_random(model) % MOST_BLOCK + 1);
	unsigned flags = next_random(model);

	if (op == IO_FLUSH) {
		request_init(bench, request, op, 0, 0, 0);
		return true;
	}
	if (block + count > BLOCKS || !take_range(model, block, count))
		return false;
	flags &= op == IO_WRITE ? IO_FUA : op == IO_WRITE_ZEROES ? IO_FUA | IO_NO_HOLE : 0;
	request_init(bench, request, op, flags, block * 512, (uint32_t)count * 512);
	apply(model, request);
	return true;
}

static void
check_request(const struct model *model, struct request *request, unsigned round)
{
	const struct io *io = &request->io;

	if (request->completions != 1 || io->status != 0)
		fail_msg("round %u: operation %d at %llu: %u completions, status %d", round, io->op,
		    (unsigned long long)io->offset, request->completions, io->status);
	for (uint32_t at = 0; io->op == IO_READ && at < io->length; at += 512)
		if (model->known[(io->offset + at) / 512] && memcmp(io->buffer + at, request->expected + at, 512) != 0)
			fail_msg("round %u: the block at %llu does not hold what was written last", round,
			    (unsigned long long)io->offset + at);
	request_clear(request);
}

static void
run_round(struct bench *bench, struct model *model, unsigned round)
{
	static struct request requests[DEPTH];
	unsigned count = 0, most = 1 + next_random(model) % DEPTH;

	memset(model->taken, false, sizeof model->taken);
	for (unsigned tries = 0; tries < 2 * most && count < most; tries++) {
		if (!make_request(bench, model, &requests[count]))
			continue;
		request_submit(&requests[count++]);
		if (next_random(model) % 64 == 0 && bench->backend->class->kick)
			bench->backend->class->kick(bench->backend);
	}
	bench_run(bench);
	for (unsigned i = 0; i < count; i++)
		check_request(model, &requests[i], round);
}

static void
check_whole_file(const struct model *model, int fd)
{
	uint8_t block[512];

	for (uint64_t i = 0; i < BLOCKS; i++) {
		assert_int_equal(pread(fd, block, sizeof block, (off_t)(i * 512)), sizeof block);
		if (model->known[i] && memcmp(block, model->bytes + i * 512, 512) != 0)
			fail_msg(
			    "in the end block %llu of the file is not what was written last", (unsigned long long)i);
	}
}

static void
compare_with_model(bool uring, int fd)
{
	AUTO_FREE struct model *model = calloc(1, sizeof *model);
	int second = dup(fd);
	struct bench bench;

	assert_non_null(model);
	assert_true(second >= 0);
	model->seed = UINT64_C(0x9e3779b97f4a7c15);
	memset(model->known, true, sizeof model->known);
	bench_open(&bench, uring);
	bench_serve(&bench, fd, true, true);
	for (unsigned round = 0; round < ROUNDS; round++)
		run_round(&bench, model, round);
	bench_close(&bench);
	check_whole_file(model, second);
	close(second);
}

static void
io_uring_agrees_with_the_model_on_a_file(void **state)
{
	(void)state;
	compare_with_model(true, file_make("/tmp", SIZE));
}

static void
io_uring_agrees_with_the_model_in_memory(void **state)
{
	(void)state;
	compare_with_model(true, file_make(NULL, SIZE));
}

static void
preadv2_agrees_with_the_model_on_a_file(void **state)
{
	(void)state;
	compare_with_model(false, file_make("/tmp", SIZE));
}

static void
preadv2_agrees_with_the_model_in_memory(void **state)
{
	(void)state;
	compare_with_model(false, file_make(NULL, SIZE));
}

static void
a_mapping_agrees_with_the_model(void **state)
{
	(void)state;
	compare_with_model(false, memory_make(SIZE));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(io_uring_agrees_with_the_model_on_a_file),
	    cmocka_unit_test(io_uring_agrees_with_the_model_in_memory),
	    cmocka_unit_test(preadv2_agrees_with_the_model_on_a_file),
	    cmocka_unit_test(preadv2_agrees_with_the_model_in_memory),
	    cmocka_unit_test(a_mapping_agrees_with_the_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
