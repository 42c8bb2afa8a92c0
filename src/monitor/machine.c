/* SPDX-License-Identifier: MIT */
#include "monitor/machine.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "host/steps.h"
#include "monitor/dns.h"

#define SECOND	     INT64_C(1000000000)
#define OUT_MAX	     (32 * 1024 * 1024) /* bytes: sessions have windows, only plans come without one */
#define CREDIT_BATCH (64 * 1024)
#define READ_TURNS   16 /* reads of the channel a wake-up, so that others have their turn */

/* --- sending ------------------------------------------------------------------------------------------- */

/* Writes what waits. A channel that is gone takes everything: QEMU's end is told by its exit. */
static void flush_out(struct machine *k)
{
	size_t done = 0;

	while (done < k->out_n && k->channel.fd >= 0) {
		ssize_t n = send(
			k->channel.fd, k->out + done, k->out_n - done, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		done = n < 0 ? k->out_n : done + (size_t)n;
	}
	if (k->channel.fd < 0)
		done = k->out_n;
	memmove(k->out, k->out + done, k->out_n - done);
	k->out_n -= done;
}

static void watch_channel(struct monitor *m)
{
	struct machine *k = m->machine;

	(void)source_watch(m, &k->channel, EPOLLIN | (k->out_n ? EPOLLOUT : 0));
}

static void say(struct monitor *m, enum machine_type type, unsigned flags, uint32_t session,
	const void *data, size_t n)
{
	struct machine *k = m->machine;
	size_t need = k->out_n + MACHINE_HEADER + n;

	if (k->channel.fd < 0 || need > OUT_MAX)
		return;
	if (need > k->out_size) {
		size_t size = need < 4096 ? 4096 : need * 2;
		char *p = realloc(k->out, size);

		if (!p)
			return;
		k->out = p;
		k->out_size = size;
	}
	machine_header((uint8_t *)k->out + k->out_n, type, flags, session, n);
	if (n > 0)
		memcpy(k->out + k->out_n + MACHINE_HEADER, data, n);
	k->out_n = need;
	flush_out(k);
	watch_channel(m);
}

static void say_u32(struct monitor *m, enum machine_type type, uint32_t session, uint32_t v)
{
	uint8_t p[4];

	machine_put_u32(p, v);
	say(m, type, 0, session, p, sizeof(p));
}

/* A text that may be longer than a frame. */
static void say_long(struct monitor *m, enum machine_type type, unsigned flags, uint32_t session,
	const char *data, size_t n)
{
	while (n > MACHINE_DATA_MAX) {
		say(m, type, flags | MACHINE_MORE, session, data, MACHINE_DATA_MAX);
		data += MACHINE_DATA_MAX;
		n -= MACHINE_DATA_MAX;
	}
	say(m, type, flags, session, data, n);
}

/* How far the machine came, in microseconds since its process was there: LODGE_TRACE=json. */
static void trace(const struct monitor *m, const char *what)
{
	char line[160];
	int n;

	if (m->step_run.trace_fd < 0)
		return;
	n = snprintf(line, sizeof(line),
		"{\"event\":\"machine\",\"at\":\"machine\",\"step\":\"%s\",\"subject\":\"%.12s\","
		"\"us\":%.1f,"
		"\"code\":\"\"}\n",
		what, m->id, (double)(monotonic_ns() - m->machine->begun) / 1000);
	if (n > 0 && (size_t)n < sizeof(line))
		(void)!write(m->step_run.trace_fd, line, (size_t)n);
}

/* --- sessions ------------------------------------------------------------------------------------------- */

static uint32_t number(const struct session *s)
{
	return s->is_main ? 0 : s->number;
}

static struct session *session_of(struct monitor *m, uint32_t n)
{
	if (n == 0)
		return &m->main;
	for (struct session *s = m->execs; s; s = s->next)
		if (s->remote && s->number == n)
			return s;
	return NULL;
}

bool machine_signal(struct monitor *m, const struct session *s, int sig)
{
	if (!m->machine->up || m->machine->full || m->machine->channel.fd < 0)
		return false;
	say_u32(m, MACHINE_SIGNAL, number(s), (uint32_t)sig);
	return true;
}

void machine_resize(struct monitor *m, const struct session *s, uint32_t value)
{
	if (!m->machine->full)
		say_u32(m, MACHINE_RESIZE, number(s), value);
}

size_t machine_input(struct monitor *m, struct session *s, const char *data, size_t n)
{
	size_t done = 0;

	while (done < n && s->window > 0) {
		size_t part = n - done < MACHINE_DATA_MAX ? n - done : MACHINE_DATA_MAX;

		part = part < s->window ? part : s->window;
		say(m, MACHINE_INPUT, 0, number(s), data + done, part);
		s->window -= (uint32_t)part;
		done += part;
	}
	/* to a machine that is gone everything can be said */
	return m->machine->channel.fd < 0 ? n : done;
}

void machine_input_end(struct monitor *m, struct session *s)
{
	say(m, MACHINE_INPUT, 0, number(s), NULL, 0);
}

void machine_delivered(struct monitor *m, struct session *s, size_t n)
{
	s->uncredited += (uint32_t)n;
	if (s->uncredited < CREDIT_BATCH)
		return;
	say_u32(m, MACHINE_CREDIT, number(s), s->uncredited);
	s->uncredited = 0;
}

void machine_exec(struct monitor *m, struct session *s, enum machine_type type, unsigned flags,
	const char *data, size_t n)
{
	s->number = ++m->machine->last_session;
	s->window = MACHINE_WINDOW;
	say_long(m, type, flags, s->number, data, n);
}

void machine_forget(struct monitor *m, const struct session *s)
{
	say(m, MACHINE_FORGET, 0, number(s), NULL, 0);
}

/* --- what the machine says --------------------------------------------------------------------------------- */

/* Text from inside: cut, and without what would change a terminal. */
static void take_text(char *to, size_t size, const uint8_t *from, size_t n)
{
	size_t k = 0;

	for (size_t i = 0; i < n && from[i] && k + 1 < size; i++)
		to[k++] = from[i] >= ' ' && from[i] != 0x7f ? (char)from[i] : ' ';
	to[k] = '\0';
}

static void take_error(const struct machine_frame *f, struct err *e)
{
	char text[ERR_TEXT_MAX];
	uint32_t v = 0;
	const uint8_t *p = f->data + 4, *nul;
	size_t n = f->size < 4 ? 0 : f->size - 4u;
	int code;

	(void)machine_u32(f, 0, &v);
	code = (int)v;
	if (code >= 0 || code < -_E_END)
		code = -EPROTO;
	take_text(text, sizeof(text), p, n);
	(void)err_set(e, code, "%s", text[0] ? text : "the machine failed");
	nul = n ? memchr(p, 0, n) : NULL;
	if (!nul)
		return;
	take_text(text, sizeof(text), nul + 1, (size_t)(p + n - nul - 1));
	if (text[0])
		err_mend(e, "%s", text);
}

static void kill_machine(struct monitor *m)
{
	if (m->step_run.child_fd >= 0)
		(void)pidfd_kill(m->step_run.child_fd, SIGKILL);
}

static void start_failed(struct monitor *m, const struct err *e)
{
	m->machine->failed = true;
	m->start_error = *e;
	kill_machine(m);
}

static void send_plan(struct monitor *m, const struct machine_frame *f)
{
	struct machine *k = m->machine;
	struct err e = { 0 };
	uint32_t version = 0;

	if (!k->plan)
		return; /* said hello before */
	trace(m, "hello");
	(void)machine_u32(f, 0, &version);
	if (version != MACHINE_VERSION) {
		err_set(&e, -EPROTO, "the machine's lodge-init speaks version %u, not %u", version,
			MACHINE_VERSION);
		err_mend(&e, "the next start makes its initramfs anew");
		start_failed(m, &e);
		return;
	}
	say_long(m, MACHINE_PLAN, m->tty ? MACHINE_TTY : 0, 0, k->plan, k->plan_n);
	free(k->plan);
	k->plan = NULL;
}

static void started(struct monitor *m, struct session *s)
{
	if (!s->is_main) {
		if (s->owner)
			(void)conn_send(s->owner, MSG_STARTED, 0, 0, NULL, 0);
		if (s->owner && s->detached) {
			s->owner->session = NULL;
			s->owner = NULL;
			machine_input_end(m, s);
		}
		return;
	}
	if (m->machine->up)
		return;
	m->machine->up = true;
	m->machine->boot_until = 0;
	trace(m, "started");
	if (!m->open_stdin)
		machine_input_end(m, s);
	guest_up(m);
}

static void failed(struct monitor *m, struct session *s, const struct machine_frame *f)
{
	struct err e = { 0 };

	take_error(f, &e);
	if (s->is_main) {
		if (!m->machine->up)
			start_failed(m, &e);
		return;
	}
	if (s->owner)
		conn_send_err(s->owner, &e);
	exec_free(m, s);
}

static void ended(struct monitor *m, struct session *s, const struct machine_frame *f)
{
	uint32_t code = 0;

	if (!machine_u32(f, 0, &code))
		code = 255;
	if (!s->is_main) {
		exec_ended(m, s, (int)(code & 0xff));
		return;
	}
	if (!m->machine->up || m->machine->told)
		return;
	m->machine->told = true;
	trace(m, "exit");
	m->main.exit_code = (int)(code & 0xff);
	m->oom = f->flags & MACHINE_OOM;
	/* its file systems are synced: switching off by the cable is quicker than by the button */
	kill_machine(m);
}

static void take_credit(struct monitor *m, struct session *s, const struct machine_frame *f)
{
	uint32_t n = 0;

	if (!machine_u32(f, 0, &n) || n > MACHINE_WINDOW - s->window)
		return; /* more than was sent: not believed */
	s->window += n;
	session_room(m, s);
}

/* The machine's own lines, to whoever asked for them: text, and nothing that a terminal obeys. */
static void traced(struct monitor *m, const struct machine_frame *f)
{
	char text[MACHINE_DATA_MAX];

	if (m->step_run.trace_fd < 0)
		return;
	for (unsigned i = 0; i < f->size; i++) {
		char c = (char)f->data[i];

		text[i] = c == '\n' || (c >= ' ' && c <= '~') ? c : '?';
	}
	(void)!write(m->step_run.trace_fd, text, f->size);
}

static void handle(struct monitor *m, const struct machine_frame *f)
{
	struct session *s = session_of(m, f->session);

	if (f->type == MACHINE_HELLO) {
		send_plan(m, f);
		return;
	}
	if (f->type == MACHINE_DNS) {
		if (m->machine->dns_fd >= 0)
			(void)send(
				m->machine->dns_fd, f->data, f->size, MSG_NOSIGNAL | MSG_DONTWAIT);
		return;
	}
	if (!s)
		return; /* one that was forgotten */
	switch (f->type) {
	case MACHINE_STARTED:
		started(m, s);
		break;
	case MACHINE_ERROR:
		failed(m, s, f);
		break;
	case MACHINE_OUTPUT:
		session_output(m, s, f->flags == 2 ? 2 : 1, (const char *)f->data, f->size);
		break;
	case MACHINE_CREDIT:
		take_credit(m, s, f);
		break;
	case MACHINE_EXIT:
		ended(m, s, f);
		break;
	case MACHINE_TRACE:
		traced(m, f);
		break;
	default:
		break; /* it isn't for it to say */
	}
}

static void lost(struct monitor *m)
{
	struct err e = { 0 };

	if (m->machine->up || m->machine->failed)
		return;
	err_set(&e, -EPROTO, "the machine's lodge-init says what isn't our protocol");
	start_failed(m, &e);
}

static void channel_ready(struct monitor *m, struct source *src, uint32_t events)
{
	struct machine *k = m->machine;

	if (events & EPOLLOUT) {
		flush_out(k);
		watch_channel(m);
	}
	for (int turn = 0; turn < READ_TURNS && src->fd >= 0; turn++) {
		struct machine_frame f;
		size_t room;
		uint8_t *to = machine_room(&k->reader, &room);
		ssize_t n = recv(src->fd, to, room, MSG_DONTWAIT);
		int code;

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			source_close(m, src);
			return;
		}
		machine_filled(&k->reader, (size_t)n);
		while ((code = machine_next(&k->reader, &f)) == 1)
			handle(m, &f);
		if (code < 0) {
			source_close(m, src);
			lost(m);
			return;
		}
	}
}

