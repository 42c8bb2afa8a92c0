/* SPDX-License-Identifier: MIT */
/*
 * The client against what QEMU 7.2 answered: files NAME.talk in tests/qmp/7.2 with lines "C " (what we must say) and
 * "S " (what QEMU says then, events first or last as they came). The monitor is a thread of this test.
 */
#include <glib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/vm/qmp.h"
#include "monitor/proto.h"

static const char *talks;

struct talk {
	char **lines;
	int fd;
	GThread *thread;
	size_t part; /* bytes of a packet: long lines come in several */
};

static void say(const struct talk *t, unsigned type, const char *line, size_t n)
{
	while (n > 0) {
		size_t k = MIN(n, t->part);
		struct msg m = { .type = (uint16_t)type, .flags = k < n ? QMP_MORE : 0 };
		struct iovec v[] = { { &m, sizeof(m) }, { (void *)(uintptr_t)line, k } };
		struct msghdr h = { .msg_iov = v, .msg_iovlen = 2 };

		g_assert_cmpint(sendmsg(t->fd, &h, 0), ==, (ssize_t)(sizeof(m) + k));
		line += k;
		n -= k;
	}
}

/* A command that must be that of the talk; MSG_QMP_EVENTS passes. */
static bool hear(const struct talk *t, const char *want)
{
	char buf[MSG_DATA_MAX];
	struct msg m;
	struct iovec v[] = { { &m, sizeof(m) }, { buf, sizeof(buf) } };
	struct msghdr h = { .msg_iov = v, .msg_iovlen = 2 };
	json_t *is, *must;

	do {
		ssize_t n = recvmsg(t->fd, &h, 0);

		if (n < (ssize_t)sizeof(m))
			return false;
		v[1].iov_len = sizeof(buf);
		if (m.type == MSG_QMP) {
			is = json_loadb(buf, (size_t)n - sizeof(m), 0, NULL);
			must = json_loads(want, 0, NULL);
			if (!json_equal(is, must))
				g_error("'%.*s' instead of '%s'", (int)(n - (ssize_t)sizeof(m)),
					buf, want);
			json_decref(is);
			json_decref(must);
		}
	} while (m.type == MSG_QMP_EVENTS);
	return true;
}

static gpointer monitor(gpointer data)
{
	struct talk *t = data;

	for (char **l = t->lines; *l && **l; l++) {
		if (**l == 'C') {
			if (!hear(t, *l + 2))
				break;
			continue;
		}
		say(t, strstr(*l, "\"event\":") ? MSG_QMP_EVENT : MSG_QMP_REPLY, *l + 2,
			strlen(*l + 2));
	}
	(void)close(t->fd);
	return NULL;
}

static struct ctx no_ctx = { .trace_fd = -1 };

static struct vm_qmp *begin(struct talk *t, const char *name, size_t part)
{
	g_autofree char *file = g_strdup_printf("%s/%s.talk", talks, name), *text = NULL;
	int sv[2];

	g_assert_true(g_file_get_contents(file, &text, NULL, NULL));
	g_assert_cmpint(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv), ==, 0);
	*t = (struct talk){ .lines = g_strsplit(text, "\n", 0), .fd = sv[1], .part = part };
	t->thread = g_thread_new("monitor", monitor, t);
	return vm_qmp_new(&no_ctx, sv[0], NULL);
}

static void end(struct talk *t, struct vm_qmp *q)
{
	vm_qmp_free(q);
	g_thread_join(t->thread);
	g_strfreev(t->lines);
}

static void ok(struct vm_qmp *q, const char *command, json_t *arguments)
{
	struct err e = { 0 };

	if (vm_qmp(q, command, arguments, NULL, &e) < 0)
		g_error("%s: %s", command, e.text);
}

