/* SPDX-License-Identifier: MIT */
/* Steps of a machine's own plan: they run in there, in lodge-init. */
#include "host/steps.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#include "host/addr.h"
#include "host/module.h"
#include "host/mountflags.h"
#include "host/netlink.h"
#include "host/smallfile.h"

#define WAIT_MAX   (10 * 1000) /* ms: how long a device may take to be there */
#define WAIT_PACE  2	       /* ms */
#define DATA_MAX   4096	       /* mount(2) takes one page */
#define SERIAL_MAX 64

/* --- module --- */

/* The rest of s when it begins with the name, "-" and "_" being the same; else NULL. */
static const char *after_name(const char *s, const char *name)
{
	for (; *name; s++, name++)
		if (*s != *name && !((*s == '-' || *s == '_') && (*name == '-' || *name == '_')))
			return NULL;
	return s;
}

static size_t word_length(const char *p)
{
	bool quoted = false;
	size_t n = 0;

	for (; p[n] && (quoted || !strchr(" \t\n", p[n])); n++)
		quoted ^= p[n] == '"';
	return n;
}

int module_options(const char *cmdline, const char *name, char *out, size_t size)
{
	struct text t = { .p = out, .size = size };

	out[0] = '\0';
	for (const char *p = cmdline; *p;) {
		size_t n = word_length(p);
		const char *option = after_name(p, name);

		if (option && *option == '.' && option < p + n)
			text_addf(&t, "%s%.*s", t.n ? " " : "", (int)(p + n - option - 1),
				option + 1);
		p += n;
		p += strspn(p, " \t\n");
	}
	return t.cut ? -E2BIG : 0;
}

int module_load(const char *file, const char *cmdline)
{
	char path[256], name[64], options[SMALL_MAX];
	_cleanup_close_ int fd = -1;
	size_t n = strcspn(file, ".");
	int r;

	if (n == 0 || n >= sizeof(name) || strchr(file, '/') ||
		snprintf(path, sizeof(path), MODULE_DIR "/%s", file) >= (int)sizeof(path))
		return -EINVAL;
	memcpy(name, file, n);
	name[n] = '\0';
	r = module_options(cmdline, name, options, sizeof(options));
	if (r < 0)
		return r;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = RET_NERRNO((int)syscall(SYS_finit_module, fd, options, 0));
	return r == -EEXIST ? 0 : r;
}

static int module_run(struct step_run *r, const struct step *s, struct err *e)
{
	char file[64], cmdline[SMALL_MAX];

	if (snprintf(file, sizeof(file), "%s.ko", s->arg[0]) >= (int)sizeof(file))
		return -ENAMETOOLONG;
	if (small_read("/proc/cmdline", cmdline, sizeof(cmdline)) < 0)
		cmdline[0] = '\0';
	return module_load(file, cmdline);
}

static void module_show(const struct step *s, struct text *t)
{
	text_add(t, "insmod " MODULE_DIR "/");
	text_add_word(t, s->arg[0]);
	text_add(t, ".ko");
}

/* A machine ends with its modules. */
const struct step_ops step_module = {
	.name = "module", .args = "name", .run = module_run, .show = module_show
};

/* --- waiting for devices --- */

/* Calls try until it gives something else than -ENODEV, or the time is over. */
static int wait_for(int (*try)(void *data), void *data)
{
	int r = try(data);

	for (int ms = 0; r == -ENODEV && ms < WAIT_MAX; ms += WAIT_PACE) {
		(void)nanosleep(&(const struct timespec){ .tv_nsec = WAIT_PACE * 1000000 }, NULL);
		r = try(data);
	}
	return r;
}

/* --- nic --- */

struct nic {
	uint8_t mac[6];
	int index; /* 0: not seen */
	char name[IFNAMSIZ];
};

static int see_link(const struct nlmsghdr *h, void *data)
{
	struct nic *x = data;
	const struct ifinfomsg *i = NLMSG_DATA(h);
	const struct nlattr *mac, *name;

	if (h->nlmsg_type != RTM_NEWLINK || h->nlmsg_len < NLMSG_LENGTH(sizeof(*i)))
		return 0;
	mac = nl_find(h, sizeof(*i), IFLA_ADDRESS);
	name = nl_find(h, sizeof(*i), IFLA_IFNAME);
	if (!mac || !name || nl_size(mac) != sizeof(x->mac) || nl_size(name) > sizeof(x->name) ||
		memcmp(nl_data(mac), x->mac, sizeof(x->mac)) != 0)
		return 0;
	x->index = i->ifi_index;
	(void)snprintf(
		x->name, sizeof(x->name), "%.*s", (int)nl_size(name), (const char *)nl_data(name));
	return 0;
}

