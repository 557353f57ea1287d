/* SPDX-License-Identifier: Apache-2.0
 *
 * cmocka with what it needs before it.
 */
#ifndef NETBUS_TESTS_UNIT_TEST_H
#define NETBUS_TESTS_UNIT_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#endif
