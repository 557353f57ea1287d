/* SPDX-License-Identifier: Apache-2.0
 *
 * Identity, proved: crypto/tls.c on both ends of a connection, each with the store and the proof of netbus-keys (crypto/proof.h) behind it, as
 * the processes have them but for the channel between.
 */
#include "tests/unit/tls_world.h"

#include "base/auto.h"
#include "crypto/proof.h"
#include "tests/unit/made_certificate.h"

/* One host's netbus-keys. */
struct vault {
	struct keystore *store;
	struct proof *proof;
	enum tls_side side;
	const char *expect_host;
	struct custody custody;
	bool other_handshake; /* proves with a nonce that was not sent */
};

static int
vault_identity(void *context, uint8_t nonce[static TLS_NONCE_LEN], const uint8_t **chain, size_t *length)
{
	struct vault *vault = context;

	vault->proof = proof_new(vault->store, vault->side, vault->expect_host);
	assert_non_null(vault->proof);
	memcpy(nonce, proof_nonce(vault->proof), TLS_NONCE_LEN);
	nonce[0] ^= vault->other_handshake;
	*chain = keystore_chain(vault->store, length);
	return 0;
}

static int
vault_sign(void *context, const uint8_t *input, size_t length, uint8_t *signature, size_t room, size_t *used)
{
	struct vault *vault = context;

	assert_int_equal(proof_check_sign_input(vault->side, input, length), 0);
	return keystore_sign(vault->store, input, length, signature, room, used);
}

static int
vault_check_chain(void *context, const uint8_t *chain, size_t length, int *verify_error, struct error *text)
{
	struct vault *vault = context;

	*verify_error = proof_check_chain(vault->proof, chain, length, text);
	return 0;
}

static int
vault_prove(void *context, uint16_t scheme, const uint8_t *signature, size_t signature_length,
    const uint8_t *transcript, size_t length, char *host, struct error *error)
{
	struct vault *vault = context;
	struct proved_peer peer;
	int code = proof_verify(vault->proof, scheme, signature, signature_length, transcript, length, &peer, error);

	if (code == 0)
		memcpy(host, peer.host.text, sizeof peer.host.text);
	return code;
}

static void
vault_end(void *context)
{
	struct vault *vault = context;

	proof_free(TAKE(vault->proof));
}

static void
vault_open(struct vault *vault, enum tls_side side, const char *host, const char *key, const struct made *ca,
    const struct made *issuer)
{
	char san[128], text[8192] = "";
	struct error error = {0};
	struct made made;

	*vault = (struct vault){.store = keystore_new(), .side = side, .expect_host = ""};
	vault->custody = (struct custody){vault, vault_identity, vault_sign, vault_check_chain, vault_prove, vault_end};
	snprintf(san, sizeof san, "critical,URI:spiffe://test.example/host/%s", host);
	made = make_certificate(but(good_host, (struct recipe){.key = key, .san = san}), issuer);
	add_pem(text, sizeof text, made.certificate, NULL);
	assert_int_equal(keystore_add(vault->store, KEY_FILE_CERTIFICATE, text, strlen(text), &error), 0);
	text[0] = '\0';
	add_pem(text, sizeof text, NULL, made.key);
	assert_int_equal(keystore_add(vault->store, KEY_FILE_KEY, text, strlen(text), &error), 0);
	text[0] = '\0';
	add_pem(text, sizeof text, ca->certificate, NULL);
	if (issuer != ca)
		add_pem(text, sizeof text, issuer->certificate, NULL);
	assert_int_equal(keystore_add(vault->store, KEY_FILE_CA, text, strlen(text), &error), 0);
	if (keystore_commit(vault->store, host, &error) < 0)
		fail_msg("%s", error.text);
	made_clear(&made);
}

struct meeting {
	const char *what;
	const char *keys[2];
	const char *expect_host; /* of the client */
	bool other_ca;           /* signed the client's certificate */
	int other_handshake;     /* the side that does this, or -1 */
	int code[2];             /* of the server; of the client, 0 = whatever comes of it */
	const char *says;        /* whoever failed */
};

static const struct meeting meetings[] = {
    {"Ed25519", {"ED25519", "ED25519"}, "", false, -1, {1, 1}, ""},
    {"P-256", {"P-256", "P-256"}, "", false, -1, {1, 1}, ""},
    {"one of each", {"ED25519", "P-256"}, "m2", false, -1, {1, 1}, ""},
    {"another host than expected", {"ED25519", "ED25519"}, "m3", false, -1, {0, -EACCES},
	"'m2' that answers there, not 'm3'"},
    {"another CA", {"ED25519", "ED25519"}, "", true, -1, {-EPROTO, 0}, "not signed by a CA"},
    {"a server whose nonce is not in it", {"ED25519", "P-256"}, "", false, TLS_SERVER, {-EACCES, 0}, "not proved"},
    {"a client whose nonce is not in it", {"ED25519", "P-256"}, "", false, TLS_CLIENT, {0, -EACCES}, "not proved"},
};

static void
knows_who_the_other_is_or_fails(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(meetings); i++) {
		const struct meeting *this = &meetings[i];
		struct made ca = make_certificate(good_ca, NULL), other = make_certificate(good_ca, NULL);
		struct vault vaults[2];
		struct pair pair;

		pair_open(&pair, "ED25519", "ED25519");
		vault_open(&vaults[TLS_SERVER], TLS_SERVER, "m2", this->keys[TLS_SERVER], &ca, &ca);
		vault_open(
		    &vaults[TLS_CLIENT], TLS_CLIENT, "m1", this->keys[TLS_CLIENT], &ca, this->other_ca ? &other : &ca);
		vaults[TLS_CLIENT].expect_host = this->expect_host;
		for (int side = 0; side < 2; side++) {
			vaults[side].other_handshake = this->other_handshake == side;
			pair.keeper[side].custody = vaults[side].custody;
		}
		pair_shake(&pair);
		for (int side = 0; side < 2; side++) {
			if (this->code[side] == 0)
				continue;
			if (pair.code[side] != this->code[side] ||
			    (pair.code[side] < 0 && strstr(pair.error[side].text, this->says) == NULL))
				fail_msg("%s: side %d: %d, \"%s\"", this->what, side, pair.code[side],
				    pair.error[side].text);
			assert_string_equal(tls_peer_host(pair.tls[side]), pair.code[side] < 0  ? ""
									   : side == TLS_SERVER ? "m1"
												: "m2");
		}
		pair_close(&pair);
		for (int side = 0; side < 2; side++)
			keystore_free(vaults[side].store);
		made_clear(&ca);
		made_clear(&other);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(knows_who_the_other_is_or_fails)};

	/* Without keystore_prepare(): here connections, too, would have what is random from its heap for secrets, where no leak detector looks. */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
