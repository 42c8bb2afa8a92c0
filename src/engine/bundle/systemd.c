/* SPDX-License-Identifier: MIT */
/* Limits as properties of systemd's units: systemd.resource-control(5), docs/systemd.md of runc. Pure. */
#include "engine/bundle/bundle-priv.h"

#include <string.h>

#include "host/cgroup.h"
#include "host/steps.h"

#define USEC 1000000u

enum {
	/* systemd's quota is in steps of this */
	QUOTA_STEP_USEC = 10000,
	PERIOD_DEFAULT_USEC = 100000,
	SINCE_PERIOD = 242,
	SINCE_CPUSET = 244,
	SINCE_IDLE = 252
};

struct properties {
	GPtrArray *words;
	unsigned version;
	bool v2;
};

static void add(GPtrArray *words, const char *fmt, ...) G_GNUC_PRINTF(2, 3);
static void add(GPtrArray *words, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	g_ptr_array_add(words, g_strdup_vprintf(fmt, ap));
	va_end(ap);
}

/* --- limits --- */

static const char *limit(const GPtrArray *limits, const char *key)
{
	for (guint i = 0; i < limits->len; i++) {
		const struct config_pair *l = g_ptr_array_index(limits, i);

		if (strcmp(l->key, key) == 0)
			return l->value;
	}
	return NULL;
}

/* "-1" and "max": no limit, which is all bits. */
static uint64_t number(const char *s)
{
	return s[0] == '-' || strcmp(s, "max") == 0 ? UINT64_MAX : g_ascii_strtoull(s, NULL, 10);
}

static void quota(struct properties *x, int64_t quota_us, uint64_t period)
{
	uint64_t per_second = UINT64_MAX;

	if (!period)
		period = PERIOD_DEFAULT_USEC;
	if (quota_us > 0) {
		per_second = (uint64_t)quota_us * USEC / period;
		per_second = (per_second + QUOTA_STEP_USEC - 1) / QUOTA_STEP_USEC * QUOTA_STEP_USEC;
	}
	if (x->version >= SINCE_PERIOD)
		add(x->words, "CPUQuotaPeriodUSec=t:%" G_GUINT64_FORMAT, period);
	add(x->words, "CPUQuotaPerSecUSec=t:%" G_GUINT64_FORMAT, per_second);
}

/* Those whose number is the limit's. v1, v2: the property's name, or NULL where it has none. */
static const struct {
	const char *key, *v1, *v2;
} same_number[] = {
	{ "memory", "MemoryLimit", "MemoryMax" },
	{ "memory-reservation", NULL, "MemoryLow" },
	{ "pids", "TasksMax", "TasksMax" },
	{ "blkio-weight", "BlockIOWeight", NULL },
	{ "cpu-shares", "CPUShares", NULL },
	{ "unified:memory.max", NULL, "MemoryMax" },
	{ "unified:memory.high", NULL, "MemoryHigh" },
	{ "unified:memory.low", NULL, "MemoryLow" },
	{ "unified:memory.min", NULL, "MemoryMin" },
	{ "unified:memory.swap.max", NULL, "MemorySwapMax" },
	{ "unified:pids.max", NULL, "TasksMax" },
	{ "unified:cpu.weight", NULL, "CPUWeight" },
};

static void add_sets(struct properties *x, const GPtrArray *limits)
{
	static const struct {
		const char *key, *name;
	} sets[] = { { "cpuset-cpus", "AllowedCPUs" }, { "unified:cpuset.cpus", "AllowedCPUs" },
		{ "cpuset-mems", "AllowedMemoryNodes" },
		{ "unified:cpuset.mems", "AllowedMemoryNodes" } };

	for (guint i = 0; x->version >= SINCE_CPUSET && i < G_N_ELEMENTS(sets); i++) {
		const char *value = limit(limits, sets[i].key);

		if (value && *value)
			add(x->words, "%s=ay:%s", sets[i].name, value);
	}
}

