/* SPDX-License-Identifier: MIT */
#include "image/seed.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "host/addr.h"
#include "image/seed-priv.h"

#define NAME_MAX_    64 /* of a host's label and of a user */
#define HOSTNAME_MAX 253
#define ID_MAX	     255
#define KEY_LINE_MAX 16384

static const char *const form_names[_SEED_FORM_MAX] = {
	[SEED_NOCLOUD] = "nocloud",
	[SEED_CONFIG_DRIVE] = "config-drive",
};

static const char *const what_names[_SEED_WHAT_MAX] = {
	[SEED_USER_DATA] = "user-data",
	[SEED_VENDOR_DATA] = "vendor-data",
	[SEED_NETWORK_CONFIG] = "network-config",
};

int seed_form_from_name(const char *name, struct err *e)
{
	for (int i = 0; i < _SEED_FORM_MAX; i++)
		if (strcmp(name, form_names[i]) == 0)
			return i;
	return err_set(e, -E_USAGE, "invalid seed '%s': not nocloud or config-drive", name);
}

/* --- checking ------------------------------------------------------------------------------------ */

int seed_check_text(
	enum seed_what what, const struct seed_text *t, GPtrArray *warnings, struct err *e)
{
	struct seed_place p = { .what = what_names[what], .name = t->name, .warnings = warnings };

	if (!t->text)
		return 0;
	if (t->size > SEED_TEXT_MAX)
		return err_set(e, -E_LIMIT, "%s '%s' is larger than %d bytes", p.what, p.name,
			SEED_TEXT_MAX);
	if (what == SEED_NETWORK_CONFIG)
		return seed_check_network(&p, t->text, t->size, e);
	return seed_check_data(&p, t->text, t->size, e);
}

static bool is_hostname(const char *s)
{
	size_t label = 0, n = strlen(s);

	if (n == 0 || n > HOSTNAME_MAX)
		return false;
	for (; *s; s++) {
		if (*s == '.' ? label == 0 || s[-1] == '-' : !g_ascii_isalnum(*s) && *s != '-')
			return false;
		if (*s == '-' && label == 0)
			return false;
		label = *s == '.' ? 0 : label + 1;
		if (label >= NAME_MAX_)
			return false;
	}
	return label > 0 && s[-1] != '-';
}

/* useradd's names, in the form that Debian takes without being forced. */
static bool is_user(const char *s)
{
	size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_-");

	return n > 0 && n < 32 && !s[n] && !g_ascii_isdigit(*s) && *s != '-';
}

static bool is_printable(const char *s)
{
	for (; *s; s++)
		if (!g_ascii_isgraph(*s))
			return false;
	return true;
}

static int check_names(const struct seed *s, struct err *e)
{
	if (!s->instance_id || !*s->instance_id || strlen(s->instance_id) > ID_MAX ||
		!is_printable(s->instance_id))
		return err_set(e, -E_INVALID, "invalid instance id '%s'",
			s->instance_id ? s->instance_id : "");
	if (s->hostname && !is_hostname(s->hostname))
		return err_set(e, -E_INVALID, "invalid host name '%s'", s->hostname);
	if (s->user && !is_user(s->user))
		return err_set(e, -E_INVALID, "invalid user name '%s'", s->user);
	if (s->password_hash && (s->password_hash[0] != '$' || !is_printable(s->password_hash) ||
					strchr(s->password_hash, ':'))) {
		err_set(e, -E_INVALID, "the password isn't a hash");
		(void)err_mend(e, "make one with 'openssl passwd -6'");
		return -E_INVALID;
	}
	return 0;
}

static int check_address(const char *what, const char *text, bool with_prefix, struct err *e)
{
	struct addr a;

	if (addr_parse(text, &a) >= 0 && with_prefix == !!strchr(text, '/') && *text != '[')
		return 0;
	return err_set(e, -E_INVALID, "invalid %s '%s' of a network interface", what, text);
}

