/* kubefiles: what is written for kubeadm when, and what is refused; the name servers of pods. */
#include <errno.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/encode.h"
#include "base/file.h"
#include "base/json.h"
#include "sys/x509/x509.h"
#include "tree.h"

static void test_init(void **state)
{
	struct err err = { 0 };
	CLEANUP_ENROLL struct enroll *e = new_enroll();

	become(e, NODE_ROLE_CONTROL_PLANE, true);
	put_text("host/resolv.conf", "nameserver 192.168.50.1\n", 0644);
	put_text("etc/kubeadm.d/10-own.yaml",
		"apiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\n"
		"nodeRegistration:\n  ignorePreflightErrors: [SystemVerification]\n",
		0644);
	put_kubeadm("v1.36.3", 0);
	for (unsigned run = 0; run < 2; run++) {
		e->talk.done = 0;
		if (kubefiles_write(e, &err) < 0)
			fail_msg("%s", err.text);
		assert_int_equal(e->talk.done, run ? 0 : 1);
	}
	assert_int_equal(mode_of("etc/kubeadm/init.yaml"), 0600);
	CLEANUP(free_p) char *init = get_text("etc/kubeadm/init.yaml");

	assert_non_null(strstr(init, "kubernetesVersion: v1.36.3"));
	assert_non_null(strstr(init, "SystemVerification"));
	assert_non_null(strstr(init, "controlPlaneEndpoint: api.home.internal:6443"));
	char want[PATH_TEXT_MAX + 64], path[PATH_TEXT_MAX];

	(void) snprintf(
		want, sizeof(want), "resolvConf: %.500s", below("etc/kubeadm/resolv.conf", path));
	assert_non_null(strstr(init, want));
	CLEANUP(free_p) char *patch = get_text("etc/kubeadm/patches/" KUBEADM_PATCH_FILE);

	assert_non_null(strstr(patch, "maxPods: 12"));
	CLEANUP(free_p)
	char *server = get_text("etc/kubeadm/patches/kube-apiserver+strategic.yaml");

	assert_non_null(strstr(server, "name: kube-apiserver"));
	CLEANUP(free_p) char *resolv = get_text("etc/kubeadm/resolv.conf");

	assert_non_null(strstr(resolv, "nameserver 192.168.50.1\n"));

	/* Another kubeadm is found the next time: written anew. --kubeadm-version wins over it. */
	put_kubeadm("v1.37.2", 0);
	assert_int_equal(kubefiles_write(e, &err), 0);
	CLEANUP(free_p) char *newer = get_text("etc/kubeadm/init.yaml");

	assert_non_null(strstr(newer, "kubernetesVersion: v1.37.2"));
	e->kubeadm_version = "1.35.4";
	assert_int_equal(kubefiles_write(e, &err), 0);
	CLEANUP(free_p) char *named = get_text("etc/kubeadm/init.yaml");

	assert_non_null(strstr(named, "kubernetesVersion: v1.35.4"));
}

/* kubeadm comes later and is an older one: what is to be done is said, and does it. */
static void test_kubeadm_comes_later(void **state)
{
	struct err err = { 0 };
	CLEANUP_ENROLL struct enroll *e = new_enroll();

	become(e, NODE_ROLE_CONTROL_PLANE, true);
	assert_int_equal(kubefiles_write(e, &err), 0);
	CLEANUP(free_p) char *init = get_text("etc/kubeadm/init.yaml");

	assert_non_null(strstr(init, "kubernetesVersion: " KUBEADM_VERSION_DEFAULT));
	const char *next = json_string_value(json_array_get(e->talk.next, 0));

	assert_non_null(next);
	assert_non_null(strstr(next, "run enroll-node again"));
	assert_non_null(strstr(next, "the files are for " KUBEADM_VERSION_DEFAULT));

	put_kubeadm("v1.34.9", 0);
	CLEANUP_ENROLL struct enroll *again = new_enroll();

	become(again, NODE_ROLE_CONTROL_PLANE, true);
	assert_int_equal(kubefiles_write(again, &err), 0);
	assert_int_equal(again->talk.done, 1);
	CLEANUP(free_p) char *older = get_text("etc/kubeadm/init.yaml");

	assert_non_null(strstr(older, "kubernetesVersion: v1.34.9"));
	next = json_string_value(json_array_get(again->talk.next, 0));
	assert_true(next && !strncmp(next, "kubeadm init", 12));
}

