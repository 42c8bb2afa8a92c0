/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "host/steps.h"
#include "store/blob.h"
#include "store/disk.h"
#include "store/journal.h"
#include "store/layer.h"
#include "store/lock.h"
#include "store/store-priv.h"
#include "store/test-priv.h"

#define ID_A   "aaaa000000000000000000000000000000000000000000000000000000000001"
#define ID_B   "aaaa000000000000000000000000000000000000000000000000000000000002"
#define ID_C   "bbbb000000000000000000000000000000000000000000000000000000000003"
#define IMAGE  "sha256:" ID_A
#define IMAGE2 "sha256:" ID_C
#define LAYER  "sha256:" ID_B

static struct store *open_store(struct ctx *c)
{
	struct store *s = NULL;

	ok(store_get(c, &s, &test_err));
	return s;
}

static struct guest_record guest(const char *id, const char *name)
{
	return (struct guest_record){
		.id = (char *)id,
		.realm = (char *)"lodge",
		.name = (char *)name,
		.kind = (char *)"container",
		.engine = (char *)"oci",
		.image_name = (char *)"busybox",
		.spec = (char *)"{\"argv\":[\"true\"]}",
		.doc = (char *)"{}",
		.created = 42,
	};
}

static void add_image(struct store *s, const char *id, const char *name)
{
	char *layers[] = { (char *)LAYER, NULL }, *names[] = { (char *)name, NULL };
	struct image_record i = {
		.id = (char *)id,
		.layers = layers,
		.names = names,
		.arch = (char *)"amd64",
		.os = (char *)"linux",
		.added = 7,
	};

	ok(store_image_add(s, &i, &test_err));
}

static void test_folders(void)
{
	struct ctx c;
	struct store *s;
	struct stat st;
	g_autofree char *db = NULL;

	test_ctx_init(&c);
	g_assert_cmpint(store_get_existing(&c, &s, NULL), ==, -E_NOTFOUND);
	g_assert_cmpint(access(c.root, F_OK), ==, -1);
	open_store(&c);
	db = store_path(&c, "state.db");
	g_assert_cmpint(stat(db, &st), ==, 0);
	g_assert_cmpint(st.st_mode & 0777, ==, 0600);
	store_close(&c);
	ok(store_get_existing(&c, &s, &test_err));
	test_fsck_clean(&c);
	test_ctx_done(&c);
}

static void test_guests(void)
{
	struct ctx c;
	struct store *s;
	struct guest_record g = guest(ID_A, "web"), h = guest(ID_B, "db");
	_cleanup_(guest_record_freep) struct guest_record *found = NULL;
	g_autoptr(GPtrArray) list = NULL;

	test_ctx_init(&c);
	s = open_store(&c);
	ok(store_guest_add(s, &g, &test_err));
	g_assert_cmpint(store_guest_add(s, &g, &test_err), ==, -E_EXISTS);
	h.name = g.name;
	g_assert_cmpint(store_guest_add(s, &h, &test_err), ==, -E_EXISTS);
	g_assert_cmpstr(test_err.text, ==, "the name 'web' is in use by guest 'aaaa00000000'");
	h.realm = (char *)"docker"; /* another realm's name */
	ok(store_guest_add(s, &h, &test_err));
	g_assert_cmpint(store_guest_find(s, NULL, "web", &found, &test_err), ==, -E_INVALID);
	ok(store_guest_find(s, "docker", "web", &found, &test_err));
	g_assert_cmpstr(found->id, ==, ID_B);
	g_assert_cmpint(store_guest_find(s, NULL, "aaaa", &found, &test_err), ==, -E_INVALID);
	g_assert_cmpint(store_guest_find(s, NULL, "aaab", &found, &test_err), ==, -E_NOTFOUND);
	guest_record_free(found);
	found = NULL;
	ok(store_guest_find(s, "lodge", "aaaa", &found, &test_err));
	g_assert_cmpstr(found->id, ==, ID_A);
	g_assert_cmpstr(found->spec, ==, g.spec);
	g_assert_null(found->image);
	found->wanted = true;
	ok(store_guest_update(s, found, &test_err));
	h.created = 43;
	ok(store_guest_update(s, &h, &test_err));
	ok(store_guest_list(s, NULL, &list, &test_err));
	g_assert_cmpuint(list->len, ==, 2);
	g_assert_cmpstr(((struct guest_record *)list->pdata[0])->id, ==, ID_B);
	g_assert_true(((struct guest_record *)list->pdata[1])->wanted);
	ok(store_guest_remove(s, ID_A, &test_err));
	g_assert_cmpint(store_guest_remove(s, ID_A, &test_err), ==, -E_NOTFOUND);
	test_ctx_done(&c);
}

