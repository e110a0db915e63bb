/* A request as hearth-helper gets it: whatever is accepted can be carried out without further looks. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "helper/request.h"

static void check(const struct request *request)
{
	for (size_t i = 0; i < request->n_entries; i++) {
		const struct hosts_entry *e = &request->entries[i];

		if (!e->n_names || e->n_names > HOSTS_NAMES_MAX)
			abort();
		for (size_t k = 0; k < e->n_names; k++)
			if (strspn(e->names[k], "abcdefghijklmnopqrstuvwxyz0123456789.-") !=
				strlen(e->names[k]))
				abort();
	}
	if (request->kind == REQUEST_UAPI_OPEN &&
		(!request->ifname[0] || request->ifname[0] == '.' || strchr(request->ifname, '/')))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP_REQUEST struct request request = { 0 };
	struct err err = { 0 };
	CLEANUP_JSON json_t *json = json_parse((const char *) data, size, &err);
	const char *call = json_string_value(json_object_get(json, "call"));

	if (call && request_from_json(call, json_object_get(json, "args"), &request, &err) == 0)
		check(&request);
	return 0;
}
