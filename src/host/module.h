/* SPDX-License-Identifier: MIT */
#ifndef LODGE_MODULE_H
#define LODGE_MODULE_H

/* Kernel modules in a machine of ours: no modprobe, no depmod's files. init_module(2). */

#include <stddef.h>

#define MODULE_DIR "/modules" /* in the initramfs of a machine; FILE.ko */

/*
 * The options of a module on a kernel command line: of the words "NAME.OPTION" those of this module, in
 * their order, by blanks. "-" and "_" of a name are the same; quotes keep blanks in a word. Pure.
 * -E2BIG when they don't fit.
 */
int module_options(const char *cmdline, const char *name, char *out, size_t size);

/* Loads MODULE_DIR/FILE ("virtio.ko") with its options of the command line. One that is loaded already is
 * fine. */
int module_load(const char *file, const char *cmdline);

#endif
