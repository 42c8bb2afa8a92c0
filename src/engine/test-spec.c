/* SPDX-License-Identifier: MIT */
#include "engine/spec.h"

#include <string.h>
#include "engine/spec-priv.h"

#define ROUNDS 300

#define FOREACH_FIELD(f, t) \
	for (const struct json_field *f = (t)->fields; f->type != JSON_T_END; f++)

/* --- a spec with anything in any field, by the table --------------------------------------------------- */

static char *random_string(void)
{
	static const char *const some[] = { "", "/", "a b", "\xc3\xa4", "\"\\\n\t", "\xff\xfe",
		"true" };

	return g_strdup(some[g_test_rand_int_range(0, G_N_ELEMENTS(some))]);
}

static char **random_strings(void)
{
	int n = g_test_rand_int_range(0, 4);
	char **list = g_new0(char *, n + 1);

	for (int i = 0; i < n; i++)
		list[i] = random_string();
	return list;
}

static uint64_t random_number(void)
{
	static const uint64_t some[] = { 0, 1, UINT64_MAX, INT64_MAX, (uint64_t)INT64_MIN,
		UINT32_MAX, 0x8000000000000001 };

	return some[g_test_rand_int_range(0, G_N_ELEMENTS(some))];
}

static void fill(const struct json_struct *t, void *s);

static void fill_field(const struct json_field *f, void *p)
{
	int n = 0;

	switch (f->type) {
	case JSON_T_STRING:
		*(char **)p = random_string();
		break;
	case JSON_T_STRINGS:
		*(char ***)p = random_strings();
		break;
	case JSON_T_BOOL:
		*(bool *)p = true;
		break;
	case JSON_T_INT:
		*(int *)p = (int)random_number();
		break;
	case JSON_T_UINT16:
		*(uint16_t *)p = (uint16_t)random_number();
		break;
	case JSON_T_UINT32:
		*(uint32_t *)p = (uint32_t)random_number();
		break;
	case JSON_T_INT64:
	case JSON_T_UINT64:
		*(uint64_t *)p = random_number();
		break;
	case JSON_T_ENUM:
		while (f->names[n])
			n++;
		*(int *)p = g_test_rand_int_range(0, n);
		break;
	case JSON_T_STRUCT:
		fill(f->of, p);
		break;
	case JSON_T_POINTER:
		*(void **)p = g_malloc(f->of->size);
		json_struct_init(f->of, *(void **)p);
		fill(f->of, *(void **)p);
		break;
	case JSON_T_LIST:
		for (n = g_test_rand_int_range(0, 3); n > 0; n--)
			fill(f->of, json_list_add(f->of, *(GPtrArray **)p));
		break;
	case JSON_T_ARRAY:
		n = g_test_rand_int_range(0, 3);
		g_array_set_size(*(GArray **)p, (guint)n);
		while (n-- > 0)
			fill(f->of, (*(GArray **)p)->data + (size_t)n * f->of->size);
		break;
	default:
		g_assert_not_reached();
	}
}

static void fill(const struct json_struct *t, void *s)
{
	FOREACH_FIELD(f, t)
	if ((f->flags & JSON_REQUIRED) || g_test_rand_bit())
		fill_field(f, (char *)s + f->offset);
}

static bool same(const struct json_struct *t, const void *a, const void *b);

static bool same_strings(char **a, char **b)
{
	return a && b ? g_strv_equal((const char *const *)a, (const char *const *)b) : a == b;
}

static bool same_list(const struct json_struct *t, const GPtrArray *a, const GPtrArray *b)
{
	for (guint i = 0; a->len == b->len && i < a->len; i++)
		if (!same(t, a->pdata[i], b->pdata[i]))
			return false;
	return a->len == b->len;
}

static bool same_array(const struct json_struct *t, const GArray *a, const GArray *b)
{
	for (guint i = 0; a->len == b->len && i < a->len; i++)
		if (!same(t, a->data + i * t->size, b->data + i * t->size))
			return false;
	return a->len == b->len;
}

static bool same_field(const struct json_field *f, const void *a, const void *b)
{
	switch (f->type) {
	case JSON_T_STRING:
		return g_strcmp0(*(char *const *)a, *(char *const *)b) == 0;
	case JSON_T_STRINGS:
		return same_strings(*(char **const *)a, *(char **const *)b);
	case JSON_T_BOOL:
		return *(const bool *)a == *(const bool *)b;
	case JSON_T_UINT16:
		return memcmp(a, b, 2) == 0;
	case JSON_T_INT:
	case JSON_T_ENUM:
	case JSON_T_UINT32:
		return memcmp(a, b, 4) == 0;
	case JSON_T_INT64:
	case JSON_T_UINT64:
		return memcmp(a, b, 8) == 0;
	case JSON_T_STRUCT:
		return same(f->of, a, b);
	case JSON_T_POINTER:
		a = *(void *const *)a;
		b = *(void *const *)b;
		return a && b ? same(f->of, a, b) : a == b;
	case JSON_T_LIST:
		return same_list(f->of, *(GPtrArray *const *)a, *(GPtrArray *const *)b);
	case JSON_T_ARRAY:
		return same_array(f->of, *(GArray *const *)a, *(GArray *const *)b);
	default:
		g_assert_not_reached();
	}
}

