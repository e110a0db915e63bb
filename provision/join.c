/*
 * join: the token is redeemed. Whatever the coordinator says counts only as far as the log proves
 * it, from the root hash in the token on. Redeeming the same token again with the same identity key
 * is harmless, so every failure on the way is answered by another run with the same token.
 */
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/encode.h"
#include "base/file.h"
#include "base/names.h"
#include "base/yaml.h"
#include "board/book.h"
#include "provision/caller.h"
#include "provision/relay.h"
#include "wire/api.h"
#include "wire/node-name.h"

enum { TOKEN_INPUT_MAX = TOKEN_TEXT_MAX + 256, ROUNDS_MAX = 10000 };

static void wipe_buf(struct buf *buf)
{
	if (buf->data)
		sodium_memzero(buf->data, buf->cap);
	buf_done(buf);
}

/* All of a pipe. Bounded: it may be the wrong thing. */
static int read_input(int fd, struct buf *ret)
{
	char c;

	for (;;) {
		ssize_t n = read(fd, &c, 1);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return buf_failed(ret) ? -ENOMEM : 0;
		if (ret->len >= TOKEN_INPUT_MAX)
			return -EFBIG;
		buf_add(ret, &c, 1);
	}
}

/*
 * A terminal in line mode takes 4,095 characters, a token may have one more than that: so the keys
 * that line mode and signals would handle are handled here, and the terminal is itself again on
 * every way out.
 */
static int read_hidden(struct buf *ret)
{
	enum { CTRL_C = 3, CTRL_D = 4, BACKSPACE = 8, CTRL_U = 21, DELETE = 127 };

	for (;;) {
		char c;
		ssize_t n = read(STDIN_FILENO, &c, 1);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0 || c == '\n' || c == CTRL_D)
			return buf_failed(ret) ? -ENOMEM : 0;
		if (c == CTRL_C)
			return -ECANCELED;
		if (c == CTRL_U)
			ret->len = 0;
		else if ((c == BACKSPACE || c == DELETE) && ret->len)
			ret->len--;
		else if (c != BACKSPACE && c != DELETE)
			buf_add(ret, &c, 1);
		if (ret->data)
			ret->data[ret->len] = 0;
		if (ret->len > TOKEN_INPUT_MAX)
			return -EFBIG;
	}
}

static int prompt(struct buf *ret)
{
	struct termios saved, quiet;

	if (tcgetattr(STDIN_FILENO, &saved) < 0)
		return -errno;
	quiet = saved;
	quiet.c_lflag &= (tcflag_t) ~(ECHO | ICANON | ISIG);
	quiet.c_cc[VMIN] = 1;
	quiet.c_cc[VTIME] = 0;
	fprintf(stderr, "Enrolment token (from `hearth token create`; it is not shown): ");
	(void) fflush(stderr);
	if (tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet) < 0)
		return -errno;
	int r = read_hidden(ret);

	(void) tcsetattr(STDIN_FILENO, TCSAFLUSH, &saved);
	fputc('\n', stderr);
	return r;
}

int join_read_token(struct enroll *e, struct err *err)
{
	CLEANUP(wipe_buf) struct buf text = { 0 };
	const char *from = e->token_file ? e->token_file : "standard input";
	int r;

	if (e->token_file && strcmp(e->token_file, "-"))
		r = file_read_stream(e->token_file, TOKEN_INPUT_MAX, &text);
	else if (!e->token_file && isatty(STDIN_FILENO))
		r = prompt(&text);
	else
		r = read_input(STDIN_FILENO, &text);
	if (r < 0)
		return err_set(err, r, "read the token from %s: %s", from,
			r == -EFBIG ? "too long for a token" : strerror(-r));
	if (!strlen(buf_str(&text)) || strspn(buf_str(&text), " \t\r\n") == strlen(buf_str(&text)))
		return err_set(err, -ENODATA,
			"no token came from %s. Make one on the coordinator's board with `hearth "
			"token create`, and give it with --token-file FILE or on standard input",
			from);
	return token_parse(buf_str(&text), &e->token, err);
}

/* --- the coordinator --- */

/*
 * The name the board would like if neither the token nor --name says one: its host name, up to the
 * first dot, if that can be one. Else the host name as it is, so that the coordinator's refusal
 * names it.
 */
static json_t *host_name(void)
{
	char host[256] = "", name[NODE_NAME_MAX];

	if (gethostname(host, sizeof(host) - 1) < 0)
		return json_string("");
	host[strcspn(host, ".")] = 0;
	json_t *json = json_string(node_name_choose(host, name, NULL) == 0 ? name : host);

	return json ? json : json_string("?"); /* no UTF-8 */
}

