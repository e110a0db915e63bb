/*
 * kubeadm-files DIR VERSION TOKEN PIN: writes the files of the tests' home for real programs to look at,
 * and below DIR/settings what each setting of settings.c makes of them:
 *	NAME/main.yaml      init.yaml or join.yaml
 *	NAME/patched.yaml   the home's init.yaml with the kubelet's patch applied
 *	NAME/upgrade.yaml
 *	NAME/expect         "taken", "refused" (by us: what it would be), "sorted" (by us, for this kubeadm
 *	                    would sort it), "kubeadm" or "kubelet" (which refuse it), then a line for each
 *	                    argument that must count: "COMPONENT --NAME=VALUE", all of its values
 * and below DIR/patches the patches of a control plane's pods. A tool of tests/interop/test-kubeadm.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"
#include "base/yaml.h"
#include "boards.h"
#include "settings.h"

static void write_text(const char *path, const struct buf *text)
{
	if (file_write_atomic(path, text->data, text->len, 0600) < 0) {
		fprintf(stderr, "kubeadm-files: cannot write %s\n", path);
		exit(1);
	}
}

static void write_docs(const char *dir, const char *name, const json_t *docs)
{
	CLEANUP_BUF struct buf text = { 0 };
	char path[4096];

	(void) snprintf(path, sizeof(path), "%.3900s/%.100s.yaml", dir, name);
	if (!docs || kubeadm_text(&text, "", docs) < 0)
		exit(1);
	write_text(path, &text);
}

static json_t *documents(const struct board *b, const char *version)
{
	struct err err = { 0 };
	json_t *docs = board_documents(b, version, NULL, &err);
	CLEANUP_JSON json_t *checked = json_deep_copy(docs);

	if (!docs || board_check(b, version, checked, NULL, &err) < 0) {
		fprintf(stderr, "kubeadm-files: %s: %s\n", b->node.name, err.text);
		exit(1);
	}
	return docs;
}

/* kubeadm looks at a KubeletConfiguration only beside its own documents. */
static void write_patched(
	const char *dir, const char *name, const char *version, const json_t *patch)
{
	CLEANUP_JSON json_t *init = documents(&boards[0], version);

	json_decref(board_take(init, PATCH_KIND));
	json_decref(board_take(init, "UpgradeConfiguration"));
	if (kubeadm_apply_patch(init, patch) < 0)
		exit(1);
	write_docs(dir, name, init);
}

static void write_board(const char *dir, const char *version, const struct board *b)
{
	char name[128];
	CLEANUP_JSON json_t *docs = documents(b, version);
	CLEANUP_JSON json_t *patch = board_take(docs, PATCH_KIND);
	CLEANUP_JSON json_t *upgrade = board_take(docs, "UpgradeConfiguration");

	(void) snprintf(name, sizeof(name), "%s-%s", b->node.name, b->init ? "init" : "join");
	write_docs(dir, name, docs);
	(void) snprintf(name, sizeof(name), "%s-patched", b->node.name);
	write_patched(dir, name, version, patch);
	(void) snprintf(name, sizeof(name), "%s-upgrade", b->node.name);
	write_docs(dir, name, upgrade);
}

static void write_plane_patches(const char *all)
{
	char dir[4096], name[128];
	const char *file;
	json_t *docs;
	CLEANUP_JSON json_t *patches = kubeadm_plane_patches();

	(void) snprintf(dir, sizeof(dir), "%.4000s/patches", all);
	if (!patches || file_mkdirs(dir, 0700) < 0)
		exit(1);
	json_object_foreach(patches, file, docs)
	{
		(void) snprintf(name, sizeof(name), "%.*s", (int) (strlen(file) - 5), file);
		write_docs(dir, name, docs);
	}
}

static void write_arguments(struct buf *text, const struct setting_effect *e)
{
	const char *value = e->value;

	buf_printf(text, "%s --%s", e->where, e->name);
	while (value) {
		const char *space = strchr(value, ' ');

		buf_printf(
			text, "=%.*s", (int) (space ? space - value : (long) strlen(value)), value);
		if (space)
			buf_printf(text, " --%s", e->name);
		value = space ? space + 1 : NULL;
	}
	buf_add_str(text, "\n");
}

static void write_expectation(const char *dir, const struct setting *s, bool refused)
{
	static const char *const outcomes[] = { "taken", "refused", "kubeadm", "kubelet", "taken" };
	char path[4096];
	CLEANUP_BUF struct buf text = { 0 };

	buf_printf(&text, "%s\n",
		s->outcome == SETTING_ORDERED && refused ? "sorted" : outcomes[s->outcome]);
	for (size_t i = 0; i < SETTING_EFFECTS && s->effective[i].where; i++) {
		const struct setting_effect *e = &s->effective[i];

		if (!strstr(e->where, "Configuration") && strcmp(e->where, PATCH_KIND))
			write_arguments(&text, e);
	}
	(void) snprintf(path, sizeof(path), "%.4000s/expect", dir);
	write_text(path, &text);
}

static void write_setting(const char *all, const char *version, const struct setting *s)
{
	char dir[4096];
	struct err err = { 0 };
	CLEANUP_JSON json_t *over = yaml_parse_all(s->yaml, strlen(s->yaml), &err);
	CLEANUP_JSON json_t *docs =
		over ? board_documents(&boards[s->board], version, over, &err) : NULL;

	if (!docs && s->outcome == SETTING_REFUSED)
		return; /* cannot even be merged */
	(void) snprintf(dir, sizeof(dir), "%.3900s/settings/%s", all, s->name);
	if (!docs || file_mkdirs(dir, 0700) < 0)
		exit(1);
	CLEANUP_JSON json_t *checked = json_deep_copy(docs);
	bool refused = board_check(&boards[s->board], version, checked, NULL, &err) < 0;

	if (refused != (s->outcome == SETTING_REFUSED) && s->outcome != SETTING_ORDERED) {
		fprintf(stderr, "kubeadm-files: %s for %s: %s\n", s->name, version,
			refused ? err.text : "is not refused");
		exit(1);
	}
	CLEANUP_JSON json_t *patch = board_take(docs, PATCH_KIND);
	CLEANUP_JSON json_t *upgrade = board_take(docs, "UpgradeConfiguration");

	write_docs(dir, "main", docs);
	write_docs(dir, "upgrade", upgrade);
	write_patched(dir, "patched", version, patch);
	write_expectation(dir, s, refused);
}

int main(int argc, char **argv)
{
	struct kubeadm_version version;

	if (argc != 5 || boards_setup(NULL) < 0 ||
		kubeadm_version_parse(argv[2], &version, NULL) < 0)
		return 2;
	CLEANUP_JSON json_t *given = json_pack("[s]", argv[4]);

	json_decref((json_t *) bundle.ca);
	bundle.ca = json_incref(given);
	bundle.token = argv[3];
	for (size_t i = 0; i < BOARDS; i++)
		write_board(argv[1], argv[2], &boards[i]);
	write_plane_patches(argv[1]);
	for (size_t i = 0; i < n_settings; i++)
		write_setting(argv[1], argv[2], &settings[i]);
	boards_teardown(NULL);
	return 0;
}
