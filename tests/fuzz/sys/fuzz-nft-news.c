/*
 * The kernel's news of nftables: a removal in our table names it. And its answers to what the table
 * holds: a table holds what it holds, and sets have names that end.
 */
#include <stdlib.h>
#include <string.h>

#include "fake-kernel.h"
#include "sys/nft/monitor.h"
#include "sys/nft/table.h"

static bool holds(const uint8_t *data, size_t size, const char *text)
{
	return memmem(data, size, text, strlen(text) + 1) != NULL;
}

static void read_table(const uint8_t *data, size_t size)
{
	static struct nft_table table;
	static struct nl *nl;
	int r;

	if (!nl && nl_open(&nl, NULL) < 0)
		abort();
	memset(&table, 0xff, sizeof(table));
	table.n = table.n_sets = 0;
	fake_kernel_begin(data, size);
	r = nft_table_read(nl, "hearth", &table);
	fake_kernel_end();
	if (table.n > NFT_TABLE_ITEMS_MAX || table.n_sets > NFT_TABLE_SETS_MAX ||
		(r == 0 && table.n <= 64 && !nft_table_holds(&table, &table)))
		abort();
	for (size_t i = 0; i < table.n_sets; i++)
		if (!memchr(table.sets[i], 0, sizeof(table.sets[i])))
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum nft_news news = NFT_NEWS_NONE;

	fake_kernel_begin(data, size);
	nft_monitor_drain(-1, "hearth", 0, &news);
	fake_kernel_end();
	if (news == NFT_NEWS_REMOVED && !holds(data, size, "hearth"))
		abort();
	read_table(data, size);
	return 0;
}
