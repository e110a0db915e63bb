/*
 * kubefiles: the kubeadm files of this board below ETC/kubeadm: init.yaml where `kubeadm init` is to
 * run, join.yaml elsewhere as soon as there is a join bundle, the kubelet's patch and resolv.conf. A
 * document that does not pass the check is not written. Files with tokens are for root alone.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "provision/enroll.h"
#include "sys/exec/exec.h"

enum { BUNDLE_MAX = 65536, OUTPUT_MAX = 16 * 1024 };

#define HEAD                                                                                    \
	"# Written by enroll-node. Do not edit: put documents of your own into\n"               \
	"# /etc/hearth/kubeadm.d/*.yaml (maps are merged, lists appended) and run enroll-node " \
	"again.\n"

/* ---- the version ---- */

struct program {
	bool found;
	struct kubeadm_version version;
};

static int find_kubeadm(struct enroll *e, struct program *ret, struct err *err)
{
	const char *const argv[] = { "kubeadm", "version", "-o", "short", NULL };
	struct exec_options options = {
		.argv = argv, .output_max = OUTPUT_MAX, .timeout_us = 30 * USEC_PER_SEC
	};
	CLEANUP_EXEC_RESULT struct exec_result result = { 0 };
	int r = exec_run(&options, &result, NULL);
	ret->found = r == 0;
	if (e->kubeadm_version)
		return kubeadm_version_parse(e->kubeadm_version, &ret->version, err);
	if (r == -ENOENT)
		return kubeadm_version_parse(KUBEADM_VERSION_DEFAULT, &ret->version, err);
	if (!r)
		r = exec_check(&result, "kubeadm version -o short", err);
	if (r)
		return r;
	char *line = result.out.data ? result.out.data : (char *) "";
	if (*line)
		line[strcspn(line, "\r\n")] = 0;
	return kubeadm_version_parse(line, &ret->version, err);
}

/* kubeadm's own word on a file that stands. Only for the version it is, or it would refuse its own. */
static int ask_kubeadm(const char *path, struct err *err)
{
	const char *const argv[] = { "kubeadm", "config", "validate", "--config", path, NULL };
	struct exec_options options = {
		.argv = argv, .output_max = OUTPUT_MAX, .timeout_us = 60 * USEC_PER_SEC
	};
	CLEANUP_EXEC_RESULT struct exec_result result = { 0 };
	int r = exec_run(&options, &result, err);
	return r < 0 ? r : exec_check(&result, "kubeadm config validate", err);
}

/* ---- documents ---- */

static void cluster_of(const struct settings *s, struct kubeadm_cluster *ret)
{
	*ret = (struct kubeadm_cluster){ .mesh = s->mesh,
		.mesh4 = s->mesh4,
		.mesh6 = s->mesh6,
		.pods4 = s->pods4,
		.pods6 = s->pods6,
		.services4 = s->services4,
		.services6 = s->services6,
		.api4 = s->api4,
		.api6 = s->api6 };
}

static void node_of(const struct enroll *e, struct kubeadm_node *ret)
{
	*ret = (struct kubeadm_node){ .name = e->node.name,
		.mesh4 = e->node.mesh4,
		.mesh6 = e->node.mesh6,
		.control_plane = e->node.role == NODE_ROLE_CONTROL_PLANE,
		.board = e->facts.board,
		.storage = *e->facts.storage ? e->facts.storage : NULL,
		.memory_bytes = e->facts.memory_bytes,
		.labels = e->node.labels };
}

struct files {
	char dir[PATH_TEXT_MAX]; /* ETC/kubeadm */
	struct program kubeadm;
	struct kubeadm_cluster cluster;
	struct kubeadm_node node;
	json_t *overrides, *patch, *docs; /* owned; docs NULL: not yet */
	json_t *ca;
	unsigned written;
	char names[256]; /* of the files that were written */
};

static void files_done(struct files *files)
{
	json_decref(files->overrides);
	json_decref(files->patch);
	json_decref(files->docs);
	json_decref(files->ca);
}

static json_t *join_docs(struct enroll *e, struct files *files)
{
	files->ca = json_array();
	for (size_t i = 0; i < e->bundle.n_ca; i++)
		json_array_append_new(files->ca, json_string(e->bundle.ca[i]));
	struct kubeadm_bundle bundle = { .endpoint = e->bundle.endpoint,
		.token = e->bundle.token,
		.ca = files->ca,
		.certificate_key =
			e->bundle.has_certificate_key ? e->bundle.certificate_key : NULL };
	return kubeadm_join_documents(&files->node, &bundle, files->dir);
}

