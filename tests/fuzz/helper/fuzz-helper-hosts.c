/* Any hosts file: a block goes in, stays the same the second time, and comes out with no line lost. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "wire/hosts.h"

static int count(const uint8_t *data, size_t size)
{
	static const char mark[] = "# BEGIN hearth";
	int n = 0;

	for (size_t i = 0; i + sizeof(mark) - 1 <= size; i++)
		n += !memcmp(data + i, mark, sizeof(mark) - 1);
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hosts_entry entry = { .names = { "n100.home.internal" }, .n_names = 1 };
	CLEANUP_BUF struct buf clean = { 0 }, with = { 0 }, again = { 0 }, without = { 0 };

	(void) ip_addr_parse("10.77.0.1", &entry.addr);
	if (hosts_edit((const char *) data, size, "hearth0", NULL, 0, &clean) < 0 ||
		hosts_edit((const char *) data, size, "hearth0", &entry, 1, &with) < 0 ||
		hosts_edit(buf_str(&with), with.len, "hearth0", &entry, 1, &again) < 0 ||
		hosts_edit(buf_str(&with), with.len, "hearth0", NULL, 0, &without) < 0)
		abort();
	if (again.len != with.len || (with.len && memcmp(again.data, with.data, with.len) != 0))
		abort();
	if (!hosts_is_right(buf_str(&with), with.len, "hearth0", &entry, 1) ||
		hosts_is_right((const char *) data, size, "hearth0", &entry, 1) !=
			(with.len == size && (!size || !memcmp(with.data, data, size))))
		abort();
	/* Several blocks were somebody's doing: they become one. */
	if (count(data, size) > 1)
		return 0;
	if (without.len != clean.len ||
		(clean.len && memcmp(without.data, clean.data, clean.len) != 0))
		abort();
	return 0;
}