static void test_join(void **state)
{
	struct err err = { 0 };
	char path[PATH_TEXT_MAX];
	CLEANUP_ENROLL struct enroll *e = new_enroll();

	become(e, NODE_ROLE_WORKER, false);
	assert_int_equal(kubefiles_write(e, &err), 0);
	assert_int_equal(access(below("etc/kubeadm/join.yaml", path), F_OK), -1);
	assert_int_equal(access(below("etc/kubeadm/init.yaml", path), F_OK), -1);
	assert_non_null(json_array_get(e->talk.next, 0));

	/* What would fail with the first bundle fails before it. */
	put_text("etc/kubeadm.d/50-own.yaml",
		"apiVersion: kubeadm.k8s.io/v1beta4\nkind: JoinConfiguration\nnodeRegistration:\n"
		"  kubeletExtraArgs: [{name: node-labels, value: node-role.kubernetes.io/x=}]\n",
		0644);
	assert_int_equal(kubefiles_write(e, &err), -EINVAL);
	assert_non_null(strstr(err.text, "node-role.kubernetes.io/x"));
	assert_int_equal(unlink(below("etc/kubeadm.d/50-own.yaml", path)), 0);

	give_bundle(e);
	assert_int_equal(kubefiles_write(e, &err), 0);
	assert_int_equal(mode_of("etc/kubeadm/join.yaml"), 0600);
	assert_int_equal(mode_of("etc/kubeadm/bundle.json"), 0600);
	CLEANUP(free_p) char *join = get_text("etc/kubeadm/join.yaml");

	assert_non_null(strstr(join, "token: abcdef.0123456789abcdef"));
	assert_non_null(strstr(join, "10.77.0.5,fd12:3456:789a::5"));

	/* A later run has no bundle from the coordinator, and keeps what there is. */
	CLEANUP_ENROLL struct enroll *again = new_enroll();

	become(again, NODE_ROLE_WORKER, false);
	assert_int_equal(kubefiles_write(again, &err), 0);
	assert_int_equal(again->talk.done, 0);

	/* A readable token file is made private again. */
	assert_int_equal(chmod(below("etc/kubeadm/join.yaml", path), 0644), 0);
	assert_int_equal(kubefiles_write(again, &err), 0);
	assert_int_equal(mode_of("etc/kubeadm/join.yaml"), 0600);

	/* One whose token is over is dropped, with what was made of it. */
	CLEANUP_BUF struct buf bundle = { 0 };
	char *until;

	assert_int_equal(file_read(below("etc/kubeadm/bundle.json", path), 65536, &bundle), 0);
	until = strstr(buf_str(&bundle), "4102444800");
	assert_non_null(until);
	memcpy(until, "1000000000", 10);
	put_text("etc/kubeadm/bundle.json", buf_str(&bundle), 0600);
	CLEANUP_ENROLL struct enroll *late = new_enroll();

	become(late, NODE_ROLE_WORKER, false);
	assert_int_equal(kubefiles_write(late, &err), 0);
	assert_false(late->has_bundle);
	assert_int_equal(access(below("etc/kubeadm/join.yaml", path), F_OK), -1);
	assert_int_equal(access(below("etc/kubeadm/bundle.json", path), F_OK), -1);
	/* A damaged bundle is as good as none. */
	put_text("etc/kubeadm/bundle.json", "{\"id\":", 0600);
	CLEANUP_ENROLL struct enroll *damaged = new_enroll();

	become(damaged, NODE_ROLE_WORKER, false);
	assert_int_equal(kubefiles_write(damaged, &err), 0);
	assert_false(damaged->has_bundle);
}

