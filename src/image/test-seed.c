/* SPDX-License-Identifier: MIT */
#include "image/seed.h"

#include <string.h>
#include "base/macros.h"

#define ED25519 "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGqqw5YoTzkq2kF3ubVMseidFyxDywTEPORJgnGJ0+Zd"

static const struct {
	enum seed_what what;
	const char *text, *error, *warning; /* what it begins with; NULL: none */
} checks[] = {
	{ SEED_USER_DATA, "", NULL, NULL },
	{ SEED_USER_DATA, "#cloud-config\n", NULL, NULL },
	{ SEED_USER_DATA, "#cloud-config\nhostname: x\nruncmd: [ls]\n", NULL, NULL },
	{ SEED_USER_DATA, "#!/bin/sh\necho: [\n", NULL, NULL },
	{ SEED_USER_DATA, "#include\nhttps://example.org/x\n", NULL, NULL },
	{ SEED_USER_DATA, "## template: jinja\n#cloud-config\nhostname: {{ x }}\n", NULL, NULL },
	{ SEED_USER_DATA, "hostname: x\n",
		"user-data 'F' line 1, column 1: cloud-init doesn't know the first line", NULL },
	{ SEED_USER_DATA, "#cloud-config\n- a\n",
		"user-data 'F' line 2, column 1: it is a list, not a map", NULL },
	{ SEED_USER_DATA, "#cloud-config\nusers:\n- name: a\n  uid: [1]\n",
		"user-data 'F' line 4, column 8: 'users[0].uid' is a list, not", NULL },
	{ SEED_USER_DATA, "#cloud-config\nhostnam: x\n", NULL,
		"user-data 'F' line 2, column 1: unknown key 'hostnam'" },
	{ SEED_USER_DATA, "#cloud-config\nhostname: x\nhostname: y\n", NULL,
		"user-data 'F' line 2, column 1: the key 'hostname' stands here and in line 3" },
	{ SEED_USER_DATA,
		"#cloud-config\nwrite_files:\n- &a {path: /a}\n- {<<: *a, content: [b]}\n",
		"user-data 'F' line 4, column 21: 'write_files[1].content' is a list", NULL },
	{ SEED_VENDOR_DATA, "#cloud-config\nhostname: [\n",
		"vendor-data 'F' line 3, column 1: ", NULL },
	{ SEED_USER_DATA, "#cloud-config-archive\n- type: text/cloud-config\n  content: x\n- y\n",
		NULL, NULL },
	{ SEED_USER_DATA, "#cloud-config-archive\n- type: x\n",
		"user-data 'F' line 2, column 3: a part is neither", NULL },
	{ SEED_USER_DATA, "\x1f\x8b\x08", NULL,
		"user-data 'F' line 1, column 1: it is compressed" },
	{ SEED_USER_DATA,
		"Content-Type: multipart/mixed;\n boundary=\"B\"\n\nx\n--B\n"
		"Content-Type: text/x-shellscript\n\n#!/bin/sh\n--B\n"
		"Content-Type: text/cloud-config\n\n#cloud-config\nruncmd: ls\n--B--\n",
		"user-data 'F' line 13, column 9: 'runcmd' is a text, not a list", NULL },
	{ SEED_USER_DATA, "MIME-Version: 1.0\nContent-Type: multipart/mixed\n\n",
		"user-data 'F' line 1, column 1: a multipart text without a boundary", NULL },
	{ SEED_USER_DATA, "Content-Type: multipart/mixed; boundary=B\n\nx\n",
		"user-data 'F' line 1, column 1: no part with the boundary 'B'", NULL },
	{ SEED_NETWORK_CONFIG, "version: 2\nethernets:\n  a: {dhcp4: true}\n", NULL, NULL },
	{ SEED_NETWORK_CONFIG, "network:\n  version: 2\n  ethernets:\n    a: {mtu: x}\n",
		"network-config 'F' line 4, column 14: 'ethernets.a.mtu' is a text", NULL },
	{ SEED_NETWORK_CONFIG, "network: {config: disabled}\n", NULL, NULL },
	{ SEED_NETWORK_CONFIG, "version: 1\nconfig:\n- type: physical\n  name: eth0\n", NULL,
		NULL },
	{ SEED_NETWORK_CONFIG, "version: 1\nconfig:\n- type: fysical\n  name: eth0\n",
		"network-config 'F' line 3, column 9: 'config[0].type' is 'fysical'", NULL },
	{ SEED_NETWORK_CONFIG, "version: 3\n",
		"network-config 'F' line 1, column 10: the 'version' is neither 1 nor 2", NULL },
	{ SEED_NETWORK_CONFIG, "ethernets: {}\n", "network-config 'F' line 1, column 1: it has no",
		NULL },
};

