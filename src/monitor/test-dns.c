/* SPDX-License-Identifier: MIT */
/* The DNS server of a guest, in a network namespace of the test's own, with servers of its own above it. */
#include <arpa/inet.h>
#include <errno.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "monitor/dns.h"
#include "wire/dns.h"

#define ABOVE 3 /* servers 127.0.0.2, 127.0.0.3 ... */

static int guest_socket, above[ABOVE];
static char *folder;

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

static int bound(const char *address, int port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	g_assert_cmpint(inet_pton(AF_INET, address, &a.sin_addr), ==, 1);
	g_assert_cmpint(bind(fd, (struct sockaddr *)&a, sizeof(a)), ==, 0);
	return fd;
}

static size_t make_query(uint8_t *p, uint16_t id, const char *name, uint16_t type)
{
	uint8_t *at = p + DNS_HEADER;

	memset(p, 0, DNS_HEADER);
	dns_set_id(p, id);
	p[2] = 1;
	p[5] = 1;
	for (const char *s = name; *s; s += strcspn(s, "."), s += *s == '.') {
		size_t n = strcspn(s, ".");

		*at++ = (uint8_t)n;
		memcpy(at, s, n);
		at += n;
	}
	*at++ = 0;
	dns_set_id(at, type);
	dns_set_id(at + 2, DNS_IN);
	return (size_t)(at + 4 - p);
}

/* The addresses of a reply as text, in order; "rcode N" where it isn't 0. */
static char *show_reply(const uint8_t *p, size_t n)
{
	struct dns_query q;
	enum dns_rcode rcode;
	bool cut;
	GString *s = g_string_new(NULL);
	unsigned answers = dns_id(p + 6);

	g_assert_cmpint(dns_parse_reply(p, n, &q, &rcode, &cut), ==, 0);
	if (rcode)
		g_string_append_printf(s, "rcode %d", rcode);
	for (size_t at = q.question_end; answers-- > 0; at += 12 + (size_t)dns_id(p + at + 10)) {
		char text[INET6_ADDRSTRLEN] = "?";
		unsigned type = dns_id(p + at + 2);

		if (type == DNS_PTR)
			for (const uint8_t *l = p + at + 12; *l; l += *l + 1)
				g_string_append_printf(s, "%.*s.", *l, (const char *)l + 1);
		else
			g_string_append_printf(s, "%s%s", s->len ? " " : "",
				inet_ntop(type == DNS_A ? AF_INET : AF_INET6, p + at + 12, text,
					sizeof(text)));
	}
	return g_string_free(s, FALSE);
}

static void turn(struct dns_server *d, int64_t now)
{
	int fd;
	struct pollfd p;

	g_assert_cmpuint(dns_server_fds(d, &fd, 1), ==, 1);
	p = (struct pollfd){ fd, POLLIN, 0 };
	while (poll(&p, 1, 20) == 1)
		dns_server_ready(d, fd, now);
}

static int new_client(void)
{
	struct sockaddr_in a;
	socklen_t size = sizeof(a);
	int fd = bound("127.0.0.1", 0);

	g_assert_cmpint(getsockname(guest_socket, (struct sockaddr *)&a, &size), ==, 0);
	g_assert_cmpint(connect(fd, (struct sockaddr *)&a, size), ==, 0);
	return fd;
}

/* What the server says without asking anybody; "silence" when it says nothing. */
static char *ask_once(
	struct dns_server *d, int client, uint16_t id, const char *name, uint16_t type, int64_t now)
{
	uint8_t p[DNS_MESSAGE_MAX];
	size_t n = make_query(p, id, name, type);
	ssize_t k;

	g_assert_cmpint(send(client, p, n, 0), ==, n);
	turn(d, now);
	k = recv(client, p, sizeof(p), 0);
	if (k < 0)
		return g_strdup("silence");
	g_assert_cmpuint(dns_id(p), ==, id);
	return show_reply(p, (size_t)k);
}

