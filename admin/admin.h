/* SPDX-License-Identifier: Apache-2.0
 *
 * netbus-admin: one file per noun (cmd_*.c), one table of verbs (netbus-admin.c). What every verb gets: the global options,
 * which main has already taken out of argv wherever they stood, and the means to take its own options, to ask the broker and
 * to answer as a table for a person or as JSON for a program.
 *
 * It runs with the rights of whoever typed it. The broker's answers are trusted no further than their table (wire/admin.def);
 * strings in them may come from peers and are escaped before they reach a terminal.
 */
#ifndef NETBUS_ADMIN_ADMIN_H
#define NETBUS_ADMIN_ADMIN_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/yaml.h"
#include "wire/admin.h"

struct verb;

struct admin {
	const char *root;   /* "" for the system's own paths, else --root without its last slash */
	const char *socket; /* of the broker: --socket, or <root>/run/netbus/admin.sock */
	const char *reason; /* --reason, or "" */
	bool json, quiet, color, dry_run, yes;
	unsigned timeout_ms;     /* for an answer of the broker; default 30 s */
	const struct verb *verb; /* that is being run */
};

struct verb {
	const char *noun, *name; /* name NULL: `netbus-admin NOUN ...` */
	/* argv[0..argc) is what follows its name, without global options. Returns an exit code (enum admin_exit). */
	int (*run)(struct admin *admin, int argc, char **argv);
	const char *usage;   /* its operands and options, "VM SHARE [--mode ro|rw]" */
	const char *summary; /* one line for --help */
};
/* ---- netbus-admin.c ---- */

/* All verbs; the row after the last has noun NULL. */
const struct verb *admin_verbs(void);

/* ---- verb.c: options and messages ---- */

/* One option of a verb: `--name VALUE` or `--name=VALUE` when `value` is set, a plain `--name` when `flag` is. */
struct verb_option {
	const char *name; /* without dashes; NULL ends a table */
	const char **value;
	bool *flag;
};
/* Takes the options out of argv, so that argv[0..*argc) are the operands, of which there must be `least` to `most`. 0, or
 * ADMIN_USAGE after it said what is wrong. "--" ends the options. */
int verb_options(struct admin *admin, int *argc, char **argv, const struct verb_option *options, int least, int most);

