/* SPDX-License-Identifier: MIT */
/* /proc/self/mountinfo, device rules and limits: the first line says which limit the rest is for. */
#include "host/cgroup.h"

#include <linux/bpf.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct bpf_insn insns[CGROUP_DEVICE_INSNS(1)];
	struct cgroup_device_rule rule;
	struct cgroup_host h;
	char *s, *line, shown[512];
	struct text t = TEXT_ON(shown);

	if (size > 65536)
		return 0;
	s = malloc(size + 1);
	if (!s)
		abort();
	memcpy(s, data, size);
	s[size] = '\0';
	cgroup_host_parse(s, s, &h);
	if (cgroup_device_parse(s, &rule, NULL) >= 0)
		(void)cgroup_device_program(&rule, 1, insns);
	line = strchr(s, '\n');
	if (line) {
		*line++ = '\0';
		(void)cgroup_check(&h, s, line, NULL);
		cgroup_show_set(&h, "lodge/x", s, line, &t);
	}
	(void)cgroup_path_ok(s);
	free(s);
	return 0;
}
