/* SPDX-License-Identifier: MIT */
#ifndef LODGE_MIRROR_H
#define LODGE_MIRROR_H

/* Images that are made here: from a distribution's mirror, and from the host's busybox. */

#include "image/image.h"

struct image_mirror_options {
	const char *mirror;  /* URL; NULL: that of the host's apt, else the distribution's own */
	const char *variant; /* mmdebstrap's; NULL: "minbase" */
	char **include;	     /* further packages; NULL: none */
	char **components;   /* NULL: "main" (Ubuntu: and "universe") */
	const char *
		name; /* the image's name; NULL: the reference itself and its suite's (debian:12, debian:bookworm) */
	const char *arch; /* Debian's name; NULL: this host's */
	int64_t disk;	  /* bytes: make a bootable disk of this size instead of a layer; 0: no */
	const struct image_progress *progress; /* NULL: none */
};

/*
 * Makes an image of Debian or Ubuntu. ref: "debian:12", "debian:bookworm", "debian:sid", "debian" (the stable
 * release), "ubuntu:22.04" ... mmdebstrap (else debootstrap, as root) fetches and unpacks the packages,
 * their signatures checked; what it writes goes straight into a layer. It has what the distribution's official
 * image has: no lists, no package cache, apt's docker-clean configuration, policy-rc.d, Cmd "bash".
 * SIGINT and SIGTERM end it cleanly: -ECANCELED, nothing left. *ret_id: caller frees.
 *
 * A disk has a kernel, systemd, cloud-init, an SSH server and QEMU's agent, and GRUB for BIOS and UEFI; its console is
 * the screen and the first serial port. It is named debian:12-disk. Debian 12 and later, amd64, root only.
 *
 * -E_UNSUPPORTED with a mend when the tool or the keyring isn't there; -E_NOTFOUND for an unknown suite.
 */
int image_build_from_mirror(struct ctx *c, const char *ref, const struct image_mirror_options *o,
	char **ret_id, struct err *e);

/* Whether image_build_from_mirror knows the distribution and suite of this reference: for hints. */
bool image_mirror_knows(const char *ref);

/* The sources of such a reference's suite (deb822, sources.list(5)), from where this host's apt gets them and with
 * the distribution's own keyring. Caller frees. -E_NOTFOUND, -E_UNSUPPORTED as above. */
int image_mirror_sources(const char *ref, char **ret, struct err *e);

/*
 * Makes an image with busybox and links for all its applets. path: the program, NULL: /bin/busybox. It must be
 * static (-E_UNSUPPORTED with a mend). name NULL: "busybox". The same program makes the same image.
 */
int image_build_busybox(
	struct ctx *c, const char *path, const char *name, char **ret_id, struct err *e);

#endif
