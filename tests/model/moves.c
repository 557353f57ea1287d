/* SPDX-License-Identifier: Apache-2.0
 *
 * The moves of the world (tests/model/world.h): which there are, what each does, and how a person reads it.
 */
#include "tests/model/world.h"

#include <stdio.h>
#include <string.h>

/* ---- which there are ---- */

struct list {
	struct move *moves;
	unsigned count;
	uint8_t share, seat;
};

static void
add(struct list *list, enum move_kind kind, unsigned argument)
{
	list->moves[list->count++] = (struct move){(uint8_t)kind, list->share, list->seat, (uint8_t)argument};
}

static void
add_coming(const struct setting *setting, const struct share_world *share, struct list *list)
{
	for (unsigned alive = 0; alive <= setting->deadlines; alive++)
		for (unsigned write = !setting->readers; write <= setting->writers; write++) {
			add(list, MOVE_ASK, write + 2 * alive);
			for (unsigned source = 0; source < setting->hosts; source++)
				if (source != list->seat && share->seat[source].core.phase != LEASE_NONE)
					add(list, MOVE_STAND_BY, source + 4 * write + 8 * alive);
		}
}

static void
add_host(const struct setting *setting, const struct seat *seat, struct list *list)
{
	for (unsigned lane = 0; lane < setting->lanes_most; lane++)
		if (seat->processes >> lane & 1)
			add(list, MOVE_GONE, lane);
	add(list, MOVE_END, 0);
	add(list, MOVE_YIELD, 1);
	add(list, MOVE_CLAIM, 0);
	if (!setting->all_events)
		return;
	add(list, MOVE_RESUME, 0);
	for (unsigned epoch = 0; epoch < 3; epoch++)
		add(list, MOVE_JOIN, epoch);
	for (unsigned ticks = 1; ticks <= 2; ticks++)
		add(list, MOVE_RELEASE, ticks);
	if (!setting->deadlines)
		return;
	add(list, MOVE_TIME, 0);
	add(list, MOVE_HEARD, 0);
	add(list, MOVE_HEARD, 1);
}

/* The database is asked by one broker, which hears its answer before it asks again. */
static bool
answer_is_unheard(const struct setting *setting, const struct world *world)
{
	for (unsigned i = 0; i < setting->shares; i++)
		for (unsigned j = 0; j < setting->hosts; j++)
			if (world->share[i].seat[j].answer != ANSWER_OPEN)
				return true;
	return false;
}

static void
add_machine(const struct setting *setting, const struct seat *seat, bool busy, struct list *list)
{
	if (seat->order != ORDER_NONE && seat->answer != ANSWER_OPEN)
		add(list, MOVE_LEARN, 0);
	if (seat->order != ORDER_NONE && !busy) {
		add(list, MOVE_ANSWER, ANSWER_DONE);
		add(list, MOVE_ANSWER, ANSWER_FAILED);
		if (seat->order != ORDER_END && setting->all_events)
			add(list, MOVE_ANSWER, ANSWER_LIE);
	}
	if (seat->retry)
		add(list, MOVE_RETRY, 0);
	if (seat->fence != FENCE_NONE)
		add(list, seat->fence == FENCE_ORDERED ? MOVE_FENCE : MOVE_FENCED, 0);
}

static void
add_down(const struct setting *setting, const struct world *world, struct list *list)
{
	for (list->share = 0; list->share < setting->shares; list->share++)
		for (list->seat = 0; list->seat < setting->hosts; list->seat++)
			if (world->share[list->share].seat[list->seat].row)
				add(list, MOVE_RECONCILE, 0);
	list->share = list->seat = 0;
	if (list->count == 0)
		add(list, MOVE_START, 0);
}

