/* SPDX-License-Identifier: Apache-2.0
 *
 * What only the broker can see of this daemon's health, for netbus-admin doctor; of grants, leases and hosts that do not fit together see
 * broker_doctor.c.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "daemon/broker.h"

/* True when it waits to be confirmed or was not. */
static bool
look_at_trial(struct client *client)
{
	const struct broker *broker = client->broker;
	char left[DURATION_TEXT_LEN];

	if (broker->trial.waiting) {
		print_duration((broker->trial.until_us - clock_wall_us()) / 1000000 * 1000000, left);
		client_finding(client, "policy", "warning", "netbus-admin policy confirm",
		    "generation %" PRIu64 " waits to be confirmed, and is rolled back in %s",
		    policy_generation(broker->policy), left);
	} else if (broker->trial.rolled_back) {
		client_finding(client, "policy", "warning",
		    "mend the files, see netbus-admin policy diff, then: netbus-admin policy reload",
		    "a generation that nobody confirmed was rolled back; the files in %s are not what is in force",
		    broker->config->policy_directory);
	}
	return broker->trial.waiting || broker->trial.rolled_back;
}

static void
look_at_policy(struct client *client)
{
	const struct broker *broker = client->broker;

	if (look_at_trial(client) && !broker->load_failed_us)
		return;
	if (broker->policy == NULL)
		client_finding(client, "policy", "error", "mend the files and run: netbus-admin policy reload",
		    "no policy is in force: everything is denied");
	else if (broker->load_failed_us || broker->policy_is_last_good)
		client_finding(client, "policy", "error",
		    "netbus-admin policy check says what is wrong; then netbus-admin policy reload",
		    "the files in %s are faulty; generation %" PRIu64 " stays in force",
		    broker->config->policy_directory, policy_generation(broker->policy));
	else if (policy_rule_count(broker->policy) == 0)
		client_finding(client, "policy", broker->config->share_count ? "warning" : "ok",
		    "write a file such as 10-acme.yaml there, see netbus-policy(5)",
		    "%s has no rule: everything is denied", broker->config->policy_directory);
	else
		client_finding(client, "policy", "ok", "", "generation %" PRIu64 ", %zu rules",
		    policy_generation(broker->policy), policy_rule_count(broker->policy));
}

#define DAY_US (INT64_C(86400) * 1000000)

/* What to do about a certificate that ends. */
static const char *
renewal_remedy(const struct broker *broker)
{
	return broker->config->enroller[0]
		   ? "netbus-admin pki renew; the log says why it was not renewed by itself"
		   : "name the enroller (enroller: in netbusd.yaml), or netbus-admin pki issue and send netbusd SIGHUP";
}

static void
look_at_certificate(struct client *client)
{
	const struct broker *broker = client->broker;
	int64_t now_us = clock_wall_us(), left_us = (int64_t)broker->identity.not_after_us - now_us;
	int64_t life_us = (int64_t)(broker->identity.not_after_us - broker->identity.not_before_us);
	int64_t soon_us = life_us / 6 < 14 * DAY_US ? life_us / 6 : 14 * DAY_US;
	char left[DURATION_TEXT_LEN];

	print_duration(left_us > 0 ? left_us : 0, left);
	if (left_us <= 0)
		client_finding(client, "certificate", "error",
		    broker->config->enroller[0] ? "a new join token: netbusd --join TOKEN ADDRESS --replace"
						: renewal_remedy(broker),
		    "the host certificate has expired");
	else if (left_us < soon_us)
		client_finding(client, "certificate", "warning", renewal_remedy(broker),
		    "the host certificate expires in %s", left);
	else if (broker->config->enroller[0])
		client_finding(client, "certificate", "ok", "", "valid for %s, then renewed by %s", left,
		    broker->config->enroller);
	else
		client_finding(client, "certificate", "ok", "", "valid for %s", left);
}

