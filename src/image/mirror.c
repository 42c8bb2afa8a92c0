/* SPDX-License-Identifier: MIT */
#include "image/mirror-priv.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <fcntl.h>
#include "host/path.h"
#include "host/steps.h"
#include "image/archive-priv.h"
#include "image/child.h"
#include "image/ref.h"
#include "store/blob.h"
#include "store/journal.h"

#define MERGED_USR_HOOKS "/usr/share/mmdebstrap/hooks/maybe-merged-usr"

static const struct distribution debian = { "library/debian", "Debian",
	"http://deb.debian.org/debian", "http://deb.debian.org/debian-security", "main",
	"/usr/share/keyrings/debian-archive-keyring.gpg", "debian-archive-keyring" };

#if defined(__x86_64__) || defined(__i386__)
#define UBUNTU_MIRROR	"http://archive.ubuntu.com/ubuntu"
#define UBUNTU_SECURITY "http://security.ubuntu.com/ubuntu"
#else
#define UBUNTU_MIRROR	"http://ports.ubuntu.com/ubuntu-ports"
#define UBUNTU_SECURITY UBUNTU_MIRROR
#endif
static const struct distribution ubuntu = { "library/ubuntu", "Ubuntu", UBUNTU_MIRROR,
	UBUNTU_SECURITY, "main,universe", "/usr/share/keyrings/ubuntu-archive-keyring.gpg", NULL };

/* The suites, by number and name. A name that moves ("stable") has no number, and gets no second tag. */
static const struct suite suites[] = {
	{ &debian, "11", "bullseye", true, false },
	{ &debian, "12", "bookworm", true, true },
	{ &debian, "13", "trixie", true, true },
	{ &debian, "14", "forky", true, true },
	{ &debian, NULL, "sid", false, true },
	{ &debian, NULL, "unstable", false, true },
	{ &debian, NULL, "testing", true, true },
	{ &debian, NULL, "stable", true, true },
	{ &debian, NULL, "oldstable", true, true },
	{ &ubuntu, "20.04", "focal", true },
	{ &ubuntu, "22.04", "jammy", true },
	{ &ubuntu, "24.04", "noble", true },
	{ &ubuntu, "25.04", "plucky", true },
	{ &ubuntu, "25.10", "questing", true },
};

/* "12-slim" is "12" without documentation. */
static const struct suite *find_suite(const struct ref *ref, bool *ret_latest, bool *ret_slim)
{
	g_autofree char *tag = g_strdup(ref->tag ? ref->tag : "");
	bool is_debian = strcmp(ref->path, debian.repository) == 0;

	*ret_slim = is_debian && g_str_has_suffix(tag, "-slim");
	if (*ret_slim)
		tag[strlen(tag) - strlen("-slim")] = '\0';
	*ret_latest = strcmp(tag, "latest") == 0;
	if (strcmp(ref->domain, "docker.io") != 0)
		return NULL;
	for (unsigned i = 0; i < ELEMENTSOF(suites); i++) {
		const struct suite *s = &suites[i];

		if (strcmp(s->of->repository, ref->path) != 0)
			continue;
		if (g_strcmp0(s->number, tag) == 0 || strcmp(s->name, tag) == 0)
			return s;
		if (*ret_latest && strcmp(s->name, is_debian ? "stable" : "noble") == 0)
			return s;
	}
	return NULL;
}

bool image_mirror_knows(const char *ref)
{
	bool latest, slim, known;
	struct ref r;

	if (ref_parse(ref, 0, &r, NULL) < 0)
		return false;
	known = !r.digest && find_suite(&r, &latest, &slim);
	ref_clear(&r);
	return known;
}

