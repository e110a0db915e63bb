/*
 * api: the whole of PROTOCOL.md section 7: routes, who may call what, and bodies.
 */
#pragma once

#include <stddef.h>

#include "sys/httpd/httpd.h"

/* An httpd_head_fn and an httpd_handler_fn; @ctx is the coordinator (coord.h). */
size_t api_head(void *ctx, struct httpd_request *request);
void api_handle(void *ctx, struct httpd_request *request);
/* The routes, for the test that compares them with openapi.yaml: NULL at the end. */
const char *api_route(size_t index, const char **ret_method);
