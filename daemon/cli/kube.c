/*
 * hearth kube publish: on a control plane, reads the cluster's CA, signs what names the cluster
 * with this board's identity key, has kubeadm make a short-lived token, and hands both to every
 * board through hearthd and the coordinator. The token is never on a command line.
 */
#include <errno.h>
#include <getopt.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/file.h"
#include "base/json.h"
#include "base/number.h"
#include "base/owned.h"
#include "board/trust.h"
#include "cli/cli.h"
#include "mesh/cluster.h"
#include "sys/exec/exec.h"
#include "wire/kube.h"

#define CA_PATH    "/etc/kubernetes/pki/ca.crt"
#define ADMIN_CONF "/etc/kubernetes/admin.conf"

enum {
	KEY_FILE_MAX = 256,
	TTL_MINUTES = 15,
	TTL_MINUTES_MAX = 24 * 60,
	CA_FILE_MAX = 1 << 20,
	OUTPUT_MAX = 64 << 10
};

static void x509_free_p(X509 **cert)
{
	X509_free(*cert);
}

static void bio_free_p(BIO **bio)
{
	BIO_free(*bio);
}

/*
 * kubeadm's pin: SHA-256 of the certificate's SubjectPublicKeyInfo in DER. One for each in the
 * file.
 */
static int read_pins(struct kube_cluster *cluster, struct err *err)
{
	CLEANUP_BUF struct buf pem = { 0 };
	int r = file_read(CA_PATH, CA_FILE_MAX, &pem);

	if (r < 0)
		return err_set(err, r,
			"read " CA_PATH
			": %s. Run this on a control plane, as root, after kubeadm init",
			strerror(-r));
	CLEANUP(bio_free_p) BIO *bio = BIO_new_mem_buf(pem.data, (int) pem.len);

	while (bio && cluster->n_ca < KUBE_CA_MAX) {
		CLEANUP(x509_free_p) X509 *cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
		unsigned char *der = NULL, hash[32];

		if (!cert)
			break;
		int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &der);
		bool hashed = len > 0 &&
			      EVP_Digest(der, (size_t) len, hash, NULL, EVP_sha256(), NULL) == 1;

		OPENSSL_free(der);
		if (!hashed)
			return err_set(
				err, -EINVAL, CA_PATH ": a certificate whose key cannot be read");
		char *text = cluster->ca[cluster->n_ca++];

		memcpy(text, "sha256:", 7);
		(void) sodium_bin2hex(text + 7, KUBE_CA_TEXT_MAX - 7, hash, sizeof(hash));
	}
	return cluster->n_ca ? 0 : err_set(err, -EINVAL, CA_PATH " holds no certificate");
}

/* Runs kubeadm; the last line of its output into @ret. */
static int kubeadm_line(
	const char *const *argv, const char *what, char *ret, size_t ret_size, struct err *err)
{
	CLEANUP_EXEC_RESULT struct exec_result out = { 0 };
	struct exec_options options = {
		.argv = argv, .output_max = OUTPUT_MAX, .timeout_us = 60 * USEC_PER_SEC
	};
	int r = exec_run(&options, &out, err);

	if (r == -ENOENT)
		return err_set(err, r, "kubeadm is not installed (or not in PATH)");
	if (r == 0)
		r = exec_check(&out, what, err);
	if (r < 0)
		return r;
	while (out.out.len && out.out.data[out.out.len - 1] == '\n')
		out.out.data[--out.out.len] = 0;
	const char *line = out.out.data ? strrchr(out.out.data, '\n') : NULL;

	line = line ? line + 1 : buf_str(&out.out);
	size_t len = strlen(line);

	if (!len || len >= ret_size)
		r = err_set(err, -EINVAL, "%s printed something unexpected", what);
	else
		memcpy(ret, line, len + 1);
	if (out.out.data)
		sodium_memzero(out.out.data, out.out.cap); /* the token was in there */
	return r;
}

static int make_token(struct kube_bundle *bundle, int minutes, struct err *err)
{
	char ttl[16];

	(void) snprintf(ttl, sizeof(ttl), "%dm", minutes);
	const char *const create[] = { "kubeadm", "token", "create", "--kubeconfig", ADMIN_CONF,
		"--ttl", ttl, "--description", "hearth kube publish", NULL };

	bundle->expires = clock_wall_us() / USEC_PER_SEC + (uint64_t) minutes * 60;
	return kubeadm_line(
		create, "kubeadm token create", bundle->token, sizeof(bundle->token), err);
}

/* A key under which kubeadm keeps the control plane's certificates for two hours in the cluster. */
static int upload_certs(struct kube_bundle *bundle, struct err *err)
{
	const char *const argv[] = { "kubeadm", "init", "phase", "upload-certs", "--upload-certs",
		"--kubeconfig", ADMIN_CONF, NULL };
	int r = kubeadm_line(argv, "kubeadm init phase upload-certs", bundle->certificate_key,
		sizeof(bundle->certificate_key), err);

	bundle->has_certificate_key = r == 0;
	return r;
}

