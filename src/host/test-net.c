/* SPDX-License-Identifier: MIT */
/*
 * The steps of networks, run for real: in network namespaces that the test makes and that end with it.
 * One plays the host, one a machine beside it, the others guests.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <glib.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "host/addr.h"
#include "host/nft.h"
#include "host/steps.h"

#define REFUSED 1
#define SILENT	2

struct guest {
	pid_t pid;
	const char *address, *address6;
};

/* A shell command of the test's own; its exit status. */
static int shell(const char *cmd)
{
	const char *argv[] = { "sh", "-c", cmd, NULL };
	int status = -1;

	if (!g_spawn_sync(NULL, (char **)(uintptr_t)argv, NULL,
		    G_SPAWN_SEARCH_PATH | G_SPAWN_CHILD_INHERITS_STDIN, NULL, NULL, NULL, NULL,
		    &status, NULL))
		return -1;
	return status;
}

static void run_cmd(const char *fmt, ...) G_GNUC_PRINTF(1, 2);
static void run_cmd(const char *fmt, ...)
{
	g_autofree char *cmd = NULL;
	va_list ap;

	va_start(ap, fmt);
	cmd = g_strdup_vprintf(fmt, ap);
	va_end(ap);
	if (shell(cmd) != 0)
		g_error("command failed: %s", cmd);
}

static char *output(const char *cmd)
{
	char *out = NULL;

	g_assert_true(g_spawn_command_line_sync(cmd, &out, NULL, NULL, NULL));
	return out;
}

/* Runs one step's operation. */
static int step(const struct step_ops *op, bool undo, pid_t child, struct err *e, ...)
{
	const char *arg[64];
	unsigned n = 0;
	struct step_run r = { .child = child, .child_fd = -1, .cgroup_fd = -1 };
	va_list ap;

	va_start(ap, e);
	while ((arg[n] = va_arg(ap, const char *)) != NULL)
		g_assert_cmpuint(++n, <, 64);
	va_end(ap);
	const struct step s = { .op = op, .n = n, .arg = arg };

	return undo ? op->undo(&r, &s, e) : op->run(&r, &s, e);
}
#define RUN(op, ...)  step(&(op), false, 0, NULL, __VA_ARGS__, NULL)
#define UNDO(op, ...) step(&(op), true, 0, NULL, __VA_ARGS__, NULL)
#define OK(call)      g_assert_cmpint((call), ==, 0)

/* --- servers and clients ------------------------------------------------------------------------------ */

static socklen_t make_address(const char *host, int port, struct sockaddr_storage *ret)
{
	struct addr a;

	memset(ret, 0, sizeof(*ret));
	g_assert_cmpint(addr_parse(host, &a), ==, 0);
	ret->ss_family = (sa_family_t)a.family;
	((struct sockaddr_in *)ret)->sin_port = htons((uint16_t)port);
	if (a.family == AF_INET) {
		memcpy(&((struct sockaddr_in *)ret)->sin_addr, a.b, 4);
		return sizeof(struct sockaddr_in);
	}
	memcpy(&((struct sockaddr_in6 *)ret)->sin6_addr, a.b, 16);
	return sizeof(struct sockaddr_in6);
}

static int server_socket(int type, int port)
{
	int fd = socket(AF_INET6, type | SOCK_CLOEXEC, 0), one = 1;
	struct sockaddr_storage a;
	socklen_t n = make_address("::", port, &a);

	g_assert_cmpint(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)), ==, 0);
	g_assert_cmpint(bind(fd, (struct sockaddr *)&a, n), ==, 0);
	if (type == SOCK_STREAM)
		g_assert_cmpint(listen(fd, 16), ==, 0);
	return fd;
}

