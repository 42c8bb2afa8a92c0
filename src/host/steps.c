/* SPDX-License-Identifier: MIT */
#include "host/steps.h"

step_table host_steps = {
	&step_mkdir, &step_mkdirs, &step_tree, &step_write, &step_symlink, &step_remove,
	&step_clone, &step_join, &step_enter, &step_cgroup_into, &step_unshare, &step_idmap, &step_setid0, &step_session,
	&step_env, &step_user, &step_cwd, &step_umask, &step_close_fds, &step_exec,
	&step_layer, &step_layer_points, &step_private, &step_overlay, &step_unmount, &step_mount, &step_mount_in, &step_mount_point, &step_bind, &step_bind_from,
	&step_mapped_source, &step_bind_mapped, &step_parent_private,
	&step_pivot, &step_mask, &step_readonly, &step_remount_ro, &step_device, &step_dev_links, &step_link_in,
	&step_console, &step_userns, &step_own_mounts, &step_idmapped, &step_mapped_overlay,
	&step_cgroup_create, &step_cgroup_extend, &step_cgroup_set, &step_cgroup_join, &step_cgroup_join_below, &step_cgroup_devices, &step_cgroup_ns,
	&step_freeze, &step_thaw,
	&step_hostname, &step_domainname, &step_sysctl, &step_rlimit, &step_oom_score, &step_scheduling,
	&step_caps_bounding, &step_caps, &step_no_new_privs, &step_seccomp, &step_apparmor,
	&step_apparmor_load, &step_selinux, &step_time_offset,
	&step_bridge, &step_veth, &step_link_up, &step_link_delete, &step_addrgen, &step_addr,
	&step_route, &step_macvlan, &step_ipvlan, &step_netns, &step_dns_socket, &step_name, &step_lease, &step_forwarding,
	&step_nft_base, &step_nft_network, &step_nft_forget, &step_nft_publish,
	&step_channel, &step_open, &step_connect, &step_tap, &step_answer, &step_tap_open, &step_passt, &step_blank_disk, &step_helper,
	&step_copy, &step_disk_create, &step_disk_snapshot, &step_disk_commit, &step_listen, &step_vnc_listen, &step_qmp,
	&step_fifo, &step_wait_start, &step_first, &step_hook, &step_console_send, &step_seccomp_send, &step_prlimit,
	&step_ids, &step_keyring, &step_undumpable, &step_dumpable, &step_close_from, &step_find_exec, &step_chroot, &step_own_null,
	&step_criu_dump, &step_criu_restore, &step_holder,
	&step_systemd_scope, &step_systemd_set,
	&step_module, &step_nic, &step_disk_mount, &step_switch_root,
	NULL,
};
