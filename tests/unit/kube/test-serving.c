/* serving: requests for kubelets' serving certificates, made as a kubelet makes them, then one thing wrong at a time. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/cleanup.h"
#include "base/encode.h"
#include "base/json.h"
#include "kube/serving.h"
#include "sys/x509/request.h"

static struct serving_board boards[2];
static const struct serving_mesh mesh = { .name = "home", .boards = boards, .n_boards = 2 };

static int set_up(void **state)
{
	boards[0] = (struct serving_board){ .name = "n100" };
	boards[1] = (struct serving_board){ .name = "pi3" };
	ip_addr_parse("10.77.0.1", &boards[0].mesh4);
	ip_addr_parse("fd77::1", &boards[0].mesh6);
	ip_addr_parse("10.77.0.5", &boards[1].mesh4);
	return ip_addr_parse("fd77::5", &boards[1].mesh6);
}

struct wish {
	const char *o, *cn, *more; /* of the subject; @more: a unit */
	const char *san;           /* as in openssl's x509v3_config */
	bool forged;               /* signed by another key */
};
#define PI3_SAN "DNS:pi3,IP:10.77.0.5,IP:fd77::5"

static void add_san(X509_REQ *req, const char *san)
{
	STACK_OF(X509_EXTENSION) *list = sk_X509_EXTENSION_new_null();

	sk_X509_EXTENSION_push(list, X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, san));
	assert_int_equal(X509_REQ_add_extensions(req, list), 1);
	sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free);
}

static void add_entry(X509_NAME *name, const char *field, const char *text)
{
	if (text)
		X509_NAME_add_entry_by_txt(
			name, field, MBSTRING_UTF8, (const unsigned char *) text, -1, -1, 0);
}

/* PEM in base64, as in spec.request. */
static char *request(const struct wish *wish)
{
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	EVP_PKEY *other = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	X509_REQ *req = X509_REQ_new();
	X509_NAME *name = X509_NAME_new();
	BIO *bio = BIO_new(BIO_s_mem());
	char *data;

	add_entry(name, "O", wish->o);
	add_entry(name, "CN", wish->cn);
	add_entry(name, "OU", wish->more);
	X509_REQ_set_subject_name(req, name);
	X509_REQ_set_pubkey(req, key);
	if (wish->san)
		add_san(req, wish->san);
	assert_true(X509_REQ_sign(req, wish->forged ? other : key, EVP_sha256()) > 0);
	assert_int_equal(PEM_write_bio_X509_REQ(bio, req), 1);
	long len = BIO_get_mem_data(bio, &data);
	char *text = base64_encode(data, (size_t) len);

	assert_non_null(text);
	BIO_free(bio);
	X509_NAME_free(name);
	X509_REQ_free(req);
	EVP_PKEY_free(key);
	EVP_PKEY_free(other);
	return text;
}

static json_t *csr_of(const struct wish *wish)
{
	CLEANUP(free_p) char *text = request(wish);
	json_t *csr = json_pack("{s:{s:s,s:s},s:{s:s,s:s,s:[s,s],s:[s,s],s:s},s:{}}", "metadata",
		"name", "csr-x7k2p", "resourceVersion", "411", "spec", "signerName",
		"kubernetes.io/kubelet-serving", "username", "system:node:pi3", "groups",
		"system:nodes", "system:authenticated", "usages", "digital signature",
		"server auth", "request", text, "status");

	assert_non_null(csr);
	return csr;
}

static const struct wish good = { "system:nodes", "system:node:pi3", NULL, PI3_SAN, false };

static void expect(json_t *csr, enum serving_verdict verdict, const char *why)
{
	const struct serving_board *board = NULL;
	struct err err = { 0 };
	enum serving_verdict got = serving_judge(csr, &mesh, &board, &err);

	if (got != verdict || (why && !strstr(err.text, why)))
		fail_msg("verdict %d, not %d: \"%s\", not \"%s\"", got, verdict, err.text,
			why ? why : "");
	if (verdict == SERVING_GOOD)
		assert_ptr_equal(board, &boards[1]);
	json_decref(csr);
}

static void test_good(void **state)
{
	static const char *const sans[] = { PI3_SAN, "DNS:pi3", "IP:10.77.0.5",
		"DNS:pi3.home.internal,DNS:pi3,IP:fd77:0:0::5" };

	for (size_t i = 0; i < ARRAY_LEN(sans); i++) {
		struct wish wish = good;

		wish.san = sans[i];
		expect(csr_of(&wish), SERVING_GOOD, NULL);
	}
	json_t *csr = csr_of(&good);

	json_array_append_new(json_object_get(json_object_get(csr, "spec"), "usages"),
		json_string("key encipherment"));
	expect(csr, SERVING_GOOD, NULL);
}

