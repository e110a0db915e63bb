/* The kernel's answers about chains and rules of others: what is not known is left alone. */
#include <linux/netlink.h>
#include <stdlib.h>
#include <string.h>

#include "fake-kernel.h"
#include "sys/nft/forward.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct nl *nl;
	struct nft_forward_pods pods = { .links = "hth", .mesh = "hearth0" };
	struct nft_forward found = { .owner = NFT_FORWARD_UFW + 1 };
	int r;

	if (!nl && nl_open_protocol(NETLINK_NETFILTER, &nl, NULL) < 0)
		abort();
	if (ip_prefix_parse("10.244.0.0/16", &pods.pods4) < 0 ||
		ip_prefix_parse("fd12:3456:789a:1000::/56", &pods.pods6) < 0 ||
		ip_prefix_parse("10.77.0.0/16", &pods.mesh4) < 0 ||
		ip_prefix_parse("fd12:3456:789a::/64", &pods.mesh6) < 0)
		abort();
	fake_kernel_begin(data, size);
	r = nft_forward_look(nl, &pods, &found);
	fake_kernel_end();
	if (r > 0 || (r < 0) != (found.owner > NFT_FORWARD_UFW))
		abort();
	return 0;
}
