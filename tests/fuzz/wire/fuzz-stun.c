/*
 * STUN messages: the input as it is, and the input as the attributes of a request, of a success and
 * of an error, so that what lies behind the head is met. A request is answered with what we
 * understand ourselves, and with no more than its length allows.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "packet/bytes.h"
#include "wire/stun.h"

static void answered(const struct stun_request *request, size_t len, const struct endpoint *from)
{
	size_t more = from->addr.family == AF_INET || request->n_unknown > 0 ? 12 : 24;
	uint8_t data[STUN_ANSWER_MAX_LEN];
	struct stun_answer answer;
	size_t n = stun_answer_format(request, from, data);

	if (n > sizeof(data) || n > len + more)
		abort();
	if (stun_answer_parse(data, n, &answer) != 0 ||
		memcmp(answer.tx, request->tx, STUN_TX_LEN) != 0)
		abort();
	if (answer.error != (request->n_unknown ? 420 : 0))
		abort();
	if (!answer.error && !endpoint_equal(&answer.mapped, from))
		abort();
}

static void check(const uint8_t *data, size_t len)
{
	static const struct endpoint ipv4 = { .addr = { AF_INET, { 192, 0, 2, 1 } }, .port = 1 };
	static const struct endpoint ipv6 = { .addr = { AF_INET6, { 0x20, 1 } }, .port = 65535 };
	struct stun_request request;
	struct stun_answer answer;
	int asked = stun_request_parse(data, len, &request);
	int told = stun_answer_parse(data, len, &answer);

	if ((asked != 0 && asked != -EBADMSG && asked != -ENOMSG) ||
		(told != 0 && told != -EBADMSG && told != -ENOMSG) || (asked == 0 && told == 0))
		abort();
	if ((asked == 0 || told == 0) && !stun_looks(data, len))
		abort();
	if (asked == 0) {
		answered(&request, len, &ipv4);
		answered(&request, len, &ipv6);
	}
	if (told == 0 && (answer.error != 0) != (answer.mapped.port == 0))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint16_t types[] = { 0x0001, 0x0101, 0x0111 };
	static const uint8_t tx[STUN_TX_LEN] = { 1 };
	size_t len = size > 2000 ? 2000 : size & ~(size_t) 3;
	uint8_t request[STUN_REQUEST_LEN];

	stun_request_format(tx, request);
	be16_write(request + 2, (uint16_t) len);
	check(data, size);
	for (size_t i = 0; i < 3; i++) {
		uint8_t *message = malloc(STUN_HEAD_LEN + len); /* to the byte, for sanitizers */

		if (!message)
			return 0;
		be16_write(request, types[i]);
		memcpy(message, request, STUN_HEAD_LEN);
		memcpy(message + STUN_HEAD_LEN, data, len);
		check(message, STUN_HEAD_LEN + len);
		free(message);
	}
	return 0;
}
