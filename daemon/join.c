/* SPDX-License-Identifier: Apache-2.0
 *
 * netbus-join: gets this host its certificate from an enroller, the first one for a join token (netbusd --join) or the next one for the present one (netbusd
 * runs it when that is due). The private key is made here and goes into host.key and nowhere else.
 *
 * It is root where netbusd is, since it writes root's files, but reaches no others (Landlock), makes no socket (it is given a connected one) and starts nothing. It
 * holds keys and reads what the peer says: the messages of wire/enrol.def, and then certificates. The peer is hostile until its answer's signature holds.
 *
 * Descriptors: 3 monitor, 4 the connected socket, 5 a pipe with the token. Arguments: --mode join|renew|complete --pki DIRECTORY --host NAME.
 */
#include "daemon/join.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/sandbox.h"
#include "daemon/channel.h"
#include "daemon/enrol_stream.h"

enum { FD_MONITOR = 3, FD_PEER = 4, FD_TOKEN = 5 };

static struct join {
	const char *mode, *directory, *host; /* host "": not known yet */
	struct newcomer *newcomer;
	struct enrol_stream peer;
} join = {.mode = "", .host = ""};

/* ---- who we are ---- */

static int
read_token(struct join_token *token, struct error *error)
{
	char text[JOIN_TOKEN_TEXT_MAX + 1] = "";
	size_t used = 0;
	ssize_t got = 1;
	int code;

	while (used < sizeof text - 1 && (got = read(FD_TOKEN, text + used, sizeof text - 1 - used)) > 0)
		used += (size_t)got;
	close(FD_TOKEN);
	text[used] = '\0';
	text[strcspn(text, "\r\n")] = '\0';
	code = join_token_parse(text, token, error);
	sodium_memzero(text, sizeof text);
	return code;
}

static int
prepare_join(struct error *error)
{
	struct join_token token;
	int code = read_token(&token, error);

	if (code < 0)
		return code;
	if (join.host[0] && strcmp(join.host, token.host.text) != 0)
		code = error_set(error, -EINVAL,
		    "the join token is for host '%s', but this host is '%s' (host: in netbusd.yaml); nothing was "
		    "changed",
		    token.host.text, join.host);
	if (code == 0 && (join.newcomer = newcomer_new(PKI_ED25519, error)) == NULL)
		code = error->code;
	if (code == 0)
		code = newcomer_use_token(join.newcomer, &token, error);
	sodium_memzero(&token, sizeof token);
	return code;
}

/* The next key is of the kind of the present one. */
static int
use_present(const struct present *present, struct error *error)
{
	const struct newcomer_files files = {present->key, present->chain, present->bundle, present->key_length,
	    present->chain_length, present->bundle_length};
	enum pki_key_type type;

	if (newcomer_type_of(present->key, present->key_length, &type) < 0)
		return error_set(error, -EINVAL, "host.key is neither Ed25519 nor P-256");
	join.newcomer = newcomer_new(type, error);
	return join.newcomer ? newcomer_use_present(join.newcomer, join.host, &files, error) : error->code;
}

static int
prepare_renewal(struct error *error)
{
	struct present present = {0};
	int code = present_read(join.directory, &present, error);

	if (code == 0)
		code = use_present(&present, error);
	present_clear(&present);
	return code;
}

/* ---- the conversation ---- */

static int
explain(int code, struct error *error)
{
	if (code == -EBADMSG)
		return error_set(
		    error, code, "whoever answers there does not speak enrol/1; is it the address of enrol: listen?");
	if (code == -EPIPE)
		return error_set(error, code, "the enroller ended the connection; its log says why");
	return error_errno(error, code, "the enroller does not answer");
}

static int
refused(struct error *error)
{
	struct msg_enrol_refused refused;

	if (enrol_stream_take(&join.peer, MSG_ENROL_REFUSED, &refused) < 0)
		return explain(-EBADMSG, error);
	return error_set(error, -EACCES, "the enroller refuses: %s (its audit record %llu)", refused.text,
	    (unsigned long long)refused.record);
}

static int
ask(struct error *error)
{
	struct msg_enrol_hello hello = {.version = ENROL_VERSION};
	struct msg_enrol_challenge challenge;
	static struct msg_enrol_request request;
	int got;

	memcpy(hello.nonce, newcomer_nonce(join.newcomer), sizeof hello.nonce);
	got = enrol_stream_send(&join.peer, MSG_ENROL_HELLO, &hello);
	if (got == 0)
		got = enrol_stream_recv(&join.peer);
	if (got == MSG_ENROL_REFUSED)
		return refused(error);
	if (got >= 0)
		got = enrol_stream_take(&join.peer, MSG_ENROL_CHALLENGE, &challenge);
	if (got < 0)
		return explain(got, error);
	got = newcomer_request(join.newcomer, challenge.nonce, &request, error);
	if (got < 0)
		return got;
	got = enrol_stream_send(&join.peer, MSG_ENROL_REQUEST, &request);
	return got < 0 ? explain(got, error) : 0;
}

