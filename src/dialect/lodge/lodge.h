/* SPDX-License-Identifier: MIT */
#ifndef LODGE_DIALECT_LODGE_H
#define LODGE_DIALECT_LODGE_H

/*
 * Our own command line. A command is one row (struct cmd) at the end of the file that has its functions,
 * and one entry in the table of src/root.c. Options carry the names that docker's users know.
 *
 * Exit statuses: 125 for what run and create couldn't do and for wrong usage, 126 and 127 for a guest's
 * command that can't be executed or isn't there, 1 for other failures, else the guest's own (128 + n: it was
 * ended by signal n).
 */

#include <jansson.h>
#include <stdio.h>
#include "base/ctx.h"
#include "base/opt.h"
#include "base/tab.h"
#include "engine/spec.h"
#include "guest/guest.h"

#define REALM "lodge"

extern const struct cmd lodge_root;
int lodge_main(int argc, char **argv);

/* --- errors.c ---------------------------------------------------------------------------------------- */

int lodge_exit_status(int code);
/* For run and create: what would be 1 is 125. Returns the code to return from a command. */
int run_failed(int code);
/* Prints an error of one operand among several; goes on. Returns 1, the status at the end. */
int print_failed(const struct err *e, int code);

/* --- applets.c --------------------------------------------------------------------------------------- */

struct applet {
	const char *name, *brief;
	int (*main)(int argc, char **argv);
	/* As main, but shows what would be done, and does nothing; NULL: our own commands, by their context. */
	int (*explain)(int argc, char **argv);
};
extern const struct applet applets[]; /* ends with a NULL name; src/applets.def */

/* --- complete.c -------------------------------------------------------------------------------------- */

void complete_guest(struct ctx *c, const char *word, FILE *out);
void complete_running(struct ctx *c, const char *word, FILE *out);
void complete_image(struct ctx *c, const char *word, FILE *out);
void complete_volume(struct ctx *c, const char *word, FILE *out);
void complete_network(struct ctx *c, const char *word, FILE *out);
void complete_run(struct ctx *c, const char *word, FILE *out); /* an image */
void complete_cp(struct ctx *c, const char *word, FILE *out);
void complete_capability(struct ctx *c, const char *word, FILE *out);
void complete_signal(struct ctx *c, const char *word, FILE *out);
void complete_restart(struct ctx *c, const char *word, FILE *out);
void complete_command(struct ctx *c, const char *word, FILE *out);
void complete_shell(struct ctx *c, const char *word, FILE *out);

/* --- run-spec.c -------------------------------------------------------------------------------------- */

struct run_args {
	/* run only */
	bool detach, sig_proxy;
	char *detach_keys;
	/* process */
	bool interactive, tty, init, rm, vm, privileged, read_only, publish_all, rootfs;
	char *name, *workdir, *user, *entrypoint, *cidfile;
	char **env, **env_file, **label, **label_file, **group_add;
	char *stop_signal;
	int64_t stop_timeout;
	char *restart, *pull, *platform;
	bool quiet;
	char **log_opt;
	/* files */
	char **volume, **mount, **tmpfs, **volumes_from, **device, **device_rule;
	int64_t shm_size;
	/* network */
	char **network, **network_alias, **publish, **expose, **dns, **dns_search, **dns_option, **add_host;
	char *ip, *ip6, *mac, *hostname, *domainname;
	/* limits */
	int64_t memory, memory_reservation, swappiness, cpu_shares, cpu_period, cpu_quota, pids, blkio,
		oom_score_adj;
	char *memory_swap, *cpus, *cpuset_cpus, *cpuset_mems;
	bool oom_kill_disable;
	char **read_bps, **write_bps, **read_iops, **write_iops, **ulimit;
	/* isolation */
	char **cap_add, **cap_drop, **security_opt, **sysctl;
	char *userns, *pid, *ipc, *uts, *cgroupns, *cgroup_parent;
};

/* The request that the options and operands (the image and its command) stand for. q->spec is the
 * caller's to free until guest_create takes it. Strings of q are borrowed from args and operands, but
 * for *ret_entrypoint and *ret_doc. */
struct run_request {
	struct guest_request q;
	char **entrypoint;
	char *doc;
	char *image; /* an absolute folder, with --rootfs */
};
void run_request_clear(struct run_request *r);
int run_request_fill(struct ctx *c, const struct run_args *a, char **operands, struct run_request *ret,
	struct err *e);

