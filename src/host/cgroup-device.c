/* SPDX-License-Identifier: MIT */
/*
 * Which devices a guest may open: v1's devices.allow, or on v2 a BPF program of the kind
 * BPF_PROG_TYPE_CGROUP_DEVICE that is attached to the guest's folder. bpf(2), the kernel's
 * bpf/prog_cgroup docs and struct bpf_cgroup_dev_ctx of linux/bpf.h.
 */
#include "host/cgroup.h"

#include <fcntl.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#include "host/smallfile.h"

int cgroup_device_name(bool block, int64_t major, char *ret, size_t size)
{
	char text[SMALL_MAX], *rest = text, *line;
	bool in_blocks = false;

	if (small_read("/proc/devices", text, sizeof(text)) < 0)
		return -ENOENT;
	while ((line = strsep(&rest, "\n")) != NULL) {
		const char *p = line + strspn(line, " ");
		uint64_t number;

		in_blocks |= strncmp(line, "Block", 5) == 0;
		if (in_blocks != block || small_take_u64(&p, &number) < 0 || *p != ' ' ||
			(int64_t)number != major || strlen(p + 1) >= size)
			continue;
		memcpy(ret, p + 1, strlen(p + 1) + 1);
		return 0;
	}
	return -ENOENT;
}

const char *const cgroup_device_default[] = {
	"c *:* m",		/* mknod of anything: opening is another matter */
	"b *:* m", "c 1:3 rwm", /* null */
	"c 1:5 rwm",		/* zero */
	"c 1:7 rwm",		/* full */
	"c 1:8 rwm",		/* random */
	"c 1:9 rwm",		/* urandom */
	"c 5:0 rwm",		/* tty */
	"c 5:1 rwm",		/* console */
	"c 5:2 rwm",		/* ptmx */
	"c 136:* rwm",		/* pts */
	NULL
};

/* --- rules ----------------------------------------------------------------------------------------- */

static bool parse_number(const char **s, int64_t *ret)
{
	char num[16];
	uint64_t v;
	size_t n;

	if (**s == '*') {
		*ret = -1;
		(*s)++;
		return true;
	}
	n = strspn(*s, "0123456789");
	if (n == 0 || n >= sizeof(num))
		return false;
	memcpy(num, *s, n);
	num[n] = '\0';
	if (small_parse_u64(num, &v) < 0 || v > UINT32_MAX)
		return false;
	*ret = (int64_t)v;
	*s += n;
	return true;
}

static bool parse_access(const char *s, unsigned *ret)
{
	for (*ret = 0; *s; s++)
		switch (*s) {
		case 'r':
			*ret |= CGROUP_DEV_READ;
			break;
		case 'w':
			*ret |= CGROUP_DEV_WRITE;
			break;
		case 'm':
			*ret |= CGROUP_DEV_MKNOD;
			break;
		default:
			return false;
		}
	return *ret != 0;
}

int cgroup_device_parse(const char *s, struct cgroup_device_rule *ret, struct err *e)
{
	const char *whole = s;
	struct cgroup_device_rule r = { .allow = true,
		.major = -1,
		.minor = -1,
		.access = CGROUP_DEV_MKNOD | CGROUP_DEV_READ | CGROUP_DEV_WRITE };

	if (*s == '-') {
		r.allow = false;
		s++;
	}
	r.type = *s;
	if ((r.type == 'a' && s[1] == '\0') || (r.type == 'a' && strcmp(s, "a *:* rwm") == 0)) {
		*ret = r;
		return 0;
	}
	if ((r.type == 'a' || r.type == 'b' || r.type == 'c') && s[1] == ' ') {
		s += 2;
		if (parse_number(&s, &r.major) && *s++ == ':' && parse_number(&s, &r.minor) &&
			*s++ == ' ' && parse_access(s, &r.access)) {
			*ret = r;
			return 0;
		}
	}
	err_set(e, -E_INVALID, "bad device rule '%s'", whole);
	return err_mend(e, "it is TYPE MAJOR:MINOR ACCESS, for example 'c 1:3 rwm'");
}

static void rule_text(const struct cgroup_device_rule *r, char *buf, size_t size)
{
	char major[24] = "*", minor[24] = "*";

	if (r->major >= 0)
		(void)snprintf(major, sizeof(major), "%lld", (long long)r->major);
	if (r->minor >= 0)
		(void)snprintf(minor, sizeof(minor), "%lld", (long long)r->minor);
	(void)snprintf(buf, size, "%c %s:%s %s%s%s", r->type, major, minor,
		r->access & CGROUP_DEV_READ ? "r" : "", r->access & CGROUP_DEV_WRITE ? "w" : "",
		r->access & CGROUP_DEV_MKNOD ? "m" : "");
}

