/* SPDX-License-Identifier: Apache-2.0
 *
 * The audit trail's file (db/trail.h). Nobody else writes it; that somebody else could is what the chain, the head in SQLite and the signed
 * checkpoints are for.
 */
#include "db/trail.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/buffer.h"
#include "base/text.h"

/* Bytes of one transaction's records. A revoke takes away all grants that it names in one, with a record for each: of a large tenant they are tens of thousands. */
#define PENDING_MAX ((size_t)64 << 20)
/* What is reserved beyond TRAIL_RESERVE, so that not each record asks the file system anew. */
#define RESERVE_AHEAD (16u << 10)
#define CHAIN_FIELD   ",\"chain\":\""
/* ,"chain":"<64 hex>"}  */
#define CHAIN_TAIL (sizeof CHAIN_FIELD - 1 + 2 * (size_t)CHAIN_LEN + 2)

struct trail {
	char *path;
	int fd;
	struct trail_head now, kept;
	struct buffer pending;
	bool written;          /* pending bytes may be in the file */
	bool broken;           /* the file could not be brought back to what it must be */
	uint64_t reserved_end; /* up to here the file has its space */
};

/* ---- appending ---- */

/* Space that is already there is not taken twice; past the end of the file nobody sees it. A file system without fallocate(2) has no reserve. */
static bool
reserve(struct trail *trail, uint64_t bytes)
{
	if (fallocate(trail->fd, FALLOC_FL_KEEP_SIZE, (off_t)trail->kept.bytes, (off_t)bytes) < 0)
		return errno == EOPNOTSUPP;
	trail->reserved_end = trail->kept.bytes + bytes;
	return true;
}

bool
trail_ready(struct trail *trail)
{
	bool whole = trail->reserved_end >= trail->kept.bytes + TRAIL_RESERVE;

	return (whole || reserve(trail, TRAIL_RESERVE + RESERVE_AHEAD) || reserve(trail, TRAIL_RESERVE)) &&
	       !trail->broken;
}

/* Also takes the reserve away. */
static int
cut(struct trail *trail, uint64_t bytes)
{
	trail->reserved_end = 0;
	return ftruncate(trail->fd, (off_t)bytes) < 0 ? -errno : 0;
}

int
trail_add(struct trail *trail, const struct record *record, int64_t now_us, uint64_t *seq, struct error *error)
{
	char line[RECORD_LINE_MAX + CHAIN_TAIL + 2], hex[2 * CHAIN_LEN + 1];
	uint64_t number = trail->now.lines + 1;
	int length = record_print(record, number, now_us, line, RECORD_LINE_MAX);
	int code;

	if (length < 0)
		return error_set(error, length, "the audit record %s is longer than %d bytes",
		    event_name(record->event), RECORD_LINE_MAX);
	chain_next(trail->now.chain, line, (size_t)length, trail->now.chain);
	print_hex(trail->now.chain, CHAIN_LEN, hex);
	length += snprintf(line + length, sizeof line - (size_t)length, CHAIN_FIELD "%s\"}\n", hex);
	code = buffer_append(&trail->pending, line, (size_t)length);
	if (code < 0)
		return error_errno(error, code, "too many audit records in one transaction");
	tree_append(&trail->now.tree, line, (size_t)length - 1);
	trail->now.lines = number;
	trail->now.bytes += (uint64_t)length;
	if (seq)
		*seq = number;
	return 0;
}

/* A trail that was moved away or replaced would go on being written where nobody looks. */
static int
check_in_place(const struct trail *trail, struct error *error)
{
	struct stat by_path, by_fd;

	if (fstat(trail->fd, &by_fd) < 0)
		return error_errno(error, -errno, "%s: cannot be looked at", trail->path);
	if (stat(trail->path, &by_path) < 0 || by_path.st_ino != by_fd.st_ino || by_path.st_dev != by_fd.st_dev)
		return error_set(error, -ESTALE,
		    "the audit trail %s was moved, removed or replaced; put the file back (nothing new is allowed "
		    "until then)",
		    trail->path);
	if ((uint64_t)by_fd.st_size != trail->kept.bytes)
		return error_set(error, -EBADMSG,
		    "the audit trail %s was changed by somebody else: it has %lld bytes, not %llu; see netbus-admin "
		    "audit verify",
		    trail->path, (long long)by_fd.st_size, (unsigned long long)trail->kept.bytes);
	return 0;
}

