/* The network configuration, for every verb; an error always has a text, and the version that is seen. */
#include <stdlib.h>
#include <string.h>

#include "cni/conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	for (int verb = VERB_ADD; verb <= VERB_STATUS; verb++) {
		CLEANUP_CONF struct conf conf = { .version = CONF_1_0_0 };
		struct err err = { 0 };
		enum cni_code code =
			conf_parse((const char *) data, size, (enum verb) verb, &conf, &err);

		if (code ? !*err.text : !conf.name || conf.n_subnets > CONF_SUBNETS_MAX)
			abort();
		enum conf_version seen = CONF_1_0_0;

		conf_peek_version((const char *) data, size, &seen);
		if (seen != conf.version)
			abort();
	}
	return 0;
}
