/* SPDX-License-Identifier: MIT */
/* Containers: create, start, stop and the like, one call each. */

#include "dialect/docker/container.h"

#include <string.h>
#include "dialect/docker/create.h"
#include "guest/signals.h"
#include "image/image.h"
#include "image/pull.h"

/* --- which one ------------------------------------------------------------------------------------------- */

void container_failed(struct call *c, const char *ref, int code, struct err *e)
{
	if (code == -E_NOTFOUND)
		api_error(c, 404, "No such container: %s", ref);
	else
		api_failed(c, code, e);
}

struct guest *container_of(struct call *c)
{
	struct guest *g = NULL;
	struct err e = { 0 };
	const char *ref = c->args[0] ?: "";
	int r;

	/* docker shows names with a slash before them, and takes them so */
	r = guest_get(api_ctx(c), DOCKER_REALM, *ref == '/' ? ref + 1 : ref, &g, &e);
	if (r < 0)
		container_failed(c, ref, r, &e);
	return g;
}

/* Whether a code of a call that nothing was to be done for: then 304. */
static void answer(struct call *c, const struct guest *g, int r, struct err *e, int good)
{
	if (r < 0)
		container_failed(c, g->rec->name, r, e);
	else
		api_none(c, good);
}

/* --- create ------------------------------------------------------------------------------------------------ */

static json_t *texts(const GPtrArray *list)
{
	json_t *a = json_array();

	for (guint i = 0; i < list->len; i++)
		json_array_append_new(a, json_string(list->pdata[i]));
	return a;
}

/* The image's full name as it is here: docker.io's short names, ids and digests are found as docker does. */
static int find_image(struct ctx *c, const char *image, struct err *e)
{
	struct image_record *i = NULL;
	int r = image_resolve(c, image, &i, e);

	image_record_free(i);
	if (r == -E_NOTFOUND)
		return err_set(e, -E_NOTFOUND, "No such image: %s%s", image,
			strchr(strrchr(image, '/') ?: image, ':') || strchr(image, '@')
				? ""
				: ":latest");
	return r;
}

static int make(struct call *c, json_t *body, const char *name, struct create *k,
	struct guest **ret, struct err *e)
{
	g_autoptr(GPtrArray) notes = g_ptr_array_new_with_free_func(g_free);
	struct guest_request q = {
		.realm = DOCKER_REALM, .name = name && *name ? name : NULL, .notes = notes
	};
	g_autofree char *doc = NULL;
	char *text;
	int r;

	r = create_read(api_ctx(c), body, k, e);
	if (r >= 0 && (!k->config.image || !*k->config.image))
		r = err_set(e, -E_INVALID, "no image was named: Config.Image is empty");
	if (r >= 0)
		r = find_image(api_ctx(c), k->config.image, e);
	if (r < 0)
		return r;
	text = json_dumps(k->doc, JSON_COMPACT);
	doc = g_strdup(text);
	free(text);
	q.doc = doc;
	q.image = k->config.image;
	q.spec = k->spec;
	q.argv = k->argv;
	q.entrypoint = k->entrypoint;
	q.publish_all = k->host.publish_all;
	r = guest_create(api_ctx(c), &q, ret, e);
	/* taken over, whether it worked or not */
	k->spec = q.spec;
	for (guint i = 0; i < notes->len; i++)
		g_ptr_array_add(k->warnings, g_strdup(notes->pdata[i]));
	return r;
}

static void name_in_use(struct call *c, const char *name)
{
	struct guest *g = NULL;

	(void)guest_get(api_ctx(c), DOCKER_REALM, name, &g, NULL);
	api_error(c, 409,
		"Conflict. The container name \"/%s\" is already in use by container \"%s\". You "
		"have to remove (or rename) that container to be able to reuse that name.",
		name, g ? g->rec->id : "");
	guest_free(g);
}

void container_create(struct call *c)
{
	g_autofree char *name = call_query(c, "name");
	const char *bare = name && *name == '/' ? name + 1 : name;
	struct create k = { 0 };
	struct guest *g = NULL;
	struct err e = { 0 };
	json_t *body;
	int r;

	if (api_json_body(c, &body) < 0)
		return;
	if (!body) {
		api_error(c, 400, "invalid JSON: got EOF while reading request body");
		return;
	}
	r = make(c, body, bare, &k, &g, &e);
	if (r >= 0)
		api_json(c, 201,
			json_pack("{s:s, s:o}", "Id", g->rec->id, "Warnings", texts(k.warnings)));
	else if (r == -E_EXISTS && bare)
		name_in_use(c, bare);
	else
		api_failed(c, r, &e);
	guest_free(g);
	create_clear(&k);
	json_decref(body);
}

/* --- one call, one change ------------------------------------------------------------------------------------ */