static int parse_ref(struct build *b, const char *text, struct err *e)
{
	g_autoptr(GString) known = g_string_new(NULL);
	struct ref ref;
	int r;

	r = ref_parse(text, 0, &ref, e);
	if (r < 0)
		return r;
	b->suite = ref.digest ? NULL : find_suite(&ref, &b->latest, &b->slim);
	if (!b->suite) {
		r = err_set(e, -E_NOTFOUND, "no distribution or suite '%s' is known", text);
		for (unsigned i = 0; i < ELEMENTSOF(suites); i++)
			if (suites[i].number)
				g_string_append_printf(known, " %s:%s",
					suites[i].of->repository + strlen("library/"),
					suites[i].number);
		(void)err_mend(e, "these are:%s debian:sid", known->str);
	}
	ref_clear(&ref);
	return r;
}

/* debian:12 and debian:bookworm, for a disk debian:12-disk and debian:bookworm-disk; what was asked for in any
 * case. */
static int choose_names(struct build *b, const char *ref, struct err *e)
{
	const char *first[] = { b->o->name ? b->o->name : ref, NULL };
	const char *tags[] = { b->suite->number, b->suite->name };
	char *full;
	int r;

	r = image_full_names(first, b->names, e);
	if (r < 0)
		return r;
	full = b->names->pdata[0];
	if (b->o->disk && !b->o->name) {
		full = g_strconcat(full, "-disk", NULL);
		g_free(b->names->pdata[0]);
		b->names->pdata[0] = full;
	}
	for (unsigned i = 0; i < ELEMENTSOF(tags) && !b->o->name && !b->latest; i++) {
		char *name;

		if (!tags[i] || !b->suite->number)
			continue;
		name = g_strdup_printf("docker.io/%s:%s%s%s", b->suite->of->repository, tags[i],
			b->slim ? "-slim" : "", b->o->disk ? "-disk" : "");
		if (strcmp(name, full) != 0)
			g_ptr_array_add(b->names, name);
		else
			g_free(name);
	}
	g_ptr_array_add(b->names, NULL);
	return 0;
}

/* Where this host's apt gets the distribution from. apt-get indextargets only reads files. */
static void find_mirror(struct build *b)
{
	char *argv[] = { (char *)"apt-get", (char *)"indextargets", (char *)"--format",
		(char *)"$(REPO_URI)|$(CODENAME)|$(ORIGIN)", (char *)"Created-By: Packages", NULL };
	g_autofree char *out = NULL;
	g_auto(GStrv) line = NULL;

	if (b->o->mirror) {
		b->mirror = g_strdup(b->o->mirror);
		return;
	}
	if (g_spawn_sync(NULL, argv, NULL, G_SPAWN_SEARCH_PATH | G_SPAWN_STDERR_TO_DEV_NULL, NULL,
		    NULL, &out, NULL, NULL, NULL))
		line = g_strsplit(out, "\n", -1);
	for (char **l = line; l && *l; l++) {
		g_auto(GStrv) field = g_strsplit(*l, "|", 3);
		char **to;

		/* a file or cdrom: of this host's can't be read by the image's apt */
		if (g_strv_length(field) != 3 || strcmp(field[2], b->suite->of->origin) != 0 ||
			!g_str_has_prefix(field[0], "http"))
			continue;
		to = strstr(field[1], "-security") ? &b->security : &b->mirror;
		if (!*to) {
			*to = g_strdup(field[0]);
			if (g_str_has_suffix(*to, "/"))
				(*to)[strlen(*to) - 1] = '\0';
		}
	}
	if (!b->mirror)
		b->mirror = g_strdup(b->suite->of->mirror);
	if (!b->security)
		b->security = g_strdup(b->suite->of->security);
	if (!b->suite->updates)
		g_clear_pointer(&b->security, g_free);
}

char *mirror_components(const struct build *b, const char *by)
{
	g_auto(GStrv) list = g_strsplit(b->suite->of->components, ",", -1);

	return g_strjoinv(by, b->o->components ? b->o->components : list);
}

/* No package starts a service in an image, while it is made and later. $1: the root. */
static const char no_services_script[] =
	"set -eu\n"
	"mkdir -p \"$1/usr/sbin\"\n"
	"printf '#!/bin/sh\\nexit 101\\n' > \"$1/usr/sbin/policy-rc.d\"\n"
	"chmod 0755 \"$1/usr/sbin/policy-rc.d\"\n";