/* What a server above got, if anything: answers it with an address or an rcode. */
static bool answer_above(int k, const char *want, enum dns_rcode rcode)
{
	uint8_t in[DNS_MESSAGE_MAX], out[DNS_MESSAGE_MAX];
	struct sockaddr_in from;
	socklen_t size = sizeof(from);
	struct dns_query q;
	struct dns_reply r;
	ssize_t n = recvfrom(above[k], in, sizeof(in), 0, (struct sockaddr *)&from, &size);

	if (n < 0)
		return false;
	g_assert_cmpint(dns_parse_query(in, (size_t)n, &q), ==, 0);
	g_assert_cmpstr(q.name, ==, want);
	dns_reply_begin(&r, out, sizeof(out), &q, in, rcode);
	if (rcode == DNS_NOERROR)
		dns_reply_address(&r, (const uint8_t *)"\300\0\2\1", 4, 60);
	n = (ssize_t)dns_reply_end(&r);
	g_assert_cmpint(sendto(above[k], out, (size_t)n, 0, (struct sockaddr *)&from, size), ==, n);
	return true;
}

static char *received(int client)
{
	uint8_t p[DNS_MESSAGE_MAX];
	ssize_t k = recv(client, p, sizeof(p), 0);

	return k < 0 ? g_strdup("silence") : show_reply(p, (size_t)k);
}

static struct dns_server *make_server(const char *upstreams)
{
	g_autofree char *names = g_strdup_printf("%s/front/names,%s/back/names", folder, folder);
	struct dns_server *d;

	guest_socket = bound("127.0.0.11", 53);
	d = dns_server_new(guest_socket, names, upstreams, false);
	g_assert_nonnull(d);
	return d;
}

static void add_link(const char *name, const char *target)
{
	g_autofree char *path = g_build_filename(folder, name, NULL);

	g_assert_cmpint(symlink(target, path), ==, 0);
}

#define ASSERT_SAYS(call, want)                   \
	do {                                      \
		g_autofree char *says_ = (call);  \
		g_assert_cmpstr(says_, ==, want); \
	} while (0)

static void test_names(void)
{
	struct dns_server *d = make_server("");
	int c = new_client();

	add_link("front/names/web", "10.88.0.2,fd88::2");
	add_link("front/names/@10.88.0.2", "web");
	add_link("front/names/@fd88::2", "web");
	add_link("back/names/many", "10.89.0.2");
	add_link("back/names/many~1", "10.89.0.3");
	ASSERT_SAYS(ask_once(d, c, 1, "web", DNS_A, 0), "10.88.0.2");
	ASSERT_SAYS(ask_once(d, c, 2, "WEB.Front", DNS_A, 0), "10.88.0.2");
	ASSERT_SAYS(ask_once(d, c, 3, "web", DNS_AAAA, 0), "fd88::2");
	ASSERT_SAYS(ask_once(d, c, 4, "web", 16, 0), ""); /* TXT: ours, but there is none */
	ASSERT_SAYS(ask_once(d, c, 5, "many", DNS_AAAA, 0), "");
	ASSERT_SAYS(ask_once(d, c, 6, "web.back", DNS_A, 0), "rcode 2");
	ASSERT_SAYS(ask_once(d, c, 7, "nobody", DNS_A, 0), "rcode 3");
	ASSERT_SAYS(ask_once(d, c, 8, "2.0.88.10.in-addr.arpa", DNS_PTR, 0), "web.front.");
	/* each guest of a name comes first in turn */
	g_autofree char *one = ask_once(d, c, 9, "many", DNS_A, 0);
	g_autofree char *two = ask_once(d, c, 10, "many", DNS_A, 0);
	g_assert_true(
		strcmp(one, "10.89.0.2 10.89.0.3") == 0 || strcmp(one, "10.89.0.3 10.89.0.2") == 0);
	g_assert_cmpstr(one, !=, two);
	/* names that are paths */
	ASSERT_SAYS(ask_once(d, c, 11, "x/web", DNS_A, 0), "rcode 3");
	ASSERT_SAYS(ask_once(d, c, 12, "many~1", DNS_A, 0), "rcode 3");
	(void)close(c);
	dns_server_free(d);
}

