/*
 * hearth log: what became of the mesh, record by record. The records are proved here, down to the
 * root key that this board's configuration names: hearthd, which keeps them, can leave out the
 * newest, and change none.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "board/config.h"
#include "cli/cli.h"
#include "mesh/log.h"
#include "mesh/netmap.h"
#include "mesh/story.h"
#include "wire/node-name.h"

enum { PAGE_MAX = 1024 };

struct view {
	struct mesh_log *log;
	struct netmap *netmap;
	json_t *records; /* of all boards, until one is chosen */
	unsigned rekeys;
	struct buf rekeyed; /* "7, 12" */
};

static void view_done(struct view *v)
{
	mesh_log_free(v->log);
	netmap_free(v->netmap);
	json_decref(v->records);
	buf_done(&v->rekeyed);
}

static int add(struct view *v, const struct record *record)
{
	struct err err = { 0 };
	struct story story;
	char by[STORY_KEY_LEN];

	if (mesh_log_append(v->log, record, &err) < 0)
		return cli_fail(CLI_FAILED,
			"what hearthd has is not this mesh's log, from record %llu on: %s",
			(unsigned long long) mesh_log_head(v->log) + 1, err.text);
	story_tell(v->netmap, record, &story);
	int r = netmap_apply(v->netmap, record, NULL, &err);

	if (r == -ENOMEM)
		return cli_fail(CLI_FAILED, "out of memory");
	if (story.rekeys && r >= 0)
		buf_printf(&v->rekeyed, "%s%llu", v->rekeys++ ? ", " : "",
			(unsigned long long) record->seq);
	json_t *shown = json_pack("{s:I, s:s, s:s, s:I, s:s, s:b, s:s, s:s}", "seq",
		(json_int_t) record->seq, "type", record->type, "by", story_key(record->by, by),
		"node", (json_int_t) story.id, "name", story.name, "rekeys", story.rekeys && r >= 0,
		"refused", r < 0 ? err.text : "", "text", story.text);

	return json_array_append_new(v->records, shown) < 0 ? cli_fail(CLI_FAILED, "out of memory")
							    : 0;
}

/* A page; @ret_more: there is another one. */
static int read_page(struct view *v, bool *ret_more)
{
	CLEANUP_JSON json_t *reply = NULL;
	struct record *records = NULL;
	struct err err = { 0 };
	size_t n = 0;
	int r = cli_call(CLI_HEARTHD, "log",
		json_pack("{s:I}", "from", (json_int_t) mesh_log_head(v->log) + 1), &reply);

	if (r)
		return r;
	if (record_list_from_json(reply, "records", PAGE_MAX, &records, &n, &err) < 0)
		return cli_fail(CLI_FAILED, "hearthd's answer cannot be understood: %s", err.text);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = add(v, &records[i]);
	records = record_list_free(records, n);
	*ret_more = n > 0 && mesh_log_head(v->log) < cli_u64(reply, "seq");
	return r;
}

static const char *id_text(const json_t *record, char ret[static 24])
{
	(void) snprintf(ret, 24, "%llu", (unsigned long long) cli_u64(record, "node"));
	return ret;
}

/*
 * Whether @record is about the board that is @meant: once called so, or no longer there and so or
 * at that address.
 */
static bool was(const struct view *v, const json_t *record, const struct node_meant *meant)
{
	uint32_t id = (uint32_t) cli_u64(record, "node");
	const struct node *gone = NULL;

	if (meant->name[0] && !strcmp(cli_str(record, "name"), meant->name))
		return true;
	return netmap_was_removed(v->netmap, id, &gone) && gone && node_meant_fits(meant, gone);
}

/* Keeps the records of one board, under all its names; if none is there, of those that were. */
static int choose(struct view *v, const char *text)
{
	const struct settings *settings = netmap_settings(v->netmap);
	const struct node *node = netmap_find(v->netmap, text);
	CLEANUP_JSON json_t *ids = json_object(), *kept = json_array();
	struct node_meant meant;
	size_t i;
	json_t *record;
	char id[24];

	if (!ids || !kept)
		return cli_fail(CLI_FAILED, "out of memory");
	node_meant_parse(text, settings ? settings->mesh : NULL, &meant);
	json_array_foreach(v->records, i, record)
	{
		if (node ? node->id == cli_u64(record, "node") : was(v, record, &meant))
			(void) json_object_set_new(ids, id_text(record, id), json_true());
	}
	json_array_foreach(v->records, i, record)
	{
		if (json_object_get(ids, id_text(record, id)))
			(void) json_array_append(kept, record);
	}
	if (!json_array_size(kept))
		return cli_fail(CLI_FAILED,
			"no board is or was \"%s\"; `hearth log` alone shows all", text);
	json_decref(v->records);
	v->records = TAKE(kept);
	return 0;
}

static void print(struct view *v)
{
	CLEANUP_CLI_TABLE struct cli_table t = { 0 };
	static const char *const head[] = { "RECORD", "SIGNED BY", "WHAT" };

	cli_table_head(&t, head, ARRAY_LEN(head));
	size_t i;
	json_t *record;

	json_array_foreach(v->records, i, record)
	{
		CLEANUP_BUF struct buf what = { 0 };
		char seq[24];

		(void) snprintf(
			seq, sizeof(seq), "%llu", (unsigned long long) cli_u64(record, "seq"));
		buf_printf(&what, "%s%s%s%s", cli_str(record, "text"),
			*cli_str(record, "refused") ? " (believed by nobody: " : "",
			cli_str(record, "refused"), *cli_str(record, "refused") ? ")" : "");
		cli_table_add(&t, seq);
		cli_table_add(&t, cli_str(record, "by"));
		cli_table_add(&t, buf_str(&what));
	}
	cli_table_print(&t);
	if (v->rekeys)
		printf("\nA board was given other keys by record%s %s. `hearth token create "
		       "--replace` does that; "
		       "so can whoever takes over the coordinator.\n",
			v->rekeys > 1 ? "s" : "", buf_str(&v->rekeyed));
}

static int open_view(struct view *v)
{
	char path[PATH_TEXT_MAX];
	struct config config;
	struct paths paths;
	struct err err = { 0 };

	paths_init(&paths);
	if (config_read(paths_join(paths.etc, "hearthd.yaml", path), &config, &err) < 0)
		return cli_fail(CLI_FAILED, "%s", err.text);
	v->log = mesh_log_new(config.root);
	v->netmap = netmap_new();
	v->records = json_array();
	return v->log && v->netmap && v->records ? 0 : cli_fail(CLI_FAILED, "out of memory");
}

int cli_log(const struct cli_verb *verb, int argc, char **argv)
{
	struct cli_options o = { .verb = verb };
	CLEANUP(view_done) struct view v = { 0 };
	bool more = true;

	for (int c; (c = cli_getopt(&o, argc, argv, NULL)) != -1;)
		return c == 'h' ? CLI_DONE : CLI_USAGE;
	int r = cli_operands(&o, argc, argv, 0, 1);

	if (r)
		return r;
	r = open_view(&v);
	while (r == 0 && more)
		r = read_page(&v, &more);
	if (r == 0 && optind < argc)
		r = choose(&v, argv[optind]);
	if (r)
		return r;
	if (!o.json) {
		print(&v);
		return CLI_DONE;
	}
	CLEANUP_JSON json_t *out = json_pack("{s:I, s:i, s:O}", "seq",
		(json_int_t) mesh_log_head(v.log), "rekeys", (int) v.rekeys, "records", v.records);

	return out ? cli_print_json(out) : cli_fail(CLI_FAILED, "out of memory");
}
