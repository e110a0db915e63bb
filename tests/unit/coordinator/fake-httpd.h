/*
 * fake-httpd: requests that a test makes up, instead of sys/httpd. Each must be answered once.
 */
#pragma once

#include "sys/httpd/httpd.h"

enum { FAKE_QUERY_MAX = 4 };

struct httpd_request {
	const char *method, *path; /* borrowed, as all texts here */
	const char *query[FAKE_QUERY_MAX][2];
	const char *body;
	struct ip_addr address;
	bool has_key;
	uint8_t key[HTTPD_KEY_LEN];

	/* What became of it. */
	bool known;
	unsigned status; /* 0: not answered yet */
	json_t *reply;
	char *text; /* as it was sent */
};

/* A server: there is one at a time. */
struct httpd {
	struct httpd_config config;
	unsigned connections;
	uint64_t put_out, turned_away;
};
/* NULL if there is none. */
extern struct httpd *fake_httpd;
/* What httpd_new() and listen_open() return instead of 0. */
extern int fake_httpd_fails, fake_listen_fails;
/* What listen_open() hands out; -1: something that is no socket. */
extern int fake_listen_fd;
/* Called by httpd_flush(): requests that come in beside the last replies. */
extern void (*fake_httpd_on_flush)(void);

/* GET @path from 192.0.2.1. */
struct httpd_request *fake_request(const char *path);
void fake_request_query(struct httpd_request *request, const char *name, const char *value);
/* Its key is @key from now on, NULL for none. */
void fake_request_set_key(struct httpd_request *request, const uint8_t *key);
void fake_request_free(struct httpd_request *request);

/* The code of the error that it was answered with, "" if it was none. */
const char *fake_request_code(const struct httpd_request *request);
const char *fake_request_message(const struct httpd_request *request);
/* It was refused so, and is released. */
void fake_request_refused(struct httpd_request *request, const char *code, const char *message);
