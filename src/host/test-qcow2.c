/* SPDX-License-Identifier: MIT */
#include <glib.h>
#include <string.h>
#include <unistd.h>

#include "host/qcow2.h"
#include "host/steps.h"

/* As qemu-img makes them: version 3 of 32 MiB. */
static const uint8_t plain[QCOW2_HEADER_SIZE] = { 'Q', 'F', 'I', 0xfb, 0, 0, 0,
	3, [23] = 16, [28] = 2, [39] = 1, [103] = 104 };

static void test_parse(void)
{
	uint8_t head[QCOW2_HEADER_SIZE];
	struct qcow2_header h;

	g_assert_cmpint(qcow2_parse(plain, sizeof(plain), &h), ==, 0);
	g_assert_cmpuint(h.version, ==, 3);
	g_assert_cmpuint(h.size, ==, 32 << 20);
	g_assert_true(!h.backing && !h.external && !h.encrypted && h.snapshots == 0);

	memcpy(head, plain, sizeof(head));
	head[15] = 200; /* offset of the file below's name */
	head[35] = 2;	/* LUKS */
	head[63] = 7;
	head[79] = 4; /* external data */
	g_assert_cmpint(qcow2_parse(head, sizeof(head), &h), ==, 0);
	g_assert_true(h.backing == 200 && h.encrypted && h.snapshots == 7 && h.external);
	/* an old one has no features */
	head[7] = 2;
	g_assert_cmpint(qcow2_parse(head, 72, &h), ==, 0);
	g_assert_false(h.external);

	for (size_t n = 0; n < sizeof(plain); n++)
		g_assert_cmpint(qcow2_parse(plain, n, &h), ==, -EBADMSG);
	head[7] = 4;
	g_assert_cmpint(qcow2_parse(head, sizeof(head), &h), ==, -EBADMSG);
	head[0] = 'q';
	g_assert_cmpint(qcow2_parse(head, sizeof(head), &h), ==, -EBADMSG);
}

static void alone(const uint8_t *p, size_t n, const char *want)
{
	g_autofree char *path = NULL;
	struct err e = { 0 };
	int fd = g_file_open_tmp("lodge-qcow2-XXXXXX", &path, NULL);

	g_assert_cmpint(write(fd, p, n), ==, (ssize_t)n);
	(void)close(fd);
	g_assert_cmpint(qcow2_check_alone(path, &e), ==, want ? -E_UNSUPPORTED : 0);
	g_assert_true(want ? strstr(e.text, want) && strstr(e.text, path) : !*e.text);
	(void)unlink(path);
}

static void test_alone(void)
{
	uint8_t head[QCOW2_HEADER_SIZE];
	struct err e = { 0 };

	alone(plain, sizeof(plain), NULL);
	alone(plain, 50, "is not a qcow2 file");
	memcpy(head, plain, sizeof(head));
	head[79] = 4;
	alone(head, sizeof(head), "is in another file");
	head[79] = 0;
	head[35] = 1;
	alone(head, sizeof(head), "is encrypted");
	g_assert_cmpint(qcow2_check_alone("/nonexistent/x", &e), ==, -ENOENT);
}

/* --- the steps for such files -------------------------------------------------------------------------------- */

static int run(const struct step_ops *op, bool undo, const char *a, const char *b, const char *c)
{
	_cleanup_(plan_freep) struct plan *p = plan_new();
	struct step_run r;
	struct err e = { 0 };
	int code;

	plan_add(p, AT_HOST, op, a, b, c);
	step_run_init(&r, p);
	code = undo ? plan_undo(&r, UNDO_FAILED, &e) : plan_run(&r, &e);
	step_run_done(&r);
	return code;
}

static void test_copy(void)
{
	g_autofree char *dir = g_dir_make_tmp("lodge-copy-XXXXXX", NULL);
	g_autofree char *from = g_build_filename(dir, "from", NULL),
			*to = g_build_filename(dir, "to", NULL);
	g_autofree char *text = NULL;

	g_assert_true(g_file_set_contents(from, "new", 3, NULL) &&
		      g_file_set_contents(to, "older", 5, NULL));
	g_assert_cmpint(run(&step_copy, false, to, from, "640"), ==, 0);
	g_assert_true(g_file_get_contents(to, &text, NULL, NULL));
	g_assert_cmpstr(text, ==, "new");
	g_assert_cmpint(run(&step_copy, true, to, from, "640"), ==, 0);
	g_assert_cmpint(access(to, F_OK), <, 0);
	g_assert_cmpint(run(&step_copy, true, to, from, "640"), ==, 0); /* never ran */
	(void)unlink(from);
	g_assert_cmpint(run(&step_copy, false, to, from, "640"), ==, -ENOENT);
	g_assert_cmpint(access(to, F_OK), <, 0);
	(void)rmdir(dir);
}

/* What is at a path and no socket of ours stays. */
static void test_vnc(void)
{
	g_autofree char *dir = g_dir_make_tmp("lodge-vnc-XXXXXX", NULL);
	g_autofree char *path = g_build_filename(dir, "vnc", NULL), *text = NULL;
	_cleanup_(plan_freep) struct plan *p = plan_new();
	struct err e = { 0 };
	struct step_run r;

	g_assert_true(g_file_set_contents(path, "mine", 4, NULL));
	plan_add(p, AT_HOST, &step_vnc_listen, path);
	step_run_init(&r, p);
	g_assert_cmpint(plan_run(&r, &e), ==, -E_INUSE);
	g_assert_cmpint(plan_undo(&r, UNDO_ENDED, &e), ==, 0);
	g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
	(void)unlink(path);
	g_assert_cmpint(plan_run(&r, &e), ==, 0);
	g_assert_cmpint(r.kept_fd[KEPT_VNC], >=, 0);
	g_assert_cmpint(plan_undo(&r, UNDO_ENDED, &e), ==, 0);
	g_assert_cmpint(access(path, F_OK), <, 0);
	step_run_done(&r);
	(void)rmdir(dir);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/qcow2/parse", test_parse);
	g_test_add_func("/qcow2/alone", test_alone);
	g_test_add_func("/qcow2/copy", test_copy);
	g_test_add_func("/qcow2/vnc", test_vnc);
	return g_test_run();
}
