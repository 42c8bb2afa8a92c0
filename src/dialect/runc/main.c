/* SPDX-License-Identifier: MIT */
/* lodge-runc: the commands of runc as a program of their own. */
#include "dialect/runc/runc.h"

int main(int argc, char **argv)
{
	return argc < 1 || !argv[0] ? 125 : runc_main(argc, argv);
}
