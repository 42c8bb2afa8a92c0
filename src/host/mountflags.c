/* SPDX-License-Identifier: MIT */
#include "host/mountflags.h"

#include <errno.h>
#include <linux/mount.h>
#include <string.h>
#include <sys/mount.h>

#include "base/macros.h"

#define NOSYMFOLLOW 256 /* MS_NOSYMFOLLOW, Linux 5.10 */

enum {
	SET,
	CLEAR,
	BIND,
	PROPAGATE
};

static const struct {
	const char *word;
	int what;
	unsigned long flag;
	uint64_t attr;
	int recursive;
} words_known[] = {
	{ "ro", SET, MS_RDONLY, MOUNT_ATTR_RDONLY, 0 },
	{ "rw", CLEAR, MS_RDONLY, MOUNT_ATTR_RDONLY, 0 },
	{ "nosuid", SET, MS_NOSUID, MOUNT_ATTR_NOSUID, 0 },
	{ "suid", CLEAR, MS_NOSUID, MOUNT_ATTR_NOSUID, 0 },
	{ "nodev", SET, MS_NODEV, MOUNT_ATTR_NODEV, 0 },
	{ "dev", CLEAR, MS_NODEV, MOUNT_ATTR_NODEV, 0 },
	{ "noexec", SET, MS_NOEXEC, MOUNT_ATTR_NOEXEC, 0 },
	{ "exec", CLEAR, MS_NOEXEC, MOUNT_ATTR_NOEXEC, 0 },
	{ "noatime", SET, MS_NOATIME, MOUNT_ATTR_NOATIME, 0 },
	{ "relatime", SET, MS_RELATIME, MOUNT_ATTR_RELATIME, 0 },
	{ "strictatime", SET, MS_STRICTATIME, MOUNT_ATTR_STRICTATIME, 0 },
	{ "nodiratime", SET, MS_NODIRATIME, MOUNT_ATTR_NODIRATIME, 0 },
	{ "atime", CLEAR, MS_NOATIME, MOUNT_ATTR_NOATIME, 0 },
	{ "diratime", CLEAR, MS_NODIRATIME, MOUNT_ATTR_NODIRATIME, 0 },
	{ "norelatime", CLEAR, MS_RELATIME, 0, 0 },
	{ "nostrictatime", CLEAR, MS_STRICTATIME, 0, 0 },
	{ "symfollow", CLEAR, NOSYMFOLLOW, MOUNT_ATTR_NOSYMFOLLOW, 0 },
	{ "nosymfollow", SET, NOSYMFOLLOW, MOUNT_ATTR_NOSYMFOLLOW, 0 },
	{ "dirsync", SET, MS_DIRSYNC, 0, 0 },
	{ "mand", SET, MS_MANDLOCK, 0, 0 },
	{ "nomand", CLEAR, MS_MANDLOCK, 0, 0 },
	{ "iversion", SET, MS_I_VERSION, 0, 0 },
	{ "noiversion", CLEAR, MS_I_VERSION, 0, 0 },
	{ "lazytime", SET, MS_LAZYTIME, 0, 0 },
	{ "nolazytime", CLEAR, MS_LAZYTIME, 0, 0 },
	{ "silent", SET, MS_SILENT, 0, 0 },
	{ "loud", CLEAR, MS_SILENT, 0, 0 },
	{ "acl", SET, MS_POSIXACL, 0, 0 },
	{ "noacl", CLEAR, MS_POSIXACL, 0, 0 },
	{ "remount", SET, MS_REMOUNT, 0, 0 },
	{ "sync", SET, MS_SYNCHRONOUS, 0, 0 },
	{ "async", CLEAR, MS_SYNCHRONOUS, 0, 0 },
	{ "rro", SET, MS_RDONLY, MOUNT_ATTR_RDONLY, 1 },
	{ "rnosuid", SET, MS_NOSUID, MOUNT_ATTR_NOSUID, 1 },
	{ "rnodev", SET, MS_NODEV, MOUNT_ATTR_NODEV, 1 },
	{ "rnoexec", SET, MS_NOEXEC, MOUNT_ATTR_NOEXEC, 1 },
	{ "rrw", CLEAR, MS_RDONLY, MOUNT_ATTR_RDONLY, 1 },
	{ "rsuid", CLEAR, MS_NOSUID, MOUNT_ATTR_NOSUID, 1 },
	{ "rdev", CLEAR, MS_NODEV, MOUNT_ATTR_NODEV, 1 },
	{ "rexec", CLEAR, MS_NOEXEC, MOUNT_ATTR_NOEXEC, 1 },
	{ "rnoatime", SET, MS_NOATIME, MOUNT_ATTR_NOATIME, 1 },
	{ "ratime", CLEAR, MS_NOATIME, MOUNT_ATTR_NOATIME, 1 },
	{ "rrelatime", SET, MS_RELATIME, MOUNT_ATTR_RELATIME, 1 },
	{ "rnorelatime", CLEAR, MS_RELATIME, 0, 1 },
	{ "rstrictatime", SET, MS_STRICTATIME, MOUNT_ATTR_STRICTATIME, 1 },
	{ "rnostrictatime", CLEAR, MS_STRICTATIME, 0, 1 },
	{ "rnodiratime", SET, MS_NODIRATIME, MOUNT_ATTR_NODIRATIME, 1 },
	{ "rdiratime", CLEAR, MS_NODIRATIME, MOUNT_ATTR_NODIRATIME, 1 },
	{ "rsymfollow", CLEAR, NOSYMFOLLOW, MOUNT_ATTR_NOSYMFOLLOW, 1 },
	{ "rnosymfollow", SET, NOSYMFOLLOW, MOUNT_ATTR_NOSYMFOLLOW, 1 },
	{ "bind", BIND, 0, 0, 0 },
	{ "rbind", BIND, 0, 0, 1 },
	{ "defaults", SET, 0, 0, 0 },
	{ "private", PROPAGATE, MS_PRIVATE, 0, 0 },
	{ "rprivate", PROPAGATE, MS_PRIVATE | MS_REC, 0, 0 },
	{ "slave", PROPAGATE, MS_SLAVE, 0, 0 },
	{ "rslave", PROPAGATE, MS_SLAVE | MS_REC, 0, 0 },
	{ "shared", PROPAGATE, MS_SHARED, 0, 0 },
	{ "rshared", PROPAGATE, MS_SHARED | MS_REC, 0, 0 },
	{ "unbindable", PROPAGATE, MS_UNBINDABLE, 0, 0 },
	{ "runbindable", PROPAGATE, MS_UNBINDABLE | MS_REC, 0, 0 },
};