static int
write_at(int fd, const uint8_t *bytes, size_t length, off_t offset)
{
	while (length > 0) {
		ssize_t done = pwrite(fd, bytes, length, offset);

		if (done < 0 && errno != EINTR)
			return -errno;
		if (done > 0) {
			bytes += done;
			length -= (size_t)done;
			offset += done;
		}
	}
	return 0;
}

int
trail_write(struct trail *trail, struct error *error)
{
	int code;

	if (trail->broken)
		return error_set(error, -EIO,
		    "the audit trail %s could not be repaired after a failed write; restart netbusd", trail->path);
	if (buffer_length(&trail->pending) == 0)
		return 0;
	code = check_in_place(trail, error);
	if (code < 0)
		return code;
	trail->written = true;
	code = write_at(
	    trail->fd, buffer_front(&trail->pending), buffer_length(&trail->pending), (off_t)trail->kept.bytes);
	if (code == 0 && fdatasync(trail->fd) < 0)
		code = -errno;
	return code == 0 ? 0 : error_errno(error, code, "the audit trail %s cannot be written", trail->path);
}

void
trail_undo(struct trail *trail)
{
	if (trail->written && (cut(trail, trail->kept.bytes) < 0 || fdatasync(trail->fd) < 0))
		trail->broken = true;
	trail->written = false;
	trail->now = trail->kept;
	buffer_consume(&trail->pending, buffer_length(&trail->pending));
}

void
trail_keep(struct trail *trail)
{
	trail->written = false;
	trail->kept = trail->now;
	buffer_consume(&trail->pending, buffer_length(&trail->pending));
}

const struct trail_head *
trail_head(const struct trail *trail)
{
	return &trail->now;
}

const struct trail_head *
trail_kept(const struct trail *trail)
{
	return &trail->kept;
}

/* ---- opening, reading ---- */

/* The chain value that a line (without newline) says it has; false if it says none. */
static bool
chain_of(const char *line, size_t length, uint8_t chain[static CHAIN_LEN])
{
	const char *tail = line + length - CHAIN_TAIL;
	char hex[2 * CHAIN_LEN + 1];

	if (length < CHAIN_TAIL || memcmp(tail, CHAIN_FIELD, sizeof CHAIN_FIELD - 1) != 0 ||
	    memcmp(line + length - 2, "\"}", 2) != 0)
		return false;
	memcpy(hex, tail + sizeof CHAIN_FIELD - 1, sizeof hex - 1);
	hex[sizeof hex - 1] = '\0';
	return parse_hex(hex, chain, CHAIN_LEN) == 0;
}

static int
read_at(int fd, void *bytes, size_t length, off_t offset)
{
	char *at = bytes;

	while (length > 0) {
		ssize_t got = pread(fd, at, length, offset);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? -errno : -EIO;
		at += got;
		offset += got;
		length -= (size_t)got;
	}
	return 0;
}

int
trail_read(const struct trail *trail, uint64_t offset, char *text, size_t room, size_t *length, struct error *error)
{
	uint64_t left = offset < trail->kept.bytes ? trail->kept.bytes - offset : 0;
	size_t wanted = left < room ? (size_t)left : room;
	int code = wanted > 0 ? read_at(trail->fd, text, wanted, (off_t)offset) : 0;

	if (code < 0)
		return error_errno(error, code, "the audit trail %s cannot be read", trail->path);
	*length = wanted;
	return 0;
}

