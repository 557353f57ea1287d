/* SPDX-License-Identifier: Apache-2.0
 *
 * The model checker: walks through every state that the world around the lease engine can get into (tests/model/world.h), holds each state and each
 * step against the promises, and then shows that from every state a kind environment gets back to one where nobody holds anything.
 *
 *     check [--full] [--only WORD]     one line for each setting; a broken promise is shown with the moves that led to it
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/model/states.h"

#define STATES_MOST 150000000u

static const struct {
	struct setting setting;
	bool full; /* only with --full */
} settings[] = {
    /* name, shares, hosts, mode, lanes, readers, writers, deadlines, all events */
    {{"exclusive, 3 hosts, everything", 1, 3, SHARE_EXCLUSIVE, 2, true, true, true, true}, false},
    {{"shared-read, 2 hosts, everything", 1, 2, SHARE_SHARED_READ, 2, true, true, true, true}, false},
    {{"shared-write, 2 hosts, everything", 1, 2, SHARE_SHARED_WRITE, 2, true, true, true, true}, false},
    {{"shared-read, 3 hosts, one lane, no deadlines", 1, 3, SHARE_SHARED_READ, 1, true, true, false, true}, false},
    {{"shared-write, 3 hosts, one lane, no deadlines", 1, 3, SHARE_SHARED_WRITE, 1, true, true, false, true}, false},
    {{"two exclusive shares, 3 hosts, one lane, writers, no deadlines", 2, 3, SHARE_EXCLUSIVE, 1, false, true, false,
	 true},
	false},
    {{"shared-write, 3 hosts, one lane, writers, few events", 1, 3, SHARE_SHARED_WRITE, 1, false, true, true, false},
	true},
    {{"shared-write, 3 hosts, one lane, writers, everything", 1, 3, SHARE_SHARED_WRITE, 1, false, true, true, true},
	true},
    {{"shared-read, 3 hosts, no deadlines", 1, 3, SHARE_SHARED_READ, 2, true, true, false, true}, true},
    {{"shared-read, 3 hosts, one lane, everything", 1, 3, SHARE_SHARED_READ, 1, true, true, true, true}, true},
    {{"two exclusive shares, 2 hosts, one lane, writers, everything", 2, 2, SHARE_EXCLUSIVE, 1, false, true, true,
	 true},
	true},
};

struct search {
	const struct setting *setting;
	struct states states;
	uint64_t transitions;
};

/* ---- showing how it came to that ---- */

/* Follows the swaps, so that a host keeps its number from the first move to the last. */
static void
apply_swap(uint8_t host_of[static SHARES_MOST][HOSTS_MOST], const struct swap *swap)
{
	uint8_t was[SHARES_MOST][HOSTS_MOST];

	memcpy(was, host_of, sizeof was);
	for (unsigned i = 0; i < SHARES_MOST; i++)
		for (unsigned j = 0; j < HOSTS_MOST; j++)
			host_of[i][j] = was[i][swap->from[i][j]];
}

static void
print_world(
    const struct search *search, const struct world *world, const uint8_t host_of[static SHARES_MOST][HOSTS_MOST])
{
	uint8_t seat_of[SHARES_MOST][HOSTS_MOST];

	for (unsigned i = 0; i < SHARES_MOST; i++)
		for (uint8_t j = 0; j < HOSTS_MOST; j++)
			seat_of[i][host_of[i][j]] = j;
	world_print(search->setting, world, seat_of);
}

struct path {
	struct move *moves;
	size_t count;
};

static struct path
path_to(const struct search *search, uint32_t number, struct move last)
{
	struct path path = {0};
	size_t at;

	for (uint32_t i = number; i != 0; i = search->states.parent[i])
		path.count++;
	at = path.count++;
	path.moves = calloc(path.count, sizeof *path.moves);
	if (path.moves == NULL)
		abort();
	path.moves[at] = last;
	for (uint32_t i = number; i != 0; i = search->states.parent[i])
		path.moves[--at] = search->states.move[i];
	return path;
}

static void
show_path(const struct search *search, uint32_t number, struct move last)
{
	struct path path = path_to(search, number, last);
	uint8_t host_of[SHARES_MOST][HOSTS_MOST] = {{0, 1, 2}, {0, 1, 2}};
	struct world world;

	world_init(search->setting, &world);
	for (size_t i = 0; i < path.count; i++) {
		struct swap swap = {0};
		struct packed packed;

		printf("%4zu  ", i + 1);
		move_print(path.moves[i], host_of[path.moves[i].share]);
		move_make(search->setting, &world, path.moves[i]);
		if (i + 1 == path.count)
			break;
		world_pack(search->setting, &world, &packed, &swap);
		world_unpack(search->setting, &packed, &world);
		apply_swap(host_of, &swap);
	}
	print_world(search, &world, host_of);
	free(path.moves);
}

/* ---- the search ---- */