static int check_nic(const struct seed *s, const struct seed_nic *n, struct err *e)
{
	uint8_t mac[6];
	int r = 0;

	if (!n->mac || addr_parse_mac(n->mac, mac) < 0)
		return err_set(e, -E_INVALID, "invalid MAC address '%s'", n->mac ? n->mac : "");
	for (unsigned i = 0; r >= 0 && n->addresses && n->addresses[i]; i++)
		r = check_address("address", n->addresses[i], true, e);
	for (unsigned i = 0; r >= 0 && n->dns && n->dns[i]; i++)
		r = check_address("name server", n->dns[i], false, e);
	if (r >= 0 && n->gateway)
		r = check_address("gateway", n->gateway, false, e);
	if (r >= 0 && n->gateway6)
		r = check_address("gateway", n->gateway6, false, e);
	for (unsigned i = 0; r >= 0 && n->search && n->search[i]; i++) {
		if (s->form == SEED_CONFIG_DRIVE)
			return err_set(e, -E_UNSUPPORTED,
				"a config drive has no place for search domains");
		if (!is_hostname(n->search[i]))
			return err_set(e, -E_INVALID, "invalid search domain '%s'", n->search[i]);
	}
	if (r >= 0 && (n->mtu < 0 || n->mtu > 65535))
		r = err_set(e, -E_INVALID, "invalid MTU %d", n->mtu);
	return r;
}

static int check_keys(const struct seed *s, struct err *e)
{
	unsigned n = 0;

	for (; s->ssh_keys && s->ssh_keys[n]; n++) {
		struct seed_text t = { "ssh key", s->ssh_keys[n], strlen(s->ssh_keys[n]) };
		g_auto(GStrv) keys = NULL;
		int r = seed_keys_parse(&t, &keys, e);

		if (r < 0)
			return r;
		if (g_strv_length(keys) != 1)
			return err_set(e, -E_INVALID, "an SSH key has more than one line");
	}
	return n > SEED_KEYS_MAX ? err_set(e, -E_LIMIT, "more than %d SSH keys", SEED_KEYS_MAX) : 0;
}

int seed_check(const struct seed *s, GPtrArray *warnings, struct err *e)
{
	int r;

	r = check_names(s, e);
	if (r >= 0)
		r = check_keys(s, e);
	if (r >= 0 && s->n_nics > SEED_NICS_MAX)
		r = err_set(e, -E_LIMIT, "more than %d network interfaces", SEED_NICS_MAX);
	if (r >= 0 && s->n_nics > 0 && s->network_config.text)
		r = err_set(e, -E_INVALID, "a network-config is given twice");
	for (unsigned i = 0; r >= 0 && i < s->n_nics; i++)
		r = check_nic(s, &s->nics[i], e);
	if (r >= 0 && s->form == SEED_CONFIG_DRIVE && s->network_config.text) {
		err_set(e, -E_UNSUPPORTED, "a config drive has no place for a network-config");
		(void)err_mend(e, "use the NoCloud form");
		r = -E_UNSUPPORTED;
	}
	if (r >= 0)
		r = seed_check_text(SEED_USER_DATA, &s->user_data, warnings, e);
	if (r >= 0)
		r = seed_check_text(SEED_VENDOR_DATA, &s->vendor_data, warnings, e);
	if (r >= 0)
		r = seed_check_text(SEED_NETWORK_CONFIG, &s->network_config, warnings, e);
	return r;
}

/* --- keys ------------------------------------------------------------------------------------------ */

bool seed_key_matches(const char *type, const char *base64)
{
	g_autofree guchar *blob = NULL;
	size_t size = 0, n = strlen(type);

	if (strlen(base64) % 4 == 1 ||
		strspn(base64,
			"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=") !=
			strlen(base64))
		return false;
	blob = g_base64_decode(base64, &size);
	/* RFC 4253, 6.6: a string of four bytes of length, and then the key's own */
	return size > n + 4 && blob[0] == 0 && blob[1] == 0 &&
	       (size_t)(blob[2] << 8 | blob[3]) == n && memcmp(blob + 4, type, n) == 0;
}