static bool same(const struct json_struct *t, const void *a, const void *b)
{
	FOREACH_FIELD(f, t)
	if (!same_field(f, (const char *)a + f->offset, (const char *)b + f->offset))
		return false;
	return true;
}

/* Through text, as the store does it. */
static struct spec *through_text(const struct spec *s)
{
	json_t *j = spec_to_json(s), *back;
	char *text = json_dumps(j, 0);
	struct spec *copy;
	struct err e = {};

	g_assert_cmpint(json_read(text, strlen(text), &back, &e), ==, 0);
	if (spec_from_json(back, &copy, &e) < 0)
		g_error("%s in %s", e.text, text);
	free(text);
	json_decref(j);
	json_decref(back);
	return copy;
}

static void test_random(void)
{
	for (int i = 0; i < ROUNDS; i++) {
		_cleanup_(spec_freep) struct spec *s = spec_new(), *copy = NULL;

		fill(&spec_struct, s);
		copy = through_text(s);
		g_assert_true(same(&spec_struct, s, copy));
	}
}

/* --- by hand -------------------------------------------------------------------------------------------- */

static struct spec *full_spec(void)
{
	static const char *const argv[] = { "sh", "-c", "exit 3", NULL };
	struct spec_idmap map = { 0, 100000, 65536 };
	struct spec *s = spec_new();
	struct spec_mount *m;

	s->hostname = g_strdup("web");
	s->argv = g_strdupv((char **)argv);
	s->env = g_new0(char *, 1);
	s->tty = true;
	m = spec_add_mount(s, MOUNT_TMPFS, NULL, "/tmp");
	m->size = 1 << 20;
	m->mode = 0;
	m = spec_add_mount(s, MOUNT_VOLUME, "data", "/data");
	m->nocopy = true;
	s->ns[NS_NET].mode = NS_GUEST;
	s->ns[NS_NET].guest = g_strdup("0123");
	g_array_append_val(s->uid_map, map);
	s->caps = 0xa80425fb;
	spec_add_rlimit(s, "nofile", 1024, UINT64_MAX);
	spec_add_device(s, "/dev/kvm", "/dev/kvm", "rw");
	spec_add_pair(s->sysctls, "net.ipv4.ip_forward", "1");
	spec_add_pair(s->limits.io, "rbps", "/dev/sda:1000");
	s->limits.memory = 512 << 20;
	s->limits.swappiness = 0;
	spec_add_network(s, "bridge")->address = g_strdup("10.0.0.2");
	spec_add_port(s, "tcp", 8080, 80, 2);
	s->restart = RESTART_UNLESS_STOPPED;
	s->stop_timeout = 0;
	s->log_max_size = 0;
	return s;
}

static void test_full(void)
{
	_cleanup_(spec_freep) struct spec *s = full_spec(), *copy = through_text(s);
	struct spec_rlimit *l = copy->rlimits->pdata[0];
	struct spec_port *p = copy->ports->pdata[0];
	struct spec_mount *m = copy->mounts->pdata[0];

	g_assert_true(same(&spec_struct, s, copy));
	g_assert_cmpstr(copy->argv[2], ==, "exit 3");
	g_assert_nonnull(copy->env);
	g_assert_null(copy->env[0]);
	g_assert_null(copy->dns);
	g_assert_true(l->hard == UINT64_MAX && l->soft == 1024);
	g_assert_true(p->host == 8080 && p->guest == 80 && p->count == 2);
	g_assert_true(m->kind == MOUNT_TMPFS && m->mode == 0 && !m->source);
	g_assert_cmpint(copy->ns[NS_NET].mode, ==, NS_GUEST);
	g_assert_cmpint(copy->stop_timeout, ==, 0);
	g_assert_cmpint(copy->limits.swappiness, ==, 0);
	g_assert_cmpuint(g_array_index(copy->uid_map, struct spec_idmap, 0).outside, ==, 100000);
}

static void test_machine(void)
{
	_cleanup_(spec_freep) struct spec *s = spec_new(), *copy = NULL, *none = NULL;
	g_autofree char *id = NULL;
	struct spec_disk *d;

	none = through_text(s);
	g_assert_null(none->vm);
	s->vm = spec_vm_new();
	copy = through_text(s);
	g_assert_nonnull(copy->vm); /* an empty one isn't none */
	g_assert_cmpuint(copy->vm->disks->len, ==, 0);
	g_assert_cmpint(copy->vm->machine, ==, VM_Q35);
	spec_freep(&copy);

	spec_vm_add_disk(s->vm, "disk0", "/a.qcow2", "qcow2");
	d = spec_vm_add_disk(s->vm, "cd0", NULL, NULL);
	d->device = DISK_CDROM;
	s->vm->vcpus_max = 4;
	id = spec_vm_disk_id(s->vm, "disk");
	g_assert_cmpstr(id, ==, "disk1");
	copy = through_text(s);
	g_assert_true(same(&spec_struct, s, copy));
	g_assert_cmpstr(spec_vm_disk(copy->vm, "disk0")->format, ==, "qcow2");
	g_assert_cmpint(spec_vm_disk(copy->vm, "cd0")->device, ==, DISK_CDROM);
	spec_vm_remove_disk(copy->vm, "disk0");
	g_assert_null(spec_vm_disk(copy->vm, "disk0"));
}

