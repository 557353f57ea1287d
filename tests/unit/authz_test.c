/* SPDX-License-Identifier: Apache-2.0
 *
 * The decision as a table: each fact that is bad by itself refuses with its own reason, and nothing but all good facts allows.
 */
#include "tests/unit/test.h"

#include <string.h>

#include "authz/authz.h"
#include "base/auto.h"

static const struct policy_verdict allows = {
    .outcome = POLICY_ALLOWED, .rule = "r1", .file = "10-a.yaml", .line = 7, .generation = 3, .max_ttl_us = 5};

/* Each row below overrides one of the good facts: that is how the table is read. */
#pragma GCC diagnostic ignored "-Woverride-init"
#define GOOD \
	.proved = true, .share_known = true, .share_enabled = true, .audit_ok = true, .state_ok = true, .mode = MODE_RW

static const struct {
	const char *what;
	struct authz_facts facts;
	enum reason reason;
} cases[] = {
    {"all good", {GOOD}, REASON_ALLOWED},
    {"not proved", {GOOD, .proved = false}, REASON_NOT_PROVED},
    {"host denied", {GOOD, .host_denied = true}, REASON_HOST_DENIED},
    {"no trail", {GOOD, .audit_ok = false}, REASON_AUDIT_UNAVAILABLE},
    {"no state", {GOOD, .state_ok = false}, REASON_STATE_UNAVAILABLE},
    {"unknown share", {GOOD, .share_known = false}, REASON_SHARE_UNKNOWN},
    {"disabled share", {GOOD, .share_enabled = false}, REASON_SHARE_DISABLED},
    {"rw of a ro share", {GOOD, .share_read_only = true}, REASON_SHARE_READ_ONLY},
    {"ro of a ro share", {GOOD, .share_read_only = true, .mode = MODE_RO}, REASON_ALLOWED},
    {"barred", {GOOD, .barred = true}, REASON_BARRED},
    {"barred, and busy: who may not come back hears nothing of holders", {GOOD, .barred = true, .live_writers = 1},
	REASON_BARRED},
    {"barred, of a disabled share", {GOOD, .barred = true, .share_enabled = false}, REASON_SHARE_DISABLED},
    {"exclusive, held by a writer", {GOOD, .live_writers = 1}, REASON_SHARE_BUSY},
    {"exclusive, held by a reader", {GOOD, .live_readers = 1}, REASON_SHARE_BUSY},
    {"exclusive, ro, held by a reader", {GOOD, .mode = MODE_RO, .live_readers = 1}, REASON_SHARE_BUSY},
    {"shared-read, ro beside readers", {GOOD, .share_mode = SHARE_SHARED_READ, .mode = MODE_RO, .live_readers = 9},
	REASON_ALLOWED},
    {"shared-read, rw beside readers", {GOOD, .share_mode = SHARE_SHARED_READ, .live_readers = 1}, REASON_BUSY_BY_RO},
    {"shared-read, ro beside a writer", {GOOD, .share_mode = SHARE_SHARED_READ, .mode = MODE_RO, .live_writers = 1},
	REASON_SHARE_BUSY},
    {"shared-read, rw alone", {GOOD, .share_mode = SHARE_SHARED_READ}, REASON_ALLOWED},
    {"shared-write, all together", {GOOD, .share_mode = SHARE_SHARED_WRITE, .live_writers = 3, .live_readers = 3},
	REASON_ALLOWED},
    {"quota reached", {GOOD, .live_leases = 4, .lease_limit = 4}, REASON_LIMIT_REACHED},
    {"below quota", {GOOD, .live_leases = 3, .lease_limit = 4}, REASON_ALLOWED},
    {"attaches too often", {GOOD, .attach_rate_spent = true}, REASON_ATTACH_RATE},
    {"quota first", {GOOD, .live_leases = 4, .lease_limit = 4, .attach_rate_spent = true}, REASON_LIMIT_REACHED},
    {"busy first", {GOOD, .live_writers = 1, .attach_rate_spent = true}, REASON_SHARE_BUSY},
};

