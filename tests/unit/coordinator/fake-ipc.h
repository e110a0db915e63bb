/*
 * fake-ipc: local calls that a test makes up, instead of sys/ipc. Each must be answered once.
 */
#pragma once

#include "sys/ipc/ipc.h"

struct ipc_request {
	const char *call;
	json_t *args;
	struct ipc_creds creds;

	/* What became of it. */
	bool answered;
	unsigned charged; /* so often, for work that it caused */
	json_t *ok;       /* or NULL, and why: */
	char code[IPC_CODE_MAX], message[1024];
};

/* A server: there is one at a time. */
struct ipc_server {
	char path[256];
	mode_t mode;
	gid_t gid;
	ipc_handler_fn handler;
	void *ctx;
};
/* NULL if there is none. */
extern struct ipc_server *fake_ipc;
/* What ipc_server_new() and ipc_make_place() return instead of 0. */
extern int fake_ipc_fails, fake_place_fails;
/* What ipc_server_has_path() says. */
extern bool fake_ipc_has_path;
/* "RUN NAME UID" of the last ipc_make_place(), "" for none. */
extern char fake_place[256];

/* By root. Takes @args, NULL for none. */
struct ipc_request *fake_call(const char *call, json_t *args);
void fake_call_free(struct ipc_request *request);
/* It was refused so, and is released. */
void fake_call_refused(struct ipc_request *request, const char *code, const char *message);
/* It was not; what was answered is the caller's, and it is released. */
json_t *fake_call_taken(struct ipc_request *request);
