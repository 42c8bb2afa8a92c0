/* SPDX-License-Identifier: MIT */

/*
 * pair: times commands side by side.
 *
 *	pair [-n ROUNDS] [-w WARMUP] [-g GAP_MS] [-q PERCENT] [-b BEFORE] [-a AFTER] NAME COMMAND [NAME COMMAND...]
 *	pair -m COUNT [-p] [-q PERCENT] NAME COMMAND
 *
 * A round runs every command once, in an order that shifts by one from round to round, so that a drift of
 * the machine's speed falls on all and nobody always follows the same neighbour. Wall time is taken around
 * spawn and wait. A command without shell characters is executed directly, any other by sh -c. BEFORE and
 * AFTER are run by sh around each run, untimed, with PAIR_NAME and PAIR_ROUND in their environment.
 *
 * With -q a run waits (10 s at most) until the machine has been busy by no more than PERCENT for 50 ms.
 *
 * Standard output, one line a command, tab-separated: name, rounds, failed, then milliseconds: minimum,
 * median, 95th percentile, maximum; and the median of the ratios to the first command in the same round.
 *
 * -m runs one command COUNT times, "%" in it replaced by 1..COUNT, one after another or (-p) all at once.
 * Line: name, count, failed, total ms, slowest ms, mean ms of the first 100, mean ms of the last 100.
 */

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define COMMANDS_MAX 16
#define ROUNDS_MAX   1000
#define MANY_MAX     10000
#define WORDS_MAX    64
#define TEXT_MAX     8192

extern char **environ;

struct command {
	const char *name, *text;
	double ms[ROUNDS_MAX];
	int failed;
};

struct options {
	int rounds, warmup, gap_ms, quiet, many;
	bool at_once;
	const char *before, *after;
};

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void sleep_ms(int ms)
{
	struct timespec t = { ms / 1000, (long)(ms % 1000) * 1000000 };

	nanosleep(&t, NULL);
}

/* Milliseconds of work by all processors since the boot. */
static double busy_ms(void)
{
	char line[512], *p;
	double sum = 0;
	int fd = open("/proc/stat", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, line, sizeof(line) - 1);

	if (fd >= 0)
		close(fd);
	if (n <= 0)
		return 0;
	line[n] = '\0';
	p = line + strcspn(line, " ");
	/* user nice system idle iowait irq softirq: without the fourth and fifth */
	for (int i = 0; i < 7; i++) {
		unsigned long long v = strtoull(p, &p, 10);

		if (i != 3 && i != 4)
			sum += (double)v;
	}
	return sum * 1000 / (double)sysconf(_SC_CLK_TCK);
}

static void wait_quiet(int percent)
{
	double end = now_ms() + 10e3, share;
	long processors = sysconf(_SC_NPROCESSORS_ONLN);

	if (percent < 0)
		return;
	do {
		double busy = busy_ms(), t = now_ms();

		sleep_ms(50);
		share = 100 * (busy_ms() - busy) / ((now_ms() - t) * (double)processors);
	} while (share > percent && now_ms() < end);
}

/* Starts text with its streams at /dev/null; returns the process, or -1. */
static pid_t start(const char *text)
{
	posix_spawn_file_actions_t actions;
	char copy[TEXT_MAX], *words[WORDS_MAX + 1], *rest = copy, *w;
	char shell[] = "sh", dash_c[] = "-c";
	size_t n = 0;
	pid_t pid = -1;

	if ((size_t)snprintf(copy, sizeof(copy), "%s", text) >= sizeof(copy))
		return -1;
	if (strpbrk(text, "|&;<>()$`\\\"'*?[#~{}!\n=")) {
		words[n++] = shell;
		words[n++] = dash_c;
		words[n++] = copy;
	} else {
		while (n < WORDS_MAX && (w = strsep(&rest, " \t")))
			if (*w)
				words[n++] = w;
	}
	words[n] = NULL;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
	if (!getenv("PAIR_LOUD"))
		posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
	if (posix_spawnp(&pid, words[0], &actions, NULL, words, environ))
		pid = -1;
	posix_spawn_file_actions_destroy(&actions);
	return pid;
}

static bool finish(pid_t pid)
{
	int status = 1;

	if (pid < 0)
		return false;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return false;
	return status == 0;
}

static void around(const char *text, const char *name, int round)
{
	char number[16];

	if (!text)
		return;
	(void)snprintf(number, sizeof(number), "%d", round);
	setenv("PAIR_NAME", name, 1);
	setenv("PAIR_ROUND", number, 1);
	if (!finish(start(text)))
		fprintf(stderr, "pair: %s: '%s' failed\n", name, text);
}

