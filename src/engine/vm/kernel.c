/* placeholder for local tests; replaced by the real one */
#include "engine/vm/kernel.h"
#include <string.h>
int vm_kernel_get(struct ctx *c, uint32_t flags, struct vm_kernel **ret, struct err *e)
{
	struct vm_kernel *k = g_new0(struct vm_kernel, 1);
	k->release = g_strdup("6.1.0-56-cloud-amd64");
	k->dir = g_strdup("/work/wt/proto/k");
	k->vmlinux = g_strdup("/work/wt/proto/k/vmlinux");
	k->initrd = g_strdup("/work/wt/proto/k/initrd");
	*ret = k;
	return 0;
}
void vm_kernel_free(struct vm_kernel *k)
{
	(void)k;
}
void vm_kernel_freep(struct vm_kernel **k)
{
	(void)k;
}
int vm_kernel_modules(
	const struct vm_kernel *k, const char *const *features, char ***ret, struct err *e)
{
	GPtrArray *a = g_ptr_array_new();
	for (; *features; features++) {
		if (!strcmp(*features, "net")) {
			g_ptr_array_add(a, g_strdup("failover"));
			g_ptr_array_add(a, g_strdup("net_failover"));
			g_ptr_array_add(a, g_strdup("virtio_net"));
		}
		if (!strcmp(*features, "fs")) {
			g_ptr_array_add(a, g_strdup("fuse"));
			g_ptr_array_add(a, g_strdup("virtiofs"));
		}
		if (!strcmp(*features, "scsi")) {
			g_ptr_array_add(a, g_strdup("scsi_common"));
			g_ptr_array_add(a, g_strdup("scsi_mod"));
			g_ptr_array_add(a, g_strdup("virtio_scsi"));
			g_ptr_array_add(a, g_strdup("sd_mod"));
		}
	}
	g_ptr_array_add(a, NULL);
	*ret = (char **)g_ptr_array_free(a, FALSE);
	return 0;
}
