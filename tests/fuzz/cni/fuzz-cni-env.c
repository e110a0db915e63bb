/* An environment: lines NAME=VALUE. What is accepted names a link. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "cni/attach.h"
#include "cni/env.h"

static const char *get(void *ctx, const char *name)
{
	size_t len = strlen(name);

	for (const char *p = ctx; *p; p += strlen(p) + 1)
		if (!strncmp(p, name, len) && p[len] == '=')
			return p + len + 1;
	return NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(free_p) char *vars = malloc(size + 2);
	struct env env;
	struct err err = { 0 };

	if (!vars)
		return 0;
	memcpy(vars, data, size);
	vars[size] = vars[size + 1] = 0;
	for (size_t i = 0; i < size; i++)
		if (vars[i] == '\n')
			vars[i] = 0;
	enum cni_code code = env_read(get, vars, &env, &err);

	if (code && !*err.text)
		abort();
	if (code || !env.container || !env.ifname || env.verb > VERB_CHECK)
		return 0;
	struct attachment at;
	char container[LEASES_CONTAINER_MAX + 1], ifname[IFNAMSIZ];

	if (attach_name(&at, "net", env.container, env.ifname, &err) == 0 &&
		(!attach_parse_alias(at.alias, "net", container, ifname) ||
			strcmp(container, env.container) || strcmp(ifname, env.ifname)))
		abort();
	return 0;
}
