/* SPDX-License-Identifier: Apache-2.0
 *
 * The handshake of crypto/tls.h: between two of ours with every kind of key, and against peers that are wrong in one way each.
 * What follows the handshake is tls_stream_test.c.
 */
#include "tests/unit/tls_world.h"

#include <sys/wait.h>

#include "base/sandbox.h"

/* ---- two of ours ---- */

static void
shakes_hands_with_every_kind_of_key(void **state)
{
	static const char *const kinds[][2] = {
	    {"ED25519", "ED25519"}, {"P-256", "P-256"}, {"ED25519", "P-256"}, {"P-256", "ED25519"}};

	(void)state;
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		struct pair pair;

		pair_open(&pair, kinds[i][0], kinds[i][1]);
		pair_shake(&pair);
		assert_string_equal(pair.error[0].text, "");
		assert_string_equal(pair.error[1].text, "");
		assert_int_equal(pair.code[0], 1);
		assert_int_equal(pair.code[1], 1);
		assert_string_equal(tls_peer_host(pair.tls[TLS_SERVER]), "m1");
		assert_string_equal(tls_peer_host(pair.tls[TLS_CLIENT]), "m2");
		assert_string_equal(tls_cipher(pair.tls[TLS_SERVER]), "TLS_AES_256_GCM_SHA384");
		for (int side = 0; side < 2; side++) {
			assert_int_equal(pair.keeper[side].signatures, 1);
			assert_int_equal(pair.keeper[side].verdicts, 1);
			assert_int_equal(pair.keeper[side].proofs, 1);
			assert_false(pair.keeper[side].busy);
		}
		pair_close(&pair);
	}
}

struct misdeed_case {
	int side; /* whose custody does it */
	enum misdeed misdeed;
	int code;
	const char *text; /* part of what that side then says */
};

static const struct misdeed_case misdeeds[] = {
    {TLS_SERVER, NO_SIGNATURE, -EIO, "netbus-keys did not sign"},
    {TLS_CLIENT, NO_SIGNATURE, -EIO, "netbus-keys did not sign"},
    {TLS_SERVER, NO_VERDICT, -EIO, "netbus-keys did not judge"},
    {TLS_CLIENT, NO_VERDICT, -EIO, "netbus-keys did not judge"},
    {TLS_SERVER, BAD_CHAIN, -EPROTO, "certificate is refused: it does not please"},
    {TLS_CLIENT, BAD_CHAIN, -EPROTO, "certificate is refused: it does not please"},
    {TLS_CLIENT, WRONG_HOST, -EACCES, "certificate is refused: it does not please"},
    {TLS_SERVER, NO_PROOF, -EACCES, "not proved: no such luck"},
    {TLS_CLIENT, NO_PROOF, -EACCES, "not proved: no such luck"},
};

static void
is_not_done_unless_custody_agrees(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof misdeeds / sizeof misdeeds[0]; i++) {
		const struct misdeed_case *this = &misdeeds[i];
		struct pair pair;

		pair_open(&pair, "ED25519", "P-256");
		pair.keeper[this->side].misdeed = this->misdeed;
		pair_shake(&pair);
		assert_int_equal(pair.code[this->side], this->code);
		assert_non_null(strstr(pair.error[this->side].text, this->text));
		assert_string_equal(tls_peer_host(pair.tls[this->side]), "");
		/* It stays failed. */
		assert_true(tls_handshake(pair.tls[this->side], &pair.error[this->side]) < 0);
		pair_close(&pair);
	}
}

static void
begins_nothing_without_an_identity(void **state)
{
	struct keeper keeper;
	struct error error = {0};
	int fds[2];

	(void)state;
	keeper_init(&keeper, TLS_SERVER, "ED25519", "m2");
	keeper.misdeed = NO_IDENTITY;
	make_connection(fds);
	assert_null(tls_new(TLS_SERVER, fds[0], &keeper.custody, &error));
	assert_non_null(strstr(error.text, "identity"));
	assert_int_equal(fcntl(fds[0], F_GETFD), -1); /* the socket was taken over all the same */
	close(fds[1]);
	keeper_clear(&keeper);
}

