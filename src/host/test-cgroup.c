/* SPDX-License-Identifier: MIT */
/* What needs no root: where hierarchies are, checks, conversions, the device program. */
#include "host/cgroup.h"

#include <glib.h>
#include <linux/bpf.h>
#include <string.h>

static const char hybrid[] =
	"31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n"
	"32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:9 - cgroup cgroup "
	"rw,cpu,cpuacct\n"
	"35 31 0:32 / /sys/fs/cgroup/mem\\040ory rw,relatime - cgroup cgroup rw,memory\n"
	"36 31 0:33 / /sys/fs/cgroup/devices rw,relatime shared:1 master:2 - cgroup cgroup "
	"rw,devices\n"
	"38 31 0:35 / /sys/fs/cgroup/blkio rw,relatime - cgroup cgroup rw,blkio\n"
	"40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd\n"
	"41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n"
	"42 31 0:32 / /elsewhere rw,relatime - cgroup cgroup rw,memory\n"
	"50 1 0:99 / /mnt rw - ext4 /dev/cgroup2 rw\n";
static const char v2[] =
	"30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
static const char v1[] = "36 31 0:33 / /cg/memory rw - cgroup none rw,memory\n"
			 "37 31 0:34 / /cg/pids rw - cgroup none rw,pids\n"
			 "38 31 0:35 / /cg/freezer rw - cgroup none rw,freezer\n";

static struct cgroup_host host_of(const char *info, const char *controllers)
{
	struct cgroup_host h;

	cgroup_host_parse(info, controllers, &h);
	return h;
}

static void test_modes(void)
{
	struct cgroup_host h = host_of(hybrid, "");
	char dir[CGROUP_DIR_MAX];
	bool is_v2;

	g_assert_cmpint(h.mode, ==, CGROUP_HYBRID);
	g_assert_cmpstr(h.v2, ==, "/sys/fs/cgroup/unified");
	g_assert_cmpuint(h.n_v1, ==, 5);
	g_assert_cmpint(cgroup_dir(&h, "lodge/x", CGROUP_CPUACCT, dir, &is_v2), ==, 0);
	g_assert_cmpstr(dir, ==, "/sys/fs/cgroup/cpu,cpuacct/lodge/x");
	g_assert_false(is_v2);
	g_assert_cmpint(cgroup_dir(&h, "x", CGROUP_MEMORY, dir, &is_v2), ==, 0);
	g_assert_cmpstr(dir, ==, "/sys/fs/cgroup/mem ory/x");
	g_assert_cmpint(cgroup_dir(&h, "x", CGROUP_HUGETLB, dir, &is_v2), ==, -E_UNSUPPORTED);

	h = host_of(v2, "cpuset cpu io memory hugetlb pids rdma");
	g_assert_cmpint(h.mode, ==, CGROUP_V2);
	g_assert_cmpint(cgroup_dir(&h, "x/y", CGROUP_IO, dir, &is_v2), ==, 0);
	g_assert_cmpstr(dir, ==, "/sys/fs/cgroup/x/y");
	g_assert_true(is_v2);
	g_assert_cmpint(cgroup_dir(&h, "x", CGROUP_DEVICES, dir, &is_v2), ==, -E_UNSUPPORTED);

	h = host_of(v1, NULL);
	g_assert_cmpint(h.mode, ==, CGROUP_V1);
	h = host_of("50 1 0:99 / / rw - ext4 /dev/vda rw\n", NULL);
	g_assert_cmpint(h.mode, ==, CGROUP_NONE);
	h = host_of("50 1 0:99 / - cgroup2\n- cgroup2 x\n\n1 2 3 4 5 - cgroup cgroup", NULL);
	g_assert_cmpint(h.mode, ==, CGROUP_NONE);
}

static void test_paths(void)
{
	g_assert_true(cgroup_path_ok("lodge/0123abc"));
	g_assert_true(cgroup_path_ok("system.slice/lodge-x.scope"));
	g_assert_false(cgroup_path_ok(""));
	g_assert_false(cgroup_path_ok("/"));
	g_assert_false(cgroup_path_ok("/lodge"));
	g_assert_false(cgroup_path_ok("lodge/../.."));
	g_assert_false(cgroup_path_ok("a//b"));
	g_assert_false(cgroup_path_ok("./a"));
}