static bool is_key_type(const char *s)
{
	static const char *const types[] = { "ssh-ed25519", "ssh-rsa", "ssh-dss",
		"ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521",
		"sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com", NULL };

	return g_strv_contains(types, s);
}

/* sshd(8), "AUTHORIZED_KEYS": [options] type key [comment]; options may hold blanks in quotes. */
static bool is_key_line(const char *line)
{
	g_auto(GStrv) word = NULL;
	bool quoted = false;
	const char *p = line;

	word = g_strsplit_set(line, " \t", 3);
	if (word[0] && !is_key_type(word[0])) {
		for (; *p && (quoted || (*p != ' ' && *p != '\t')); p++)
			if (*p == '"' && (p == line || p[-1] != '\\'))
				quoted = !quoted;
		g_strfreev(word);
		word = g_strsplit_set(p + strspn(p, " \t"), " \t", 3);
	}
	return word[0] && word[1] && is_key_type(word[0]) && seed_key_matches(word[0], word[1]);
}

int seed_keys_parse(const struct seed_text *t, char ***ret, struct err *e)
{
	g_autofree char *text = g_strndup(t->text, t->size);
	g_auto(GStrv) line = g_strsplit(text, "\n", -1);
	g_autoptr(GPtrArray) keys = g_ptr_array_new_with_free_func(g_free);

	if (strlen(text) != t->size || !g_utf8_validate(text, -1, NULL))
		return err_set(e, -E_INVALID, "'%s' isn't a file of public SSH keys", t->name);
	for (unsigned i = 0; line[i]; i++) {
		char *s = g_strstrip(line[i]);

		if (strstr(s, "PRIVATE KEY-----")) {
			err_set(e, -E_INVALID, "'%s' is a private key", t->name);
			(void)err_mend(e, "give the public one, '%s.pub'", t->name);
			return -E_INVALID;
		}
		if (!*s || *s == '#')
			continue;
		for (char *p = s; *p; p++)
			if (g_ascii_iscntrl(*p) && *p != '\t')
				*p = '?';
		if (strlen(s) > KEY_LINE_MAX || !is_key_line(s))
			return err_set(e, -E_INVALID, "'%s' line %u: not a public SSH key", t->name,
				i + 1);
		if (keys->len == SEED_KEYS_MAX)
			return err_set(
				e, -E_LIMIT, "'%s' has more than %d keys", t->name, SEED_KEYS_MAX);
		g_ptr_array_add(keys, g_strdup(s));
	}
	if (keys->len == 0)
		return err_set(e, -E_INVALID, "'%s' has no public SSH key", t->name);
	g_ptr_array_add(keys, NULL);
	g_ptr_array_set_free_func(keys, NULL);
	*ret = (char **)g_ptr_array_free(g_steal_pointer(&keys), FALSE);
	return 0;
}

/* --- vendor-data: what is the caller's, and ours --------------------------------------------------- */

/*
 * At each boot, early. A unit that comes after cloud-init's last, and after the SSH server, so that who waits for the
 * line can use the machine. JSON by hand: there is only sh for certain. What can't be told is left out. Written to
 * /run, so nothing stays in the guest.
 */