/* What names the cluster is what a control plane signed, whoever brings it. */
static void test_believed(void **state)
{
	static const uint8_t other[32] = { 12 };
	struct err err = { 0 };
	char path[PATH_TEXT_MAX];
	struct kube_cluster cluster = the_cluster();
	CLEANUP_ENROLL struct enroll *e = new_enroll();

	become(e, NODE_ROLE_WORKER, false);
	give_bundle_of(e, &cluster, other);
	assert_int_equal(kubefiles_write(e, &err), -EBADMSG);
	strcpy(cluster.endpoint, "evil.example.net:6443");
	give_bundle_of(e, &cluster, plane_seed);
	assert_int_equal(kubefiles_write(e, &err), -EPERM);
	assert_int_equal(access(below("etc/kubeadm/join.yaml", path), F_OK), -1);
	assert_int_equal(access(below("etc/kubeadm/bundle.json", path), F_OK), -1);
	give_bundle(e);
	assert_int_equal(kubefiles_write(e, &err), 0);
	/* That one was followed: none before it any more. */
	cluster = the_cluster();
	cluster.seq--;
	CLEANUP_ENROLL struct enroll *later = new_enroll();

	become(later, NODE_ROLE_WORKER, false);
	give_bundle_of(later, &cluster, plane_seed);
	assert_int_equal(kubefiles_write(later, &err), -ESTALE);
	CLEANUP(free_p) char *join = get_text("etc/kubeadm/join.yaml");

	assert_non_null(strstr(join, "api.home.internal:6443"));
	/* Nor does one stay whose signature does not hold. */
	CLEANUP(free_p) char *bundle = get_text("etc/kubeadm/bundle.json");
	char *payload = strstr(bundle, "\"payload\":\"");

	payload[12] = payload[12] == 'e' ? 'f' : 'e';
	put_text("etc/kubeadm/bundle.json", bundle, 0600);
	CLEANUP_ENROLL struct enroll *forged = new_enroll();

	become(forged, NODE_ROLE_WORKER, false);
	assert_int_equal(kubefiles_write(forged, &err), 0);
	assert_false(forged->has_bundle);
	assert_true(told(forged, "what names the cluster is not believed"));
	assert_int_equal(access(below("etc/kubeadm/join.yaml", path), F_OK), -1);
}

/* A further control plane advertises itself, and needs more than workers do. */
static void test_join_plane(void **state)
{
	struct err err = { 0 };
	char path[PATH_TEXT_MAX];
	CLEANUP_ENROLL struct enroll *e = new_enroll();

	become(e, NODE_ROLE_CONTROL_PLANE, false);
	assert_int_equal(kubefiles_write(e, &err), 0);
	assert_non_null(strstr(
		json_string_value(json_array_get(e->talk.next, 1)), "publish --control-plane"));

	/* kubeadm join would begin, and fail for want of certificates. */
	give_bundle(e);
	e->talk.done = 0;
	assert_int_equal(kubefiles_write(e, &err), -ENOKEY);
	assert_int_equal(e->talk.done, 0);
	assert_false(e->has_bundle);
	assert_non_null(strstr(err.text, "hearth kube publish --control-plane"));
	assert_int_equal(access(below("etc/kubeadm/join.yaml", path), F_OK), -1);
	assert_int_equal(access(below("etc/kubeadm/bundle.json", path), F_OK), -1);

	give_bundle(e);
	e->bundle.has_certificate_key = true;
	memset(e->bundle.certificate_key, 'a', sizeof(e->bundle.certificate_key) - 1);
	assert_int_equal(kubefiles_write(e, &err), 0);
	CLEANUP(free_p) char *plane = get_text("etc/kubeadm/join.yaml");

	assert_non_null(strstr(plane, "advertiseAddress: \"10.77.0.5\""));
	assert_non_null(strstr(plane, "certificateKey: aaaa"));

	/* The CA was brought by hand; or all of it is done. */
	static const char *const there[] = { "host/kubernetes/pki/ca.key",
		"host/kubernetes/kubelet.conf" };

	for (size_t i = 0; i < ARRAY_LEN(there); i++) {
		put_text(there[i], "", 0600);
		CLEANUP_ENROLL struct enroll *own = new_enroll();

		become(own, NODE_ROLE_CONTROL_PLANE, false);
		give_bundle(own);
		if (kubefiles_write(own, &err) < 0)
			fail_msg("%s: %s", there[i], err.text);
		assert_int_equal(unlink(below(there[i], path)), 0);
	}
}

