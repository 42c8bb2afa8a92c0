/* SPDX-License-Identifier: MIT */
#ifndef LODGE_SPEC_PRIV_H
#define LODGE_SPEC_PRIV_H

#include "codec/json.h"

/* The table of struct spec: spec_to_json and its inverse, and the test that fills every field. */
extern const struct json_struct spec_struct;

#endif
