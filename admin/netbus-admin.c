/* SPDX-License-Identifier: Apache-2.0
 *
 * netbus-admin: the operator's command. This file is its table of contents: the verbs, the global options, --help. Runs with the rights
 * of whoever types it; what it may do on a host the broker decides (wire/admin.def) from who is at the other end of the socket.
 */
#include "admin/admin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/text.h"

/* clang-format off */
static const struct verb verbs[] = {
	{"status", NULL, cmd_status, "", "what runs here: certificate, policy, shares, trail"},
	{"doctor", NULL, cmd_doctor, "", "find what is misconfigured, and how to mend it"},
	{"top", NULL, cmd_top, "[--interval 2s] [--once] [--sort iops|bandwidth|latency]", "what leases do right now"},
	{"events", NULL, cmd_events, "[--follow] [--since CURSOR|TIME] [--limit N]", "what happens: records of the audit trail, from a cursor on"},

	{"share", "list", cmd_share_list, "", "what is exported"},
	{"share", "show", cmd_share_show, "SHARE", "all about one share"},
	{"share", "enable", cmd_share_enable, "SHARE", "let it be attached (again)"},
	{"share", "disable", cmd_share_disable, "SHARE", "refuse new attachments of it"},

	{"grant", NULL, cmd_grant, "VM SHARE [--mode ro|rw] [--host HOST] [--ttl 8h] [--reason TEXT]", "permit a VM to attach a share, under the policy"},
	{"grant", "list", cmd_grant_list, "[--vm VM] [--share SHARE] [--host HOST]", "standing permissions"},
	{"revoke", NULL, cmd_revoke, "[GRANT] [--vm VM] [--share SHARE] [--host HOST] [--tenant TENANT] [--lease LEASE] [--mode hide|soft|drain|hard] [--deadline 30s] [--keep-grants]", "end grants and leases, now or by a deadline; all that is given must match"},

	{"lease", "list", cmd_lease_list, "[--vm VM] [--share SHARE] [--host HOST] [--tenant TENANT] [--ended]", "who has which share"},
	{"lease", "show", cmd_lease_show, "LEASE [--timers]", "all about one lease, also an ended one"},
	{"lease", "steal", cmd_lease_steal, "LEASE --reason TEXT", "end a lease whose holder does not give it back"},
	{"bar", "list", cmd_bar_list, "[--vm VM] [--share SHARE] [--host HOST]", "what may not attach again after a revoke"},
	{"bar", "lift", cmd_bar_lift, "ID --reason TEXT", "let it attach again"},
	{"session", "list", cmd_session_list, "", "connections, each a process"},

	{"attach", NULL, cmd_attach, "VM SHARE@HOST [--as nbd:NAME|xen:DOMAIN/VDEV] [--mode ro|rw] [--lanes N] [--vm-uuid UUID] [--ticket FILE]", "give a VM of this host a share of another"},
	{"detach", NULL, cmd_detach, "VM SHARE | ID", "take it away again, in order"},
	{"attachment", "list", cmd_attachment_list, "[--ended]", "what VMs of this host have attached"},

	{"policy", "check", cmd_policy_check, "[FILE|DIRECTORY]...", "read policy files as a load would; names every fault"},
	{"policy", "test", cmd_policy_test, "[FILE|DIRECTORY]...", "the same, and insist that there are tests and that they pass"},
	{"policy", "explain", cmd_policy_explain, "VM SHARE --host HOST [--verb VERB] [--mode ro|rw] [--at TIME]", "would this be allowed, and which rules say so"},
	{"policy", "show", cmd_policy_show, "[FILE|DIRECTORY]...", "the policy in force, or files, in canonical form"},
	{"policy", "who-can", cmd_policy_who_can, "SHARE [--verb VERB] [--mode ro|rw]", "who may have a share, of all that are known; and by which patterns"},
	{"policy", "diff", cmd_policy_diff, "DIRECTORY [--vm VM] [--share SHARE] [--host HOST]", "rights that these files would give and take, and the leases that they would end"},
	{"policy", "replay", cmd_policy_replay, "DIRECTORY [--since 30d|TIME]", "recorded attaches that these files would have decided otherwise"},
	{"policy", "reload", cmd_policy_reload, "[--expect-generation N] [--confirm-within 5m]", "put the files in force; faults change nothing"},
	{"policy", "confirm", cmd_policy_confirm, "[--expect-generation N]", "keep what was loaded with --confirm-within"},

	{"host", "add", cmd_host_add, "HOST --address ADDRESS:PORT", "where an export host is reached"},
	{"host", "list", cmd_host_list, "[--keys]", "hosts that are known or denied, or keys that are denied"},
	{"host", "deny", cmd_host_deny, "HOST | --key FINGERPRINT", "end its leases and sessions now, and refuse it from now on"},
	{"host", "allow", cmd_host_allow, "HOST | --key FINGERPRINT", "take a denial back"},

	{"ticket", "issue", cmd_ticket_issue, "VM HOST [--ttl 1h] [--not-before TIME] [--key FILE] [--trust-domain NAME]", "sign that a VM is placed on a host"},
	{"ticket", "show", cmd_ticket_show, "FILE|- [--pub FILE]", "what a ticket says, and whether a key signed it"},
	{"ticket", "key", cmd_ticket_key, "new FILE", "make a key that signs tickets"},

	{"audit", "tail", cmd_audit_tail, "[--lines N] [--follow] [--trail FILE]", "the last records of the audit trail"},
	{"audit", "show", cmd_audit_show, "SEQ | [--event NAME] [--vm VM] [--share SHARE] [--host HOST] [--trail FILE]", "records of the audit trail"},
	{"audit", "verify", cmd_audit_verify, "[--trail FILE] [--checkpoint FILE | --no-checkpoint] [--public FILE]", "has anybody changed the trail? offline"},

	{"pki", "init", cmd_pki_init, "--trust-domain NAME --dir DIRECTORY", "make a certificate authority"},
	{"pki", "issue", cmd_pki_issue, "HOST --dir DIRECTORY --out DIRECTORY [--key-type ed25519|p256] [--days N] [--force]", "make a host's key and certificate"},
	{"pki", "token", cmd_pki_token, "HOST [--ttl 1h] [--reason TEXT]", "make a one-shot join token, on the enroller"},
	{"pki", "tokens", cmd_pki_tokens, "", "join tokens and what became of them"},
	{"pki", "withdraw", cmd_pki_withdraw, "TOKEN-ID", "take a join token back before it is used"},
	{"pki", "renew", cmd_pki_renew, "", "renew this host's certificate now; sessions go on"},
	{"pki", "rollover", cmd_pki_rollover, "begin|finish --dir DIRECTORY", "put a new CA in the place of the old one, with an overlap"},
	{"pki", "show", cmd_pki_show, "FILE...", "what a certificate says"},

	{NULL, NULL, NULL, NULL, NULL},
};
/* clang-format on */