static json_t *request_body(struct enroll *e, struct err *err)
{
	CLEANUP_API_ENROLL_REQUEST struct api_enroll_request request = { 0 };

	(void) snprintf(request.token_id, sizeof(request.token_id), "%s", e->token.id);
	memcpy(request.secret, e->token.secret, sizeof(request.secret));
	memcpy(request.wg, e->wg, sizeof(request.wg));
	(void) snprintf(request.name, sizeof(request.name), "%s", e->name);
	node_relay_copy(&e->offered, &request.relay);
	request.board = facts_to_json(&e->facts);
	json_t *body = NULL;

	if (request.board && !json_object_set_new(request.board, "hostname", host_name()))
		body = api_enroll_request_to_json(&request);
	if (!body)
		err_set(err, -ENOMEM, "out of memory");
	return body;
}

/*
 * A board asks with keys that are thrown away where it has none yet: any new ones get the same
 * answer.
 */
static void borrow_keys(struct enroll *e)
{
	if (sodium_is_zero(e->identity_seed, sizeof(e->identity_seed)))
		randombytes_buf(e->identity_seed, sizeof(e->identity_seed));
	if (sodium_is_zero(e->wg_private, sizeof(e->wg_private)))
		randombytes_buf(e->wg_private, sizeof(e->wg_private));
	local_public_keys(e);
}

/* An older coordinator can only be asked whether it is there. */
static int check_health(struct enroll *e, struct caller *caller, struct err *err)
{
	CLEANUP_JSON json_t *json = NULL;
	struct api_health health;
	char code[64];
	int r = caller_ask(caller, "GET", "/v1/health", NULL, &json, code, err);

	if (r == 0)
		r = api_health_from_json(json, &health, err);
	if (r == 0)
		talk_step(&e->talk, TALK_WOULD, "enroll",
			"redeem the token; the coordinator of mesh %s answers "
			"and holds the right key, but is too old to say whether it would accept it",
			health.mesh);
	return r;
}

int join_check(struct enroll *e, struct err *err)
{
	CLEANUP(caller_done) struct caller caller = { 0 };
	CLEANUP_JSON json_t *json = NULL;
	struct api_enroll_check check;
	char code[64];

	borrow_keys(e);
	int r = caller_init(e, &caller, err);
	CLEANUP_JSON json_t *body = r ? NULL : request_body(e, err);

	if (!body)
		return r ? r : err->code;
	r = caller_ask(&caller, "POST", "/v1/enroll/check", body, &json, code, err);
	if (r && e->relay && !caller.answered) {
		talk_step(&e->talk, TALK_WOULD, "enroll",
			"wait until the coordinator of mesh %s comes to this board's relay: "
			"nothing else leads there now",
			e->token.mesh);
		return 0;
	}
	if (r && !strcmp(code, api_code_name(API_NOT_FOUND)))
		return check_health(e, &caller, err);
	if (r == 0)
		r = api_enroll_check_from_json(json, &check, err);
	if (r)
		return r;
	talk_step(&e->talk, TALK_WOULD, "enroll",
		"redeem the token: the coordinator would make this board %s, %s of mesh %s",
		check.name, node_role_name(check.role), check.mesh);
	return 0;
}

/* Records in order; presences that are not acceptable are hearthd's to judge later. */
static int take_news(struct book *book, const struct api_news *news, struct err *err)
{
	int r = book_add_records(book, news->records, news->n_records, NULL, err);

	if (r < 0)
		return err_prefix(err, "the coordinator's answer cannot be believed");
	size_t i;
	json_t *doc;

	json_array_foreach(news->presence, i, doc)
	{
		struct book_heard heard;

		(void) book_add_presence(book, doc, clock_now_us(), &heard, NULL);
	}
	return 0;
}

/* A long log comes in several parts; the board starts with all of it. */
static int take_rest(struct caller *caller, struct book *book, struct err *err)
{
	for (int round = 0; round < ROUNDS_MAX; round++) {
		CLEANUP_JSON json_t *json = NULL;
		CLEANUP_API_NEWS struct api_news news = { 0 };
		char path[80], code[64];

		(void) snprintf(path, sizeof(path), "/v1/poll?seq=%llu&wait=0",
			(unsigned long long) mesh_log_head(book_log(book)));
		int r = caller_ask(caller, "GET", path, NULL, &json, code, err);

		if (r == 0 && (r = api_news_from_json(json, &news, err)))
			r = err_prefix(err, "the coordinator's answer cannot be understood");
		if (r == 0)
			r = take_news(book, &news, err);
		if (r || !news.n_records)
			return r;
	}
	return err_set(err, -E2BIG, "the coordinator's log does not end");
}

static int believe(struct enroll *e, struct caller *caller, const json_t *json, struct book *book,
	struct err *err)
{
	CLEANUP_API_ENROLL_REPLY struct api_enroll_reply reply = { 0 };
	int r = api_enroll_reply_from_json(json, &reply, err);

	if (r)
		return err_prefix(err, "the coordinator's answer cannot be understood");
	r = take_news(book, &reply.news, err);
	if (r == 0 && mesh_log_head(book_log(book)) < reply.news.head_seq)
		r = take_rest(caller, book, err);
	if (r)
		return r;
	const struct node *self = netmap_by_id(book_netmap(book), reply.node.id);

