/* SPDX-License-Identifier: MIT */
#include "engine/vm/qmp.h"

#include <glib.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/macros.h"
#include "monitor/proto.h"
#include "wire/qmp.h"

#define EVENTS_MAX	1000 /* kept at most: the oldest go */
#define JOB_LOOK_MS	20
#define JOB_LOOK_MAX_MS 500

struct vm_qmp {
	struct ctx *c;
	int fd;
	struct vm_schema *schema;
	GPtrArray *events; /* json_t * */
	GString *parts;	   /* of a line that hasn't come whole */
	bool listens;
};

struct vm_qmp *vm_qmp_new(struct ctx *c, int fd, struct vm_schema *schema)
{
	struct vm_qmp *q = g_new0(struct vm_qmp, 1);

	q->c = c;
	q->fd = fd;
	q->schema = schema;
	q->events = g_ptr_array_new_with_free_func((GDestroyNotify)json_decref);
	q->parts = g_string_new(NULL);
	return q;
}

void vm_qmp_free(struct vm_qmp *q)
{
	if (!q)
		return;
	closep(&q->fd);
	vm_schema_free(q->schema);
	g_ptr_array_unref(q->events);
	g_string_free(q->parts, TRUE);
	g_free(q);
}

void vm_qmp_freep(struct vm_qmp **q)
{
	vm_qmp_free(*q);
}

bool vm_qmp_explains(const struct vm_qmp *q)
{
	return q->c->explain;
}

/* --- errors ---------------------------------------------------------------------------------------------------- */

/* Texts of QEMU that have a better code, and a mend. */
static const struct {
	const char *part;
	int code;
	const char *mend;
} known[] = {
	{ "Failed to get \"write\" lock", -E_INUSE, "another program uses the file" },
	{ "Failed to get shared \"write\" lock", -E_INUSE, "another program uses the file" },
	{ "does not support hotplugging", -E_UNSUPPORTED, "stop the machine first" },
	{ "Bus 'scsi.0' not found", -E_UNSUPPORTED, "the machine has no SCSI" },
	{ "No space left on device", -ENOSPC, NULL },
	{ "already in the process of unplug", -E_STATE, "wait for the guest" },
};

int vm_qmp_error(const json_t *error, struct err *e)
{
	static const struct {
		const char *class;
		int code;
	} classes[] = { { "CommandNotFound", -E_UNSUPPORTED }, { "DeviceNotFound", -E_NOTFOUND },
		{ "DeviceNotActive", -E_STATE }, { "KVMMissingCap", -E_UNSUPPORTED } };
	const char *class = json_string_value(json_object_get(error, "class"));
	const char *text = json_string_value(json_object_get(error, "desc"));
	int code = -E_INVALID;

	for (size_t i = 0; class && i < G_N_ELEMENTS(classes); i++)
		if (strcmp(class, classes[i].class) == 0)
			code = classes[i].code;
	for (size_t i = 0; text && i < G_N_ELEMENTS(known); i++) {
		if (!strstr(text, known[i].part))
			continue;
		(void)err_set(e, known[i].code, "QEMU: %s", text);
		if (known[i].mend)
			err_mend(e, "%s", known[i].mend);
		return known[i].code;
	}
	return err_set(e, code, "QEMU: %s", text ?: "refused without a word");
}

/* --- packets ------------------------------------------------------------------------------------------------------ */

static int send_packet(struct vm_qmp *q, unsigned type, const char *data, size_t n, const int *fds,
	unsigned n_fds, struct err *e)
{
	struct msg m = { .type = (uint16_t)type };
	struct iovec v[] = { { &m, sizeof(m) }, { (void *)(uintptr_t)data, n } };
	union {
		struct cmsghdr h;
		char space[CMSG_SPACE(PROTO_FDS_MAX * sizeof(int))];
	} control = { 0 };
	struct msghdr h = { .msg_iov = v, .msg_iovlen = n ? 2 : 1 };
	ssize_t r;

	if (n_fds > 0) {
		h.msg_control = &control;
		h.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		control.h = (struct cmsghdr){ .cmsg_len = CMSG_LEN(n_fds * sizeof(int)),
			.cmsg_level = SOL_SOCKET,
			.cmsg_type = SCM_RIGHTS };
		memcpy(CMSG_DATA(&control.h), fds, n_fds * sizeof(int));
	}
	do
		r = RET_NERRNO(sendmsg(q->fd, &h, MSG_NOSIGNAL));
	while (r == -EINTR);
	return r < 0 ? err_sys(e, (int)r, "cannot talk to the guest's monitor") : 0;
}

static int told_error(const struct msg *m, char *text, size_t n, struct err *e)
{
	int code = (int)m->value;
	size_t used;

	text[n] = '\0'; /* the buffer has room for it */
	used = strlen(text);
	if (code >= 0 || code < -_E_END)
		code = -EPROTO;
	(void)err_set(e, code, "%s", text);
	if (used + 1 < n)
		err_mend(e, "%s", text + used + 1);
	return code;
}

