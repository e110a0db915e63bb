/* addrs: see addrs.h. Asked of rtnetlink, which needs no rights. */
#include "coordinator/addrs.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "board/links.h"

static int look(const struct links_rules *rules, struct links_facts *ret_facts, struct links *ret,
	struct err *err)
{
	CLEANUP_NL struct nl *nl = NULL;
	int r = nl_open(&nl, err);

	if (r == 0)
		r = links_facts_read(nl, ret_facts, err);
	if (r == 0 && links_judge(ret_facts, rules, ret) < 0)
		r = err_set(err, -ENOMEM, "out of memory");
	return r;
}

int addrs_urls(
	const struct settings *settings, uint16_t port, char (*ret)[FIELD_URL_MAX], struct err *err)
{
	CLEANUP_LINKS_FACTS struct links_facts facts = { 0 };
	CLEANUP_LINKS struct links links = { 0 };
	struct ip_prefix ranges[SETTINGS_RANGES];
	struct links_rules rules = { .denied = ranges, .lasting = true };
	size_t n = 0;
	int r;

	rules.n_denied = settings_ranges(settings, ranges);
	r = look(&rules, &facts, &links, err);
	if (r < 0)
		return r;
	for (; n < links.n_addrs && n < FIELD_URLS_MAX; n++) {
		struct endpoint e = { .addr = links.addrs[n].addr, .port = port };
		char text[ENDPOINT_TEXT_MAX];

		(void) snprintf(ret[n], FIELD_URL_MAX, "https://%s", endpoint_format(&e, text));
	}
	return (int) n;
}
