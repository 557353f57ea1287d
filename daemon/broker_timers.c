/* SPDX-License-Identifier: Apache-2.0
 *
 * lease show --timers: every time-out of a lease with how it comes about, from the tables that are compiled.
 */
#include <stdio.h>

#include "base/auto.h"
#include "daemon/broker.h"
#include "daemon/timers.h"
#include "wire/silence.h"

static void
tell(struct client *client, const char *name, uint64_t value_ms, const char *formula, const char *bounds)
{
	struct msg_row_timer row = {.value_ms = value_ms};

	snprintf(row.name, sizeof row.name, "%s", name);
	snprintf(row.formula, sizeof row.formula, "%s%s%s", formula, formula[0] ? ": " : "", bounds);
	client_row(client, ADMIN_ROW_TIMER, &row);
}

void
lease_tell_timers(struct client *client)
{
	static const struct {
		const char *name;
		uint64_t value_ms;
		const char *bounds;
	} fixed[] = {
#define TIMER(upper, name, value, bounds) {name, value, bounds},
#include "daemon/timers.def"
#undef TIMER
	};
	uint32_t ttl_ms = client->broker->config->lease_ttl_ms;

	tell(client, "lease_ttl", ttl_ms, "lease_ttl in netbusd.yaml", "how long a lease lives without a sign of life");
	for (unsigned i = 0; i < SILENCE_TIMERS; i++)
		tell(client, silence_rows[i].name, silence_ms((enum silence_timer)i, ttl_ms), silence_rows[i].formula,
		    silence_rows[i].meaning);
	for (size_t i = 0; i < ARRAY_LENGTH(fixed); i++)
		tell(client, fixed[i].name, fixed[i].value_ms, "", fixed[i].bounds);
}
