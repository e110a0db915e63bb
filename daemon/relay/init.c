/* init: see init.h. */
#include "relay/init.h"

#include <errno.h>
#include <getopt.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/env.h"
#include "base/json.h"
#include "base/names.h"
#include "base/owned.h"
#include "base/usage.h"
#include "relay/names.h"
#include "relay/own-keys.h"
#include "sys/priv/priv.h"

/* What comes back from the process that is the user's. */
struct made {
	const char *dir;
	struct {
		uint8_t pin[FIELD_KEY_LEN], key[FIELD_KEY_LEN];
	} public;
};

static void usage(void)
{
	fputs("usage: hearth-relay init [OPTION...]\n"
	      "Makes the relay's keys, unless they are there, and prints what others know of "
	      "them.\n"
	      "`hearth relay enable` does this and the rest.\n\n"
	      "  --state DIR    where they are kept (" NAMES_RELAY_STATE ")\n"
	      "  --user USER    whose they are (" RELAY_USER ")\n"
	      "  --help, --version\n",
		stdout);
}

static int fail(int status, const char *text)
{
	fprintf(stderr, "hearth-relay init: %s%s\n", text,
		status == USAGE_STATUS ? "; see hearth-relay init --help" : "");
	return status;
}

static int make_as_user(void *ctx, struct err *err)
{
	struct made *made = ctx;
	CLEANUP_OWN_KEYS struct own_keys keys = { 0 };
	int r = own_keys_make(made->dir, &keys, err);

	memcpy(made->public.pin, keys.pin, sizeof(keys.pin));
	memcpy(made->public.key, keys.key, sizeof(keys.key));
	return r;
}

static int make(struct made *made, const char *user, struct err *err)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();
	int r = uid == 0 ? priv_find_user(user, &uid, &gid, err) : 0;

	if (r < 0)
		return r;
	r = owned_make_dir(made->dir, 0700, uid, gid);
	if (r == -EPERM)
		return err_set(
			err, r, "%s is there and does not belong to user %s", made->dir, user);
	if (r < 0)
		return err_set(err, r, "make %s: %s", made->dir, strerror(-r));
	return priv_run_as(user, make_as_user, made, &made->public, sizeof(made->public), err);
}

static int print(const struct made *made)
{
	CLEANUP_JSON json_t *json = json_pack("{s:o, s:o}", "pin", field_key(made->public.pin),
		"key", field_key(made->public.key));
	CLEANUP(free_p) char *text = json ? json_text(json) : NULL;

	if (!text)
		return fail(1, "out of memory");
	return puts(text) < 0 || fflush(stdout) != 0 ? fail(1, "write to standard output") : 0;
}

int init_run(int argc, char **argv)
{
	enum { OPT_STATE = 256, OPT_USER };
	static const struct option options[] = {
		{ "state", required_argument, NULL, OPT_STATE },
		{ "user", required_argument, NULL, OPT_USER },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	struct made made = { .dir = env_dir("HEARTH_RELAY_STATE", NAMES_RELAY_STATE) };
	const char *user = relay_user();
	char wrong[USAGE_TEXT_MAX];
	struct err err = { 0 };

	optind = 1;
	for (int c; (c = usage_getopt(argc, argv, "h", options, NULL, wrong)) != -1;)
		switch (c) {
		case OPT_STATE:
			made.dir = optarg;
			break;
		case OPT_USER:
			user = optarg;
			break;
		case 'h':
			usage();
			return 0;
		default:
			return fail(USAGE_STATUS, wrong);
		}
	if (optind < argc) {
		usage_surplus(argv[optind], wrong);
		return fail(USAGE_STATUS, wrong);
	}
	return make(&made, user, &err) < 0 ? fail(1, err.text) : print(&made);
}
