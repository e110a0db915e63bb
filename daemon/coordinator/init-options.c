/*
 * init-options: what `hearth-coord init` is asked for, read strictly.
 */
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/number.h"
#include "base/text.h"
#include "base/usage.h"
#include "coordinator/init-internal.h"
#include "mesh/ranges.h"
#include "wire/node-name.h"

int init_fail(int status, const char *format, ...)
{
	char text[2 * ERR_TEXT_MAX];
	va_list args;

	va_start(args, format);
	int n = vsnprintf(text, sizeof(text), format, args);

	va_end(args);
	text_say(stderr, "hearth-coord init: %s%s", n < 0 ? format : text,
		status == USAGE_STATUS ? "; see hearth-coord init --help" : "");
	return status;
}

static void usage(void)
{
	fputs("usage: hearth-coord init [OPTION...]\n"
	      "Makes a mesh on this machine: its keys, its address ranges, its coordinator.\n\n"
	      "  --mesh NAME          the mesh's name (default: home)\n"
	      "  --url URL            where boards find the coordinator, https://HOST:PORT; repeat "
	      "for\n"
	      "                       more (default: every address of this machine's uplinks)\n"
	      "  --port PORT          the port in those default addresses (8443)\n"
	      "  --mesh4 PREFIX       mesh addresses, IPv4 (10.77.0.0/16)\n"
	      "  --ula PREFIX         the /48 for everything IPv6 (random, in fd00::/8)\n"
	      "  --pods4 PREFIX       pods, IPv4 (10.244.0.0/16): a /24 for each board\n"
	      "  --pods6 PREFIX       pods, IPv6 (of the ULA): a /64 for each board\n"
	      "  --services4 PREFIX   Kubernetes services, IPv4 (10.96.0.0/16)\n"
	      "  --services6 PREFIX   Kubernetes services, IPv6 (of the ULA)\n"
	      "  --allow-public-ranges  take ranges that are not private: those of the owner\n"
	      "  --if-needed          succeed if there is a coordinator already\n"
	      "  --dry-run            check and show, write nothing\n"
	      "  --state DIR          where it is kept (" NAMES_COORD_STATE ")\n"
	      "  --user USER          who will own it, if run as root (" COORD_USER ")\n"
	      "  --help, --version\n",
		stdout);
}

static int set_range(struct settings *s, const char *flag, const char *text)
{
	struct ip_prefix prefix;
	bool v6 = flag[strlen(flag) - 1] == '6' || !strcmp(flag, "ula");

	if (ip_prefix_parse(text, &prefix) < 0 || !strchr(text, '/') ||
		prefix.addr.family != (v6 ? AF_INET6 : AF_INET))
		return init_fail(USAGE_STATUS,
			"--%s %s: write an %s prefix such as %s, with no bits set behind its "
			"length",
			flag, text, v6 ? "IPv6" : "IPv4",
			v6 ? "fd12:3456:789a::/48" : "10.77.0.0/16");
	if (!strcmp(flag, "ula")) {
		if (ranges_set_ula(s, &prefix) < 0)
			return init_fail(
				USAGE_STATUS, "--ula %s: it must be a /48 in fd00::/8", text);
	} else if (!strcmp(flag, "mesh4")) {
		s->mesh4 = prefix;
	} else if (!strcmp(flag, "pods4")) {
		s->pods4 = prefix;
	} else if (!strcmp(flag, "pods6")) {
		s->pods6 = prefix;
	} else if (!strcmp(flag, "services4")) {
		s->services4 = prefix;
	} else {
		s->services6 = prefix;
	}
	settings_set_virtual(s);
	return 0;
}

static int add_url(struct init *i, const char *url)
{
	struct settings *s = &i->settings;
	struct err err = { 0 };

	if (s->n_urls == FIELD_URLS_MAX)
		return init_fail(USAGE_STATUS, "--url: %d are the most", FIELD_URLS_MAX);
	if (outside_choose_url(url, s->urls[s->n_urls], &err) < 0)
		return init_fail(USAGE_STATUS, "--url: %s", err.text);
	s->n_urls++;
	i->has_urls = true;
	return 0;
}