static const char report_text[] =
	"#cloud-boothook\n"
	"#!/bin/sh\n"
	"mkdir -p /run/lodge && cat >/run/lodge/report <<'LODGE'\n"
	"#!/bin/sh\n"
	"port=/dev/virtio-ports/" SEED_PORT "\n"
	"n=0\n"
	"while [ ! -e $port ] && [ $n -lt 50 ]; do sleep 0.1; n=$((n + 1)); done\n"
	"[ -e $port ] || exit 0\n"
	"n=0\n"
	"while [ \"$1\" = wait ] && [ ! -e /run/cloud-init/result.json ] && [ $n -lt 3600 ]; do\n"
	"  sleep 1; n=$((n + 1))\n"
	"done\n"
	"clean() { tr -cd 'A-Za-z0-9._:@/+=-'; }\n"
	"result=$(tr -d '\\n' </run/cloud-init/result.json 2>/dev/null)\n"
	"keys=\n"
	"for f in /etc/ssh/ssh_host_*_key.pub; do\n"
	"  [ -r \"$f\" ] && read -r type key rest <\"$f\" || continue\n"
	"  keys=\"$keys${keys:+,}\\\"$(echo \"$type\" | clean) $(echo \"$key\" | clean)\\\"\"\n"
	"done\n"
	"addresses=\n"
	"for a in $(ip -o addr show scope global 2>/dev/null |\n"
	"  sed -n 's/.* inet6\\{0,1\\} \\([0-9a-f.:]*\\).*/\\1/p'); do\n"
	"  addresses=\"$addresses${addresses:+,}\\\"$a\\\"\"\n"
	"done\n"
	"printf '{\"lodge\":1,\"boot\":\"%s\",\"instance\":\"%s\",\"result\":%s,\"keys\":[%s],"
	"\"addresses\":[%s]}\\n' \\\n"
	"  \"$(clean </proc/sys/kernel/random/boot_id)\" \\\n"
	"  \"$(clean 2>/dev/null </var/lib/cloud/data/instance-id)\" \\\n"
	"  \"${result:-null}\" \"$keys\" \"$addresses\" >$port\n"
	"LODGE\n"
	"chmod 755 /run/lodge/report\n"
	"if [ -d /run/systemd/system ]; then\n"
	"  cat >/run/systemd/system/lodge-report.service <<'LODGE'\n"
	"[Unit]\n"
	"Description=Tell the host how the boot went\n"
	"After=cloud-final.service ssh.service sshd.service\n"
	"[Service]\n"
	"Type=oneshot\n"
	"TimeoutStartSec=60\n" /* nobody may listen */
	"ExecStart=/bin/sh /run/lodge/report\n"
	"LODGE\n"
	"  systemctl daemon-reload\n"
	"  systemctl start --no-block lodge-report.service\n"
	"else\n"
	"  /bin/sh /run/lodge/report wait </dev/null >/dev/null 2>&1 &\n"
	"fi\n";

static char *user_text(const struct seed *s)
{
	GString *t;

	if (!s->user && !s->password_hash)
		return NULL;
	t = g_string_new("#cloud-config\nuser:\n");
	if (s->user) {
		g_autofree char *name = yaml_quote(s->user);

		g_string_append_printf(t, "  name: %s\n", name);
	}
	if (s->password_hash) {
		g_autofree char *hash = yaml_quote(s->password_hash);

		g_string_append_printf(t, "  lock_passwd: false\n  passwd: %s\n", hash);
	}
	return g_string_free(t, FALSE);
}

static bool is_mime(const struct seed_text *t)
{
	return t->size > 13 && (g_ascii_strncasecmp(t->text, "Content-Type:", 13) == 0 ||
				       g_ascii_strncasecmp(t->text, "MIME-Version:", 13) == 0);
}

static void add_part(GString *m, const char *boundary, const char *type, const char *text)
{
	g_string_append_printf(
		m, "--%s\nContent-Type: %s; charset=\"utf-8\"\n\n%s\n", boundary, type, text);
}

/* Any bytes, so as base64; a MIME text is a part as it stands, with its headers. */
static void add_given(GString *m, const char *boundary, const struct seed_text *t)
{
	bool zipped = t->size > 1 && (guchar)t->text[0] == 0x1f && (guchar)t->text[1] == 0x8b;

	g_string_append_printf(m, "--%s\n", boundary);
	if (is_mime(t)) {
		g_string_append_len(m, t->text, (gssize)t->size);
	} else {
		g_autofree char *base64 = g_base64_encode((const guchar *)t->text, t->size);

		g_string_append_printf(m, "Content-Type: %s\nContent-Transfer-Encoding: base64\n\n",
			zipped ? "application/gzip" : "text/plain; charset=\"utf-8\"");
		for (const char *p = base64; *p; p += strnlen(p, 76))
			g_string_append_printf(m, "%.76s\n", p);
	}
	g_string_append_c(m, '\n');
}

