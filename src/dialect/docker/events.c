/* SPDX-License-Identifier: MIT */
/* GET /events: what happened and happens, in docker's words. */

#include <string.h>
#include "base/units.h"
#include "dialect/docker/match.h"
#include "dialect/docker/system.h"
#include "guest/guest.h"
#include "image/ref.h"

#define NS INT64_C(1000000000)

struct watch {
	struct call *c;
	struct link *l;
	json_t *filters;
	bool gone;
};

/* --- from our words to docker's ------------------------------------------------------------------------------------ */

static const char *text_in(const json_t *j, const char *key)
{
	return json_string_value(json_object_get(j, key)) ?: "";
}

/* Of images that come and go a name is the actor, and the name without its tag the attribute. */
static char *image_actor(const char *action, const char *id, json_t *attributes)
{
	const char *name = text_in(attributes, "name");
	g_autofree char *whole = NULL, *repo = NULL;
	struct ref r;

	if (!g_str_equal(action, "pull") && !g_str_equal(action, "push"))
		return g_strdup(id);
	whole = g_strdup(name);
	if (ref_parse(whole, REF_NO_DEFAULT, &r, NULL) >= 0) {
		repo = ref_familiar_name(&r);
		ref_clear(&r);
		json_object_set_new(attributes, "name", json_string(repo));
	}
	return g_steal_pointer(&whole);
}

/* docker's document of one of ours; NULL: of what docker has no events for. */
static json_t *event_json(const json_t *event)
{
	const char *type = text_in(event, "type"), *action = text_in(event, "action");
	int64_t time = json_integer_value(json_object_get(event, "time"));
	json_t *attributes = json_deep_copy(json_object_get(event, "attributes"));
	g_autofree char *actor = NULL;
	json_t *j;

	if (!json_is_object(attributes)) {
		json_decref(attributes);
		attributes = json_object();
	}
	if (g_str_equal(type, "guest")) {
		type = "container";
		json_object_del(attributes, "realm");
	} else if (!g_str_equal(type, "image") && !g_str_equal(type, "volume") &&
		   !g_str_equal(type, "network")) {
		json_decref(attributes);
		return NULL;
	}
	actor = g_str_equal(type, "image") ? image_actor(action, text_in(event, "id"), attributes)
					   : g_strdup(text_in(event, "id"));
	j = json_object();
	/* what there was before 1.22 is still there, for containers and images */
	if (g_str_equal(type, "container") || g_str_equal(type, "image")) {
		json_object_set_new(j, "status", json_string(action));
		json_object_set_new(j, "id", json_string(actor));
		if (g_str_equal(type, "container"))
			json_object_set_new(j, "from", json_string(text_in(attributes, "image")));
	}
	json_object_set_new(j, "Type", json_string(type));
	json_object_set_new(j, "Action", json_string(action));
	json_object_set_new(
		j, "Actor", json_pack("{s:s, s:o}", "ID", actor, "Attributes", attributes));
	json_object_set_new(j, "scope", json_string("local"));
	json_object_set_new(j, "time", json_integer(time / NS));
	json_object_set_new(j, "timeNano", json_integer(time));
	return j;
}

/* --- filters ------------------------------------------------------------------------------------------------------------ */

/* A filter with the name of a type: the actor's id, its beginning, or its name. */
static bool match_actor(const json_t *filters, const char *type, const json_t *j)
{
	const json_t *actor = json_object_get(j, "Actor");
	const char *id = text_in(actor, "ID");
	const char *name = text_in(json_object_get(actor, "Attributes"), "name");
	json_t *list = json_object_get(filters, type), *v;
	size_t i;

	if (!list)
		return true;
	if (!g_str_equal(text_in(j, "Type"), type))
		return false;
	json_array_foreach(list, i, v) {
		const char *s = json_string_value(v);

		if (g_str_equal(s, id) || g_str_equal(s, name) || (*s && g_str_has_prefix(id, s)))
			return true;
	}
	return false;
}

/* "image" is the image of a container, too, with or without its tag. */
static bool match_image(const json_t *filters, const json_t *j)
{
	const json_t *attributes = json_object_get(json_object_get(j, "Actor"), "Attributes");
	const char *image = g_str_equal(text_in(j, "Type"), "image") ? text_in(attributes, "name")
								     : text_in(attributes, "image");
	g_autofree char *bare = NULL;
	const char *colon = strrchr(image, ':');

	if (!json_object_get(filters, "image") || match_actor(filters, "image", j))
		return true;
	bare = colon && !strchr(colon, '/') ? g_strndup(image, (gsize)(colon - image))
					    : g_strdup(image);
	return *image &&
	       (api_filter_has(filters, "image", image) || api_filter_has(filters, "image", bare));
}

/* The types that the filters "container", "volume" ... name must be one of them, so they are asked one by one. */
static bool listed(const struct watch *w, const json_t *j)
{
	const char *action = text_in(j, "Action");
	g_autofree char *bare = g_strndup(action, strcspn(action, ":"));
	const json_t *attributes = json_object_get(json_object_get(j, "Actor"), "Attributes");

	return (api_filter_has(w->filters, "event", action) ||
		       api_filter_has(w->filters, "event", bare)) &&
	       api_filter_has(w->filters, "type", text_in(j, "Type")) &&
	       api_filter_has(w->filters, "scope", "local") &&
	       match_actor(w->filters, "container", j) && match_actor(w->filters, "volume", j) &&
	       match_actor(w->filters, "network", j) && match_image(w->filters, j) &&
	       match_labels(w->filters, "label", attributes);
}

/* --- the stream ---------------------------------------------------------------------------------------------------------- */

static int tell(const json_t *event, void *data)
{
	struct watch *w = data;
	json_t *j = event_json(event);
	g_autofree char *line = NULL;
	char *text;

	if (!j)
		return 0;
	if (!listed(w, j)) {
		json_decref(j);
		return 0;
	}
	text = json_dumps(j, JSON_COMPACT);
	json_decref(j);
	line = g_strconcat(text ?: "{}", "\n", NULL);
	free(text);
	return link_send(w->l, line, strlen(line)) < 0;
}

/* A moment of the query; 0: not given. */
static int moment(struct call *c, const char *key, int64_t now, int64_t *ret)
{
	g_autofree char *v = call_query(c, key);

	*ret = 0;
	if (!v || !*v || g_str_equal(v, "0") || units_parse_moment(v, now, ret) >= 0)
		return 0;
	api_error(c, 400, "invalid value for '%s': '%s' is no time", key, v);
	return -E_INVALID;
}

void system_events(struct call *c, struct link *l)
{
	static const char *const known[] = { "config", "container", "daemon", "event", "image",
		"label", "network", "node", "plugin", "scope", "secret", "service", "type",
		"volume", NULL };
	struct watch w = { .c = c, .l = l };
	int64_t now = g_get_real_time() * 1000, since, until;
	int r;

	if (moment(c, "since", now, &since) < 0 || moment(c, "until", now, &until) < 0)
		return;
	if (since && until && since > until) {
		api_error(c, 400, "`since` time (%lld) cannot be after `until` time (%lld)",
			(long long)(since / NS), (long long)(until / NS));
		return;
	}
	if (api_filters(c, known, &w.filters) < 0)
		return;
	c->reply.status = 200;
	reply_header(&c->reply, "Content-Type", "application/json");
	r = link_begin(c, l);
	if (r >= 0) {
		link_follow(l);
		/* what is past is only told to who asks for it */
		(void)event_read(api_ctx(c), since ? since : now, until, !until || until > now,
			tell, &w, NULL);
	}
	json_decref(w.filters);
}