static void
begins_one_handshake_at_a_time(void **state)
{
	struct keeper keeper;
	struct error error = {0};
	struct tls *first;
	int one[2], two[2];

	(void)state;
	keeper_init(&keeper, TLS_CLIENT, "ED25519", "m1");
	make_connection(one);
	make_connection(two);
	first = tls_new(TLS_CLIENT, one[0], &keeper.custody, &error);
	assert_non_null(first);
	assert_null(tls_new(TLS_CLIENT, two[0], &keeper.custody, &error));
	assert_int_equal(error.code, -EBUSY);
	assert_true(keeper.busy); /* the first one's */
	tls_free(first);
	assert_false(keeper.busy);
	close(one[1]);
	close(two[1]);
	keeper_clear(&keeper);
}

static void
refuses_own_keys_of_other_kinds(void **state)
{
	static const char *const kinds[] = {"RSA", "P-384"};

	(void)state;
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		struct keeper keeper;
		struct error error = {0};
		int fds[2];

		keeper_init(&keeper, TLS_SERVER, kinds[i], "m2");
		make_connection(fds);
		assert_null(tls_new(TLS_SERVER, fds[0], &keeper.custody, &error));
		assert_non_null(strstr(error.text, "this host's certificate"));
		close(fds[1]);
		keeper_clear(&keeper);
	}
}

