/* relay-login: see relay-login.h. */
#include "node/relay-login.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/encode.h"

enum {
	UNSENT_MAX = 128 * 1024, /* that the kernel holds behind what is on its way */
	UNHEARD_MS = 10000,      /* what was sent is not acknowledged for so long: it is gone */
};

static void cancel_dials(struct relay_login *l)
{
	for (size_t i = 0; i < l->n_dials; i++)
		l->dials[i].dial = dial_cancel(l->dials[i].dial);
	l->n_dials = 0;
}

static void end_talk(struct relay_login *l)
{
	l->io = sd_event_source_disable_unref(l->io);
	if (l->talk)
		derp_login_done(l->talk);
	free(l->talk);
	l->talk = NULL;
}

void relay_login_stop(struct relay_login *l)
{
	cancel_dials(l);
	end_talk(l);
	l->conn = dial_conn_free(l->conn);
	l->read_at = l->read_len = 0;
	l->state = RELAY_LOGIN_OFF;
}

/* l->why says what has happened. */
static void fail(struct relay_login *l)
{
	relay_login_stop(l);
	l->state = RELAY_LOGIN_FAILED;
}

/* --- hosts, for people and for HTTP --- */

/* What is dialled as @to; in @ret, if it has no name. */
static const char *host_of(
	const struct relay_login *l, const struct relay_addr *to, char ret[static IP_TEXT_MAX])
{
	return to->host == RELAY_ADDRS_OWN ? ip_addr_format(&to->addr, ret)
					   : l->record->hosts[to->host];
}

enum { HOST_PORT_MAX = FIELD_HOST_MAX + 16 };

/* With its port, as in a URL. Returns @ret. */
static const char *format_host(const struct relay_login *l, char ret[static HOST_PORT_MAX])
{
	char text[IP_TEXT_MAX];
	const char *host = host_of(l, &l->to, text);
	bool bare = strchr(host, ':');

	(void) snprintf(ret, HOST_PORT_MAX, "%s%s%s:%u", bare ? "[" : "", host, bare ? "]" : "",
		(unsigned) l->record->tcp);
	return ret;
}

void relay_login_blame(const struct relay_login *l, struct err *err)
{
	char text[HOST_PORT_MAX];

	(void) err_prefix(err, "TLS to %s", format_host(l, text));
}

static void fail_there(struct relay_login *l)
{
	relay_login_blame(l, &l->why);
	fail(l);
}

/* --- talking --- */

static int send_talk(struct relay_login *l)
{
	size_t len;
	const uint8_t *data = derp_login_output(l->talk, &len);

	while (len) {
		ssize_t n = dial_conn_send(l->conn, data, len);

		if (n == -EAGAIN)
			return 0;
		if (n < 0)
			return err_set(
				&l->why, (int) n, "the connection broke: %s", strerror((int) -n));
		derp_login_sent(l->talk, (size_t) n);
		data = derp_login_output(l->talk, &len);
	}
	return 0;
}

/* As derp_login_input(). */
static int receive_talk(struct relay_login *l)
{
	for (;;) {
		ssize_t n = dial_conn_receive(l->conn, l->read, sizeof(l->read));
		size_t left = n > 0 ? (size_t) n : 0;
		const uint8_t *data = l->read;
		int r;

		if (n == -EAGAIN)
			return 0;
		if (n <= 0)
			return err_set(&l->why, n ? (int) n : -ECONNRESET,
				"it hangs up before it lets us in");
		r = derp_login_input(l->talk, &data, &left, &l->why);
		if (r > 0) {
			l->read_at = (size_t) (data - l->read);
			l->read_len = l->read_at + left;
		}
		if (r)
			return r;
	}
}

static void talk(struct relay_login *l)
{
	size_t left;
	int r = send_talk(l);

	if (r == 0)
		r = receive_talk(l);
	if (r < 0)
		return fail_there(l);
	if (r > 0) {
		end_talk(l);
		l->state = RELAY_LOGIN_IN;
		return;
	}
	(void) derp_login_output(l->talk, &left);
	/* Without it time goes by, which ends it. */
	(void) sd_event_source_set_io_events(l->io, EPOLLIN | (left ? EPOLLOUT : 0));
}

static int on_ready(sd_event_source *source, int fd, uint32_t revents, void *ctx)
{
	struct relay_login *l = ctx;

	talk(l);
	l->changed(l->ctx);
	return 0;
}

