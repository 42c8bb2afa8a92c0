/* SPDX-License-Identifier: MIT */
/*
 * The servers of one machine's network cards: DHCP gives it the one address that it can have, DNS answers
 * at an address of the subnet that is nobody's (ARP says that it is here). Frames are read and written at
 * the host's end of the card, so the bridge and the host's own sockets know nothing of it.
 */
#include "monitor/machine.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "host/addr.h"
#include "host/steps.h"
#include "wire/lan.h"

#define BATCH 16 /* frames a wake-up */
enum {
	PORT_DNS = 53,
	PORT_DHCP = 67,
	PORT_DHCP_CLIENT = 68
};

struct card {
	struct source src;
	uint8_t mac[6], ours[6];
	struct dhcp_lease lease;
};

struct lan {
	struct card card[KEPT_TAPS];
	struct source dns; /* answers of the DNS server; its fd is -1 without one */
};

static bool is_dns(const struct card *k, const uint8_t address[4])
{
	return k->lease.dns[0] && memcmp(k->lease.dns, address, 4) == 0;
}

static void send_frame(const struct card *k, const uint8_t *p, size_t n)
{
	/* one that is lost is asked for again */
	if (n > 0)
		(void)send(k->src.fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void answer_dhcp(const struct card *k, const struct lan_frame *f)
{
	struct lan_udp u = { .from_port = PORT_DHCP, .to_port = PORT_DHCP_CLIENT };
	uint8_t out[LAN_FRAME_MAX];
	struct dhcp_ask a;
	size_t n;

	if (dhcp_parse(f->data, f->size, k->mac, &a) < 0)
		return;
	n = dhcp_answer(&a, &k->lease, out + LAN_UDP_ROOM);
	if (n == 0)
		return;
	memcpy(u.from_mac, k->ours, 6);
	memcpy(u.to_mac, k->mac, 6);
	memcpy(u.from, k->lease.server, 4);
	memset(u.to, 0xff, 4);
	if (!a.broadcast)
		memcpy(u.to, k->lease.address, 4);
	else
		memset(u.to_mac, 0xff, 6);
	send_frame(k, out, lan_udp(out, &u, n));
}

/* As the machine's lodge-init frames them: who asks, and the message. The address is ours alone to give, so that
 * the port is what tells its programs apart. */
static void pass_question(const struct lan *l, const struct lan_frame *f)
{
	uint8_t head[6] = { f->from[0], f->from[1], f->from[2], f->from[3],
		(uint8_t)(f->from_port >> 8), (uint8_t)f->from_port };
	struct iovec v[2] = { { head, sizeof(head) }, { (void *)(uintptr_t)f->data, f->size } };
	struct msghdr h = { .msg_iov = v, .msg_iovlen = 2 };

	if (l->dns.fd >= 0)
		(void)sendmsg(l->dns.fd, &h, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void handle(struct lan *l, struct card *k, const uint8_t *p, size_t n)
{
	uint8_t out[LAN_FRAME_MAX];
	struct lan_frame f;

	if (lan_parse(p, n, &f) < 0 || memcmp(f.mac, k->mac, 6) != 0)
		return;
	if (f.arp && is_dns(k, f.to))
		send_frame(k, out, lan_arp_reply(out, &f, k->ours));
	else if (!f.arp && f.to_port == PORT_DHCP)
		answer_dhcp(k, &f);
	else if (!f.arp && f.to_port == PORT_DNS && is_dns(k, f.to))
		pass_question(l, &f);
}

static void card_ready(struct monitor *m, struct source *src, uint32_t events)
{
	struct card *k = (struct card *)((char *)src - offsetof(struct card, src));
	uint8_t in[LAN_FRAME_MAX + 1];

	for (int i = 0; i < BATCH; i++) {
		ssize_t n = recv(src->fd, in, sizeof(in), MSG_DONTWAIT);

		if (n < 0 && (errno == ENETDOWN || errno == ENODEV || errno == ENXIO))
			source_close(m, src);
		if (n < 0)
			return;
		handle(m->machine->lan, k, in, (size_t)n);
	}
}

static struct card *card_with(struct lan *l, const uint8_t address[4])
{
	for (unsigned i = 0; i < KEPT_TAPS; i++)
		if (l->card[i].src.fd >= 0 && memcmp(l->card[i].lease.address, address, 4) == 0)
			return &l->card[i];
	return NULL;
}

static void dns_ready(struct monitor *m, struct source *src, uint32_t events)
{
	uint8_t out[LAN_FRAME_MAX], in[6 + LAN_FRAME_MAX];
	ssize_t n = recv(src->fd, in, sizeof(in), MSG_DONTWAIT | MSG_TRUNC);
	struct lan_udp u = { .from_port = PORT_DNS };
	const struct card *k;
	size_t size;

	if (n < 6 + 12)
		return;
	k = card_with(m->machine->lan, in);
	if (!k)
		return;
	size = (size_t)n - 6;
	/* what doesn't fit into a frame: the client asks again by TCP, which nobody answers; half is better */
	if (size > LAN_FRAME_MAX - LAN_UDP_ROOM)
		return;
	memcpy(out + LAN_UDP_ROOM, in + 6, size);
	memcpy(u.from_mac, k->ours, 6);
	memcpy(u.to_mac, k->mac, 6);
	memcpy(u.from, k->lease.dns, 4);
	memcpy(u.to, in, 4);
	u.to_port = (uint16_t)(in[4] << 8 | in[5]);
	send_frame(k, out, lan_udp(out, &u, size));
}

/* --- birth and end ------------------------------------------------------------------------------------------- */

static void take4(uint8_t to[4], const char *text, unsigned *ret_prefix)
{
	struct addr a;

	if (addr_parse(text, &a) < 0 || a.family != AF_INET)
		return;
	memcpy(to, a.b, 4);
	if (ret_prefix)
		*ret_prefix = a.prefix;
}

/* IF number mac address gateway dns name mtu names upstreams. *fd is taken over, and -1 then. */
static void add_card(struct monitor *m, struct card *k, const struct step *s, int *fd)
{
	uint8_t mac[6];

	if (*fd < 0 || addr_parse_mac(s->arg[2], mac) < 0)
		return;
	*k = (struct card){ 0 };
	memcpy(k->mac, mac, 6);
	/* the guest's own, marked as another's: unique where that is */
	memcpy(k->ours, k->mac, 6);
	k->ours[0] = 0x02;
	k->ours[1] ^= 0x80;
	take4(k->lease.address, s->arg[3], &k->lease.prefix);
	take4(k->lease.gateway, s->arg[4], NULL);
	take4(k->lease.dns, s->arg[5], NULL);
	take4(k->lease.server, s->arg[5][0] ? s->arg[5] : s->arg[4], NULL);
	(void)snprintf(k->lease.name, sizeof(k->lease.name), "%s", s->arg[6]);
	k->lease.mtu = (unsigned)strtoul(s->arg[7], NULL, 10);
	source_init(&k->src, TAKE_FD(*fd), card_ready);
	(void)source_watch(m, &k->src, EPOLLIN);
}

/* Of the start: the number says where the step left its socket, and which card it is. */
static void add_first_card(struct monitor *m, struct lan *l, const struct step *s)
{
	unsigned n = (unsigned)strtoul(s->arg[1], NULL, 10);

	if (n < KEPT_TAPS)
		add_card(m, &l->card[n], s, &m->step_run.kept_fd[KEPT_ANSWER + n]);
}

static void add_dns(struct monitor *m, struct lan *l, const struct step *s)
{
	int sv[2];

	if (l->dns.fd >= 0 || !s->arg[8][0] ||
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv) < 0)
		return;
	if (!guest_begin_dns(m, sv[1], s->arg[8], s->arg[9], true)) {
		(void)close(sv[0]);
		return;
	}
	source_init(&l->dns, sv[0], dns_ready);
	(void)source_watch(m, &l->dns, EPOLLIN);
}

int lan_begin(struct monitor *m)
{
	struct lan *l = calloc(1, sizeof(*l));

	if (!l)
		return -ENOMEM;
	l->dns.fd = -1;
	for (unsigned i = 0; i < KEPT_TAPS; i++)
		l->card[i].src.fd = -1;
	m->machine->lan = l;
	for (unsigned i = 0; i < plan_len(m->plan); i++) {
		const struct step *s = plan_step(m->plan, i);

		if (s->op != &step_answer)
			continue;
		add_first_card(m, l, s);
		add_dns(m, l, s);
	}
	return 0;
}

/* The one with that address, which was plugged out and comes back, or a free one. NULL: none. */
static struct card *place_for(struct monitor *m, struct lan *l, const struct step *s)
{
	struct card *free_one = NULL;
	uint8_t mac[6];

	if (addr_parse_mac(s->arg[2], mac) < 0)
		return NULL;
	for (unsigned i = KEPT_TAPS; i-- > 0;) {
		struct card *k = &l->card[i];

		if (k->src.fd >= 0 && memcmp(k->mac, mac, 6) == 0) {
			source_close(m, &k->src);
			return k;
		}
		if (k->src.fd < 0)
			free_one = k;
	}
	return free_one;
}

int lan_add(struct monitor *m, const char *data, size_t size, int *fd, struct err *e)
{
	static const step_table *const tables[] = { &host_steps, NULL };
	struct lan *l = m->machine ? m->machine->lan : NULL;
	_cleanup_(plan_freep) struct plan *p = NULL;
	const struct step *s;
	struct card *k;
	int type = 0;
	socklen_t n = sizeof(type);
	int r = plan_decode(data, size, tables, &p);

	s = r < 0 || plan_len(p) != 1 ? NULL : plan_step(p, 0);
	if (!s || s->op != &step_answer || *fd < 0 ||
		getsockopt(*fd, SOL_SOCKET, SO_DOMAIN, &type, &n) < 0 || type != AF_PACKET)
		return err_set(e, -EPROTO, "the message of a card isn't one");
	if (!l)
		return err_set(e, -E_STATE, "this guest's monitor answers for no cards");
	k = place_for(m, l, s);
	if (!k)
		return err_set(e, -E_LIMIT, "a machine can have %d network cards", KEPT_TAPS);
	add_card(m, k, s, fd);
	add_dns(m, l, s);
	return 0;
}

void lan_end(struct monitor *m)
{
	struct lan *l = m->machine->lan;

	if (!l)
		return;
	for (unsigned i = 0; i < KEPT_TAPS; i++)
		source_close(m, &l->card[i].src);
	source_close(m, &l->dns);
	free(l);
	m->machine->lan = NULL;
}
