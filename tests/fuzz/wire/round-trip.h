/*
 * round-trip: what a reader accepts, its writer prints so that the reader accepts it again and the
 * second print is the first. ROUND_TRIP(struct node, node) uses node_from_json() and its kin.
 */
#pragma once

#include <stdlib.h>
#include <string.h>

#include "base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ROUND_TRIP(type, name, json)                                          \
	do {                                                                  \
		struct err err_ = { 0 };                                      \
		type first_ = { 0 }, second_ = { 0 };                         \
		int r_ = name##_from_json(json, &first_, &err_);              \
		if (r_ && (err_.code != r_ || !err_.text[0]))                 \
			abort();                                              \
		if (r_)                                                       \
			break;                                                \
		CLEANUP_JSON json_t *printed_ = name##_to_json(&first_);      \
		if (!printed_ || name##_from_json(printed_, &second_, &err_)) \
			abort();                                              \
		CLEANUP_JSON json_t *again_ = name##_to_json(&second_);       \
		if (!json_equal(printed_, again_))                            \
			abort();                                              \
		name##_done(&first_);                                         \
		name##_done(&second_);                                        \
	} while (0)