/* --- v1 -------------------------------------------------------------------------------------------- */

/* v1 reads one rule a write. Rules of type 'a' with numbers stand for both types there. */
static int write_rule(int fd, struct cgroup_device_rule r)
{
	char text[64];

	if (r.type == 'a' && (r.major >= 0 || r.minor >= 0 || r.access != 7)) {
		int code;

		r.type = 'c';
		code = write_rule(fd, r);
		r.type = 'b';
		return code < 0 ? code : write_rule(fd, r);
	}
	if (r.type == 'a')
		return write(fd, "a", 1) < 0 ? -errno : 0;
	rule_text(&r, text, sizeof(text));
	return write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

static int set_v1(const char *dir, const struct cgroup_device_rule *rules, size_t n)
{
	_cleanup_close_ int d = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC), allow = -1, deny = -1;
	int r = 0;

	if (d < 0)
		return -errno;
	allow = openat(d, "devices.allow", O_WRONLY | O_CLOEXEC);
	if (allow < 0)
		return -errno;
	deny = openat(d, "devices.deny", O_WRONLY | O_CLOEXEC);
	if (deny < 0 || write(deny, "a", 1) < 0)
		return -errno;
	for (size_t i = 0; r >= 0 && i < n; i++)
		r = write_rule(rules[i].allow ? allow : deny, rules[i]);
	return r;
}

/* --- v2: the program ------------------------------------------------------------------------------- */

static struct bpf_insn insn(unsigned code, unsigned dst, unsigned src, int off, int32_t imm)
{
	return (struct bpf_insn){ .code = (uint8_t)code,
		.dst_reg = dst & 15,
		.src_reg = src & 15,
		.off = (int16_t)off,
		.imm = imm };
}

enum {
	R0,
	R1,
	R2,
	R3,
	R4,
	R5
};

/* One rule: over to the next unless all its tests hold. The access asked for is in r3, the type in r2,
 * the numbers in r4 and r5. */
