/* SPDX-License-Identifier: Apache-2.0
 *
 * What every process gives up before it reads anything hostile: privileges, dumps, and all system calls but a short list.
 *
 * A call that is not listed kills the process with SIGSYS, and its parent logs that. To find out which call it was: the kernel
 * writes "type=1326 ... comm=<program> ... syscall=<number>" to the audit log or to dmesg (`ausyscall <number>` names it); or run the
 * program under `strace -f`, whose last line is the call. Then either the call is wrong, or its row is missing below.
 *
 * io_uring runs its operations without asking this list: who needs SANDBOX_IO_URING restricts its ring too.
 */
#include "base/sandbox.h"

#include <asm/ioctls.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/filter.h>
#include <linux/fs.h>
#include <linux/io_uring.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <pwd.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/log.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define UNDER_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define UNDER_SANITIZER 1
#endif
#endif
#ifndef UNDER_SANITIZER
#define UNDER_SANITIZER 0
#endif

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#endif

#define ALWAYS 0u

/* <xen/sys/gntdev.h> and <xen/sys/evtchn.h>, which may not be there; tests/unit/xen_port_test.c holds these against them. */
#define GNTDEV_MAP_GRANT_REF        _IOC(_IOC_NONE, 'G', 0, 24)
#define GNTDEV_UNMAP_GRANT_REF      _IOC(_IOC_NONE, 'G', 1, 16)
#define GNTDEV_GET_OFFSET_FOR_VADDR _IOC(_IOC_NONE, 'G', 2, 24)
#define GNTDEV_GRANT_COPY           _IOC(_IOC_NONE, 'G', 8, 16)
#define EVTCHN_BIND_INTERDOMAIN     _IOC(_IOC_NONE, 'E', 1, 8)
#define EVTCHN_UNBIND               _IOC(_IOC_NONE, 'E', 3, 4)
#define EVTCHN_NOTIFY               _IOC(_IOC_NONE, 'E', 4, 4)

/* ---- calls that are fine with any arguments ---- */

struct plain_call {
	unsigned need; /* enum sandbox_need, or ALWAYS */
	int number;
};