static void test_images(void)
{
	struct ctx c;
	struct store *s;
	struct guest_record g = guest(ID_A, "web");
	_cleanup_(image_record_freep) struct image_record *i = NULL;

	test_ctx_init(&c);
	s = open_store(&c);
	add_image(s, IMAGE, "docker.io/library/a:latest");
	add_image(s, IMAGE2, "docker.io/library/b:latest");
	ok(store_image_find(s, "docker.io/library/a:latest", &i, &test_err));
	g_assert_cmpstr(i->id, ==, IMAGE);
	g_assert_cmpstr(i->layers[0], ==, LAYER);
	g_clear_pointer(&i, image_record_free);
	ok(store_image_find(s, "bbbb", &i, &test_err));
	g_assert_cmpstr(i->names[0], ==, "docker.io/library/b:latest");
	g_clear_pointer(&i, image_record_free);
	ok(store_image_find(s, "docker.io/library/a@" IMAGE, &i, &test_err));
	g_clear_pointer(&i, image_record_free);
	g_assert_cmpint(
		store_image_find(s, "docker.io/library/b@" IMAGE, &i, NULL), ==, -E_NOTFOUND);
	/* a name moves */
	ok(store_image_tag(s, IMAGE2, "docker.io/library/a:latest", &test_err));
	ok(store_image_find(s, "docker.io/library/a:latest", &i, &test_err));
	g_assert_cmpstr(i->id, ==, IMAGE2);
	g_clear_pointer(&i, image_record_free);
	/* an image in use */
	g.image = (char *)IMAGE2;
	ok(store_guest_add(s, &g, &test_err));
	g_assert_cmpint(store_image_remove(s, IMAGE2, &test_err), ==, -E_INUSE);
	g_assert_nonnull(strstr(test_err.text, "'web'"));
	ok(store_guest_remove(s, ID_A, &test_err));
	ok(store_image_remove(s, IMAGE2, &test_err));
	g.image = (char *)IMAGE2;
	g_assert_cmpint(store_guest_add(s, &g, &test_err), ==, -E_NOTFOUND);
	g_assert_cmpint(
		store_image_find(s, "docker.io/library/b:latest", &i, NULL), ==, -E_NOTFOUND);
	g_assert_cmpint(store_image_tag(s, IMAGE2, "x:y", &test_err), ==, -E_NOTFOUND);
	test_ctx_done(&c);
}

/* A file of `size` bytes as the disk of an image. Caller frees. */
static char *keep_disk(struct ctx *c, const char *image, char fill)
{
	g_autofree char *file = store_path(c, "cache/disk"), *digest = NULL;
	g_autofree char *text = g_strnfill(20000, fill);
	struct image_record i = {
		.id = (char *)image,
		.disk_format = (char *)"qcow2",
		.disk_size = 1 << 30,
		.added = 7,
	};
	int64_t bytes;

	g_assert_true(g_file_set_contents(file, text, -1, NULL));
	ok(disk_keep(c, file, "qcow2", NULL, NULL, &digest, &bytes, &test_err));
	g_assert_cmpint(access(file, F_OK), <, 0);
	g_assert_cmpint(bytes, >=, 20000);
	i.disk = digest;
	ok(store_image_add(c->store, &i, &test_err));
	return disk_path(c, digest, "qcow2");
}

static void test_disks(void)
{
	_cleanup_(image_record_freep) struct image_record *i = NULL;
	g_autofree char *path = NULL, *same = NULL, *other = NULL;
	struct guest_record g = guest(ID_A, "machine");
	int64_t bytes = 0;
	struct stat st;
	struct ctx c;
	struct store *s;

	test_ctx_init(&c);
	s = open_store(&c);
	path = keep_disk(&c, IMAGE, 'a');
	ok(store_image_find(s, ID_A, &i, &test_err));
	g_assert_cmpstr(i->disk_format, ==, "qcow2");
	g_assert_cmpint(i->disk_size, ==, 1 << 30);
	g_assert_cmpint(stat(path, &st), ==, 0);
	g_assert_cmpint(st.st_mode & 0777, ==, 0400);
	ok(disk_verify(path, i->disk, &test_err));
	/* the same bytes are kept once, and stay the same file */
	same = keep_disk(&c, IMAGE2, 'a');
	g_assert_cmpstr(same, ==, path);
	other = keep_disk(&c, LAYER, 'b');
	/* as long as one image has it, or a guest the image */
	g.image = (char *)IMAGE2;
	ok(store_guest_add(s, &g, &test_err));
	ok(store_image_remove(s, IMAGE, &test_err));
	g_assert_cmpint(store_image_remove(s, IMAGE2, &test_err), ==, -E_INUSE);
	ok(store_image_remove(s, LAYER, &test_err));
	g_assert_cmpint(content_collect(&c, &bytes, &test_err), ==, 1);
	g_assert_cmpint(access(path, F_OK), ==, 0);
	g_assert_cmpint(access(other, F_OK), <, 0);
	ok(store_guest_remove(s, ID_A, &test_err));
	ok(store_image_remove(s, IMAGE2, &test_err));
	g_assert_cmpint(content_collect(&c, &bytes, &test_err), ==, 1);
	g_assert_cmpint(bytes, ==, st.st_blocks * 512);
	g_assert_cmpint(access(path, F_OK), <, 0);
	test_ctx_done(&c);
}

