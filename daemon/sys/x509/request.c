/* x509/request: see request.h. OpenSSL's error queue is left empty. */
#include "sys/x509/request.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "base/cleanup.h"

static void bio_free_p(BIO **bio)
{
	BIO_free_all(*bio);
}

static void request_free_p(X509_REQ **req)
{
	X509_REQ_free(*req);
}

static void extensions_free_p(STACK_OF(X509_EXTENSION) * *list)
{
	sk_X509_EXTENSION_pop_free(*list, X509_EXTENSION_free);
}

static void names_free_p(GENERAL_NAMES **names)
{
	GENERAL_NAMES_free(*names);
}

static int copy_name(const ASN1_STRING *from, char *ret, const char *what, struct err *err)
{
	const unsigned char *data = ASN1_STRING_get0_data(from);
	int len = ASN1_STRING_length(from);

	if (len <= 0 || len >= X509_NAME_MAX)
		return err_set(err, -EBADMSG, "its %s is empty or too long", what);
	for (int i = 0; i < len; i++)
		if (data[i] <= ' ' || data[i] > '~')
			return err_set(err, -EBADMSG, "its %s is not plain ASCII", what);
	memcpy(ret, data, (size_t) len);
	ret[len] = 0;
	return 0;
}

static int read_subject(const X509_REQ *req, struct x509_request *ret, struct err *err)
{
	const X509_NAME *subject = X509_REQ_get_subject_name(req);

	for (int i = 0; i < X509_NAME_entry_count(subject); i++) {
		const X509_NAME_ENTRY *entry = X509_NAME_get_entry(subject, i);
		int nid = OBJ_obj2nid(X509_NAME_ENTRY_get_object(entry)), r;

		if (nid == NID_commonName && !ret->common_name[0])
			r = copy_name(X509_NAME_ENTRY_get_data(entry), ret->common_name,
				"common name", err);
		else if (nid == NID_organizationName && !ret->organization[0])
			r = copy_name(X509_NAME_ENTRY_get_data(entry), ret->organization,
				"organization", err);
		else
			return err_set(err, -EBADMSG,
				"its subject is more than one common name and one organization");
		if (r < 0)
			return r;
	}
	if (!ret->common_name[0] || !ret->organization[0])
		return err_set(err, -EBADMSG, "its subject lacks a common name or an organization");
	return 0;
}

static int add_ip(const ASN1_STRING *from, struct x509_request *ret, struct err *err)
{
	int len = ASN1_STRING_length(from);
	struct ip_addr *ip = &ret->ips[ret->n_ips];

	if (len != 4 && len != 16)
		return err_set(err, -EBADMSG, "an address in it has %d bytes", len);
	*ip = (struct ip_addr){ .family = len == 4 ? AF_INET : AF_INET6 };
	memcpy(ip->bytes, ASN1_STRING_get0_data(from), (size_t) len);
	ret->n_ips++;
	return 0;
}

static int add_alternative(const GENERAL_NAME *name, struct x509_request *ret, struct err *err)
{
	if (ret->n_dns == X509_NAMES_MAX || ret->n_ips == X509_NAMES_MAX)
		return err_set(err, -EBADMSG, "it asks for more than %d names", X509_NAMES_MAX);
	switch (name->type) {
	case GEN_DNS:
		return copy_name(name->d.dNSName, ret->dns[ret->n_dns++], "DNS name", err);
	case GEN_IPADD:
		return add_ip(name->d.iPAddress, ret, err);
	default:
		return err_set(err, -EBADMSG,
			"it asks for an alternative name "
			"that is neither a DNS name nor an address");
	}
}

static int read_alternatives(X509_REQ *req, struct x509_request *ret, struct err *err)
{
	CLEANUP(extensions_free_p)
	STACK_OF(X509_EXTENSION) *list = X509_REQ_get_extensions(req);
	int critical = -1;
	CLEANUP(names_free_p)
	GENERAL_NAMES *names = X509V3_get_d2i(list, NID_subject_alt_name, &critical, NULL);
	int r = 0;

	if (!names) /* -1: it has none; -2: it has two */
		return critical == -1
			       ? 0
			       : err_set(err, -EBADMSG, "its alternative names cannot be read");
	for (int i = 0; i < sk_GENERAL_NAME_num(names) && r == 0; i++)
		r = add_alternative(sk_GENERAL_NAME_value(names, i), ret, err);
	return r;
}

static int read_request(X509_REQ *req, struct x509_request *ret, struct err *err)
{
	EVP_PKEY *key = X509_REQ_get0_pubkey(req);

	if (!key || X509_REQ_verify(req, key) != 1)
		return err_set(err, -EBADMSG, "its signature does not fit its key");
	int r = read_subject(req, ret, err);

	return r < 0 ? r : read_alternatives(req, ret, err);
}

int x509_request_read(const char *pem, size_t pem_len, struct x509_request *ret, struct err *err)
{
	CLEANUP(bio_free_p)
	BIO *bio = pem_len <= INT_MAX ? BIO_new_mem_buf(pem, (int) pem_len) : NULL;
	CLEANUP(request_free_p)
	X509_REQ *req = bio ? PEM_read_bio_X509_REQ(bio, NULL, NULL, NULL) : NULL;

	*ret = (struct x509_request){ 0 };
	int r = req ? read_request(req, ret, err)
		    : err_set(err, -EBADMSG, "it is no certificate request in PEM");

	ERR_clear_error();
	return r;
}