static const struct plain_call plain_calls[] = {
    /* data on descriptors that are open */
    {ALWAYS, SCMP_SYS(read)},
    {ALWAYS, SCMP_SYS(write)},
    {ALWAYS, SCMP_SYS(readv)},
    {ALWAYS, SCMP_SYS(writev)},
    {ALWAYS, SCMP_SYS(close)},
    {ALWAYS, SCMP_SYS(fstat)},
    {ALWAYS, SCMP_SYS(lseek)},
    {ALWAYS, SCMP_SYS(recvfrom)},
    {ALWAYS, SCMP_SYS(sendto)},
    {ALWAYS, SCMP_SYS(shutdown)},
    {ALWAYS, SCMP_SYS(getsockopt)},
    {ALWAYS, SCMP_SYS(setsockopt)},
    {ALWAYS, SCMP_SYS(getsockname)},
    {ALWAYS, SCMP_SYS(getpeername)},
    {ALWAYS, SCMP_SYS(epoll_ctl)},
    {ALWAYS, SCMP_SYS(epoll_wait)},
    {ALWAYS, SCMP_SYS(epoll_pwait)},
    {ALWAYS, SCMP_SYS(epoll_pwait2)},
    {ALWAYS, SCMP_SYS(poll)},
    {ALWAYS, SCMP_SYS(ppoll)},
    {ALWAYS, SCMP_SYS(timerfd_settime)},
    {ALWAYS, SCMP_SYS(timerfd_gettime)},
    /* memory, without the right to make any of it executable: mmap and mprotect have their own rows */
    {ALWAYS, SCMP_SYS(brk)},
    {ALWAYS, SCMP_SYS(munmap)},
    {ALWAYS, SCMP_SYS(mremap)},
    {ALWAYS, SCMP_SYS(madvise)},
    {ALWAYS, SCMP_SYS(mlock)},
    {ALWAYS, SCMP_SYS(munlock)},
    /* what the C library does on its own account; sysinfo is how its qsort sizes its buffer */
    {ALWAYS, SCMP_SYS(futex)},
    {ALWAYS, SCMP_SYS(rseq)},
    {ALWAYS, SCMP_SYS(set_robust_list)},
    {ALWAYS, SCMP_SYS(sched_yield)},
    {ALWAYS, SCMP_SYS(membarrier)},
    {ALWAYS, SCMP_SYS(sysinfo)},
    {ALWAYS, SCMP_SYS(getrandom)},
    {ALWAYS, SCMP_SYS(restart_syscall)},
    /* clocks */
    {ALWAYS, SCMP_SYS(clock_gettime)},
    {ALWAYS, SCMP_SYS(clock_getres)},
    {ALWAYS, SCMP_SYS(gettimeofday)},
    {ALWAYS, SCMP_SYS(time)},
    /* signals of its own, who it is, the end */
    {ALWAYS, SCMP_SYS(rt_sigaction)},
    {ALWAYS, SCMP_SYS(rt_sigprocmask)},
    {ALWAYS, SCMP_SYS(rt_sigpending)},
    {ALWAYS, SCMP_SYS(rt_sigreturn)},
    {ALWAYS, SCMP_SYS(sigaltstack)},
    {ALWAYS, SCMP_SYS(getpid)},
    {ALWAYS, SCMP_SYS(gettid)},
    {ALWAYS, SCMP_SYS(getppid)},
    {ALWAYS, SCMP_SYS(getuid)},
    {ALWAYS, SCMP_SYS(geteuid)},
    {ALWAYS, SCMP_SYS(getgid)},
    {ALWAYS, SCMP_SYS(getegid)},
    {ALWAYS, SCMP_SYS(exit)},
    {ALWAYS, SCMP_SYS(exit_group)},

    {SANDBOX_PASS_FDS, SCMP_SYS(sendmsg)},
    {SANDBOX_PASS_FDS, SCMP_SYS(recvmsg)},

    {SANDBOX_FILE_IO | SANDBOX_FILES, SCMP_SYS(pread64)},
    {SANDBOX_FILE_IO | SANDBOX_FILES, SCMP_SYS(pwrite64)},
    {SANDBOX_FILE_IO, SCMP_SYS(preadv)},
    {SANDBOX_FILE_IO, SCMP_SYS(pwritev)},
    {SANDBOX_FILE_IO, SCMP_SYS(preadv2)},
    {SANDBOX_FILE_IO, SCMP_SYS(pwritev2)},
    {SANDBOX_FILE_IO | SANDBOX_FILES, SCMP_SYS(fsync)},
    {SANDBOX_FILE_IO | SANDBOX_FILES, SCMP_SYS(fdatasync)},
    {SANDBOX_FILE_IO | SANDBOX_FILES, SCMP_SYS(fallocate)},

    /* of a loop that polls */
    {SANDBOX_PASS_FDS, SCMP_SYS(sched_yield)},

    {SANDBOX_IO_URING, SCMP_SYS(io_uring_enter)},

    {SANDBOX_ACCEPT, SCMP_SYS(accept)},
    {SANDBOX_ACCEPT, SCMP_SYS(accept4)},

    {SANDBOX_NET, SCMP_SYS(bind)},
    {SANDBOX_NET, SCMP_SYS(listen)},
    {SANDBOX_NET, SCMP_SYS(connect)},

    /* SQLite's and the policy loader's; which files these reach is Landlock's and the file modes' business */
    {SANDBOX_FILES, SCMP_SYS(open)},
    {SANDBOX_FILES, SCMP_SYS(openat)},
    {SANDBOX_FILES, SCMP_SYS(stat)},
    {SANDBOX_FILES, SCMP_SYS(lstat)},
    {SANDBOX_FILES, SCMP_SYS(newfstatat)},
    {SANDBOX_FILES, SCMP_SYS(statx)},
    {SANDBOX_FILES, SCMP_SYS(fstatfs)},
    {SANDBOX_FILES, SCMP_SYS(access)},
    {SANDBOX_FILES, SCMP_SYS(faccessat)},
    {SANDBOX_FILES, SCMP_SYS(faccessat2)},
    {SANDBOX_FILES, SCMP_SYS(readlink)},
    {SANDBOX_FILES, SCMP_SYS(readlinkat)},
    {SANDBOX_FILES, SCMP_SYS(getcwd)},
    {SANDBOX_FILES, SCMP_SYS(getdents64)},
    {SANDBOX_FILES, SCMP_SYS(rename)},
    {SANDBOX_FILES, SCMP_SYS(renameat)},
    {SANDBOX_FILES, SCMP_SYS(renameat2)},
    {SANDBOX_FILES, SCMP_SYS(unlink)},
    {SANDBOX_FILES, SCMP_SYS(unlinkat)},
    {SANDBOX_FILES, SCMP_SYS(mkdir)},
    {SANDBOX_FILES, SCMP_SYS(mkdirat)},
    {SANDBOX_FILES, SCMP_SYS(rmdir)},
    {SANDBOX_FILES, SCMP_SYS(ftruncate)},
    {SANDBOX_FILES, SCMP_SYS(fchmod)},
    {SANDBOX_FILES, SCMP_SYS(fchown)},
    {SANDBOX_FILES, SCMP_SYS(umask)},
    {SANDBOX_FILES, SCMP_SYS(utimensat)},
    {SANDBOX_FILES, SCMP_SYS(fadvise64)},
    /* libxengnttab's too, while a page of the guest is being brought back */
    {SANDBOX_FILES | SANDBOX_XEN, SCMP_SYS(nanosleep)},
    {SANDBOX_FILES | SANDBOX_XEN, SCMP_SYS(clock_nanosleep)},

    {SANDBOX_TIMERFD, SCMP_SYS(timerfd_create)},
    {SANDBOX_TIMERFD, SCMP_SYS(eventfd2)},
    {SANDBOX_TIMERFD, SCMP_SYS(signalfd4)},
    {SANDBOX_TIMERFD | SANDBOX_ZYGOTE, SCMP_SYS(epoll_create1)},

    {SANDBOX_ZYGOTE, SCMP_SYS(dup3)},
    {SANDBOX_ZYGOTE, SCMP_SYS(close_range)},
    {SANDBOX_ZYGOTE, SCMP_SYS(io_uring_setup)},
    /* a child's own list has it for itself only, and nothing hostile runs before that is loaded */
    {SANDBOX_ZYGOTE, SCMP_SYS(tgkill)},
};

