/* SPDX-License-Identifier: Apache-2.0
 *
 * Numeric TCP addresses, to and from text. Pure: inet_pton(3) and inet_ntop(3) ask nobody.
 */
#include "base/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

static const char wanted[] = "wanted is a numeric address with a port, such as 192.0.2.1:7715 or [2001:db8::1]:7715";

/* The address part of `text` (without brackets) into `host`; the port's text, or NULL when it is not of this form. */
static const char *
split(const char *text, char host[static INET6_ADDRSTRLEN], bool *v6)
{
	const char *start = text, *end;

	*v6 = text[0] == '[';
	if (*v6) {
		start++;
		end = strchr(start, ']');
		if (end == NULL || end[1] != ':')
			return NULL;
	} else {
		end = strchr(start, ':');
		if (end == NULL)
			return NULL;
	}
	if ((size_t)(end - start) >= INET6_ADDRSTRLEN)
		return NULL;
	memcpy(host, start, (size_t)(end - start));
	host[end - start] = '\0';
	return *v6 ? end + 2 : end + 1;
}

int
address_parse(const char *text, union address *address, struct error *error)
{
	char host[INET6_ADDRSTRLEN];
	union address parsed;
	const char *port;
	uint64_t number;
	bool v6;

	memset(&parsed, 0, sizeof parsed);
	port = split(text, host, &v6);
	if (port == NULL || parse_number(port, 0, 65535, &number, NULL) < 0)
		return error_set(error, -EINVAL, "'%s' is no address; %s", text, wanted);
	if (v6) {
		parsed.v6.sin6_family = AF_INET6;
		parsed.v6.sin6_port = htons((uint16_t)number);
		if (inet_pton(AF_INET6, host, &parsed.v6.sin6_addr) != 1)
			return error_set(error, -EINVAL, "'%s' is no IPv6 address; %s", text, wanted);
	} else {
		parsed.v4.sin_family = AF_INET;
		parsed.v4.sin_port = htons((uint16_t)number);
		if (inet_pton(AF_INET, host, &parsed.v4.sin_addr) != 1)
			return error_set(error, -EINVAL, "'%s' is no IPv4 address; %s", text, wanted);
	}
	*address = parsed;
	return 0;
}

socklen_t
address_length(const union address *address)
{
	return address->any.sa_family == AF_INET6 ? sizeof address->v6 : sizeof address->v4;
}

void
address_print(const union address *address, char text[static ADDRESS_TEXT_LEN])
{
	char host[INET6_ADDRSTRLEN] = "?";

	if (address->any.sa_family == AF_INET6) {
		inet_ntop(AF_INET6, &address->v6.sin6_addr, host, sizeof host);
		snprintf(text, ADDRESS_TEXT_LEN, "[%s]:%u", host, ntohs(address->v6.sin6_port));
	} else {
		inet_ntop(AF_INET, &address->v4.sin_addr, host, sizeof host);
		snprintf(text, ADDRESS_TEXT_LEN, "%s:%u", host, ntohs(address->v4.sin_port));
	}
}

void
address_print_source(const union address *address, char text[static ADDRESS_TEXT_LEN])
{
	char host[INET6_ADDRSTRLEN] = "?";
	struct in6_addr network;

	if (address->any.sa_family != AF_INET6) {
		inet_ntop(AF_INET, &address->v4.sin_addr, host, sizeof host);
		snprintf(text, ADDRESS_TEXT_LEN, "%s", host);
	} else if (IN6_IS_ADDR_V4MAPPED(&address->v6.sin6_addr)) {
		inet_ntop(AF_INET, &address->v6.sin6_addr.s6_addr[12], host, sizeof host);
		snprintf(text, ADDRESS_TEXT_LEN, "%s", host);
	} else {
		/* A whole /64 belongs to one site, which can use every address of it. */
		network = address->v6.sin6_addr;
		memset(&network.s6_addr[8], 0, 8);
		inet_ntop(AF_INET6, &network, host, sizeof host);
		snprintf(text, ADDRESS_TEXT_LEN, "%s/64", host);
	}
}
