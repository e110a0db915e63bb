/*
 * The kernel's news of nftables: a removal in our table names it. And its answers to what the table
 * holds: a table holds what it holds, sets have names that end, and keys are as long as they say.
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

/* Whatever a key is, all of it lies in what came. */
static void on_key(void *ctx, const void *key, size_t len)
{
	uint8_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum = (uint8_t) (sum + ((const uint8_t *) key)[i]);
	*(volatile uint8_t *) ctx = sum;
}

static void read_keys(const uint8_t *data, size_t size)
{
	static struct nl *nl;
	uint8_t sum;

	if (!nl && nl_open(&nl, NULL) < 0)
		abort();
	fake_kernel_begin(data, size);
	(void) nft_table_keys(nl, "hearth", "senders4", on_key, &sum);
	fake_kernel_end();
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
	read_keys(data, size);
	return 0;
}
