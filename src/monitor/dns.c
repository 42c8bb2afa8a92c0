/* SPDX-License-Identifier: MIT */
#include "monitor/dns.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <limits.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "host/addr.h"
#include "wire/dns.h"

#define UPSTREAMS_MAX 4
#define PENDING_MAX   32
#define QUERY_MAX     288 /* bytes: the longest question with EDNS; longer ones lose their options */
#define PENDING_NS    (10 * INT64_C(1000000000))
#define NAME_TTL      5	 /* seconds: guests come and go */
#define SAME_NAME_MAX 16 /* links NAME, NAME~1 ... of step "name" */
#define BATCH	      8	 /* packets a call, so that nobody else in the loop waits long */
#define FILE_TEXT_MAX 4096

/* Clearing buffers of packets would dirty memory for nothing. */
#define UNCLEARED __attribute__((uninitialized))

struct upstream {
	struct sockaddr_storage addr;
	socklen_t size;
};

/* A question that was passed on. */
struct pending {
	int fd; /* 0: free */
	uint16_t id, client_id;
	uint16_t size;
	uint8_t upstream, tried;
	struct sockaddr_in client;
	int64_t since;
	uint8_t query[QUERY_MAX];
};

struct dns_server {
	int guest, epoll;
	bool framed;
	const char *names, *upstreams;
	unsigned turn;	  /* the next of several addresses of a name comes first */
	unsigned current; /* the upstream that answered last */
	unsigned n_upstreams;
	bool from_file;
	struct timespec mtime;
	ino_t inode;
	struct upstream upstream[UPSTREAMS_MAX];
	struct pending pending[PENDING_MAX];
};

/* --- upstreams ------------------------------------------------------------------------------------------ */

/* An address with an optional "%interface". */
static void add_upstream(struct dns_server *d, const char *text, size_t n)
{
	char one[ADDR_TEXT_MAX + IF_NAMESIZE];
	struct upstream *u = &d->upstream[d->n_upstreams];
	char *scope;
	struct addr a;

	if (d->n_upstreams == UPSTREAMS_MAX || n == 0 || n >= sizeof(one))
		return;
	memcpy(one, text, n);
	one[n] = '\0';
	scope = strchr(one, '%');
	if (scope)
		*scope++ = '\0';
	if (addr_parse(one, &a) < 0)
		return;
	*u = (struct upstream){ 0 };
	if (a.family == AF_INET6) {
		struct sockaddr_in6 *in = (struct sockaddr_in6 *)&u->addr;

		in->sin6_family = AF_INET6;
		in->sin6_port = htons(53);
		memcpy(&in->sin6_addr, a.b, 16);
		in->sin6_scope_id = scope ? if_nametoindex(scope) : 0;
		u->size = sizeof(*in);
	} else {
		struct sockaddr_in *in = (struct sockaddr_in *)&u->addr;

		in->sin_family = AF_INET;
		in->sin_port = htons(53);
		memcpy(&in->sin_addr, a.b, 4);
		u->size = sizeof(*in);
	}
	d->n_upstreams++;
}

static void parse_resolv_conf(struct dns_server *d, const char *text)
{
	for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n') {
		const char *p = line + strspn(line, " \t");

		if (strncmp(p, "nameserver", 10) != 0 || (p[10] != ' ' && p[10] != '\t'))
			continue;
		p += 10;
		p += strspn(p, " \t");
		add_upstream(d, p, strcspn(p, " \t\r\n#;"));
	}
}

/* Reads the file when it isn't the one that was read last. */
static void refresh(struct dns_server *d)
{
	_cleanup_close_ int fd = -1;
	char text[FILE_TEXT_MAX] UNCLEARED;
	struct stat st;
	ssize_t n;

	if (!d->from_file || stat(d->upstreams, &st) < 0)
		return;
	if (st.st_ino == d->inode && st.st_mtim.tv_sec == d->mtime.tv_sec &&
		st.st_mtim.tv_nsec == d->mtime.tv_nsec)
		return;
	fd = open(d->upstreams, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n < 0)
		return;
	text[n] = '\0';
	d->inode = st.st_ino;
	d->mtime = st.st_mtim;
	d->n_upstreams = d->current = 0;
	parse_resolv_conf(d, text);
}