void container_get(struct call *c)
{
	_cleanup_(guest_freep) struct guest *g = container_of(c);

	if (g)
		api_json(c, 200,
			container_inspect(api_ctx(c), g, api_minor(c), api_flag(c, "size", false)));
}

void container_start(struct call *c)
{
	_cleanup_(guest_freep) struct guest *g = container_of(c);
	struct err e = { 0 };
	int r;

	if (!g)
		return;
	r = guest_start(api_ctx(c), g, &e);
	/* nothing of a run that failed is left, and whoever waits for its removal is told */
	if (r < 0 && g->rec->auto_remove && !guest_is_up(g))
		(void)guest_remove(api_ctx(c), g, true, true, NULL);
	answer(c, g, r, &e, r == 1 ? 304 : 204);
}

void container_kill(struct call *c)
{
	_cleanup_(guest_freep) struct guest *g = container_of(c);
	g_autofree char *word = call_query(c, "signal");
	struct err e = { 0 };
	int sig = SIGKILL, r;

	if (!g)
		return;
	if (word && *word && signal_parse(word, &sig) < 0) {
		api_error(c, 400, "invalid signal: %s", word);
		return;
	}
	if (!guest_is_up(g)) {
		api_error(c, 409, "cannot kill container: %s: container %s is not running",
			c->args[0], g->rec->id);
		return;
	}
	r = guest_kill(api_ctx(c), g, sig, &e);
	answer(c, g, r, &e, 204);
}

/* What of an update is asked for replaces what was; 0 and "" ask for nothing. */
static json_t *merge(const json_t *was, json_t *asked)
{
	static const char *const keys[] = { "CpuShares", "Memory", "BlkioWeight",
		"BlkioDeviceReadBps", "BlkioDeviceWriteBps", "BlkioDeviceReadIOps",
		"BlkioDeviceWriteIOps", "CpuPeriod", "CpuQuota", "CpuRealtimePeriod",
		"CpuRealtimeRuntime", "CpusetCpus", "CpusetMems", "MemoryReservation", "MemorySwap",
		"MemorySwappiness", "NanoCpus", "OomKillDisable", "PidsLimit", "RestartPolicy",
		NULL };
	json_t *all = json_is_object(was) ? json_deep_copy(was) : json_object(), *v;
	const char *key;

	json_object_foreach(asked, key, v) {
		const char *text = json_string_value(v);
		bool nothing = json_is_null(v) ||
			       (json_is_integer(v) && json_integer_value(v) == 0) ||
			       (text && !*text) || (json_is_array(v) && json_array_size(v) == 0) ||
			       (g_str_equal(key, "RestartPolicy") &&
				       !*(json_string_value(json_object_get(v, "Name")) ?: ""));

		if (!nothing && g_strv_contains(keys, key))
			json_object_set(all, key, v);
	}
	return all;
}

static int update(struct call *c, struct guest *g, json_t *asked, struct err *e)
{
	json_t *doc = container_doc(g), *host = merge(json_object_get(doc, "HostConfig"), asked);
	struct create_host h;
	char *text;
	int r;

	r = json_struct_decode(&create_host_struct, host, JSON_IGNORE_UNKNOWN, &h, e);
	g_ptr_array_set_size(g->spec->limits.io, 0);
	if (r >= 0)
		r = create_limits(&h, g->spec, e);
	if (r >= 0)
		r = create_restart(&h, g->spec, e);
	if (r >= 0 && g->rec->auto_remove && g->spec->restart != RESTART_NO)
		r = err_set(e, -E_INVALID,
			"Restart policy cannot be updated because AutoRemove is enabled for the "
			"container");
	json_object_set_new(doc, "HostConfig", host);
	text = json_dumps(doc, JSON_COMPACT);
	if (r >= 0)
		r = guest_update(api_ctx(c), g, text, e);
	free(text);
	json_struct_clear(&create_host_struct, &h);
	json_decref(doc);
	return r;
}

void container_update(struct call *c)
{
	_cleanup_(guest_freep) struct guest *g = container_of(c);
	struct err e = { 0 };
	json_t *body;
	int r;

	if (!g || api_json_body(c, &body) < 0)
		return;
	r = update(c, g, body, &e);
	json_decref(body);
	if (r < 0)
		container_failed(c, g->rec->name, r, &e);
	else
		api_json(c, 200, json_pack("{s:[]}", "Warnings"));
}

void container_rename(struct call *c)
{
	_cleanup_(guest_freep) struct guest *g = container_of(c);
	g_autofree char *name = call_query(c, "name");
	const char *bare = name && *name == '/' ? name + 1 : name;
	struct err e = { 0 };
	int r;

	if (!g)
		return;
	if (!bare || !*bare) {
		api_error(c, 400, "Neither old nor new names may be empty");
		return;
	}
	r = guest_rename(api_ctx(c), g, bare, &e);
	if (r == -E_EXISTS)
		name_in_use(c, bare);
	else
		answer(c, g, r, &e, 204);
}

