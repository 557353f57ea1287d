/* SPDX-License-Identifier: Apache-2.0
 *
 * Enrolment without its processes: netbus-keys certifies only what both keys signed for in this conversation, and a newcomer believes only the enroller that it
 * knows; through a roll-over, hosts of each stage accept each other.
 */
#include "tests/unit/test.h"

#include <errno.h>
#include <sodium.h>

#include "crypto/proof_internal.h"
#include "tests/unit/enrol_world.h"

static struct made_ca ca, other_ca;
static struct keystore *enroller;
static struct join_token token;

static int
make_world(void **state)
{
	(void)state;
	assert_true(sodium_init() >= 0);
	made_ca_new(&ca);
	made_ca_new(&other_ca);
	enroller = enroller_new(&ca);
	token_new(enroller, "m1", &token);
	return 0;
}

static int
end_world(void **state)
{
	(void)state;
	keystore_free(enroller);
	made_ca_free(&ca);
	made_ca_free(&other_ca);
	return 0;
}

/* A whole join: the newcomer with what it gained. */
static struct newcomer *
join(const struct keystore *store, const struct join_token *with, enum pki_key_type type)
{
	struct talk talk;
	struct error error = {0};

	talk_ask(&talk, joiner_new(type, with));
	if (talk_issue(&talk, store, &error) < 0 ||
	    newcomer_judge(talk.newcomer, &talk.answer, clock_wall_us(), &error) < 0)
		fail_msg("%s", error.text);
	return talk.newcomer;
}

static struct newcomer *
renew(const struct keystore *store, const struct newcomer *present, enum pki_key_type type)
{
	struct newcomer_gain gain;
	struct talk talk;
	struct error error = {0};

	newcomer_gain(present, &gain);
	talk_ask(&talk, renewer_new(type, gain.host, &gain.files));
	if (talk_issue(&talk, store, &error) < 0 ||
	    newcomer_judge(talk.newcomer, &talk.answer, clock_wall_us(), &error) < 0)
		fail_msg("%s", error.text);
	return talk.newcomer;
}

static void
a_token_gets_a_certificate_and_both_ends_have_one_fingerprint(void **state)
{
	(void)state;
	for (enum pki_key_type type = PKI_ED25519; type <= PKI_P256; type++) {
		struct talk talk;
		struct newcomer_gain gain;
		struct msg_enrol_statement statement;
		char fingerprint[65];

		talk_ask(&talk, joiner_new(type, &token));
		assert_int_equal(talk_issue(&talk, enroller, NULL), 0);
		assert_int_equal(newcomer_judge(talk.newcomer, &talk.answer, clock_wall_us(), NULL), 0);
		newcomer_gain(talk.newcomer, &gain);
		assert_string_equal(gain.fingerprint, talk.issued.fingerprint);
		assert_string_equal(gain.host, "m1");
		/* The broker's own reckoning, from the raw key. */
		assert_int_equal(
		    enrol_decode_statement(talk.request.statement.bytes, talk.request.statement.length, &statement), 0);
		assert_int_equal(
		    public_key_fingerprint(statement.key_type, statement.key.bytes, statement.key.length, fingerprint),
		    0);
		assert_string_equal(fingerprint, gain.fingerprint);
		newcomer_free(talk.newcomer);
	}
}

static void
a_present_key_gets_the_next_one(void **state)
{
	struct newcomer *first = join(enroller, &token, PKI_P256), *second = renew(enroller, first, PKI_P256),
			*third = renew(enroller, second, PKI_ED25519);
	struct newcomer_gain one, two;

	(void)state;
	newcomer_gain(first, &one);
	newcomer_gain(second, &two);
	assert_string_not_equal(one.fingerprint, two.fingerprint);
	newcomer_free(first);
	newcomer_free(second);
	newcomer_free(third);
}

/* ---- what netbus-keys refuses ---- */

enum spoil { NEWCOMER_NONCE, ENROLLER_NONCE, STATEMENT, POSSESSION, PROOF, SWAPPED, CHAIN, SPOILS };

static void
spoil(struct talk *talk, struct enrol_case *ask, enum spoil what)
{
	struct enrol_part part = ask->possession;

	switch (what) {
	case NEWCOMER_NONCE:
		ask->nonces.newcomer[0] ^= 1;
		return;
	case ENROLLER_NONCE: /* an old request, played again */
		ask->nonces.enroller[0] ^= 1;
		return;
	case STATEMENT: /* another name: the last letter of "m1" */
		talk->request.statement.bytes[4] ^= 2;
		return;
	case POSSESSION:
		talk->request.possession.bytes[8] ^= 1;
		return;
	case PROOF:
		talk->request.proof.bytes[8] ^= 1;
		return;
	case SWAPPED: /* neither signature passes for the other */
		ask->possession = ask->proof;
		ask->proof = part;
		return;
	case CHAIN:
		talk->request.chain.bytes[talk->request.chain.length - 1] ^= 1;
		return;
	case SPOILS:
		return;
	}
}

