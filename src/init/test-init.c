/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <glib.h>

#include "init/order.h"
#include "init/words.h"

static void test_order(void)
{
	const char *text = "virtio.ko\nvirtio_pci.ko pci\n\n../x.ko\nvirtio_mmio.ko mmio\n"
			   "odd.ko what\nlast.ko";
	struct order_line l;

	g_assert_true(order_next(&text, &l));
	g_assert_cmpstr(l.file, ==, "virtio.ko");
	g_assert_cmpint(l.on, ==, ORDER_ALWAYS);
	g_assert_true(order_next(&text, &l));
	g_assert_cmpstr(l.file, ==, "virtio_pci.ko");
	g_assert_cmpint(l.on, ==, ORDER_PCI);
	g_assert_true(order_next(&text, &l));
	g_assert_cmpstr(l.file, ==, "virtio_mmio.ko");
	g_assert_cmpint(l.on, ==, ORDER_MMIO);
	g_assert_true(order_next(&text, &l));
	g_assert_cmpstr(l.file, ==, "last.ko");
	g_assert_false(order_next(&text, &l));
}

static void test_words(void)
{
	static const char many[] = "1\0002\0003\0004\0005\0006\0007\0008\0009";
	const char *w[WORDS_MAX];

	g_assert_cmpint(words_split("pack\0/a b\0", 10, w), ==, 2);
	g_assert_cmpstr(w[0], ==, "pack");
	g_assert_cmpstr(w[1], ==, "/a b");
	g_assert_cmpint(words_split("", 0, w), ==, 0);
	g_assert_cmpint(words_split("pack", 4, w), ==, -EINVAL);
	g_assert_cmpint(words_split(many, sizeof(many), w), ==, -EINVAL);
	g_assert_true(words_has("a,follow", "follow"));
	g_assert_false(words_has("followed,fol", "follow"));
	g_assert_false(words_has("", "follow"));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/init/order", test_order);
	g_test_add_func("/init/words", test_words);
	return g_test_run();
}
