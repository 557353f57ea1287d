/* SPDX-License-Identifier: Apache-2.0
 *
 * netbus-admin revoke: ends grants and leases, at once or by a deadline. What is asked, and what is told of it, is in ending.c.
 */
#include "admin/admin.h"

#include <stdio.h>
#include <string.h>

#include "base/auto.h"

#define COURTESY_MOST_US UINT64_C(60000000)
#define DEADLINE_MOST_US UINT64_C(3600000000)
#define DEADLINE_MS      30000
#define SLACK_MS         10000 /* between the deadline and the answer */

/* msg_revoke.mode */
enum revoke_mode { REVOKE_HARD = 0, REVOKE_DRAIN = 1, REVOKE_SOFT = 2, REVOKE_HIDE = 3 };

static int
operand_revoke_mode(struct admin *admin, const char *text, uint8_t *mode)
{
	static const char *const modes[] = {"hard", "drain", "soft", "hide"}; /* by their numbers */

	for (size_t i = 0; text != NULL && i < ARRAY_LENGTH(modes); i++)
		if (strcmp(text, modes[i]) == 0) {
			*mode = (uint8_t)i;
			return 0;
		}
	return text == NULL
		   ? 0
		   : verb_usage(admin, "--mode '%s' is no mode of revoke; hide, soft, drain and hard are", text);
}

static bool
waits(uint8_t mode)
{
	return mode == REVOKE_SOFT || mode == REVOKE_DRAIN;
}

/* Of a hard revoke the deadline is the courtesy in which a session may end in order. */
static int
operand_deadline(struct admin *admin, const char *text, struct msg_revoke *request)
{
	uint64_t us = 0;
	int code;

	if (waits(request->mode))
		request->deadline_ms = DEADLINE_MS;
	if (text == NULL)
		return 0;
	if (request->mode == REVOKE_HIDE)
		return verb_usage(admin, "--mode hide ends no lease, so there is nothing that --deadline could bound");
	code = operand_duration(
	    admin, "--deadline", text, waits(request->mode) ? DEADLINE_MOST_US : COURTESY_MOST_US, &us);
	if (code != 0)
		return code;
	if (waits(request->mode))
		request->deadline_ms = (uint32_t)((us + 999) / 1000);
	else
		request->courtesy_ms = (uint32_t)((us + 999) / 1000);
	return 0;
}

static bool
names_something(const struct msg_revoke *request)
{
	static const uint8_t no_lease[sizeof request->lease];

	return request->grant != 0 || request->vm[0] || request->share[0] || request->host[0] || request->tenant[0] ||
	       memcmp(request->lease, no_lease, sizeof no_lease) != 0;
}

static int
parse_request(struct admin *admin, int argc, char **argv, struct msg_revoke *request)
{
	const char *vm = NULL, *share = NULL, *host = NULL, *tenant = NULL, *lease = NULL, *mode = NULL,
		   *deadline = NULL;
	bool keep_grants = false;
	const struct verb_option options[] = {{"vm", .value = &vm}, {"share", .value = &share},
	    {"host", .value = &host}, {"tenant", .value = &tenant}, {"lease", .value = &lease},
	    {"mode", .value = &mode}, {"deadline", .value = &deadline}, {"keep-grants", .flag = &keep_grants}, {NULL}};
	int code = verb_options(admin, &argc, argv, options, 0, 1);

	if (code == 0 && argc == 1 && strchr(argv[0], '/') != NULL)
		return verb_usage(admin, "'%s' is no grant's number; for a VM say --vm, for a share --share", argv[0]);
	if (code == 0)
		code = operand_number(admin, "grant", argc == 1 ? argv[0] : NULL, 1, INT64_MAX, &request->grant);
	if (code == 0)
		code = operand_qualified(admin, "VM", vm, request->vm);
	if (code == 0)
		code = operand_qualified(admin, "share", share, request->share);
	if (code == 0)
		code = operand_name(admin, "host", host, request->host);
	if (code == 0)
		code = operand_name(admin, "tenant", tenant, request->tenant);
	if (code == 0)
		code = operand_revoke_mode(admin, mode, &request->mode);
	if (code == 0)
		code = operand_deadline(admin, deadline, request);
	if (code == 0 && lease != NULL)
		code = lease_operand(admin, lease, false, request->lease);
	if (code != 0)
		return code;
	request->keep_grants = keep_grants;
	snprintf(request->reason, sizeof request->reason, "%s", admin->reason);
	if (!names_something(request))
		return verb_usage(admin, "what shall be revoked? Name a grant, or some of --vm "
					 "--share --host --tenant --lease");
	return 0;
}

int
cmd_revoke(struct admin *admin, int argc, char **argv)
{
	static const char *const questions[] = {"End this now?", "Let this drain and end?",
	    "Ask for the end of this, and end what is left?", "Take the grants away, so that nothing new begins?"};
	struct msg_revoke request = {0};
	struct ending ending = {
	    .number = ADMIN_REVOKE, .request = &request, .dry_run = &request.dry_run, .done = "revoked"};
	uint32_t most_ms;
	int code = parse_request(admin, argc, argv, &request);

	if (code != 0)
		return code;
	most_ms = request.courtesy_ms > request.deadline_ms ? request.courtesy_ms : request.deadline_ms;
	if (most_ms > 0 && admin->timeout_ms < most_ms + SLACK_MS)
		admin->timeout_ms = most_ms + SLACK_MS;
	ending.in_time = waits(request.mode);
	ending.question = questions[request.mode];
	return ending_ask(admin, &ending);
}