/* Says once a boot, on standard error, that KVM doesn't work and machines are slow for it. */
void tell_emulated(struct ctx *c);

/* --- several operands --------------------------------------------------------------------------------- */

/* Calls each for every operand's guest, prints the operand when it went well and print is set, prints
 * errors and goes on. The exit status. */
int for_each_guest(struct cmd_call *call, bool print,
	int (*each)(struct cmd_call *call, struct guest *g, struct err *e));

/* --- filter.c ------------------------------------------------------------------------------------------ */

/* --filter KEY=VALUE. keys: what this command knows, NULL-terminated; -E_INVALID for another. */
struct filters;
int filters_parse(char *const *words, const char *const *keys, struct filters **ret, struct err *e);
void filters_free(struct filters *f);
void filters_freep(struct filters **f);
bool filters_have(const struct filters *f, const char *key);
/* The values of key, NULL-terminated; NULL: none. */
char *const *filters_get(const struct filters *f, const char *key);
/* Whether value is one of those of key; true when the key isn't there. */
bool filters_match(const struct filters *f, const char *key, const char *value);
/* The same by regular expression or substring, as docker matches names. */
bool filters_match_text(const struct filters *f, const char *key, const char *value);
/* label: "KEY" or "KEY=VALUE", all must be there. labels: an object of strings. */
bool filters_match_labels(const struct filters *f, const char *key, const json_t *labels);
/* dangling=true|false and the like: -1 when not given, else 0 or 1, or a code. */
int filters_bool(const struct filters *f, const char *key, struct err *e);

/* --- rows.c: how guests are shown ------------------------------------------------------------------------ */

/* "Up 2 hours", "Exited (0) 3 minutes ago" */
char *guest_status_text(const struct guest *g, int64_t now);
/* "0.0.0.0:80->80/tcp, 443/tcp" */
char *guest_ports_text(struct ctx *c, const struct guest *g, const json_t *doc);
char *guest_command_text(const struct guest *g);
json_t *guest_doc(const struct guest *g); /* the record's document; {} when it is broken */
char *labels_text(const json_t *labels);  /* "a=1,b=2" */
char *short_id(const char *id);		  /* 12 digits, without "sha256:" */
char *ago(int64_t then, int64_t now);	  /* "3 minutes ago" */

/* One row of `port`: "80/tcp" and "0.0.0.0:8080". */
typedef int (*port_cb)(const char *guest_port, const char *address, void *data);
int each_port(struct ctx *c, const struct guest *g, port_cb cb, void *data);

/* Prints an array of rows: -q prints the field id of each. */
int print_rows(const struct tab_column *columns, json_t *rows, bool quiet, const char *id_field,
	const char *format, struct err *e);
/* inspect: an array of objects, or a template for each. Takes all. */
int print_objects(json_t *all, const char *format, struct err *e);
/* As `inspect` of several things: get is called for each operand, found ones are printed. */
int inspect_operands(struct cmd_call *call, const char *format,
	int (*get)(struct ctx *c, const char *ref, json_t **ret, struct err *e), struct err *e);
/* "docker inspect" of a guest (inspect.c). */
int inspect_guest(struct ctx *c, const char *ref, json_t **ret, struct err *e);

/* Removes what no guest uses, printing names (volume.c, network.c). f NULL: no filter. */
int volumes_prune(struct ctx *c, bool all, const struct filters *f, int *ret_n, struct err *e);
int networks_prune(struct ctx *c, const struct filters *f, int *ret_n, struct err *e);

/* Asks on the terminal; true without asking when force. */
bool confirm(bool force, const char *text);

/* --- the commands ------------------------------------------------------------------------------------------ */

extern const struct cmd lodge_run, lodge_create, lodge_start, lodge_stop, lodge_restart,
	lodge_kill, lodge_pause, lodge_unpause, lodge_rm, lodge_wait, lodge_rename, lodge_exec,
	lodge_attach, lodge_logs, lodge_ls, lodge_inspect, lodge_cp, lodge_diff, lodge_export,
	lodge_top, lodge_stats, lodge_events, lodge_port, lodge_image, lodge_login,
	lodge_logout, lodge_volume, lodge_network,
	lodge_vm, lodge_system, lodge_fsck, lodge_doctor, lodge_boot, lodge_explain, lodge_where,
	lodge_applets, lodge_completion, lodge_manual, lodge_version;

#endif
