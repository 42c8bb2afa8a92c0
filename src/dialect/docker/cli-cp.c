/* SPDX-License-Identifier: MIT */
/* docker cp: archives of the server's, made and taken by guest/tartree.h. */

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "dialect/docker/cli.h"
#include "guest/tartree.h"

struct cp_args {
	bool archive, follow_link, quiet;
};

#define PIECE (32 * 1024)
#define COPY_TEXT                                                                                \
	"Copy files/folders between a container and the local filesystem\n\n"                    \
	"Use '-' as the source to read a tar archive from stdin\nand extract it to a directory " \
	"destination in a container.\n"                                                          \
	"Use '-' as the destination to stream a tar archive of a\ncontainer source to stdout."

/* "CONTAINER:PATH"; a path of this host begins with "/" or ".", or has no colon. */
static bool split_container(const char *text, char **ret_name, const char **ret_path)
{
	const char *colon = strchr(text, ':');

	if (*text == '/' || *text == '.' || !colon || colon == text)
		return false;
	*ret_name = g_strndup(text, (gsize)(colon - text));
	*ret_path = colon + 1;
	return true;
}

/* What is known of a path in the container: X-Docker-Container-Path-Stat. */
static int stat_inside(
	struct client *cl, const char *name, const char *path, json_t **ret, struct err *e)
{
	g_autofree char *head = client_path("/containers/%s/archive", name), *value = NULL;
	g_autoptr(GString) full = g_string_new(head);
	_cleanup_(stream_freep) struct stream *s = NULL;
	g_autofree guchar *text = NULL;
	gsize n;
	int r;

	cli_query(full, "path", path);
	r = client_stream(cl,
		&(struct stream_request){ .method = "HEAD", .path = full->str, .body_fd = -1 }, &s,
		e);
	if (r < 0)
		return r;
	value = stream_header(s, "X-Docker-Container-Path-Stat");
	text = value ? g_base64_decode(value, &n) : NULL;
	*ret = text ? json_loadb((const char *)text, n, 0, NULL) : NULL;
	return *ret ? 0 : err_set(e, -EBADMSG, "the server said nothing about %s", path);
}

#define GO_DIR	   (INT64_C(1) << 31) /* of Go's FileMode */
#define GO_SYMLINK (INT64_C(1) << 27)

/* --- pumps: a process for the side that has no loop here --------------------------------------------------------------------- */

static int pump_out(struct stream *s, int to, struct err *e)
{
	g_autofree char *buf = g_malloc(PIECE);
	ssize_t n;

	while ((n = stream_read(s, buf, PIECE)) > 0)
		for (ssize_t at = 0, k; at < n; at += k) {
			k = RET_NERRNO(write(to, buf + at, (size_t)(n - at)));
			if (k < 0)
				return err_sys(e, (int)k, "cannot write the archive");
		}
	return n < 0 ? err_set(e, (int)n, "the server's answer was cut") : 0;
}

static int end_of(pid_t child)
{
	int status = 0;

	if (RET_NERRNO(waitpid(child, &status, 0)) < 0 || !WIFEXITED(status) ||
		WEXITSTATUS(status) != 0)
		return -EIO;
	return 0;
}

/* --- out of a container ------------------------------------------------------------------------------------------------- */

static int extract(struct stream *s, int dir, const struct cp_args *a, struct err *e)
{
	struct tar_tree_owner owner = { .keep = a->archive, .uid = getuid(), .gid = getgid() };
	int pipes[2], r = RET_NERRNO(pipe2(pipes, O_CLOEXEC));
	pid_t child;

	if (r < 0)
		return err_sys(e, r, "cannot make a pipe");
	child = RET_NERRNO(fork());
	if (child == 0) {
		(void)close(pipes[0]);
		_exit(pump_out(s, pipes[1], NULL) < 0);
	}
	(void)close(pipes[1]);
	r = child < 0 ? err_sys(e, child, "cannot start a process")
		      : tar_tree_read(pipes[0], dir, &owner, e);
	(void)close(pipes[0]);
	if (child > 0 && end_of(child) < 0 && r >= 0)
		r = err_set(e, -EIO, "the server's answer was cut");
	return r;
}

/* What was unpacked below `from`, into its place. */
static int put_in_place(int from, const char *base, const char *parent, const char *as,
	bool contents, struct err *e)
{
	g_autofree char *here = g_strdup_printf("/proc/self/fd/%d", from),
			*tree = g_strdup_printf("%s/%s", here, base);
	g_autofree char *to = g_strdup_printf("%s/%s", parent, as);
	g_autoptr(GDir) dir = NULL;
	const char *name;
	int r;

	if (!contents) {
		r = RET_NERRNO(rename(tree, to));
		return r < 0 ? err_sys(e, r, "cannot put '%s' in its place", to) : 0;
	}
	dir = g_dir_open(tree, 0, NULL);
	while (dir && (name = g_dir_read_name(dir))) {
		g_autofree char *one = g_strdup_printf("%s/%s", tree, name),
				*there = g_strdup_printf("%s/%s", parent, name);

		r = RET_NERRNO(rename(one, there));
		if (r < 0)
			return err_sys(e, r, "cannot put '%s' in its place", there);
	}
	(void)RET_NERRNO(rmdir(tree));
	return 0;
}