static void
nothing_is_certified_that_was_touched(void **state)
{
	struct newcomer *present = join(enroller, &token, PKI_ED25519);
	struct newcomer_gain gain;

	(void)state;
	newcomer_gain(present, &gain);
	for (int renewal = 0; renewal < 2; renewal++) {
		for (enum spoil what = 0; what < SPOILS; what++) {
			struct talk talk;
			struct enrol_case ask;

			if (what == CHAIN && !renewal)
				continue;
			talk_ask(&talk,
			    renewal ? renewer_new(PKI_ED25519, "m1", &gain.files) : joiner_new(PKI_ED25519, &token));
			ask = case_of(&talk);
			assert_int_equal(keystore_enrol(enroller, &ask, &talk.issued, NULL), 0);
			spoil(&talk, &ask, what);
			assert_int_equal(keystore_enrol(enroller, &ask, &talk.issued, NULL), -EACCES);
			newcomer_free(talk.newcomer);
		}
	}
	newcomer_free(present);
}

static void
a_renewal_needs_a_good_certificate_of_that_host(void **state)
{
	struct keystore *elsewhere = enroller_new(&other_ca);
	struct join_token foreign, for_m3;
	struct newcomer *stranger, *m3;
	struct newcomer_gain gain;
	struct talk talk;
	struct error error = {0};

	(void)state;
	token_new(elsewhere, "m1", &foreign);
	token_new(enroller, "m3", &for_m3);
	stranger = join(elsewhere, &foreign, PKI_ED25519);
	newcomer_gain(stranger, &gain);
	talk_ask(&talk, renewer_new(PKI_ED25519, "m1", &gain.files));
	assert_int_equal(talk_issue(&talk, enroller, &error), -EACCES);
	assert_non_null(strstr(error.text, "not signed by a CA of our bundle"));
	newcomer_free(talk.newcomer);

	m3 = join(enroller, &for_m3, PKI_ED25519);
	newcomer_gain(m3, &gain);
	talk_ask(&talk, renewer_new(PKI_ED25519, "m1", &gain.files));
	assert_int_equal(talk_issue(&talk, enroller, &error), -EACCES);
	assert_non_null(strstr(error.text, "of host 'm3', not of 'm1'"));
	newcomer_free(talk.newcomer);
	newcomer_free(m3);
	newcomer_free(stranger);
	keystore_free(elsewhere);
}

static void
without_a_ca_nobody_is_enrolled(void **state)
{
	struct keystore *store = keystore_new();
	struct talk talk;

	(void)state;
	talk_ask(&talk, joiner_new(PKI_ED25519, &token));
	assert_int_equal(talk_issue(&talk, store, NULL), -ENOKEY);
	assert_string_equal(keystore_authority(store), "");
	newcomer_free(talk.newcomer);
	keystore_free(store);
}

/* ---- what a newcomer does not believe ---- */

static void
expect_disbelief(struct talk *talk, const char *why)
{
	struct error error = {0};

	assert_int_equal(newcomer_judge(talk->newcomer, &talk->answer, clock_wall_us(), &error), -EACCES);
	if (why && !strstr(error.text, why))
		fail_msg("'%s' does not say '%s'", error.text, why);
}

static void
an_answer_that_was_touched_is_not_believed(void **state)
{
	struct talk talk, another;
	struct made_ca extra;
	struct keystore *attacker;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		talk_ask(&talk, joiner_new(PKI_ED25519, &token));
		assert_int_equal(talk_issue(&talk, enroller, NULL), 0);
		if (i == 0)
			talk.answer.signature.bytes[0] ^= 1;
		else if (i == 1)
			talk.answer.chain.bytes[talk.answer.chain.length - 1] ^= 1;
		else
			talk.answer.bundle.bytes[talk.answer.bundle.length - 1] ^= 1;
		expect_disbelief(&talk, NULL);
		newcomer_free(talk.newcomer);
	}
	/* The answer to somebody else's request. */
	talk_ask(&talk, joiner_new(PKI_ED25519, &token));
	talk_ask(&another, joiner_new(PKI_ED25519, &token));
	assert_int_equal(talk_issue(&another, enroller, NULL), 0);
	talk.answer = another.answer;
	expect_disbelief(&talk, "not for our host and key");
	/* A CA slipped into the bundle. */
	assert_int_equal(talk_issue(&talk, enroller, NULL), 0);
	made_ca_new(&extra);
	attacker = enroller_new(&extra);
	assert_int_equal(talk_issue(&another, attacker, NULL), 0);
	memcpy(talk.answer.bundle.bytes + talk.answer.bundle.length, another.answer.bundle.bytes,
	    another.answer.bundle.length);
	talk.answer.bundle.length = (uint16_t)(talk.answer.bundle.length + another.answer.bundle.length);
	expect_disbelief(&talk, "not signed by the CA");
	/* And another enroller altogether. */
	talk.answer = another.answer;
	expect_disbelief(&talk, "not the enroller of this token");
	newcomer_free(talk.newcomer);
	newcomer_free(another.newcomer);
	keystore_free(attacker);
	made_ca_free(&extra);
}