static void test_hotplug(void)
{
	struct err e = { 0 };
	json_t *status = NULL, *data = NULL;
	struct talk t;
	struct vm_qmp *q = begin(&t, "hotplug", 7);

	g_assert_cmpint(vm_qmp_listen(q, &e), ==, 0);
	g_assert_cmpint(vm_qmp(q, "query-status", NULL, &status, &e), ==, 0);
	g_assert_cmpstr(json_string_value(json_object_get(status, "status")), ==, "running");
	json_decref(status);
	ok(q, "add-fd", json_pack("{s:i}", "fdset-id", 50));
	ok(q, "blockdev-add",
		json_pack("{s:s, s:s, s:{s:s, s:s, s:s}}", "driver", "qcow2", "node-name", "disk1",
			"file", "driver", "file", "node-name", "disk1-file", "filename",
			"/dev/fdset/50"));
	ok(q, "device_add",
		json_pack("{s:s, s:s, s:s, s:s}", "driver", "virtio-blk-pci", "id", "disk1",
			"drive", "disk1", "bus", "port2"));
	ok(q, "device_del", json_pack("{s:s}", "id", "disk1"));
	/* the first of the two events has no device */
	g_assert_cmpint(
		vm_qmp_wait(q, "DEVICE_DELETED", "device", "disk1", 5000, &data, &e), ==, 0);
	g_assert_cmpstr(
		json_string_value(json_object_get(data, "path")), ==, "/machine/peripheral/disk1");
	json_decref(data);
	g_assert_cmpint(vm_qmp_wait(q, "DEVICE_DELETED", NULL, NULL, 0, NULL, &e), ==, 0);
	g_assert_cmpint(vm_qmp_wait(q, "DEVICE_DELETED", NULL, NULL, 10, NULL, &e), ==, -ETIMEDOUT);
	ok(q, "blockdev-del", json_pack("{s:s}", "node-name", "disk1"));
	ok(q, "remove-fd", json_pack("{s:i}", "fdset-id", 50));
	/* QEMU is gone */
	g_assert_cmpint(vm_qmp(q, "query-status", NULL, NULL, &e), <, 0);
	end(&t, q);
}

static json_t *job(const char *id, const char *tag)
{
	return json_pack("{s:s, s:s, s:s, s:[s]}", "job-id", id, "tag", tag, "vmstate", "disk0",
		"devices", "disk0");
}

static void test_job(void)
{
	struct err e = { 0 };
	struct talk t;
	struct vm_qmp *q = begin(&t, "job", 65536);

	ok(q, "snapshot-save", job("j1", "s1"));
	g_assert_cmpint(vm_qmp_job(q, "j1", &e), ==, 0);
	ok(q, "snapshot-load", job("j2", "nothing"));
	g_assert_cmpint(vm_qmp_job(q, "j2", &e), ==, -EIO);
	g_assert_cmpstr(
		e.text, ==, "QEMU: Snapshot 'nothing' does not exist in one or more devices");
	g_assert_cmpint(vm_qmp_job(q, "j3", &e), ==, -E_NOTFOUND);
	end(&t, q);
}

static void refused(struct vm_qmp *q, const char *command, json_t *arguments, int code,
	const char *text, const char *mend)
{
	struct err e = { 0 };

	g_assert_cmpint(vm_qmp(q, command, arguments, NULL, &e), ==, code);
	g_assert_cmpstr(e.text, ==, text);
	g_assert_cmpstr(e.mend, ==, mend);
}

static void test_refused(void)
{
	struct talk t;
	struct vm_qmp *q = begin(&t, "refused", 65536);

	refused(q, "device_del", json_pack("{s:s}", "id", "nothing"), -E_NOTFOUND,
		"QEMU: Device 'nothing' not found", "");
	refused(q, "device_add",
		json_pack("{s:s, s:s, s:s, s:s}", "driver", "virtio-blk-pci", "id", "x", "drive",
			"nothing", "bus", "port2"),
		-E_INVALID, "QEMU: Property 'virtio-blk-device.drive' can't find value 'nothing'",
		"");
	refused(q, "nonsense", NULL, -E_UNSUPPORTED,
		"QEMU: The command nonsense has not been found", "");
	refused(q, "device_add",
		json_pack("{s:s, s:s, s:s, s:s}", "driver", "virtio-blk-pci", "id", "y", "drive",
			"disk0", "bus", "pcie.0"),
		-E_UNSUPPORTED, "QEMU: Bus 'pcie.0' does not support hotplugging",
		"stop the machine first");
	refused(q, "balloon", json_pack("{s:i}", "value", 1 << 20), -E_STATE,
		"QEMU: No balloon device has been activated", "");
	refused(q, "blockdev-add",
		json_pack("{s:s, s:s, s:{s:s, s:s}}", "driver", "qcow2", "node-name", "again",
			"file", "driver", "file", "filename", "/tmp/qmpx/d0.qcow2"),
		-E_INUSE, "QEMU: Failed to get \"write\" lock", "another program uses the file");
	end(&t, q);
}

/* --- a schema ------------------------------------------------------------------------------------------------ */

static struct vm_schema *recorded(void)
{
	g_autofree char *file = g_strdup_printf("%s/schema.json", talks);
	struct vm_schema *s;
	json_t *j = json_load_file(file, 0, NULL),
	       *entries = json_incref(json_object_get(j, "return"));

	g_assert_nonnull(entries);
	json_decref(j);
	g_assert_cmpint(vm_schema_new(entries, &s, NULL), ==, 0);
	return s;
}