/*
 * The archive has the file's own name, or is a folder "NAME/" with what is in it. Where it is to have another name it is
 * unpacked into a folder beside the destination, and goes into its place by a rename.
 */
static int unpack(struct stream *s, const struct cp_args *a, const char *parent, const char *as,
	const char *base, bool contents, struct err *e)
{
	g_autofree char *temporary = g_strdup_printf("%s/.docker-cp-%d", parent, (int)getpid());
	_cleanup_close_ int fd = -1;
	int r;

	if (!contents && strcmp(as, base) == 0) {
		fd = RET_NERRNO(open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
		return fd < 0 ? err_sys(e, fd, "cannot open '%s'", parent) : extract(s, fd, a, e);
	}
	r = RET_NERRNO(mkdir(temporary, 0700));
	if (r < 0)
		return err_sys(e, r, "cannot make a folder in '%s'", parent);
	fd = RET_NERRNO(open(temporary, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	r = fd < 0 ? err_sys(e, fd, "cannot open '%s'", temporary) : extract(s, fd, a, e);
	if (r >= 0)
		r = put_in_place(fd, base, parent, as, contents, e);
	(void)RET_NERRNO(rmdir(temporary));
	return r;
}

static int out_of(struct client *cl, const struct cp_args *a, const char *name, const char *path,
	const char *to, struct err *e)
{
	g_autofree char *head = client_path("/containers/%s/archive", name), *base = NULL,
			*parent = NULL, *as = NULL;
	g_autoptr(GString) full = g_string_new(head);
	_cleanup_(stream_freep) struct stream *s = NULL;
	json_t *st = NULL;
	struct stat here;
	bool is_dir, there, contents = g_str_has_suffix(path, "/.");
	int r = stat_inside(cl, name, path, &st, e);

	/* the answer to HEAD has no words for what is wrong; that to GET has */
	if (r < 0 && client_status(cl) != 404)
		return r;
	base = g_strdup(cli_text(st, "name"));
	is_dir = cli_number(st, "mode") & GO_DIR;
	json_decref(st);
	there = stat(to, &here) == 0 && S_ISDIR(here.st_mode);
	if (!there && g_str_has_suffix(to, "/") && !is_dir)
		return err_set(e, -E_INVALID, "destination directory \"%s\" must exist", to);
	cli_query(full, "path", path);
	r = client_stream(cl,
		&(struct stream_request){ .method = "GET", .path = full->str, .body_fd = -1 }, &s,
		e);
	if (r < 0)
		return r;
	if (strcmp(to, "-") == 0)
		return pump_out(s, STDOUT_FILENO, e);
	if (there) {
		parent = g_strdup(to);
		as = g_strdup(base);
	} else {
		g_autofree char *clean = g_canonicalize_filename(to, NULL);

		parent = g_path_get_dirname(clean);
		as = g_path_get_basename(clean);
		contents = false;
	}
	return unpack(s, a, parent, as, base, contents && is_dir, e);
}

/* --- into a container ------------------------------------------------------------------------------------------------------ */

static int put_archive(struct client *cl, const struct cp_args *a, const char *name,
	const char *folder, int fd, struct err *e)
{
	g_autofree char *head = client_path("/containers/%s/archive", name);
	g_autoptr(GString) full = g_string_new(head);
	_cleanup_(stream_freep) struct stream *s = NULL;
	int r;

	cli_query(full, "path", folder);
	cli_query(full, "noOverwriteDirNonDir", "true");
	if (a->archive)
		cli_query(full, "copyUIDGID", "true");
	r = client_stream(cl,
		&(struct stream_request){ .method = "PUT",
			.path = full->str,
			.body_fd = fd,
			.body_type = "application/x-tar" },
		&s, e);
	return r < 0 ? r : stream_answer(s, NULL, e);
}

static int send_tree(struct client *cl, const struct cp_args *a, const char *from, const char *as,
	const char *name, const char *folder, struct err *e)
{
	g_autofree char *clean = g_canonicalize_filename(from, NULL),
			*parent = g_path_get_dirname(clean);
	g_autofree char *base = g_path_get_basename(clean);
	int pipes[2], r = RET_NERRNO(pipe2(pipes, O_CLOEXEC));
	pid_t child;

	if (r < 0)
		return err_sys(e, r, "cannot make a pipe");
	child = RET_NERRNO(fork());
	if (child == 0) {
		struct err why = { 0 };
		int dir = RET_NERRNO(open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC));

		(void)close(pipes[0]);
		if (tar_tree_write(dir, base, as, 0, pipes[1], &why) < 0) {
			(void)fprintf(stderr, "%s\n", why.text);
			_exit(1);
		}
		_exit(0);
	}
	(void)close(pipes[1]);
	r = child < 0 ? err_sys(e, child, "cannot start a process")
		      : put_archive(cl, a, name, folder, pipes[0], e);
	(void)close(pipes[0]);
	if (child > 0 && end_of(child) < 0 && r >= 0)
		r = err_set(e, -EIO, "cannot read all of '%s'", from);
	return r;
}

static int into(struct client *cl, const struct cp_args *a, const char *from, const char *name,
	const char *path, struct err *e)
{
	g_autofree char *target = *path == '/' ? g_strdup(path) : g_strdup_printf("/%s", path),
			*parent = NULL, *as = NULL;
	g_autofree char *clean = NULL, *base = NULL;
	json_t *st = NULL;
	struct stat here;
	bool is_dir;
	int r = 0;

	if (strcmp(from, "-") != 0 && (a->follow_link ? stat(from, &here) : lstat(from, &here)) < 0)
		return err_set(e, -E_NOTFOUND, "lstat %s: no such file or directory", from);
	is_dir = stat_inside(cl, name, target, &st, e) >= 0 &&
		 (cli_number(st, "mode") & (GO_DIR | GO_SYMLINK));
	json_decref(st);
	if (!is_dir && client_status(cl) != 404 && client_status(cl) >= 400)
		return -EIO;
	if (strcmp(from, "-") == 0)
		return is_dir ? put_archive(cl, a, name, target, STDIN_FILENO, e)
			      : err_set(e, -E_INVALID, "destination \"%s:%s\" must be a directory",
					name, path);
	clean = a->follow_link ? realpath(from, NULL) : g_canonicalize_filename(from, NULL);
	base = g_path_get_basename(clean);
	if (is_dir) {
		parent = g_strdup(target);
		as = g_str_has_suffix(from, "/.") || strcmp(from, ".") == 0 ? g_strdup(".")
									    : g_strdup(base);
	} else if (g_str_has_suffix(target, "/") && !S_ISDIR(here.st_mode)) {
		return err_set(e, -E_NOTFOUND,
			"Error response from daemon: Could not find the file %s in container %s",
			target, name);
	} else {
		g_autofree char *canon = g_canonicalize_filename(target, "/");

		parent = g_path_get_dirname(canon);
		as = g_path_get_basename(canon);
	}
	*e = (struct err){ 0 };
	r = send_tree(cl, a, clean, as, name, parent, e);
	return r;
}

static int cp_run(struct cmd_call *call, struct err *e)
{
	const struct cp_args *a = call->args;
	const char *from = call->operands[0], *to = call->operands[1], *from_path = NULL,
		   *to_path = NULL;
	g_autofree char *from_name = NULL, *to_name = NULL;
	bool inside_from = split_container(from, &from_name, &from_path),
	     inside_to = split_container(to, &to_name, &to_path);
	struct client *cl;
	int r = cli_client(call, &cl, e);

	if (!*from)
		return err_set(e, -E_INVALID, "source can not be empty");
	if (!*to)
		return err_set(e, -E_INVALID, "destination can not be empty");
	if (inside_from && inside_to)
		return err_set(e, -E_INVALID, "copying between containers is not supported");
	if (!inside_from && !inside_to)
		return err_set(e, -E_INVALID, "must specify at least one container source");
	if (r >= 0)
		r = inside_from ? out_of(cl, a, from_name, from_path, to, e)
				: into(cl, a, from, to_name, to_path, e);
	if (r < 0)
		return r;
	if (!a->quiet && cli_is_terminal(STDOUT_FILENO) && strcmp(to, "-") != 0)
		(void)fprintf(stderr, "Successfully copied to %s\n", to);
	return 0;
}

/* clang-format off */
static const struct opt cp_opts[] = {
	OPT_FLAG('a', "archive", struct cp_args, archive, "Archive mode (copy all uid/gid information)"),
	OPT_FLAG('L', "follow-link", struct cp_args, follow_link, "Always follow symbol link in SRC_PATH"),
	OPT_FLAG('q', "quiet", struct cp_args, quiet, "Suppress progress output during copy. Progress output is automatically suppressed if no terminal is attached"),
	OPT_END
};
/* clang-format on */
const struct cmd docker_cp_cmd = {
	CMD_FILE,
	.name = "cp",
	.run = cp_run,
	.opts = cp_opts,
	.args_size = sizeof(struct cp_args),
	.brief = "Copy files/folders between a container and the local filesystem",
	.synopsis = "[OPTIONS] CONTAINER:SRC_PATH DEST_PATH|-\n\tdocker cp [OPTIONS] SRC_PATH|- "
		    "CONTAINER:DEST_PATH",
	.min_operands = 2,
	.max_operands = 2,
	.details = COPY_TEXT,
};
