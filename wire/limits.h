/* SPDX-License-Identifier: Apache-2.0
 *
 * The limits table: each number that comes from outside has its row here (name, value, what it bounds). PROTOCOL.md and
 * netbus-protocol(7) print the rows that a peer meets.
 *
 * Tests go beyond each row where it is held. In frames: tests/unit/frame_test.c. In the fields of messages, in the gate's counting and in the
 * configuration: tests/unit/message_test.c and limits_test.c. In certificates and handshakes: tls_test.c, proof_test.c and custody_test.c there. In running
 * processes (clients, requests and options of NBD, clients of the admin socket and candidate policies, silence and slowness, credits): tests/tool/limits.c and hostile.c, by
 * tests/system/limits.test and hostile.test. What a follower of the trail leaves unread: tests/system/events.test. Of a candidate policy: tests/system/policy_change.test. Of disks
 * of a Xen domain: tests/system/xen_broker.test. But none goes beyond SESSIONS and
 * ATTACHMENTS: that many processes do not fit where tests run.
 */
#ifndef NETBUS_WIRE_LIMITS_H
#define NETBUS_WIRE_LIMITS_H

/* clang-format off */
#define LIMIT_FRAME_PAYLOAD     (1u << 20)  /* bytes after a frame header; READ/WRITE larger than this are split */
#define LIMIT_CONTROL_PAYLOAD   8192u       /* bytes of a control frame's payload */
#define LIMIT_RANGE             (1u << 30)  /* bytes of one DISCARD or WRITE_ZEROES */
#define LIMIT_CREDITS           256u        /* requests in flight on a lane */
#define LIMIT_CREDIT_BYTES      (8u << 20)  /* payload bytes in flight on a lane */
#define LIMIT_LANES             16u         /* lanes of a lease */
#define LIMIT_TICKET            2048u       /* bytes of a ticket */
#define LIMIT_CHANNEL_MESSAGE   16384u      /* bytes of a packet between our processes */
#define LIMIT_CHAIN             8192u       /* bytes of a peer's certificate chain, DER, and of its Certificate message */
#define LIMIT_TRANSCRIPT        14336u      /* bytes of a handshake transcript */
#define LIMIT_CLIENT_HELLO      4096u       /* bytes of a ClientHello */
#define LIMIT_HANDSHAKE_MS      10000u      /* from accept to the end of the handshake, and from there to ATTACH or JOIN; of an NBD client, to transmission */
#define LIMIT_SILENCE_MS        5000u       /* from accept to the first byte, in the gate */
#define LIMIT_PENDING           1024u       /* accepted connections that have not yet sent a byte */
#define LIMIT_PENDING_SOURCE    256u        /* of these, from one address */
#define LIMIT_UNPROVED          64u         /* sessions without a proved peer */
#define LIMIT_UNPROVED_SOURCE   32u         /* of these, from one address */
#define LIMIT_SESSIONS          4096u
#define LIMIT_ATTACHMENTS       1024u
#define LIMIT_SHARES            4096u
#define LIMIT_ADMIN_CLIENTS     64u
#define LIMIT_ADMIN_FOLLOWERS   16u         /* of these, who follow the audit trail */
#define LIMIT_FOLLOWER_BYTES    65536u      /* of the trail that wait in the broker for one of them; the file holds the rest */
#define LIMIT_FOLLOWER_MS       10000u      /* in which it takes nothing of what waits */
#define LIMIT_CANDIDATE_BYTES   (64u << 20) /* of a policy that is asked about before it is loaded */
#define LIMIT_CANDIDATE_FILES   1000u
#define LIMIT_CANDIDATES        4u          /* clients that have sent of one */
#define LIMIT_QUESTIONS         (4u << 20)  /* hosts x VMs x shares x modes that one request looks at */
#define LIMIT_NBD_REQUEST       (32u << 20) /* bytes of one NBD READ/WRITE (NBD protocol: "maximum block size" default) */
#define LIMIT_NBD_OPTION        4096u       /* bytes of one NBD option */
#define LIMIT_NBD_CLIENTS       16u
#define LIMIT_XEN_RING_PAGES    16u         /* pages of one ring of a vbd */
#define LIMIT_XEN_SEGMENTS      1024u       /* segments of one request of a vbd, of a page at most each: 4 MiB */
#define LIMIT_ENROL_MESSAGE     12800u      /* bytes of one message of enrol/1 */
#define LIMIT_ENROL_MS          10000u      /* from the first byte of an enrolment to its answer */
#define LIMIT_ENROL_CHAIN       4096u       /* bytes of a new certificate and what stands between it and a CA */
#define LIMIT_ENROL_BUNDLE      8192u       /* bytes of the CAs that an enroller hands out */
#define LIMIT_JOIN_TOKENS       1024u       /* join tokens that are neither used nor expired */
#define LIMIT_XEN_VMS           4096u       /* Xen domains, and beginnings of their names, in netbusd.yaml */
#define LIMIT_XEN_DISKS         64u         /* attachments of one Xen domain */
#define LIMIT_STRANGERS         60u         /* refusals of strangers to the enroller that the trail takes in a minute; more go to the log */
/* clang-format on */

#endif
