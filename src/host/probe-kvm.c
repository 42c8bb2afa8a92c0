/* SPDX-License-Identifier: MIT */
/*
 * Whether KVM truly works: /dev/kvm may be there and still hang, or interpret instruction by instruction,
 * where the machine is a virtual one itself. So a few lines of 64-bit code are run in a tiny machine.
 * The kernel's virt/kvm/api.rst; Intel SDM volume 3, 4.5 (4-level paging) and 9.8.5 (IA-32e mode).
 */
#include "host/probe.h"

#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>

#include "host/smallfile.h"

enum {
	SLOW_US = 100000, /* a million instructions take some 0.5 ms */
	TRY_MS = 4000,
};

static bool cpu_has_flag(void)
{
	char text[SMALL_MAX]; /* the first processor's flags are in there */

	if (small_read("/proc/cpuinfo", text, sizeof(text)) < 0)
		return false;
	return strstr(text, " vmx") || strstr(text, " svm");
}

#if defined(__x86_64__)

enum {
	MEMORY = 2 << 20,
	PML4 = 0x1000,
	PDPT = 0x2000,
	PD = 0x3000,
	CODE = 0x10000,
	STACK = 0x80000,
	PORT = 0x1234,
	ANSWER = 0x11223344,
	PRESENT_WRITABLE = 3,
	LARGE = 0x83,
};

/* Takes a number with more than 32 bits through memory, counts, and says half of it at a port. */
static const uint8_t code[] = {
	0x48, 0xb8, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22,
	0x11,			      /* mov $0x1122334455667788, %rax */
	0x50,			      /* push %rax */
	0x5b,			      /* pop %rbx */
	0xb9, 0x20, 0xa1, 0x07, 0x00, /* mov $500000, %ecx */
	0xff, 0xc9,		      /* 1: dec %ecx */
	0x75, 0xfc,		      /* jnz 1b */
	0x48, 0xc1, 0xeb, 0x20,	      /* shr $32, %rbx */
	0x89, 0xd8,		      /* mov %ebx, %eax */
	0xba, 0x34, 0x12, 0x00, 0x00, /* mov $0x1234, %edx */
	0xef,			      /* out %eax, %dx */
	0xf4,			      /* hlt */
};

static int set_long_mode(int vcpu)
{
	struct kvm_segment seg = { .limit = 0xffffffff, .present = 1, .s = 1, .g = 1 };
	struct kvm_regs regs = { .rip = CODE, .rsp = STACK, .rflags = 2 };
	struct kvm_sregs s;

	if (ioctl(vcpu, KVM_GET_SREGS, &s) < 0)
		return -errno;
	s.cr3 = PML4;
	s.cr4 = 1 << 5;				/* PAE */
	s.cr0 = 1U << 31 | 1 << 5 | 1 << 4 | 1; /* PG, NE, ET, PE */
	s.efer = 1 << 10 | 1 << 8;		/* LMA, LME */
	seg.selector = 8;
	seg.type = 11; /* code, read, accessed */
	seg.l = 1;
	s.cs = seg;
	seg.selector = 16;
	seg.type = 3; /* data, write, accessed */
	seg.l = 0;
	seg.db = 1;
	s.ds = s.es = s.fs = s.gs = s.ss = seg;
	if (ioctl(vcpu, KVM_SET_SREGS, &s) < 0)
		return -errno;
	return RET_NERRNO(ioctl(vcpu, KVM_SET_REGS, &regs));
}

static void put64(uint8_t *at, uint64_t v)
{
	memcpy(at, &v, sizeof(v));
}