/* Answers with "PORT PEER" at each of the ports, tcp and udp, for ever. */
static void serve(const int *ports, size_t n)
{
	struct pollfd p[32];

	g_assert_cmpuint(n * 2, <=, G_N_ELEMENTS(p));
	for (size_t i = 0; i < n; i++) {
		p[2 * i] = (struct pollfd){ server_socket(SOCK_STREAM, ports[i]), POLLIN, 0 };
		p[2 * i + 1] = (struct pollfd){ server_socket(SOCK_DGRAM, ports[i]), POLLIN, 0 };
	}
	for (;;) {
		(void)poll(p, n * 2, -1);
		for (size_t i = 0; i < n * 2; i++) {
			struct sockaddr_in6 peer;
			socklen_t len = sizeof(peer);
			char text[INET6_ADDRSTRLEN], line[128];
			int fd = p[i].fd;

			if (!(p[i].revents & POLLIN))
				continue;
			if (i % 2 == 0)
				fd = accept(p[i].fd, (struct sockaddr *)&peer, &len);
			else
				(void)recvfrom(
					fd, line, sizeof(line), 0, (struct sockaddr *)&peer, &len);
			(void)inet_ntop(AF_INET6, &peer.sin6_addr, text, sizeof(text));
			(void)snprintf(line, sizeof(line), "%d %s", ports[i / 2], text);
			(void)sendto(fd, line, strlen(line), 0,
				i % 2 ? (struct sockaddr *)&peer : NULL, i % 2 ? len : 0);
			if (i % 2 == 0)
				(void)close(fd);
		}
	}
}

/* Connects from this namespace: 0 and the answer, REFUSED or SILENT (no answer in 400 ms). */
static int ask(int type, const char *host, int port, char answer[128])
{
	struct sockaddr_storage a;
	socklen_t n = make_address(host, port, &a);
	int fd = socket(a.ss_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), error = 0;
	struct pollfd p = { fd, POLLOUT, 0 };
	socklen_t len = sizeof(error);
	ssize_t k;

	answer[0] = '\0';
	if (connect(fd, (struct sockaddr *)&a, n) < 0 && errno != EINPROGRESS) {
		(void)close(fd);
		return REFUSED;
	}
	if (poll(&p, 1, 400) != 1) {
		(void)close(fd);
		return SILENT;
	}
	(void)getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len);
	if (type == SOCK_DGRAM)
		(void)!send(fd, "?", 1, 0);
	p.events = POLLIN;
	k = error ? -1 : poll(&p, 1, 400) == 1 ? recv(fd, answer, 127, 0) : 0;
	(void)close(fd);
	if (k > 0)
		answer[k] = '\0';
	return k > 0 ? 0 : k < 0 ? REFUSED : SILENT;
}

/* The same from the namespace of a process. */
static int ask_from(pid_t pid, int type, const char *host, int port, char answer[128])
{
	int io[2], status;
	pid_t child;

	answer[0] = '\0';
	g_assert_cmpint(pipe2(io, O_CLOEXEC), ==, 0);
	child = fork();
	if (child == 0) {
		g_autofree char *path = g_strdup_printf("/proc/%d/ns/net", (int)pid);
		int fd = open(path, O_RDONLY | O_CLOEXEC), r;
		char text[128];

		if (fd < 0 || setns(fd, CLONE_NEWNET) < 0)
			_exit(99);
		r = ask(type, host, port, text);
		(void)!write(io[1], text, strlen(text));
		_exit(r);
	}
	(void)close(io[1]);
	ssize_t k = read(io[0], answer, 127);
	answer[k > 0 ? k : 0] = '\0';
	(void)close(io[0]);
	g_assert_cmpint(waitpid(child, &status, 0), ==, child);
	return WEXITSTATUS(status);
}

static void assert_answer(pid_t from, int type, const char *host, int port, const char *want)
{
	char answer[128];
	int r = from ? ask_from(from, type, host, port, answer) : ask(type, host, port, answer);

	if (r != 0 || !g_str_has_prefix(answer, want))
		g_error("%s to %s port %d from %d: result %d, '%s' instead of '%s'",
			type == SOCK_STREAM ? "tcp" : "udp", host, port, (int)from, r, answer,
			want);
}

static void assert_nothing(pid_t from, const char *host, int port)
{
	char answer[128];
	int r = from ? ask_from(from, SOCK_STREAM, host, port, answer)
		     : ask(SOCK_STREAM, host, port, answer);

	if (r == 0)
		g_error("%s port %d from %d answers '%s'", host, port, (int)from, answer);
}

/* --- guests ------------------------------------------------------------------------------------------- */

static const int ports[] = { 80, 81, 8000, 8001, 8002, 8009 };