/* As netbus-attach does it: the sandbox is locked before there is a connection. A file that is opened then is the end of the process. */
static void
opens_no_file_once_it_is_prepared(void **state)
{
	struct error error = {0};
	int status;
	pid_t child = fork();

	(void)state;
	assert_true(child >= 0);
	if (child == 0) {
		struct pair pair;

		pair_open(&pair, "ED25519", "P-256");
		make_connection(pair.fds);
		if (tls_prepare(&error) < 0 || sandbox_begin(&error) < 0 || sandbox_lock(SANDBOX_PASS_FDS, &error) < 0)
			_exit(2);
		pair_shake_over(&pair);
		_exit(pair.code[0] == 1 && pair.code[1] == 1 ? 0 : 3);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

/* ---- clients that are wrong in one way ---- */

struct stranger {
	const char *what;
	const char *key;  /* NULL: no certificate */
	const char *alpn; /* NULL: none */
	int version;      /* at most */
	const char *groups;
	unsigned padding;    /* of the certificate, in kilobytes */
	unsigned alpn_times; /* makes the ClientHello long */
	int code;
	const char *says;
};

#define OURS "netbus/1"
static const struct stranger strangers[] = {
    {"a good one", "ED25519", OURS, TLS1_3_VERSION, "X25519", 0, 1, 1, ""},
    {"a good one that is asked to retry", "ED25519", OURS, TLS1_3_VERSION, "P-384:P-256", 0, 1, 1, ""},
    {"a good one with a long chain", "P-256", OURS, TLS1_3_VERSION, "X25519", 6, 1, 1, ""},
    {"TLS 1.2", "ED25519", OURS, TLS1_2_VERSION, "X25519", 0, 1, -EPROTO, "no TLS 1.3 (version 1.2 at most)"},
    {"TLS 1.2 without ALPN", "ED25519", NULL, TLS1_2_VERSION, "X25519", 0, 1, -EPROTO, "no TLS 1.3"},
    {"no certificate", NULL, OURS, TLS1_3_VERSION, "X25519", 0, 1, -EPROTO, "showed no certificate"},
    {"no ALPN", "ED25519", NULL, TLS1_3_VERSION, "X25519", 0, 1, -EPROTO, "no application protocol (ALPN)"},
    {"another ALPN", "ED25519", "http/1.1", TLS1_3_VERSION, "X25519", 0, 1, -EPROTO,
	"application protocol netbus/1 (ALPN)"},
    {"a longer ALPN", "ED25519", "netbus/11", TLS1_3_VERSION, "X25519", 0, 1, -EPROTO,
	"application protocol netbus/1 (ALPN)"},
    {"no common group", "ED25519", OURS, TLS1_3_VERSION, "P-384", 0, 1, -EPROTO, "no key exchange"},
    {"an RSA key", "RSA", OURS, TLS1_3_VERSION, "X25519", 0, 1, -EPROTO, "certificate"},
    {"a P-384 key", "P-384", OURS, TLS1_3_VERSION, "X25519", 0, 1, -EPROTO, "certificate"},
    {"a chain that is too long", "ED25519", OURS, TLS1_3_VERSION, "X25519", 20, 1, -EPROTO, "too long"},
    {"a ClientHello that is too long", "ED25519", OURS, TLS1_3_VERSION, "X25519", 0, 600, -EPROTO,
	"ClientHello is longer"},
};

static int
trust_all(X509_STORE_CTX *store, void *owner)
{
	(void)store, (void)owner;
	return 1;
}

static void
offer_alpn(SSL_CTX *context, const char *name, unsigned times)
{
	unsigned char list[8192];
	size_t length = 0;

	for (; name && times > 0 && length + 1 + strlen(name) < sizeof list; times--) {
		list[length++] = (unsigned char)strlen(name);
		memcpy(list + length, name, strlen(name));
		length += strlen(name);
	}
	if (length > 0)
		assert_int_equal(SSL_CTX_set_alpn_protos(context, list, (unsigned)length), 0);
}

static void
stranger_open(struct foreigner *client, const struct stranger *stranger, int fd)
{
	char groups[64]; /* OpenSSL's macro takes away a const */

	*client = (struct foreigner){.context = SSL_CTX_new(TLS_client_method()), .fd = fd};
	assert_non_null(client->context);
	SSL_CTX_set_max_proto_version(client->context, stranger->version);
	SSL_CTX_set_cert_verify_callback(client->context, trust_all, NULL);
	snprintf(groups, sizeof groups, "%s", stranger->groups);
	SSL_CTX_set1_groups_list(client->context, groups);
	offer_alpn(client->context, stranger->alpn, stranger->alpn_times);
	if (stranger->key) {
		EVP_PKEY *key = world_key(stranger->key);
		X509 *certificate = world_certificate(key, "m1", stranger->padding);

		assert_int_equal(SSL_CTX_use_certificate(client->context, certificate), 1);
		assert_int_equal(SSL_CTX_use_PrivateKey(client->context, key), 1);
		X509_free(certificate);
		EVP_PKEY_free(key);
	}
	client->ssl = SSL_new(client->context);
	SSL_set_fd(client->ssl, fd);
	SSL_set_connect_state(client->ssl);
}

static void
takes_good_clients_and_names_what_is_wrong_with_others(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof strangers / sizeof strangers[0]; i++) {
		const struct stranger *this = &strangers[i];
		struct foreigner client;
		struct keeper keeper;
		struct error error = {0};
		struct tls *tls;
		int fds[2];
		char byte;

		keeper_init(&keeper, TLS_SERVER, i % 2 ? "P-256" : "ED25519", "m2");
		make_connection(fds);
		stranger_open(&client, this, fds[1]);
		tls = tls_new(TLS_SERVER, fds[0], &keeper.custody, &error);
		assert_non_null(tls);
		if (shake_with(tls, fds[0], &client, &error) != this->code || strstr(error.text, this->says) == NULL)
			fail_msg("%s: %d, \"%s\"", this->what, error.code, error.text);
		assert_int_equal(keeper.proofs, this->code == 1);
		/* Nothing follows a handshake by itself: no session ticket. */
		if (this->code == 1)
			assert_int_equal(recv(fds[1], &byte, 1, MSG_PEEK), -1);
		tls_free(tls);
		foreigner_close(&client);
		keeper_clear(&keeper);
	}
}

/* ---- peers that are not even TLS ---- */

struct noise {
	const char *what;
	const char *bytes;
	size_t length;
	const char *says;
};

#define BYTES_OF(literal) literal, sizeof(literal) - 1
static const struct noise noises[] = {
    {"nothing", BYTES_OF(""), "closed the connection"},
    {"HTTP", BYTES_OF("GET / HTTP/1.0\r\n\r\n"), "its first bytes are plaintext (HTTP)"},
    {"SSH", BYTES_OF("SSH-2.0-OpenSSH_9.2\r\n"), "its first bytes are plaintext"},
    {"binary", BYTES_OF("\0\1\2\3\4\5\6\7\10\11\12\13\14\15\16\17"), "does not speak TLS"},
    {"half a record", BYTES_OF("\x16\x03\x01\x02\x00\x01"), "closed the connection"},
    {"a record of no message", BYTES_OF("\x16\x03\x01\x00\x04\x63\x00\x00\x00"), "broke the TLS protocol"},
    {"an SSL 3 record", BYTES_OF("\x16\x02\x00\x00\x04\x01\x00\x00\x00"), "not TLS"},
    {"an alert", BYTES_OF("\x15\x03\x01\x00\x02\x02\x28"), "broke the TLS protocol"},
    {"an empty ClientHello", BYTES_OF("\x16\x03\x01\x00\x04\x01\x00\x00\x00"), "broke the TLS protocol"},
};

static void
names_what_is_not_tls(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof noises / sizeof noises[0]; i++) {
		const struct noise *this = &noises[i];
		struct keeper keeper;
		struct error error = {0};
		struct tls *tls;
		int fds[2], code;

		keeper_init(&keeper, TLS_SERVER, "ED25519", "m2");
		make_connection(fds);
		tls = tls_new(TLS_SERVER, fds[0], &keeper.custody, &error);
		assert_non_null(tls);
		assert_int_equal(write(fds[1], this->bytes, this->length), this->length);
		shutdown(fds[1], SHUT_WR);
		while ((code = tls_handshake(tls, &error)) == 0)
			wait_for(fds[0], POLLIN);
		if (code > 0 || strstr(error.text, this->says) == NULL)
			fail_msg("%s: %d, \"%s\"", this->what, code, error.text);
		tls_free(tls);
		close(fds[1]);
		keeper_clear(&keeper);
	}
}

