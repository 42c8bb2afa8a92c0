/* SPDX-License-Identifier: MIT */
#ifndef LODGE_STEPS_H
#define LODGE_STEPS_H

/*
 * Every operation that changes the host, by the file that implements it. The string after a name lists
 * its arguments (as step_ops.args does). A new step: a row here, a row in host_steps (steps.c), and its
 * run, undo and show in one file.
 *
 * Arguments are strings; numbers are decimal; an empty string means "not given"; lists are separated
 * by commas. Mount flags are the words of mount(8): "ro,nosuid,nodev,noexec,rbind,rslave,...".
 * A path of an AT_CHILD step that runs before "pivot-root" names the guest's root explicitly and is
 * resolved inside of it where it says so (openat2 RESOLVE_IN_ROOT).
 */

#include "host/plan.h"

/* step-file.c: files and folders of the host. undo removes what the step made, never what was there. */
extern const struct step_ops step_mkdir;     /* path mode */
extern const struct step_ops step_mkdirs;    /* path mode: and its parents; undo removes path if empty */
extern const struct step_ops step_write;     /* path text mode: a file of our own; what is there is replaced */
extern const struct step_ops step_symlink;   /* target path: -EEXIST if there */
extern const struct step_ops step_remove;    /* path: a tree, without crossing a mount; no undo, runs last */
extern const struct step_ops step_tree;      /* path mode: a folder of our own; undo removes the whole tree */

/* step-clone.c */
extern const struct step_ops step_clone;     /* namespaces: "mnt,pid,net,uts,ipc,user,cgroup,time" */
extern const struct step_ops step_join;	     /* kind path: setns(2), in the child */
extern const struct step_ops step_idmap;     /* which("uid"|"gid") map: AT_PARENT, lines "in out count" by ',' */
extern const struct step_ops step_setid0;    /* (none): become uid and gid 0 of the new user namespace */
extern const struct step_ops step_enter;     /* kinds by ',': those of the running guest (run->guest_fd); "pid" is AT_HOST */
extern const struct step_ops step_cgroup_into; /* path: of a running guest, for the next clone */
extern const struct step_ops step_unshare;   /* kind: unshare(2), in the child */
extern const struct step_ops step_session;   /* tty("1" or ""): setsid(2), and takes the terminal */
extern const struct step_ops step_exec;	     /* argv...: execve(2); PATH is that of step "env" */
extern const struct step_ops step_env;	     /* NAME=VALUE...: the environment of exec */
extern const struct step_ops step_user;	     /* user groups: "name|uid[:group|gid]" by the guest's own files; groups extra, by ',' */
extern const struct step_ops step_cwd;	     /* path: made if it isn't there */
extern const struct step_ops step_umask;     /* octal */
extern const struct step_ops step_close_fds; /* (none): close_range(2) from 3 on, close-on-exec */

/* step-userns.c: a root whose ids are mapped; all AT_HOST */
extern const struct step_ops step_userns;     /* uid-map gid-map: as idmap has them */
extern const struct step_ops step_own_mounts; /* (none): the executor gets a mount namespace of its own */
extern const struct step_ops step_idmapped;   /* source target: one mount through the map of "userns" */
extern const struct step_ops step_mapped_overlay; /* as overlay, and uid gid: the guest's root, as the host sees it */

