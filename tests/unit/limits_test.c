/* SPDX-License-Identifier: Apache-2.0
 *
 * The rows of wire/limits.h that something without a process holds: the same number stands in the tables, the gate's counting, and the configuration.
 * Frames are held by frame_test.c, messages by message_test.c; wire/limits.h says where the other rows are broken.
 */
#include "tests/unit/test.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/config.h"
#include "daemon/gate_admit.c"
#include "wire/admin.h"
#include "wire/channel.h"
#include "wire/control.h"
#include "wire/silence.h"

/* ---- the tables ---- */

/* Fields that carry what a row of wire/limits.h bounds: `most` of the field is that number. */
static const struct {
	const char *type, *field;
	uint64_t limit;
} same[] = {
    {"ATTACH", "ticket", LIMIT_TICKET},
    {"ASK_ATTACH", "ticket", LIMIT_TICKET},
    {"ATTACH_ORDER", "ticket", LIMIT_TICKET},
    {"guest_attach", "ticket", LIMIT_TICKET},
    {"ATTACH", "lanes", LIMIT_LANES},
    {"ATTACHED", "lanes", LIMIT_LANES},
    {"ATTACHED", "lane", LIMIT_LANES - 1},
    {"ASK_ATTACH", "lanes", LIMIT_LANES},
    {"GRANTED", "lanes", LIMIT_LANES},
    {"GRANTED", "lane", LIMIT_LANES - 1},
    {"OPEN_FOR", "lane", LIMIT_LANES - 1},
    {"ATTACH_ORDER", "lanes", LIMIT_LANES},
    {"ATTACH_LANES", "lanes", LIMIT_LANES},
    {"LANE_WANT", "lane", LIMIT_LANES - 1},
    {"guest_attach", "lanes", LIMIT_LANES},
    {"ATTACHED", "payload_most", LIMIT_FRAME_PAYLOAD},
    {"ATTACHED", "range_most", LIMIT_RANGE},
    {"ATTACHED", "credits", LIMIT_CREDITS},
    {"ATTACHED", "credit_bytes", LIMIT_CREDIT_BYTES},
    {"RELEASE", "deadline_ms", RELEASE_DEADLINE_MOST_MS},
    {"ASK_RELEASE", "deadline_ms", RELEASE_DEADLINE_MOST_MS},
    {"ATTACHED", "silence_ms", LEASE_TTL_MOST_MS},
    {"GRANTED", "silence_ms", LEASE_TTL_MOST_MS},
    {"CHECK_CHAIN", "chain", LIMIT_CHAIN},
    {"PROVE", "transcript", LIMIT_TRANSCRIPT},
};

static const struct message_type *
row_at(unsigned table, uint16_t number)
{
	const struct channel_row *channel = channel_row(number);
	const struct admin_row *admin = admin_row(number);

	if (table == 0)
		return number <= UINT8_MAX ? control_type((uint8_t)number) : NULL;
	if (table == 1)
		return channel ? &channel->type : NULL;
	return admin ? &admin->type : NULL;
}

static const struct field *
find_field(const char *type_name, const char *field_name)
{
	for (unsigned table = 0; table < 3; table++)
		for (uint16_t number = 0; number < 1024; number++) {
			const struct message_type *type = row_at(table, number);

			for (unsigned i = 0; type && strcmp(type->name, type_name) == 0 && i < type->field_count; i++)
				if (strcmp(type->fields[i].name, field_name) == 0)
					return &type->fields[i];
		}
	return NULL;
}

static void
a_field_has_the_limit_of_what_it_carries(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
		const struct field *field = find_field(same[i].type, same[i].field);

		if (field == NULL || field->most != same[i].limit)
			fail_msg("%s.%s: not %ju", same[i].type, same[i].field, (uintmax_t)same[i].limit);
	}
}

static void
no_row_is_larger_than_its_carrier(void **state)
{
	static const size_t most[] = {LIMIT_CONTROL_PAYLOAD, LIMIT_CHANNEL_MESSAGE - 2, ADMIN_MESSAGE_MAX - 2};
	unsigned rows[3] = {0};

	(void)state;
	for (unsigned table = 0; table < 3; table++)
		for (unsigned number = 0; number <= UINT16_MAX; number++) {
			const struct message_type *type = row_at(table, (uint16_t)number);

			if (type && message_room(type) > most[table])
				fail_msg("%s can have %zu bytes", type->name, message_room(type));
			rows[table] += type != NULL;
		}
	assert_true(rows[0] >= 10 && rows[1] > 40 && rows[2] > 30);
}