static void test_kubeadm_refused(void **state)
{
	struct err err = { 0 };
	char path[PATH_TEXT_MAX];
	CLEANUP_ENROLL struct enroll *e = new_enroll();

	become(e, NODE_ROLE_CONTROL_PLANE, true);
	put_kubeadm("v1.30.9", 0);
	assert_int_equal(kubefiles_write(e, &err), -ENOTSUP);
	assert_non_null(strstr(err.text, "too old"));
	assert_int_equal(access(below("etc/kubeadm/init.yaml", path), F_OK), -1);

	put_kubeadm("garbage", 0);
	assert_int_equal(kubefiles_write(e, &err), -EINVAL);

	/* The user's own documents: an error names the file, and nothing is written. */
	put_kubeadm("v1.37.2", 0);
	static const char *const bad[][2] = {
		{ "kubernetesVersion: 1.5\n", "kubernetesVersion" },
		{ "certificatesDir: /etc/pki\n", "certificatesDir" },
		{ "clusterNamez: a\n", "unknown field \"clusterNamez\"" },
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		char text[256];

		(void) snprintf(text, sizeof(text),
			"apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\n%s",
			bad[i][0]);
		put_text("etc/kubeadm.d/50-bad.yaml", text, 0644);
		assert_int_equal(kubefiles_write(e, &err), -EINVAL);
		if (!strstr(err.text, bad[i][1]) || !strstr(err.text, "kubeadm.d"))
			fail_msg("%s", err.text);
		assert_int_equal(access(below("etc/kubeadm/init.yaml", path), F_OK), -1);
	}
	assert_int_equal(unlink(below("etc/kubeadm.d/50-bad.yaml", path)), 0);

	/* kubeadm's own refusal comes through in its words. */
	put_kubeadm("v1.37.2", 1);
	assert_true(kubefiles_write(e, &err) < 0);
	assert_non_null(strstr(err.text, "no good"));
}

/* What stands already is not replaced by what kubeadm refuses; what it warns of is told. */
static void test_judged(void **state)
{
	struct err err = { 0 };
	char path[PATH_TEXT_MAX];
	CLEANUP_ENROLL struct enroll *e = new_enroll();

	become(e, NODE_ROLE_CONTROL_PLANE, true);
	put_kubeadm("v1.37.2", 0);
	assert_int_equal(kubefiles_write(e, &err), 0);
	assert_true(told(e, "a warning of kubeadm"));
	assert_true(told(e, "kubeadm config validate accepts them"));
	CLEANUP(free_p) char *before = get_text("etc/kubeadm/init.yaml");
	CLEANUP(free_p) char *upgrade = get_text("etc/kubeadm/upgrade.yaml");

	assert_non_null(strstr(upgrade, "/etc/kubeadm/patches"));
	assert_int_equal(mode_of("etc/kubeadm/upgrade.yaml"), 0644);

	put_text("etc/kubeadm.d/50-own.yaml",
		"apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\nclusterNamez: a\n",
		0644);
	assert_int_equal(kubefiles_write(e, &err), -EINVAL);
	assert_non_null(strstr(err.text, "does not accept init.yaml"));
	CLEANUP(free_p) char *after = get_text("etc/kubeadm/init.yaml");

	assert_string_equal(after, before);

	/* Nobody here to ask: written, and said. */
	assert_int_equal(unlink(below("bin/kubeadm", path)), 0);
	CLEANUP_ENROLL struct enroll *alone = new_enroll();

	become(alone, NODE_ROLE_CONTROL_PLANE, true);
	assert_int_equal(kubefiles_write(alone, &err), 0);
	assert_true(told(alone, "not looked at for misspelt fields"));
	assert_false(told(alone, "accepts them"));
	assert_int_equal(unlink(below("etc/kubeadm.d/50-own.yaml", path)), 0);

	/* A kubelet that does not know a flag. */
	put_kubeadm("v1.37.2", 0);
	put_text("bin/kubelet",
		"#!/bin/sh\nfor a; do last=$a; case $a in --max-podz=*) echo \"unknown flag: $a\" "
		">&2; "
		"exit 1 ;; esac; done\n[ $last = --version ] || exit 9\n",
		0755);
	CLEANUP_ENROLL struct enroll *last = new_enroll();

	become(last, NODE_ROLE_CONTROL_PLANE, true);
	assert_int_equal(kubefiles_write(last, &err), 0);
	put_text("etc/kubeadm.d/50-own.yaml",
		"apiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\nnodeRegistration:\n"
		"  kubeletExtraArgs: [{name: max-podz, value: '5'}]\n",
		0644);
	assert_int_equal(kubefiles_write(last, &err), -EINVAL);
	assert_non_null(strstr(err.text, "unknown flag: --max-podz=5"));
}