/* ---- servers that are wrong in one way ---- */

static int
choose_first(SSL *ssl, const unsigned char **out, unsigned char *out_length, const unsigned char *in,
    unsigned in_length, void *owner)
{
	(void)ssl, (void)in_length, (void)owner;
	*out = in + 1;
	*out_length = in[0];
	return SSL_TLSEXT_ERR_OK;
}

struct host {
	const char *what;
	bool alpn, asks_certificate;
	int version; /* at most */
	const char *key;
	int code;
	const char *says;
};

static const struct host hosts[] = {
    {"a good one", true, true, TLS1_3_VERSION, "P-256", 1, ""},
    {"no ALPN", false, true, TLS1_3_VERSION, "P-256", -EPROTO, "did not choose the application protocol"},
    {"no question for our certificate", true, false, TLS1_3_VERSION, "P-256", -EPROTO,
	"did not ask for our certificate"},
    {"TLS 1.2", true, true, TLS1_2_VERSION, "P-256", -ECONNRESET, "protocol version"},
    {"an RSA key", true, true, TLS1_3_VERSION, "RSA", -ECONNRESET, "TLS alert"},
};

static void
takes_good_servers_and_names_what_is_wrong_with_others(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
		const struct host *this = &hosts[i];
		struct foreigner server = {.context = SSL_CTX_new(TLS_server_method())};
		EVP_PKEY *key = world_key(this->key);
		X509 *certificate = world_certificate(key, "m2", 0);
		struct keeper keeper;
		struct error error = {0};
		struct tls *tls;
		int fds[2];

		keeper_init(&keeper, TLS_CLIENT, "ED25519", "m1");
		make_connection(fds);
		server.fd = fds[1];
		SSL_CTX_set_max_proto_version(server.context, this->version);
		SSL_CTX_use_certificate(server.context, certificate);
		SSL_CTX_use_PrivateKey(server.context, key);
		SSL_CTX_set_cert_verify_callback(server.context, trust_all, NULL);
		SSL_CTX_set_verify(server.context, this->asks_certificate ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
		if (this->alpn)
			SSL_CTX_set_alpn_select_cb(server.context, choose_first, NULL);
		server.ssl = SSL_new(server.context);
		SSL_set_fd(server.ssl, server.fd);
		SSL_set_accept_state(server.ssl);
		tls = tls_new(TLS_CLIENT, fds[0], &keeper.custody, &error);
		assert_non_null(tls);
		assert_int_equal(tls_handshake(tls, &error), 0);
		if (shake_with(tls, fds[0], &server, &error) != this->code || strstr(error.text, this->says) == NULL)
			fail_msg("%s: %d, \"%s\"", this->what, error.code, error.text);
		tls_free(tls);
		foreigner_close(&server);
		X509_free(certificate);
		EVP_PKEY_free(key);
		keeper_clear(&keeper);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(shakes_hands_with_every_kind_of_key),
	    cmocka_unit_test(is_not_done_unless_custody_agrees),
	    cmocka_unit_test(begins_nothing_without_an_identity),
	    cmocka_unit_test(begins_one_handshake_at_a_time),
	    cmocka_unit_test(refuses_own_keys_of_other_kinds),
	    cmocka_unit_test(opens_no_file_once_it_is_prepared),
	    cmocka_unit_test(takes_good_clients_and_names_what_is_wrong_with_others),
	    cmocka_unit_test(names_what_is_not_tls),
	    cmocka_unit_test(takes_good_servers_and_names_what_is_wrong_with_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