/* debootstrap knows one suite: the updates come afterwards, by the image's own apt. $1: the root. */
static const char update_script[] =
	"set -eu\n"
	"rm -f \"$1/etc/apt/sources.list\"\n"
	"mkdir -p \"$1/etc/apt/sources.list.d\"\n"
	"printf '%s' \"$LODGE_SOURCES\" > \"$1/etc/apt/sources.list.d/$LODGE_ORIGIN.sources\"\n"
	"export PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive LC_ALL=C\n"
	"chroot \"$1\" apt-get -q -o Acquire::Languages=none update\n"
	"chroot \"$1\" apt-get -q -y --no-install-recommends dist-upgrade\n"
	"chroot \"$1\" apt-get clean\n";

/* What the official image has beside the packages. $1: the root. The host's names and resolver don't belong
 * into an image. */
static const char finish_script[] =
	"set -eu\n"
	"cd \"$1\"\n"
	"mkdir -p etc/apt/apt.conf.d etc/apt/sources.list.d etc/dpkg/dpkg.cfg.d\n"
	"echo force-unsafe-io > etc/dpkg/dpkg.cfg.d/docker-apt-speedup\n"
	"cat > etc/apt/apt.conf.d/docker-clean <<'EOF'\n"
	"DPkg::Post-Invoke { \"rm -f /var/cache/apt/archives/*.deb "
	"/var/cache/apt/archives/partial/*.deb "
	"/var/cache/apt/*.bin || true\"; };\n"
	"APT::Update::Post-Invoke { \"rm -f /var/cache/apt/archives/*.deb "
	"/var/cache/apt/archives/partial/*.deb /var/cache/apt/*.bin || true\"; };\n"
	"Dir::Cache::pkgcache \"\";\n"
	"Dir::Cache::srcpkgcache \"\";\n"
	"EOF\n"
	"echo 'Acquire::Languages \"none\";' > etc/apt/apt.conf.d/docker-no-languages\n"
	"echo 'Acquire::GzipIndexes \"true\";' > etc/apt/apt.conf.d/docker-gzip-indexes\n"
	"echo 'Apt::AutoRemove::SuggestsImportant \"false\";' > "
	"etc/apt/apt.conf.d/docker-autoremove-suggests\n" MIRROR_FINISH;

/* A mirror that the user names is taken as it is. */
static bool has_updates(const struct build *b)
{
	return b->suite->updates && !b->o->mirror;
}

/* The image's own sources, as deb822 (sources.list(5)). */
static char *sources_text(const struct build *b)
{
	g_autofree char *list = mirror_components(b, " ");
	const struct distribution *d = b->suite->of;
	GString *text = g_string_new(NULL);
	bool extra = has_updates(b);

	g_string_append_printf(text,
		"Types: deb\nURIs: %s\nSuites: %s%s%s%s\nComponents: %s\nSigned-By: %s\n",
		b->mirror, b->suite->name, extra ? " " : "", extra ? b->suite->name : "",
		extra ? "-updates" : "", list, d->keyring);
	if (extra)
		g_string_append_printf(text,
			"\nTypes: deb\nURIs: %s\nSuites: %s-security\nComponents: %s\nSigned-By: "
			"%s\n",
			b->security, b->suite->name, list, d->keyring);
	return g_string_free(text, FALSE);
}

void mirror_arg(struct build *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	g_ptr_array_add(b->argv, g_strdup_vprintf(fmt, ap));
	va_end(ap);
}

static void arg_include(struct build *b)
{
	g_autofree char *packages = b->o->include ? g_strjoinv(",", b->o->include) : NULL;

	if (packages && *packages)
		mirror_arg(b, "--include=%s", packages);
}