/* --- names of ours -------------------------------------------------------------------------------------- */

struct found {
	unsigned n4, n6;
	bool any;
	uint8_t a4[SAME_NAME_MAX][4], a6[SAME_NAME_MAX][16];
};

static void take_addresses(struct found *f, const char *list)
{
	char one[ADDR_TEXT_MAX];
	struct addr a;

	f->any = true;
	for (const char *p = list; *p;) {
		size_t n = strcspn(p, ",");

		if (n < sizeof(one)) {
			memcpy(one, p, n);
			one[n] = '\0';
			if (addr_parse(one, &a) == 0) {
				if (a.family == AF_INET && f->n4 < SAME_NAME_MAX)
					memcpy(f->a4[f->n4++], a.b, 4);
				if (a.family == AF_INET6 && f->n6 < SAME_NAME_MAX)
					memcpy(f->a6[f->n6++], a.b, 16);
			}
		}
		p += n + (p[n] == ',');
	}
}

/* The link's target, or false. */
static bool read_link(char *out, size_t size, const char *fmt, ...) _printf_(3, 4);
static bool read_link(char *out, size_t size, const char *fmt, ...)
{
	char path[PATH_MAX] UNCLEARED;
	va_list ap;
	ssize_t n;
	int k;

	va_start(ap, fmt);
	k = vsnprintf(path, sizeof(path), fmt, ap);
	va_end(ap);
	if (k < 0 || (size_t)k >= sizeof(path))
		return false;
	n = readlink(path, out, size - 1);
	if (n < 0)
		return false;
	out[n] = '\0';
	return true;
}

/* NET of "RUN/networks/NET/names". */
static const char *network_of(const char *dir, size_t size, size_t *ret)
{
	const char *end = memrchr(dir, '/', size);
	const char *begin = end ? memrchr(dir, '/', (size_t)(end - dir)) : NULL;

	if (!begin)
		return NULL;
	*ret = (size_t)(end - begin - 1);
	return begin + 1;
}

/* The name without ".NET" at its end; its length. */
static size_t strip_network(const char *name, const char *net, size_t net_size)
{
	size_t n = strlen(name);

	if (net && n > net_size + 1 && name[n - net_size - 1] == '.' &&
		strncasecmp(name + n - net_size, net, net_size) == 0)
		return n - net_size - 1;
	return 0;
}

static void find_in(
	const char *dir, size_t dir_size, const char *name, size_t size, struct found *f)
{
	char target[ADDR_TEXT_MAX * 2];

	if (size == 0 || size > NAME_MAX - 4)
		return;
	for (unsigned k = 0; k < SAME_NAME_MAX; k++) {
		char more[8] = "";

		if (k)
			(void)snprintf(more, sizeof(more), "~%u", k);
		if (!read_link(target, sizeof(target), "%.*s/%.*s%s", (int)dir_size, dir, (int)size,
			    name, more))
			return;
		take_addresses(f, target);
	}
}

/* Only what can be in a host's name, so that the name is no path. */
static bool is_host_name(const char *name)
{
	return name[0] && name[0] != '.' && !strchr(name, '?') && !strchr(name, '/');
}

static void find_name(const struct dns_server *d, const char *name, struct found *f)
{
	if (!is_host_name(name))
		return;
	for (const char *p = d->names; *p && !f->any;) {
		size_t n = strcspn(p, ","), net_size = 0, stripped;
		const char *net = network_of(p, n, &net_size);

		find_in(p, n, name, strlen(name), f);
		stripped = strip_network(name, net, net_size);
		if (!f->any && stripped)
			find_in(p, n, name, stripped, f);
		p += n + (p[n] == ',');
	}
}