/* A cluster does not read again what it was made from. */
static void test_too_late(void **state)
{
	struct err err = { 0 };
	CLEANUP_ENROLL struct enroll *e = new_enroll();

	become(e, NODE_ROLE_CONTROL_PLANE, true);
	assert_int_equal(kubefiles_write(e, &err), 0);
	put_text("host/kubernetes/kubelet.conf", "", 0600);
	CLEANUP_ENROLL struct enroll *same = new_enroll();

	become(same, NODE_ROLE_CONTROL_PLANE, true);
	assert_int_equal(kubefiles_write(same, &err), 0);
	assert_false(told(same, "already"));

	/* The kubeadm of an upgrade: the version in init.yaml is not one that the cluster would have to be told. */
	put_kubeadm("v1.38.0", 0);
	assert_int_equal(kubefiles_write(same, &err), 0);
	CLEANUP(free_p) char *init = get_text("etc/kubeadm/init.yaml");

	assert_non_null(strstr(init, "kubernetesVersion: v1.38.0"));
	assert_false(told(same, "already"));
	put_text("etc/kubeadm.d/50-own.yaml",
		"apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nmaxPods: "
		"9\n",
		0644);
	assert_int_equal(kubefiles_write(same, &err), 0);
	assert_true(told(same, "the next `kubeadm upgrade`"));
	assert_true(told(same, "does not read init.yaml again"));
}

static void rename_to(struct enroll *e, const char *name)
{
	(void) snprintf(e->node.name, sizeof(e->node.name), "%s", name);
}

/* kubelet has joined as @name: what kubeadm reads that in, @inside the file or beside it. */
static void put_kubelet_conf(const char *name, bool inside)
{
	static const uint8_t seed[32] = { 21 };
	CLEANUP(free_p) char *cert = NULL;
	CLEANUP(x509_wipe_p) char *key = NULL;
	char user[300], both[4096], text[8192];
	CLEANUP(free_p) char *base64 = NULL;

	(void) snprintf(user, sizeof(user), "system:node:%s", name);
	assert_int_equal(x509_certificate_pem(seed, user, &cert), 0);
	assert_int_equal(x509_key_pem(seed, &key), 0);
	(void) snprintf(both, sizeof(both), "%s%s", cert, key);
	put_text("host/kubernetes/current.pem", both, 0600);
	base64 = base64_encode(both, strlen(both));
	assert_non_null(base64);
	(void) snprintf(text, sizeof(text),
		"apiVersion: v1\nkind: Config\ncurrent-context: default-context\nclusters: []\n"
		"users:\n- name: default-auth\n  user:\n    client-certificate%s: %s\n",
		inside ? "-data" : "", inside ? base64 : "current.pem");
	put_text("host/kubernetes/kubelet.conf", text, 0600);
}

/* A board that is called otherwise before it joins, and one that is afterwards. */
static void test_renamed(void **state)
{
	struct err err = { 0 };
	char path[PATH_TEXT_MAX];

	for (int first = 0; first < 2; first++) {
		const char *docs = first ? "etc/kubeadm/init.yaml" : "etc/kubeadm/join.yaml";
		CLEANUP_ENROLL struct enroll *e = new_enroll();

		become(e, first ? NODE_ROLE_CONTROL_PLANE : NODE_ROLE_WORKER, first);
		give_bundle(e);
		assert_int_equal(kubefiles_write(e, &err), 0);
		/* By hearthd, when the record comes; or by a person. */
		CLEANUP_ENROLL struct enroll *later = new_enroll();

		become(later, first ? NODE_ROLE_CONTROL_PLANE : NODE_ROLE_WORKER, first);
		rename_to(later, "attic");
		assert_true(kubefiles_are_there(later));
		assert_int_equal(kubefiles_write(later, &err), 0);
		CLEANUP(free_p) char *text = get_text(docs);

		assert_non_null(strstr(text, "  name: attic\n"));
		assert_null(strstr(text, "pi3\n"));
		assert_int_equal(!!strstr(text, "- attic.home.internal\n"), first);
		assert_false(told(later, "cannot be changed"));

		/* It joined as attic, and gets its old name back. */
		put_kubelet_conf("attic", first);
		CLEANUP_ENROLL struct enroll *in = new_enroll();

		become(in, first ? NODE_ROLE_CONTROL_PLANE : NODE_ROLE_WORKER, first);
		assert_int_equal(kubefiles_write(in, &err), 0);
		assert_true(told(in, "knows this board as attic"));
		assert_true(told(in, "hearth node rename pi3 attic"));
		assert_false(told(in, "does not read init.yaml again"));
		CLEANUP(free_p) char *back = get_text(docs);

		assert_non_null(strstr(back, "  name: pi3\n")); /* when it joins anew */
		rename_to(in, "attic");
		CLEANUP_ENROLL struct enroll *one = new_enroll();

		become(one, first ? NODE_ROLE_CONTROL_PLANE : NODE_ROLE_WORKER, first);
		rename_to(one, "attic");
		assert_int_equal(kubefiles_write(one, &err), 0);
		assert_false(told(one, "knows this board as"));
		assert_int_equal(unlink(below("host/kubernetes/kubelet.conf", path)), 0);
	}
}

