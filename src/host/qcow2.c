/* SPDX-License-Identifier: MIT */
#include "host/qcow2.h"

#include <fcntl.h>

#define MAGIC		  0x514649fbu /* "QFI\xfb" */
#define INCOMPAT_EXTERNAL (UINT64_C(1) << 2)
#define SIZE_V2		  72

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint64_t be64(const uint8_t *p)
{
	return (uint64_t)be32(p) << 32 | be32(p + 4);
}

int qcow2_parse(const uint8_t *p, size_t n, struct qcow2_header *ret)
{
	struct qcow2_header h = { 0 };

	if (n < SIZE_V2 || be32(p) != MAGIC)
		return -EBADMSG;
	h.version = be32(p + 4);
	if (h.version < 2 || h.version > 3 || (h.version == 3 && n < QCOW2_HEADER_SIZE))
		return -EBADMSG;
	h.backing = be64(p + 8);
	h.size = be64(p + 24);
	h.encrypted = be32(p + 32) != 0;
	h.snapshots = be32(p + 60);
	h.external = h.version == 3 && (be64(p + 72) & INCOMPAT_EXTERNAL);
	*ret = h;
	return 0;
}

int qcow2_check_alone(const char *path, struct err *e)
{
	uint8_t head[QCOW2_HEADER_SIZE];
	struct qcow2_header h;
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return err_sys(e, -errno, "cannot open '%s'", path);
	n = pread(fd, head, sizeof(head), 0);
	if (n < 0)
		return err_sys(e, -errno, "cannot read '%s'", path);
	if (qcow2_parse(head, (size_t)n, &h) < 0)
		return err_set(e, -E_UNSUPPORTED, "'%s' is not a qcow2 file", path);
	if (h.external)
		return err_set(e, -E_UNSUPPORTED, "the data of '%s' is in another file", path);
	if (h.encrypted)
		return err_set(e, -E_UNSUPPORTED, "'%s' is encrypted", path);
	return 0;
}