unsigned
moves_of(const struct setting *setting, const struct world *world, struct move moves[static MOVES_MOST])
{
	struct list list = {.moves = moves};
	bool busy = answer_is_unheard(setting, world);

	if (world->down) {
		add_down(setting, world, &list);
		return list.count;
	}
	add(&list, MOVE_CRASH, 0);
	if (setting->deadlines)
		add(&list, MOVE_TICK, 0);
	for (list.share = 0; list.share < setting->shares; list.share++)
		for (list.seat = 0; list.seat < setting->hosts; list.seat++) {
			const struct seat *seat = &world->share[list.share].seat[list.seat];

			if (seat->core.phase == LEASE_NONE)
				add_coming(setting, &world->share[list.share], &list);
			else
				add_host(setting, seat, &list);
			add_machine(setting, seat, busy, &list);
		}
	return list.count;
}

/* ---- what a kind environment does: the first of these that can be done ---- */

static bool
kind_moves(const struct seat *seat, unsigned rank, struct list *list)
{
	const struct lease_core *core = &seat->core;

	switch (rank) {
	case 0:
		if (seat->answer != ANSWER_OPEN)
			add(list, MOVE_LEARN, 0);
		break;
	case 1:
		if (seat->order != ORDER_NONE)
			add(list, MOVE_ANSWER, ANSWER_DONE);
		else if (seat->retry)
			add(list, MOVE_RETRY, 0);
		break;
	case 2:
		if (seat->fence != FENCE_NONE)
			add(list, seat->fence == FENCE_ORDERED ? MOVE_FENCE : MOVE_FENCED, 0);
		break;
	case 3:
		if (lease_due_ms(core) <= NOW_MS)
			add(list, MOVE_TIME, 0);
		break;
	case 4:
		if (seat->processes && core->phase != LEASE_NONE)
			add(list, MOVE_GONE, (unsigned)__builtin_ctz(seat->processes));
		break;
	}
	return list->count > 0;
}

struct move
kind_move(const struct setting *setting, const struct world *world)
{
	struct move moves[MOVES_MOST] = {{.kind = MOVE_TICK}};
	struct list list = {.moves = moves};

	if (world->down) {
		add_down(setting, world, &list);
		return moves[0];
	}
	for (unsigned rank = 0; rank < 5; rank++)
		for (list.share = 0; list.share < setting->shares; list.share++)
			for (list.seat = 0; list.seat < setting->hosts; list.seat++)
				if (kind_moves(&world->share[list.share].seat[list.seat], rank, &list))
					return moves[0];
	return moves[0];
}

/* ---- what each does ---- */

static struct lease_event
event_of(const struct setting *setting, const struct world *world, struct move move)
{
	const struct lease_core *core = &world->share[move.share].seat[move.seat].core;
	uint32_t ticks = move.argument;
	struct lease_event event = {.until_ms = NOW_MS + ticks * TICK_MS};

	switch ((enum move_kind)move.kind) {
	case MOVE_ASK:
		return (struct lease_event){.kind = LE_ASK,
		    .write = ticks & 1,
		    .ttl_ms = ticks & 2 ? TICK_MS : 0,
		    .lanes_most = setting->lanes_most};
	case MOVE_STAND_BY:
		return (struct lease_event){.kind = LE_STAND_BY,
		    .write = ticks & 4,
		    .ttl_ms = ticks & 8 ? TICK_MS : 0,
		    .lanes_most = setting->lanes_most};
	case MOVE_JOIN:
		return (struct lease_event){
		    .kind = LE_JOIN, .epoch = core->epoch + (ticks == 2 ? 1 : 0) - (ticks == 1 ? 1 : 0)};
	case MOVE_GONE:
		return (struct lease_event){.kind = LE_LANE_GONE, .lane = move.argument};
	case MOVE_HEARD:
		return (struct lease_event){.kind = LE_HEARD, .now_ms = NOW_MS - ticks * TICK_MS};
	case MOVE_END:
		return (struct lease_event){.kind = LE_END, .reason = REASON_REVOKED, .courtesy_ms = 1000};
	case MOVE_RELEASE:
		event.kind = LE_RELEASE;
		event.reason = REASON_STOLEN;
		return event;
	case MOVE_YIELD:
		event.kind = LE_YIELD;
		return event;
	case MOVE_TIME:
		return (struct lease_event){.kind = LE_TIME};
	case MOVE_RESUME:
		return (struct lease_event){.kind = LE_RESUME};
	case MOVE_CLAIM:
		return (struct lease_event){.kind = LE_CLAIM};
	case MOVE_RETRY:
		return (struct lease_event){.kind = LE_RETRY};
	default:
		return (struct lease_event){.kind = LE_FENCED};
	}
}

