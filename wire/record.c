/* SPDX-License-Identifier: Apache-2.0
 *
 * One line of the audit trail as text (wire/record.h). Pure. Every string may come from a peer; JSON's escapes and the line's limit are
 * all that stands between it and the file.
 */
#include "wire/record.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"

static const struct {
	const char *name, *sentence;
} events[] = {
#define EVENT(symbol, name, sentence) {(name), (sentence)},
#include "wire/event.def"
#undef EVENT
};

const char *
event_name(enum record_event event)
{
	return event < EVENT_COUNT ? events[event].name : "unknown";
}

const char *
event_sentence(enum record_event event)
{
	return event < EVENT_COUNT ? events[event].sentence : "";
}

struct line {
	char *out;
	size_t used, room;
	bool full;
};

__attribute__((format(printf, 2, 3))) static void
put(struct line *line, const char *format, ...)
{
	va_list arguments;
	int length;

	if (line->full)
		return;
	va_start(arguments, format);
	length = vsnprintf(line->out + line->used, line->room - line->used, format, arguments);
	va_end(arguments);
	if (length < 0 || (size_t)length >= line->room - line->used)
		line->full = true;
	else
		line->used += (size_t)length;
}

/* RFC 8259 section 7. Control characters and DEL are escaped; bytes that are not UTF-8 become U+FFFD one by one. */
static void
put_string(struct line *line, const char *text)
{
	bool utf8 = is_utf8(text, strlen(text));

	put(line, "\"");
	for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
		if (*c == '"' || *c == '\\')
			put(line, "\\%c", *c);
		else if (*c < 0x20 || *c == 0x7f)
			put(line, "\\u%04x", *c);
		else if (*c >= 0x80 && !utf8)
			put(line, "\\ufffd");
		else
			put(line, "%c", *c);
	}
	put(line, "\"");
}

static void
put_text(struct line *line, const char *key, const char *text)
{
	if (text == NULL || text[0] == '\0')
		return;
	put(line, ",\"%s\":", key);
	put_string(line, text);
}

/* "acme" of "acme/web-1". */
static void
put_tenant(struct line *line, const char *qualified, const char *comma)
{
	char tenant[128];

	snprintf(tenant, sizeof tenant, "%.*s", (int)strcspn(qualified, "/"), qualified);
	put(line, "%s\"tenant\":", comma);
	put_string(line, tenant);
}

static void
put_principal(struct line *line, const struct record *record)
{
	const struct {
		const char *key, *text;
	} parts[] = {{"host", record->host}, {"vm", record->vm}, {"admin", record->admin}};
	const char *comma = "", *owner = record->vm && record->vm[0] ? record->vm : record->share;

	put(line, ",\"principal\":{");
	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
		if (parts[i].text == NULL || parts[i].text[0] == '\0')
			continue;
		put(line, "%s\"%s\":", comma, parts[i].key);
		put_string(line, parts[i].text);
		comma = ",";
	}
	if (owner && owner[0])
		put_tenant(line, owner, comma);
	put(line, "}");
}

static void
put_detail(struct line *line, const struct record *record)
{
	put(line, ",\"detail\":{");
	for (size_t i = 0; i < record->detail_count && i < RECORD_DETAIL_MAX; i++) {
		const struct record_detail *detail = &record->detail[i];

		put(line, "%s\"%s\":", i ? "," : "", detail->key);
		if (detail->text)
			put_string(line, detail->text);
		else
			put(line, "%" PRIu64, detail->number);
	}
	put(line, "}");
}

int
record_print(const struct record *record, uint64_t seq, int64_t wall_us, char *out, size_t room)
{
	static const char *const decisions[] = {NULL, "allow", "deny"};
	struct line line = {out, 0, room, room == 0};
	char ts[CLOCK_TEXT_LEN], lease[33];

	clock_print(wall_us, ts);
	put(&line, "{\"v\":1,\"seq\":%" PRIu64 ",\"ts\":\"%s\",\"event\":\"%s\"", seq, ts, event_name(record->event));
	put_text(&line, "decision", decisions[record->decision]);
	put_text(&line, "reason", record->reason);
	put_text(&line, "rule", record->rule);
	if (record->generation)
		put(&line, ",\"generation\":%" PRIu64, record->generation);
	put_principal(&line, record);
	put_text(&line, "share", record->share);
	if (record->lease) {
		print_hex(record->lease, 16, lease);
		put(&line, ",\"lease\":\"%s\"", lease);
	}
	if (record->epoch)
		put(&line, ",\"epoch\":%" PRIu64, record->epoch);
	put_text(&line, "mode", record->mode);
	if (record->detail_count)
		put_detail(&line, record);
	return line.full ? -ENOBUFS : (int)line.used;
}
