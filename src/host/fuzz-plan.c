/* SPDX-License-Identifier: MIT */
/* A stored plan comes from a disk that a crash may have torn: it decodes to itself, or not at all. */
#include <assert.h>
#include <string.h>

#include "host/steps.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const step_table *const tables[] = { &host_steps, NULL };
	_cleanup_(plan_freep) struct plan *p = NULL, *q = NULL;
	_cleanup_free_ char *again = NULL, *third = NULL;
	size_t n, m;

	if (plan_decode((const char *)data, size, tables, &p) < 0)
		return 0;
	assert(plan_encode(p, &again, &n) == 0);
	assert(plan_decode(again, n, tables, &q) == 0);
	assert(plan_encode(q, &third, &m) == 0);
	assert(n == m && memcmp(again, third, n) == 0);
	for (unsigned i = 0; i < plan_len(p); i++) {
		char line[256];
		struct text t = TEXT_ON(line);

		plan_step(p, i)->op->show(plan_step(p, i), &t);
		assert(t.n < sizeof(line));
	}
	return 0;
}