/* ---- calls that are fine with some arguments only ---- */

#define IS(argument, value)                     \
	{                                       \
		argument, SCMP_CMP_EQ, value, 0 \
	}
#define HAS_NO(argument, bits)                        \
	{                                             \
		argument, SCMP_CMP_MASKED_EQ, bits, 0 \
	}
#define MASKED(argument, mask, value)                     \
	{                                                 \
		argument, SCMP_CMP_MASKED_EQ, mask, value \
	}

struct checked_call {
	unsigned need;
	int number;
	unsigned count;
	struct scmp_arg_cmp arguments[3];
};

#define FCNTL(need, command)              \
	{                                 \
		need, SCMP_SYS(fcntl), 1, \
		{                         \
			IS(1, command)    \
		}                         \
	}
#define IOCTL(need, request)              \
	{                                 \
		need, SCMP_SYS(ioctl), 1, \
		{                         \
			IS(1, request)    \
		}                         \
	}
#define URING(operation)                                          \
	{                                                         \
		SANDBOX_IO_URING, SCMP_SYS(io_uring_register), 1, \
		{                                                 \
			IS(1, operation)                          \
		}                                                 \
	}
#define TCP(family)                                                \
	{                                                          \
		SANDBOX_NET, SCMP_SYS(socket), 2,                  \
		{                                                  \
			IS(0, family), MASKED(1, 0xf, SOCK_STREAM) \
		}                                                  \
	}

