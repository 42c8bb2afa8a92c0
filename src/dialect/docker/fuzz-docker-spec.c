/* SPDX-License-Identifier: MIT */
/* Values of docker's options that are little languages, as a command line may have them. */

#include <stdint.h>
#include <string.h>
#include "dialect/docker/cli-run.h"

#define INPUT_MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int (*const readers[])(const char *text, json_t **ret, struct err *e) = { cli_ulimit,
		cli_mount, cli_gpus, cli_device, cli_restart_policy };
	static const char *const types[] = { "int", "uint16", "bytes", "duration", "decimal",
		"filter" };
	g_autofree char *text = NULL, *name = NULL, *moment = NULL;
	g_autoptr(GByteArray) keys = NULL;
	json_t *exposed = json_object(), *bindings = json_object(), *binds = json_array(),
	       *endpoint = NULL;
	struct err e = { 0 };

	text = g_strndup((const char *)data, MIN(size, INPUT_MAX));
	for (size_t i = 0; i < G_N_ELEMENTS(readers); i++) {
		json_t *j = NULL;

		(void)readers[i](text, &j, &e);
		json_decref(j);
	}
	for (size_t i = 0; i < G_N_ELEMENTS(types); i++)
		(void)cli_check_value(&(struct opt){ .name = "x", .metavar = types[i] }, text, &e);
	/* a range may be of all ports: its length is bounded, its time needn't be tried */
	if (!strchr(text, '-'))
		(void)cli_publish(text, exposed, bindings, &e);
	(void)cli_volume(text, binds, exposed, &e);
	(void)cli_network(text, &endpoint, &name, &e);
	(void)cli_moment(text, &moment, &e);
	(void)cli_detach_keys(text, &keys, &e);
	json_decref(endpoint);
	json_decref(exposed);
	json_decref(bindings);
	json_decref(binds);
	return 0;
}