/* A process in a network namespace of its own, that waits for a byte and then serves. */
static pid_t make_guest(int go[2], int (*inside)(void *), void *data)
{
	int ready[2];
	char c;
	pid_t pid;

	g_assert_cmpint(pipe2(ready, O_CLOEXEC), ==, 0);
	g_assert_cmpint(pipe2(go, O_CLOEXEC), ==, 0);
	pid = fork();
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (unshare(CLONE_NEWNET) < 0)
			_exit(99);
		(void)!write(ready[1], "r", 1);
		(void)close(go[1]);
		if (read(go[0], &c, 1) != 1 || inside(data) < 0)
			_exit(98);
		(void)!write(ready[1], "s", 1);
		serve(ports, G_N_ELEMENTS(ports));
	}
	(void)close(go[0]);
	g_assert_cmpint((int)read(ready[0], &c, 1), ==, 1);
	go[0] = ready[0];
	(void)close(ready[1]);
	return pid;
}

static void let_go(int go[2])
{
	char c;

	g_assert_cmpint((int)write(go[1], "g", 1), ==, 1);
	g_assert_cmpint((int)read(go[0], &c, 1), ==, 1);
	(void)close(go[0]);
	(void)close(go[1]);
	g_usleep(20000); /* the servers listen right after */
}

static int guest_inside(void *data)
{
	const struct guest *g = data;
	g_autofree char *a4 = g_strdup_printf("%s/16", g->address);
	g_autofree char *net = g_strndup(g->address, strrchr(g->address, '.') - g->address);
	g_autofree char *gateway = g_strdup_printf("%s.1", net);

	OK(RUN(step_link_up, "lo"));
	OK(RUN(step_addrgen, "eth0", "none"));
	OK(RUN(step_addr, "eth0", a4));
	if (g->address6) {
		g_autofree char *a6 = g_strdup_printf("%s/64", g->address6);

		OK(RUN(step_addr, "eth0", a6));
	}
	OK(RUN(step_link_up, "eth0"));
	OK(RUN(step_route, "default", gateway, "eth0"));
	if (g->address6)
		OK(RUN(step_route, "default", "fd99::1", "eth0"));
	OK(RUN(step_dns_socket, "127.0.0.11", "", ""));
	return 0;
}

static struct guest *start_guest(
	const char *ifname, const char *bridge, const char *address, const char *address6)
{
	struct guest *g = g_new0(struct guest, 1);
	struct addr a;
	g_autofree char *mac = NULL;
	int go[2];

	OK(addr_parse(address, &a));
	mac = g_strdup_printf("02:42:%02x:%02x:%02x:%02x", a.b[0], a.b[1], a.b[2], a.b[3]);
	g->address = address;
	g->address6 = address6;
	g->pid = make_guest(go, guest_inside, g);
	OK(step(&step_veth, false, g->pid, NULL, ifname, "eth0", bridge, mac, "", "1", "", NULL));
	let_go(go);
	return g;
}

static void end_guest(struct guest *g)
{
	(void)kill(g->pid, SIGKILL);
	(void)waitpid(g->pid, NULL, 0);
	g_free(g);
}

static int outside_inside(void *data)
{
	return shell("ip link set lo up; ip addr add 198.51.100.2/24 dev lan; ip link set lan up;"
		     "ip route add 10.99.0.0/16 via 198.51.100.1") == 0
		       ? 0
		       : -1;
}

/* This process becomes the host, with a machine beside it. */
static struct guest *make_host(void)
{
	struct guest *g = g_new0(struct guest, 1);
	int go[2];

	if (unshare(CLONE_NEWNET | CLONE_NEWNS) < 0)
		g_error("unshare: %s", g_strerror(errno));
	run_cmd("mount --make-rprivate / && mount -t sysfs sysfs /sys");
	run_cmd("ip link set lo up");
	g->pid = make_guest(go, outside_inside, NULL);
	run_cmd("ip link add lan0 type veth peer name lan netns %d", (int)g->pid);
	run_cmd("ip addr add 198.51.100.1/24 dev lan0; ip link set lan0 up");
	run_cmd("echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 "
		">/proc/sys/net/ipv6/conf/all/forwarding");
	let_go(go);
	return g;
}

static void make_network(
	const char *bridge, const char *address, const char *internal, const char *subnets)
{
	OK(RUN(step_nft_network, bridge, internal, subnets));
	OK(RUN(step_bridge, bridge, address, ""));
}