static const struct checked_call checked_calls[] = {
    {ALWAYS, SCMP_SYS(mmap), 1, {HAS_NO(2, PROT_EXEC)}},
    {ALWAYS, SCMP_SYS(mprotect), 1, {HAS_NO(2, PROT_EXEC)}},
    /* The C library's fstat(). */
    {ALWAYS, SCMP_SYS(newfstatat), 1, {IS(3, AT_EMPTY_PATH)}},
    {SANDBOX_FILE_IO, SCMP_SYS(statx), 1, {IS(2, AT_EMPTY_PATH)}},
    /* Reading its own limits, never setting them. */
    {ALWAYS, SCMP_SYS(prlimit64), 2, {IS(0, 0), IS(2, 0)}},
    {ALWAYS, SCMP_SYS(prctl), 1, {IS(0, PR_SET_NAME)}},
    {ALWAYS, SCMP_SYS(prctl), 1, {IS(0, PR_SET_VMA)}},
    {SANDBOX_ZYGOTE, SCMP_SYS(clone), 1, {IS(0, CLONE_PARENT | SIGCHLD)}},
    {SANDBOX_ZYGOTE, SCMP_SYS(prctl), 1, {IS(0, PR_SET_PDEATHSIG)}},
    {SANDBOX_ZYGOTE, SCMP_SYS(seccomp), 1, {IS(0, SECCOMP_SET_MODE_FILTER)}},
    FCNTL(ALWAYS, F_GETFD),
    FCNTL(ALWAYS, F_SETFD),
    FCNTL(ALWAYS, F_GETFL),
    FCNTL(ALWAYS, F_SETFL),
    FCNTL(ALWAYS, F_DUPFD_CLOEXEC),
    FCNTL(ALWAYS, F_GET_SEALS),
    FCNTL(SANDBOX_FILES, F_GETLK),
    FCNTL(SANDBOX_FILES, F_SETLK),
    FCNTL(SANDBOX_FILES, F_SETLKW),
    FCNTL(SANDBOX_FILES, F_OFD_GETLK),
    FCNTL(SANDBOX_FILES, F_OFD_SETLK),
    IOCTL(ALWAYS, FIONBIO),
    IOCTL(ALWAYS, TCGETS), /* is standard error a terminal? */
    IOCTL(SANDBOX_FILE_IO, BLKGETSIZE64),
    IOCTL(SANDBOX_FILE_IO, BLKSSZGET),
    IOCTL(SANDBOX_FILE_IO, BLKPBSZGET),
    IOCTL(SANDBOX_FILE_IO, BLKIOMIN),
    IOCTL(SANDBOX_FILE_IO, BLKIOOPT),
    IOCTL(SANDBOX_FILE_IO, BLKROGET),
    IOCTL(SANDBOX_FILE_IO, BLKROTATIONAL),
    IOCTL(SANDBOX_FILE_IO, BLKDISCARD),
    IOCTL(SANDBOX_FILE_IO, BLKZEROOUT),
    /* Of these, what is asked stands behind a pointer, which no filter sees: Xen checks it. Mapping itself is mmap. */
    IOCTL(SANDBOX_XEN, GNTDEV_MAP_GRANT_REF),
    IOCTL(SANDBOX_XEN, GNTDEV_UNMAP_GRANT_REF),
    IOCTL(SANDBOX_XEN, GNTDEV_GET_OFFSET_FOR_VADDR),
    IOCTL(SANDBOX_XEN, GNTDEV_GRANT_COPY),
    IOCTL(SANDBOX_XEN, EVTCHN_BIND_INTERDOMAIN),
    IOCTL(SANDBOX_XEN, EVTCHN_UNBIND),
    IOCTL(SANDBOX_XEN, EVTCHN_NOTIFY),
    URING(IORING_REGISTER_BUFFERS),
    URING(IORING_UNREGISTER_BUFFERS),
    URING(IORING_REGISTER_FILES),
    URING(IORING_UNREGISTER_FILES),
    URING(IORING_REGISTER_FILES_UPDATE),
    URING(IORING_REGISTER_FILES2),
    URING(IORING_REGISTER_FILES_UPDATE2),
    URING(IORING_REGISTER_RESTRICTIONS),
    URING(IORING_REGISTER_ENABLE_RINGS),
    TCP(AF_INET),
    TCP(AF_INET6),
};

static const char no_filter[] = "cannot install the list of allowed system calls";

static bool
is_needed(unsigned row, unsigned needs)
{
	return row == ALWAYS || (row & needs) != 0;
}

