/*
 * x509: Ed25519 keys in the shapes that TLS libraries want. Certificates are only envelopes for a
 * key: self-signed, valid from 2000 to 9999 so that a wrong clock harms nothing, the same bytes
 * each time for the same key and name. Trust comes from pins (PROTOCOL.md sections 1 and 7), never
 * from them.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

enum {
	X509_SEED_LEN = 32,       /* an Ed25519 private key as in our key files */
	X509_KEY_LEN = 32,        /* a raw Ed25519 public key */
	X509_PIN_TEXT_LEN = 45,   /* base64 of 32 bytes and the NUL */
	X509_NAME_TEXT_MAX = 300, /* a common name with its NUL */
};

/* The public key of @seed. 0 or -EIO. */
int x509_public_key(const uint8_t seed[static X509_SEED_LEN], uint8_t ret_key[static X509_KEY_LEN]);

/*
 * A self-signed certificate in PEM with common name @name. Heap text, the caller frees. -ENOMEM,
 * -EIO.
 */
int x509_certificate_pem(
	const uint8_t seed[static X509_SEED_LEN], const char *name, char **ret_pem);
/* The same with the serial number @serial, 1 to 127, where that means something to the reader. */
int x509_certificate_pem_numbered(
	const uint8_t seed[static X509_SEED_LEN], const char *name, int serial, char **ret_pem);

/* The private key in PEM (PKCS #8). The caller wipes and frees it with x509_wipe_p(). */
int x509_key_pem(const uint8_t seed[static X509_SEED_LEN], char **ret_pem);

/* Wipes and frees a secret text: CLEANUP(x509_wipe_p) char *key = NULL; */
void x509_wipe_p(char **text);

/* The pin, base64(SHA-256(DER SubjectPublicKeyInfo)), of a raw Ed25519 key. 0 or -EIO. */
int x509_pin_of_key(const uint8_t key[static X509_KEY_LEN], char ret_pin[static X509_PIN_TEXT_LEN]);

/*
 * The common name of the first certificate in @pem, which may hold keys as well. -EINVAL if there
 * is none, or one that is no plain text.
 */
int x509_name_of_pem(const char *pem, size_t pem_len, char ret_name[static X509_NAME_TEXT_MAX]);

/*
 * The raw public key of one DER certificate, as a TLS peer sent it. -EINVAL if it is not exactly
 * one certificate, -EPROTONOSUPPORT if its key is not Ed25519. Proves nothing by itself: TLS proved
 * that the peer holds the private half.
 */
int x509_key_of_der(const void *der, size_t der_len, uint8_t ret_key[static X509_KEY_LEN]);