static void
each_bad_fact_has_its_reason(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct verdict verdict;

		authz_decide(&allows, &cases[i].facts, &verdict);
		if (verdict.reason != cases[i].reason || verdict.allowed != (cases[i].reason == REASON_ALLOWED))
			fail_msg("%s: %s", cases[i].what, reason_name((uint16_t)verdict.reason));
	}
}

static void
policy_refuses_whatever_the_facts(void **state)
{
	static const struct {
		struct policy_verdict policy;
		enum reason reason;
	} verdicts[] = {
	    {{.outcome = POLICY_NO_RULE}, REASON_NO_RULE},
	    {{.outcome = POLICY_RULE_DENIES, .rule = "d"}, REASON_RULE_DENIES},
	    {{.outcome = POLICY_UNMET, .unmet = DEMAND_GRANT}, REASON_GRANT_MISSING},
	    {{.outcome = POLICY_UNMET, .unmet = DEMAND_TICKET}, REASON_TICKET_MISSING},
	    {{.outcome = POLICY_UNMET, .unmet = DEMAND_GRANT | DEMAND_TICKET}, REASON_GRANT_MISSING},
	    {{.outcome = (enum policy_outcome)99}, REASON_NO_RULE},
	};
	const struct authz_facts good = {GOOD};

	(void)state;
	for (size_t i = 0; i < sizeof verdicts / sizeof verdicts[0]; i++) {
		struct verdict verdict;

		authz_decide(&verdicts[i].policy, &good, &verdict);
		assert_false(verdict.allowed);
		assert_int_equal(verdict.reason, verdicts[i].reason);
	}
}

/* What was wrong with the ticket is said where a ticket is all that is missing, and decides nothing anywhere else. */
static void
a_ticket_that_does_not_hold_has_its_own_reason(void **state)
{
	static const struct {
		struct policy_verdict policy;
		enum reason fault, reason;
	} rows[] = {
	    {{.outcome = POLICY_UNMET, .unmet = DEMAND_TICKET}, REASON_TICKET_EXPIRED, REASON_TICKET_EXPIRED},
	    {{.outcome = POLICY_UNMET, .unmet = DEMAND_TICKET}, 0, REASON_TICKET_MISSING},
	    {{.outcome = POLICY_UNMET, .unmet = DEMAND_TICKET}, REASON_ALLOWED, REASON_TICKET_MISSING},
	    {{.outcome = POLICY_UNMET, .unmet = DEMAND_GRANT | DEMAND_TICKET}, REASON_TICKET_EDITED,
		REASON_GRANT_MISSING},
	    {{.outcome = POLICY_NO_RULE}, REASON_TICKET_EDITED, REASON_NO_RULE},
	    {{.outcome = POLICY_RULE_DENIES}, REASON_TICKET_EDITED, REASON_RULE_DENIES},
	    {{.outcome = POLICY_ALLOWED}, REASON_TICKET_EDITED, REASON_ALLOWED},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const struct authz_facts facts = {GOOD, .ticket_fault = rows[i].fault};
		struct verdict verdict;

		authz_decide(&rows[i].policy, &facts, &verdict);
		assert_int_equal(verdict.reason, rows[i].reason);
		assert_int_equal(verdict.allowed, rows[i].reason == REASON_ALLOWED);
	}
	/* A peer hears one thing, whatever was wrong. */
	for (uint16_t reason = REASON_TICKET_NOT_YET; reason <= REASON_TICKET_MALFORMED; reason++)
		assert_int_equal(reason_on_wire(reason), reason_on_wire(REASON_TICKET_MISSING));
}

/* Somebody whom policy does not let near a share must not learn whether it exists, is busy or disabled. */
static void
strangers_learn_nothing_about_shares(void **state)
{
	const struct policy_verdict denies = {.outcome = POLICY_NO_RULE};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct verdict verdict;

		if (!cases[i].facts.proved || cases[i].facts.host_denied || !cases[i].facts.audit_ok ||
		    !cases[i].facts.state_ok)
			continue;
		authz_decide(&denies, &cases[i].facts, &verdict);
		assert_int_equal(verdict.reason, REASON_NO_RULE);
	}
	assert_int_equal(reason_on_wire(REASON_NO_RULE), reason_on_wire(REASON_SHARE_UNKNOWN));
	assert_int_equal(reason_on_wire(REASON_NO_RULE), reason_on_wire(REASON_HOST_DENIED));
	assert_int_equal(reason_on_wire(REASON_NO_RULE), reason_on_wire(REASON_GRANT_MISSING));
	/* Who was revoked was told so then, and hears the same now. */
	assert_int_equal(reason_on_wire(REASON_BARRED), REASON_REVOKED);
}