static void check(const struct vm_schema *s, const char *command, const char *arguments, int code,
	const char *text)
{
	struct err e = { 0 };
	json_t *j = arguments ? json_loads(arguments, 0, NULL) : NULL;

	g_assert_true(!arguments || j);
	g_assert_cmpint(vm_schema_check(s, command, j, &e), ==, code);
	g_assert_cmpstr(e.text, ==, text);
	json_decref(j);
}

static void test_schema(void)
{
	struct vm_schema *s = recorded();

	check(s, "query-status", NULL, 0, "");
	check(s, "balloon", "{\"value\":5}", 0, "");
	check(s, "balloon", NULL, -E_INVALID, "the arguments of 'balloon' lack 'value'");
	check(s, "balloon", "{\"value\":\"5\"}", -E_INVALID,
		"argument 'value' of 'balloon' is not of the type 'int'");
	check(s, "balloon", "{\"value\":5,\"node\":1}", -E_UNSUPPORTED,
		"this QEMU's command 'balloon' has no argument 'node'");
	check(s, "teleport", NULL, -E_UNSUPPORTED, "this QEMU has no command 'teleport'");
	check(s, "SHUTDOWN", NULL, -E_UNSUPPORTED, "this QEMU has no command 'SHUTDOWN'");
	check(s, "device_add", "{\"driver\":\"x\",\"anything\":true}", 0, "");
	check(s, "blockdev-add",
		"{\"driver\":\"qcow2\",\"node-name\":\"a\",\"backing\":null,\"cache\":{\"direct\":"
		"true},\"file\":{"
		"\"driver\":\"file\",\"filename\":\"/dev/fdset/1\",\"discard\":\"unmap\"}}",
		0, "");
	check(s, "blockdev-add", "{\"driver\":\"qcow9\"}", -E_UNSUPPORTED,
		"this QEMU's command 'blockdev-add' doesn't know 'qcow9' as 'driver'");
	check(s, "blockdev-add", "{\"driver\":\"file\",\"filename\":\"/x\",\"teleport\":1}",
		-E_UNSUPPORTED, "this QEMU's command 'blockdev-add' has no argument 'teleport'");
	check(s, "blockdev-add",
		"{\"driver\":\"raw\",\"file\":{\"driver\":\"file\",\"filename\":7}}", -E_INVALID,
		"argument 'file.filename' of 'blockdev-add' is not of the type 'string'");
	check(s, "blockdev-add", "{\"driver\":\"raw\"}", -E_INVALID,
		"the arguments of 'blockdev-add' lack 'file'");
	check(s, "display-update",
		"{\"type\":\"vnc\",\"addresses\":[{\"type\":\"fd\",\"str\":\"vnc\"}]}", 0, "");
	check(s, "snapshot-save",
		"{\"job-id\":\"a\",\"tag\":\"b\",\"vmstate\":\"c\",\"devices\":[\"d\"]}", 0, "");
	check(s, "snapshot-save",
		"{\"job-id\":\"a\",\"tag\":\"b\",\"vmstate\":\"c\",\"devices\":[4]}", -E_INVALID,
		"argument 'devices' of 'snapshot-save' is not of the type 'string'");
	vm_schema_free(s);
}

static void test_bad_schema(void)
{
	static const char *const bad[] = { "{}", "[]", "[7]", "[{\"name\":\"a\"}]",
		"[{\"meta-type\":\"object\"}]" };
	struct vm_schema *s;

	for (size_t i = 0; i < G_N_ELEMENTS(bad); i++)
		g_assert_cmpint(
			vm_schema_new(json_loads(bad[i], 0, NULL), &s, NULL), ==, -E_CORRUPT);
	/* a type that contains itself, and one that isn't there, come to an end */
	g_assert_cmpint(
		vm_schema_new(
			json_loads(
				"[{\"name\":\"c\",\"meta-type\":\"command\",\"arg-type\":\"1\"},"
				"{\"name\":\"1\",\"meta-type\":\"object\",\"members\":[{\"name\":"
				"\"a\",\"type\":\"1\",\"default\":null},{\"name\":\"b\",\"type\":"
				"\"9\",\"default\":null}]}]",
				0, NULL),
			&s, NULL),
		==, 0);
	check(s, "c", "{\"a\":{\"a\":{\"b\":[1]}},\"b\":2}", 0, "");
	vm_schema_free(s);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_assert_cmpint(argc, ==, 2);
	talks = argv[1];
	g_test_add_func("/vm-qmp/hotplug", test_hotplug);
	g_test_add_func("/vm-qmp/job", test_job);
	g_test_add_func("/vm-qmp/refused", test_refused);
	g_test_add_func("/vm-qmp/schema", test_schema);
	g_test_add_func("/vm-qmp/bad-schema", test_bad_schema);
	return g_test_run();
}