static int apply(struct mount_words *w, const char *word, size_t len)
{
	for (size_t i = 0; i < ELEMENTSOF(words_known); i++) {
		if (strlen(words_known[i].word) != len ||
			strncmp(words_known[i].word, word, len) != 0)
			continue;
		switch (words_known[i].what) {
		case SET:
			w->flags |= words_known[i].flag;
			w->attr_set |= words_known[i].attr;
			w->recursive_attr |= words_known[i].recursive;
			break;
		case CLEAR:
			w->flags &= ~words_known[i].flag;
			w->attr_set &= ~words_known[i].attr;
			w->attr_clear |= words_known[i].attr;
			w->recursive_attr |= words_known[i].recursive;
			break;
		case BIND:
			w->flags |= MS_BIND;
			w->recursive |= words_known[i].recursive;
			break;
		default:
			w->propagation = words_known[i].flag;
		}
		return 1;
	}
	return 0;
}

const char *mount_word(unsigned i)
{
	return i < ELEMENTSOF(words_known) ? words_known[i].word : NULL;
}

int mount_words_parse(const char *words, struct mount_words *ret, char *data, size_t size)
{
	size_t used = 0;

	*ret = (struct mount_words){ 0 };
	data[0] = '\0';
	while (*words) {
		size_t len = strcspn(words, ",");

		if (len && !apply(ret, words, len)) {
			if (used + len + 2 > size)
				return -ENAMETOOLONG;
			if (used)
				data[used++] = ',';
			memcpy(data + used, words, len);
			used += len;
			data[used] = '\0';
		}
		words += len + (words[len] == ',');
	}
	if (ret->attr_clear & MOUNT_ATTR_NOATIME && !(ret->attr_set & MOUNT_ATTR__ATIME))
		ret->attr_set |= MOUNT_ATTR_RELATIME; /* the default */
	/* The atime setting is a field, not a bit: it can only be replaced as a whole. */
	if (ret->attr_set & MOUNT_ATTR__ATIME)
		ret->attr_clear |= MOUNT_ATTR__ATIME;
	return 0;
}
