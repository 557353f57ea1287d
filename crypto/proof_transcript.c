/* SPDX-License-Identifier: Apache-2.0
 *
 * The messages of a TLS 1.3 handshake up to the peer's Certificate, and the hash that the peer signed. Pure. The transcript comes from a process
 * that talks to the peer and may have been taken over: nothing in it is believed but what the peer's signature over all of it covers.
 *
 *   ClientHello [HelloRetryRequest ClientHello] ServerHello EncryptedExtensions CertificateRequest Certificate
 *               [CertificateVerify Finished Certificate]            the second line only when we are the server
 *
 * When we are the server, the first Certificate must be ours: else a peer that proves itself to somebody else, who hands it our nonce, would
 * be taken for one that proves itself to us.
 *
 * Sources: RFC 8446 4 (messages), 4.1.3 (HelloRetryRequest's random), 4.2.1, 4.4.1 (transcript hash), 4.4.2.
 */
#include <errno.h>
#include <openssl/evp.h>
#include <string.h>

#include "base/bytes.h"
#include "crypto/proof_internal.h"

#define VERSION_TLS_1_3        0x0304
#define EXTENSION_VERSIONS     43
#define EXTENSIONS_MOST        64
#define RANDOM_LEN             32
#define HEADER_LEN             4
#define LEGACY_SESSION_ID_MOST 32

enum handshake_type {
	CLIENT_HELLO = 1,
	SERVER_HELLO = 2,
	ENCRYPTED_EXTENSIONS = 8,
	CERTIFICATE = 11,
	CERTIFICATE_REQUEST = 13,
	CERTIFICATE_VERIFY = 15,
	FINISHED = 20,
	MESSAGE_HASH = 254,
};

static const uint8_t retry_random[RANDOM_LEN] = {0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02,
    0x1e, 0x65, 0xb8, 0x91, 0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33,
    0x9c};

struct message {
	const uint8_t *start, *body;
	size_t body_length;
};

/* What is in it, once it was found well-formed. */
struct transcript {
	const uint8_t *start, *end;
	size_t first_length; /* of the first ClientHello, when there is a HelloRetryRequest; else 0 */
	uint16_t suite;
	struct message client_hello, certificate_request; /* the last ClientHello */
	struct message server_certificate, client_certificate;
};

struct extension {
	const uint8_t *bytes;
	size_t length;
};

/* ---- parts of messages ---- */

static bool
take_message(struct reader *reader, enum handshake_type type, struct message *message)
{
	message->start = reader->at;
	if (read_u8(reader) != type)
		reader->bad = true;
	message->body_length = read_u24(reader);
	message->body = read_bytes(reader, message->body_length);
	return message->body != NULL;
}

/* The extensions at the end of a message, all of which must be well-formed. Found once: true. */
static bool
find_extension(struct reader *reader, uint16_t wanted, struct extension *extension)
{
	uint16_t length = read_u16(reader);
	const uint8_t *bytes = read_bytes(reader, length);
	struct reader list = reader_over(bytes ? bytes : (const uint8_t *)"", bytes ? length : 0);
	unsigned count = 0, found = 0;

	while (!list.bad && !reader_done(&list) && count++ < EXTENSIONS_MOST) {
		uint16_t type = read_u16(&list);
		uint16_t value_length = read_u16(&list);
		const uint8_t *value = read_bytes(&list, value_length);

		if (value == NULL || type != wanted)
			continue;
		*extension = (struct extension){value, value_length};
		found++;
	}
	return reader_done(reader) && reader_done(&list) && found == 1;
}

static bool
has_nonce(struct reader *extensions, const uint8_t *nonce)
{
	struct extension extension = {0};

	return find_extension(extensions, TLS_NONCE_EXTENSION, &extension) && extension.length == TLS_NONCE_LEN &&
	       memcmp(extension.bytes, nonce, TLS_NONCE_LEN) == 0;
}

static bool
client_hello_has_nonce(const struct message *message, const uint8_t *nonce)
{
	struct reader reader = reader_over(message->body, message->body_length);

	read_u16(&reader); /* legacy_version */
	read_bytes(&reader, RANDOM_LEN);
	read_bytes(&reader, read_u8(&reader));  /* legacy_session_id */
	read_bytes(&reader, read_u16(&reader)); /* cipher_suites */
	read_bytes(&reader, read_u8(&reader));  /* legacy_compression_methods */
	return has_nonce(&reader, nonce);
}

