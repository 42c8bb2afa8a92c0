/* SPDX-License-Identifier: MIT */
/* Published ports: those that are picked, ranges, the step. */
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include "host/steps.h"
#include "net/net-priv.h"

#define PICK_FIRST 32768 /* where the kernel's own range isn't readable */
#define PICK_LAST  60999
#define PICK_TRIES 4096

static struct spec_port *port_copy(const struct spec_port *p)
{
	struct spec_port *n = g_new0(struct spec_port, 1);

	*n = *p;
	n->proto = g_strdup(p->proto ? p->proto : "tcp");
	n->host_addr = p->host_addr && p->host_addr[0] ? g_strdup(p->host_addr) : NULL;
	return n;
}

static void port_free(void *data)
{
	struct spec_port *p = data;

	g_free(p->proto);
	g_free(p->host_addr);
	g_free(p);
}

static int compare(gconstpointer pa, gconstpointer pb)
{
	const struct spec_port *a = *(struct spec_port *const *)pa,
			       *b = *(struct spec_port *const *)pb;
	int r = g_strcmp0(a->proto, b->proto);

	if (r == 0)
		r = g_strcmp0(a->host_addr, b->host_addr);
	return r ? r : a->host - b->host;
}

/* Whether nobody listens there now; the step that publishes finds out for good. */
static bool looks_free(const char *proto, const char *host_addr, unsigned port)
{
	struct sockaddr_storage sa = { 0 };
	struct addr a;
	socklen_t size;
	bool udp = strcmp(proto, "udp") == 0;
	_cleanup_close_ int fd = -1;

	if (addr_parse(host_addr ? host_addr : "0.0.0.0", &a) < 0)
		return true;
	if (a.family == AF_INET) {
		struct sockaddr_in *in = (struct sockaddr_in *)&sa;

		in->sin_family = AF_INET;
		in->sin_port = htons((uint16_t)port);
		memcpy(&in->sin_addr, a.b, 4);
		size = sizeof(*in);
	} else {
		struct sockaddr_in6 *in = (struct sockaddr_in6 *)&sa;

		in->sin6_family = AF_INET6;
		in->sin6_port = htons((uint16_t)port);
		memcpy(&in->sin6_addr, a.b, 16);
		size = sizeof(*in);
	}
	fd = socket(a.family, (udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0);
	return fd < 0 || bind(fd, (struct sockaddr *)&sa, size) == 0;
}

static bool overlaps(const GPtrArray *ports, const struct spec_port *p)
{
	for (guint i = 0; i < ports->len; i++) {
		const struct spec_port *o = g_ptr_array_index(ports, i);

		if (o != p && o->host && strcmp(o->proto, p->proto) == 0 &&
			(!o->host_addr || !p->host_addr ||
				strcmp(o->host_addr, p->host_addr) == 0) &&
			p->host < o->host + o->count && o->host < p->host + p->count)
			return true;
	}
	return false;
}

/* Host ports for one that has none: somewhere in the kernel's range for clients, which programs keep clear. */
static int pick(const GPtrArray *ports, struct spec_port *p, struct err *e)
{
	unsigned first = PICK_FIRST, last = PICK_LAST;
	g_autofree char *range = NULL;
	char *end;

	if (g_file_get_contents("/proc/sys/net/ipv4/ip_local_port_range", &range, NULL, NULL)) {
		first = (unsigned)g_ascii_strtoull(range, &end, 10);
		last = (unsigned)g_ascii_strtoull(end, NULL, 10);
	}
	if (first < 1024 || last > 65535 || last < first || last - first + 1 < p->count) {
		first = PICK_FIRST;
		last = PICK_LAST;
	}
	for (int i = 0; i < PICK_TRIES && last - first + 1 >= p->count; i++) {
		unsigned k = 0;

		p->host =
			(uint16_t)g_random_int_range((gint32)first, (gint32)(last - p->count + 2));
		if (overlaps(ports, p))
			continue;
		while (k < p->count && looks_free(p->proto, p->host_addr, p->host + k))
			k++;
		if (k == p->count)
			return 0;
	}
	return err_set(e, -E_LIMIT, "no %u free ports for port %u/%s of the guest", p->count,
		p->guest, p->proto);
}

static int check(const struct spec_port *p, struct err *e)
{
	struct addr a;

	if (strcmp(p->proto, "tcp") != 0 && strcmp(p->proto, "udp") != 0 &&
		strcmp(p->proto, "sctp") != 0)
		return err_set(e, -E_INVALID,
			"cannot publish a port of '%s': must be tcp, udp or sctp", p->proto);
	if (p->guest == 0 || p->count == 0 || p->guest + p->count > 65536 ||
		p->host + p->count > 65536)
		return err_set(
			e, -E_INVALID, "bad published port %u:%u/%s", p->host, p->guest, p->proto);
	if (p->host_addr && (addr_parse(p->host_addr, &a) < 0 || strchr(p->host_addr, '/')))
		return err_set(
			e, -E_INVALID, "cannot publish on '%s': not an address", p->host_addr);
	return 0;
}

/* Neighbours whose host and guest ports go on together are one range: one element of the map. */
static void merge(GPtrArray *ports)
{
	g_ptr_array_sort(ports, compare);
	for (guint i = 0; i + 1 < ports->len;) {
		struct spec_port *a = g_ptr_array_index(ports, i),
				 *b = g_ptr_array_index(ports, i + 1);

		if (strcmp(a->proto, b->proto) != 0 || g_strcmp0(a->host_addr, b->host_addr) != 0 ||
			a->host + a->count != b->host || a->guest + a->count != b->guest) {
			i++;
			continue;
		}
		a->count = (uint16_t)(a->count + b->count);
		g_ptr_array_remove_index(ports, i + 1);
	}
}

int ports_resolve(struct ctx *c, const GPtrArray *asked, GPtrArray **ret, struct err *e)
{
	g_autoptr(GPtrArray) ports = g_ptr_array_new_with_free_func(port_free);

	for (guint i = 0; asked && i < asked->len; i++) {
		struct spec_port *p = port_copy(g_ptr_array_index(asked, i));
		int r;

		g_ptr_array_add(ports, p);
		r = check(p, e);
		if (r < 0)
			return r;
	}
	merge(ports);
	for (guint i = 0; i < ports->len; i++) {
		struct spec_port *p = g_ptr_array_index(ports, i);
		int r;

		if (p->host && overlaps(ports, p))
			return err_set(
				e, -E_INVALID, "port %u/%s is published twice", p->host, p->proto);
		r = p->host ? 0 : pick(ports, p, e);
		if (r < 0)
			return r;
	}
	*ret = g_steal_pointer(&ports);
	return 0;
}

static void add_tuple(struct plan *plan, GPtrArray *arg, const struct spec_port *p,
	const char *host, const char *guest)
{
	g_ptr_array_add(arg, (char *)plan_str(plan, "%s", p->proto));
	g_ptr_array_add(arg, (char *)plan_str(plan, "%s", host));
	g_ptr_array_add(arg, (char *)plan_str(plan, "%u", p->host));
	g_ptr_array_add(arg, (char *)plan_str(plan, "%u", p->host + p->count - 1));
	g_ptr_array_add(arg, (char *)plan_str(plan, "%s", guest));
	g_ptr_array_add(arg, (char *)plan_str(plan, "%u", p->guest));
}

void ports_plan(struct plan *plan, const GPtrArray *ports, const char *owner, const char *address,
	const char *address6)
{
	g_autoptr(GPtrArray) arg = g_ptr_array_new();

	g_ptr_array_add(arg, (char *)(uintptr_t)owner);
	for (guint i = 0; i < ports->len; i++) {
		const struct spec_port *p = g_ptr_array_index(ports, i);
		bool v6 = p->host_addr && strchr(p->host_addr, ':');

		if (address && !v6)
			add_tuple(plan, arg, p, p->host_addr ? p->host_addr : "0.0.0.0", address);
		if (address6 && (v6 || !p->host_addr))
			add_tuple(plan, arg, p, v6 ? p->host_addr : "::", address6);
	}
	if (arg->len > 1)
		plan_addv(plan, AT_HOST, STEP_HOLD, &step_nft_publish,
			(const char *const *)arg->pdata, arg->len);
}