/* ---- the gate ---- */

static void
name_source(char text[static ADDRESS_TEXT_LEN], unsigned i)
{
	snprintf(text, ADDRESS_TEXT_LEN, "192.0.2.%u", i);
}

static void
one_source_has_so_many_silent_connections(void **state)
{
	struct admit *admit = admit_new();

	(void)state;
	for (unsigned i = 0; i < LIMIT_PENDING_SOURCE; i++)
		assert_int_equal(admit_arrive(admit, "192.0.2.1", 1), ADMIT_IN);
	assert_int_equal(admit_arrive(admit, "192.0.2.1", 1), ADMIT_SOURCE_FULL);
	assert_int_equal(admit_arrive(admit, "192.0.2.2", 1), ADMIT_IN);
	admit_leave(admit, "192.0.2.1");
	assert_int_equal(admit_arrive(admit, "192.0.2.1", 1), ADMIT_IN);
	admit_free(admit);
}

static void
all_sources_have_so_many_silent_connections(void **state)
{
	struct admit *admit = admit_new();
	char source[ADDRESS_TEXT_LEN];

	(void)state;
	for (unsigned i = 0; i < LIMIT_PENDING; i++) {
		name_source(source, i % 128);
		assert_int_equal(admit_arrive(admit, source, 1), ADMIT_IN);
	}
	assert_int_equal(admit_arrive(admit, "192.0.2.200", 1), ADMIT_FULL);
	admit_leave(admit, "192.0.2.0");
	assert_int_equal(admit_arrive(admit, "192.0.2.200", 1), ADMIT_IN);
	admit_free(admit);
}

static bool
arrive_and_pass(struct admit *admit, const char *source)
{
	assert_int_equal(admit_arrive(admit, source, 1), ADMIT_IN);
	return admit_pass(admit, source);
}

static void
one_source_has_so_many_unproved_sessions(void **state)
{
	struct admit *admit = admit_new();

	(void)state;
	for (unsigned i = 0; i < LIMIT_UNPROVED_SOURCE; i++)
		assert_true(arrive_and_pass(admit, "192.0.2.1"));
	assert_false(arrive_and_pass(admit, "192.0.2.1"));
	assert_true(arrive_and_pass(admit, "192.0.2.2"));
	admit_settle(admit, "192.0.2.1", true, 1);
	assert_true(admit_pass(admit, "192.0.2.1"));
	admit_free(admit);
}

static void
all_sources_have_so_many_unproved_sessions(void **state)
{
	struct admit *admit = admit_new();
	char source[ADDRESS_TEXT_LEN];

	(void)state;
	for (unsigned i = 0; i < LIMIT_UNPROVED; i++) {
		name_source(source, i);
		assert_true(arrive_and_pass(admit, source));
	}
	assert_false(arrive_and_pass(admit, "192.0.2.200"));
	admit_settle(admit, "192.0.2.0", false, 1);
	assert_true(admit_pass(admit, "192.0.2.200"));
	admit_free(admit);
}

/* ---- the configuration ---- */

static bool
takes_shares(unsigned count)
{
	size_t room = 1 << 20, used;
	char *text = malloc(room);
	struct config *config;
	struct faults faults;
	bool refused = false;

	assert_non_null(text);
	used = (size_t)snprintf(text, room, "version: 1\nhost: m1\nshares:\n");
	for (unsigned i = 0; i < count; i++)
		used += (size_t)snprintf(text + used, room - used, "  acme/d%u: {memory: 1MiB}\n", i);
	faults_init(&faults);
	config = config_parse("f", text, used, "/", &faults);
	for (const struct fault *fault = faults.first; fault; fault = fault->next) {
		refused |= strstr(fault->text, "shares; at most") != NULL;
		if (strstr(fault->text, "shares; at most") == NULL)
			fail_msg("%u shares: %s", count, fault->text);
	}
	assert_true((config == NULL) == refused);
	config_free(config);
	faults_clear(&faults);
	free(text);
	return !refused;
}