static int
allow_calls(scmp_filter_ctx filter, unsigned needs)
{
	int code = 0;

	for (size_t i = 0; i < ARRAY_LENGTH(plain_calls) && code == 0; i++)
		if (is_needed(plain_calls[i].need, needs))
			code = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, plain_calls[i].number, 0, NULL);
	for (size_t i = 0; i < ARRAY_LENGTH(checked_calls) && code == 0; i++) {
		const struct checked_call *call = &checked_calls[i];

		if (is_needed(call->need, needs))
			code =
			    seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, call->number, call->count, call->arguments);
	}
	return code;
}

/* Stands in a list for the number of the process that will load it; larger than any process has (PID_MAX_LIMIT). */
#define OWN_PID 0x7ffffff1u

/* abort(3) and assert(3) signal their own process; nobody signals another. */
static int
allow_own_signal(scmp_filter_ctx filter)
{
	const struct scmp_arg_cmp self[] = {IS(0, OWN_PID)};

	return seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, self);
}

/* The C library asks a name service daemon before it reads /etc/passwd; told that there are no such sockets, it goes on. */
static int
answer_name_service(scmp_filter_ctx filter)
{
	const struct scmp_arg_cmp local[] = {IS(0, AF_UNIX)};

	return seccomp_rule_add_array(filter, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), 1, local);
}

static void
release_filter(scmp_filter_ctx *filter)
{
	if (*filter)
		seccomp_release(*filter);
}

/* ---- the list as a program, which is made once and may be loaded by many ---- */

struct sandbox_filter {
	struct sock_filter *program;
	unsigned short length;
	unsigned flags; /* of seccomp(2) */
};

static int
make_rules(scmp_filter_ctx filter, unsigned needs)
{
	int code = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);

	if (code == 0)
		code = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (code == 0)
		code = allow_calls(filter, needs);
	if (code == 0 && !(needs & SANDBOX_ZYGOTE))
		code = allow_own_signal(filter);
	if (code == 0 && (needs & SANDBOX_FILES))
		code = answer_name_service(filter);
	return code;
}

/* libseccomp writes a program to a descriptor, or loads it itself. */
static int
take_program(scmp_filter_ctx rules, struct sandbox_filter *filter)
{
	AUTO_CLOSE int fd = memfd_create("sandbox", MFD_CLOEXEC);
	int code = fd < 0 ? -errno : seccomp_export_bpf(rules, fd);
	off_t bytes = code < 0 ? 0 : lseek(fd, 0, SEEK_END);

	if (code < 0)
		return code;
	if (bytes <= 0 || bytes / (off_t)sizeof(struct sock_filter) > BPF_MAXINSNS)
		return -EIO;
	filter->program = malloc((size_t)bytes);
	if (filter->program == NULL)
		return -ENOMEM;
	filter->length = (unsigned short)((size_t)bytes / sizeof(struct sock_filter));
	return pread(fd, filter->program, (size_t)bytes, 0) == bytes ? 0 : -EIO;
}

void
sandbox_filter_free(struct sandbox_filter *filter)
{
	if (filter == NULL)
		return;
	free(filter->program);
	free(filter);
}

struct sandbox_filter *
sandbox_filter_new(unsigned needs, struct error *error)
{
	AUTO(release_filter) scmp_filter_ctx rules = seccomp_init(SCMP_ACT_KILL_PROCESS);
	struct sandbox_filter *filter = calloc(1, sizeof *filter);
	int code = rules && filter ? make_rules(rules, needs) : -ENOMEM;

	if (code == 0)
		code = take_program(rules, filter);
	if (code == 0) {
		filter->flags = needs & SANDBOX_THREADS ? SECCOMP_FILTER_FLAG_TSYNC : 0;
		return filter;
	}
	sandbox_filter_free(filter);
	error_errno(error, code, "%s (does this kernel have seccomp?)", no_filter);
	return NULL;
}