/* step-mount.c */
extern const struct step_ops step_layer;     /* image target: mounts a layer's EROFS file, on the host, once */
extern const struct step_ops step_layer_points; /* path: the folder of the layers' mount points, in memory; no undo */
extern const struct step_ops step_private;   /* propagation: "rprivate|rslave|..." of / */
extern const struct step_ops step_overlay;   /* target lower(by ':', top first) upper work options */
extern const struct step_ops step_mount;     /* source target type flags data: of the host or of the new root */
extern const struct step_ops step_unmount;   /* path: of the host; no undo */
extern const struct step_ops step_mount_point; /* root target kind("dir"|"file"): made in the root, where it lacks */
extern const struct step_ops step_bind;	     /* root source target flags kind("dir"|"file"|"auto"): target is made in root, resolved in root */
extern const struct step_ops step_bind_from; /* as bind, and ns: source is a folder in another guest's mount namespace */
extern const struct step_ops step_mount_in;  /* root source target type flags data: target is made in root, resolved in root */
extern const struct step_ops step_mapped_source; /* slot source flags uid-map gid-map recursive("1" or ""): AT_HOST, for bind-mapped */
extern const struct step_ops step_bind_mapped; /* root slot target source kind: AT_CHILD */
extern const struct step_ops step_parent_private; /* path: the mount that holds it */
extern const struct step_ops step_pivot;     /* root */
extern const struct step_ops step_mask;	     /* path...: hides files and folders of the new root; absent ones are skipped */
extern const struct step_ops step_readonly;  /* path...: makes them read-only; absent ones are skipped */
extern const struct step_ops step_remount_ro; /* path: the mount read-only, keeping its other flags */
extern const struct step_ops step_device;    /* root path type(c|b|p) major minor mode uid gid */
extern const struct step_ops step_dev_links; /* root: /dev/fd, stdin, stdout, stderr, ptmx, core */
extern const struct step_ops step_link_in;   /* root target path: a symbolic link, resolved in root; one that is there stays */
extern const struct step_ops step_console;   /* root bind("1" or ""): opens the terminal (see KEPT_CONSOLE), binds /dev/console */

/* step-cgroup.c; cgroup.h says which hierarchies a path stands for */
extern const struct step_ops step_cgroup_create; /* path controllers: cgroup_controllers_for(); undo kills what is in there and removes */
extern const struct step_ops step_cgroup_extend; /* path controllers: of a running guest; its processes join them */
extern const struct step_ops step_cgroup_set;	 /* path key value: one neutral key (see cgroup.h), converted for v1 or v2 */
extern const struct step_ops step_cgroup_join;	 /* path: the child itself, v1 hierarchies (v2: at clone); before setid0 and pivot */
extern const struct step_ops step_cgroup_join_below; /* path controllers(by ',', or "": all where it is): as cgroup-join, of a part of a guest's cgroup */
extern const struct step_ops step_cgroup_devices; /* path rules...: "c 1:3 rwm", "-" before it denies; cgroup_device_default; v1 files or BPF on v2 */
extern const struct step_ops step_freeze;	 /* path: undo thaws */
extern const struct step_ops step_thaw;		 /* path */

/* step-proc.c: what the child carries into execve(2). Their order in the child: hostname, sysctl (while
 * /proc/sys can be written), rlimit, apparmor or selinux, seccomp unless no-new-privs is set, caps-bounding,
 * user, caps, no-new-privs, then seccomp where it is. See caps.h and proc.h. */
extern const struct step_ops step_hostname;   /* name */
extern const struct step_ops step_domainname; /* name */
extern const struct step_ops step_sysctl;     /* key value: check with sysctl_check() when planning */
extern const struct step_ops step_rlimit;     /* name soft hard: never above the caller's hard limit; rlimit_check() */
extern const struct step_ops step_oom_score;  /* value */
extern const struct step_ops step_scheduling; /* key value: scheduler, io-priority, personality, cpu-affinity, nice; runtime-spec's words */
extern const struct step_ops step_caps_bounding; /* mask: hexadecimal; before step "user" */
extern const struct step_ops step_caps;	      /* permitted effective inheritable ambient: hex masks; after step "user" */
extern const struct step_ops step_no_new_privs; /* (none) */
extern const struct step_ops step_seccomp;    /* filter(seccomp_to_hex) flags("tsync,log,spec-allow") label: without no-new-privs before step "user" */
extern const struct step_ops step_apparmor;   /* profile: for the exec; "lodge-default" and "unconfined" are fine without AppArmor */
extern const struct step_ops step_apparmor_load; /* (none): AT_HOST, loads "lodge-default" where it can be */
extern const struct step_ops step_selinux;    /* label: for the exec */
extern const struct step_ops step_cgroup_ns;  /* (none): unshare(CLONE_NEWCGROUP), after cgroup-join */
extern const struct step_ops step_time_offset; /* clock("monotonic"|"boottime") seconds nanoseconds: AT_HOST; makes the time namespace that clone enters, so clone isn't told "time" */

