/* SPDX-License-Identifier: MIT */
#ifndef LODGE_DIALECT_PARSE_H
#define LODGE_DIALECT_PARSE_H

/*
 * The words that options take, as docker's users write them (docker-cli's reference, "container run").
 * Pure: nothing here looks at the host. Each adds to the spec what one use of the option says; a text
 * that isn't understood is -E_USAGE with e, and leaves nothing half done that matters.
 */

#include <glib.h>
#include "base/err.h"
#include "engine/spec.h"

#define PARSE_TEXT_MAX (64 * 1024) /* one option's value */

/* --- parse-mount.c ------------------------------------------------------------------------------- */

/* -v: "[SOURCE:]TARGET[:MODE,...]". Relative sources ("./x") are taken from cwd. An anonymous volume has
 * source NULL. *ret_relabel is set when "z" or "Z" was asked for (SELinux). */
int parse_volume(const char *s, const char *cwd, struct spec *spec, bool *ret_relabel, struct err *e);
/* --mount: "type=bind,source=...,target=...,..." with CSV quoting. */
int parse_mount(const char *s, const char *cwd, struct spec *spec, struct err *e);
/* --tmpfs: "TARGET[:OPTION,...]" */
int parse_tmpfs(const char *s, struct spec *spec, struct err *e);
/* --volumes-from: "GUEST[:ro|rw]" */
int parse_volumes_from(const char *s, char **ret_guest, bool *ret_read_only, struct err *e);
/* One line of comma-separated values with Go's csv quoting. */
int parse_csv(const char *s, char ***ret, struct err *e);
/* Whether s may name a volume: [a-zA-Z0-9][a-zA-Z0-9_.-]+ */
bool parse_is_name(const char *s);

/* --- parse-net.c --------------------------------------------------------------------------------- */

/* -p: "[[ADDRESS:][PORT[-PORT]]:]PORT[-PORT][/PROTO]" */
int parse_publish(const char *s, struct spec *spec, struct err *e);
/* --expose and an image's ExposedPorts: "PORT[-PORT][/PROTO]" */
int parse_expose(const char *s, char **ret_proto, uint16_t *ret_first, uint16_t *ret_count, struct err *e);

/* --network. A guest named in "container:GUEST" is left as the user wrote it. *ret_attach: the network that
 * was added and that --ip, --mac-address and --network-alias speak of, or NULL. */
int parse_network(const char *s, struct spec *spec, struct spec_attach **ret_attach, struct err *e);
/* --add-host: "NAME:ADDRESS" or "NAME=ADDRESS"; gives "NAME:ADDRESS". */
int parse_add_host(const char *s, char **ret, struct err *e);
bool parse_is_ip(const char *s, int family);
bool parse_is_mac(const char *s);

/* --- parse-limit.c ------------------------------------------------------------------------------- */

/* --ulimit: "NAME=SOFT[:HARD]", -1 is unlimited */
int parse_ulimit(const char *s, struct spec *spec, struct err *e);
/* --device: "HOST[:GUEST[:rwm]]" */
int parse_device(const char *s, struct spec *spec, struct err *e);
/* --device-cgroup-rule: "c 1:* rwm" */
int parse_device_rule(const char *s, struct err *e);
/* --device-read-bps and the like: "PATH:RATE"; bytes: RATE is a size, else a number */
int parse_device_rate(const char *s, const char *key, bool bytes, struct spec *spec, struct err *e);
/* --cpus: "1.5" */
int parse_cpus(const char *s, int64_t *ret_nano, struct err *e);
/* --cpuset-cpus, --cpuset-mems: "0-2,4" */
int parse_cpuset(const char *s, struct err *e);
/* --memory-swap: a size or -1 */
int parse_memory_swap(const char *s, int64_t *ret, struct err *e);
/* --restart: "no|on-failure[:N]|always|unless-stopped" */
int parse_restart(const char *s, enum spec_restart *ret, int *ret_max, struct err *e);
/* --sysctl, --label: "KEY=VALUE"; value "" when optional and not there */
int parse_pair(const char *s, bool need_value, char **ret_key, char **ret_value, struct err *e);
/* --log-opt: "max-size=10m", "max-file=3" */
int parse_log_opt(const char *s, struct spec *spec, struct err *e);

/* --- parse-disk.c -------------------------------------------------------------------------------- */

/* --disk, --cdrom, --floppy: a file, or "[file=]PATH,format=...,bus=...,cache=...,serial=...,boot=N,id=...,readonly,
 * discard,volatile", or "size=20G[,format=qcow2|raw]": a new disk of the machine's own. Adds the disk to vm; what
 * the file is isn't looked at. */
int parse_disk(const char *s, const char *cwd, enum spec_disk_device device, struct spec_vm *vm,
	struct spec_disk **ret, struct err *e);

/* --- parse-env.c --------------------------------------------------------------------------------- */

/* The lines of --env-file and --label-file: comments and empty lines left out. labels: values aren't taken
 * from the environment. lookup: getenv(3) of the caller, NULL: none. Appends to out ("NAME=VALUE"). */
int parse_env_text(const char *text, size_t n, const char *file, const char *(*lookup)(const char *),
	GPtrArray *out, struct err *e);
/* -e: "NAME=VALUE", or "NAME": the caller's, left out where the caller has none. */
int parse_env(const char *s, const char *(*lookup)(const char *), GPtrArray *out, struct err *e);

#endif
