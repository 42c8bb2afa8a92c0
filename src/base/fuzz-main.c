/* SPDX-License-Identifier: MIT */

/*
 * Runs the corpus of a fuzz target as a test: every file named, and every file in every folder named,
 * goes through LLVMFuzzerTestOneInput(). Built by any compiler; clang's libFuzzer has its own main().
 */

#include <glib.h>
#include <stdio.h>
#include <string.h>
#include "base/macros.h"

#define INPUT_MAX (1 << 20) /* bytes; no parser needs more to go wrong */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int run_file(const char *path)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *data = NULL;
	g_autofree uint8_t *exact = NULL;
	gsize n;

	if (!g_file_get_contents(path, &data, &n, &error)) {
		(void)fprintf(stderr, "cannot read '%s': %s\n", path, error->message);
		return -1;
	}
	if (n > INPUT_MAX)
		return 0;
	/* GLib ends its buffer with a zero byte, which would hide a read beyond the input's end */
	exact = g_malloc(n ? n : 1);
	memcpy(exact, data, n);
	(void)LLVMFuzzerTestOneInput(exact, n);
	return 1;
}

static int run_folder(const char *path)
{
	g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
	const char *name;
	int done = 0, r;

	if (!dir) {
		(void)fprintf(stderr, "cannot read folder '%s'\n", path);
		return -1;
	}
	while ((name = g_dir_read_name(dir)) != NULL) {
		g_autofree char *file = g_build_filename(path, name, NULL);

		r = g_file_test(file, G_FILE_TEST_IS_DIR) ? run_folder(file) : run_file(file);
		if (r < 0)
			return r;
		done += r;
	}
	return done;
}

int main(int argc, char **argv)
{
	int done = 0, r;

	for (int i = 1; i < argc; i++) {
		r = g_file_test(argv[i], G_FILE_TEST_IS_DIR) ? run_folder(argv[i])
							     : run_file(argv[i]);
		if (r < 0)
			return 1;
		done += r;
	}
	if (!done) {
		(void)fprintf(stderr, "no inputs\n");
		return 1;
	}
	printf("%d inputs\n", done);
	return 0;
}
