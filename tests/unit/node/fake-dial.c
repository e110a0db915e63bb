/* fake-dial: see fake-dial.h. */
#include "fake-dial.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "wire/derp-http.h"

struct dial fake_dials[FAKE_DIALS];
size_t fake_dials_n;
int fake_dial_fails;

void fake_dial_reset(void)
{
	for (size_t i = 0; i < fake_dials_n; i++) {
		buf_done(&fake_dials[i].conn.in);
		buf_done(&fake_dials[i].conn.out);
	}
	memset(fake_dials, 0, sizeof(fake_dials));
	fake_dials_n = 0;
	fake_dial_fails = 0;
}

void fake_dial_check(void)
{
	assert_int_equal(fake_dial_asked(), 0);
	for (size_t i = 0; i < fake_dials_n; i++) {
		assert_false(fake_dials[i].conn.there);
		assert_false(fake_dials[i].conn.open);
	}
}

struct dial *fake_dial_last(void)
{
	size_t i = fake_dials_n;

	while (i > 0 && !fake_dials[i - 1].asked)
		i--;
	assert_true(i > 0);
	return &fake_dials[i - 1];
}

size_t fake_dial_asked(void)
{
	size_t n = 0;

	for (size_t i = 0; i < fake_dials_n; i++)
		n += fake_dials[i].asked;
	return n;
}

int dial_start(sd_event *event, const struct dial_options *options, dial_done_fn done, void *ctx,
	struct dial **ret, struct err *err)
{
	struct dial *d = &fake_dials[fake_dials_n];

	if (fake_dial_fails < 0)
		return err_set(
			err, fake_dial_fails, "%s:%u: no", options->host, (unsigned) options->port);
	assert_true(fake_dials_n < FAKE_DIALS);
	assert_true(options->timeout_us > 0);
	*d = (struct dial){ .port = options->port,
		.at_us = clock_now_us(),
		.timeout_us = options->timeout_us,
		.done = done,
		.ctx = ctx,
		.asked = true };
	(void) snprintf(d->host, sizeof(d->host), "%s", options->host);
	(void) snprintf(d->pin, sizeof(d->pin), "%s", options->pin);
	(void) snprintf(d->proxy, sizeof(d->proxy), "%s", options->proxy ? options->proxy : "");
	if (options->n_addrs)
		d->addr = options->addrs[0];
	d->conn.fd = FAKE_DIAL_FD + (int) fake_dials_n++;
	*ret = d;
	return 0;
}

struct dial *dial_cancel(struct dial *d)
{
	if (d) {
		assert_true(d->asked);
		d->asked = false;
	}
	return NULL;
}

int dial_conn_fd(const struct dial_conn *c)
{
	assert_true(c->there);
	return c->fd;
}

ssize_t dial_conn_receive(void *conn, void *ret, size_t len)
{
	struct dial_conn *c = conn;
	size_t n = c->in.len - c->in_at;

	assert_true(c->there);
	if (n == 0)
		return c->end;
	if (n > len)
		n = len;
	if (n > c->most)
		n = c->most;
	memcpy(ret, c->in.data + c->in_at, n);
	c->in_at += n;
	return (ssize_t) n;
}

ssize_t dial_conn_send(void *conn, const void *data, size_t len)
{
	struct dial_conn *c = conn;

	assert_true(c->there);
	if (c->full)
		return -EAGAIN;
	if (c->end != -EAGAIN)
		return -EPIPE;
	buf_add(&c->out, data, len);
	return (ssize_t) len;
}

struct dial_conn *dial_conn_free(struct dial_conn *c)
{
	if (c) {
		assert_true(c->there);
		assert_false(c->open); /* the ferry has it no more */
		c->there = false;
	}
	return NULL;
}

struct dial_conn *fake_dial_stands(struct dial *d)
{
	struct dial_conn *c = &d->conn;

	assert_true(d->asked);
	d->asked = false;
	c->there = true;
	c->end = -EAGAIN;
	c->most = SIZE_MAX;
	d->done(d->ctx, c, NULL);
	return c;
}

void fake_dial_fails_with(struct dial *d, int code, const char *why)
{
	struct err err = { 0 };

	assert_true(d->asked);
	d->asked = false;
	err_set(&err, code, "%s:%u: %s", d->host, d->port, why);
	d->done(d->ctx, NULL, &err);
}

/* --- the server --- */

void fake_dial_says(struct dial_conn *c, const void *data, size_t len)
{
	buf_add(&c->in, data, len);
	fake_event_ready(c->fd);
}

void fake_dial_hangs_up(struct dial_conn *c, int error)
{
	c->end = error;
	fake_event_ready(c->fd);
}

void fake_dial_expect_login(struct dial_conn *c, const uint8_t secret[static DERP_KEY_LEN],
	uint8_t ret_key[static DERP_KEY_LEN])
{
	struct derp_reader reader = { 0 };
	struct derp_client_info info;
	struct derp_http request;
	struct derp_frame frame;
	const uint8_t *data;
	size_t len;
	int n = derp_http_parse(c->out.data, c->out.len, &request);

	assert_true(n > 0);
	assert_true(derp_http_upgrades(&request));
	assert_true(request.fast_start);
	data = (const uint8_t *) c->out.data + n;
	len = c->out.len - (size_t) n;
	assert_int_equal(
		derp_reader_next(&reader, DERP_STAGE_SERVER_LOGIN, &data, &len, &frame), 1);
	assert_int_equal(derp_client_info_parse(&frame, secret, ret_key, &info), 0);
	assert_int_equal(info.version, DERP_VERSION);
	assert_true(info.can_ack_pings);
	assert_int_equal(len, 0);
	derp_reader_done(&reader);
}

size_t fake_dial_welcome(const uint8_t secret[static DERP_KEY_LEN],
	const uint8_t client[static DERP_KEY_LEN], uint8_t ret[static 2 * DERP_INFO_FRAME_MAX])
{
	static const struct derp_server_info info = { .version = DERP_VERSION };
	uint8_t key[DERP_KEY_LEN], nonce[DERP_NONCE_LEN] = { 5 };
	const struct derp_keys server = { secret, key };
	int n;

	(void) crypto_scalarmult_base(key, secret);
	derp_server_key_put(key, ret);
	n = derp_server_info_put(&info, &server, client, nonce, ret + DERP_SERVER_KEY_LEN);
	assert_true(n > 0);
	return DERP_SERVER_KEY_LEN + (size_t) n;
}

void fake_dial_lets_in(struct dial_conn *c, const uint8_t secret[static DERP_KEY_LEN])
{
	uint8_t client[DERP_KEY_LEN], text[2 * DERP_INFO_FRAME_MAX];

	fake_dial_expect_login(c, secret, client);
	fake_dial_says(c, text, fake_dial_welcome(secret, client, text));
}