void mirror_args_common(struct build *b, const char *script, const char *target)
{
	static const char *const no_docs[] = { "/usr/share/doc/*", "/usr/share/groff/*",
		"/usr/share/info/*", "/usr/share/linda/*", "/usr/share/lintian/*",
		"/usr/share/locale/*", "/usr/share/man/*" };
	g_autofree char *list = mirror_components(b, " ");

	mirror_arg(b, "--variant=%s", b->o->variant ? b->o->variant : "minbase");
	if (b->o->arch)
		mirror_arg(b, "--architectures=%s", b->o->arch);
	mirror_arg(b, "--keyring=%s", b->suite->of->keyring);
	mirror_arg(b, "--aptopt=Acquire::Languages \"none\"");
	/* else the package "usrmerge" does it, and brings 50 MB of perl along */
	if (access(MERGED_USR_HOOKS, R_OK) == 0)
		mirror_arg(b, "--hook-dir=%s", MERGED_USR_HOOKS);
	for (unsigned i = 0; b->slim && i < ELEMENTSOF(no_docs); i++)
		mirror_arg(b, "--dpkgopt=path-exclude=%s", no_docs[i]);
	if (b->slim)
		mirror_arg(b, "--dpkgopt=path-include=/usr/share/doc/*/copyright");
	mirror_arg(b, "--customize-hook=%s", script);
	mirror_arg(b, "%s", b->suite->name);
	mirror_arg(b, "%s", target);
	mirror_arg(b, "deb %s %s %s", b->mirror, b->suite->name, list);
	if (has_updates(b)) {
		mirror_arg(b, "deb %s %s-updates %s", b->mirror, b->suite->name, list);
		mirror_arg(b, "deb %s %s-security %s", b->security, b->suite->name, list);
	}
	g_ptr_array_add(b->argv, NULL);
}

static void command_mmdebstrap(struct build *b)
{
	if (b->o->disk) {
		mirror_disk_command(b);
		return;
	}
	mirror_arg(b, "mmdebstrap");
	mirror_arg(b, "--format=tar");
	arg_include(b);
	/* its own would be removed at the end */
	mirror_arg(b, "--skip=chroot/policy-rc.d");
	mirror_arg(b, "--extract-hook=%s", no_services_script);
	mirror_args_common(b, finish_script, "-");
}

static void command_debootstrap(struct build *b)
{
	g_autofree char *list = mirror_components(b, ",");

	g_ptr_array_set_size(b->argv, 0);
	mirror_arg(b, "debootstrap");
	mirror_arg(b, "--variant=%s", b->o->variant ? b->o->variant : "minbase");
	if (b->o->arch)
		mirror_arg(b, "--arch=%s", b->o->arch);
	mirror_arg(b, "--keyring=%s", b->suite->of->keyring);
	mirror_arg(b, "--force-check-gpg");
	mirror_arg(b, "--components=%s", list);
	arg_include(b);
	mirror_arg(b, "%s", b->suite->name);
	mirror_arg(b, "%s", b->root);
	mirror_arg(b, "%s", b->mirror);
	g_ptr_array_add(b->argv, NULL);
}

static int take_output(void *data, const void *bytes, size_t size, struct err *e)
{
	return layer_in_write(data, bytes, size, e);
}

static void mend_failure(struct err *e)
{
	static const char *const network[] = { "resolve", "cannot fetch", "onnect", "imed out",
		"does not have a Release", "Temporary failure", "Invalid Release" };
	static const char *const keys[] = { "NO_PUBKEY", "not signed", "signature", "GPG" };

	if (!e || e->mend[0])
		return;
	for (unsigned i = 0; i < ELEMENTSOF(keys); i++)
		if (strstr(e->text, keys[i])) {
			(void)err_mend(e, "install the distribution's newest keyring package");
			return;
		}
	for (unsigned i = 0; i < ELEMENTSOF(network); i++)
		if (strstr(e->text, network[i])) {
			(void)err_mend(e, "check the network and proxy, or name another mirror "
					  "with --mirror");
			return;
		}
}

