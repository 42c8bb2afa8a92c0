/* SPDX-License-Identifier: MIT */
/* Saved states, buttons, and what the guest tells of its boot. */

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "guest/machine-priv.h"
#include "host/steps.h"
#include "image/seed.h"

#define LOOK_MS	       50
#define BANDWIDTH      (INT64_C(1) << 50) /* bytes a second: no limit */
#define RESTORE_WAIT_S 300
#define QUIT_WAIT_S    30
#define STATE_MAGIC    "QEVM" /* QEMU's stream of migration begins so (docs/devel/migration) */

/* --- save --------------------------------------------------------------------------------------------------------- */

static int wait_migration(struct vm_qmp *q, struct err *e)
{
	for (;;) {
		json_t *j = NULL;
		const char *status, *why;
		int r = vm_qmp(q, "query-migrate", NULL, &j, e);

		if (r < 0)
			return r;
		status = json_string_value(json_object_get(j, "status"));
		why = json_string_value(json_object_get(j, "error-desc"));
		r = g_strcmp0(status, "completed") == 0 || vm_qmp_explains(q) ? 1
		    : g_strcmp0(status, "failed") == 0 || g_strcmp0(status, "cancelled") == 0
			    ? err_set(e, -EIO, "QEMU can't save the machine%s%s", why ? ": " : "",
				      why ?: "")
			    : 0;
		json_decref(j);
		if (r != 0)
			return MIN(r, 0);
		g_usleep(LOOK_MS * 1000);
	}
}

static int write_state(struct vm_qmp *q, int fd, struct err *e)
{
	int r = vm_qmp(q, "stop", NULL, NULL, e);

	if (r >= 0)
		r = vm_qmp_fds(q, "getfd", json_pack("{s:s}", "fdname", "state"), &fd, 1, NULL, e);
	if (r >= 0)
		r = vm_qmp(q, "migrate-set-parameters",
			json_pack("{s:I}", "max-bandwidth", (json_int_t)BANDWIDTH), NULL, e);
	if (r >= 0)
		r = vm_qmp(q, "migrate", json_pack("{s:s}", "uri", "fd:state"), NULL, e);
	if (r >= 0)
		r = wait_migration(q, e);
	if (r < 0)
		(void)vm_qmp(q, "cont", NULL, NULL, NULL);
	return r;
}

/* As a user's stop, so that no policy starts it again; the machine, which stands still, doesn't hear the button. */
static int quit(struct ctx *c, struct guest *g, struct vm_qmp *q, struct err *e)
{
	_cleanup_close_ int fd = monitor_connect(c, g, e);
	int r = fd < 0 ? fd
		       : monitor_send(
				 fd, MSG_STOP, 0, (uint32_t)SIGTERM | QUIT_WAIT_S << 8, NULL, 0, e);

	/* it ends before it answers */
	if (r >= 0)
		(void)vm_qmp(q, "quit", NULL, NULL, NULL);
	return r < 0 ? r : MIN(guest_wait(c, g, false, e), 0);
}