/* --- names ---------------------------------------------------------------------------------------------------- */

/* The DNS server's answers, with the asker's address before them, go back as they are. */
static void dns_answer_ready(struct monitor *m, struct source *src, uint32_t events)
{
	char data[MACHINE_DATA_MAX];
	ssize_t n = recv(src->fd, data, sizeof(data), MSG_DONTWAIT);

	if (n > 0)
		say(m, MACHINE_DNS, 0, 0, data, (size_t)n);
}

static void begin_dns(struct monitor *m)
{
	struct machine *k = m->machine;
	const char *names, *upstreams;
	int sv[2];

	if (!guest_dns(m, &names, &upstreams) ||
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv) < 0)
		return;
	if (!guest_begin_dns(m, sv[1], names, upstreams, true)) {
		(void)close(sv[0]);
		return;
	}
	k->dns_fd = sv[0];
	source_init(&k->dns_source, sv[0], dns_answer_ready);
	(void)source_watch(m, &k->dns_source, EPOLLIN);
}

/* --- the kernel's words ------------------------------------------------------------------------------------------ */

static void console_ready(struct monitor *m, struct source *src, uint32_t events)
{
	struct machine *k = m->machine;
	char buf[512];
	ssize_t n = read(src->fd, buf, sizeof(buf));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		source_close(m, src);
		return;
	}
	if (k->tail_n + (size_t)n > sizeof(k->tail)) {
		size_t drop = k->tail_n + (size_t)n - sizeof(k->tail);

		memmove(k->tail, k->tail + drop, k->tail_n - drop);
		k->tail_n -= drop;
	}
	memcpy(k->tail + k->tail_n, buf, (size_t)n);
	k->tail_n += (size_t)n;
}

