/* SPDX-License-Identifier: MIT */

/*
 * nochange COMMAND [ARGUMENT...]: runs a command that may look at the host and not change it.
 *
 * A system call that makes, removes, moves or marks something on the host ends the process (SIGSYS, which
 * a shell shows as 159). Opening a file for writing and fchown fail with EROFS instead, since libraries
 * (SQLite) try them before they read; nothing can be changed that way either. Descriptors that the command
 * inherits can be written to: that is its output.
 */

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ELEMENTSOF(a) (sizeof(a) / sizeof((a)[0]))

/* Whatever their arguments. Names that this architecture lacks are skipped. */
static const char *const forbidden[] = {
	"acct",
	"adjtimex",
	"bpf",
	"chmod",
	"chown",
	"chroot",
	"clock_settime",
	"creat",
	"delete_module",
	"fallocate",
	"fchmod",
	"fchmodat",

	"fchownat",
	"finit_module",
	"fremovexattr",
	"fsconfig",
	"fsetxattr",
	"fsmount",
	"fsopen",
	"fspick",
	"ftruncate",
	"init_module",
	"kexec_load",
	"lchown",
	"link",
	"linkat",
	"lremovexattr",
	"lsetxattr",
	"mkdir",
	"mkdirat",
	"mknod",
	"mknodat",
	"mount",
	"mount_setattr",
	"move_mount",
	"open_by_handle_at",
	"open_tree",
	"pivot_root",
	"pwrite64",
	"pwritev",
	"pwritev2",
	"quotactl",
	"reboot",
	"removexattr",
	"rename",
	"renameat",
	"renameat2",
	"rmdir",
	"setdomainname",
	"sethostname",
	"setns",
	"settimeofday",
	"setxattr",
	"swapoff",
	"swapon",
	"symlink",
	"symlinkat",
	"sync",
	"syncfs",
	"truncate",
	"umount2",
	"unlink",
	"unlinkat",
	"unshare",
	"utime",
	"utimensat",
	"utimes",
};

static int add_opens(scmp_filter_ctx f)
{
	static const int writing[] = { O_WRONLY, O_RDWR };
	static const int making[] = { O_CREAT, O_TRUNC, O_TMPFILE & ~O_DIRECTORY };
	int r = 0;

	for (size_t i = 0; i < ELEMENTSOF(writing); i++) {
		r |= seccomp_rule_add(f, SCMP_ACT_ERRNO(EROFS), SCMP_SYS(open), 1,
			SCMP_A1(SCMP_CMP_MASKED_EQ, O_ACCMODE, (scmp_datum_t)writing[i]));
		r |= seccomp_rule_add(f, SCMP_ACT_ERRNO(EROFS), SCMP_SYS(openat), 1,
			SCMP_A2(SCMP_CMP_MASKED_EQ, O_ACCMODE, (scmp_datum_t)writing[i]));
	}
	for (size_t i = 0; i < ELEMENTSOF(making); i++) {
		r |= seccomp_rule_add(f, SCMP_ACT_ERRNO(EROFS), SCMP_SYS(open), 1,
			SCMP_A1(SCMP_CMP_MASKED_EQ, (scmp_datum_t)making[i],
				(scmp_datum_t)making[i]));
		r |= seccomp_rule_add(f, SCMP_ACT_ERRNO(EROFS), SCMP_SYS(openat), 1,
			SCMP_A2(SCMP_CMP_MASKED_EQ, (scmp_datum_t)making[i],
				(scmp_datum_t)making[i]));
	}
	return r;
}

static int add_clones(scmp_filter_ctx f)
{
	static const unsigned namespaces[] = { CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWNET,
		CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWCGROUP };
	int r;

	/* clone3's flags lie in memory, out of the filter's sight: glibc goes back to clone */
	r = seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	/* openat2's too: whoever reads paths with it cannot be told from who writes, and it has no
	 * fall-back; O_PATH and reading is what our programs use it for */
	for (size_t i = 0; i < ELEMENTSOF(namespaces); i++)
		r |= seccomp_rule_add(f, SCMP_ACT_KILL_PROCESS, SCMP_SYS(clone), 1,
			SCMP_A0(SCMP_CMP_MASKED_EQ, namespaces[i], namespaces[i]));
	/* asking whether a process is there is no change */
	r |= seccomp_rule_add(f, SCMP_ACT_KILL_PROCESS, SCMP_SYS(kill), 1, SCMP_A1(SCMP_CMP_NE, 0));
	return r;
}

int main(int argc, char **argv)
{
	scmp_filter_ctx f;
	int r = 0;

	if (argc < 2) {
		fprintf(stderr, "nochange: no command\n");
		return 125;
	}
	f = seccomp_init(SCMP_ACT_ALLOW);
	if (!f)
		return 125;
	for (size_t i = 0; i < ELEMENTSOF(forbidden); i++) {
		int nr = seccomp_syscall_resolve_name(forbidden[i]);

		if (nr != __NR_SCMP_ERROR)
			r |= seccomp_rule_add(f, SCMP_ACT_KILL_PROCESS, nr, 0);
	}
	r |= seccomp_rule_add(f, SCMP_ACT_ERRNO(EROFS), SCMP_SYS(fchown), 0);
	r |= add_opens(f);
	r |= add_clones(f);
	if (r < 0 || seccomp_load(f) < 0) {
		fprintf(stderr, "nochange: the kernel refuses the filter\n");
		return 125;
	}
	seccomp_release(f);
	execvp(argv[1], argv + 1);
	fprintf(stderr, "nochange: cannot execute '%s': %s\n", argv[1], strerror(errno));
	return 127;
}
