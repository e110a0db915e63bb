/*
 * kubefiles: the kubeadm files of this board below ETC/kubeadm: init.yaml where `kubeadm init` is
 * to run, join.yaml elsewhere as soon as there is a join bundle, upgrade.yaml, patches and
 * resolv.conf. What does not pass our checks, or those of the kubeadm that is here, is not written.
 * Files with tokens are for root alone.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/yaml.h"
#include "mesh/cluster.h"
#include "provision/enroll.h"
#include "provision/judge.h"

enum { BUNDLE_MAX = 65536 };

#define HEAD                                                                              \
	"# Written by enroll-node. Do not edit: put documents of your own into\n"         \
	"# /etc/hearth/kubeadm.d/*.yaml (man enroll-node says how they are merged) and\n" \
	"# run enroll-node again.\n"

/* --- documents --- */

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

/* Ubuntu Desktop and its like have one; whether it runs just now does not matter. */
static bool has_desktop(const struct enroll *e)
{
	char path[PATH_TEXT_MAX];
	struct stat st;

	return lstat(paths_join(e->host, "systemd/system/display-manager.service", path), &st) == 0;
}

static void node_of(const struct enroll *e, struct kubeadm_node *ret)
{
	*ret = (struct kubeadm_node){ .name = e->node.name,
		.mesh4 = e->node.mesh4,
		.mesh6 = e->node.mesh6,
		.control_plane = e->node.role == NODE_ROLE_CONTROL_PLANE,
		.desktop = has_desktop(e),
		.board = e->facts.board,
		.storage = *e->facts.storage ? e->facts.storage : NULL,
		.memory_bytes = e->facts.memory_bytes,
		.labels = e->node.labels };
}

struct files {
	char dir[PATH_TEXT_MAX]; /* ETC/kubeadm */
	struct judge judge;
	struct kubeadm_cluster cluster;
	struct kubeadm_node node;
	struct kubeadm_home home;
	json_t *overrides, *patch, *upgrade, *docs; /* owned; docs NULL: not yet */
	json_t *notes;
	json_t *ca;
	bool is_sample;      /* docs: there is no bundle to make them of */
	bool lacks_key;      /* the bundle had none, and this board needs one */
	bool made_of_else;   /* the cluster would be told other settings than init.yaml had */
	bool registers_else; /* kubelet would say other things of its Node than before */
	char joined[JOINED_NAME_MAX]; /* Kubernetes' name for this board, if the mesh has another */
	unsigned written;
	char names[512]; /* of the files that were written */
};

static void files_done(struct files *files)
{
	json_decref(files->overrides);
	json_decref(files->patch);
	json_decref(files->upgrade);
	json_decref(files->docs);
	json_decref(files->notes);
	json_decref(files->ca);
}

static const char *docs_name(const struct enroll *e)
{
	return e->first_control_plane ? "init.yaml" : "join.yaml";
}

/* Of another role than this board has now: what it says is wrong, and a token may be in it. */
static const char *other_docs_name(const struct enroll *e)
{
	return e->first_control_plane ? "join.yaml" : "init.yaml";
}

/*
 * Before the first bundle: of the form of one, so that what else makes join.yaml (labels, the
 * user's own documents) is checked now, in front of a person, and not when a bundle comes to a
 * board nobody looks at.
 */
static json_t *sample_docs(struct files *files)
{
	struct kubeadm_bundle bundle = { .endpoint = "api.example.internal:6443",
		.token = "abcdef.0123456789abcdef" };

	files->ca = json_pack(
		"[s]", "sha256:0000000000000000000000000000000000000000000000000000000000000000");
	bundle.ca = files->ca;
	return kubeadm_join_documents(&files->home, &bundle);
}

static json_t *join_docs(struct enroll *e, struct files *files)
{
	files->ca = json_array();
	for (size_t i = 0; i < e->cluster.n_ca; i++)
		json_array_append_new(files->ca, json_string(e->cluster.ca[i]));
	struct kubeadm_bundle bundle = { .endpoint = e->cluster.endpoint,
		.token = e->bundle.token,
		.ca = files->ca,
		.certificate_key =
			e->bundle.has_certificate_key ? e->bundle.certificate_key : NULL };

	return kubeadm_join_documents(&files->home, &bundle);
}