/* The line that says most: a panic's, else the last one. */
static void last_words(struct machine *k, char *to, size_t size)
{
	static const char panic[] = "Kernel panic";
	const char *at = memmem(k->tail, k->tail_n, panic, sizeof(panic) - 1);
	size_t end = k->tail_n, begin;

	if (at) {
		begin = (size_t)(at - k->tail);
		end = begin + strcspn(at, "\r\n"); /* tail_n is kept below the array's end by one */
		if (end > k->tail_n)
			end = k->tail_n;
	} else {
		while (end > 0 && (unsigned char)k->tail[end - 1] <= ' ')
			end--;
		for (begin = end; begin > 0 && k->tail[begin - 1] != '\n'; begin--)
			;
	}
	take_text(to, size, (const uint8_t *)k->tail + begin, end - begin);
}

/* Of QEMU's own: the first that isn't a warning, since others follow from it. Without its name before it. */
static void first_words(struct machine *k, char *to, size_t size)
{
	static const char warning[] = "warning: ", name[] = "qemu-system-x86_64: ";
	size_t at = 0;

	to[0] = '\0';
	while (at < k->tail_n) {
		const char *line = k->tail + at, *end = memchr(line, '\n', k->tail_n - at);
		size_t n = end ? (size_t)(end - line) : k->tail_n - at, skip = sizeof(name) - 1;

		at += n + 1;
		if (memmem(line, n, warning, sizeof(warning) - 1) || n == 0)
			continue;
		if (n < skip || memcmp(line, name, skip) != 0)
			skip = 0;
		take_text(to, size, (const uint8_t *)line + skip, n - skip);
		return;
	}
}