static int begin_talk(struct relay_login *l)
{
	const struct derp_keys self = { l->core->wg_private, l->core->wg_public };
	uint8_t nonce[DERP_NONCE_LEN];
	char host[HOST_PORT_MAX];
	struct derp_login *login = malloc(sizeof(*login));
	int r;

	if (!login)
		return -ENOMEM;
	randombytes_buf(nonce, sizeof(nonce));
	r = derp_login_init(login, &self, l->record->key, format_host(l, host), nonce);
	if (r < 0) {
		free(login);
		return r;
	}
	l->talk = login;
	return sd_event_add_io(
		l->core->event, &l->io, dial_conn_fd(l->conn), EPOLLIN | EPOLLOUT, on_ready, l);
}

/* What is lost on the way is known in seconds; what waits, waits here, where it can be dropped. */
static void set_options(int fd)
{
	const int unsent = UNSENT_MAX;
	const unsigned unheard = UNHEARD_MS;

	(void) setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof(unsent));
	(void) setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unheard, sizeof(unheard));
}

/* --- dialling --- */

static void stands(struct relay_login *l, struct dial_conn *conn, uint64_t now_us)
{
	int r;

	cancel_dials(l);
	l->conn = conn;
	l->state = RELAY_LOGIN_TALKS;
	l->until_us = now_us + RELAY_LOGIN_US;
	set_options(dial_conn_fd(conn));
	r = begin_talk(l);
	if (r == 0)
		return talk(l);
	err_set(&l->why, r, "begin to log in: %s", strerror(-r));
	fail_there(l);
}

/* The last of them, unless there is one that a person must hear of. */
static unsigned weight(int code)
{
	return code == -EKEYREJECTED ? 2 : code == -EACCES ? 1 : 0;
}

/* @err begins with host and port. */
static void note_failure(struct relay_login *l, const struct err *err)
{
	if (weight(err->code) < weight(l->why.code))
		return;
	err_set(&l->why, err->code, "TLS to %s", err->text);
}

static void on_dialled(void *ctx, struct dial_conn *conn, const struct err *err)
{
	struct relay_login_dial *d = ctx;
	struct relay_login *l = d->login;
	uint64_t now_us = clock_now_us();

	d->dial = NULL;
	if (conn) {
		l->to = d->to;
		l->stood = true;
		stands(l, conn, now_us);
	} else {
		/* Who asks on and on with a wrong password may be locked out. */
		l->spares_proxy |= !d->to.addr.family && err->code == -EACCES;
		note_failure(l, err);
		l->next_us = now_us;
	}
	l->changed(l->ctx);
}

static const struct settings *settings_of(const struct relay_login *l)
{
	return netmap_settings(book_netmap(l->core->book));
}

static enum proxy_use use_of(const struct relay_login *l, size_t host)
{
	return host == RELAY_ADDRS_OWN ? PROXY_NEVER
				       : wayout_choose(&l->core->wayout, settings_of(l),
						 l->record->hosts[host], l->record->tcp);
}

/* Addresses, and hosts whose address the proxy knows. */
static size_t find_targets(
	const struct relay_login *l, struct relay_addr ret[static RELAY_LOGIN_TARGETS])
{
	size_t n = 0;

	for (size_t i = 0; i < l->addrs->n; i++)
		if (use_of(l, l->addrs->list[i].host) != PROXY_ALWAYS)
			ret[n++] = l->addrs->list[i];
	for (size_t i = 0; i < l->record->n_hosts; i++)
		if (!l->spares_proxy && use_of(l, i) != PROXY_NEVER)
			ret[n++] = (struct relay_addr){ .host = i };
	return n;
}

static bool is_same(const struct relay_addr *a, const struct relay_addr *b)
{
	return ip_addr_equal(&a->addr, &b->addr) && (a->addr.family || a->host == b->host);
}

static bool is_begun(const struct relay_login *l, const struct relay_addr *to)
{
	for (size_t i = 0; i < l->n_dials; i++)
		if (is_same(&l->dials[i].to, to))
			return true;
	return false;
}

