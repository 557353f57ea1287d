/* SPDX-License-Identifier: Apache-2.0
 *
 * The C library's heap, of a process that is forked again and again: what its children do not write stays one memory for all of them.
 */
#ifndef NETBUS_BASE_HEAP_H
#define NETBUS_BASE_HEAP_H

/* Takes, for good, all free memory that lies between what is used: a child then allocates in fresh pages, one after the other, and not a few bytes in each
 * of a hundred pages that are copied for it. Large pieces are mapped, and go back when they are freed. Before the first fork. */
void heap_settle(void);

#endif
