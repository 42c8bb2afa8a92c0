/* SPDX-License-Identifier: MIT */
#include "image/sign.h"

#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "codec/json.h"
#include "image/files.h"
#include "image/ref.h"

#define TYPE	"atomic container signature"
#define CREATOR "lodge " LODGE_VERSION

char *sign_text(const char *manifest_digest, const char *reference)
{
	json_t *doc = json_pack("{s:{s:{s:s}, s:{s:s}, s:s}, s:{s:s, s:I}}", "critical", "identity",
		"docker-reference", reference, "image", "docker-manifest-digest", manifest_digest,
		"type", TYPE, "optional", "creator", CREATOR, "timestamp",
		(json_int_t)(g_get_real_time() / G_USEC_PER_SEC));
	char *text = json_dumps(doc, JSON_COMPACT), *copy = g_strdup(text);

	free(text);
	json_decref(doc);
	return copy;
}

int sign_text_parse(
	const char *text, size_t size, char **ret_digest, char **ret_reference, struct err *e)
{
	const char *type, *digest, *reference;
	json_t *doc = NULL, *critical;
	int r = json_read(text, size, &doc, e);

	if (r < 0) {
		(void)err_prefix(e, "the signed text");
		if (e)
			e->code = -E_CORRUPT;
		return -E_CORRUPT;
	}
	critical = json_object_get(doc, "critical");
	type = json_string_value(json_object_get(critical, "type"));
	digest = json_string_value(
		json_object_get(json_object_get(critical, "image"), "docker-manifest-digest"));
	reference = json_string_value(
		json_object_get(json_object_get(critical, "identity"), "docker-reference"));
	if (g_strcmp0(type, TYPE) != 0)
		r = err_set(e, -E_CORRUPT, "the signed text isn't about an image");
	else if (json_object_size(doc) != 2 || !json_object_get(doc, "optional") ||
		 json_object_size(critical) != 3)
		r = err_set(e, -E_CORRUPT, "the signed text has members that nobody knows");
	else if (!digest || !ref_is_digest(digest) || !reference || !*reference)
		r = err_set(e, -E_CORRUPT, "the signed text names no image");
	else {
		*ret_digest = g_strdup(digest);
		*ret_reference = g_strdup(reference);
	}
	json_decref(doc);
	return r < 0 ? r : 0;
}

/* --- gpg -------------------------------------------------------------------------------------------------- */

static int read_back(int fd, char **ret, size_t *ret_size, struct err *e)
{
	struct stat st;
	g_autofree char *data = NULL;

	if (fstat(fd, &st) < 0)
		return err_sys(e, -errno, "cannot read what gpg wrote");
	if (st.st_size > SIGN_BYTES_MAX)
		return err_set(e, -E_LIMIT, "gpg wrote more than %d bytes", SIGN_BYTES_MAX);
	data = g_malloc((size_t)st.st_size + 1);
	if (pread(fd, data, (size_t)st.st_size, 0) != st.st_size)
		return err_sys(e, -errno, "cannot read what gpg wrote");
	data[st.st_size] = '\0';
	*ret = g_steal_pointer(&data);
	*ret_size = (size_t)st.st_size;
	return 0;
}

/* Its last line is what went wrong. */
static void last_line(char *text)
{
	char *line;

	g_strchomp(text);
	line = strrchr(text, '\n');
	if (line)
		memmove(text, line + 1, strlen(line));
}

