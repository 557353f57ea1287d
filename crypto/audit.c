/* SPDX-License-Identifier: Apache-2.0
 *
 * Offline verification of an audit trail (crypto/audit.h). Runs in netbus-admin. Pure; the trail is hostile, the checkpoint's
 * signature was verified by seal_verify().
 *
 * A line has one form only, that of record_print() with the trail's chain field behind it. So nothing is parsed here: what must
 * stand at the front and at the end is compared, and what stands between is under the chain.
 */
#include "crypto/audit.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

#define HEAD_MAX 64

/* ---- one line ---- */

/* The number that a line says it has: digits without a zero in front, as printf makes them. False if it says none. */
static bool
number_of(const char *at, const char *end, uint64_t *number)
{
	uint64_t value = 0;

	if (at == end || *at < '1' || *at > '9')
		return false;
	for (; at < end && *at >= '0' && *at <= '9'; at++)
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*at - '0'), &value))
			return false;
	*number = value;
	return true;
}

static int
check_head(struct audit_verifier *verifier, uint64_t wanted)
{
	static const char begin[] = "{\"v\":1,\"seq\":";
	const char *line = verifier->line;
	char head[HEAD_MAX];
	uint64_t said;
	int length;

	if (verifier->used < sizeof begin - 1 || memcmp(line, begin, sizeof begin - 1) != 0 ||
	    !number_of(line + sizeof begin - 1, line + verifier->used, &said))
		return error_set(&verifier->error, -EBADMSG,
		    "line %" PRIu64 " does not begin as a record of this version does: %sNUMBER", wanted, begin);
	if (said != wanted)
		return error_set(&verifier->error, -EBADMSG,
		    "line %" PRIu64 " has number %" PRIu64 ": a line was inserted, removed or moved here", wanted,
		    said);
	length = snprintf(head, sizeof head, "%s%" PRIu64 ",\"ts\":\"", begin, wanted);
	if (verifier->used < (size_t)length || memcmp(line, head, (size_t)length) != 0)
		return error_set(&verifier->error, -EBADMSG,
		    "line %" PRIu64 " has no time behind its number, where a record has it", wanted);
	return 0;
}

static bool
is_lower_hex(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if ((text[i] < '0' || text[i] > '9') && (text[i] < 'a' || text[i] > 'f'))
			return false;
	return true;
}

/* The chain value that the line says it has. */
static bool
chain_of(const struct audit_verifier *verifier, uint8_t chain[static CHAIN_LEN])
{
	const char *tail, *digits;
	char hex[2 * CHAIN_LEN + 1];

	if (verifier->used < AUDIT_TAIL_LEN)
		return false;
	tail = verifier->line + verifier->used - AUDIT_TAIL_LEN;
	digits = tail + sizeof AUDIT_CHAIN_FIELD - 1;
	if (memcmp(tail, AUDIT_CHAIN_FIELD, sizeof AUDIT_CHAIN_FIELD - 1) != 0 ||
	    memcmp(digits + 2 * CHAIN_LEN, "\"}", 2) != 0 || !is_lower_hex(digits, 2 * CHAIN_LEN))
		return false;
	memcpy(hex, digits, 2 * CHAIN_LEN);
	hex[2 * CHAIN_LEN] = '\0';
	return parse_hex(hex, chain, CHAIN_LEN) == 0;
}

static int
check_line(struct audit_verifier *verifier)
{
	uint64_t number = verifier->lines + 1;
	uint8_t said[CHAIN_LEN], real[CHAIN_LEN];
	int code = check_head(verifier, number);

	if (code < 0)
		return code;
	if (!chain_of(verifier, said))
		return error_set(
		    &verifier->error, -EBADMSG, "line %" PRIu64 " does not end with its chain value", number);
	chain_next(verifier->chain, verifier->line, verifier->used - AUDIT_TAIL_LEN, real);
	if (memcmp(said, real, CHAIN_LEN) != 0)
		return error_set(&verifier->error, -EBADMSG,
		    "line %" PRIu64 " was changed: its chain value does not fit its text", number);
	memcpy(verifier->chain, real, CHAIN_LEN);
	return 0;
}

/* ---- the checkpoint ---- */

static int
check_root(struct audit_verifier *verifier)
{
	const struct checkpoint *checkpoint = &verifier->checkpoint;
	uint8_t root[CHAIN_LEN];

	if (!verifier->has_checkpoint || verifier->lines != checkpoint->size)
		return 0;
	tree_root(&verifier->tree, root);
	if (memcmp(root, checkpoint->root, CHAIN_LEN) == 0)
		return 0;
	return error_set(&verifier->error, -EBADMSG,
	    "the first %" PRIu64 " lines are not those of the checkpoint: the trail was written anew, with a chain "
	    "that fits (or it is another host's)",
	    checkpoint->size);
}

/* ---- the stream ---- */

void
audit_begin(struct audit_verifier *verifier, const struct checkpoint *checkpoint)
{
	memset(verifier, 0, sizeof *verifier);
	if (checkpoint == NULL)
		return;
	verifier->has_checkpoint = true;
	verifier->checkpoint = *checkpoint;
	check_root(verifier); /* of a checkpoint before the first line */
}

static int
fail_line(struct audit_verifier *verifier)
{
	verifier->first_bad_line = verifier->lines + 1;
	return verifier->error.code;
}

static int
end_line(struct audit_verifier *verifier)
{
	if (check_line(verifier) < 0)
		return fail_line(verifier);
	tree_append(&verifier->tree, verifier->line, verifier->used);
	verifier->lines++;
	verifier->used = 0;
	return check_root(verifier);
}

/* A piece of a line. */
static int
gather(struct audit_verifier *verifier, const char *piece, size_t length)
{
	if (length > sizeof verifier->line - verifier->used) {
		error_set(&verifier->error, -EBADMSG, "line %" PRIu64 " is longer than %zu bytes, which no record is",
		    verifier->lines + 1, (size_t)AUDIT_LINE_MAX);
		return fail_line(verifier);
	}
	memcpy(verifier->line + verifier->used, piece, length);
	verifier->used += length;
	return 0;
}

int
audit_feed(struct audit_verifier *verifier, const void *untrusted, size_t length)
{
	const char *at = untrusted, *end = at + length;

	while (at < end && verifier->error.code == 0) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		const char *stop = newline != NULL ? newline : end;

		if (gather(verifier, at, (size_t)(stop - at)) == 0 && newline != NULL)
			end_line(verifier);
		at = newline != NULL ? newline + 1 : end;
	}
	return verifier->error.code;
}

int
audit_end(struct audit_verifier *verifier)
{
	const struct checkpoint *checkpoint = &verifier->checkpoint;

	if (verifier->error.code != 0)
		return verifier->error.code;
	if (verifier->used > 0) {
		error_set(&verifier->error, -EBADMSG,
		    "line %" PRIu64 " is incomplete: the trail ends in the middle of it", verifier->lines + 1);
		return fail_line(verifier);
	}
	if (verifier->has_checkpoint && verifier->lines < checkpoint->size)
		return error_set(&verifier->error, -EBADMSG,
		    "the trail is shorter than its checkpoint: %" PRIu64 " lines are missing after line %" PRIu64,
		    checkpoint->size - verifier->lines, verifier->lines);
	return 0;
}
