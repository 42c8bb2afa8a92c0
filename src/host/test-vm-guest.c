/* SPDX-License-Identifier: MIT */
/* Steps of the inside of a machine, as far as they can be tried in namespaces. */
#include <fcntl.h>
#include <glib.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "host/module.h"
#include "host/steps.h"

static void test_options(void)
{
	static const char line[] = "quiet virtio_blk.num_request_queues=1 a.b=c\tvirtio-blk.x "
				   "virtio_blk2.y=1 virtio_blk.s=\"a b\" virtio_blk";
	char out[64];

	g_assert_cmpint(module_options(line, "virtio_blk", out, sizeof(out)), ==, 0);
	g_assert_cmpstr(out, ==, "num_request_queues=1 x s=\"a b\"");
	g_assert_cmpint(module_options(line, "virtio-blk", out, sizeof(out)), ==, 0);
	g_assert_cmpstr(out, ==, "num_request_queues=1 x s=\"a b\"");
	g_assert_cmpint(module_options(line, "virtio_net", out, sizeof(out)), ==, 0);
	g_assert_cmpstr(out, ==, "");
	g_assert_cmpint(module_options(line, "virtio_blk", out, 10), ==, -E2BIG);
	g_assert_cmpint(module_load("../x.ko", ""), ==, -EINVAL);
	g_assert_cmpint(module_load("", ""), ==, -EINVAL);
}

static void shown(
	const char *expect, const struct step_ops *op, const char *const *argv, unsigned n)
{
	_cleanup_(plan_freep) struct plan *p = plan_new();
	char text[512];
	struct text t = TEXT_ON(text);

	plan_addv(p, AT_HOST, 0, op, argv, n);
	op->show(plan_step(p, 0), &t);
	g_assert_cmpstr(text, ==, expect);
}

#define SHOWN(expect, op, ...)                                  \
	shown(expect, op, (const char *const[]){ __VA_ARGS__ }, \
		sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *))

static void test_show(void)
{
	SHOWN("insmod /modules/virtio_net.ko", &step_module, "virtio_net");
	SHOWN("ip link set $(ip -br link | awk '$3 == \"02:00:00:00:00:01\" { print $1 }') name "
	      "eth0",
		&step_nic, "02:00:00:00:00:01", "eth0");
	SHOWN("mkdir -p /l/0 && mount -t erofs -o ro,nodev /dev/disk/by-id/*layer0 /l/0",
		&step_disk_mount, "layer0", "/l/0", "erofs", "ro,nodev", "");
	SHOWN("mount --move /proc /root/proc && mount --move /sys /root/sys && cd /root && "
	      "mount --move . / && chroot .",
		&step_switch_root, "/root", "/proc,/sys");
}

/* Runs in a process that has these namespaces. */
static void in_namespaces(int flags, void (*body)(void))
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		if (unshare(flags) < 0 ||
			((flags & CLONE_NEWNS) &&
				mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0))
			_exit(99);
		body();
		_exit(0);
	}
	g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
	g_assert_cmpint(status, ==, 0);
}

static int run(const struct step_ops *op, const char *a, const char *b, struct err *e)
{
	_cleanup_(plan_freep) struct plan *p = plan_new();
	struct step_run r;

	plan_add(p, AT_HOST, op, a, b);
	step_run_init(&r, p);
	return plan_run(&r, e);
}

static void rename_nic(void)
{
	const char *argv[] = { "ip", "link", "add", "some", "address", "02:00:00:00:00:07", "type",
		"veth", NULL };
	struct err e = { 0 };

	g_assert_true(g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL,
		NULL, NULL, NULL));
	g_assert_cmpint(run(&step_nic, "02:00:00:00:00:07", "eth0", &e), ==, 0);
	g_assert_cmpuint(if_nametoindex("eth0"), >, 0);
	g_assert_cmpuint(if_nametoindex("some"), ==, 0);
	g_assert_cmpint(run(&step_nic, "02:00:00:00:00:07", "eth0", &e), ==, 0); /* has it */
	g_assert_cmpint(run(&step_nic, "02:00:00", "eth0", &e), ==, -EINVAL);
}

static void test_nic(void)
{
	in_namespaces(CLONE_NEWNET, rename_nic);
}

/* The root is a mount point here, not an initramfs, but what must come out is the same. */
static void switch_root(void)
{
	struct err e = { 0 };

	g_assert_cmpint(mount("r", "/mnt", "tmpfs", 0, NULL), ==, 0);
	g_assert_cmpint(mkdir("/mnt/proc", 0755), ==, 0);
	g_assert_cmpint(mkdir("/mnt/new", 0755), ==, 0);
	g_assert_cmpint(mount("p", "/proc", "proc", 0, NULL), ==, 0);
	g_assert_cmpint(run(&step_switch_root, "/mnt", "/proc", &e), ==, 0);
	g_assert_cmpint(access("/new", F_OK), ==, 0);
	g_assert_cmpint(access("/usr", F_OK), <, 0);
	g_assert_cmpint(access("/proc/self/stat", F_OK), ==, 0);
	g_assert_cmpint(access("new", F_OK), ==, 0);
	g_assert_cmpint(run(&step_switch_root, "/nothing", "", &e), ==, -ENOENT);
}

static void test_switch_root(void)
{
	in_namespaces(CLONE_NEWNS, switch_root);
}

/* No disk of this name: told, after the wait; and its undo accepts that it never ran. */
static void test_undo(void)
{
	_cleanup_(plan_freep) struct plan *p = plan_new();
	struct step_run r;
	struct err e;

	plan_add(p, AT_HOST, &step_disk_mount, "none", "/nowhere", "ext4", "", "");
	step_run_init(&r, p);
	g_assert_cmpint(plan_undo(&r, UNDO_ENDED, &e), ==, 0);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/vm-guest/options", test_options);
	g_test_add_func("/vm-guest/show", test_show);
	g_test_add_func("/vm-guest/undo", test_undo);
	if (geteuid() == 0) {
		g_test_add_func("/vm-guest/nic", test_nic);
		g_test_add_func("/vm-guest/switch-root", test_switch_root);
	}
	return g_test_run();
}
