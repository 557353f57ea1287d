/* SPDX-License-Identifier: Apache-2.0
 *
 * The time, in programs of the emulated machines: each is a file by itself, without Netbus' libraries.
 */
#ifndef NETBUS_TESTS_XEN_NOW_H
#define NETBUS_TESTS_XEN_NOW_H

#include <stdint.h>
#include <time.h>

static inline int64_t
now_ns(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

static inline int64_t
now_ms(void)
{
	return now_ns() / 1000000;
}

#endif