/* --- birth and end --------------------------------------------------------------------------------------------------- */

static int take_fd(struct monitor *m, unsigned which)
{
	int fd = m->step_run.kept_fd[which];

	m->step_run.kept_fd[which] = -1;
	if (fd >= 0)
		(void)fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

static int begin_inside(struct monitor *m, struct err *e)
{
	struct machine *k = m->machine;
	struct plan *inside = plan_of_machine(m->plan);
	int r = plan_encode(inside, &k->plan, &k->plan_n);

	plan_free(inside);
	if (r < 0)
		return err_sys(e, r, "cannot store the machine's plan");
	if (k->plan_n > MACHINE_PLAN_MAX)
		return err_set(e, -E_LIMIT, "the machine's plan is too large");
	source_init(&k->channel, take_fd(m, KEPT_MACHINE), channel_ready);
	source_init(&k->serial, take_fd(m, KEPT_SERIAL), console_ready);
	(void)source_watch(m, &k->channel, EPOLLIN);
	(void)source_watch(m, &k->serial, EPOLLIN);
	begin_dns(m);
	k->boot_until = monotonic_ns() + k->boot_timeout * SECOND;
	return 1;
}

int machine_pipe(struct monitor *m, int theirs[3], struct err *e)
{
	struct machine *k = m->machine;
	int p[2];

	k->channel.fd = k->serial.fd = k->qmp.fd = k->dns_source.fd = k->dns_fd = -1;
	if (pipe2(p, O_CLOEXEC) < 0)
		return err_sys(e, -errno, "cannot make a pipe");
	(void)fcntl(p[0], F_SETFL, O_NONBLOCK);
	source_init(&k->complaints, p[0], console_ready);
	theirs[1] = p[1];
	theirs[2] = fcntl(p[1], F_DUPFD_CLOEXEC, 3);
	return source_watch(m, &k->complaints, EPOLLIN);
}

int machine_begin(struct monitor *m, struct err *e)
{
	struct machine *k = m->machine;
	int r;

	k->up = k->told = k->failed = false;
	k->out_n = k->tail_n = 0;
	k->begun = monotonic_ns();
	k->reader.used = k->reader.taken = 0;
	k->dns_fd = k->dns_source.fd = -1;
	m->main.remote = !k->full;
	m->main.window = MACHINE_WINDOW;
	m->main.uncredited = 0;
	r = qmp_begin(m, e);
	if (r < 0)
		return r;
	if (!k->full)
		return begin_inside(m, e);
	/* what comes out of the serial port is the output of the guest, and what it types goes in there */
	m->main.out.fd = take_fd(m, KEPT_SERIAL);
	if (lan_begin(m) < 0)
		return err_set(e, -ENOMEM, "the machine's network has no servers");
	k->boot_until = monotonic_ns() + k->boot_timeout * SECOND;
	return 1;
}

void machine_ready(struct monitor *m)
{
	struct machine *k = m->machine;

	if (!k->full || k->up || k->failed)
		return;
	k->up = true;
	k->boot_until = 0;
	guest_up(m);
}

void machine_refused(struct monitor *m, const char *text, size_t n)
{
	struct err e = { 0 };
	const char *desc = memmem(text, n, "\"desc\": \"", 9);
	char words[200];

	if (m->machine->up)
		return;
	desc = desc ? desc + 9 : text;
	take_text(words, sizeof(words), (const uint8_t *)desc, n - (size_t)(desc - text));
	words[strcspn(words, "\"")] = '\0';
	(void)err_set(&e, -E_INVALID, "QEMU: %s", words);
	start_failed(m, &e);
}

/* What is there of a machine that is gone; whatever holds the other end open has nothing to say. */
static void drain(struct monitor *m, struct source *src)
{
	for (int i = 0; i < 64 && src->fd >= 0; i++)
		console_ready(m, src, EPOLLIN);
}

/* To the log and to whoever is attached: the command couldn't say it. */
static void last_line(struct monitor *m, const char *words)
{
	char line[ERR_TEXT_MAX];
	int n = snprintf(line, sizeof(line), "lodge: the machine ended: %s\n", words);

	if (n <= 0 || (size_t)n >= sizeof(line))
		return;
	session_output(m, &m->main, 2, line, (size_t)n);
	(void)snprintf(m->error, sizeof(m->error), "the machine ended: %s", words);
}

int machine_end(struct monitor *m, int status_code)
{
	struct machine *k = m->machine;
	char words[200];
	int code = status_code;

	trace(m, "end");

	if (k->full && !k->failed) {
		drain(m, &k->complaints);
		first_words(k, words, sizeof(words));
		if (!k->up) {
			err_set(&m->start_error, -ECHILD, "the machine didn't start%s%s",
				words[0] ? ": " : "", words);
			k->failed = true;
		} else if (status_code != 0 && words[0]) {
			(void)snprintf(m->error, sizeof(m->error), "the machine ended: %s", words);
		}
	}
	if (k->told)
		code = m->main.exit_code;
	else if (!k->full && !k->failed) {
		/* before its command ended: killed, or its kernel gave up */
		drain(m, &k->serial);
		drain(m, &k->complaints);
		last_words(k, words, sizeof(words));
		if (!k->up) {
			err_set(&m->start_error, -ECHILD,
				"the machine ended before its command ran%s%s",
				words[0] ? ": " : "", words);
			err_mend(
				&m->start_error, "give it more memory (-m), or see 'lodge doctor'");
			k->failed = true;
		}
		if (status_code == 0) /* the machine switched itself off */
			code = words[0] ? 255 : 0;
		if (k->up && words[0])
			last_line(m, words);
	}
	source_close(m, &k->channel);
	source_close(m, &k->serial);
	source_close(m, &k->complaints);
	source_close(m, &k->dns_source);
	k->dns_fd = -1;
	k->boot_until = 0;
	free(k->plan);
	free(k->out);
	k->plan = k->out = NULL;
	k->out_n = k->out_size = 0;
	lan_end(m);
	qmp_end(m);
	return code;
}

int64_t machine_next_timer(const struct monitor *m)
{
	return m->machine ? m->machine->boot_until : 0;
}

void machine_tick(struct monitor *m, int64_t now)
{
	struct machine *k = m->machine;
	struct err e = { 0 };
	char words[200];

	if (!k || !k->boot_until || now < k->boot_until)
		return;
	k->boot_until = 0;
	last_words(k, words, sizeof(words));
	err_set(&e, -ETIMEDOUT, "the machine did not come up in %d s%s%s", k->boot_timeout,
		words[0] ? ": " : "", words);
	err_mend(&e, "see 'lodge doctor' on how machines run here");
	start_failed(m, &e);
}