static void add_limits(struct properties *x, const GPtrArray *limits)
{
	const char *shares = limit(limits, "cpu-shares"), *swap = limit(limits, "memory-swap"),
		   *memory = limit(limits, "memory"), *max = limit(limits, "unified:cpu.max"),
		   *idle = limit(limits, "unified:cpu.idle"), *q = limit(limits, "cpu-quota"),
		   *period = limit(limits, "cpu-period");

	for (guint i = 0; i < G_N_ELEMENTS(same_number); i++) {
		const char *value = limit(limits, same_number[i].key),
			   *name = x->v2 ? same_number[i].v2 : same_number[i].v1;

		if (value && name)
			add(x->words, "%s=t:%" G_GUINT64_FORMAT, name, number(value));
	}
	if (shares && x->v2)
		add(x->words, "CPUWeight=t:%" G_GUINT64_FORMAT,
			cgroup_shares_to_weight(number(shares)));
	if (idle && x->v2 && strcmp(idle, "1") == 0 && x->version >= SINCE_IDLE)
		add(x->words, "CPUWeight=t:0");
	/* there memory isn't in it */
	if (swap && x->v2 && number(swap) == UINT64_MAX)
		add(x->words, "MemorySwapMax=t:%" G_GUINT64_FORMAT, UINT64_MAX);
	else if (swap && x->v2 && memory && number(swap) >= number(memory))
		add(x->words, "MemorySwapMax=t:%" G_GUINT64_FORMAT, number(swap) - number(memory));
	if (q || period)
		quota(x, q ? g_ascii_strtoll(q, NULL, 10) : -1, period ? number(period) : 0);
	if (max && x->v2) {
		const char *blank = strchr(max, ' ');

		quota(x, strncmp(max, "max", 3) == 0 ? -1 : g_ascii_strtoll(max, NULL, 10),
			blank ? number(blank + 1) : 0);
	}
	add_sets(x, limits);
}

void bundle_plan_unit_set(const struct bundle_unit *u, const GPtrArray *limits, struct plan *p)
{
	g_autoptr(GPtrArray) words = g_ptr_array_new_with_free_func(g_free);
	struct properties x = { words, u->version, cgroup_host()->mode == CGROUP_V2 };
	g_autofree const char **argv = NULL;

	add_limits(&x, limits);
	if (!words->len)
		return;
	argv = g_new0(const char *, words->len + 3);
	argv[0] = u->manager;
	argv[1] = u->name;
	memcpy(argv + 2, words->pdata, words->len * sizeof(*argv));
	plan_addv(p, AT_HOST, 0, &step_systemd_set, argv, words->len + 2);
}

/* --- annotations: "org.systemd.property.NAME" with a value in GVariant's text form --- */

static char *list_of(GVariant *v, struct err *e)
{
	g_autofree const char **items = g_variant_get_strv(v, NULL);

	for (const char **i = items; *i; i++)
		if (strchr(*i, ',')) {
			err_set(e, -E_UNSUPPORTED, "a text with ',' in a list: '%s'", *i);
			return NULL;
		}
	return g_strjoinv(",", (char **)items);
}

static int add_annotation(GPtrArray *words, const char *name, const char *text, struct err *e)
{
	g_autoptr(GVariant) v = g_variant_parse(NULL, text, NULL, NULL, NULL);
	const char *type = v ? g_variant_get_type_string(v) : "";
	g_autofree char *longer = NULL, *list = NULL;
	uint64_t n = 0;

	if (!*name ||
		strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") !=
			strlen(name))
		return err_set(e, -E_INVALID, "no name of a property");
	if (strcmp(type, "s") == 0)
		add(words, "%s=s:%s", name, g_variant_get_string(v, NULL));
	else if (strcmp(type, "b") == 0)
		add(words, "%s=b:%d", name, g_variant_get_boolean(v));
	else if (strcmp(type, "as") == 0) {
		list = list_of(v, e);
		if (!list)
			return -E_UNSUPPORTED;
		add(words, "%s=as:%s", name, list);
	} else if (strcmp(type, "t") == 0 || strcmp(type, "u") == 0 || strcmp(type, "i") == 0) {
		n = *type == 't'   ? g_variant_get_uint64(v)
		    : *type == 'u' ? g_variant_get_uint32(v)
				   : (uint64_t)(int64_t)g_variant_get_int32(v);
		/* on the bus times are in microseconds */
		if (g_str_has_suffix(name, "Sec") && !g_str_has_suffix(name, "USec")) {
			longer = g_strdup_printf("%.*sUSec", (int)strlen(name) - 3, name);
			add(words, "%s=t:%" G_GUINT64_FORMAT, longer, n * USEC);
		} else if (*type == 'i')
			add(words, "%s=i:%d", name, (int)(int64_t)n);
		else
			add(words, "%s=%s:%" G_GUINT64_FORMAT, name, type, n);
	} else
		return err_set(e, -E_UNSUPPORTED,
			"'%s' is no text, number, boolean or list of texts", text);
	return 0;
}

