/* names: what the relay's own is called; base/names.h has what others find. */
#pragma once

#include <stdlib.h>

#define RELAY_USER "hearth-relay"

/* Another one in tests. */
static inline const char *relay_user(void)
{
	const char *user = getenv("HEARTH_RELAY_USER");

	return user && *user ? user : RELAY_USER;
}
