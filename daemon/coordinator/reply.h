/*
 * reply: how a board's request is refused: with a code of PROTOCOL.md section 7, and a sentence for
 * the person who reads the board's log.
 */
#pragma once

#include "sys/httpd/httpd.h"
#include "wire/api.h"

/* Ends @request with an error of section 7. */
void reply_refuse(struct httpd_request *request, enum api_code code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