static void test_disk_formats(void)
{
	static const char *const bad[] = { "", "../x", "a/b", "QCOW2", "a.b", "12345678901234567",
		NULL };

	g_assert_true(disk_is_format("qcow2"));
	for (unsigned i = 0; i < ELEMENTSOF(bad); i++)
		g_assert_false(disk_is_format(bad[i]));
}

/* A store as the version before disks left it. */
static void test_older(void)
{
	_cleanup_(image_record_freep) struct image_record *i = NULL;
	g_autofree char *folder = NULL;
	struct ctx c;
	struct store *s;

	test_ctx_init(&c);
	s = open_store(&c);
	add_image(s, IMAGE, "docker.io/library/a:latest");
	g_assert_cmpint(sqlite3_exec(s->db, "DROP TABLE image_disks;PRAGMA user_version=1", NULL,
				NULL, NULL),
		==, 0);
	store_close(&c);
	folder = store_path(&c, "disks");
	g_assert_cmpint(rmdir(folder), ==, 0);
	/* explain doesn't upgrade, and can read it */
	c.explain = true;
	s = open_store(&c);
	ok(store_image_find(s, "docker.io/library/a:latest", &i, &test_err));
	g_assert_null(i->disk);
	store_close(&c);
	g_assert_cmpint(access(folder, F_OK), <, 0);
	c.explain = false;
	s = open_store(&c);
	g_free(keep_disk(&c, IMAGE2, 'a'));
	test_ctx_done(&c);
}

static void test_layers(void)
{
	struct layer_record l = { .digest = (char *)LAYER, .size = 4096 };
	g_autoptr(GPtrArray) unused = NULL;
	struct ctx c;
	struct store *s;

	test_ctx_init(&c);
	s = open_store(&c);
	ok(store_layer_add(s, &l, &test_err));
	g_assert_cmpint(store_layer_has(s, LAYER, NULL), ==, 1);
	ok(store_layer_unused(s, &unused, &test_err));
	g_assert_cmpuint(unused->len, ==, 1);
	add_image(s, IMAGE, "docker.io/library/a:latest");
	g_assert_cmpint(store_layer_remove(s, LAYER, &test_err), ==, -E_INUSE);
	ok(store_image_remove(s, IMAGE, &test_err));
	ok(store_layer_remove(s, LAYER, &test_err));
	g_assert_cmpint(store_layer_has(s, LAYER, NULL), ==, 0);
	test_ctx_done(&c);
}

static void test_volumes_networks(void)
{
	struct volume_record v = { .name = (char *)"data", .created = 1 };
	struct network_record n = { .id = (char *)ID_A,
		.name = (char *)"web",
		.driver = (char *)"bridge",
		.subnet = (char *)"10.1.0.0/16",
		.mtu = 1400 };
	struct guest_record g = guest(ID_B, "db");
	_cleanup_(network_record_freep) struct network_record *found = NULL;
	g_autoptr(GPtrArray) users = NULL;
	struct ctx c;
	struct store *s;

	test_ctx_init(&c);
	s = open_store(&c);
	ok(store_volume_add(s, &v, &test_err));
	g_assert_cmpint(store_volume_add(s, &v, &test_err), ==, -E_EXISTS);
	ok(store_network_add(s, &n, &test_err));
	ok(store_guest_add(s, &g, &test_err));
	ok(store_guest_uses(s, ID_B, "volume", "data", &test_err));
	ok(store_guest_uses(s, ID_B, "network", "web", &test_err));
	ok(store_users(s, "volume", "data", &users, &test_err));
	g_assert_cmpuint(users->len, ==, 1);
	g_assert_cmpint(store_volume_remove(s, "data", &test_err), ==, -E_INUSE);
	g_assert_cmpstr(test_err.text, ==, "the volume 'data' is in use by guest 'db'");
	g_assert_cmpint(store_network_remove(s, "web", &test_err), ==, -E_INUSE);
	ok(store_network_find(s, "aaaa", &found, &test_err));
	g_assert_cmpint(found->mtu, ==, 1400);
	g_assert_cmpstr(found->subnet, ==, "10.1.0.0/16");
	ok(store_guest_remove(s, ID_B, &test_err)); /* and its uses */
	ok(store_volume_remove(s, "data", &test_err));
	ok(store_network_remove(s, "web", &test_err));
	test_ctx_done(&c);
}

