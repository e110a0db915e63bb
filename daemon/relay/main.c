/*
 * hearth-relay: carries what members of a mesh send each other when they have no better way.
 */
#include <sodium.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/verbs.h"
#include "relay/init.h"
#include "relay/serve.h"

static const struct verb list[] = {
	{ "init", "make the relay's keys", init_run },
	{ "serve", "run the relay", serve_run },
};

static const struct verbs verbs = {
	.program = "hearth-relay",
	.what = "The relay of a Hearth mesh.",
	.more = "To make this board a relay: `hearth relay enable`.",
	.list = list,
	.n = ARRAY_LEN(list),
};

int main(int argc, char **argv)
{
	if (sodium_init() < 0) {
		fputs("hearth-relay: libsodium cannot be used\n", stderr);
		return 1;
	}
	return verbs_main(&verbs, argc, argv);
}
