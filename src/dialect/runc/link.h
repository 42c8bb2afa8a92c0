/* SPDX-License-Identifier: MIT */
#ifndef LODGE_DIALECT_RUNC_LINK_H
#define LODGE_DIALECT_RUNC_LINK_H

/* `lodge` by the name of a runtime: executes lodge-runc, which is small and has the commands. A link of an
 * engine's configuration is better made to lodge-runc itself. */
int runc_link_main(int argc, char **argv);
/* The same for `lodge explain`: lodge-runc by the name "explain", with the runtime's name as its first argument. */
int runc_link_explain(int argc, char **argv);

#endif
