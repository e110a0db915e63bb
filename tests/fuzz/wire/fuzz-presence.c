/* presence_from_json(), of an envelope and of a payload put into one. */
#include "round-trip.h"

#include "base/encode.h"
#include "wire/presence.h"

static void read_again(const struct presence *presence)
{
	uint8_t seed[PRESENCE_SEED_LEN] = { 2 };
	CLEANUP_PRESENCE struct presence copy = *presence, back = { 0 };

	copy.payload = NULL;
	if (presence_sign(&copy, seed))
		abort(); /* what a reader accepts, a writer signs */
	CLEANUP_JSON json_t *json = presence_to_json(&copy);

	if (presence_from_json(json, &back, NULL) || back.n_endpoints != presence->n_endpoints ||
		back.counter != presence->counter || back.no_ipv6 != presence->no_ipv6 ||
		back.relay != presence->relay || strcmp(back.kube, presence->kube) != 0 ||
		strcmp(back.kube_problem, presence->kube_problem) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP_JSON json_t *json = json_parse((const char *) data, size, NULL);
	CLEANUP_PRESENCE struct presence presence = { 0 }, inner = { 0 };
	uint8_t sig[PRESENCE_SIG_LEN] = { 0 };
	CLEANUP(free_p) char *payload = base64_encode(data, size);
	CLEANUP(free_p) char *sig_text = base64_encode(sig, sizeof(sig));

	if (json) {
		ROUND_TRIP(struct presence, presence, json);
		if (presence_from_json(json, &presence, NULL) == 0)
			read_again(&presence);
	}
	CLEANUP_JSON json_t *envelope = json_pack("{s:s,s:s}", "payload", payload, "sig", sig_text);

	if (presence_from_json(envelope, &inner, NULL) == 0) {
		read_again(&inner);
		if (presence_verify(&inner, sig) == 0)
			abort();
	}
	return 0;
}
