/*
 * hearth-coord: the coordinator of a mesh.
 */
#include <sodium.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/verbs.h"
#include "coordinator/init.h"
#include "coordinator/serve.h"

static const struct verb list[] = {
	{ "init", "make a mesh on this machine: keys, ranges, first records", init_run },
	{ "serve", "run the coordinator", serve_run },
};

static const struct verbs verbs = {
	.program = "hearth-coord",
	.what = "The coordinator of a Hearth mesh.",
	.more = "Tokens and nodes: hearth(1).",
	.list = list,
	.n = ARRAY_LEN(list),
};

int main(int argc, char **argv)
{
	if (sodium_init() < 0) {
		fputs("hearth-coord: libsodium cannot be used\n", stderr);
		return 1;
	}
	return verbs_main(&verbs, argc, argv);
}
