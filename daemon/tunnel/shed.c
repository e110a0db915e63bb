/*
 * shed: see shed.h. The share kept follows the rate: at once down when a window is full, and at
 * most twice as much in the next window when it was not, so that a flood that pauses is not let in
 * whole.
 */
#include "tunnel/shed.h"

#include "wire/wg.h"

enum {
	KEEP_MIN = SOCK_SHED_ALL >> 12, /* also of the largest flood some get through */
	SHORTEST_US = 1000,             /* a rate measured over less is none */
};

void shed_init(struct shed *shed)
{
	*shed = (struct shed){ 0 };
	for (int i = 0; i < SOCK_SHED_CLASSES; i++)
		shed->keep[i] = SOCK_SHED_ALL;
}

/* The same question as that of the filter of sock_set_shed(). */
static enum sock_shed_class class_of(const uint8_t *data, size_t len)
{
	if (!wg_begins(data, len))
		return SOCK_SHED_ASIDE;
	if ((len == WG_INITIATION_LEN || len == WG_RESPONSE_LEN) &&
		wg_le32_read(data + wg_mac2_offset(len)) != 0)
		return SOCK_SHED_PROVEN;
	return SOCK_SHED_UNPROVEN;
}

int shed_admit(struct shed *shed, const uint8_t *data, size_t len)
{
	enum sock_shed_class class = class_of(data, len);

	if (shed->spent[class] < SHED_PER_WINDOW)
		return (int) class;
	shed->full = true;
	return -1;
}

void shed_charge(struct shed *shed, int class, unsigned cost)
{
	shed->spent[class] += cost;
}

static uint32_t next_keep(uint32_t keep, unsigned spent, uint64_t elapsed_us)
{
	uint64_t most = keep < SOCK_SHED_ALL / 2 ? 2 * (uint64_t) keep : SOCK_SHED_ALL;
	uint64_t wanted = most;

	if (spent > 0)
		wanted = (uint64_t) SHED_PER_WINDOW * keep * elapsed_us /
			 ((uint64_t) spent * SHED_WINDOW_US);
	if (wanted > most)
		wanted = most;
	return wanted < KEEP_MIN ? KEEP_MIN : (uint32_t) wanted;
}

bool shed_update(struct shed *shed, uint64_t now_us)
{
	uint64_t elapsed_us = now_us - shed->window_us;
	bool changed = false;

	if (!shed_is_due(shed, now_us))
		return false;
	if (elapsed_us < SHORTEST_US)
		elapsed_us = SHORTEST_US;
	if (elapsed_us > SHED_WINDOW_US && !shed_is_on(shed))
		elapsed_us = SHED_WINDOW_US; /* the silence before does not count */
	for (int i = 0; i < SOCK_SHED_CLASSES; i++) {
		uint32_t keep = next_keep(shed->keep[i], shed->spent[i], elapsed_us);

		changed = changed || keep != shed->keep[i];
		shed->keep[i] = keep;
		shed->spent[i] = 0;
	}
	shed->window_us = now_us;
	shed->full = false;
	return changed;
}

uint64_t shed_deadline(const struct shed *shed)
{
	return shed_is_on(shed) ? shed->window_us + SHED_WINDOW_US : UINT64_MAX;
}