static void test_empty(void)
{
	_cleanup_(spec_freep) struct spec *s = spec_new(), *copy = through_text(s);
	json_t *j = spec_to_json(s);

	g_assert_cmpuint(json_object_size(j), ==, 0);
	json_decref(j);
	g_assert_cmpint(copy->log_max_size, ==, 10 << 20);
	g_assert_cmpint(copy->log_max_files, ==, 3);
	g_assert_cmpint(copy->stop_timeout, ==, -1);
	g_assert_cmpint(copy->limits.swappiness, ==, -1);
	g_assert_cmpuint(copy->mounts->len, ==, 0);
	g_assert_cmpuint(copy->gid_map->len, ==, 0);
}

static void check_error(const char *text, const char *want)
{
	struct spec *s = NULL;
	struct err e = {};
	json_t *j;

	g_assert_cmpint(json_read(text, strlen(text), &j, &e), ==, 0);
	g_assert_cmpint(spec_from_json(j, &s, &e), ==, -E_INVALID);
	g_assert_null(s);
	g_assert_cmpstr(e.text, ==, want);
	json_decref(j);
}

static void test_errors(void)
{
	check_error("[]", "invalid spec: '.' is not an object");
	check_error("{\"hostnam\":1}", "invalid spec: unknown field 'hostnam'");
	check_error("{\"mounts\":[{\"kind\":\"bind\",\"target\":\"/\"},{\"target\":\"/\"}]}",
		"invalid spec: 'mounts[1].kind' is missing");
	check_error("{\"mounts\":[{\"kind\":\"ftp\"}]}",
		"invalid spec: 'mounts[0].kind' has the unknown value 'ftp'");
	check_error("{\"ports\":[{\"proto\":\"tcp\",\"host\":65536}]}",
		"invalid spec: 'ports[0].host' is 65536, not 0 to 65535");
	check_error("{\"argv\":[\"a\",2]}", "invalid spec: 'argv[1]' is not a string");
	check_error("{\"vm\":{\"disks\":[{\"id\":\"a\",\"bus\":\"isa\"}]}}",
		"invalid spec: 'vm.disks[0].bus' has the unknown value 'isa'");
	check_error("{\"limits\":{\"memory\":\"1g\"}}",
		"invalid spec: 'limits.memory' is not a whole number");
	check_error("{\"rlimits\":[{\"name\":\"core\",\"soft\":18446744073709551616}]}",
		"invalid spec: 'rlimits[0].soft' is not an unsigned number");
}

/* --- changed at random ---------------------------------------------------------------------------------- */

static json_t *random_json(void)
{
	switch (g_test_rand_int_range(0, 8)) {
	case 0:
		return json_null();
	case 1:
		return json_true();
	case 2:
		return json_integer((json_int_t)random_number());
	case 3:
		return json_real(1.5);
	case 4:
		return json_string("bind");
	case 5:
		return json_array();
	case 6:
		return json_pack("{s:s}", "base64", "AA==");
	default:
		return json_object();
	}
}

/* Replaces or removes a few values somewhere below j. */
static void mutate(json_t *j)
{
	const char *name;
	json_t *value;
	size_t i;
	void *next;

	json_object_foreach_safe(j, next, name, value)
	{
		if (g_test_rand_int_range(0, 40) == 0)
			json_object_del(j, name);
		else if (g_test_rand_int_range(0, 40) == 0)
			json_object_set_new(j, name, random_json());
		else
			mutate(value);
	}
	json_array_foreach(j, i, value) {
		if (g_test_rand_int_range(0, 40) == 0)
			json_array_set_new(j, i, random_json());
		else
			mutate(value);
	}
}

/* Whatever is accepted is kept. */
static void test_mutations(void)
{
	int accepted = 0;

	for (int i = 0; i < ROUNDS; i++) {
		_cleanup_(spec_freep) struct spec *s = full_spec(), *changed = NULL;
		json_t *j = spec_to_json(s);

		mutate(j);
		if (spec_from_json(j, &changed, NULL) == 0) {
			_cleanup_(spec_freep) struct spec *copy = through_text(changed);

			g_assert_true(same(&spec_struct, changed, copy));
			accepted++;
		}
		json_decref(j);
	}
	g_assert_cmpint(accepted, >, 0);
	g_assert_cmpint(accepted, <, ROUNDS);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/spec/full", test_full);
	g_test_add_func("/spec/machine", test_machine);
	g_test_add_func("/spec/empty", test_empty);
	g_test_add_func("/spec/random", test_random);
	g_test_add_func("/spec/errors", test_errors);
	g_test_add_func("/spec/mutations", test_mutations);
	return g_test_run();
}