static void test_check(void)
{
	for (unsigned i = 0; i < G_N_ELEMENTS(checks); i++) {
		g_autoptr(GPtrArray) warnings = g_ptr_array_new_with_free_func(g_free);
		struct seed_text t = { "F", checks[i].text, strlen(checks[i].text) };
		struct err e = { 0 };
		int r = seed_check_text(checks[i].what, &t, warnings, &e);
		const char *warning = warnings->len ? warnings->pdata[0] : NULL;

		g_assert_cmpint(r, ==, checks[i].error ? -E_INVALID : 0);
		if (checks[i].error && !g_str_has_prefix(e.text, checks[i].error))
			g_error("%s", e.text);
		if (!checks[i].warning != !warning ||
			(warning && !g_str_has_prefix(warning, checks[i].warning)))
			g_error("%s", warning ? warning : "no warning");
	}
}

static void test_keys(void)
{
	static const struct {
		const char *text;
		int keys; /* or a code */
	} rows[] = {
		{ ED25519 "\n", 1 },
		{ "# mine\n\n" ED25519 " me@host\n" ED25519 "\n", 2 },
		{ "from=\"10.0.0.0/8 x\",no-pty " ED25519 " c\n", 1 },
		{ "", -E_INVALID },
		{ "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIGqqw5Yo\n", -E_INVALID },
		{ "ssh-ed25519\n", -E_INVALID },
		{ "-----BEGIN OPENSSH PRIVATE KEY-----\n", -E_INVALID },
		{ ED25519 "\nnonsense\n", -E_INVALID },
	};

	for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
		struct seed_text t = { "F", rows[i].text, strlen(rows[i].text) };
		g_auto(GStrv) keys = NULL;
		int r = seed_keys_parse(&t, &keys, NULL);

		g_assert_cmpint(r < 0 ? r : (int)g_strv_length(keys), ==, rows[i].keys);
	}
}

static const struct seed_file *file_of(const GPtrArray *files, const char *path)
{
	for (guint i = 0; i < files->len; i++) {
		const struct seed_file *f = files->pdata[i];

		if (strcmp(f->path, path) == 0)
			return f;
	}
	return NULL;
}

static bool holds(const GPtrArray *files, const char *path, const char *what)
{
	const struct seed_file *f = file_of(files, path);

	return f && g_strstr_len(f->data, (gssize)f->size, what);
}

static const char user_data[] = "#cloud-config\nhostname: y # as it is\n";
static const char *const keys[] = { ED25519 " \"me\"", NULL };
static const char *const addresses[] = { "10.88.0.2/16", "fd00::2/64", NULL };
static const char *const dns[] = { "10.88.0.1", NULL };

static struct seed sample(enum seed_form form, const struct seed_nic *n)
{
	return (struct seed){
		.form = form,
		.instance_id = "i-1",
		.hostname = "box",
		.user_data = { "F", user_data, sizeof(user_data) - 1 },
		.ssh_keys = keys,
		.user = "bob",
		.password_hash = "$6$a$b",
		.report = true,
		.nics = n,
		.n_nics = 1,
	};
}

static const struct seed_nic nic = { .mac = "52:54:00:AB:00:01",
	.addresses = addresses,
	.gateway = "10.88.0.1",
	.gateway6 = "fd00::1",
	.dns = dns,
	.mtu = 1400 };

static void test_nocloud(void)
{
	struct seed s = sample(SEED_NOCLOUD, &nic);
	g_autoptr(GPtrArray) files = NULL;
	struct err e = { 0 };

	g_assert_cmpint(seed_files(&s, &files, &e), ==, 0);
	/* the user's, byte for byte */
	g_assert_cmpmem(file_of(files, "user-data")->data, file_of(files, "user-data")->size,
		user_data, sizeof(user_data) - 1);
	g_assert_true(holds(files, "meta-data", "instance-id: \"i-1\"\nlocal-hostname: \"box\"\n"));
	g_assert_true(holds(files, "meta-data", "- \"" ED25519 " \\\"me\\\"\"\n"));
	g_assert_true(holds(files, "vendor-data", "name: \"bob\"\n  lock_passwd: false\n"));
	g_assert_true(holds(files, "vendor-data", SEED_PORT));
	g_assert_true(holds(files, "network-config", "macaddress: \"52:54:00:ab:00:01\""));
	g_assert_true(
		holds(files, "network-config", "addresses: [\"10.88.0.2/16\", \"fd00::2/64\"]"));
	g_assert_true(holds(files, "network-config", "{to: \"::/0\", via: \"fd00::1\"}"));
	/* what we write passes our own check */
	for (unsigned i = 0; i < 3; i++) {
		static const char *const paths[] = { "user-data", "vendor-data", "network-config" };
		g_autoptr(GPtrArray) warnings = g_ptr_array_new_with_free_func(g_free);
		const struct seed_file *f = file_of(files, paths[i]);
		struct seed_text t = { paths[i], f->data, f->size };

		g_assert_cmpint(seed_check_text((enum seed_what)i, &t, warnings, &e), ==, 0);
		g_assert_cmpuint(warnings->len, ==, 0);
	}
}