/* ---- a roll-over ---- */

enum stage { BEFORE, DURING, AFTER, STAGES };

/* A host's files as they are after a renewal at that stage. */
struct host_at {
	struct newcomer *newcomer;
	struct newcomer_gain gain;
	X509_STORE *bundle;
	STACK_OF(X509) * chain;
};

static void
open_host(struct host_at *host, struct newcomer *newcomer)
{
	STACK_OF(X509) * bundle;

	host->newcomer = newcomer;
	newcomer_gain(newcomer, &host->gain);
	bundle = certificates_read(host->gain.files.bundle, host->gain.files.bundle_length, BUNDLE_MOST);
	host->chain = certificates_read(host->gain.files.chain, host->gain.files.chain_length, CHAIN_CERTIFICATES_MOST);
	host->bundle = X509_STORE_new();
	for (int i = 0; i < sk_X509_num(bundle); i++)
		assert_int_equal(X509_STORE_add_cert(host->bundle, sk_X509_value(bundle, i)), 1);
	sk_X509_pop_free(bundle, X509_free);
}

static void
close_host(struct host_at *host)
{
	newcomer_free(host->newcomer);
	sk_X509_pop_free(host->chain, X509_free);
	X509_STORE_free(host->bundle);
}

static void
hosts_of_neighbouring_stages_accept_each_other(void **state)
{
	/* Only who has not renewed at all and who has renewed after the end are strangers. */
	static const bool accepts[STAGES][STAGES] = {{true, true, false}, {true, true, true}, {false, true, true}};
	struct made_ca cas[STAGES] = {{strdup(ca.pem), strdup(ca.key), NULL}};
	struct keystore *at[STAGES];
	struct host_at hosts[STAGES];

	(void)state;
	made_ca_roll_over(&cas[BEFORE], &cas[DURING]);
	made_ca_finish(&cas[DURING], &cas[AFTER]);
	for (enum stage stage = BEFORE; stage < STAGES; stage++) {
		at[stage] = enroller_new(&cas[stage]);
		open_host(&hosts[stage], stage == BEFORE ? join(at[stage], &token, PKI_ED25519)
							 : renew(at[stage], hosts[stage - 1].newcomer, PKI_ED25519));
	}
	for (enum stage mine = BEFORE; mine < STAGES; mine++)
		for (enum stage theirs = BEFORE; theirs < STAGES; theirs++) {
			struct spiffe_id id;
			struct error error = {0};
			bool accepted = chain_judge(hosts[mine].bundle, "test.example", hosts[theirs].chain,
					    (time_t)(clock_wall_us() / 1000000), &id, &error) == X509_V_OK;

			if (accepted != accepts[mine][theirs])
				fail_msg("a host of stage %d and the certificate of one of stage %d: %s", mine, theirs,
				    error.text);
		}
	assert_int_equal(sk_X509_num(hosts[DURING].chain), 2);
	assert_int_equal(sk_X509_num(hosts[AFTER].chain), 1);
	for (enum stage stage = BEFORE; stage < STAGES; stage++) {
		close_host(&hosts[stage]);
		keystore_free(at[stage]);
		made_ca_free(&cas[stage]);
	}
}

static void
a_token_of_before_joins_during_a_roll_over_and_not_after(void **state)
{
	struct made_ca both, new;
	struct keystore *during, *after;
	struct talk talk;

	(void)state;
	made_ca_roll_over(&ca, &both);
	made_ca_finish(&both, &new);
	during = enroller_new(&both);
	after = enroller_new(&new);
	newcomer_free(join(during, &token, PKI_ED25519));
	talk_ask(&talk, joiner_new(PKI_ED25519, &token));
	assert_int_equal(talk_issue(&talk, after, NULL), 0);
	expect_disbelief(&talk, "not the enroller of this token");
	newcomer_free(talk.newcomer);
	keystore_free(during);
	keystore_free(after);
	made_ca_free(&both);
	made_ca_free(&new);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_token_gets_a_certificate_and_both_ends_have_one_fingerprint),
	    cmocka_unit_test(a_present_key_gets_the_next_one),
	    cmocka_unit_test(nothing_is_certified_that_was_touched),
	    cmocka_unit_test(a_renewal_needs_a_good_certificate_of_that_host),
	    cmocka_unit_test(without_a_ca_nobody_is_enrolled),
	    cmocka_unit_test(an_answer_that_was_touched_is_not_believed),
	    cmocka_unit_test(hosts_of_neighbouring_stages_accept_each_other),
	    cmocka_unit_test(a_token_of_before_joins_during_a_roll_over_and_not_after),
	};

	return cmocka_run_group_tests(tests, make_world, end_world);
}
