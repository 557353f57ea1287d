/* SPDX-License-Identifier: Apache-2.0
 *
 * netbus-admin pki: a certificate authority, hosts' keys and certificates, and what a certificate says. Works on files alone. Private keys are written
 * with mode 0600, never to a terminal, and nothing that exists is overwritten unless --force says so.
 */
#include "admin/admin.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/fd.h"
#include "admin/pki_files.h"
#include "crypto/pki.h"
#include "crypto/seal.h"

/* ---- init ---- */

static int
write_ca(struct admin *admin, const char *directory, const char *trust_domain)
{
	struct pki_pair pair = {0};
	struct error error = {0};
	int code = pki_make_ca(trust_domain, clock_wall_us(), &pair, &error);

	if (code < 0)
		return verb_fail(admin, ADMIN_FAILURE, "%s", error.text);
	code = pki_write(admin, directory, "ca.key", pair.key, pair.key_length, 0600);
	if (code == 0)
		code = pki_write(admin, directory, "ca.pem", pair.certificate, pair.certificate_length, 0644);
	pki_pair_clear(&pair);
	return code;
}

int
cmd_pki_init(struct admin *admin, int argc, char **argv)
{
	const char *trust_domain = NULL, *directory = NULL;
	const struct verb_option options[] = {
	    {"trust-domain", .value = &trust_domain}, {"dir", .value = &directory}, {NULL}};
	struct error error = {0};
	int code = verb_options(admin, &argc, argv, options, 0, 0);

	if (code != 0)
		return code;
	if (trust_domain == NULL || directory == NULL)
		return verb_usage(admin, "--trust-domain and --dir are both needed");
	if (pki_trust_domain_check(trust_domain, &error) < 0)
		return verb_usage(admin, "--trust-domain %s", error.text);
	if (pki_exists(directory, "ca.key") || pki_exists(directory, "ca.pem"))
		return verb_fail(admin, ADMIN_CONFLICT,
		    "%s has a certificate authority already, which is never overwritten; name another directory",
		    directory);
	code = pki_make_directory(admin, directory);
	if (code == 0)
		code = write_ca(admin, directory, trust_domain);
	if (code == 0)
		verb_say(admin,
		    "%s/ca.pem is the trust bundle of %s. %s/ca.key signs its certificates: keep it where no host can "
		    "read it.",
		    directory, trust_domain, directory);
	return code;
}

/* ---- issue ---- */

struct issue {
	struct name host;
	const char *ca_directory, *out;
	enum pki_key_type type;
	uint64_t days;
};

/* A seal key outlives certificates: checkpoints of before must stay verifiable with the same public half. */
static int
write_seal(struct admin *admin, const struct issue *issue, const char *trust_domain)
{
	char name[SEAL_NAME_MAX + 1], secret[SEAL_TEXT_MAX], public[SEAL_TEXT_MAX];
	struct error error = {0};
	int code;

	if (pki_exists(issue->out, "seal.key"))
		return 0;
	if (path_print(name, sizeof name, "%s/%s", trust_domain, issue->host.text) < 0)
		return verb_fail(
		    admin, ADMIN_FAILURE, "the trust domain and the host's name are too long for a seal key");
	if (seal_generate(name, secret, sizeof secret, public, sizeof public, &error) < 0)
		return verb_fail(admin, ADMIN_FAILURE, "%s", error.text);
	code = pki_write(admin, issue->out, "seal.pub", public, strlen(public), 0644);
	if (code == 0)
		code = pki_write(admin, issue->out, "seal.key", secret, strlen(secret), 0600);
	sodium_memzero(secret, sizeof secret);
	return code;
}

static int
write_host(struct admin *admin, const struct issue *issue, const struct pki_ca *ca, const char *trust_bundle)
{
	AUTO_FREE char *cross = NULL, *chain = NULL;
	struct pki_pair pair = {0};
	struct error error = {0};
	int length, code = pki_read_cross(admin, issue->ca_directory, &cross);

	if (code != 0)
		return code;
	code = pki_issue(ca, &issue->host, issue->type, (unsigned)issue->days, clock_wall_us(), &pair, &error);
	if (code < 0)
		return verb_fail(admin, ADMIN_FAILURE, "%s", error.text);
	length = asprintf(&chain, "%s%s", pair.certificate, cross);
	if (length < 0)
		chain = NULL;
	verb_memory(chain);
	code = pki_write(admin, issue->out, "host.key", pair.key, pair.key_length, 0600);
	if (code == 0)
		code = pki_write(admin, issue->out, "host.pem", chain, (size_t)length, 0644);
	if (code == 0)
		code = pki_write(admin, issue->out, "ca.pem", trust_bundle, strlen(trust_bundle), 0644);
	pki_pair_clear(&pair);
	return code;
}

