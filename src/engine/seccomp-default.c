/* SPDX-License-Identifier: MIT */
/*
 * The default profile: what Docker's documentation lists as allowed, as a table. test-seccomp.c compares
 * its outcome with the list for every call and set of capabilities.
 */
#include "engine/seccomp.h"

#include <linux/capability.h>
#include <sched.h>

#include "host/caps.h"

/* clang-format off */
static const char *const always[] = {
	"accept", "accept4", "access", "adjtimex", "alarm", "bind", "brk", "cachestat",
	"capget", "capset", "chdir", "chmod", "chown", "chown32", "clock_adjtime",
	"clock_adjtime64", "clock_getres", "clock_getres_time64", "clock_gettime",
	"clock_gettime64", "clock_nanosleep", "clock_nanosleep_time64", "close", "close_range",
	"connect", "copy_file_range", "creat", "dup", "dup2", "dup3", "epoll_create",
	"epoll_create1", "epoll_ctl", "epoll_ctl_old", "epoll_pwait", "epoll_pwait2",
	"epoll_wait", "epoll_wait_old", "eventfd", "eventfd2", "execve", "execveat", "exit",
	"exit_group", "faccessat", "faccessat2", "fadvise64", "fadvise64_64", "fallocate",
	"fanotify_mark", "fchdir", "fchmod", "fchmodat", "fchmodat2", "fchown", "fchown32",
	"fchownat", "fcntl", "fcntl64", "fdatasync", "fgetxattr", "flistxattr", "flock", "fork",
	"fremovexattr", "fsetxattr", "fstat", "fstat64", "fstatat64", "fstatfs", "fstatfs64",
	"fsync", "ftruncate", "ftruncate64", "futex", "futex_requeue", "futex_time64",
	"futex_wait", "futex_waitv", "futex_wake", "futimesat", "getcpu", "getcwd", "getdents",
	"getdents64", "getegid", "getegid32", "geteuid", "geteuid32", "getgid", "getgid32",
	"getgroups", "getgroups32", "getitimer", "getpeername", "getpgid", "getpgrp", "getpid",
	"getppid", "getpriority", "getrandom", "getresgid", "getresgid32", "getresuid",
	"getresuid32", "getrlimit", "get_robust_list", "getrusage", "getsid", "getsockname",
	"getsockopt", "get_thread_area", "gettid", "gettimeofday", "getuid", "getuid32",
	"getxattr", "getxattrat", "inotify_add_watch", "inotify_init", "inotify_init1",
	"inotify_rm_watch", "io_cancel", "ioctl", "io_destroy", "io_getevents", "io_pgetevents",
	"io_pgetevents_time64", "ioprio_get", "ioprio_set", "io_setup", "io_submit", "ipc",
	"kill", "landlock_add_rule", "landlock_create_ruleset", "landlock_restrict_self",
	"lchown", "lchown32", "lgetxattr", "link", "linkat", "listen", "listmount", "listxattr",
	"listxattrat", "llistxattr", "_llseek", "lremovexattr", "lseek", "lsetxattr", "lstat",
	"lstat64", "madvise", "map_shadow_stack", "membarrier", "memfd_create", "memfd_secret",
	"mincore", "mkdir", "mkdirat", "mknod", "mknodat", "mlock", "mlock2", "mlockall",
	"mmap", "mmap2", "mprotect", "mq_getsetattr", "mq_notify", "mq_open", "mq_timedreceive",
	"mq_timedreceive_time64", "mq_timedsend", "mq_timedsend_time64", "mq_unlink", "mremap",
	"mseal", "msgctl", "msgget", "msgrcv", "msgsnd", "msync", "munlock", "munlockall",
	"munmap", "name_to_handle_at", "nanosleep", "newfstatat", "_newselect", "open",
	"openat", "openat2", "pause", "pidfd_open", "pidfd_send_signal", "pipe", "pipe2",
	"pkey_alloc", "pkey_free", "pkey_mprotect", "poll", "ppoll", "ppoll_time64", "prctl",
	"pread64", "preadv", "preadv2", "prlimit64", "process_mrelease", "pselect6",
	"pselect6_time64", "pwrite64", "pwritev", "pwritev2", "read", "readahead", "readlink",
	"readlinkat", "readv", "recv", "recvfrom", "recvmmsg", "recvmmsg_time64", "recvmsg",
	"remap_file_pages", "removexattr", "removexattrat", "rename", "renameat", "renameat2",
	"restart_syscall", "riscv_hwprobe", "rmdir", "rseq", "rt_sigaction", "rt_sigpending",
	"rt_sigprocmask", "rt_sigqueueinfo", "rt_sigreturn", "rt_sigsuspend", "rt_sigtimedwait",
	"rt_sigtimedwait_time64", "rt_tgsigqueueinfo", "sched_getaffinity", "sched_getattr",
	"sched_getparam", "sched_get_priority_max", "sched_get_priority_min",
	"sched_getscheduler", "sched_rr_get_interval", "sched_rr_get_interval_time64",
	"sched_setaffinity", "sched_setattr", "sched_setparam", "sched_setscheduler",
	"sched_yield", "seccomp", "select", "semctl", "semget", "semop", "semtimedop",
	"semtimedop_time64", "send", "sendfile", "sendfile64", "sendmmsg", "sendmsg", "sendto",
	"setfsgid", "setfsgid32", "setfsuid", "setfsuid32", "setgid", "setgid32", "setgroups",
	"setgroups32", "setitimer", "setpgid", "setpriority", "setregid", "setregid32",
	"setresgid", "setresgid32", "setresuid", "setresuid32", "setreuid", "setreuid32",
	"setrlimit", "set_robust_list", "setsid", "setsockopt", "set_thread_area",
	"set_tid_address", "setuid", "setuid32", "setxattr", "setxattrat", "shmat", "shmctl",
	"shmdt", "shmget", "shutdown", "sigaltstack", "signalfd", "signalfd4", "sigprocmask",
	"sigreturn", "socketcall", "socketpair", "splice", "stat", "stat64", "statfs",
	"statfs64", "statmount", "statx", "symlink", "symlinkat", "sync", "sync_file_range",
	"syncfs", "sysinfo", "tee", "tgkill", "time", "timer_create", "timer_delete",
	"timer_getoverrun", "timer_gettime", "timer_gettime64", "timer_settime",
	"timer_settime64", "timerfd_create", "timerfd_gettime", "timerfd_gettime64",
	"timerfd_settime", "timerfd_settime64", "times", "tkill", "truncate", "truncate64",
	"ugetrlimit", "umask", "uname", "unlink", "unlinkat", "uretprobe", "utime", "utimensat",
	"utimensat_time64", "utimes", "vfork", "vmsplice", "wait4", "waitid", "waitpid",
	"write", "writev",
	NULL
};

