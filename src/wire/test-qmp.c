/* SPDX-License-Identifier: MIT */
#include <glib.h>
#include <string.h>

#include "wire/qmp.h"

/* What QEMU 7.2 wrote. */
static const char talk[] =
	"{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 22, \"minor\": 2, \"major\": 7}, "
	"\"package\": "
	"\"Debian 1:7.2+dfsg-7+deb12u18+b3\"}, \"capabilities\": [\"oob\"]}}\r\n"
	"{\"return\": {}, \"id\": 4294967295}\r\n"
	"{\"id\": 8, \"error\": {\"class\": \"CommandNotFound\", \"desc\": \"The command nonsense "
	"has "
	"not been found\"}}\r\n"
	"{\"timestamp\": {\"seconds\": 1795528665, \"microseconds\": 117952}, \"event\": "
	"\"SHUTDOWN\", \"data\": {\"guest\": false, \"reason\": \"host-qmp-quit\"}}\r\n"
	"\r\n"
	"{\"return\": [1, -2.5e+3, \"a\\u00e4\\\"]\", null, true, {}], \"id\": 4294967296}\n";

static const struct {
	enum qmp_kind kind;
	bool has_id;
	uint32_t id;
	const char *event;
} said[] = {
	{ QMP_GREETING, false, 0, "" },
	{ QMP_RETURN, true, UINT32_MAX, "" },
	{ QMP_ERROR, true, 8, "" },
	{ QMP_EVENT, false, 0, "SHUTDOWN" },
	{ QMP_RETURN, false, 0, "" },
};

static void put(struct qmp_reader *r, const char *p, size_t n)
{
	while (n > 0) {
		size_t room;
		char *to;

		g_assert_cmpint(qmp_room(r, &to, &room), ==, 0);
		g_assert_cmpuint(room, >, 0);
		room = MIN(room, n);
		memcpy(to, p, room);
		qmp_filled(r, room);
		p += room;
		n -= room;
	}
}

static void test_lines(void)
{
	for (size_t piece = 1; piece <= sizeof(talk); piece += piece < 40 ? 1 : 37) {
		struct qmp_reader r = {};
		struct qmp_line l;
		unsigned n = 0;

		for (size_t at = 0; at < sizeof(talk) - 1; at += piece) {
			put(&r, talk + at, MIN(piece, sizeof(talk) - 1 - at));
			while (qmp_next(&r, &l) == 1) {
				g_assert_cmpuint(n, <, G_N_ELEMENTS(said));
				g_assert_cmpint(l.kind, ==, said[n].kind);
				g_assert_cmpint(l.has_id, ==, said[n].has_id);
				g_assert_cmpuint(l.id, ==, said[n].id);
				g_assert_cmpstr(l.event, ==, said[n].event);
				g_assert_true(l.text[0] == '{' && l.text[l.size - 1] == '}');
				n++;
			}
		}
		g_assert_cmpuint(n, ==, G_N_ELEMENTS(said));
		qmp_reader_done(&r);
	}
}

static void test_long(void)
{
	g_autofree char *text = g_malloc(QMP_LINE_MAX + 2);
	struct qmp_reader r = {};
	struct qmp_line l;
	size_t room;
	char *to;
	int code = 0;

	/* the longest that is taken; the buffer is given back after it */
	memset(text, ' ', QMP_LINE_MAX);
	memcpy(text, "{\"return\":0", 11);
	text[QMP_LINE_MAX - 2] = '}';
	text[QMP_LINE_MAX - 1] = '\n';
	put(&r, text, QMP_LINE_MAX);
	g_assert_cmpint(qmp_next(&r, &l), ==, 1);
	g_assert_cmpuint(l.size, ==, QMP_LINE_MAX - 1);
	g_assert_cmpint(qmp_next(&r, &l), ==, 0);
	g_assert_cmpint(qmp_room(&r, &to, &room), ==, 0);
	g_assert_cmpuint(r.size, <=, 4096);

	text[QMP_LINE_MAX - 1] = ' ';
	for (size_t at = 0; code == 0 && at < 2 * QMP_LINE_MAX; at += room) {
		code = qmp_room(&r, &to, &room);
		if (code < 0)
			break;
		memset(to, ' ', room);
		qmp_filled(&r, room);
		g_assert_cmpint(qmp_next(&r, &l), ==, 0);
	}
	g_assert_cmpint(code, ==, -EMSGSIZE);
	qmp_reader_done(&r);
}

static void check_bad(const char *text)
{
	struct qmp_line l;

	if (qmp_classify(text, strlen(text), &l) != -EBADMSG)
		g_error("taken: %s", text);
}

static void test_bad(void)
{
	g_autofree char *deep = g_strnfill(4096, '[');
	g_autofree char *object = g_strdup_printf("{\"return\":%s", deep);

	check_bad("");
	check_bad("[]");
	check_bad("{");
	check_bad("{\"a\":1");
	check_bad("{\"a\":1,}");
	check_bad("{\"a\" 1}");
	check_bad("{\"a\":1}{\"b\":2}");
	check_bad("{\"a\":\"\n\"}");
	check_bad("{\"a\":\"\\x\"}");
	check_bad("{\"a\":\"\\u12g4\"}");
	check_bad("{\"a\":\"\\u12");
	check_bad("{\"a\":tru}");
	check_bad("{\"a\":1.}");
	check_bad("{\"a\":-}");
	check_bad("{\"return\":1,\"error\":2}");
	check_bad("{\"event\":\"lower\"}");
	check_bad("{\"event\":7}");
	check_bad("{\"event\":\"X\\u0041\"}");
	check_bad(object);
}

static void check_command(const char *text, const char *name)
{
	char got[QMP_NAME_MAX] = "untouched";
	int code = qmp_check_command(text, strlen(text), got);

	g_assert_cmpint(code, ==, name ? 0 : -EINVAL);
	g_assert_cmpstr(got, ==, name ?: "untouched");
}

static void test_commands(void)
{
	static const char stop[] = " {\"execute\": \"stop\"} ";
	char out[sizeof(stop) + QMP_ID_ROOM];
	ssize_t n = qmp_put_command(out, sizeof(out), stop, strlen(stop), 41);

	g_assert_cmpint(n, >, 0);
	out[n] = '\0';
	g_assert_cmpstr(out, ==, "{\"id\": 41,\"execute\": \"stop\"} \n");
	g_assert_cmpint(qmp_put_command(out, strlen(stop), stop, strlen(stop), 41), ==, -EMSGSIZE);

	check_command(stop, "stop");
	check_command("{\"execute\":\"x-colo.y_1\",\"arguments\":{}}", "x-colo.y_1");
	check_command("{\"arguments\":{\"a\":[1,{}]},\"execute\":\"cont\"}", "cont");
	check_command("{}", NULL);
	check_command("{\"execute\":\"\"}", NULL);
	check_command("{\"execute\":1}", NULL);
	check_command("{\"execute\":\"a\",\"execute\":\"b\"}", NULL);
	check_command("{\"execute\":\"a\",\"id\":1}", NULL);
	check_command("{\"exec-oob\":\"a\"}", NULL);
	check_command("{\"execute\":\"a\",\"arguments\":[]}", NULL);
	check_command("{\"execute\":\"a\"}{\"execute\":\"b\"}", NULL);
	check_command("{\"execute\":\"a b\"}", NULL);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/qmp/lines", test_lines);
	g_test_add_func("/qmp/long", test_long);
	g_test_add_func("/qmp/bad", test_bad);
	g_test_add_func("/qmp/commands", test_commands);
	return g_test_run();
}