static const char globals_help[] =
    "Options, anywhere on the line:\n"
    "  --json           answer as JSON: stable names, [] when there is nothing\n"
    "  --quiet          say only what went wrong\n"
    "  --no-color       no colours (nor when NO_COLOR is set)\n"
    "  --dry-run        say what would be done, and do nothing\n"
    "  --yes            do not ask before something is ended\n"
    "  --reason TEXT    why; it goes into the audit trail\n"
    "  --timeout TIME   how long to wait for an answer (30s)\n"
    "  --root DIR       an instance that runs under another root\n"
    "  --socket PATH    its socket (ROOT/run/netbus/admin.sock)\n"
    "  --help, --version\n"
    "\n"
    "Exit codes: 0 ok, 1 failure, 2 usage, 3 denied, 4 not found, 5 conflict, 6 incomplete (the\n"
    "deadline passed), 7 verification failed, 8 daemon unreachable. See netbus-admin(8).\n";

const struct verb *
admin_verbs(void)
{
	return verbs;
}

/* ---- help ---- */

static void
print_name(char *text, size_t room, const struct verb *verb)
{
	snprintf(text, room, "%s%s%s", verb->noun, verb->name ? " " : "", verb->name ? verb->name : "");
}

/* The verbs of one noun, or all. */
static void
print_verbs(FILE *stream, const char *noun)
{
	for (const struct verb *verb = verbs; verb->noun != NULL; verb++) {
		char name[64];

		if (noun != NULL && strcmp(noun, verb->noun) != 0)
			continue;
		print_name(name, sizeof name, verb);
		fprintf(stream, "  %-16s %s\n", name, verb->summary);
	}
}