static int generate(struct enroll *e, struct files *files, struct err *err)
{
	files->notes = json_array();
	files->patch = kubeadm_kubelet_patch(&files->node);
	files->upgrade = kubeadm_upgrade_documents(&files->home);
	files->is_sample = !e->first_control_plane && !e->has_bundle;
	if (e->first_control_plane)
		files->docs = kubeadm_init_documents(&files->home);
	else
		files->docs = files->is_sample ? sample_docs(files) : join_docs(e, files);
	return files->notes && files->patch && files->upgrade && files->docs
		       ? 0
		       : err_set(err, -ENOMEM, "out of memory");
}

static int merge_all(struct enroll *e, struct files *files, struct err *err)
{
	int r = kubeadm_merge_patch(files->patch, files->overrides, e->first_control_plane, err);

	if (r == 0)
		r = kubeadm_merge(files->upgrade, files->overrides, err);
	if (r == 0 && files->docs)
		r = kubeadm_merge(files->docs, files->overrides, err);
	return r || !files->docs ? r : kubeadm_derive(files->docs, &files->home, err);
}

static bool is_in_cluster(const struct enroll *e)
{
	char path[PATH_TEXT_MAX];

	return access(paths_join(e->host, "kubernetes/kubelet.conf", path), F_OK) == 0;
}

/*
 * A further control plane fetches the first one's certificates, by a key that only `publish
 * --control-plane` makes; without it kubeadm join fails after it has begun. Who has brought the CA
 * there by hand needs none.
 */
static bool lacks_certificate_key(const struct enroll *e, const struct files *files)
{
	char path[PATH_TEXT_MAX];
	const json_t *plane = json_object_get(json_array_get(files->docs, 0), "controlPlane");
	const char *key = json_string_value(json_object_get(plane, "certificateKey"));

	return plane && !files->is_sample && !(key && *key) && !is_in_cluster(e) &&
	       access(paths_join(e->host, "kubernetes/pki/ca.key", path), F_OK) < 0;
}

static int check_all(struct files *files, struct err *err)
{
	int r = kubeadm_check(files->patch, &files->home, files->notes, err);

	if (r == 0)
		r = kubeadm_check(files->upgrade, &files->home, files->notes, err);
	if (r == 0 && files->docs)
		r = kubeadm_check(files->docs, &files->home, files->notes, err);
	return r;
}

/*
 * kubeadm looks at no patch by itself: it is shown what the patch makes of the cluster's
 * configuration.
 */
static int judge_patch(struct enroll *e, struct files *files, struct err *err)
{
	CLEANUP_JSON json_t *docs = kubeadm_init_documents(&files->home);

	if (!docs || kubeadm_derive(docs, &files->home, err) < 0 ||
		kubeadm_apply_patch(docs, files->patch) < 0)
		return err_set(err, -ENOMEM, "out of memory");
	return judge_documents(e, &files->judge, docs, "patches/" KUBEADM_PATCH_FILE, err);
}

static int judge_all(struct enroll *e, struct files *files, struct err *err)
{
	int r = judge_documents(e, &files->judge, files->docs, docs_name(e), err);

	if (r == 0)
		r = judge_patch(e, files, err);
	if (r == 0)
		r = judge_documents(e, &files->judge, files->upgrade, "upgrade.yaml", err);
	return r ? r : judge_kubelet_flags(e, &files->judge, files->docs, err);
}

static int make_documents(struct enroll *e, struct files *files, struct err *err)
{
	char path[PATH_TEXT_MAX];

	files->overrides = kubeadm_read_overrides(paths_join(e->paths.etc, "kubeadm.d", path), err);
	if (!files->overrides)
		return err->code;
	int r = generate(e, files, err);

	if (r == 0)
		r = merge_all(e, files, err);
	if (r == 0)
		r = check_all(files, err);
	if (r == 0)
		r = judge_all(e, files, err);
	files->lacks_key = r == 0 && lacks_certificate_key(e, files);
	if (files->lacks_key) {
		kube_bundle_done(&e->bundle);
		e->has_bundle = false;
	}
	if (r == 0 && (files->is_sample || files->lacks_key)) {
		json_decref(files->docs);
		files->docs = NULL; /* nothing of it is written */
	}
	return r && json_array_size(files->overrides) ? err_prefix(err, "with what %s adds", path)
						      : r;
}

