/* SPDX-License-Identifier: MIT */
#include <glib.h>
#include <string.h>

#include "wire/machine.h"

static void feed(struct machine_reader *r, const uint8_t *p, size_t n)
{
	while (n > 0) {
		size_t room;
		uint8_t *to = machine_room(r, &room);

		g_assert_cmpuint(room, >, 0);
		room = MIN(room, n);
		memcpy(to, p, room);
		machine_filled(r, room);
		p += room;
		n -= room;
	}
}

static void test_frames(void)
{
	g_autofree struct machine_reader *r = g_new0(struct machine_reader, 1);
	uint8_t bytes[2 * MACHINE_HEADER + 4];
	struct machine_frame f;
	uint32_t v = 0;

	machine_header(bytes, MACHINE_EXIT, MACHINE_OOM, 7, 4);
	machine_put_u32(bytes + MACHINE_HEADER, 0x89abcdef);
	machine_header(bytes + MACHINE_HEADER + 4, MACHINE_INPUT, 0, 1, 0);
	for (size_t i = 0; i < sizeof(bytes); i++) {
		feed(r, bytes + i, 1);
		if (i < MACHINE_HEADER + 3)
			g_assert_cmpint(machine_next(r, &f), ==, 0);
		else if (i == MACHINE_HEADER + 3) {
			g_assert_cmpint(machine_next(r, &f), ==, 1);
			g_assert_cmpint(f.type, ==, MACHINE_EXIT);
			g_assert_cmpint(f.flags, ==, MACHINE_OOM);
			g_assert_cmpuint(f.session, ==, 7);
			g_assert_true(machine_u32(&f, 0, &v));
			g_assert_cmphex(v, ==, 0x89abcdef);
			g_assert_false(machine_u32(&f, 1, &v));
			g_assert_false(machine_u32(&f, SIZE_MAX, &v));
		}
	}
	g_assert_cmpint(machine_next(r, &f), ==, 1);
	g_assert_cmpint(f.type, ==, MACHINE_INPUT);
	g_assert_cmpuint(f.size, ==, 0);
	g_assert_cmpint(machine_next(r, &f), ==, 0);
}

static void test_largest(void)
{
	g_autofree struct machine_reader *r = g_new0(struct machine_reader, 1);
	g_autofree uint8_t *bytes = g_malloc(MACHINE_HEADER + MACHINE_DATA_MAX);
	struct machine_frame f;

	memset(bytes, 0xa5, MACHINE_HEADER + MACHINE_DATA_MAX);
	machine_header(bytes, MACHINE_OUTPUT, 1, 0, MACHINE_DATA_MAX);
	for (int i = 0; i < 3; i++) {
		feed(r, bytes, MACHINE_HEADER + MACHINE_DATA_MAX);
		g_assert_cmpint(machine_next(r, &f), ==, 1);
		g_assert_cmpuint(f.size, ==, MACHINE_DATA_MAX);
		g_assert_cmphex(f.data[f.size - 1], ==, 0xa5);
	}
}

static void test_bad(void)
{
	static const uint8_t bad[][MACHINE_HEADER] = {
		{ 0x01, 0x80, MACHINE_OUTPUT }, /* longer than allowed */
		{ 0, 0, 0 },
		{ 0, 0, 31 },
		{ 0, 0, 200 },
	};

	for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
		g_autofree struct machine_reader *r = g_new0(struct machine_reader, 1);
		struct machine_frame f;

		feed(r, bad[i], MACHINE_HEADER);
		g_assert_cmpint(machine_next(r, &f), ==, -EBADMSG);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/machine/frames", test_frames);
	g_test_add_func("/machine/largest", test_largest);
	g_test_add_func("/machine/bad", test_bad);
	return g_test_run();
}
