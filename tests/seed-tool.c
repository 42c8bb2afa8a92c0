/* SPDX-License-Identifier: MIT */
/*
 * seed-tool: seeds from the command line, for tests.
 *
 *	seed-tool check user-data|vendor-data|network-config FILE   warnings on standard output; status 1: an error
 *	seed-tool make FORM OUT [KEY=VALUE...]                      id, host, user-data, vendor-data, network-config,
 *	                                                            key (a file), user, password, report, mac, address,
 *	                                                            gateway, dns
 *	seed-tool result                                            a line from standard input, as JSON
 */
#include <stdio.h>
#include <string.h>
#include "image/seed.h"

static int fail(const struct err *e)
{
	fprintf(stderr, "%s%s%s\n", e->text, e->mend[0] ? "; " : "", e->mend);
	return 1;
}

static int load(const char *path, struct seed_text *ret)
{
	char *text;
	gsize size;

	if (!g_file_get_contents(path, &text, &size, NULL)) {
		fprintf(stderr, "cannot read '%s'\n", path);
		return -1;
	}
	*ret = (struct seed_text){ path, text, size };
	return 0;
}

static int check(const char *what, const char *path)
{
	static const char *const names[] = { "user-data", "vendor-data", "network-config" };
	g_autoptr(GPtrArray) warnings = g_ptr_array_new_with_free_func(g_free);
	struct seed_text t;
	struct err e = { 0 };
	int r = -1;

	if (load(path, &t) < 0)
		return 2;
	for (unsigned i = 0; i < G_N_ELEMENTS(names); i++)
		if (strcmp(what, names[i]) == 0)
			r = seed_check_text((enum seed_what)i, &t, warnings, &e);
	for (guint i = 0; i < warnings->len; i++)
		puts(warnings->pdata[i]);
	g_free((char *)t.text);
	return r < 0 ? fail(&e) : 0;
}

static int set(struct seed *s, struct seed_nic *n, GPtrArray *keys, GPtrArray *addresses,
	GPtrArray *dns, const char *key, const char *value)
{
	struct seed_text t;
	g_auto(GStrv) list = NULL;
	struct err e = { 0 };

	if (strcmp(key, "id") == 0)
		s->instance_id = value;
	else if (strcmp(key, "host") == 0)
		s->hostname = value;
	else if (strcmp(key, "user-data") == 0)
		return load(value, &s->user_data);
	else if (strcmp(key, "vendor-data") == 0)
		return load(value, &s->vendor_data);
	else if (strcmp(key, "network-config") == 0)
		return load(value, &s->network_config);
	else if (strcmp(key, "user") == 0)
		s->user = value;
	else if (strcmp(key, "password") == 0)
		s->password_hash = value;
	else if (strcmp(key, "report") == 0)
		s->report = true;
	else if (strcmp(key, "mac") == 0)
		n->mac = value;
	else if (strcmp(key, "address") == 0)
		g_ptr_array_add(addresses, (char *)value);
	else if (strcmp(key, "dns") == 0)
		g_ptr_array_add(dns, (char *)value);
	else if (strcmp(key, "gateway") == 0)
		*(strchr(value, ':') ? &n->gateway6 : &n->gateway) = value;
	else if (strcmp(key, "key") != 0 || load(value, &t) < 0)
		return -1;
	else if (seed_keys_parse(&t, &list, &e) < 0)
		return fail(&e);
	for (char **k = list; k && *k; k++)
		g_ptr_array_add(keys, g_strdup(*k));
	return 0;
}

static int make(int argc, char **argv)
{
	GPtrArray *keys = g_ptr_array_new(), *addresses = g_ptr_array_new(),
		  *dns = g_ptr_array_new();
	struct seed_nic n = { 0 };
	struct seed s = { .nics = &n };
	struct ctx c = { 0 };
	struct err e = { 0 };
	int r = seed_form_from_name(argv[0], &e);

	if (r < 0)
		return fail(&e);
	s.form = (enum seed_form)r;
	for (int i = 2; i < argc; i++) {
		char *eq = strchr(argv[i], '=');

		if (eq)
			*eq++ = '\0';
		r = set(&s, &n, keys, addresses, dns, argv[i], eq ? eq : "");
		if (r != 0)
			return r < 0 ? 2 : 1;
	}
	g_ptr_array_add(keys, NULL);
	g_ptr_array_add(addresses, NULL);
	g_ptr_array_add(dns, NULL);
	s.ssh_keys = (const char *const *)keys->pdata;
	n.addresses = (const char *const *)addresses->pdata;
	n.dns = (const char *const *)dns->pdata;
	s.n_nics = n.mac ? 1 : 0;
	return seed_make(&c, &s, argv[1], &e) < 0 ? fail(&e) : 0;
}

static int result(void)
{
	g_autofree char *line = g_malloc0(SEED_LINE_MAX + 2), *text = NULL;
	size_t n = fread(line, 1, SEED_LINE_MAX + 1, stdin);
	_cleanup_(seed_result_freep) struct seed_result *r = NULL;
	struct err e = { 0 };
	json_t *j;

	if (seed_result_parse(line, n, &r, &e) < 0)
		return fail(&e);
	j = seed_result_json(r);
	text = json_dumps(j, JSON_INDENT(4));
	puts(text);
	json_decref(j);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 4 && strcmp(argv[1], "check") == 0)
		return check(argv[2], argv[3]);
	if (argc >= 4 && strcmp(argv[1], "make") == 0)
		return make(argc - 2, argv + 2);
	if (argc == 2 && strcmp(argv[1], "result") == 0)
		return result();
	fputs("seed-tool: check WHAT FILE, make FORM OUT KEY=VALUE..., or result\n", stderr);
	return 2;
}
