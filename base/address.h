/* SPDX-License-Identifier: Apache-2.0
 *
 * Numeric TCP addresses: "192.0.2.1:7715", "[2001:db8::1]:7715". No names, no resolver: who listens where and who is
 * connected to is never a question that a name server answers.
 */
#ifndef NETBUS_BASE_ADDRESS_H
#define NETBUS_BASE_ADDRESS_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "base/error.h"

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	struct sockaddr_storage room;
};

#define ADDRESS_TEXT_LEN 64

/* Port 0 is allowed (for listening: the kernel picks one). 0 or -EINVAL with a sentence that quotes the text. */
int address_parse(const char *text, union address *address, struct error *error);
/* Bytes of the address that are in use, for bind(2) and connect(2). */
socklen_t address_length(const union address *address);
/* As address_parse() takes it. */
void address_print(const union address *address, char text[static ADDRESS_TEXT_LEN]);
/* Whom an address counts for in limits per source: the address without its port, an IPv6 one cut to its /64, an IPv4 one that came in
 * mapped into IPv6 as IPv4. "192.0.2.1", "2001:db8:0:1::/64". */
void address_print_source(const union address *address, char text[static ADDRESS_TEXT_LEN]);

#endif