static void test_bad_record(void)
{
	_cleanup_(guest_record_freep) struct guest_record *found = NULL;
	g_autoptr(GPtrArray) problems = g_ptr_array_new_with_free_func(g_free);
	struct guest_record g = guest(ID_A, "web");
	struct ctx c;
	struct store *s;
	json_t *j;

	test_ctx_init(&c);
	s = open_store(&c);
	g.spec = (char *)"{\"argv\":[";
	ok(store_guest_add(s, &g, &test_err));
	g_assert_cmpint(store_guest_find(s, NULL, "web", &found, &test_err), ==, -E_CORRUPT);
	g_assert_cmpstr(
		test_err.text, ==, "the record of guest 'web' is damaged: its spec isn't JSON");
	g_assert_cmpstr(test_err.mend, ==, "lodge fsck --repair");
	g_assert_cmpint(store_json("{\"a\":}", "guest", "web", &j, &test_err), ==, -E_CORRUPT);
	g_assert_cmpint(store_fsck(&c, true, problems, &test_err), ==, 0);
	g_assert_cmpuint(problems->len, ==, 1);
	test_fsck_clean(&c);
	test_ctx_done(&c);
}

static void damage(struct ctx *c)
{
	g_autofree char *db = store_path(c, "state.db"), *wal = store_path(c, "state.db-wal");
	FILE *f;

	f = fopen(wal, "r+");
	if (f) {
		g_assert_cmpint(ftruncate(fileno(f), 0), ==, 0);
		fclose(f);
	}
	f = fopen(db, "r+");
	fputs("this is not a database at all, is it", f);
	fclose(f);
}

static void test_bad_database(void)
{
	g_autoptr(GPtrArray) problems = g_ptr_array_new_with_free_func(g_free);
	struct ctx c;
	struct store *s;

	test_ctx_init(&c);
	open_store(&c);
	store_close(&c);
	damage(&c);
	g_assert_cmpint(store_get(&c, &s, &test_err), ==, -E_CORRUPT);
	g_assert_nonnull(strstr(test_err.text, "state.db"));
	g_assert_cmpstr(test_err.mend, ==, "lodge fsck --repair");
	g_assert_cmpint(store_fsck(&c, false, problems, &test_err), ==, 1);
	g_ptr_array_set_size(problems, 0);
	g_assert_cmpint(store_fsck(&c, true, problems, &test_err), ==, 0);
	g_assert_cmpuint(problems->len, ==, 1);
	test_fsck_clean(&c);
	open_store(&c);
	test_ctx_done(&c);
}

/* A page in the middle is overwritten: what can be read is kept. */
static void test_salvage(void)
{
	g_autoptr(GPtrArray) problems = g_ptr_array_new_with_free_func(g_free), left = NULL;
	g_autofree char *db = NULL, *long_spec = NULL;
	char block[4096];
	struct stat st;
	struct ctx c;
	struct store *s;
	int fd;

	test_ctx_init(&c);
	s = open_store(&c);
	long_spec = g_strnfill(2000, ' ');
	memcpy(long_spec, "{\"a\":\"", 6);
	memcpy(long_spec + 1998, "\"}", 2);
	for (unsigned i = 0; i < 200; i++) {
		g_autofree char *id = g_strdup_printf("%064x", i),
				*name = g_strdup_printf("g%u", i);
		g_autofree char *folder = store_path(&c, "guests/%s", id);
		struct guest_record g = guest(id, name);

		g.spec = long_spec;
		ok(store_guest_add(s, &g, &test_err));
		g_assert_cmpint(mkdir(folder, 0700), ==, 0);
	}
	g_assert_cmpint(
		sqlite3_exec(s->db, "PRAGMA wal_checkpoint(TRUNCATE)", NULL, NULL, NULL), ==, 0);
	store_close(&c);
	db = store_path(&c, "state.db");
	fd = open(db, O_RDWR);
	g_assert_cmpint(fstat(fd, &st), ==, 0);
	memset(block, 0xa5, sizeof(block));
	g_assert_cmpint(
		pwrite(fd, block, sizeof(block), st.st_size / 8192 * 4096), ==, sizeof(block));
	close(fd);
	g_assert_cmpint(store_fsck(&c, true, problems, &test_err), >=, 0);
	g_assert_cmpuint(problems->len, >, 0);
	s = open_store(&c);
	ok(store_guest_list(s, NULL, &left, &test_err));
	g_assert_cmpuint(left->len, >=, 150);
	test_fsck_clean(&c);
	test_ctx_done(&c);
}