static bool
certificate_request_has_nonce(const struct message *message, const uint8_t *nonce)
{
	struct reader reader = reader_over(message->body, message->body_length);

	read_bytes(&reader, read_u8(&reader)); /* certificate_request_context */
	return has_nonce(&reader, nonce);
}

/* A ServerHello or HelloRetryRequest of TLS 1.3: its cipher suite, or 0. */
static uint16_t
read_server_hello(const struct message *message, bool *is_retry)
{
	struct reader reader = reader_over(message->body, message->body_length);
	struct extension version = {0};
	const uint8_t *random;
	uint8_t session_id_length;
	uint16_t suite;

	read_u16(&reader); /* legacy_version */
	random = read_bytes(&reader, RANDOM_LEN);
	session_id_length = read_u8(&reader);
	if (session_id_length > LEGACY_SESSION_ID_MOST)
		return 0;
	read_bytes(&reader, session_id_length);
	suite = read_u16(&reader);
	read_u8(&reader); /* legacy_compression_method */
	if (!find_extension(&reader, EXTENSION_VERSIONS, &version) || version.length != 2 ||
	    get_be16(version.bytes) != VERSION_TLS_1_3)
		return 0;
	*is_retry = memcmp(random, retry_random, RANDOM_LEN) == 0;
	return suite;
}

/* Calls of this go on from certificate to certificate: the next one's DER, or NULL (reader->bad, or none is left). */
static const uint8_t *
next_certificate(struct reader *list, uint32_t *length)
{
	const uint8_t *der;

	if (list->bad || reader_done(list))
		return NULL;
	*length = read_u24(list);
	der = read_bytes(list, *length);
	read_bytes(list, read_u16(list)); /* extensions */
	return list->bad ? NULL : der;
}

/* The certificate list of a Certificate message of a handshake, whose request context is empty when we are concerned. */
static bool
read_certificate(const struct message *message, struct reader *list)
{
	struct reader reader = reader_over(message->body, message->body_length);
	uint32_t length;
	const uint8_t *bytes;

	if (read_u8(&reader) != 0)
		return false;
	length = read_u24(&reader);
	bytes = read_bytes(&reader, length);
	if (!reader_done(&reader))
		return false;
	*list = reader_over(bytes, length);
	return true;
}

static bool
has_chain(const struct message *message, const uint8_t *chain, size_t length)
{
	struct reader wanted = reader_over(chain, length);
	struct reader list;
	const uint8_t *der;
	uint32_t der_length;

	if (!read_certificate(message, &list))
		return false;
	while ((der = next_certificate(&list, &der_length)) != NULL) {
		uint32_t same_length = read_u24(&wanted);
		const uint8_t *same = read_bytes(&wanted, same_length);

		if (same == NULL || same_length != der_length || memcmp(same, der, der_length) != 0)
			return false;
	}
	return reader_done(&list) && reader_done(&wanted);
}

static bool
has_leaf(const struct message *message, const uint8_t *leaf, size_t length)
{
	struct reader list;
	const uint8_t *der;
	uint32_t der_length;

	if (!read_certificate(message, &list))
		return false;
	der = next_certificate(&list, &der_length);
	return der != NULL && der_length == length && memcmp(der, leaf, length) == 0;
}

/* ---- the whole ---- */

static bool
take_hellos(struct reader *reader, struct transcript *transcript)
{
	struct message server_hello;
	bool is_retry = false;
	uint16_t retry_suite;

	if (!take_message(reader, CLIENT_HELLO, &transcript->client_hello) ||
	    !take_message(reader, SERVER_HELLO, &server_hello))
		return false;
	transcript->suite = read_server_hello(&server_hello, &is_retry);
	if (!is_retry)
		return transcript->suite != 0;
	retry_suite = transcript->suite;
	transcript->first_length = HEADER_LEN + transcript->client_hello.body_length;
	if (!take_message(reader, CLIENT_HELLO, &transcript->client_hello) ||
	    !take_message(reader, SERVER_HELLO, &server_hello))
		return false;
	transcript->suite = read_server_hello(&server_hello, &is_retry);
	return !is_retry && transcript->suite != 0 && transcript->suite == retry_suite;
}

