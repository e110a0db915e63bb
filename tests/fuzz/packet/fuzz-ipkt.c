/*
 * Inner packets: what is taken lies inside the input, padding keeps to its rule, and an ICMP error about
 * one is a whole packet about which there is none.
 */
#include <stdlib.h>
#include <string.h>

#include "packet/icmp.h"
#include "packet/ipkt.h"
#include "wire/wg.h"

static void check_error(const uint8_t *data, size_t size)
{
	uint8_t error[ICMP_ERROR_MAX], again[ICMP_ERROR_MAX], hops = 0;
	size_t n = icmp_unreachable(data, size, error);
	struct ipkt ip;

	(void) wg_seems_sealed(data, size, &hops);
	if (n == 0)
		return;
	if (n > sizeof(error) || ipkt_parse(error, n, &ip) < 0 || ip.len != n ||
		icmp_unreachable(error, n, again) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ipkt ip;
	size_t n;

	if (ipkt_parse(data, size, &ip) < 0)
		return 0;
	n = ip.family == AF_INET ? 4 : 16;
	if (ip.len > size || ip.len < IPKT_V4_HEAD_LEN || ip.src < data || ip.dst < data ||
		ip.dst + n > data + ip.len || ip.src + n > ip.dst + n)
		abort();
	check_error(data, size);
	if (ip.len <= 1420 && ip.len + ipkt_padding(ip.len, 1420) > 1420)
		abort();
	return 0;
}
