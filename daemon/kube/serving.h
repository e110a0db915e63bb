/*
 * serving: which certificate a kubelet may have for the server it is. The signer is Kubernetes'
 * kubernetes.io/kubelet-serving; what it wants of a request, and that here no name and no address
 * may be asked for but those that the mesh gave the board, is decided by this and nobody else.
 * Pure: the caller asks and answers the API server.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "base/err.h"
#include "base/ip.h"

struct serving_board {
	const char *name;
	const char *
		once; /* another board that was called so before, by the name it has now; or NULL */
	struct ip_addr mesh4, mesh6;
};

struct serving_mesh {
	const char *name; /* NAME of BOARD.NAME.internal */
	const struct serving_board *boards;
	size_t n_boards;
};

enum serving_verdict {
	SERVING_OTHER,   /* of another signer: not looked at */
	SERVING_DECIDED, /* approved or denied already */
	SERVING_GOOD,    /* may be approved */
	SERVING_BAD,     /* may not; @why says why */
};

/*
 * @csr: a CertificateSigningRequest of certificates.k8s.io/v1, as the API server gives it.
 * *ret_board: whose it is when it is GOOD (of @mesh->boards).
 */
enum serving_verdict serving_judge(const json_t *csr, const struct serving_mesh *mesh,
	const struct serving_board **ret_board, struct err *why);

/*
 * @csr with the condition Approved, for its /approval. NULL when out of memory; the caller owns it.
 */
json_t *serving_approved(const json_t *csr, const struct serving_board *board);
