/* tree: see tree.h. */
#include "tree.h"

#include <ftw.h>
#include <pwd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"
#include "mesh-maker.h"

static char top[64];
const uint8_t plane_seed[32] = { 11 };

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static void remove_tree(const char *path)
{
	(void) nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

const char *below(const char *name, char ret[static PATH_TEXT_MAX])
{
	return paths_join(top, name, ret);
}

void put_text(const char *name, const char *text, mode_t mode)
{
	char path[PATH_TEXT_MAX], dir[PATH_TEXT_MAX];

	below(name, path);
	(void) snprintf(dir, sizeof(dir), "%s", path);
	*strrchr(dir, '/') = 0;
	assert_int_equal(file_mkdirs(dir, 0755), 0);
	assert_true(file_write_atomic(path, text, strlen(text), mode) >= 0);
}

char *get_text(const char *name)
{
	char path[PATH_TEXT_MAX];
	struct buf text = { 0 };

	if (file_read(below(name, path), 1 << 20, &text) < 0) {
		buf_done(&text);
		return NULL;
	}
	return buf_take(&text, NULL);
}

mode_t mode_of(const char *name)
{
	char path[PATH_TEXT_MAX];
	struct stat st;

	assert_int_equal(stat(below(name, path), &st), 0);
	return st.st_mode & 07777;
}

struct enroll *new_enroll(void)
{
	struct enroll *e = calloc(1, sizeof(*e));
	struct passwd *pw = getpwuid(getuid());

	assert_non_null(e);
	(void) snprintf(e->paths.etc, sizeof(e->paths.etc), "%s/etc", top);
	(void) snprintf(e->paths.state, sizeof(e->paths.state), "%s/state", top);
	(void) snprintf(e->paths.run, sizeof(e->paths.run), "%s/run", top);
	(void) snprintf(e->host, sizeof(e->host), "%s/host", top);
	(void) snprintf(e->proc_sys, sizeof(e->proc_sys), "%s/sys", top);
	e->user = pw ? pw->pw_name : "root";
	e->talk.quiet = true;
	return e;
}

void free_enroll_p(struct enroll **e)
{
	enroll_done(*e);
	free(*e);
}

/* The log of a mesh whose control plane is node 1, in the place where hearthd keeps it. */
static void put_log(struct enroll *e)
{
	CLEANUP_MESH_LOG struct mesh_log *log = maker_log();
	CLEANUP_SETTINGS struct settings settings = maker_settings();
	CLEANUP_NODE struct node plane = maker_node(1, 1, "n100");
	CLEANUP_BUF struct buf text = { 0 };
	struct err err = { 0 };
	char path[PATH_TEXT_MAX];

	plane.role = NODE_ROLE_CONTROL_PLANE;
	record_public_key(plane_seed, plane.identity);
	maker_append(log, "settings", settings_to_json(&settings));
	maker_append(log, "node", node_to_json(&plane));
	assert_int_equal(mesh_log_save(log, 1, &text), 0);
	put_text("state/log", buf_str(&text), 0600);
	assert_int_equal(file_mkdirs(below("etc", path), 0755), 0);
	maker_root_hash(e->config.root);
	e->trust = trust_free(e->trust);
	if (trust_open(&e->paths, e->config.root, true, &e->trust, &err) < 0)
		fail_msg("%s", err.text);
}

/* A board of the mesh as if it had enrolled. */
void become(struct enroll *e, enum node_role role, bool first)
{
	static const uint8_t random[RANGES_RANDOM_LEN] = { 0x12, 0x34, 0x56, 0x78, 0x9a };

	(void) snprintf(e->settings.mesh, sizeof(e->settings.mesh), "home");
	ranges_set_defaults(&e->settings, random);
	e->node.id = 5;
	(void) snprintf(e->node.name, sizeof(e->node.name), "pi3");
	e->node.role = role;
	assert_int_equal(ip_addr_parse("10.77.0.5", &e->node.mesh4), 0);
	assert_int_equal(ip_addr_parse("fd12:3456:789a::5", &e->node.mesh6), 0);
	assert_int_equal(ip_prefix_parse("10.244.5.0/24", &e->node.pods4), 0);
	assert_int_equal(ip_prefix_parse("fd12:3456:789a:1005::/64", &e->node.pods6), 0);
	e->first_control_plane = first;
	e->enrolled = true;
	(void) snprintf(e->config.interface, sizeof(e->config.interface), "hearth0");
	(void) snprintf(e->facts.board, sizeof(e->facts.board), "pi3");
	(void) snprintf(e->facts.storage, sizeof(e->facts.storage), "sd");
	e->facts.memory_bytes = 929224 * 1024;
	if (!e->dry_run) /* which finds nothing there */
		put_log(e);
}

void give_bundle_of(struct enroll *e, const struct kube_cluster *cluster, const uint8_t *seed)
{
	struct err err = { 0 };

	e->bundle = (struct kube_bundle){
		.id = "0011223344556677", .token = "abcdef.0123456789abcdef", .expires = 4102444800
	};
	if (kube_cluster_sign(cluster, seed, &e->bundle.cluster, &err) < 0)
		fail_msg("%s", err.text);
	e->has_bundle = true;
}

struct kube_cluster the_cluster(void)
{
	struct kube_cluster cluster = { .mesh = "home",
		.node = 1,
		.seq = 100,
		.endpoint = "api.home.internal:6443",
		.ca = { "sha256:"
			"aabbccddeeff00112233445566778899aabbccddeeff00112233445566778899" },
		.n_ca = 1,
		.version = "v1.37.2" };

	maker_root_hash(cluster.root);
	return cluster;
}

void give_bundle(struct enroll *e)
{
	struct kube_cluster cluster = the_cluster();

	give_bundle_of(e, &cluster, plane_seed);
}

int tree_setup(void **state)
{
	(void) strcpy(top, "/tmp/hearth-enroll-XXXXXX");
	char path[PATH_TEXT_MAX];

	if (!mkdtemp(top) || file_mkdirs(below("bin", path), 0755) < 0)
		return -1;
	/* No kubeadm but those that a test puts there. */
	return setenv("PATH", path, 1);
}

int tree_teardown(void **state)
{
	remove_tree(top);
	return 0;
}

/* A kubeadm that reads what it is to validate, knows one misspelling, and warns. */
void put_kubeadm(const char *version, int validate_status)
{
	char text[1024];

	(void) snprintf(text, sizeof(text),
		"#!/bin/sh\n"
		"case $1 in version) echo %s; exit ;; esac\n"
		"[ \"$*\" = 'config validate --config /dev/stdin' ] || exit 9\n"
		"while read -r line; do seen=1\n"
		"case $line in *clusterNamez:*) echo 'unknown field \"clusterNamez\"' >&2; exit 1 "
		";; "
		"esac; done\n"
		"[ \"$seen\" ] || exit 9\n"
		"[ %d = 0 ] || { echo 'error: no good' >&2; exit %d; }\n"
		"echo 'W1129 22:04:05.000000       7 f.go:99] a warning of kubeadm' >&2\n",
		version, validate_status, validate_status);
	put_text("bin/kubeadm", text, 0755);
}

bool told(const struct enroll *e, const char *text)
{
	size_t i;
	json_t *step;

	json_array_foreach(e->talk.steps, i, step)
	{
		if (strstr(json_string_value(json_object_get(step, "text")), text))
			return true;
	}
	return false;
}
