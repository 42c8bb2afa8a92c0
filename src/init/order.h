/* SPDX-License-Identifier: MIT */
#ifndef LODGE_INIT_ORDER_H
#define LODGE_INIT_ORDER_H

/*
 * The file /order of the initramfs: the modules to load at the start, a line each, "FILE [CONDITION]". Pure.
 */

#include <stdbool.h>

enum order_on {
	ORDER_ALWAYS,
	ORDER_PCI,  /* "pci": where there is a PCI bus */
	ORDER_MMIO, /* "mmio": where there is none */
};

struct order_line {
	char file[64]; /* "virtio.ko" */
	enum order_on on;
};

/* The next line of *text, which moves behind it; false at the end. What isn't such a line is passed over. */
bool order_next(const char **text, struct order_line *ret);

#endif
