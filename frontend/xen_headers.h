/* SPDX-License-Identifier: Apache-2.0
 *
 * Xen's own headers of the block ring, in the way that they want to be included: the version of the interface first (without it they mean the one of 2005), and the barriers
 * that their macros use. Only where Xen's headers are: the Makefile leaves out what includes this.
 */
#ifndef NETBUS_FRONTEND_XEN_HEADERS_H
#define NETBUS_FRONTEND_XEN_HEADERS_H

#define __XEN_INTERFACE_VERSION__ 0x00040e00

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <xen/xen.h>

#include <xen/io/blkif.h>
#include <xen/io/ring.h>

#define xen_mb()  __atomic_thread_fence(__ATOMIC_SEQ_CST)
#define xen_rmb() __atomic_thread_fence(__ATOMIC_ACQUIRE)
#define xen_wmb() __atomic_thread_fence(__ATOMIC_RELEASE)

#endif