	if (!self || memcmp(self->wg, e->wg, sizeof(e->wg)) ||
		memcmp(self->identity, e->identity, sizeof(e->identity)))
		return err_set(err, -EBADMSG,
			"the coordinator says that this board is node %u, "
			"but its signed log does not",
			reply.node.id);
	book_save(book, UINT64_MAX);
	if (book_unsaved(book)->code)
		return err_set(err, book_unsaved(book)->code, "%s", book_unsaved(book)->text);
	e->config.node = reply.node.id;
	e->has_bundle = reply.news.has_kube;
	e->bundle = reply.news.kube;
	return 0;
}

/*
 * What was written as hearthd's user, as root sees it: whole, and no less than root has believed of
 * this mesh.
 */
static int follow(struct enroll *e, struct err *err)
{
	struct err why = { 0 };
	int r = trust_open(&e->paths, e->token.root, true, &e->trust, err);

	if (r == 0)
		r = local_follow(e, trust_netmap(e->trust), e->config.node, err);
	if (r || !e->has_bundle || kubefiles_believe(e, e->token.root, &why) == 0)
		return r;
	kube_bundle_done(&e->bundle);
	e->has_bundle = false;
	talk_step(&e->talk, TALK_NOTE, "enroll",
		"the join bundle of the coordinator is not used: %s", why.text);
	return 0;
}

static void book_close_p(struct book **book)
{
	book_close(*book);
}

static int join_as_user(
	struct enroll *e, struct caller *caller, const json_t *json, struct err *err)
{
	CLEANUP(book_close_p) struct book *book = NULL;
	int r = book_open(e->paths.state, e->token.root, &book, err);

	return r < 0 ? r : believe(e, caller, json, book, err);
}

int join_mesh(struct enroll *e, struct err *err)
{
	CLEANUP(caller_done) struct caller caller = { 0 };
	CLEANUP_JSON json_t *json = NULL;
	char code[64] = "";

	talk_wait(&e->talk, "enroll", "asking the coordinator of mesh %s", e->token.mesh);
	int r = caller_init(e, &caller, err);
	CLEANUP_JSON json_t *body = r ? NULL : request_body(e, err);

	if (!body)
		return r ? r : err->code;
	r = caller_ask(&caller, "POST", "/v1/enroll", body, &json, code, err);
	if (r < 0 && e->own_relay && !caller.answered)
		r = relay_await(e, &caller, body, &json, code, err);
	if (r < 0)
		return r;
	r = local_as_user(e, true, err);
	if (r == 0)
		r = join_as_user(e, &caller, json, err);
	int back = local_as_user(e, false, err);

	if (r == 0 && !back)
		r = follow(e, err);
	if (r || back)
		return r ? r : back;
	talk_step(&e->talk, TALK_DONE, "enroll", "%s of mesh %s, named %s",
		node_role_name(e->node.role), e->settings.mesh, e->node.name);
	return 0;
}

/* --- configuration --- */

static json_t *config_json(struct enroll *e)
{
	json_t *json = json_pack("{s:s, s:i, s:o, s:o, s:o}", "mesh", e->settings.mesh, "node",
		(int) e->node.id, "root", field_key(e->token.root), "urls",
		field_urls(e->token.urls, e->token.n_urls), "pins",
		field_keys(e->token.pins, e->token.n_pins));

	if (json && strcmp(e->config.interface, NAMES_LINK_DEFAULT))
		json_object_set_new(json, "interface", json_string(e->config.interface));
	if (json && e->config.port != CONFIG_PORT_DEFAULT)
		json_object_set_new(json, "port", json_integer(e->config.port));
	if (json && e->allow_public_ranges)
		json_object_set_new(json, "public_ranges", json_true());
	return json;
}

int join_write_config(struct enroll *e, struct err *err)
{
	char path[PATH_TEXT_MAX];
	CLEANUP_BUF struct buf text = { 0 };
	CLEANUP_JSON json_t *json = config_json(e);
	struct config config;

	buf_add_str(&text,
		"# Written by enroll-node: this board's place in the mesh. hearthd(8) reads it.\n");
	int r = json ? proxied_put(e, json, err) : -ENOMEM;

	if (r == 0)
		r = yaml_add(&text, json);
	if (r == 0)
		r = config_from_json(json, &config, err);
	if (r)
		return r == -ENOMEM ? err_set(err, r, "out of memory") : r;
	paths_join(e->paths.etc, "hearthd.yaml", path);
	r = file_mkdirs(e->paths.etc, 0755);
	if (r == 0)
		r = file_write_atomic(path, text.data, text.len, 0644);
	if (r < 0)
		return err_set(err, r, "write %s: %s", path, strerror(-r));
	e->config = config;
	e->enrolled = true;
	talk_step(&e->talk, TALK_DONE, "config", "%s", path);
	return 0;
}