static void run_once(const struct options *o, struct command *c, int round)
{
	double t;
	bool good;

	around(o->before, c->name, round);
	if (o->gap_ms)
		sleep_ms(o->gap_ms);
	wait_quiet(o->quiet);
	t = now_ms();
	good = finish(start(c->text));
	t = now_ms() - t;
	around(o->after, c->name, round);
	if (!good)
		c->failed++;
	if (round >= 0)
		c->ms[round] = t;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* v is sorted. */
static double quantile(const double *v, int n, double q)
{
	double at = q * (n - 1);
	int i = (int)at;

	return i + 1 < n ? v[i] + (at - i) * (v[i + 1] - v[i]) : v[i];
}

static void report(const struct command *c, const struct command *first, int n)
{
	static double sorted[ROUNDS_MAX], ratios[ROUNDS_MAX];

	for (int i = 0; i < n; i++) {
		sorted[i] = c->ms[i];
		ratios[i] = c->ms[i] / first->ms[i];
	}
	qsort(sorted, (size_t)n, sizeof(*sorted), compare);
	qsort(ratios, (size_t)n, sizeof(*ratios), compare);
	printf("%s\t%d\t%d\t%.3f\t%.3f\t%.3f\t%.3f\t%.4f\n", c->name, n, c->failed, sorted[0],
		quantile(sorted, n, 0.5), quantile(sorted, n, 0.95), sorted[n - 1],
		quantile(ratios, n, 0.5));
}

static void numbered(const char *text, int number, char *out, size_t size)
{
	size_t n = 0;

	for (; *text && n + 12 < size; text++) {
		if (*text == '%')
			n += (size_t)snprintf(out + n, size - n, "%d", number);
		else
			out[n++] = *text;
	}
	out[n] = '\0';
}

static double mean(const double *v, int n)
{
	double sum = 0;

	for (int i = 0; i < n; i++)
		sum += v[i];
	return n ? sum / n : 0;
}

static int run_many(const struct options *o, const char *name, const char *text)
{
	static double ms[MANY_MAX], begun[MANY_MAX];
	static pid_t pids[MANY_MAX];
	char one[TEXT_MAX];
	double t, slowest = 0;
	int failed = 0, n = o->many, edge = n < 100 ? n : 100;

	wait_quiet(o->quiet);
	t = now_ms();
	for (int i = 0; i < n; i++) {
		numbered(text, i + 1, one, sizeof(one));
		begun[i] = now_ms();
		pids[i] = start(one);
		if (!o->at_once) {
			failed += !finish(pids[i]);
			ms[i] = now_ms() - begun[i];
		} else if (pids[i] < 0) {
			failed++;
		}
	}
	for (int left = o->at_once ? n - failed : 0; left > 0; left--) {
		int status;
		pid_t pid = wait(&status);

		for (int i = 0; i < n; i++)
			if (pids[i] == pid) {
				ms[i] = now_ms() - begun[i];
				failed += status != 0;
			}
	}
	t = now_ms() - t;
	for (int i = 0; i < n; i++)
		slowest = ms[i] > slowest ? ms[i] : slowest;
	printf("%s\t%d\t%d\t%.1f\t%.1f\t%.3f\t%.3f\n", name, n, failed, t, slowest, mean(ms, edge),
		mean(ms + n - edge, edge));
	return failed != 0;
}

static int number(const char *text, int max)
{
	char *end;
	long n = strtol(text, &end, 10);

	if (*end || n < 0 || n > max) {
		fprintf(stderr, "pair: bad number '%s'\n", text);
		exit(2);
	}
	return (int)n;
}

static void parse(struct options *o, int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "+n:w:g:q:b:a:m:p")) >= 0) {
		switch (c) {
		case 'n':
			o->rounds = number(optarg, ROUNDS_MAX);
			break;
		case 'w':
			o->warmup = number(optarg, ROUNDS_MAX);
			break;
		case 'g':
			o->gap_ms = number(optarg, 60000);
			break;
		case 'q':
			o->quiet = number(optarg, 100);
			break;
		case 'm':
			o->many = number(optarg, MANY_MAX);
			break;
		case 'b':
			o->before = optarg;
			break;
		case 'a':
			o->after = optarg;
			break;
		case 'p':
			o->at_once = true;
			break;
		default:
			exit(2);
		}
	}
}

int main(int argc, char **argv)
{
	static struct command commands[COMMANDS_MAX];
	struct options o = { .rounds = 15, .warmup = 2, .quiet = -1 };
	int n = 0, failed = 0;

	parse(&o, argc, argv);
	for (int i = optind; i + 1 < argc && n < COMMANDS_MAX; i += 2, n++) {
		commands[n].name = argv[i];
		commands[n].text = argv[i + 1];
	}
	if (!n || o.rounds < 1 || (argc - optind) % 2) {
		fprintf(stderr, "pair: wants NAME COMMAND [NAME COMMAND...]\n");
		return 2;
	}
	if (o.many)
		return run_many(&o, commands[0].name, commands[0].text);
	for (int round = -o.warmup; round < o.rounds; round++)
		for (int i = 0; i < n; i++)
			run_once(&o, &commands[(i + round + o.warmup) % n], round);
	for (int i = 0; i < n; i++) {
		report(&commands[i], &commands[0], o.rounds);
		failed += commands[i].failed;
	}
	return failed != 0;
}
