/* SPDX-License-Identifier: Apache-2.0
 *
 * What must hold, in programs that have no test framework around them: else they end, and say where.
 */
#ifndef NETBUS_TESTS_UNIT_REQUIRE_H
#define NETBUS_TESTS_UNIT_REQUIRE_H

#include <stdio.h>
#include <stdlib.h>

#define REQUIRE(condition)                                                                             \
	do {                                                                                           \
		if (!(condition)) {                                                                    \
			fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition); \
			abort();                                                                       \
		}                                                                                      \
	} while (0)

#endif
