/* SPDX-License-Identifier: Apache-2.0
 *
 * netbusd, the monitor: starts every other process, makes every channel between them, opens the shares that its own configuration names, and
 * hands descriptors on. It reads no byte of a peer, speaks no SQL and no TLS.
 *
 * It trusts its configuration. It does not trust its children: what they say is held against wire/channel.def and against what the monitor
 * knows itself, and a child that says what it may not is killed. It never waits for a child.
 *
 * The monitor*.c files share this one state; netbusd.c owns it.
 */
#ifndef NETBUS_DAEMON_MONITOR_H
#define NETBUS_DAEMON_MONITOR_H

#include <limits.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/un.h>

#include "base/error.h"
#include "base/loop.h"
#include "daemon/channel.h"
#include "daemon/outbox.h"
#include "daemon/config.h"
#include "db/db.h"

#define SOCKET_PATH_LEN sizeof(((struct sockaddr_un *)NULL)->sun_path)

struct child {
	struct child *next, *prev; /* of monitor->children */
	struct monitor *monitor;
	enum role role;
	uint32_t id; /* never 0 */
	pid_t pid;
	int pidfd;
	struct watch on_exit, on_message;
	struct channel channel; /* its descriptor 3 is the other end; fd -1 once that closed */
	struct outbox outbox;
	struct timer deadline; /* killed when it is still there */
	char cause[256];       /* why we killed it; "" if we did not */
	bool crashed;          /* once it ended: by a signal that nobody sent */

	/* sessions */
	char source[64]; /* the peer's address */
	bool proved;

	/* attachments */
	uint32_t attachment;
	char exporter_address[CONFIG_ADDRESS_LEN];
	char socket_path[SOCKET_PATH_LEN]; /* "" of a Xen disk */

	/* attachments of Xen disks */
	uint32_t domid, device;
	bool is_gone; /* the disk is: its shadow goes with the process */
};

/* A device that went to a session. Lives until the kernel holds no lock of it any more, that is, until no process and no request in flight refers to
 * the open device. */
struct hold {
	struct hold *next, **slot; /* of monitor->holds */
	uint8_t lease[LEASE_ID_LEN];
	struct qualified share;
	struct child *session; /* NULL: that process is reaped */
	struct fence *fence;   /* that waits for it, or NULL */
	uint64_t lock;         /* offset of the lane's lock byte */
	int probe;             /* another descriptor of the same device, to look at the lock */
};

/* An order to end all I/O of a lease, until it is carried out. */
struct fence {
	struct fence *next, **slot; /* of monitor->fences */
	struct monitor *monitor;
	uint8_t lease[LEASE_ID_LEN];
	struct timer courtesy;
	uint64_t began_ns;
	unsigned lanes, standing, killed; /* standing: holds that it waits for */
};

/* The memory behind a memory share, kept while it is configured. */
struct memory {
	struct memory *next;
	struct qualified share;
	uint64_t bytes;
	int fd;
};

/* Who a role's processes run as. */
struct credentials {
	bool drop;
	uid_t uid;
	gid_t gid;
};

/* Our own certificate's next one (monitor_renew.c). */
struct renewal {
	struct timer due;
	uint32_t connecting; /* the number that the gate was asked to connect for; 0: nothing is under way */
	struct child *join;  /* that is at it */
	bool asked, loading; /* an operator waits for it; the files are written, and netbus-keys reads them */
	unsigned failures;   /* since it last worked */
	int64_t due_us;      /* when it is tried next, wall clock; 0: never */
	char text[1024];     /* what netbus-join said */
};

/* netbus-xenwatch, which ends without harm and is started again (monitor_xen.c). */
struct xenwatch {
	struct child *child; /* NULL: it does not run */
	struct timer again;
	uint64_t since_ns, wait_ns; /* when it was started; how long the last wait was, 0 none */
};

/* The process of which sessions are forked, and who waits for one of them (monitor_zygote.c). */
struct zygote {
	struct child *child; /* NULL: there is none */
	bool ready, stray;   /* stray: one of its children may have come about without our knowledge */
	struct nascent *first, **last;
	struct timer again, late; /* until another is tried; until one that does not answer is given up */
};

enum monitor_phase { PHASE_KEYS, PHASE_BROKER, PHASE_GATE, PHASE_RUNNING, PHASE_STOPPING, PHASE_OVER };