/* "netbus-admin: ..." to standard error (with --json too); returns `exit_code`, so `return verb_fail(...)` reads well. */
int verb_fail(struct admin *admin, int exit_code, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* The same with the verb's usage line after it; returns ADMIN_USAGE. */
int verb_usage(struct admin *admin, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A line for a person on standard output; nothing with --quiet or --json. */
void verb_say(struct admin *admin, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* "warning: ..." to standard error, unless --quiet. */
void verb_warn(struct admin *admin, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Takes these options out of argv wherever they stand before "--", and leaves everything else where it is. */
int verb_globals(struct admin *admin, int *argc, char **argv, const struct verb_option *options);
/* All of them to standard error; returns `exit_code`. */
int verb_faults(struct admin *admin, const struct faults *faults, int exit_code);
/* <root> + `path`: malloc'd, never NULL. */
char *verb_path(const struct admin *admin, const char *path);
/* The pointer; when it is NULL, memory is out and the program ends here with ADMIN_FAILURE. */
void *verb_memory(void *memory);

/* ---- operand.c: what a verb's operands and options must be. Each copies the checked text out, or says what is wrong and returns
 * ADMIN_USAGE. `text` NULL leaves the output as it is ("any", "not given"). ---- */

int operand_name(struct admin *admin, const char *what, const char *text, char name[static 64]);
int operand_qualified(struct admin *admin, const char *what, const char *text, char name[static 128]);
int operand_mode(struct admin *admin, const char *text, uint8_t *mode); /* "ro" 0, "rw" 1 */
int operand_number(
    struct admin *admin, const char *what, const char *text, uint64_t least, uint64_t most, uint64_t *number);
int operand_duration(struct admin *admin, const char *what, const char *text, uint64_t most_us, uint64_t *us);
/* --reason, where there has to be one; it was checked already. */
int operand_reason(struct admin *admin, char *reason, size_t room);

/* ---- output.c ---- */

/* One JSON value on standard output, indented, with a newline. Takes the value. */
void output_json(json_t *taken);
/* A row of the admin protocol as a JSON object with the row table's field names. By their names and limits: "..._at" (microseconds
 * since 1970) is RFC 3339 text, a U8 of 0..1 a boolean, BYTES lower-case hexadecimal; 0 and all-zero of the first and last are null. */
json_t *output_object(const struct message_type *type, const void *message);

/* A table for a terminal: rows are gathered, columns sized, the widest texts cut so that a row fits into the terminal, which has 80
 * columns when it does not say (not when standard output is no terminal). */
struct table;
struct table *table_new(const char *const *titles); /* NULL-terminated */
/* One text for each title; copied, escaped; NULL or "" shows as "-". */
void table_row(struct table *table, const char *const *cells);
/* NULL is fine. */
void table_free(struct table *table);
/* Prints (when there is no row: `empty`, unless that is empty too) and frees. */
void table_print(struct admin *admin, struct table *taken, const char *empty);

/* Columns that a text takes: characters, not bytes, since what continues a character in UTF-8 takes none. And the bytes of the first `width` of them. */
size_t output_width(const char *text);
size_t output_bytes(const char *text, size_t width);
/* SIZE_MAX when standard output is no terminal. */
size_t output_terminal_width(void);

/* object[key] = value; takes the value, which may be NULL when memory was out (then as verb_memory()). The same for arrays. */
void output_put(json_t *object, const char *key, json_t *taken);
void output_append(json_t *array, json_t *taken);

/* ---- cell.c: texts for tables; a cell has CELL_LEN bytes ---- */

#define CELL_LEN 256
void cell_text(char *cell, const char *text);
void cell_number(char *cell, uint64_t number);
void cell_size(char *cell, uint64_t bytes);
void cell_time(char *cell, uint64_t at_us); /* "2026-11-22 12:00Z" */
/* Its first digits, enough for --lease. */
void cell_lease(char *cell, const uint8_t lease[static 16]);

/* A ROW_LIMIT in four cells: where it stands, whom it counts together, its amounts, leases. */
extern const char *const limit_titles[];
void limit_cells(const union admin_body *body, char (*cells)[CELL_LEN]);

/* ---- client.c: the broker ---- */

/* What came back: `take` is called for each row before DONE. */
struct asking {
	void (*take)(struct asking *asking, uint16_t number, const union admin_body *body);
	/* Requests that go before it on the same connection, one after the other until it gives false; each must be answered with 0. NULL: none. */
	bool (*before)(struct asking *asking, uint16_t *number, const void **request);
	void *context;
	bool renews;  /* the timeout counts anew from each row */
	bool endless; /* once it is asked, rows are waited for without end */
	struct msg_done done;
};
/* Sends one request and reads rows until DONE. The exit code of DONE, after its text was said (to standard error when it is a failure;
 * to standard output, unless --quiet or --json, when not), or ADMIN_UNREACHABLE or ADMIN_INCOMPLETE with what to do. Rows of type
 * ROW_NOTE are said as warnings here and not given to `take`. */
int client_ask(struct admin *admin, uint16_t number, const void *request, struct asking *asking);
/* The same without a word: for doctor. `error` says what went wrong when the broker could not be asked. */
int client_ask_quietly(
    struct admin *admin, uint16_t number, const void *request, struct asking *asking, struct error *error);
/* Rows as a JSON array, or (`single`) the one row as an object, or a table made by `cells`; the exit code. `cells` fills one text for each
 * title (a cell has CELL_LEN bytes); all rows are of type `row`. Without `cells` the fields of `single` stand below each other; rows of
 * `part` (may be NULL) that came with it are an array in it, or a table below. */
struct part {
	uint16_t row;
	const char *key; /* of the array */
	const char *const *titles;
	void (*cells)(const union admin_body *body, char (*cells)[CELL_LEN]);
};
struct listing {
	uint16_t row;
	const char *const *titles;
	void (*cells)(const union admin_body *body, char (*cells)[CELL_LEN]);
	const char *empty; /* said when there is no row */
	bool single;
	const struct part *parts; /* as long as they have a key; NULL: none */
};
int client_list(struct admin *admin, uint16_t number, const void *request, const struct listing *listing);

/* A request that changes something. With --json one object is printed, whatever the broker answered: `exit_code`, `record` and `text` of
 * DONE, and an array of rows under each key of `kinds` ([] when there were none; the last kind has key NULL; NULL: no kinds). Otherwise
 * receipts and faults are said as they come, and DONE's text after them. */
struct row_kind {
	uint16_t row;
	const char *key;
};
int client_change(struct admin *admin, uint16_t number, const void *request, const struct row_kind *kinds);

/* ---- ending.c: requests that end leases ---- */

/* Shows a receipt for each lease, or with --json an array of them. Without --yes a person first sees what would end, and is asked. */
struct ending {
	uint16_t number;
	const void *request;
	uint8_t *dry_run;            /* of that request */
	bool in_time;                /* what was forced was not to be: ADMIN_INCOMPLETE */
	const char *question, *done; /* "End this now?", "revoked" */
};
int ending_ask(struct admin *admin, const struct ending *ending);

/* ---- record.c: records of the audit trail as people see them ---- */

struct record_texts {
	char seq[32], time[32];
	char who[CELL_LEN];                        /* "acme/web-1 on m1, root" */
	const char *event, *share, *reason, *rule; /* borrowed from the record; "" what it lacks */
};
void record_texts(const json_t *record, struct record_texts *texts);
/* The text under `key`, or "". */
const char *record_text(const json_t *object, const char *key);

/* ---- verbs ---- */

/* The lease that `text` names: its 32 hexadecimal digits, or the first 4 or more of a lease that the broker knows (`ended`: also of one
 * that is over). An exit code. */
int lease_operand(struct admin *admin, const char *text, bool ended, uint8_t lease[static 16]);

int cmd_status(struct admin *admin, int argc, char **argv);
int cmd_events(struct admin *admin, int argc, char **argv);
int cmd_top(struct admin *admin, int argc, char **argv);
int cmd_doctor(struct admin *admin, int argc, char **argv);
int cmd_share_list(struct admin *admin, int argc, char **argv);
int cmd_share_show(struct admin *admin, int argc, char **argv);
int cmd_share_enable(struct admin *admin, int argc, char **argv);
int cmd_share_disable(struct admin *admin, int argc, char **argv);
int cmd_grant(struct admin *admin, int argc, char **argv);
int cmd_grant_list(struct admin *admin, int argc, char **argv);
int cmd_revoke(struct admin *admin, int argc, char **argv);
int cmd_lease_list(struct admin *admin, int argc, char **argv);
int cmd_lease_show(struct admin *admin, int argc, char **argv);
int cmd_lease_steal(struct admin *admin, int argc, char **argv);
int cmd_bar_list(struct admin *admin, int argc, char **argv);
int cmd_bar_lift(struct admin *admin, int argc, char **argv);
int cmd_session_list(struct admin *admin, int argc, char **argv);
int cmd_attach(struct admin *admin, int argc, char **argv);
int cmd_detach(struct admin *admin, int argc, char **argv);
int cmd_attachment_list(struct admin *admin, int argc, char **argv);
int cmd_policy_check(struct admin *admin, int argc, char **argv);
int cmd_policy_test(struct admin *admin, int argc, char **argv);
int cmd_policy_explain(struct admin *admin, int argc, char **argv);
int cmd_policy_show(struct admin *admin, int argc, char **argv);
int cmd_policy_who_can(struct admin *admin, int argc, char **argv);
int cmd_policy_diff(struct admin *admin, int argc, char **argv);
int cmd_policy_replay(struct admin *admin, int argc, char **argv);
int cmd_policy_reload(struct admin *admin, int argc, char **argv);
int cmd_policy_confirm(struct admin *admin, int argc, char **argv);
int cmd_host_add(struct admin *admin, int argc, char **argv);
int cmd_host_list(struct admin *admin, int argc, char **argv);
int cmd_host_deny(struct admin *admin, int argc, char **argv);
int cmd_host_allow(struct admin *admin, int argc, char **argv);
/* cmd_ticket.c */
int cmd_ticket_issue(struct admin *admin, int argc, char **argv);
int cmd_ticket_show(struct admin *admin, int argc, char **argv);
int cmd_ticket_key(struct admin *admin, int argc, char **argv);
/* A ticket from a file, or from standard input ("-"): its text, without a newline behind it. An exit code. Nothing of it is checked but that it
 * looks like one. */
int ticket_read_file(struct admin *admin, const char *path, char token[static LIMIT_TICKET + 1], size_t *length);
/* cmd_audit.c */
int cmd_audit_tail(struct admin *admin, int argc, char **argv);
int cmd_audit_show(struct admin *admin, int argc, char **argv);
int cmd_audit_verify(struct admin *admin, int argc, char **argv);
/* cmd_pki.c */
int cmd_pki_init(struct admin *admin, int argc, char **argv);
int cmd_pki_issue(struct admin *admin, int argc, char **argv);
int cmd_pki_show(struct admin *admin, int argc, char **argv);
int cmd_pki_token(struct admin *admin, int argc, char **argv);
int cmd_pki_tokens(struct admin *admin, int argc, char **argv);
int cmd_pki_withdraw(struct admin *admin, int argc, char **argv);
int cmd_pki_renew(struct admin *admin, int argc, char **argv);
int cmd_pki_rollover(struct admin *admin, int argc, char **argv);

#endif
