/*
 * pcp: the Port Control Protocol, version 2 (RFC 6887), as far as a board needs it: the request MAP
 * for one UDP port, and what a gateway answers. Of IPv4 it asks a NAT for an outside address and
 * port, of IPv6 a firewall to let in what is for the port. Options are not sent, and are left
 * unread in answers, as all of them that a server adds by itself may be (7.3).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ip.h"

enum {
	PCP_PORT = 5351,
	PCP_VERSION = 2,
	PCP_NONCE_LEN = 12,
	PCP_REQUEST_LEN = 60,
	PCP_MAX_LEN = 1100, /* of any message (7) */
};

/* Section 7.4, and what each means for us. */
enum pcp_result {
	PCP_SUCCESS = 0,
	PCP_UNSUPP_VERSION = 1,
	PCP_NOT_AUTHORIZED = 2, /* also: switched off, or mapped with another nonce */
	PCP_MALFORMED_REQUEST = 3,
	PCP_UNSUPP_OPCODE = 4,
	PCP_NETWORK_FAILURE = 7, /* such as: no address from its provider yet */
	PCP_NO_RESOURCES = 8,
	PCP_USER_EX_QUOTA = 10,
	PCP_CANNOT_PROVIDE_EXTERNAL = 11,
	PCP_ADDRESS_MISMATCH = 12, /* there is a NAT between us and it */
	PCP_RESULT_MAX = 255,
};

struct pcp_request {
	uint32_t lifetime_s;   /* 0: the mapping is to go (15.1) */
	struct ip_addr client; /* where it is sent from: else it is refused (8.1) */
	uint8_t nonce[PCP_NONCE_LEN];
	uint16_t port;          /* UDP, of ours */
	struct endpoint wanted; /* outside; no family: any address; port 0: any */
};

struct pcp_answer {
	uint8_t result;      /* enum pcp_result, or one that came later */
	uint32_t lifetime_s; /* how long that stays so, also of what is refused */
	uint32_t epoch_s;    /* since the gateway lost what it knew (8.5) */
	bool has_map;        /* what follows; may be missing where it is refused */
	uint8_t nonce[PCP_NONCE_LEN];
	uint16_t port;
	struct endpoint outside; /* as it says: to be judged */
};

void pcp_request_format(
	const struct pcp_request *request, uint8_t ret_data[static PCP_REQUEST_LEN]);

/*
 * 0, or -EPROTONOSUPPORT: whoever answers speaks another version, such as NAT-PMP (9, appendix A);
 * or -EBADMSG: no answer to a MAP for UDP, or it is broken.
 */
int pcp_answer_parse(const uint8_t *data, size_t len, struct pcp_answer *ret);

/* Whether @answer is to @request (11.4). One without a map may be. */
bool pcp_answers(const struct pcp_answer *answer, const struct pcp_request *request);
