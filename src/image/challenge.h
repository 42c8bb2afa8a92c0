/* SPDX-License-Identifier: MIT */
#ifndef LODGE_CHALLENGE_H
#define LODGE_CHALLENGE_H

/*
 * WWW-Authenticate: what a server wants to know (RFC 9110, section 11.6.1; the registry's token specification). Pure.
 *
 *	challenges := scheme [ 1*SP ( token68 | [ param ] *( "," [ param ] ) ) ] *( "," ... )
 *	param      := token "=" ( token | quoted-string )
 */

#include <stdbool.h>
#include "base/err.h"

#define CHALLENGE_TEXT_MAX 8192

struct challenge {
	bool basic, bearer;		       /* schemes that were offered */
	char *realm, *service, *scope, *error; /* of Bearer; NULL: not given */
	char *basic_realm;
};

/* Adds the challenges of one header to what is there (zeroed before the first). Of several of one scheme the first
 * counts; unknown schemes are passed over. -E_CORRUPT for what doesn't follow the grammar, -E_LIMIT. */
int challenge_parse(const char *text, struct challenge *ret, struct err *e);
void challenge_clear(struct challenge *c);

#endif