static int make_documents(struct enroll *e, struct files *files, struct err *err)
{
	char path[PATH_TEXT_MAX];
	files->overrides = kubeadm_read_overrides(paths_join(e->paths.etc, "kubeadm.d", path), err);
	if (!files->overrides)
		return err->code;
	files->patch = kubeadm_kubelet_patch(&files->node);
	bool has_docs = e->first_control_plane || e->has_bundle;
	if (e->first_control_plane)
		files->docs = kubeadm_init_documents(
			&files->cluster, &files->node, &files->kubeadm.version, files->dir);
	else if (e->has_bundle)
		files->docs = join_docs(e, files);
	if (!files->patch || (has_docs && !files->docs))
		return err_set(err, -ENOMEM, "out of memory");
	int r = kubeadm_merge_patch(files->patch, files->overrides, e->first_control_plane, err);
	if (!r && files->docs)
		r = kubeadm_merge(files->docs, files->overrides, err);
	if (r)
		return err_prefix(err, "%s", path);
	r = kubeadm_check(files->patch, &files->kubeadm.version, e->facts.memory_bytes, err);
	if (!r && files->docs)
		r = kubeadm_check(files->docs, &files->kubeadm.version, e->facts.memory_bytes, err);
	return r && json_array_size(files->overrides) ? err_prefix(err, "with what %s adds", path)
						      : r;
}

/* ---- writing ---- */

static int put_file(struct enroll *e, struct files *files, const char *name, const struct buf *text,
	mode_t mode, struct err *err)
{
	char path[PATH_TEXT_MAX];
	CLEANUP_BUF struct buf now = { 0 };
	struct stat st;
	paths_join(files->dir, name, path);
	bool same = file_read(path, 1 << 20, &now) == 0 && now.len == text->len &&
		    !memcmp(now.data, text->data, text->len) && stat(path, &st) == 0 &&
		    (st.st_mode & 07777) == mode;
	if (now.data)
		explicit_bzero(now.data, now.len);
	if (same)
		return 0;
	size_t len = strlen(files->names);
	files->written++;
	(void) snprintf(
		files->names + len, sizeof(files->names) - len, "%s%s", len ? ", " : "", name);
	int r = e->dry_run ? 0 : file_write_atomic(path, text->data, text->len, mode);
	return r < 0 ? err_set(err, r, "write %s: %s", path, strerror(-r)) : 0;
}

static int put_docs(struct enroll *e, struct files *files, const char *name, const json_t *docs,
	mode_t mode, struct err *err)
{
	CLEANUP_BUF struct buf text = { 0 };
	int r = kubeadm_text(&text, HEAD, docs);
	if (r)
		return err_set(err, r, "write %s: %s", name, strerror(-r));
	r = put_file(e, files, name, &text, mode, err);
	explicit_bzero(text.data, text.len);
	return r;
}

static int put_bundle(struct enroll *e, struct files *files, struct err *err)
{
	CLEANUP_JSON json_t *json = kube_bundle_to_json(&e->bundle);
	CLEANUP(free_p) char *line = json ? json_text(json) : NULL;
	CLEANUP_BUF struct buf text = { 0 };
	if (!line)
		return err_set(err, -ENOMEM, "out of memory");
	buf_printf(&text, "%s\n", line);
	explicit_bzero(line, strlen(line));
	unsigned before = files->written;
	char names[sizeof(files->names)];
	memcpy(names, files->names, sizeof(names));
	int r = put_file(e, files, "bundle.json", &text, 0600, err);
	explicit_bzero(text.data, text.len);
	files->written = before; /* not worth a word: join.yaml says it all */
	memcpy(files->names, names, sizeof(names));
	return r;
}

static int write_all(struct enroll *e, struct files *files, struct err *err)
{
	char path[PATH_TEXT_MAX];
	CLEANUP_BUF struct buf resolv = { 0 };
	int r = e->dry_run ? 0 : file_mkdirs(paths_join(files->dir, "patches", path), 0755);
	if (r < 0)
		return err_set(err, r, "make %s: %s", path, strerror(-r));
	resolv_tell(e, resolv_make(e, &resolv));
	r = put_file(e, files, "resolv.conf", &resolv, 0644, err);
	if (!r)
		r = put_docs(e, files, "patches/" KUBEADM_PATCH_FILE, files->patch, 0644, err);
	if (!r && e->has_bundle)
		r = put_bundle(e, files, err);
	if (!r && files->docs)
		r = put_docs(e, files, e->first_control_plane ? "init.yaml" : "join.yaml",
			files->docs, 0600, err);
	return r;
}