/* --- tests -------------------------------------------------------------------------------------------- */

/* Each test is the host of its own: in a child, so that its namespaces end with it. */
static void in_child(void (*fn)(struct guest *))
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		struct guest *outside = make_host();

		fn(outside);
		end_guest(outside);
		_exit(0);
	}
	g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
	g_assert_cmpint(status, ==, 0);
}

#define PUBLISH                                                                                   \
	"a", "tcp", "0.0.0.0", "8080", "8081", "10.99.0.2", "80", "udp", "0.0.0.0", "8080",       \
		"8080", "10.99.0.2", "80", "tcp", "0.0.0.0", "8000", "8009", "10.99.0.2", "8000", \
		"tcp", "127.0.0.1", "7000", "7001", "10.99.0.2", "80", "tcp", "::", "8080",       \
		"8081", "fd99::2", "80", "tcp", "0.0.0.0", "8090", "8090", "10.99.0.2", "8090",   \
		"tcp", "127.0.0.1", "7010", "7010", "10.99.0.2", "80"

/* PUBLISH is there. Another guest can't have any of it; the same step again can, as a restart does. */
static void check_taken(void)
{
	/* address, first, last: of what another guest wants; and the port that is refused */
	static const char *const taken[][4] = {
		{ "0.0.0.0", "7990", "8020", "8000" },	 /* around a range */
		{ "127.0.0.1", "8005", "8005", "8005" }, /* one address, where another has all */
		{ "0.0.0.0", "7001", "7001", "7001" },	 /* and the other way round */
		{ "0.0.0.0", "6000", "7500", "7000" },
		{ "127.0.0.1", "8085", "8095", "8090" }, /* around a single one */
		{ "0.0.0.0", "8090", "8090", "8090" },
		{ "127.0.0.1", "8090", "8090", "8090" },
		{ "0.0.0.0", "7010", "7010", "7010" },
		{ "127.0.0.1", "7010", "7010", "7010" },
		{ "127.0.0.1", "7009", "7011", "7010" },
	};
	struct err e = { 0 };

	OK(RUN(step_nft_publish, PUBLISH));
	g_assert_cmpint(step(&step_nft_publish, false, 0, &e, "b", "tcp", "0.0.0.0", "8002", "8002",
				"10.99.0.3", "80", NULL),
		==, -E_INUSE);
	g_assert_cmpstr(e.text, ==, "port 8002/tcp is in use by guest 'a'");
	g_assert_cmpint(step(&step_nft_publish, false, 0, &e, "b", "tcp", "0.0.0.0", "7999", "8002",
				"10.99.0.3", "80", NULL),
		==, -E_INUSE);
	for (size_t i = 0; i < G_N_ELEMENTS(taken); i++) {
		g_assert_cmpint(step(&step_nft_publish, false, 0, &e, "b", "tcp", taken[i][0],
					taken[i][1], taken[i][2], "10.99.0.3", "80", NULL),
			==, -E_INUSE);
		g_autofree char *text =
			g_strdup_printf("port %s/tcp is in use by guest 'a'", taken[i][3]);
		g_assert_cmpstr(e.text, ==, text);
	}
	OK(RUN(step_nft_publish, "b", "tcp", "127.0.0.2", "7000", "7001", "10.99.0.3", "80", "udp",
		"0.0.0.0", "8079", "8079", "10.99.0.3", "80"));
	OK(UNDO(step_nft_publish, "b", "tcp", "127.0.0.2", "7000", "7001", "10.99.0.3", "80", "udp",
		"0.0.0.0", "8079", "8079", "10.99.0.3", "80"));
	OK(UNDO(step_nft_publish, "b", "tcp", "0.0.0.0", "8002", "8002", "10.99.0.3", "80"));
	OK(UNDO(step_nft_publish, "b", "tcp", "0.0.0.0", "8000", "8009", "10.99.0.3", "8000"));
}