static void controllers_for(
	const char *info, const char *have, const char *const *keys, unsigned n, const char *want)
{
	struct cgroup_host h = host_of(info, have);
	char list[CGROUP_PATH_MAX];

	cgroup_controllers_for(&h, keys, n, list);
	g_assert_cmpstr(list, ==, want);
}

static void test_controllers(void)
{
	const char *const keys[] = { "nano-cpus", "hugetlb", "unified:cpuset.cpus", "nonsense" };

	controllers_for(hybrid, "", NULL, 0, "memory,devices");
	controllers_for(hybrid, "", keys, 4, "cpu,memory,devices");
	controllers_for(v2, "cpuset cpu io memory hugetlb pids", NULL, 0, "memory,pids,io");
	controllers_for(v2, "cpuset cpu io memory hugetlb pids", keys, 4,
		"cpu,cpuset,memory,pids,io,hugetlb");
	controllers_for(v1, NULL, NULL, 0, "memory,pids,freezer");
	g_assert_cmpuint(cgroup_controllers_parse("cpu,blkio nothing\nmemory"), ==,
		CGROUP_BIT(CGROUP_CPU) | CGROUP_BIT(CGROUP_IO) | CGROUP_BIT(CGROUP_MEMORY));
}

static void test_conversions(void)
{
	g_assert_cmpuint(cgroup_shares_to_weight(0), ==, 1);
	g_assert_cmpuint(cgroup_shares_to_weight(2), ==, 1);
	g_assert_cmpuint(cgroup_shares_to_weight(1024), ==, 39); /* what runc and crun write */
	g_assert_cmpuint(cgroup_shares_to_weight(262144), ==, 10000);
	g_assert_cmpuint(cgroup_blkio_to_io_weight(10), ==, 1);
	g_assert_cmpuint(cgroup_blkio_to_io_weight(500), ==, 4950);
	g_assert_cmpuint(cgroup_blkio_to_io_weight(1000), ==, 10000);
}

static void refused(const struct cgroup_host *h, const char *key, const char *value, int code,
	const char *words)
{
	struct err e = { 0 };

	g_assert_cmpint(cgroup_check(h, key, value, &e), ==, code);
	if (!strstr(e.text, words))
		g_error("'%s' isn't in '%s'", words, e.text);
}

static void test_checks(void)
{
	struct cgroup_host two = host_of(v2, "cpuset cpu io memory pids"),
			   one = host_of(hybrid, "");
	struct err e = { 0 };

	g_assert_cmpint(cgroup_check(&two, "memory", "524288", &e), ==, 0);
	g_assert_cmpint(cgroup_check(&two, "memory", "-1", &e), ==, 0);
	g_assert_cmpint(cgroup_check(&two, "cpuset-cpus", "0-2,5", &e), ==, 0);
	g_assert_cmpint(cgroup_check(&two, "io-rbps", "/dev/vda:1000", &e), ==, 0);
	g_assert_cmpint(cgroup_check(&two, "io-rbps", "8:0:1000", &e), ==, 0);
	g_assert_cmpint(cgroup_check(&two, "unified:memory.high", "max", &e), ==, 0);
	g_assert_cmpint(cgroup_check(&two, "unified:cgroup.max.depth", "3", &e), ==, 0);
	g_assert_cmpint(cgroup_check(&two, "pids", "0", &e), ==, 0);
	refused(&two, "memory", "524287", -E_INVALID, "below the minimum");
	g_assert_cmpint(cgroup_check(&two, "memory", "4096", &e), ==, -E_INVALID);
	g_assert_cmpstr(e.mend, ==, "give at least 512k");
	refused(&two, "memory", "12x", -E_INVALID, "isn't a number");
	refused(&two, "memory", "99999999999999999999", -E_INVALID, "isn't a number");
	refused(&two, "cpu-shares", "1", -E_INVALID, "below the minimum of 2");
	refused(&two, "cpu-period", "999", -E_INVALID, "below the minimum of 1000");
	refused(&two, "cpu-quota", "500", -E_INVALID, "below the minimum of 1000");
	refused(&two, "blkio-weight", "1001", -E_INVALID, "above the maximum of 1000");
	refused(&two, "cpuset-cpus", "0-", -E_INVALID, "isn't a list");
	refused(&two, "cpuset-mems", "", -E_INVALID, "isn't a list");
	refused(&two, "io-wbps", "sda:10", -E_INVALID, "isn't the path");
	refused(&two, "io-wbps", "/dev/sda", -E_INVALID, "isn't DEVICE:RATE");
	refused(&two, "hugetlb", "2MB:4096", -E_UNSUPPORTED,
		"controller 'hugetlb' isn't available");
	refused(&two, "swappiness", "10", -E_UNSUPPORTED, "with cgroup v2");
	refused(&two, "unified:../memory.max", "1", -E_INVALID, "isn't a file");
	refused(&two, "unified:misc.max", "1", -E_UNSUPPORTED, "'misc'");
	refused(&two, "nano-cpus", "999000000000000", -E_INVALID, "processors");
	refused(&two, "colour", "red", -E_INVALID, "unknown limit");
	refused(&one, "unified:memory.high", "max", -E_UNSUPPORTED, "'memory'");
	g_assert_cmpint(cgroup_check(&one, "swappiness", "10", &e), ==, 0);
}

