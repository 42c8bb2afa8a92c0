/* SPDX-License-Identifier: MIT */
/* The program's name says what it is; applets.def lists the names. */

#include <string.h>
#include "dialect/docker/docker.h"
#include "dialect/lodge/lodge.h"
#include "dialect/runc/link.h"
#include "dialect/skopeo/skopeo.h"

#define APPLET(name_, main_, explain_, brief_) { name_, brief_, main_, explain_ },
const struct applet applets[] = {
#include "applets.def"
	{ NULL, NULL, NULL, NULL },
};
#undef APPLET

int main(int argc, char **argv)
{
	const char *slash, *name;

	if (argc < 1 || !argv[0])
		return 125;
	slash = strrchr(argv[0], '/');
	name = slash ? slash + 1 : argv[0];
	/* "lodge runc ...": an applet is a command, too */
	for (const struct applet *a = applets + 1; argc > 1 && a->name; a++)
		if (strcmp(applets[0].name, name) == 0 && strcmp(a->name, argv[1]) == 0)
			return a->main(argc - 1, argv + 1);
	for (const struct applet *a = applets; a->name; a++)
		if (strcmp(a->name, name) == 0)
			return a->main(argc, argv);
	/* renamed, or started by a descriptor */
	return applets[0].main(argc, argv);
}
