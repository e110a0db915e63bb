// Prints derp-vectors.h: the sealed frames of a login to a DERP server, made by Go's golang.org/x/crypto
// (as Tailscale does it) and so independently of libsodium. Run by hand in any module that has it; the
// result is committed.
package main

import (
	"fmt"

	"golang.org/x/crypto/curve25519"
	"golang.org/x/crypto/nacl/box"
)

func show(name string, data []byte) {
	fmt.Printf("static const uint8_t %s[%d] = {", name, len(data))
	for i, c := range data {
		if i%14 == 0 {
			fmt.Print("\n\t")
		} else {
			fmt.Print(" ")
		}
		fmt.Printf("0x%02x,", c)
	}
	fmt.Println("\n};")
}

func main() {
	var client, server, clientKey, serverKey [32]byte
	var nonce [24]byte
	for i := range client {
		client[i], server[i] = byte(i+1), byte(i+101)
	}
	for i := range nonce {
		nonce[i] = byte(0xf0 - i)
	}
	curve25519.ScalarBaseMult(&clientKey, &client)
	curve25519.ScalarBaseMult(&serverKey, &server)
	fmt.Print("/* Made by derp-vectors.go; not edited by hand. */\n#pragma once\n\n#include <stdint.h>\n\n")
	show("client_secret", client[:])
	show("server_secret", server[:])
	show("client_key", clientKey[:])
	show("server_key", serverKey[:])
	show("nonce", nonce[:])
	text := []byte(`{"version":2,"CanAckPings":true}`)
	frame := append([]byte{2, 0, 0, 0, byte(32 + 24 + 16 + len(text))}, clientKey[:]...)
	show("client_info", append(append(frame, nonce[:]...), box.Seal(nil, text, &nonce, &serverKey, &client)...))
	text = []byte(`{"version":2,"TokenBucketBytesPerSecond":1000,"TokenBucketBytesBurst":2000}`)
	frame = append([]byte{3, 0, 0, 0, byte(24 + 16 + len(text))}, nonce[:]...)
	show("server_info", append(frame, box.Seal(nil, text, &nonce, &clientKey, &server)...))
}
