/* SPDX-License-Identifier: Apache-2.0
 *
 * Nodes of xenstore to values (frontend/xen_nodes.h). Everything here is hostile.
 */
#include "frontend/xen_nodes.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/auto.h"
#include "base/bytes.h"
#include "base/text.h"

/* ---- numbers ---- */

/* Ten digits are the most of a number of 32 bits: with that the sum below cannot overflow. */
int
xen_number_parse(const char *value, size_t length, uint32_t most, uint32_t *number)
{
	uint64_t sum = 0;

	if (length == 0 || length > 10)
		return -EINVAL;
	for (size_t i = 0; i < length; i++) {
		if (value[i] < '0' || value[i] > '9')
			return -EINVAL;
		sum = sum * 10 + (uint64_t)(value[i] - '0');
	}
	if (sum > most)
		return -EINVAL;
	*number = (uint32_t)sum;
	return 0;
}

enum xenbus_state
xen_state_parse(const char *value, int length)
{
	uint32_t number;

	if (length != 1 || xen_number_parse(value, 1, XENBUS_RECONFIGURED, &number) < 0)
		return XENBUS_UNKNOWN;
	return (enum xenbus_state)number;
}

int
xen_mode_parse(const char *value, size_t length, uint8_t *mode)
{
	if (length != 1 || (value[0] != 'r' && value[0] != 'w'))
		return -EINVAL;
	*mode = value[0] == 'w' ? ACCESS_RW : ACCESS_RO;
	return 0;
}

/* ---- rings ---- */

/* A value as it is shown to people, cut where a character ends. */
#define QUOTED_LEN 65

/* A guest's nodes on the way to a message. */
struct parse {
	xen_read_node *read;
	void *owner;
	struct msg_xen_rings rings;
	struct error *error;
};

__attribute__((format(printf, 4, 5))) static int
wrong(struct parse *parse, const char *name, const char *untrusted_value, const char *format, ...)
{
	char why[160];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(why, sizeof why, format, arguments);
	va_end(arguments);
	if (untrusted_value)
		return error_set(parse->error, -EBADMSG, "the guest's node %s is '%s': %s", name, untrusted_value, why);
	return error_set(parse->error, -EBADMSG, "the guest's node %s: %s", name, why);
}

/* 1 = the node is there, and its text, escaped where it is not printable, may be quoted; 0 = it is not. */
static int
read_text(struct parse *parse, const char *name, char value[static XEN_VALUE_MOST + 1], size_t *length)
{
	int got = parse->read(parse->owner, name, value);

	if (got == -ENOENT)
		return 0;
	if (got == -EMSGSIZE)
		return wrong(parse, name, NULL, "is longer than %u bytes", XEN_VALUE_MOST);
	if (got < 0)
		return error_errno(parse->error, got, "cannot read the guest's node %s", name);
	value[got] = '\0';
	*length = (size_t)got;
	return 1;
}

/* 1 = *number is set, 0 = there is no such node. */
static int
read_number(struct parse *parse, const char *name, uint32_t least, uint32_t most, uint32_t *number)
{
	char value[XEN_VALUE_MOST + 1], quoted[QUOTED_LEN];
	size_t length = 0;
	uint32_t found = 0;
	int got = read_text(parse, name, value, &length);

	if (got <= 0)
		return got;
	if (xen_number_parse(value, length, most, &found) == 0 && found >= least) {
		*number = found;
		return 1;
	}
	print_escaped(value, length, quoted, sizeof quoted);
	return wrong(parse, name, quoted, "must be a number from %u to %u", least, most);
}

static int
need_number(struct parse *parse, const char *name, uint32_t least, uint32_t most, uint32_t *number)
{
	int got = read_number(parse, name, least, most, number);

	return got == 0 ? wrong(parse, name, NULL, "is missing") : got;
}

/* None means: as a guest that is built like this host would. */
static int
parse_protocol(struct parse *parse)
{
	static const struct {
		const char *name;
		enum xen_protocol protocol;
	} protocols[] = {{"x86_64-abi", XEN_PROTOCOL_X86_64}, {"x86_32-abi", XEN_PROTOCOL_X86_32}};
	char value[XEN_VALUE_MOST + 1], quoted[QUOTED_LEN];
	size_t length = 0;
	int got = read_text(parse, "protocol", value, &length);

	parse->rings.abi = XEN_PROTOCOL_NATIVE;
	if (got <= 0)
		return got;
	for (size_t i = 0; i < ARRAY_LENGTH(protocols); i++)
		if (length == strlen(protocols[i].name) && memcmp(value, protocols[i].name, length) == 0) {
			parse->rings.abi = (uint8_t)protocols[i].protocol;
			return 0;
		}
	print_escaped(value, length, quoted, sizeof quoted);
	return wrong(parse, "protocol", quoted, "must be x86_64-abi or x86_32-abi");
}

/* A frontend that says nothing wants one ring, of one page. */
static int
parse_shape(struct parse *parse, unsigned rings_most, bool *is_ordered)
{
	uint32_t rings = 1, order = 0;
	int got = read_number(parse, "multi-queue-num-queues", 1, rings_most, &rings);

	if (got < 0)
		return got;
	got = read_number(parse, "ring-page-order", 0, XEN_RING_ORDER_MOST, &order);
	if (got < 0)
		return got;
	*is_ordered = order > 0;
	parse->rings.rings = (uint8_t)rings;
	parse->rings.pages = (uint8_t)(1u << order);
	return 0;
}