/* The later part wins where both say something: ours about the user, which was asked for by option. */
static char *vendor_text(const struct seed *s, size_t *ret_size)
{
	const struct seed_text *given = &s->vendor_data;
	g_autofree char *user = user_text(s), *hash = NULL, *boundary = NULL;
	unsigned n = (given->text != NULL) + (user != NULL) + s->report;
	GString *m;

	if (n == 0)
		return NULL;
	if (n == 1) {
		const char *text = given->text ? given->text : user ? user : report_text;

		*ret_size = given->text ? given->size : strlen(text);
		return g_memdup2(text, *ret_size + !given->text);
	}
	/* of what is in it, so that it isn't */
	hash = g_compute_checksum_for_data(
		G_CHECKSUM_SHA256, (const guchar *)(given->text ? given->text : ""), given->size);
	boundary = g_strdup_printf("lodge-%.40s", hash);
	m = g_string_new(NULL);
	g_string_printf(m, "Content-Type: multipart/mixed; boundary=\"%s\"\nMIME-Version: 1.0\n\n",
		boundary);
	if (given->text)
		add_given(m, boundary, given);
	if (user)
		add_part(m, boundary, "text/cloud-config", user);
	if (s->report)
		add_part(m, boundary, "text/cloud-boothook", report_text);
	g_string_append_printf(m, "--%s--\n", boundary);
	*ret_size = m->len;
	return g_string_free(m, FALSE);
}

/* --- the files -------------------------------------------------------------------------------------- */

static void file_free(gpointer p)
{
	struct seed_file *f = p;

	g_free(f->path);
	g_free(f->data);
	g_free(f);
}

/* Takes data. */
static void add_file(GPtrArray *files, const char *path, char *data, size_t size)
{
	struct seed_file *f = g_new0(struct seed_file, 1);

	f->path = g_strdup(path);
	f->data = data;
	f->size = size;
	g_ptr_array_add(files, f);
}

static void add_text(GPtrArray *files, const char *path, GString *text)
{
	size_t n = text->len;

	add_file(files, path, g_string_free(text, FALSE), n);
}

static void add_json(GPtrArray *files, const char *path, json_t *j)
{
	char *dump = json_dumps(j, JSON_INDENT(1));

	add_file(files, path, g_strdup(dump), strlen(dump));
	free(dump);
	json_decref(j);
}

static void put_list(GString *t, const char *indent, const char *key, const char *const *list)
{
	if (!list || !list[0])
		return;
	g_string_append_printf(t, "%s%s: [", indent, key);
	for (unsigned i = 0; list[i]; i++) {
		g_autofree char *word = yaml_quote(list[i]);

		g_string_append_printf(t, "%s%s", i ? ", " : "", word);
	}
	g_string_append(t, "]\n");
}

/* datasources/nocloud.rst; "public-keys" is what every datasource has for them */
static GString *meta_data(const struct seed *s)
{
	g_autofree char *id = yaml_quote(s->instance_id);
	g_autofree char *name = s->hostname ? yaml_quote(s->hostname) : NULL;
	GString *t = g_string_new(NULL);

	g_string_append_printf(t, "instance-id: %s\n", id);
	if (name)
		g_string_append_printf(t, "local-hostname: %s\n", name);
	if (s->ssh_keys && s->ssh_keys[0])
		g_string_append(t, "public-keys:\n");
	for (unsigned i = 0; s->ssh_keys && s->ssh_keys[i]; i++) {
		g_autofree char *key = yaml_quote(s->ssh_keys[i]);

		g_string_append_printf(t, "- %s\n", key);
	}
	return t;
}