/* ---- the bundle ---- */

static void load_bundle(struct enroll *e, const char *dir)
{
	char path[PATH_TEXT_MAX];
	struct err ignored = { 0 };
	CLEANUP_JSON json_t *json =
		json_read_file(paths_join(dir, "bundle.json", path), BUNDLE_MAX, &ignored);
	/* Damaged is as good as absent: the next one is published to all boards. */
	if (json && kube_bundle_from_json(json, &e->bundle, &ignored) == 0)
		e->has_bundle = true;
}

/* kubeadm joins clusters of its own minor version and of the one before. */
static void compare_versions(struct enroll *e, const struct files *files)
{
	struct kubeadm_version cluster;
	const struct kubeadm_version *own = &files->kubeadm.version;
	if (!files->kubeadm.found || !e->has_bundle || e->first_control_plane ||
		kubeadm_version_parse(e->bundle.version, &cluster, NULL) < 0)
		return;
	if (cluster.major == own->major &&
		(cluster.minor == own->minor || cluster.minor + 1 == own->minor))
		return;
	talk_step(&e->talk, TALK_NOTE, "kubeadm",
		"this board has kubeadm %s, the cluster runs %s: install v%u.%u here before it "
		"joins",
		own->text, cluster.text, cluster.major, cluster.minor);
}

static void say_next(struct enroll *e, const struct files *files)
{
	if (!files->kubeadm.found && e->kubeadm_version)
		talk_next(&e->talk,
			"install containerd, and kubelet and kubeadm %s, which the files are for",
			files->kubeadm.version.text);
	else if (!files->kubeadm.found)
		talk_next(&e->talk,
			"install containerd, kubelet and kubeadm, then run enroll-node again: no "
			"kubeadm was found, so the files are for %s, which an older kubeadm "
			"refuses",
			files->kubeadm.version.text);
	if (access("/etc/kubernetes/kubelet.conf", F_OK) == 0)
		return;
	if (e->first_control_plane) {
		talk_next(&e->talk, "kubeadm init --config %s/init.yaml", files->dir);
		talk_next(&e->talk,
			"then hearth kube publish, and every enrolled board gets its join.yaml");
		talk_next(&e->talk,
			"when the boards have joined, hearth kube approve --wait, so that kubectl "
			"logs and exec work");
	} else if (files->docs) {
		talk_next(&e->talk, "kubeadm join --config %s/join.yaml", files->dir);
	} else {
		talk_next(&e->talk,
			"%s/join.yaml comes by itself once `hearth kube publish` is said on the "
			"control "
			"plane; then kubeadm join --config %s/join.yaml",
			files->dir, files->dir);
	}
}

static int check_with_kubeadm(struct enroll *e, struct files *files, struct err *err)
{
	char path[PATH_TEXT_MAX];
	if (!files->docs || !files->kubeadm.found || e->kubeadm_version || e->dry_run)
		return 0;
	paths_join(files->dir, e->first_control_plane ? "init.yaml" : "join.yaml", path);
	int r = ask_kubeadm(path, err);
	return r ? err_prefix(
			   err, "kubeadm %s does not accept %s", files->kubeadm.version.text, path)
		 : 0;
}

int kubefiles_write(struct enroll *e, struct err *err)
{
	CLEANUP(files_done) struct files files = { 0 };
	paths_join(e->paths.etc, "kubeadm", files.dir);
	if (!e->has_bundle)
		load_bundle(e, files.dir);
	int r = find_kubeadm(e, &files.kubeadm, err);
	if (!r)
		r = kubeadm_version_check(&files.kubeadm.version, err);
	if (r)
		return r;
	cluster_of(&e->settings, &files.cluster);
	node_of(e, &files.node);
	r = make_documents(e, &files, err);
	if (!r)
		r = write_all(e, &files, err);
	if (!r)
		r = check_with_kubeadm(e, &files, err);
	if (r)
		return r;
	compare_versions(e, &files);
	if (files.written)
		talk_step(&e->talk, e->dry_run ? TALK_WOULD : TALK_DONE, "kubeadm",
			"%s%s in %s, for %s", e->dry_run ? "write " : "", files.names, files.dir,
			files.kubeadm.version.text);
	else
		talk_step(&e->talk, TALK_KEPT, "kubeadm", "the files in %s are up to date",
			files.dir);
	say_next(e, &files);
	return 0;
}
