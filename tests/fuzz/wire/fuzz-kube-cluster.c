/* The bytes of a cluster document: what is read can be signed again, and says the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "wire/kube.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t seed[FIELD_KEY_LEN] = { 7 };
	static const uint8_t nobody[FIELD_KEY_LEN] = { 1 };
	struct kube_signed document = { .len = size }, again = { .len = 0 };
	struct kube_cluster cluster, reread;
	struct err err = { 0 };

	if (size > sizeof(document.payload))
		return 0;
	memcpy(document.payload, data, size);
	if (kube_cluster_verify(&document, nobody) == 0)
		abort();
	if (kube_cluster_read(&document, &cluster, &err) < 0) {
		if (!err.text[0])
			abort(); /* a refusal without a word */
		return 0;
	}
	if (!cluster.node || !cluster.seq || !cluster.n_ca || cluster.n_ca > KUBE_CA_MAX ||
		kube_cluster_sign(&cluster, seed, &again, &err) < 0 ||
		kube_cluster_read(&again, &reread, &err) < 0 || reread.seq != cluster.seq ||
		strcmp(reread.endpoint, cluster.endpoint) != 0 ||
		strcmp(reread.version, cluster.version) != 0 || reread.n_ca != cluster.n_ca ||
		memcmp(reread.root, cluster.root, sizeof(reread.root)) != 0)
		abort();
	return 0;
}