static void test_pass_on(void)
{
	struct dns_server *d = make_server("127.0.0.2,127.0.0.3,127.0.0.4");
	int c = new_client(), other = new_client();

	/* two clients with the same id */
	ASSERT_SAYS(ask_once(d, c, 1, "example.org", DNS_A, 0), "silence");
	ASSERT_SAYS(ask_once(d, other, 1, "example.net", DNS_A, 0), "silence");
	g_assert_true(answer_above(0, "example.org", DNS_NOERROR));
	g_assert_true(answer_above(0, "example.net", DNS_NXDOMAIN));
	turn(d, 0);
	ASSERT_SAYS(received(c), "192.0.2.1");
	ASSERT_SAYS(received(other), "rcode 3");
	/* a server that can't: the next is asked, and stays the one that is */
	ASSERT_SAYS(ask_once(d, c, 2, "example.org", DNS_A, 0), "silence");
	g_assert_true(answer_above(0, "example.org", DNS_SERVFAIL));
	turn(d, 0);
	g_assert_true(answer_above(1, "example.org", DNS_NOERROR));
	turn(d, 0);
	ASSERT_SAYS(received(c), "192.0.2.1");
	ASSERT_SAYS(ask_once(d, c, 3, "example.org", DNS_A, 0), "silence");
	g_assert_true(answer_above(1, "example.org", DNS_NOERROR));
	turn(d, 0);
	ASSERT_SAYS(received(c), "192.0.2.1");
	/* one that is silent: the client asks again, the next gets it */
	ASSERT_SAYS(ask_once(d, c, 4, "example.org", DNS_A, 0), "silence");
	ASSERT_SAYS(ask_once(d, c, 4, "example.org", DNS_A, 5), "silence");
	g_assert_true(answer_above(2, "example.org", DNS_NOERROR));
	turn(d, 6);
	ASSERT_SAYS(received(c), "192.0.2.1");
	/* none can */
	ASSERT_SAYS(ask_once(d, c, 5, "example.org", DNS_A, 0), "silence");
	g_assert_true(
		answer_above(1, "example.org", DNS_NOERROR)); /* the late one is of question 4 */
	for (int i = 0; i < ABOVE; i++) {
		g_assert_true(answer_above((i + 2) % ABOVE, "example.org", DNS_REFUSED));
		turn(d, 7);
	}
	ASSERT_SAYS(received(c), "rcode 5");
	(void)close(c);
	(void)close(other);
	dns_server_free(d);
}

/* Nobody listens at the first: the kernel says so, and the next is asked. */
static void test_dead(void)
{
	struct dns_server *d = make_server("127.0.0.77,127.0.0.2");
	int c = new_client();

	ASSERT_SAYS(ask_once(d, c, 1, "example.org", DNS_A, 0), "silence");
	g_assert_true(answer_above(0, "example.org", DNS_NOERROR));
	turn(d, 0);
	ASSERT_SAYS(received(c), "192.0.2.1");
	(void)close(c);
	dns_server_free(d);
	d = make_server("127.0.0.77");
	c = new_client();
	ASSERT_SAYS(ask_once(d, c, 1, "example.org", DNS_A, 0), "rcode 2");
	(void)close(c);
	dns_server_free(d);
}

/* More questions than are remembered, none answered: the newest are served. */
static void test_flood(void)
{
	struct dns_server *d = make_server("127.0.0.2");
	int c = new_client();

	for (uint16_t i = 0; i < 200; i++) {
		uint8_t p[64];
		size_t n = make_query(p, i, "example.org", DNS_A);

		g_assert_cmpint(send(c, p, n, 0), ==, n);
		if (i % 50 == 49)
			turn(d, i);
	}
	for (int i = 0; i < 200; i++)
		g_assert_true(answer_above(0, "example.org", DNS_NOERROR));
	turn(d, 300);
	for (int i = 0; i < 32; i++)
		ASSERT_SAYS(received(c), "192.0.2.1");
	ASSERT_SAYS(received(c), "silence");
	(void)close(c);
	dns_server_free(d);
}

