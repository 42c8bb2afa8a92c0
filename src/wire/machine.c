/* SPDX-License-Identifier: MIT */
#include "wire/machine.h"

#include <string.h>

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)get16(p) | (uint32_t)get16(p + 2) << 16;
}

void machine_put_u32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}

bool machine_u32(const struct machine_frame *f, size_t at, uint32_t *ret)
{
	if (at > f->size || f->size - at < 4)
		return false;
	*ret = get32(f->data + at);
	return true;
}

void machine_header(
	uint8_t *p, enum machine_type type, unsigned flags, uint32_t session, size_t size)
{
	p[0] = (uint8_t)size;
	p[1] = (uint8_t)(size >> 8);
	p[2] = (uint8_t)type;
	p[3] = (uint8_t)flags;
	machine_put_u32(p + 4, session);
}

uint8_t *machine_room(struct machine_reader *r, size_t *ret_n)
{
	if (r->taken > 0) {
		memmove(r->buf, r->buf + r->taken, r->used - r->taken);
		r->used -= r->taken;
		r->taken = 0;
	}
	*ret_n = sizeof(r->buf) - r->used;
	return r->buf + r->used;
}

void machine_filled(struct machine_reader *r, size_t n)
{
	r->used += n;
}

static bool is_known(unsigned type)
{
	return (type >= MACHINE_PLAN && type <= MACHINE_FORGET) ||
	       (type >= MACHINE_INPUT && type <= MACHINE_DNS) ||
	       (type >= MACHINE_HELLO && type <= MACHINE_TRACE);
}

int machine_next(struct machine_reader *r, struct machine_frame *f)
{
	const uint8_t *p = r->buf + r->taken;
	size_t have = r->used - r->taken, size;

	if (have < MACHINE_HEADER)
		return 0;
	size = get16(p);
	if (size > MACHINE_DATA_MAX || !is_known(p[2]))
		return -EBADMSG;
	if (have < MACHINE_HEADER + size)
		return 0;
	*f = (struct machine_frame){
		.type = p[2],
		.flags = p[3],
		.session = get32(p + 4),
		.size = (uint16_t)size,
		.data = p + MACHINE_HEADER,
	};
	r->taken += MACHINE_HEADER + size;
	return 1;
}