static int find_nic(void *data)
{
	struct nic *x = data;
	struct ifinfomsg i = { .ifi_family = AF_UNSPEC };
	char space[128];
	struct nl_buf b = NL_BUF_ON(space);
	int r;

	nl_begin(&b, RTM_GETLINK, NLM_F_DUMP, &i, sizeof(i));
	r = nl_once(NETLINK_ROUTE, &b, see_link, x, NULL);
	return r < 0 ? r : x->index ? 0 : -ENODEV;
}

static int nic_run(struct step_run *r, const struct step *s, struct err *e)
{
	struct ifinfomsg i = { .ifi_family = AF_UNSPEC };
	struct nic x = { 0 };
	char space[128];
	struct nl_buf b = NL_BUF_ON(space);
	int code;

	if (addr_parse_mac(s->arg[0], x.mac) < 0)
		return err_set(e, -EINVAL, "bad hardware address '%s'", s->arg[0]);
	code = wait_for(find_nic, &x);
	if (code == -ENODEV)
		return err_set(e, code, "the machine has no network card '%s'", s->arg[0]);
	if (code < 0 || strcmp(x.name, s->arg[1]) == 0)
		return code;
	i.ifi_index = x.index;
	nl_begin(&b, RTM_NEWLINK, NLM_F_ACK, &i, sizeof(i));
	nl_put_str(&b, IFLA_IFNAME, s->arg[1]);
	return nl_once(NETLINK_ROUTE, &b, NULL, NULL, NULL);
}

static void nic_show(const struct step *s, struct text *t)
{
	text_addf(
		t, "ip link set $(ip -br link | awk '$3 == \"%s\" { print $1 }') name ", s->arg[0]);
	text_add_word(t, s->arg[1]);
}

const struct step_ops step_nic = {
	.name = "nic", .args = "mac name", .run = nic_run, .show = nic_show
};

/* --- disk-mount --- */

struct disk {
	const char *serial;
	char name[32]; /* "vda" */
};

/* Whether the text of n bytes, blanks around it aside, is the serial number. */
static bool is_serial(const char *text, size_t n, const char *serial)
{
	while (n > 0 && strchr(" \n", text[n - 1])) /* and the NULs that pad it */
		n--;
	while (n > 0 && *text == ' ') {
		text++;
		n--;
	}
	return n == strlen(serial) && memcmp(text, serial, n) == 0;
}