/* The last line that the head knows must be there and be that line. */
static int
check_last_line(const struct trail *trail, struct error *error)
{
	char text[RECORD_LINE_MAX + CHAIN_TAIL + 2];
	size_t length = trail->kept.bytes < sizeof text ? (size_t)trail->kept.bytes : sizeof text, start;
	uint8_t chain[CHAIN_LEN];
	int code;

	if (length == 0)
		return 0;
	code = read_at(trail->fd, text, length, (off_t)(trail->kept.bytes - length));
	if (code < 0)
		return error_errno(error, code, "%s cannot be read", trail->path);
	for (start = length - 1; start > 0 && text[start - 1] != '\n'; start--)
		;
	if (text[length - 1] != '\n' || !chain_of(text + start, length - 1 - start, chain) ||
	    memcmp(chain, trail->kept.chain, CHAIN_LEN) != 0)
		return error_set(error, -EBADMSG,
		    "%s: line %llu is not the one that was written (the state database has another chain value for "
		    "it); restore the file, "
		    "see netbus-admin audit verify",
		    trail->path, (unsigned long long)trail->kept.lines);
	return 0;
}

/* One line (without its newline) after the head: false if it does not chain on. */
static bool
follow_line(struct trail_head *head, const char *line, size_t length)
{
	uint8_t said[CHAIN_LEN], next[CHAIN_LEN];

	if (length > RECORD_LINE_MAX + CHAIN_TAIL || !chain_of(line, length, said))
		return false;
	chain_next(head->chain, line, length - CHAIN_TAIL, next);
	if (memcmp(said, next, CHAIN_LEN) != 0)
		return false;
	memcpy(head->chain, next, CHAIN_LEN);
	tree_append(&head->tree, line, length);
	head->lines++;
	head->bytes += length + 1;
	return true;
}

static int
adopt_line(struct trail *trail, const char *line, size_t length, struct error *error)
{
	if (follow_line(&trail->now, line, length))
		return 0;
	return error_set(error, -EBADMSG,
	    "%s: line %llu was not written by netbusd; move the file aside and restore the original, see "
	    "netbus-admin audit verify",
	    trail->path, (unsigned long long)trail->now.lines + 1);
}

/* Lines that were synced, but whose transaction was never committed. */
static int
adopt_tail(struct trail *trail, uint64_t size, struct error *error)
{
	size_t length = (size_t)(size - trail->kept.bytes);
	AUTO_FREE char *text = NULL;
	char *at, *end;
	int code = 0;

	if (size < trail->kept.bytes)
		return error_set(error, -EBADMSG,
		    "%s is shorter (%llu bytes) than what was written (%llu lines, %llu bytes): somebody cut or "
		    "replaced it; restore it (if it is lost: netbusd --adopt-state, see netbusd(8))",
		    trail->path, (unsigned long long)size, (unsigned long long)trail->kept.lines,
		    (unsigned long long)trail->kept.bytes);
	if (length > PENDING_MAX)
		return error_set(error, -EBADMSG, "%s has %zu bytes that netbusd did not write; restore the original",
		    trail->path, length);
	if (length == 0)
		return 0;
	text = malloc(length);
	if (text == NULL)
		return error_errno(error, -ENOMEM, "%s", trail->path);
	code = read_at(trail->fd, text, length, (off_t)trail->kept.bytes);
	if (code < 0)
		return error_errno(error, code, "%s cannot be read", trail->path);
	for (at = text; (end = memchr(at, '\n', length - (size_t)(at - text))) != NULL && code == 0; at = end + 1)
		code = adopt_line(trail, at, (size_t)(end - at), error);
	if (code < 0)
		return code;
	if (trail->now.bytes < size) /* a torn line */
		code = cut(trail, trail->now.bytes);
	return code < 0 ? error_errno(error, code, "%s cannot be cut after its last whole line", trail->path) : 0;
}