struct monitor {
	struct loop *loop;
	struct config *config;
	const char *config_path, *root; /* absolute; root "/" when none was given */
	char program_directory[PATH_MAX];
	struct credentials credentials[ROLE_COUNT]; /* by bit number of enum role */
	int lock_fd;                                /* keeps a second netbusd away from our state */
	enum monitor_phase phase;
	int exit_code;
	int niceness; /* of the processes that come before nobody */
	struct watch on_signal;

	struct child *children;
	struct child *keys, *broker, *gate; /* NULL before and after */
	bool has_admin_socket;
	struct zygote zygote;
	unsigned sessions, attachments;
	uint32_t last_id;

	struct msg_keys_ready identity; /* as netbus-keys last said */
	struct renewal renewal;
	struct xenwatch xenwatch;
	bool has_xen_user;
	unsigned listens_pending;
	char listening[1024]; /* for the log: "a, b" */
	struct timer stop_late;
	bool broker_stopped;

	struct hold *holds;
	uint64_t
	    lock_base; /* of the lock bytes; another one in each run, so that what an earlier run left behind is seen as such */
	struct fence *fences;
	struct timer drain;
	uint64_t drain_since_ns; /* 0: nothing is waited for */
	bool drain_said;
	struct memory *memories;
};

/* ---- monitor_program.c: where programs are, and who they run as ---- */
int programs_find(struct monitor *monitor, struct error *error);
/* Users of the Xen programs, which begin as root and change by themselves, after they have opened what only root may. */
#define XEN_USER "netbus-xen"
const char *role_program(enum role role); /* "netbus-session" */
const struct credentials *role_credentials(const struct monitor *monitor, enum role role);