int machine_save(struct ctx *c, struct guest *g, const char *path, struct err *e)
{
	_cleanup_close_ int lock = machine_lock(c, g, e), fd = -1;
	_cleanup_(vm_qmp_freep) struct vm_qmp *q = NULL;
	int r;

	if (lock < 0)
		return lock;
	r = machine_talk(c, g, &q, e);
	if (r < 0)
		return r;
	if (!c->explain)
		fd = RET_NERRNO(open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
	if (fd < 0 && !c->explain)
		return err_sys(e, fd, "cannot make '%s'", path);
	r = write_state(q, fd, e);
	if (c->explain)
		return r < 0 ? r : vm_qmp(q, "quit", NULL, NULL, e);
	if (r >= 0) {
		r = RET_NERRNO(fsync(fd));
		if (r < 0)
			(void)err_sys(e, r, "cannot write '%s'", path);
	}
	if (r < 0) {
		(void)unlink(path);
		return r;
	}
	r = quit(c, g, q, e);
	if (r >= 0)
		guest_event(c, g, "stop", NULL);
	return r;
}

/* --- restore ------------------------------------------------------------------------------------------------------ */

static int check_state(const char *path, struct err *e)
{
	_cleanup_close_ int fd = RET_NERRNO(open(path, O_RDONLY | O_CLOEXEC));
	char magic[sizeof(STATE_MAGIC) - 1];

	if (fd < 0)
		return err_sys(e, fd, "cannot open '%s'", path);
	if (read(fd, magic, sizeof(magic)) != sizeof(magic) ||
		memcmp(magic, STATE_MAGIC, sizeof(magic)) != 0)
		return err_set(e, -E_INVALID, "'%s' is not the saved state of a machine", path);
	return 0;
}

/* Until the state is read: QEMU ends when it can't use it. */
static int wait_incoming(struct vm_qmp *q, struct err *e)
{
	for (int i = 0; i < RESTORE_WAIT_S * 1000 / LOOK_MS; i++) {
		json_t *j = NULL;
		int r = vm_qmp(q, "query-status", NULL, &j, e);
		bool done = g_strcmp0(json_string_value(json_object_get(j, "status")),
				    "inmigrate") != 0;

		json_decref(j);
		if (r < 0 || done)
			return r;
		g_usleep(LOOK_MS * 1000);
	}
	return err_set(e, -ETIMEDOUT, "QEMU didn't read the saved state in %d s", RESTORE_WAIT_S);
}

static int go_on(struct ctx *c, struct guest *g, const char *path, struct err *e)
{
	_cleanup_(vm_qmp_freep) struct vm_qmp *q = NULL;
	int r = machine_talk(c, g, &q, e);

	if (r >= 0)
		r = wait_incoming(q, e);
	if (r >= 0)
		r = vm_qmp(q, "cont", NULL, NULL, e);
	if (r >= 0 || c->explain)
		return r;
	g_usleep(200000); /* its monitor writes down why it ended */
	guest_refresh(c, g);
	if (!guest_is_up(g))
		r = err_set(e, -E_STATE, "guest '%s' can't go on from '%s'%s%s", g->rec->name, path,
			g->error ? ": " : "", g->error ?: "");
	return r;
}

int machine_restore(struct ctx *c, struct guest *g, const char *path, struct err *e)
{
	_cleanup_close_ int lock = machine_lock(c, g, e), fd = -1;
	int r;

	if (lock < 0)
		return lock;
	if (guest_is_up(g) && !c->explain)
		return err_set(e, -E_STATE, "guest '%s' is running", g->rec->name);
	r = c->explain ? 0 : check_state(path, e);
	if (r < 0)
		return r;
	g_free(g->spec->vm->incoming);
	g->spec->vm->incoming = g_strdup(path);
	/* whoever starts it again would begin there again, with disks that went on */
	g->spec->restart = RESTART_NO;
	g->spec->restart_max = 0;
	fd = guest_start_locked(c, g, 0, e);
	if (fd < 0)
		return fd;
	if (!c->explain)
		return go_on(c, g, path, e);
	(void)fprintf(stdout, "# to QEMU, when it has read the state: {\"execute\":\"cont\"}\n");
	return 0;
}

/* --- buttons --------------------------------------------------------------------------------------------------------- */

static int press(struct ctx *c, struct guest *g, const char *command, struct err *e)
{
	_cleanup_(vm_qmp_freep) struct vm_qmp *q = NULL;
	int r = machine_talk(c, g, &q, e);

	return r < 0 ? r : vm_qmp(q, command, NULL, NULL, e);
}

int machine_reset(struct ctx *c, struct guest *g, struct err *e)
{
	return press(c, g, "system_reset", e);
}

int machine_powerdown(struct ctx *c, struct guest *g, struct err *e)
{
	return press(c, g, "system_powerdown", e);
}

int machine_qmp(struct ctx *c, struct guest *g, const char *text, json_t **ret, struct err *e)
{
	_cleanup_(vm_qmp_freep) struct vm_qmp *q = NULL;
	int r = machine_talk(c, g, &q, e);

	return r < 0 ? r : vm_qmp_text(q, text, ret, e);
}

/* --- the first boot ----------------------------------------------------------------------------------------------------- */

/* The last whole line of what the guest wrote that can be understood. 1: *ret; 0: none. */
static int last_result(const char *text, size_t n, struct seed_result **ret)
{
	int found = 0;

	while (n > 0) {
		const char *end = memchr(text, '\n', n);
		struct seed_result *one;

		if (!end)
			break;
		if (end > text && seed_result_parse(text, (size_t)(end - text), &one, NULL) >= 0) {
			if (found)
				seed_result_free(*ret);
			*ret = one;
			found = 1;
		}
		n -= (size_t)(end + 1 - text);
		text = end + 1;
	}
	return found;
}

/* What has come since the last look; QEMU forgets what is read, so it is kept in the guest's folder. */
static int read_port(struct ctx *c, struct guest *g, GString *all, struct err *e)
{
	_cleanup_(vm_qmp_freep) struct vm_qmp *q = NULL;
	g_autofree guchar *bytes = NULL;
	const char *text;
	json_t *j = NULL;
	gsize n;
	int r = machine_talk(c, g, &q, e);

	if (r >= 0)
		r = vm_qmp(q, "ringbuf-read",
			json_pack("{s:s, s:i, s:s}", "device", "boot", "size", VM_BOOT_BYTES,
				"format", "base64"),
			&j, e);
	if (r < 0)
		return r;
	text = json_string_value(j);
	bytes = text ? g_base64_decode(text, &n) : NULL;
	if (bytes)
		g_string_append_len(all, (const char *)bytes, (gssize)n);
	json_decref(j);
	/* a guest may write without end */
	if (all->len > VM_BOOT_BYTES)
		g_string_erase(all, 0, (gssize)(all->len - VM_BOOT_BYTES));
	return bytes && n > 0;
}

static int keep_result(const char *file, const GString *all, struct err *e)
{
	if (g_file_set_contents_full(
		    file, all->str, (gssize)all->len, G_FILE_SET_CONTENTS_CONSISTENT, 0600, NULL))
		return 0;
	return err_set(e, -EIO, "cannot write '%s'", file);
}

static int kept_result(const char *file, struct seed_result **ret)
{
	g_autofree char *kept = NULL;
	gsize n;

	return g_file_get_contents(file, &kept, &n, NULL) && n <= VM_BOOT_BYTES
		       ? last_result(kept, n, ret)
		       : 0;
}

static int look(
	struct ctx *c, struct guest *g, const char *file, struct seed_result **ret, struct err *e)
{
	_cleanup_close_ int lock = -1;
	GString *all = g_string_new(NULL);
	g_autofree char *kept = NULL;
	gsize n;
	int r = 0;

	lock = c->is_root ? guest_lock(c, g, e) : -1;
	if (g_file_get_contents(file, &kept, &n, NULL) && n <= VM_BOOT_BYTES)
		g_string_append_len(all, kept, (gssize)n);
	if (lock >= 0 && guest_is_up(g))
		r = read_port(c, g, all, e);
	if (r > 0)
		r = keep_result(file, all, e);
	if (r >= 0)
		r = last_result(all->str, all->len, ret);
	g_string_free(all, TRUE);
	return r;
}

int machine_boot_result(struct ctx *c, struct guest *g, int seconds, json_t **ret, struct err *e)
{
	g_autofree char *dir = guest_dir(c, g), *file = g_build_filename(dir, "boot", NULL);
	int64_t until = g_get_monotonic_time() + seconds * G_USEC_PER_SEC;
	struct seed_result *result = NULL;
	int r;

	if (!g->spec->vm || !g->spec->vm->boot_report)
		return err_set(e, -E_UNSUPPORTED,
			"guest '%s' was made without a seed that reports its boot", g->rec->name);
	/* who doesn't wait doesn't disturb either, where it is known */
	if (seconds == 0 && kept_result(file, &result) == 1) {
		*ret = seed_result_json(result);
		seed_result_free(result);
		return 0;
	}
	while ((r = look(c, g, file, &result, e)) == 0) {
		if (seconds > 0 && !guest_is_up(g))
			return err_set(e, -E_STATE, "guest '%s' is not running", g->rec->name);
		if (g_get_monotonic_time() >= until)
			return seconds > 0 ? err_set(e, -ETIMEDOUT,
						     "guest '%s' told nothing of its boot in %d s",
						     g->rec->name, seconds)
					   : -E_NOTFOUND;
		g_usleep(500000);
	}
	if (r < 0)
		return r;
	*ret = seed_result_json(result);
	seed_result_free(result);
	return 0;
}
