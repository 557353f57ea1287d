/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests that lie: each spoiler takes an honest request and changes what its name says. None makes a write into the disk's honest part that a backend could carry out.
 */
#ifndef NETBUS_TESTS_XEN_HOSTILE_SPOILERS_H
#define NETBUS_TESTS_XEN_HOSTILE_SPOILERS_H

#include "tests/xen/hostile.h"

/* Reads or writes of some of disk.data's pages, in the part of the disk that may be spoilt. An indirect one's segments are in disk.indirect. */
struct guest_request honest_request(struct hostile *hostile);
struct guest_request honest_indirect(struct hostile *hostile);
uint32_t data_reference(struct hostile *hostile);
void put_indirect_segment(struct hostile *hostile, unsigned at, struct guest_segment segment);
struct guest_segment *any_segment(struct hostile *hostile, struct guest_request *request);

typedef void spoiler(struct hostile *hostile, struct guest_request *request);

spoiler spoil_operation, spoil_barrier, spoil_segments, spoil_order, spoil_page_end, spoil_range, spoil_alignment,
    spoil_id, spoil_reference, spoil_read_only, spoil_discard, spoil_inner, spoil_indirect_count, spoil_indirect_pages,
    spoil_indirect_segment, spoil_indirect_all, spoil_everything;

#endif