static void shows(const struct cgroup_host *h, const char *key, const char *value, const char *want)
{
	char buf[1024] = "";
	struct text t = TEXT_ON(buf);

	cgroup_show_set(h, "lodge/x", key, value, &t);
	g_assert_cmpstr(buf, ==, want);
}

static void test_show(void)
{
	struct cgroup_host two = host_of(v2, "cpuset cpu io memory pids"),
			   one = host_of(hybrid, "");

	shows(&two, "memory", "1048576", "echo 1048576 >/sys/fs/cgroup/lodge/x/memory.max");
	shows(&two, "cpu-shares", "1024", "echo 39 >/sys/fs/cgroup/lodge/x/cpu.weight");
	shows(&two, "nano-cpus", "1500000000",
		"echo '150000 100000' >/sys/fs/cgroup/lodge/x/cpu.max");
	shows(&two, "pids", "-1", "echo max >/sys/fs/cgroup/lodge/x/pids.max");
	shows(&one, "cpu-shares", "1024",
		"echo 1024 >/sys/fs/cgroup/cpu,cpuacct/lodge/x/cpu.shares");
	shows(&one, "nano-cpus", "500000000",
		"echo 100000 >/sys/fs/cgroup/cpu,cpuacct/lodge/x/cpu.cfs_period_us; "
		"echo 50000 >/sys/fs/cgroup/cpu,cpuacct/lodge/x/cpu.cfs_quota_us");
	shows(&one, "io-rbps", "8:0:1000",
		"echo '8:0 1000' >/sys/fs/cgroup/blkio/lodge/x/blkio.throttle.read_bps_device");
	shows(&two, "io-rbps", "8:0:1000", "echo '8:0 rbps=1000' >/sys/fs/cgroup/lodge/x/io.max");
}

/* --- devices --------------------------------------------------------------------------------------- */

/* What the kernel would do: the few instructions that programs of ours have. -1: refused. */
static int bpf_eval(const struct bpf_insn *p, size_t n, const uint32_t ctx[3])
{
	uint64_t r[11] = { 0 };

	r[1] = (uintptr_t)ctx;
	for (size_t pc = 0; pc < n; pc++) {
		const struct bpf_insn *i = &p[pc];
		uint64_t *d = &r[i->dst_reg];

		switch (i->code) {
		case BPF_LDX | BPF_MEM | BPF_W:
			if (i->src_reg != 1 || i->off < 0 || i->off > 8 || r[1] != (uintptr_t)ctx)
				return -1;
			*d = ctx[i->off / 4];
			break;
		case BPF_ALU64 | BPF_MOV | BPF_X:
			*d = r[i->src_reg];
			break;
		case BPF_ALU64 | BPF_MOV | BPF_K:
			*d = (uint64_t)(int64_t)i->imm;
			break;
		case BPF_ALU64 | BPF_AND | BPF_K:
			*d &= (uint64_t)(int64_t)i->imm;
			break;
		case BPF_ALU64 | BPF_RSH | BPF_K:
			*d >>= i->imm;
			break;
		case BPF_JMP | BPF_JNE | BPF_K:
			pc += *d != (uint64_t)(int64_t)i->imm ? (size_t)i->off : 0;
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
			pc += *d == (uint64_t)(int64_t)i->imm ? (size_t)i->off : 0;
			break;
		case BPF_JMP32 | BPF_JNE | BPF_K:
			pc += (uint32_t)*d != (uint32_t)i->imm ? (size_t)i->off : 0;
			break;
		case BPF_JMP | BPF_EXIT:
			return (int)r[0];
		default:
			return -1;
		}
	}
	return -1;
}