/* What cannot be read says nothing. */
static void test_joined_name(void **state)
{
	static const char *const bad[] = { "", "users: 7\n", "users: [{user: {}}]\n",
		"users: [x]\n", "users:\n- user: {client-certificate: /nonexistent}\n",
		"users:\n- user: {client-certificate-data: '###'}\n",
		"users:\n- user: {client-certificate-data: bm90IGEgY2VydGlmaWNhdGU=}\n" };
	char name[JOINED_NAME_MAX] = "?";
	CLEANUP_ENROLL struct enroll *e = new_enroll();

	become(e, NODE_ROLE_WORKER, false);
	assert_false(joined_name(e, name));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		put_text("host/kubernetes/kubelet.conf", bad[i], 0600);
		assert_false(joined_name(e, name));
	}
	put_kubelet_conf("", true); /* an administrator's, or another program's */
	assert_false(joined_name(e, name));
	assert_string_equal(name, "?");
	put_kubelet_conf("pi3", false);
	assert_true(joined_name(e, name));
	assert_string_equal(name, "pi3");
	assert_false(joined_as_another(e, name));
	put_kubelet_conf("pi3.example.net", true);
	assert_true(joined_as_another(e, name));
	assert_string_equal(name, "pi3.example.net");
}

/* Labels, too, are read once. The token of the other role goes. */
static void test_registered(void **state)
{
	struct err err = { 0 };
	char path[PATH_TEXT_MAX];
	CLEANUP_ENROLL struct enroll *e = new_enroll();

	become(e, NODE_ROLE_CONTROL_PLANE, true);
	put_text("etc/kubeadm/join.yaml", "token: x\n", 0600);
	assert_int_equal(kubefiles_write(e, &err), 0);
	assert_int_equal(access(below("etc/kubeadm/join.yaml", path), F_OK), -1);
	put_kubelet_conf("pi3", true);
	CLEANUP_ENROLL struct enroll *labelled = new_enroll();

	become(labelled, NODE_ROLE_CONTROL_PLANE, true);
	labelled->node.labels = json_pack("{s:s}", "zone", "attic");
	assert_int_equal(kubefiles_write(labelled, &err), 0);
	CLEANUP(free_p) char *init = get_text("etc/kubeadm/init.yaml");

	assert_non_null(strstr(init, "zone=attic"));
	assert_true(told(labelled, "kubectl label node pi3"));
	assert_false(told(labelled, "ConfigMaps"));
	CLEANUP_ENROLL struct enroll *same = new_enroll();

	become(same, NODE_ROLE_CONTROL_PLANE, true);
	same->node.labels = json_pack("{s:s}", "zone", "attic");
	assert_int_equal(kubefiles_write(same, &err), 0);
	assert_false(told(same, "kubectl label node"));

	/* The first control plane was removed from the mesh, and this is the first; or no longer. */
	CLEANUP_ENROLL struct enroll *second = new_enroll();

	become(second, NODE_ROLE_WORKER, false);
	give_bundle(second);
	assert_int_equal(kubefiles_write(second, &err), 0);
	assert_int_equal(access(below("etc/kubeadm/join.yaml", path), F_OK), 0);
	assert_int_equal(access(below("etc/kubeadm/init.yaml", path), F_OK), -1);
}

