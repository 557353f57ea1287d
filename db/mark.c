/* SPDX-License-Identifier: Apache-2.0
 *
 * The high-water mark's file (db/mark.h). It protects against mistakes, not against who may write it: he could compute the sum, too.
 */
#include "db/mark.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "base/text.h"
#include "crypto/chain.h"

struct mark {
	char *path;
	int fd;
	struct mark_values values;
	bool unsynced;
};

/* ---- as text ---- */

static void
print(const struct mark_values *values, char text[static MARK_FILE_LEN + 1])
{
	char line[2 * MARK_LINE_LEN + 1], sum[2 * CHAIN_LEN + 1];
	uint8_t digest[CHAIN_LEN] = {0};
	int length;

	print_hex(values->line, MARK_LINE_LEN, line);
	length = snprintf(text, MARK_FILE_LEN,
	    "netbus-mark 1 line=%s begun=%" PRIu64 " done=%" PRIu64 " lines=%" PRIu64 " epochs=%" PRIu64, line,
	    values->begun, values->done, values->lines, values->epochs);
	chain_next(digest, text, (size_t)length, digest);
	print_hex(digest, CHAIN_LEN, sum);
	length += snprintf(text + length, MARK_FILE_LEN - (size_t)length, " sum=%s", sum);
	memset(text + length, ' ', MARK_FILE_LEN - 1 - (size_t)length);
	text[MARK_FILE_LEN - 1] = '\n';
	text[MARK_FILE_LEN] = '\0';
}

/* What is read must print as what was read: that holds every byte against the format, and the sum. */
static bool
parse(const char *text, size_t length, struct mark_values *values)
{
	char line[2 * MARK_LINE_LEN + 1], again[MARK_FILE_LEN + 1];

	return length == MARK_FILE_LEN &&
	       sscanf(text, /* NOLINT(cert-err34-c): a number that is too large prints as another one */
		   "netbus-mark 1 line=%32s begun=%" SCNu64 " done=%" SCNu64 " lines=%" SCNu64 " epochs=%" SCNu64, line,
		   &values->begun, &values->done, &values->lines, &values->epochs) == 5 &&
	       parse_hex(line, values->line, MARK_LINE_LEN) == 0 && values->done <= values->begun &&
	       (print(values, again), memcmp(again, text, MARK_FILE_LEN) == 0);
}

int
mark_read(const char *path, struct mark_values *values, struct error *error)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK);
	AUTO_FREE char *text = NULL;
	struct mark_values read;
	size_t length;
	int code;

	if (fd < 0)
		return errno == ENOENT ? error_set(error, -ENOENT, "the mark %s is missing", path)
				       : error_errno(error, -errno, "the mark %s cannot be opened", path);
	code = fd_read_all(fd, MARK_FILE_LEN, &text, &length);
	if (code < 0 && code != -EFBIG)
		return error_errno(error, code, "the mark %s cannot be read", path);
	if (code < 0 || !parse(text, length, &read))
		return error_set(error, -EBADMSG, "the mark %s is damaged or was edited", path);
	*values = read;
	return 0;
}

/* ---- the file ---- */

struct mark *
mark_open(const char *path, const struct mark_values *values, struct error *error)
{
	struct mark *mark = calloc(1, sizeof *mark);

	if (mark == NULL || (mark->path = strdup(path)) == NULL) {
		free(mark);
		error_errno(error, -ENOMEM, "%s", path);
		return NULL;
	}
	mark->values = *values;
	mark->fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (mark->fd >= 0)
		return mark;
	error_errno(error, -errno, "the mark %s cannot be opened", path);
	mark_close(mark);
	return NULL;
}

struct mark *
mark_make(const char *path, const struct mark_values *values, struct error *error)
{
	char text[MARK_FILE_LEN + 1];

	print(values, text);
	return file_replace(path, text, MARK_FILE_LEN, 0640, error) < 0 ? NULL : mark_open(path, values, error);
}

void
mark_close(struct mark *mark)
{
	if (mark == NULL)
		return;
	mark_settle(mark);
	if (mark->fd >= 0)
		close(mark->fd);
	free(mark->path);
	free(mark);
}

static int
write_values(const struct mark *mark, const struct mark_values *values)
{
	char text[MARK_FILE_LEN + 1];
	ssize_t written;

	print(values, text);
	do
		written = pwrite(mark->fd, text, MARK_FILE_LEN, 0);
	while (written < 0 && errno == EINTR);
	if (written < 0)
		return -errno;
	return written == MARK_FILE_LEN ? 0 : -EIO;
}

/* Somebody who put another file in its place would have us write where the next start does not look. */
static int
check_in_place(const struct mark *mark, struct error *error)
{
	struct stat by_path, by_fd;

	if (fstat(mark->fd, &by_fd) < 0)
		return error_errno(error, -errno, "the mark %s cannot be looked at", mark->path);
	if (stat(mark->path, &by_path) < 0 || by_path.st_ino != by_fd.st_ino || by_path.st_dev != by_fd.st_dev ||
	    by_fd.st_size != MARK_FILE_LEN)
		return error_set(error, -ESTALE,
		    "the mark %s was moved, removed or replaced; put the file back (nothing new is allowed until then)",
		    mark->path);
	return 0;
}

int
mark_begin(struct mark *mark, uint64_t lines, uint64_t epochs, struct error *error)
{
	struct mark_values next = mark->values;
	int code = check_in_place(mark, error);

	if (code < 0)
		return code;
	next.begun++;
	next.lines = lines;
	if (epochs > next.epochs)
		next.epochs = epochs;
	code = write_values(mark, &next);
	if (code == 0 && fdatasync(mark->fd) < 0)
		code = -errno;
	/* Also after a failure: what is in the file is unknown then, and a number that may stand there is never used again. */
	mark->values = next;
	mark->unsynced = code < 0;
	return code == 0 ? 0 : error_errno(error, code, "the mark %s cannot be written", mark->path);
}

void
mark_done(struct mark *mark)
{
	mark->values.done = mark->values.begun;
	mark->unsynced = true;
	/* A failure leaves the lower number, which the next change writes again. */
	(void)!write_values(mark, &mark->values);
}

int
mark_settle(struct mark *mark)
{
	if (!mark->unsynced || mark->fd < 0)
		return 0;
	if (fdatasync(mark->fd) < 0)
		return -errno;
	mark->unsynced = false;
	return 0;
}

const struct mark_values *
mark_values(const struct mark *mark)
{
	return &mark->values;
}
