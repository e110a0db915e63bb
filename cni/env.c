/* env: see env.h. */
#include "cni/env.h"

#include <ctype.h>
#include <errno.h>
#include <net/if.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/cleanup.h"

enum { NEED_CONTAINER = 1, NEED_NETNS = 2, NEED_IFNAME = 4 };

static const struct {
	const char *name;
	enum verb verb;
	unsigned needs;
} verbs[] = {
	{ "ADD", VERB_ADD, NEED_CONTAINER | NEED_NETNS | NEED_IFNAME },
	{ "DEL", VERB_DEL, NEED_CONTAINER | NEED_IFNAME },
	{ "CHECK", VERB_CHECK, NEED_CONTAINER | NEED_NETNS | NEED_IFNAME },
	{ "GC", VERB_GC, 0 },
	{ "STATUS", VERB_STATUS, 0 },
	{ "VERSION", VERB_VERSION, 0 },
};

static const char *const variables[] = { "CNI_COMMAND", "CNI_CONTAINERID", "CNI_NETNS",
	"CNI_IFNAME", "CNI_ARGS", "CNI_PATH" };

bool env_is_empty(env_getter *get, void *ctx)
{
	for (size_t i = 0; i < ARRAY_LEN(variables); i++) {
		const char *value = get(ctx, variables[i]);

		if (value && *value)
			return false;
	}
	return true;
}

bool env_is_identifier(const char *text)
{
	if (!isascii((unsigned char) *text) || !isalnum((unsigned char) *text))
		return false;
	for (; *text; text++)
		if (!isascii((unsigned char) *text) ||
			(!isalnum((unsigned char) *text) && !strchr("_.-", *text)))
			return false;
	return true;
}

static bool is_ifname(const char *text)
{
	if (!*text || strlen(text) >= IFNAMSIZ || !strcmp(text, ".") || !strcmp(text, ".."))
		return false;
	for (; *text; text++)
		if (*text == '/' || *text == ':' || isspace((unsigned char) *text) ||
			iscntrl((unsigned char) *text))
			return false;
	return true;
}

static enum cni_code fail(struct err *err, const char *name, const char *why)
{
	(void) err_set(err, -EINVAL, "%s %s", name, why);
	return CNI_ENVIRONMENT;
}

/* One K=V of CNI_ARGS. Keys that are not ours are the runtime's own affair (K8S_POD_NAME ...). */
static bool take_arg(struct env *env, const char *arg, size_t len)
{
	const char *equals = memchr(arg, '=', len);

	if (!equals || equals == arg)
		return false;
	if (equals - arg != 2 || strncasecmp(arg, "IP", 2))
		return true;
	char text[PREFIX_TEXT_MAX];
	size_t value_len = len - 3;

	if (value_len >= sizeof(text) || env->n_want == ENV_ADDRS_MAX)
		return false;
	memcpy(text, equals + 1, value_len);
	text[value_len] = 0;
	text[strcspn(text, "/")] = 0;
	return ip_addr_parse(text, &env->want[env->n_want++]) == 0;
}

static enum cni_code read_args(struct env *env, const char *args, struct err *err)
{
	while (*args) {
		size_t len = strcspn(args, ";");

		if (len && !take_arg(env, args, len))
			return fail(err, "CNI_ARGS",
				"must be KEY=VALUE pairs separated by \";\", IP= an address");
		args += len + (args[len] == ';');
	}
	return CNI_OK;
}

static bool is_true(const char *text)
{
	return text && (!strcmp(text, "1") || !strcasecmp(text, "true"));
}

static enum cni_code check_missing(
	const struct env *env, unsigned needs, bool command, struct err *err)
{
	CLEANUP_BUF struct buf missing = { 0 };

	if (!command)
		buf_add_str(&missing, ", CNI_COMMAND");
	if (needs & NEED_CONTAINER && !env->container)
		buf_add_str(&missing, ", CNI_CONTAINERID");
	if (needs & NEED_NETNS && !env->netns)
		buf_add_str(&missing, ", CNI_NETNS");
	if (needs & NEED_IFNAME && !env->ifname)
		buf_add_str(&missing, ", CNI_IFNAME");
	if (!missing.len)
		return CNI_OK;
	(void) err_set(
		err, -EINVAL, "required environment variables missing: %s", buf_str(&missing) + 2);
	return CNI_ENVIRONMENT;
}

static const char *get_set(env_getter *get, void *ctx, const char *name)
{
	const char *value = get(ctx, name);

	return value && *value ? value : NULL;
}

enum cni_code env_read(env_getter *get, void *ctx, struct env *ret, struct err *err)
{
	struct env env = { .container = get_set(get, ctx, "CNI_CONTAINERID"),
		.ifname = get_set(get, ctx, "CNI_IFNAME"),
		.netns = get_set(get, ctx, "CNI_NETNS"),
		.netns_override = is_true(get(ctx, "CNI_NETNS_OVERRIDE")) };
	const char *command = get_set(get, ctx, "CNI_COMMAND");
	size_t i = 0;

	/* Without a command the most that any verb needs is asked for. */
	while (command && i < ARRAY_LEN(verbs) && strcmp(command, verbs[i].name))
		i++;
	if (i == ARRAY_LEN(verbs)) {
		(void) err_set(err, -EINVAL, "CNI_COMMAND \"%.32s\" is not known", command);
		return CNI_ENVIRONMENT;
	}
	unsigned needs = verbs[i].needs;

	env.verb = verbs[i].verb;
	enum cni_code code = check_missing(&env, needs, command != NULL, err);

	if (code)
		return code;
	if (needs & NEED_CONTAINER && !env_is_identifier(env.container))
		return fail(err, "CNI_CONTAINERID",
			"must begin with a letter or digit and hold only letters, digits and _.-");
	if (needs & NEED_IFNAME && !is_ifname(env.ifname))
		return fail(err, "CNI_IFNAME",
			"must be 1 to 15 characters without \"/\", \":\" and white space, not "
			"\".\" or \"..\"");
	if (needs) {
		const char *args = get_set(get, ctx, "CNI_ARGS");

		code = args ? read_args(&env, args, err) : CNI_OK;
		/* DEL must work whatever somebody wrote there. */
		if (code && env.verb != VERB_DEL)
			return code;
	}
	*ret = env;
	return CNI_OK;
}
