/*
 * x509: see x509.h. Errors of OpenSSL become -EIO (its own failure) or -EINVAL (what it was given)
 * here and its error queue is left empty.
 */
#include "sys/x509/x509.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <string.h>

static void pkey_free_p(EVP_PKEY **key)
{
	EVP_PKEY_free(*key);
}

static void cert_free_p(X509 **cert)
{
	X509_free(*cert);
}

static void bio_free_p(BIO **bio)
{
	BIO_free_all(*bio);
}

static int failed(int code)
{
	ERR_clear_error();
	return code;
}

static EVP_PKEY *key_of_seed(const uint8_t *seed)
{
	return EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, X509_SEED_LEN);
}

/* Takes the text out of a memory BIO. */
static int bio_text(BIO *bio, char **ret)
{
	char *data = NULL;
	long len = BIO_get_mem_data(bio, &data);

	if (len <= 0)
		return failed(-EIO);
	char *text = malloc((size_t) len + 1);

	if (!text)
		return -ENOMEM;
	memcpy(text, data, (size_t) len);
	text[len] = '\0';
	*ret = text;
	return 0;
}

int x509_public_key(const uint8_t seed[static X509_SEED_LEN], uint8_t ret_key[static X509_KEY_LEN])
{
	CLEANUP(pkey_free_p) EVP_PKEY *key = key_of_seed(seed);
	size_t len = X509_KEY_LEN;

	if (!key || EVP_PKEY_get_raw_public_key(key, ret_key, &len) != 1 || len != X509_KEY_LEN)
		return failed(-EIO);
	return 0;
}

/*
 * @serial, or if that is 0 a number made of the public key: positive, 16 bytes, the same each time.
 */
static int set_serial(X509 *cert, int serial, const uint8_t *public_key)
{
	uint8_t hash[SHA256_DIGEST_LENGTH];
	BIGNUM *number;

	if (serial)
		return ASN1_INTEGER_set(X509_get_serialNumber(cert), serial) ? 0 : failed(-EIO);
	SHA256(public_key, X509_KEY_LEN, hash);
	hash[0] = (hash[0] & 0x7f) | 0x40;
	number = BN_bin2bn(hash, 16, NULL);
	bool good = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert));

	BN_free(number);
	return good ? 0 : failed(-EIO);
}

int x509_certificate_pem_numbered(
	const uint8_t seed[static X509_SEED_LEN], const char *name, int serial, char **ret_pem)
{
	CLEANUP(pkey_free_p) EVP_PKEY *key = key_of_seed(seed);
	CLEANUP(cert_free_p) X509 *cert = X509_new();
	CLEANUP(bio_free_p) BIO *bio = BIO_new(BIO_s_mem());
	uint8_t public_key[X509_KEY_LEN];
	X509_NAME *subject;

	if (!key || !cert || !bio)
		return failed(-ENOMEM);
	int r = x509_public_key(seed, public_key);

	if (r == 0)
		r = set_serial(cert, serial, public_key);
	if (r < 0)
		return r;
	subject = X509_get_subject_name(cert);
	/* not MBSTRING_UTF8: the same bytes, but refuses more than 64, and DERP has 71 */
	if (X509_set_version(cert, 2) != 1 ||
		X509_NAME_add_entry_by_txt(subject, "CN", V_ASN1_UTF8STRING,
			(const unsigned char *) name, -1, -1, 0) != 1 ||
		X509_set_issuer_name(cert, subject) != 1 ||
		ASN1_TIME_set_string_X509(X509_getm_notBefore(cert), "20000101000000Z") != 1 ||
		ASN1_TIME_set_string_X509(X509_getm_notAfter(cert), "99991231235959Z") != 1 ||
		X509_set_pubkey(cert, key) != 1 || X509_sign(cert, key, NULL) <= 0 ||
		PEM_write_bio_X509(bio, cert) != 1)
		return failed(-EIO);
	return bio_text(bio, ret_pem);
}

int x509_certificate_pem(const uint8_t seed[static X509_SEED_LEN], const char *name, char **ret_pem)
{
	return x509_certificate_pem_numbered(seed, name, 0, ret_pem);
}

int x509_key_pem(const uint8_t seed[static X509_SEED_LEN], char **ret_pem)
{
	CLEANUP(pkey_free_p) EVP_PKEY *key = key_of_seed(seed);
	CLEANUP(bio_free_p) BIO *bio = BIO_new(BIO_s_secmem());

	if (!key || !bio)
		return failed(-ENOMEM);
	if (PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) != 1)
		return failed(-EIO);
	return bio_text(bio, ret_pem);
}

void x509_wipe_p(char **text)
{
	if (*text)
		OPENSSL_cleanse(*text, strlen(*text));
	free(*text);
	*text = NULL;
}

static int pin_of(EVP_PKEY *key, char *ret_pin)
{
	unsigned char *der = NULL, hash[SHA256_DIGEST_LENGTH];
	int len = i2d_PUBKEY(key, &der);

	if (len <= 0)
		return failed(-EIO);
	SHA256(der, (size_t) len, hash);
	OPENSSL_free(der);
	EVP_EncodeBlock((unsigned char *) ret_pin, hash, sizeof(hash));
	return 0;
}

int x509_pin_of_key(const uint8_t key[static X509_KEY_LEN], char ret_pin[static X509_PIN_TEXT_LEN])
{
	CLEANUP(pkey_free_p)
	EVP_PKEY *public_key =
		EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, key, X509_KEY_LEN);

	return public_key ? pin_of(public_key, ret_pin) : failed(-EIO);
}

int x509_name_of_pem(const char *pem, size_t pem_len, char ret_name[static X509_NAME_TEXT_MAX])
{
	char name[X509_NAME_TEXT_MAX];

	if (pem_len > INT32_MAX)
		return -EINVAL;
	CLEANUP(bio_free_p) BIO *bio = BIO_new_mem_buf(pem, (int) pem_len);
	CLEANUP(cert_free_p) X509 *cert = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
	int len = cert ? X509_NAME_get_text_by_NID(
				 X509_get_subject_name(cert), NID_commonName, name, sizeof(name))
		       : -1;

	if (len <= 0 || (size_t) len != strlen(name))
		return failed(-EINVAL);
	for (int i = 0; i < len; i++)
		if (name[i] <= ' ' || name[i] > '~')
			return -EINVAL;
	memcpy(ret_name, name, (size_t) len + 1);
	return 0;
}

int x509_key_of_der(const void *der, size_t der_len, uint8_t ret_key[static X509_KEY_LEN])
{
	const unsigned char *p = der;
	size_t len = X509_KEY_LEN;

	if (der_len > INT32_MAX)
		return -EINVAL;
	CLEANUP(cert_free_p) X509 *cert = d2i_X509(NULL, &p, (long) der_len);

	if (!cert || p != (const unsigned char *) der + der_len)
		return failed(-EINVAL);
	EVP_PKEY *key = X509_get0_pubkey(cert);

	if (!key || EVP_PKEY_get_id(key) != EVP_PKEY_ED25519)
		return failed(-EPROTONOSUPPORT);
	if (EVP_PKEY_get_raw_public_key(key, ret_key, &len) != 1 || len != X509_KEY_LEN)
		return failed(-EINVAL);
	return 0;
}
