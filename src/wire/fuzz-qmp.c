/* SPDX-License-Identifier: MIT */
/* What QEMU writes, in pieces of any size; and each line once more as a command. */
#include <string.h>

#include "wire/qmp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look(const struct qmp_line *l)
{
	char name[QMP_NAME_MAX], *text;
	struct qmp_line again;
	ssize_t n;

	if ((l->kind == QMP_EVENT) != (*l->event != '\0'))
		abort();
	if (qmp_classify(l->text, l->size, &again) < 0 || again.kind != l->kind)
		abort();
	if (qmp_check_command(l->text, l->size, name) < 0)
		return;
	text = malloc(l->size + QMP_ID_ROOM);
	if (!text)
		return;
	/* a command with our id is still one object, and the id is ours */
	n = qmp_put_command(text, l->size + QMP_ID_ROOM, l->text, l->size, UINT32_MAX);
	if (n < 0 || qmp_classify(text, (size_t)n, &again) < 0 || !again.has_id ||
		again.id != UINT32_MAX)
		abort();
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct qmp_reader r = {};
	size_t piece = size ? data[0] % 61 + 1 : 1;

	while (size > 0) {
		struct qmp_line l;
		size_t room;
		char *to;
		int code;

		if (qmp_room(&r, &to, &room) < 0)
			break;
		room = room < size ? room : size;
		room = room < piece ? room : piece;
		memcpy(to, data, room);
		qmp_filled(&r, room);
		data += room;
		size -= room;
		while ((code = qmp_next(&r, &l)) == 1)
			look(&l);
		if (code < 0)
			break;
	}
	qmp_reader_done(&r);
	return 0;
}
