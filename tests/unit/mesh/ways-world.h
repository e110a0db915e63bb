/*
 * One board's ways to a peer, in a net in which each address answers after a while of its own, or
 * not at all. Time stands still but in run().
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mesh/ways.h"

#define MS     UINT64_C(1000)
#define SECOND UINT64_C(1000000)
#define DEAD   0

/* Address @n: 10.0.0.n:1000; from PUBLIC on 192.0.2.n:1000; from RELAYED on 127.0.0.n:1000. */
enum { ADDRESSES = 64, PUBLIC = 40, RELAYED = 60 };
struct endpoint at(unsigned n);

extern struct ways w;
extern uint64_t now_us, next_tx;
extern uint64_t rtt[ADDRESSES]; /* DEAD: no answer */
extern unsigned pings[ADDRESSES], n_pings, n_calls;
extern uint16_t dead_port;                       /* nor has this, of any; 0: all do */
extern uint64_t pinged_us[ADDRESSES], called_us; /* the last time */

int set_up(void **state);
int tear_down(void **state);

void assert_sound(void);
/* All that is to be done now. */
void send_pings(void);
/* All that happens in this time. */
void run(uint64_t for_us);
/* Nothing is counted so far. */
void count_anew(void);

void announce(unsigned first, unsigned n);
bool call(unsigned first, unsigned n);
void heard(unsigned n);
void relay(unsigned n); /* 0: none */
/* 0: none. */
unsigned in_use(void);
/* It answers, and is found; nothing is counted so far. */
void use(unsigned n);
