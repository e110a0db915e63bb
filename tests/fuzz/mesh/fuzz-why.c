/*
 * why_facts_from_json(), and what is found and told of two boards of which each says the same, and
 * of one alone: some cause, in words that are whole.
 */
#include "../wire/round-trip.h"

#include "mesh/why.h"

static void why_facts_done(struct why_facts *facts)
{
}

static void judge(struct why_facts *here, const struct why_facts *there, enum why_missing missing)
{
	struct why_case c = { .here = { .name = "a", .site = "home", .facts = here },
		.there = { .name = "b", .facts = there },
		.missing = missing };
	struct why_finding finding;
	struct why_verdict v;

	why_find(&c, &finding);
	if (finding.cause >= WHY_CAUSES || finding.at > WHY_AT_BOTH)
		abort();
	why_tell(&c, &finding, &v);
	if (!v.sentence[0] || strpbrk(v.sentence, "{}") || v.n_evidence > WHY_EVIDENCE_MAX)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP_JSON json_t *json = json_parse((const char *) data, size, NULL);
	struct why_facts facts, other;

	if (!json)
		return 0;
	ROUND_TRIP(struct why_facts, why_facts, json);
	if (why_facts_from_json(json, &facts, NULL))
		return 0;
	other = facts;
	judge(&facts, &other, WHY_MISSING_NOT);
	for (enum why_missing missing = WHY_MISSING_UNASKED; missing <= WHY_MISSING_REFUSED;
		missing++)
		judge(&facts, NULL, missing);
	return 0;
}