/* Runs it on what stands in a file; what it wrote, and what it said. The exit status, or a code. */
static int gpg(char **argv, const void *input, size_t size, char **ret, size_t *ret_size,
	char **ret_said, struct err *e)
{
	_cleanup_close_ int in = files_temp(g_get_tmp_dir(), e), out = -1, said = -1;
	g_autoptr(GError) error = NULL;
	size_t n;
	GPid pid;
	int r, status = 0;

	r = in;
	if (r >= 0)
		r = out = files_temp(g_get_tmp_dir(), e);
	if (r >= 0)
		r = said = files_temp(g_get_tmp_dir(), e);
	if (r < 0)
		return r;
	r = files_write(in, input, size);
	if (r < 0 || lseek(in, 0, SEEK_SET) < 0)
		return err_sys(e, r < 0 ? r : -errno, "cannot write a temporary file");
	if (!g_spawn_async_with_fds(NULL, argv, NULL,
		    G_SPAWN_SEARCH_PATH | G_SPAWN_DO_NOT_REAP_CHILD, NULL, NULL, &pid, in, out,
		    said, &error)) {
		err_set(e, -E_UNSUPPORTED, "cannot run gpg: %s", error->message);
		(void)err_mend(e, "install the package gnupg");
		return -E_UNSUPPORTED;
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	r = read_back(out, ret, ret_size, e);
	if (r >= 0)
		r = read_back(said, ret_said, &n, e);
	return r < 0 ? r : WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

int sign_make(const char *manifest_digest, const char *reference, const char *key,
	const char *passphrase, GBytes **ret, struct err *e)
{
	g_autofree char *text = sign_text(manifest_digest, reference), *said = NULL, *made = NULL;
	g_autoptr(GPtrArray) argv = g_ptr_array_new();
	const char *words[] = { "gpg", "--batch", "--no-tty", "--yes", "--local-user", key };
	const char *with[] = { "--pinentry-mode", "loopback", "--passphrase-file", passphrase };
	size_t size;
	int r;

	for (unsigned i = 0; i < G_N_ELEMENTS(words); i++)
		g_ptr_array_add(argv, (char *)(uintptr_t)words[i]);
	for (unsigned i = 0; passphrase && i < G_N_ELEMENTS(with); i++)
		g_ptr_array_add(argv, (char *)(uintptr_t)with[i]);
	g_ptr_array_add(argv, (char *)(uintptr_t) "--sign");
	g_ptr_array_add(argv, NULL);
	r = gpg((char **)argv->pdata, text, strlen(text), &made, &size, &said, e);
	if (r < 0)
		return r;
	if (r != 0 || size == 0) {
		last_line(said);
		return err_set(e, -E_INVALID, "Error creating signature: %s", said);
	}
	*ret = g_bytes_new(made, size);
	return 0;
}

/* The key that a good signature is by, from gpg's status lines (gnupg's doc/DETAILS). Exactly one, or none at all. */
static bool is_signed_by(const char *status, const char *fingerprint)
{
	g_auto(GStrv) line = g_strsplit(status, "\n", -1);
	unsigned valid = 0;

	for (char **l = line; *l; l++) {
		g_auto(GStrv) word = NULL;

		if (!g_str_has_prefix(*l, "[GNUPG:] "))
			continue;
		word = g_strsplit(*l, " ", -1);
		if (g_str_equal(word[1], "BADSIG") || g_str_equal(word[1], "ERRSIG") ||
			g_str_equal(word[1], "EXPSIG") || g_str_equal(word[1], "EXPKEYSIG") ||
			g_str_equal(word[1], "REVKEYSIG"))
			return false;
		if (!g_str_equal(word[1], "VALIDSIG") || !word[2])
			continue;
		/* the subkey's, and at the end its primary key's */
		if (g_ascii_strcasecmp(word[2], fingerprint) != 0 &&
			g_ascii_strcasecmp(word[g_strv_length(word) - 1], fingerprint) != 0)
			return false;
		valid++;
	}
	return valid == 1;
}

int sign_verify(const void *signature, size_t size, const char *manifest_digest,
	const char *reference, const char *fingerprint, struct err *e)
{
	char *argv[] = { (char *)"gpg", (char *)"--batch", (char *)"--no-tty",
		(char *)"--status-fd", (char *)"2", (char *)"--decrypt", NULL };
	g_autofree char *text = NULL, *said = NULL, *digest = NULL, *name = NULL;
	size_t text_size;
	int r;

	r = gpg(argv, signature, size, &text, &text_size, &said, e);
	if (r < 0)
		return r;
	if (!is_signed_by(said, fingerprint))
		return err_set(e, -E_INVALID, "no valid signature by the key '%s'", fingerprint);
	r = sign_text_parse(text, text_size, &digest, &name, e);
	if (r < 0)
		return r;
	if (strcmp(digest, manifest_digest) != 0)
		return err_set(e, -E_INVALID,
			"Docker manifest digest %s does not match %s of the signature",
			manifest_digest, digest);
	if (strcmp(name, reference) != 0)
		return err_set(
			e, -E_INVALID, "Docker reference %s does not match %s", name, reference);
	return 0;
}