static bool
try_move(struct search *search, const struct world *from, uint32_t number, struct move move, uint32_t *to)
{
	struct world world = *from;
	struct packed packed;
	bool new;

	move_make(search->setting, &world, move);
	promises_of_state(search->setting, &world);
	if (world.broken) {
		printf("not ok - %s: %s\n", search->setting->name, world.broken);
		show_path(search, number, move);
		return false;
	}
	world_pack(search->setting, &world, &packed, NULL);
	*to = states_add(&search->states, &packed, number, move, &new);
	return true;
}

static bool
visit(struct search *search, uint32_t number)
{
	struct move moves[MOVES_MOST];
	struct packed packed;
	struct world world;
	unsigned count;
	uint32_t to;

	states_get(&search->states, number, &packed);
	world_unpack(search->setting, &packed, &world);
	count = moves_of(search->setting, &world, moves);
	search->transitions += count;
	for (unsigned i = 0; i < count; i++)
		if (!try_move(search, &world, number, moves[i], &to))
			return false;
	return true;
}

static bool
walk(struct search *search)
{
	struct packed packed;
	struct world world;
	bool new;

	world_init(search->setting, &world);
	world_pack(search->setting, &world, &packed, NULL);
	states_add(&search->states, &packed, 0, (struct move){0}, &new);
	for (uint32_t i = 0; i < search->states.count; i++) {
		if (!visit(search, i))
			return false;
		if (search->states.count > STATES_MOST) {
			printf("not ok - %s: more than %u states\n", search->setting->name, STATES_MOST);
			return false;
		}
	}
	return true;
}

/* ---- nothing is stuck ---- */

#define KIND_MOST 200 /* moves of a kind environment from anywhere to a clear world: some tens */

static void
make_packed_move(const struct setting *setting, struct packed *packed, struct move move)
{
	struct world world;

	world_unpack(setting, packed, &world);
	move_make(setting, &world, move);
	world_pack(setting, &world, packed, NULL);
}

static void
show_stuck(const struct search *search, uint32_t number)
{
	struct packed packed;
	struct world world;

	states_get(&search->states, number, &packed);
	world_unpack(search->setting, &packed, &world);
	printf("not ok - %s: from here nobody gets the share any more, however kind all are\n", search->setting->name);
	show_path(search, number, kind_move(search->setting, &world));
}

/* Follows the kind moves to a clear world, or to a state that is known to get to one; all on the way are known to, then. */
static bool
gets_clear(const struct search *search, uint32_t number, bool *known)
{
	uint32_t path[KIND_MOST], at = number;
	unsigned length = 0;
	struct packed packed;
	struct world world;

	states_get(&search->states, number, &packed);
	for (;;) {
		if (at != STATES_NONE && known[at])
			break;
		world_unpack(search->setting, &packed, &world);
		if (world_is_clear(search->setting, &world))
			break;
		if (length == KIND_MOST)
			return false;
		path[length++] = at;
		make_packed_move(search->setting, &packed, kind_move(search->setting, &world));
		at = states_find(&search->states, &packed);
	}
	for (unsigned i = 0; i < length; i++)
		if (path[i] != STATES_NONE)
			known[path[i]] = true;
	return true;
}

static bool
nothing_is_stuck(const struct search *search)
{
	bool *known = calloc(search->states.count, sizeof *known);
	bool good = true;

	if (known == NULL)
		abort();
	for (uint32_t i = 0; i < search->states.count && good; i++) {
		good = gets_clear(search, i, known);
		if (!good)
			show_stuck(search, i);
	}
	free(known);
	return good;
}

/* ---- all settings ---- */

static unsigned
depth_of(const struct search *search)
{
	unsigned depth = 0;

	for (uint32_t i = search->states.count - 1; i != 0; i = search->states.parent[i])
		depth++;
	return depth;
}

static double
seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static bool
check(const struct setting *setting)
{
	struct search search = {.setting = setting};
	double begun = seconds();
	bool good;

	states_init(&search.states, words_of(setting));
	good = walk(&search) && nothing_is_stuck(&search);
	if (good)
		printf("ok - %s: all %u states, %llu transitions, at most %u moves deep, %.1f s of a core\n",
		    setting->name, search.states.count, (unsigned long long)search.transitions, depth_of(&search),
		    seconds() - begun);
	fflush(stdout);
	states_clear(&search.states);
	return good;
}

int
main(int argc, char **argv)
{
	const char *only = "";
	bool full = false, good = true;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--full") == 0) {
			full = true;
		} else if (strcmp(argv[i], "--only") == 0 && i + 1 < argc) {
			only = argv[++i];
		} else {
			fprintf(stderr, "usage: check [--full] [--only WORD]\n");
			return 2;
		}
	}
	for (size_t i = 0; i < sizeof settings / sizeof settings[0] && good; i++)
		if (strstr(settings[i].setting.name, only) && (full || !settings[i].full))
			good = check(&settings[i].setting);
	return !good;
}