static int
help(const struct verb *verb, const char *noun)
{
	char name[64];

	if (verb != NULL) {
		print_name(name, sizeof name, verb);
		printf("usage: netbus-admin %s%s%s\n\n%s: %s.\n\n", name, verb->usage[0] ? " " : "", verb->usage, name,
		    verb->summary);
	} else {
		printf("usage: netbus-admin [OPTION...] %s\n\n", noun ? noun : "NOUN [VERB] ...");
		print_verbs(stdout, noun);
		puts("\nnetbus-admin NOUN VERB --help shows what a verb takes.\n");
	}
	fputs(globals_help, stdout);
	return ADMIN_OK;
}

/* ---- which verb ---- */

static bool
noun_exists(const char *noun)
{
	for (const struct verb *verb = verbs; verb->noun != NULL; verb++)
		if (strcmp(verb->noun, noun) == 0)
			return true;
	return false;
}

/* The row of argv's first one or two words, and how many it took. "grant list" goes before "grant". */
static const struct verb *
find_verb(int argc, char **argv, int *took)
{
	const struct verb *alone = NULL;

	for (const struct verb *verb = verbs; verb->noun != NULL; verb++) {
		if (argc < 1 || strcmp(verb->noun, argv[0]) != 0)
			continue;
		if (verb->name == NULL)
			alone = verb;
		else if (argc > 1 && strcmp(verb->name, argv[1]) == 0) {
			*took = 2;
			return verb;
		}
	}
	*took = 1;
	return alone;
}

static int
no_verb(struct admin *admin, int argc, char **argv)
{
	const char *words[ARRAY_LENGTH(verbs) + 1];
	bool noun_known = noun_exists(argv[0]);
	const char *nearest;
	size_t count = 0;

	for (const struct verb *verb = verbs; verb->noun != NULL; verb++)
		if (!noun_known || strcmp(verb->noun, argv[0]) == 0)
			words[count++] = noun_known ? verb->name : verb->noun;
	words[count] = NULL;
	nearest = nearest_word(noun_known && argc > 1 ? argv[1] : argv[0], words);
	if (!noun_known)
		return verb_usage(admin, "there is no '%s'%s%s%s", argv[0], nearest ? "; did you mean " : "",
		    nearest ? nearest : "", nearest ? "?" : "");
	if (argc < 2)
		verb_fail(admin, ADMIN_USAGE, "'%s' needs a verb:", argv[0]);
	else
		verb_fail(admin, ADMIN_USAGE, "'%s' has no verb '%s'%s%s%s; it has:", argv[0], argv[1],
		    nearest ? " (did you mean " : "", nearest ? nearest : "", nearest ? "?)" : "");
	print_verbs(stderr, argv[0]);
	return ADMIN_USAGE;
}

/* ---- global options ---- */

struct globals {
	const char *root, *socket, *timeout, *reason;
	bool help, version, no_color;
	char *root_text, *socket_text; /* owned */
};

/* "/srv/x/" -> "/srv/x", "/" -> "". */
static void
settle_root(struct admin *admin, struct globals *globals)
{
	size_t length;

	globals->root_text = verb_memory(strdup(globals->root != NULL ? globals->root : ""));
	length = strlen(globals->root_text);
	while (length > 0 && globals->root_text[length - 1] == '/')
		globals->root_text[--length] = '\0';
	admin->root = globals->root_text;
	globals->socket_text = verb_path(admin, "/run/netbus/admin.sock");
	admin->socket = globals->socket != NULL ? globals->socket : globals->socket_text;
}