/* "https://HOST:PORT" behind the first "server:" of a kubeconfig, without its scheme. */
static int find_server(const char *text, char *ret, size_t ret_size)
{
	static const char scheme[] = "https://";

	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		line += strspn(line, " ");
		if (strncmp(line, "server:", 7))
			continue;
		line += 7;
		line += strspn(line, " \"'");
		if (strncmp(line, scheme, sizeof(scheme) - 1))
			return -EINVAL;
		line += sizeof(scheme) - 1;
		size_t n = strcspn(line, "\"' /\r\n");

		if (!n || n >= ret_size)
			return -EINVAL;
		memcpy(ret, line, n);
		ret[n] = 0;
		return 0;
	}
	return -ENOENT;
}

/* Where the cluster is, in its own words: a user's bindPort or endpoint went into this file. */
static int endpoint(struct kube_cluster *cluster, struct err *err)
{
	CLEANUP_BUF struct buf text = { 0 };
	int r = file_read(ADMIN_CONF, CA_FILE_MAX, &text);

	if (r < 0)
		return err_set(err, r,
			"read " ADMIN_CONF
			": %s. Run this on a control plane, as root, after kubeadm init",
			strerror(-r));
	r = find_server(buf_str(&text), cluster->endpoint, sizeof(cluster->endpoint));
	sodium_memzero(text.data, text.cap); /* its key */
	if (r < 0)
		return err_set(err, r, ADMIN_CONF " names no server that begins with https://");
	if (!cluster_endpoint_is_own(cluster->endpoint, cluster->mesh))
		return err_set(err, -EPERM,
			ADMIN_CONF " says that the cluster is at %s. Boards join one at "
				   "api.%s.internal only, which is the mesh's own name for it: "
				   "make it with the init.yaml of enroll-node",
			cluster->endpoint, cluster->mesh);
	return 0;
}

/* --- who signs --- */

struct signer {
	struct paths paths;
	struct config config;
	struct trust *trust; /* owned */
	uint8_t seed[FIELD_KEY_LEN];
};

static void signer_done(struct signer *signer)
{
	trust_free(signer->trust);
	sodium_memzero(signer, sizeof(*signer));
}

/* This board's own key, which lies in hearthd's directory. */
static int read_identity(struct signer *signer, const struct node *self, struct err *err)
{
	CLEANUP_BUF struct buf text = { 0 };
	char path[PATH_TEXT_MAX];
	uint8_t key[FIELD_KEY_LEN], secret[crypto_sign_SECRETKEYBYTES];
	struct stat st;
	int r = owned_read(
		paths_join(signer->paths.state, "identity.key", path), KEY_FILE_MAX, &text, &st);

	if (r == 0) {
		text.data[strcspn(buf_str(&text), "\r\n")] = 0;
		r = key_from_base64(buf_str(&text), signer->seed);
	}
	if (text.data)
		sodium_memzero(text.data, text.cap);
	if (r < 0)
		return err_set(err, r, "read this board's identity key %s: %s", path, strerror(-r));
	(void) crypto_sign_seed_keypair(key, secret, signer->seed);
	sodium_memzero(secret, sizeof(secret));
	return memcmp(key, self->identity, sizeof(key))
		       ? err_set(err, -EKEYREVOKED,
				 "%s holds another key than the mesh's log says of %s: "
				 "this board was replaced",
				 path, self->name)
		       : 0;
}

static int find_signer(struct signer *signer, struct err *err)
{
	char path[PATH_TEXT_MAX];

	paths_init(&signer->paths);
	int r = config_read(
		paths_join(signer->paths.etc, "hearthd.yaml", path), &signer->config, err);

	if (r == 0)
		r = trust_open(&signer->paths, signer->config.root, true, &signer->trust, err);
	if (r < 0)
		return r;
	const struct node *self = netmap_by_id(trust_netmap(signer->trust), signer->config.node);

	if (!self || self->role != NODE_ROLE_CONTROL_PLANE)
		return err_set(err, -EPERM,
			"only a control plane publishes how to join the cluster; "
			"this board is none");
	return read_identity(signer, self, err);
}

/* The cluster document, as every board will look at it. */
static int sign(struct signer *signer, struct kube_cluster *cluster, struct kube_signed *ret,
	struct err *err)
{
	uint64_t seen = trust_cluster(signer->trust), now_s = clock_wall_us() / USEC_PER_SEC;
	struct kube_cluster again;

	cluster->node = signer->config.node;
	memcpy(cluster->root, signer->config.root, sizeof(cluster->root));
	/* A control plane that was set up anew goes on above what it published before. */
	cluster->seq = now_s > seen ? now_s : seen + 1;
	int r = kube_cluster_sign(cluster, signer->seed, ret, err);

	if (r == 0)
		r = cluster_judge(
			trust_netmap(signer->trust), signer->config.root, ret, seen, &again, err);
	return r ? r : trust_keep_cluster(signer->trust, cluster->seq, err);
}

