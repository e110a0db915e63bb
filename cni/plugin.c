/*
 * plugin: see plugin.h. Exactly one JSON document is printed by a successful ADD or VERSION and by
 * every failure, nothing by a successful DEL, CHECK, GC or STATUS; talk goes to standard error.
 */
#include "cni/plugin.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "cni/result.h"

static int print(int out, const json_t *json)
{
	CLEANUP(free_p) char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
	CLEANUP_BUF struct buf line = { 0 };

	if (!text)
		return -ENOMEM;
	buf_add_str(&line, text);
	buf_add_str(&line, "\n");
	if (buf_failed(&line))
		return -ENOMEM;
	return file_write_all(out, line.data, line.len);
}

static int fail(int out, enum conf_version version, enum cni_code code, const struct err *err)
{
	CLEANUP_JSON json_t *json = result_error(version, code, err->text);

	log_error("%s", err->text);
	int r = print(out, json);

	if (r < 0)
		log_error("print the error: %s", strerror(-r));
	return 1;
}

enum { FOR_EVER = -1, PATIENCE_MS = 1000 };

/* Up to the end, or until nothing comes for @wait_ms. */
static enum cni_code read_input(int in, int wait_ms, struct buf *ret, struct err *err)
{
	for (;;) {
		char chunk[8192];
		struct pollfd ready = { .fd = in, .events = POLLIN };

		if (wait_ms != FOR_EVER && poll(&ready, 1, wait_ms) == 0)
			break;
		ssize_t n = read(in, chunk, sizeof(chunk));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			(void) err_set(err, -errno,
				"read the network configuration from standard input: %m");
			return CNI_IO;
		}
		if (n == 0)
			break;
		if (ret->len + (size_t) n > CONF_INPUT_MAX) {
			(void) err_set(err, -EFBIG,
				"the network configuration is larger than %d bytes",
				CONF_INPUT_MAX);
			return CNI_DECODE;
		}
		buf_add(ret, chunk, (size_t) n);
	}
	if (buf_failed(ret)) {
		(void) err_set(err, -ENOMEM, "out of memory");
		return CNI_IO;
	}
	return CNI_OK;
}

/*
 * An error of the environment is told in the caller's version, too, if there is a configuration
 * that says it. A caller that set a variable wrong may not send one: it is not waited for.
 */
static void peek_version(int in, enum conf_version *version)
{
	CLEANUP_BUF struct buf text = { 0 };
	struct err err = { 0 };

	if (read_input(in, PATIENCE_MS, &text, &err) == CNI_OK)
		conf_peek_version(buf_str(&text), text.len, version);
}

/* Says which versions there are, whatever it was asked with, unless that is no JSON. */
static int run_version(int in, int out)
{
	CLEANUP_BUF struct buf text = { 0 };
	CLEANUP_JSON json_t *asked = NULL;
	struct err err = { 0 };
	const char *version = NULL;

	if (read_input(in, FOR_EVER, &text, &err) == CNI_OK && text.len) {
		asked = json_parse(text.data, text.len, &err);
		if (!asked)
			return fail(out, CONF_1_1_0, CNI_DECODE, &err);
		version = json_string_value(json_object_get(asked, "cniVersion"));
	}
	CLEANUP_JSON json_t *answer = result_version(version && *version ? version : NULL);
	int r = print(out, answer);

	if (r < 0)
		log_error("print the versions: %s", strerror(-r));
	return r < 0;
}

static int run_add(const struct env *env, const struct conf *conf, int out)
{
	CLEANUP_JSON json_t *result = NULL;
	struct err err = { 0 };
	enum cni_code code = verb_add(env, conf, &result, &err);

	if (code)
		return fail(out, conf->version, code, &err);
	int r = print(out, result);

	if (r == 0)
		return 0;
	log_error("print the result: %s", strerror(-r));
	/* Nobody learned the addresses: nobody can use them. */
	if (verb_del(env, conf, &err))
		log_error("undo: %s", err.text);
	return 1;
}

static enum cni_code run_quiet(const struct env *env, const struct conf *conf, struct err *err)
{
	switch (env->verb) {
	case VERB_DEL:
		return verb_del(env, conf, err);
	case VERB_CHECK:
		return verb_check(env, conf, err);
	case VERB_GC:
		return verb_gc(conf, err);
	case VERB_STATUS:
		return verb_status(conf, err);
	case VERB_ADD:
	case VERB_VERSION:
		break;
	}
	return CNI_OK;
}

int plugin_run(env_getter *get, void *ctx, int in, int out)
{
	CLEANUP_BUF struct buf text = { 0 };
	CLEANUP_CONF struct conf conf = { .version = CONF_1_0_0 };
	struct err err = { 0 };
	struct env env;
	enum cni_code code = env_read(get, ctx, &env, &err);

	if (code) {
		peek_version(in, &conf.version);
		return fail(out, conf.version, code, &err);
	}
	if (env.verb == VERB_VERSION)
		return run_version(in, out);
	code = read_input(in, FOR_EVER, &text, &err);
	if (code)
		return fail(out, conf.version, code, &err);
	code = conf_parse(buf_str(&text), text.len, env.verb, &conf, &err);
	if (code)
		return fail(out, conf.version, code, &err);
	if (env.verb == VERB_ADD)
		return run_add(&env, &conf, out);
	code = run_quiet(&env, &conf, &err);
	return code ? fail(out, conf.version, code, &err) : 0;
}
