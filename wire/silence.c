/* SPDX-License-Identifier: Apache-2.0
 *
 * Silence on a lane (wire/silence.h). Pure.
 */
#include "wire/silence.h"

#define NS_PER_MS UINT64_C(1000000)

const struct silence_row silence_rows[SILENCE_TIMERS] = {
#define TIMER(upper, lower, formula, meaning) [SILENCE_##upper] = {#lower, #formula, meaning},
#include "wire/silence.def"
#undef TIMER
};

uint64_t
silence_ms(enum silence_timer timer, uint32_t lease_ttl_ms)
{
	const uint64_t lease_ttl = lease_ttl_ms;

	switch (timer) {
#define TIMER(upper, lower, formula, meaning) \
	case SILENCE_##upper:                 \
		return (formula);
#include "wire/silence.def"
#undef TIMER
	case SILENCE_TIMERS:
		break;
	}
	return 0;
}

void
silence_begin(struct silence *silence, uint32_t lease_ttl_ms, enum silence_timer gives_up, uint64_t now_ns)
{
	*silence = (struct silence){
	    .heard_ns = now_ns,
	    .spoke_ns = now_ns,
	    .ping_ns = silence_ms(SILENCE_PING, lease_ttl_ms) * NS_PER_MS,
	    .lost_ns = silence_ms(gives_up, lease_ttl_ms) * NS_PER_MS,
	};
}

/* Time from `since` to now that is missing to `bound`; 0: it is reached. A `since` in the future is now. */
static uint64_t
missing(uint64_t since_ns, uint64_t now_ns, uint64_t bound_ns)
{
	uint64_t passed = now_ns > since_ns ? now_ns - since_ns : 0;

	return passed < bound_ns ? bound_ns - passed : 0;
}

enum silence_due
silence_due(const struct silence *silence, uint64_t now_ns)
{
	if (missing(silence->heard_ns, now_ns, silence->lost_ns) == 0)
		return SILENCE_IS_LOST;
	return missing(silence->spoke_ns, now_ns, silence->ping_ns) == 0 ? SILENCE_PING_DUE : SILENCE_NOTHING_DUE;
}

uint64_t
silence_wait_ns(const struct silence *silence, uint64_t now_ns)
{
	uint64_t lost = missing(silence->heard_ns, now_ns, silence->lost_ns);
	uint64_t ping = missing(silence->spoke_ns, now_ns, silence->ping_ns);

	return lost < ping ? lost : ping;
}
