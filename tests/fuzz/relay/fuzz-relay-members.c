/* What hearthd tells a relay of the members: taken whole or not at all, and the table holds it. */
#include <stdlib.h>

#include "base/json.h"
#include "relay/admit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP_ADMIT_ANSWER struct admit_answer answer = { 0 };
	struct err err = { 0 };
	CLEANUP_JSON json_t *json = json_parse((const char *) data, size, &err);
	struct members *members;

	if (!json)
		return 0;
	if (admit_answer_read(json, &answer, &err) < 0) {
		if (!err.text[0] || answer.members)
			abort();
		return 0;
	}
	members = members_new();
	if (members && members_set(members, answer.members, answer.n_members) == 0)
		for (size_t i = 0; i < answer.n_members; i++)
			if (!members_by_id(members, answer.members[i].id) ||
				!members_by_wg(members, answer.members[i].wg))
				abort();
	members_free(members);
	return 0;
}