static int name_cluster(struct signer *signer, struct kube_cluster *cluster, struct err *err)
{
	static const char *const version[] = { "kubeadm", "version", "-o", "short", NULL };

	memcpy(cluster->mesh, signer->config.mesh, sizeof(cluster->mesh));
	int r = read_pins(cluster, err);

	if (r == 0)
		r = endpoint(cluster, err);
	return r ? r
		 : kubeadm_line(version, "kubeadm version", cluster->version,
			   sizeof(cluster->version), err);
}

static const struct option options_known[] = {
	{ "ttl", required_argument, NULL, 't' },
	{ "control-plane", no_argument, NULL, 'C' },
	{ 0 },
};

static int publish(struct kube_bundle *bundle, int minutes, bool control_plane)
{
	CLEANUP(signer_done) struct signer signer = { .trust = NULL };
	struct kube_cluster cluster = { .node = 0 };
	struct err err = { 0 };
	uint8_t id[8];
	CLEANUP_JSON json_t *status = NULL;
	/* hearthd is asked for before a token is made for nobody. */
	int r = cli_call(CLI_HEARTHD, "status", NULL, &status);

	if (r)
		return r;
	if (find_signer(&signer, &err) < 0 || name_cluster(&signer, &cluster, &err) < 0 ||
		make_token(bundle, minutes, &err) < 0 ||
		(control_plane && upload_certs(bundle, &err) < 0) ||
		sign(&signer, &cluster, &bundle->cluster, &err) < 0)
		return cli_fail(CLI_FAILED, "%s", err.text);
	randombytes_buf(id, sizeof(id));
	(void) sodium_bin2hex(bundle->id, sizeof(bundle->id), id, sizeof(id));
	json_t *doc = kube_bundle_to_json(bundle);
	json_t *args = doc ? json_pack("{s:o}", "bundle", doc) : NULL;
	CLEANUP_JSON json_t *reply = NULL;

	return args ? cli_call(CLI_HEARTHD, "kube.publish", args, &reply)
		    : cli_fail(CLI_FAILED, "out of memory");
}

/* How long boards may take to write their files before nobody waits for them any more. */
enum { BOARDS_WAIT_MS = 20000 };

/* What became of it on the boards. Returns how many failed. */
static unsigned print_boards(const json_t *boards)
{
	unsigned failed = 0;
	size_t i;
	json_t *board;

	json_array_foreach(boards, i, board)
	{
		const char *state = cli_str(board, "state"), *name = cli_str(board, "name");

		if (!strcmp(state, "written"))
			printf("%-16s has it\n", name);
		else if (!strcmp(state, "failed"))
			printf("%-16s could not write it: %s\n", name, cli_str(board, "problem"));
		else if (!strcmp(state, "trying"))
			printf("%-16s has not said yet; "
			       "`hearth status` will name it here if it fails\n",
				name);
		else
			printf("%-16s is not reachable now, and gets it when it is\n", name);
		failed += !strcmp(state, "failed");
	}
	return failed;
}

static int tell_boards(const struct kube_bundle *bundle, bool json)
{
	CLEANUP_JSON json_t *reply = NULL;
	int r = cli_call(CLI_HEARTHD, "wait",
		json_pack("{s:s, s:i}", "bundle", bundle->id, "timeout_ms", BOARDS_WAIT_MS),
		&reply);

	if (r)
		return r;
	if (json)
		return cli_print_json(reply);
	return print_boards(json_object_get(reply, "boards")) ? CLI_FAILED : CLI_DONE;
}

int cli_kube_publish(const struct cli_verb *verb, int argc, char **argv)
{
	struct cli_options o = { .verb = verb };
	CLEANUP_KUBE_BUNDLE struct kube_bundle bundle = { 0 };
	uint64_t minutes = TTL_MINUTES;
	bool control_plane = false;

	for (int c; (c = cli_getopt(&o, argc, argv, options_known)) != -1;) {
		if (c == 'C') {
			control_plane = true;
			continue;
		}
		if (c != 't')
			return c == 'h' ? CLI_DONE : CLI_USAGE;
		if (number_parse(optarg, 1, TTL_MINUTES_MAX, &minutes) < 0)
			return cli_fail(CLI_USAGE,
				"kube publish: --ttl takes minutes, from 1 to %d, not \"%.40s\"",
				TTL_MINUTES_MAX, optarg);
	}
	int r = cli_operands(&o, argc, argv, 0, 0);

	if (r)
		return r;
	if (sodium_init() < 0)
		return cli_fail(CLI_FAILED, "the random generator is not ready");
	r = publish(&bundle, (int) minutes, control_plane);
	if (r)
		return r;
	fprintf(stderr,
		"Published. Every enrolled board gets /etc/hearth/kubeadm/join.yaml now; "
		"its token is good for %d min.\n",
		(int) minutes);
	return tell_boards(&bundle, o.json);
}
