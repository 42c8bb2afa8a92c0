/* SPDX-License-Identifier: MIT */
#ifndef LODGE_DOCKER_DOWNLOAD_H
#define LODGE_DOCKER_DOWNLOAD_H

/* A file from the web, for POST /images/create?fromSrc=URL. Apart from the server's own requests, whose names it shares. */

#include <stddef.h>
#include "base/err.h"

int download(const char *url, int (*sink)(void *arg, const void *data, size_t size, struct err *e),
	void *arg, struct err *e);

#endif