static int run_mmdebstrap(struct build *b, struct err *e)
{
	struct child x = { .argv = (char **)b->argv->pdata,
		.tmpdir = b->dir,
		.progress = b->o->progress,
		.output = take_output };
	int r;

	r = layer_in_new(b->c, &b->layer, e);
	if (r < 0)
		return r;
	x.data = b->layer;
	r = child_run(&x, e);
	if (r < 0)
		return r;
	image_tell(b->o->progress, "finishing the layer");
	return layer_in_finish(b->layer, NULL, NULL, &b->result, e);
}

static int run_script(struct build *b, const char *script, struct err *e)
{
	char *argv[] = { (char *)"sh", (char *)"-c", (char *)(uintptr_t)script, (char *)"sh",
		b->root, NULL };
	struct child x = { .argv = argv, .tmpdir = b->dir, .progress = b->o->progress };

	return child_run(&x, e);
}

/* The second choice: a folder, which then becomes a layer. */
static int run_debootstrap(struct build *b, struct err *e)
{
	struct child x = { .tmpdir = b->dir, .progress = b->o->progress };
	int r;

	if (!b->c->is_root || b->slim) {
		r = err_set(e, -E_UNSUPPORTED, "mmdebstrap isn't there");
		(void)err_mend(e, "apt-get install mmdebstrap");
		return r;
	}
	command_debootstrap(b);
	x.argv = (char **)b->argv->pdata;
	r = child_run(&x, e);
	if (r == -E_NOTFOUND) {
		r = err_set(e, -E_UNSUPPORTED, "neither mmdebstrap nor debootstrap is there");
		(void)err_mend(e, "apt-get install mmdebstrap");
	}
	if (r >= 0)
		r = run_script(b, no_services_script, e);
	if (r >= 0 && has_updates(b))
		r = run_script(b, update_script, e);
	if (r >= 0)
		r = run_script(b, finish_script, e);
	if (r < 0)
		return r;
	image_tell(b->o->progress, "making the layer");
	return layer_import_dir(b->c, b->root, &b->result, e);
}

static int record(struct build *b, char **ret_id, struct err *e)
{
	g_autofree char *by = g_strdup_printf("%s --variant=%s %s", (const char *)b->argv->pdata[0],
		b->o->variant ? b->o->variant : "minbase", b->suite->name);
	const char *diff_ids[] = { b->result.digest };
	json_t *config = json_pack("{s:[s], s:[s]}", "Env", IMAGE_PATH_ENV, "Cmd", "bash");
	struct image_new n = { .arch = b->o->arch,
		.created = g_get_real_time() * 1000,
		.created_by = by,
		.config = config,
		.diff_ids = diff_ids,
		.n_diff_ids = 1 };
	g_autofree char *text = NULL;
	int r;

	if (b->o->arch &&
		strcmp(b->o->arch, "i386") == 0) /* Debian's names are Go's, but for these */
		n.arch = "386";
	else if (b->o->arch && strcmp(b->o->arch, "armhf") == 0)
		n.arch = "arm";
	else if (b->o->arch && strcmp(b->o->arch, "ppc64el") == 0)
		n.arch = "ppc64le";
	if (b->o->disk) {
		/* a machine runs its own programs */
		n.config = NULL;
		r = mirror_disk_build(b, &n, ret_id, e);
	} else {
		text = image_config_text(&n);
		r = image_add(b->c, text, strlen(text), NULL, 0,
			(const char *const *)b->names->pdata, ret_id, e);
	}
	json_decref(config);
	return r;
}

static int build(struct build *b, char **ret_id, struct err *e)
{
	_cleanup_close_ int lock = -1;
	g_autofree char *sources = sources_text(b);
	g_autofree char *origin = g_ascii_strdown(b->suite->of->origin, -1);
	int r;

	r = lock = blob_hold(b->c, e);
	if (r < 0)
		return r;
	/* apt's own user must get through */
	if (mkdir(b->dir, 0755) < 0 || chmod(b->dir, 0755) < 0)
		return err_sys(e, -errno, "cannot make '%s'", b->dir);
	(void)setenv("LODGE_SOURCES", sources, 1);
	(void)setenv("LODGE_ORIGIN", origin, 1);
	image_tell(b->o->progress, "starting");
	r = b->o->disk ? 0 : run_mmdebstrap(b, e);
	if (r == -E_NOTFOUND)
		r = run_debootstrap(b, e);
	if (r >= 0)
		r = record(b, ret_id, e);
	(void)unsetenv("LODGE_SOURCES");
	(void)unsetenv("LODGE_ORIGIN");
	if (r < 0)
		mend_failure(e);
	return r;
}