void container_pause(struct call *c)
{
	_cleanup_(guest_freep) struct guest *g = container_of(c);
	struct err e = { 0 };

	if (!g)
		return;
	if (g->state == GUEST_PAUSED)
		api_error(c, 409, "Container %s is already paused", g->rec->id);
	else if (!guest_is_up(g))
		api_error(c, 409, "Container %s is not running", g->rec->id);
	else
		answer(c, g, guest_pause(api_ctx(c), g, &e), &e, 204);
}

void container_unpause(struct call *c)
{
	_cleanup_(guest_freep) struct guest *g = container_of(c);
	struct err e = { 0 };

	if (!g)
		return;
	if (g->state != GUEST_PAUSED)
		api_error(c, 409, "Container %s is not paused", g->rec->id);
	else
		answer(c, g, guest_unpause(api_ctx(c), g, &e), &e, 204);
}

void container_delete(struct call *c)
{
	_cleanup_(guest_freep) struct guest *g = container_of(c);
	bool force = api_flag(c, "force", false);
	struct err e = { 0 };

	if (!g)
		return;
	if (api_flag(c, "link", false))
		api_error(c, 501, "links are not supported");
	else if (guest_is_up(g) && !force)
		api_error(c, 409,
			"cannot remove container \"%s\": container is %s: stop the container "
			"before removing or force remove",
			g->rec->name, guest_state_name(g->state));
	else
		answer(c, g, guest_remove(api_ctx(c), g, force, api_flag(c, "v", false), &e), &e,
			204);
}

void container_resize(struct call *c)
{
	_cleanup_(guest_freep) struct guest *g = container_of(c);
	struct err e = { 0 };
	int64_t h, w;

	if (!g || api_number(c, "h", 0, &h) < 0 || api_number(c, "w", 0, &w) < 0)
		return;
	answer(c, g, guest_resize(api_ctx(c), g, (unsigned)h, (unsigned)w, &e), &e, 200);
}

void container_changes(struct call *c)
{
	_cleanup_(guest_freep) struct guest *g = container_of(c);
	struct err e = { 0 };
	json_t *j = NULL;
	int r;

	if (!g)
		return;
	r = guest_diff(api_ctx(c), g, &j, &e);
	if (r < 0)
		container_failed(c, g->rec->name, r, &e);
	else
		api_json(c, 200, json_array_size(j) ? j : (json_decref(j), json_null()));
}

void container_top(struct call *c)
{
	_cleanup_(guest_freep) struct guest *g = container_of(c);
	g_autofree char *args = call_query(c, "ps_args");
	g_auto(GStrv) words = NULL;
	struct err e = { 0 };
	json_t *j = NULL;
	int r;

	if (!g)
		return;
	if (!guest_is_up(g)) {
		api_error(c, 409, "container %s is not running", g->rec->id);
		return;
	}
	if (args && *args)
		(void)g_shell_parse_argv(args, NULL, &words, NULL);
	r = guest_top(api_ctx(c), g, words, &j, &e);
	if (r < 0)
		container_failed(c, g->rec->name, r, &e);
	else
		api_json(c, 200, j);
}

/* --- stop, restart: may take their time ------------------------------------------------------------------------ */

/* "t" and "signal" of the query. false: the answer is given. */
static bool stop_query(struct call *c, int *ret_sig, int *ret_timeout)
{
	g_autofree char *word = call_query(c, "signal");
	int64_t t;

	*ret_sig = 0;
	if (api_number(c, "t", -2, &t) < 0)
		return false;
	/* -1 waits for ever; not given: the container's own */
	*ret_timeout = t == -2 ? -1 : t < 0 ? INT_MAX : (int)MIN(t, INT_MAX);
	if (word && *word && signal_parse(word, ret_sig) < 0) {
		api_error(c, 400, "invalid signal: %s", word);
		return false;
	}
	return true;
}

void container_stop(struct call *c, struct link *l)
{
	_cleanup_(guest_freep) struct guest *g = container_of(c);
	struct err e = { 0 };
	int sig, timeout;

	if (!g || !stop_query(c, &sig, &timeout))
		return;
	if (!guest_is_up(g))
		api_none(c, 304);
	else
		answer(c, g, guest_stop(api_ctx(c), g, sig, timeout, &e), &e, 204);
}

void container_restart(struct call *c, struct link *l)
{
	_cleanup_(guest_freep) struct guest *g = container_of(c);
	struct err e = { 0 };
	int sig, timeout;

	if (g && stop_query(c, &sig, &timeout))
		answer(c, g, guest_restart(api_ctx(c), g, sig, timeout, &e), &e, 204);
}
