/* pcp: see pcp.h. Sections are those of RFC 6887. */
#include "wire/pcp.h"

#include <errno.h>
#include <string.h>

#include "packet/bytes.h"

enum { OPCODE_MAP = 1, IS_ANSWER = 0x80, PROTOCOL_UDP = 17 };
/* The head of both (7.1, 7.2), and where in it a request differs from an answer. */
enum { AT_OPCODE = 1, AT_RESULT = 3, AT_LIFETIME = 4, AT_CLIENT = 8, AT_EPOCH = 8, HEAD_LEN = 24 };
/* What follows it in a MAP (11.1). */
enum { AT_NONCE = 24, AT_PROTOCOL = 36, AT_PORT = 40, AT_OUTSIDE_PORT = 42, AT_OUTSIDE = 44 };
enum { SHORTEST_LEN = 4 }; /* NAT-PMP's refusal (RFC 6886, 3.5) has 8 bytes; what is read of it */

/* Each address takes 16 bytes: of IPv4 in its mapped form, also where it is all zeros (5). */
static void put_address(const struct ip_addr *addr, uint8_t ret[static 16])
{
	if (addr->family == AF_INET6) {
		memcpy(ret, addr->bytes, 16);
		return;
	}
	memset(ret, 0, 16);
	ret[10] = ret[11] = 0xff;
	memcpy(ret + 12, addr->bytes, 4);
}

static struct ip_addr get_address(const uint8_t data[static 16])
{
	struct ip_addr addr = { .family = AF_INET6 };

	memcpy(addr.bytes, data, 16);
	return ip_addr_unmapped(&addr);
}

void pcp_request_format(const struct pcp_request *request, uint8_t ret_data[static PCP_REQUEST_LEN])
{
	struct ip_addr any = { .family = request->client.family };

	memset(ret_data, 0, PCP_REQUEST_LEN);
	ret_data[0] = PCP_VERSION;
	ret_data[AT_OPCODE] = OPCODE_MAP;
	be32_write(ret_data + AT_LIFETIME, request->lifetime_s);
	put_address(&request->client, ret_data + AT_CLIENT);
	memcpy(ret_data + AT_NONCE, request->nonce, PCP_NONCE_LEN);
	ret_data[AT_PROTOCOL] = PROTOCOL_UDP;
	be16_write(ret_data + AT_PORT, request->port);
	be16_write(ret_data + AT_OUTSIDE_PORT, request->wanted.port);
	put_address(
		request->wanted.addr.family ? &request->wanted.addr : &any, ret_data + AT_OUTSIDE);
}

static void get_map(const uint8_t *data, struct pcp_answer *ret)
{
	ret->has_map = true;
	memcpy(ret->nonce, data + AT_NONCE, PCP_NONCE_LEN);
	ret->port = be16_read(data + AT_PORT);
	ret->outside.port = be16_read(data + AT_OUTSIDE_PORT);
	ret->outside.addr = get_address(data + AT_OUTSIDE);
}

/* A result may be short of the map, or of what is whole words, only where the head says "no". */
int pcp_answer_parse(const uint8_t *data, size_t len, struct pcp_answer *ret)
{
	struct pcp_answer answer = { 0 };

	if (len < SHORTEST_LEN || !(data[AT_OPCODE] & IS_ANSWER))
		return -EBADMSG;
	if (data[0] != PCP_VERSION)
		return -EPROTONOSUPPORT;
	if (len < HEAD_LEN || len > PCP_MAX_LEN || len % 4 ||
		data[AT_OPCODE] != (IS_ANSWER | OPCODE_MAP))
		return -EBADMSG;
	answer.result = data[AT_RESULT];
	answer.lifetime_s = be32_read(data + AT_LIFETIME);
	answer.epoch_s = be32_read(data + AT_EPOCH);
	if (answer.result == PCP_UNSUPP_VERSION)
		return -EPROTONOSUPPORT;
	if (len >= PCP_REQUEST_LEN) {
		if (data[AT_PROTOCOL] != PROTOCOL_UDP)
			return -EBADMSG;
		get_map(data, &answer);
	}
	if (answer.result == PCP_SUCCESS && !answer.has_map)
		return -EBADMSG;
	*ret = answer;
	return 0;
}

bool pcp_answers(const struct pcp_answer *answer, const struct pcp_request *request)
{
	return !answer->has_map || (answer->port == request->port &&
					   !memcmp(answer->nonce, request->nonce, PCP_NONCE_LEN));
}
