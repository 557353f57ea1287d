/* SPDX-License-Identifier: Apache-2.0
 *
 * What the processor can do, as far as we choose by it.
 */
#ifndef NETBUS_BASE_CPU_H
#define NETBUS_BASE_CPU_H

#include <stdbool.h>

/* Instructions for AES and for the multiplication of GCM. */
bool cpu_has_aes(void);

#endif