static void check_publish(struct guest *outside)
{
	struct guest *a, *b, *c;
	char answer[128];
	g_autofree char *before = NULL, *after = NULL;

	OK(RUN(step_nft_base, NULL));
	OK(RUN(step_nft_base, NULL));
	make_network("lodge0", "10.99.0.1/16,fd99::1/64", "", "10.99.0.0/16,fd99::/64");
	make_network("lodge0", "10.99.0.1/16,fd99::1/64", "",
		"10.99.0.0/16,fd99::/64"); /* again: nothing */
	make_network("lodge1", "10.98.0.1/16", "", "10.98.0.0/16");
	a = start_guest("lva", "lodge0", "10.99.0.2", "fd99::2");
	b = start_guest("lvb", "lodge0", "10.99.0.3", "fd99::3");
	c = start_guest("lvc", "lodge1", "10.98.0.2", NULL);
	before = output("nft list ruleset");
	OK(RUN(step_nft_publish, PUBLISH));
	/* from the host, by loopback, by its address and at the guest itself */
	assert_answer(0, SOCK_STREAM, "127.0.0.1", 8080, "80 ::ffff:10.99.0.1");
	assert_answer(0, SOCK_STREAM, "127.0.0.1", 8081, "81 ");
	assert_answer(0, SOCK_DGRAM, "127.0.0.1", 8080, "80 ::ffff:10.99.0.1");
	assert_answer(0, SOCK_STREAM, "198.51.100.1", 8001, "8001 ");
	assert_answer(0, SOCK_STREAM, "127.0.0.1", 7000, "80 ");
	assert_answer(0, SOCK_STREAM, "127.0.0.1", 7001, "81 ");
	assert_answer(0, SOCK_STREAM, "127.0.0.1", 7010, "80 ");
	assert_nothing(0, "198.51.100.1", 7000);
	assert_answer(0, SOCK_STREAM, "10.99.0.2", 80, "80 ");
	assert_answer(0, SOCK_STREAM, "fd99::2", 80, "80 fd99::1");
	assert_answer(0, SOCK_STREAM, "fd99::1", 8081, "81 ");
	g_assert_cmpint(ask(SOCK_STREAM, "::1", 8080, answer), ==, REFUSED);
	/* from the machine beside: published ones with its own address, others not at all */
	assert_answer(outside->pid, SOCK_STREAM, "198.51.100.1", 8080, "80 ::ffff:198.51.100.2");
	assert_answer(outside->pid, SOCK_STREAM, "198.51.100.1", 8009, "8009 ");
	assert_answer(outside->pid, SOCK_DGRAM, "198.51.100.1", 8080, "80 ");
	assert_nothing(outside->pid, "10.99.0.2", 80);
	assert_nothing(outside->pid, "198.51.100.1", 8010);
	/* from guests: the sibling, itself by the host's address, the other network by it, not directly */
	assert_answer(b->pid, SOCK_STREAM, "10.99.0.2", 80, "80 ::ffff:10.99.0.3");
	assert_answer(b->pid, SOCK_STREAM, "198.51.100.1", 8080, "80 ");
	assert_answer(a->pid, SOCK_STREAM, "198.51.100.1", 8080, "80 ");
	assert_answer(c->pid, SOCK_STREAM, "198.51.100.1", 8080, "80 ");
	assert_nothing(c->pid, "10.99.0.2", 80);
	assert_nothing(a->pid, "10.98.0.2", 80);
	/* out, masqueraded */
	assert_answer(a->pid, SOCK_STREAM, "198.51.100.2", 80, "80 ::ffff:198.51.100.1");
	check_taken();
	assert_answer(0, SOCK_STREAM, "127.0.0.1", 8002, "8002 ");
	OK(UNDO(step_nft_publish, PUBLISH));
	OK(UNDO(step_nft_publish, PUBLISH));
	after = output("nft list ruleset");
	g_assert_cmpstr(after, ==, before);
	assert_nothing(0, "127.0.0.1", 8080);
	end_guest(a);
	end_guest(b);
	end_guest(c);
}

static void test_publish(void)
{
	in_child(check_publish);
}

static void check_in_use(struct guest *outside)
{
	int fd = server_socket(SOCK_STREAM, 8080);
	struct err e = { 0 };

	OK(RUN(step_nft_base, NULL));
	g_assert_cmpint(step(&step_nft_publish, false, 0, &e, "a", "tcp", "0.0.0.0", "8079", "8081",
				"10.99.0.2", "80", NULL),
		==, -E_INUSE);
	g_assert_cmpstr(e.text, ==, "port 8080/tcp is in use on this host");
	g_assert_cmpint(step(&step_nft_publish, false, 0, &e, "a", "tcp", "192.0.2.77", "80", "80",
				"10.99.0.2", "80", NULL),
		==, -E_INVALID);
	(void)close(fd);
}

