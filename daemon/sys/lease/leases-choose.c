/*
 * leases-choose: see leases-internal.h. Round robin from where the last search ended, so that an
 * address rests as long as it can; one given back a moment ago rests two seconds at least.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/number.h"
#include "sys/lease/leases-internal.h"

enum { SMALL_MAX = 65536 };

/* IPv6 ranges are large: this many addresses of one are used. */
#define RANGE_MAX UINT64_C(65536)

/* --- addresses given back a moment ago --- */

/*
 * The digits up to the end of the line; 0 for anything else. (strtoull() would go on in the next
 * line.)
 */
static uint64_t number_at(const char *text)
{
	char digits[24];
	size_t len = strspn(text, "0123456789");
	uint64_t n = 0;

	if (len >= sizeof(digits) || text[len] != '\n')
		return 0;
	memcpy(digits, text, len);
	digits[len] = 0;
	return number_parse(digits, 0, UINT64_MAX, &n) == 0 ? n : 0;
}

void leases_lines_released(const char *text, uint64_t now_us, struct buf *ret)
{
	for (const char *line = text; *line; line += strcspn(line, "\n") + 1) {
		size_t len = strcspn(line, "\n"), name = strcspn(line, " \n");

		if (line[len] != '\n')
			break;
		uint64_t at_us = line[name] == ' ' ? number_at(line + name + 1) : 0;

		if (at_us && at_us <= now_us &&
			now_us - at_us < LEASES_REUSE_DELAY_MS * USEC_PER_MSEC)
			buf_add(ret, line, len + 1);
	}
}

static void read_released(struct leases *store, uint64_t now_us, struct buf *ret)
{
	CLEANUP_BUF struct buf text = { 0 };

	if (leases_read(store, "released", SMALL_MAX, &text) == 0)
		leases_lines_released(buf_str(&text), now_us, ret);
}

uint64_t leases_lines_rest_us(const char *released, const char *addr, uint64_t now_us)
{
	size_t len = strlen(addr);

	for (const char *line = released; *line; line += strcspn(line, "\n") + 1)
		if (!strncmp(line, addr, len) && line[len] == ' ')
			return number_at(line + len + 1) + LEASES_REUSE_DELAY_MS * USEC_PER_MSEC -
			       now_us;
	return 0;
}

void leases_note_released(struct leases *store, const struct lease *lease)
{
	char text[IP_TEXT_MAX];
	CLEANUP_BUF struct buf lines = { 0 };
	uint64_t now_us = clock_now_us();

	read_released(store, now_us, &lines);
	for (size_t i = 0; i < lease->n_addrs; i++)
		buf_printf(&lines, "%s %llu\n", ip_addr_format(&lease->addrs[i], text),
			(unsigned long long) now_us);
	if (!buf_failed(&lines) && lines.len)
		/*
		 * A full disk is no reason to keep the lease: its address may be used again at
		 * once.
		 */
		(void) leases_replace(store, "released", lines.data, lines.len);
}

/* --- choosing --- */

/* First and last index used of @subnet: not the network, its first address, the broadcast. */
static void bounds(const struct ip_prefix *subnet, uint64_t *ret_first, uint64_t *ret_last)
{
	unsigned bits = ip_bits(subnet->addr.family) - subnet->len;
	uint64_t size = bits >= 17 ? RANGE_MAX : UINT64_C(1) << bits;

	if (subnet->addr.family == AF_INET && bits >= 17)
		size = UINT64_C(1) << bits;
	*ret_first = 2;
	*ret_last = subnet->addr.family == AF_INET ? size - 2 : size - 1;
}

uint64_t leases_capacity(const struct ip_prefix *subnet)
{
	uint64_t first, last;

	bounds(subnet, &first, &last);
	return last - first + 1;
}

