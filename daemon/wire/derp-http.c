/* derp-http: see derp-http.h. */
#include "wire/derp-http.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/encode.h"

/* A part of the request, borrowed. */
struct span {
	const char *at;
	size_t len;
};

static bool is(struct span s, const char *text)
{
	return s.len == strlen(text) && !memcmp(s.at, text, s.len);
}

/* Names of fields, and of protocols: whatever the case. */
static bool is_named(struct span s, const char *text)
{
	return s.len == strlen(text) && !strncasecmp(s.at, text, s.len);
}

/* RFC 9110, section 5.6.2. */
static bool is_token(struct span s)
{
	static const char others[] = "!#$%&'*+-.^_`|~";

	for (size_t i = 0; i < s.len; i++) {
		char c = s.at[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
			    (c && strchr(others, c))))
			return false;
	}
	return s.len > 0;
}

/* Takes what is before @end off @s; false if that is not in it. */
static bool cut(struct span *s, char end, struct span *ret)
{
	const char *at = memchr(s->at, end, s->len);

	if (!at)
		return false;
	*ret = (struct span){ s->at, (size_t) (at - s->at) };
	s->len -= ret->len + 1;
	s->at = at + 1;
	return true;
}

static struct span trim(struct span s)
{
	while (s.len && (*s.at == ' ' || *s.at == '\t')) {
		s.at++;
		s.len--;
	}
	while (s.len && (s.at[s.len - 1] == ' ' || s.at[s.len - 1] == '\t'))
		s.len--;
	return s;
}

static enum derp_http_path path_of(struct span target)
{
	struct span path = target;

	(void) cut(&target, '?', &path);
	if (is(path, "/derp"))
		return DERP_HTTP_RELAY;
	if (is(path, "/derp/probe") || is(path, "/derp/latency-check"))
		return DERP_HTTP_PROBE;
	return is(path, "/generate_204") ? DERP_HTTP_NO_CONTENT : DERP_HTTP_ELSEWHERE;
}

static int read_first(struct span line, struct derp_http *ret)
{
	struct span method, target;

	if (!cut(&line, ' ', &method) || !cut(&line, ' ', &target) || !is_token(method) ||
		!target.len || !is(line, "HTTP/1.1"))
		return -EBADMSG;
	ret->get = is(method, "GET");
	ret->head = is(method, "HEAD");
	ret->path = path_of(target);
	return 0;
}

/* What is sent back must not be able to end its line. */
static void take_challenge(struct span value, char ret[static DERP_HTTP_CHALLENGE_MAX])
{
	static const char others[] = ".-_:";

	if (value.len >= DERP_HTTP_CHALLENGE_MAX)
		return;
	for (size_t i = 0; i < value.len; i++) {
		char c = value.at[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
			    (c && strchr(others, c))))
			return;
	}
	memcpy(ret, value.at, value.len);
	ret[value.len] = '\0';
}

/* What looks like a body would be read as frames: nobody of ours sends one. */
static int read_field(struct span line, struct derp_http *ret)
{
	struct span name;

	if (!cut(&line, ':', &name) || !is_token(name))
		return -EBADMSG;
	line = trim(line);
	if (is_named(name, "Upgrade"))
		ret->upgrade = is_named(line, "DERP");
	else if (is_named(name, "Derp-Fast-Start"))
		ret->fast_start = is(line, "1");
	else if (is_named(name, "X-Tailscale-Challenge"))
		take_challenge(line, ret->challenge);
	else if (is_named(name, "Transfer-Encoding") ||
		 (is_named(name, "Content-Length") && !is(line, "0")))
		return -EBADMSG;
	return 0;
}

/* Text and blanks; a field's name at once: no line that goes on with the one before. */
static bool is_line(struct span line)
{
	for (size_t i = 0; i < line.len; i++) {
		unsigned char c = (unsigned char) line.at[i];

		if ((c < ' ' && c != '\t') || c == 0x7f)
			return false;
	}
	return true;
}

/* Takes one line with its end (CR LF) off @s. 1, 0: it is not whole, -EBADMSG. */
static int next_line(struct span *s, struct span *ret)
{
	struct span line = { s->at, s->len };

	if (!cut(s, '\n', &line)) {
		/* Garbage is known by its first bytes, not after 4 KiB of it. */
		if (line.len && line.at[line.len - 1] == '\r')
			line.len--;
		return is_line(line) ? 0 : -EBADMSG;
	}
	if (!line.len || line.at[line.len - 1] != '\r')
		return -EBADMSG;
	line.len--;
	*ret = line;
	return is_line(line) ? 1 : -EBADMSG;
}

