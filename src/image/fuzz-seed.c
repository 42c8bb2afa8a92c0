/* SPDX-License-Identifier: MIT */
/* The user's texts, and the files made of them. */
#include "image/seed.h"

#include <string.h>
#include "base/macros.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seed_text t = { "F", (const char *)data, size };
	struct seed s = { .instance_id = "i", .user = "u", .report = true };
	g_auto(GStrv) keys = NULL;

	for (int what = 0; what < _SEED_WHAT_MAX; what++) {
		g_autoptr(GPtrArray) warnings = g_ptr_array_new_with_free_func(g_free);
		struct err e = { 0 };

		if (seed_check_text((enum seed_what)what, &t, warnings, &e) < 0)
			g_assert(g_str_has_prefix(e.text, "user-data 'F' line ") ||
				 g_str_has_prefix(e.text, "vendor-data 'F' line ") ||
				 g_str_has_prefix(e.text, "network-config 'F' line ") ||
				 strstr(e.text, "'F' larger"));
	}
	if (seed_keys_parse(&t, &keys, NULL) >= 0)
		g_assert(g_strv_length(keys) > 0);
	s.vendor_data = t;
	s.ssh_keys = (const char *const *)keys;
	for (int form = 0; form < _SEED_FORM_MAX; form++) {
		g_autoptr(GPtrArray) files = NULL;

		s.form = (enum seed_form)form;
		if (seed_files(&s, &files, NULL) >= 0)
			g_assert(files->len >= 2);
	}
	return 0;
}