static int
take_answer(struct error *error)
{
	static struct msg_enrol_answer answer;
	int got = enrol_stream_recv(&join.peer);

	if (got == MSG_ENROL_REFUSED)
		return refused(error);
	if (got >= 0)
		got = enrol_stream_take(&join.peer, MSG_ENROL_ANSWER, &answer);
	return got < 0 ? explain(got, error) : newcomer_judge(join.newcomer, &answer, clock_wall_us(), error);
}

/* ---- what comes of it ---- */

static int
keep(const struct newcomer_gain *gain, struct error *error)
{
	int code = files_make_seal(join.directory, gain->trust_domain, gain->host, error);

	return code == 0 ? files_replace(join.directory, &gain->files, error) : code;
}

static void
say(const struct newcomer_gain *gain)
{
	char until[CLOCK_TEXT_LEN];

	clock_print(gain->not_after_us, until);
	if (strcmp(join.mode, "join") == 0)
		printf("%s is spiffe://%s/host/%s until %s\npublic key %s\n", gain->host, gain->trust_domain,
		    gain->host, until, gain->fingerprint);
	else
		log_info("renewed until %s, public key %s", until, gain->fingerprint);
}

static int
carry_out(struct error *error)
{
	struct newcomer_gain gain;
	int code = ask(error);

	if (code == 0)
		code = take_answer(error);
	if (code < 0)
		return code;
	newcomer_gain(join.newcomer, &gain);
	code = keep(&gain, error);
	if (code == 0)
		say(&gain);
	return code;
}

/* ---- process ---- */

static int
confine(struct error *error)
{
	int code = sandbox_paths((const char *const[]){NULL}, (const char *const[]){join.directory, NULL}, error);

	if (code == 1)
		log_notice(
		    "this kernel has no Landlock: only its system-call list keeps netbus-join to the PKI directory");
	return code < 0 ? code : sandbox_lock(SANDBOX_PASS_FDS | SANDBOX_FILES, error);
}

static int
run(struct error *error)
{
	int code = confine(error);

	if (code < 0)
		return code;
	if (strcmp(join.mode, "complete") == 0) {
		code = files_complete(join.directory, error);
		if (code > 0)
			log_notice("a renewal that was interrupted is completed");
		return code < 0 ? code : 0;
	}
	code = strcmp(join.mode, "join") == 0 ? prepare_join(error) : prepare_renewal(error);
	if (code == 0) {
		join.peer.fd = FD_PEER;
		join.peer.deadline_ns = clock_monotonic_ns() + LIMIT_ENROL_MS * NS_PER_MS;
		code = carry_out(error);
	}
	newcomer_free(join.newcomer);
	return code;
}

static bool
take_arguments(int argc, char **argv)
{
	for (int i = 1; i + 1 < argc; i += 2) {
		if (strcmp(argv[i], "--mode") == 0)
			join.mode = argv[i + 1];
		else if (strcmp(argv[i], "--pki") == 0)
			join.directory = argv[i + 1];
		else if (strcmp(argv[i], "--host") == 0)
			join.host = argv[i + 1];
	}
	return join.mode[0] != '\0' && join.directory != NULL && strlen(join.host) <= NAME_LEN_MAX;
}

/* To the monitor, for whoever asked: nothing is lost when it does not listen, as with netbusd --join. */
static void
tell(int code, const struct error *error)
{
	struct channel monitor = {.fd = FD_MONITOR, .self = ROLE_JOIN, .peer = ROLE_MONITOR, .state = CH_NEW};
	struct msg_joined joined = {.ok = code == 0};

	if (code < 0)
		snprintf(joined.text, sizeof joined.text, "%s", error->text);
	if (strcmp(join.mode, "renew") == 0)
		channel_send(&monitor, MSG_JOINED, &joined, -1);
}

int
main(int argc, char **argv)
{
	struct error error = {0};
	int code = keystore_prepare(&error);

	log_open("netbus-join", LOG_INFO_);
	if (!take_arguments(argc, argv)) {
		log_error("netbus-join is started by netbusd, not by hand");
		return 1;
	}
	if (code >= 0)
		code = sandbox_begin(&error);
	if (code >= 0)
		code = run(&error);
	tell(code, &error);
	if (code < 0)
		log_error("%s", error.text);
	fflush(stdout);
	/* Without what is called at an exit: a sanitizer's search for leaks needs files that are out of reach now. */
	_exit(code < 0 ? 1 : 0);
}