static void test_newer(void)
{
	struct ctx c;
	struct store *s;

	test_ctx_init(&c);
	s = open_store(&c);
	g_assert_cmpint(sqlite3_exec(s->db, "PRAGMA user_version=99", NULL, NULL, NULL), ==, 0);
	store_close(&c);
	g_assert_cmpint(store_get(&c, &s, &test_err), ==, -E_UNSUPPORTED);
	test_ctx_done(&c);
}

static void test_explain(void)
{
	g_autofree char *out = NULL;
	struct ctx c;
	struct store *s;

	test_ctx_init(&c);
	c.explain = true;
	ok(store_get(&c, &s, &test_err)); /* of an empty store, in memory */
	g_assert_cmpint(access(c.root, F_OK), ==, -1);
	store_close(&c);
	c.explain = false;
	s = open_store(&c);
	add_image(s, IMAGE, "docker.io/library/a:latest");
	store_close(&c);
	c.explain = true;
	s = open_store(&c);
	g_assert_cmpint(store_image_remove(s, IMAGE, &test_err), <, 0);
	test_ctx_done(&c);
}

/* --- journal ------------------------------------------------------------------------------------- */

static struct plan *create_plan(struct ctx *c)
{
	struct plan *p = plan_new();

	plan_add(p, AT_HOST, &step_mkdir, plan_str(p, "%s/guests/%s", c->root, ID_A), "0700");
	plan_add(p, AT_HOST, &step_record_volume, "v1", "local", "{}", "5", "0");
	plan_add(p, AT_HOST, &step_record_guest, ID_A, "lodge", "web", "container", "oci", "", "x",
		"{}", "{}", "1", "0", "volume:v1");
	return p;
}

static struct plan *remove_plan(struct ctx *c)
{
	struct plan *p = plan_new();

	plan_add(p, AT_HOST, &step_remove, plan_str(p, "%s/guests/%s", c->root, ID_A));
	plan_add(p, AT_HOST, &step_record_guest_remove, ID_A);
	plan_add(p, AT_HOST, &step_record_volume_remove, "v1");
	return p;
}

/* This program, started again by run_and_die: "--die create|remove ROOT RUN". */
static int die_main(char **argv)
{
	struct ctx c = { .root = argv[3], .run = argv[4], .trace_fd = -1 };

	if (strcmp(argv[2], "create") == 0)
		return journal_run(&c, create_plan(&c), NULL);
	return journal_run_forward(&c, remove_plan(&c), NULL);
}

/* Runs a plan in another process that is killed after step `after`. */
static void run_and_die(struct ctx *c, const char *what, int after)
{
	pid_t pid = fork();
	int status;

	g_assert_cmpint(pid, >=, 0);
	if (pid == 0) {
		g_autofree char *fault = g_strdup_printf("exe:kill:%d", after);

		setenv("LODGE_FAULT", fault, 1);
		execl("/proc/self/exe", "exe", "--die", what, c->root, c->run, (char *)NULL);
		_exit(1);
	}
	g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
	g_assert_true(WIFSIGNALED(status));
}

static void test_journal_run(void)
{
	_cleanup_(plan_freep) struct plan *p = NULL;
	_cleanup_(guest_record_freep) struct guest_record *g = NULL;
	g_autoptr(GPtrArray) users = NULL;
	struct ctx c;
	struct store *s;

	test_ctx_init(&c);
	s = open_store(&c);
	p = create_plan(&c);
	ok(journal_run(&c, p, &test_err));
	ok(store_guest_find(s, NULL, "web", &g, &test_err));
	ok(store_users(s, "volume", "v1", &users, &test_err));
	g_assert_cmpuint(users->len, ==, 1);
	/* once more: the folder is there, nothing of the first run is undone */
	g_assert_cmpint(journal_run(&c, p, &test_err), <, 0);
	guest_record_free(g);
	g = NULL;
	ok(store_guest_find(s, NULL, "web", &g, &test_err));
	test_ctx_done(&c);
}

