/* SPDX-License-Identifier: Apache-2.0
 *
 * One TLS 1.3 connection driven as hard as OpenSSL allows: what is put is gathered into full records, records are gathered into one send(2), and one
 * recv(2) brings as many records as have arrived. The limit server and the generator share it, so that neither end has an advantage. For tests/bench only:
 * errors end the process.
 */
#ifndef NETBUS_BENCH_BULK_H
#define NETBUS_BENCH_BULK_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define BULK_RECORD 16384u
#define BULK_SEND   (64u << 10) /* ciphertext that leaves at once, so that the other end works while we do */

struct bulk {
	int fd;
	SSL *ssl;
	bool drained; /* the last recv(2) brought less than there was room for: there is no more now */
	bool ended, blocking;
	uint8_t *plain; /* BULK_RECORD */
	size_t plain_length;
	uint8_t *wire;
	size_t wire_start, wire_end, wire_room;
	uint64_t calls; /* system calls made */
	/* bulk_rekey(): how many records a key seals, of them so far, and the KeyUpdate messages of either side */
	uint64_t rekey_each, records, rekeys_sent, rekeys_received;
};

/* Mutual TLS 1.3 with AES-256-GCM, as every peer of the bench is set up; `ca` may be NULL (the peer is not judged). */
SSL_CTX *bulk_context(bool server, const char *certificate, const char *key, const char *ca);
/* Shakes hands on a connected socket, blocking. `alpn`: a protocol name or NULL. `context` NULL: no TLS at all. */
void bulk_open(struct bulk *bulk, SSL_CTX *context, int fd, bool server, const char *alpn);
void bulk_close(struct bulk *bulk);
/* From now on both sides change their keys after each `records` records of ours: we do and ask the peer to. */
void bulk_rekey(struct bulk *bulk, uint64_t records);

/* Plaintext that is here; 0 at the end of the stream, -EAGAIN. In a blocking connection the first read after bulk_flush() waits. */
ssize_t bulk_read(struct bulk *bulk, void *bytes, size_t room);
void bulk_put(struct bulk *bulk, const void *bytes, size_t length);
/* 0 all is sent, -EAGAIN some waits (never when blocking). */
int bulk_flush(struct bulk *bulk);

/* A thread for each connection that comes in, which gets its descriptor. */
void bulk_serve(int listener, void *(*serve)(void *fd));

/* The end of the process, with a reason. */
void bulk_die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

#endif