int derp_http_parse(const char *data, size_t len, struct derp_http *ret)
{
	struct span rest = { data, len < DERP_HTTP_MAX ? len : DERP_HTTP_MAX };
	struct derp_http request = { 0 };
	struct span line;
	int r = next_line(&rest, &line);

	if (r > 0 && read_first(line, &request) < 0)
		return -EBADMSG;
	while (r > 0) {
		r = next_line(&rest, &line);
		if (r > 0 && !line.len) {
			*ret = request;
			return (int) (rest.at - data);
		}
		if (r > 0 && read_field(line, &request) < 0)
			return -EBADMSG;
	}
	return r == 0 && len >= DERP_HTTP_MAX ? -EMSGSIZE : r;
}

bool derp_http_upgrades(const struct derp_http *request)
{
	return request->path == DERP_HTTP_RELAY && request->get && request->upgrade;
}

/* An answer after which the connection ends. */
static size_t answer(const struct derp_http *request, const char *status, const char *fields,
	const char *text, char *ret)
{
	int n = snprintf(ret, DERP_HTTP_ANSWER_MAX,
		"HTTP/1.1 %s\r\n%sContent-Type: text/plain\r\nContent-Length: %zu\r\n"
		"Connection: close\r\n\r\n%s",
		status, fields, strlen(text), request->head ? "" : text);

	return (size_t) n;
}

static size_t answer_no_content(const struct derp_http *request, char *ret)
{
	bool has = request->challenge[0] != '\0';
	int n = snprintf(ret, DERP_HTTP_ANSWER_MAX,
		"HTTP/1.1 204 No Content\r\n%s%s%s"
		"Cache-Control: no-cache, no-store, must-revalidate, no-transform, max-age=0\r\n"
		"Connection: close\r\n\r\n",
		has ? "X-Tailscale-Response: response " : "", request->challenge,
		has ? "\r\n" : "");

	return (size_t) n;
}

static size_t answer_upgrade(
	const struct derp_http *request, const uint8_t key[static DERP_KEY_LEN], char *ret)
{
	char hex[KEY_HEX_LEN];
	int n;

	if (request->fast_start)
		return 0;
	key_to_hex(key, hex);
	n = snprintf(ret, DERP_HTTP_ANSWER_MAX,
		"HTTP/1.1 101 Switching Protocols\r\nUpgrade: DERP\r\nConnection: Upgrade\r\n"
		"Derp-Version: %d\r\nDerp-Public-Key: %s\r\n\r\n",
		DERP_VERSION, hex);
	return (size_t) n;
}

size_t derp_http_answer(const struct derp_http *request, const uint8_t key[static DERP_KEY_LEN],
	char ret[static DERP_HTTP_ANSWER_MAX])
{
	if (derp_http_upgrades(request))
		return answer_upgrade(request, key, ret);
	if (request->path == DERP_HTTP_ELSEWHERE)
		return answer(
			request, "404 Not Found", "", "a relay of Hearth, for its boards\n", ret);
	if (!request->get && !request->head)
		return answer(request, "405 Method Not Allowed", "Allow: GET, HEAD\r\n", "", ret);
	if (request->path == DERP_HTTP_PROBE)
		return answer(request, "200 OK", "Access-Control-Allow-Origin: *\r\n", "", ret);
	if (request->path == DERP_HTTP_NO_CONTENT)
		return answer_no_content(request, ret);
	return answer(request, "426 Upgrade Required", "Upgrade: DERP\r\n",
		"DERP is spoken here after Upgrade: DERP, and not inside WebSocket\n", ret);
}

size_t derp_http_refusal(char ret[static DERP_HTTP_ANSWER_MAX])
{
	static const struct derp_http none;

	return answer(&none, "400 Bad Request", "", "", ret);
}

/* --- the client's side --- */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* "HTTP/1.1 101 Switching Protocols"; what is behind the number is for people (RFC 9112, 4). */
static int read_status(struct span line, int *ret)
{
	static const char begin[] = "HTTP/1.";
	const char *at = line.at + sizeof(begin); /* behind the minor version */

	if (line.len < sizeof(begin) + 4 || memcmp(line.at, begin, sizeof(begin) - 1) != 0 ||
		!is_digit(at[-1]) || at[0] != ' ' || at[1] < '1' || at[1] > '5' ||
		!is_digit(at[2]) || !is_digit(at[3]) ||
		(line.len > sizeof(begin) + 4 && at[4] != ' '))
		return -EBADMSG;
	*ret = (at[1] - '0') * 100 + (at[2] - '0') * 10 + at[3] - '0';
	return 0;
}

int derp_http_status_parse(const char *data, size_t len, int *ret)
{
	struct span rest = { data, len < DERP_HTTP_MAX ? len : DERP_HTTP_MAX };
	struct span line, name;
	int r = next_line(&rest, &line), status = 0;

	if (r > 0 && read_status(line, &status) < 0)
		return -EBADMSG;
	while (r > 0) {
		r = next_line(&rest, &line);
		if (r > 0 && !line.len) {
			*ret = status;
			return (int) (rest.at - data);
		}
		if (r > 0 && (!cut(&line, ':', &name) || !is_token(name)))
			return -EBADMSG;
	}
	return r == 0 && len >= DERP_HTTP_MAX ? -EMSGSIZE : r;
}