static void test_in_use(void)
{
	in_child(check_in_use);
}

static void check_internal(struct guest *outside)
{
	struct guest *a, *b;

	OK(RUN(step_nft_base, NULL));
	make_network("lodge0", "10.99.0.1/16", "1", "10.99.0.0/16");
	a = start_guest("lva", "lodge0", "10.99.0.2", NULL);
	b = start_guest("lvb", "lodge0", "10.99.0.3", NULL);
	assert_answer(a->pid, SOCK_STREAM, "10.99.0.3", 80, "80 ");
	assert_nothing(a->pid, "198.51.100.2", 80);
	assert_answer(0, SOCK_STREAM, "10.99.0.3", 80, "80 ");
	end_guest(a);
	end_guest(b);
}

static void test_internal(void)
{
	in_child(check_internal);
}

/* What the host's loopback offers stays the host's, though the bridge routes 127.0.0.1. */
static void check_loopback(struct guest *outside)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_storage addr;
	socklen_t n = make_address("127.0.0.1", 6000, &addr);
	char answer[128];
	struct guest *a;

	g_assert_cmpint(bind(fd, (struct sockaddr *)&addr, n), ==, 0);
	g_assert_cmpint(listen(fd, 4), ==, 0);
	OK(RUN(step_nft_base, NULL));
	make_network("lodge0", "10.99.0.1/16", "", "10.99.0.0/16");
	a = start_guest("lva", "lodge0", "10.99.0.2", NULL);
	run_cmd("nsenter -n -t %d sh -c 'ip addr del 127.0.0.1/8 dev lo; ip route add 127.0.0.1 "
		"via 10.99.0.1 dev eth0"
		" src 10.99.0.2; echo 1 >/proc/sys/net/ipv4/conf/eth0/route_localnet'",
		(int)a->pid);
	g_assert_cmpint(ask_from(a->pid, SOCK_STREAM, "127.0.0.1", 6000, answer), ==, SILENT);
	end_guest(a);
	(void)close(fd);
}

static void test_loopback(void)
{
	in_child(check_loopback);
}

/* A client that goes on sending while the guest behind its port is replaced. */
static void check_udp_goes_on(struct guest *outside)
{
	struct sockaddr_storage a;
	socklen_t n = make_address("198.51.100.1", 9000, &a);
	struct pollfd p = { socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), POLLIN, 0 };
	struct guest *one, *two;
	char answer[128];

	OK(RUN(step_nft_base, NULL));
	make_network("lodge0", "10.99.0.1/16", "", "10.99.0.0/16");
	one = start_guest("lva", "lodge0", "10.99.0.2", NULL);
	two = start_guest("lvb", "lodge0", "10.99.0.3", NULL);
	g_assert_cmpint(connect(p.fd, (struct sockaddr *)&a, n), ==, 0);
	OK(RUN(step_nft_publish, "one", "udp", "0.0.0.0", "9000", "9000", "10.99.0.2", "80"));
	g_assert_cmpint((int)send(p.fd, "?", 1, 0), ==, 1);
	g_assert_cmpint(poll(&p, 1, 500), ==, 1);
	g_assert_cmpint((int)recv(p.fd, answer, sizeof(answer), 0), >, 0);
	OK(UNDO(step_nft_publish, "one", "udp", "0.0.0.0", "9000", "9000", "10.99.0.2", "80"));
	end_guest(one);
	OK(RUN(step_nft_publish, "two", "udp", "0.0.0.0", "9000", "9000", "10.99.0.3", "81"));
	g_assert_cmpint((int)send(p.fd, "?", 1, 0), ==, 1);
	g_assert_cmpint(poll(&p, 1, 500), ==, 1);
	n = (socklen_t)recv(p.fd, answer, sizeof(answer) - 1, 0);
	g_assert_cmpuint(n, <, sizeof(answer));
	answer[n] = '\0';
	g_assert_true(g_str_has_prefix(answer, "81 "));
	end_guest(two);
	(void)close(p.fd);
}

static void test_udp_goes_on(void)
{
	in_child(check_udp_goes_on);
}