static bool
has_number(const uint8_t *numbers, size_t bytes, uint32_t number)
{
	for (size_t at = 0; at < bytes; at += 4)
		if (get_be32(numbers + at) == number)
			return true;
	return false;
}

static int
take_number(struct parse *parse, const char *name, uint8_t *numbers, uint16_t *bytes, uint32_t number)
{
	if (has_number(numbers, *bytes, number))
		return wrong(parse, name, NULL, "%u is in use in these rings already", number);
	put_be32(numbers + *bytes, number);
	*bytes += 4;
	return 0;
}

/* Of one page: "ring-ref", and some frontends number it as those of more pages. */
static int
parse_reference(struct parse *parse, const char *prefix, unsigned page, bool is_ordered)
{
	struct msg_xen_rings *rings = &parse->rings;
	char name[48];
	uint32_t reference = 0;
	int got = 0;

	if (!is_ordered) {
		snprintf(name, sizeof name, "%sring-ref", prefix);
		got = read_number(parse, name, 0, UINT32_MAX, &reference);
	}
	if (got == 0) {
		snprintf(name, sizeof name, "%sring-ref%u", prefix, page);
		got = need_number(parse, name, 0, UINT32_MAX, &reference);
	}
	return got < 0 ? got : take_number(parse, name, rings->refs.bytes, &rings->refs.length, reference);
}

static int
parse_ring(struct parse *parse, unsigned ring, bool is_ordered)
{
	struct msg_xen_rings *rings = &parse->rings;
	char prefix[16] = "", name[48];
	uint32_t channel = 0;
	int code;

	if (rings->rings > 1)
		snprintf(prefix, sizeof prefix, "queue-%u/", ring);
	for (unsigned page = 0; page < rings->pages; page++) {
		code = parse_reference(parse, prefix, page, is_ordered);
		if (code < 0)
			return code;
	}
	snprintf(name, sizeof name, "%sevent-channel", prefix);
	code = need_number(parse, name, 1, XEN_CHANNEL_MOST, &channel);
	return code < 0 ? code : take_number(parse, name, rings->channels.bytes, &rings->channels.length, channel);
}

int
xen_rings_parse(xen_read_node *read, void *owner, unsigned rings_most, struct msg_xen_rings *rings, struct error *error)
{
	struct parse parse = {.read = read, .owner = owner, .error = error};
	bool is_ordered = false;
	int code = parse_protocol(&parse);

	if (code == 0)
		code = parse_shape(&parse, rings_most, &is_ordered);
	for (unsigned ring = 0; code == 0 && ring < parse.rings.rings; ring++)
		code = parse_ring(&parse, ring, is_ordered);
	if (code == 0)
		*rings = parse.rings;
	return code;
}

/* ---- targets ---- */

static bool
take_prefix(const char **text, const char *prefix)
{
	size_t length = strlen(prefix);

	if (strncmp(*text, prefix, length) != 0)
		return false;
	*text += length;
	return true;
}

/* HOST/tenant/share */
static int
parse_place(const char *place, struct xen_target *target, struct error *error)
{
	const char *slash = strchr(place, '/');
	char host[NAME_LEN_MAX + 1];
	struct xen_target found;
	size_t length = slash ? (size_t)(slash - place) : 0;

	if (slash == NULL || length >= sizeof host)
		return error_set(error, -EINVAL, "must be netbus://HOST/tenant/share");
	memcpy(host, place, length);
	host[length] = '\0';
	if (name_parse(host, "host name", &found.exporter, error) < 0 ||
	    qualified_parse(slash + 1, "share", &found.share, error) < 0)
		return -EINVAL;
	*target = found;
	return 0;
}

int
xen_target_parse(const char *value, size_t length, struct xen_target *target, struct error *error)
{
	char text[XEN_VALUE_MOST + 1], quoted[sizeof text];
	const char *at = text, *scheme;
	int code;

	if (length >= sizeof text || memchr(value, '\0', length))
		return -ENOENT;
	memcpy(text, value, length);
	text[length] = '\0';
	scheme = strstr(text, XEN_TARGET_SCHEME);
	/* Only what libxl puts in front: a format's name, and a colon. A path may have anything in it. */
	if (scheme == NULL || (scheme > text && strcspn(text, ":/") != (size_t)(scheme - text) - 1))
		return -ENOENT;
	print_escaped(text, length, quoted, sizeof quoted);
	if (scheme > text && !take_prefix(&at, "aio:"))
		return error_set(error, -EINVAL, "the disk's target '%s' is not format=raw", quoted);
	code = parse_place(at + strlen(XEN_TARGET_SCHEME), target, error);
	return code < 0 ? error_wrap(error, "the disk's target '%s'", quoted), code : 0;
}

void
xen_target_print(const char *exporter, const char *share, char text[static XEN_PARAMS_LEN])
{
	snprintf(text, XEN_PARAMS_LEN, "%s%s/%s", XEN_TARGET_SCHEME, exporter, share);
}
