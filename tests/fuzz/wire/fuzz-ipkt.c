/* Inner packets: what is taken lies inside the input, and padding keeps to its rule. */
#include <stdlib.h>

#include "wire/ipkt.h"

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
	if (ip.len <= 1420 && ip.len + ipkt_padding(ip.len, 1420) > 1420)
		abort();
	return 0;
}
