/*
 * core: what every subject of the relay may borrow. No subject is in it.
 */
#pragma once

#include <stdint.h>
#include <systemd/sd-event.h>

#include "relay/members.h"

struct relay_core {
	sd_event *event;
	struct members *members;
	uint8_t secret[NODE_KEY_LEN], key[NODE_KEY_LEN]; /* the relay's X25519 pair */
};