static int
carry_out(struct admin *admin, const struct issue *issue)
{
	AUTO_FREE char *trust_bundle = NULL;
	int code = 0;
	struct pki_ca *ca = pki_load_ca(admin, issue->ca_directory, &trust_bundle, &code);

	if (ca == NULL)
		return code;
	code = pki_make_directory(admin, issue->out);
	if (code == 0)
		code = write_host(admin, issue, ca, trust_bundle);
	if (code == 0)
		code = write_seal(admin, issue, pki_ca_trust_domain(ca));
	if (code == 0)
		verb_say(admin,
		    "%s has the key and certificate of spiffe://%s/host/%s, good for %" PRIu64
		    " days, the trust bundle, and the key that seals the audit trail.",
		    issue->out, pki_ca_trust_domain(ca), issue->host.text, issue->days);
	pki_ca_free(ca);
	return code;
}

int
cmd_pki_issue(struct admin *admin, int argc, char **argv)
{
	const char *type = "ed25519", *days = NULL;
	struct issue issue = {.days = PKI_DAYS_DEFAULT};
	bool force = false;
	const struct verb_option options[] = {{"dir", .value = &issue.ca_directory}, {"out", .value = &issue.out},
	    {"key-type", .value = &type}, {"days", .value = &days}, {"force", .flag = &force}, {NULL}};
	struct error error = {0};
	int code = verb_options(admin, &argc, argv, options, 1, 1);

	if (code == 0)
		code = operand_name(admin, "host", argv[0], issue.host.text);
	if (code == 0)
		code = operand_number(admin, "--days", days, 1, PKI_DAYS_MAX, &issue.days);
	if (code != 0)
		return code;
	if (issue.ca_directory == NULL || issue.out == NULL)
		return verb_usage(admin, "--dir (of the certificate authority) and --out are both needed");
	if (pki_key_type_parse(type, &issue.type, &error) < 0)
		return verb_usage(admin, "--key-type %s", error.text);
	if (!force && (pki_exists(issue.out, "host.key") || pki_exists(issue.out, "host.pem")))
		return verb_fail(admin, ADMIN_CONFLICT,
		    "%s has a host's key already; --force replaces it (the seal key stays)", issue.out);
	return carry_out(admin, &issue);
}

/* ---- show ---- */

static json_t *
facts_object(const char *path, const struct pki_facts *facts)
{
	static const char *const kinds[] = {[PKI_HOST] = "host", [PKI_CA] = "ca", [PKI_OTHER] = "other"};
	char begins[CLOCK_TEXT_LEN], ends[CLOCK_TEXT_LEN];
	json_t *object = verb_memory(json_object());

	clock_print(facts->not_before_us, begins);
	clock_print(facts->not_after_us, ends);
	output_put(object, "file", json_string(path));
	output_put(object, "kind", json_string(kinds[facts->kind]));
	output_put(object, "id", json_string(facts->spiffe_id));
	output_put(object, "trust_domain", json_string(facts->trust_domain));
	output_put(object, "host", facts->host[0] ? json_string(facts->host) : json_null());
	output_put(object, "key_type", json_string(facts->key_type));
	output_put(object, "not_before", json_string(begins));
	output_put(object, "not_after", json_string(ends));
	output_put(object, "fingerprint", json_string(facts->fingerprint));
	return object;
}

static void
say_facts(struct admin *admin, const json_t *object)
{
	static const char *const keys[] = {"id", "kind", "key_type", "not_before", "not_after", "fingerprint"};

	for (size_t i = 0; i < ARRAY_LENGTH(keys); i++)
		verb_say(admin, "%-12s %s", keys[i], json_string_value(json_object_get(object, keys[i])));
}

int
cmd_pki_show(struct admin *admin, int argc, char **argv)
{
	const struct verb_option options[] = {{NULL}};
	json_t *array;
	int code = verb_options(admin, &argc, argv, options, 1, INT32_MAX);

	if (code != 0)
		return code;
	array = verb_memory(json_array());
	for (int i = 0; i < argc && code == 0; i++) {
		AUTO_FREE char *text = NULL;
		struct pki_facts facts;
		struct error error = {0};
		json_t *object;
		size_t length;

		if (file_read_all(argv[i], PKI_FILE_MOST, &text, &length, &error) < 0) {
			code = verb_fail(admin, ADMIN_FAILURE, "%s", error.text);
		} else if (pki_describe(text, length, &facts, &error) < 0) {
			code = verb_fail(admin, ADMIN_FAILURE, "%s: %s", argv[i], error.text);
		} else {
			object = facts_object(argv[i], &facts);
			say_facts(admin, object);
			output_append(array, object);
		}
	}
	if (admin->json && code == 0)
		output_json(json_incref(array));
	json_decref(array);
	return code;
}
