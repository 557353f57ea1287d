/* SPDX-License-Identifier: Apache-2.0
 *
 * The place and the subject of a line of the audit trail (wire/record.h). Pure. The line may be anything: names in it are peers', and the file can have
 * been changed by whoever may write there.
 */
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "wire/record.h"

struct scan {
	const char *at, *end;
	bool bad;
};

/* A key and what stands behind its colon: a text or a number, or an object, whose pairs come next. */
struct pair {
	struct record_text key, text;
	bool is_object;
};

static bool
take(struct scan *scan, char wanted)
{
	if (scan->bad || scan->at == scan->end || *scan->at != wanted)
		return false;
	scan->at++;
	return true;
}

static void
need(struct scan *scan, char wanted)
{
	scan->bad = !take(scan, wanted);
}

static struct record_text
take_string(struct scan *scan)
{
	struct record_text text;

	need(scan, '"');
	text.at = scan->at;
	for (; !scan->bad && scan->at < scan->end && *scan->at != '"'; scan->at++)
		if (*scan->at == '\\' && ++scan->at == scan->end)
			break;
	text.length = (size_t)(scan->at - text.at);
	need(scan, '"');
	return text;
}

static struct record_text
take_digits(struct scan *scan)
{
	struct record_text text = {scan->at, 0};

	while (scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9')
		scan->at++;
	text.length = (size_t)(scan->at - text.at);
	scan->bad = scan->bad || text.length == 0;
	return text;
}

/* The next pair of the object that is being read; false at its end, and when it is no object. `first`: behind its opening brace. */
static bool
next_pair(struct scan *scan, bool first, struct pair *pair)
{
	if (take(scan, '}'))
		return false;
	if (!first)
		need(scan, ',');
	pair->key = take_string(scan);
	need(scan, ':');
	pair->is_object = take(scan, '{');
	if (!pair->is_object)
		pair->text = scan->at < scan->end && *scan->at == '"' ? take_string(scan) : take_digits(scan);
	return !scan->bad;
}

static bool
is_key(const struct pair *pair, const char *name)
{
	return pair->key.length == strlen(name) && memcmp(pair->key.at, name, pair->key.length) == 0;
}

/* A copy with a NUL, for parsers; false when it does not fit. */
static bool
copy(const struct record_text *text, char *out, size_t room)
{
	if (text->length >= room)
		return false;
	memcpy(out, text->at, text->length);
	out[text->length] = '\0';
	return true;
}

/* What a line cannot be without, and what must not be there twice. */
enum { PLACE_SEQ = 1, PLACE_TIME = 2, PLACE_CHAIN = 4, PLACE_ALL = 7 };

static unsigned
place_of(const struct pair *pair)
{
	return is_key(pair, "seq")     ? PLACE_SEQ
	       : is_key(pair, "ts")    ? PLACE_TIME
	       : is_key(pair, "chain") ? PLACE_CHAIN
				       : 0;
}

static bool
read_place(const struct pair *pair, unsigned place, struct record_head *head)
{
	char text[2 * RECORD_CHAIN_LEN + 1];

	if (!copy(&pair->text, text, sizeof text))
		return false;
	if (place == PLACE_SEQ)
		return parse_number(text, 1, INT64_MAX, &head->seq, NULL) == 0;
	if (place == PLACE_TIME)
		return clock_parse(text, &head->wall_us, NULL) == 0;
	return parse_hex(text, head->chain, RECORD_CHAIN_LEN) == 0;
}

/* Of an object in the object only its texts count, and of these a principal's VM. */
static bool
read_inner(struct scan *scan, bool is_principal, struct record_head *head)
{
	struct pair pair;

	for (bool first = true; next_pair(scan, first, &pair); first = false) {
		if (pair.is_object)
			return false;
		if (is_principal && is_key(&pair, "vm"))
			head->vm = pair.text;
	}
	return !scan->bad;
}

static bool
is_clean(const char *line, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
			return false;
	return is_utf8(line, length);
}

int
record_read(const char *untrusted_line, size_t length, struct record_head *head)
{
	struct scan scan = {untrusted_line, untrusted_line + length, false};
	struct record_head read = {0};
	bool good = length <= RECORD_WHOLE_MAX && is_clean(untrusted_line, length) && take(&scan, '{');
	unsigned places = 0, place;
	struct pair pair;

	for (bool first = true; good && next_pair(&scan, first, &pair); first = false) {
		if (pair.is_object) {
			good = read_inner(&scan, is_key(&pair, "principal"), &read);
		} else if ((place = place_of(&pair)) != 0) {
			good = !(places & place) && read_place(&pair, place, &read);
			places |= place;
		} else if (is_key(&pair, "share")) {
			read.share = pair.text;
		}
	}
	if (!good || scan.bad || scan.at != scan.end || places != PLACE_ALL)
		return -EBADMSG;
	*head = read;
	return 0;
}
