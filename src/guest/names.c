/* SPDX-License-Identifier: MIT */
/* Names that are made up, and ids. */

#include <string.h>
#include <sys/random.h>
#include "guest/guest-priv.h"

static const char *const moods[] = {
	"able",
	"agile",
	"amber",
	"ample",
	"apt",
	"brave",
	"breezy",
	"bright",
	"brisk",
	"calm",
	"candid",
	"clear",
	"clever",
	"cosy",
	"crisp",
	"daring",
	"deft",
	"eager",
	"early",
	"easy",
	"fair",
	"fond",
	"frank",
	"free",
	"fresh",
	"gentle",
	"glad",
	"golden",
	"grand",
	"happy",
	"hardy",
	"honest",
	"humble",
	"jolly",
	"keen",
	"kind",
	"lively",
	"loyal",
	"lucid",
	"lucky",
	"mellow",
	"merry",
	"mild",
	"modest",
	"neat",
	"nimble",
	"noble",
	"patient",
	"placid",
	"plucky",
	"polite",
	"prompt",
	"proud",
	"quick",
	"quiet",
	"ready",
	"robust",
	"serene",
	"sharp",
	"silent",
	"simple",
	"sober",
	"steady",
	"sunny",
	"swift",
	"tidy",
	"tough",
	"trusty",
	"upbeat",
	"vivid",
	"warm",
	"wise",
	"witty",
	"zesty",
};

static const char *const people[] = {
	"abel",
	"agnesi",
	"ampere",
	"babbage",
	"backus",
	"banach",
	"bell",
	"bohr",
	"boole",
	"borg",
	"born",
	"bose",
	"brahe",
	"cantor",
	"carson",
	"cerf",
	"church",
	"clarke",
	"codd",
	"curie",
	"darwin",
	"dijkstra",
	"dirac",
	"euclid",
	"euler",
	"faraday",
	"fermat",
	"fermi",
	"floyd",
	"fourier",
	"franklin",
	"galileo",
	"gauss",
	"germain",
	"goedel",
	"goodall",
	"gray",
	"hamilton",
	"hamming",
	"herschel",
	"hertz",
	"hilbert",
	"hoare",
	"hooke",
	"hopper",
	"hubble",
	"huygens",
	"hypatia",
	"jacquard",
	"johnson",
	"joule",
	"kahn",
	"kepler",
	"kirch",
	"knuth",
	"lamarr",
	"lamport",
	"laplace",
	"leavitt",
	"liskov",
	"lovelace",
	"maxwell",
	"mcclintock",
	"meitner",
	"mendel",
	"moore",
	"napier",
	"newton",
	"nobel",
	"noether",
	"ohm",
	"pascal",
	"pasteur",
	"perlman",
	"planck",
	"ramanujan",
	"ritchie",
	"rubin",
	"shannon",
	"stokes",
	"tesla",
	"thompson",
	"turing",
	"volta",
	"watt",
	"wiles",
	"wirth",
	"yalow",
	"zuse",
};

char *name_make(unsigned attempt)
{
	uint32_t r[3] = { 0 };

	if (getrandom(r, sizeof(r), 0) != sizeof(r))
		r[0] = g_random_int();
	const char *mood = moods[r[0] % ELEMENTSOF(moods)];
	const char *who = people[r[1] % ELEMENTSOF(people)];
	if (attempt < 2)
		return g_strdup_printf("%s_%s", mood, who);
	return g_strdup_printf("%s_%s%u", mood, who, r[2] % (attempt < 6 ? 10 : 1000000));
}

bool name_is_valid(const char *name)
{
	size_t n = strlen(name);

	if (n < 2 || n > 255 || !g_ascii_isalnum(name[0]))
		return false;
	for (size_t i = 1; i < n; i++)
		if (!g_ascii_isalnum(name[i]) && !strchr("_.-", name[i]))
			return false;
	return true;
}

char *id_make(void)
{
	unsigned char b[32];
	GString *s = g_string_sized_new(64);

	g_assert(getrandom(b, sizeof(b), 0) == sizeof(b));
	for (size_t i = 0; i < sizeof(b); i++)
		g_string_append_printf(s, "%02x", b[i]);
	return g_string_free(s, FALSE);
}

char *volume_name_make(void)
{
	return id_make();
}