enum {
	OPT_MESH = 256,
	OPT_URL,
	OPT_PORT,
	OPT_STATE,
	OPT_USER,
	OPT_IF_NEEDED,
	OPT_DRY,
	OPT_RANGE,
	OPT_PUBLIC
};

static const struct option options[] = {
	{ "mesh", required_argument, NULL, OPT_MESH },
	{ "url", required_argument, NULL, OPT_URL },
	{ "port", required_argument, NULL, OPT_PORT },
	{ "state", required_argument, NULL, OPT_STATE },
	{ "user", required_argument, NULL, OPT_USER },
	{ "if-needed", no_argument, NULL, OPT_IF_NEEDED },
	{ "dry-run", no_argument, NULL, OPT_DRY },
	{ "allow-public-ranges", no_argument, NULL, OPT_PUBLIC },
	{ "help", no_argument, NULL, 'h' },
	{ "ula", required_argument, NULL, OPT_RANGE },
	{ "mesh4", required_argument, NULL, OPT_RANGE },
	{ "pods4", required_argument, NULL, OPT_RANGE },
	{ "pods6", required_argument, NULL, OPT_RANGE },
	{ "services4", required_argument, NULL, OPT_RANGE },
	{ "services6", required_argument, NULL, OPT_RANGE },
	{ 0 },
};

/* A mesh is named as a node is, but none of its names is reserved: it stands before ".internal". */
static int set_mesh(struct settings *s, const char *text)
{
	char name[FIELD_NAME_MAX + 1], near[NODE_NAME_MAX];
	size_t len = strnlen(text, FIELD_NAME_MAX);

	for (size_t i = 0; i < len; i++)
		name[i] = (char) (text[i] >= 'A' && text[i] <= 'Z' ? text[i] + 'a' - 'A' : text[i]);
	name[len] = '\0';
	if (!field_name_is_valid(name)) {
		bool offer = node_name_suggest(text, near);

		return init_fail(USAGE_STATUS,
			"--mesh %.80s: a name is 1 to 63 of a-z, 0-9 and hyphens, not at its "
			"ends%s%s%s",
			text, offer ? "; \"" : "", offer ? near : "", offer ? "\" would do" : "");
	}
	memcpy(s->mesh, name, len + 1);
	return 0;
}

static int read_option(struct init *i, int c, int index, const char *wrong)
{
	uint64_t port;

	switch (c) {
	case OPT_MESH:
		return set_mesh(&i->settings, optarg);
	case OPT_URL:
		return add_url(i, optarg);
	case OPT_PORT:
		if (number_parse(optarg, 1, UINT16_MAX, &port) < 0)
			return init_fail(USAGE_STATUS, "--port %s: write 1 to 65535", optarg);
		i->port = (uint16_t) port;
		return 0;
	case OPT_STATE:
		i->state_dir = optarg;
		return 0;
	case OPT_USER:
		i->user = optarg;
		return 0;
	case OPT_IF_NEEDED:
		i->if_needed = true;
		return 0;
	case OPT_DRY:
		i->dry_run = true;
		return 0;
	case OPT_PUBLIC:
		i->allow_public = true;
		return 0;
	case OPT_RANGE: /* the ULA first, whatever the order: the others are told apart from it */
		return strcmp(options[index].name, "ula") ? 0
							  : set_range(&i->settings, "ula", optarg);
	case 'h':
		usage();
		return -1;
	default:
		return init_fail(USAGE_STATUS, "%s", wrong);
	}
}

int init_read_options(struct init *i, int argc, char **argv)
{
	char wrong[USAGE_TEXT_MAX];
	int index = 0, r = 0;

	optind = 1;
	for (int c; r == 0 && (c = usage_getopt(argc, argv, "h", options, &index, wrong)) != -1;)
		r = read_option(i, c, index, wrong);
	if (r == 0 && optind < argc)
		return init_fail(USAGE_STATUS,
			"\"%.40s\" is one word too many (did you mean --mesh %.40s?)", argv[optind],
			argv[optind]);
	optind = 1;
	for (int c; r == 0 && (c = usage_getopt(argc, argv, "h", options, &index, wrong)) != -1;)
		if (c == OPT_RANGE && strcmp(options[index].name, "ula") != 0)
			r = set_range(&i->settings, options[index].name, optarg);
	return r;
}