static bool
parse_transcript(const uint8_t *untrusted, size_t length, enum tls_side our_side, struct transcript *transcript)
{
	struct reader reader = reader_over(untrusted, length);
	struct message skipped;

	*transcript = (struct transcript){.start = untrusted, .end = untrusted + length};
	if (!take_hellos(&reader, transcript) || !take_message(&reader, ENCRYPTED_EXTENSIONS, &skipped) ||
	    !take_message(&reader, CERTIFICATE_REQUEST, &transcript->certificate_request) ||
	    !take_message(&reader, CERTIFICATE, &transcript->server_certificate))
		return false;
	if (our_side == TLS_CLIENT)
		return reader_done(&reader);
	return take_message(&reader, CERTIFICATE_VERIFY, &skipped) && take_message(&reader, FINISHED, &skipped) &&
	       take_message(&reader, CERTIFICATE, &transcript->client_certificate) && reader_done(&reader);
}

static int
check(const struct transcript_expected *expected, const struct transcript *transcript, struct error *error)
{
	bool is_client = expected->our_side == TLS_CLIENT;
	const struct message *peers = is_client ? &transcript->server_certificate : &transcript->client_certificate;

	if (is_client ? !client_hello_has_nonce(&transcript->client_hello, expected->nonce)
		      : !certificate_request_has_nonce(&transcript->certificate_request, expected->nonce))
		return error_set(
		    error, -EACCES, "the handshake does not hold our nonce: it is another one, or an old one");
	if (!is_client && !has_leaf(&transcript->server_certificate, expected->our_leaf, expected->our_leaf_length))
		return error_set(
		    error, -EACCES, "the handshake is not with us: the server's certificate in it is not ours");
	if (!has_chain(peers, expected->peer_chain, expected->peer_chain_length))
		return error_set(
		    error, -EACCES, "the peer's certificates in the handshake are not those that were checked");
	return 0;
}

static const EVP_MD *
suite_digest(uint16_t suite)
{
	static const struct {
		uint16_t suite;
		const EVP_MD *(*digest)(void);
	} suites[] = {
	    {0x1301, EVP_sha256}, /* TLS_AES_128_GCM_SHA256 */
	    {0x1302, EVP_sha384}, /* TLS_AES_256_GCM_SHA384 */
	    {0x1303, EVP_sha256}, /* TLS_CHACHA20_POLY1305_SHA256 */
	};

	for (size_t i = 0; i < ARRAY_LENGTH(suites); i++)
		if (suites[i].suite == suite)
			return suites[i].digest();
	return NULL;
}

/* After a HelloRetryRequest the first ClientHello counts as its hash only: message_hash || 00 00 || length || Hash(ClientHello1). */
static bool
hash_first(EVP_MD_CTX *context, const EVP_MD *digest, const struct transcript *transcript)
{
	uint8_t message[HEADER_LEN + EVP_MAX_MD_SIZE] = {MESSAGE_HASH};
	unsigned length = 0;

	if (EVP_Digest(transcript->start, transcript->first_length, message + HEADER_LEN, &length, digest, NULL) != 1)
		return false;
	message[3] = (uint8_t)length;
	return EVP_DigestUpdate(context, message, HEADER_LEN + length) == 1;
}

static int
hash_all(const struct transcript *transcript, const EVP_MD *digest, uint8_t *hash)
{
	AUTO(auto_digest_free) EVP_MD_CTX *context = EVP_MD_CTX_new();
	const uint8_t *rest = transcript->start + transcript->first_length;
	unsigned length = 0;

	if (context == NULL || EVP_DigestInit_ex(context, digest, NULL) != 1)
		return -ENOMEM;
	if (transcript->first_length > 0 && !hash_first(context, digest, transcript))
		return -ENOMEM;
	if (EVP_DigestUpdate(context, rest, (size_t)(transcript->end - rest)) != 1 ||
	    EVP_DigestFinal_ex(context, hash, &length) != 1)
		return -ENOMEM;
	return (int)length;
}

int
transcript_hash(const struct transcript_expected *expected, const uint8_t *untrusted, size_t length,
    uint8_t hash[static TRANSCRIPT_HASH_MAX], struct error *error)
{
	struct transcript transcript;
	const EVP_MD *digest;
	int code;

	if (!parse_transcript(untrusted, length, expected->our_side, &transcript))
		return error_set(
		    error, -EACCES, "the handshake is not a complete TLS 1.3 handshake up to the peer's certificate");
	digest = suite_digest(transcript.suite);
	if (digest == NULL)
		return error_set(
		    error, -EACCES, "the handshake's cipher suite 0x%04x is not one of ours", transcript.suite);
	code = check(expected, &transcript, error);
	if (code < 0)
		return code;
	code = hash_all(&transcript, digest, hash);
	return code < 0 ? error_set(error, -EACCES, "cannot hash the handshake: out of memory") : code;
}
