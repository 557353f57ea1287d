/* SPDX-License-Identifier: Apache-2.0
 *
 * Network byte order, and a reader and a writer over a fixed range that cannot leave it: after the
 * first access beyond the end they are `bad`, reads give 0 and writes do nothing. Check once, at the
 * end: reader_done() is true only if all was consumed and nothing was missing.
 */
#ifndef NETBUS_BASE_BYTES_H
#define NETBUS_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint16_t
get_be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t
get_be32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof v);
	return __builtin_bswap32(v);
}

static inline uint64_t
get_be64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof v);
	return __builtin_bswap64(v);
}

static inline void
put_be16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void
put_be32(uint8_t *p, uint32_t v)
{
	v = __builtin_bswap32(v);
	memcpy(p, &v, sizeof v);
}

static inline void
put_be64(uint8_t *p, uint64_t v)
{
	v = __builtin_bswap64(v);
	memcpy(p, &v, sizeof v);
}

struct reader {
	const uint8_t *at, *end;
	bool bad;
};

struct writer {
	uint8_t *start, *at, *end;
	bool bad;
};

static inline struct reader
reader_over(const uint8_t *bytes, size_t length)
{
	return (struct reader){bytes, bytes + length, false};
}

/* `length` bytes of the range, or NULL (and bad) when fewer are left. */
static inline const uint8_t *
read_bytes(struct reader *r, size_t length)
{
	const uint8_t *p = r->at;

	if (r->bad || (size_t)(r->end - r->at) < length) {
		r->bad = true;
		return NULL;
	}
	r->at += length;
	return p;
}

static inline uint8_t
read_u8(struct reader *r)
{
	const uint8_t *p = read_bytes(r, 1);

	return p ? *p : 0;
}

static inline uint16_t
read_u16(struct reader *r)
{
	const uint8_t *p = read_bytes(r, 2);

	return p ? get_be16(p) : 0;
}

static inline uint32_t
read_u24(struct reader *r)
{
	const uint8_t *p = read_bytes(r, 3);

	return p ? (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2] : 0;
}

static inline uint32_t
read_u32(struct reader *r)
{
	const uint8_t *p = read_bytes(r, 4);

	return p ? get_be32(p) : 0;
}

static inline uint64_t
read_u64(struct reader *r)
{
	const uint8_t *p = read_bytes(r, 8);

	return p ? get_be64(p) : 0;
}

static inline bool
reader_done(const struct reader *r)
{
	return !r->bad && r->at == r->end;
}

static inline struct writer
writer_over(uint8_t *bytes, size_t room)
{
	return (struct writer){bytes, bytes, bytes + room, false};
}

/* Room for `length` bytes, or NULL (and bad). */
static inline uint8_t *
write_room(struct writer *w, size_t length)
{
	uint8_t *p = w->at;

	if (w->bad || (size_t)(w->end - w->at) < length) {
		w->bad = true;
		return NULL;
	}
	w->at += length;
	return p;
}

static inline void
write_bytes(struct writer *w, const void *bytes, size_t length)
{
	uint8_t *p = write_room(w, length);

	if (p && length)
		memcpy(p, bytes, length);
}

static inline void
write_u8(struct writer *w, uint8_t v)
{
	write_bytes(w, &v, 1);
}

static inline void
write_u16(struct writer *w, uint16_t v)
{
	uint8_t *p = write_room(w, 2);

	if (p)
		put_be16(p, v);
}

static inline void
write_u32(struct writer *w, uint32_t v)
{
	uint8_t *p = write_room(w, 4);

	if (p)
		put_be32(p, v);
}

static inline void
write_u64(struct writer *w, uint64_t v)
{
	uint8_t *p = write_room(w, 8);

	if (p)
		put_be64(p, v);
}

static inline size_t
writer_used(const struct writer *w)
{
	return (size_t)(w->at - w->start);
}

#endif
