/* SPDX-License-Identifier: Apache-2.0
 *
 * Lines of the trail by their numbers, for who follows it (db/db.h). The file has no index and needs none: its lines are numbered, so that a line is found
 * by halving. What stands in it is believed no further than that it is a line with the number that belongs there; netbus-admin audit verify looks closer.
 */
#include <errno.h>
#include <string.h>

#include "db/db.h"
#include "db/statement.h"
#include "db/trail.h"

#define LINE_ROOM (RECORD_WHOLE_MAX + 1) /* with its newline */
#define NEAR      (16u << 10)            /* bytes that are searched line by line */

static int
not_as_written(uint64_t seq, struct error *error)
{
	return error_set(error, -EBADMSG,
	    "line %llu of the audit trail is not as it was written; see netbus-admin audit verify",
	    (unsigned long long)seq);
}

int
db_trail_next(const char *text, size_t length, struct db_place *place, struct record_head *head, struct error *error)
{
	const char *end = memchr(text, '\n', length);

	if (end == NULL || record_read(text, (size_t)(end - text), head) < 0 || head->seq != place->seq)
		return not_as_written(place->seq, error);
	place->seq++;
	place->offset += (uint64_t)(end - text) + 1;
	return (int)(end - text);
}

int
db_trail_read(
    const struct db *db, const struct db_place *place, char *text, size_t room, size_t *length, struct error *error)
{
	size_t got;
	const char *last;
	int code = trail_read(db->trail, place->offset, text, room, &got, error);

	if (code < 0)
		return code;
	last = got > 0 ? memrchr(text, '\n', got) : NULL;
	if (got > 0 && last == NULL)
		return not_as_written(place->seq, error);
	*length = got > 0 ? (size_t)(last - text) + 1 : 0;
	return 0;
}

/* The first line that begins at or behind `offset`. 0 with place->offset beyond what is kept when there is none. */
static int
line_after(const struct db *db, uint64_t offset, struct db_place *place, struct error *error)
{
	char text[2 * LINE_ROOM];
	const char *start, *end;
	struct record_head head;
	size_t length;
	int code = trail_read(db->trail, offset, text, sizeof text, &length, error);

	if (code < 0)
		return code;
	start = memchr(text, '\n', length);
	if (start == NULL || start + 1 == text + length) {
		place->offset = UINT64_MAX;
		return 0;
	}
	start++;
	end = memchr(start, '\n', length - (size_t)(start - text));
	if (end == NULL || record_read(start, (size_t)(end - start), &head) < 0)
		return error_set(error, -EBADMSG,
		    "the audit trail is not as it was written near its byte %llu; see netbus-admin audit verify",
		    (unsigned long long)offset);
	*place = (struct db_place){head.seq, offset + (uint64_t)(start - text)};
	return 0;
}

/* Moves `place` on to record `seq`, line by line. */
static int
walk_to(const struct db *db, uint64_t seq, struct db_place *place, struct error *error)
{
	char text[NEAR];
	struct record_head head;
	size_t length = 0, at;
	int code = 0;

	while (place->seq < seq) {
		code = db_trail_read(db, place, text, sizeof text, &length, error);
		if (code == 0 && length == 0)
			code = not_as_written(place->seq, error);
		for (at = 0; code >= 0 && at < length && place->seq < seq; at += (size_t)code + 1)
			code = db_trail_next(text + at, length - at, place, &head, error);
		if (code < 0)
			return code;
	}
	return 0;
}

int
db_trail_find(const struct db *db, uint64_t seq, struct db_place *place, struct error *error)
{
	const struct trail_head *kept = trail_kept(db->trail);
	struct db_place low = {1, 0}, middle = {0};
	uint64_t high = kept->bytes; /* the line begins at low or behind it, and not far behind high */

	if (seq < 1 || seq > kept->lines + 1)
		return error_set(error, -ENOENT, "the audit trail has no record %llu, its last is %llu",
		    (unsigned long long)seq, (unsigned long long)kept->lines);
	if (seq == kept->lines + 1) {
		*place = (struct db_place){seq, kept->bytes};
		return 0;
	}
	while (high - low.offset > NEAR) {
		uint64_t half = low.offset + (high - low.offset) / 2;
		int code = line_after(db, half, &middle, error);

		if (code < 0)
			return code;
		if (middle.offset < high && middle.seq <= seq)
			low = middle;
		else
			high = half;
	}
	*place = low;
	return walk_to(db, seq, place, error);
}