/* What was noticed, and who looked. */
static void tell_notes(struct enroll *e, const struct files *files)
{
	size_t i;
	json_t *note;

	json_array_foreach(files->notes, i, note)
	{
		talk_step(&e->talk, TALK_NOTE, "kubeadm", "%s", json_string_value(note));
	}
	if (json_array_size(files->overrides) && !files->judge.asked)
		talk_step(&e->talk, TALK_NOTE, "kubeadm",
			"what %s/kubeadm.d adds was not looked at for misspelt fields "
			"and wrong types: that is for kubeadm %s, which is not here",
			e->paths.etc, files->judge.version.text);
}

/* --- writing --- */

static json_t *registration_of(const json_t *docs)
{
	return json_object_get(json_array_get(docs, 0), "nodeRegistration");
}

/*
 * What a cluster keeps: all but what is the board's, which is the first document. A cluster that is
 * there gets its version from `kubeadm upgrade`.
 */
static json_t *settings_of(const json_t *docs)
{
	json_t *copy = json_deep_copy(docs), *doc;
	size_t i;

	if (copy)
		(void) json_array_remove(copy, 0);
	json_array_foreach(copy, i, doc)
	{
		(void) json_object_del(doc, "kubernetesVersion");
	}
	return copy;
}

/* Beside those that are there; what cannot be read was not made by us. */
static void compare_docs(const struct enroll *e, struct files *files)
{
	char path[PATH_TEXT_MAX];
	CLEANUP_JSON json_t *before =
		yaml_read_file_all(paths_join(files->dir, docs_name(e), path), NULL);

	if (!before || !files->docs)
		return;
	CLEANUP_JSON json_t *was = settings_of(before), *is = settings_of(files->docs);

	files->made_of_else = !json_equal(was, is);
	files->registers_else = !json_equal(registration_of(before), registration_of(files->docs));
}

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

enum { WHEN_TEXT_MAX = 32 };

static const char *when(uint64_t seconds, char ret[static WHEN_TEXT_MAX])
{
	time_t t = (time_t) seconds;
	struct tm tm;

	if (!gmtime_r(&t, &tm) || !strftime(ret, WHEN_TEXT_MAX, "%Y-%m-%d %H:%M UTC", &tm))
		(void) snprintf(ret, WHEN_TEXT_MAX, "an unknown time");
	return ret;
}