static size_t emit_rule(const struct cgroup_device_rule *r, struct bpf_insn *p)
{
	size_t n = 0;

	if (r->type != 'a')
		p[n++] = insn(BPF_JMP | BPF_JNE | BPF_K, R2, 0, 0,
			r->type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR);
	if (r->access != 7) {
		if (r->allow) { /* all that is asked for must be in the rule */
			p[n++] = insn(BPF_ALU64 | BPF_MOV | BPF_X, R1, R3, 0, 0);
			p[n++] = insn(
				BPF_ALU64 | BPF_AND | BPF_K, R1, 0, 0, (int32_t)(~r->access & 7));
			p[n++] = insn(BPF_JMP | BPF_JNE | BPF_K, R1, 0, 0, 0);
		} else { /* any of it */
			p[n++] = insn(BPF_ALU64 | BPF_MOV | BPF_X, R1, R3, 0, 0);
			p[n++] = insn(BPF_ALU64 | BPF_AND | BPF_K, R1, 0, 0, (int32_t)r->access);
			p[n++] = insn(BPF_JMP | BPF_JEQ | BPF_K, R1, 0, 0, 0);
		}
	}
	/* 32 bit compares, since an immediate is sign-extended to 64 */
	if (r->major >= 0)
		p[n++] = insn(BPF_JMP32 | BPF_JNE | BPF_K, R4, 0, 0, (int32_t)(uint32_t)r->major);
	if (r->minor >= 0)
		p[n++] = insn(BPF_JMP32 | BPF_JNE | BPF_K, R5, 0, 0, (int32_t)(uint32_t)r->minor);
	p[n++] = insn(BPF_ALU64 | BPF_MOV | BPF_K, R0, 0, 0, r->allow);
	p[n++] = insn(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
	for (size_t i = 0; i < n; i++)
		if ((BPF_CLASS(p[i].code) == BPF_JMP || BPF_CLASS(p[i].code) == BPF_JMP32) &&
			BPF_OP(p[i].code) != BPF_EXIT)
			p[i].off = (int16_t)(n - i - 1);
	return n;
}

size_t cgroup_device_program(
	const struct cgroup_device_rule *rules, size_t n_rules, struct bpf_insn *p)
{
	size_t n = 0;
	bool end = false;

	/* struct bpf_cgroup_dev_ctx: access_type (access << 16 | type), major, minor */
	p[n++] = insn(BPF_LDX | BPF_MEM | BPF_W, R2, R1, 0, 0);
	p[n++] = insn(BPF_ALU64 | BPF_MOV | BPF_X, R3, R2, 0, 0);
	p[n++] = insn(BPF_ALU64 | BPF_AND | BPF_K, R2, 0, 0, 0xffff);
	p[n++] = insn(BPF_ALU64 | BPF_RSH | BPF_K, R3, 0, 0, 16);
	p[n++] = insn(BPF_LDX | BPF_MEM | BPF_W, R4, R1, 4, 0);
	p[n++] = insn(BPF_LDX | BPF_MEM | BPF_W, R5, R1, 8, 0);
	for (size_t i = n_rules; i-- > 0 && !end;) {
		const struct cgroup_device_rule *r = &rules[i];

		n += emit_rule(r, p + n);
		/* the verifier refuses what can't be reached */
		end = r->type == 'a' && r->access == 7 && r->major < 0 && r->minor < 0;
	}
	if (!end) {
		p[n++] = insn(BPF_ALU64 | BPF_MOV | BPF_K, R0, 0, 0, 0);
		p[n++] = insn(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
	}
	return n;
}

/* --- v2: the kernel -------------------------------------------------------------------------------- */

static int sys_bpf(int cmd, union bpf_attr *a)
{
	return RET_NERRNO((int)syscall(SYS_bpf, cmd, a, sizeof(*a)));
}

/* The program that is attached to the folder now, or -ENOENT. */
static int attached(int dir_fd)
{
	uint32_t ids[64];
	union bpf_attr a;
	int r;

	memset(&a, 0, sizeof(a));
	a.query.target_fd = (uint32_t)dir_fd;
	a.query.attach_type = BPF_CGROUP_DEVICE;
	a.query.prog_ids = (uint64_t)(uintptr_t)ids;
	a.query.prog_cnt = ELEMENTSOF(ids);
	r = sys_bpf(BPF_PROG_QUERY, &a);
	if (r < 0)
		return r;
	if (a.query.prog_cnt == 0)
		return -ENOENT;
	r = (int)ids[0];
	memset(&a, 0, sizeof(a));
	a.prog_id = (uint32_t)r;
	return sys_bpf(BPF_PROG_GET_FD_BY_ID, &a);
}

static int set_v2(const char *dir, const struct cgroup_device_rule *rules, size_t n)
{
	_cleanup_close_ int d = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), prog = -1, old = -1;
	_cleanup_free_ struct bpf_insn *p = NULL;
	static const char license[] = "MIT";
	union bpf_attr a;

	if (d < 0)
		return -errno;
	p = calloc(CGROUP_DEVICE_INSNS(n), sizeof(*p));
	if (!p)
		abort();
	memset(&a, 0, sizeof(a));
	a.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
	a.insns = (uint64_t)(uintptr_t)p;
	a.insn_cnt = (uint32_t)cgroup_device_program(rules, n, p);
	a.license = (uint64_t)(uintptr_t)license;
	memcpy(a.prog_name, "lodge_devices", 14);
	prog = sys_bpf(BPF_PROG_LOAD, &a);
	if (prog < 0)
		return prog;
	old = attached(d);
	memset(&a, 0, sizeof(a));
	a.target_fd = (uint32_t)d;
	a.attach_bpf_fd = (uint32_t)prog;
	a.attach_type = BPF_CGROUP_DEVICE;
	a.attach_flags = BPF_F_ALLOW_MULTI; /* a system container may attach its own below ours */
	if (old >= 0) {
		a.attach_flags |= BPF_F_REPLACE;
		a.replace_bpf_fd = (uint32_t)old;
	}
	return sys_bpf(BPF_PROG_ATTACH, &a);
}

int cgroup_device_set(
	const char *path, const struct cgroup_device_rule *rules, size_t n, struct err *e)
{
	const struct cgroup_host *h = cgroup_host();
	char dir[CGROUP_DIR_MAX];
	bool v2;
	int r;

	if (!cgroup_path_ok(path))
		return err_set(e, -E_INVALID, "bad cgroup path '%s'", path);
	if (n > CGROUP_DEVICE_RULES_MAX)
		return err_set(e, -E_LIMIT, "more than %d device rules", CGROUP_DEVICE_RULES_MAX);
	/* Hybrid hosts could have the program too, but loading one makes all processors wait for each other: on
	 * a busy host that takes ten times as long as the hierarchy. */
	if (cgroup_dir(h, path, CGROUP_DEVICES, dir, &v2) >= 0)
		r = set_v1(dir, rules, n);
	else if (h->v2[0]) {
		(void)snprintf(dir, sizeof(dir), "%s/%s", h->v2, path);
		r = set_v2(dir, rules, n);
	} else {
		err_set(e, -E_UNSUPPORTED, "cgroup controller 'devices' isn't available");
		err_mend(e, "mount cgroup v2, or v1's devices");
		return -E_UNSUPPORTED;
	}
	return r < 0 ? err_sys(e, r, "cannot set the device rules of the cgroup '%s'", path) : 0;
}