static void
a_host_has_so_many_shares(void **state)
{
	(void)state;
	assert_true(takes_shares(LIMIT_SHARES));
	assert_false(takes_shares(LIMIT_SHARES + 1));
}

/* Whether the configuration is refused with a fault that says so; NULL: it is taken. */
static bool
is_said(const char *text, const char *fault_text)
{
	struct faults faults;
	struct config *config;
	bool said = fault_text == NULL;

	faults_init(&faults);
	config = config_parse("f", text, strlen(text), "/", &faults);
	for (const struct fault *fault = faults.first; fault; fault = fault->next)
		said |= fault_text != NULL && strstr(fault->text, fault_text) != NULL;
	said &= (config == NULL) == (fault_text != NULL);
	config_free(config);
	faults_clear(&faults);
	return said;
}

static void
a_lane_polls_so_long(void **state)
{
	(void)state;
	assert_true(is_said("version: 1\nhost: m1\npoll_us: 0\n", NULL));
	assert_true(is_said("version: 1\nhost: m1\npoll_us: 1000\n", NULL));
	assert_true(is_said("version: 1\nhost: m1\npoll_us: 1001\n", "poll_us: '1001'"));
	assert_true(is_said("version: 1\nhost: m1\npoll_us: 99999999999999999999\n", "poll_us:"));
	assert_true(is_said("version: 1\nhost: m1\npoll_us: -1\n", "poll_us: '-1'"));
	assert_true(is_said("version: 1\nhost: m1\npoll_us: 10us\n", "poll_us: '10us'"));
}

static void
a_certificate_lives_so_long(void **state)
{
	static const char *const bad[] = {"9s", "9999ms", "3651d", "0", "-1d", "99999999999999999999d", "{a: 1}"};
	char yaml[160];

	(void)state;
	assert_true(is_said("version: 1\nhost: m1\nenrol: {listen: \"127.0.0.1:1\", ca: /ca}\n", NULL));
	assert_true(is_said("version: 1\nhost: m1\nenrol: {listen: \"127.0.0.1:1\", ca: /ca, life: 10s}\n", NULL));
	assert_true(is_said("version: 1\nhost: m1\nenrol: {listen: \"127.0.0.1:1\", ca: /ca, life: 3650d}\n", NULL));
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		snprintf(yaml, sizeof yaml,
		    "version: 1\nhost: m1\nenrol: {listen: \"127.0.0.1:1\", ca: /ca, life: %s}\n", bad[i]);
		assert_true(is_said(yaml, "life:"));
	}
	assert_true(is_said("version: 1\nhost: m1\nenrol: {listen: \"127.0.0.1:1\"}\n", "both listen"));
	assert_true(is_said("version: 1\nhost: m1\nenrol: {ca: /ca}\n", "both listen"));
	assert_true(is_said("version: 1\nhost: m1\nenrol: {listen: \"127.0.0.1:1\", ca: ca}\n", "absolute path"));
	assert_true(is_said("version: 1\nhost: m1\nenroller: \"127.0.0.1:7716\"\n", NULL));
	assert_true(is_said("version: 1\nhost: m1\nenroller: \"127.0.0.1:0\"\n", "port 0"));
	assert_true(is_said("version: 1\nhost: m1\nenroller: enroller.example:7716\n", "enroller.example"));
}

/* 0: refused, and said why. */
static uint32_t
lease_ttl_of(const char *text)
{
	char yaml[128];
	struct faults faults;
	struct config *config;
	uint32_t ms;

	snprintf(yaml, sizeof yaml, "version: 1\nhost: m1\n%s\n", text);
	faults_init(&faults);
	config = config_parse("f", yaml, strlen(yaml), "/", &faults);
	ms = config ? config->lease_ttl_ms : 0;
	if (config == NULL)
		assert_non_null(strstr(faults.first->text, "lease_ttl:"));
	config_free(config);
	faults_clear(&faults);
	return ms;
}