/* The name of an address of ours, "web.NET"; false: not ours. */
static bool find_pointer(const struct dns_server *d, const char *arpa, char out[DNS_NAME_MAX + 1])
{
	struct addr a = { 0 };
	char text[ADDR_TEXT_MAX], name[DNS_NAME_MAX + 1];
	size_t size = dns_parse_arpa(arpa, a.b);

	if (!size)
		return false;
	a.family = size == 16 ? AF_INET6 : AF_INET;
	addr_show(&a, false, text);
	for (const char *p = d->names; *p;) {
		size_t n = strcspn(p, ","), net_size = 0;
		const char *net = network_of(p, n, &net_size);

		if (read_link(name, sizeof(name), "%.*s/@%s", (int)n, p, text)) {
			int k = snprintf(out, DNS_NAME_MAX + 1, "%s.%.*s", name,
				net ? (int)net_size : 0, net ? net : "");

			return k > 0 && k <= DNS_NAME_MAX;
		}
		p += n + (p[n] == ',');
	}
	return false;
}

/* --- answering ------------------------------------------------------------------------------------------ */

/* The asker's address of a framed message: address and port, as they lie in memory. */
#define FRAME_SIZE 6

static void reply(struct dns_server *d, const struct sockaddr_in *to, const uint8_t *p, size_t n)
{
	uint8_t frame[FRAME_SIZE];
	struct iovec v[2] = { { frame, sizeof(frame) }, { (void *)(uintptr_t)p, n } };
	struct msghdr h = { .msg_iov = v, .msg_iovlen = 2 };

	if (d->framed) {
		memcpy(frame, &to->sin_addr, 4);
		memcpy(frame + 4, &to->sin_port, 2);
		(void)sendmsg(d->guest, &h, MSG_DONTWAIT | MSG_NOSIGNAL);
		return;
	}
	(void)sendto(d->guest, p, n, MSG_DONTWAIT | MSG_NOSIGNAL, (const struct sockaddr *)to,
		sizeof(*to));
}

static void reply_code(struct dns_server *d, const struct sockaddr_in *to,
	const struct dns_query *q, const uint8_t *query, enum dns_rcode rcode)
{
	uint8_t out[DNS_UDP_MIN] UNCLEARED;
	struct dns_reply r;

	dns_reply_begin(&r, out, sizeof(out), q, query, rcode);
	reply(d, to, out, dns_reply_end(&r));
}

/* Whether the question was about something of ours and is answered. */
static bool answer_own(struct dns_server *d, const struct sockaddr_in *to,
	const struct dns_query *q, const uint8_t *query)
{
	uint8_t out[DNS_UDP_MIN * 2] UNCLEARED;
	char pointer[DNS_NAME_MAX + 1];
	struct found f = { 0 };
	struct dns_reply r;

	if (q->class != DNS_IN)
		return false;
	if (q->type == DNS_PTR) {
		if (!find_pointer(d, q->name, pointer))
			return false;
		dns_reply_begin(&r, out, sizeof(out), q, query, DNS_NOERROR);
		dns_reply_name(&r, pointer, NAME_TTL);
		reply(d, to, out, dns_reply_end(&r));
		return true;
	}
	find_name(d, q->name, &f);
	if (!f.any)
		return false;
	/* a name that is ours but has no such record is an empty answer, never a question to others */
	dns_reply_begin(&r, out, sizeof(out), q, query, DNS_NOERROR);
	d->turn++;
	for (unsigned i = 0; i < f.n4 && (q->type == DNS_A || q->type == DNS_ANY); i++)
		dns_reply_address(&r, f.a4[(i + d->turn) % f.n4], 4, NAME_TTL);
	for (unsigned i = 0; i < f.n6 && (q->type == DNS_AAAA || q->type == DNS_ANY); i++)
		dns_reply_address(&r, f.a6[(i + d->turn) % f.n6], 16, NAME_TTL);
	reply(d, to, out, dns_reply_end(&r));
	return true;
}

/* --- passing on ----------------------------------------------------------------------------------------- */

static void forget(struct dns_server *d, struct pending *p)
{
	if (p->fd > 0) {
		(void)epoll_ctl(d->epoll, EPOLL_CTL_DEL, p->fd, NULL);
		(void)close(p->fd);
	}
	p->fd = 0;
}

/* The question to the upstream of p, by a new socket: the kernel picks a port, and lets only that server
 * answer. */
