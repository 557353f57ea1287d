/* SPDX-License-Identifier: Apache-2.0
 *
 * Counting and judging sources (daemon/gate_admit.h). Pure.
 */
#include "daemon/gate_admit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/loop.h"
#include "wire/limits.h"

#define WINDOW_NS     (60 * NS_PER_SEC)
#define SHUT_LEAST_NS (1 * NS_PER_SEC)
#define SHUT_MOST_NS  (60 * NS_PER_SEC)

struct source {
	char text[ADDRESS_TEXT_LEN]; /* "" for a free place */
	unsigned silent, unproved;
	unsigned failures; /* since window_ns */
	uint64_t window_ns;
	uint64_t shut_until_ns; /* 0: it is not shut out */
	uint64_t shut_ns;       /* how long it was the last time */
};

struct admit {
	unsigned silent, unproved;
	struct source sources[ADMIT_SOURCES_MAX];
};

struct admit *
admit_new(void)
{
	return calloc(1, sizeof(struct admit));
}

void
admit_free(struct admit *admit)
{
	free(admit);
}

static struct source *
find(struct admit *admit, const char *text)
{
	for (size_t i = 0; i < ADMIT_SOURCES_MAX; i++)
		if (admit->sources[i].text[0] && strcmp(admit->sources[i].text, text) == 0)
			return &admit->sources[i];
	return NULL;
}

/* The place whose loss costs least: a free one, or that of the source whose last failure is longest ago. None with connections is ever given away. */
static struct source *
find_place(struct admit *admit)
{
	struct source *best = NULL;

	for (size_t i = 0; i < ADMIT_SOURCES_MAX; i++) {
		struct source *source = &admit->sources[i];

		if (source->text[0] == '\0')
			return source;
		if (source->silent == 0 && source->unproved == 0 &&
		    (best == NULL || source->window_ns < best->window_ns))
			best = source;
	}
	return best;
}

static struct source *
find_or_make(struct admit *admit, const char *text)
{
	struct source *source = find(admit, text);

	if (source)
		return source;
	source = find_place(admit);
	if (source == NULL)
		return NULL;
	*source = (struct source){0};
	snprintf(source->text, sizeof source->text, "%s", text);
	return source;
}

enum admit_verdict
admit_arrive(struct admit *admit, const char *text, uint64_t now_ns)
{
	struct source *source = find_or_make(admit, text);

	if (source == NULL)
		return ADMIT_FULL;
	if (source->shut_until_ns > now_ns)
		return ADMIT_SHUT_OUT;
	if (source->silent >= LIMIT_PENDING_SOURCE)
		return ADMIT_SOURCE_FULL;
	if (admit->silent >= LIMIT_PENDING)
		return ADMIT_FULL;
	source->silent++;
	admit->silent++;
	return ADMIT_IN;
}

void
admit_leave(struct admit *admit, const char *text)
{
	struct source *source = find(admit, text);

	if (source == NULL || source->silent == 0)
		return;
	source->silent--;
	admit->silent--;
}

bool
admit_pass(struct admit *admit, const char *text)
{
	struct source *source = find(admit, text);

	if (source == NULL || source->silent == 0 || source->unproved >= LIMIT_UNPROVED_SOURCE ||
	    admit->unproved >= LIMIT_UNPROVED)
		return false;
	source->silent--;
	admit->silent--;
	source->unproved++;
	admit->unproved++;
	return true;
}

static void
count_failure(struct source *source, uint64_t now_ns)
{
	if (now_ns - source->window_ns >= WINDOW_NS) {
		source->window_ns = now_ns;
		source->failures = 0;
	}
	if (++source->failures <= ADMIT_FAILURES_MAX)
		return;
	source->shut_ns = source->shut_ns == 0 ? SHUT_LEAST_NS : source->shut_ns * 2;
	if (source->shut_ns > SHUT_MOST_NS)
		source->shut_ns = SHUT_MOST_NS;
	source->shut_until_ns = now_ns + source->shut_ns;
}

void
admit_settle(struct admit *admit, const char *text, bool proved, uint64_t now_ns)
{
	struct source *source = find(admit, text);

	if (source == NULL || source->unproved == 0)
		return;
	source->unproved--;
	admit->unproved--;
	if (!proved) {
		count_failure(source, now_ns);
		return;
	}
	source->failures = 0;
	source->shut_until_ns = 0;
	source->shut_ns = 0;
}
