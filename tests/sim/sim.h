/* SPDX-License-Identifier: Apache-2.0
 *
 * A simulator, for speed of development and for the sanitizers; what is true of it is not yet true of Xen (tests/xen has the real thing). One process is the guest (guest.c): its memory is a
 * memfd in which grant reference n is page n, its event channels are packets on a socket. xen_libs.c stands in for libxengnttab and libxenevtchn in netbus-attach-xen, xenwatch.c for
 * netbus-xenwatch and xenstore. All three meet at the guest's socket (SOCK_SEQPACKET), where a caller's first packet is one byte that says who it is.
 */
#ifndef NETBUS_TESTS_SIM_SIM_H
#define NETBUS_TESTS_SIM_SIM_H

#include <stdint.h>

#define SIM_PAGE       4096u
#define SIM_PAGES      32768u /* of the guest's memory, each granted to whoever asks */
#define SIM_RINGS      16u
#define SIM_RING_PAGES 16u

/* "g": is sent one packet with the memfd. "e": u32 packets: to netbus-attach-xen, its port that is pending; from it, the same port (unmask) or SIM_NOTIFY | port.
 * "w": struct sim_message both ways. */
#define SIM_NOTIFY    0x80000000u
#define SIM_PORT_BASE 100u /* netbus-attach-xen's end of the guest's channel n is n + this */

enum sim_type {
	/* from the guest */
	SIM_DISK =
	    1, /* domid, device, text: domain, uuid, vdev, exporter, share; by_operator: it is not asked for by itself */
	SIM_RINGS_ARE, /* rings, pages, channels, refs; anew */
	SIM_CLOSE,     /* gone */
	/* to it */
	SIM_READY, /* size, rings */
	SIM_UP,    /* ok, text */
	SIM_DOWN,
	SIM_OVER, /* text */
	SIM_LIE,  /* text */
	SIM_REMOVE,
};

struct sim_message {
	uint32_t type;
	uint32_t domid, device, rings, pages, anew, gone, ok, by_operator;
	uint64_t size;
	uint32_t channels[SIM_RINGS], refs[SIM_RINGS * SIM_RING_PAGES];
	char text[1024], domain[64], uuid[40], vdev[32], exporter[64], share[128];
};

#endif
