/*
 * env: what the runtime asks, from its environment variables. Strings are borrowed from there.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/ip.h"
#include "cni/codes.h"

enum verb { VERB_ADD, VERB_DEL, VERB_CHECK, VERB_GC, VERB_STATUS, VERB_VERSION };

enum { ENV_ADDRS_MAX = 4 };

struct env {
	enum verb verb;
	const char *container;              /* NULL where the verb has none */
	const char *ifname;                 /* as above */
	const char *netns;                  /* path; NULL or empty for DEL */
	bool netns_override;                /* the plugin's own namespace may be the container's */
	struct ip_addr want[ENV_ADDRS_MAX]; /* IP= of CNI_ARGS */
	size_t n_want;
};

/* As getenv(). */
typedef const char *env_getter(void *ctx, const char *name);

/* No CNI variable is set at all: a person started the plugin by hand. */
bool env_is_empty(env_getter *get, void *ctx);

/* CNI_ENVIRONMENT names every variable that is missing, or the first that is malformed. */
enum cni_code env_read(env_getter *get, void *ctx, struct env *ret, struct err *err);

/* The specification's rule for container ids and network names. */
bool env_is_identifier(const char *text);
