/* members: see members.h. One list sorted by number, and pointers into it sorted by key. */
#include "relay/members.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

struct members {
	struct relay_member *list;
	const struct relay_member **by_wg;
	size_t n;
};

struct members *members_new(void)
{
	return calloc(1, sizeof(struct members));
}

struct members *members_free(struct members *members)
{
	if (members) {
		free(members->list);
		free(members->by_wg);
	}
	free(members);
	return NULL;
}

static int compare_ids(const void *a, const void *b)
{
	const struct relay_member *x = a, *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

static int compare_wg(const void *a, const void *b)
{
	const struct relay_member *const *x = a, *const *y = b;

	return memcmp((*x)->wg, (*y)->wg, NODE_KEY_LEN);
}

static int compare_identities(const void *a, const void *b)
{
	const struct relay_member *const *x = a, *const *y = b;

	return memcmp((*x)->identity, (*y)->identity, NODE_KEY_LEN);
}

/* Sorts @pointers. False: two are equal. */
static bool sort_unique(const struct relay_member **pointers, size_t n,
	int (*compare)(const void *a, const void *b))
{
	qsort(pointers, n, sizeof(pointers[0]), compare);
	for (size_t i = 1; i < n; i++)
		if (compare(&pointers[i - 1], &pointers[i]) == 0)
			return false;
	return true;
}

int members_set(struct members *members, const struct relay_member *list, size_t n)
{
	/* one more, so that nobody is no error */
	CLEANUP(free_p) struct relay_member *sorted = calloc(n + 1, sizeof(*sorted));
	CLEANUP(free_p) const struct relay_member **by_wg = calloc(n + 1, sizeof(*by_wg));

	if (n > MEMBERS_MAX)
		return -EINVAL;
	if (!sorted || !by_wg)
		return -ENOMEM;
	if (n > 0)
		memcpy(sorted, list, n * sizeof(*sorted));
	qsort(sorted, n, sizeof(*sorted), compare_ids);
	for (size_t i = 0; i < n; i++)
		by_wg[i] = &sorted[i];
	for (size_t i = 1; i < n; i++)
		if (sorted[i - 1].id == sorted[i].id)
			return -EINVAL;
	if (!sort_unique(by_wg, n, compare_identities) || !sort_unique(by_wg, n, compare_wg))
		return -EINVAL;
	free(members->list);
	free(members->by_wg);
	*members = (struct members){ .list = TAKE(sorted), .by_wg = TAKE(by_wg), .n = n };
	return 0;
}

const struct relay_member *members_by_id(const struct members *members, uint32_t id)
{
	const struct relay_member key = { .id = id };

	return members->n ? bsearch(&key, members->list, members->n, sizeof(key), compare_ids)
			  : NULL;
}

const struct relay_member *members_by_wg(
	const struct members *members, const uint8_t key[static NODE_KEY_LEN])
{
	struct relay_member wanted = { 0 };
	const struct relay_member *pointer = &wanted, *const * found;

	if (members->n == 0)
		return NULL;
	memcpy(wanted.wg, key, NODE_KEY_LEN);
	found = bsearch(&pointer, members->by_wg, members->n, sizeof(pointer), compare_wg);
	return found ? *found : NULL;
}

const struct relay_member *members_list(const struct members *members, size_t *ret_n)
{
	*ret_n = members->n;
	return members->list;
}