static bool link_there(const char *name)
{
	g_autofree char *path = g_strdup_printf("/sys/class/net/%s", name);

	return access(path, F_OK) == 0;
}

static void check_ends(struct guest *outside)
{
	g_autofree char *before = NULL, *after = NULL;
	g_autofree char *sharers = g_dir_make_tmp("sharers-XXXXXX", NULL);
	g_autofree char *sharer = g_build_filename(sharers, "other", NULL);
	struct guest *a;
	struct err e = { 0 };

	run_cmd("nft add table inet theirs; nft add chain inet theirs c");
	before = output("nft list ruleset");
	OK(RUN(step_nft_base, NULL));
	make_network("lodge0", "10.99.0.1/16", "", "10.99.0.0/16");
	a = start_guest("lva", "lodge0", "10.99.0.2", NULL);
	g_assert_true(link_there("lva"));
	/* another guest shares the namespace: the pair goes at once */
	OK(step(&step_veth, true, 0, NULL, "lva", "eth0", "lodge0", "", "", "", sharers, NULL));
	g_assert_true(link_there("lva"));
	g_assert_cmpint(symlink("x", sharer), ==, 0);
	OK(step(&step_veth, true, 0, NULL, "lva", "eth0", "lodge0", "", "", "", sharers, NULL));
	g_assert_false(link_there("lva"));
	(void)unlink(sharer);
	(void)rmdir(sharers);
	end_guest(a);
	/* else with the guest's last process, soon; and a restart needn't wait for it */
	a = start_guest("lva", "lodge0", "10.99.0.2", NULL);
	end_guest(a);
	a = start_guest("lva", "lodge0", "10.99.0.2", NULL);
	assert_answer(0, SOCK_STREAM, "10.99.0.2", 80, "80 ");
	end_guest(a);
	for (int i = 0; link_there("lva") && i < 500; i++)
		g_usleep(10000);
	g_assert_false(link_there("lva"));
	OK(RUN(step_link_delete, "lodge0"));
	OK(RUN(step_link_delete, "lodge0"));
	OK(RUN(step_nft_forget, "lodge0", "", "10.99.0.0/16"));
	OK(RUN(step_nft_forget, "lodge0", "", "10.99.0.0/16"));
	g_assert_false(link_there("lodge0"));
	run_cmd("nft delete table inet lodge");
	after = output("nft list ruleset");
	g_assert_cmpstr(after, ==, before);
	run_cmd("ip link add lodge0 type veth peer name other");
	g_assert_cmpint(step(&step_bridge, false, 0, &e, "lodge0", "10.99.0.1/16", "", NULL), ==,
		-E_EXISTS);
}

static void test_ends(void)
{
	in_child(check_ends);
}

static int macvlan_inside(void *data)
{
	OK(RUN(step_link_up, "lo"));
	OK(RUN(step_addr, "eth0", "198.51.100.7/24"));
	OK(RUN(step_link_up, "eth0"));
	OK(RUN(step_route, "default", "198.51.100.1", "eth0"));
	return 0;
}

static void check_macvlan(struct guest *outside)
{
	int go[2], r;
	pid_t pid = make_guest(go, macvlan_inside, NULL);

	r = step(&step_macvlan, false, pid, NULL, "eth0", "lan0", "bridge", "02:42:c6:33:64:07",
		NULL);
	if (r == -E_UNSUPPORTED)
		exit(0);
	OK(r);
	g_assert_cmpint(step(&step_macvlan, false, pid, NULL, "eth1", "lan0", "sideways", "", NULL),
		==, -EINVAL);
	let_go(go);
	assert_answer(pid, SOCK_STREAM, "198.51.100.2", 80, "80 ::ffff:198.51.100.7");
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
}

static void test_macvlan(void)
{
	in_child(check_macvlan);
}