static void
a_lease_lives_so_long_without_a_sign_of_life(void **state)
{
	(void)state;
	assert_int_equal(lease_ttl_of(""), LEASE_TTL_DEFAULT_MS);
	assert_int_equal(lease_ttl_of("lease_ttl: 3s"), 3000);
	assert_int_equal(lease_ttl_of("lease_ttl: 4500ms"), 4500);
	assert_int_equal(lease_ttl_of("lease_ttl: 60m"), 3600000);
	assert_int_equal(lease_ttl_of("lease_ttl: 2999ms"), 0);
	assert_int_equal(lease_ttl_of("lease_ttl: 3600001ms"), 0);
	assert_int_equal(lease_ttl_of("lease_ttl: 15"), 0);
	assert_int_equal(lease_ttl_of("lease_ttl: -15s"), 0);
	assert_int_equal(lease_ttl_of("lease_ttl: 99999999999999999999s"), 0);
	assert_int_equal(lease_ttl_of("lease_ttl: {a: 1}"), 0);
}

static void
direct_is_for_a_path(void **state)
{
	(void)state;
	assert_true(is_said("version: 1\nhost: m1\nshares:\n  acme/d: {path: /d, direct: true}\n", NULL));
	assert_true(is_said(
	    "version: 1\nhost: m1\nshares:\n  acme/d: {memory: 1MiB, direct: true}\n", "'direct' is for a 'path'"));
}

/* Whether `count` different keys are taken. */
static bool
takes_ticket_keys(unsigned count, const char *fault_text)
{
	char text[4096];
	size_t used = (size_t)snprintf(text, sizeof text, "version: 1\nhost: m1\nticket_keys:\n");

	for (unsigned i = 0; i < count; i++)
		used += (size_t)snprintf(text + used, sizeof text - used, "  - /keys/%u.pub\n", i);
	return is_said(text, fault_text);
}

#define KEY "k4.public.r1vfOyxhT4CioX0sTS5lCyfG3WV_wuPpYWBgZbaPP6g"

static void
a_host_believes_so_many_ticket_keys(void **state)
{
	(void)state;
	assert_true(takes_ticket_keys(TICKET_KEYS_MOST, NULL));
	assert_true(takes_ticket_keys(TICKET_KEYS_MOST + 1, "ticket_keys: 17 keys; at most 16"));
	assert_true(is_said("version: 1\nhost: m1\nticket_keys: []\n", NULL));
	assert_true(is_said("version: 1\nhost: m1\nticket_keys: [" KEY "]\n", NULL));
	assert_true(is_said("version: 1\nhost: m1\nticket_keys: [" KEY ", " KEY "]\n", "twice"));
	assert_true(is_said("version: 1\nhost: m1\nticket_keys: [" KEY "A]\n", "neither a public key"));
	assert_true(is_said("version: 1\nhost: m1\nticket_keys: [keys/a.pub]\n", "neither a public key"));
	assert_true(is_said("version: 1\nhost: m1\nticket_keys: [/keys/../a.pub]\n", "neither a public key"));
	assert_true(is_said("version: 1\nhost: m1\nticket_keys: " KEY "\n", "ticket_keys: this must be a list"));
}

static void
a_host_knows_so_many_xen_domains(void **state)
{
	static char text[256 * 1024];

	(void)state;
	for (unsigned count = LIMIT_XEN_VMS; count <= LIMIT_XEN_VMS + 1; count++) {
		size_t used = (size_t)snprintf(text, sizeof text, "version: 1\nhost: m1\nxen:\n  vms:\n");

		for (unsigned i = 0; i < count; i++)
			used += (size_t)snprintf(text + used, sizeof text - used, "    d%u: acme/d%u\n", i, i);
		assert_true(is_said(text, count > LIMIT_XEN_VMS ? "vms: 4097 domains; at most 4096" : NULL));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_field_has_the_limit_of_what_it_carries),
	    cmocka_unit_test(no_row_is_larger_than_its_carrier),
	    cmocka_unit_test(one_source_has_so_many_silent_connections),
	    cmocka_unit_test(all_sources_have_so_many_silent_connections),
	    cmocka_unit_test(one_source_has_so_many_unproved_sessions),
	    cmocka_unit_test(all_sources_have_so_many_unproved_sessions),
	    cmocka_unit_test(a_host_has_so_many_shares),
	    cmocka_unit_test(a_lane_polls_so_long),
	    cmocka_unit_test(a_certificate_lives_so_long),
	    cmocka_unit_test(a_lease_lives_so_long_without_a_sign_of_life),
	    cmocka_unit_test(direct_is_for_a_path),
	    cmocka_unit_test(a_host_believes_so_many_ticket_keys),
	    cmocka_unit_test(a_host_knows_so_many_xen_domains),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