static void test_file(void)
{
	g_autofree char *path = g_build_filename(folder, "resolv.conf", NULL);
	struct dns_server *d;
	int c;

	g_assert_true(g_file_set_contents(path,
		"# nameserver 1.2.3.4\nsearch x\nnameserver\t127.0.0.3 \nnameserver bad\n", -1,
		NULL));
	d = make_server(path);
	c = new_client();
	ASSERT_SAYS(ask_once(d, c, 1, "example.org", DNS_A, 0), "silence");
	g_assert_true(answer_above(1, "example.org", DNS_NOERROR));
	turn(d, 0);
	ASSERT_SAYS(received(c), "192.0.2.1");
	/* the host moves to another network */
	g_assert_true(g_file_set_contents(path, "nameserver 127.0.0.4\n", -1, NULL));
	ASSERT_SAYS(ask_once(d, c, 2, "example.org", DNS_A, 0), "silence");
	g_assert_true(answer_above(2, "example.org", DNS_NOERROR));
	turn(d, 0);
	ASSERT_SAYS(received(c), "192.0.2.1");
	(void)g_unlink(path);
	ASSERT_SAYS(ask_once(d, c, 3, "example.org", DNS_A, 0), "silence");
	g_assert_true(answer_above(2, "example.org", DNS_NOERROR));
	(void)close(c);
	dns_server_free(d);
}

static void test_rubbish(void)
{
	struct dns_server *d = make_server("127.0.0.2");
	int c = new_client();
	uint8_t p[64] = { 0, 9, 1, 0, 0, 2 };

	g_assert_cmpint(send(c, p, 12, 0), ==, 12);
	turn(d, 0);
	g_assert_cmpint(recv(c, p, sizeof(p), 0), ==, 12);
	g_assert_cmpint(p[3] & 15, ==, DNS_FORMERR);
	p[2] = 0x28;
	g_assert_cmpint(send(c, p, 12, 0), ==, 12);
	turn(d, 0);
	g_assert_cmpint(recv(c, p, sizeof(p), 0), ==, 12);
	g_assert_cmpint(send(c, p, 5, 0), ==, 5);
	turn(d, 0);
	g_assert_cmpint(recv(c, p, sizeof(p), 0), <, 0);
	(void)close(c);
	dns_server_free(d);
}

int main(int argc, char **argv)
{
	int r;

	g_test_init(&argc, &argv, NULL);
	if (geteuid() != 0 || unshare(CLONE_NEWNET) < 0 || shell("ip link set lo up") != 0) {
		puts("1..0 # SKIP needs root and ip");
		return 0;
	}
	folder = g_dir_make_tmp("dns-XXXXXX", NULL);
	g_assert_nonnull(folder);
	for (int i = 0; i < ABOVE; i++) {
		g_autofree char *a = g_strdup_printf("127.0.0.%d", i + 2);

		above[i] = bound(a, 53);
	}
	g_autofree char *front = g_build_filename(folder, "front/names", NULL);
	g_autofree char *back = g_build_filename(folder, "back/names", NULL);
	g_assert_cmpint(
		g_mkdir_with_parents(front, 0700) | g_mkdir_with_parents(back, 0700), ==, 0);
	g_test_add_func("/monitor-dns/names", test_names);
	g_test_add_func("/monitor-dns/pass-on", test_pass_on);
	g_test_add_func("/monitor-dns/dead", test_dead);
	g_test_add_func("/monitor-dns/flood", test_flood);
	g_test_add_func("/monitor-dns/file", test_file);
	g_test_add_func("/monitor-dns/rubbish", test_rubbish);
	r = g_test_run();
	g_autofree char *rm = g_strdup_printf("rm -rf %s", folder);
	if (shell(rm) != 0)
		r = 1;
	return r;
}
