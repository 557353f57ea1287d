/* SPDX-License-Identifier: Apache-2.0
 *
 * What a zygote's children do not share: random numbers. And whose children they are.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <openssl/rand.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/heap.h"
#include "base/sandbox.h"
#include "crypto/tls_internal.h"

enum { CHILDREN = 4, DRAWN = 32 };

/* From every generator that a handshake draws of: of the connection's library context and of the one in which the algorithms live. */
struct drawn {
	pid_t pid;
	uint8_t bytes[4][DRAWN];
};

static void
draw(int pipe)
{
	OSSL_LIB_CTX *library = tls_library(), *whole = provider_whole_library();
	struct drawn drawn = {.pid = getpid()};

	if (RAND_bytes_ex(library, drawn.bytes[0], DRAWN, 0) != 1 ||
	    RAND_priv_bytes_ex(library, drawn.bytes[1], DRAWN, 0) != 1 ||
	    RAND_bytes_ex(whole, drawn.bytes[2], DRAWN, 0) != 1 ||
	    RAND_priv_bytes_ex(whole, drawn.bytes[3], DRAWN, 0) != 1 ||
	    write(pipe, &drawn, sizeof drawn) != sizeof drawn)
		_exit(2);
}

/* In a process of its own, whose parent is the test. */
static void
be_zygote(int pipe)
{
	struct error error = {0};

	if (tls_rehearse(&error) < 0)
		_exit(3);
	heap_settle();
	for (unsigned i = 0; i < CHILDREN; i++) {
		int pid = sandbox_fork_sibling(getppid());

		if (pid < 0)
			_exit(4);
		if (pid == 0) {
			draw(pipe);
			_exit(0);
		}
	}
	draw(pipe); /* what a child would have drawn, had it gone on where its parent was */
	_exit(0);
}

static void
children_draw_numbers_of_their_own_and_are_the_parents(void **state)
{
	struct drawn drawn[CHILDREN + 1];
	int ends[2], status;
	pid_t zygote;

	(void)state;
	assert_int_equal(pipe(ends), 0);
	zygote = fork();
	if (zygote == 0)
		be_zygote(ends[1]);
	for (unsigned i = 0; i < CHILDREN + 1; i++)
		assert_int_equal(read(ends[0], &drawn[i], sizeof drawn[i]), sizeof drawn[i]);
	for (unsigned i = 0; i < CHILDREN + 1; i++) {
		assert_int_equal(waitpid(drawn[i].pid, &status, 0), drawn[i].pid);
		assert_int_equal(status, 0);
	}
	assert_int_equal(waitpid(-1, &status, 0), -1);
	assert_int_equal(errno, ECHILD);
	for (unsigned i = 0; i < 4 * (CHILDREN + 1); i++)
		for (unsigned j = 0; j < i; j++)
			assert_memory_not_equal(drawn[i / 4].bytes[i % 4], drawn[j / 4].bytes[j % 4], DRAWN);
	close(ends[0]);
	close(ends[1]);
}

/* The list is made once; who loads it may signal itself, and nobody else. */
static void
a_list_made_before_the_fork_is_the_childs_own(void **state)
{
	struct error error = {0};
	struct sandbox_filter *filter = sandbox_filter_new(SANDBOX_PASS_FDS, &error);
	int status;
	pid_t child;

	(void)state;
	assert_non_null(filter);
	child = fork();
	if (child == 0) {
		if (sandbox_begin(&error) < 0 || sandbox_filter_load(filter, &error) < 0)
			_exit(1);
		abort();
	}
	sandbox_filter_free(filter);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(children_draw_numbers_of_their_own_and_are_the_parents),
	    cmocka_unit_test(a_list_made_before_the_fork_is_the_childs_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
