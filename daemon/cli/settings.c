/* The verbs for what all boards of the mesh have in common, asked of hearth-coord. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/usage.h"
#include "cli/cli.h"
#include "wire/settings.h"

/* --- what is shown --- */

/* One line of several of a kind: only the first says which. */
static void begin_line(const char *what, size_t i)
{
	printf("%-13s", i ? "" : what);
}

static void print_pair(const char *what, const json_t *obj, const char *four, const char *six)
{
	printf("%-13s%s  %s\n", what, cli_str(obj, four), cli_str(obj, six));
}

/* One a line, each behind @prefix; "none" where there is none. */
static void print_list(const char *what, const char *prefix, const json_t *list)
{
	size_t i;
	json_t *item;

	json_array_foreach((json_t *) list, i, item)
	{
		begin_line(what, i);
		printf("%s%s\n", prefix, cli_text(item, "?"));
	}
	if (!json_array_size(list))
		printf("%-13snone\n", what);
}

static bool is_among(const json_t *list, const json_t *text)
{
	size_t i;
	json_t *item;

	json_array_foreach((json_t *) list, i, item) if (json_equal(item, text)) return true;
	return false;
}

static void print_urls(const json_t *reply, const json_t *urls)
{
	const json_t *by_hand = json_object_get(reply, "by_hand");
	size_t i;
	json_t *item;

	json_array_foreach((json_t *) urls, i, item)
	{
		bool hand = is_among(by_hand, item);

		begin_line("coordinator", i);
		printf("%s%s\n", cli_text(item, "?"), hand ? "  (set by hand)" : "");
	}
	json_array_foreach(json_object_get(reply, "coordinators"), i, item)
	{
		const char *name = cli_str(item, "name");

		printf("%-13sport %llu of node %llu%s%s, at its mesh addresses\n", "",
			(unsigned long long) cli_u64(item, "port"),
			(unsigned long long) cli_u64(item, "node"), *name ? ", " : "", name);
	}
	printf("%-13s%s\n", "",
		json_is_true(json_object_get(reply, "automatic"))
			? "new addresses of its machine are added by themselves"
			: "new addresses of its machine are not added (--url automatic does that)");
}

static void print_relays(const json_t *relays)
{
	size_t i;
	json_t *item;

	json_array_foreach((json_t *) relays, i, item)
	{
		const char *pin = cli_str(item, "pin");
		unsigned long long stun = cli_u64(item, "stun");
		char port[48] = "no STUN";

		if (stun)
			(void) snprintf(port, sizeof(port), "STUN on UDP %llu", stun);
		begin_line("relays", i);
		printf("%s  %s, TCP %llu, %s, ", cli_str(item, "name"), cli_str(item, "host"),
			(unsigned long long) cli_u64(item, "tcp"), port);
		if (!strcmp(pin, "web"))
			printf("known by its certificate, as web servers are\n");
		else
			printf("known by its pin sha256//%s\n", pin);
	}
	if (!json_array_size(relays))
		printf("%-13snone but the mesh's own\n", "relays");
}

static void print_settings(const json_t *reply)
{
	const json_t *s = json_object_get(reply, "settings"),
		     *virtual = json_object_get(s, "virtual");
	const char *next = cli_str(s, "next_pin");

	printf("%-13s%s\n", "mesh", cli_str(s, "mesh"));
	print_pair("addresses", s, "mesh4", "mesh6");
	print_pair("pods", s, "pods4", "pods6");
	print_pair("services", s, "services4", "services6");
	print_pair("virtual API", virtual, "api4", "api6");
	print_pair("virtual DNS", virtual, "dns4", "dns6");
	print_urls(reply, json_object_get(s, "urls"));
	print_list("its pins", "sha256//", json_object_get(s, "pins"));
	printf("%-13s%s%s\n", "next pin", *next ? "sha256//" : "none", next);
	print_list("STUN", "", json_object_get(s, "stun"));
	print_relays(json_object_get(s, "relays"));
}

int cli_settings_get(const struct cli_verb *verb, int argc, char **argv)
{
	struct cli_options o = { .verb = verb };

	for (int c; (c = cli_getopt(&o, argc, argv, NULL)) != -1;)
		return c == 'h' ? CLI_DONE : CLI_USAGE;
	int r = cli_operands(&o, argc, argv, 0, 0);

	if (r)
		return r;
	CLEANUP_JSON json_t *reply = NULL;

	r = cli_call(CLI_COORDINATOR, "settings.get", NULL, &reply);
	if (r)
		return r;
	if (o.json)
		return cli_print_json(reply);
	print_settings(reply);
	return CLI_DONE;
}

/* --- what is set --- */

static const char automatic[] = "automatic", none[] = "none";

enum { LIST_URLS, LIST_STUN, LIST_RELAYS, OPT_LIST = 256 };