int
sandbox_filter_load(struct sandbox_filter *filter, struct error *error)
{
	const struct sock_fprog program = {.len = filter->length, .filter = filter->program};
	long code;

	if (UNDER_SANITIZER) {
		log_info("built with a sanitizer: running without the list of allowed system calls");
		return 0;
	}
	for (unsigned i = 0; i < filter->length; i++)
		if (filter->program[i].code == (BPF_JMP | BPF_JEQ | BPF_K) && filter->program[i].k == OWN_PID)
			filter->program[i].k = (uint32_t)getpid();
	code = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, filter->flags, &program);
	if (code > 0) /* the number of a thread that has a list which ours does not go on from */
		return error_set(error, -EBUSY, "%s: thread %ld cannot be held to it", no_filter, code);
	return code == 0 ? 0 : error_errno(error, -errno, "%s (does this kernel have seccomp?)", no_filter);
}

int
sandbox_lock(unsigned needs, struct error *error)
{
	struct sandbox_filter *filter = sandbox_filter_new(needs, error);
	int code;

	if (filter == NULL)
		return error->code;
	/* Else only who is privileged may load a list. */
	code = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? error_errno(error, -errno, "%s", no_filter)
							  : sandbox_filter_load(filter, error);
	sandbox_filter_free(filter);
	return code;
}

/* Not fork(3): the new process is no child of ours. What the C library's would do besides, to take its locks, is for processes with threads. */
int
sandbox_fork_sibling(pid_t parent)
{
	long pid = syscall(SYS_clone, CLONE_PARENT | SIGCHLD, NULL, NULL, NULL, NULL);

	if (pid != 0)
		return pid < 0 ? -errno : (int)pid;
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || getppid() != parent) /* it died before it was told of us */
		_exit(EXIT_FAILURE);
	return 0;
}

int
sandbox_forbid_network(struct error *error)
{
	const struct scmp_arg_cmp not_local[] = {{0, SCMP_CMP_NE, AF_UNIX, 0}};
	AUTO(release_filter) scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	int code;

	if (filter == NULL)
		return error_set(error, -ENOMEM, "%s: out of memory", no_filter);
	code = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	if (code == 0)
		code = seccomp_rule_add_array(filter, SCMP_ACT_KILL_PROCESS, SCMP_SYS(socket), 1, not_local);
	if (code == 0)
		code = seccomp_load(filter);
	return code < 0 ? error_errno(error, code, "%s (does this kernel have seccomp?)", no_filter) : 0;
}

int
sandbox_begin(struct error *error)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		return error_errno(error, -errno, "cannot ask to end with the parent process");
	return sandbox_begin_orphan(error);
}

int
sandbox_begin_orphan(struct error *error)
{
	const struct rlimit no_core = {0, 0};

	/* The leak checker of the sanitizers traces its own process, which an undumpable one forbids. */
	if (!UNDER_SANITIZER && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return error_errno(error, -errno, "cannot make the process undumpable");
	if (setrlimit(RLIMIT_CORE, &no_core) < 0)
		return error_errno(error, -errno, "cannot forbid core files");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return error_errno(error, -errno, "cannot give up gaining privileges");
	return 0;
}

int
sandbox_drop_to_user(const char *name, struct error *error)
{
	const struct passwd *user;

	errno = 0;
	user = getpwnam(name);
	if (user == NULL && (errno == 0 || errno == ENOENT))
		return 1;
	if (user == NULL)
		return error_errno(error, -errno, "cannot look up user %s", name);
	if (setgroups(0, NULL) < 0)
		return error_errno(error, -errno, "cannot drop supplementary groups for user %s", name);
	if (setresgid(user->pw_gid, user->pw_gid, user->pw_gid) < 0)
		return error_errno(error, -errno, "cannot become group %u of user %s", user->pw_gid, name);
	if (setresuid(user->pw_uid, user->pw_uid, user->pw_uid) < 0)
		return error_errno(error, -errno, "cannot become user %s", name);
	return 0;
}

int
sandbox_become(const char *name, struct error *error)
{
	int code = name ? sandbox_drop_to_user(name, error) : 0;

	if (code > 0)
		return error_set(error, -ENOENT, "there is no user %s (etc/netbus.sysusers has it)", name);
	return code < 0 || name == NULL ? code : sandbox_begin(error);
}
