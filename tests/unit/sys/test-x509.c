/* x509: what other programs read out of our certificates; hostile DER. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <sodium.h>

#include "base/encode.h"
#include "sys/x509/x509.h"

/* RFC 8032 section 7.1, test 1. */
static const char seed_hex[] = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
static const char key_hex[] = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

static void seed_of(const char *hex, uint8_t seed[32])
{
	assert_int_equal(key_from_hex(hex, strlen(hex), seed), 0);
}

static size_t der_of(const char *pem, unsigned char **ret)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	X509 *cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);

	assert_non_null(cert);
	int n = i2d_X509(cert, ret);

	assert_true(n > 0);
	X509_free(cert);
	BIO_free(bio);
	return (size_t) n;
}

static void test_keys(void **state)
{
	uint8_t seed[32], key[32], again[32];
	char text[KEY_HEX_LEN];
	CLEANUP(free_p) char *pem = NULL, *same = NULL;
	CLEANUP(x509_wipe_p) char *private_pem = NULL;
	unsigned char *der = NULL;

	seed_of(seed_hex, seed);
	assert_int_equal(x509_public_key(seed, key), 0);
	key_to_hex(key, text);
	assert_string_equal(text, key_hex);
	assert_int_equal(x509_certificate_pem(seed, "pi3", &pem), 0);
	assert_int_equal(x509_certificate_pem(seed, "pi3", &same), 0);
	assert_string_equal(pem, same);
	assert_int_equal(x509_key_pem(seed, &private_pem), 0);
	assert_non_null(strstr(private_pem, "-----BEGIN PRIVATE KEY-----"));
	size_t len = der_of(pem, &der);

	assert_int_equal(x509_key_of_der(der, len, again), 0);
	assert_memory_equal(key, again, 32);
	assert_int_equal(x509_key_of_der(der, len - 1, again), -EINVAL);
	for (size_t i = 0; i < len; i++) { /* damaged anywhere: a verdict, never a crash */
		der[i] ^= 0x41;
		(void) x509_key_of_der(der, len, again);
		der[i] ^= 0x41;
	}
	OPENSSL_free(der);
}

/* The number that is asked for, and otherwise the same. */
static void test_numbered(void **state)
{
	static const char name[] =
		"derpkey" /* longer than X.520 would have it */
		"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
	uint8_t seed[32], key[32], again[32];
	CLEANUP(free_p) char *pem = NULL;
	char got[X509_NAME_TEXT_MAX];
	unsigned char *der = NULL;

	seed_of(seed_hex, seed);
	assert_int_equal(x509_public_key(seed, key), 0);
	assert_int_equal(x509_certificate_pem_numbered(seed, name, 2, &pem), 0);
	assert_int_equal(x509_name_of_pem(pem, strlen(pem), got), 0);
	assert_string_equal(got, name);
	size_t len = der_of(pem, &der);
	const unsigned char *p = der;
	X509 *cert = d2i_X509(NULL, &p, (long) len);

	assert_int_equal(ASN1_INTEGER_get(X509_get0_serialNumber(cert)), 2);
	assert_int_equal(X509_verify(cert, X509_get0_pubkey(cert)), 1);
	assert_int_equal(x509_key_of_der(der, len, again), 0);
	assert_memory_equal(key, again, 32);
	X509_free(cert);
	OPENSSL_free(der);
}

static void test_dates(void **state)
{
	uint8_t seed[32];
	CLEANUP(free_p) char *pem = NULL;

	seed_of(seed_hex, seed);
	assert_int_equal(x509_certificate_pem(seed, "x", &pem), 0);
	BIO *bio = BIO_new_mem_buf(pem, -1);
	X509 *cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	struct tm from = { 0 }, to = { 0 };

	assert_int_equal(ASN1_TIME_to_tm(X509_get0_notBefore(cert), &from), 1);
	assert_int_equal(ASN1_TIME_to_tm(X509_get0_notAfter(cert), &to), 1);
	assert_int_equal(from.tm_year, 100);
	assert_int_equal(to.tm_year, 9999 - 1900);
	assert_int_equal(X509_verify(cert, X509_get0_pubkey(cert)), 1);
	X509_free(cert);
	BIO_free(bio);
}

/* As `openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | base64` prints it. */
static void test_pin(void **state)
{
	static const uint8_t prefix[] = { 0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70,
		0x03, 0x21, 0x00 }; /* RFC 8410 */
	uint8_t spki[sizeof(prefix) + 32], hash[32];
	char pin[X509_PIN_TEXT_LEN], expected[KEY_BASE64_LEN];

	memcpy(spki, prefix, sizeof(prefix));
	seed_of(key_hex, spki + sizeof(prefix));
	crypto_hash_sha256(hash, spki, sizeof(spki));
	key_to_base64(hash, expected);
	assert_int_equal(x509_pin_of_key(spki + sizeof(prefix), pin), 0);
	assert_string_equal(pin, expected);
}

static void test_other_kinds(void **state)
{
	uint8_t key[32];
	unsigned char *der = NULL;
	EVP_PKEY *rsa = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	X509 *cert = X509_new();

	X509_set_pubkey(cert, rsa);
	X509_gmtime_adj(X509_getm_notBefore(cert), 0);
	X509_gmtime_adj(X509_getm_notAfter(cert), 1000);
	X509_sign(cert, rsa, EVP_sha256());
	int len = i2d_X509(cert, &der);

	assert_true(len > 0);
	assert_int_equal(x509_key_of_der(der, (size_t) len, key), -EPROTONOSUPPORT);
	assert_int_equal(x509_key_of_der("", 0, key), -EINVAL);
	OPENSSL_free(der);
	X509_free(cert);
	EVP_PKEY_free(rsa);
}

/* The name that a certificate is shown by, with its key or somebody's word before it. */
static void test_name(void **state)
{
	static const char *const bad[] = { "", "x", "two words",
		"-----BEGIN CERTIFICATE-----\nAAAA\n",
		"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n" };
	char name[X509_NAME_TEXT_MAX] = "?", text[8192];
	uint8_t seed[32];
	CLEANUP(free_p) char *pem = NULL, *strange = NULL;
	CLEANUP(x509_wipe_p) char *key = NULL;

	seed_of(seed_hex, seed);
	assert_int_equal(x509_certificate_pem(seed, "system:node:pi3", &pem), 0);
	assert_int_equal(x509_certificate_pem(seed, "a\tb", &strange), 0);
	assert_int_equal(x509_key_pem(seed, &key), 0);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(x509_name_of_pem(bad[i], strlen(bad[i]), name), -EINVAL);
	assert_int_equal(x509_name_of_pem(strange, strlen(strange), name), -EINVAL);
	assert_int_equal(x509_name_of_pem(key, strlen(key), name), -EINVAL);
	assert_string_equal(name, "?");
	(void) snprintf(text, sizeof(text), "for pi3\n%s%s", key, pem);
	assert_int_equal(x509_name_of_pem(text, strlen(text), name), 0);
	assert_string_equal(name, "system:node:pi3");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_numbered),
		cmocka_unit_test(test_dates),
		cmocka_unit_test(test_pin),
		cmocka_unit_test(test_name),
		cmocka_unit_test(test_other_kinds),
	};

	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