/* virtio and NVMe say it as text; of SCSI there is page 0x80, after its header of 4 bytes. */
static bool has_serial(int block, const char *name, const char *serial)
{
	static const char *const file[] = { "serial", "device/serial", "device/vpd_pg80" };

	for (unsigned i = 0; i < ELEMENTSOF(file); i++) {
		char path[96], text[SERIAL_MAX];
		size_t skip = i == 2 ? 4 : 0;
		_cleanup_close_ int fd = -1;
		ssize_t n;

		(void)snprintf(path, sizeof(path), "%s/%s", name, file[i]);
		fd = openat(block, path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		n = read(fd, text, sizeof(text));
		return n >= (ssize_t)skip && is_serial(text + skip, (size_t)n - skip, serial);
	}
	return false;
}

static int find_disk(void *data)
{
	struct disk *x = data;
	DIR *d = opendir("/sys/block");
	int r = -ENODEV;
	struct dirent *f;

	if (!d)
		return -errno;
	while (r < 0 && (f = readdir(d))) {
		if (f->d_name[0] == '.' || strlen(f->d_name) >= sizeof(x->name) ||
			!has_serial(dirfd(d), f->d_name, x->serial))
			continue;
		(void)snprintf(x->name, sizeof(x->name), "%.31s", f->d_name);
		r = 0;
	}
	(void)closedir(d);
	return r;
}

static int make_folders(const char *path)
{
	char part[256];
	size_t n = strlen(path);

	if (n >= sizeof(part))
		return -ENAMETOOLONG;
	for (size_t i = 1; i <= n; i++) {
		if (path[i] != '/' && path[i] != '\0')
			continue;
		memcpy(part, path, i);
		part[i] = '\0';
		if (mkdir(part, 0755) < 0 && errno != EEXIST)
			return -errno;
	}
	return 0;
}

static int disk_mount_run(struct step_run *r, const struct step *s, struct err *e)
{
	struct disk x = { .serial = s->arg[0] };
	char more[DATA_MAX], data[DATA_MAX], device[48];
	struct mount_words w;
	int code = mount_words_parse(s->arg[3], &w, more, sizeof(more));

	if (code < 0)
		return code;
	code = snprintf(
		data, sizeof(data), "%s%s%s", more, more[0] && s->arg[4][0] ? "," : "", s->arg[4]);
	if (code < 0 || (size_t)code >= sizeof(data))
		return -ENAMETOOLONG;
	code = wait_for(find_disk, &x);
	if (code == -ENODEV)
		return err_set(e, code, "the machine has no disk '%s'", s->arg[0]);
	if (code < 0)
		return code;
	code = make_folders(s->arg[1]);
	if (code < 0)
		return err_sys(e, code, "cannot make '%s'", s->arg[1]);
	(void)snprintf(device, sizeof(device), "/dev/%s", x.name);
	if (mount(device, s->arg[1], s->arg[2], w.flags, data) < 0)
		return err_sys(e, -errno, "cannot mount the disk '%s' (%s, %s) at '%s'", s->arg[0],
			device, s->arg[2], s->arg[1]);
	return 0;
}

/*
 * At the machine's end: what can be written to is left clean, so that it needs no recovery the next time. A
 * read-only disk has nothing to lose.
 */
static int disk_mount_undo(struct step_run *r, const struct step *s, struct err *e)
{
	char more[DATA_MAX];
	struct mount_words w;
	int code;

	if (mount_words_parse(s->arg[3], &w, more, sizeof(more)) == 0 && (w.flags & MS_RDONLY))
		return 0;
	code = RET_NERRNO(umount2(s->arg[1], UMOUNT_NOFOLLOW));
	if (code ==
		-EBUSY) { /* something is still mounted on it or below: at least it is written */
		sync();
		return 0;
	}
	return code == -EINVAL || code == -ENOENT ? 0 : code;
}

static void disk_mount_show(const struct step *s, struct text *t)
{
	text_add(t, "mkdir -p ");
	text_add_word(t, s->arg[1]);
	text_addf(t, " && mount -t %s", s->arg[2]);
	if (s->arg[3][0] || s->arg[4][0]) {
		char options[2 * DATA_MAX];

		(void)snprintf(options, sizeof(options), "%s%s%s", s->arg[3],
			s->arg[3][0] && s->arg[4][0] ? "," : "", s->arg[4]);
		text_add(t, " -o ");
		text_add_word(t, options);
	}
	text_add(t, " /dev/disk/by-id/*");
	text_add_word(t, s->arg[0]);
	text_add(t, " ");
	text_add_word(t, s->arg[1]);
}

const struct step_ops step_disk_mount = { .name = "disk-mount",
	.args = "serial target type flags data",
	.run = disk_mount_run,
	.undo = disk_mount_undo,
	.show = disk_mount_show };

/* --- switch-root --- */

/*
 * pivot_root(2) refuses to leave the initramfs, so the new root is moved over it instead. What the moves name
 * goes along; it must be a folder there, too.
 */
static int switch_root_run(struct step_run *r, const struct step *s, struct err *e)
{
	for (const char *p = s->arg[1]; *p;) {
		size_t n = strcspn(p, ",");
		char from[256], to[512];

		if (snprintf(from, sizeof(from), "%.*s", (int)n, p) >= (int)sizeof(from) ||
			snprintf(to, sizeof(to), "%s%s", s->arg[0], from) >= (int)sizeof(to))
			return -ENAMETOOLONG;
		if (mount(from, to, NULL, MS_MOVE, NULL) < 0)
			return err_sys(e, -errno, "cannot move the mount '%s' to '%s'", from, to);
		p += n + (p[n] == ',');
	}
	if (chdir(s->arg[0]) < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0)
		return -errno;
	return RET_NERRNO(chdir("/"));
}

static void switch_root_show(const struct step *s, struct text *t)
{
	for (const char *p = s->arg[1]; *p;) {
		size_t n = strcspn(p, ",");

		text_addf(t, "mount --move %.*s %s%.*s && ", (int)n, p, s->arg[0], (int)n, p);
		p += n + (p[n] == ',');
	}
	text_add(t, "cd ");
	text_add_word(t, s->arg[0]);
	text_add(t, " && mount --move . / && chroot .");
}

const struct step_ops step_switch_root = { .name = "switch-root",
	.args = "path moves",
	.run = switch_root_run,
	.show = switch_root_show };
