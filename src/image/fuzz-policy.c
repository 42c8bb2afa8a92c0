/* SPDX-License-Identifier: MIT */
#include "image/policy-priv.h"

#include <assert.h>
#include <glib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct policy_image images[] = {
		{ .transport = "docker",
			.scope = "docker.io/library/x:1",
			.reference = "docker.io/library/x:1" },
		{ .transport = "dir", .scope = "/a/b" },
		{ .transport = "oci", .scope = "" },
	};
	_cleanup_(policy_freep) struct policy *p = NULL;
	static const enum policy_payload_kind kinds[] = { POLICY_SIMPLE, POLICY_SIGSTORE };
	struct err e = { 0 };

	for (unsigned i = 0; i < G_N_ELEMENTS(kinds); i++) {
		g_autofree char *digest = NULL, *reference = NULL;

		if (policy_payload((const char *)data, size, kinds[i], &digest, &reference, &e) >=
			0)
			(void)policy_identity_fits(NULL, "docker.io/library/x:1", reference);
		else
			assert(*e.text);
	}
	if (policy_parse((const char *)data, size, &p, &e) < 0) {
		assert(*e.text);
		return 0;
	}
	/* without signatures nothing that wants one is let through, and no program is started */
	for (unsigned i = 0; i < G_N_ELEMENTS(images); i++)
		(void)policy_check(p, &images[i], &e);
	return 0;
}
