/*
 * x509/request: a certificate request (PKCS #10, RFC 2986, in PEM as RFC 7468 section 7), read into
 * plain text: who asks, and for which names. Its signature is checked: whoever made it holds the
 * key.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/ip.h"

enum { X509_NAMES_MAX = 16, X509_NAME_MAX = 254 /* with the NUL; RFC 1035 allows 253 */ };

struct x509_request {
	char common_name[X509_NAME_MAX];
	char organization[X509_NAME_MAX]; /* the only one */
	char dns[X509_NAMES_MAX][X509_NAME_MAX];
	size_t n_dns;
	struct ip_addr ips[X509_NAMES_MAX];
	size_t n_ips;
};

/*
 * Reads @pem. -EBADMSG and @err for what is no request or whose signature does not fit; for a
 * subject other than one common name and one organization; for alternative names other than DNS
 * names and IP addresses; for more than X509_NAMES_MAX of either; for a name of other than visible
 * ASCII characters.
 */
int x509_request_read(const char *pem, size_t pem_len, struct x509_request *ret, struct err *err);
