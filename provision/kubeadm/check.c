/* check: each document to its rules. */
#include <string.h>

#include "base/cleanup.h"
#include "kubeadm/rules.h"

int kubeadm_check(
	const json_t *docs, const struct kubeadm_home *home, json_t *notes, struct err *err)
{
	static const struct {
		const char *kind;
		int (*check)(const struct rules *rules, const json_t *doc, struct err *err);
	} kinds[] = { { "InitConfiguration", rules_init }, { "JoinConfiguration", rules_join },
		{ "UpgradeConfiguration", rules_upgrade },
		{ "ClusterConfiguration", rules_cluster },
		{ "KubeletConfiguration", rules_kubelet },
		{ "KubeProxyConfiguration", rules_proxy } };
	struct rules rules = { .home = home, .docs = docs, .notes = notes };
	size_t i;
	json_t *doc;

	json_array_foreach(docs, i, doc)
	{
		const char *kind = rule_text(doc, "kind");

		for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
			int r = strcmp(kinds[k].kind, kind) ? 0 : kinds[k].check(&rules, doc, err);

			if (r)
				return r;
		}
	}
	return 0;
}