static bool may(
	const char *const *rules, char type, uint32_t major, uint32_t minor, unsigned access)
{
	struct cgroup_device_rule r[16];
	struct bpf_insn *p = g_new0(struct bpf_insn, CGROUP_DEVICE_INSNS(16));
	uint32_t ctx[3] = { access << 16 | (type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR),
		major, minor };
	size_t n = 0, len;
	int v;

	for (; rules[n]; n++)
		g_assert_cmpint(cgroup_device_parse(rules[n], &r[n], NULL), ==, 0);
	len = cgroup_device_program(r, n, p);
	v = bpf_eval(p, len, ctx);
	g_free(p);
	g_assert_cmpint(v, >=, 0);
	return v;
}

#define RULES(...) ((const char *const[]){ __VA_ARGS__, NULL })

static void test_device_program(void)
{
	const unsigned R = CGROUP_DEV_READ, W = CGROUP_DEV_WRITE, M = CGROUP_DEV_MKNOD;

	g_assert_true(may(cgroup_device_default, 'c', 1, 3, R | W));
	g_assert_true(may(cgroup_device_default, 'c', 136, 77, R | W));
	g_assert_true(may(cgroup_device_default, 'b', 8, 0, M));
	g_assert_true(may(cgroup_device_default, 'c', 10, 200, M));
	g_assert_false(may(cgroup_device_default, 'b', 8, 0, R));
	g_assert_false(may(cgroup_device_default, 'c', 10, 200, R));
	g_assert_false(may(cgroup_device_default, 'c', 1, 1, R)); /* mem */
	g_assert_false(may(cgroup_device_default, 'b', 1, 3, R));
	g_assert_false(may(RULES("c 1:3 r"), 'c', 1, 3, R | W));
	g_assert_true(may(RULES("c 1:3 r"), 'c', 1, 3, R));
	g_assert_true(may(RULES("a"), 'b', 8, 0, R | W | M));
	g_assert_true(may(RULES("c 1:3 r", "a *:* rwm"), 'b', 8, 0, R | W | M));
	g_assert_false(may(RULES("a", "-b 8:0 w"), 'b', 8, 0, R | W));
	g_assert_true(may(RULES("a", "-b 8:0 w"), 'b', 8, 0, R));
	g_assert_false(may(RULES("a", "-a"), 'b', 8, 0, R));
	g_assert_true(may(RULES("c 4294967295:1 r"), 'c', 4294967295, 1, R));
	g_assert_false(may(RULES("c 4294967295:1 r"), 'c', 4294967294, 1, R));
	g_assert_false(may(RULES(NULL), 'c', 1, 3, R));
}

static void test_device_parse(void)
{
	static const char *const bad[] = { "", "c", "x 1:3 rwm", "c 1:3", "c 1:3 ", "c 1:3 rwx",
		"c 1 rwm", "c 1:3 rwm ", "c -1:3 r", "c 1:99999999999 r", "c  1:3 r", "--c 1:3 r",
		"ab" };
	struct cgroup_device_rule r;
	struct err e;

	g_assert_cmpint(cgroup_device_parse("-b 8:* rw", &r, &e), ==, 0);
	g_assert_false(r.allow);
	g_assert_cmpint(r.type, ==, 'b');
	g_assert_cmpint(r.major, ==, 8);
	g_assert_cmpint(r.minor, ==, -1);
	g_assert_cmpuint(r.access, ==, CGROUP_DEV_READ | CGROUP_DEV_WRITE);
	for (size_t i = 0; i < G_N_ELEMENTS(bad); i++)
		if (cgroup_device_parse(bad[i], &r, &e) != -E_INVALID)
			g_error("'%s' was accepted", bad[i]);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/cgroup/modes", test_modes);
	g_test_add_func("/cgroup/paths", test_paths);
	g_test_add_func("/cgroup/controllers", test_controllers);
	g_test_add_func("/cgroup/conversions", test_conversions);
	g_test_add_func("/cgroup/checks", test_checks);
	g_test_add_func("/cgroup/show", test_show);
	g_test_add_func("/cgroup/device/program", test_device_program);
	g_test_add_func("/cgroup/device/parse", test_device_parse);
	return g_test_run();
}