/* step-vm.c: what a virtual machine's process works with; the AT_CHILD ones come after close-fds. fd: the
 * number at which the program finds it, above all that the executor has open (100 and more). */
extern const struct step_ops step_channel;    /* fd which("machine"|"qmp"|"serial"): AT_CHILD, leaves KEPT_* with the executor */
extern const struct step_ops step_open;	      /* fd path mode("r"|"rw"): AT_CHILD */
extern const struct step_ops step_connect;    /* fd path: AT_CHILD, a connection to a Unix socket */
extern const struct step_ops step_tap;	      /* IF bridge mtu hairpin("1" or "") number: AT_HOST, kept as KEPT_TAP + number */
extern const struct step_ops step_answer;     /* IF number mac address gateway dns name mtu names upstreams: AT_HOST, kept as KEPT_ANSWER + number; see monitor/lan.c */
extern const struct step_ops step_tap_open;   /* fd IF number: AT_CHILD, the device of that number; without IF: the socket of step "passt" */
extern const struct step_ops step_passt;      /* IF mac path number argv...: AT_HOST, passt with its socket as descriptor 3 and a pipe for its process id as 4; PATH.pid and PATH.log; kept as a tap is. In a network's plan, AT_PARENT: with the card's name and address inside */
extern const struct step_ops step_blank_disk; /* path size throwaway("1" or "") template: a new sparse file with an empty ext4; template: a file to copy, made when it isn't there */
extern const struct step_ops step_helper;     /* pidfile socket argv...: AT_HOST, a program that serves the machine at the socket, its descriptor 3 */

/* step-disk.c: what else a machine has that boots by itself */
extern const struct step_ops step_copy;	      /* path source mode: what is there is replaced */
extern const struct step_ops step_disk_create; /* path format size backing backing-format: qemu-img; size may be empty with a backing file */
extern const struct step_ops step_disk_snapshot; /* path what("create"|"apply"|"delete") tag: of a qcow2 that no QEMU has; only create has an undo */
extern const struct step_ops step_disk_commit; /* above path format path format...: of a chain that no QEMU has, the first file into the second; above: a qcow2 over the first that gets the second's name, or ""; can be done again */
extern const struct step_ops step_listen;     /* fd path: AT_CHILD, a Unix socket that listens */
extern const struct step_ops step_vnc_listen; /* address(":N" of 127.0.0.1, or a path): AT_HOST, leaves KEPT_VNC in the executor */
extern const struct step_ops step_qmp;	      /* command fd("vnc" or ""): what the monitor says to QEMU once it answers, with KEPT_VNC */

/* step-runtime.c: what an OCI runtime needs, whose container outlives its executor and is started by another
 * process. @PID@ and @START@ in a text stand for the first process's id and its start time (proc(5), field 22). */
extern const struct step_ops step_fifo;	      /* path mode: AT_HOST makes it; AT_CHILD opens it, before pivot-root */
extern const struct step_ops step_wait_start; /* (none): AT_CHILD, until somebody reads from the fifo; see start.h */
extern const struct step_ops step_first;      /* path text mode: AT_PARENT or AT_MEET, a file with @PID@ and @START@ filled in */
extern const struct step_ops step_hook;	      /* label timeout state path words environment...: a program with the state on its standard input; words: how many of the rest are its argv; AT_MEET or AT_CHILD */
extern const struct step_ops step_console_send; /* socket rows columns: AT_MEET, KEPT_CONSOLE goes there; no socket: stays here */
extern const struct step_ops step_seccomp_send; /* socket state: AT_MEET, KEPT_SECCOMP and the state go there */
extern const struct step_ops step_prlimit;    /* name soft hard: AT_PARENT */
extern const struct step_ops step_ids;	      /* uid gid groups(by ','): numbers only, as they are */
extern const struct step_ops step_keyring;    /* name: a session keyring of its own */
extern const struct step_ops step_undumpable; /* (none): AT_CHILD, first: nobody in the guest may trace it or look through its descriptors */
extern const struct step_ops step_dumpable;   /* (none): AT_HOST, of a user's executor: the process that it clones can be given maps; "undumpable" AT_PARENT ends it */
extern const struct step_ops step_close_from; /* first: as close-fds, from that number on */
extern const struct step_ops step_find_exec;  /* command: AT_CHILD, whether step "exec" would find it */
extern const struct step_ops step_own_null;   /* (none): AT_CHILD, streams that are the host's null device become the container's */
extern const struct step_ops step_chroot;     /* root: instead of pivot-root where the root is a ramdisk */