/* Makes the machine; *ret_run is what KVM_RUN tells. The vcpu's descriptor, or -errno. */
static int make_machine(struct kvm_run **ret_run)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC), vm, vcpu, size, r;
	struct kvm_userspace_memory_region region = { .memory_size = MEMORY };
	uint8_t *m;

	if (kvm < 0)
		return -errno;
	if (ioctl(kvm, KVM_GET_API_VERSION, 0) != KVM_API_VERSION)
		return -ENOSYS;
	vm = ioctl(kvm, KVM_CREATE_VM, 0);
	if (vm < 0)
		return -errno;
	m = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (m == MAP_FAILED)
		return -errno;
	put64(m + PML4, PDPT | PRESENT_WRITABLE);
	put64(m + PDPT, PD | PRESENT_WRITABLE);
	put64(m + PD, LARGE);
	memcpy(m + CODE, code, sizeof(code));
	region.userspace_addr = (uint64_t)(uintptr_t)m;
	if (ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region) < 0)
		return -errno;
	vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (vcpu < 0 || size < (int)sizeof(struct kvm_run))
		return vcpu < 0 ? -errno : -EINVAL;
	*ret_run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
	if (*ret_run == MAP_FAILED)
		return -errno;
	r = set_long_mode(vcpu);
	return r < 0 ? r : vcpu;
}

static int run_machine(void)
{
	struct kvm_run *run;
	uint32_t answer;
	int vcpu = make_machine(&run);

	if (vcpu < 0)
		return vcpu;
	if (ioctl(vcpu, KVM_RUN, 0) < 0)
		return -errno;
	if (run->exit_reason != KVM_EXIT_IO || run->io.port != PORT || run->io.size != 4)
		return -EPROTO;
	memcpy(&answer, (uint8_t *)run + run->io.data_offset, sizeof(answer));
	return answer == ANSWER ? 0 : -EPROTO;
}

#else

static int run_machine(void)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	if (kvm < 0)
		return -errno;
	return RET_NERRNO(ioctl(kvm, KVM_CREATE_VM, 0)) < 0 ? -errno : 0;
}

#endif

static int in_child(void)
{
	int r = run_machine();

	return r < 0 ? (-r < 125 ? -r : 125) : 0;
}

int64_t probe_kvm_speed(int timeout_ms)
{
	struct timespec a, b;
	int r;

	(void)clock_gettime(CLOCK_MONOTONIC, &a);
	r = probe_try(in_child, timeout_ms);
	(void)clock_gettime(CLOCK_MONOTONIC, &b);
	if (r != 0)
		return r > 0 ? -r : r;
	return (b.tv_sec - a.tv_sec) * INT64_C(1000000) + (b.tv_nsec - a.tv_nsec) / 1000;
}

void probe_kvm(struct probes *p)
{
	int64_t us;

	if (access("/dev/kvm", F_OK) < 0) {
		bool flag = cpu_has_flag();

		probe_add(p, PROBE_WARN, "kvm", "no /dev/kvm%s",
			flag ? ", though the processor can"
			     : ": the processor offers no virtualisation");
		probe_mend(p, "%s; virtual machines are emulated without it, many times slower",
			flag ? "modprobe kvm_intel or kvm_amd"
			     : "switch VT-x or SVM on in the firmware, or nesting in the host "
			       "above");
		return;
	}
	us = probe_kvm_speed(TRY_MS);
	if (us == -EACCES || us == -EPERM) {
		probe_add(p, PROBE_WARN, "kvm", "/dev/kvm can't be opened by this user");
		probe_mend(p, "add the user to the group kvm");
	} else if (us == -ETIMEDOUT) {
		probe_add(p, PROBE_WARN, "kvm", "/dev/kvm is there, but 64-bit code hangs in it");
		probe_mend(p, "let virtual machines be emulated (TCG) on this host");
	} else if (us < 0) {
		probe_add(p, PROBE_WARN, "kvm",
			"/dev/kvm is there, but a tiny machine fails in it: %s",
			strerror((int)-us));
		probe_mend(p, "let virtual machines be emulated (TCG) on this host");
	} else if (us > SLOW_US) {
		probe_add(p, PROBE_WARN, "kvm",
			"/dev/kvm is there, but takes %lld ms for a million instructions, some "
			"%lld times too "
			"long: it interprets them",
			(long long)us / 1000, (long long)us / 500);
		probe_mend(
			p, "let virtual machines be emulated (TCG) on this host, which is quicker");
	} else
		probe_add(
			p, PROBE_OK, "kvm", "works: 64-bit code ran in %.1f ms", (double)us / 1000);
}
