/*
 * plugin: one call of the plugin, from environment and standard input to the document printed.
 */
#pragma once

#include "cni/codes.h"
#include "cni/conf.h"
#include "cni/env.h"

/*
 * Each verb: CNI_OK, or a code with the message in @err. verb_add() returns the result to print
 * (owned by the caller); if it cannot be printed, verb_del() undoes it.
 */
enum cni_code verb_add(
	const struct env *env, const struct conf *conf, json_t **ret_result, struct err *err);
enum cni_code verb_del(const struct env *env, const struct conf *conf, struct err *err);
enum cni_code verb_check(const struct env *env, const struct conf *conf, struct err *err);
enum cni_code verb_gc(const struct conf *conf, struct err *err);
enum cni_code verb_status(const struct conf *conf, struct err *err);

/* Reads everything from @in, prints on @out; the exit status. */
int plugin_run(env_getter *get, void *ctx, int in, int out);
