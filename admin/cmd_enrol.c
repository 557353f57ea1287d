/* SPDX-License-Identifier: Apache-2.0
 *
 * netbus-admin pki token, tokens, withdraw, renew: enrolment by way of the broker. A token's secret is made here, printed once, and goes nowhere else:
 * the broker gets the public half.
 */
#include "admin/admin.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "crypto/join_token.h"

#define TTL_DEFAULT_US (UINT64_C(3600) * 1000000)
#define TTL_MOST_US    (UINT64_C(30) * 86400 * 1000000)

/* ---- token ---- */

struct making {
	struct asking asking;
	struct msg_row_token row;
	bool has_row;
};

static void
take(struct asking *asking, uint16_t number, const union admin_body *body)
{
	struct making *making = asking->context;

	if (number == ADMIN_ROW_TOKEN) {
		making->row = body->row_token;
		making->has_row = true;
	}
}

static void
say(struct admin *admin, const struct making *making, const char *text)
{
	const struct msg_row_token *row = &making->row;
	char until[CELL_LEN];
	json_t *object;

	if (admin->json) {
		object = output_object(&admin_row(ADMIN_ROW_TOKEN)->type, row);
		output_put(object, "token", json_string(text));
		output_json(object);
		return;
	}
	cell_time(until, row->expires_at);
	puts(text); /* alone on standard output, also with --quiet: it is what was asked for */
	if (!admin->quiet)
		fprintf(stderr,
		    "It lets %s in once, until %s. On %s, as root:\n    netbusd --join - ADDRESS:PORT   (the token on "
		    "standard input; the enroller listens on %s)\n",
		    row->host, until, row->host, row->enrolling);
}

int
cmd_pki_token(struct admin *admin, int argc, char **argv)
{
	const char *ttl = NULL;
	const struct verb_option options[] = {{"ttl", .value = &ttl}, {NULL}};
	struct msg_token_add request = {.ttl_us = TTL_DEFAULT_US, .dry_run = admin->dry_run};
	struct making making = {.asking = {.take = take, .context = &making}};
	struct join_token token = {0};
	char text[JOIN_TOKEN_TEXT_MAX];
	int code = verb_options(admin, &argc, argv, options, 1, 1);

	if (code == 0)
		code = operand_name(admin, "host", argv[0], request.host);
	if (code == 0)
		code = operand_duration(admin, "--ttl", ttl, TTL_MOST_US, &request.ttl_us);
	if (code != 0)
		return code;
	if (request.ttl_us == 0)
		return verb_usage(admin, "--ttl 0 would be a token that has expired");
	if (join_token_draw(&token, request.key) < 0)
		return verb_fail(admin, ADMIN_FAILURE, "no random numbers can be had");
	memcpy(request.id, token.id, sizeof request.id);
	snprintf(request.reason, sizeof request.reason, "%s", admin->reason);
	code = client_ask(admin, ADMIN_TOKEN_ADD, &request, &making.asking);
	if (code != 0 || admin->dry_run)
		return code;
	if (!making.has_row || parse_hex(making.row.authority, token.ca, sizeof token.ca) < 0)
		return verb_fail(admin, ADMIN_FAILURE, "netbusd answered without the token's row");
	memcpy(token.host.text, request.host, sizeof token.host.text);
	token.expires_s = making.row.expires_at / 1000000;
	join_token_print(&token, text);
	say(admin, &making, text);
	sodium_memzero(&token, sizeof token);
	sodium_memzero(text, sizeof text);
	return 0;
}

/* ---- list, withdraw ---- */

static void
token_cells(const union admin_body *body, char (*cells)[CELL_LEN])
{
	const struct msg_row_token *row = &body->row_token;

	print_hex(row->id, sizeof row->id, cells[0]);
	cell_text(cells[1], row->host);
	cell_text(cells[2], row->state);
	cell_time(cells[3], row->expires_at);
	cell_text(cells[4], row->maker);
	cell_text(cells[5], row->fingerprint);
}

int
cmd_pki_tokens(struct admin *admin, int argc, char **argv)
{
	static const char *const titles[] = {"ID", "HOST", "STATE", "UNTIL", "BY", "USED BY KEY", NULL};
	static const struct listing listing = {.row = ADMIN_ROW_TOKEN,
	    .titles = titles,
	    .cells = token_cells,
	    .empty = "There is no join token; netbus-admin pki token HOST makes one."};
	const struct verb_option options[] = {{NULL}};
	struct msg_get_tokens request = {0};
	int code = verb_options(admin, &argc, argv, options, 0, 0);

	return code != 0 ? code : client_list(admin, ADMIN_GET_TOKENS, &request, &listing);
}

int
cmd_pki_withdraw(struct admin *admin, int argc, char **argv)
{
	const struct verb_option options[] = {{NULL}};
	struct msg_token_withdraw request = {.dry_run = admin->dry_run};
	int code = verb_options(admin, &argc, argv, options, 1, 1);

	if (code != 0)
		return code;
	if (parse_hex(argv[0], request.id, sizeof request.id) < 0)
		return verb_usage(admin, "'%s' is not the id of a join token, which has %zu hexadecimal digits",
		    argv[0], 2 * sizeof request.id);
	snprintf(request.reason, sizeof request.reason, "%s", admin->reason);
	return client_change(admin, ADMIN_TOKEN_WITHDRAW, &request, NULL);
}

/* ---- renew ---- */

int
cmd_pki_renew(struct admin *admin, int argc, char **argv)
{
	const struct verb_option options[] = {{NULL}};
	struct msg_renew_ask request = {.dry_run = admin->dry_run};
	int code = verb_options(admin, &argc, argv, options, 0, 0);

	return code != 0 ? code : client_change(admin, ADMIN_RENEW_ASK, &request, NULL);
}
