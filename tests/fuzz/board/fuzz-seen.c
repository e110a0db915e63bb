/* The file of addresses that peers answered from: what it says is an address that a peer can be at. */
#include <stdint.h>
#include <stdlib.h>

#include "base/json.h"
#include "board/seen.h"
#include "wire/presence.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP_NETMAP struct netmap *map = netmap_new();
	/* A file that cannot be written: what is forgotten stays forgotten all the same. */
	struct seen *seen = seen_new("/dev/null/seen", json_parse((const char *) data, size, NULL));
	struct endpoint endpoint;

	if (!seen || !map)
		abort();
	for (uint32_t id = 0; id < 16; id++) {
		if (!seen_get(seen, id, &endpoint))
			continue;
		if (!presence_endpoint_is_valid(&endpoint))
			abort();
		seen_note(seen, id, &endpoint);
		if (id % 2)
			seen_note(seen, id, NULL);
		if (seen_get(seen, id, &endpoint) == (id % 2 == 1))
			abort();
	}
	seen_note(seen, 3,
		&(struct endpoint){
			.addr = { .family = AF_INET, .bytes = { 9, 9, 9, 9 } }, .port = 9 });
	write_free(seen_write(seen, map, UINT64_MAX)); /* nobody is in the mesh */
	for (uint32_t id = 1; id < 16; id++)
		if (seen_get(seen, id, &endpoint))
			abort();
	seen_free(seen);
	return 0;
}