static void
names_the_rule_that_decided(void **state)
{
	const struct authz_facts good = {GOOD};
	struct verdict verdict;

	(void)state;
	authz_decide(&allows, &good, &verdict);
	assert_string_equal(verdict.rule, "r1");
	assert_string_equal(verdict.rule_file, "10-a.yaml");
	assert_int_equal(verdict.rule_line, 7);
	assert_int_equal(verdict.generation, 3);
	assert_int_equal(verdict.max_ttl_us, 5);
}

/* Numbers and names are used on the wire, in trails and in scripts. */
/* Each reason of the table, so that a new one has to be thought about. */
static void
a_guest_waits_only_for_what_heals_by_itself(void **state)
{
	static const uint16_t healing[] = {17, 18, 22, 26, 29, 31, 32, 35, 36, 37};
	static const uint16_t not_healing[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 19, 20, 21, 23,
	    24, 25, 27, 28, 30, 33, 34, 38, 39, 40, 45, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60};
	size_t known = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(healing); i++)
		if (!reason_heals(healing[i]))
			fail_msg("%s does not heal", reason_name(healing[i]));
	for (size_t i = 0; i < ARRAY_LENGTH(not_healing); i++)
		if (reason_heals(not_healing[i]))
			fail_msg("%s heals", reason_name(not_healing[i]));
	for (unsigned number = 0; number < 1000; number++)
		known += strcmp(reason_name((uint16_t)number), "unknown") != 0;
	assert_int_equal(known, ARRAY_LENGTH(healing) + ARRAY_LENGTH(not_healing));
	assert_false(reason_heals(0));
	assert_false(reason_heals(9999));
	/* What heals does so by each name that a peer has for it. */
	for (size_t i = 0; i < ARRAY_LENGTH(healing); i++)
		assert_true(reason_heals(reason_on_wire(healing[i])));
}

static void
reasons_are_unique_and_found_by_name(void **state)
{
	static const struct {
		uint16_t number;
		const char *name;
	} rows[] = {
#define REASON(number, symbol, name, wire, sentence) {(number), (name)},
#include "authz/reason.def"
#undef REASON
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		assert_int_equal(reason_find(rows[i].name), rows[i].number);
		assert_string_equal(reason_name(rows[i].number), rows[i].name);
		/* What a peer is told is itself something that a peer may be told. */
		assert_int_equal(reason_on_wire(reason_on_wire(rows[i].number)), reason_on_wire(rows[i].number));
		for (size_t j = 0; j < i; j++)
			assert_int_not_equal(rows[i].number, rows[j].number);
	}
	assert_int_equal(reason_find("no such reason"), 0);
	assert_string_equal(reason_name(9999), "unknown");
	assert_int_equal(reason_on_wire(9999), REASON_REFUSED);
	/* backend/remote*.c, which may not include the table, has these as numbers of its own. */
	assert_int_equal(REASON_DETACHED, 21);
	assert_int_equal(REASON_SESSION_LOST, 22);
	assert_int_equal(REASON_PROTOCOL_ERROR, 23);
	assert_int_equal(REASON_TIMED_OUT, 35);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(each_bad_fact_has_its_reason),
	    cmocka_unit_test(policy_refuses_whatever_the_facts),
	    cmocka_unit_test(a_ticket_that_does_not_hold_has_its_own_reason),
	    cmocka_unit_test(strangers_learn_nothing_about_shares),
	    cmocka_unit_test(names_the_rule_that_decided),
	    cmocka_unit_test(reasons_are_unique_and_found_by_name),
	    cmocka_unit_test(a_guest_waits_only_for_what_heals_by_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