static struct lease_event
event_of_answer(const struct share_world *share, const struct seat *seat)
{
	const struct seat *stored =
	    seat->order == ORDER_MOVE && seat->partner != NOBODY ? &share->seat[seat->partner] : seat;
	bool failed = seat->answer == ANSWER_FAILED;

	if (seat->order == ORDER_END)
		return (struct lease_event){.kind = failed ? LE_END_NOT_STORED : LE_END_STORED};
	if (failed)
		return (struct lease_event){.kind = LE_NOT_STORED, .reason = REASON_STATE_UNAVAILABLE};
	return (struct lease_event){
	    .kind = LE_STORED, .epoch = seat->answer == ANSWER_LIE ? share->core.epoch : stored->row};
}

static void
learn(struct world *world, struct move move)
{
	struct share_world *share = &world->share[move.share];
	struct seat *seat = &share->seat[move.seat];
	struct lease_event event = event_of_answer(share, seat);

	seat->order = ORDER_NONE;
	seat->answer = ANSWER_OPEN;
	hands_tell(world, move.share, move.seat, event);
}

static void
tick(struct world *world)
{
	for (unsigned i = 0; i < SHARES_MOST; i++)
		for (unsigned j = 0; j < HOSTS_MOST; j++) {
			struct lease_core *core = &world->share[i].seat[j].core;

			if (core->phase == LEASE_NONE)
				continue;
			if (core->heard_ms > NOW_MS - AGE_MOST * TICK_MS)
				core->heard_ms -= TICK_MS;
			if (core->late_ms != LEASE_NEVER && core->late_ms > NOW_MS)
				core->late_ms -= TICK_MS;
		}
}

static void
start(struct world *world)
{
	world->down = false;
	for (unsigned i = 0; i < SHARES_MOST; i++)
		world->share[i].core.epoch = world->share[i].disk_epoch;
}

void
move_make(const struct setting *setting, struct world *world, struct move move)
{
	struct share_world *share = &world->share[move.share];
	struct seat *seat = &share->seat[move.seat];

	switch ((enum move_kind)move.kind) {
	case MOVE_ANSWER:
		database_answer(world, share, seat, (enum answer)move.argument);
		return;
	case MOVE_LEARN:
		learn(world, move);
		return;
	case MOVE_FENCE:
		seat->fence = FENCE_DONE;
		seat->device = seat->drained = false;
		return;
	case MOVE_RECONCILE:
		seat->row = 0;
		return;
	case MOVE_TICK:
		tick(world);
		return;
	case MOVE_CRASH:
		hands_crash(world);
		return;
	case MOVE_START:
		start(world);
		return;
	case MOVE_STAND_BY:
		seat->partner = move.argument & 3;
		break;
	case MOVE_GONE:
		seat->processes &= (uint8_t) ~(1U << move.argument);
		break;
	case MOVE_RETRY:
		seat->retry = false;
		break;
	case MOVE_FENCED:
		seat->fence = FENCE_NONE;
		break;
	default:
		break;
	}
	hands_tell(world, move.share, move.seat, event_of(setting, world, move));
}

void
world_init(const struct setting *setting, struct world *world)
{
	*world = (struct world){0};
	for (unsigned i = 0; i < SHARES_MOST; i++) {
		world->share[i].core.mode = setting->mode;
		for (unsigned j = 0; j < HOSTS_MOST; j++)
			world->share[i].seat[j].partner = NOBODY;
	}
}

/* ---- how it reads ---- */

