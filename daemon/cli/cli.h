/*
 * cli: what the verbs of `hearth` share. A verb parses its own options, makes one call to hearthd
 * or to hearth-coord over their local sockets, and prints: a table for people on stdout, or with
 * --json the reply as it came. Talk goes to stderr.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

enum { CLI_DONE = 0, CLI_FAILED = 1, CLI_USAGE = 2 }; /* exit statuses */

struct cli_verb {
	const char *name; /* "token create" */
	const char *args; /* its operands and options in short */
	const char *help; /* one line */
	int (*run)(const struct cli_verb *verb, int argc, char **argv);
};

int cli_status(const struct cli_verb *verb, int argc, char **argv);
int cli_ping(const struct cli_verb *verb, int argc, char **argv);
int cli_why(const struct cli_verb *verb, int argc, char **argv);
int cli_ip(const struct cli_verb *verb, int argc, char **argv);
int cli_log(const struct cli_verb *verb, int argc, char **argv);
int cli_netcheck(const struct cli_verb *verb, int argc, char **argv);
int cli_reload(const struct cli_verb *verb, int argc, char **argv);
int cli_relay_enable(const struct cli_verb *verb, int argc, char **argv);
int cli_relay_disable(const struct cli_verb *verb, int argc, char **argv);
int cli_kube_publish(const struct cli_verb *verb, int argc, char **argv);
int cli_kube_approve(const struct cli_verb *verb, int argc, char **argv);
int cli_token_create(const struct cli_verb *verb, int argc, char **argv);
int cli_token_list(const struct cli_verb *verb, int argc, char **argv);
int cli_token_revoke(const struct cli_verb *verb, int argc, char **argv);
int cli_node_list(const struct cli_verb *verb, int argc, char **argv);
int cli_node_remove(const struct cli_verb *verb, int argc, char **argv);
int cli_node_rename(const struct cli_verb *verb, int argc, char **argv);
int cli_node_label(const struct cli_verb *verb, int argc, char **argv);
int cli_settings_get(const struct cli_verb *verb, int argc, char **argv);
int cli_settings_set(const struct cli_verb *verb, int argc, char **argv);
int cli_relay_list(const struct cli_verb *verb, int argc, char **argv);
int cli_relay_allow(const struct cli_verb *verb, int argc, char **argv);
int cli_relay_deny(const struct cli_verb *verb, int argc, char **argv);
int cli_relay_add(const struct cli_verb *verb, int argc, char **argv);
int cli_relay_remove(const struct cli_verb *verb, int argc, char **argv);

/* The table of relays that were added, of relay.list: after another one; nothing if none was. */
void cli_print_added(const json_t *added);

enum cli_server { CLI_HEARTHD, CLI_COORDINATOR };

/*
 * Calls @server. 0 and *ret (owned by the caller), or an exit status after the reason and what to
 * do about it have been printed to stderr. @args is stolen.
 */
int cli_call(enum cli_server server, const char *call, json_t *args, json_t **ret);
/* As above, but a refusal with code @code is returned as CLI_USAGE + 1 and not printed. */
int cli_call_unless(
	enum cli_server server, const char *call, json_t *args, const char *code, json_t **ret);

/*
 * From here on stdout and stderr are cleaned (base/text.h), whatever is printed, but for the ends
 * of lines: what people see here comes from daemons, and they have it from boards and coordinators.
 */
int cli_open_output(void);

/* Prints @json on one line and returns CLI_DONE. */
int cli_print_json(const json_t *json);

/* "hearth: ..." on stderr; returns @status. */
int cli_fail(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Options every verb knows: --json and --help, and those of @own (getopt_long). */
struct option;
struct cli_options {
	const struct cli_verb *verb;
	bool json;
};
/*
 * One step of getopt_long over @own plus --json and --help. Returns the option's value, -1 at the
 * end, '?' after saying what is wrong (the caller returns CLI_USAGE), 'h' after help was printed.
 */
int cli_getopt(struct cli_options *options, int argc, char **argv, const struct option *own);

/*
 * Whether the operands behind the options are @min to @max: 0, or CLI_USAGE after saying what is
 * wrong.
 */
int cli_operands(const struct cli_options *options, int argc, char **argv, int min, int max);

/* Strings of a reply, made fit for one line; never NULL where it is absent. */
const char *cli_text(json_t *string, const char *fallback);
const char *cli_str(const json_t *obj, const char *key);
/* All of a list, with commas in between. Borrowed from @buf. */
const char *cli_join(const json_t *list, struct buf *buf);
uint64_t cli_u64(const json_t *obj, const char *key);

/* A table whose columns are as wide as their widest cell; the first row names them. */
enum { CLI_COLUMNS_MAX = 10 };
struct cli_table {
	size_t columns;   /* set by cli_table_head() */
	struct buf cells; /* NUL-terminated texts, row after row */
	size_t n;
};
void cli_table_done(struct cli_table *table);
#define CLEANUP_CLI_TABLE CLEANUP(cli_table_done)
void cli_table_head(struct cli_table *table, const char *const *names, size_t n);
void cli_table_add(struct cli_table *table, const char *cell);
void cli_table_print(const struct cli_table *table);

/* "12 s", "5 min", "3 h", "2 d"; "never" for 0 as @since. Wall-clock seconds. */
const char *cli_ago(uint64_t since, uint64_t now, char ret_text[static 32]);
/* "0.61 ms", "4.2 ms", "41 ms"; "" for 0. */
const char *cli_rtt(uint64_t us, char ret_text[static 32]);
/* "1.2 MB" */
const char *cli_bytes(uint64_t bytes, char ret_text[static 32]);
