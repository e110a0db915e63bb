/* pass: see pass.h. */
#include "wire/pass.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/number.h"
#include "packet/bytes.h"

enum { MAGIC0 = 0xf2, MAGIC1 = 'H', VERSION = 1, DIGITS = 52 /* 260 bits for 256 */ };

static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";
static const char mapped[12] = { [10] = '\xff', [11] = '\xff' };

_Static_assert(sizeof("c-") - 1 + DIGITS + sizeof(PASS_NAME_END) == PASS_NAME_MAX, "name");

/* --- names --- */

/* Five bits from bit @at on; behind the end there are zeros. */
static unsigned bits_at(const uint8_t pin[static PASS_PIN_LEN], size_t at)
{
	unsigned two = (unsigned) pin[at / 8] << 8;

	if (at / 8 + 1 < PASS_PIN_LEN)
		two |= pin[at / 8 + 1];
	return two >> (11 - at % 8) & 31;
}

void pass_name_of_pin(const uint8_t pin[static PASS_PIN_LEN], char ret[static PASS_NAME_MAX])
{
	memcpy(ret, "c-", 2);
	for (size_t i = 0; i < DIGITS; i++)
		ret[2 + i] = alphabet[bits_at(pin, 5 * i)];
	memcpy(ret + 2 + DIGITS, PASS_NAME_END, sizeof(PASS_NAME_END));
}

int pass_url(const uint8_t pin[static PASS_PIN_LEN], const char *host, uint16_t port, char *ret,
	size_t size)
{
	char name[PASS_NAME_MAX];
	int n;

	pass_name_of_pin(pin, name);
	n = snprintf(ret, size, "https://%s:%u#%s", name, port, host);
	return n < 0 || (size_t) n >= size ? -ENAMETOOLONG : 0;
}

int pass_pin_of_name(const char *name, uint8_t ret[static PASS_PIN_LEN])
{
	uint8_t pin[PASS_PIN_LEN + 1] = {
		0
	}; /* the last digit has four bits more than there are */

	if (strlen(name) != PASS_NAME_MAX - 1 || memcmp(name, "c-", 2) != 0 ||
		strcmp(name + 2 + DIGITS, PASS_NAME_END) != 0)
		return -EINVAL;
	for (size_t i = 0; i < DIGITS; i++) {
		const char *digit = memchr(alphabet, name[2 + i], sizeof(alphabet) - 1);
		size_t at = 5 * i;
		unsigned two;

		if (!digit)
			return -EINVAL;
		two = (unsigned) (digit - alphabet) << (11 - at % 8);
		pin[at / 8] |= (uint8_t) (two >> 8);
		if (at / 8 + 1 < sizeof(pin))
			pin[at / 8 + 1] |= (uint8_t) two;
	}
	if (pin[PASS_PIN_LEN])
		return -EINVAL;
	memcpy(ret, pin, PASS_PIN_LEN);
	return 0;
}

/* --- URLs --- */

bool pass_url_is_relayed(const char *url, const char **ret_host, uint16_t *ret_port)
{
	static const char scheme[] = "https://";
	const char *at = url + sizeof(scheme) - 1, *mark = strchr(url, '#');
	char name[PASS_NAME_MAX] = "", digits[8] = "";
	uint8_t pin[PASS_PIN_LEN];
	uint64_t port;

	if (!mark || strncmp(url, scheme, sizeof(scheme) - 1) != 0 ||
		(size_t) (mark - at) < PASS_NAME_MAX + 1 ||
		(size_t) (mark - at) - PASS_NAME_MAX >= sizeof(digits) ||
		at[PASS_NAME_MAX - 1] != ':')
		return false;
	memcpy(name, at, PASS_NAME_MAX - 1);
	memcpy(digits, at + PASS_NAME_MAX, (size_t) (mark - at) - PASS_NAME_MAX);
	if (pass_pin_of_name(name, pin) < 0 || number_parse(digits, 1, UINT16_MAX, &port) < 0)
		return false;
	*ret_host = mark + 1;
	*ret_port = (uint16_t) port;
	return true;
}

const char *pass_url_tell(const char *url, char ret[static PASS_TOLD_MAX])
{
	const char *host;
	uint16_t port;

	if (!pass_url_is_relayed(url, &host, &port))
		return url;
	(void) snprintf(ret, PASS_TOLD_MAX, "the coordinator by relay %s%s%s:%u",
		strchr(host, ':') ? "[" : "", host, strchr(host, ':') ? "]" : "", port);
	return ret;
}

/* --- frames --- */

static void put_client(const struct endpoint *client, uint8_t *ret)
{
	be16_write(ret, client->port);
	if (client->addr.family == AF_INET6) {
		memcpy(ret + 4, client->addr.bytes, 16);
	} else {
		memcpy(ret + 4, mapped, sizeof(mapped));
		memcpy(ret + 16, client->addr.bytes, 4);
	}
}

void pass_frame_put(const struct pass_frame *frame, uint8_t ret[static PASS_FRAME_LEN])
{
	memset(ret, 0, PASS_FRAME_LEN);
	ret[0] = MAGIC0;
	ret[1] = MAGIC1;
	ret[2] = VERSION;
	ret[3] = (uint8_t) frame->type;
	if (frame->type != PASS_OPEN)
		return;
	put_client(&frame->client, ret + 4);
	be16_write(ret + 6, frame->waiting);
}

static int read_client(const uint8_t *data, struct pass_frame *ret)
{
	ret->client.port = be16_read(data);
	ret->waiting = be16_read(data + 2);
	if (!memcmp(data + 4, mapped, sizeof(mapped))) {
		ret->client.addr.family = AF_INET;
		memcpy(ret->client.addr.bytes, data + 16, 4);
	} else {
		ret->client.addr.family = AF_INET6;
		memcpy(ret->client.addr.bytes, data + 4, 16);
	}
	if (!ret->client.port || ip_addr_is_unspecified(&ret->client.addr) ||
		ip_addr_is_multicast(&ret->client.addr))
		return -EBADMSG;
	return 0;
}

int pass_frame_parse(const uint8_t data[static PASS_FRAME_LEN], struct pass_frame *ret)
{
	static const uint8_t zero[PASS_FRAME_LEN - 4];
	struct pass_frame frame = { 0 };

	if (data[0] != MAGIC0 || data[1] != MAGIC1 || data[2] != VERSION || data[3] < PASS_PARK ||
		data[3] > PASS_FULL)
		return -EBADMSG;
	frame.type = (enum pass_type) data[3];
	if (frame.type == PASS_OPEN ? read_client(data + 4, &frame) < 0
				    : memcmp(data + 4, zero, sizeof(zero)) != 0)
		return -EBADMSG;
	*ret = frame;
	return 0;
}
