/* derp-login: see derp-login.h. */
#include "wire/derp-login.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "wire/derp-http.h"

/* --- what we say --- */

static int put_request(struct derp_login *l, const char *host)
{
	int n = snprintf((char *) l->out, sizeof(l->out),
		"GET /derp HTTP/1.1\r\nHost: %s\r\nUpgrade: DERP\r\nConnection: Upgrade\r\n"
		"Derp-Fast-Start: 1\r\n\r\n",
		host);

	if (n < 0 || (size_t) n >= sizeof(l->out))
		return -EINVAL;
	l->out_len = (size_t) n;
	return 0;
}

static int put_info(struct derp_login *l, const uint8_t nonce[static DERP_NONCE_LEN])
{
	static const struct derp_client_info info = { .version = DERP_VERSION,
		.can_ack_pings = true };
	uint8_t frame[DERP_INFO_FRAME_MAX];
	int n = derp_client_info_put(&info, &l->self, l->server, nonce, frame);

	if (n < 0)
		return n;
	if ((size_t) n > sizeof(l->out) - l->out_len)
		return -EINVAL;
	memcpy(l->out + l->out_len, frame, (size_t) n);
	l->out_len += (size_t) n;
	return 0;
}

int derp_login_init(struct derp_login *l, const struct derp_keys *self,
	const uint8_t server[static DERP_KEY_LEN], const char *host,
	const uint8_t nonce[static DERP_NONCE_LEN])
{
	int r;

	*l = (struct derp_login){ .self = *self };
	memcpy(l->server, server, sizeof(l->server));
	r = put_request(l, host);
	return r < 0 ? r : put_info(l, nonce);
}

void derp_login_done(struct derp_login *l)
{
	derp_reader_done(&l->reader);
}

const uint8_t *derp_login_output(const struct derp_login *l, size_t *ret_len)
{
	*ret_len = l->out_len - l->out_at;
	return l->out + l->out_at;
}

void derp_login_sent(struct derp_login *l, size_t len)
{
	l->out_at += len;
}

/* --- what comes --- */

/* Who refuses us before the first frame does it in words of HTTP; some say 101 though not asked. */
static int take_answer(struct derp_login *l, const uint8_t **data, size_t *len, struct err *err)
{
	size_t had = l->head_len, room = sizeof(l->head) - had, n = *len < room ? *len : room;
	int status, r;

	if (had == 0 && **data == DERP_SERVER_KEY) {
		l->state = DERP_LOGIN_KEY;
		return 1;
	}
	if (had == 0 && **data != 'H')
		return err_set(err, -EPROTO, "it does not speak DERP");
	memcpy(l->head + had, *data, n);
	l->head_len += n;
	r = derp_http_status_parse(l->head, l->head_len, &status);
	if (r < 0 || (r == 0 && l->head_len == sizeof(l->head)))
		return err_set(err, -EPROTO, "it does not speak DERP");
	if (r > 0 && status != 101)
		return err_set(
			err, -EPROTO, "it is no relay: it answers with HTTP status %d", status);
	n = r > 0 ? (size_t) r - had : n;
	*data += n;
	*len -= n;
	if (r > 0)
		l->state = DERP_LOGIN_KEY;
	return r > 0;
}

static int take_key(struct derp_login *l, const struct derp_frame *frame, struct err *err)
{
	uint8_t key[DERP_KEY_LEN];

	if (derp_server_key_parse(frame, key) < 0)
		return err_set(err, -EPROTO, "it does not speak DERP");
	if (sodium_memcmp(key, l->server, sizeof(key)) != 0)
		return err_set(err, -EKEYREJECTED, "its key is not the one in its record");
	l->state = DERP_LOGIN_INFO;
	return 0;
}

static int take_health(const struct derp_frame *frame, struct err *err)
{
	char text[DERP_HEALTH_MAX];

	derp_health_parse(frame, text);
	return *text ? err_set(err, -EREMOTEIO, "it says: %s", text) : 0;
}

static int take_info(struct derp_login *l, const struct derp_frame *frame, struct err *err)
{
	struct derp_server_info info;

	if (frame->type == DERP_HEALTH)
		return take_health(frame, err);
	if (frame->type != DERP_SERVER_INFO)
		return 0; /* of a later version */
	if (derp_server_info_parse(frame, l->self.secret, l->server, &info) < 0)
		return err_set(err, -EBADMSG, "what it says of itself is not sealed by its key");
	l->state = DERP_LOGIN_IN;
	return 0;
}

static int take_frames(struct derp_login *l, const uint8_t **data, size_t *len, struct err *err)
{
	struct derp_frame frame;
	int r = 0;

	while (l->state != DERP_LOGIN_IN) {
		bool greets = l->state == DERP_LOGIN_KEY;

		r = derp_reader_next(&l->reader,
			greets ? DERP_STAGE_CLIENT_GREETING : DERP_STAGE_CLIENT_OPEN, data, len,
			&frame);
		if (r == 0)
			return 0;
		if (r < 0)
			return err_set(err, r, "%s",
				r == -ENOMEM ? "out of memory" : "it does not speak DERP");
		r = greets ? take_key(l, &frame, err) : take_info(l, &frame, err);
		if (r < 0)
			return r;
	}
	return 1;
}

int derp_login_input(struct derp_login *l, const uint8_t **data, size_t *len, struct err *err)
{
	size_t came = *len;
	int r = 1;

	if (l->state == DERP_LOGIN_ANSWER && *len)
		r = take_answer(l, data, len, err);
	if (r > 0 && l->state != DERP_LOGIN_ANSWER)
		r = take_frames(l, data, len, err);
	l->in_len += came - *len;
	if (r == 0 && l->in_len > DERP_LOGIN_IN_MAX)
		return err_set(err, -EMSGSIZE, "it talks without end before it lets us in");
	return r;
}