/* ---- monitor_child.c ---- */
#define CHILD_FDS       3
#define CHILD_ARGUMENTS 8
struct child_plan {
	enum role role;
	int fds[CHILD_FDS]; /* become 4, 5, 6; borrowed; fd_count of them */
	unsigned fd_count;
	const char *arguments[CHILD_ARGUMENTS + 1]; /* after --id N; NULL-terminated */
};
/* The configuration's poll_us as an argument, good until the next call. */
const char *child_poll_us(const struct monitor *monitor);
/* NULL with error set. The child belongs to the monitor's list until it is reaped. */
struct child *child_start(struct monitor *monitor, const struct child_plan *plan, struct error *error);
/* The same for a process that is our child already, but was made by another: `channel` (taken over) is our end of the one to it. */
struct child *child_adopt(struct monitor *monitor, enum role role, pid_t pid, int channel, struct error *error);
/* The same for one that does its work and ends, with nobody else around: waits. 0 when it ended with code 0; what it printed is all that it says. */
int child_run(struct monitor *monitor, const struct child_plan *plan, struct error *error);
/* A number that no child has. */
uint32_t child_fresh_id(struct monitor *monitor);
/* SIGKILL. `cause` is said once it is reaped. Harmless when it is dead already. */
void child_kill(struct child *child, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* `roles`: of enum role, or-ed. */
struct child *child_find(const struct monitor *monitor, unsigned roles, uint32_t id);
/* Waits (a short time for each) for children that were killed and frees everything about them. */
void children_clear(struct monitor *monitor);

/* ---- monitor_tell.c: channels to children ---- */
/* `fd` is borrowed; -1 none. NULL and the dead hear nothing. A session or attachment that does not read is killed; for the others messages wait
 * in order. */
void child_tell(struct child *child, uint16_t number, const void *message, int fd);
/* Whether messages wait: then nothing new is begun that needs this child. */
bool child_is_behind(const struct child *child);
int child_listen(struct child *child); /* starts reading its messages */
void child_close_channel(struct child *child);

/* ---- monitor_receive.c: what children say, and when they end ---- */
void monitor_take(struct child *child, struct channel_message *message); /* takes message->fd */
void monitor_child_ended(struct child *child, bool clean, const char *cause);

/* ---- monitor_start.c: the order of the start ---- */
int monitor_start(struct monitor *monitor, struct error *error);
/* netbusd --adopt-state: nothing is started but a broker that adopts the state and ends. */
int monitor_adopt(struct monitor *monitor, bool keep_grants, struct error *error);
/* Sends the key files and the word to take them into use. */
int keys_send_files(struct monitor *monitor, struct error *error);
void start_on_keys_ready(struct monitor *monitor, const struct msg_keys_ready *ready);
void start_on_broker_ready(struct monitor *monitor);
/* To the broker: who we are, until when. */
void tell_identity(struct monitor *monitor);
/* A file of ours or of the CA, in `directory`. */
int open_key_file(const char *directory, const char *name, bool is_secret, int *fd, struct error *error);
void start_on_listening(struct monitor *monitor, const struct msg_gate_listening *listening);

/* ---- monitor_directory.c: what must exist before anything is started ---- */
int directories_prepare(struct monitor *monitor, struct error *error);

/* ---- monitor_reload.c ---- */
void monitor_reload(struct monitor *monitor);
void config_complain(const struct faults *faults);

/* ---- monitor_stop.c ---- */
/* Something that all depend on is gone or failed: kills all, the loop ends with code 1. */
void monitor_fail(struct monitor *monitor, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* In order: leases end, attachments say goodbye, the loop ends with code 0. */
void monitor_stop(struct monitor *monitor);
/* A process that all depend on ended: so do all, unless it ended because we are stopping. */
void essential_ended(struct child *child, const char *cause);
/* The broker has ended everything. */
void stop_go_on(struct monitor *monitor);

/* ---- monitor_enrol.c: newcomers ---- */
void enrol_accepted(struct monitor *monitor, const char *source, int socket); /* takes socket */
void enrol_ended(struct child *enrol, bool clean, const char *cause);
/* The CA's files, of an enroller: as many as there are to `kinds` and `fds` (owned by the caller). 0 or an error. */
#define AUTHORITY_FILES_MOST 3
int enrol_open_files(const struct monitor *monitor, uint8_t kinds[static AUTHORITY_FILES_MOST],
    int fds[static AUTHORITY_FILES_MOST], unsigned *count, struct error *error);

/* ---- monitor_renew.c: our own next certificate ---- */
/* netbus-keys has taken a certificate into use: when is the next one due? */
void renew_plan(struct monitor *monitor);
void renew_now(struct monitor *monitor); /* the broker asks for it */
/* Whether it was for us. Takes the socket if so. */
bool renew_connected(struct monitor *monitor, const struct msg_gate_connected *connected, int socket);
bool renew_connect_failed(struct monitor *monitor, const struct msg_gate_connect_failed *failed);
void renew_said(struct monitor *monitor, const struct msg_joined *joined);
void renew_ended(struct child *join, bool clean, const char *cause);
/* netbus-keys has read the files. */
void renew_loaded(struct monitor *monitor, const struct msg_keys_ready *ready);
void renew_clear(struct monitor *monitor);
/* Before the keys are read: files that a crash left half replaced are completed. */
int renew_complete(struct monitor *monitor, struct error *error);
/* netbusd --join: connects, gets the first certificate, prints the key's fingerprint. Starts nothing else. */
int monitor_join(struct monitor *monitor, const char *token, const char *address, struct error *error);

/* ---- monitor_session.c ---- */
void session_accepted(struct monitor *monitor, const char *source, int socket); /* takes socket */
/* To the gate: what it handed on is proved, or over. */
void session_settle(struct monitor *monitor, const char *source, bool proved);
void session_proved(struct monitor *monitor, uint32_t id);
void session_drop(struct monitor *monitor, const struct msg_drop *drop);
void session_ended(struct child *session, bool clean, const char *cause);
/* A process is there, made by the zygote or not: it gets its descriptors, and is known to broker and keys. NULL when none came about, for which `error`
 * says why. Takes socket. */
void session_begin(struct monitor *monitor, struct child *session, const char *source, int socket, struct error *error);

/* ---- monitor_zygote.c: sessions are forked, not executed ---- */
void zygote_start(struct monitor *monitor);
/* Asks it for a session: true, and takes the socket. False: there is none that could; whoever asks executes one. */
bool zygote_ask(struct monitor *monitor, const char *source, int socket);
void zygote_said(struct child *zygote, const struct channel_message *message);
void zygote_ended(struct child *zygote, bool clean, const char *cause);
/* A session crashed: those that come now shall not lie in memory where it did. */
void zygote_replace(struct monitor *monitor);
void zygote_clear(struct monitor *monitor);
/* The two channels that a session or attachment has beside ours: introduces it to broker and keys. */
struct introduction {
	int broker[2], keys[2]; /* [0] ours to hand out, [1] the child's */
};
int introduction_open(struct introduction *introduction, struct error *error);
void introduction_close(struct introduction *introduction);
void introduction_send(const struct introduction *introduction, struct child *child, enum peer_kind kind,
    const char *source, const char *expect_host);

/* ---- monitor_open.c, monitor_memory.c: shares ---- */
void open_for(struct monitor *monitor, const struct msg_open_for *order);
/* A descriptor of a memory share's memory with an open file description of its own, or a negative errno. */
int memory_open(struct monitor *monitor, const struct config_share *share, bool writable, struct error *error);
/* Frees memory that is not configured any more, or not of this size. */
void memory_forget_unconfigured(struct monitor *monitor);

/* ---- monitor_hold.c: lanes' locks ---- */
/* Locks one byte far beyond any device through `device`, and remembers it. The lock lives exactly as long as the open file description: in the
 * session, in the kernel's requests, nowhere else. */
int hold_begin(
    struct monitor *monitor, struct child *session, const struct msg_open_for *order, int device, struct error *error);
/* -EBUSY when any lane, of whomever, holds the device that `device` is open on. */
int hold_check_free(int device);
/* The process is reaped: forgets what it held and the kernel has let go of. */
void hold_session_reaped(struct child *session);
/* From now on `fence` waits for all holds of its lease. */
void holds_fence(struct fence *fence);
/* Looks at the locks that somebody waits for, of `fence` (NULL: of all, and of processes that are reaped), and forgets the holds whose lock is gone. A lane
 * that lives on is not looked at. The number of those that stand. */
unsigned holds_look(struct monitor *monitor, const struct fence *fence);
/* One that somebody waits for, or NULL. */
const struct hold *holds_awaited(const struct monitor *monitor);
void holds_clear(struct monitor *monitor);

/* ---- monitor_fence.c ---- */
void fence_begin(struct monitor *monitor, const struct msg_fence *order);
bool fence_stands(const struct monitor *monitor, const uint8_t lease[static LEASE_ID_LEN]);
/* A session is reaped: answers the fence that waited for it, or looks again soon. */
void fences_session_ended(struct child *session);
void fences_clear(struct monitor *monitor);

/* ---- monitor_attach.c ---- */
void attach_start(struct monitor *monitor, const struct msg_attach_start *order);
void attach_stop(struct monitor *monitor, const struct msg_attach_stop *order);
void attach_want_lane(struct child *attach, uint8_t lane);
void attach_connected(
    struct monitor *monitor, const struct msg_gate_connected *connected, int socket); /* takes socket */
void attach_connect_failed(struct monitor *monitor, const struct msg_gate_connect_failed *failed);
void attach_ended(struct child *attach, bool clean, const char *cause);

/* ---- monitor_xen.c: netbus-xenwatch, and attachments of Xen disks ---- */
/* At the start: what `xen:` of netbusd.yaml needs is there. */
int xen_check(const struct monitor *monitor, struct error *error);
void xen_start(struct monitor *monitor); /* nothing happens without a `xen:` */
void xen_stop(struct monitor *monitor);
void xen_watch_ended(struct child *watch, bool clean, const char *cause);
/* The file that outlives netbus-attach-xen (frontend/xen_disk.h): made if it is not there. */
int xen_open_shadow(const struct monitor *monitor, const struct msg_attach_start *order, int *fd, struct error *error);
/* The process, which must then be introduced to netbus-xenwatch. NULL with error set. */
struct child *xen_start_attach(struct monitor *monitor, const struct msg_attach_start *order,
    const struct introduction *introduction, int shadow, struct error *error);
void xen_introduce(struct child *attach);
void xen_attach_ended(const struct child *attach);
void xen_forget(struct monitor *monitor, const struct msg_xen_forget *forget);

/* ---- monitor_socket.c: listening unix sockets ---- */
/* `type`: SOCK_STREAM or SOCK_SEQPACKET. Replaces a socket that nobody listens on, refuses one that is in use (-EADDRINUSE) and what is no socket. `group` NULL: stays ours. */
int unix_listen(const char *path, int type, mode_t mode, const char *group, int *fd, struct error *error);

/* ---- monitor_notify.c ---- */
/* sd_notify(3) without its library; nothing happens when no supervisor asked for it. */
void supervisor_notify(const char *state);

#endif