/* A CA that ends takes all its certificates along, and a roll-over takes as long as hosts take to renew. */
static void
look_at_ca(struct client *client)
{
	const struct broker *broker = client->broker;
	int64_t left_us = (int64_t)broker->identity.ca_not_after_us - clock_wall_us();
	char left[DURATION_TEXT_LEN];

	print_duration(left_us > 0 ? left_us : 0, left);
	if (left_us < 180 * DAY_US)
		client_finding(client, "ca", left_us <= 0 ? "error" : "warning",
		    "where the CA is: netbus-admin pki rollover begin; then netbus-admin pki renew on each host",
		    left_us <= 0 ? "the CA of the host certificate has expired%.0s"
				 : "the CA of the host certificate expires in %s",
		    left);
	else
		client_finding(client, "ca", "ok", "", "the CA is good for %s%s", left,
		    broker->identity.ca_count > 1 ? "; more than one is trusted: a roll-over is under way" : "");
}

static void
look_at_token(const struct db_token *token, void *context)
{
	struct client *client = context;
	int64_t now_us = clock_wall_us();
	char left[DURATION_TEXT_LEN];

	if (strcmp(token_state(token, now_us), "open") == 0) {
		print_duration(token->expires_us - now_us, left);
		client_finding(client, "tokens", "ok", "", "the join token of %s is not used yet; it expires in %s",
		    token->host.text, left);
	} else if (strcmp(token_state(token, now_us), "expired") == 0 && token->expires_us > now_us - DAY_US) {
		client_finding(client, "tokens", "warning", "netbus-admin pki token HOST makes another",
		    "the join token of %s expired unused", token->host.text);
	}
}

/* Who would be shut out if a roll-over were finished now. */
static void
look_at_issued(const struct db_issued *issued, void *context)
{
	struct client *client = context;
	int64_t left_us = issued->not_after_us - clock_wall_us();
	char left[DURATION_TEXT_LEN];

	if (left_us <= 0 || strcmp(issued->issuer, client->broker->identity.authority) == 0)
		return;
	print_duration(left_us, left);
	client_finding(client, "rollover", "warning",
	    "netbus-admin pki renew on that host, before the roll-over is finished",
	    "%s still has a certificate of the old CA, for %s", issued->host.text, left);
}

static void
look_at_trail(struct client *client)
{
	const struct broker *broker = client->broker;

	if (!db_trail_ok(broker->db))
		client_finding(client, "trail", "error", "make room in the file system, or put the moved file back",
		    "the audit trail %s cannot grow: nothing new is allowed", broker->config->audit_trail);
	else if (broker->seal_refused)
		client_finding(client, "trail", "warning", "netbus-admin pki issue makes a seal key",
		    "the audit trail has no signed checkpoints");
	else
		client_finding(client, "trail", "ok", "", "%s, signed up to line %" PRIu64, broker->config->audit_trail,
		    broker->sealed_lines);
	if (!db_state_ok(broker->db))
		client_finding(client, "state", "error", "make room in the file system",
		    "the last change of %s could not be stored", broker->config->state_db);
}

static void
look_at_listening(struct client *client)
{
	const struct broker *broker = client->broker;

	if (broker->config->share_count > 0 && broker->listening_count == 0)
		client_finding(client, "listen", "warning", "add an address under listen: in netbusd.yaml",
		    "shares are exported, but no address is listened on");
}

/* ---- all ---- */

void
findings_asked(struct client *client)
{
	struct db *db = client->broker->db;

	if (client->role != ROLE_TENANT) {
		look_at_policy(client);
		look_at_certificate(client);
		look_at_ca(client);
		look_at_trail(client);
		look_at_listening(client);
	}
	if (client->role != ROLE_TENANT && client->broker->identity.authority[0]) {
		db_tokens_each(db, look_at_token, client);
		db_issued_each(db, look_at_issued, client);
	}
	doctor_asked(client);
	client_done(client, ADMIN_OK, 0, "%s", "");
}