static bool is_free(struct leases_choice *c, const struct ip_addr *addr)
{
	char text[IP_TEXT_MAX];

	ip_addr_format(addr, text);
	if (faccessat(c->store->dir, text, F_OK, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT)
		return false;
	uint64_t wait_us = leases_lines_rest_us(buf_str(&c->released), text, c->now_us);

	if (wait_us && (!c->wait_us || wait_us < c->wait_us))
		c->wait_us = wait_us;
	return wait_us == 0;
}

uint64_t leases_lines_next(const char *text, const char *subnet, uint64_t first, uint64_t last)
{
	size_t len = strlen(subnet);

	for (const char *line = text; *line; line += strcspn(line, "\n")) {
		line += strspn(line, "\n");
		if (!strncmp(line, subnet, len) && line[len] == ' ') {
			uint64_t index = number_at(line + len + 1);

			return index >= first && index <= last ? index : first;
		}
	}
	return first;
}

static int choose_in(struct leases_choice *c, const struct ip_prefix *subnet, struct ip_addr *ret)
{
	uint64_t first, last;
	char text[PREFIX_TEXT_MAX];

	bounds(subnet, &first, &last);
	if (last < first)
		return -ENOSPC;
	uint64_t start = leases_lines_next(
			 buf_str(&c->next), ip_prefix_format(subnet, text), first, last),
		 index = start;

	do {
		struct ip_addr addr;
		uint64_t next = index == last ? first : index + 1;

		if (ip_prefix_nth(subnet, index, &addr) == 0 && is_free(c, &addr)) {
			buf_printf(&c->new_next, "%s %llu\n", text, (unsigned long long) next);
			*ret = addr;
			return 0;
		}
		index = next;
	} while (index != start);
	return -ENOSPC;
}

static bool may_be_leased(
	const struct ip_prefix *subnets, size_t n_subnets, const struct ip_addr *addr)
{
	for (size_t i = 0; i < n_subnets; i++) {
		struct ip_addr zero, one, top;
		uint64_t first, last;

		bounds(&subnets[i], &first, &last);
		if (!ip_prefix_contains(&subnets[i], addr))
			continue;
		if (ip_prefix_nth(&subnets[i], 0, &zero) < 0 ||
			ip_prefix_nth(&subnets[i], 1, &one) < 0 ||
			ip_prefix_nth(&subnets[i], last + 1, &top) < 0)
			return false;
		return !ip_addr_equal(addr, &zero) && !ip_addr_equal(addr, &one) &&
		       (addr->family != AF_INET || !ip_addr_equal(addr, &top));
	}
	return false;
}

int leases_choice_make(struct leases_choice *c, const struct ip_prefix *subnets, size_t n_subnets,
	const struct ip_addr *want, size_t n_want, struct lease *lease, struct err *err)
{
	static const int families[] = { AF_INET, AF_INET6 };
	char text[IP_TEXT_MAX];
	bool have[2] = { false, false };

	for (size_t i = 0; i < n_want; i++) {
		if (lease->n_addrs == LEASES_ADDRS_MAX)
			return err_set(err, -EADDRINUSE, "more than %d addresses are wanted",
				LEASES_ADDRS_MAX);
		if (!may_be_leased(subnets, n_subnets, &want[i]))
			return err_set(err, -EADDRINUSE, "%s is not an address for pods here",
				ip_addr_format(&want[i], text));
		if (!is_free(c, &want[i]))
			return c->wait_us ? -EAGAIN
					  : err_set(err, -EADDRINUSE, "%s is in use",
						    ip_addr_format(&want[i], text));
		have[want[i].family == AF_INET6] = true;
		lease->addrs[lease->n_addrs++] = want[i];
	}
	for (size_t f = 0; f < ARRAY_LEN(families); f++) {
		bool ranges = false, found = have[f];

		for (size_t i = 0; i < n_subnets && !found; i++) {
			if (subnets[i].addr.family != families[f])
				continue;
			ranges = true;
			found = choose_in(c, &subnets[i], &lease->addrs[lease->n_addrs]) == 0;
			lease->n_addrs += found;
		}
		if (!found && ranges)
			return c->wait_us
				       ? -EAGAIN
				       : err_set(err, -ENOSPC,
						 "no IPv%d address for pods is left on this board",
						 f ? 6 : 4);
	}
	return 0;
}

void leases_lines_merge(const char *old, struct buf *lines)
{
	CLEANUP_BUF struct buf keep = { 0 };

	for (const char *line = old; *line;) {
		size_t len = strcspn(line, "\n"), name = strcspn(line, " \n");

		if (line[len] != '\n' || lines->len + keep.len > SMALL_MAX / 2)
			break;
		CLEANUP_BUF struct buf key = { 0 };

		buf_add(&key, line, name);
		buf_add_str(&key, " ");
		if (!strstr(buf_str(lines), buf_str(&key)))
			buf_add(&keep, line, len + 1);
		line += len + 1;
	}
	buf_add(lines, buf_str(&keep), keep.len);
}

void leases_choice_init(struct leases *store, struct leases_choice *ret)
{
	*ret = (struct leases_choice){ .store = store, .now_us = clock_now_us() };
	read_released(store, ret->now_us, &ret->released);
	(void) leases_read(store, "next", SMALL_MAX, &ret->next); /* none: from the beginning */
}

void leases_choice_keep(struct leases_choice *c)
{
	if (!c->new_next.len)
		return;
	leases_lines_merge(buf_str(&c->next), &c->new_next);
	/* Without it the search starts further back, no more. */
	(void) leases_replace(c->store, "next", buf_str(&c->new_next), c->new_next.len);
}

void leases_choice_done(struct leases_choice *c)
{
	buf_done(&c->released);
	buf_done(&c->next);
	buf_done(&c->new_next);
}
