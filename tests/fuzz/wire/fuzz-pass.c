/* Frames of parked connections, and names of coordinators: what is understood is made again. */
#include <stdlib.h>
#include <string.h>

#include "wire/pass.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_frame(const uint8_t *data)
{
	uint8_t again[PASS_FRAME_LEN];
	struct pass_frame frame;

	if (pass_frame_parse(data, &frame) < 0)
		return;
	pass_frame_put(&frame, again);
	if (memcmp(data, again, sizeof(again)) != 0)
		abort();
}

static void check_name(const uint8_t *data, size_t size)
{
	char name[PASS_NAME_MAX + 8] = { 0 }, again[PASS_NAME_MAX];
	uint8_t pin[PASS_PIN_LEN];

	memcpy(name, data, size < sizeof(name) - 1 ? size : sizeof(name) - 1);
	if (pass_pin_of_name(name, pin) < 0)
		return;
	pass_name_of_pin(pin, again);
	if (strcmp(name, again) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size >= PASS_FRAME_LEN)
		check_frame(data);
	check_name(data, size);
	return 0;
}
