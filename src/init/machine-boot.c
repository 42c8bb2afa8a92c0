/* SPDX-License-Identifier: MIT */
#include "init/machine.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <time.h>

#include "host/module.h"
#include "host/smallfile.h"
#include "init/order.h"

#define PORT_WAIT (10 * 1000) /* turns, of 1 ms mostly: the port's name comes from the other side */
#define YIELDS	  100
#define ORDER_MAX (16 * 1024)

/* To the kernel's log: where there is a console, it is there. */
static void complain(const char *fmt, ...) _printf_(1, 2);
static void complain(const char *fmt, ...)
{
	char line[512] = "<3>lodge-init: ";
	size_t n = strlen(line);
	_cleanup_close_ int fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(line + n, sizeof(line) - n, fmt, ap);
	va_end(ap);
	if (fd >= 0)
		(void)!write(fd, line, strlen(line));
}

/* QEMU ends either way (-no-reboot); without ACPI there is nothing that switches off. */
static _Noreturn void switch_off(void)
{
	(void)reboot(access("/sys/firmware/acpi", F_OK) == 0 ? RB_POWER_OFF : RB_AUTOBOOT);
	for (;;)
		(void)pause();
}

static void mount_kernel(const char *type, const char *target, const char *data)
{
	if (mount(type, target, type, MS_NOSUID | MS_NOEXEC, data) < 0 && errno != EBUSY)
		complain("cannot mount %s at '%s': %s", type, target, strerror(errno));
}

/* The kernel gives us its console, where it has one. */
static void streams(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd < 3);
	closep(&fd);
}

/* --- what is told of the boot --- */

static int trace_fd = -1; /* see machine_life() */

static int64_t now_us(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000) + t.tv_nsec / 1000;
}

/* Lines as those of the steps; us: what it took. */
static void trace(const char *what, const char *subject, int64_t us)
{
	if (trace_fd >= 0)
		dprintf(trace_fd,
			"{\"event\":\"boot\",\"at\":\"machine\",\"step\":\"%s\",\"subject\":\"%s\","
			"\"us\":%lld,"
			"\"code\":\"\"}\n",
			what, subject, (long long)us);
}

static void trace_open(int64_t began)
{
	char cmdline[SMALL_MAX];

	if (small_read("/proc/cmdline", cmdline, sizeof(cmdline)) < 0 ||
		!strstr(cmdline, MACHINE_WORD_TRACE))
		return;
	trace_fd = memfd_create("trace", MFD_CLOEXEC);
	if (trace_fd >= 0)
		(void)fcntl(trace_fd, F_SETFL, O_APPEND);
	trace("kernel", "", began);
}

/* --- modules --- */

static bool has_entries(const char *path)
{
	DIR *d = opendir(path);
	const struct dirent *f;
	bool any = false;

	if (!d)
		return false;
	while (!any && (f = readdir(d)))
		any = f->d_name[0] != '.';
	(void)closedir(d);
	return any;
}

static void load_modules(void)
{
	char text[ORDER_MAX], cmdline[SMALL_MAX];
	struct order_line line;
	const char *p = text;
	bool pci = has_entries("/sys/bus/pci/devices");

	if (small_read("/order", text, sizeof(text)) < 0)
		return;
	if (small_read("/proc/cmdline", cmdline, sizeof(cmdline)) < 0)
		cmdline[0] = '\0';
	while (order_next(&p, &line)) {
		int64_t began = now_us();
		int r = 0;

		if (line.on == ORDER_ALWAYS || (line.on == ORDER_PCI) == pci)
			r = module_load(line.file, cmdline);
		if (r < 0)
			complain("cannot load the module '%s': %s", line.file, strerror(-r));
		trace("module", line.file, now_us() - began);
	}
}

/* --- the port --- */

/*
 * What we wait for is mostly done by the kernel's own threads, as soon as they may run; only where the other side
 * takes its time we sleep, for a tick that may be as long as 4 ms.
 */
static void nap(int turn)
{
	if (turn < YIELDS)
		(void)sched_yield();
	else
		(void)nanosleep(&(const struct timespec){ .tv_nsec = 1000000 }, NULL);
}

/* A descriptor of the port by its name, or -ENOENT. */
static int find_port(void)
{
	static const char folder[] = "/sys/class/virtio-ports";
	DIR *d = opendir(folder);
	const struct dirent *f;
	int fd = -ENOENT;

	if (!d)
		return -ENOENT;
	while (fd < 0 && (f = readdir(d))) {
		char path[300], name[64];

		if (f->d_name[0] == '.')
			continue;
		(void)snprintf(path, sizeof(path), "%s/%s/name", folder, f->d_name);
		if (small_read(path, name, sizeof(name)) < 0 || strcmp(name, MACHINE_PORT) != 0)
			continue;
		(void)snprintf(path, sizeof(path), "/dev/%s", f->d_name);
		fd = RET_NERRNO(open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC));
	}
	(void)closedir(d);
	return fd;
}

/* The other side says which ports there are, what they are called, and that it is there, in this order. */
static int wait_for_port(void)
{
	int fd = find_port();

	for (int i = 0; fd < 0 && i < PORT_WAIT; i++) {
		nap(i);
		fd = find_port();
	}
	for (int i = 0; fd >= 0 && i < PORT_WAIT; i++) {
		struct pollfd p = { .fd = fd, .events = POLLOUT };

		if (poll(&p, 1, 0) == 1 && !(p.revents & POLLHUP))
			return fd;
		nap(i);
	}
	closep(&fd);
	return -1;
}

_Noreturn void machine_main(void)
{
	int64_t began = now_us();
	int port;

	(void)umask(022);
	mount_kernel("proc", "/proc", NULL);
	mount_kernel("sysfs", "/sys", NULL);
	if (mount("dev", "/dev", "devtmpfs", MS_NOSUID, "mode=755") < 0 && errno != EBUSY)
		complain("cannot mount devtmpfs at '/dev': %s", strerror(errno));
	streams();
	trace_open(began);
	load_modules();
	began = now_us();
	port = wait_for_port();
	trace("port", MACHINE_PORT, now_us() - began);
	if (port < 0)
		complain("nobody is at the port '%s'", MACHINE_PORT);
	else
		machine_life(port, trace_fd);
	switch_off();
}
