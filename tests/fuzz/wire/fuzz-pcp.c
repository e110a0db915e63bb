/*
 * Answers of PCP: the input as it is, and the input as what follows the head of an answer. What is
 * taken for one is whole, and asking again for what it gave is understood as the same.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "wire/pcp.h"

/* What was given, asked for again, comes out as it went in. */
static void ask_again(const struct pcp_answer *answer)
{
	struct pcp_request request = { .lifetime_s = answer->lifetime_s,
		.client = { .family = answer->outside.addr.family },
		.port = answer->port,
		.wanted = answer->outside };
	uint8_t data[PCP_REQUEST_LEN];
	struct pcp_answer again;

	memcpy(request.nonce, answer->nonce, PCP_NONCE_LEN);
	pcp_request_format(&request, data);
	data[1] |= 0x80;
	if (pcp_answer_parse(data, sizeof(data), &again) != 0 || !pcp_answers(&again, &request) ||
		!endpoint_equal(&again.outside, &answer->outside) ||
		again.lifetime_s != answer->lifetime_s)
		abort();
}

static void check(const uint8_t *data, size_t len)
{
	struct pcp_answer answer;
	int r = pcp_answer_parse(data, len, &answer);

	if (r != 0 && r != -EBADMSG && r != -EPROTONOSUPPORT)
		abort();
	if (r < 0)
		return;
	if (len < 24 || len > PCP_MAX_LEN || answer.result == PCP_UNSUPP_VERSION)
		abort();
	if (answer.has_map)
		ask_again(&answer);
	else if (answer.result == PCP_SUCCESS)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t len = size > 1200 ? 1200 : size;
	uint8_t *message = malloc(2 + len); /* to the byte, for sanitizers */

	if (!message)
		return 0;
	message[0] = PCP_VERSION;
	message[1] = 0x81;
	memcpy(message + 2, data, len);
	check(data, size);
	check(message, 2 + len);
	free(message);
	return 0;
}