static int put_docs(struct enroll *e, struct files *files, const char *name, const json_t *docs,
	mode_t mode, struct err *err)
{
	CLEANUP_BUF struct buf head = { 0 };
	CLEANUP_BUF struct buf text = { 0 };
	char until[WHEN_TEXT_MAX];

	buf_add_str(&head, HEAD);
	if (!strcmp(name, "join.yaml"))
		buf_printf(&head,
			"# Its token is good until %s; then `hearth kube publish%s`\n"
			"# on the control plane makes another.\n",
			when(e->bundle.expires, until),
			files->node.control_plane ? " --control-plane" : "");
	if (!strcmp(name, "upgrade.yaml"))
		buf_printf(&head, JUDGE_MADE_FOR "%s.\n", files->judge.version.text);
	int r = kubeadm_text(&text, buf_str(&head), docs);

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

static int put_plane_patches(struct enroll *e, struct files *files, struct err *err)
{
	CLEANUP_JSON json_t *all = kubeadm_plane_patches();
	const char *file;
	json_t *docs;
	int r = all ? 0 : err_set(err, -ENOMEM, "out of memory");

	json_object_foreach(all, file, docs)
	{
		char name[128];

		(void) snprintf(name, sizeof(name), "patches/%s", file);
		r = r ? r : put_docs(e, files, name, docs, 0644, err);
	}
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
	if (r == 0)
		r = put_docs(e, files, "patches/" KUBEADM_PATCH_FILE, files->patch, 0644, err);
	if (r == 0 && files->node.control_plane)
		r = put_plane_patches(e, files, err);
	if (r == 0)
		r = put_docs(e, files, "upgrade.yaml", files->upgrade, 0644, err);
	if (r == 0 && e->has_bundle)
		r = put_bundle(e, files, err);
	if (r == 0 && files->docs)
		r = put_docs(e, files, docs_name(e), files->docs, 0600, err);
	if (r == 0 && !e->dry_run)
		(void) unlink(paths_join(files->dir, other_docs_name(e), path));
	return r;
}

/* --- the bundle --- */

int kubefiles_believe(struct enroll *e, const uint8_t root[static FIELD_KEY_LEN], struct err *err)
{
	return cluster_judge(trust_netmap(e->trust), root, &e->bundle.cluster,
		trust_cluster(e->trust), &e->cluster, err);
}

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

/*
 * With a token that is over, kubeadm join would try for ten minutes; and who signed may be no
 * control plane any more. One that just came is looked at by whoever it came to.
 */
static void drop_old(struct enroll *e, const char *dir)
{
	static const char *const names[] = { "join.yaml", "bundle.json" };
	char path[PATH_TEXT_MAX], then[WHEN_TEXT_MAX], why[ERR_TEXT_MAX];
	struct err refused = { 0 };

	if (!e->has_bundle || (kubefiles_believe(e, e->config.root, &refused) == 0 &&
				      e->bundle.expires > clock_wall_us() / USEC_PER_SEC))
		return;
	(void) snprintf(
		why, sizeof(why), "its token was good until %s", when(e->bundle.expires, then));
	if (refused.code)
		(void) snprintf(why, sizeof(why), "%s", refused.text);
	kube_bundle_done(&e->bundle);
	e->has_bundle = false;
	for (size_t i = 0; i < ARRAY_LEN(names) && !e->dry_run; i++)
		(void) unlink(paths_join(dir, names[i], path));
	if (!is_in_cluster(e))
		talk_step(&e->talk, e->dry_run ? TALK_WOULD : TALK_DONE, "bundle",
			"%s the join bundle: %s", e->dry_run ? "remove" : "removed", why);
}

/* kubeadm joins clusters of its own minor version and of the one before. */
static void compare_versions(struct enroll *e, const struct files *files)
{
	struct kubeadm_version cluster;
	const struct kubeadm_version *own = &files->judge.version;

	if (!files->judge.found || !e->has_bundle || e->first_control_plane ||
		kubeadm_version_parse(e->cluster.version, &cluster, NULL) < 0)
		return;
	if (cluster.major == own->major &&
		(cluster.minor == own->minor || cluster.minor + 1 == own->minor))
		return;
	talk_step(&e->talk, TALK_NOTE, "kubeadm",
		"this board has kubeadm %s, the cluster runs %s: "
		"install v%u.%u here before it joins",
		own->text, cluster.text, cluster.major, cluster.minor);
}

/*
 * What kubelet said of its Node when it registered stays; a person at the control plane can change
 * most of it.
 */
static void say_registered(struct enroll *e, const struct files *files)
{
	const char *name = e->node.name;

	if (*files->joined)
		talk_step(&e->talk, TALK_NOTE, "kubeadm",
			"Kubernetes knows this board as %s, by the name that it joined with, "
			"and a Node's name cannot be changed: `sudo hearth node rename %s %s` "
			"on the coordinator makes them one again. Or let it join anew, unless "
			"it is the only control plane: kubectl drain %s --ignore-daemonsets, "
			"kubectl delete node %s, and here kubeadm reset, then kubeadm join",
			files->joined, name, files->joined, files->joined, files->joined);
	else if (files->registers_else)
		talk_step(&e->talk, TALK_NOTE, "kubeadm",
			"kubelet registered its Node already and does not read %s again: `kubectl "
			"label node %s` and `kubectl taint node %s` change what stands there",
			docs_name(e), name, name);
}

/* A cluster is made once: a later change of what it was made from would be lost in silence. */
static void say_too_late(struct enroll *e, const struct files *files)
{
	if (strstr(files->names, "patches/"))
		talk_step(&e->talk, TALK_NOTE, "kubeadm",
			"this board is part of a cluster already: its kubelet follows the new "
			"patch at the next `kubeadm upgrade` with --config %s/upgrade.yaml",
			files->dir);
	if (e->first_control_plane && files->made_of_else && !*files->joined)
		talk_step(&e->talk, TALK_NOTE, "kubeadm",
			"the cluster was made already and does not read init.yaml again: "
			"change it where it keeps this (ConfigMaps kubeadm-config, "
			"kubelet-config and kube-proxy in kube-system)");
	say_registered(e, files);
	talk_next(&e->talk,
		"to upgrade: "
		"kubeadm upgrade %s --config %s/upgrade.yaml, or the board's sizes are forgotten",
		e->first_control_plane ? "apply VERSION" : "node", files->dir);
}

static void say_next(struct enroll *e, const struct files *files)
{
	if (!files->judge.found && e->kubeadm_version)
		talk_next(&e->talk,
			"install containerd, and kubelet and kubeadm %s, which the files are for",
			files->judge.version.text);
	else if (!files->judge.found)
		talk_next(&e->talk,
			"install containerd, kubelet and kubeadm, then run enroll-node again: "
			"no kubeadm was found, "
			"so the files are for %s, which an older kubeadm refuses",
			files->judge.version.text);
	if (is_in_cluster(e)) {
		say_too_late(e, files);
		return;
	}
	if (e->first_control_plane) {
		talk_next(&e->talk, "kubeadm init --config %s/init.yaml", files->dir);
		talk_next(&e->talk,
			"then hearth kube publish, and every enrolled board gets its join.yaml");
		talk_next(&e->talk,
			"when the boards have joined, "
			"hearth kube approve --wait, so that kubectl logs and exec work");
	} else if (files->docs) {
		char until[WHEN_TEXT_MAX];

		talk_next(&e->talk, "until %s: kubeadm join --config %s/join.yaml",
			when(e->bundle.expires, until), files->dir);
	} else {
		talk_next(&e->talk,
			"%s/join.yaml comes by itself once `hearth kube publish%s` is said on the "
			"%scontrol plane; then kubeadm join --config %s/join.yaml",
			files->dir, files->node.control_plane ? " --control-plane" : "",
			files->node.control_plane ? "first " : "", files->dir);
	}
}

bool kubefiles_are_there(const struct enroll *e)
{
	char path[PATH_TEXT_MAX];

	return access(paths_join(e->paths.etc, "kubeadm/upgrade.yaml", path), F_OK) == 0;
}

int kubefiles_write(struct enroll *e, struct err *err)
{
	CLEANUP(files_done) struct files files = { 0 };

	paths_join(e->paths.etc, "kubeadm", files.dir);
	if (!e->has_bundle) {
		load_bundle(e, files.dir);
		drop_old(e, files.dir);
	}
	int r = e->has_bundle ? kubefiles_believe(e, e->config.root, err) : 0;

	if (r == 0)
		r = judge_find(e, &files.judge, err);
	if (r == 0)
		r = kubeadm_version_check(&files.judge.version, err);
	if (r)
		return r;
	cluster_of(&e->settings, &files.cluster);
	node_of(e, &files.node);
	files.home = (struct kubeadm_home){ .cluster = &files.cluster,
		.node = &files.node,
		.version = &files.judge.version,
		.dir = files.dir };
	r = make_documents(e, &files, err);
	if (r == 0) {
		compare_docs(e, &files);
		r = write_all(e, &files, err);
	}
	if (r == 0 && e->has_bundle && !e->dry_run)
		r = trust_keep_cluster(e->trust, e->cluster.seq, err);
	if (r)
		return r;
	if (!is_in_cluster(e) || !joined_as_another(e, files.joined))
		files.joined[0] = 0;
	compare_versions(e, &files);
	tell_notes(e, &files);
	const char *judged = files.judge.asked ? "; kubeadm config validate accepts them" : "";

	if (files.written)
		talk_step(&e->talk, e->dry_run ? TALK_WOULD : TALK_DONE, "kubeadm",
			"%s%s in %s, for %s%s", e->dry_run ? "write " : "", files.names, files.dir,
			files.judge.version.text, judged);
	else
		talk_step(&e->talk, TALK_KEPT, "kubeadm", "the files in %s are up to date%s",
			files.dir, judged);
	say_next(e, &files);
	return files.lacks_key ? err_set(err, -ENOKEY,
					 "no join.yaml: this board is to be a control plane, "
					 "and the bundle has no key to the certificates of one, "
					 "which `hearth kube publish --control-plane` brings")
			       : 0;
}