/* hearthd has the files made again, and cannot say --kubeadm-version once more. */
static void test_follows(void **state)
{
	struct err err = { 0 };
	CLEANUP_ENROLL struct enroll *e = new_enroll();

	become(e, NODE_ROLE_CONTROL_PLANE, true);
	assert_false(kubefiles_are_there(e));
	e->kubeadm_version = "1.35.4";
	assert_int_equal(kubefiles_write(e, &err), 0);
	CLEANUP_ENROLL struct enroll *follows = new_enroll();

	become(follows, NODE_ROLE_CONTROL_PLANE, true);
	follows->follows = true;
	assert_int_equal(kubefiles_write(follows, &err), 0);
	assert_int_equal(follows->talk.done, 0);
	/* One that was installed since counts; and without a person's word the newest does. */
	put_kubeadm("v1.36.3", 0);
	assert_int_equal(kubefiles_write(follows, &err), 0);
	CLEANUP(free_p) char *found = get_text("etc/kubeadm/init.yaml");

	assert_non_null(strstr(found, "kubernetesVersion: v1.36.3"));
	char path[PATH_TEXT_MAX];

	assert_int_equal(unlink(below("bin/kubeadm", path)), 0);
	put_text("etc/kubeadm/upgrade.yaml", "# For kubeadm latest.\n", 0644);
	assert_int_equal(kubefiles_write(follows, &err), 0);
	CLEANUP(free_p) char *newest = get_text("etc/kubeadm/init.yaml");

	assert_non_null(strstr(newest, "kubernetesVersion: " KUBEADM_VERSION_DEFAULT));
}

/* Somebody works at a board with a display manager. */
static void test_desktop(void **state)
{
	struct err err = { 0 };
	char path[PATH_TEXT_MAX];
	CLEANUP_ENROLL struct enroll *e = new_enroll();

	become(e, NODE_ROLE_WORKER, false);
	assert_int_equal(file_mkdirs(below("host/systemd/system", path), 0755), 0);
	assert_int_equal(
		symlink("/nonexistent", below("host/systemd/system/display-manager.service", path)),
		0);
	assert_int_equal(kubefiles_write(e, &err), 0);
	CLEANUP(free_p) char *patch = get_text("etc/kubeadm/patches/" KUBEADM_PATCH_FILE);

	assert_non_null(strstr(patch, "systemReserved:\n  cpu: \"150m\"\n  memory: \"400Mi\""));
}

static void test_resolv(void **state)
{
	static const struct {
		const char *text, *want;
		unsigned n;
	} cases[] = {
		{ "", "", 0 },
		{ "nameserver 127.0.0.53\noptions edns0 trust-ad\nsearch lan\n", "", 0 },
		{ "# x\nnameserver 192.168.1.1\nnameserver 10.77.255.53\nnameserver 192.168.1.1\n"
		  "nameserver fd12:3456:789a::ffff:53\nnameserver fd00::1\nsearch fritz.box\n",
			"nameserver 192.168.1.1\nnameserver fd00::1\n", 2 },
		{ "nameserver 1.1.1.1\nnameserver 8.8.8.8\nnameserver 9.9.9.9\nnameserver "
		  "4.4.4.4\n",
			"nameserver 1.1.1.1\nnameserver 8.8.8.8\nnameserver 9.9.9.9\n", 3 },
		{ "nameserver ::1\nnameserver fe80::1%eth0\nnameserver fe80::1\nnameserver x\n"
		  "nameserver\nnameserver 0.0.0.0\n  nameserver 1.1.1.1",
			"nameserver 1.1.1.1\n", 1 },
	};
	CLEANUP_ENROLL struct enroll *e = new_enroll();

	become(e, NODE_ROLE_WORKER, false);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP_BUF struct buf out = { 0 };

		assert_int_equal(resolv_servers(cases[i].text, &e->settings, &out), cases[i].n);
		assert_string_equal(buf_str(&out), cases[i].want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TREE_TEST(test_init),
		TREE_TEST(test_kubeadm_comes_later),
		TREE_TEST(test_join),
		TREE_TEST(test_believed),
		TREE_TEST(test_join_plane),
		TREE_TEST(test_kubeadm_refused),
		TREE_TEST(test_judged),
		TREE_TEST(test_too_late),
		TREE_TEST(test_renamed),
		TREE_TEST(test_joined_name),
		TREE_TEST(test_registered),
		TREE_TEST(test_follows),
		TREE_TEST(test_desktop),
		TREE_TEST(test_resolv),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