/* clang-format on */

#define CALLS(...)                \
	(const char *const[])     \
	{                         \
		__VA_ARGS__, NULL \
	}
#define WHEN(i, cmp, ...)                                \
	.n_args = 1, .args = &(const struct seccomp_arg) \
	{                                                \
		i, cmp, __VA_ARGS__                      \
	}
#define ALLOW(...)                                                \
	{                                                         \
		.action = SECCOMP_RET_ALLOW, .names = __VA_ARGS__ \
	}

/* CLONE_NEW* but for time, which clone(2) can't make */
#define NEW_ANY                                                                        \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | \
		CLONE_NEWPID | CLONE_NEWNET)
#define S390_BOTH  (SECCOMP_S390 | SECCOMP_S390X)
#define X86_BOTH64 (SECCOMP_X86_64 | SECCOMP_X32)

static const struct seccomp_row rows[] = {
	ALLOW(always),
	ALLOW(CALLS("process_vm_readv", "process_vm_writev", "ptrace"), .min_kernel = 4 << 8 | 8),

	/* all families but AF_ALG (38) and AF_VSOCK (40) */
	ALLOW(CALLS("socket"), WHEN(0, SECCOMP_LT, 38)),
	ALLOW(CALLS("socket"), WHEN(0, SECCOMP_EQ, 39)),
	ALLOW(CALLS("socket"), WHEN(0, SECCOMP_GT, 40)),

	/* PER_LINUX, PER_LINUX32, with UNAME26, and the question */
	ALLOW(CALLS("personality"), WHEN(0, SECCOMP_EQ, 0)),
	ALLOW(CALLS("personality"), WHEN(0, SECCOMP_EQ, 0x8)),
	ALLOW(CALLS("personality"), WHEN(0, SECCOMP_EQ, 0x20000)),
	ALLOW(CALLS("personality"), WHEN(0, SECCOMP_EQ, 0x20008)),
	ALLOW(CALLS("personality"), WHEN(0, SECCOMP_EQ, 0xffffffff)),

	ALLOW(CALLS("sync_file_range2", "swapcontext"), .arches = SECCOMP_PPC64LE),
	ALLOW(CALLS("arm_fadvise64_64", "arm_sync_file_range", "sync_file_range2", "breakpoint",
		      "cacheflush", "set_tls"),
		.arches = SECCOMP_ARM | SECCOMP_AARCH64),
	ALLOW(CALLS("arch_prctl"), .arches = X86_BOTH64),
	ALLOW(CALLS("modify_ldt"), .arches = X86_BOTH64 | SECCOMP_X86),
	ALLOW(CALLS("s390_pci_mmio_read", "s390_pci_mmio_write", "s390_runtime_instr"),
		.arches = S390_BOTH),
	ALLOW(CALLS("riscv_flush_icache"), .arches = SECCOMP_RISCV64),

	ALLOW(CALLS("open_by_handle_at"), .caps = CAPS_BIT(CAP_DAC_READ_SEARCH)),
	ALLOW(CALLS("bpf", "clone", "clone3", "fanotify_init", "fsconfig", "fsmount", "fsopen",
		      "fspick", "lookup_dcookie", "lsm_get_self_attr", "lsm_list_modules",
		      "lsm_set_self_attr", "mount", "mount_setattr", "move_mount", "open_tree",
		      "perf_event_open", "quotactl", "quotactl_fd", "setdomainname", "sethostname",
		      "setns", "syslog", "umount", "umount2", "unshare"),
		.caps = CAPS_BIT(CAP_SYS_ADMIN)),
	ALLOW(CALLS("clone"), WHEN(0, SECCOMP_MASKED_EQ, NEW_ANY, 0),
		.not_caps = CAPS_BIT(CAP_SYS_ADMIN), .not_arches = S390_BOTH),
	ALLOW(CALLS("clone"), WHEN(1, SECCOMP_MASKED_EQ, NEW_ANY, 0), /* flags come second there */
		.not_caps = CAPS_BIT(CAP_SYS_ADMIN), .arches = S390_BOTH),
	/* its flags lie in memory, where no filter sees them: programs fall back to clone */
	{ .names = CALLS("clone3"),
		.action = SECCOMP_RET_ERRNO | ENOSYS,
		.not_caps = CAPS_BIT(CAP_SYS_ADMIN) },
	ALLOW(CALLS("reboot"), .caps = CAPS_BIT(CAP_SYS_BOOT)),
	ALLOW(CALLS("chroot"), .caps = CAPS_BIT(CAP_SYS_CHROOT)),
	ALLOW(CALLS("delete_module", "init_module", "finit_module"),
		.caps = CAPS_BIT(CAP_SYS_MODULE)),
	ALLOW(CALLS("acct"), .caps = CAPS_BIT(CAP_SYS_PACCT)),
	ALLOW(CALLS("kcmp", "pidfd_getfd", "process_madvise", "process_vm_readv",
		      "process_vm_writev", "ptrace"),
		.caps = CAPS_BIT(CAP_SYS_PTRACE)),
	ALLOW(CALLS("iopl", "ioperm"), .caps = CAPS_BIT(CAP_SYS_RAWIO)),
	ALLOW(CALLS("settimeofday", "stime", "clock_settime", "clock_settime64"),
		.caps = CAPS_BIT(CAP_SYS_TIME)),
	ALLOW(CALLS("vhangup"), .caps = CAPS_BIT(CAP_SYS_TTY_CONFIG)),
	ALLOW(CALLS("get_mempolicy", "mbind", "set_mempolicy", "set_mempolicy_home_node"),
		.caps = CAPS_BIT(CAP_SYS_NICE)),
	ALLOW(CALLS("syslog"), .caps = CAPS_BIT(CAP_SYSLOG)),
	ALLOW(CALLS("bpf"), .caps = CAPS_BIT(CAP_BPF)),
	ALLOW(CALLS("perf_event_open"), .caps = CAPS_BIT(CAP_PERFMON)),
};

const struct seccomp_profile seccomp_default = {
	.default_action = SECCOMP_RET_ERRNO | EPERM,
	.arches = SECCOMP_X86_64 | SECCOMP_X86 | SECCOMP_X32 | SECCOMP_AARCH64 | SECCOMP_ARM |
		  SECCOMP_S390X | SECCOMP_S390 | SECCOMP_PPC64LE | SECCOMP_RISCV64,
	.rows = rows,
	.n_rows = ELEMENTSOF(rows),
};
