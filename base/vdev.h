/* SPDX-License-Identifier: Apache-2.0
 *
 * Names of virtual disks of Xen guests and their numbers, in xenstore the last part of a vbd's path (Xen's docs/man/xen-vbd-interface(7)).
 *
 *   xvda, xvda1, xvdz, xvdaa  202 << 8 | disk << 4 | partition, or from the 17th disk or 16th partition on  1 << 28 | disk << 8 | partition
 *   d0, d17p3                 the same, by number
 *   hda .. hdd, sda .. sdp    as Linux's IDE and SCSI disks
 */
#ifndef NETBUS_BASE_VDEV_H
#define NETBUS_BASE_VDEV_H

#include <stdint.h>

#include "base/error.h"

#define VDEV_DISKS_MOST      (1u << 20)
#define VDEV_PARTITIONS_MOST 256u /* 0: the whole disk */
#define VDEV_TEXT_LEN        16   /* with the NUL: of what vdev_print() prints */

/* 0, or -EINVAL with error set. */
int vdev_parse(const char *untrusted_text, uint32_t *device, struct error *error);
/* "xvda", "xvda1", "hda", "sda", or the number when it is none of these. */
void vdev_print(uint32_t device, char text[static VDEV_TEXT_LEN]);

#endif
