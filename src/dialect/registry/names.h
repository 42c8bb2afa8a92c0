/* SPDX-License-Identifier: MIT */
#ifndef LODGE_REGISTRY_NAMES_H
#define LODGE_REGISTRY_NAMES_H

/*
 * The words of a registry's paths (distribution-spec, "Pulling manifests"). Each is safe as a part of a path once
 * it passed: there is no "..", no name that begins with '_' or '.', no '/' where it doesn't belong. Pure.
 */

#include <stdbool.h>

#define REGISTRY_NAME_MAX 255

bool registry_is_name(const char *s);	/* of a repository: "library/debian" */
bool registry_is_tag(const char *s);	/* may begin with '_' */
bool registry_is_digest(const char *s); /* "sha256:" and 64 digits: the only algorithm */
bool registry_is_upload(const char *s); /* an id that registry_new_upload() made */

#define REGISTRY_UPLOAD_SIZE 37
/* -EAGAIN and the like when there are no random bytes. */
int registry_new_upload(char ret[REGISTRY_UPLOAD_SIZE]);

#endif
