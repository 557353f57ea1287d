/* SPDX-License-Identifier: Apache-2.0
 *
 * What a server costs: the CPU time of its process, of its children, of theirs, and of all their threads. For tests/bench only: errors end the process.
 */
#ifndef NETBUS_BENCH_SERVER_CPU_H
#define NETBUS_BENCH_SERVER_CPU_H

#include <stdint.h>

/* In ns, of the processes and threads that there are now. The difference of two readings is right as long as none of them ends between the two: true while the
 * generator holds its connections, also for a server that has a process or a thread for each. */
uint64_t server_cpu_ns(unsigned pid);

#endif
