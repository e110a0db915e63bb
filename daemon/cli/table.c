/* Tables and figures for people. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

void cli_table_done(struct cli_table *table)
{
	buf_done(&table->cells);
}

void cli_table_head(struct cli_table *table, const char *const *names, size_t n)
{
	table->columns = n;
	for (size_t i = 0; i < n; i++)
		cli_table_add(table, names[i]);
}

void cli_table_add(struct cli_table *table, const char *cell)
{
	buf_add(&table->cells, *cell ? cell : "-", strlen(*cell ? cell : "-") + 1);
	table->n++;
}

void cli_table_print(const struct cli_table *table)
{
	size_t width[CLI_COLUMNS_MAX] = { 0 };

	if (buf_failed(&table->cells) || !table->columns || table->columns > CLI_COLUMNS_MAX)
		return;
	const char *cell = table->cells.data;

	for (size_t i = 0; i < table->n; i++, cell += strlen(cell) + 1)
		if (strlen(cell) > width[i % table->columns])
			width[i % table->columns] = strlen(cell);
	cell = table->cells.data;
	for (size_t i = 0; i < table->n; i++, cell += strlen(cell) + 1) {
		bool last = i % table->columns == table->columns - 1;

		printf("%-*s%s", last ? 0 : (int) width[i % table->columns], cell,
			last ? "\n" : "  ");
	}
}

const char *cli_ago(uint64_t since, uint64_t now, char ret_text[static 32])
{
	uint64_t s = now > since ? now - since : 0;

	if (!since)
		(void) snprintf(ret_text, 32, "never");
	else if (s < 120)
		(void) snprintf(ret_text, 32, "%llu s", (unsigned long long) s);
	else if (s < 7200)
		(void) snprintf(ret_text, 32, "%llu min", (unsigned long long) (s / 60));
	else if (s < 172800)
		(void) snprintf(ret_text, 32, "%llu h", (unsigned long long) (s / 3600));
	else
		(void) snprintf(ret_text, 32, "%llu d", (unsigned long long) (s / 86400));
	return ret_text;
}

const char *cli_rtt(uint64_t us, char ret_text[static 32])
{
	int digits = us < 1000 ? 2 : us < 10000 ? 1 : 0;

	ret_text[0] = 0;
	if (us)
		(void) snprintf(ret_text, 32, "%.*f ms", digits, (double) us / 1000);
	return ret_text;
}

const char *cli_bytes(uint64_t bytes, char ret_text[static 32])
{
	static const char *const units[] = { "B", "kB", "MB", "GB", "TB" };
	double n = (double) bytes;
	size_t unit = 0;

	while (n >= 1000 && unit < ARRAY_LEN(units) - 1) {
		n /= 1000;
		unit++;
	}
	(void) snprintf(ret_text, 32, unit && n < 10 ? "%.1f %s" : "%.0f %s", n, units[unit]);
	return ret_text;
}
