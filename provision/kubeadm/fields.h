/*
 * fields: the shape of the documents, as tables. The union of the fields of Kubernetes 1.31 to
 * KUBEADM_MINOR_KNOWN.
 */
#pragma once

enum field_type {
	FIELD_STRING,
	FIELD_INT,
	FIELD_NUMBER, /* with or without a fraction */
	FIELD_BOOL,
	FIELD_DURATION, /* "8m0s" */
	FIELD_STRINGS,  /* list of strings */
	FIELD_INTS,
	FIELD_MAP,      /* string to string */
	FIELD_BOOL_MAP, /* string to true or false */
	FIELD_OBJECT,   /* @sub */
	FIELD_LIST,     /* list of @sub */
	FIELD_ANY       /* a part of the API we neither write nor check */
};

struct field {
	const char *name; /* NULL ends a table */
	enum field_type type;
	const struct field *sub;
};

/* The table of a document, or NULL for a kind that we do not know. */
const struct field *kubeadm_fields(const char *api_version, const char *kind);