static void test_config_drive(void)
{
	struct seed s = sample(SEED_CONFIG_DRIVE, &nic);
	g_autoptr(GPtrArray) files = NULL;
	const struct seed_file *f;
	json_t *j, *second;

	g_assert_cmpint(seed_files(&s, &files, NULL), ==, 0);
	f = file_of(files, "openstack/latest/network_data.json");
	j = json_loadb(f->data, f->size, 0, NULL);
	second = json_array_get(json_object_get(j, "networks"), 1);
	g_assert_cmpstr(json_string_value(json_object_get(second, "type")), ==, "ipv6");
	g_assert_cmpstr(
		json_string_value(json_object_get(second, "netmask")), ==, "ffff:ffff:ffff:ffff::");
	second = json_array_get(json_object_get(j, "networks"), 0);
	g_assert_cmpstr(json_string_value(json_object_get(second, "netmask")), ==, "255.255.0.0");
	json_decref(j);
	g_assert_true(holds(files, "openstack/latest/meta_data.json", "\"uuid\": \"i-1\""));
	g_assert_true(
		holds(files, "openstack/latest/vendor_data.json", "\"cloud-init\": \"Content"));
	s.network_config = (struct seed_text){ "F", "version: 2\n", 11 };
	s.n_nics = 0;
	g_assert_cmpint(seed_check(&s, NULL, NULL), ==, -E_UNSUPPORTED);
}

/* A part of the vendor-data may be anything, and is whole in the end. */
static void test_vendor_parts(void)
{
	static const char mime[] = "Content-Type: multipart/mixed; boundary=Q\n\n--Q\n"
				   "Content-Type: text/cloud-config\n\nruncmd: [ls]\n--Q--\n";
	struct seed s = {
		.instance_id = "i", .report = true, .vendor_data = { "V", "#!/bin/sh\n", 10 }
	};
	g_autoptr(GPtrArray) one = NULL, two = NULL, three = NULL;

	g_assert_cmpint(seed_files(&s, &one, NULL), ==, 0);
	g_assert_true(holds(one, "vendor-data", "IyEvYmluL3NoCg=="));
	s.vendor_data = (struct seed_text){ "V", mime, strlen(mime) };
	g_assert_cmpint(seed_files(&s, &two, NULL), ==, 0);
	g_assert_true(holds(two, "vendor-data", mime));
	s.report = false;
	g_assert_cmpint(seed_files(&s, &three, NULL), ==, 0);
	g_assert_cmpmem(file_of(three, "vendor-data")->data, file_of(three, "vendor-data")->size,
		mime, strlen(mime));
}

static void test_refused(void)
{
	static const char *const bad_address[] = { "10.0.0.1", NULL };
	static const char *const bad_key[] = { "ssh-rsa x", NULL };
	const struct seed_nic wrong_mac = { .mac = "52:54" };
	const struct seed_nic wrong_address = { .mac = "52:54:00:00:00:01",
		.addresses = bad_address };
	const struct seed rows[] = {
		{ .instance_id = NULL },
		{ .instance_id = "a b" },
		{ .instance_id = "i", .hostname = "-x" },
		{ .instance_id = "i", .hostname = "a..b" },
		{ .instance_id = "i", .user = "Bob" },
		{ .instance_id = "i", .password_hash = "secret" },
		{ .instance_id = "i", .ssh_keys = bad_key },
		{ .instance_id = "i", .nics = &wrong_mac, .n_nics = 1 },
		{ .instance_id = "i", .nics = &wrong_address, .n_nics = 1 },
		{ .instance_id = "i", .user_data = { "F", "x", 1 } },
	};

	for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
		struct err e = { 0 };

		g_assert_cmpint(seed_check(&rows[i], NULL, &e), ==, -E_INVALID);
		g_assert_true(*e.text);
	}
}