/* One line or error of the monitor: MSG_QMP_REPLY or MSG_QMP_EVENT with *ret. -ETIMEDOUT without a text. */
static int receive(struct vm_qmp *q, int64_t until_us, json_t **ret, struct err *e)
{
	g_autofree char *buf = g_malloc(MSG_DATA_MAX + 1);

	for (;;) {
		int64_t left = (until_us - g_get_monotonic_time() + 999) / 1000;
		struct pollfd p = { q->fd, POLLIN, 0 };
		struct msg m;
		struct iovec v[] = { { &m, sizeof(m) }, { buf, MSG_DATA_MAX } };
		struct msghdr h = { .msg_iov = v, .msg_iovlen = 2 };
		ssize_t n = RET_NERRNO(poll(&p, 1, (int)CLAMP(left, 0, INT32_MAX)));

		if (n == 0)
			return -ETIMEDOUT;
		if (n > 0)
			n = RET_NERRNO(recvmsg(q->fd, &h, MSG_CMSG_CLOEXEC));
		if (n == -EINTR)
			continue;
		if (n < (ssize_t)sizeof(m))
			return err_sys(e, n < 0 ? (int)n : -ECONNRESET, "lost the guest's monitor");
		n -= (ssize_t)sizeof(m);
		if (m.type == MSG_ERROR)
			return told_error(&m, buf, (size_t)n, e);
		if (m.type != MSG_QMP_REPLY && m.type != MSG_QMP_EVENT)
			continue;
		g_string_append_len(q->parts, buf, n);
		if (q->parts->len > QMP_LINE_MAX)
			return err_set(e, -E_LIMIT, "QEMU said more than %d bytes", QMP_LINE_MAX);
		if (m.flags & QMP_MORE)
			continue;
		*ret = json_loadb(q->parts->str, q->parts->len, 0, NULL);
		g_string_truncate(q->parts, 0);
		if (!json_is_object(*ret)) {
			json_decref(*ret);
			return err_set(e, -EPROTO, "QEMU's answer is not JSON");
		}
		return m.type;
	}
}

static void keep_event(struct vm_qmp *q, json_t *event)
{
	if (q->events->len >= EVENTS_MAX)
		g_ptr_array_remove_index(q->events, 0);
	g_ptr_array_add(q->events, event);
}

static int wait_reply(struct vm_qmp *q, const char *command, json_t **ret, struct err *e)
{
	int64_t until = g_get_monotonic_time() + VM_QMP_TIMEOUT * G_USEC_PER_SEC;
	json_t *j;
	int r;

	for (;;) {
		r = receive(q, until, &j, e);
		if (r == -ETIMEDOUT) {
			err_set(e, r, "QEMU gave no answer to '%s' in %d s", command,
				VM_QMP_TIMEOUT);
			err_mend(e, "the machine may hang; 'lodge kill' ends it");
			closep(&q->fd); /* what comes now would be taken for another command's answer */
			q->fd = -1;
		}
		if (r < 0)
			return r;
		if (r == MSG_QMP_REPLY)
			break;
		keep_event(q, j);
	}
	r = 0;
	if (json_object_get(j, "error"))
		r = vm_qmp_error(json_object_get(j, "error"), e);
	else if (ret)
		*ret = json_incref(json_object_get(j, "return")) ?: json_object();
	json_decref(j);
	return r;
}

/* --- commands -------------------------------------------------------------------------------------------------------- */

int vm_qmp_fds(struct vm_qmp *q, const char *command, json_t *arguments, const int *fds, unsigned n,
	json_t **ret, struct err *e)
{
	json_t *whole = json_pack("{s:s}", "execute", command);
	_cleanup_free_ char *text = NULL;
	size_t size;
	int r = 0;

	if (arguments)
		json_object_set_new(whole, "arguments", arguments);
	if (q->schema)
		r = vm_schema_check(q->schema, command, arguments, e);
	text = json_dumps(whole, JSON_COMPACT);
	json_decref(whole);
	if (r < 0)
		return r;
	if (!text)
		return err_set(e, -E_INVALID, "the arguments of '%s' are not UTF-8", command);
	if (q->c->explain) {
		(void)fprintf(stdout, "# to QEMU%s: %s\n", n ? ", with a descriptor" : "", text);
		if (ret)
			*ret = json_object();
		return 0;
	}
	size = strlen(text);
	if (size > QMP_COMMAND_MAX)
		return err_set(e, -E_LIMIT, "the command '%s' is longer than %d bytes", command,
			QMP_COMMAND_MAX);
	r = send_packet(q, MSG_QMP, text, size, fds, n, e);
	return r < 0 ? r : wait_reply(q, command, ret, e);
}