static const struct option set_options[] = {
	{ "url", required_argument, NULL, OPT_LIST + LIST_URLS },
	{ "stun", required_argument, NULL, OPT_LIST + LIST_STUN },
	{ "relay", required_argument, NULL, OPT_LIST + LIST_RELAYS },
	{ 0 },
};

static int read_url(const char *text, json_t **ret, struct err *err)
{
	static const char *const words[] = { automatic, NULL };
	char url[FIELD_URL_MAX];

	if (!strcmp(text, automatic)) {
		*ret = json_string(automatic);
		return 0;
	}
	if (!strchr(text, ':') && usage_nearest(text, words))
		return err_set(err, -EINVAL,
			"\"%.40s\" is neither a URL nor the word %s; did you mean %s?", text,
			automatic, automatic);
	if (outside_choose_url(text, url, err) < 0)
		return -EINVAL;
	*ret = json_string(url);
	return 0;
}

static int read_stun(const char *text, json_t **ret, struct err *err)
{
	char written[OUTSIDE_TEXT_MAX];
	struct outside at;

	if (outside_choose(text, FOREIGN_STUN, &at, err) < 0)
		return -EINVAL;
	*ret = json_string(outside_format(&at, written));
	return 0;
}

static int read_relay(const char *text, json_t **ret, struct err *err)
{
	struct foreign relay;

	if (foreign_choose(text, &relay, err) < 0)
		return -EINVAL;
	*ret = foreign_to_json(&relay, NULL);
	return 0;
}

/* The options, each a list of the call. */
static const struct {
	const char *option, *field;
	size_t max;
	bool may_be_none; /* by that word, alone */
	int (*read)(const char *text, json_t **ret, struct err *err);
} lists[] = {
	[LIST_URLS] = { "--url", "urls", FIELD_URLS_MAX, false, read_url },
	[LIST_STUN] = { "--stun", "stun", SETTINGS_STUN_MAX, true, read_stun },
	[LIST_RELAYS] = { "--relay", "relays", SETTINGS_RELAYS_MAX, true, read_relay },
};

/* One more into its list; one that is there and empty was given the word. */
static int add(size_t which, const char *text, json_t *args)
{
	const char *option = lists[which].option, *field = lists[which].field;
	json_t *list = json_object_get(args, field), *item = NULL;
	bool is_none = lists[which].may_be_none && !strcmp(text, none);
	struct err err = { 0 };

	if (list && (is_none || !json_array_size(list)))
		return cli_fail(CLI_USAGE, "settings set: %s none stands alone", option);
	if (json_array_size(list) == lists[which].max)
		return cli_fail(
			CLI_USAGE, "settings set: %s: %zu are the most", option, lists[which].max);
	if (!is_none && lists[which].read(text, &item, &err) < 0)
		return cli_fail(CLI_USAGE, "settings set: %s: %s", option, err.text);
	if (!list)
		(void) json_object_set_new(args, field, json_array());
	list = json_object_get(args, field);
	if (!list || (!is_none && json_array_append_new(list, item) < 0))
		return cli_fail(CLI_FAILED, "out of memory");
	return 0;
}

static int read_words(struct cli_options *o, int argc, char **argv, json_t *args)
{
	for (int c; (c = cli_getopt(o, argc, argv, set_options)) != -1;) {
		if (c < OPT_LIST)
			return c == 'h' ? CLI_USAGE + 1 : CLI_USAGE;
		int r = add((size_t) (c - OPT_LIST), optarg, args);

		if (r)
			return r;
	}
	if (optind < argc)
		return cli_fail(CLI_USAGE,
			"settings set: what is \"%.40s\"? There are options only; did you mean "
			"--url %.40s?",
			argv[optind], argv[optind]);
	return json_object_size(args) ? 0
				      : cli_fail(CLI_USAGE, "settings set: nothing is to be set: "
							    "--url, --stun or --relay says what");
}

int cli_settings_set(const struct cli_verb *verb, int argc, char **argv)
{
	struct cli_options o = { .verb = verb };
	CLEANUP_JSON json_t *args = json_object(), *reply = NULL;
	int r = args ? read_words(&o, argc, argv, args) : cli_fail(CLI_FAILED, "out of memory");

	if (r)
		return r > CLI_USAGE ? CLI_DONE : r;
	r = cli_call(CLI_COORDINATOR, "settings.set", TAKE(args), &reply);
	if (r)
		return r;
	if (o.json)
		return cli_print_json(reply);
	fprintf(stderr, "%s\n",
		json_is_true(json_object_get(reply, "changed"))
			? "The settings are changed: boards learn of it at once, others when they "
			  "are back."
			: "These are the settings already; nothing was changed.");
	print_settings(reply);
	return CLI_DONE;
}
