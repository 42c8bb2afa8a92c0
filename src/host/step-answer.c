/* SPDX-License-Identifier: MIT */
/*
 * Where a machine that boots a system of its own is told its address: a socket that sees what it sends. The
 * executor answers DHCP and DNS over it (monitor/lan.c), for this one machine; nothing stays resident beside it.
 */
#include "host/steps.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

/* ARP, and datagrams to the ports of DHCP and DNS; the rest isn't copied. */
static const struct sock_filter wanted[] = {
	BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 12),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_ARP, 8, 0),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IP, 0, 8),
	BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 23),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_UDP, 0, 6),
	BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 14),
	BPF_STMT(BPF_LD | BPF_H | BPF_IND, 16),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 67, 2, 0),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 53, 1, 0),
	BPF_JUMP(BPF_JMP | BPF_JA, 1, 0, 0),
	BPF_STMT(BPF_RET | BPF_K, 2048),
	BPF_STMT(BPF_RET | BPF_K, 0),
};

static int answer_number(const char *text)
{
	long n = strtol(text, NULL, 10);

	return n >= 0 && n < KEPT_TAPS ? KEPT_ANSWER + (int)n : -EINVAL;
}

static int answer_run(struct step_run *r, const struct step *s, struct err *e)
{
	const struct sock_fprog program = { ELEMENTSOF(wanted),
		(struct sock_filter *)(uintptr_t)wanted };
	struct sockaddr_ll at = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
	int which = answer_number(s->arg[1]), one = 1;
	_cleanup_close_ int fd = -1;

	if (which < 0)
		return which;
	at.sll_ifindex = (int)if_nametoindex(s->arg[0]);
	if (!at.sll_ifindex)
		return err_set(e, -ENODEV, "no interface '%s'", s->arg[0]);
	/* of no protocol until it is bound: it gets nothing of other interfaces */
	fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) < 0 ||
		setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one)) < 0 ||
		bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		return -errno;
	return r->keep_fd(r, (unsigned)which, fd);
}

static int answer_undo(struct step_run *r, const struct step *s, struct err *e)
{
	int which = answer_number(s->arg[1]);

	if (which < 0 || r->kept_fd[which] < 0)
		return 0;
	(void)close(r->kept_fd[which]);
	r->kept_fd[which] = -1;
	return 0;
}

static void answer_show(const struct step *s, struct text *t)
{
	text_addf(t,
		"dnsmasq --interface=%s --dhcp-host=%s,%s --dhcp-option=3,%s --dhcp-option=6,%s # "
		"by the monitor",
		s->arg[0], s->arg[2], s->arg[3], s->arg[4], s->arg[5]);
}

const struct step_ops step_answer = { .name = "answer",
	.args = "IF number mac address gateway dns name mtu names upstreams",
	.run = answer_run,
	.undo = answer_undo,
	.show = answer_show };