static const char *const sentences[] = {
    [MOVE_ASK] = "asks for the share",
    [MOVE_STAND_BY] = "asks to stand by for a source",
    [MOVE_JOIN] = "a further lane joins",
    [MOVE_GONE] = "a lane is lost",
    [MOVE_HEARD] = "a sign of life",
    [MOVE_TIME] = "the timer fires",
    [MOVE_RELEASE] = "is asked to release it",
    [MOVE_END] = "its end is ordered (revoke, steal, policy)",
    [MOVE_YIELD] = "yields",
    [MOVE_RESUME] = "takes its yield back",
    [MOVE_CLAIM] = "claims its source's place",
    [MOVE_ANSWER] = "the database works on its order",
    [MOVE_LEARN] = "the broker hears of the database",
    [MOVE_RETRY] = "its end is tried again",
    [MOVE_FENCE] = "the monitor completes its fence",
    [MOVE_FENCED] = "the broker hears that it is fenced",
    [MOVE_RECONCILE] = "its row of the last run ends as orphaned",
    [MOVE_TICK] = "time passes",
    [MOVE_CRASH] = "the broker crashes, all processes die",
    [MOVE_START] = "the broker starts",
};

static const char *
detail(struct move move)
{
	static const char *const answers[] = {"", ": stored", ": fails", ": stored, but says an old epoch"};
	static const char *const joins[] = {"", ", with an older epoch", ", with a newer epoch"};
	static const char *const asks[] = {", ro", ", rw", ", ro, with a time to live", ", rw, with a time to live"};

	switch ((enum move_kind)move.kind) {
	case MOVE_ANSWER:
		return answers[move.argument];
	case MOVE_JOIN:
		return joins[move.argument];
	case MOVE_ASK:
		return asks[move.argument];
	case MOVE_STAND_BY:
		return asks[move.argument >> 2];
	case MOVE_GONE:
		return move.argument ? ", a further one" : ", lane 0";
	case MOVE_HEARD:
		return move.argument ? ", of a while ago" : "";
	default:
		return "";
	}
}

void
move_print(struct move move, const uint8_t host_of[static HOSTS_MOST])
{
	if (move.kind >= MOVE_TICK)
		printf("%s\n", sentences[move.kind]);
	else if (move.kind == MOVE_STAND_BY)
		printf("share %d, host %d: %s, host %d%s\n", move.share + 1, host_of[move.seat] + 1,
		    sentences[move.kind], host_of[move.argument & 3] + 1, detail(move));
	else if (move.kind == MOVE_RELEASE || move.kind == MOVE_YIELD)
		printf("share %d, host %d: %s, for %d ticks\n", move.share + 1, host_of[move.seat] + 1,
		    sentences[move.kind], move.argument);
	else
		printf("share %d, host %d: %s%s\n", move.share + 1, host_of[move.seat] + 1, sentences[move.kind],
		    detail(move));
}

static void
print_seat(const struct seat *seat, unsigned host)
{
	const struct lease_core *core = &seat->core;

	if (core->phase == LEASE_NONE && seat->row == 0)
		return;
	printf("      host %u: %s %s", host + 1, core->write ? "rw" : "ro", lease_phase_name(core->phase));
	printf(", epoch %llu, row %llu, lanes %x%s%s", (unsigned long long)core->epoch, (unsigned long long)seat->row,
	    core->lanes, seat->device ? ", device open" : "", core->leaving ? ", leaving" : "");
	printf("%s\n", core->reason ? ", to end" : "");
}

void
world_print(const struct setting *setting, const struct world *world, const uint8_t seat_of[SHARES_MOST][HOSTS_MOST])
{
	for (unsigned i = 0; i < setting->shares; i++) {
		printf("    share %u: epoch %llu, on disk %llu, %u readers, %u writers%s\n", i + 1,
		    (unsigned long long)world->share[i].core.epoch, (unsigned long long)world->share[i].disk_epoch,
		    world->share[i].core.readers, world->share[i].core.writers, world->down ? ", down" : "");
		for (unsigned j = 0; j < setting->hosts; j++)
			print_seat(&world->share[i].seat[seat_of[i][j]], j);
	}
}