static void test_journal_dead(void)
{
	for (int step = 0; step < 3; step++) {
		g_autoptr(GPtrArray) list = NULL;
		g_autofree char *folder = NULL;
		struct ctx c;
		struct store *s;

		test_ctx_init(&c);
		open_store(&c);
		store_close(&c);
		run_and_die(&c, "create", step);
		folder = store_path(&c, "guests/%s", ID_A);
		g_assert_cmpint(access(folder, F_OK), ==, 0);
		s = open_store(&c);
		g_assert_cmpint(access(folder, F_OK), ==, -1);
		ok(store_guest_list(s, NULL, &list, &test_err));
		g_assert_cmpuint(list->len, ==, 0);
		test_fsck_clean(&c);
		test_ctx_done(&c);
	}
}

static void test_journal_forward(void)
{
	for (int step = 0; step < 3; step++) {
		_cleanup_(plan_freep) struct plan *p = NULL;
		g_autoptr(GPtrArray) list = NULL;
		struct ctx c;
		struct store *s;

		test_ctx_init(&c);
		open_store(&c);
		p = create_plan(&c);
		ok(journal_run(&c, p, &test_err));
		store_close(&c);
		run_and_die(&c, "remove", step);
		s = open_store(&c);
		ok(store_volume_list(s, &list, &test_err));
		g_assert_cmpuint(list->len, ==, 0);
		test_fsck_clean(&c);
		test_ctx_done(&c);
	}
}

static void test_journal_hold(void)
{
	_cleanup_(plan_freep) struct plan *p = plan_new();
	struct journal_hold h;
	struct ctx c;
	g_autofree char *folder = NULL;

	test_ctx_init(&c);
	open_store(&c);
	folder = store_path(&c, "guests/%s", ID_B);
	plan_add(p, AT_HOST, &step_tree, folder, "0700");
	ok(journal_begin(&c, p, &h, &test_err));
	g_assert_cmpint(mkdir(folder, 0700), ==, 0);
	g_assert_cmpint(journal_recover(&c, NULL), ==, 0); /* we live */
	journal_abort(&c, p, &h);
	g_assert_cmpint(access(folder, F_OK), ==, -1);
	ok(journal_begin(&c, p, &h, &test_err));
	g_assert_cmpint(mkdir(folder, 0700), ==, 0);
	journal_done(&h);
	g_assert_cmpint(access(folder, F_OK), ==, 0);
	test_ctx_done(&c);
}

static void test_owner(void)
{
	g_autofree char *me = journal_owner(), *other = NULL, *boot = NULL;
	g_auto(GStrv) part = g_strsplit(me, ".", -1);

	g_assert_cmpuint(g_strv_length(part), ==, 3);
	g_assert_cmpint(g_ascii_strtoll(part[0], NULL, 10), ==, getpid());
	g_assert_true(journal_owner_lives(me));
	other = g_strdup_printf("%s.1%s.%s", part[0], part[1], part[2]);
	g_assert_false(journal_owner_lives(other));
	boot = g_strdup_printf("%s.%s.ffffffff.0", part[0], part[1]);
	g_assert_false(journal_owner_lives(boot));
	g_assert_true(journal_owner_lives("README"));
	g_assert_true(journal_owner_lives("1.2"));
}

/* Whoever gets a dead command's lock must find it dead: else its plan would be left for later. */
static void test_owner_killed(void)
{
	struct ctx c;
	int pipes[2];

	test_ctx_init(&c);
	g_assert_cmpint(pipe(pipes), ==, 0);
	for (int i = 0; i < 300; i++) {
		char name[128] = "";
		pid_t pid = fork();
		int lock;

		g_assert_cmpint(pid, >=, 0);
		if (pid == 0) {
			g_autofree char *me = journal_owner();

			if (store_lock(&c, "content", "collect", NULL) < 0 ||
				write(pipes[1], me, strlen(me) + 1) < 0)
				_exit(1);
			for (;;)
				(void)pause();
		}
		g_assert_cmpint(read(pipes[0], name, sizeof(name) - 1), >, 0);
		g_assert_true(journal_owner_lives(name));
		g_assert_cmpint(kill(pid, SIGKILL), ==, 0);
		lock = store_lock(&c, "content", "collect", &test_err);
		g_assert_cmpint(lock, >=, 0);
		g_assert_false(journal_owner_lives(name));
		g_assert_cmpint(close(lock), ==, 0);
		g_assert_cmpint(waitpid(pid, NULL, 0), ==, pid);
	}
	(void)close(pipes[0]);
	(void)close(pipes[1]);
	test_ctx_done(&c);
}

/* --- content, locks, sizes ------------------------------------------------------------------------- */