static bool ask(struct dns_server *d, struct pending *p)
{
	const struct upstream *u = &d->upstream[p->upstream];
	struct epoll_event ev = { .events = EPOLLIN, .data.u32 = (uint32_t)(p - d->pending) + 1 };
	int fd;

	forget(d, p);
	p->tried++;
	fd = socket(u->addr.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return false;
	if (getrandom(&p->id, sizeof(p->id), GRND_NONBLOCK) != sizeof(p->id))
		p->id = (uint16_t)(p->client_id ^ p->since >> 10);
	dns_set_id(p->query, p->id);
	if (connect(fd, (const struct sockaddr *)&u->addr, u->size) < 0 ||
		send(fd, p->query, p->size, MSG_NOSIGNAL) != (ssize_t)p->size ||
		epoll_ctl(d->epoll, EPOLL_CTL_ADD, fd, &ev) < 0) {
		(void)close(fd);
		return false;
	}
	p->fd = fd;
	return true;
}

/* The next upstream, until each has had its turn; then the client is told. */
static void ask_next(struct dns_server *d, struct pending *p)
{
	struct dns_query q;

	while (p->tried < d->n_upstreams) {
		p->upstream = (uint8_t)((p->upstream + 1) % d->n_upstreams);
		if (ask(d, p))
			return;
	}
	forget(d, p);
	dns_set_id(p->query, p->client_id);
	if (dns_parse_query(p->query, p->size, &q) == 0)
		reply_code(d, &p->client, &q, p->query, DNS_SERVFAIL);
}

static struct pending *find_pending(
	struct dns_server *d, const struct sockaddr_in *client, uint16_t id, int64_t now)
{
	struct pending *oldest = &d->pending[0], *empty = NULL;

	for (size_t i = 0; i < PENDING_MAX; i++) {
		struct pending *p = &d->pending[i];

		if (p->fd > 0 && now - p->since > PENDING_NS)
			forget(d, p);
		if (p->fd == 0) {
			empty = empty ? empty : p;
			continue;
		}
		if (p->client_id == id && p->client.sin_port == client->sin_port &&
			p->client.sin_addr.s_addr == client->sin_addr.s_addr)
			return p;
		if (oldest->fd == 0 || p->since < oldest->since)
			oldest = p;
	}
	if (!empty)
		forget(d, oldest);
	return empty ? empty : oldest;
}

static void pass_on(struct dns_server *d, const struct sockaddr_in *client,
	const struct dns_query *q, const uint8_t *query, size_t size, int64_t now)
{
	struct pending *p;
	struct dns_query old;

	refresh(d);
	if (d->n_upstreams == 0) {
		reply_code(d, client, q, query, strchr(q->name, '.') ? DNS_SERVFAIL : DNS_NXDOMAIN);
		return;
	}
	p = find_pending(d, client, q->id, now);
	/* asked again: the server that we asked is slow or dead */
	if (p->fd > 0 && dns_parse_query(p->query, p->size, &old) == 0 &&
		dns_same_question(&old, q)) {
		p->tried = 0;
		d->current = (p->upstream + 1) % d->n_upstreams;
	}
	forget(d, p);
	p->client = *client;
	p->client_id = q->id;
	p->since = now;
	p->tried = 0;
	p->upstream = (uint8_t)(d->current % d->n_upstreams);
	p->size = (uint16_t)(size <= QUERY_MAX ? size : q->question_end);
	memcpy(p->query, query, p->size);
	if (size > QUERY_MAX)
		memset(p->query + 6, 0, 6);
	if (!ask(d, p))
		ask_next(d, p);
}

/* A message and who asks; its size, or -1. */
static ssize_t receive(struct dns_server *d, uint8_t *in, size_t size, struct sockaddr_in *client)
{
	socklen_t k = sizeof(*client);
	uint8_t frame[FRAME_SIZE];
	struct iovec v[2] = { { frame, sizeof(frame) }, { in, size } };
	struct msghdr h = { .msg_iov = v, .msg_iovlen = 2 };
	ssize_t n;

	if (!d->framed) {
		n = recvfrom(d->guest, in, size, MSG_DONTWAIT, (struct sockaddr *)client, &k);
		return k == sizeof(*client) ? n : -1;
	}
	n = recvmsg(d->guest, &h, MSG_DONTWAIT);
	if (n < FRAME_SIZE)
		return -1;
	*client = (struct sockaddr_in){ .sin_family = AF_INET };
	memcpy(&client->sin_addr, frame, 4);
	memcpy(&client->sin_port, frame + 4, 2);
	return n - FRAME_SIZE;
}

static void from_guest(struct dns_server *d, int64_t now)
{
	uint8_t in[DNS_MESSAGE_MAX] UNCLEARED;
	struct sockaddr_in client;
	struct dns_query q;
	ssize_t n = receive(d, in, sizeof(in), &client);
	int r;

	if (n < 0)
		return;
	r = dns_parse_query(in, (size_t)n, &q);
	if (r == -EINVAL || r == -ENOSYS)
		reply_code(d, &client, &q, NULL, r == -EINVAL ? DNS_FORMERR : DNS_NOTIMP);
	else if (r == 0 && !answer_own(d, &client, &q, in))
		pass_on(d, &client, &q, in, (size_t)n, now);
}

static void from_upstream(struct dns_server *d, struct pending *p)
{
	uint8_t in[DNS_MESSAGE_MAX] UNCLEARED;
	struct dns_query q, asked;
	enum dns_rcode rcode;
	bool cut;
	ssize_t n = recv(p->fd, in, sizeof(in), MSG_DONTWAIT);

	if (n < 0) {
		if (errno != EAGAIN && errno != EINTR)
			ask_next(d, p);
		return;
	}
	if (dns_parse_reply(in, (size_t)n, &q, &rcode, &cut) < 0 || q.id != p->id ||
		dns_parse_query(p->query, p->size, &asked) < 0 || !dns_same_question(&q, &asked))
		return;
	if ((rcode == DNS_SERVFAIL || rcode == DNS_REFUSED || rcode == DNS_NOTIMP) &&
		p->tried < d->n_upstreams) {
		ask_next(d, p);
		return;
	}
	d->current = p->upstream;
	dns_set_id(in, p->client_id);
	reply(d, &p->client, in, dns_cut(in, (size_t)n, &asked));
	forget(d, p);
}

/* --- the server ----------------------------------------------------------------------------------------- */

struct dns_server *dns_server_new(int fd, const char *names, const char *upstreams, bool framed)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u32 = 0 };
	struct dns_server *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->guest = fd;
	d->framed = framed;
	d->epoll = epoll_create1(EPOLL_CLOEXEC);
	d->names = strdup(names);
	d->upstreams = strdup(upstreams);
	if (d->epoll < 0 || !d->names || !d->upstreams ||
		epoll_ctl(d->epoll, EPOLL_CTL_ADD, fd, &ev) < 0) {
		d->guest = -1;
		dns_server_free(d);
		return NULL;
	}
	d->from_file = upstreams[0] == '/';
	for (const char *p = d->from_file ? "" : upstreams; *p;) {
		size_t n = strcspn(p, ",");

		add_upstream(d, p, n);
		p += n + (p[n] == ',');
	}
	return d;
}

void dns_server_free(struct dns_server *d)
{
	if (!d)
		return;
	for (size_t i = 0; i < PENDING_MAX; i++)
		forget(d, &d->pending[i]);
	closep(&d->guest);
	closep(&d->epoll);
	free((char *)(uintptr_t)d->names);
	free((char *)(uintptr_t)d->upstreams);
	free(d);
}

unsigned dns_server_fds(const struct dns_server *d, int *fds, unsigned max)
{
	if (max == 0)
		return 0;
	fds[0] = d->epoll;
	return 1;
}

void dns_server_ready(struct dns_server *d, int fd, int64_t now)
{
	struct epoll_event ev[BATCH];
	int n = epoll_wait(d->epoll, ev, BATCH, 0);

	for (int i = 0; i < n; i++) {
		uint32_t k = ev[i].data.u32;

		if (k == 0)
			from_guest(d, now);
		else if (k <= PENDING_MAX && d->pending[k - 1].fd > 0)
			from_upstream(d, &d->pending[k - 1]);
	}
}