/* The next that was not dialled yet: where it stood last, then in order. False: there is none. */
static bool next_target(const struct relay_login *l, struct relay_addr *ret)
{
	struct relay_addr list[RELAY_LOGIN_TARGETS];
	size_t n = find_targets(l, list);
	bool found = false;

	if (l->n_dials == RELAY_LOGIN_TARGETS)
		return false;
	for (size_t i = n; i-- > 0;)
		if (!is_begun(l, &list[i])) {
			*ret = list[i];
			found = true;
		}
	for (size_t i = 0; i < n && l->stood; i++)
		if (is_same(&list[i], &l->to) && !is_begun(l, &list[i]))
			*ret = list[i];
	return found;
}

/* Of the proxy's addresses: one of the mesh would lead into the tunnel. */
static bool may_use(void *ctx, const struct ip_addr *addr)
{
	const struct settings *settings = settings_of(((struct relay_login_dial *) ctx)->login);
	struct ip_addr plain = ip_addr_unmapped(addr);
	struct ip_prefix inside[SETTINGS_RANGES];
	size_t n = settings ? settings_ranges(settings, inside) : 0;

	for (size_t i = 0; i < n; i++)
		if (ip_prefix_contains(&inside[i], &plain))
			return false;
	return true;
}

static void dial_target(struct relay_login *l, const struct relay_addr *to, uint64_t now_us)
{
	struct relay_login_dial *d = &l->dials[l->n_dials++];
	char pin[KEY_BASE64_LEN], text[IP_TEXT_MAX];
	struct dial_options options = { .host = host_of(l, to, text),
		.port = l->record->tcp,
		.addrs = &d->to.addr,
		.n_addrs = to->addr.family ? 1 : 0,
		.proxy = to->addr.family ? NULL : l->core->wayout.url,
		.pin = pin,
		.may_use = may_use,
		.timeout_us = RELAY_LOGIN_DIAL_US };
	struct err err = { 0 };

	*d = (struct relay_login_dial){ .login = l, .to = *to };
	key_to_base64(l->record->pin, pin);
	l->next_us = now_us + RELAY_LOGIN_NEXT_US;
	if (dial_start(l->core->event, &options, on_dialled, d, &d->dial, &err) == 0)
		return;
	note_failure(l, &err);
	l->next_us = now_us;
}

static bool is_dialling(const struct relay_login *l)
{
	for (size_t i = 0; i < l->n_dials; i++)
		if (l->dials[i].dial)
			return true;
	return false;
}

static void go_on_dialling(struct relay_login *l, uint64_t now_us)
{
	struct relay_addr to;

	while (now_us >= l->next_us && next_target(l, &to))
		dial_target(l, &to, now_us);
	if (is_dialling(l) || next_target(l, &to) || l->addrs->asking)
		return;
	if (!l->n_dials)
		l->why = l->addrs->why;
	fail(l);
}

void relay_login_begin(struct relay_login *l, uint64_t now_us)
{
	relay_login_stop(l);
	relay_addrs_ask_again(l->addrs, now_us);
	l->spares_proxy = false;
	l->why = (struct err){ 0 };
	l->next_us = now_us;
	l->state = RELAY_LOGIN_DIALS;
}

uint64_t relay_login_run(struct relay_login *l, uint64_t now_us)
{
	struct relay_addr to;

	if (l->state == RELAY_LOGIN_DIALS)
		go_on_dialling(l, now_us);
	if (l->state == RELAY_LOGIN_TALKS && now_us >= l->until_us) {
		err_set(&l->why, -ETIMEDOUT, "it does not let us in");
		fail_there(l);
	}
	if (l->state == RELAY_LOGIN_TALKS)
		return l->until_us;
	return l->state == RELAY_LOGIN_DIALS && next_target(l, &to) ? l->next_us : UINT64_MAX;
}

/* --- in --- */

ssize_t relay_login_receive(void *login, void *ret, size_t len)
{
	struct relay_login *l = login;
	size_t n = l->read_len - l->read_at;

	if (n == 0)
		return dial_conn_receive(l->conn, ret, len);
	if (n > len)
		n = len;
	memcpy(ret, l->read + l->read_at, n);
	l->read_at += n;
	return (ssize_t) n;
}

ssize_t relay_login_send(void *login, const void *data, size_t len)
{
	return dial_conn_send(((struct relay_login *) login)->conn, data, len);
}

void relay_login_init(struct relay_login *l, struct core *core, const struct node_relay *record,
	struct relay_addrs *addrs, void (*changed)(void *ctx), void *ctx)
{
	*l = (struct relay_login){
		.core = core, .record = record, .addrs = addrs, .changed = changed, .ctx = ctx
	};
}