/* step-criu.c: words are those of criu's command line, see criu.h. restore runs the plan's AT_MEET steps when the
 * namespaces are there and its AT_PARENT steps while the processes wait to go on; run->child is the first of them. */
extern const struct step_ops step_criu_dump;  /* program command("dump"|"pre-dump") words... */
extern const struct step_ops step_criu_restore; /* program cgroup words...: AT_HOST; criu joins the cgroup if it isn't empty */

/* step-systemd.c; manager: "system" or "user"; properties as dbus_put_property() has them */
extern const struct step_ops step_holder; /* AT_HOST: run->child is a process that does nothing, until criu-restore made others */
extern const struct step_ops step_systemd_scope; /* manager unit path properties...: where there is a child, a transient unit with it; undo stops it and removes the cgroup `path` */
extern const struct step_ops step_systemd_set; /* manager unit properties...: of one that is there */

/* step-net.c: netlink. IF names an interface; addresses are "10.88.0.2/16". A bridge and the elements of
 * its network belong to the network, not to a guest: they have no undo and stay until the network goes. */
extern const struct step_ops step_bridge;     /* IF addresses(by ',') mtu: made when not there */
extern const struct step_ops step_veth;	      /* IF peer bridge mac mtu hairpin("1" or "") sharers: AT_PARENT, the peer goes to the child; sharers: a folder, see net.h */
extern const struct step_ops step_link_up;    /* IF */
extern const struct step_ops step_link_delete; /* IF: one that isn't there is fine */
extern const struct step_ops step_addrgen;    /* IF mode("none"|"eui64"): IPv6 addresses that the kernel makes */
extern const struct step_ops step_addr;	      /* IF address */
extern const struct step_ops step_route;      /* destination("default"|cidr) gateway IF */
extern const struct step_ops step_macvlan;    /* IF parent mode mac: AT_PARENT, moved to the child */
extern const struct step_ops step_ipvlan;     /* IF parent mode mac: the same; mac is empty */
extern const struct step_ops step_netns;      /* path: AT_CHILD, joins (container:NAME) */
extern const struct step_ops step_dns_socket; /* address names upstreams: AT_CHILD, leaves KEPT_DNS with the executor; see monitor/dns.h */
extern const struct step_ops step_forwarding; /* family("4"|"6"): has no undo, other networks need it */
extern const struct step_ops step_lease;      /* folder addresses owner: links folder/ADDRESS -> owner; -E_INUSE */
extern const struct step_ops step_name;	      /* folder addresses names...: links NAME -> addresses, several guests may have a name */

/* step-nft.c: nftables, in our own table "inet lodge" (nft.h) */
extern const struct step_ops step_nft_base;    /* (none): the table; loaded when it isn't there */
extern const struct step_ops step_nft_network; /* IF internal("1" or "") subnets(by ','): masquerade and isolation */
extern const struct step_ops step_nft_forget;  /* IF internal subnets: the same, taken out */
extern const struct step_ops step_nft_publish; /* owner and then (proto host-address first-port last-port guest-address guest-port)... */

/* step-vm-guest.c: inside a machine (STEP_MACHINE), by lodge-init. A device is waited for, 10 seconds. */
extern const struct step_ops step_module;     /* name: loads /modules/NAME.ko of the initramfs, no dependencies; see vm_kernel_modules() */
extern const struct step_ops step_nic;	      /* mac name: the network card of that address gets the name */
extern const struct step_ops step_disk_mount; /* serial target type flags data: the disk of that serial number; target is made, with its parents; undo leaves what can be written to clean; with STEP_STAY (here and in its overlay) it isn't worth that: the disk of --rm */
extern const struct step_ops step_switch_root; /* path moves(by ','): path becomes the root, over the initramfs; mounts like "/proc" go along. In the child (after clone "mnt"), lodge-init stays in the initramfs */

#endif