static int
open_and_check(struct trail *trail, const struct trail_head *head, struct error *error)
{
	struct stat status;
	int code;

	trail->fd = open(trail->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (trail->fd < 0 || fstat(trail->fd, &status) < 0)
		return error_errno(error, -errno, "the audit trail %s cannot be opened", trail->path);
	if (!S_ISREG(status.st_mode))
		return error_set(error, -EINVAL, "the audit trail %s is no regular file; move it away", trail->path);
	trail->now = trail->kept = *head;
	code = check_last_line(trail, error);
	if (code < 0 && status.st_size >= (off_t)trail->kept.bytes)
		return code;
	return adopt_tail(trail, (uint64_t)status.st_size, error);
}

struct trail *
trail_open(const char *path, const struct trail_head *head, uint64_t *recovered, struct error *error)
{
	struct trail *trail = calloc(1, sizeof *trail);
	int code;

	if (trail == NULL || (trail->path = strdup(path)) == NULL) {
		free(trail);
		error_errno(error, -ENOMEM, "%s", path);
		return NULL;
	}
	trail->fd = -1;
	buffer_init(&trail->pending, PENDING_MAX);
	code = open_and_check(trail, head, error);
	if (code < 0) {
		trail_close(trail);
		return NULL;
	}
	*recovered = trail->now.lines - trail->kept.lines;
	trail->kept = trail->now;
	trail_ready(trail);
	return trail;
}

/* ---- surveying ---- */

/* The number after "key": in the line's own members, or 0. A string cannot hold the quotes, since JSON escapes them. */
static uint64_t
number_of(const char *line, const char *key)
{
	const char *at = strstr(line, key);

	return at ? strtoull(at + strlen(key), NULL, 10) : 0;
}

static void
survey_line(struct trail_survey *survey, const char *line, uint64_t at, const uint8_t chain[static CHAIN_LEN])
{
	/* Other events have the epochs of other hosts. */
	uint64_t epoch = strstr(line, ",\"event\":\"attach.allow\"") ? number_of(line, ",\"epoch\":") : 0;
	uint64_t generation = number_of(line, ",\"generation\":");

	if (survey->head.lines == at)
		survey->same_at = memcmp(survey->head.chain, chain, CHAIN_LEN) == 0;
	if (epoch > survey->epochs)
		survey->epochs = epoch;
	if (generation > survey->generation)
		survey->generation = generation;
}

static int
survey_file(FILE *file, const char *path, uint64_t at, const uint8_t chain[static CHAIN_LEN],
    struct trail_survey *survey, struct error *error)
{
	char line[RECORD_LINE_MAX + CHAIN_TAIL + 3];

	while (fgets(line, sizeof line, file)) {
		size_t length = strlen(line);
		bool whole = length > 0 && line[length - 1] == '\n';

		if (!whole && feof(file))
			break; /* torn */
		if (whole)
			line[--length] = '\0';
		if (!whole || !follow_line(&survey->head, line, length))
			return error_set(error, -EBADMSG,
			    "%s: line %llu was not written by netbusd; keep the file as evidence, but move it "
			    "elsewhere: "
			    "then the trail begins anew",
			    path, (unsigned long long)survey->head.lines + 1);
		survey_line(survey, line, at, chain);
	}
	return ferror(file) ? error_errno(error, -EIO, "%s cannot be read", path) : 0;
}

int
trail_survey(const char *path, uint64_t at, const uint8_t chain[static CHAIN_LEN], struct trail_survey *survey,
    struct error *error)
{
	FILE *file = fopen(path, "re");
	int code;

	*survey = (struct trail_survey){.same_at = at == 0};
	if (file == NULL)
		return errno == ENOENT ? 0 : error_errno(error, -errno, "the audit trail %s cannot be opened", path);
	code = survey_file(file, path, at, chain, survey, error);
	fclose(file);
	return code;
}

void
trail_close(struct trail *trail)
{
	if (trail == NULL)
		return;
	buffer_clear(&trail->pending);
	if (trail->fd >= 0)
		close(trail->fd);
	free(trail->path);
	free(trail);
}
