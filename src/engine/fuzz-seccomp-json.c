/* SPDX-License-Identifier: MIT */
/* Profiles in JSON, and their translation: what comes out must be a program that ends. */
#include "engine/seccomp-json.h"

#include <stdlib.h>
#include <string.h>

#include "host/caps.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seccomp_target t = { SECCOMP_X86_64, caps_default, 6 << 8 | 1 };
	struct seccomp_doc *d = NULL;
	struct err e = { 0 };

	if (size > 65536 || seccomp_from_json((const char *)data, size, &d, &e) < 0)
		return 0;
	for (t.arch = SECCOMP_X86_64; t.arch <= SECCOMP_AARCH64; t.arch <<= 1) {
		struct sock_filter *f = NULL;
		struct seccomp_data call = { .nr = 1, .arch = 0xc000003e };
		size_t n;

		if (seccomp_compile(&d->profile, &t, &f, &n, &e) < 0)
			continue;
		for (call.nr = 0; call.nr < 600; call.nr += 7)
			(void)seccomp_eval(f, n, &call);
		for (size_t i = 0; i < n; i++)
			if (BPF_CLASS(f[i].code) == BPF_JMP && f[i].code != (BPF_JMP | BPF_JA) &&
				(i + 1 + f[i].jt >= n || i + 1 + f[i].jf >= n))
				abort();
		free(f);
	}
	seccomp_doc_free(d);
	return 0;
}