/* 1,000 ports that are no range, each another in the guest: one transaction. */
static void check_many(struct guest *outside)
{
	struct step_run r = { 0 };
	g_autoptr(GPtrArray) arg = g_ptr_array_new_with_free_func(g_free);
	g_autofree char *before = NULL, *after = NULL;
	gint64 begin;
	struct step s;

	OK(RUN(step_nft_base, NULL));
	before = output("nft list ruleset");
	g_ptr_array_add(arg, g_strdup("many"));
	for (int i = 0; i < 1000; i++) {
		g_ptr_array_add(arg, g_strdup("tcp"));
		g_ptr_array_add(arg, g_strdup("0.0.0.0"));
		g_ptr_array_add(arg, g_strdup_printf("%d", 20000 + 2 * i));
		g_ptr_array_add(arg, g_strdup_printf("%d", 20000 + 2 * i));
		g_ptr_array_add(arg, g_strdup("10.99.0.2"));
		g_ptr_array_add(arg, g_strdup_printf("%d", i + 1));
	}
	s = (struct step){ .op = &step_nft_publish, .n = arg->len };
	g_ptr_array_add(arg, NULL);
	s.arg = (const char *const *)arg->pdata;
	begin = g_get_monotonic_time();
	OK(step_nft_publish.run(&r, &s, NULL));
	OK(step_nft_publish.run(&r, &s, NULL)); /* as on a restart: they are ours */
	g_test_message("1000 ports, asked for twice: %.1f ms",
		(double)(g_get_monotonic_time() - begin) / 1000);
	begin = g_get_monotonic_time();
	OK(step_nft_publish.undo(&r, &s, NULL));
	g_test_message("undone in %.1f ms", (double)(g_get_monotonic_time() - begin) / 1000);
	after = output("nft list ruleset");
	g_assert_cmpstr(after, ==, before);
}

static void test_many(void)
{
	in_child(check_many);
}

/* In processes of their own, `count` at once: the i-th publishes "80" on `host` port first + i * apart. Returns
 * how many could. */
static int publish_at_once(int count, const char *const host[2], int first, int apart)
{
	int good = 0, status;

	for (int i = 0; i < count; i++) {
		pid_t pid = fork();
		struct err e = { 0 };
		char owner[16], port[16];

		g_assert_cmpint(pid, >=, 0);
		if (pid > 0)
			continue;
		(void)snprintf(owner, sizeof(owner), "g%d", i);
		(void)snprintf(port, sizeof(port), "%d", first + i * apart);
		_exit(-step(&step_nft_publish, false, 0, &e, owner, "tcp", host[i % 2], port, port,
			      i % 2 ? "10.99.0.3" : "10.99.0.2", "80", NULL) &
			0xff);
	}
	for (int i = 0; i < count; i++) {
		g_assert_cmpint(wait(&status), >, 0);
		g_assert_true(WIFEXITED(status));
		good += WEXITSTATUS(status) == 0;
	}
	return good;
}

/* Two kinds of element, which the kernel doesn't compare: a port on all addresses, and on one. */
static void check_at_once(struct guest *outside)
{
	static const char *const host[2] = { "0.0.0.0", "127.0.0.1" };

	OK(RUN(step_nft_base, NULL));
	g_assert_cmpint(publish_at_once(24, host, 21000, 1), ==, 24);
	for (int i = 0; i < 20; i++) {
		g_assert_cmpint(publish_at_once(2, host, 22000 + i, 0), ==, 1);
	}
}

static void test_at_once(void)
{
	in_child(check_at_once);
}

int main(int argc, char **argv)
{
	g_autofree char *nft = g_find_program_in_path("nft");
	g_autofree char *ip = g_find_program_in_path("ip");

	g_test_init(&argc, &argv, NULL);
	if (geteuid() != 0 || !nft || !ip) {
		puts("1..0 # SKIP needs root, nft and ip");
		return 0;
	}
	/* a kernel that runs on somebody else's root file system doesn't find its modules by itself */
	if (shell("modprobe -qa veth bridge macvlan nft_nat nft_masq nft_chain_nat nft_fib_inet "
		  "nft_ct"
		  " nf_conntrack_netlink 2>/dev/null") != 0)
		g_test_message("not all modules are there: built in, or missed");
	g_test_add_func("/net/publish", test_publish);
	g_test_add_func("/net/in-use", test_in_use);
	g_test_add_func("/net/internal", test_internal);
	g_test_add_func("/net/loopback", test_loopback);
	g_test_add_func("/net/udp-goes-on", test_udp_goes_on);
	g_test_add_func("/net/ends", test_ends);
	g_test_add_func("/net/macvlan", test_macvlan);
	g_test_add_func("/net/many", test_many);
	g_test_add_func("/net/at-once", test_at_once);
	return g_test_run();
}
