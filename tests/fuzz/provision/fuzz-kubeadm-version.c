/* What `kubeadm version -o short` prints: an accepted version is written so that it is the same again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "kubeadm/kubeadm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(free_p) char *text = strndup((const char *) data, size);
	struct kubeadm_version version, again;
	struct err err = { 0 };

	if (!text)
		return 0;
	if (kubeadm_version_parse(text, &version, &err) < 0) {
		if (!err.text[0])
			abort();
		return 0;
	}
	if (kubeadm_version_parse(version.text, &again, &err) < 0 ||
		strcmp(version.text, again.text) || version.major != again.major ||
		version.minor != again.minor || version.patch != again.patch)
		abort();
	(void) kubeadm_version_check(&version, &err);
	return 0;
}
