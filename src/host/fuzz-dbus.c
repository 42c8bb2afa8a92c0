/* SPDX-License-Identifier: MIT */
/* What systemd says, and properties from a bundle's annotations. */
#include "host/dbus.h"

#include <stdlib.h>
#include <string.h>

#include "host/systemd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct dbus_out o;
	struct dbus_message m;
	char slice[SYSTEMD_TEXT_MAX], *s;

	if (size > DBUS_MESSAGE_MAX)
		return 0;
	s = malloc(size + 1);
	if (!s)
		abort();
	memcpy(s, data, size);
	s[size] = '\0';
	if (dbus_parse((const uint8_t *)s, size, &m) > 0)
		for (unsigned i = 0; i < 5; i++)
			(void)dbus_text(&m, i);
	dbus_begin(&o, 1, "/", "a.b", "c", "a(sv)");
	(void)dbus_put_property(&o, s, 1);
	dbus_end(&o);
	(void)systemd_slice_path(s, slice, sizeof(slice));
	free(s);
	return 0;
}