/* reference/network-config-format-v2.rst. Interfaces keep the names that the guest gives them. */
static GString *network_v2(const struct seed *s)
{
	GString *t = g_string_new("version: 2\nethernets:\n");

	for (unsigned i = 0; i < s->n_nics; i++) {
		const struct seed_nic *n = &s->nics[i];
		bool fixed = n->addresses && n->addresses[0];
		g_autofree char *mac = g_ascii_strdown(n->mac, -1);

		g_string_append_printf(t, "  nic%u:\n    match: {macaddress: \"%s\"}\n", i, mac);
		if (!fixed)
			g_string_append(t, "    dhcp4: true\n");
		put_list(t, "    ", "addresses", n->addresses);
		if (n->gateway || n->gateway6)
			g_string_append(t, "    routes:\n");
		if (n->gateway)
			g_string_append_printf(
				t, "    - {to: \"0.0.0.0/0\", via: \"%s\"}\n", n->gateway);
		if (n->gateway6)
			g_string_append_printf(
				t, "    - {to: \"::/0\", via: \"%s\"}\n", n->gateway6);
		if ((n->dns && n->dns[0]) || (n->search && n->search[0]))
			g_string_append(t, "    nameservers:\n");
		put_list(t, "      ", "addresses", n->dns);
		put_list(t, "      ", "search", n->search);
		if (n->mtu > 0)
			g_string_append_printf(t, "    mtu: %d\n", n->mtu);
	}
	return t;
}

static void nocloud(const struct seed *s, GPtrArray *files)
{
	size_t size = 0;
	char *vendor = vendor_text(s, &size);

	add_text(files, "meta-data", meta_data(s));
	/* it must be there, empty or not */
	add_file(files, "user-data", g_memdup2(s->user_data.text, s->user_data.size),
		s->user_data.size);
	if (vendor)
		add_file(files, "vendor-data", vendor, size);
	if (s->network_config.text)
		add_file(files, "network-config",
			g_memdup2(s->network_config.text, s->network_config.size),
			s->network_config.size);
	else if (s->n_nics > 0)
		add_text(files, "network-config", network_v2(s));
}

/* --- OpenStack's layout ------------------------------------------------------------------------------- */

static json_t *openstack_meta(const struct seed *s)
{
	json_t *j = json_pack("{s:s}", "uuid", s->instance_id), *keys = json_object();

	if (s->hostname) {
		(void)json_object_set_new(j, "hostname", json_string(s->hostname));
		(void)json_object_set_new(j, "name", json_string(s->hostname));
	}
	for (unsigned i = 0; s->ssh_keys && s->ssh_keys[i]; i++) {
		g_autofree char *name = g_strdup_printf("key%u", i);

		(void)json_object_set_new(keys, name, json_string(s->ssh_keys[i]));
	}
	(void)json_object_set_new(j, "public_keys", keys);
	return j;
}

static json_t *openstack_address(
	const char *link, unsigned k, const char *text, const char *gateway)
{
	char address[ADDR_TEXT_MAX], mask_text[ADDR_TEXT_MAX];
	g_autofree char *id = g_strdup_printf("%s-%u", link, k);
	struct addr a, mask;
	json_t *j;

	(void)addr_parse(text, &a); /* checked before */
	mask = a;
	for (unsigned i = 0; i < addr_len(&a); i++) {
		unsigned bits = a.prefix > 8 * i ? MIN(a.prefix - 8 * i, 8) : 0;

		mask.b[i] = (uint8_t)(0xff00 >> bits);
	}
	addr_show(&a, false, address);
	addr_show(&mask, false, mask_text);
	j = json_pack("{s:s, s:s, s:s, s:s, s:s}", "id", id, "type",
		a.family == AF_INET ? "ipv4" : "ipv6", "link", link, "ip_address", address,
		"netmask", mask_text);
	if (gateway)
		(void)json_object_set_new(j, "gateway", json_string(gateway));
	return j;
}