static void test_blobs(void)
{
	g_autofree char *digest = NULL, *back = NULL, *path = NULL;
	int64_t bytes;
	size_t size;
	struct ctx c;

	test_ctx_init(&c);
	ok(blob_write(&c, "hello", 5, NULL, &digest, &test_err));
	g_assert_cmpstr(digest, ==,
		"sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
	ok(blob_read(&c, digest, &back, &size, &test_err));
	g_assert_cmpstr(back, ==, "hello");
	g_assert_cmpint(blob_size(&c, digest, NULL), ==, 5);
	g_assert_cmpint(blob_write(&c, "jello", 5, digest, NULL, &test_err), ==, -E_CORRUPT);
	g_assert_cmpint(
		blob_read(&c, "sha256:../../etc/passwd", &back, NULL, NULL), ==, -E_INVALID);
	path = blob_path(&c, digest);
	g_assert_true(g_file_set_contents(path, "jello", 5, NULL));
	g_free(back);
	back = NULL;
	g_assert_cmpint(blob_read(&c, digest, &back, NULL, &test_err), ==, -E_CORRUPT);
	ok(blob_write(&c, "hello", 5, NULL, NULL, &test_err)); /* mends it */
	ok(blob_read(&c, digest, &back, NULL, &test_err));
	g_assert_cmpint(blob_collect(&c, &bytes, NULL), ==, 1);
	g_assert_cmpint(bytes, >, 0);
	g_assert_cmpint(blob_size(&c, digest, NULL), ==, -E_NOTFOUND);
	test_ctx_done(&c);
}

static void test_locks(void)
{
	struct ctx c;
	int a, b;

	test_ctx_init(&c);
	a = store_lock(&c, "guest", "x/y", &test_err);
	ok(a);
	g_assert_cmpint(store_lock_flags(&c, "guest", "x/y", LOCK_TRY, NULL), ==, -EAGAIN);
	g_assert_cmpint(
		store_lock_flags(&c, "guest", "x/y", LOCK_SHARED | LOCK_TRY, NULL), ==, -EAGAIN);
	store_lock_forget(&c, "guest", "x/y");
	close(a);
	b = store_lock_flags(&c, "guest", "x/y", LOCK_SHARED, &test_err);
	ok(b);
	a = store_lock_flags(&c, "guest", "x/y", LOCK_SHARED | LOCK_TRY, &test_err);
	ok(a);
	close(a);
	close(b);
	test_ctx_done(&c);
}

static void test_fsck_files(void)
{
	static const char *const files[] = { "stray", "blobs/stray", "blobs/sha256/stray",
		"blobs/sha256/1.1.00000000.part", "blobs/sha256/" ID_A, "layers/" ID_A ".erofs",
		"disks/stray", "disks/" ID_A ".qcow2", "guests/stray", "volumes/stray",
		"journal/stray" };
	g_autoptr(GPtrArray) problems = g_ptr_array_new_with_free_func(g_free);
	g_autofree char *dir = NULL;
	struct ctx c;

	test_ctx_init(&c);
	open_store(&c);
	for (unsigned i = 0; i < ELEMENTSOF(files); i++) {
		g_autofree char *path = store_path(&c, "%s", files[i]);

		g_assert_true(g_file_set_contents(path, "x", 1, NULL));
	}
	dir = store_path(&c, "guests/%s", ID_B);
	g_assert_cmpint(mkdir(dir, 0700), ==, 0);
	g_assert_cmpint(store_fsck(&c, false, problems, &test_err), ==, ELEMENTSOF(files) + 1);
	g_ptr_array_set_size(problems, 0);
	g_assert_cmpint(
		store_fsck(&c, true, problems, &test_err), ==, 1); /* the journal's is left */
	g_assert_cmpuint(problems->len, ==, ELEMENTSOF(files) + 1);
	test_ctx_done(&c);
}

static void test_df(void)
{
	g_autofree char *command = NULL, *out = NULL, *file = NULL, *twin = NULL;
	g_autofree char *dir = NULL, *text = NULL;
	int64_t total = 0;
	struct volume_record v = { .name = (char *)"data" };
	struct ctx c;
	struct store *s;
	json_t *kinds, *k;
	size_t i;

	test_ctx_init(&c);
	s = open_store(&c);
	ok(store_volume_add(s, &v, &test_err));
	dir = store_path(&c, "volumes/data/a/b/c");
	g_assert_cmpint(g_mkdir_with_parents(dir, 0755), ==, 0);
	file = g_strconcat(dir, "/f", NULL);
	twin = store_path(&c, "cache/g");
	text = g_strnfill(300000, 'x');
	g_assert_true(g_file_set_contents(file, text, -1, NULL));
	g_assert_cmpint(link(file, twin), ==, 0);
	ok(store_df(&c, &kinds, &test_err));
	json_array_foreach(kinds, i, k) {
		total += json_integer_value(json_object_get(k, "bytes"));
	}
	k = json_array_get(kinds, 2);
	g_assert_cmpstr(json_string_value(json_object_get(k, "kind")), ==, "volumes");
	g_assert_cmpint(json_integer_value(json_object_get(k, "count")), ==, 1);
	g_assert_cmpint(json_integer_value(json_object_get(k, "bytes")), >=, 4096);
	json_decref(kinds);
	command = g_strdup_printf("du -s -B1 %s", c.root);
	g_assert_true(g_spawn_command_line_sync(command, &out, NULL, NULL, NULL));
	g_assert_cmpint(total, ==, g_ascii_strtoll(out, NULL, 10));
	test_ctx_done(&c);
}

/* Many commands at once: nobody is told "busy", nothing is lost. */
static void test_many(void)
{
	enum {
		N = 20,
		EACH = 5
	};
	g_autoptr(GPtrArray) list = NULL;
	pid_t pid[N];
	struct ctx c;
	struct store *s;

	test_ctx_init(&c);
	for (int i = 0; i < N; i++) {
		pid[i] = fork();
		if (pid[i] > 0)
			continue;
		for (int k = 0; k < EACH; k++) {
			g_autofree char *id = g_strdup_printf("%064x", i * EACH + k);
			struct guest_record g = guest(id, id);

			ok(store_get(&c, &s, &test_err));
			ok(store_guest_add(s, &g, &test_err));
			store_close(&c);
		}
		_exit(0);
	}
	for (int i = 0; i < N; i++) {
		int status;

		g_assert_cmpint(waitpid(pid[i], &status, 0), ==, pid[i]);
		g_assert_cmpint(status, ==, 0);
	}
	s = open_store(&c);
	ok(store_guest_list(s, NULL, &list, &test_err));
	g_assert_cmpuint(list->len, ==, N * EACH);
	test_ctx_done(&c);
}

static int opens;
static int (*real_open)(const char *, int, ...);

/* The database isn't there at the first try to open it, and is there at the next. */
static int late_open(const char *path, int flags, int mode)
{
	if (g_str_has_suffix(path, "/state.db") && opens++ == 0) {
		errno = ENOENT;
		return -1;
	}
	return real_open(path, flags, mode);
}

/* Another command makes the store while this one looks for it. */
static void test_made_meanwhile(void)
{
	sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
	g_autofree char *id = g_strdup_printf("%064x", 1);
	struct guest_record g = guest(id, id);
	struct ctx c;
	struct store *s;

	test_ctx_init(&c);
	open_store(&c);
	store_close(&c);
	real_open = (int (*)(const char *, int, ...))vfs->xGetSystemCall(vfs, "open");
	opens = 0;
	(void)vfs->xSetSystemCall(vfs, "open", (sqlite3_syscall_ptr)late_open);
	ok(store_get(&c, &s, &test_err));
	(void)vfs->xSetSystemCall(vfs, "open", NULL);
	g_assert_cmpint(opens, >, 1);
	ok(store_guest_add(s, &g, &test_err));
	test_ctx_done(&c);
}

int main(int argc, char **argv)
{
	if (argc == 5 && strcmp(argv[1], "--die") == 0)
		return die_main(argv);
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/store/folders", test_folders);
	g_test_add_func("/store/guests", test_guests);
	g_test_add_func("/store/images", test_images);
	g_test_add_func("/store/disks", test_disks);
	g_test_add_func("/store/disk-formats", test_disk_formats);
	g_test_add_func("/store/layers", test_layers);
	g_test_add_func("/store/volumes-networks", test_volumes_networks);
	g_test_add_func("/store/bad-record", test_bad_record);
	g_test_add_func("/store/bad-database", test_bad_database);
	g_test_add_func("/store/salvage", test_salvage);
	g_test_add_func("/store/newer", test_newer);
	g_test_add_func("/store/older", test_older);
	g_test_add_func("/store/made-meanwhile", test_made_meanwhile);
	g_test_add_func("/store/explain", test_explain);
	g_test_add_func("/journal/run", test_journal_run);
	g_test_add_func("/journal/dead", test_journal_dead);
	g_test_add_func("/journal/forward", test_journal_forward);
	g_test_add_func("/journal/hold", test_journal_hold);
	g_test_add_func("/journal/owner", test_owner);
	g_test_add_func("/journal/owner-killed", test_owner_killed);
	g_test_add_func("/store/blobs", test_blobs);
	g_test_add_func("/store/locks", test_locks);
	g_test_add_func("/store/fsck-files", test_fsck_files);
	g_test_add_func("/store/df", test_df);
	g_test_add_func("/store/many", test_many);
	return g_test_run();
}
