/* strangers: see strangers.h. */
#include "relay/strangers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/limiter.h"
#include "base/pace.h"

struct strangers {
	struct {
		struct limiter *each;
		struct pace all;
	} kinds[STRANGERS_KINDS];
	struct ip_prefix denied[STRANGERS_DENIED_MAX];
	size_t n_denied;
};

struct strangers *strangers_new(void)
{
	struct strangers *s = calloc(1, sizeof(*s));

	for (int kind = 0; s && kind < STRANGERS_KINDS; kind++) {
		s->kinds[kind].each =
			limiter_new(STRANGERS_EACH_BURST, STRANGERS_EACH_US, STRANGERS_SOURCES);
		if (!s->kinds[kind].each)
			return strangers_free(s);
	}
	return s;
}

struct strangers *strangers_free(struct strangers *strangers)
{
	for (int kind = 0; strangers && kind < STRANGERS_KINDS; kind++)
		(void) limiter_free(strangers->kinds[kind].each);
	free(strangers);
	return NULL;
}

int strangers_deny(struct strangers *strangers, const struct ip_prefix *prefixes, size_t n)
{
	if (n > STRANGERS_DENIED_MAX)
		return -E2BIG;
	if (n > 0)
		memcpy(strangers->denied, prefixes, n * sizeof(prefixes[0]));
	strangers->n_denied = n;
	return 0;
}

bool strangers_denied(const struct strangers *strangers, const struct ip_addr *addr)
{
	for (size_t i = 0; i < strangers->n_denied; i++)
		if (ip_prefix_contains(&strangers->denied[i], addr))
			return true;
	return false;
}

bool strangers_may(struct strangers *strangers, enum strangers_kind kind,
	const struct ip_addr *addr, uint64_t now_us)
{
	struct ip_addr source = limiter_source(addr);

	/* Each first: who has had his share takes nothing of what is for all. */
	return !strangers_denied(strangers, addr) &&
	       limiter_take(strangers->kinds[kind].each, &source, now_us, NULL) &&
	       pace_may(&strangers->kinds[kind].all, STRANGERS_ALL_BURST, STRANGERS_ALL_US, now_us,
		       NULL);
}
