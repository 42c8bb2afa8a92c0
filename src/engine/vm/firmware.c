/* SPDX-License-Identifier: MIT */
#include "engine/vm/firmware.h"

#include <glib.h>
#include <string.h>
#include <unistd.h>

#define DESCRIPTOR_MAX (256 * 1024) /* bytes */

static const char *const default_folders[] = VM_FIRMWARE_FOLDERS;

/* Where there are no descriptors. */
static const char *const known[][2] = {
	{ "/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd" },
	{ "/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd" },
	{ "/usr/share/edk2/x64/OVMF_CODE.4m.fd", "/usr/share/edk2/x64/OVMF_VARS.4m.fd" },
};

static bool has_word(const json_t *list, const char *word)
{
	const json_t *v;
	size_t i;

	json_array_foreach(list, i, v)
		if (json_is_string(v) && strcmp(json_string_value(v), word) == 0)
			return true;
	return false;
}

/* "pc-q35-*", for the type "q35". */
static bool has_machine(const json_t *target, const char *machine)
{
	g_autofree char *name =
		g_strdup_printf("pc-%s-7.2", strcmp(machine, "pc") == 0 ? "i440fx" : machine);
	const json_t *v;
	size_t i;

	json_array_foreach(json_object_get(target, "machines"), i, v)
		if (json_is_string(v) && g_pattern_match_simple(json_string_value(v), name))
			return true;
	return false;
}

static const char *raw_file(const json_t *j)
{
	const char *format = json_string_value(json_object_get(j, "format"));
	const char *name = json_string_value(json_object_get(j, "filename"));

	return format && strcmp(format, "raw") == 0 && name && name[0] == '/' ? name : NULL;
}

bool vm_firmware_suits(
	const json_t *j, const char *machine, const char **ret_code, const char **ret_vars)
{
	const json_t *mapping = json_object_get(j, "mapping"), *target;
	const json_t *features = json_object_get(j, "features");
	const char *device = json_string_value(json_object_get(mapping, "device"));
	const char *mode = json_string_value(json_object_get(mapping, "mode"));
	const char *code = raw_file(json_object_get(mapping, "executable"));
	const char *vars = raw_file(json_object_get(mapping, "nvram-template"));
	size_t i;

	if (!has_word(json_object_get(j, "interface-types"), "uefi") || !device ||
		strcmp(device, "flash") != 0 || (mode && strcmp(mode, "split") != 0) || !code ||
		!vars)
		return false;
	/* signed programs only, or a board that we don't ask for */
	if (has_word(features, "enrolled-keys") || has_word(features, "requires-smm"))
		return false;
	json_array_foreach(json_object_get(j, "targets"), i, target) {
		const char *arch = json_string_value(json_object_get(target, "architecture"));

		if (!arch || strcmp(arch, "x86_64") != 0 || !has_machine(target, machine))
			continue;
		*ret_code = code;
		*ret_vars = vars;
		return true;
	}
	return false;
}

static gint by_name(gconstpointer a, gconstpointer b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names of all descriptors, once each, sorted. */
static GPtrArray *names_in(const char *const *folders)
{
	g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);
	GPtrArray *names = g_ptr_array_new_with_free_func(g_free);

	for (; *folders; folders++) {
		g_autoptr(GDir) dir = g_dir_open(*folders, 0, NULL);
		const char *name;

		while (dir && (name = g_dir_read_name(dir)) != NULL) {
			char *copy;

			if (!g_str_has_suffix(name, ".json") || g_hash_table_contains(seen, name))
				continue;
			copy = g_strdup(name);
			g_hash_table_add(seen, copy);
			g_ptr_array_add(names, copy);
		}
	}
	g_ptr_array_sort(names, by_name);
	return names;
}

/* The descriptor of that name. NULL: none that can be read; an empty file takes one away. */
static json_t *load(const char *const *folders, const char *name)
{
	for (; *folders; folders++) {
		g_autofree char *path = g_build_filename(*folders, name, NULL), *text = NULL;
		gsize n;

		if (access(path, F_OK) < 0)
			continue;
		if (!g_file_get_contents(path, &text, &n, NULL) || n > DESCRIPTOR_MAX)
			return NULL;
		return json_loadb(text, n, 0, NULL);
	}
	return NULL;
}

/* code NULL: any. */
static bool find_in(const char *const *folders, const char *machine, const char *wanted,
	char **ret_code, char **ret_vars)
{
	g_autoptr(GPtrArray) names = names_in(folders);
	bool found = false;

	for (guint i = 0; i < names->len && !found; i++) {
		json_t *j = load(folders, names->pdata[i]);
		const char *code, *vars;

		found = j && vm_firmware_suits(j, machine, &code, &vars) &&
			(!wanted || strcmp(wanted, code) == 0) && access(code, R_OK) == 0 &&
			access(vars, R_OK) == 0;
		if (found) {
			*ret_code = g_strdup(code);
			*ret_vars = g_strdup(vars);
		}
		json_decref(j);
	}
	return found;
}

int vm_firmware_find(const char *const *folders, const char *machine, char **ret_code,
	char **ret_vars, struct err *e)
{
	if (find_in(folders ?: default_folders, machine, NULL, ret_code, ret_vars))
		return 0;
	for (size_t i = 0; !folders && i < G_N_ELEMENTS(known); i++) {
		if (access(known[i][0], R_OK) < 0 || access(known[i][1], R_OK) < 0)
			continue;
		*ret_code = g_strdup(known[i][0]);
		*ret_vars = g_strdup(known[i][1]);
		return 0;
	}
	err_set(e, -E_UNSUPPORTED, "there is no UEFI firmware for the machine type '%s' here",
		machine);
	err_mend(e, "install ovmf, or use --firmware bios");
	return -E_UNSUPPORTED;
}

int vm_firmware_vars(const char *code, char **ret, struct err *e)
{
	static const char *const machines[] = { "q35", "pc" };
	g_autofree char *same = NULL;

	for (size_t i = 0; i < G_N_ELEMENTS(machines); i++)
		if (find_in(default_folders, machines[i], code, &same, ret))
			return 0;
	for (size_t i = 0; i < G_N_ELEMENTS(known); i++)
		if (strcmp(known[i][0], code) == 0 && access(known[i][1], R_OK) == 0) {
			*ret = g_strdup(known[i][1]);
			return 0;
		}
	return err_set(
		e, -E_UNSUPPORTED, "there are no empty variables for the firmware '%s'", code);
}
