/* SPDX-License-Identifier: Apache-2.0
 *
 * Disks of Xen guests, inside the broker. A toolstack asks for a disk through xenstore (broker_xen.c, which also has how every disk ends), an operator through netbus-admin
 * (broker_xen_ask.c); broker_xenwatch.c is the channel to netbus-xenwatch, which brings what the toolstack wants and is told what becomes of it.
 *
 * netbus-xenwatch is believed what the toolstack wrote: names, UUIDs, which disks there are.
 */
#ifndef NETBUS_DAEMON_BROKER_XEN_H
#define NETBUS_DAEMON_BROKER_XEN_H

#include "daemon/broker.h"

#define XEN_TEXT_LEN 512
/* Of a domain that the table does not have. */
#define XEN_NO_VM "domain '%s' is no VM that netbusd.yaml knows (xen: vms:)"

/* ---- broker_xen.c ---- */

struct guest *xen_guest_at(struct broker *broker, uint32_t domid, uint32_t device);
unsigned xen_disks_of(const struct broker *broker, uint32_t domid);
void xen_tell_ordered(const struct guest *guest);
/* The number of the record, or 0. `admin` NULL: a toolstack asked; `vm` NULL: not known. */
uint64_t xen_record_refusal(
    struct broker *broker, const char *admin, const struct msg_xen_disk *disk, const char *vm, const char *text);
void xen_take_disk(struct broker *broker, const struct msg_xen_disk *disk);
void xen_take_gone(struct broker *broker, const struct msg_xen_gone *gone);
void xen_lost_clear(struct broker *broker);

/* ---- broker_xen_ask.c ---- */

void xen_take_placed(struct broker *broker, const struct msg_xen_placed *placed);
void xen_take_held(struct broker *broker, const struct msg_xen_held *held);

/* ---- broker_xenwatch.c ---- */

/* Nothing, when it does not run. */
void xen_tell(struct broker *broker, uint16_t number, const void *message);

#endif