static int add_annotations(const struct config *c, GPtrArray *words, struct err *e)
{
	static const char prefix[] = "org.systemd.property.";

	for (guint i = 0; i < c->annotations->len; i++) {
		const struct config_pair *a = g_ptr_array_index(c->annotations, i);

		if (g_str_has_prefix(a->key, prefix) &&
			add_annotation(words, a->key + strlen(prefix), a->value, e) < 0)
			return err_prefix(e, "'annotations[\"%s\"]'", a->key);
	}
	return 0;
}

/* --- the scope --- */

/* v1: systemd may write the rules of devices anew at any time, so it is told what is allowed. The exact rules,
 * with what they deny, are written by step "cgroup-devices". */
static void add_devices(const struct bundle *b, GPtrArray *words)
{
	g_auto(GStrv) rules = bundle_device_rules(b->config);
	g_autoptr(GString) list = g_string_new(NULL);

	for (char **r = rules; *r; r++) {
		struct cgroup_device_rule d;
		g_autofree char *access = NULL;

		if (cgroup_device_parse(*r, &d, NULL) < 0 || !d.allow)
			continue;
		access = g_strdup_printf("%s%s%s", d.access & CGROUP_DEV_READ ? "r" : "",
			d.access & CGROUP_DEV_WRITE ? "w" : "",
			d.access & CGROUP_DEV_MKNOD ? "m" : "");
		for (guint i = 0; i < 2; i++) {
			const char *kind = i ? "block" : "char";
			char name[64];

			if (d.type != 'a' && d.type != kind[0])
				continue;
			/* a whole major number has a name only in /proc/devices; what can't be said is left
			 * out, or systemd would allow more whenever it writes its own rules again */
			if (d.major < 0 ? d.minor >= 0
					: d.minor < 0 && cgroup_device_name(i, d.major, name,
								 sizeof(name)) < 0)
				continue;
			g_string_append(list, list->len ? "," : "");
			if (d.major < 0)
				g_string_append_printf(list, "%s-* %s", kind, access);
			else if (d.minor < 0)
				g_string_append_printf(list, "%s-%s %s", kind, name, access);
			else
				g_string_append_printf(list,
					"/dev/%s/%" G_GINT64_FORMAT ":%" G_GINT64_FORMAT " %s",
					kind, d.major, d.minor, access);
		}
	}
	add(words, "DevicePolicy=s:strict");
	add(words, "DeviceAllow=a(ss):%s", list->str);
}

int bundle_plan_unit(const struct bundle *b, enum step_at at, const GPtrArray *limits,
	struct plan *p, struct err *e)
{
	g_autoptr(GPtrArray) words = g_ptr_array_new_with_free_func(g_free);
	struct properties x = { words, b->unit->version, cgroup_host()->mode == CGROUP_V2 };
	g_autofree const char **argv = NULL;
	int r;

	add(words, "Description=s:container %s", b->id);
	add(words, "Slice=s:%s", b->unit->slice);
	add(words, "Delegate=b:1");
	add(words, "PIDs=au:@PID@");
	add(words, "DefaultDependencies=b:0");
	add(words, "CPUAccounting=b:1");
	add(words, "%s=b:1", x.v2 ? "IOAccounting" : "BlockIOAccounting");
	add(words, "MemoryAccounting=b:1");
	add(words, "TasksAccounting=b:1");
	if (!x.v2)
		add_devices(b, words);
	add_limits(&x, limits);
	r = add_annotations(b->config, words, e);
	if (r < 0)
		return r;
	argv = g_new0(const char *, words->len + 4);
	argv[0] = b->unit->manager;
	argv[1] = b->unit->name;
	argv[2] = b->cgroup;
	memcpy(argv + 3, words->pdata, words->len * sizeof(*argv));
	plan_addv(p, at, 0, &step_systemd_scope, argv, words->len + 3);
	return 0;
}