static json_t *openstack_network(const struct seed *s)
{
	json_t *links = json_array(), *networks = json_array(), *services = json_array();

	for (unsigned i = 0; i < s->n_nics; i++) {
		const struct seed_nic *n = &s->nics[i];
		g_autofree char *id = g_strdup_printf("nic%u", i), *mac = NULL;
		bool has4 = false, has6 = false;
		json_t *link;
		unsigned k = 0;

		mac = g_ascii_strdown(n->mac, -1);
		link = json_pack(
			"{s:s, s:s, s:s}", "id", id, "type", "phy", "ethernet_mac_address", mac);
		if (n->mtu > 0)
			(void)json_object_set_new(link, "mtu", json_integer(n->mtu));
		(void)json_array_append_new(links, link);
		for (; n->addresses && n->addresses[k]; k++) {
			bool *has = strchr(n->addresses[k], ':') ? &has6 : &has4;
			const char *gateway = has == &has6 ? n->gateway6 : n->gateway;

			(void)json_array_append_new(networks,
				openstack_address(id, k, n->addresses[k], *has ? NULL : gateway));
			*has = true;
		}
		if (k == 0)
			(void)json_array_append_new(
				networks, json_pack("{s:s, s:s, s:s}", "id", id, "type",
						  "ipv4_dhcp", "link", id));
		for (k = 0; n->dns && n->dns[k]; k++)
			(void)json_array_append_new(services,
				json_pack("{s:s, s:s}", "type", "dns", "address", n->dns[k]));
	}
	return json_pack(
		"{s:o, s:o, s:o}", "links", links, "networks", networks, "services", services);
}

static int config_drive(const struct seed *s, GPtrArray *files, struct err *e)
{
	size_t size = 0;
	g_autofree char *vendor = vendor_text(s, &size);

	add_json(files, "openstack/latest/meta_data.json", openstack_meta(s));
	if (s->user_data.text)
		add_file(files, "openstack/latest/user_data",
			g_memdup2(s->user_data.text, s->user_data.size), s->user_data.size);
	if (vendor) {
		json_t *text = json_stringn(vendor, size);

		if (!text)
			return err_set(e, -E_UNSUPPORTED,
				"a config drive has no place for vendor-data that isn't UTF-8");
		add_json(files, "openstack/latest/vendor_data.json",
			json_pack("{s:o}", "cloud-init", text));
	}
	if (s->n_nics > 0)
		add_json(files, "openstack/latest/network_data.json", openstack_network(s));
	return 0;
}

int seed_files(const struct seed *s, GPtrArray **ret, struct err *e)
{
	g_autoptr(GPtrArray) files = g_ptr_array_new_with_free_func(file_free);
	int r = seed_check(s, NULL, e);

	if (r >= 0 && s->form == SEED_CONFIG_DRIVE)
		r = config_drive(s, files, e);
	else if (r >= 0)
		nocloud(s, files);
	if (r >= 0)
		*ret = g_steal_pointer(&files);
	return r;
}

/* --- writing --------------------------------------------------------------------------------------- */

static int write_file(int fd, const GByteArray *bytes)
{
	size_t done = 0;

	while (done < bytes->len) {
		ssize_t n = write(fd, bytes->data + done, bytes->len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		done += (size_t)n;
	}
	return fsync(fd) < 0 ? -errno : 0;
}

int seed_make(struct ctx *c, const struct seed *s, const char *path, struct err *e)
{
	const char *volume = s->form == SEED_CONFIG_DRIVE ? "config-2" : "cidata";
	g_autofree char *part = g_strconcat(path, ".XXXXXX", NULL);
	g_autofree char *folder = g_path_get_dirname(path);
	g_autoptr(GPtrArray) files = NULL;
	g_autoptr(GByteArray) bytes = NULL;
	_cleanup_close_ int fd = -1, dir = -1;
	int r;

	r = seed_files(s, &files, e);
	if (r >= 0)
		r = seed_iso(files, volume, &bytes, e);
	if (r < 0 || c->explain)
		return r;
	fd = g_mkstemp_full(part, O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(e, -errno, "cannot make '%s'", part);
	r = write_file(fd, bytes);
	if (r >= 0 && rename(part, path) < 0)
		r = -errno;
	if (r < 0) {
		(void)unlink(part);
		return err_sys(e, r, "cannot write '%s'", path);
	}
	dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0 || fsync(dir) < 0)
		return err_sys(e, -errno, "cannot write '%s' to the disk", folder);
	return 0;
}
