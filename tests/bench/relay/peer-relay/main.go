// Tailscale's UDP relay for peers (module tailscale.com, package net/udprelay) by itself, for tests:
//
//	peer-relay serve ADDRESS:PORT
//	    Serves at that port, with one endpoint for two clients, until the input ends. Prints what bind needs, in one line.
//	peer-relay bind ADDRESS:PORT WORDS... 0|1 LOCAL-PORT
//	    Binds one of the two from that local port; prints the head of its datagrams (Geneve), in hex.
package main

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"time"

	"go4.org/mem"
	"tailscale.com/control/controlknobs"
	"tailscale.com/disco"
	"tailscale.com/net/packet"
	"tailscale.com/net/udprelay"
	"tailscale.com/types/key"
	"tailscale.com/types/views"
	"tailscale.com/util/usermetric"
)

func must(what string, err error) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "peer-relay: %s: %v\n", what, err)
		os.Exit(1)
	}
}

// The two clients: their keys are worth nothing.
func client(n byte) key.DiscoPrivate {
	raw := bytes.Repeat([]byte{n + 1}, 32)
	return key.DiscoPrivateFromRaw32(mem.B(raw))
}

func serve(at string) {
	where, err := netip.ParseAddrPort(at)
	must(at, err)
	quiet := func(string, ...any) {}
	s, err := udprelay.NewServer(quiet, where.Port(), true, new(usermetric.Registry), new(controlknobs.Knobs))
	must("server", err)
	s.SetStaticAddrPorts(views.SliceOf([]netip.AddrPort{where}))
	e, err := s.AllocateEndpoint(client(0).Public(), client(1).Public())
	must("endpoint", err)
	raw := e.ServerDisco.AppendTo(nil)
	fmt.Printf("%x %d\n", raw, e.VNI)
	_, _ = io.Copy(io.Discard, os.Stdin)
	must("closing", s.Close())
}

func head(vni uint32, protocol uint16, control bool) []byte {
	h := packet.GeneveHeader{Control: control, Protocol: protocol}
	h.VNI.Set(vni)
	b := make([]byte, packet.GeneveFixedHeaderLength)
	must("head", h.Encode(b))
	return b
}

type end struct {
	conn   *net.UDPConn
	own    key.DiscoPrivate
	server key.DiscoPublic
	vni    uint32
}

func (c *end) say(m disco.Message) {
	b := append(head(c.vni, packet.GeneveProtocolDisco, true), disco.Magic...)
	b = c.own.Public().AppendTo(b)
	_, err := c.conn.Write(append(b, c.own.Shared(c.server).Seal(m.AppendMarshal(nil))...))
	must("sending", err)
}

func (c *end) hear() disco.Message {
	b := make([]byte, 2048)
	must("patience", c.conn.SetReadDeadline(time.Now().Add(5*time.Second)))
	n, err := c.conn.Read(b)
	must("an answer", err)
	at := packet.GeneveFixedHeaderLength + len(disco.Magic) + key.DiscoPublicRawLen
	if n < at {
		must("an answer", io.ErrUnexpectedEOF)
	}
	payload, ok := c.own.Shared(c.server).Open(b[at:n])
	if !ok {
		must("an answer", fmt.Errorf("it does not open"))
	}
	m, err := disco.Parse(payload)
	must("an answer", err)
	return m
}

func bind(at, server, vni, which, port string) {
	to, err := net.ResolveUDPAddr("udp", at)
	must(at, err)
	local, err := strconv.Atoi(port)
	must(port, err)
	raw, err := hex.DecodeString(server)
	must("the server's key", err)
	v, err := strconv.ParseUint(vni, 10, 24)
	must("VNI", err)
	own, other := client(0), client(1)
	if which == "1" {
		own, other = other, own
	}
	conn, err := net.DialUDP("udp", &net.UDPAddr{Port: local}, to)
	must("socket", err)
	c := end{conn: conn, own: own, server: key.DiscoPublicFromRaw32(mem.B(raw)), vni: uint32(v)}
	common := disco.BindUDPRelayEndpointCommon{VNI: c.vni, Generation: 1, RemoteKey: other.Public()}
	c.say(&disco.BindUDPRelayEndpoint{BindUDPRelayEndpointCommon: common})
	challenge, ok := c.hear().(*disco.BindUDPRelayEndpointChallenge)
	if !ok {
		must("an answer", fmt.Errorf("no challenge"))
	}
	common.Challenge = challenge.Challenge
	c.say(&disco.BindUDPRelayEndpointAnswer{BindUDPRelayEndpointCommon: common})
	fmt.Printf("%x\n", head(c.vni, packet.GeneveProtocolWireGuard, false))
}

func main() {
	switch {
	case len(os.Args) == 3 && os.Args[1] == "serve":
		serve(os.Args[2])
	case len(os.Args) == 7 && os.Args[1] == "bind":
		bind(os.Args[2], os.Args[3], os.Args[4], os.Args[5], os.Args[6])
	default:
		must("usage", fmt.Errorf("serve ADDRESS:PORT, or bind ADDRESS:PORT KEY VNI 0|1 LOCAL-PORT"))
	}
}
