/* The kernel's answers about an nftables table: what was read of it holds itself. */
#include <linux/netlink.h>
#include <stdlib.h>
#include <string.h>

#include "fake-kernel.h"
#include "sys/nft/table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct nl *nl;
	static struct nft_table table;
	int r;

	if (!nl && nl_open_protocol(NETLINK_NETFILTER, &nl, NULL) < 0)
		abort();
	fake_kernel_begin(data, size);
	r = nft_table_read(nl, "hearth", &table);
	fake_kernel_end();
	if (r > 0 || table.n > NFT_TABLE_ITEMS_MAX || table.n_sets > NFT_TABLE_SETS_MAX)
		abort();
	for (size_t i = 0; i < table.n_sets; i++)
		if (!memchr(table.sets[i], 0, sizeof(table.sets[i])))
			abort();
	if (r == 0 && !nft_table_holds(&table, &table))
		abort();
	return 0;
}