static void test_make(void)
{
	g_autofree char *folder = g_dir_make_tmp("seed.XXXXXX", NULL);
	g_autofree char *path = g_strconcat(folder, "/seed.iso", NULL), *data = NULL;
	struct seed s = sample(SEED_NOCLOUD, &nic);
	struct ctx c = { 0 };
	struct err e = { 0 };
	gsize size;

	g_assert_cmpint(seed_make(&c, &s, path, &e), ==, 0);
	g_assert_true(g_file_get_contents(path, &data, &size, NULL));
	g_assert_cmpuint(size % 2048, ==, 0);
	/* the primary volume descriptor and its label */
	g_assert_cmpmem(data + 0x8001, 5, "CD001", 5);
	g_assert_cmpmem(data + 0x8028, 8, "cidata  ", 8);
	g_assert_nonnull(memmem(data, size, user_data, sizeof(user_data) - 1));
	(void)unlink(path);
	/* only the whole file, or nothing */
	s.user_data = (struct seed_text){ "F", "x", 1 };
	g_assert_cmpint(seed_make(&c, &s, path, &e), ==, -E_INVALID);
	g_assert_cmpint(rmdir(folder), ==, 0);
}

static const char result[] =
	"{\"lodge\":1,\"boot\":\"b\",\"instance\":\"i-1\",\"result\":{\"v1\":{\"datasource\":\"D\","
	"\"errors\":[\"a\\nb\"]}},\"keys\":[\"" ED25519
	"\"],\"addresses\":[\"10.0.2.15\",\"FD00::1\"]}\n";

static void test_result(void)
{
	_cleanup_(seed_result_freep) struct seed_result *r = NULL;
	const struct seed_host_key *k;
	struct err e = { 0 };
	json_t *j;

	g_assert_cmpint(seed_result_parse(result, strlen(result), &r, &e), ==, 0);
	g_assert_cmpstr(r->status, ==, "error");
	g_assert_cmpstr(r->errors[0], ==, "a b");
	g_assert_cmpstr(r->datasource, ==, "D");
	g_assert_cmpstr(r->instance_id, ==, "i-1");
	g_assert_cmpstr(r->addresses[1], ==, "fd00::1");
	k = r->host_keys->pdata[0];
	g_assert_cmpstr(k->type, ==, "ssh-ed25519");
	/* ssh-keygen -l says the same */
	g_assert_cmpstr(k->fingerprint, ==, "SHA256:bjVYWuUtlMNK/zJsop8eTfw5U3PYyW2cBOC6FA+4ViU");
	j = seed_result_json(r);
	g_assert_cmpstr(json_string_value(json_object_get(j, "Status")), ==, "error");
	json_decref(j);
}

static void test_result_untrusted(void)
{
	static const struct {
		const char *text;
		int code;
	} rows[] = {
		{ "", -E_CORRUPT },
		{ "{", -E_CORRUPT },
		{ "[1]", -E_CORRUPT },
		{ "{\"lodge\":2}", -E_CORRUPT },
		{ "{\"lodge\":1,\"result\":{}}", -E_CORRUPT },
		{ "{\"lodge\":1,\"boot\":\"a\\u001b[2J\"}", -E_CORRUPT },
		{ "{\"lodge\":1,\"boot\":7}", -E_CORRUPT },
		{ "{\"lodge\":1,\"addresses\":[\"10.0.0.1/8\"]}", -E_CORRUPT },
		{ "{\"lodge\":1,\"addresses\":[\"localhost\"]}", -E_CORRUPT },
		{ "{\"lodge\":1,\"keys\":[\"ssh-rsa AAAA\"]}", -E_CORRUPT },
		{ "{\"lodge\":1,\"keys\":{}}", -E_CORRUPT },
		{ "{\"lodge\":1}", 0 },
	};
	g_autofree char *long_line = g_strnfill(SEED_LINE_MAX + 1, ' ');

	for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
		_cleanup_(seed_result_freep) struct seed_result *r = NULL;

		g_assert_cmpint(seed_result_parse(rows[i].text, strlen(rows[i].text), &r, NULL), ==,
			rows[i].code);
		/* no result is an error of the guest's */
		if (rows[i].code == 0)
			g_assert_cmpstr(r->status, ==, "error");
	}
	g_assert_cmpint(seed_result_parse(long_line, SEED_LINE_MAX + 1, NULL, NULL), ==, -E_LIMIT);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/seed/check", test_check);
	g_test_add_func("/seed/keys", test_keys);
	g_test_add_func("/seed/nocloud", test_nocloud);
	g_test_add_func("/seed/config-drive", test_config_drive);
	g_test_add_func("/seed/vendor-parts", test_vendor_parts);
	g_test_add_func("/seed/refused", test_refused);
	g_test_add_func("/seed/make", test_make);
	g_test_add_func("/seed/result", test_result);
	g_test_add_func("/seed/result-untrusted", test_result_untrusted);
	return g_test_run();
}