static void plan_layer(struct build *b, struct plan *p)
{
	const char **shown = g_newa(const char *, b->argv->len + 5);
	unsigned n = 0;

	for (unsigned i = 0; i + 1 < b->argv->len; i++)
		shown[n++] = b->argv->pdata[i];
	shown[n++] = "|";
	shown[n++] = "mkfs.erofs";
	shown[n++] = "--tar=f";
	shown[n++] = plan_str(p, "%s/layers/", b->c->root);
	shown[n++] = "-";
	plan_addv(p, AT_HOST, 0, &step_content, shown, n);
}

/* In the journal while it is being made: the folder and the layer of a dead command are removed. */
static int build_held(struct build *b, char **ret_id, struct err *e)
{
	_cleanup_(plan_freep) struct plan *p = plan_new();
	struct journal_hold hold;
	int r;

	plan_add(p, AT_HOST, &step_tree, b->dir, "0755");
	if (b->o->disk)
		mirror_disk_show(b, p);
	else
		plan_layer(b, p);
	r = journal_begin(b->c, p, &hold, e);
	if (r != 0)
		return r < 0 ? r : 0;
	r = build(b, ret_id, e);
	image_tell(b->o->progress, NULL);
	layer_in_free(TAKE_PTR(b->layer));
	if (r < 0) {
		journal_abort(b->c, p, &hold);
		return r;
	}
	(void)path_remove_tree(AT_FDCWD, b->dir);
	journal_done(&hold);
	return 0;
}

static int check_keyring(const struct build *b, struct err *e)
{
	const struct distribution *d = b->suite->of;
	int r;

	if (access(d->keyring, R_OK) == 0)
		return 0;
	r = err_set(e, -E_UNSUPPORTED, "the keyring '%s' isn't there, so nothing could be checked",
		d->keyring);
	if (d->keyring_package)
		(void)err_mend(e, "apt-get install %s", d->keyring_package);
	else
		(void)err_mend(e, "put it there; it is in %s's package of keys", d->origin);
	return r;
}

int image_mirror_sources(const char *ref, char **ret, struct err *e)
{
	static const struct image_mirror_options none;
	struct build b = { .o = &none };
	int r = parse_ref(&b, ref, e);

	if (r >= 0)
		r = check_keyring(&b, e);
	if (r < 0)
		return r;
	find_mirror(&b);
	*ret = sources_text(&b);
	g_free(b.mirror);
	g_free(b.security);
	return 0;
}

int image_build_from_mirror(struct ctx *c, const char *ref, const struct image_mirror_options *o,
	char **ret_id, struct err *e)
{
	struct build b = { .c = c, .o = o };
	g_autofree char *owner = journal_owner();
	int r;

	*ret_id = NULL;
	b.names = g_ptr_array_new_with_free_func(g_free);
	b.argv = g_ptr_array_new_with_free_func(g_free);
	b.dir = store_path(c, "cache/build.%s", owner);
	b.root = g_strconcat(b.dir, "/root", NULL);
	r = parse_ref(&b, ref, e);
	if (r >= 0)
		r = choose_names(&b, ref, e);
	if (r >= 0)
		r = check_keyring(&b, e);
	if (r >= 0 && o->disk)
		r = mirror_disk_prepare(&b, e);
	if (r >= 0) {
		find_mirror(&b);
		command_mmdebstrap(&b);
		r = build_held(&b, ret_id, e);
	}
	mirror_disk_clear(&b);
	g_ptr_array_unref(b.names);
	g_ptr_array_unref(b.argv);
	g_free(b.mirror);
	g_free(b.security);
	g_free(b.dir);
	g_free(b.root);
	return r;
}
