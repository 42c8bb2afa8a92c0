/* SPDX-License-Identifier: MIT */
#include "codec/kernelfile.h"

#include <elf.h>
#include <stdio.h>
#include <string.h>

#include "base/macros.h"
#include "codec/unpack.h"

/* --- bzImage: "The Real-Mode Kernel Header" --- */

#define SETUP_SECTS    0x1f1
#define BOOT_FLAG      0x1fe
#define HEADER	       0x202
#define VERSION	       0x206
#define KERNEL_VERSION 0x20e
#define PAYLOAD_OFFSET 0x248
#define PAYLOAD_LENGTH 0x24c
#define HEADER_END     0x250
#define PROTOCOL_MIN   0x208
#define SECTOR	       512

static uint32_t le32(const uint8_t *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static unsigned le16(const uint8_t *p)
{
	return p[0] | (unsigned)p[1] << 8;
}

/* The first word of the version's text: it becomes a part of paths. */
static int take_release(const uint8_t *p, size_t size, struct bzimage *ret)
{
	size_t at = (size_t)le16(p + KERNEL_VERSION) + SECTOR, n = 0;

	while (at + n < size && n < sizeof(ret->release) - 1 && p[at + n] > ' ' &&
		p[at + n] < 0x7f && p[at + n] != '/')
		n++;
	if (at == SECTOR || at + n >= size || n == 0 || (p[at + n] != ' ' && p[at + n] != 0) ||
		p[at] == '.')
		return -EINVAL;
	memcpy(ret->release, p + at, n);
	ret->release[n] = '\0';
	return 0;
}

int bzimage_parse(const void *data, size_t size, struct bzimage *ret)
{
	const uint8_t *p = data;
	struct bzimage b = { 0 };
	size_t setup, offset, length;

	if (size < HEADER_END || le16(p + BOOT_FLAG) != 0xaa55 ||
		memcmp(p + HEADER, "HdrS", 4) != 0 || le16(p + VERSION) < PROTOCOL_MIN)
		return -EINVAL;
	setup = ((p[SETUP_SECTS] ? p[SETUP_SECTS] : 4) + (size_t)1) * SECTOR;
	offset = le32(p + PAYLOAD_OFFSET);
	length = le32(p + PAYLOAD_LENGTH);
	if (setup > size || offset > size - setup || length > size - setup - offset || length < 8)
		return -EINVAL;
	b.payload = p + setup + offset;
	b.payload_size = length;
	/* all but gzip, which has that itself, get the unpacked size added by the kernel's build */
	if (unpack_kind_of(b.payload, length) != UNPACK_GZIP)
		b.payload_size -= 4;
	if (take_release(p, size, &b) < 0)
		return -EINVAL;
	*ret = b;
	return 0;
}

/* --- ELF --- */

#define XEN_ELFNOTE_PHYS32_ENTRY 18

static bool elf64(const uint8_t *p, size_t size, Elf64_Ehdr *ret)
{
	if (size < sizeof(*ret))
		return false;
	memcpy(ret, p, sizeof(*ret));
	return memcmp(ret->e_ident, ELFMAG, SELFMAG) == 0 && ret->e_ident[EI_CLASS] == ELFCLASS64 &&
	       ret->e_ident[EI_DATA] == ELFDATA2LSB;
}

/* Whether n records of `each` bytes, of which we read `need`, lie inside from `at` on. */
static bool fits(size_t size, uint64_t at, uint64_t n, uint64_t each, size_t need)
{
	return each >= need && at <= size && (n == 0 || (size - at) / each >= n);
}

static bool has_note(const uint8_t *p, size_t size)
{
	while (size >= sizeof(Elf64_Nhdr)) {
		Elf64_Nhdr n;
		size_t name, desc;

		memcpy(&n, p, sizeof(n));
		name = ((size_t)n.n_namesz + 3) & ~(size_t)3;
		desc = ((size_t)n.n_descsz + 3) & ~(size_t)3;
		p += sizeof(n);
		size -= sizeof(n);
		if (name > size || desc > size - name)
			return false;
		if (n.n_type == XEN_ELFNOTE_PHYS32_ENTRY && n.n_namesz == 4 &&
			memcmp(p, "Xen", 4) == 0)
			return true;
		p += name + desc;
		size -= name + desc;
	}
	return false;
}

bool vmlinux_has_pvh(const void *data, size_t size)
{
	const uint8_t *p = data;
	Elf64_Ehdr h;

	if (!elf64(p, size, &h) ||
		!fits(size, h.e_phoff, h.e_phnum, h.e_phentsize, sizeof(Elf64_Phdr)))
		return false;
	for (unsigned i = 0; i < h.e_phnum; i++) {
		Elf64_Phdr ph;

		memcpy(&ph, p + h.e_phoff + (size_t)i * h.e_phentsize, sizeof(ph));
		if (ph.p_type == PT_NOTE && ph.p_offset <= size &&
			ph.p_filesz <= size - ph.p_offset && has_note(p + ph.p_offset, ph.p_filesz))
			return true;
	}
	return false;
}

static bool section(const uint8_t *p, const Elf64_Ehdr *h, unsigned i, size_t size, Elf64_Shdr *ret)
{
	memcpy(ret, p + h->e_shoff + (size_t)i * h->e_shentsize, sizeof(*ret));
	return ret->sh_type != SHT_NOBITS && ret->sh_offset <= size &&
	       ret->sh_size <= size - ret->sh_offset;
}

/* The section of a name, inside of data. */
static bool find_section(const uint8_t *p, size_t size, const char *name, Elf64_Shdr *ret)
{
	size_t n = strlen(name) + 1;
	Elf64_Shdr names;
	Elf64_Ehdr h;

	if (!elf64(p, size, &h) ||
		!fits(size, h.e_shoff, h.e_shnum, h.e_shentsize, sizeof(Elf64_Shdr)) ||
		h.e_shstrndx >= h.e_shnum || !section(p, &h, h.e_shstrndx, size, &names))
		return false;
	for (unsigned i = 0; i < h.e_shnum; i++)
		if (section(p, &h, i, size, ret) && ret->sh_name < names.sh_size &&
			names.sh_size - ret->sh_name >= n &&
			memcmp(p + names.sh_offset + ret->sh_name, name, n) == 0)
			return true;
	return false;
}

bool kmod_info(const void *data, size_t size, const char *key, unsigned n, const char **ret,
	size_t *ret_size)
{
	size_t k = strlen(key), left;
	const char *p;
	Elf64_Shdr s;

	if (!find_section(data, size, ".modinfo", &s))
		return false;
	p = (const char *)data + s.sh_offset;
	left = s.sh_size;
	while (left > 0) { /* "KEY=VALUE" each, with NULs after it */
		size_t length = strnlen(p, left);

		if (length > k && p[k] == '=' && memcmp(p, key, k) == 0 && n-- == 0) {
			*ret = p + k + 1;
			*ret_size = length - k - 1;
			return true;
		}
		length += length < left;
		p += length;
		left -= length;
	}
	return false;
}

/* linux/scripts/sign-file: the module, signature, struct module_signature, this text. */
size_t kmod_unsigned_size(const void *data, size_t size)
{
	static const char mark[] = "~Module signature appended~\n";
	const size_t n = sizeof(mark) - 1, info = 12;
	const uint8_t *p = data;
	size_t length;

	if (size < n + info || memcmp(p + size - n, mark, n) != 0)
		return size;
	p += size - n - 4; /* sig_len is its last field, big-endian */
	length = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
	return length <= size - n - info ? size - n - info - length : size;
}

/* --- configuration --- */

char kconfig_get(const char *text, const char *name)
{
	char line[128];
	int n = snprintf(line, sizeof(line), "CONFIG_%s=", name);

	for (const char *p = text; n > 0 && n < (int)sizeof(line) && (p = strstr(p, line)); p += n)
		if ((p == text || p[-1] == '\n') && (p[n] == 'y' || p[n] == 'm'))
			return p[n];
	return 'n';
}