static int
settle_reason(struct admin *admin, const char *reason)
{
	size_t length = strlen(reason);

	for (size_t i = 0; i < length; i++)
		if ((unsigned char)reason[i] < 0x20 || reason[i] == 0x7f)
			return verb_usage(admin, "--reason has a control character; one line of text is wanted");
	if (length > sizeof((struct msg_grant_add *)NULL)->reason - 1 || !is_utf8(reason, length))
		return verb_usage(admin,
		    "--reason is too long or not UTF-8; at most %zu bytes fit into the audit trail",
		    sizeof((struct msg_grant_add *)NULL)->reason - 1);
	admin->reason = reason;
	return 0;
}

static int
settle(struct admin *admin, struct globals *globals)
{
	uint64_t timeout_us = 30 * UINT64_C(1000000);
	const char *terminal = getenv("TERM");
	int code;

	settle_root(admin, globals);
	admin->color = !globals->no_color && getenv("NO_COLOR") == NULL && isatty(STDOUT_FILENO) &&
		       (terminal == NULL || strcmp(terminal, "dumb") != 0);
	code = operand_duration(admin, "--timeout", globals->timeout, UINT64_C(86400) * 1000000, &timeout_us);
	if (code == 0)
		code = settle_reason(admin, globals->reason != NULL ? globals->reason : "");
	admin->timeout_ms = (unsigned)((timeout_us + 999) / 1000);
	return code;
}

static int
take_globals(struct admin *admin, struct globals *globals, int *argc, char **argv)
{
	const struct verb_option options[] = {{"json", .flag = &admin->json}, {"quiet", .flag = &admin->quiet},
	    {"no-color", .flag = &globals->no_color}, {"dry-run", .flag = &admin->dry_run},
	    {"yes", .flag = &admin->yes}, {"root", .value = &globals->root}, {"socket", .value = &globals->socket},
	    {"timeout", .value = &globals->timeout}, {"reason", .value = &globals->reason},
	    {"help", .flag = &globals->help}, {"version", .flag = &globals->version}, {NULL}};
	int code = verb_globals(admin, argc, argv, options);

	return code != 0 ? code : settle(admin, globals);
}

/* ---- main ---- */

static int
run(struct admin *admin, const struct globals *globals, int argc, char **argv)
{
	bool wants_help = globals->help || (argc > 0 && strcmp(argv[0], "-h") == 0);
	int took = 0;

	if (globals->version) {
		puts("netbus-admin " NETBUS_VERSION);
		return ADMIN_OK;
	}
	if (argc > 0 && strcmp(argv[0], "help") == 0) {
		wants_help = true;
		argc--;
		argv++;
	}
	admin->verb = find_verb(argc, argv, &took);
	if (wants_help && (argc == 0 || admin->verb != NULL || argv[0][0] == '-'))
		return help(admin->verb, NULL);
	if (wants_help && noun_exists(argv[0]) && argc == 1)
		return help(NULL, argv[0]);
	if (argc == 0)
		return verb_usage(admin, "what shall be done?");
	if (admin->verb == NULL && argv[0][0] == '-')
		return verb_usage(admin, "unknown option '%s'", argv[0]);
	if (admin->verb == NULL)
		return no_verb(admin, argc, argv);
	return admin->verb->run(admin, argc - took, argv + took);
}

int
main(int argc, char **argv)
{
	struct admin admin = {.root = "", .socket = "", .reason = ""};
	struct globals globals = {0};
	int words = argc > 0 ? argc - 1 : 0;
	int code = take_globals(&admin, &globals, &words, argv + 1);

	if (code == 0)
		code = run(&admin, &globals, words, argv + 1);
	if (fflush(stdout) != 0 || ferror(stdout))
		code = verb_fail(&admin, ADMIN_FAILURE, "cannot write to standard output");
	free(globals.root_text);
	free(globals.socket_text);
	return code;
}
