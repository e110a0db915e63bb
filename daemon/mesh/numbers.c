/* numbers: see numbers.h. */
#include "mesh/numbers.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

/* Ids end where the reserved block at the top of mesh4 begins. */
uint32_t numbers_nodes_max(const struct settings *settings)
{
	struct ip_prefix reserved = settings_reserved4(settings);
	uint64_t size = UINT64_C(1) << (32 - settings->mesh4.len);
	uint64_t top = UINT64_C(1) << (32 - reserved.len);
	uint64_t max = size - top - 1;

	return max < NODE_ID_MAX ? (uint32_t) max : NODE_ID_MAX;
}

/* Range 0 of either family is left alone, and both families count alike. */
uint32_t numbers_pods_max(const struct settings *settings)
{
	uint32_t four = UINT32_C(1) << (NODE_PODS4_LEN - settings->pods4.len);
	uint32_t six = UINT32_C(1) << (NODE_PODS6_LEN - settings->pods6.len);

	return (four < six ? four : six) - 1;
}

int numbers_mesh4(const struct settings *settings, uint32_t id, struct ip_addr *ret)
{
	if (id < 1 || id > numbers_nodes_max(settings))
		return -ERANGE;
	return ip_prefix_nth(&settings->mesh4, id, ret);
}

int numbers_mesh6(const struct settings *settings, uint32_t id, struct ip_addr *ret)
{
	if (id < 1 || id > numbers_nodes_max(settings))
		return -ERANGE;
	return ip_prefix_nth(&settings->mesh6, id, ret);
}

int numbers_pods4(const struct settings *settings, uint32_t number, struct ip_prefix *ret)
{
	if (number < 1 || number > numbers_pods_max(settings))
		return -ERANGE;
	return ip_prefix_subnet(&settings->pods4, NODE_PODS4_LEN, number, ret);
}

int numbers_pods6(const struct settings *settings, uint32_t number, struct ip_prefix *ret)
{
	if (number < 1 || number > numbers_pods_max(settings))
		return -ERANGE;
	return ip_prefix_subnet(&settings->pods6, NODE_PODS6_LEN, number, ret);
}

static uint32_t number_of(const struct settings *settings, uint64_t number)
{
	return number <= numbers_pods_max(settings) ? (uint32_t) number : 0;
}

uint32_t numbers_of_pods4(const struct settings *settings, const struct ip_prefix *pods)
{
	uint32_t base, addr;

	if (pods->len != NODE_PODS4_LEN || !ip_prefix_contains(&settings->pods4, &pods->addr))
		return 0;
	memcpy(&base, settings->pods4.addr.bytes, sizeof(base));
	memcpy(&addr, pods->addr.bytes, sizeof(addr));
	return number_of(settings, (be32toh(addr) - be32toh(base)) >> (32 - NODE_PODS4_LEN));
}

uint32_t numbers_of_pods6(const struct settings *settings, const struct ip_prefix *pods)
{
	uint64_t base, addr;

	if (pods->len != NODE_PODS6_LEN || !ip_prefix_contains(&settings->pods6, &pods->addr))
		return 0;
	memcpy(&base, settings->pods6.addr.bytes, sizeof(base));
	memcpy(&addr, pods->addr.bytes, sizeof(addr));
	return number_of(settings, be64toh(addr) - be64toh(base));
}
