/* x509: a peer's certificate in DER, and a request in PEM. */
#include <stdint.h>

#include "sys/x509/request.h"
#include "sys/x509/x509.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t key[X509_KEY_LEN];
	struct x509_request request;

	(void) x509_key_of_der(data, size, key);
	(void) x509_request_read((const char *) data, size, &request, NULL);
	return 0;
}
