/*
 * facts: what this board is. The one place that asks; a lab board is given recorded facts instead
 * ($HEARTH_FACTS or facts.json in Hearth's configuration directory), and a test a directory that
 * holds the files of another machine.
 */
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct facts {
	char model[128]; /* "Raspberry Pi 4 Model B Rev 1.4", "ACEMAGIC S1, Intel(R) N100" */
	char board[32];  /* label value: "pi3", "pi4-8g", "n100", "generic-arm64" */
	char arch[16];   /* as Kubernetes calls it: "amd64", "arm64", "arm", "riscv64" */
	char storage[8]; /* under the root file system: "nvme", "ssd", "sd", "hdd", "" unknown */
	unsigned cores;  /* 0: unknown */
	uint64_t memory_bytes; /* usable by Linux, 0: unknown */
};

/*
 * Reads /proc and /sys below @root ("" for this machine); @machine is the word of uname -m. What
 * cannot be read is left empty or 0: a board of an unknown kind is no failure.
 */
void facts_read(const char *root, const char *machine, struct facts *ret);

/* The same where @read brings what the file @path holds: 0, or a negative errno. */
typedef int facts_file_fn(void *ctx, const char *path, struct buf *ret);
void facts_read_from(facts_file_fn *read, void *ctx, const char *machine, struct facts *ret);

/*
 * Recorded facts: {"model":"...","arch":"arm64","cores":4,"memory":952258560,"storage":"sd"}.
 * -EINVAL and @err for a wrong type or an unknown field; absent ones are unknown.
 */
int facts_from_json(const json_t *json, struct facts *ret, struct err *err);

/* The same form, a new reference, NULL when out of memory. */
json_t *facts_to_json(const struct facts *facts);

/*
 * The facts of this board: the file named by $HEARTH_FACTS, else @etc/facts.json if there is one,
 * else the machine. A negative errno and @err for a file that is named but cannot be read or is not
 * right.
 */
int facts_get(const char *etc, struct facts *ret, struct err *err);