int vm_qmp(struct vm_qmp *q, const char *command, json_t *arguments, json_t **ret, struct err *e)
{
	return vm_qmp_fds(q, command, arguments, NULL, 0, ret, e);
}

int vm_qmp_text(struct vm_qmp *q, const char *text, json_t **ret, struct err *e)
{
	const char *name;
	json_error_t je;
	json_t *j;
	int r;

	if (text[0] != '{')
		return vm_qmp(q, text, NULL, ret, e);
	j = json_loads(text, JSON_REJECT_DUPLICATES, &je);
	if (!j)
		return err_set(e, -E_USAGE, "the command is not JSON: line %d, column %d: %s",
			je.line, je.column, je.text);
	name = json_string_value(json_object_get(j, "execute"));
	if (!name || json_object_size(j) > (json_object_get(j, "arguments") ? 2 : 1))
		r = err_set(e, -E_USAGE,
			"a QMP command has \"execute\" and perhaps \"arguments\", nothing else");
	else
		r = vm_qmp(q, name, json_incref(json_object_get(j, "arguments")), ret, e);
	json_decref(j);
	return r;
}

/* --- events ---------------------------------------------------------------------------------------------------------- */

int vm_qmp_listen(struct vm_qmp *q, struct err *e)
{
	if (q->listens || q->c->explain)
		return 0;
	q->listens = true;
	return send_packet(q, MSG_QMP_EVENTS, NULL, 0, NULL, 0, e);
}

static bool is_event(const json_t *j, const char *event, const char *key, const char *value)
{
	const char *name = json_string_value(json_object_get(j, "event")), *is;

	if (!name || strcmp(name, event) != 0)
		return false;
	is = key ? json_string_value(json_object_get(json_object_get(j, "data"), key)) : NULL;
	return !key || (is && strcmp(is, value) == 0);
}

static json_t *kept_event(struct vm_qmp *q, const char *event, const char *key, const char *value)
{
	for (guint i = 0; i < q->events->len; i++) {
		json_t *j = q->events->pdata[i], *data;

		if (!is_event(j, event, key, value))
			continue;
		data = json_incref(json_object_get(j, "data")) ?: json_object();
		g_ptr_array_remove_index(q->events, i);
		return data;
	}
	return NULL;
}

int vm_qmp_wait(struct vm_qmp *q, const char *event, const char *key, const char *value,
	int timeout_ms, json_t **ret, struct err *e)
{
	int64_t until = g_get_monotonic_time() + (int64_t)timeout_ms * 1000;
	json_t *j = NULL;
	int r = 0;

	if (q->c->explain) {
		if (ret)
			*ret = json_object();
		return 0;
	}
	while (!(j = kept_event(q, event, key, value))) {
		r = receive(q, until, &j, e);
		if (r < 0)
			return r;
		if (r == MSG_QMP_EVENT)
			keep_event(q, j);
		else
			json_decref(j); /* an answer that came too late for its command */
	}
	if (ret)
		*ret = j;
	else
		json_decref(j);
	return 0;
}

/* 1: concluded, and *ret_error is its error or NULL; 0: it works; or a code. */
static int look_at_job(struct vm_qmp *q, const char *id, char **ret_error, struct err *e)
{
	json_t *all, *v;
	size_t i;
	int r = vm_qmp(q, "query-jobs", NULL, &all, e), found = -E_NOTFOUND;

	if (r < 0)
		return r;
	json_array_foreach(all, i, v) {
		const char *name = json_string_value(json_object_get(v, "id"));
		const char *status = json_string_value(json_object_get(v, "status"));

		if (!name || strcmp(name, id) != 0)
			continue;
		found = status && strcmp(status, "concluded") == 0;
		if (found)
			*ret_error = g_strdup(json_string_value(json_object_get(v, "error")));
	}
	json_decref(all);
	return found < 0 ? err_set(e, found, "QEMU has lost its job '%s'", id) : found;
}

int vm_qmp_job(struct vm_qmp *q, const char *id, struct err *e)
{
	g_autofree char *error = NULL;
	unsigned wait_ms = JOB_LOOK_MS;
	int r;

	if (q->c->explain)
		return vm_qmp(q, "job-dismiss", json_pack("{s:s}", "id", id), NULL, e);
	while ((r = look_at_job(q, id, &error, e)) == 0) {
		g_usleep(wait_ms * 1000);
		wait_ms = MIN(wait_ms * 2, JOB_LOOK_MAX_MS);
	}
	if (r < 0)
		return r;
	r = vm_qmp(q, "job-dismiss", json_pack("{s:s}", "id", id), NULL, e);
	return r >= 0 && error ? err_set(e, -EIO, "QEMU: %s", error) : r;
}