static void test_wrong_request(void **state)
{
	static const struct {
		struct wish wish;
		const char *why;
	} rows[] = {
		{ { "system:nodes", "system:node:pi3", NULL, NULL, false },
			"no name and no address" },
		{ { "system:nodes", "system:node:pi3", NULL, "DNS:n100", false },
			"n100, which is not pi3's" },
		{ { "system:nodes", "system:node:pi3", NULL, "DNS:pi33", false }, "pi33" },
		{ { "system:nodes", "system:node:pi3", NULL, "DNS:pi3.other.internal", false },
			"pi3.other" },
		{ { "system:nodes", "system:node:pi3", NULL, "DNS:*.home.internal", false },
			"*.home" },
		{ { "system:nodes", "system:node:pi3", NULL, PI3_SAN ",DNS:api.home.internal",
			  false },
			"api.home" },
		{ { "system:nodes", "system:node:pi3", NULL, "DNS:localhost", false },
			"localhost" },
		{ { "system:nodes", "system:node:pi3", NULL, "IP:192.168.1.5", false },
			"192.168.1.5; the mesh gave pi3 10.77.0.5 and fd77::5" },
		{ { "system:nodes", "system:node:pi3", NULL, "IP:10.77.0.1", false }, "10.77.0.1" },
		{ { "system:nodes", "system:node:pi3", NULL, "IP:::ffff:10.77.0.5", false },
			"::ffff" },
		{ { "system:nodes", "system:node:pi3", NULL, PI3_SAN ",URI:spiffe://x/y", false },
			"neither" },
		{ { "system:nodes", "system:node:pi3", NULL, PI3_SAN ",email:a@b.c", false },
			"neither" },
		{ { "system:nodes", "system:node:pi3", "unit", PI3_SAN, false },
			"more than one common name" },
		{ { "system:masters", "system:node:pi3", NULL, PI3_SAN, false }, "system:masters" },
		{ { NULL, "system:node:pi3", NULL, PI3_SAN, false }, "lacks" },
		{ { "system:nodes", NULL, NULL, PI3_SAN, false }, "lacks" },
		{ { "system:nodes", "system:node:n100", NULL, PI3_SAN, false },
			"system:node:pi3 asks" },
		{ { "system:nodes", "system:node:pi3\033[2J", NULL, PI3_SAN, false },
			"plain ASCII" },
		{ { "system:nodes", "system:node:pi3", NULL, PI3_SAN, true }, "signature" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		expect(csr_of(&rows[i].wish), SERVING_BAD, rows[i].why);
}

static json_t *with(const char *key, json_t *value)
{
	json_t *csr = csr_of(&good);

	json_object_set_new(json_object_get(csr, "spec"), key, value);
	return csr;
}

static void test_wrong_asker(void **state)
{
	expect(with("signerName", json_string("kubernetes.io/kube-apiserver-client")),
		SERVING_OTHER, NULL);
	expect(json_object(), SERVING_OTHER, NULL);
	expect(json_array(), SERVING_OTHER, NULL);
	expect(with("username", json_string("system:serviceaccount:kube-system:x")), SERVING_BAD,
		"not a node");
	expect(with("username", json_string("system:node:pi9")), SERVING_BAD,
		"no board of mesh home");
	expect(with("username", json_string("system:node:")), SERVING_BAD, "no board");
	expect(with("username", json_integer(1)), SERVING_BAD, "not a node");
	expect(with("groups", json_pack("[s]", "system:authenticated")), SERVING_BAD, "not a node");
	expect(with("groups", json_string("system:nodes")), SERVING_BAD, "not a node");
	expect(with("usages", json_pack("[s,s]", "digital signature", "client auth")), SERVING_BAD,
		"usages");
	expect(with("usages",
		       json_pack("[s,s,s]", "digital signature", "server auth", "client auth")),
		SERVING_BAD, "usages");
	expect(with("usages", json_null()), SERVING_BAD, "usages");
	expect(with("request", json_string("!")), SERVING_BAD, "base64");
	expect(with("request", json_string("aGVsbG8=")), SERVING_BAD, "no certificate request");
	expect(with("request", json_null()), SERVING_BAD, "no certificate request");
}

/* Kubernetes' pi3 may be the board that is called otherwise by now. */
static void test_renamed(void **state)
{
	boards[1].once = "pi3-old";
	expect(csr_of(&good), SERVING_BAD, "pi3 was the name of pi3-old before");
	boards[1].once = NULL;
	expect(csr_of(&good), SERVING_GOOD, NULL);
}

static void test_decided(void **state)
{
	static const char *const types[] = { "Approved", "Denied" };

	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		json_t *csr = csr_of(&good);

		json_object_set_new(
			csr, "status", json_pack("{s:[{s:s}]}", "conditions", "type", types[i]));
		expect(csr, SERVING_DECIDED, NULL);
	}
	/* what was approved is decided, and keeps the version that was judged */
	CLEANUP_JSON json_t *csr = csr_of(&good);

	json_object_del(csr, "status");
	json_t *approved = serving_approved(csr, &boards[1]);

	assert_non_null(approved);
	assert_string_equal(json_string_value(json_object_get(
				    json_object_get(approved, "metadata"), "resourceVersion")),
		"411");
	assert_null(json_object_get(csr, "status"));
	expect(approved, SERVING_DECIDED, NULL);
}

static void test_many_names(void **state)
{
	char san[X509_NAMES_MAX * 32] = "DNS:pi3";
	struct wish wish = good;

	for (int i = 1; i < X509_NAMES_MAX; i++)
		strcat(san, ",DNS:pi3");
	wish.san = san;
	expect(csr_of(&wish), SERVING_GOOD, NULL);
	strcat(san, ",DNS:pi3");
	expect(csr_of(&wish), SERVING_BAD, "more than 16");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_wrong_request),
		cmocka_unit_test(test_wrong_asker),
		cmocka_unit_test(test_renamed),
		cmocka_unit_test(test_decided),
		cmocka_unit_test(test_many_names),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
