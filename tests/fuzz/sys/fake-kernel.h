/*
 * fake-kernel: a kernel that answers with what the fuzzer makes up. recv(), recvfrom(), recvmsg() and
 * sendto() are wrapped by the linker (hearth_fuzz_kernel() in net.cmake), so that decoders which read
 * from a netlink socket run whole, from the system call to the struct.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/*
 * @data is a sequence of datagrams, each after its length (two bytes, little endian; what is cut off
 * is a shorter datagram). After the last one: EAGAIN. Bytes of the reader's buffer behind a datagram
 * are poisoned under AddressSanitizer until the next call or fake_kernel_end().
 */
void fake_kernel_begin(const uint8_t *data, size_t size);
void fake_kernel_end(void);
